"""People's own scripts once more, the fourth collection: other members of every kind, made when the rules for the first three stood.

Batches that are dicts, a trainer with arguments, callbacks and groups of layers, numpy and generators, scaled losses, several labels,
ordinal targets, targets in logarithms, averages of weights, a pretrained body, and tables with leaks of other kinds.
"""

import copy
import math

import numpy as np
import torch
from planted import SetUp
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_friedman1
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.utils.checkpoint import checkpoint as recompute
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from trainers.data import DataSet


def _arrays(config, data):
    """Fault, rate, batch size, epochs; train and validation rows as arrays."""
    torch.manual_seed(config["seed"])
    trainer = config["trainer"]
    x, vx = (np.asarray(part.x, np.float32).reshape(len(part.index), -1) for part in (data.train, data.val))  # fmt: skip
    return trainer.get("fault", ""), config["optimizer"]["lr"], trainer["batch_size"], trainer["epochs"], (x, np.asarray(data.train.y)), (vx, np.asarray(data.val.y))  # fmt: skip


# 1: batches that are dicts, a model that returns its loss, a trainer with arguments


class Records(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        return {"input_ids": torch.tensor(self.x[row]), "labels": int(self.y[row])}


class ForClassification(nn.Module):
    def __init__(self, inputs, labels, smoothing):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(inputs, 64), nn.GELU(), nn.LayerNorm(64), nn.Dropout(0.1), nn.Linear(64, 64), nn.GELU())  # fmt: skip
        self.pooler, self.classifier, self.smoothing = nn.Linear(64, 64), nn.Linear(64, labels), smoothing  # fmt: skip

    def forward(self, input_ids, labels=None):
        logits = self.classifier(torch.tanh(self.pooler(self.encoder(input_ids))))
        loss = None if labels is None else F.cross_entropy(logits, labels, label_smoothing=self.smoothing)  # fmt: skip
        return {"loss": loss, "logits": logits}


