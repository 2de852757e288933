"""Everyday faults once more, made when the rules for the other collections stood.

Tables, models and loops by the words of a command; each script runs without its fault too.
"""

from planted import SetUp

REGRESSION = ["data=diabetes", "metric=r2", "loss=mse"]
ADAM = ["optimizer=adam", "optimizer.lr=0.003"]
OWN_DATA = ["data=own", "data.task=classification", "data.rows=900", "normalise=none"]
HITS = ["metric=reported", "metric.name=hits", "metric.direction=maximize"]
GIVEN = ["split=predefined", "split.test=0.25", "split.val=given"]


def _data(function, **keys):
    room = "tables" if function == "table" else "rows"
    words = [
        f"data._target_=everyday_{room}.{function}",
        "data.inputs=null",
        "data.outputs=null",
        "+data.seed=0",
    ]
    return words + [f"+data.{key}='{value}'" for key, value in keys.items()]


def _table(source, fault):
    numbers = [*REGRESSION] if source == "friedman" else []
    gaps = ["data.impute=mean"] * fault.startswith("missing")
    given = GIVEN * fault.startswith("validation")
    return [*numbers, *_data("table", source=source, fault=fault), *gaps, *given, *ADAM]


def _model(target, source, **keys):
    rows = _table(source, "")
    words = [f"+model.{key}='{value}'" for key, value in keys.items()]
    return [
        *rows,
        "model=own",
        "~model.width",
        f"+model._target_=everyday_models.{target}",
        "+model.inputs=${data.inputs}",
        "+model.outputs=${data.outputs}",
        *words,
    ]


def _texts(fault, data_fault=""):
    return [
        *_data("texts", fault=data_fault),
        "+data.vocabulary=62",
        "normalise=none",
        *ADAM,
        "model=own",
        "~model.width",
        "+model._target_=everyday_models.Reader",
        "+model.vocabulary=62",
        "+model.outputs=${data.outputs}",
        f"+model.fault='{fault}'",
    ]


def _loop(script, source, fault):
    rate = {"functional": "0.5"}.get(script, "0.003")
    rows = _table(source, "") if script in ("engine", "functional") else [*OWN_DATA, *HITS]
    if script in ("pictures", "pairs"):
        rows = ["normalise=none"]
    if source == "friedman":
        rows = [word for word in rows if word != "loss=mse"]
    room = "loops" if script in ("engine", "functional") else "tasks"
    return [
        *[word for word in rows if not word.startswith("optimizer")],
        "model=own",
        f"optimizer.lr={rate}",
        f"trainer._target_=everyday_{room}.{script}",
        "trainer.predict=null",
        f'+trainer.fault="{fault}"',
    ]


