"""Which part each knob plays in a sweep: scientific, nuisance or follower (P1, R28).

Looks at knobs and config only; never at trials.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from search.config.knobs import Knob, as_number, is_number, written
from search.config.ranges import shipped_limits
from search.config.schema import check_value
from search.config.trial_config import hidden_keys, target_of
from search.errors import UsageError, refused, unknown

# Columns of trials.csv and summary.csv: a knob has a column by its path.
COLUMNS = (
    "trial", "stage", "state", "value", "best_epoch", "epochs", "seed", "seconds", "device",
    "strategy", "verdict", "reason", "source", "rank", "with", "n", "mean", "std", "interval",
    "against", "decision", "complete", "pruned", "failed", "infeasible", "lost", "running",
    "queued",
)  # fmt: skip


def check_paths(knobs: Sequence[Knob]) -> None:
    """No two knobs turn the same key."""
    paths = [knob.path for knob in knobs]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise refused(
            f"space.{twice[0]}",
            code="two-knobs-of-one-path",
            rule="a path has one knob",
            got="two",
            remedy="drop one of them",
        )


def check_roles(knobs: Sequence[Knob]) -> None:
    """A sweep has one knob that it is about, and at most one nuisance beside each of its values."""
    check_paths(knobs)
    about = [knob.path for knob in knobs if not knob.nuisance]
    if len(about) != 1:
        got = ", ".join(about) or "none"
        raise refused(
            "space",
            code="sweep-turns-one-knob",
            rule="a sweep turns one knob at a time (R28)",
            got=got,
            remedy="choose a space with one knob, or search many at once by protocol=joint, or one "
            "after the other by python -m search tune",
        )
    beside = [knob.choice for knob in knobs if knob.nuisance]
    if len(set(beside)) < len(beside) or (None in beside and len(beside) > 1):
        got = ", ".join(knob.path for knob in knobs if knob.nuisance)
        raise refused(
            "space",
            code="one-nuisance-per-value",
            rule="at most one nuisance knob is tuned beside each value (P1)",
            got=got,
            remedy="drop the others",
        )


def default_of(config: DictConfig, knob: Knob, missing: object = None) -> Any:
    """A knob's value in the baseline, or within its choice; `missing` if there is no such key."""
    choices = config.get("choices") or {}
    groups = choices.keys()  # OmegaConf takes twenty times as long to say that one is none
    if knob.path in groups:
        return config.chosen[knob.path]
    if knob.choice is not None:
        group, choice = knob.choice
        inner = target_of(knob.path, choices).partition(".")[2]
        return OmegaConf.select(config, f"choices.{group}.{choice}.{inner}", default=missing)
    return OmegaConf.select(config, knob.path, default=missing)


def whole_by_default(config: DictConfig, knobs: Sequence[Knob]) -> list[str]:
    """Knobs whose default and ends are whole numbers and whose other values are not, a line each:
    a number of units or of features was meant, as a rule.
    """
    lines = []
    for knob in knobs:
        default = default_of(config, knob)
        is_whole = isinstance(default, int) and not isinstance(default, bool)
        if knob.choices or knob.integer or not is_whole or knob.high - knob.low < 2:
            continue
        if float(knob.low).is_integer() and float(knob.high).is_integer():
            between = next((value for value in knob.grid() if as_number(value) % 1), None)
            scale = "log" if knob.log else "interval"
            if between is not None:
                lines.append(
                    f"{knob.path} is {default}, and its knob takes fractions such as {between}: "
                    f"int({scale}({knob.low:g}, {knob.high:g})) gives whole numbers only"
                )
    return lines


def outside_by_default(config: DictConfig, knobs: Sequence[Knob]) -> list[str]:
    """Knobs whose baseline lies outside the range that is searched, a line each: what is gained
    beside it may only say that it is no value for this training.
    """
    lines = []
    for knob in knobs:
        default = default_of(config, knob)
        is_off = default == 0  # such as a penalty, on a log scale
        if not knob.choices and is_number(default) and not is_off and not knob.holds(default):
            lines.append(
                f"the baseline of {knob.path}, {written(default)}, lies outside its range, "
                f"{knob.low:g} to {knob.high:g}: {knob.path}= gives another one, knob.{knob.path}= "
                "another range"
            )
    return lines


def lacks(config: DictConfig, knob: Knob) -> tuple[str, str] | None:
    """What a knob needs of the config that it does not say, and what it says; None: nothing."""
    for need in knob.needs:
        value = OmegaConf.select(config, need.path)
        if not need.holds(value):
            return str(need), f"{need.path}={'null' if value is None else value}"
    return None