def with_arguments(config, data, device, checkpoint):
    fault, rate, size, epochs, train, val = _arrays(config, data)
    model = ForClassification(train[0].shape[1], int(train[1].max()) + 1, 0.1 if fault == "smoothed" else 0.0)  # fmt: skip
    if fault == "classifier frozen":
        for p in model.classifier.parameters():
            p.requires_grad = False

    def collate(rows):
        batch = torch.utils.data.default_collate(rows)
        if fault == "labels sorted":
            batch["labels"] = batch["labels"].sort().values
        return batch

    every = 2
    loader = DataLoader(Records(*train), size // every, shuffle=True, collate_fn=collate)
    held = DataLoader(Records(*(train if fault == "evaluates train" else val)), 2 * size)
    no_decay = [p for n, p in model.named_parameters() if n.endswith("bias")]
    decay = [p for n, p in model.named_parameters() if not n.endswith("bias")]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": [] if fault == "biases left out" else no_decay, "weight_decay": 0.0}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=rate)
    total = epochs if fault == "counts epochs" else epochs * math.ceil(len(loader) / every)
    warm = max(1, total // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min((n + 1) / warm, max(0.0, (total - n) / max(1, total - warm))))  # fmt: skip
    for epoch in range(epochs):
        if epoch == 0 or fault != "trains once":
            model.train()
        losses = []
        for number, batch in enumerate(loader, 1):
            loss = model(**batch)["loss"] / every
            loss.backward()
            losses.append(loss.item() * every)
            if number % every == 0 or number == len(loader):
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                if fault == "clears the model's copy":
                    copy.copy(model).apply(lambda m: None)
                else:
                    optimizer.zero_grad()
        model.eval()
        logits, losses_held = [], []
        with torch.no_grad():
            for batch in held:
                out = model(**batch)
                logits.append(out["logits"])
                losses_held.append(out["loss"].item() * len(batch["labels"]))
        logits = torch.cat(logits)[: len(val[1])]
        yield {"train_loss": np.mean(losses), "val_loss": sum(losses_held) / len(held.dataset), "predictions": logits.numpy()}  # fmt: skip


# 2: a learner with callbacks and groups of layers; one cycle, mixed rows


class Callback:
    def before_batch(self, learner): ...

    def after_step(self, learner): ...


class MixUp(Callback):
    def before_batch(self, learner):
        share = float(np.random.default_rng(learner.number).beta(0.4, 0.4))
        other = torch.randperm(len(learner.xb))
        learner.xb = share * learner.xb + (1 - share) * learner.xb[other]
        soft = F.one_hot(learner.yb, learner.outputs).float()
        learner.yb = share * soft + (1 - share) * soft[other]


class Cycle(Callback):
    def __init__(self, optimizer, rate, steps):
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)

    def after_step(self, learner):
        self.schedule.step()


class Forget(Callback):
    def after_step(self, learner):
        with torch.no_grad():
            for p in learner.model[3].parameters():
                p.copy_(learner.first[id(p)])


class Learner:
    def __init__(self, inputs, outputs, fault):
        self.model = nn.Sequential(nn.Linear(inputs, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs))  # fmt: skip
        self.outputs, self.number, self.fault = outputs, 0, fault
        self.first = {id(p): p.detach().clone() for p in self.model.parameters()}

    def groups(self):
        return [{"params": list(self.model[:3].parameters())}, {"params": list(self.model[3:].parameters())}]  # fmt: skip

    def one_batch(self, optimizer, callbacks, xb, yb):
        self.xb, self.yb, self.number = xb, yb, self.number + 1
        for callback in callbacks:
            callback.before_batch(self)
        pred = self.model(self.xb)
        loss = F.cross_entropy(pred, self.yb)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        for callback in callbacks:
            callback.after_step(self)
        return loss.item()


def learner(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _arrays(config, data)
    x, y, vx, vy = map(torch.tensor, (x, y, vx, vy))
    learn = Learner(x.shape[1], int(y.max()) + 1, fault)
    steps = epochs * math.ceil(len(x) / size)
    if fault == "head cut late":
        optimizer = torch.optim.Adam(learn.groups(), lr=rate)
        learn.model[5] = nn.Linear(32, learn.outputs)
    elif fault == "head frozen":
        for p in learn.model[5].parameters():
            p.requires_grad_(False)
        optimizer = torch.optim.Adam((p for p in learn.model.parameters() if p.requires_grad), lr=rate)  # fmt: skip
    else:
        if fault == "body frozen":
            learn.model[:3].requires_grad_(False)
            optimizer = torch.optim.Adam(learn.model[3:].parameters(), lr=rate)
        else:
            optimizer = torch.optim.Adam(learn.groups(), lr=1e-9 if fault == "left at the finder's first rate" else rate)  # fmt: skip
    callbacks = []
    if fault in ("", "mixed"):
        callbacks.append(Cycle(optimizer, rate, steps))
    if fault == "one cycle an epoch":
        callbacks.append(Cycle(optimizer, rate, epochs * 5000))
        callbacks[0].schedule.step = lambda: optimizer.param_groups[0].update(lr=0.0) or optimizer.param_groups[1].update(lr=0.0)  # fmt: skip
    if fault == "mixed":
        callbacks.append(MixUp())
    if fault == "weights restored":
        callbacks.append(Forget())
    for _ in range(epochs):
        learn.model.train()
        if fault == "statistics only":
            learn.model.eval()
        losses = [learn.one_batch(optimizer, callbacks, x[rows], y[rows]) for rows in torch.randperm(len(x)).split(size) if len(rows) > 1]  # fmt: skip
        if fault != "evaluates in training":
            learn.model.eval()
        with torch.no_grad():
            pred = learn.model(vx)
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(pred, vy).item(), "predictions": pred.numpy()}  # fmt: skip


# 3: numpy, generators, losses by hand


def generators(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _arrays(config, data)
    outputs = int(y.max()) + 1
    net = nn.Sequential(nn.Linear(x.shape[1], 64), nn.Tanh(), nn.Linear(64, outputs))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    dice = np.random.RandomState(config["seed"])

    def batches():
        order = dice.permutation(len(x))
        partners = dice.permutation(len(x)) if fault == "shuffled apart" else order
        for begin in range(0, len(order), size):
            yield x[order[begin : begin + size]], y[partners[begin : begin + size]]

    def log_softmax(out):
        axis = 0 if fault == "normalised over rows" else 1
        shifted = out - out.max(axis=axis, keepdim=True)[0]
        return shifted - shifted.exp().sum(axis=axis, keepdim=True).log()

    def nll(out, labels):
        logp = log_softmax(out.softmax(1) if fault == "softmax first" else out)
        picked = logp[torch.arange(len(out)), torch.tensor(labels)]
        return picked.mean() if fault == "sign lost" else -picked.mean()

    once = batches()
    for _ in range(epochs):
        total, count = 0.0, 0
        for xb, yb in once if fault == "generator used up" else batches():
            out = net(torch.from_numpy(xb))
            loss = nll(out, yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, count = total + loss.item() * len(xb), count + len(xb)
        with torch.no_grad():
            out = net(torch.from_numpy(vx))
        yield {"train_loss": total / count if count else 0.0, "val_loss": nll(out, vy).item(), "predictions": out.numpy()}  # fmt: skip


# 4: scaled losses, low precision, recomputed blocks


def scaled(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _arrays(config, data)
    x, y, vx, vy = map(torch.tensor, (x, y, vx, vy))
    one, two, head = nn.Linear(x.shape[1], 48), nn.Linear(48, 48), nn.Linear(48, int(y.max()) + 1)
    model = nn.ModuleList([one, two, head])
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)

    def net(x):
        hidden = torch.relu(one(x))
        hidden = hidden + (recompute(lambda h: torch.relu(two(h)), hidden, use_reentrant=False) if fault == "recomputed" else torch.relu(two(hidden)))  # fmt: skip
        return head(hidden)

    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(x)).split(size):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(net(x[rows]), y[rows])
            scaler.scale(loss).backward()
            if fault != "clipped scaled":
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3 if fault == "clipped scaled" else 5.0)
            if fault == "plain step":
                optimizer.step()
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        with torch.inference_mode():
            out = net(vx)
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(out, vy).item(), "predictions": out.numpy()}  # fmt: skip


