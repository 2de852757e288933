"""Faults of a working day, written before anyone looked at the rules again: each kind is in no other collection.

Tables, pictures, texts and series under the stock trainer, its own groups of settings, and loops of one's own.
"""

from planted import SetUp

ADAM = ["optimizer=adam", "optimizer.lr=0.003"]
REGRESSION = ["data=diabetes", "metric=r2", "loss=mse"]
GIVEN = ["split=predefined", "split.test=0.25", "split.val=given"]
OWN = ["data=own", "data.task=classification", "data.rows=900", "normalise=none"]
HITS = ["metric=reported", "metric.name=hits", "metric.direction=maximize"]


def _rows(function, fault, **keys):
    words = [f"data._target_=daily_rows.{function}", "data.inputs=null", "data.outputs=null"]
    more = [f"+data.{key}={value}" for key, value in keys.items()]
    kind = REGRESSION if function in ("numbers", "series") else []
    order = ["split=ordered"] * (function == "series")
    given = GIVEN * ("validation" in fault)
    fault = [f"+data.fault='{fault}'"]
    return [*kind, *words, "+data.seed=0", *more, *fault, *given, *order, *ADAM]


def _model(fault, function="pictures", **keys):
    extra = [f"+model.{key}={value}" for key, value in keys.items()]
    return [
        *_rows(function, ""),
        "model=own",
        "~model.width",
        "+model._target_=daily_loops.Model",
        "+model.inputs=${data.inputs}",
        "+model.outputs=${data.outputs}",
        f"+model.fault='{fault}'",
        *extra,
    ]


def _tickets(fault, rows=""):
    return [
        *_rows("tickets", rows),
        "+data.vocabulary=62",
        "normalise=none",
        "model=own",
        "~model.width",
        "+model._target_=daily_loops.Tickets",
        "+model.vocabulary=62",
        "+model.outputs=${data.outputs}",
        f"+model.fault='{fault}'",
    ]


def _loop(script, fault, source=""):
    rows = [*OWN, *HITS]
    if script == "classes":
        rows = [word for word in _rows(source, "") if not word.startswith("optimizer")]
    return [
        *rows,
        "model=own",
        "optimizer.lr=0.003",
        f"trainer._target_=daily_loops.{script}",
        "trainer.predict=null",
        f"+trainer.fault='{fault}'",
    ]


