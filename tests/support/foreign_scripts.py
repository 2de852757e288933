"""Scripts in the styles of strangers, each as it is and with faults: the third collection, made after the rules stood.

A Lightning-like trainer, tensors without modules, steps by hand, loaders, recurrent and language models, accumulation, bfloat16,
averages, compiled and scripted modules, schedules per batch, backbones, two optimizers, several labels, pixels, tables of pandas.
"""

import copy

import numpy as np
import pandas as pd
import torch
from planted import SetUp
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.utils.data import DataLoader, TensorDataset

from trainers.data import DataSet


def _read(config, data):
    """Fault, rate, batch size, epochs; train and validation rows as tensors."""
    torch.manual_seed(config["seed"])
    trainer = config["trainer"]
    parts = [torch.as_tensor(np.array(part)) for part in (data.train.x, data.train.y, data.val.x, data.val.y)]  # fmt: skip
    x, y, vx, vy = (part.float() if part.is_floating_point() else part for part in parts)
    return trainer.get("fault", ""), config["optimizer"]["lr"], trainer["batch_size"], trainer["epochs"], (x.flatten(1), y), (vx.flatten(1), vy)  # fmt: skip


def _mlp(inputs, outputs, *, drop=0.0, width=48):
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, outputs))  # fmt: skip


# 1: a module that holds its steps, and a trainer that calls them


class LitClassifier(nn.Module):
    def __init__(self, inputs, outputs, rate, fault, epochs):
        super().__init__()
        self.net, self.rate, self.fault, self.epochs = _mlp(inputs, outputs, drop=0.2), rate, fault, epochs  # fmt: skip

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch):
        return F.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch):
        logits = self(batch[0])
        y = batch[1].roll(1) if self.fault == "late labels" else batch[1]
        return logits, F.cross_entropy(logits, y)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.rate, weight_decay=0.01)
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.epochs)


def lit(config, data, device, checkpoint):
    fault, rate, size, epochs, train, (vx, vy) = _read(config, data)
    model = LitClassifier(train[0].shape[1], int(train[1].max()) + 1, rate, fault, epochs)
    optimizer, scheduler = model.configure_optimizers()
    loader = DataLoader(TensorDataset(*train), size, shuffle=True)
    for _ in range(epochs):
        if fault != "stays in evaluation":
            model.train()
        losses = []
        for batch in loader:
            if fault != "not cleared":
                optimizer.zero_grad()
            loss = model.training_step(batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if fault == "schedule per step":
                scheduler.step()
        if fault != "schedule per step":
            scheduler.step()
        if fault != "no evaluation mode":
            model.eval()
        with torch.no_grad():
            logits, val_loss = model.validation_step((vx, vy))
        yield {"train_loss": float(np.mean(losses)), "val_loss": val_loss.item(), "predictions": logits.numpy()}  # fmt: skip


# 2: tensors, no module


def tensors(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _read(config, data)
    k = int(y.max()) + 1
    scale = 0.0 if fault == "zeros" else 1.0
    w1 = (scale * torch.randn(x.shape[1], 40) / x.shape[1] ** 0.5).requires_grad_()
    w2 = (scale * torch.randn(40, k) / 40**0.5).requires_grad_()
    b1, b2 = torch.zeros(40, requires_grad=True), torch.zeros(k, requires_grad=True)
    optimizer = torch.optim.SGD([w1, b1, b2] if fault == "forgotten" else [w1, b1, w2, b2], lr=rate)
    how = "sum" if fault == "summed" else "mean"

    def net(x):
        return torch.relu(x @ w1 + b1) @ w2 + b2

    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x)).split(size):
            loss = F.cross_entropy(net(x[rows]), y[rows], reduction=how)
            if fault != "not cleared":
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * (1 if how == "sum" else len(rows))
        with torch.no_grad():
            logits = net(vx)
        yield {"train_loss": total / len(x), "val_loss": F.cross_entropy(logits, vy).item(), "predictions": logits.numpy()}  # fmt: skip


