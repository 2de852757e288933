"""Set-ups with a fault planted in them, and sound ones: what a preflight must find, and what it must leave alone.

A set-up is the words of a command; `found`: the checks that may tell its fault, `door`: the code of what the program says before any check.
"""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.data import DataSet

# Data


def digits(fault="", seed=0, rows=None):
    """The digits, or the first rows of them, with a fault."""
    x, y = load_digits(return_X_y=True)
    x, y = x[:rows].astype(np.float32), y[:rows].astype(np.int64)
    dice = np.random.default_rng(seed)
    given = {}
    if fault == "shifted":
        test = np.sort(dice.permutation(len(x))[: len(x) * 540 // 1797])
        x[test] = np.clip(x[test] + 2 + dice.normal(0, 1, x[test].shape), 0, 18)
        given = {"test": test}
    elif fault == "leaked":
        copies = dice.permutation(len(x))[:200]
        x, y = np.concatenate([x, x[copies]]), np.concatenate([y, y[copies]])
    elif fault == "off_by_one":
        y = np.roll(y, 1)
    elif fault == "noisy":
        wrong = dice.random(len(y)) < 0.4
        y[wrong] = dice.integers(0, 10, wrong.sum())
    elif fault == "contradicting":
        copies = dice.permutation(len(x))[:200]
        x, y = np.concatenate([x, x[copies]]), np.concatenate([y, (y[copies] + 1) % 10])
        order = dice.permutation(len(x))
        x, y = x[order], y[order]
    elif fault == "dead_channel":
        x = np.stack([x, np.zeros_like(x)], axis=1)
    elif fault == "sorted":
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    elif fault == "lost_class":
        given = {"val": np.flatnonzero(y != 3)[:250]}
    elif fault in ("own labels", "others labels"):
        order = dice.permutation(len(x))
        sets = np.split(order, [len(x) * 6 // 10, len(x) * 8 // 10])
        given = dict(zip(("val", "test"), sets[1:], strict=True))
        if fault == "others labels":
            y[sets[0]] = dice.permutation(y[sets[0]])
    elif fault == "missing":
        x[dice.integers(len(x))] = np.nan
    elif fault == "random":
        y = dice.integers(0, 10, len(y))
    return DataSet(x=x, y=y, given=given)


def cancer(fault="", seed=0):
    """The nuclei of breast_cancer, with a fault."""
    x, y = load_breast_cancer(return_X_y=True)
    x, y = x.astype(np.float32), y.astype(np.int64)
    dice = np.random.default_rng(seed)
    groups, given = None, {}
    if fault == "large":
        x = (x - x.mean(0)) / x.std(0)
        x[:, int(dice.integers(30))] *= 1e6
    elif fault == "dead":
        x[:, int(dice.integers(30))] = 3.5
    elif fault == "telltale":
        x[:, int(dice.integers(30))] = y + dice.normal(0, 0.01, len(y))
    elif fault == "sentinel":
        x[dice.integers(len(x), size=4), int(dice.integers(30))] = 999999.0
    elif fault == "groups":
        groups = dice.integers(0, 150, len(x))
        given = {"test": np.sort(dice.permutation(len(x))[:170])}
    elif fault == "noisy":
        wrong = dice.random(len(y)) < 0.4
        y[wrong] = 1 - y[wrong]
    return DataSet(x=x, y=y, groups=groups, given=given)


def diabetes(fault="", seed=0):
    """The patients of diabetes, with a fault."""
    x, y = load_diabetes(return_X_y=True)
    x, y = x.astype(np.float32), y.astype(np.float32)[:, None]
    if fault == "large_target":
        y = (y - y.mean()) / y.std() * 1e4
    elif fault == "off_by_one":
        y = np.roll(y, 1)
    elif fault == "classes":
        y = np.digitize(y, np.quantile(y, [0.25, 0.5, 0.75])).astype(np.float32)
    return DataSet(x=x, y=y)


def xor(seed=0, rows=400, noise=0.0):
    """Four corners, two classes."""
    dice = np.random.default_rng(seed)
    x = dice.uniform(-1, 1, (rows, 2)).astype(np.float32)
    x += 0.2 * np.sign(x)
    return DataSet(x=x, y=(x[:, 0] * x[:, 1] > 0).astype(np.int64))


def rare(seed=0):
    """Unbalanced but fine: one row in twenty is of the other class."""
    dice = np.random.default_rng(seed)
    y = (dice.random(2000) < 0.05).astype(np.int64)
    return DataSet(x=(dice.normal(0, 1, (2000, 12)) + 2 * y[:, None]).astype(np.float32), y=y)


def small(seed=0):
    """Small but fine: sixty rows of two clouds."""
    dice = np.random.default_rng(seed)
    y = np.arange(60) % 2
    return DataSet(x=(dice.normal(0, 1, (60, 6)) + 1.5 * y[:, None]).astype(np.float32), y=y)


def words(seed=0):
    """Tiny texts: sixteen words out of fifty, and which of two words came first."""
    dice = np.random.default_rng(seed)
    x = dice.integers(3, 50, (1200, 16))
    y = dice.integers(0, 2, 1200)
    places = np.sort(np.array([dice.permutation(16)[:2] for _ in range(1200)]), axis=1)
    x[np.arange(1200), places[:, 0]], x[np.arange(1200), places[:, 1]] = 1 + y, 2 - y
    return DataSet(x=x.astype(np.int64), y=y)


def said(seed=0, words=300):
    """Tiny texts: which of two words was said, among many others."""
    dice = np.random.default_rng(seed)
    x, y = dice.integers(3, words, (1200, 12)), np.arange(1200) % 2
    x[np.arange(1200), dice.integers(0, 12, 1200)] = 1 + y
    return DataSet(x=x.astype(np.int64), y=y)


def waves(seed=0):
    """Sequences: sines of two frequencies with noise, any phase."""
    dice = np.random.default_rng(seed)
    y = np.arange(900) % 2
    phase, times = dice.uniform(0, 2 * np.pi, (900, 1)), np.linspace(0, 2 * np.pi, 24)
    x = np.sin(times * (2 + y[:, None]) + phase) + dice.normal(0, 0.2, (900, 24))
    return DataSet(x=x.astype(np.float32)[:, :, None], y=y)


def drifting(seed=0):
    """Rows over time, drifting gently: the future is a little other, as it is."""
    dice = np.random.default_rng(seed)
    time = np.arange(1000.0)
    x = dice.normal(0, 1, (1000, 8)) + 0.0003 * time[:, None]
    return DataSet(x=x.astype(np.float32), y=(x[:, 0] + x[:, 1] > 0.3).astype(np.int64), time=time)


def lags(seed=0, rows=1200, count=6):
    """A forecast: the last six numbers of a series, and the next one."""
    dice = np.random.default_rng(seed)
    series = np.zeros(rows + count + 1)
    for place in range(1, len(series)):
        series[place] = 0.6 * series[place - 1] + dice.normal()
    x = np.stack([series[place : place + rows] for place in range(count)], axis=1)
    return DataSet(
        x=x.astype(np.float32),
        y=series[count : count + rows].astype(np.float32)[:, None],
        time=np.arange(float(rows)),
    )


def survey(seed=0):
    """Six questions with four answers each."""
    dice = np.random.default_rng(seed)
    x = dice.integers(0, 4, (1500, 6))
    chance = 1 / (1 + np.exp(-(x - 1.5).sum(1)))
    return DataSet(x=x.astype(np.float32), y=(dice.random(1500) < chance).astype(np.int64))


def heavy(seed=0):
    """Targets with heavy tails."""
    dice = np.random.default_rng(seed)
    x = dice.normal(size=(1500, 8))
    return DataSet(
        x=x.astype(np.float32),
        y=(2 * x[:, :1] + dice.standard_t(1.8, (1500, 1))).astype(np.float32),
    )


def rounded(seed=0):
    """One feature, rounded: inputs repeat."""
    dice = np.random.default_rng(seed)
    x = dice.uniform(-5, 5, (1000, 1)).round(2)
    return DataSet(
        x=x.astype(np.float32), y=(np.sin(x) + dice.normal(0, 0.1, (1000, 1))).astype(np.float32)
    )


def counts(seed=0):
    """A table of whole numbers, in which rows repeat by chance."""
    dice = np.random.default_rng(seed)
    x = dice.integers(0, 4, (1500, 4))
    chance = 1 / (1 + np.exp(-(x.sum(1) - 6.0)))
    return DataSet(x=x.astype(np.float32), y=(dice.random(1500) < chance).astype(np.int64))


# Models


class Net(nn.Module):
    """A perceptron with a fault."""

    def __init__(self, inputs, outputs, width=64, fault="", dropout=0.0):
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)
        self.last = nn.Linear(width, outputs + 3 * (fault == "wide"))
        self.norm = nn.BatchNorm1d(width) if "norm" in fault else nn.Identity()
        self.fault, self.dropout = fault, dropout
        if fault == "zero":
            for parameter in self.parameters():
                nn.init.zeros_(parameter)
        if fault == "dead":
            nn.init.constant_(self.second.bias, -30.0)
        if fault == "frozen":
            self.second.requires_grad_(False)
        if fault == "large":
            nn.init.normal_(self.last.weight, std=30.0)
        if fault == "unused":
            self.spare = nn.Linear(width, width)
        if fault == "counting":
            self.register_buffer("seen", torch.zeros(()))
        if fault == "zero_last":
            nn.init.zeros_(self.last.weight)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x.flatten(1))))
        if self.fault == "detached":
            x = x.detach()
        x = F.relu(self.second(x))
        x = F.dropout(x, self.dropout, training=self.training or self.fault == "noisy")
        x = self.last(Backwards.apply(x) if self.fault == "backwards" else x)
        if self.fault == "restless":
            x = x + 0.1 * torch.randn_like(x)
        if self.fault == "counting":
            self.seen += 1
        if self.fault == "flat":
            return x.squeeze(1)
        if self.fault == "columns":
            return F.softmax(x, dim=0)
        return {"softmax": F.softmax, "log": F.log_softmax}.get(self.fault, lambda x, dim: x)(
            x, dim=1
        )


