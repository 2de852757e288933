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
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np

from search.config.counted import count
from search.diagnostics.logs.columns import Layout, layout_of
from search.diagnostics.logs.doubts import refuse_unlikely, unread, without_other_scale
from search.diagnostics.logs.epochs import Cells, are_apart, epochs_of, untaken
from search.diagnostics.logs.formats import tables_of
from search.diagnostics.logs.line import ROUND, Line, Table, is_told, number_in
from search.diagnostics.logs.losses import FEW
from search.diagnostics.logs.measures import (
    ERRORS,
    LOWER,
    OF_TRAIN,
    SHARES,
    measure_of,
    with_losses,
)
from search.diagnostics.logs.phases import TRAIN, VAL, by_phase
from search.diagnostics.logs.trainings import mixed_at, trainings_of
from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.from_columns import curves_of
from search.errors import UsageError, refused

REWARDS = {"reward", "rewards", "advantage", "advantages", "critic", "episode", "episodes"}
REWARDS |= {"policy", "vf"}
OF_NAMES = ("valid", "eval", "valres", "valloss")  # so names of what holds validation begin
OF_TEST = re.compile(r"(?<![a-z])test(?:s|ed|ing)?[\W_]*loss", re.I)
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
    read = _each(files or [place], lambda file: tables_of(Path(file), left_out), left_out=left_out)
    tables = _by_log({part: table for parts in read.values() for part, table in parts.items()})
    logs = _each(
        tables,
        lambda file: _read(Path(file), tables[file], scale=scale, chosen=columns or {}),
        left_out=left_out,
    )
    if not logs:
        raise next(iter(left_out.values()))
    if alone := logs.get(str(Path(place))):
        return alone
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
    layouts = "; or ".join(dict.fromkeys(log.columns for log in logs.values()))
    boosted, told = any(log.boosted for log in logs.values()), list(map(str, left_out.values()))
    return Log(trainings=trainings, columns=layouts, boosted=boosted, left_out=told)


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
        named = {file: list(map(float, re.findall(r"\d+", Path(file).stem))) for file in own}
        rows = {
            epoch: cells
            for file, (_, lines, _) in own.items()
            for _, cells in (lines if named[file] else ())
            if (epoch := number_in(cells.get("epoch", ""))) in named[file]
        }
        if not 1 < len(rows) == len(own) == sum(len(lines) for _, lines, _ in own.values()):
            made |= own
            continue
        ordered = [rows[epoch] for epoch in sorted(rows)]
        header = list(dict.fromkeys(name for cells in ordered for name in cells))
        made[str(folder / folder.name)] = header, list(enumerate(ordered, start=1)), {}
    return made


