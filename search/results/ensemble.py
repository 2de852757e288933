"""The average of several trainings' outputs, scored on validation, and whether it is better than
each (R35).

Never sees test rows; keeps the average only if it is better beyond chance.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_object
from numpy.typing import NDArray
from omegaconf import DictConfig
from scipy.special import softmax

from search.config.plan import Plan
from search.config.trial_config import plain_config, trial_config
from search.contract.arrays import read_folds
from search.contract.metrics import Metric, output_of, scores
from search.storage.files import write_text
from search.storage.folder import Folder
from search.storage.trials import TrialRecord
from trainers.api import Data
from trainers.checkpoint import WEIGHTS
from trainers.features import with_features

DRAWS, LEVEL = 400, 0.05  # bootstrap samples of the validation rows, and how often chance may win
Outputs = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """`members`: scores of each; `score` of their average. `low`: the lower end of the 95 %
    interval of the average's gain over the members' mean, higher being better. `reason`: why there
    is none.
    """

    members: tuple[float, ...] = ()
    score: float = np.nan
    low: float = -np.inf
    reason: str = ""

    @property
    def is_better(self) -> bool:
        """Whether the average is better beyond chance."""
        return self.low > 0


def judge_ensemble(plan: Plan, folder: Folder, rows: Sequence[TrialRecord]) -> Ensemble:
    """The ensemble of some trials whose weights are kept."""
    folds = read_folds(folder.arrays)
    members = [row for row in rows if _weights(folder, row).exists()]
    if not plan.config.trainer.get("predict"):
        return Ensemble(reason="the trainer has no function that predicts (trainer.predict)")
    if len(folds) != 1 or len(members) < 2 or plan.metric.formula:
        return Ensemble(reason=f"{len(members)} trainings on {len(folds)} folds cannot be averaged")
    data, units = folds[0].data, folds[0].units
    outputs = [_outputs(plan, folder, row, data) for row in members]
    if data.val.y is None or any(each is None for each in outputs):
        return Ensemble(reason="the outputs are neither numbers nor probabilities")
    stacked = np.stack([each for each in outputs if each is not None])
    kind = "predictions" if str(plan.config.data.task) == "regression" else "probabilities"

    def score(output: Outputs, index: NDArray[np.int64] | slice) -> float:
        targets = np.asarray(data.val.y)[index]
        return _score(plan.metric, kind, output[index], targets, units)

    average, everything = stacked.mean(axis=0), slice(None)
    dice, count = np.random.default_rng(plan.seed), len(average)
    gains = []
    for _ in range(DRAWS):
        index = dice.integers(count, size=count)
        alone = np.mean([score(member, index) for member in stacked])
        gains.append(plan.metric.sign * (score(average, index) - float(alone)))
    return Ensemble(
        members=tuple(score(member, everything) for member in stacked),
        score=score(average, everything),
        low=float(np.quantile(gains, LEVEL / 2)),
    )


def write_ensemble(
    plan: Plan, folder: Folder, rows: Sequence[TrialRecord], ensemble: Ensemble
) -> None:
    """ensemble/: the members' weights, and what their average scores."""
    place = folder.path / "ensemble"
    place.mkdir(exist_ok=True)
    members = [row for row in rows if _weights(folder, row).exists()]
    for row in members:
        shutil.copy2(_weights(folder, row), place / f"{row.ask.trial}.safetensors")
    content = {
        "members": [
            {"weights": f"{row.ask.trial}.safetensors", "seed": row.ask.seed, "score": score}
            for row, score in zip(members, ensemble.members, strict=True)
        ],
        "metric": plan.metric.name,
        "score": ensemble.score,
        "knobs": dict(members[0].ask.knobs),
    }
    write_text(place / "ensemble.json", json.dumps(content, indent=1) + "\n")


def _weights(folder: Folder, row: TrialRecord) -> Path:
    return folder.checkpoints / str(row.ask.trial) / WEIGHTS


def _config(plan: Plan, row: TrialRecord) -> DictConfig:
    return trial_config(plan.config, knobs=row.ask.knobs, seed=row.ask.seed)


def _outputs(plan: Plan, folder: Folder, row: TrialRecord, data: Data) -> Outputs | None:
    """A member's outputs for the validation rows, which stand in for the rows to predict."""
    predict = get_object(str(plan.config.trainer.predict))
    config, rows = with_features(
        plain_config(_config(plan, row), resolve=True), replace(data, test=data.val)
    )
    values: dict[str, Any] = dict(predict(config, rows, "cpu", _weights(folder, row)))
    output = output_of(values)
    if output is None or output[0] == "labels":
        return None
    kind, numbers = output
    numbers = np.asarray(numbers, dtype=float)
    if str(plan.config.data.task) == "regression" or kind == "probabilities":
        return numbers
    is_many = numbers.ndim > 1 and numbers.shape[1] > 1
    probabilities: Outputs = softmax(numbers, axis=1) if is_many else 1 / (1 + np.exp(-numbers))
    return probabilities


def _score(
    metric: Metric, kind: str, output: Outputs, targets: NDArray[Any], units: dict[str, Any] | None
) -> float:
    values = scores(metric, targets=targets, kind=kind, output=output, units=units)
    return float(values[metric.name])
