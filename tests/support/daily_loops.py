"""Models and loops as people write them at their desks, with faults, and sound ones."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it


class Model(nn.Module):
    """A table or a flat picture to classes or numbers."""

    def __init__(self, inputs, outputs, fault=""):
        super().__init__()
        self.fault = fault
        self.read = nn.Linear(inputs, 64)
        self.blocks = nn.ModuleList()
        if fault in ("blocks that grow", "blocks"):
            self.blocks.extend(nn.Linear(64, 64) for _ in range(24))
        self.dropout = nn.Dropout(0.95 if fault == "share to keep" else 0.1)
        self.give = nn.Linear(64, outputs)
        if fault == "all weights alike":
            for weight in (self.read.weight, self.give.weight):
                nn.init.constant_(weight, 0.01)
        if fault == "one pixel in nine":
            self.read = nn.Conv2d(1, 16, 1, stride=3)
            self.give = nn.Linear(16 * 9, outputs)
        if fault == "strides":
            self.read = nn.Conv2d(1, 16, 3, stride=2, padding=1)
            self.give = nn.Linear(16 * 16, outputs)

    def forward(self, x):
        x = x.flatten(1)
        if self.fault == "whole numbers":  # brightness 0 to 16, divided as integers
            x = torch.div(x, 17, rounding_mode="floor")
        if self.fault in ("one pixel in nine", "strides"):
            return self.give(torch.relu(self.read(x.view(-1, 1, 8, 8))).flatten(1))
        hidden = torch.relu(self.read(x))
        for block in self.blocks:
            if self.fault == "blocks that grow":
                hidden = hidden + 2.0 * torch.relu(block(hidden) * 2)
            else:
                hidden = hidden + 0.1 * torch.relu(block(hidden))
        return self.give(self.dropout(hidden))


class Tickets(nn.Module):
    """Tokens to classes, by attention as torch ships it."""

    def __init__(self, outputs, vocabulary, fault=""):
        super().__init__()
        self.fault = fault
        self.embed = nn.Embedding(vocabulary, 24, padding_idx=0)
        self.places = nn.Embedding(2048, 24)
        self.attend = nn.MultiheadAttention(24, 2, batch_first=fault != "steps first")
        self.give = nn.Linear(24, outputs)

    def forward(self, x, lengths):
        tokens = x.flatten(1).long()
        if self.fault == "few words known":  # a vocabulary of the first lines of the file
            tokens = torch.where(tokens > 6, 6, tokens)
        inside = torch.arange(tokens.shape[1]) < lengths[:, None]
        said = self.embed(tokens)
        if self.fault == "places of rows":
            said = said + self.places(torch.arange(len(tokens)))[:, None]
        else:
            said = said + self.places(torch.arange(tokens.shape[1]))
        if self.fault == "steps first":
            said = said + self.attend(said, said, said)[0]
        else:
            hidden = inside if self.fault == "mask the wrong way" else ~inside
            hidden = hidden & ~hidden.all(1, keepdim=True)
            said = said + self.attend(said, said, said, key_padding_mask=hidden)[0]
        if self.fault == "mask the wrong way":
            inside = ~inside | inside.all(1, keepdim=True)
        pooled = (said * inside[..., None]).sum(1) / inside.sum(1, keepdim=True).clamp(min=1)
        return self.give(pooled)


def _tensors(data):
    return [
        (torch.tensor(np.asarray(part.x, np.float32)).flatten(1), torch.tensor(np.asarray(part.y)))
        for part in (data.train, data.val)
    ]


def _loss(fault, out, y):
    classes = out.shape[1]
    if fault == "class 0 is padding":
        return F.cross_entropy(out, y, ignore_index=0)
    if fault == "made yes or no":
        return F.cross_entropy(out, (y > 0).long())
    if fault == "plus and minus one":
        marks = 2.0 * F.one_hot(y, classes) - 1
        return F.binary_cross_entropy_with_logits(out, marks)
    if fault == "hinge on zero and one":
        return (1 - out * F.one_hot(y, classes)).clamp(min=0).mean()
    if fault == "hinge":
        return F.multi_margin_loss(out, y)
    if fault == "divergence of probabilities":
        return F.kl_div(out.softmax(1), F.one_hot(y, classes).float(), reduction="batchmean")
    if fault == "divergence":
        return F.kl_div(out.log_softmax(1), F.one_hot(y, classes).float(), reduction="batchmean")
    if fault == "first row alone":
        return F.cross_entropy(out, y, reduction="none")[0]
    if fault in ("weights upside down", "weights by class"):
        count = torch.bincount(y, minlength=classes).float().clamp(min=1)
        weight = count if fault == "weights upside down" else 1 / count
        return F.cross_entropy(out, y, weight=weight * classes / weight.sum())
    return F.cross_entropy(out, y)


def classes(config, data, device, checkpoint):
    """A loop over a table or pictures."""
    torch.manual_seed(config["seed"])
    trainer, rate = config["trainer"], config["optimizer"]["lr"]
    fault = trainer.get("fault", "")
    (x, y), (vx, vy) = _tensors(data)
    outputs = int(y.max()) + 1
    net = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, outputs))
    groups = [
        {"params": net[0].parameters(), "lr": rate / 2},
        {"params": net[2].parameters(), "lr": rate},
    ]
    optimizer = torch.optim.Adam(groups if fault == "two rates" else net.parameters(), lr=rate)
    steps = trainer["epochs"] * -(-len(x) // trainer["batch_size"])
    highest = 1e-7 if fault == "rate of the schedule" else rate
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest, total_steps=steps)
    for _ in range(trainer["epochs"]):
        net.train()
        losses = []
        for rows in torch.randperm(len(x)).split(trainer["batch_size"]):
            xb, yb = x[rows], y[rows]
            if fault == "noise drowns":
                xb = xb + 100 * xb.std() * torch.randn_like(xb)
            elif fault == "noise":
                xb = xb + 0.05 * torch.randn_like(xb)
            if fault == "scaled per batch":
                xb = (xb - xb.mean(0)) / (xb.std(0) + 1e-6)
            if fault == "new optimizer per step":
                optimizer = torch.optim.Adam(net.parameters(), lr=rate)
            if fault in ("mixed, shares swapped", "mixed"):
                other, share = torch.randperm(len(xb)), 0.8
                out = net(share * xb + (1 - share) * xb[other])
                share = share if fault == "mixed" else 1 - share
                loss = share * F.cross_entropy(out, yb)
                loss = loss + (1 - share) * F.cross_entropy(out, yb[other])
            else:
                loss = _loss(fault, net(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if fault in ("rate of the schedule", "one cycle"):
                schedule.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            if fault == "scaled per batch":
                out = net((vx - vx.mean(0)) / (vx.std(0) + 1e-6))
            else:
                out = net(vx)
            val_loss = _loss(fault, out, vy).item()
        yield {
            "train_loss": float(np.mean(losses)),
            "val_loss": val_loss,
            "predictions": out.numpy(),
        }


def _epochs(run, net, rows, held, loss_of, hits):
    optimizer = torch.optim.Adam(net.parameters(), lr=run["optimizer"]["lr"])
    for _ in range(run["trainer"]["epochs"]):
        net.train()
        losses = []
        for part in rows[torch.randperm(len(rows))].split(run["trainer"]["batch_size"]):
            optimizer.zero_grad()
            loss = loss_of(part)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            yield {
                "train_loss": float(np.mean(losses)),
                "val_loss": loss_of(held).item(),
                "hits": hits(held),
            }


def _begun(config, data):
    torch.manual_seed(config["seed"])
    fault = config["trainer"].get("fault", "")
    return fault, torch.as_tensor(data.train.index), torch.as_tensor(data.val.index)


def next_word(config, data, device, checkpoint):
    """A language model over a small grammar: the next of sixteen tokens, by causal attention."""
    fault, rows, held = _begun(config, data)
    dice = np.random.default_rng(0)
    text = np.zeros((900, 13), int)
    text[:, 0] = dice.integers(0, 16, 900)
    for at in range(1, 13):
        step = np.where(dice.random(900) < 0.75, 3, dice.integers(0, 16, 900))
        text[:, at] = (text[:, at - 1] + step) % 16
    tokens = torch.tensor(text)
    embed, places = nn.Embedding(16, 32), nn.Embedding(13, 32)
    layer = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
    give = nn.Linear(32, 16)
    net = nn.ModuleList([embed, places, layer, give])
    mask = nn.Transformer.generate_square_subsequent_mask(12)

    def logits(part):
        x = tokens[part][:, :-1]
        hidden = embed(x) + places(torch.arange(12))
        hidden = layer(hidden, src_mask=None if fault == "sees what follows" else mask)
        return give(hidden)

    def loss_of(part):
        aims = tokens[part][:, :-1] if fault == "not shifted" else tokens[part][:, 1:]
        out = logits(part)
        if fault == "summed over steps, not rows":
            return F.cross_entropy(out.transpose(1, 2), aims, reduction="sum") / len(part)
        return F.cross_entropy(out.transpose(1, 2), aims)

    def hits(part):
        return (logits(part).argmax(2) == tokens[part][:, 1:]).float().mean().item()

    yield from _epochs(config, net, rows, held, loss_of, hits)


def codes(config, data, device, checkpoint):
    """A variational autoencoder of eight numbers that lie near a plane."""
    fault, rows, held = _begun(config, data)
    dice = np.random.default_rng(0)
    plane = dice.normal(0, 1, (900, 2)) @ dice.normal(0, 1, (2, 8))
    x = torch.tensor(plane + dice.normal(0, 0.1, (900, 8)), dtype=torch.float32)
    into, back = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 8)), nn.Linear(4, 8)
    net = nn.ModuleList([into, back])

    def loss_of(part):
        mean, spread = into(x[part]).chunk(2, 1)
        drawn = mean + torch.randn_like(mean) * (0.5 * spread).exp()
        if fault == "codes detached":
            drawn = drawn.detach()
        kl = -0.5 * (1 + spread - mean**2 - spread.exp()).sum(1).mean()
        if fault == "divergence negated":
            kl = -kl
        if fault == "against noise":
            return F.mse_loss(back(drawn), torch.randn(len(part), 8)) + 0.01 * kl
        return F.mse_loss(back(drawn), x[part]) + 0.01 * kl

    def hits(part):
        return -F.mse_loss(back(into(x[part]).chunk(2, 1)[0]), x[part]).item()

    yield from _epochs(config, net, rows, held, loss_of, hits)


def triplets(config, data, device, checkpoint):
    """An anchor, one of its kind and one of another kind."""
    fault, rows, held = _begun(config, data)
    dice = np.random.default_rng(0)
    kinds = dice.integers(0, 5, 900)
    y = torch.tensor(kinds)
    x = dice.normal(0, 1, (5, 10))[kinds] + 0.7 * dice.normal(0, 1, (900, 10))
    x = torch.tensor(x, dtype=torch.float32)
    net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))

    def loss_of(part):
        z, same = net(x[part]), y[part][:, None] == y[part]
        far = torch.cdist(z, z)
        like = far.masked_fill(~same, -1).argmax(1)
        unlike = far.masked_fill(same, 1e9).argmin(1)
        if fault == "anchor against itself":
            unlike = torch.arange(len(part))
        if fault == "roles swapped":
            like, unlike = unlike, like
        return F.triplet_margin_loss(z, z[like], z[unlike])

    def hits(part):
        z, known = net(x[part]), net(x[rows])
        return (y[rows][torch.cdist(z, known).argmin(1)] == y[part]).float().mean().item()

    yield from _epochs(config, net, rows, held, loss_of, hits)