FAULTY_ROWS = {
    "people": {
        "obese": "telltale_feature",
        "voted": "telltale_feature",
        "centred by class": "label_signal telltale_feature",
        "interpolated": "shared_rows",
        "decimal comma": "extreme_values feature_scales",
        "other mix in validation": "same_distribution class_balance validation_labels",
        "a mark in validation": "same_distribution extreme_values missing_values",
    },
    "numbers": {
        "start and end": "telltale_feature",
        "capped in validation": "validation_labels",
    },
    "series": {"mean around it": "telltale_feature", "mean that ends at it": "telltale_feature"},
    "pictures": {
        "stamped": "telltale_feature",
        "upside down in validation": "same_distribution",
        "darker and shifted": "shared_rows",
    },
    "table": {"a class in validation alone": "class_balance same_distribution validation_labels"},
}
FAULTY_MODELS = {
    "blocks that grow": "initial_weights gradients first_loss",
    "share to keep": "dead_units evaluation_mode capacity first_loss",
    "all weights alike": "initial_weights gradients",
    "one pixel in nine": "capacity",
    "whole numbers": "capacity gradients dead_units",
}
FAULTY_TICKETS = {
    "steps first": "evaluation_mode",
    "places of rows": "evaluation_mode",
    "mask the wrong way": "padding capacity",
    "few words known": "capacity gradients",
}
FAULTY_LOOPS = {
    "class 0 is padding": "output_layer gradients first_loss batches reported_losses",
    "made yes or no": "output_layer batches reported_losses first_loss",
    "plus and minus one": "output_layer first_loss",
    "hinge on zero and one": "output_layer",
    "divergence of probabilities": "output_layer",
    "first row alone": "batches gradients overfit reported_losses",
    "weights upside down": "class_balance first_loss output_layer",
    "rate of the schedule": "learning_rate optimizer_steps",
    "noise drowns": "batches overfit labels_matter",
    "scaled per batch": "evaluation_mode batches",
    "new optimizer per step": "optimizer_steps",
    "mixed, shares swapped": "overfit labels_matter batches",
}
FAULTY_OTHERS = {
    "next_word": {
        "sees what follows": "telltale_feature evaluation_mode reported_losses labels_matter",
        "not shifted": "telltale_feature reported_losses labels_matter",
    },
    "codes": {
        "codes detached": "gradients",
        "divergence negated": "output_layer trains reported_losses",
        "against noise": "labels_matter overfit label_signal",
    },
    "triplets": {
        "anchor against itself": "output_layer gradients trains overfit",
        "roles swapped": "output_layer trains overfit",
    },
}
SETTINGS = {
    "flood above the first loss": (["trainer.flood=5.0"], "trains learning_rate optimizer_steps"),
    "noise of 30 deviations": (
        ["augment=noise", "augment.strength=30.0"],
        "overfit batches trains",
    ),
    "clipped to 1e-7": (
        ["trainer.clip=1e-7", "optimizer=sgd"],
        "learning_rate optimizer_steps gradients",
    ),
    "weights of norm 0.001": (["trainer.max_norm=0.001"], "capacity gradients optimizer_steps"),
}
SOUND_ROWS = {
    "people": ("", "older model", "two units", "dates as numbers", "shares"),
    "numbers": ("", "places"),
    "series": ("", "mean before it"),
    "table": ("mostly zero",),
}
SOUND_LOOPS = (
    "", "hinge", "divergence", "weights by class", "one cycle", "noise", "mixed", "two rates",
)  # fmt: skip


def _faults():
    for function, kinds in FAULTY_ROWS.items():
        for fault, found in kinds.items():
            yield f"{function}: {fault}", _rows(function, fault), found
    for fault in ("length tells", "signed"):
        yield f"tickets: {fault}", _tickets("", fault), "telltale_feature"
    for fault, found in FAULTY_MODELS.items():
        words = _model(fault)
        if fault == "whole numbers":
            words = [*words, "normalise=none"]
        yield f"model: {fault}", words, found
    for fault, found in FAULTY_TICKETS.items():
        yield f"tickets: {fault}", _tickets(fault), found
    for fault, found in FAULTY_LOOPS.items():
        source = "people" if fault == "weights upside down" else "pictures"
        yield f"classes: {fault}", _loop("classes", fault, source), found
    for script, kinds in FAULTY_OTHERS.items():
        for fault, found in kinds.items():
            yield f"{script}: {fault}", _loop(script, fault), found
    for fault, (words, found) in SETTINGS.items():
        yield f"settings: {fault}", [*_rows("pictures", ""), *words], found


def _sound():
    for function, kinds in SOUND_ROWS.items():
        for kind in kinds:
            yield f"{function}: {kind or 'as it is'}", _rows(function, kind)
    for kind in ("", "blocks", "strides"):
        yield f"model: {kind or 'as it is'}", _model(kind)
    for rows in ("", "complaints are longer"):
        yield f"tickets: {rows or 'as it is'}", _tickets("", rows)
    for number, habit in enumerate(SOUND_LOOPS):
        source = ("pictures", "people")[number % 2]
        yield f"classes: {habit or 'as it is'}", _loop("classes", habit, source)
    for script in ("next_word", "codes", "triplets"):
        yield f"{script}: as it is", _loop(script, "")
    for words in (["trainer.flood=0.05"], ["augment=noise"], ["trainer.max_norm=3.0"]):
        yield f"settings: {words[0]}", [*_rows("pictures", ""), *words]


FAULTS = [SetUp(name, words, tuple(found.split())) for name, words, found in _faults()]
SOUND = [SetUp(name, words) for name, words in _sound()]