# Fault -> where it is planted, and the checks that name it
TABLES = {
    "ids by site": ("wine churn", "telltale_feature"),
    "hashed target": ("machines churn", "telltale_feature"),
    "logged later": ("churn", "telltale_feature"),
    "missing by label": ("churn cancer", "telltale_feature"),
    "encoded with itself": ("friedman churn", "telltale_feature"),
    "ratio of two": ("friedman", "telltale_feature"),
    "word of label": ("cancer", "telltale_feature"),
    "bill by parts": ("friedman", "telltale_feature"),
    "mirrored": ("digits", "shared_rows"),
    "brighter": ("digits", "shared_rows"),
    "columns rolled": ("machines", "shared_rows"),
    "jittered": ("churn friedman", "shared_rows"),
    "imputed twice": ("cancer machines", "shared_rows"),
    "one class strays": ("wine digits", "label_noise"),
    "second annotator": ("digits machines", "label_noise"),
    "constant range": ("iris machines", "label_noise"),
    "wrong join": ("digits", "label_noise"),
    "pounds": ("friedman", "label_noise targets"),
    "marked missing": ("friedman", "targets label_noise"),
    "validation: numbered apart": ("machines iris", "validation_labels"),
    "validation: in logarithms": ("friedman", "validation_labels"),
    "validation: sign flipped": ("friedman", "validation_labels"),
    "validation: columns in another order": ("wine", "same_distribution"),
    "validation: a sensor died": ("machines", "same_distribution constant_features"),
}
MODELS = {
    "gate shut": ("digits", "gradients"),
    "saturated": ("machines", "initial_weights dead_units"),
    "deep without a skip": ("digits", "gradients initial_weights"),
    "deep and linear": ("digits", "capacity"),
    "reads half": ("machines digits", "capacity"),
    "scaled by the batch": ("machines", "evaluation_mode"),
    "centred by the batch": ("digits", "evaluation_mode"),
    "normalised over rows": ("wine", "evaluation_mode"),
    "batch statistics": ("digits", "evaluation_mode batch_norm"),
    "viewed, not transposed": ("machines", "evaluation_mode"),
    "drawn in forward": ("digits", "evaluation_mode gradients"),
    "pooled over rows": ("wine", "evaluation_mode"),
    "chosen by argmax": ("digits", "output_layer gradients"),
    "one feature normalised": ("friedman", "output_layer gradients capacity"),
    "temperature": ("machines", "first_loss"),
    "cooled": ("digits", "learning_rate gradients output_layer"),
    "softplus end": ("friedman", "output_layer"),
    "log-sigmoid end": ("machines", "output_layer"),
    "dropout last": ("digits", "evaluation_mode"),
}
TEXTS = {
    "attention over rows": "evaluation_mode",
    "padding attended": "padding",
    "padding averaged": "padding",
    "padding is last": "padding",
    "first token alone": "gradients capacity padding",
}
LOOPS = {
    "engine": (
        "digits machines churn",
        {
            "cleared before the step": "optimizer_steps learning_rate",
            "clears the head alone": "optimizer_steps",
            "accumulates, steps each time": "optimizer_steps",
            "clipped to nothing": "learning_rate optimizer_steps gradients",
            "signs clipped": "learning_rate optimizer_steps gradients",
            "optimizer of a twin": "gradients",
            "body alone": "gradients",
            "biases alone": "gradients",
            "all in bfloat16": "learning_rate optimizer_steps",
            "decays by 60": "learning_rate",
            "plateau upside down": "learning_rate",
            "halves each batch": "learning_rate",
            "argmaxed": "gradients optimizer_steps",
            "probabilities detached": "gradients optimizer_steps",
            "smoothed away": "overfit labels_matter reported_losses first_loss",
            "sorted by class": "shuffling",
            "shuffled in place": "overfit labels_matter",
            "validation too": "batches",
            "leaves after one batch": "batches",
            "labels of the next batch": "overfit labels_matter",
            "average copied back": "optimizer_steps",
            "rounded to a grid": "optimizer_steps",
            "keeps the worst": "optimizer_steps trains",
            "head's mode alone": "evaluation_mode",
            "last batch": "reported_losses",
            "labels of train": "reported_losses",
            "adds the batches": "reported_losses",
            "predicts train rows": "reported_losses",
            "divided by rows": "reported_losses",
        },
    ),
    "functional": ("digits", {"steps forgotten": "optimizer_steps trains learning_rate"}),
    "counts": ("", {"rows against columns": "output_layer", "rate cut at one": "output_layer"}),
    "spreads": ("", {"quantiles mixed up": "output_layer", "spread detached": "gradients"}),
    "tags": (
        "",
        {
            "steps first": "evaluation_mode",
            "viewed as classes first": "output_layer evaluation_mode",
            "padding is a label": "padding",
        },
    ),
    "several": (
        "",
        {
            "softmax for sigmoids": "output_layer",
            "softmax over rows": "output_layer evaluation_mode",
            "labels rolled in validation": "reported_losses",
        },
    ),
    "pictures": (
        "",
        {
            "norm of one pixel": "gradients output_layer trains",
            "softmax of features over rows": "evaluation_mode",
            "validation in another scale": "batches",
            "turned in training alone": "held_out",
        },
    ),
    "pairs": ("", {"normalised over rows": "evaluation_mode output_layer"}),
}
TWINS = (
    ("wine", ""),
    ("churn", ""),
    ("machines", ""),
    ("friedman", ""),
    ("churn", "random ids"),
    ("machines", "hashed customer"),
    ("churn", "logged any time"),
    ("cancer", "missing anywhere"),
    ("churn", "encoded without"),
    ("cancer", "words"),
)
ODD = {
    "censored": REGRESSION,
    "angle": REGRESSION,
    "ordinal": REGRESSION,
    "cauchy": ["data=diabetes", "metric=mae", "loss=huber"],
    "thirty rows": ["trainer.batch_size=8"],
    "one in three hundred": ["metric=balanced_accuracy", "trainer.balance=1.0"],
    "a person's visits": ["split=grouped"],
    "windows": [*REGRESSION, "split=ordered"],
}
SHAPES = (
    "shared", "recomputed", "lazy", "complex", "spectral", "orthogonal", "waves", "prototypes", "experts",
    "bilinear", "tied", "rounds",
)  # fmt: skip
HABITS = (
    ("engine", "digits", ""),
    ("engine", "friedman", ""),
    ("engine", "churn", "warm restarts"),
    ("engine", "machines", "two passes"),
    ("engine", "digits", "average"),
    ("engine", "machines", "looks ahead"),
    ("engine", "digits", "head first"),
    ("engine", "churn", "gradient noise"),
    ("engine", "machines", "smoothed"),
    ("engine", "digits", "clipped"),
    ("functional", "digits", ""),
    ("counts", "", ""),
    ("spreads", "", ""),
    ("spreads", "", "quantiles"),
    ("tags", "", ""),
    ("several", "", ""),
    ("several", "", "weighted"),
    ("pictures", "", ""),
    ("pictures", "", "patches"),
    ("pictures", "", "teacher"),
    ("pairs", "", ""),
)


