"""Set-ups that nobody here had seen: faults of many kinds, each in several data sets, loops or models, and sound unusual ones.

A third is put aside (`aside`): it is not looked at while rules are made. Data: `foreign_data`; loops and models: `foreign_loops`.
"""

from planted import SetUp

NUMBERS = ("diabetes", "friedman", "steps", "linear", "zero-inflated", "counts", "log-normal", "ratings", "sines")  # fmt: skip
REGRESSION = ["data=diabetes", "metric=r2", "loss=mse", "optimizer=adam", "optimizer.lr=0.003"]
TABLE = ["data.inputs=null", "data.outputs=null"]


def _table(source, fault=""):
    words = [*REGRESSION] if source in NUMBERS else ["optimizer=adam", "optimizer.lr=0.003"]
    words += ["data._target_=foreign_data.table", *TABLE, f"+data.source='{source}'", "+data.seed=0"]  # fmt: skip
    return words + ([f"+data.fault='{fault}'"] if fault else [])


def _model(target, **keys):
    words = ["model=own", "~model.width", f"+model._target_=foreign_loops.{target}", "+model.outputs=${data.outputs}"]  # fmt: skip
    return words + [f"+model.{key}='{value}'" for key, value in keys.items()]


def _odd(fault):
    return [*_model("Odd", fault=fault), "+model.inputs=${data.inputs}"]


def _loop(source, form, fault):
    rate = {"plain": "0.05", "loader": "0.003", "numbers": "0.003"}[form]
    words = [word for word in _table(source) if not word.startswith("optimizer")]
    return [*words, f"optimizer.lr={rate}", "trainer._target_=foreign_loops.fit", "trainer.predict=null",
            f"+trainer.fault='{fault}'", f"+trainer.form={form}", "model=own"]  # fmt: skip


CLASSES = ("wine", "cancer", "clouds", "digits", "spectra", "far clouds")
GIVEN = ["split=predefined", "split.test=0.25", "split.val=given"]

# Kind of fault -> the checks that name it; where it is planted
DATA = {
    "spread": (("telltale_feature",), CLASSES[:4]),
    "spread, noisy": (("telltale_feature",), CLASSES[:4]),
    "noisy target": (("telltale_feature",), ("diabetes", "friedman", "steps", "wine")),
    "sum of two": (("telltale_feature",), ("clouds", "diabetes", "friedman", "digits")),
    "near copies": (("shared_rows",), ("cancer", "clouds", "friedman", "digits", "spectra")),
    "augmented": (("shared_rows",), ("wine", "digits", "diabetes", "clouds")),
    "patients": (("shared_rows",), ("cancer", "digits", "friedman", "clouds")),
    "small copies": (("shared_rows",), ("cancer", "clouds", "diabetes")),
    "numbered": (("telltale_feature",), ("wine", "clouds", "diabetes", "digits")),
    "noise": (("label_noise",), ("wine", "few clouds", "far clouds", "cancer", "iris", "digits")),
    "half a class": (("label_noise",), ("wine", "digits", "far clouds", "cancer", "clouds")),
    "rarest": (("class_balance",), ("far clouds", "clouds", "wine")),
    "large targets": (("targets",), ("diabetes", "friedman", "linear")),
}  # fmt: skip
VALIDATION = {
    "swapped": (("validation_labels",), ("digits", "wine", "clouds", "far clouds")),
    "shuffled": (("validation_labels",), ("digits", "friedman", "clouds")),
    "late": (("validation_labels",), ("wine", "linear", "digits")),
    "units": (("validation_labels",), ("friedman", "linear", "diabetes")),
    "thousands": (("validation_labels",), ("friedman", "steps", "diabetes")),
    "inches": (("same_distribution",), ("digits", "cancer", "friedman")),
}
LOOPS = {
    "stepped": ("learning_rate",), "no batch": ("trains",), "fifth": ("batches",), "wrong labels": ("reported_losses",),
    "on train": ("batches", "reported_losses"), "shrunk": ("optimizer_steps",), "stale": ("optimizer_steps",),
    "stale per epoch": ("optimizer_steps",), "stepped first": ("optimizer_steps",), "drawn anew": ("optimizer_steps",),
    "running": ("reported_losses",), "negated": ("first_loss",), "maximized": ("first_loss",), "summed": ("first_loss",),
    "scaled again": ("batches",),
}  # fmt: skip
FORMS = (("clouds", "plain"), ("digits", "loader"), ("friedman", "numbers"))
MODELS = {
    "sigmoid": (("output_layer",), ("clouds", "digits", "wine")),
    "softmax": (("output_layer",), ("clouds", "digits", "cancer")),
    "softmax rows": (("output_layer",), ("clouds", "wine", "cancer")),
    "softmax module": (("output_layer",), ("clouds", "spectra")),
    "relu end": (("output_layer",), ("diabetes", "friedman", "linear", "digits")),
    "clamped": (("output_layer",), ("diabetes", "friedman", "linear")),
    "tanh end": (("output_layer",), ("clouds", "digits", "friedman")),
    "flat": (("output_layer",), ("diabetes", "friedman", "steps")),
    "detached": (("gradients",), ("clouds", "friedman")),
    "data": (("gradients",), ("digits", "diabetes")),
    "no grad": (("gradients",), ("wine", "linear")),
    "branch off": (("gradients",), ("clouds", "friedman", "digits")),
    "branch half off": (("gradients",), ("cancer", "linear", "digits")),
    "listed": (("gradients",), ("clouds", "diabetes", "spectra")),
    "scaled twice": (("batches", "feature_scales"), ("digits", "clouds", "friedman")),
    "momentum 0.0": (("batch_norm",), ("clouds", "friedman")),
    "momentum 0.00001": (("batch_norm",), ("digits", "diabetes")),
}
LOSSES = {"difference": ("diabetes", "friedman"), "subtract": ("linear", "steps")}


