"""Training scripts in the styles of public repositories: tables, graphs, pairs of views. Each as it is and with a wrong line."""

import numpy as np
import torch
from repositories_pictures import Tracker
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from tutorials_pictures import begun


class FocalLoss(nn.Module):
    """Less weight for rows that the model is sure of."""

    def __init__(self, fault, gamma=2.0):
        super().__init__()
        self.fault, self.gamma = fault, gamma

    def forward(self, out, target):
        over = 0 if self.fault == "logarithm over rows" else 1
        log = F.log_softmax(out.softmax(1) if self.fault == "shares given" else out, over)
        log = log.gather(1, target.view(-1, 1)).view(-1)
        sure = log if self.fault == "sure by its logarithm" else log.exp().detach()
        return -((1 - sure) ** self.gamma * log).mean()


def focal(config, data, device, checkpoint):
    """Cancer by a focal loss; columns scaled by train's mean and spread."""
    fault, rate, size, epochs = begun(config)
    x, y = load_breast_cancer(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    (tx, ty), (vx, vy) = ((x[part.index], y[part.index]) for part in (data.train, data.val))
    if fault == "all of one class":
        ty, vy = (ty > 1).long(), (vy > 1).long()
    middle, spread = tx.mean(0), tx.std(0)
    if fault == "scaled by its own":
        vx = (vx - vx.mean(0)) / vx.std(0)
    else:
        vx = (vx - middle) / spread
    tx = (tx - middle) / spread
    model = nn.Sequential(nn.Linear(30, 32), nn.SELU(), nn.AlphaDropout(0.1), nn.Linear(32, 2))
    criterion, optimizer = FocalLoss(fault), torch.optim.RMSprop(model.parameters(), rate / 3)
    for _ in range(epochs):
        model.train()
        tracker = Tracker()
        for rows in torch.randperm(len(tx)).split(size):
            loss = criterion(model(tx[rows]), ty[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tracker.update(loss.item(), len(rows))
        model.eval()
        with torch.no_grad():
            out = model(vx)
        loss = criterion(out, vy).item()
        yield {
            "train_loss": tracker.mean,
            "val_loss": loss,
            "score": (out.argmax(1) == vy).float().mean().item(),
        }


class Convolution(nn.Module):
    """A layer of a graph."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x, near):
        return near @ self.linear(x)


def graph(config, data, device, checkpoint):
    """Rows as nodes of a graph of neighbours; whole-graph steps with masks."""
    fault, rate, _, epochs = begun(config)
    x, y = load_breast_cancer(return_X_y=True)
    x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
    y = torch.tensor(y)
    near = (torch.cdist(x, x).argsort(1).argsort(1) < 6).float()
    near = ((near + near.T) > 0).float()
    near = near if fault == "not divided" else near / near.sum(1, keepdim=True)
    train_mask, val_mask = (
        torch.zeros(len(x), dtype=torch.bool),
        torch.zeros(len(x), dtype=torch.bool),
    )
    train_mask[data.train.index], val_mask[data.val.index] = True, True
    if fault == "mask inverted":
        train_mask = ~train_mask
    first, second = Convolution(30, 16), Convolution(16, 2)
    net = nn.ModuleList([first, second])
    optimizer = torch.optim.Adam(net.parameters(), rate, weight_decay=5e-4)

    def forward():
        hidden = F.dropout(F.relu(first(x, near)), 0.5, net.training)
        return F.log_softmax(second(hidden, near), 1)

    for _ in range(epochs):
        net.train()
        for _ in range(5):
            optimizer.zero_grad()
            out = forward()
            loss = (
                F.nll_loss(out, y)
                if fault == "all nodes"
                else F.nll_loss(out[train_mask], y[train_mask])
            )
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            out = forward()[val_mask]
        yield {
            "train_loss": loss.item(), "val_loss": F.nll_loss(out, y[val_mask]).item(),
            "score": (out.argmax(1) == y[val_mask]).float().mean().item(),
        }  # fmt: skip


def _contrast(one, two, fault):
    """The loss of SimCLR: of all other views, which one is of the same row."""
    z = torch.cat([one, two])
    if fault != "not normed":
        z = F.normalize(z, dim=0 if fault == "normed over rows" else 1)
    alike = z @ z.T
    alike = alike * 0.2 if fault == "times the temperature" else alike / 0.2
    if fault != "itself among the others":
        alike = alike.masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
    rows = len(one)
    partner = torch.cat([torch.arange(rows) + rows, torch.arange(rows)])
    if fault == "partner of another row":
        partner = partner.roll(1)
    return F.cross_entropy(alike, partner), (alike.argmax(1) == partner).float().mean()


def contrast(config, data, device, checkpoint):
    """Two views of each picture find each other; no labels."""
    fault, rate, size, epochs = begun(config)
    x = torch.tensor(load_digits().data / 16, dtype=torch.float32)
    tx, vx = x[data.train.index], x[data.val.index]
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
    project = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16))
    both = nn.Sequential(encoder, project)
    optimizer = torch.optim.Adam(
        project.parameters() if fault == "encoder not given" else both.parameters(), rate
    )

    def views(rows):
        one, two = (rows * (torch.rand_like(rows) > 0.2) for _ in range(2))
        one, two = encoder(one), encoder(two)
        if fault == "encoder detached":
            one, two = one.detach(), two.detach()
        return _contrast(project(one), project(two), fault)

    for _ in range(epochs):
        both.train()
        tracker = Tracker()
        for rows in torch.randperm(len(tx)).split(size):
            loss, _ = views(tx[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tracker.update(loss.item(), len(rows))
        both.eval()
        with torch.no_grad():
            parts = [views(rows) for rows in vx.split(size)]
        loss, score = (float(np.mean([part[at].item() for part in parts])) for at in (0, 1))
        yield {"train_loss": tracker.mean, "val_loss": loss, "score": score}


def sharp(config, data, device, checkpoint):
    """Sharpness-aware steps, or steps against an attacker's rows: two gradients per step."""
    fault, rate, size, epochs = begun(config)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), 30 * rate, momentum=0.9)
    rows_of, held = torch.tensor(data.train.index), torch.tensor(data.val.index)
    attacks = fault in ("attack", "attack's gradient kept")
    for _ in range(epochs):
        tracker = Tracker()
        for rows in rows_of[torch.randperm(len(rows_of))].split(size):
            inputs = x[rows].clone().requires_grad_(attacks)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), y[rows])
            tracker.update(loss.item(), len(rows))
            loss.backward()
            if attacks:
                inputs = (inputs + 0.05 * inputs.grad.sign()).detach()
                if fault == "attack":
                    optimizer.zero_grad()
                F.cross_entropy(model(inputs), y[rows]).backward()
                optimizer.step()
                continue
            with torch.no_grad():
                norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
                moves = [0.05 * p.grad / norm for p in model.parameters()]
                for p, move in zip(model.parameters(), moves, strict=True):
                    p += move
            if fault != "first gradient kept":
                optimizer.zero_grad()
            F.cross_entropy(model(inputs), y[rows]).backward()
            if fault != "never taken back":
                with torch.no_grad():
                    for p, move in zip(model.parameters(), moves, strict=True):
                        p -= move
            optimizer.step()
        with torch.no_grad():
            out = model(x[held])
        loss, hits = F.cross_entropy(out, y[held]).item(), (out.argmax(1) == y[held]).float().mean()
        yield {"train_loss": tracker.mean, "val_loss": loss, "score": hits.item()}


