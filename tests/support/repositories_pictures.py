"""Training scripts in the styles of public repositories: pictures. Each as it is, with sound habits, and with a wrong line."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split
from tutorials_pictures import Digits, begun


class Tracker:
    """Means of what was told since the last reset."""

    def __init__(self):
        self.reset()

    def reset(self):
        """Forgets."""
        self.total, self.count = 0.0, 0

    def update(self, value, rows=1):
        """Takes a mean of so many rows in."""
        self.total += value * rows
        self.count += rows

    @property
    def mean(self):
        """The mean."""
        return self.total / max(self.count, 1)


class Lenet(nn.Module):
    """Two convolutions and two layers."""

    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))

    def forward(self, x):
        x = self.features(x).flatten(1)
        drop = (
            F.dropout(x, 0.3)
            if self.fault == "dropout as function"
            else F.dropout(x, 0.3, self.training)
        )
        return self.classifier(drop)


class Trainer:
    """A class with `_train_epoch` and `_valid_epoch`, as templates have it."""

    def __init__(self, fault, rate, size, data):
        self.fault, self.size = fault, size
        self.model = Lenet(fault)
        self.train_metrics, self.valid_metrics = Tracker(), Tracker()
        rows = Digits(data.train.index)
        if fault == "divided by 255 twice":
            rows.x = rows.x / 255 / 255
        self.loader = DataLoader(rows, size, shuffle=True)
        self.valid_loader = DataLoader(Digits(data.val.index), 2 * size)
        if fault == "divided by 255 twice":
            self.valid_loader.dataset.x = self.valid_loader.dataset.x / 255 / 255
        self.optimizer, self.scheduler = self._optimizer(rate)
        if fault == "model built again":
            self.model = Lenet(fault)

    def _optimizer(self, rate):
        if self.fault == "betas swapped":
            optimizer = torch.optim.Adam(self.model.parameters(), rate, betas=(0.999, 0.9))
        elif self.fault == "momentum as decay":
            optimizer = torch.optim.Adam(self.model.parameters(), rate, weight_decay=0.9)
        elif self.fault == "nesterov":
            optimizer = torch.optim.SGD(
                self.model.parameters(), 10 * rate, 0.9, weight_decay=5e-4, nesterov=True
            )
        else:
            optimizer = torch.optim.Adam(self.model.parameters(), rate, amsgrad=True)
        other = torch.optim.Adam([nn.Parameter(torch.zeros(1))], rate)
        wrong = self.fault == "schedule of another optimizer"
        gamma = 10 if self.fault == "gamma of ten" else 0.7
        steps = torch.optim.lr_scheduler.StepLR(other if wrong else optimizer, 2, gamma)
        if self.fault in ("cosine told the loss", "cosine"):
            steps = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
        return optimizer, steps

    def train_epoch(self, epoch):
        """Mean train loss of an epoch."""
        if epoch == 0 or self.fault != "train mode once":
            self.model.train()
        self.train_metrics.reset()
        for data, target in self.loader:
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(data), target)
            if self.fault == "loss wrapped anew":
                loss = torch.tensor(loss.item(), requires_grad=True)
            loss.backward()
            self.optimizer.step()
            self.train_metrics.update(loss.item())
        return self.train_metrics.mean

    def valid_epoch(self):
        """Mean loss and share of hits."""
        self.model.eval()
        self.valid_metrics.reset()
        hits = 0
        with torch.set_grad_enabled(self.fault == "validation trains"):
            for data, target in self.valid_loader:
                out = self.model(data)
                loss = F.cross_entropy(out, target)
                if self.fault == "validation trains":
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
                self.valid_metrics.update(loss.item(), len(data))
                hits += (out.argmax(1) == target).sum().item()
        return self.valid_metrics.mean, hits / len(self.valid_loader.dataset)


def template(config, data, device, checkpoint):
    """A trainer class with a scheduler stepped per epoch."""
    fault, rate, size, epochs = begun(config)
    trainer = Trainer(fault, rate, size, data)
    for epoch in range(epochs):
        train_loss = trainer.train_epoch(epoch)
        val_loss, score = trainer.valid_epoch()
        if fault == "cosine told the loss":
            trainer.scheduler.step(val_loss * 10)
        else:
            trainer.scheduler.step()
        yield {"train_loss": train_loss, "val_loss": val_loss, "score": score}


class Folder(Dataset):
    """Pictures and labels that lie in lists of their own, as a folder's names do."""

    def __init__(self, index, fault="", train=False):
        rows = Digits(index)
        self.x, self.y, self.train, self.fault = rows.x, rows.y, train, fault
        if fault == "lists sorted apart":
            names = sorted(range(len(self.x)), key=str)
            self.x = self.x[names]
        if fault == "shuffled apart":
            self.x = self.x[torch.randperm(len(self.x))]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, at):
        x = self.x[at]
        if self.train and self.fault != "no changes":
            down, right = np.random.randint(-1, 2, 2)
            x = torch.roll(x, (int(down), int(right)), (1, 2)) + 0.05 * torch.randn_like(x)
        return x, self.y[at]