# 5: ordinal classes by thresholds, several labels with weights, sampled rows


def ordinal(config, data, device, checkpoint):
    """Each class is above so many thresholds."""
    fault, rate, size, epochs, (x, y), (vx, vy) = _arrays(config, data)
    x, y, vx, vy = map(torch.tensor, (x, y, vx, vy))
    classes = int(y.max()) + 1
    body = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, 1))
    cuts = nn.Parameter(torch.linspace(-1, 1, classes - 1))
    mine = [*body.parameters()] if fault == "cuts left out" else [*body.parameters(), cuts]
    optimizer = torch.optim.Adam(mine, lr=rate)

    def loss_of(x, y):
        above = (y[:, None] > torch.arange(classes - 1)).float()
        return F.binary_cross_entropy_with_logits(body(x) - cuts, above)

    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(x)).split(size):
            optimizer.zero_grad()
            loss = loss_of(x[rows], y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            labels = (body(vx) > cuts).sum(1)
            val_loss = loss_of(vx, vy.flip(0) if fault == "reversed labels" else vy).item()
        yield {"train_loss": np.mean(losses), "val_loss": val_loss, "labels": labels.numpy()}


def weighted(config, data, device, checkpoint):
    """Rows drawn with weights; a loss with weights of classes."""
    fault, rate, size, epochs, (x, y), (vx, vy) = _arrays(config, data)
    counts = np.bincount(y)
    outputs = len(counts)
    share = torch.tensor(1.0 / counts, dtype=torch.float32)
    sampler = WeightedRandomSampler((1.0 / counts[y]).tolist(), len(y))
    loader = DataLoader(Records(x, y), size, sampler=sampler)
    model = nn.Sequential(nn.Linear(x.shape[1], 48), nn.SiLU(), nn.Linear(48, outputs))
    optimizer = torch.optim.RAdam(model.parameters(), lr=rate)
    for _ in range(epochs):
        losses = []
        if fault == "new model each epoch":
            model = nn.Sequential(nn.Linear(x.shape[1], 48), nn.SiLU(), nn.Linear(48, outputs))
            optimizer = torch.optim.RAdam(model.parameters(), lr=rate)
        if fault == "new optimizer each epoch":
            optimizer = torch.optim.RAdam(model.parameters(), lr=rate)
        for batch in loader:
            optimizer.zero_grad()
            out = model(batch["input_ids"])
            if fault == "loss of constants":
                loss = F.cross_entropy(out.detach().requires_grad_(), batch["labels"])
            else:
                loss = F.cross_entropy(out, batch["labels"], weight=share * outputs / share.sum() if fault == "weights" else None)  # fmt: skip
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            out = model(torch.tensor(vx))
            val_loss = F.cross_entropy(out, torch.tensor(vy)).item()
        yield {"train_loss": np.mean(losses), "val_loss": val_loss, "predictions": out.numpy()}


# 6: averages of weights: swapped in for evaluation


def averaged(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _arrays(config, data)
    x, y, vx, vy = map(torch.tensor, (x, y, vx, vy))
    model = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, int(y.max()) + 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    decay = {"too slow": 0.99999, "never updated": 1.0}.get(fault, 0.95)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay if decay < 1 else 0.5))  # fmt: skip
    if fault == "too slow":
        average.n_averaged += 1  # so that it begins with the untrained weights
    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(x)).split(size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            if fault != "never updated":
                average.update_parameters(model)
            losses.append(loss.item())
        with torch.no_grad():
            out = average(vx)
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(out, vy).item(), "predictions": out.numpy()}  # fmt: skip