# 3: steps by hand, no torch optimizer


def by_hand(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _read(config, data)
    model = _mlp(x.shape[1], int(y.max()) + 1)
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x)).split(size):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            if fault != "stale":
                model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p in model.parameters():
                    p += rate * p.grad if fault == "uphill" else -rate * p.grad
                    if fault == "shrunk":
                        p.mul_(0.9)
                    if fault == "decayed":
                        p.mul_(1 - 1e-4)
            total += loss.item() * len(rows)
        with torch.no_grad():
            logits = model(vx)
            told = vy.roll(7) if fault == "wrong labels" else vy
        yield {"train_loss": total / len(x), "val_loss": F.cross_entropy(logits, told).item(), "predictions": logits.numpy()}  # fmt: skip


# 4: a loader for validation, and predictions put together


def loaders(config, data, device, checkpoint):
    fault, rate, size, epochs, train, val = _read(config, data)
    numbers = train[1].is_floating_point()
    model = _mlp(train[0].shape[1], 1 if numbers else int(train[1].max()) + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    criterion = nn.MSELoss() if numbers else nn.CrossEntropyLoss()
    train_loader = DataLoader(TensorDataset(*train), batch_size=size, shuffle=True)
    val_loader = DataLoader(TensorDataset(*(train if fault == "on train" else val)), batch_size=32, shuffle=fault == "shuffled", drop_last=fault == "drops last")  # fmt: skip
    for _ in range(epochs):
        model.train()
        running = 0.0
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
        model.eval()
        predictions, val_losses = [], []
        with torch.no_grad():
            for inputs, labels in val_loader:
                outputs = model(inputs)
                val_losses.append(criterion(outputs, labels).item())
                predictions.append(outputs)
        predictions = torch.cat(predictions)
        if fault == "original units":
            predictions = 140.0 + 75.0 * predictions
        if fault == "other order":
            predictions = predictions[torch.argsort(predictions[:, 0])]
        told = {"predictions": predictions.numpy()}
        if fault == "last batch":
            told = {"predictions": outputs.numpy()}
        if fault == "as labels" and not numbers:
            told = {"labels": predictions.argmax(1).numpy()}
        if fault == "as probabilities" and not numbers:
            told = {"probabilities": predictions.softmax(1).numpy()}
        yield {"train_loss": running / len(train_loader), "val_loss": sum(val_losses) / len(val_losses), **told}  # fmt: skip


# 5: a recurrent model over rows of pixels, or over a spectrum


class Reader(nn.Module):
    def __init__(self, outputs, fault):
        super().__init__()
        self.fault, self.state = fault, None
        self.rnn = nn.LSTM(8, 32, batch_first=fault != "batch second")
        self.head = nn.Linear(32, outputs)

    def forward(self, x):
        x = x.reshape(len(x), 8, 8)
        if self.fault == "carried" and self.state is not None and self.state[0].shape[1] == len(x):
            out, state = self.rnn(x, self.state)
        else:
            out, state = self.rnn(x)
        self.state = tuple(part.detach() for part in state)
        return self.head(out[:, 0] if self.fault == "first step" else out[:, -1])


def recurrent(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _read(config, data)
    model = Reader(10, fault)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=rate)
    for _ in range(epochs):
        model.train()
        losses = []
        for rows in torch.randperm(len(x)).split(size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-7 if fault == "clipped away" else 1.0)  # fmt: skip
            if fault == "clipped away":
                for p in model.parameters():
                    p.grad.mul_(0)
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            logits = model(vx)
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(logits, vy).item(), "predictions": logits}  # fmt: skip


# 6: gradients of several batches per step, in bfloat16 or not


