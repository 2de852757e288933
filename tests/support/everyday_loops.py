"""Loops of strangers over tables, with everyday faults, and sound ones that few use."""

import copy
import math

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F  # noqa: N812  # the field's name for it


def _tensors(data):
    """Train and validation rows: flat features and labels."""
    return [
        (
            torch.tensor(np.asarray(part.x, np.float32).reshape(len(part.index), -1)),
            torch.tensor(np.asarray(part.y)),
        )
        for part in (data.train, data.val)
    ]


class Engine:
    """One training, written as many write it: a method per step of it."""

    def __init__(self, config, data):
        torch.manual_seed(config["seed"])
        trainer = config["trainer"]
        self.fault, self.epochs = trainer.get("fault", ""), trainer["epochs"]
        self.size, self.rate = trainer["batch_size"], config["optimizer"]["lr"]
        self.train, self.val = _tensors(data)
        self.numbers = self.train[1].dtype.is_floating_point
        self.outputs = self.train[1].shape[1] if self.numbers else int(self.train[1].max()) + 1
        inputs = self.train[0].shape[1]
        self.body = nn.Sequential(
            nn.Linear(inputs, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 32), nn.ReLU()
        )
        self.head = nn.Linear(32, self.outputs)
        self.net = nn.Sequential(self.body, self.head)
        if self.fault == "all in bfloat16":
            self.net.to(torch.bfloat16)
        self.optimizer = self.chosen_optimizer()
        self.schedule = self.chosen_schedule()
        self.kept, self.lowest = copy.deepcopy(self.net.state_dict()), -math.inf
        self.average = copy.deepcopy(self.net)
        self.count = 0

    def chosen_optimizer(self):
        mine = list(self.net.parameters())
        if self.fault == "optimizer of a twin":
            mine = list(copy.deepcopy(self.net).parameters())
        if self.fault == "body alone":
            mine = list(self.body.parameters())
        if self.fault == "biases alone":
            mine = [p for p in mine if p.ndim == 1]
        if self.fault == "all in bfloat16":
            return torch.optim.SGD(mine, lr=self.rate / 30)
        decay = 60.0 if self.fault == "decays by 60" else 1e-4
        return torch.optim.AdamW(mine, lr=self.rate, weight_decay=decay)

    def chosen_schedule(self):
        steps = self.epochs * math.ceil(len(self.train[0]) / self.size)
        make = torch.optim.lr_scheduler
        if self.fault == "warm restarts":
            return make.CosineAnnealingWarmRestarts(self.optimizer, max(2, steps // 5))
        if self.fault == "plateau upside down":
            return make.ReduceLROnPlateau(self.optimizer, mode="max", patience=0, factor=0.01)
        if self.fault == "halves each batch":
            return make.LambdaLR(self.optimizer, lambda step: 0.5**step)
        return make.LambdaLR(self.optimizer, lambda step: 1.0)

    def loss_of(self, out, y):
        out = out.float()
        if self.numbers:
            return F.smooth_l1_loss(out, y)
        if self.fault == "argmaxed":
            guess = out.argmax(1).float().requires_grad_()
            return ((guess - y) ** 2).mean()
        if self.fault == "probabilities detached":
            odds = out.detach().softmax(1).requires_grad_()
            return -odds[torch.arange(len(y)), y].log().mean()
        if self.fault == "smoothed away":
            return F.cross_entropy(out, y, label_smoothing=0.98)
        smoothing = 0.1 if self.fault == "smoothed" else 0.0
        return F.cross_entropy(out, y, label_smoothing=smoothing)

    def batches(self):
        x, y = self.train
        order = torch.randperm(len(x))
        if self.fault == "sorted by class":
            order = order[y[order].flatten().argsort(stable=True)]
        if self.fault == "shuffled in place":
            x = x[torch.randperm(len(x))]
        if self.fault == "validation too":
            x, y = torch.cat([x, self.val[0]]), torch.cat([y, self.val[1]])
            order = torch.randperm(len(x))
        for number, rows in enumerate(order.split(self.size)):
            if self.fault == "leaves after one batch" and number == 1:
                break
            if self.fault == "labels of the next batch" and number:
                yield x[rows], y[order[: len(rows)]]
                continue
            yield x[rows], y[rows]

    def step(self, x, y):
        fault = self.fault
        if fault == "all in bfloat16":
            x = x.bfloat16()
        loss = self.loss_of(self.net(x), y)
        if fault == "two passes":  # the same rows twice through dropout, which should agree
            other = self.net(x)
            loss = loss + 0.5 * F.mse_loss(other.softmax(1), self.net(x).softmax(1))
        if fault == "cleared before the step":
            loss.backward()
            self.optimizer.zero_grad()
        elif fault == "clears the head alone":
            self.head.zero_grad()
            loss.backward()
        elif fault == "accumulates, steps each time":
            (loss / 4).backward()
        else:
            self.optimizer.zero_grad()
            loss.backward()
        limit = {"clipped to nothing": 0.0, "clipped": 1.0}.get(fault)
        if limit is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), limit)
        if fault == "signs clipped":
            nn.utils.clip_grad_value_(self.net.parameters(), 1e-12)
        if fault == "gradient noise":
            for p in self.net.parameters():
                p.grad.add_(0.01 * torch.randn_like(p.grad))
        self.optimizer.step()
        self.count += 1
        if fault == "accumulates, steps each time" and self.count % 4 == 0:
            self.optimizer.zero_grad()
        if fault != "plateau upside down":
            self.schedule.step()
        self.after_step()
        return loss.item()

    def after_step(self):
        if self.fault in ("average copied back", "average"):
            with torch.no_grad():
                for slow, p in zip(self.average.parameters(), self.net.parameters(), strict=True):
                    slow.lerp_(p, 0.0005 if self.fault == "average copied back" else 0.05)
                    if self.fault == "average copied back":
                        p.copy_(slow)
        if self.fault == "looks ahead" and self.count % 5 == 0:
            with torch.no_grad():
                for slow, p in zip(self.average.parameters(), self.net.parameters(), strict=True):
                    slow.lerp_(p, 0.5)
                    p.copy_(slow)
        if self.fault == "rounded to a grid":
            with torch.no_grad():
                for p in self.net.parameters():
                    p.copy_((p * 8).round() / 8)

    def epoch(self):
        self.net.train()
        if self.fault == "head first":
            self.body.requires_grad_(self.count > 0)
        losses = [self.step(x, y) for x, y in self.batches()]
        if self.fault == "divided by rows":
            return sum(losses) / len(self.train[0])
        return float(np.mean(losses))

    def end_of_epoch(self, val_loss):
        if self.fault == "plateau upside down":
            self.schedule.step(val_loss)
        if self.fault == "keeps the worst":
            if val_loss > self.lowest:
                self.lowest = val_loss
            self.net.load_state_dict(self.kept)

    @torch.no_grad()
    def evaluate(self):
        net = self.average if self.fault == "average" else self.net
        if self.fault == "head's mode alone":
            self.head.eval()
        else:
            net.eval()
        x, y = self.val
        if self.fault == "all in bfloat16":
            x = x.bfloat16()
        out = net(x).float()
        loss = self.loss_of(out, y).item()
        if self.fault == "last batch":
            loss = self.loss_of(out[-16:], y[-16:]).item()
        if self.fault == "labels of train":
            loss = self.loss_of(out, self.train[1][: len(y)]).item()
        if self.fault == "adds the batches":
            parts = zip(out.split(20), y.split(20), strict=True)
            loss = sum(self.loss_of(*part).item() for part in parts)
        if self.fault == "predicts train rows":
            out = net(self.train[0][: len(y)])
        return loss, out


