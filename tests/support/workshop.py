"""Own loops with own rows: cells that are segmented, digits whose gradients are added up, tags with a score of their own, a policy. Each as
it is, with sound habits, and with one wrong line. Most lines were written before the rules; crops, most habits and the unshuffled last group after."""

import random

import numpy as np
import torch
from own_loops import loop_words, set_ups
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.utils.data import DataLoader, Dataset, TensorDataset

ROWS, SIDE, GROUP = {"cells": 300, "groups": 1797, "tags": 569, "walks": 400}, 32, 4
WRONG = {
    "cells": {
        "mask not mirrored": "batches", "mask not turned": "batches", "mask cropped elsewhere": "batches",
        "score of the last batch": "reported_losses", "sigmoid twice": "output_layer",
    },
    "groups": {"last group left out": "optimizer_steps shuffling", "cleared for each batch": "optimizer_steps"},
    "tags": {
        "score of the last batch": "reported_losses", "score of train's last batch": "reported_losses",
        "score of train": "reported_losses", "targets shifted in validation": "validation_labels",
    },
    "walks": {"uphill": "trains learning_rate", "advantage turned": "trains", "chances detached": "gradients"},
}  # fmt: skip
HABITS = {
    "cells": ("cropped", "noise", "darker"),
    "groups": ("last group kept", "another group left out", "not divided"),
    "tags": ("score in one pass", "score by the weights"),
    "walks": ("no baseline",),
}


# Cells


def pictures():
    """Noisy pictures of one to three cells, and their masks."""
    dice = np.random.default_rng(3)
    down, along = np.mgrid[:SIDE, :SIDE]
    shown, masks = [], []
    for _ in range(ROWS["cells"]):
        mask = np.zeros((SIDE, SIDE), bool)
        for _ in range(dice.integers(1, 4)):
            (y, x), size = dice.uniform(4, 28, 2), dice.uniform(3, 6)
            mask |= (down - y) ** 2 + (along - x) ** 2 < size**2
        shown.append(0.25 + 0.4 * mask + dice.normal(0, 0.12, mask.shape) + 0.1 * along / SIDE)
        masks.append(mask)
    return np.array(shown, np.float32)[:, None], np.array(masks, np.float32)[:, None]


def _cropped(picture, down, along):
    wide = F.pad(picture[None], (4, 4, 4, 4), mode="replicate")[0]
    return wide[:, down : down + SIDE, along : along + SIDE]


class Cells(Dataset):
    """Cells and masks, changed in training."""

    def __init__(self, index, fault, augment):
        shown, masks = pictures()
        self.shown, self.masks = torch.tensor(shown[index]), torch.tensor(masks[index])
        self.fault, self.augment = fault, augment

    def __len__(self):
        return len(self.shown)

    def __getitem__(self, row):
        shown, mask, fault = self.shown[row], self.masks[row], self.fault
        if not self.augment:
            return shown, mask
        if fault in ("mask cropped elsewhere", "cropped"):
            place = random.randint(0, 8), random.randint(0, 8)
            elsewhere = random.randint(0, 8), random.randint(0, 8)
            other = place if fault == "cropped" else elsewhere
            return _cropped(shown, *place), _cropped(mask, *other)
        if random.random() < 0.5:
            shown = shown.flip(2)
            mask = mask if fault == "mask not mirrored" else mask.flip(2)
        turns = random.randint(0, 3)
        shown = shown.rot90(turns, [1, 2])
        mask = mask if fault == "mask not turned" else mask.rot90(turns, [1, 2])
        if fault == "noise":
            shown = shown + 0.3 * torch.randn_like(shown)
        return (shown * random.uniform(0.1, 2) if fault == "darker" else shown), mask


class Net(nn.Module):
    """Down, up, and past both."""

    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.inner = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
        )
        self.up, self.last = nn.Upsample(scale_factor=2), nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        return self.last(torch.cat([x, self.up(self.inner(x))], 1))


def _dice(out, mask):
    said = (out > 0).float()
    return (2 * (said * mask).sum() / (said.sum() + mask.sum() + 1e-6)).item()


def cells(config, data, device, checkpoint):
    """Segments."""
    fault = config["trainer"]["fault"]
    random.seed(config["seed"])
    torch.manual_seed(config["seed"])
    loader = DataLoader(Cells(data.train.index, fault, True), 16, shuffle=True)
    held = DataLoader(Cells(data.val.index, fault, False), 16)
    net, criterion = Net(), nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=config["optimizer"]["lr"])
    for _ in range(config["trainer"]["epochs"]):
        net.train()
        total = 0.0
        for shown, mask in loader:
            optimizer.zero_grad()
            out = net(shown)
            loss = criterion(out.sigmoid() if fault == "sigmoid twice" else out, mask)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(shown)
        net.eval()
        losses, scores = [], []
        with torch.no_grad():
            for shown, mask in held:
                out = net(shown)
                losses.append(criterion(out, mask).item())
                scores.append(_dice(out, mask))
        score = scores[-1] if fault == "score of the last batch" else np.mean(scores).item()
        yield {
            "train_loss": total / len(loader.dataset),
            "val_loss": np.mean(losses).item(),
            "score": score,
        }


# Gradients of several batches


