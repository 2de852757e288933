"""Training loops and models as strangers write them: three forms of a loop, faults and habits that can be planted in each, and models."""

from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.optim.swa_utils import AveragedModel, update_bn
from torch.utils.data import DataLoader, RandomSampler, Subset, TensorDataset

# Loops


def fit(config, data, device, checkpoint):
    """A loop of its own. `form`: plain (SGD, picked rows), loader (Adam, a DataLoader) or numbers (AdamW, a regression)."""
    yield from Loop(config, data).epochs()


class Loop:
    """One training, with a fault or a habit."""

    def __init__(self, config, data):
        torch.manual_seed(config["seed"])
        trainer, self.config = config["trainer"], config
        self.fault, self.form = trainer.get("fault", ""), trainer.get("form", "plain")
        x, y, vx, vy = (torch.as_tensor(np.array(part)) for part in (data.train.x, data.train.y, data.val.x, data.val.y))  # fmt: skip
        self.x, self.vx = x.float(), vx.float()
        self.y, self.vy = y, vy
        self.numbers = self.form == "numbers"
        outputs = 1 if self.numbers else int(max(y.max(), vy.max())) + 1
        self.model = self.built(x.shape[1], outputs)
        rate = config["optimizer"]["lr"]
        kind = {"plain": lambda p: torch.optim.SGD(p, lr=rate, momentum=0.9, maximize=self.fault == "maximized")}.get(
            self.form, lambda p: (torch.optim.AdamW if self.numbers else torch.optim.Adam)(p, lr=rate, maximize=self.fault == "maximized"))  # fmt: skip
        self.optimizer = kind([p for p in self.model.parameters() if p.requires_grad])
        self.batch, self.most = trainer["batch_size"], trainer["epochs"]
        self.average = AveragedModel(self.model) if self.fault in ("averaged", "ema") else None
        self.schedule = self.scheduled()
        self.count = self.running = 0.0

    def built(self, inputs, outputs):
        norm = nn.Identity() if self.fault in ("closure", "sharpness") else nn.BatchNorm1d(32)
        model = nn.Sequential(nn.Linear(inputs, 32), norm, nn.ReLU(), nn.Linear(32, outputs))
        if self.fault == "backbone":
            model[0].requires_grad_(False)
        return model

    def scheduled(self):
        """Stepped per batch where it counts epochs is the fault."""
        steps = max(1, len(self.x) // self.batch)
        if self.fault == "stepped":
            return {
                "plain": lambda o: torch.optim.lr_scheduler.PolynomialLR(o, total_iters=5),
                "loader": lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=10),
                "numbers": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=1, gamma=0.1),
            }[self.form](self.optimizer)
        if self.fault == "one cycle":
            return torch.optim.lr_scheduler.OneCycleLR(self.optimizer, self.config["optimizer"]["lr"], total_steps=steps * self.most + self.most)  # fmt: skip
        if self.fault == "warm-up":
            return torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min(1.0, step / 40))  # fmt: skip
        return None

    def batches(self, epoch):
        """Rows of every step of an epoch."""
        count = len(self.x)
        if self.form == "loader":
            rows = TensorDataset(torch.arange(count))
            sampler = None
            if self.fault == "fifth":
                rows = Subset(rows, range(count // 5))
            if self.fault == "another fifth":
                sampler = RandomSampler(rows, num_samples=count // 5)
            size = 10 * count if self.fault == "no batch" else self.batch
            last = self.fault in ("no batch", "drop last")
            loader = DataLoader(rows, size, shuffle=sampler is None, sampler=sampler, drop_last=last)  # fmt: skip
            return [rows for (rows,) in loader]
        if self.fault == "fifth":
            first = torch.randperm(count, generator=torch.Generator().manual_seed(7))
            order = first[: count // 5][torch.randperm(count // 5)]
        elif self.fault == "another fifth":
            order = torch.randperm(count)[: count // 5]
        elif self.fault == "inner split":
            first = torch.randperm(count, generator=torch.Generator().manual_seed(7))
            order = first[: int(0.85 * count)]
            order = order[torch.randperm(len(order))]
        else:
            order = torch.randperm(count)
        if self.fault == "no batch":
            return [order[k : k + 10 * count] for k in range(0, count - 10 * count, 10 * count)]
        return [rows for rows in order.split(self.batch) if len(rows) > 1]

    def loss(self, outputs, labels):
        """The mean loss, or the summed one."""
        how = "sum" if self.fault in ("summed", "summed, divided") else "mean"
        if self.fault == "own loss" and not self.numbers:
            loss = -outputs.log_softmax(1).gather(1, labels[:, None]).mean()
        elif self.fault == "focal" and not self.numbers:
            each = F.cross_entropy(outputs, labels, reduction="none")
            loss = ((1 - torch.exp(-each)) ** 2 * each).mean()
        elif self.fault == "smoothed" and not self.numbers:
            loss = F.cross_entropy(outputs, labels, label_smoothing=0.1)
        elif self.numbers:
            loss = F.mse_loss(outputs, labels, reduction=how)
        else:
            loss = F.cross_entropy(outputs, labels, reduction=how)
        return loss / len(outputs) if self.fault == "summed, divided" else loss

    def step(self, number, rows):
        """One step; its loss."""
        x, y, optimizer = self.x[rows], self.y[rows], self.optimizer
        if self.fault == "noise added":
            x = x + 0.1 * torch.randn_like(x)
        if self.fault == "scaled again":
            x = x / 255
        if self.fault == "stepped first":
            loss = self.loss(self.model(x), y)
            optimizer.zero_grad()
            optimizer.step()
            loss.backward()
            return float(loss.detach())
        if self.fault == "closure":
            return float(optimizer.step(lambda: self.closure(x, y)).detach())
        if self.fault == "sharpness":
            return self.sharpness(x, y)
        if self.fault not in ("stale", "stale per epoch", "cleared after") and not (self.fault == "accumulated" and number % 4):  # fmt: skip
            optimizer.zero_grad(set_to_none=self.fault != "kept zeros")
        if self.fault == "mixed up" and not self.numbers:
            other, share = torch.randperm(len(x)), float(np.random.default_rng(number).beta(1, 1))
            outputs = self.model(share * x + (1 - share) * x[other])
            loss = share * self.loss(outputs, y) + (1 - share) * self.loss(outputs, y[other])
        else:
            loss = self.loss(self.model(x), y)
        (-loss if self.fault == "negated" else loss / 4 if self.fault == "accumulated" else loss).backward()  # fmt: skip
        if self.fault == "clipped":
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if self.fault != "accumulated" or number % 4 == 3:
            optimizer.step()
        if self.fault == "cleared after":
            optimizer.zero_grad()
        if self.schedule is not None:
            self.schedule.step()
        self.by_hand()
        return float(loss.detach())

    def closure(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        return loss

    def sharpness(self, x, y):
        """Two gradients per step, the second uphill."""
        loss = self.closure(x, y)
        moved = []
        with torch.no_grad():
            for p in self.model.parameters():
                moved.append(0.02 * p.grad / (p.grad.norm() + 1e-12))
                p.add_(moved[-1])
        self.closure(x, y)
        with torch.no_grad():
            for p, by in zip(self.model.parameters(), moved, strict=True):
                p.sub_(by)
        self.optimizer.step()
        return float(loss.detach())

    def by_hand(self):
        """What happens to the weights beside the optimizer."""
        with torch.no_grad():
            if self.fault == "shrunk":
                for p in self.model.parameters():
                    p.mul_({"plain": 0.9, "loader": 0.95, "numbers": 0.8}[self.form])
            if self.fault == "decayed by hand":
                for p in self.model.parameters():
                    p.mul_(1 - 1e-4)
            if self.fault == "bounded":
                for p in self.model.parameters():
                    if p.ndim > 1:
                        p.copy_(torch.renorm(p, 2, 0, 1.0))
            if self.fault == "drawn anew" and self.form == "loader":
                self.model[0].reset_parameters()
        if self.average is not None:
            self.average.update_parameters(self.model)

    def epochs(self):
        for epoch in range(1, self.most + 1):
            torch.manual_seed(1000 * self.config["seed"] + epoch)
            self.model.train()
            if self.fault == "drawn anew" and self.form != "loader":
                self.model[0].reset_parameters()
            if self.fault == "stale per epoch":
                self.optimizer.zero_grad()
            total = 0.0
            batches = self.batches(epoch)
            for number, rows in enumerate(batches):
                total += self.step(number, rows) * len(rows)
            count = sum(map(len, batches)) or 1
            if self.fault == "running":
                self.running, self.count = self.running + total, count
                total = self.running
            yield {"train_loss": total / count, **self.evaluation()}

    @torch.no_grad()
    def evaluation(self):
        model = self.model
        if self.fault == "averaged":
            update_bn([self.x], self.average)
        if self.average is not None:
            model = self.average
        if self.fault == "deep copy":
            model = deepcopy(model)
        model.eval()
        x, y = self.vx, self.vy
        if self.fault == "on train":
            x, y = self.x, self.y
        outputs = model(x / 255 if self.fault == "scaled again" else x)
        if self.fault == "wrong labels":
            y = self.y[: len(y)] if self.form == "loader" else y[torch.randperm(len(y))]
        loss = float(self.loss(outputs, y)) if self.fault != "on train, told" else 0.0
        if self.fault == "on train":
            if self.numbers:
                return {"val_loss": loss, "r2": 1 - loss}
            return {"val_loss": loss, "accuracy": float((outputs.argmax(1) == y).float().mean())}
        return {"val_loss": loss, "predictions": outputs.numpy()}


# Models


class Odd(nn.Module):
    """A perceptron, with a fault or with a habit."""

    def __init__(self, inputs, outputs, fault="", width=32):
        super().__init__()
        self.fault = fault
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)
        self.norm = nn.Identity()
        if fault.startswith("momentum"):
            self.norm = nn.BatchNorm1d(width, momentum=float(fault.split()[1]))
        if fault == "listed":
            self.hidden = [nn.Linear(width, width)]
        if fault in ("branch off", "rezero"):
            self.branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
            self.gate = nn.Parameter(torch.zeros(1)) if fault == "rezero" else 0.0
        if fault == "branch half off":
            self.branch = nn.Linear(width, width)
        if fault == "spectral":
            self.second = nn.utils.parametrizations.spectral_norm(self.second)
        if fault == "weight norm":
            self.second = nn.utils.parametrizations.weight_norm(self.second)
        if fault == "drop":
            self.drop = nn.Dropout(0.3)
        if fault == "gated":
            self.gates = nn.Linear(width, width)
        if fault == "layer norm":
            self.norm = nn.LayerNorm(width)
        if fault == "group norm":
            self.norm = nn.GroupNorm(4, width)
        self.last = nn.Linear(width, outputs)
        if fault == "shared":
            self.second.weight = self.first.weight if inputs == width else self.second.weight

    def forward(self, x):
        x = x.flatten(1)
        if self.fault == "scaled twice":
            x = x / 255 / 255
        if self.fault == "scaled a little":
            x = x / 4
        x = self.norm(self.first(x))
        x = F.gelu(x) if self.fault == "gelu" else torch.tanh(x) if self.fault == "tanh" else torch.relu(x)  # fmt: skip
        x = self.middle(x)
        return self.end(self.last(x))

    def middle(self, x):
        if self.fault == "detached":
            x = x.detach()
        if self.fault == "data":
            x = torch.relu(self.second(x)).data
        elif self.fault == "no grad":
            with torch.no_grad():
                x = torch.relu(self.second(x))
        else:
            x = torch.relu(self.second(x))
        if self.fault == "listed":
            x = torch.relu(self.hidden[0](x))
        if self.fault in ("branch off", "rezero"):
            x = x + self.gate * self.branch(x)
        if self.fault == "branch half off":
            x = x + self.branch(x).detach()
        if self.fault == "drop":
            x = self.drop(x)
        if self.fault == "gated":
            x = x * torch.sigmoid(self.gates(x))
        if self.fault == "attends":
            parts = x.view(len(x), 4, -1)
            x = (F.softmax(parts @ parts.mT, dim=-1) @ parts).flatten(1)
        return x

    def end(self, x):
        ends = {
            "sigmoid": torch.sigmoid, "softmax": lambda x: F.softmax(x, dim=1), "softmax rows": lambda x: F.softmax(x, dim=0),
            "softmax module": nn.Softmax(dim=-1), "relu end": torch.relu, "tanh end": torch.tanh, "flat": lambda x: x.squeeze(-1),
            "clamped": lambda x: x.clamp(min=0), "log softmax": lambda x: F.log_softmax(x, dim=1), "softplus": F.softplus,
            "scaled logits": lambda x: 3 * x, "squashed": lambda x: 5 * torch.tanh(x / 5), "exp": torch.exp,
        }  # fmt: skip
        return ends.get(self.fault, lambda x: x)(x)


class Sequence(nn.Module):
    """A GRU, an LSTM or an attention over the features as a sequence."""

    def __init__(self, outputs, kind="gru", width=16):
        super().__init__()
        self.kind = kind
        self.inner = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](1, width, batch_first=True)
        self.last = nn.Linear(width, outputs)

    def forward(self, x):
        return self.last(self.inner(x.flatten(1).unsqueeze(2))[0][:, -1])


class Convolved(nn.Module):
    """Convolutions over the features in a row."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(1, 12, 3, padding=1), nn.BatchNorm1d(12), nn.ReLU(), nn.MaxPool1d(2),
            nn.Flatten(), nn.Linear(12 * (inputs // 2), outputs),
        )  # fmt: skip

    def forward(self, x):
        return self.net(x.flatten(1).unsqueeze(1))


class SquaredError(nn.Module):
    """A squared error of one's own, which broadcasts."""

    def __init__(self, how="difference"):
        super().__init__()
        self.how = how

    def forward(self, outputs, targets):
        if self.how == "subtract":
            return torch.subtract(targets, outputs).pow(2).mean()
        return ((outputs - targets) ** 2).mean()