def fits(config: DictConfig, knobs: Sequence[Knob], *, turned: Collection[str]) -> bool:
    """Whether the config says what these knobs need, or knobs `turned` beside them may say it."""
    return all(
        need.holds(OmegaConf.select(config, need.path)) or need.path in turned
        for knob in knobs
        for need in knob.needs
    )


def check_knob(config: DictConfig, knob: Knob) -> None:
    """A knob turns something that the config has and the trainer sees."""
    where, missing = f"space.{knob.path}", object()
    if knob.path.partition(".")[0] in hidden_keys(config):
        got = f"{knob.path}, which no trainer sees"
        raise refused(
            where,
            code="knob-has-no-effect",
            rule="a knob must have an effect on the training",
            got=got,
            remedy="drop it",
        )
    if knob.path in COLUMNS:
        rule, remedy = "a knob must not be named like a column of the tables", "nest it, as my."
        raise refused(
            where,
            code="knob-named-like-column",
            rule=rule,
            got=knob.path,
            remedy=f"{remedy}{knob.path}",
        )
    _check_conditions(where, config, knob)
    default = default_of(config, knob, missing)
    if default is missing:
        parent, _, _ = knob.path.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        known = (
            [f"{parent}.{name!s}".lstrip(".") for name in node]
            if isinstance(node, DictConfig)
            else []
        )
        raise UsageError(
            f"{where}: a knob's path must be a key of the config; "
            + unknown("key", name=knob.path, known=known),
            code="knob-not-a-key",
        )
    _check_default(where, knob, default)


def _check_conditions(where: str, config: DictConfig, knob: Knob) -> None:
    """The choice under which a knob counts, and what it needs of the config, can be."""
    if knob.choice is not None and knob.choice[0] not in (config.get("choices") or {}):
        raise refused(
            where,
            code="condition-on-plain-key",
            rule="a knob under a choice needs choices that are options of a config group",
            got=f"choices of the key {knob.choice[0]}",
            remedy="make them two knobs that do not depend on each other, or files of a group in "
            "your --config-dir",
        )
    lacking = lacks(config, knob)
    if lacking:
        remedy = "choose another knob of this path, or change that key"
        raise refused(
            where,
            code="knob-lacks-its-need",
            rule=f"it needs {lacking[0]}",
            got=lacking[1],
            remedy=remedy,
        )


def _check_default(where: str, knob: Knob, default: object) -> None:
    """What the config says is no group of keys, and a number where a range is swept."""
    if isinstance(default, DictConfig):
        raise refused(
            where,
            code="choices-not-option-names",
            rule="choices of a config group are names of its options",
            got=knob.path,
            remedy="name a key of it",
        )
    if not (is_number(default) or (knob.choices and not isinstance(default, ListConfig))):
        noun = "one value, no list," if knob.choices else "a number"
        raise refused(
            where,
            code="swept-key-not-a-number",
            rule=f"the config's {knob.path} must be {noun} to be swept",
            got=repr(default),
            remedy=f"say {knob.path}=…",
        )


def check_values(resolved: Mapping[str, Any], knob: Knob) -> None:
    """Every value of a knob is one that its key may have, under the knob's own option."""
    choices, path = resolved.get("choices") or {}, knob.path
    if path in choices:
        return
    if knob.choice is not None:
        group, option = knob.choice
        resolved = {**resolved, group: choices[group][option]}
        path = target_of(path, choices)
    for value in knob.choices or knob.ends:
        check_value(resolved, path, value)


def unequal_settings(config: DictConfig, knobs: Sequence[Knob]) -> list[str]:
    """Known knobs that a sweep over a config group neither tunes nor holds equal, in words (P1)."""
    lines, choices = [], config.get("choices") or {}
    tuned = {target_of(knob.path, choices) for knob in knobs}
    options = {
        knob.path: {name: nodes[name] for name in knob.choices if name in nodes}
        for knob in knobs
        if (nodes := choices.get(knob.path))
    }
    for path in shipped_limits():
        group, _, key = path.partition(".")
        if group in options and path not in tuned:
            values = {str(name): node.get(key) for name, node in options[group].items()}
            given = {name: value for name, value in values.items() if value is not None}
            if len(set(given.values())) > 1:
                lines.append(f"{path} ({_by_value(given)})")
    return lines


def _by_value(values: dict[str, Any]) -> str:
    """`adamw 0.01, else 0.0`: the most common value last."""
    common = Counter(values.values()).most_common(1)[0][0]
    others = [f"{name} {value}" for name, value in values.items() if value != common]
    return ", ".join([*others, f"else {common}"])