class Backwards(torch.autograd.Function):
    """The identity, with a backward pass that is wrong by a factor."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 0.5 * gradient


class Attentive(nn.Module):
    """A transformer's layer over words; its fault is to take the batch for the sentence."""

    def __init__(self, outputs, words, width=32, batch_first=True):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.layer = nn.TransformerEncoderLayer(width, 4, 64, batch_first=batch_first)
        self.last = nn.Linear(width, outputs)

    def forward(self, x):
        return self.last(self.layer(self.embedding(x.long())).mean(1))


class Line(nn.Module):
    """A linear model."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.line = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.line(x.flatten(1))


class Recurrent(nn.Module):
    """An embedding, where x holds words, and a GRU."""

    def __init__(self, outputs, words=0, width=32):
        super().__init__()
        self.embedding = nn.Embedding(words, width) if words else None
        self.gru = nn.GRU(width if words else 1, width, batch_first=True)
        self.last = nn.Linear(width, outputs)

    def forward(self, x):
        x = self.embedding(x.long()) if self.embedding is not None else x
        return self.last(self.gru(x)[0][:, -1])


class Residual(nn.Module):
    """Blocks with layer norm and GELU, the last layer of zeros, as transformers begin."""

    def __init__(self, inputs, outputs, width=48):
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
            )
            for _ in range(3)
        )
        self.last = nn.Linear(width, outputs)
        nn.init.zeros_(self.last.weight)
        for block in self.blocks:
            nn.init.zeros_(block[3].weight)

    def forward(self, x):
        x = self.first(x.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


# Loops of one's own


def loop(config, data, device, checkpoint):
    """A plain loop with a fault, or with a habit, on the rows of `data`."""
    fault = config["trainer"].get("fault", "")
    if fault != "unseeded":
        torch.manual_seed(config["seed"])
    else:
        torch.seed()
    x, y, val_x, val_y = (
        torch.as_tensor(np.array(part))
        for part in (data.train.x, data.train.y, data.val.x, data.val.y)
    )
    val_x = 6 * val_x + 5 if fault == "unlike" else val_x
    x, y = (torch.cat([x, val_x]), torch.cat([y, val_y])) if fault == "on_val" else (x, y)
    width, quiet = 64, fault in ("lbfgs", "scaler", "autograd", "accumulate")
    norm, drop = (
        (nn.Identity(), nn.Identity()) if quiet else (nn.BatchNorm1d(width), nn.Dropout(0.3))
    )
    model = nn.Sequential(nn.Linear(x.shape[1], width), norm, nn.ReLU(), drop, nn.Linear(width, 10))
    parts = (
        model[0].parameters()
        if fault == "forgotten"
        else deepcopy(model).parameters()
        if fault == "copy"
        else model.parameters()
    )
    parts = list(parts)
    optimizer = torch.optim.SGD(parts, lr=config["optimizer"]["lr"], momentum=0.9)
    if fault == "lbfgs":
        # what it remembers of batches before misleads it: with more, 17 of 20 seeds diverge
        optimizer = torch.optim.LBFGS(parts, lr=0.1, max_iter=3, history_size=1)
    size = config["trainer"]["batch_size"]
    for epoch in range(1, config["trainer"]["epochs"] + 1):
        if fault != "unseeded":
            torch.manual_seed(1000 * config["seed"] + epoch)
        if fault != "stays_quiet" or epoch == 1:
            model.train()
        if fault == "to_zero" and epoch == 2:
            optimizer.param_groups[0]["lr"] = 0.0
        order = torch.arange(len(x)) if fault == "unshuffled" else torch.randperm(len(x))
        labels = y[torch.randperm(len(x))] if fault == "mismatched" else y[order]
        total = 0.0
        for step, (rows, wanted) in enumerate(
            zip(order.split(size), labels.split(size), strict=True)
        ):
            if len(rows) >= 2:
                total += _step(fault, step, model, optimizer, x, y, rows, wanted) * len(rows)
        if fault not in ("noisy", "never_evaluates"):
            model.eval()
        with torch.set_grad_enabled(fault == "never_evaluates"):
            logits = model(val_x)
        val_loss = (
            total / len(x) if fault == "told_twice" else F.cross_entropy(logits, val_y).item()
        )
        yield {
            "train_loss": total / len(x),
            "val_loss": val_loss,
            "predictions": logits.detach().numpy(),
        }


def _step(fault, step, model, optimizer, x, y, rows, wanted):
    """One step of the loop; its loss."""
    if fault == "constant":
        rows = order = rows[:1].repeat(len(rows))
        wanted = y[order]
    if fault == "same_batch":
        rows, wanted = torch.arange(32), y[:32]
    if fault == "lbfgs":

        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), wanted)
            loss.backward()
            return loss

        return optimizer.step(closure).item()
    if fault != "never_cleared" and not (fault == "accumulate" and step % 2):
        optimizer.zero_grad()
    loss = F.cross_entropy(model(x[rows]), wanted, reduction="sum" if fault == "summed" else "mean")
    if fault == "unlearning":
        loss = loss.detach().requires_grad_()
    if fault == "autograd":
        torch.autograd.backward(loss)
    else:
        (
            loss * 65536.0 if fault == "scaler" else loss / 2 if fault == "accumulate" else loss
        ).backward()
    if fault == "scaler":
        for parameter in model.parameters():
            parameter.grad.div_(65536.0)
    if fault == "faint":
        nn.utils.clip_grad_norm_(model.parameters(), 1e-9)
    if not (fault == "accumulate" and step % 2 == 0):
        optimizer.step()
    if fault == "twice":
        optimizer.step()
    return loss.item()


# The collection


@dataclass(frozen=True)
class SetUp:
    """Words of a command; the checks of which at least one must tell the fault, and those that may tell it besides (of a sound one, may warn)."""

    name: str
    words: list[str]
    found: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    door: str = ""
    aside: bool = False


def _data(function, fault="", **more):
    words = [
        f"data._target_=planted.{function}",
        "data.inputs=null",
        "data.outputs=null",
        "+data.seed=0",
    ]
    return (
        words
        + [f"+data.fault={fault}"] * bool(fault)
        + [f"+data.{key}={value}" for key, value in more.items()]
    )


def _net(fault="", **more):
    keys = [
        "model=own",
        "~model.width",
        "+model._target_=planted.Net",
        "+model.inputs=${data.inputs}",
        "+model.outputs=${data.outputs}",
    ]
    return (
        keys
        + [f"+model.fault={fault}"] * bool(fault)
        + [f"+model.{key}={value}" for key, value in more.items()]
    )


def _own(target, **more):
    return ["model=own", "~model.width", f"+model._target_=planted.{target}", "+model.outputs=${data.outputs}",
            *(f"+model.{key}={value}" for key, value in more.items())]  # fmt: skip


def _loop(fault):
    return [
        "trainer._target_=planted.loop",
        "trainer.predict=null",
        f"+trainer.fault={fault}",
        "model=own",
    ]


INPUTS = "${data.inputs}"
REGRESSION = ["data=diabetes", "metric=r2", "loss=mse"]
GIVEN = ["split=predefined", "split.val=given", "split.test=given"]
NO_SHUFFLE = [*_data("digits", "sorted"), *_loop("unshuffled")]
ADAM = ["optimizer=adam", "optimizer.lr=0.003"]

FAULTS = [
    SetUp("shifted test set", [*_data("digits", "shifted"), "split=predefined"], ("same_distribution",)),
    SetUp("leaked rows", _data("digits", "leaked"), ("shared_rows",)),
    SetUp("labels off by one", _data("digits", "off_by_one"), ("label_signal",)),
    SetUp("labels off by one, regression", [*REGRESSION, *_data("diabetes", "off_by_one")], ("label_signal",)),
    SetUp("label noise 40 %", _data("digits", "noisy"), ("label_noise",)),
    SetUp("label noise 40 %, two classes", ["data=breast_cancer", *_data("cancer", "noisy")], ("label_noise", "labels_matter")),
    SetUp("random labels", _data("digits", "random"), ("labels_matter",)),
    SetUp("train labels shuffled alone", [*_data("digits", "others labels"), *GIVEN], ("label_signal",)),
    SetUp("contradicting twins", _data("digits", "contradicting"), ("contradictions",), ("shared_rows",)),
    SetUp("all-zero input channel", _data("digits", "dead_channel"), ("constant_features",)),
    SetUp("a dead column", ["data=breast_cancer", *_data("cancer", "dead")], ("constant_features",)),
    SetUp("unscaled feature × 1e6", ["data=breast_cancer", *_data("cancer", "large"), "normalise=none"], ("feature_scales",)),
    SetUp("nothing normalised", ["data=breast_cancer", "normalise=none"], ("feature_scales",)),
    SetUp("unscaled target × 1e4", [*REGRESSION, *_data("diabetes", "large_target"), "normalise=none"], ("targets",), ("feature_scales",)),
    SetUp("label among the features", ["data=breast_cancer", *_data("cancer", "telltale")], ("telltale_feature",)),
    SetUp("a mark for missing", ["data=breast_cancer", *_data("cancer", "sentinel")], ("extreme_values",)),
    SetUp("groups in two sets", ["data=breast_cancer", *_data("cancer", "groups"), "split=predefined"], ("shared_groups",)),
    SetUp("a class without validation", [*_data("digits", "lost_class"), "split=predefined", "split.test=0.3", "split.val=given"], ("class_balance",), ("same_distribution",)),
    SetUp("classes as numbers", [*REGRESSION, *_data("diabetes", "classes")], ("targets",)),
    SetUp("squared error on class indices", ["loss=mse"], door="loss-does-not-fit-task"),
    SetUp("NaN in one row", _data("digits", "missing"), door="data-not-finite"),
    SetUp("zero initial weights", _net("zero"), ("initial_weights",)),
    SetUp("dead ReLUs", _net("dead"), ("dead_units",)),
    SetUp("frozen layer", _net("frozen"), ("gradients",)),
    SetUp("detached layer", _net("detached"), ("gradients",)),
    SetUp("layer never used", _net("unused"), ("gradients",)),
    SetUp("softmax before cross-entropy", _net("softmax"), ("output_layer",)),
    SetUp("logits into nll_loss", [*_net(), "loss._target_=torch.nn.NLLLoss", "~loss.label_smoothing"], ("output_layer",)),
    SetUp("too many outputs", _net("wide"), ("output_layer",)),
    SetUp("too few outputs", [*_net(), "model.outputs=7"], ("output_layer",)),
    SetUp("outputs without their axis", [*REGRESSION, *_net("flat")], ("output_layer",)),
    SetUp("large last layer", _net("large"), ("first_loss",)),
    SetUp("dropout left on", _net("noisy", dropout=0.5), ("evaluation_mode",)),
    SetUp("noise left on", _net("restless"), ("evaluation_mode",)),
    SetUp("evaluation counts along", _net("counting"), ("evaluation_mode",)),
    SetUp("wrong backward pass", [*_net("backwards"), "preflight.gradcheck=true"], ("own_gradients",)),
    SetUp("learning rate 1e3", ["optimizer.lr=1e3"], ("learning_rate",)),
    SetUp("learning rate 1e3, Adam", ["optimizer=adam", "optimizer.lr=1e3"], ("learning_rate",)),
    SetUp("learning rate 1e-9", ["optimizer.lr=1e-9"], ("learning_rate",)),
    SetUp("learning rate 1e-9, Adam", ["optimizer=adam", "optimizer.lr=1e-9"], ("learning_rate",)),
    SetUp("batch norm at batch size 1", [*_net("norm"), "trainer.batch_size=1"], ("batch_norm",)),
    SetUp("batch norm with a last row", [*_net("norm"), "trainer.batch_size=251"], ("batch_norm",)),
    SetUp("too small to learn XOR", [*_data("xor"), *_own("Line", inputs=INPUTS)], ("overfit",), ("labels_matter",)),
    SetUp("softmax over the batch", _net("columns"), ("output_layer",), ("evaluation_mode",)),
    SetUp("attention over the batch", [*_data("said"), "normalise=none", *_own("Attentive", words=300, batch_first="false"), *ADAM], ("evaluation_mode",)),
    SetUp("weight decay 10", ["optimizer.weight_decay=10"], ("learning_rate",)),
    SetUp("evaluation not normalised", _loop("unlike"), ("batches",)),
    SetUp("trained on validation rows", _loop("on_val"), ("batches",)),
    SetUp("train loss told as validation's", _loop("told_twice"), ("trains",)),
    SetUp("never in evaluation mode", _loop("never_evaluates"), ("evaluation_mode",)),
    SetUp("rate falls to zero", _loop("to_zero"), ("learning_rate",)),
    SetUp("loss summed over the batch", _loop("summed"), ("first_loss",)),
    SetUp("optimizer of a copy", _loop("copy"), ("gradients",)),
    SetUp("gradients clipped away", _loop("faint"), ("learning_rate",), ("overfit",)),
    SetUp("unshuffled, sorted data", NO_SHUFFLE, ("shuffling",)),
    SetUp("unshuffled", _loop("unshuffled"), ("shuffling",)),
    SetUp("constant batches", _loop("constant"), ("batches",)),
    SetUp("the same batch for ever", _loop("same_batch"), ("batches",)),
    SetUp("gradients never cleared", _loop("never_cleared"), ("optimizer_steps",)),
    SetUp("two steps per gradient", _loop("twice"), ("optimizer_steps",)),
    SetUp("detached loss", _loop("unlearning"), ("optimizer_steps", "gradients")),
    SetUp("parameters in no optimizer", _loop("forgotten"), ("gradients",)),
    SetUp("evaluated in training mode", _loop("noisy"), ("evaluation_mode",)),
    SetUp("trained in evaluation mode", _loop("stays_quiet"), ("evaluation_mode",)),
    SetUp("labels of other rows", _loop("mismatched"), ("overfit",), ("labels_matter",)),
    SetUp("seed not heeded", _loop("unseeded"), ("repeatable",)),
]  # fmt: skip
SOUND = [
    SetUp("digits", []),
    SetUp("digits, Adam", ADAM),
    SetUp("digits, CNN", ["model=cnn2d", *ADAM]),
    SetUp("mnist1d", ["data=mnist1d", *ADAM]),
    SetUp("mnist1d, CNN", ["data=mnist1d", "model=cnn1d", *ADAM]),
    SetUp("breast_cancer", ["data=breast_cancer"]),
    SetUp("breast_cancer, linear", ["data=breast_cancer", *_own("Line", inputs=INPUTS)]),
    SetUp("diabetes", [*REGRESSION, "optimizer.lr=0.01"]),
    SetUp("diabetes, linear", [*REGRESSION, *_own("Line", inputs=INPUTS), "optimizer.lr=0.01"]),
    SetUp("tiny texts", [*_data("words"), "normalise=none", *_own("Recurrent", words=50), *ADAM]),
    SetUp("sequences", [*_data("waves"), *_own("Recurrent"), *ADAM]),
    SetUp("unbalanced but fine", [*_data("rare"), "metric=balanced_accuracy"]),
    SetUp("small but fine", [*_data("small"), "trainer.batch_size=8"]),
    SetUp("XOR", [*_data("xor"), *ADAM]),
    SetUp("rows that repeat", [*_data("counts"), *ADAM]),
    SetUp("a gentle drift", [*_data("drifting"), "split=ordered"], besides=("same_distribution",)),
    SetUp("batch norm", _net("norm")),
    SetUp("dropout", ["model.dropout=0.5"]),
    SetUp("penalties", ["trainer.l1=1e-4", "trainer.clip=1.0", "optimizer.weight_decay=1e-3", "loss.label_smoothing=0.1"]),
    SetUp("last layer of zeros", _net("zero_last")),
    SetUp("residual blocks of zeros", [*_own("Residual", inputs=INPUTS), *ADAM]),
    SetUp("minmax, one cycle", ["normalise=minmax", "schedule=one_cycle"]),
    SetUp("sets that are given", [*_data("digits", "own labels"), *GIVEN]),
    SetUp("sorted file", _data("digits", "sorted")),
    SetUp("five folds", ["split=kfold"]),
    SetUp("a loop of one's own", _loop("none")),
    SetUp("a loop with L-BFGS", _loop("lbfgs")),
    SetUp("a loop with a scaled loss", _loop("scaler")),
    SetUp("a loop that accumulates", _loop("accumulate")),
    SetUp("a loop with autograd.backward", _loop("autograd")),
    SetUp("a forecast from lags", [*REGRESSION, *_data("lags"), "split=ordered", "optimizer.lr=0.01"]),
    SetUp("a survey", [*_data("survey"), "optimizer.lr=0.01"]),
    SetUp("one rounded feature", [*REGRESSION, *_data("rounded"), "optimizer.lr=0.03"]),
    SetUp("heavy tails", [*REGRESSION, *_data("heavy"), "optimizer.lr=0.01"]),
    SetUp("words of a transformer", [*_data("said"), "normalise=none", *_own("Attentive", words=300), *ADAM]),
]  # fmt: skip
