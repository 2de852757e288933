"""Training scripts as tutorials write them: steps of other kinds, losses of other kinds. Each as it is and with a wrong line."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.utils.data import DataLoader, TensorDataset
from tutorials_pictures import begun


def _table(load, data):
    x, y = load(return_X_y=True)
    x = (x - x[data.train.index].mean(0)) / (x[data.train.index].std(0) + 1e-6)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    train, val = (torch.as_tensor(part.index) for part in (data.train, data.val))
    return x[train], y[train], x[val], y[val]


def _mlp(inputs, outputs, width=48):
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))


def gathered(config, data, device, checkpoint):
    """Gradients of four small batches make a step; clipped; one cycle of the rate."""
    fault, rate, size, epochs = begun(config)
    x, y, vx, vy = _table(load_digits, data)
    loader = DataLoader(TensorDataset(x, y), max(size // 4, 4), shuffle=True, drop_last=True)
    model = _mlp(64, 10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    steps = -(-len(loader) // 4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rate, epochs=epochs, steps_per_epoch=steps
    )
    for _ in range(epochs):
        model.train()
        losses = []
        optimizer.zero_grad()
        for i, (xb, yb) in enumerate(loader):
            if fault == "cleared before each":
                optimizer.zero_grad()
            loss = F.cross_entropy(model(xb), yb)
            (loss / 4).backward()
            losses.append(loss.item())
            if (i + 1) % 4 == 0 or i + 1 == len(loader):
                if fault != "clipped after the step":
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                if fault == "clipped after the step":
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                if fault != "schedule per epoch":
                    scheduler.step()
                if fault != "never cleared":
                    optimizer.zero_grad()
        if fault == "schedule per epoch":
            scheduler.step()
        model.eval()
        with torch.no_grad():
            out = model(vx)
        yield {
            "train_loss": np.mean(losses),
            "val_loss": F.cross_entropy(out, vy).item(),
            "score": (out.argmax(1) == vy).float().mean().item(),
        }


def half(config, data, device, checkpoint):
    """Autocast and a scaler of gradients, on whatever device there is."""
    fault, rate, size, epochs = begun(config)
    x, y, vx, vy = _table(load_digits, data)
    model = _mlp(64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=20 * rate, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    for _ in range(epochs):
        model.train()
        losses = []
        for xb, yb in DataLoader(TensorDataset(x, y), size, shuffle=True):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(xb), yb)
            scaler.scale(loss).backward()
            if fault != "clipped while scaled":
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            if fault == "step of the optimizer":
                optimizer.step()
            elif fault == "both steps":
                scaler.step(optimizer)
                optimizer.step()
            else:
                scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(vx).float()
        yield {
            "train_loss": np.mean(losses),
            "val_loss": F.cross_entropy(out, vy).item(),
            "score": (out.argmax(1) == vy).float().mean().item(),
        }


def gan(config, data, device, checkpoint):
    """A generator and a discriminator of points on a ring."""
    fault, rate, size, epochs = begun(config)
    angle = torch.linspace(0, 2 * np.pi, 900)
    points = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(900, 2)
    net_g, net_d = _mlp(8, 2), _mlp(2, 1)
    beta = {"lr": rate, "betas": (0.5, 0.999)}
    opt_d = torch.optim.Adam((net_g if fault == "both of one" else net_d).parameters(), **beta)
    opt_g = torch.optim.Adam(net_g.parameters(), **beta)
    criterion = nn.BCEWithLogitsLoss()
    order, held = torch.as_tensor(data.train.index), torch.as_tensor(data.val.index)
    for _ in range(epochs):
        losses = []
        for rows in order[torch.randperm(len(order))].split(size):
            real, one = points[rows], torch.ones(len(rows), 1)
            fake = net_g(torch.randn(len(rows), 8))
            if fault != "critic never cleared":
                opt_d.zero_grad()
            lost = criterion(net_d(real), one) + criterion(net_d(fake.detach()), 0 * one)
            lost.backward()
            opt_d.step()
            opt_g.zero_grad()
            told = net_d(fake.detach() if fault == "fake detached for both" else fake)
            loss = criterion(told, one)
            loss.backward()
            if fault != "generator never steps":
                opt_g.step()
            losses.append(lost.item())
        with torch.no_grad():
            val_loss = criterion(net_d(points[held]), torch.ones(len(held), 1)).item()
            radius = net_g(torch.randn(256, 8)).norm(dim=1)
        score = -(radius - 1).abs().mean().item()
        yield {"train_loss": np.mean(losses), "val_loss": val_loss, "score": score}


def _trained(config, data, loss_of, nets, score):
    """The loop that the losses below share."""
    _, rate, size, epochs = begun(config)
    optimizer = torch.optim.Adam(nets.parameters(), lr=rate)
    order, held = torch.as_tensor(data.train.index), torch.as_tensor(data.val.index)
    for _ in range(epochs):
        nets.train()
        losses = []
        for rows in order[torch.randperm(len(order))].split(size):
            optimizer.zero_grad()
            loss = loss_of(rows)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        nets.eval()
        with torch.no_grad():
            yield {"train_loss": np.mean(losses), "val_loss": loss_of(held).item(), "score": score(held)}  # fmt: skip


def _diabetes():
    x, y = load_diabetes(return_X_y=True)
    return torch.tensor((x - x.mean(0)) / x.std(0)).float(), torch.tensor((y - y.mean()) / y.std()).float()  # fmt: skip


def tags(config, data, device, checkpoint):
    """Several labels per row."""
    fault = begun(config)[0]
    dice = np.random.default_rng(0)
    x = torch.tensor(dice.normal(0, 1, (900, 12))).float()
    y = (x @ torch.tensor(dice.normal(0, 1, (12, 5))).float() > 0.5).float()
    net = _mlp(12, 5)

    def loss_of(rows):
        out, aims = net(x[rows]), y[rows]
        if fault == "softmax":
            return F.binary_cross_entropy(out.softmax(1), aims)
        if fault == "sigmoid twice":
            return F.binary_cross_entropy_with_logits(torch.sigmoid(out), aims)
        if fault == "labels of other rows":
            aims = y[rows.sort().values]
        if fault == "thresholded":
            return F.binary_cross_entropy((out > 0).float() + 0 * out, aims)
        return F.binary_cross_entropy_with_logits(out, aims, pos_weight=torch.full((5,), 1.5))

    def score(rows):
        return ((net(x[rows]) > 0) == (y[rows] > 0)).float().mean().item()

    yield from _trained(config, data, loss_of, net, score)


def ordinal(config, data, device, checkpoint):
    """Five grades by four thresholds of one number."""
    fault = begun(config)[0]
    x, numbers = _diabetes()
    grade = torch.bucketize(numbers, torch.tensor([-0.9, -0.3, 0.3, 1.0]))
    body = _mlp(10, 1)
    bias = nn.Parameter(torch.linspace(1, -1, 4))
    net = nn.ModuleList([body])
    if fault != "thresholds not registered":
        net.register_parameter("bias", bias)

    def logits(rows):
        return body(x[rows]) + bias

    def loss_of(rows):
        levels = (grade[rows][:, None] > torch.arange(4)).float()
        if fault == "levels of one":
            levels = (grade[rows][:, None] == torch.arange(4)).float()
        out = logits(rows)
        return F.binary_cross_entropy_with_logits(-out if fault == "upside down" else out, levels)

    def score(rows):
        return -((logits(rows) > 0).sum(1) - grade[rows]).abs().float().mean().item()

    yield from _trained(config, data, loss_of, net, score)


def quantiles(config, data, device, checkpoint):
    """Three quantiles by the pinball loss."""
    fault = begun(config)[0]
    x, y = _diabetes()
    net = _mlp(10, 3)
    share = torch.tensor([0.1, 0.5, 0.9])

    def loss_of(rows):
        aims = y[rows]
        out = net(x[rows])
        if fault == "broadcast":
            return sum(
                torch.maximum(q * (aims - out[:, [k]]), (q - 1) * (aims - out[:, [k]])).mean()
                for k, q in enumerate(share)
            )
        apart = aims[:, None] - out
        parts = share * apart, (share - 1) * apart
        if fault == "smaller part":
            return torch.minimum(*parts).mean()
        return torch.maximum(*parts).mean()

    def score(rows):
        return -(net(x[rows])[:, 1] - y[rows]).abs().mean().item()

    yield from _trained(config, data, loss_of, net, score)


def survival(config, data, device, checkpoint):
    """Cox's partial likelihood of months until an event, some of them censored."""
    fault = begun(config)[0]
    dice = np.random.default_rng(0)
    x = dice.normal(0, 1, (569, 6))
    risk = x[:, 0] - 0.7 * x[:, 1] + 0.5 * x[:, 2] * x[:, 3]
    months, ends = dice.exponential(np.exp(-risk)) * 20, dice.exponential(30, 569)
    event = torch.tensor(months <= ends).float()
    months = torch.tensor(np.minimum(months, ends))
    x = torch.tensor(x).float()
    net = _mlp(6, 1)

    def loss_of(rows):
        rows = rows[months[rows].argsort(descending=fault != "risk set of the early")]
        out = net(x[rows]).squeeze(1)
        likely = out - torch.logcumsumexp(out, 0)
        mean = (likely * event[rows]).sum() / event[rows].sum().clamp(min=1)
        return mean if fault == "sign lost" else -mean

    def score(rows):
        out, t, e = net(x[rows]).squeeze(1), months[rows], event[rows] > 0
        pairs = (t[:, None] < t) & e[:, None]
        return (out[:, None] > out)[pairs].float().mean().item()

    yield from _trained(config, data, loss_of, net, score)


def cancer(config, data, device, checkpoint):
    """A focal loss by hand, and batch norm."""
    fault = begun(config)[0]
    x, y = load_breast_cancer(return_X_y=True)
    x = torch.tensor((x - x.mean(0)) / x.std(0)).float()
    y = torch.tensor(y).float()
    net = nn.Sequential(nn.Linear(30, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1))

    def loss_of(rows):
        out = net(x[rows]).squeeze(1)
        each = F.binary_cross_entropy_with_logits(out, y[rows], reduction="none")
        sure = torch.exp(-each)
        if fault == "focus on the sure":
            return (sure**2 * each).mean()
        if fault == "sum of the batch":
            return ((1 - sure) ** 2 * each).sum()
        return ((1 - sure) ** 2 * each).mean()

    def score(rows):
        return ((net(x[rows]).squeeze(1) > 0) == (y[rows] > 0)).float().mean().item()

    yield from _trained(config, data, loss_of, net, score)
