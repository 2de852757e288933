"""Scores of trained weights on the test rows, by the function that `trainer.predict` names."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from search.config.text import one_line
from search.config.trial_config import plain_config
from search.contract.contract import Prepared
from search.contract.metrics import Metric, output_of, scores
from search.errors import RunError, UsageError
from search.results.export import config_of
from search.results.findings import Findings
from search.storage.folder import Folder
from search.storage.trials import TrialRecord
from trainers.api import OUTPUTS, Predict, TrainerNotImported
from trainers.callable import import_function
from trainers.checkpoint import WEIGHTS
from trainers.predicted import predicted

AGAIN = ", then say --again"
UNOPENED = "; these were validation rows, and the test set was not opened"


class Scorer:
    """Scores weights by the contract's metric. `prepared`: with the test rows."""

    def __init__(
        self, prepared: Prepared, *, metric: Metric, predict: Predict, after: str = AGAIN
    ) -> None:
        self._prepared, self._metric, self._predict = prepared, metric, predict
        self._after = after

    def check(self, config: DictConfig, weights: Path, *, seconds: float) -> None:
        """Whether validation rows can be scored in the place of the test rows: a function that
        returns the wrong thing is told before it has spent an opening.

        Raises:
            RunError: as `score`, or the outputs know nothing of their rows.
        """
        final, floor = self._prepared.final, self._prepared.contract.floor
        shown = replace(self._prepared, final=replace(final, test=final.val))
        judge = Scorer(shown, metric=self._metric, predict=self._predict, after=UNOPENED)
        value, expected = judge.score(config, weights, seconds=seconds), float(config.expected)
        sign, constant = self._metric.sign, ""
        if floor is not None and sign * (expected - floor) > 0 >= sign * (value - floor):
            constant = f", no better than a constant prediction ({floor:.4g})"
        if constant or math.isnan(value):
            raise RunError(
                f"trainer.predict: its outputs score {value:.4g}{constant}, where the training "
                f"scored {expected:.4g}; mend {config.trainer.predict}, such as the order of its "
                f"classes or what it does to the rows{UNOPENED}",
                code="predict-knows-nothing",
            )

    def score(self, config: DictConfig, weights: Path, *, seconds: float) -> float:
        """One training's score; `seconds`: that it took, for metrics that weigh them.

        Raises:
            RunError: the function raised, or returned what cannot be scored.
        """
        plain, prepared, metric = plain_config(config, resolve=True), self._prepared, self._metric
        test = prepared.final.test
        labels = None if test is None else test.y
        try:
            values = predicted(
                self._predict, config=plain, data=prepared.final, device="cpu", weights=weights
            )
            output = output_of(values)
            if output is not None and labels is not None:
                units = prepared.contract.normalisation.get("target")
                kind, numbers = output
                values |= scores(
                    metric, targets=np.asarray(labels), kind=kind, output=numbers, units=units
                )
            if metric.formula:
                return metric.combine({**values, "seconds": seconds})
            return float(values[metric.name])
        except Exception as error:  # a user's function may raise anything, and return anything
            wanted = f"{', '.join(OUTPUTS)} or {metric.name!r}"
            if labels is None:  # outputs cannot be scored
                wanted = f"{metric.name!r}, as no data.labels are given,"
            raise RunError(
                f"trainer.predict: must return a dict with {wanted} "
                f"for data.test.index, but got {type(error).__name__}: {error}; "
                f"mend {plain['trainer']['predict']}{self._after}",
                code="predict-returns-no-outputs",
            ) from error


def trials_scores(
    findings: Findings, folder: Folder, trials: Sequence[int], *, judge: Scorer
) -> list[float]:
    """The scores of trials whose weights are kept."""
    values = []
    for row in kept_rows(findings, folder, trials):
        weights = folder.checkpoints / str(row.spec.trial) / WEIGHTS
        values.append(judge.score(config_of(findings.plan, row), weights, seconds=row.seconds))
    return values


def kept_rows(findings: Findings, folder: Folder, trials: Sequence[int]) -> list[TrialRecord]:
    """The trials whose weights are kept."""
    return [
        row
        for row in findings.rows
        if row.spec.trial in trials
        and (folder.checkpoints / str(row.spec.trial) / WEIGHTS).exists()
    ]


def spread(values: Sequence[float]) -> str:
    """`0.951, mean of 5 seeds from 0.94 to 0.96`."""
    return (
        f"{np.mean(values):.4g}, mean of {len(values)} seeds from {min(values):.4g} to "
        f"{max(values):.4g}"
    )


def imported(path: str) -> Predict:
    """The function that `trainer.predict` names.

    Raises:
        UsageError: it cannot be imported, or is no function.
    """
    try:
        predict: Predict = import_function(path, "trainer.predict")
    except (TrainerNotImported, TypeError) as error:
        raise UsageError(one_line(error), code="predict-not-importable") from error
    return predict
