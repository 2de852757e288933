"""What saved weights predict: the one way in which `trainer.predict` is called."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from trainers.api import Config, Data, Predict
from trainers.features import with_features
from trainers.rows import own_rows


def predicted(
    function: Predict, *, config: Config, data: Data, device: str, weights: Path
) -> dict[str, Any]:
    """The outputs of `weights` for `data.test`, with the features of their own training (R54).

    A function gets rows and a config of its own: what it writes into them changes no later call.

    Args:
        function: what `trainer.predict` names.
        config: the training's whole config.
        data: all rows; those of `test` are predicted.
    """
    own_config, rows = with_features(config, own_rows(data))
    return dict(function(deepcopy(own_config), rows, device, weights))
