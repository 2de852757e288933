"""Which columns of somebody's log hold the losses of train and of validation."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from search.diagnostics.logs.line import GAPS, ROUND, Line, is_told, number_in
from search.diagnostics.logs.measures import (
    ERRORS,
    OF_TRAIN,
    OF_VAL,
    PARTS,
    TRAIN,
    VAL,
    is_loss,
    is_of_val,
)
from search.errors import refused

EPOCH = ("epoch", "epochs", ROUND, "")  # a frame's index has no name
STEP = ("step", "global_step", "iteration", "iter", "iters", "total_steps")
SHOWN = 5  # names that a refusal gives as examples
FEW = 3  # epochs that show no trend
FILLED = 0.2  # of the rows of the fullest, below which a column of a known name is passed over


def losses_of(
    path: Path,
    header: Sequence[str],
    lines: Sequence[Line],
    *,
    filled: Counter[str],
    roles: Mapping[str, tuple[str, ...]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The losses of train and of validation; none of validation where it was hardly taken."""
    axis = next((name for name in (*EPOCH, *STEP) if name and name in header), None)
    often = Counter({name: epochs_telling(lines, name, axis) for name in header})
    twins = _twins(header, lines, often)
    train: tuple[str, ...]
    val: tuple[str, ...]
    val = (name,) if (name := fullest(VAL, often, header)) else ()
    train = (name,) if (name := _beside(val, lines) or fullest(TRAIN, often, header)) else ()
    lacks = not (train and val) and (not train or any(map(is_loss, twins[0])))
    if twins[0] and (lacks or sum(often[name] for name in train) < FILLED * often[twins[0][0]]):
        train, val = twins
    train = train or _only_loss_of_train(header)
    others = [name for name in header if is_loss(name) and not is_of_val(name)]
    doubtful = len(train) == 1 and train[0] in PARTS and len(others) > 1
    together = (all(is_told(cells, name) for name in train) for _, cells in lines)
    doubtful |= len(train) > 1 and not any(together)  # of several, none may be all
    if "train" not in roles and (not train or doubtful):
        _refuse(path, header, lines, TRAIN, role="train")
    train = roles.get("train", train)
    if val == VAL[-1:] and filled[VAL[-1]] == 1 and max(filled[name] for name in train) > 2:
        val = ()  # of a test at the end
    others = [name for name in header if is_of_val(name) and is_loss(name)]
    if others and not val and "val" not in roles:  # their names do not say which of them counts
        _refuse(path, others, lines, VAL, role="val")
    if 0 < _taken(lines, val) < FEW <= filled[train[0]]:
        val = ()  # it was taken once or twice, as at the end alone
    return train, roles.get("val", val)


