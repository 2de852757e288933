"""Features made of features: the best of them, projections, bins; fitted on train rows only (R54).

`features` in a config holds steps by name, in their order, each a scikit-learn transformer by
`_target_`; what comes out of one goes into the next. The model gets the new width as
`model.inputs`. Validation and test rows are transformed and never reach `fit`.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray

from trainers.api import Config, Data, Part
from trainers.rows import share_of_rows

Array = NDArray[Any]


class KBest:
    """The features that a test of variance ties most to the target: F of classes or of regression.

    Args:
        share: of the features that are kept, above 0 and at most 1.
        k: how many are kept, in place of the share; None: the share counts.
    """

    def __init__(self, *, share: float = 0.5, k: int | None = None) -> None:
        self.share, self.k = share, k

    def fit(self, x: Array, y: Array) -> Self:
        """Scores every feature alone.

        Raises:
            ValueError: fewer than one feature, or more than there are.
        """
        features = x.shape[1]
        if self.k is None and (isinstance(self.share, bool) or not 0 < self.share <= 1):
            raise ValueError(f"share must be above 0 and at most 1, but got {self.share!r}")
        if self.k is not None and (isinstance(self.k, bool) or not 1 <= self.k <= features):
            raise ValueError(f"k must lie between 1 and the {features} features, but got {self.k}")
        count = max(1, round(self.share * features)) if self.k is None else self.k
        self.kept_ = np.sort(np.argsort(-_tied(x, y), kind="stable")[:count])
        return self

    def transform(self, x: Array) -> Array:
        """The kept features, in their order."""
        chosen: Array = x[:, self.kept_]
        return chosen


def with_features(config: Config, data: Data) -> tuple[Config, Data]:
    """The data as `features` says, and the config for them: their width in `model.inputs`.

    The steps are fitted on the train rows that the trial trains on. The new config holds no steps,
    so that nothing is transformed twice. Without steps, both stay as they are.

    Raises:
        ValueError: rows that are no table, or a step that does not take them.
        TypeError: a step that cannot be imported, or does not take its keys.
    """
    if not config.get("features"):
        return config, data
    train = data.train
    if train.x is None or train.y is None:
        raise ValueError(
            "features: needs rows, but data=own gives row numbers only; transform them in the "
            "trainer, or say features=none"
        )
    check_has_width(config, sequences=train.lengths is not None or train.tokens)
    chosen = share_of_rows(config, len(train.x))
    x, y = (each if chosen is None else each[chosen] for each in (train.x, train.y))
    steps = _fitted(config, _flat(x), y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)

    def transformed(part: Part) -> Part:
        assert part.x is not None
        rows = _flat(part.x)
        for step in steps.values():
            rows = step.transform(rows)
        return replace(part, x=np.ascontiguousarray(rows, dtype=np.float32))

    made = Data(
        train=transformed(train),
        val=transformed(data.val),
        test=None if data.test is None else transformed(data.test),
    )
    assert made.train.x is not None
    return widened(config, made.train.x.shape[1]), made


def check_has_width(config: Config, *, sequences: bool) -> None:
    """Whether the rows have one width, which steps of features need.

    Raises:
        ValueError: `features` names steps, and the rows are sequences with lengths or tokens.
    """
    if config.get("features") and sequences:
        raise ValueError(
            "features: takes rows of one width, but the data are sequences with lengths or tokens; "
            "say features=none"
        )


def widened(config: Config, width: int) -> Config:
    """The config of a trial whose rows have their features: `width` of them, and no step left."""
    model = config.get("model") or {}
    changed = {"model": {**model, "inputs": width}} if "inputs" in model else {}
    return {**config, **changed, "features": {}}


def read_steps(config: Config) -> dict[str, Any]:
    """The transformers that `features` names, not fitted.

    Raises:
        TypeError: one cannot be imported, does not take its keys, or is no transformer.
    """
    steps = {}
    for name, settings in (config.get("features") or {}).items():
        where = f"features.{name}"
        if not isinstance(settings, Mapping) or not settings.get("_target_"):
            raise TypeError(
                f"{where}: must hold _target_ and the keys of a transformer, but got {settings!r}; "
                "see conf/features/"
            )
        try:
            step = instantiate(dict(settings), _convert_="all")
        except Exception as error:
            raise TypeError(
                f"{where}._target_: {settings['_target_']!r} must be a class that takes the keys "
                f"of {where}, but got {type(error).__name__}: {error.__cause__ or error}; mend it"
            ) from error
        if not hasattr(step, "fit") or not hasattr(step, "transform"):
            raise TypeError(
                f"{where}._target_: must be a transformer with fit and transform, but got "
                f"{type(step).__name__}; choose one of scikit-learn's"
            )
        steps[name] = step
    return steps


def _fitted(config: Config, x: Array, y: Array) -> dict[str, Any]:
    """The steps, each fitted on what the one before gives."""
    steps = read_steps(config)
    drawn = np.random.get_state()
    np.random.seed(0)  # a step without random_state draws from it
    try:
        for name, step in steps.items():
            width = x.shape[1]
            try:
                x = step.fit(x, y).transform(x)
                is_table = isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.kind in "fiub"
                if not is_table or not x.shape[1] or not np.isfinite(x).all():
                    got = f"{type(x).__name__} {getattr(x, 'shape', '')}"
                    raise ValueError(f"it must return finite numbers [rows, features], not {got}")
            except Exception as error:
                raise ValueError(
                    f"features.{name}: must take rows of {width} features, "
                    f"but got {type(error).__name__}: {error}; mend it"
                ) from error
    finally:
        np.random.set_state(drawn)
    return steps


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1)


def _tied(x: Array, y: Array) -> Array:
    """F of each feature; 0 where it never changes."""
    from sklearn.feature_selection import f_classif, f_regression  # takes a second

    with warnings.catch_warnings():  # a feature that never changes has no F
        warnings.simplefilter("ignore")
        if y.dtype.kind in "iu":
            scores = f_classif(x, y)[0]
        else:
            targets = y.reshape(len(y), -1).T
            scores = np.mean([f_regression(x, target)[0] for target in targets], axis=0)
    finite: Array = np.nan_to_num(scores, posinf=np.finfo(np.float64).max)
    return finite