def _faults():
    for fault, (sources, found) in TABLES.items():
        for source in sources.split():
            yield f"table: {fault}", source, _table(source, fault), found
    yield (
        "windows at random",
        "series",
        [*REGRESSION, *_data("odd", kind="windows at random"), *ADAM],
        "shared_rows",
    )
    for fault, (sources, found) in MODELS.items():
        for source in sources.split():
            yield f"model: {fault}", source, _model("Faulty", source, fault=fault), found
    for fault, found in TEXTS.items():
        yield f"model: {fault}", "texts", _texts(fault), found
    yield (
        "texts: outcome in the text",
        "texts",
        _texts("", "outcome in the text"),
        "telltale_feature",
    )
    yield "texts: copies", "texts", _texts("", "copies"), "shared_rows"
    for script, (sources, kinds) in LOOPS.items():
        for number, (fault, found) in enumerate(kinds.items()):
            source = (sources.split() or [""])[number % max(1, len(sources.split()))]
            yield f"{script}: {fault}", source or "own", _loop(script, source, fault), found


def _sound():
    for source, kind in TWINS:
        yield f"table: {kind or 'as it is'}", source, _table(source, kind)
    for kind, words in ODD.items():
        yield f"odd: {kind}", "rows", [*words, *_data("odd", kind=kind.replace("'", "\\'")), *ADAM]
    for source in ("digits", "friedman"):
        yield "model: as it is", source, _model("Faulty", source, fault="")
    for number, shape in enumerate(SHAPES):
        source = ("digits", "machines", "friedman")[number % (2 if shape == "prototypes" else 3)]
        yield f"model: {shape}", source, _model("Rare", source, shape=shape)
    yield "texts: as it is", "texts", _texts("")
    for script, source, habit in HABITS:
        yield f"{script}: {habit or 'as it is'}", source or "own", _loop(script, source, habit)


FAULTS = [
    SetUp(f"{kind} · {name}", words, tuple(checks.split()))
    for kind, name, words, checks in _faults()
]
SOUND = [SetUp(f"{kind} · {name}", words) for kind, name, words in _sound()]