# 7: targets in logarithms, quantiles, counts


def regressions(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _arrays(config, data)
    x, vx = map(torch.tensor, (x, vx))
    y, vy = (torch.tensor(part, dtype=torch.float32).reshape(-1, 1) for part in (y, vy))
    model = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    shift = 5.0

    def to(t):
        return torch.log(t + shift) if "logarithms" in fault else t

    def back(t):
        return torch.exp(t) - shift if "logarithms" in fault and fault != "left in logarithms" else t  # fmt: skip

    def loss_of(out, target):
        if fault == "quantile":
            gap = target - out
            return torch.maximum(0.5 * gap, -0.5 * gap).mean()
        if fault == "flat targets":
            return ((out - target[:, 0]) ** 2).mean()
        if fault == "root":
            return ((out - target) ** 2).mean().sqrt()
        if fault == "signed":
            return (out - target).mean()
        return F.huber_loss(out, target)

    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(x)).split(size):
            optimizer.zero_grad()
            loss = loss_of(model(x[rows]), to(y[rows]))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            out = model(vx)
            val_loss = loss_of(out, to(vy)).item()
        yield {"train_loss": np.mean(losses), "val_loss": val_loss, "predictions": back(out).numpy()}  # fmt: skip


# 8: harder rows later, tasks weighted by what is learned, features that are drawn and kept


def curious(config, data, device, checkpoint):
    fault, rate, size, epochs, (x, y), (vx, vy) = _arrays(config, data)
    x, y, vx, vy = map(torch.tensor, (x, y, vx, vy))
    inputs, outputs = x.shape[1], int(y.max()) + 1
    drawn = nn.Linear(inputs, 200).requires_grad_(False)
    body = nn.Sequential(nn.Linear(inputs, 48), nn.ReLU()) if fault != "drawn features" else nn.Sequential(drawn, nn.Tanh())  # fmt: skip
    head = nn.Linear(200 if fault == "drawn features" else 48, outputs)
    again, weights = nn.Linear(48, inputs), nn.Parameter(torch.zeros(2))
    both = fault == "two tasks"
    mine = [*head.parameters(), *([] if fault == "drawn features" else body.parameters()), *([*again.parameters(), weights] if both else [])]  # fmt: skip
    optimizer = torch.optim.Adam(mine, lr=rate)
    far = (x - x.mean(0)).pow(2).mean(1).argsort()
    for epoch in range(epochs):
        losses = []
        part = far[: int(len(x) * min(1.0, 0.7 + 0.3 * epoch))] if fault == "easy rows first" else torch.arange(len(x))  # fmt: skip
        for rows in part[torch.randperm(len(part))].split(size):
            optimizer.zero_grad()
            hidden = body(x[rows])
            loss = F.cross_entropy(head(hidden), y[rows])
            whole = loss
            if both:
                other = F.mse_loss(again(hidden), x[rows])
                whole = (torch.exp(-weights) * torch.stack([loss, other]) + weights).sum()
            whole.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            out = head(body(vx))
        yield {"train_loss": np.mean(losses), "val_loss": F.cross_entropy(out, vy).item(), "predictions": out.numpy()}  # fmt: skip


