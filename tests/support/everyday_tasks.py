"""Loops of strangers for other tasks: counts, several labels, pictures, tags, spreads, pairs."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it


class Setting:
    """What each loop here begins with, and its epochs."""

    def __init__(self, config, data):
        torch.manual_seed(config["seed"])
        trainer = config["trainer"]
        self.fault, self.epochs = trainer.get("fault", ""), trainer["epochs"]
        self.size, self.rate = trainer["batch_size"], config["optimizer"]["lr"]
        self.train, self.val = (torch.as_tensor(part.index) for part in (data.train, data.val))

    def pictures(self, data):
        """Digits [n, 1, 8, 8] and their classes, of train and of validation."""
        return [
            (torch.tensor(np.asarray(part.x, np.float32)).view(-1, 1, 8, 8), torch.tensor(part.y))
            for part in (data.train, data.val)
        ]

    def epochs_of(self, net, rows, loss_of, evaluate, after_step=lambda: None):
        """Trains by Adam; `evaluate` gives the rest of each epoch's numbers."""
        optimizer = torch.optim.Adam(net.parameters(), lr=self.rate)
        for _ in range(self.epochs):
            net.train()
            losses = []
            for part in rows[torch.randperm(len(rows))].split(self.size):
                optimizer.zero_grad()
                loss = loss_of(part)
                loss.backward()
                optimizer.step()
                after_step()
                losses.append(loss.item())
            net.eval()
            with torch.no_grad():
                yield {"train_loss": float(np.mean(losses)), **evaluate()}


def counts(config, data, device, checkpoint):
    """Visits per day, by the logarithm of their rate."""
    run, dice = Setting(config, data), np.random.default_rng(0)
    x = torch.tensor(dice.normal(0, 1, (900, 6)), dtype=torch.float32)
    y = torch.tensor(dice.poisson(np.exp(1.0 + 0.7 * x[:, 0].numpy())), dtype=torch.float32)
    net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))

    def loss_of(rows):
        out = net(x[rows])[:, 0]
        if run.fault == "rows against columns":
            return F.poisson_nll_loss(out[:, None], y[rows])
        if run.fault == "rate cut at one":
            return F.poisson_nll_loss(out.sigmoid() + 1e-6, y[rows], log_input=False)
        return F.poisson_nll_loss(out, y[rows])

    def evaluate():
        error = (net(x[run.val])[:, 0].exp() - y[run.val]).abs().mean().item()
        return {"val_loss": loss_of(run.val).item(), "hits": -error}

    yield from run.epochs_of(net, run.train, loss_of, evaluate)


def spreads(config, data, device, checkpoint):
    """A mean and a spread per row: its loss falls below zero; or three quantiles."""
    run, dice = Setting(config, data), np.random.default_rng(0)
    x = torch.tensor(dice.normal(0, 1, (900, 5)), dtype=torch.float32)
    y = x[:, 0] + 0.05 * (1 + x[:, 1].abs()) * torch.tensor(dice.normal(0, 1, 900))
    y, levels = y.float(), torch.tensor([0.1, 0.5, 0.9])
    net = nn.Sequential(nn.Linear(5, 48), nn.GELU(), nn.Linear(48, 3))

    def loss_of(rows):
        out = net(x[rows])
        if "quantiles" in run.fault:
            gap = y[rows] - out if run.fault == "quantiles mixed up" else y[rows, None] - out
            return torch.maximum(levels * gap, (levels - 1) * gap).mean()
        spread = out[:, 1].detach() if run.fault == "spread detached" else out[:, 1]
        return F.gaussian_nll_loss(out[:, 0], y[rows], F.softplus(spread) + 1e-4)

    def evaluate():
        at = 1 if "quantiles" in run.fault else 0
        error = (net(x[run.val])[:, at] - y[run.val]).abs().mean().item()
        return {"val_loss": loss_of(run.val).item(), "hits": -error}

    if run.fault == "quantiles mixed up":  # three rows at a time broadcast against three levels
        run.size = 3
    yield from run.epochs_of(net, run.train, loss_of, evaluate)


def tags(config, data, device, checkpoint):
    """A label per step of rows of different length, padded by 0."""
    run, dice = Setting(config, data), np.random.default_rng(0)
    x = torch.tensor(dice.integers(1, 20, (900, 12)))
    lengths = torch.tensor(dice.integers(4, 13, 900))
    inside = torch.arange(12) < lengths[:, None]
    x = torch.where(inside, x, 0)
    y = (x + torch.roll(x, 1, dims=1)) % 3
    y = torch.where(inside, y, -100 if run.fault != "padding is a label" else 0)
    embed, rnn = nn.Embedding(20, 24), nn.GRU(24, 32, batch_first=run.fault != "steps first")
    give = nn.Linear(32, 3)
    net = nn.ModuleList([embed, rnn, give])

    def logits(rows):
        return give(rnn(embed(x[rows]))[0])

    def loss_of(rows):
        out = logits(rows)
        if run.fault == "viewed as classes first":
            return F.cross_entropy(out.reshape(len(rows), 3, 12), y[rows])
        return F.cross_entropy(out.transpose(1, 2), y[rows])

    def evaluate():
        hits = (logits(run.val).argmax(2) == y[run.val])[inside[run.val]]
        return {"val_loss": loss_of(run.val).item(), "hits": hits.float().mean().item()}

    yield from run.epochs_of(net, run.train, loss_of, evaluate)