def _read(
    path: Path, table: Table, *, scale: tuple[int, float | None], chosen: Mapping[str, str]
) -> Log:
    header, lines, unsure = table
    header, lines = by_phase(header, lines)
    header, lines, logarithms = with_losses(header, lines)
    layout = layout_of(path, header, lines, chosen=chosen)
    _refuse_mixed(path, lines, layout=layout)
    runs, again = trainings_of(path.stem, lines, layout=layout)
    is_error = layout.train[0].rpartition("_")[2] in ERRORS and "train" not in chosen
    scale = (0, scale[1]) if is_error else scale  # classes are the scale of a loss
    trainings: dict[str, Curves] = {}
    apart, empty, settles = list[str](), list[str](), False
    if len(runs) > 1 and "val" not in chosen and _only_at_the_end(runs, layout=layout):
        layout = replace(layout, val=(), metric="")
        apart.append("left out: a loss of validation that each training tells once, at its end")
    for name, own in runs.items():
        at = f"{path}: {name}" if layout.trial else str(path)
        if not (rows := epochs_of(at, own, layout=layout)):
            empty.append(name)
            continue
        settles |= rows[0].get("so_far") == 1
        curves = _training(rows, own, layout=layout, scale=scale)
        refuse_unlikely(path, own, curves, layout=layout)
        trainings[name], why = without_other_scale(curves) if "val" not in chosen else (curves, "")
        apart += [why] if why else []
    if not trainings:
        both = " and ".join(" + ".join(names) for names in (layout.train, layout.val) if names)
        rule, remedy = f"needs epochs with numbers in {both}", "give them, by epoch"
        raise refused(str(path), code="log-lacks-numbers", rule=rule, got="none", remedy=remedy)
    used = (layout.epoch, *layout.train, *layout.val, layout.metric)
    zeros = sum(untaken(str(path), own, layout=layout) for own in runs.values())
    taken = f"not taken: a validation loss of 0 in {count(zeros, 'row')} before any other"
    remarks = [
        str(layout),
        *(text for name, text in unsure.items() if not name),
        *(f"{text} in {name}" for name, text in unsure.items() if name and name in used),
        *(f"{loss} = ln {name}" for loss, name in logarithms.items() if loss in used),
        *(f"taken up again from {layout.epoch} {at:g}" for at in again),
        *(["an error in place of a loss, which classes are no scale of"] if is_error else []),
        *([taken] if zeros else []),
        *(["averages so far, of which an epoch's last counts"] if settles else []),
        *([] if "train" in chosen else _of_no_set(path, header, layout=layout)),
        *([f"left out, as no epoch has both losses: {' '.join(empty)}"] if empty else []),
        *apart[:1],
        *unread(header, lines, layout=layout),
    ]
    boosted = layout.epoch == ROUND or all("logloss" in name for name in layout.train)
    columns = "; ".join(filter(None, (remarks[0], ", ".join(remarks[1:]))))
    return Log(trainings=trainings, columns=columns, boosted=boosted)


def _refuse_mixed(path: Path, lines: Sequence[Line], *, layout: Layout) -> None:
    """Refuses what two trainings write at once."""
    if number := mixed_at(lines, axis=layout.epoch or "", loss=layout.train[0]):
        where, rule = f"{path}: line {number}", "an epoch begins at its first steps"
        got, remedy = "its second half, as two programs write at once", "give each its own log"
        raise refused(where, code="log-mixes-trainings", rule=rule, got=got, remedy=remedy)


def _only_at_the_end(runs: Mapping[str, Sequence[Line]], *, layout: Layout) -> bool:
    """Whether no training tells validation's loss more than once, beside epochs of train."""
    often = [
        max((sum(is_told(cells, name) for _, cells in own) for name in names), default=0)
        for names in (layout.train, layout.val)
        for own in runs.values()
    ]
    of_train, of_val = often[: len(runs)], often[len(runs) :]
    return max(of_val) == 1 and max(of_train) >= FEW


def _of_no_set(path: Path, header: Sequence[str], *, layout: Layout) -> list[str]:
    """That losses without the name of a set are taken as train's, in words, if they are.

    Raises:
        UsageError: the file is one of validation, by its name, or tells of rewards, beside which a
            loss is a policy's, and does not say what was learned; or of no epoch, step or set.
    """
    if layout.val or layout.train[0].startswith(OF_TRAIN):
        return []
    words = re.findall(r"[a-z]+", path.stem.lower())
    of_val = any(word.startswith(OF_NAMES) or word in VAL for word in words)
    folder = "" if set(TRAIN) & set(words) else path.parent.name.lower()
    of_val |= folder.startswith(OF_NAMES) or OF_TEST.search(path.stem) is not None
    rewards = next((name for name in header if REWARDS & set(name.split("_"))), "")
    told = layout.epoch is not None or layout.steps or "epoch" in header
    counted = not told and "history" not in words  # which is of epochs
    if of_val or rewards or counted:
        where = f"beside {rewards}" if rewards else "which no epoch, step nor set tells"
        where = "in a file or folder whose name tells of validation" if of_val else where
        name = "+".join(layout.train)
        rule, remedy = "needs losses of train", f"say --columns train={name} if it is train's"
        got = f"{name}, {where}"
        raise refused(str(path), code="log-tells-not-of-train", rule=rule, got=got, remedy=remedy)
    return [f"{' + '.join(layout.train)} names no set and is taken as train's"]


def _training(
    rows: Sequence[Cells],
    lines: Sequence[Line],
    *,
    layout: Layout,
    scale: tuple[int, float | None],
) -> Curves:
    classes, constant = scale
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
