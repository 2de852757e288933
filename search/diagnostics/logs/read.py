"""Anyone's curves, from a log: the losses of train and validation by epoch or step, and a
metric where there is one.

Names of columns and gaps are taken as the usual loggers write them. Never guesses a number.
"""

import glob
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np

from search.config.counted import count
from search.diagnostics.logs.columns import Layout, layout_of
from search.diagnostics.logs.doubts import unread, without_other_scale
from search.diagnostics.logs.epochs import are_apart, epochs_of, untaken
from search.diagnostics.logs.formats import tables_of
from search.diagnostics.logs.line import ROUND, Line, Table, is_told, number_in
from search.diagnostics.logs.measures import (
    ERRORS,
    LOWER,
    OF_TRAIN,
    SHARES,
    measure_of,
    with_losses,
)
from search.diagnostics.logs.phases import TRAIN, VAL, by_phase
from search.diagnostics.logs.taken_up import taken_up
from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.from_columns import curves_of
from search.errors import UsageError, refused

REWARDS = {"reward", "rewards", "advantage", "advantages", "critic", "episode", "episodes"}
REWARDS |= {"policy", "vf"}
OF_NAMES = ("valid", "eval")  # how names of files and folders begin that hold validation
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Log:
    """Trainings by name, and which columns were read as what, in words.

    `boosted`: whether their epochs are rounds of gradient boosting, by the names of the losses.
    `left_out`: the files among others that cannot be read, and why.
    """

    trainings: Mapping[str, Curves]
    columns: str
    boosted: bool = False
    left_out: Sequence[str] = ()


def read_logs(
    place: str,
    *,
    classes: int = 0,
    constant: float | None = None,
    columns: Mapping[str, str] | None = None,
) -> Log:
    """Reads a file, or all files that a pattern such as `runs/*/metrics.csv` names.

    Args:
        place: the file, or the pattern.
        classes: of a classification, else 0.
        constant: the loss of a constant prediction, where it is known.
        columns: by role (train, val, epoch, metric, trial), where the names do not tell.

    Raises:
        UsageError: no such file, columns missing, text among numbers, epochs that repeat or do not
            rise; of several files in all of them.
    """
    scale = (classes, constant)
    pattern = f"{glob.escape(place)}/*epoch*.json" if Path(place).is_dir() else place
    files = [] if Path(place).is_file() else sorted(glob.glob(pattern, recursive=True))
    left_out: dict[str, UsageError] = {}
    read = _each(files or [place], lambda file: tables_of(Path(file)), left_out=left_out)
    tables = _by_log({part: table for parts in read.values() for part, table in parts.items()})
    logs = _each(
        tables,
        lambda file: _read(Path(file), tables[file], scale=scale, chosen=columns or {}),
        left_out=left_out,
    )
    if not logs:
        raise next(iter(left_out.values()))
    if place in logs:
        return logs[place]
    shared = os.path.commonpath([os.path.dirname(file) for file in logs]) or os.curdir
    places = {file: os.path.relpath(file, shared) for file in logs}
    folders = Counter(map(os.path.dirname, places.values()))
    stems = Counter(os.path.splitext(own)[0] for own in places.values())
    trainings: dict[str, Curves] = {}
    for file, log in logs.items():
        own = places[file]
        folder, stem = os.path.dirname(own), os.path.splitext(own)[0]
        own = stem if stems[stem] == 1 else own
        own = folder if folder and folders[folder] == 1 else own
        for name, curves in log.trainings.items():
            trainings[own if len(log.trainings) == 1 else f"{own}:{name}"] = curves
    layouts = list(dict.fromkeys(log.columns for log in logs.values()))
    boosted = any(log.boosted for log in logs.values())
    told = [str(error) for error in left_out.values()]
    return Log(trainings=trainings, columns="; or ".join(layouts), boosted=boosted, left_out=told)


def _each(
    files: Iterable[str], read: Callable[[str], T], *, left_out: dict[str, UsageError]
) -> dict[str, T]:
    """What is read of each file; those that cannot be read are left out."""
    made = {}
    for file in files:
        try:
            made[file] = read(file)
        except UsageError as error:
            left_out[file] = error
    return made