def engine(config, data, device, checkpoint):
    run = Engine(config, data)
    for _ in range(run.epochs):
        train_loss = run.epoch()
        val_loss, out = run.evaluate()
        run.end_of_epoch(val_loss)
        yield {"train_loss": train_loss, "val_loss": val_loss, "predictions": out.numpy()}


def functional(config, data, device, checkpoint):
    """Weights in a dict, gradients of a function: clipped per row, with noise, as privacy asks."""
    torch.manual_seed(config["seed"])
    fault, rate = config["trainer"].get("fault", ""), config["optimizer"]["lr"]
    (x, y), (vx, vy) = _tensors(data)
    net = nn.Sequential(nn.Linear(x.shape[1], 32), nn.Tanh(), nn.Linear(32, int(y.max()) + 1))
    weights = {name: p.detach().clone() for name, p in net.named_parameters()}

    def loss_of(weights, x, y):
        return F.cross_entropy(functional_call(net, weights, (x,)), y)

    def of_row(weights, x, y):
        return loss_of(weights, x[None], y[None])

    for _ in range(config["trainer"]["epochs"]):
        losses = []
        for rows in torch.randperm(len(x)).split(config["trainer"]["batch_size"]):
            losses.append(loss_of(weights, x[rows], y[rows]).item())
            slopes = vmap(grad(of_row), (None, 0, 0))(weights, x[rows], y[rows])
            norms = sum(s.flatten(1).square().sum(1) for s in slopes.values()).sqrt()
            scale = (1.0 / norms).clamp(max=1.0)
            for name, slope in slopes.items():
                mean = (slope * scale.view(-1, *[1] * (slope.ndim - 1))).mean(0)
                if fault != "steps forgotten":
                    weights[name] = weights[name] - rate * (mean + 1e-3 * torch.randn_like(mean))
        out = functional_call(net, weights, (vx,))
        yield {
            "train_loss": float(np.mean(losses)),
            "val_loss": F.cross_entropy(out, vy).item(),
            "predictions": out.detach().numpy(),
        }
