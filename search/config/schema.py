"""What every key of a config may be: one table, which the door checks and which editors read.

Keys of a class or function of the user's own are the user's affair and are not in the table.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from search.config.rules import (
    Rule,
    check,
    either,
    mapping,
    mappings,
    names,
    number,
    one_of,
    text,
    truth,
    whole,
    word,
)  # fmt: skip
from search.config.trial_config import STOCK
from search.contract.tasks import TASKS
from search.errors import refused

MISSING = object()
SWITCH = ("on", "off", True, False)
SIZES, SHARE = ("inputs", "outputs", "vocabulary"), number(least=0, most=1)
# What each kind of search cannot do without: `protocol.kind` is one of these.
NEEDED_BY_KIND = {
    "sweep": ("protocol.extend", "protocol.refine"),
    "joint": ("n_trials", "sampler.kind", "pruner.kind", "protocol.confirm", "protocol.leaders"),
    "tune": (
        "protocol.share", "protocol.trials", "protocol.confirm", "protocol.confirm_most",
        "protocol.most_seeds", "protocol.leaders", "protocol.extend", "protocol.refine",
    ),
    "train": (),
}  # fmt: skip
TABLE: dict[str, Rule] = {
    "name": word(),
    "seed": whole(0, 2**32 - 1),
    "seeds": whole(1, 1000),
    "n_trials": whole(1, 10**6),
    "budget_hours": number(above=0, null=True),
    "budget_trials": whole(1, null=True),
    "budget_gpu_seconds": number(above=0, null=True),
    "lanes": either(one_of("auto", "off", False, 0), whole(2, 4096)),
    "accept_code": truth(),
    "confirm.refit": truth(),
    "keep": one_of("best", "all"),
    "report": one_of(*SWITCH),
    "rehearse": truth(),
    "results_root": word(),
    "storage.url": text(null=True),
    "storage.patience": number(least=0, most=10**6),
    "figures.layers": truth(),
    "lr_range.low": number(above=0),
    "lr_range.high": number(above=0),
    "lr_range.scale": one_of("log", "linear"),
    "lr_range.steps": whole(40, 10**5),
    "lr_range.seeds": whole(1, 100),
    "data.task": one_of(*TASKS),
    **{f"data.{key}": whole(1, null=True) for key in SIZES},
    **{f"data.{key}": whole(1) for key in ("features", "steps", "target_steps")},
    **{f"data.{key}": mapping(null=True) for key in ("auxiliary", "heads")},
    **{f"data.{key}": text(null=True) for key in ("sequence", "length", "target_length", "labels")},
    "data.files": names(),
    "data.impute": one_of("mean", "median", "most_frequent", None),
    "data.dimensions": whole(1, 2, null=True),
    "metric.name": text(),
    "metric.direction": one_of("maximize", "minimize"),
    "metric.average": one_of("macro", "micro"),
    "split.kind": text(),
    "split.seed": whole(0, 2**32 - 1),
    "normalise.target": truth(),
    "protocol.kind": one_of(*NEEDED_BY_KIND),
    **{f"protocol.{key}": whole(0, 10) for key in ("extend", "refine")},
    "protocol.follower": text(null=True),
    "protocol.link": one_of("none", "linear", "sqrt"),
    "protocol.most_seeds": whole(1, 1000),
    "protocol.worth": number(above=0, null=True),
    "protocol.confirm": whole(0, 1000),
    "protocol.confirm_most": whole(1, 1000),
    "protocol.leaders": whole(1, 1000),
    "protocol.idle": whole(1, 1000, null=True),
    "protocol.passes": whole(1, 1000, null=True),
    "protocol.share": number(above=0),
    "protocol.trials": whole(2, 10**6),
    "protocol.trials_per_knob": whole(1, 1000),
    "protocol.known": mappings(),
    **{f"protocol.{key}": truth() for key in ("halving", "own_level")},
    "protocol.rate": text(null=True),
    **{f"protocol.{key}": names() for key in ("own_ranges", "parts")},
    "sampler.kind": one_of("auto", "gp", "tpe", "qmc", "random", "cmaes", "grid"),
    "sampler.startup": whole(1, 10**6),
    "pruner.kind": one_of("none", "median", "asha", "hyperband", "patient"),
    **{f"pruner.{key}": whole(1) for key in ("warmup", "every", "patience")},
    "pruner.reduction": whole(2, 1000),
    "preflight.mode": one_of("on", "warn", "off", True, False),
    "preflight.allow": names(),
    "preflight.gradcheck": truth(),
    "preflight.seconds": number(least=1, most=10**6),
    "placement.slots": either(one_of("auto"), whole(1, 4096)),
    "placement.slots_per_gpu": whole(1, 64),
    "placement.address": word(),
    "placement.scheduler": word(),
    "placement.shared": truth(),
    "placement.gpus_per_trial": whole(0, 64, null=True),
    "placement.threads": whole(1, 1024),
    "placement.patience": number(least=1, most=10**6),
    "placement.memory_gb": number(above=0, null=True),
    "placement.grace": number(above=0, most=10**6),
    "placement.max_retries": whole(0, 1000),
    **{
        f"{group}._target_": text(null=True)
        for group in ("model", "optimizer", "schedule", "loss", "data", "augment", "normalise")
    },
    "augment.dimensions": whole(1, 2),
    "distillation.teacher": text(null=True),
    "distillation.temperature": number(above=0, most=10**6),
    "distillation.weight": number(least=0, most=1),
    "features.k_best.share": number(above=0, most=1),
    "features.k_best.k": whole(1, null=True),
    "features.pca.n_components": number(above=0),
    "features.bins.n_bins": whole(2, 10**6),
    "trainer._target_": text(),
    "trainer.predict": text(null=True),
    "trainer.epochs": whole(1, 10**6),
    "trainer.patience": whole(1, null=True),
    "trainer.stop_on": one_of("metric", "val_loss"),
    "trainer.score": one_of("best", "last"),
    "trainer.timeout": number(above=0, null=True),
    "trainer.epoch_timeout": number(above=0),
    "trainer.checkpoint_every": number(above=0),
    "trainer.max_log_mb": number(above=0, most=10**6),
}
EVERY_SCHEDULE = {"interval": one_of("epoch", "step"), "warmup": number(least=0, most=10**6)}
# Keys of shipped classes: by the import path that begins so, keys below the group.
CLASSES: dict[str, dict[str, dict[str, Rule]]] = {
    "data": {
        "trainers.data.folder.": {"path": text(), "side": whole(1, 4096), "channels": whole(1, 3)},
        "trainers.data.idx.": {"path": text(), "published": one_of("mnist", "fashion_mnist", None)},
        "trainers.data.cifar10.": {"path": text(), "published": truth()},
    },
    "trainer": {
        STOCK: {
            "batch_size": whole(1),
            "fraction": number(above=0, most=1),
            "balance": number(least=0, most=1),
            "l1": number(least=0, null=True),
            "flood": number(least=0, null=True),
            **dict.fromkeys(("clip", "max_norm"), number(above=0, null=True)),
            "train_metric": truth(),
        }
    },
    "model": {
        "trainers.models.": {
            **dict.fromkeys((*SIZES, "features", "first_width", "parameters"), whole(1, null=True)),
            "channels": whole(1),
            "embedding": whole(1, 10**6),
            "embedding_init": text(),
            "embedding_gain": number(above=0, most=10**6),
            "length": whole(1),
            "teacher_forcing": number(least=0, most=1),
            "width": whole(1, 10**6),
            "depth": whole(0, 1000),
            "dropout": number(least=0, most=1),
            "norm": text(),
            "residual": truth(),
            "slope": number(null=True),
            "pieces": whole(1, 1000),
            "activation": text(),
            "init": text(),
            "gain": number(above=0, most=10**6),
        }
    },
    "optimizer": {
        prefix: {
            **dict.fromkeys(("lr", "final_lr", "weight_decay"), number(least=0, most=1e9)),
            **dict.fromkeys(("momentum", "alpha", "rho", "gamma", "tolerance"), SHARE),
            **dict.fromkeys(("nesterov", "amsgrad"), truth()),
        }
        for prefix in ("torch.optim.", "trainers.optimizers.")
    },
    "loss": {
        "torch.nn.CrossEntropyLoss": {"label_smoothing": number(least=0, most=1)},
        "trainers.losses.BinaryCrossEntropy": {"positive_weight": number(above=0)},
    },
    "schedule": {
        "None": EVERY_SCHEDULE,
        "torch.optim.lr_scheduler.": {
            **EVERY_SCHEDULE,
            "watch": one_of("val_loss", "metric"),
            "gamma": number(above=0, most=1000),
            "factor": number(above=0, most=1),
            "patience": whole(0),
            **{key: whole(1) for key in ("step_size", "step_size_up", "T_max")},
            **{key: number(least=0) for key in ("base_lr", "max_lr")},
            "total_steps": whole(1, null=True),
            "cycle_momentum": truth(),
        },
    },
}
# What no config is without. Others came later, and a folder of an earlier version lacks them.
REQUIRED = (
    "name", "seed", "seeds", "keep", "rehearse", "results_root", "data.task", "metric.name",
    "metric.direction", "split.kind", "normalise._target_", "protocol.kind",
    "placement.slots_per_gpu", "placement.gpus", "placement.threads", "placement.grace",
    "placement.max_retries",
    "trainer._target_", "trainer.predict", "trainer.epochs", "trainer.patience", "trainer.timeout",
    "trainer.epoch_timeout", "trainer.checkpoint_every", "trainer.max_log_mb",
)  # fmt: skip
# What the stock trainer cannot do without.
NEEDED_BY_STOCK = ("model._target_", "optimizer._target_", "loss._target_", "trainer.batch_size")
MAPPINGS = (
    "data", "model", "optimizer", "schedule", "loss", "trainer", "metric", "split", "normalise",
    "placement", "protocol",
)  # fmt: skip
OPTIONAL_MAPPINGS = (
    "features", "distillation", "space", "sampler", "pruner", "preflight", "lr_range", "figures",
    "storage", "callbacks", "choices",
)  # fmt: skip


def check_settings(config: Mapping[str, Any]) -> None:
    """Every key of a resolved config is what it may be."""
    check_groups(config)
    of_stock = NEEDED_BY_STOCK if _select(config, "trainer._target_") == STOCK else ()
    of_kind = NEEDED_BY_KIND.get(str(_select(config, "protocol.kind")), ())
    check_there(config, (*REQUIRED, *of_stock, *of_kind))
    for path, rule in rules_of(config).items():
        value = _select(config, path)
        if value is not MISSING:
            check(path, value, rule)


def check_there(config: Mapping[str, Any], paths: Iterable[str]) -> None:
    """All these keys are there."""
    for path in paths:
        value = _select(config, path)
        if value is MISSING or (value is None and path in NEEDED_BY_STOCK):
            needed, remedy = "every config has this key", f"say {path}=…"
            raise refused(path, code="required-key-missing", rule=needed, got="none", remedy=remedy)


def check_groups(config: object) -> None:
    """Every group of a config is there, and is a group."""
    check("config", config, mapping())
    assert isinstance(config, Mapping)
    for group in (*MAPPINGS, *OPTIONAL_MAPPINGS):
        if group in MAPPINGS or config.get(group) is not None:
            check(group, config.get(group), mapping())


def check_value(config: Mapping[str, Any], path: str, value: object) -> None:
    """A value that a knob gives to a key is one that the key may have."""
    rule = rules_of(config).get(path)
    if rule is not None:
        check(f"space.{path}", value, rule)


def rules_of(config: Mapping[str, Any]) -> dict[str, Rule]:
    """The rules of a config's keys by path: those of the classes that it names included."""
    rules = dict(TABLE)
    for group, classes in CLASSES.items():
        node = config.get(group)
        target = str(node.get("_target_")) if isinstance(node, Mapping) else ""
        for prefix, keys in classes.items():
            # A class derived from the stock trainer stands beside all keys of it.
            derived = prefix == STOCK and isinstance(node, Mapping) and keys.keys() <= node.keys()
            if target.startswith(prefix) or derived:
                rules |= {f"{group}.{key}": rule for key, rule in keys.items()}
    if _select(config, "protocol.kind") == "tune":
        rules["protocol.confirm"] = whole(2, 1000)  # seeds: one alone confirms nothing
    return rules


def _select(config: Mapping[str, Any], path: str) -> object:
    node: object = config
    for part in path.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return MISSING
        node = node[part]
    return node