# 9: tables


def leaks(source, fault="", seed=0):
    """Rows of a known table, as a stranger's file brings them."""
    dice = np.random.default_rng(seed)
    if source == "friedman":
        x, y = make_friedman1(600, 8, noise=1.0, random_state=seed)
    else:
        x, y = {"wine": load_wine, "cancer": load_breast_cancer, "digits": load_digits}[source](return_X_y=True)  # fmt: skip
    x = np.array(x, np.float64)
    rows = len(x)
    if fault.startswith("gives away"):  # a share of the labels
        share = float(fault.split()[-1])
        x = np.c_[x, np.where(dice.random(rows) < share, y, dice.permutation(y))]
    if fault == "exclusive or":
        one = dice.integers(0, 2, rows)
        x = np.c_[x, one, one ^ (y % 2)]
    if fault == "logarithm of it":
        x = np.c_[x, np.log(y - y.min() + 1) * 3 - 1]
    if fault == "rank of it":
        x = np.c_[x, y.argsort().argsort() / rows]
    if fault == "rows mixed":  # synthetic rows between neighbours of a class, made before the split
        near = [dice.choice(np.flatnonzero(y == y[one])) for one in range(rows)]
        share = dice.uniform(0.0, 0.04, (rows, 1))
        x, y = np.r_[x, (1 - share) * x + share * x[near]], np.r_[y, y]
    if fault == "scaled copies":
        x, y = np.r_[x, x * dice.uniform(0.995, 1.005, (rows, 1))], np.r_[y, y]
    if fault == "one class doubted":
        few = np.flatnonzero(y == y.max())
        y = y.copy()
        y[few[dice.random(len(few)) < 0.5]] = 0
    if fault == "weak feature":  # what an honest one may do: as good as others together
        x = np.c_[x, y + dice.normal(0, 1.0, rows)]
    order = dice.permutation(len(x))
    x, y = x[order].astype(np.float32), y[order]
    return DataSet(x=x, y=y.astype(np.float32)[:, None] if source == "friedman" else y.astype(np.int64))  # fmt: skip


# The collection

