"""Loops of one's own whose loss is told something of the classes, whose optimizer is made where it should not be, and language models that see what
they are to say; each without its fault too."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.data import DataSet

WORDS, STEPS = 20, 12


def uneven(seed=0):
    """Four clouds, of which one holds half of the rows and one a twentieth."""
    dice = np.random.default_rng(seed)
    y = dice.choice(4, 700, p=(0.5, 0.3, 0.15, 0.05))
    x = 1.5 * dice.normal(0, 1, (4, 8))[y] + dice.normal(0, 1, (700, 8))
    return DataSet(x=x.astype(np.float32), y=y.astype(np.int64))


def _weights(fault, y, classes):
    """A weight per class."""
    count = torch.bincount(y, minlength=classes).float()
    return {
        "weights by rows": count / count.sum(),
        "weights by rows, mean 1": count * classes / count.sum(),
        "one over rows": count.sum() / (classes * count),
        "root of one over rows": count.rsqrt(),
        "one minus share": 1 - count / count.sum(),
        "dear errors": torch.linspace(1, 3, classes),
    }.get(fault)


def _loss(fault, out, y, weight, share):
    classes = out.shape[1]
    if fault == "second class is padding":
        return nn.CrossEntropyLoss(ignore_index=1)(out, y)
    if fault == "likelihood without the last class":
        return F.nll_loss(out.log_softmax(1), y, ignore_index=classes - 1)
    if fault == "a number beyond the classes":
        return F.cross_entropy(out, y, ignore_index=255)
    if fault in ("rows over others", "others over rows"):
        ratio = share / (1 - share)
        ratio = ratio if fault == "rows over others" else 1 / ratio
        return F.binary_cross_entropy_with_logits(
            out[:, 1] - out[:, 0], (y == 1).float(), pos_weight=torch.tensor(ratio)
        )
    if fault == "others over rows, named the other way":
        ratio = torch.tensor(share / (1 - share))
        return F.binary_cross_entropy_with_logits(
            out[:, 0] - out[:, 1], (y == 0).float(), pos_weight=ratio
        )
    if fault == "coarse and fine":
        half = torch.stack([out[:, 0::2].logsumexp(1), out[:, 1::2].logsumexp(1)], 1)
        return F.cross_entropy(out, y) + F.cross_entropy(half, y % 2)
    if fault == "odd or even":
        return F.cross_entropy(out, y % 2)
    if fault == "thirds":
        return F.nll_loss(out.log_softmax(1), y // 3)
    return F.cross_entropy(out, y, weight)


def _optimizer(fault, net, rate):
    if fault in ("momentum anew per step", "momentum anew per epoch"):
        return torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    if fault == "plain steps anew":
        return torch.optim.SGD(net.parameters(), lr=rate)
    if fault == "rms anew per step":
        return torch.optim.RMSprop(net.parameters(), lr=rate / 3)
    return torch.optim.AdamW(net.parameters(), lr=rate / 5)


def counted(config, data, device, checkpoint):
    """Classes of a table, by a small network."""
    torch.manual_seed(config["seed"])
    trainer, rate = config["trainer"], config["optimizer"]["lr"]
    fault = trainer.get("fault", "")
    (x, y), (vx, vy) = [
        (torch.tensor(np.asarray(p.x, np.float32)).flatten(1), torch.tensor(np.asarray(p.y)))
        for p in (data.train, data.val)
    ]
    classes = int(y.max()) + 1
    net = nn.Sequential(nn.Linear(x.shape[1], 48), nn.ReLU(), nn.Linear(48, classes))
    weight, share = _weights(fault, y, classes), float((y == 1).float().mean())
    optimizer = _optimizer(fault, net, rate)
    for _ in range(trainer["epochs"]):
        if fault.endswith("anew per epoch"):
            optimizer = _optimizer(fault, net, rate)
        losses = []
        for rows in torch.randperm(len(x)).split(trainer["batch_size"]):
            if fault.endswith(("per step", "steps anew")):
                optimizer = _optimizer(fault, net, rate)
            optimizer.zero_grad()
            loss = _loss(fault, net(x[rows]), y[rows], weight, share)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            out = net(vx)
            held = _loss(fault, out, vy, weight, share).item()
        yield {"train_loss": np.mean(losses), "val_loss": held, "predictions": out.numpy()}


class Speaker(nn.Module):
    """Tokens to logits of tokens, per step."""

    def __init__(self, fault):
        super().__init__()
        self.kind, self.sees = fault.split(", ")[0], "sees all" in fault
        self.embed = nn.Embedding(WORDS, 24)
        self.give = nn.Linear(24, WORDS)
        if self.kind == "recurrent":
            self.read = nn.GRU(
                24, 12 if self.sees else 24, batch_first=True, bidirectional=self.sees
            )
        elif self.kind == "window":
            self.read = nn.Conv1d(24, 24, 3)
        elif self.kind == "normed":
            self.read, self.norm = nn.GRU(24, 24, batch_first=True), nn.BatchNorm1d(24)
        else:
            first, self.places = self.kind != "steps first", nn.Embedding(STEPS, 24)
            self.read = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.1, batch_first=first)

    def forward(self, tokens):
        said = self.embed(tokens)
        if self.kind == "recurrent":
            return self.give(self.read(said)[0])
        if self.kind == "normed":
            return self.give(self.norm(self.read(said)[0].transpose(1, 2)).transpose(1, 2))
        if self.kind == "window":
            pad = (1, 1) if self.sees else (2, 0)
            return self.give(
                torch.relu(self.read(F.pad(said.transpose(1, 2), pad))).transpose(1, 2)
            )
        steps = tokens.shape[0 if self.kind == "steps first" else 1]
        place = self.places(torch.arange(steps))
        said = said + (place[:, None] if self.kind == "steps first" else place)
        mask = nn.Transformer.generate_square_subsequent_mask(steps)
        blind = self.sees or self.kind in ("hidden words", "itself from all")
        return self.give(self.read(said, src_mask=None if blind else mask))


def speak(config, data, device, checkpoint):
    """Language models over a grammar: each word most often follows from the one before."""
    torch.manual_seed(config["seed"])
    fault = config["trainer"].get("fault", "")
    dice = np.random.default_rng(1)
    text = np.zeros((900, STEPS + 1), int)
    text[:, 0] = dice.integers(1, WORDS, 900)
    for at in range(1, STEPS + 1):
        jump = np.where(dice.random(900) < 0.7, 5, dice.integers(0, WORDS - 1, 900))
        text[:, at] = 1 + (text[:, at - 1] - 1 + jump) % (WORDS - 1)
    short = "padded" in fault
    if short:
        text[np.arange(STEPS + 1) >= dice.integers(6, STEPS + 1, 900)[:, None]] = 0
    tokens, net = torch.tensor(text), Speaker(fault)
    optimizer = torch.optim.Adam(net.parameters(), lr=config["optimizer"]["lr"])
    rows, held = (torch.as_tensor(part.index) for part in (data.train, data.val))

    def told(part):
        given, aims = tokens[part][:, :-1], tokens[part][:, 1:]
        if "not shifted" in fault or "itself from all" in fault:
            aims = given
        if "hidden words" in fault:  # a word in six is hidden and to be named
            given, aims = given.clone(), torch.full_like(given, -100)
            hidden = torch.rand(given.shape) < 1 / 6
            aims[hidden], given[hidden] = given[hidden], 0
        if "steps first" in fault:
            given, aims = given.T, aims.T
        out = net(given)
        left = {"ignore_index": 0} if short else {}
        if "classes second" in fault:
            return F.cross_entropy(out.transpose(1, 2), aims, **left), out, aims
        return F.cross_entropy(out.flatten(0, 1), aims.flatten(), **left), out, aims

    for _ in range(config["trainer"]["epochs"]):
        net.train()
        losses = []
        for part in rows[torch.randperm(len(rows))].split(config["trainer"]["batch_size"]):
            optimizer.zero_grad()
            loss = told(part)[0]
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            loss, out, aims = told(held)
        hits = (out.argmax(2) == aims)[aims >= 0].float().mean().item()
        yield {"train_loss": float(np.mean(losses)), "val_loss": loss.item(), "hits": hits}