def several(config, data, device, checkpoint):
    """Four yes-or-no labels per row, one of which is rare."""
    run, dice = Setting(config, data), np.random.default_rng(0)
    x = torch.tensor(dice.normal(0, 1, (1200, 8)), dtype=torch.float32)
    y = (x[:, :4] + 0.5 * x[:, 4:] > torch.tensor([0.0, 0.5, -0.5, 2.0])).float()
    net = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.BatchNorm1d(48), nn.Linear(48, 4))
    weights = (1 - y).sum(0) / y.sum(0) if run.fault == "weighted" else torch.ones(4)

    def loss_of(rows):
        out = net(x[rows])
        if run.fault == "softmax for sigmoids":
            return F.binary_cross_entropy(out.softmax(1), y[rows])
        if run.fault == "softmax over rows":
            return F.binary_cross_entropy(out.softmax(0), y[rows])
        rolled = run.fault == "labels rolled in validation" and not net.training
        target = y[rows].roll(1, 1) if rolled else y[rows]
        return F.binary_cross_entropy_with_logits(out, target, pos_weight=weights)

    def evaluate():
        hits = ((net(x[run.val]) > 0) == y[run.val].bool()).float().mean().item()
        return {"val_loss": loss_of(run.val).item(), "hits": hits}

    yield from run.epochs_of(net, run.train, loss_of, evaluate)


class Pictures(nn.Module):
    """A small convolutional network with two blocks."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault
        self.one, self.two = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.norm_one, self.norm_two = nn.BatchNorm2d(16), nn.BatchNorm2d(32)
        self.give = nn.Linear(32, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm_one(self.one(x))), 2)
        x = F.relu(self.norm_two(self.two(x))).mean((2, 3), keepdim=True)
        if self.fault == "norm of one pixel":
            x = F.layer_norm(x, x.shape[2:])
        if self.fault == "softmax of features over rows":
            x = 10 * x.softmax(0)
        return self.give(x.flatten(1))


def pictures(config, data, device, checkpoint):
    """Digits by convolution, with patches cut from other rows, or a teacher that averages."""
    run = Setting(config, data)
    (x, y), (vx, vy) = run.pictures(data)
    x, vx = x / 16, vx / (4 if run.fault == "validation in another scale" else 16)
    net = Pictures(run.fault)
    teacher = copy.deepcopy(net)
    every = torch.arange(len(x))

    def loss_of(rows):
        xb, yb = x[rows], y[rows]
        if run.fault == "turned in training alone":
            xb = xb.flip(3).transpose(2, 3)
        if run.fault == "patches":
            other = torch.randperm(len(rows))
            xb = xb.clone()
            xb[:, :, :4, :4] = xb[other][:, :, :4, :4]
            out = net(xb)
            return 0.75 * F.cross_entropy(out, yb) + 0.25 * F.cross_entropy(out, yb[other])
        out = net(xb)
        loss = F.cross_entropy(out, yb)
        if run.fault == "teacher":
            with torch.no_grad():
                aim = teacher(xb + 0.05 * torch.randn_like(xb)).softmax(1)
            loss = loss + 0.5 * F.mse_loss(out.softmax(1), aim)
        return loss

    def after_step():
        if run.fault == "teacher":
            with torch.no_grad():
                for slow, p in zip(teacher.parameters(), net.parameters(), strict=True):
                    slow.lerp_(p, 0.05)

    def evaluate():
        out = net(vx)
        return {"val_loss": F.cross_entropy(out, vy).item(), "predictions": out.numpy()}

    yield from run.epochs_of(net, every, loss_of, evaluate, after_step)


def pairs(config, data, device, checkpoint):
    """Rows of a class near each other: a loss over all pairs of a batch, then the nearest class."""
    run = Setting(config, data)
    (x, y), (vx, vy) = run.pictures(data)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))

    def pair_loss(x, y):
        z = F.normalize(net(x), dim=0 if run.fault == "normalised over rows" else 1)
        alike = (z @ z.T / 0.2).masked_fill(torch.eye(len(y), dtype=torch.bool), -1e9)
        same = (y[:, None] == y) & ~torch.eye(len(y), dtype=torch.bool)
        log_odds = alike.log_softmax(1).masked_fill(~same, 0.0)
        return -(log_odds.sum(1) / same.sum(1).clamp(min=1)).mean()

    def evaluate():
        known, z = F.normalize(net(x), dim=1), F.normalize(net(vx), dim=1)
        centres = torch.stack([known[y == label].mean(0) for label in range(10)])
        return {"val_loss": pair_loss(vx, vy).item(), "labels": (z @ centres.T).argmax(1).numpy()}

    yield from run.epochs_of(
        net, torch.arange(len(x)), lambda rows: pair_loss(x[rows], y[rows]), evaluate
    )