def _by_log(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The tables by file; files of a folder that are an epoch each, whose number their names hold,
    are one, under the folder's name.
    """
    made: dict[str, Table] = {}
    for folder, group in groupby(tables, key=lambda file: Path(file).parent):
        own = {file: tables[file] for file in group}
        rows = {
            epoch: cells
            for file, (_, lines, _) in own.items()
            for _, cells in lines
            if (epoch := number_in(cells.get("epoch", ""))) in _numbers(Path(file).stem)
        }
        if not 1 < len(rows) == len(own) == sum(len(lines) for _, lines, _ in own.values()):
            made |= own
            continue
        ordered = [rows[epoch] for epoch in sorted(rows)]
        header = list(dict.fromkeys(name for cells in ordered for name in cells))
        made[str(folder / folder.name)] = header, list(enumerate(ordered, start=1)), {}
    return made


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+", text)]


def _read(
    path: Path, table: Table, *, scale: tuple[int, float | None], chosen: Mapping[str, str]
) -> Log:
    header, lines, unsure = table
    header, lines = by_phase(header, lines)
    header, lines, logarithms = with_losses(header, lines)
    layout = layout_of(path, header, lines, chosen=chosen)
    axis = layout.epoch or ""  # of `3/400` the epoch
    lines = [
        (n, c | {axis: c[axis].partition("/")[0]} if "/" in c.get(axis, "") else c)
        for n, c in lines
    ]
    runs: dict[str, list[Line]] = {}
    for line in lines if layout.trial else ():
        runs.setdefault(line[1].get(layout.trial, ""), []).append(line)
    if not runs or len(runs) == len(lines) > 2:  # a column that counts the rows names nothing
        runs = _begun_anew(path.stem, lines, layout=layout)
    again: list[float] = []
    if layout.epoch is not None and not are_apart(lines, layout=layout):
        for name, own in runs.items():
            runs[name], starts = taken_up(own, axis=layout.epoch, loss=layout.train[0])
            again += starts
    is_error = layout.train[0].rpartition("_")[2] in ERRORS and "train" not in chosen
    scale = (0, scale[1]) if is_error else scale  # classes are the scale of a loss
    trainings = {
        name: _training(path, name if layout.trial else "", own, layout=layout, scale=scale)
        for name, own in runs.items()
    }
    apart: list[str] = []
    for name, curves in trainings.items() if "val" not in chosen else ():
        trainings[name], why = without_other_scale(curves)
        apart += [why] if why else []
    boosted = layout.epoch == ROUND or all("logloss" in name for name in layout.train)
    used = (layout.epoch, *layout.train, *layout.val, layout.metric)
    read = [
        text if not name else f"{text} in {name}"
        for name, text in unsure.items()
        if name in ("", *used)
    ]
    read += [text for text in logarithms if text.partition(" = ")[0] in used]
    read += [f"taken up again from {layout.epoch} {at:g}" for at in again]
    read += ["an error in place of a loss, which classes are no scale of"] if is_error else []
    if zeros := sum(untaken(path, own, layout=layout) for own in runs.values()):
        read += [f"not taken: a validation loss of 0 in {count(zeros, 'row')} before any other"]
    if not layout.val and not layout.train[0].startswith(OF_TRAIN) and "train" not in chosen:
        read += [_of_no_set(path, " + ".join(layout.train), header)]
    read += [*apart[:1], *unread(header, lines, layout=layout)]
    columns = f"{layout}; {', '.join(read)}" if read else str(layout)
    return Log(trainings=trainings, columns=columns, boosted=boosted)


def _of_no_set(path: Path, losses: str, header: Sequence[str]) -> str:
    """That losses without the name of a set are taken as train's, in words.

    Raises:
        UsageError: the file is one of validation, by its name, or tells of rewards, beside which a
            loss is a policy's, and does not say what was learned.
    """
    words = re.findall(r"[a-z]+", path.stem.lower())
    of_val = any(word.startswith(OF_NAMES) or word in VAL for word in words)
    of_val |= not set(TRAIN) & set(words) and path.parent.name.lower().startswith(OF_NAMES)
    rewards = next((name for name in header if REWARDS & set(name.split("_"))), "")
    if of_val or rewards:
        where = (
            "in a file or folder whose name tells of validation" if of_val else f"beside {rewards}"
        )
        name = losses.replace(" ", "")
        rule, remedy = "needs losses of train", f"say --columns train={name} if it is train's"
        got = f"{losses}, {where}"
        raise refused(str(path), code="log-tells-not-of-train", rule=rule, got=got, remedy=remedy)
    return f"{losses} names no set and is taken as train's"


def _begun_anew(stem: str, lines: Sequence[Line], *, layout: Layout) -> dict[str, list[Line]]:
    """The trainings that were written into one file, one behind the other: each begins at the
    first epoch again.
    """
    axis = layout.epoch
    if axis is None or are_apart(lines, layout=layout):
        return {stem: list(lines)}
    trainings, before = [list[Line]()], -math.inf
    first, last = (number_in(lines[at][1].get(axis, "")) for at in (0, -1))
    begin = 1.0 if first and not first.is_integer() else 0.0  # of parts, within the first epoch
    twice = not begin and not layout.steps and first != last  # the first again, and then on
    for line in lines:
        at = number_in(line[1].get(axis, ""))
        again = twice and at == before and _repeats(line, trainings[-1], layout=layout)
        begins = at is not None and (at == first or at <= begin) and (at < before or again)
        trainings += [[]] if begins else []
        trainings[-1].append(line)
        before = before if at is None else at
    measured = [own for own in trainings if any(is_told(c, layout.train[0]) for _, c in own)]
    trainings = measured or trainings  # others ended before their first epoch did
    if len(trainings) == 1:
        return {stem: trainings[0]}
    return {f"{stem}:{number}": own for number, own in enumerate(trainings, start=1)}


def _repeats(line: Line, before: Sequence[Line], *, layout: Layout) -> bool:
    """Whether a line tells all losses again that the line before it told."""
    names = (*layout.train, *layout.val)
    return bool(before) and all(is_told(c, name) for _, c in (line, before[-1]) for name in names)


def _training(
    path: Path,
    name: str,
    lines: Sequence[Line],
    *,
    layout: Layout,
    scale: tuple[int, float | None],
) -> Curves:
    classes, constant = scale
    rows = epochs_of(path, lines, layout=layout)
    if not rows:
        place = f"{path}: {name}" if name else str(path)
        both = " and ".join(" + ".join(names) for names in (layout.train, layout.val) if names)
        rule = f"needs epochs with numbers in {both}"
        raise refused(
            place, code="log-lacks-numbers", rule=rule, got="none", remedy="give them, by epoch"
        )
    columns = {
        name: np.array([math.nan if (cell := row.get(name)) is None else cell for row in rows])
        for name in ("epoch", "train_loss", "val_loss", "metric", *layout.extra)
    }
    if not layout.val:
        columns["val_loss"] = columns["train_loss"]
    plain = measure_of(layout.metric)
    top = float(np.nanmax(columns["metric"], initial=0.0))
    if plain in SHARES and top > 1.5:  # told in percent; above 100 it is no share at all
        columns["metric"] = columns["metric"] / (100 if top <= 100 else math.nan)
    first = float(columns["train_loss"][0])
    chance = constant or (math.log(classes) if classes > 1 else math.inf)
    known = columns["epoch"][0] == 0 and first > 0.8 * chance
    curves = curves_of(
        columns,
        axis=layout.axis,
        metric="metric",
        sign=-1.0 if plain in LOWER else 1.0,
        classes=classes,
        constant=constant,
        untrained=bool(known),
        held_out=bool(layout.val),
        began=rows[0].get("began"),
        sampled=layout.steps and are_apart(lines, layout=layout) and rows[-1].get("began") is None,
    )
    assert curves is not None  # every row has both
    return curves