def _faults():
    for kind, (found, sources) in DATA.items():
        for source in sources:
            more = {"rarest": ["metric=accuracy"], "large targets": ["normalise.target=false"]}
            yield kind, source, [*_table(source, kind), *more.get(kind, [])], found
    for kind, (found, sources) in VALIDATION.items():
        for source in sources:
            yield f"validation: {kind}", source, [*_table(source, kind), *GIVEN], found
    for kind, found in LOOPS.items():
        for source, form in FORMS:
            yield f"loop: {kind}", f"{source}, {form}", _loop(source, form, kind), found
    for kind, (found, sources) in MODELS.items():
        for source in sources:
            yield f"model: {kind}", source, [*_table(source), *_odd(kind)], found
    for how, sources in LOSSES.items():
        for source in sources:
            loss = ["loss._target_=foreign_loops.SquaredError", f"+loss.how={how}"]
            yield f"loss: {how}", source, [*_table(source), *_odd("flat"), *loss], ("output_layer",)  # fmt: skip
    for source, metric in (("few clouds", "metric=accuracy"), ("friedman", "metric=r2")):
        yield "rate", source, [*_table(source), metric, "optimizer.lr=30"], ("learning_rate",)


HABITS = (
    "", "averaged", "ema", "accumulated", "one cycle", "warm-up", "another fifth", "inner split", "drop last", "decayed by hand", "bounded",
    "clipped", "kept zeros", "cleared after", "summed, divided", "own loss", "focal", "smoothed", "noise added", "mixed up", "closure",
    "sharpness", "deep copy", "backbone",
)  # fmt: skip
SHAPES = (
    "", "rezero", "drop", "gated", "attends", "gelu", "tanh", "log softmax", "layer norm", "group norm", "spectral", "weight norm",
    "momentum 0.01", "scaled a little", "scaled logits", "squashed",
)  # fmt: skip
UNUSUAL = (
    "one-hot", "mixed", "skewed features", "survey", "overlapping", "bags of words", "tiny", "noisy columns", "strong column",
    "unix seconds", "duplicated columns", "heavy features", "zero-inflated", "counts", "log-normal", "ratings", "sines",
)  # fmt: skip
TWINS = ("wine", "cancer", "digits", "iris", "clouds", "few clouds", "far clouds", "moons", "spectra", "diabetes", "friedman", "steps", "linear")  # fmt: skip


def _sound():
    for source in TWINS:
        yield "table", source, _table(source)
    for source in ("wine", "clouds", "digits", "far clouds", "friedman", "diabetes", "steps", "linear"):  # fmt: skip
        yield "sets given", source, [*_table(source, "given"), *GIVEN]
    for source in UNUSUAL:
        yield "unusual", source, _table(source)
    yield "unusual", "rare", [*_table("rare"), "metric=balanced_accuracy"]
    for source in ("counts", "zero-inflated"):
        yield "unusual", f"{source}, softplus", [*_table(source), "normalise.target=false", *_odd("softplus")]  # fmt: skip
    for kind in ("season", "trend"):
        words = ["optimizer=adam", "optimizer.lr=0.003"] if kind == "season" else [*REGRESSION]
        words += ["data._target_=foreign_data.over_time", *TABLE, f"+data.kind={kind}", "+data.seed=0"]  # fmt: skip
        yield "over time", kind, [*words, "split=ordered"]
    for number, habit in enumerate(HABITS):
        source, form = FORMS[number % 3 if habit not in ("own loss", "focal", "smoothed", "mixed up") else number % 2]  # fmt: skip
        yield "habit", f"{habit}: {source}, {form}", _loop(source, form, habit)
        source, form = FORMS[(number + 1) % 3 if habit not in ("own loss", "focal", "smoothed", "mixed up") else 1 - number % 2]  # fmt: skip
        yield "habit", f"{habit}: {source}, {form}", _loop(source, form, habit)
    for number, shape in enumerate(SHAPES):
        source = ("digits", "clouds", "friedman")[number % (2 if shape == "log softmax" else 3)]
        yield "shape", f"{shape}: {source}", [*_table(source), *_odd(shape)]
    for kind, source in (("gru", "spectra"), ("lstm", "wine"), ("gru", "friedman")):
        yield "shape", f"{kind}: {source}", [*_table(source), *_model("Sequence", kind=kind)]
    for source in ("spectra", "digits"):
        yield "shape", f"convolved: {source}", [*_table(source), *_model("Convolved"), "+model.inputs=${data.inputs}"]  # fmt: skip


FAULTS = [
    SetUp(f"{kind} · {name}", words, found, aside=number % 3 == 2)
    for number, (kind, name, words, found) in enumerate(_faults())
]
SOUND = [
    SetUp(f"{kind} · {name}", words, besides=("same_distribution",) * (kind == "over time"), aside=number % 3 == 2)
    for number, (kind, name, words) in enumerate(_sound())
]  # fmt: skip
