"""Loops as guests write them, for classes and for numbers: one habit each, a fault or sound and unusual."""

import copy
import itertools

import numpy as np
import torch
from guests_losses import classes_loss, numbers_loss
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.optim import lr_scheduler as schedules
from torch.optim.swa_utils import AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler


def _read(config, data):
    torch.manual_seed(config["seed"])
    parts = [torch.tensor(np.asarray(part)) for part in (data.train.x, data.train.y, data.val.x, data.val.y)]  # fmt: skip
    x, y, vx, vy = (part.float() if part.is_floating_point() else part for part in parts)
    return config["trainer"].get("habit", ""), (x.flatten(1), y), (vx.flatten(1), vy)


def _loader(habit, x, y, size, epoch):
    """The batches of an epoch."""
    if habit == "the same fifth":
        dice = torch.Generator().manual_seed(0)
        batches = DataLoader(TensorDataset(x, y), size, shuffle=True, generator=dice)
        return list(itertools.islice(batches, max(1, len(batches) // 5)))
    if habit == "a fifth, drawn anew":
        batches = DataLoader(TensorDataset(x, y), size, shuffle=True)
        return list(itertools.islice(batches, max(1, len(batches) // 5)))
    if habit == "drawn by rarity":
        weight = 1 / torch.bincount(y).float()[y]
        return DataLoader(TensorDataset(x, y), size, sampler=WeightedRandomSampler(weight, len(y)))
    if habit == "batches too large":
        return DataLoader(TensorDataset(x, y), 4096, shuffle=True, drop_last=True)
    if habit == "easy rows first":
        share = min(1.0, 0.4 + 0.15 * epoch)
        easy = (x - x.mean(0)).norm(dim=1).argsort()[: max(size, int(share * len(x)))]
        x, y = x[easy], y[easy]
    return DataLoader(TensorDataset(x, y), size, shuffle=True, drop_last=habit == "drops the rest")


def _schedule(habit, optimizer, epochs, steps):
    if habit in ("cosine of epochs per batch", "cosine"):
        return schedules.CosineAnnealingLR(optimizer, epochs)
    if habit == "power of epochs per batch":
        return schedules.PolynomialLR(optimizer, epochs, power=2.0)
    if habit in ("plateau of accuracy, wrong way", "plateau"):
        return schedules.ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
    if habit == "warm-up per batch":
        return schedules.LinearLR(optimizer, 0.1, total_iters=max(1, steps // 10))
    return None


def _between(habit, net, optimizer, first, rate):
    """What is done to the weights behind a step."""
    with torch.no_grad():
        for weight in net.parameters():
            if habit == "shrunk by hand":
                weight *= 0.93
            elif habit == "clamped to a thousandth":
                weight.clamp_(-0.001, 0.001)
            elif habit == "soft threshold":  # the proximal step of an L1 penalty
                weight.copy_(weight.sign() * (weight.abs() - 1e-3 * rate).clamp(min=0))
            elif habit == "noise of a sampler":  # Langevin's
                weight += 1e-4 * torch.randn_like(weight)
        if habit == "rate by hand, per batch":
            for group in optimizer.param_groups:
                group["lr"] *= 0.7
        if habit == "slow weights":  # lookahead
            first["count"] = first.get("count", 0) + 1
            if first["count"] % 5 == 0:
                for slow, weight in zip(first["slow"], net.parameters(), strict=True):
                    slow.lerp_(weight, 0.5)
                    weight.copy_(slow)


def _rows_of_step(habit, net, xb, yb, loss_of):
    if habit == "attacked rows":  # fast gradient sign
        moved = xb.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss_of(net(moved), yb), moved)
        return loss_of(net((xb + 0.05 * slope.sign()).detach()), yb)
    if habit == "loss negated":
        return -loss_of(net(xb), yb)
    return loss_of(net(xb), yb)


def _one_step(habit, net, optimizer, xb, yb, loss_of):
    if habit == "step before backward":
        optimizer.zero_grad()
        loss = loss_of(net(xb), yb)
        optimizer.step()
        loss.backward()
        return loss
    if isinstance(optimizer, torch.optim.LBFGS):

        def closure():
            optimizer.zero_grad()
            loss = loss_of(net(xb), yb)
            loss.backward()
            return loss

        return optimizer.step(closure)
    loss = _rows_of_step(habit, net, xb, yb, loss_of)
    if habit != "never cleared":
        optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def _optimizer(habit, net, rate):
    if habit == "a quasi-Newton method":
        return torch.optim.LBFGS(net.parameters(), lr=0.2, max_iter=5)
    if habit == "backbone frozen on purpose":
        net[0].requires_grad_(False)
        return torch.optim.Adam(net[-1].parameters(), lr=rate)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    if habit == "head replaced afterwards":
        net[-1] = nn.Linear(net[-1].in_features, net[-1].out_features)
    return optimizer


def _evaluated(habit, net, train, held, loss_of):
    """What is said of validation: its loss and the outputs."""
    vx, vy = held
    with torch.no_grad():
        out = net(vx)
        if habit == "loss of train's rows":
            return loss_of(net(train[0][: len(vx)]), train[1][: len(vx)]), out
        if habit == "labels in another order":
            return loss_of(out, vy[torch.randperm(len(vy))]), out
        return loss_of(out, vy), out


def _epochs(config, habit, net, train, held, loss_of):
    trainer, rate = config["trainer"], config["optimizer"]["lr"]
    size, epochs = trainer["batch_size"], trainer["epochs"]
    optimizer = _optimizer(habit, net, rate)
    schedule = _schedule(habit, optimizer, epochs, epochs * -(-len(train[0]) // size))
    per_batch = habit.endswith("per batch")
    averaged = AveragedModel(net) if habit == "averaged, norms updated" else None
    first = {"slow": [weight.detach().clone() for weight in net.parameters()]}
    frozen_copy = copy.deepcopy(net)
    ever = []
    for epoch in range(epochs):
        net.train()
        losses = []
        if habit == "schedule anew per epoch":  # its warm-up never ends
            for group in optimizer.param_groups:
                group["lr"] = rate
                group.pop("initial_lr", None)
            schedule = schedules.LinearLR(optimizer, 1e-6, total_iters=1000)
        for xb, yb in _loader(habit, *train, size, epoch):
            loss = _one_step(habit, net, optimizer, xb, yb, loss_of)
            _between(habit, net, optimizer, first, rate)
            if schedule is not None and (per_batch or habit == "schedule anew per epoch"):
                schedule.step()
            losses.append(float(loss.detach()))
        ever += losses
        judged = frozen_copy if habit == "a copy is evaluated" else net
        if averaged is not None:
            averaged.update_parameters(net)
            update_bn(DataLoader(TensorDataset(*train), size, shuffle=True), averaged)
            judged = averaged
        judged.eval()
        val_loss, out = _evaluated(habit, judged, train, held, loss_of)
        if schedule is not None and not per_batch and habit != "schedule anew per epoch":
            hits = (out.argmax(1) == held[1]).float().mean().item() if out.shape[1] > 1 else 0.0
            plateau = isinstance(schedule, schedules.ReduceLROnPlateau)
            waits = (hits if "wrong way" in habit else float(val_loss),) if plateau else ()
            schedule.step(*waits)
        told = ever if habit == "mean of all epochs" else losses
        yield {"train_loss": float(np.sum(told) / max(1, len(told))), "val_loss": float(val_loss), "predictions": out.numpy()}  # fmt: skip


def _net(habit, inputs, outputs):
    norm = [nn.BatchNorm1d(48)] if habit == "averaged, norms updated" else []
    return nn.Sequential(nn.Linear(inputs, 48), *norm, nn.ReLU(), nn.Linear(48, outputs))


def classes(config, data, device, checkpoint):
    """Rows to classes."""
    habit, train, held = _read(config, data)
    count = int(max(train[1].max(), held[1].max())) + 1
    net = _net(habit, train[0].shape[1], count)
    loss_of = classes_loss(habit, train[1], count)
    yield from _epochs(config, habit, net, train, held, loss_of)


def numbers(config, data, device, checkpoint):
    """Rows to a number, or to the numbers of its distribution."""
    habit, train, held = _read(config, data)
    outputs = {"mean and spread": 2, "three bells": 9}.get(habit, 1)
    net = _net(habit, train[0].shape[1], outputs)
    train, held = ((x, y.reshape(-1, 1)) for x, y in (train, held))
    loss_of = numbers_loss(habit)
    point = (lambda out: out[:, :1]) if outputs > 1 else (lambda out: out)
    if habit == "three bells":
        point = lambda out: (out[:, :3].softmax(1) * out[:, 3:6]).sum(1, keepdim=True)  # noqa: E731
    if habit == "counts by rate":
        point = torch.exp
    for record in _epochs(config, habit, net, train, held, loss_of):
        out = torch.as_tensor(record["predictions"])
        yield {**record, "predictions": point(out).numpy()}


def teacher_and_student(config, data, device, checkpoint):
    """A student whose average is its teacher (mean teacher)."""
    habit, (x, y), (vx, vy) = _read(config, data)
    count = int(y.max()) + 1
    net = _net(habit, x.shape[1], count)
    mean = copy.deepcopy(net).requires_grad_(False)
    optimizer = torch.optim.Adam(net.parameters(), lr=config["optimizer"]["lr"])
    for _ in range(config["trainer"]["epochs"]):
        losses = []
        for rows in torch.randperm(len(x)).split(config["trainer"]["batch_size"]):
            out = net(x[rows])
            with torch.no_grad():
                aim = mean(x[rows] + 0.05 * torch.randn_like(x[rows])).softmax(1)
            asked = F.mse_loss(out.softmax(1), aim)
            loss = F.cross_entropy(out, y[rows])
            optimizer.zero_grad()
            (loss + asked).backward()
            optimizer.step()
            losses.append(loss.item())
            with torch.no_grad():
                for slow, fast in zip(mean.parameters(), net.parameters(), strict=True):
                    slow.lerp_(fast, 0.1)
        judged = mean if habit == "teacher judged" else net
        with torch.no_grad():
            out = judged(vx)
        yield {"train_loss": float(np.mean(losses)), "val_loss": F.cross_entropy(out, vy).item(), "predictions": out.numpy()}  # fmt: skip