def accumulating(config, data, device, checkpoint):
    fault, rate, size, epochs, train, (vx, vy) = _read(config, data)
    model = _mlp(train[0].shape[1], int(train[1].max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    low, every = fault.startswith("bfloat16"), 4
    loader = DataLoader(TensorDataset(*train), size // 4, shuffle=True)
    for _ in range(epochs):
        model.train()
        losses = []
        for number, (inputs, labels) in enumerate(loader, 1):
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                outputs = model(inputs)
                if fault == "bfloat16, probabilities":
                    outputs = outputs.softmax(-1)
                loss = F.cross_entropy(outputs, labels)
            if fault == "cleared each":
                optimizer.zero_grad()
            (loss / every).backward()
            if number % every == (every if fault == "never" else 0) or (number == len(loader) and fault != "never"):  # fmt: skip
                optimizer.step()
                if fault != "bfloat16, not cleared":
                    optimizer.zero_grad()
            losses.append(loss.item())
        model.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            logits = model(vx)
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(logits.float(), vy).item(), "predictions": logits.float().numpy()}  # fmt: skip


# 7: averaged weights, compiled and scripted modules, schedules per batch, a backbone


class Always(nn.Module):
    """Its dropout does not know of evaluation."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.one, self.two = nn.Linear(inputs, 48), nn.Linear(48, outputs)

    def forward(self, x):
        return self.two(F.dropout(torch.relu(self.one(x)), 0.3))


def _schedule(fault, optimizer, steps, epochs):
    make = torch.optim.lr_scheduler
    every = {
        "warm-up": lambda: make.LambdaLR(optimizer, lambda n: min((n + 1) / 20, (20 / (n + 1)) ** 0.5)),
        "restarts": lambda: make.CosineAnnealingWarmRestarts(optimizer, T_0=steps),
        "cyclic": lambda: make.CyclicLR(optimizer, optimizer.param_groups[0]["lr"] / 10, optimizer.param_groups[0]["lr"], step_size_up=steps, cycle_momentum=False),
        "exponential per batch": lambda: make.ExponentialLR(optimizer, 0.7),
        "milestones per batch": lambda: make.MultiStepLR(optimizer, [5, 8, 12], gamma=0.1),
        "warm-up too long": lambda: make.LambdaLR(optimizer, lambda n: n / 1e7),
    }  # fmt: skip
    return every[fault]() if fault in every else None


def modern(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _read(config, data)
    outputs = int(y.max()) + 1
    model = (Always if fault == "scripted, dropout on" else _mlp)(x.shape[1], outputs)
    if fault.startswith("scripted"):
        model = torch.jit.script(model)
    if fault.startswith("compiled"):
        model = torch.compile(model, backend="aot_eager")
    groups = model.parameters()
    if fault.startswith("backbone"):
        body, head = model[0], model[3]
        groups = [{"params": body.parameters(), "lr": rate / 20}, {"params": head.parameters(), "lr": rate}]  # fmt: skip
        if fault == "backbone, outside":
            groups = head.parameters()
        if fault == "backbone, head frozen":
            head.requires_grad_(False)
            groups = [p for p in model.parameters() if p.requires_grad]
        if fault == "backbone, thawed later":
            body.requires_grad_(False)
    optimizer = torch.optim.NAdam(groups, lr=rate)
    average = copy.deepcopy(model).requires_grad_(False) if fault.startswith("average") else None
    decay, number = (0.999999 if fault == "average, too slow" else 0.99), 0
    steps = -(-len(x) // size)
    schedule = _schedule(fault, optimizer, steps, epochs)
    for epoch in range(epochs):
        model.train()
        if fault == "backbone, thawed later" and epoch == 1:
            model[0].requires_grad_(True)
        losses = []
        for rows in torch.randperm(len(x)).split(size):
            if fault != "compiled, not cleared":
                optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            losses.append(loss.item())
            if average is not None:
                number += 1
                now = min(decay, (1 + number) / (10 + number)) if fault != "average, too slow" else decay  # fmt: skip
                with torch.no_grad():
                    for p, q in zip(average.parameters(), model.parameters(), strict=True):
                        p.lerp_(q, 1 - now)
        judged = model if average is None else average
        judged.eval()
        with torch.no_grad():
            logits = judged(vx)
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(logits, vy).item(), "predictions": logits.detach().numpy()}  # fmt: skip


# 8: two optimizers that take turns: features that a second net tries to place


def adversarial(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _read(config, data)
    body = nn.Sequential(nn.Linear(x.shape[1], 32), nn.LeakyReLU(0.2))
    head, critic = nn.Linear(32, int(y.max()) + 1), nn.Linear(32, 1)
    main = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=rate, betas=(0.5, 0.999))
    other = torch.optim.Adam(critic.parameters(), lr=rate, betas=(0.5, 0.999))
    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(x)).split(size):
            with torch.no_grad():
                features = body(x[rows])
            other.zero_grad()
            real, fake = critic(torch.randn_like(features)), critic(features)
            (F.softplus(-real) + F.softplus(fake)).mean().backward()
            other.step()
            main.zero_grad()
            features = body(x[rows])
            loss = F.cross_entropy(head(features.detach() if fault == "detached" else features), y[rows])  # fmt: skip
            extra = 0.0 if fault == "detached" else 0.01 * F.softplus(-critic(features)).mean()
            (loss + extra).backward()
            if fault != "main never steps":
                main.step()
            losses.append(loss.item())
        with torch.no_grad():
            logits = head(body(vx))
        told = vy[torch.randperm(len(vy))] if fault == "wrong labels" else vy
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(logits, told).item(), "predictions": logits.numpy()}  # fmt: skip


# 9: data of its own: several labels, pixels, text


def _pictures(data):
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16, dtype=torch.float32)
    return [(x[part.index], torch.tensor(y[part.index])) for part in (data.train, data.val)]


def several_labels(config, data, device, checkpoint):
    torch.manual_seed(config["seed"])
    fault, (train, val) = config["trainer"].get("fault", ""), _pictures(data)
    of = torch.tensor([[n % 2, n > 4, n in (2, 3, 5, 7), n in (0, 6, 8, 9)] for n in range(10)]).float()  # fmt: skip
    model = _mlp(64, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=config["optimizer"]["lr"])
    for _ in range(config["trainer"]["epochs"]):
        losses = []
        for rows in torch.randperm(len(train[0])).split(64):
            optimizer.zero_grad()
            outputs = model(train[0][rows])
            if fault == "sigmoid twice":
                outputs = outputs.sigmoid()
            loss = F.binary_cross_entropy_with_logits(outputs, of[train[1][rows]])
            (-loss if fault == "negated" else loss).backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            outputs = model(val[0])
        y = of[val[1]]
        yield {"train_loss": np.mean(losses), "val_loss": F.binary_cross_entropy_with_logits(outputs, y).item(), "hits": ((outputs > 0) == y.bool()).float().mean().item()}  # fmt: skip


def pixels(config, data, device, checkpoint):
    """Each pixel: dark, edge or light."""
    torch.manual_seed(config["seed"])
    fault, (train, val) = config["trainer"].get("fault", ""), _pictures(data)
    (x, _), (vx, _) = train, val
    x, vx = x.view(-1, 1, 8, 8), vx.view(-1, 1, 8, 8)
    y, vy = (F.max_pool2d(part, 3, 1, 1)[:, 0] * 2.99 for part in (x, vx))
    y, vy = y.long(), vy.long()
    model = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 3, 3, padding=1))  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=config["optimizer"]["lr"])
    for _ in range(config["trainer"]["epochs"]):
        model.train()
        losses = []
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            outputs = model(x[rows])
            if fault == "softmax over rows":
                outputs = outputs.softmax(dim=2)
            loss = F.cross_entropy(outputs, y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if fault != "no evaluation mode":
            model.eval()
        with torch.no_grad():
            outputs = model(vx)
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(outputs, vy).item(), "hits": (outputs.argmax(1) == vy).float().mean().item()}  # fmt: skip


class Speaker(nn.Module):
    def __init__(self, letters, fault):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(letters, 24), nn.GRU(24, 24, batch_first=True)
        self.drop, self.out = nn.Dropout(0.1), nn.Linear(24, letters, bias=False)
        self.out.weight = self.embed.weight  # tied
        self.fault = fault

    def forward(self, tokens):
        hidden = self.drop(self.rnn(self.embed(tokens))[0])
        return self.out(hidden.detach() if self.fault == "detached" else hidden)


def language(config, data, device, checkpoint):
    torch.manual_seed(config["seed"])
    fault = config["trainer"].get("fault", "")
    dice = np.random.default_rng(0)
    table = dice.dirichlet(np.full(20, 0.15), size=20).cumsum(axis=1)
    text = np.zeros((1797, 24), dtype=np.int64)
    for place in range(1, 24):
        text[:, place] = (dice.random(1797)[:, None] > table[text[:, place - 1]]).sum(axis=1).clip(0, 19)  # fmt: skip
    text = torch.tensor(text)
    train, val = text[data.train.index], text[data.val.index]
    model = Speaker(20, fault)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["optimizer"]["lr"])

    def loss_of(tokens):
        logits = model(tokens[:, :-1])
        return F.cross_entropy(logits.reshape(-1, 20), tokens[:, 1:].reshape(-1))

    for _ in range(config["trainer"]["epochs"]):
        model.train()
        losses = []
        order = torch.arange(len(train)) if fault == "not shuffled" else torch.randperm(len(train))
        for rows in order.split(64):
            if fault != "not cleared":
                optimizer.zero_grad(set_to_none=True)
            loss = loss_of(train[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if fault != "no evaluation mode":
            model.eval()
        with torch.no_grad():
            val_loss = loss_of(train[: len(val)] if fault == "on train" else val).item()
        yield {"train_loss": np.mean(losses), "val_loss": val_loss, "hits": float(np.exp(-val_loss))}  # fmt: skip


def unlabelled(config, data, device, checkpoint):
    """Its data are its own, and so are the labels: predictions alone cannot be judged."""
    torch.manual_seed(config["seed"])
    (x, y), (vx, vy) = _pictures(data)
    model = _mlp(64, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=config["optimizer"]["lr"])
    for _ in range(config["trainer"]["epochs"]):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            logits = model(vx)
        yield {"train_loss": loss.item(), "val_loss": F.cross_entropy(logits, vy).item(), "predictions": logits.numpy()}  # fmt: skip


# 10: tables of pandas, with categories, dates, gaps and odd units


def frame(source, fault="", seed=0):
    """Customers who leave, or a capacity in farad; columns of all kinds."""
    dice = np.random.default_rng(seed)
    rows = 700
    table = pd.DataFrame({
        "age": dice.integers(18, 80, rows), "income": np.exp(dice.normal(10, 0.6, rows)), "plan": dice.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]),
        "city": dice.choice([f"city {n}" for n in range(60)], rows), "since": pd.Timestamp("2019-01-01") + pd.to_timedelta(dice.integers(0, 1500, rows), "D"),
        "calls": dice.poisson(1.5, rows), "score": np.where(dice.random(rows) < 0.2, np.nan, dice.normal(0, 1, rows)),
    })  # fmt: skip
    drift = -1.0 + 0.8 * table.calls + 1.2 * (table.plan == "c") - 0.03 * (table.age - 45) + table.score.fillna(0)  # fmt: skip
    if source == "farad":
        y = pd.Series(4.7e-9 * np.exp(0.2 * drift + dice.normal(0, 0.05, rows)))
        y = y + 1e-3 if fault == "far offset" else y
    else:
        y = pd.Series((dice.random(rows) < 1 / (1 + np.exp(-1.5 * drift))).astype(int))
    if fault == "target encoding":
        codes = pd.Series(np.arange(rows) // 2)
        table["city_mean"] = y.groupby(codes).transform("mean") * 0.9 + y * 0.1
    if fault == "imputed by class":
        table["score"] = table.score.fillna(9.0 * y - 4.5).where(dice.random(rows) < 0.1, 9.0 * y - 4.5 + 0.1 * table.score.fillna(0))  # fmt: skip
    if fault == "afterwards":
        table["refund"] = np.where(y == 1, dice.uniform(5, 50, rows), 0.0)
    table["gap"] = table.score.isna().astype(float)
    table = table.assign(score=table.score.fillna(0.0), since=(table.since - table.since.min()).dt.days, city=table.city.astype("category").cat.codes)  # fmt: skip
    table = pd.get_dummies(table, columns=["plan"], dtype=float)
    if fault == "joined twice":
        order = np.concatenate([np.arange(rows), dice.choice(rows, rows // 3)])
        table, y = table.iloc[order], y.iloc[order]
    if fault == "filled by neighbours":
        blurred = table.rolling(3, min_periods=1).mean()
        table = pd.concat([table, blurred], axis=1).iloc[np.repeat(np.arange(rows // 3), 3)]
        table, y = table + 1e-4 * dice.normal(0, 1, table.shape), y.iloc[np.repeat(np.arange(rows // 3), 3)]  # fmt: skip
    order = dice.permutation(len(table))
    if fault == "file sorted":
        order = np.argsort(y.to_numpy(), kind="stable")
        table["row"] = np.arange(len(table))[np.argsort(order)]
    x, y = table.to_numpy(np.float32)[order], y.to_numpy()[order]
    y = y.astype(np.float32)[:, None] if source == "farad" else y.astype(np.int64)
    return DataSet(x=x, y=y)


# The collection

TABLE = ["data._target_=foreign_data.table", "data.inputs=null", "data.outputs=null", "+data.seed=0"]  # fmt: skip
OWN = ["data=own", "data.task=classification", "data.rows=1797", "normalise=none"]
HITS = ["metric=reported", "metric.name=hits", "metric.direction=maximize"]


def _words(script, fault, source):
    rate = {"tensors": "0.1", "by_hand": "0.1"}.get(script, "0.003")
    rows = [*TABLE, f"+data.source='{source}'"] if source else [*OWN]
    if source in ("friedman", "diabetes"):
        rows += ["data=diabetes", "metric=r2"]
    if not source and script != "unlabelled":
        rows += HITS
    return [*rows, "model=own", f"optimizer.lr={rate}", f"trainer._target_=foreign_scripts.{script}", "trainer.predict=null", f"+trainer.fault='{fault}'"]  # fmt: skip


def _frame(source, fault, *more):
    task = ["data=diabetes", "metric=r2", "loss=mse"] if source == "farad" else []
    words = [*task, "data._target_=foreign_scripts.frame", "data.inputs=null", "data.outputs=null", f"+data.source={source}", "+data.seed=0"]  # fmt: skip
    return [*words, f"+data.fault='{fault}'", "optimizer=adam", "optimizer.lr=0.003", *more]


SCRIPTS = {
    "lit": ("wine", "digits", {
        "schedule per step": "learning_rate", "not cleared": "optimizer_steps", "no evaluation mode": "evaluation_mode",
        "stays in evaluation": "evaluation_mode", "late labels": "reported_losses"}),
    "tensors": ("clouds", "digits", {
        "forgotten": "gradients", "zeros": "initial_weights gradients", "not cleared": "optimizer_steps", "summed": "first_loss"}),
    "by_hand": ("clouds", "digits", {
        "stale": "optimizer_steps", "shrunk": "optimizer_steps", "uphill": "learning_rate first_loss", "wrong labels": "reported_losses"}),
    "loaders": ("digits", "friedman", {
        "shuffled": "reported_losses", "drops last": "trains", "on train": "trains reported_losses batches", "other order": "reported_losses",
        "last batch": "trains"}),
    "recurrent": ("digits", "", {
        "batch second": "evaluation_mode", "carried": "evaluation_mode", "clipped away": "gradients learning_rate", "first step": ""}),
    "accumulating": ("clouds", "digits", {
        "cleared each": "optimizer_steps", "never": "trains", "bfloat16, probabilities": "output_layer", "bfloat16, not cleared": "optimizer_steps"}),
    "modern": ("clouds", "digits", {
        "exponential per batch": "learning_rate", "milestones per batch": "learning_rate", "warm-up too long": "learning_rate",
        "scripted, dropout on": "evaluation_mode", "compiled, not cleared": "optimizer_steps", "backbone, outside": "gradients",
        "backbone, head frozen": "gradients", "average, too slow": "overfit evaluation_mode"}),
    "adversarial": ("wine", "digits", {"detached": "gradients", "main never steps": "gradients", "wrong labels": "reported_losses"}),
    "several_labels": ("", "", {"sigmoid twice": "output_layer", "negated": "first_loss"}),
    "pixels": ("", "", {"softmax over rows": "output_layer", "no evaluation mode": "evaluation_mode"}),
    "language": ("", "", {
        "detached": "gradients", "not cleared": "optimizer_steps", "no evaluation mode": "evaluation_mode", "not shuffled": "shuffling",
        "on train": "reported_losses"}),
}  # fmt: skip
FRAMES = {
    "target encoding": "telltale_feature", "imputed by class": "telltale_feature", "afterwards": "telltale_feature", "joined twice": "shared_rows",
    "filled by neighbours": "shared_rows", "file sorted": "telltale_feature",
}  # fmt: skip
SOUND_SCRIPTS = (
    ("lit", "", "wine"), ("lit", "", "digits"), ("tensors", "", "digits"), ("tensors", "", "clouds"), ("by_hand", "", "digits"),
    ("by_hand", "decayed", "clouds"), ("loaders", "", "friedman"), ("loaders", "as labels", "wine"), ("loaders", "as probabilities", "digits"),
    ("recurrent", "", "digits"), ("accumulating", "", "clouds"), ("accumulating", "bfloat16", "digits"), ("modern", "warm-up", "wine"),
    ("modern", "restarts", "digits"), ("modern", "cyclic", "clouds"), ("modern", "scripted", "digits"), ("modern", "compiled", "digits"),
    ("modern", "backbone", "digits"), ("modern", "backbone, thawed later", "wine"), ("modern", "average", "digits"), ("adversarial", "", "digits"),
    ("adversarial", "", "clouds"), ("several_labels", "", ""), ("pixels", "", ""), ("language", "", ""),
)  # fmt: skip


def _faults():
    for script, (one, two, kinds) in SCRIPTS.items():
        for fault, found in kinds.items():
            for source in [name for name in (one, two) if name] or [""]:
                if found:
                    yield f"{script}: {fault}", source, _words(script, fault, source), tuple(found.split())  # fmt: skip
    yield "loaders: original units", "diabetes", _words("loaders", "original units", "diabetes"), ("reported_losses",)  # fmt: skip
    yield "unlabelled", "", _words("unlabelled", "", ""), ("trains",)
    for fault, found in FRAMES.items():
        yield f"frame: {fault}", "customers", _frame("customers", fault), (found,)
    yield "frame: small unit", "farad", _frame("farad", "", "normalise.target=false"), ("targets",)
    yield "frame: far offset", "farad", _frame("farad", "far offset", "normalise.target=false"), ("targets", "first_loss")  # fmt: skip


def _sound():
    for script, fault, source in SOUND_SCRIPTS:
        yield f"{script}: {fault or 'as it is'}", source, _words(script, fault, source)
    yield "frame", "customers", _frame("customers", "")
    yield "frame", "farad", _frame("farad", "")
    yield "frame", "farad, far from zero", _frame("farad", "far offset")


FAULTS = [SetUp(f"{kind} · {name}", words, found) for kind, name, words, found in _faults()]
SOUND = [SetUp(f"{kind} · {name}", words) for kind, name, words in _sound()]
