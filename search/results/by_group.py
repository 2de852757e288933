"""Whom does the winner serve badly? Its score on the rows of each named group (R3).

On validation rows at the end of a search, each by the weights that did not train on it; on test
rows where `test` opens them. Needs the winner's weights and a trainer that predicts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra.utils import get_object
from numpy.typing import NDArray

from search.config.counted import count
from search.config.plan import Plan
from search.contract.arrays import FoldData, read_folds
from search.contract.dataset import load_rows
from search.contract.metrics import Metric, in_own_units, output_of, scores
from search.results.export import trained_config
from search.storage.folder import Folder
from search.storage.sealed import read_csv, write_csv
from search.storage.trials import TrialRecord
from trainers.api import Data
from trainers.checkpoint import WEIGHTS
from trainers.predicted import predicted
from trainers.state import check_weights, owner
from trainers.teacher import EXPORTED

FILE = "groups.csv"  # group, rows, the metric; the worst group first, those without a score last
TEST_FILE = "groups-test.csv"  # the same of the test rows, once they are opened
TRIAL = "trial"
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class PredictedRows:
    """A trainer's outputs of a `kind` for rows, with their targets and their place in the data."""

    kind: str
    numbers: Array
    targets: Array
    index: Array


def write_groups(plan: Plan, winner: TrialRecord, folder: Folder) -> str:
    """Writes groups.csv of the winner, unless its own lies there.

    Returns why there is none although the data have groups; empty otherwise.
    """
    path = folder.path / FILE
    if not _are_named(plan):
        return ""
    if path.exists() and set(read_csv(path)[TRIAL]) == {winner.spec.trial}:
        return ""
    folds = read_folds(folder.arrays)
    weights = _weights_of(winner, folder, folds=len(folds))
    if not all(file.exists() for file in weights) or not plan.config.trainer.get("predict"):
        path.unlink(missing_ok=True)
        return "no scores by group: they need kept weights and trainer.predict"
    groups = load_rows(plan.config.data).data.groups
    if groups is None:
        return ""
    try:
        whole = [
            _predicted(plan, winner, replace(fold.data, test=fold.data.val), file, fold.units)
            for fold, file in zip(folds, weights, strict=True)
        ]
        frame = _scored(plan.metric, _together(whole), groups, seconds=winner.seconds)
    except Exception as error:  # noqa: BLE001  # a user's function may raise anything
        path.unlink(missing_ok=True)
        return f"no scores by group: {type(error).__name__}: {error}"
    frame[TRIAL] = winner.spec.trial
    write_csv(path, frame)
    return ""


def write_test_groups(plan: Plan, winner: TrialRecord, folder: Folder, *, rows: FoldData) -> str:
    """Writes groups-test.csv of the exported weights; returns what it says, in words.

    `rows`: with the test rows, which `test` has opened.
    """
    groups = load_rows(plan.config.data).data.groups if _are_named(plan) else None
    if groups is None:
        return ""
    try:
        outputs = _predicted(plan, winner, rows.data, folder.best / EXPORTED, rows.units)
        frame = _scored(plan.metric, outputs, groups, seconds=winner.seconds)
    except Exception as error:  # noqa: BLE001  # as above
        return f"no scores by group: {type(error).__name__}: {error}"
    frame[TRIAL] = winner.spec.trial
    write_csv(folder.path / TEST_FILE, frame)
    return ByGroup(frame=frame, metric=plan.metric.name, rows="test", file=TEST_FILE).line


@dataclass(frozen=True, kw_only=True)
class ByGroup:
    """Scores by group. `frame`: group, rows, metric; `file` holds them."""

    frame: pd.DataFrame
    metric: str
    rows: str = "validation"
    file: str = FILE

    @property
    def line(self) -> str:
        """The worst and the best group in words."""
        scored = self.frame.dropna(subset=[self.metric])
        unscored = len(self.frame) - len(scored)
        more = f"; {count(unscored, 'group')} alone cannot be scored" if unscored else ""
        if scored.empty:
            return f"by group, on {self.rows} rows{more} (R3); see {self.file}"
        return (
            f"by group, on {self.rows} rows: {self._in_words(scored.iloc[0])} is the worst of "
            f"{len(scored)}, {self._in_words(scored.iloc[-1])} the best{more} (R3); see {self.file}"
        )

    def _in_words(self, row: "pd.Series[Any]") -> str:
        return f"{row['group']} with {row[self.metric]:.4g} on {row['rows']} rows"


def read_groups(folder: Path, *, metric: str) -> ByGroup | None:
    """The scores by group of a search; None where there are none."""
    path = folder / FILE
    if not path.exists():
        return None
    frame = read_csv(path).drop(columns=[TRIAL])
    return ByGroup(frame=frame, metric=metric) if metric in frame and len(frame) else None


def _are_named(plan: Plan) -> bool:
    """Whether the data have a column of groups."""
    return bool(plan.config.split.kind == "grouped" or plan.config.data.get("groups"))


def _weights_of(winner: TrialRecord, folder: Folder, *, folds: int) -> list[Path]:
    """The winner's weights of each fold: those that never saw its validation rows."""
    if folds == 1:
        return [folder.best / EXPORTED]
    kept = folder.checkpoints / str(winner.spec.trial)
    return [kept / f"fold-{fold}" / WEIGHTS for fold in range(folds)]


def _predicted(
    plan: Plan, winner: TrialRecord, data: Data, weights: Path, units: dict[str, Any] | None
) -> PredictedRows:
    """The winner's outputs for `data.test`, in the target's own units."""
    config = trained_config(plan, winner)
    function = get_object(str(config["trainer"]["predict"]))
    check_weights(weights, of=owner(trial=winner.spec.trial, seed=winner.spec.seed))
    values = predicted(function, config=config, data=data, device="cpu", weights=weights)
    output = output_of(values)
    if output is None or data.test is None or data.test.y is None:
        raise ValueError("trainer.predict gives no outputs for rows with targets")
    (kind, numbers), targets = output, np.asarray(data.test.y)
    if units is not None:
        targets, numbers = in_own_units(targets, numbers, units)
    return PredictedRows(kind=kind, numbers=numbers, targets=targets, index=data.test.index)


def _together(parts: Sequence[PredictedRows]) -> PredictedRows:
    """The outputs of all folds."""
    return PredictedRows(
        kind=parts[0].kind,
        numbers=np.concatenate([part.numbers for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        index=np.concatenate([part.index for part in parts]),
    )


def _scored(
    metric: Metric, outputs: PredictedRows, groups: Array, *, seconds: float
) -> pd.DataFrame:
    """A row per group, the worst first; last those that the metric cannot score alone."""
    of_rows = groups[outputs.index]
    rows = []
    for name in np.unique(of_rows):
        chosen = of_rows == name
        try:
            values = scores(
                metric,
                targets=outputs.targets[chosen],
                kind=outputs.kind,
                output=outputs.numbers[chosen],
            )
            whole = {**values, "seconds": seconds}
            score = metric.combine(whole) if metric.formula else float(values[metric.name])
        except (ValueError, KeyError):  # such as an area under the curve of one class
            score = math.nan
        rows.append({"group": name, "rows": int(chosen.sum()), metric.name: score})
    frame = pd.DataFrame(rows)
    return frame.sort_values(metric.name, ascending=metric.sign > 0)