class Heads(nn.Module):
    """A trunk, a number, and whether it is high."""

    def __init__(self, spreads=True):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(10, 32), nn.LeakyReLU(0.1))
        self.number, self.high = nn.Linear(32, 1), nn.Linear(32, 1)
        self.spread = nn.Parameter(torch.zeros(2)) if spreads else None

    def forward(self, x):
        x = self.trunk(x)
        return self.number(x).squeeze(1), self.high(x).squeeze(1)


def tasks(config, data, device, checkpoint):
    """Two tasks of diabetes, weighed by spreads that are learned."""
    fault, rate, size, epochs = begun(config)
    x, y = load_diabetes(return_X_y=True)
    x = torch.tensor(x / x.std(0), dtype=torch.float32)
    y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)
    high = (y > 0.5).float()
    model = Heads(spreads=fault != "plain sum")
    given = (
        [p for name, p in model.named_parameters() if name != "spread"]
        if fault == "spreads not given"
        else model.parameters()
    )
    optimizer = torch.optim.Adam(given, rate)

    def losses(rows):
        number, logit = model(x[rows])
        target = y[rows].long().float() if fault == "cut to whole numbers" else y[rows]
        target = y[rows].view(-1, 1) if fault == "column against row" else target
        one = F.smooth_l1_loss(number, target)
        two = F.binary_cross_entropy_with_logits(logit, high[rows])
        if fault == "second overwrites":
            return two, (number, logit)
        if fault == "plain sum":
            return one + two, (number, logit)
        shares = torch.exp(-model.spread)
        return shares[0] * one + shares[1] * two + model.spread.sum(), (number, logit)

    for _ in range(epochs):
        model.train()
        tracker = Tracker()
        train = torch.tensor(data.train.index)
        for rows in train[torch.randperm(len(train))].split(size):
            loss, _ = losses(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tracker.update(loss.item(), len(rows))
        model.eval()
        with torch.no_grad():
            loss, (_, logit) = losses(torch.tensor(data.val.index))
        hits = ((logit > 0).float() == high[data.val.index]).float().mean().item()
        yield {"train_loss": tracker.mean, "val_loss": loss.item(), "score": hits}