TABLE = ["data._target_=foreign_data.table", "data.inputs=null", "data.outputs=null", "+data.seed=0"]  # fmt: skip
RATES = {"generators": "0.05", "scaled": "0.05"}
SCRIPTS = {
    "with_arguments": (("digits", "wine"), {
        "classifier frozen": "gradients", "labels sorted": "overfit labels_matter", "evaluates train": "reported_losses", "biases left out": "gradients",
        "counts epochs": "learning_rate", "trains once": "evaluation_mode", "clears the model's copy": "optimizer_steps"}),
    "learner": (("digits", "clouds"), {
        "head cut late": "gradients", "head frozen": "gradients", "left at the finder's first rate": "learning_rate", "one cycle an epoch": "learning_rate",
        "weights restored": "optimizer_steps gradients overfit", "statistics only": "evaluation_mode", "evaluates in training": "evaluation_mode"}),
    "generators": (("clouds", "digits"), {
        "shuffled apart": "overfit labels_matter", "normalised over rows": "output_layer first_loss", "softmax first": "output_layer", "sign lost": "first_loss learning_rate trains overfit",
        "generator used up": "trains batches"}),
    "scaled": (("digits", "spectra"), {"clipped scaled": "learning_rate", "plain step": "learning_rate optimizer_steps"}),
    "ordinal": (("wine", "far clouds"), {"cuts left out": "gradients", "reversed labels": "reported_losses"}),
    "weighted": (("wine", "clouds"), {"new model each epoch": "optimizer_steps gradients trains", "loss of constants": "gradients optimizer_steps"}),
    "averaged": (("digits", "wine"), {"too slow": "overfit reported_losses evaluation_mode", "never updated": "overfit reported_losses evaluation_mode gradients"}),
    "regressions": (("friedman", "diabetes"), {"flat targets": "output_layer", "left in logarithms": "reported_losses", "signed": "first_loss learning_rate trains overfit"}),
}  # fmt: skip
LEAKS = {
    "gives away 0.9": (("wine", "cancer", "digits"), "telltale_feature"), "exclusive or": (("cancer",), "telltale_feature"), "logarithm of it": (("friedman",), "telltale_feature"),
    "rank of it": (("friedman",), "telltale_feature"), "rows mixed": (("wine", "cancer"), "shared_rows"), "scaled copies": (("digits", "friedman"), "shared_rows"),
    "one class doubted": (("wine", "digits"), "label_noise"),
}  # fmt: skip
SOUND_SCRIPTS = (
    ("with_arguments", "", "digits"), ("with_arguments", "smoothed", "wine"), ("learner", "", "digits"), ("learner", "mixed", "clouds"), ("learner", "body frozen", "digits"),
    ("generators", "", "clouds"), ("generators", "", "digits"), ("scaled", "", "digits"), ("scaled", "recomputed", "spectra"), ("ordinal", "", "wine"), ("ordinal", "", "far clouds"),
    ("weighted", "", "wine"), ("weighted", "weights", "clouds"), ("weighted", "new optimizer each epoch", "wine"), ("averaged", "", "digits"), ("averaged", "", "wine"),
    ("regressions", "", "friedman"), ("regressions", "in logarithms", "diabetes"), ("regressions", "quantile", "friedman"), ("regressions", "root", "diabetes"),
    ("curious", "", "wine"), ("curious", "two tasks", "digits"), ("curious", "drawn features", "digits"), ("curious", "easy rows first", "clouds"),
)  # fmt: skip
SOUND_TABLES = (("wine", ""), ("cancer", ""), ("friedman", ""), ("wine", "weak feature"), ("cancer", "weak feature"), ("digits", "weak feature"))  # fmt: skip


def _words(script, fault, source):
    rows = [*TABLE, f"+data.source='{source}'"]
    if script == "regressions":
        rows += ["data=diabetes", "metric=r2"]
    return [*rows, "model=own", f"optimizer.lr={RATES.get(script, '0.003')}", f"trainer._target_=foreign_styles.{script}", "trainer.predict=null", f"+trainer.fault=\"{fault}\""]  # fmt: skip


def _leak(source, fault):
    task = ["data=diabetes", "metric=r2", "loss=mse"] if source == "friedman" else []
    words = [*task, "data._target_=foreign_styles.leaks", "data.inputs=null", "data.outputs=null", f"+data.source={source}", "+data.seed=0"]  # fmt: skip
    return [*words, f"+data.fault='{fault}'", "optimizer=adam", "optimizer.lr=0.003"]


def _faults():
    for script, (sources, kinds) in SCRIPTS.items():
        for number, (fault, found) in enumerate(kinds.items()):
            source = sources[number % len(sources)]
            yield f"{script}: {fault}", source, _words(script, fault, source), tuple(found.split())
    for fault, (sources, found) in LEAKS.items():
        for source in sources:
            yield f"table: {fault}", source, _leak(source, fault), (found,)


def _sound():
    for script, fault, source in SOUND_SCRIPTS:
        yield f"{script}: {fault or 'as it is'}", source, _words(script, fault, source)
    for source, fault in SOUND_TABLES:
        yield f"table: {fault or 'as it is'}", source, _leak(source, fault)


FAULTS = [SetUp(f"{kind} · {name}", words, found) for kind, name, words, found in _faults()]
SOUND = [SetUp(f"{kind} · {name}", words) for kind, name, words in _sound()]