def groups(config, data, device, checkpoint):
    """Adds the gradients of a group of batches up."""
    fault = config["trainer"]["fault"]
    torch.manual_seed(config["seed"])
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    rows = TensorDataset(x, torch.tensor(y))
    taken = data.train.index[: len(data.train.index) // (20 * GROUP) * 20 * GROUP - 20]
    shuffled = fault != "last group left out"
    loader = DataLoader(torch.utils.data.Subset(rows, taken), 20, shuffle=shuffled)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=10 * config["optimizer"]["lr"], momentum=0.9)
    for _ in range(config["trainer"]["epochs"]):
        running = 0.0
        if fault != "last group kept":
            optimizer.zero_grad()
        for number, (shown, labels) in enumerate(loader, start=1):
            if fault == "cleared for each batch":
                optimizer.zero_grad()
            loss = F.cross_entropy(net(shown), labels)
            running += loss.item()
            (loss if fault == "not divided" else loss / GROUP).backward()
            ended = number == len(loader) and fault not in (
                "last group left out",
                "last group kept",
            )
            if number % GROUP == 0 or ended:
                optimizer.step()
                optimizer.zero_grad()
        with torch.no_grad():
            out, labels = net(x[data.val.index]), torch.tensor(y[data.val.index])
        right = (out.argmax(1) == labels).float().mean().item()
        yield {
            "train_loss": running / len(loader),
            "val_loss": F.cross_entropy(out, labels).item(),
            "score": right,
        }


# Tags


class Meter:
    """The last value, and the mean of all."""

    def __init__(self):
        self.last, self.sum, self.rows = 0.0, 0.0, 0

    def update(self, value, rows):
        """Takes a mean of so many rows in."""
        self.last, self.sum, self.rows = value, self.sum + value * rows, self.rows + rows

    @property
    def mean(self):
        """The mean."""
        return self.sum / self.rows


def _tables():
    x, y = load_breast_cancer(return_X_y=True)
    tags = [y, x[:, 20] > np.median(x[:, 20]), x[:, 21] > np.median(x[:, 21])]
    return np.delete(x, [20, 21, 22, 23], axis=1), torch.tensor(
        np.stack(tags, 1), dtype=torch.float32
    )


def _right(out, y):
    return ((out > 0) == (y > 0.5)).float().mean().item()


def tags(config, data, device, checkpoint):
    """Three tags of a row."""
    fault = config["trainer"]["fault"]
    torch.manual_seed(config["seed"])
    (x, y), train, val = _tables(), data.train.index, data.val.index
    x = torch.tensor((x - x[train].mean(0)) / x[train].std(0), dtype=torch.float32)
    asked = y[val].roll(1, 0) if fault == "targets shifted in validation" else y[val]
    net = (
        nn.Linear(26, 3)
        if fault == "score by the weights"
        else nn.Sequential(nn.Linear(26, 48), nn.ReLU(), nn.Linear(48, 3))
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=config["optimizer"]["lr"])
    for _ in range(config["trainer"]["epochs"]):
        losses, own, held, scores = Meter(), Meter(), Meter(), Meter()
        for rows in torch.tensor(train)[torch.randperm(len(train))].split(25):
            out = net(x[rows])
            loss = F.binary_cross_entropy_with_logits(out, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.update(loss.item(), len(rows))
            own.update(_right(out, y[rows]), len(rows))
        with torch.no_grad():
            for place in range(0, len(val), 25):
                out, labels = net(x[val[place : place + 25]]), asked[place : place + 25]
                held.update(F.binary_cross_entropy_with_logits(out, labels).item(), len(out))
                scores.update(_right(out, labels), len(out))
            whole = _right(net(x[val]), asked) if fault == "score in one pass" else 0.0
            if fault == "score by the weights":
                whole = _right(x[val] @ net.weight.T + net.bias, asked)
        score = {
            "score of the last batch": scores.last, "score of train's last batch": own.last,
            "score of train": own.mean, "score in one pass": whole, "score by the weights": whole,
        }.get(fault, scores.mean)  # fmt: skip
        yield {"train_loss": losses.mean, "val_loss": held.mean, "score": score}


# Walks


def _walked(net, places, *, greedy):
    """Chances and gains of twelve steps towards a corner."""
    moves, aim = torch.tensor([[0, 1], [0, -1], [1, 0], [-1, 0]]), torch.tensor([5, 5])
    chances, gains = [], []
    for _ in range(12):
        drawn = torch.distributions.Categorical(logits=net(places / 7))
        action = drawn.probs.argmax(1) if greedy else drawn.sample()
        there = (places + moves[action]).clamp(0, 6)
        gains.append((places - aim).abs().sum(1) - (there - aim).abs().sum(1) - 0.05)
        chances.append(drawn.log_prob(action))
        places = there
    return torch.stack(chances), torch.stack(gains)


def walks(config, data, device, checkpoint):
    """REINFORCE from many places."""
    fault = config["trainer"]["fault"]
    torch.manual_seed(config["seed"])
    places = torch.tensor(np.random.default_rng(1).integers(0, 7, (ROWS["walks"], 2)))
    train, val = places[data.train.index], places[data.val.index]
    net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(net.parameters(), lr=3 * config["optimizer"]["lr"])
    for _ in range(config["trainer"]["epochs"]):
        losses = []
        for rows in train[torch.randperm(len(train))].split(32):
            chances, gains = _walked(net, rows, greedy=False)
            later = gains.flip(0).cumsum(0).flip(0)
            better = later if fault == "no baseline" else later - later.mean(1, keepdim=True)
            better = -better if fault == "advantage turned" else better
            if fault == "chances detached":
                chances = chances.detach() + 0 * net(rows / 7).sum()
            loss = (chances * better).mean()
            loss = loss if fault == "uphill" else -loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            _, gains = _walked(net, val, greedy=True)
        yield {"train_loss": np.mean(losses).item(), "score": gains.sum(0).mean().item()}


def _words(script, fault):
    return loop_words(f"workshop.{script}", rows=ROWS[script], fault=fault)


EVERY = list(set_ups(_words, wrong=WRONG, habits=HABITS))
FAULTS = [setup for setup in EVERY if setup.found]
SOUND = [setup for setup in EVERY if not setup.found]
