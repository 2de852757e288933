"""Predicts by the average of several trainings: what `ensemble/` in a search's folder holds (R35).

`predict` is a `trainers.api.Predict` whose weights are the file `ensemble.json`; each member
predicts by its own config's `trainer.predict`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_object
from numpy.typing import NDArray
from omegaconf import OmegaConf
from scipy.special import softmax

from trainers.api import Config, Data, Values
from trainers.predicted import predicted
from trainers.state import check_weights

FILE = "ensemble.json"
Outputs = NDArray[np.float64]


def predict(config: Config, data: Data, device: str, weights: Path) -> Values:
    """Probabilities of the average, or its numbers for regression.

    Raises:
        ValueError: a member's outputs are neither numbers nor probabilities.
    """
    members = json.loads(Path(weights).read_text(encoding="utf-8"))["members"]
    outputs = [
        member_outputs(_resolved(each), data, device, Path(weights).parent / each["weights"])
        for each in members
    ]
    if any(each is None for each in outputs):
        raise ValueError(f"{weights}: labels cannot be averaged; predict probabilities or logits")
    average = np.mean([each for each in outputs if each is not None], axis=0)
    return {kind_of(config): average}


def _resolved(member: dict[str, Any]) -> Config:
    """A member's config; its links to variables of the environment are followed here."""
    config = OmegaConf.to_container(OmegaConf.create(member["config"]), resolve=True)
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def kind_of(config: Config) -> str:
    """What an average is, as a trainer names it."""
    numbers = config["data"]["task"] in ("regression", "step_regression")
    return "predictions" if numbers else "probabilities"


def member_outputs(config: Config, data: Data, device: str, weights: Path) -> Outputs | None:
    """A member's probabilities or numbers for `data.test`; None where it gives neither.

    The rows get the features that the member was trained on.
    """
    function = get_object(str(config["trainer"]["predict"]))
    check_weights(weights)
    values = predicted(function, config=config, data=data, device=device, weights=weights)
    is_classes = kind_of(config) == "probabilities"
    if is_classes and "probabilities" in values:
        return _numbers(values["probabilities"])
    if "predictions" not in values:
        return None
    numbers = _numbers(values["predictions"])
    if not is_classes:
        return numbers
    is_many = numbers.ndim > 1 and numbers.shape[1] > 1
    probabilities: Outputs = softmax(numbers, axis=1) if is_many else 1 / (1 + np.exp(-numbers))
    return probabilities


def _numbers(values: Any) -> Outputs:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
