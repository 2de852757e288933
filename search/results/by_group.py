"""Whom does the winner serve badly? Its score on the validation rows of each named group (R3).

Needs the winner's weights and a trainer that predicts; never sees test rows.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.config.plan import Plan
from search.config.trial_config import plain_config, trial_config
from search.contract.arrays import FoldData, read_folds
from search.contract.dataset import load_rows
from search.contract.metrics import Metric, scores
from search.results.export import EXPORTED
from search.storage.files import write_text
from search.storage.folder import Folder
from search.storage.trials import TrialRecord
from trainers.ensemble import kind_of, member_outputs

FILE = "groups.csv"  # group, rows, the metric; the worst group first
TRIAL = "trial"
Output = tuple[str, NDArray[Any]]  # kind, and one row per row


def write_groups(plan: Plan, winner: TrialRecord, folder: Folder) -> str:
    """Writes groups.csv of the winner, unless its own lies there.

    Returns why there is none although the data have groups; empty otherwise.
    """
    config, path = plan.config, folder.path / FILE
    if config.split.kind != "grouped" and not config.data.get("groups"):
        return ""
    if path.exists() and int(pd.read_csv(path)[TRIAL].iloc[0]) == winner.spec.trial:
        return ""
    folds, weights = read_folds(folder.arrays), folder.best / EXPORTED
    if len(folds) != 1 or not weights.exists() or not config.trainer.get("predict"):
        path.unlink(missing_ok=True)
        return "no scores by group: they need one split, kept weights and trainer.predict"
    groups = load_rows(config.data).data.groups
    if groups is None:
        return ""
    try:
        values = _predicted(plan, winner, folds[0], weights)
        frame = _scored(plan.metric, values, folds[0], groups, seconds=winner.seconds)
    except Exception as error:  # noqa: BLE001  # a user's function may raise anything
        path.unlink(missing_ok=True)
        return f"no scores by group: {type(error).__name__}: {error}"
    frame[TRIAL] = winner.spec.trial
    write_text(path, frame.to_csv(index=False))
    return ""


@dataclass(frozen=True, kw_only=True)
class ByGroup:
    """groups.csv, read. `frame`: group, rows, metric; the worst first."""

    frame: pd.DataFrame
    metric: str

    @property
    def line(self) -> str:
        """The worst and the best group in words."""
        worst, best = self.frame.iloc[0], self.frame.iloc[-1]
        return (
            f"by group, on validation rows: {self._told(worst)} is the worst of "
            f"{len(self.frame)}, {self._told(best)} the best (R3); see {FILE}"
        )

    def _told(self, row: "pd.Series[Any]") -> str:
        return f"{row['group']} with {row[self.metric]:.4g} on {row['rows']} rows"


def read_groups(folder: Path, *, metric: str) -> ByGroup | None:
    """The scores by group of a search; None where there are none."""
    path = folder / FILE
    if not path.exists():
        return None
    frame = pd.read_csv(path).drop(columns=[TRIAL])
    return ByGroup(frame=frame, metric=metric) if metric in frame and len(frame) else None


def _predicted(plan: Plan, winner: TrialRecord, fold: FoldData, weights: Path) -> Output:
    """The winner's outputs for the validation rows, which stand in for the rows to predict."""
    config = plain_config(
        trial_config(plan.config, knobs=winner.spec.knobs, seed=winner.spec.seed), resolve=True
    )
    outputs = member_outputs(config, replace(fold.data, test=fold.data.val), "cpu", weights)
    if outputs is None:
        raise ValueError("trainer.predict gives labels; numbers or probabilities are needed")
    return kind_of(config), outputs


def _scored(
    metric: Metric,
    output: Output,
    fold: FoldData,
    groups: NDArray[Any],
    *,
    seconds: float,
) -> pd.DataFrame:
    (kind, numbers), val = output, fold.data.val
    of_rows = groups[val.index]
    rows = []
    for name in np.unique(of_rows):
        chosen = of_rows == name
        try:
            values = scores(
                metric,
                targets=np.asarray(val.y)[chosen],
                kind=kind,
                output=np.asarray(numbers)[chosen],
                units=fold.units,
            )
            whole = {**values, "seconds": seconds}
            score = metric.combine(whole) if metric.formula else float(values[metric.name])
        except (ValueError, KeyError):  # such as an area under the curve of one class
            score = math.nan
        rows.append({"group": name, "rows": int(chosen.sum()), metric.name: score})
    frame = pd.DataFrame(rows)
    return frame.sort_values(metric.name, ascending=metric.sign > 0, na_position="first")