def folder(config, data, device, checkpoint):
    """Pictures of a folder, augmented; batches by `next(iter)`; the score by lists of answers."""
    fault, rate, size, epochs = begun(config)
    train, val = Folder(data.train.index, fault, train=True), Folder(data.val.index)
    every = Folder(np.concatenate([data.train.index, data.val.index]), train=True)
    if fault == "doubled before the split":
        twice = TensorDataset(every.x.repeat(2, 1, 1, 1) + 0.01, every.y.repeat(2))
        train, val = random_split(twice, [0.8, 0.2])
    model = Lenet(fault)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    for _ in range(epochs):
        if fault == "split anew each epoch":
            train, val = random_split(every, [len(data.train.index), len(data.val.index)])
        if fault == "a quarter of validation":
            val = Subset(Folder(data.val.index), torch.randperm(len(data.val.index))[:60].tolist())
        loader = DataLoader(train, size, shuffle=fault != "first batch of an iterator")
        model.train()
        losses = []
        for _ in range(len(loader)):
            x, y = next(iter(loader))
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        held = DataLoader(val, 64, shuffle=fault == "score of two passes")
        with torch.no_grad():
            out = torch.cat([model(x) for x, _ in held])
            same = held if fault == "score of two passes" else DataLoader(val, 64)
            truth = torch.cat([y for _, y in same])
            pairs = [(model(x), y) for x, y in held]
        val_loss = sum(F.cross_entropy(o, y, reduction="sum").item() for o, y in pairs) / len(val)
        score = (out.argmax(1) == truth).float().mean().item()
        yield {"train_loss": float(np.mean(losses)), "val_loss": val_loss, "score": score}


def _pretrained(rows):
    """A backbone that has learned to tell even from odd."""
    model = Lenet()
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(20):
        pick = torch.randint(len(rows.y), (64,))
        optimizer.zero_grad()
        F.cross_entropy(model(rows.x[pick]), rows.y[pick] % 2).backward()
        optimizer.step()
    return {name: value.clone() for name, value in model.state_dict().items()}


def finetuned(config, data, device, checkpoint):
    """A backbone with weights of elsewhere, and a head of its own."""
    fault, rate, size, epochs = begun(config)
    rows = Digits(data.train.index)
    with torch.random.fork_rng():
        state = _pretrained(rows)
    model = Lenet()
    if fault == "names with a prefix":
        model.load_state_dict({f"module.{k}": v for k, v in state.items()}, strict=False)
    elif fault == "head left out":
        kept = {k: v for k, v in state.items() if not k.startswith("classifier.2")}
        model.load_state_dict(kept, strict=False)
    else:
        model.load_state_dict(state)
    model.classifier[2] = nn.Linear(48, 10)
    frozen = model.features if fault == "backbone frozen" else nn.Module()
    frozen = model if fault == "all frozen but a bias" else frozen
    for parameter in frozen.parameters():
        parameter.requires_grad_(requires_grad=False)
    model.classifier[2].bias.requires_grad_(requires_grad=True)
    groups = [
        {"params": model.features.parameters(), "lr": rate / 10},
        {"params": model.classifier.parameters(), "lr": rate},
    ]
    if fault == "thawed outside the optimizer":
        groups = groups[1:]
    if fault == "rates swapped to nothing":
        groups[1]["lr"] = rate * 1e-6
    optimizer = torch.optim.Adam(groups)
    loader = DataLoader(rows, size, shuffle=True, drop_last=True)
    held = Digits(data.val.index)
    best, kept = 0.0, copy.deepcopy(model.state_dict())
    for _ in range(epochs):
        model.train()
        tracker = Tracker()
        for x, y in loader:
            if fault == "features without gradients":
                with torch.no_grad():
                    features = model.features(x).flatten(1)
                out = model.classifier(features)
            else:
                out = model(x)
            loss = F.cross_entropy(out, y, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tracker.update(loss.item(), len(x))
        model.eval()
        with torch.no_grad():
            out = model(held.x)
        score = (out.argmax(1) == held.y).float().mean().item()
        if score > best:
            best, kept = score, copy.deepcopy(model.state_dict())
        yield {
            "train_loss": tracker.mean,
            "val_loss": F.cross_entropy(out, held.y).item(),
            "score": score,
        }