def _twins(
    header: Sequence[str], lines: Sequence[Line], often: Counter[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Losses that are told of train and of validation under the same name, or else an error; of
    several, the one that is the sum of the others, else all but nearly empty ones.
    """
    train = {name: name for name in header if not name.startswith((*OF_TRAIN, *OF_VAL))}
    train |= {rest: name for name in header if (rest := _rest(name, OF_TRAIN))}
    train |= {name.removesuffix("_epoch"): train[name] for name in train if "loss_epoch" in name}
    val = {_rest(name, (of,)): name for of in reversed(OF_VAL) for name in header}
    both = [name for name in train if name and name in val]
    names = [name for name in both if is_loss(name)]
    most = max((often[train[name]] for name in names), default=0)
    names = [name for name in names if often[train[name]] >= FILLED * most]
    names = names or [name for name in ERRORS if name in both][:1]
    sums = [name for name in names if all(_is_sum(name, names, of, lines) for of in (train, val))]
    names = sums[:1] or names
    return tuple(train[name] for name in names), tuple(val[name] for name in names)


def _is_sum(
    whole: str, names: Sequence[str], columns: Mapping[str, str], lines: Sequence[Line]
) -> bool:
    """Whether a loss is the sum of all others in every line that tells them."""
    rows = [
        [number_in(cells[columns[name]]) or 0.0 for name in names]
        for _, cells in lines
        if all(is_told(cells, columns[name]) for name in names)
    ]
    at = names.index(whole)
    return bool(rows) and all(math.isclose(2 * row[at], sum(row), rel_tol=0.01) for row in rows)


def _rest(name: str, before: Sequence[str]) -> str:
    """A name without its prefix; empty where it has none."""
    prefix = next((prefix for prefix in before if name.startswith(prefix)), "")
    return name.removeprefix(prefix) if prefix else ""


def _only_loss_of_train(header: Sequence[str]) -> tuple[str, ...]:
    """The one loss of train under a name of its own, as `train_crossentropyloss`, or the only loss
    of all, as `lm_loss`, or train's only error; of several, the one whose parts the others are by
    their names, as `main_loss` beside `main_loss_conf`, else none.
    """
    losses = [name for name in header if is_loss(name)]
    losses = losses or [name for name in header if _rest(name, OF_TRAIN) in ERRORS]
    names = [name for name in losses if name.startswith(OF_TRAIN)]
    if not any(map(is_of_val, losses)):
        names = names or losses
    whole = [name for name in names if all(f"{part}_".startswith(f"{name}_") for part in names)]
    return tuple(whole)


def _beside(val: Sequence[str], lines: Sequence[Line]) -> str:
    """The first loss of train that all lines tell that tell validation's: those compare."""
    rows = [cells for _, cells in lines if val and is_told(cells, val[0])]
    whole = (name for name in TRAIN if all(is_told(cells, name) for cells in rows))
    return next(whole, "") if len(rows) > 1 else ""


def _taken(lines: Sequence[Line], val: Sequence[str]) -> int:
    """In how many lines a loss of validation is not 0; 0 where none is 0, or none is told."""
    told = [
        [number_in(cells[name]) for name in val]
        for _, cells in lines
        if val and all(is_told(cells, name) for name in val)
    ]
    taken = sum(any(numbers) for numbers in told)
    return taken if taken < len(told) else 0


def fullest(names: Sequence[str], filled: Counter[str], header: Sequence[str]) -> str:
    """The first of these that is not nearly empty, such as a total in the last row."""
    present = [name for name in names if name in header]
    most = max((filled[name] for name in present), default=0)
    least = max(FILLED * most, min(most, 2))
    return next((name for name in present if filled[name] >= least), "")


def epochs_telling(lines: Sequence[Line], name: str, axis: str | None) -> int:
    """How many epochs tell it."""
    told = ((number, cells) for number, cells in lines if is_told(cells, name))
    return len({number if axis is None else cells.get(axis) for number, cells in told})


def is_nothing(lines: Sequence[Line], name: str) -> bool:
    """Whether a loss is never told, or is 0 wherever it is, which stands for one nobody took."""
    cells = (cells.get(name, "").strip().lower() for _, cells in lines)
    return all(cell in GAPS or number_in(cell) == 0 for cell in cells)


def _refuse(
    path: Path, header: Sequence[str], lines: Sequence[Line], names: Sequence[str], *, role: str
) -> NoReturn:
    """Asks which column it is, with an answer to copy where the names or their places tell one."""
    rule = f"needs a column {names[0]} (or {', '.join(names[1:SHOWN])} …)"
    got = ", ".join(filter(None, header))
    likely = {role: "NAME"}
    for name in reversed(header):
        of = "val" if is_of_val(name) or name.startswith("v_") else "train"
        if of in (role, "val") and (is_loss(name) or f"{name}_" in (*OF_TRAIN, *OF_VAL)):
            likely[of] = name
    if all(name.isdecimal() for name in header):
        got = "columns without names: " + ", ".join(f"{n} = {lines[0][1].get(n)}" for n in header)
        first = [number_in(cells.get("1", "").partition("/")[0]) for _, cells in lines]
        counts = all(number is not None and number.is_integer() for number in first)
        counts &= len(header) > 1
        told = (name for name in header[counts:] if is_told(lines[0][1], name))
        likely = ({"epoch": "1"} if counts else {}) | {"train": next(told, "NAME")}
    answer = " ".join(f"{of}={name}" for of, name in likely.items())
    remedy = f"say which column is which, as in --columns {answer}; a+b is a sum"
    raise refused(str(path), code="log-lacks-losses", rule=rule, got=got, remedy=remedy)
