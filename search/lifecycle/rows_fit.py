"""Whether the rows take what the config makes of them: features and augmentation (R49, R54).

On the real rows, before the first trial: every trial would fail at the same place.
"""

import json
import warnings
from typing import Any

from omegaconf import OmegaConf

from search.config.catalogue import CONF
from search.config.plan import Plan
from search.contract.contract import Prepared
from search.errors import UsageError
from search.execution.dry_run import configs_of
from trainers.features import with_features
from trainers.rows import side_of

ROTATE = "trainers.augment.Rotate"  # of images only, so it has no `dimensions`


def example_rows(plan: Plan) -> list[str]:
    """A note where a generator of the user's gets row numbers of the shipped example's data set,
    since nobody said how many rows there are: it would train on the first ones, without a word.
    """
    data, target = plan.config.data, str(plan.config.trainer.get("_target_"))
    if data.get("_target_") is not None or target.startswith("trainers."):
        return []
    shipped = OmegaConf.load(CONF / "experiment" / "own_trainer.yaml")
    if (rows := data.get("rows")) != OmegaConf.select(shipped, "data.rows"):
        return []
    return [
        f"data.rows={rows} is the example's number: your trainer gets row numbers below {rows}; "
        "if your data set has another number of rows, say data.rows=N"
    ]


def check_rows_fit(plan: Plan, prepared: Prepared) -> None:
    """Tries the steps of `features`, and the shapes that `augment` needs, of the baseline and of
    each knob's values.

    Raises:
        UsageError: a step or an augmentation does not take the rows.
    """
    baseline, values = configs_of(plan)
    tried = set[str]()
    for path, configs in {"": [baseline], **values}.items():
        for config in configs:
            steps, augment = config.get("features"), config.get("augment") or {}
            choice = json.dumps([steps, augment, config["trainer"].get("fraction")], default=str)
            if choice in tried:
                continue
            tried.add(choice)
            try:
                if steps:
                    with warnings.catch_warnings():  # those of the trials stand in their logs
                        warnings.simplefilter("ignore")
                        with_features(config, next(iter(prepared.folds())).data)
                _check_shape(augment, prepared)
            except (ValueError, TypeError) as error:
                raise UsageError(
                    f"{f'space.{path}: ' if path else ''}{error}", code="features-do-not-fit-rows"
                ) from error


def _check_shape(augment: dict[str, Any], prepared: Prepared) -> None:
    x = prepared.final.train.x
    dimensions = augment.get("dimensions", 2 if augment.get("_target_") == ROTATE else None)
    if x is None or not str(augment.get("_target_")).startswith("trainers.") or not dimensions:
        return
    side_of(x.shape[1:], dimensions=dimensions, channels=augment.get("channels", 1))
