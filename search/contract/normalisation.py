"""Scales features and targets by scikit-learn's imputers and scalers, fitted on train (R5, R6).

Numbers keep their width until they are scaled, then become float32, as torch trains.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from search.contract.arrays import mean_and_scale, trained_type
from search.errors import refused

# attributes of scalers and imputers that hold what they have learned
CONSTANTS = ("mean_", "scale_", "min_", "center_", "statistics_")
SHOWN = 2000  # rows by which the type of scaled features is judged


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Fitted steps for the features, and mean and scale of the targets.

    `mean` and `scale` are None for classes, and where targets are not scaled. `feature_type` and
    `target_type`: of the numbers that trainers get.
    """

    steps: tuple[Any, ...]
    feature_type: np.dtype[Any]
    target_type: np.dtype[Any]
    mean: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None

    def features(self, x: NDArray[Any]) -> NDArray[Any]:
        """Rows [n, …] scaled."""
        flat = x.reshape(len(x), -1)
        for step in self.steps:
            flat = step.transform(flat)
        return np.asarray(flat).astype(self.feature_type).reshape(x.shape)

    def targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """Targets in training units."""
        if self.mean is None or self.scale is None:
            return y.astype(self.target_type)
        return ((y - self.mean) / self.scale).astype(self.target_type)

    @property
    def units(self) -> dict[str, Any] | None:
        """Mean and scale of the targets as plain numbers; None where they are as they were."""
        if self.mean is None or self.scale is None:
            return None
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    def constants(self) -> dict[str, Any]:
        """What each step has learned, for the contract."""
        kinds = [type(step).__name__ for step in self.steps]
        constants: dict[str, Any] = {"kind": " + ".join(kinds) or "none"}
        for step in self.steps:
            constants |= {
                name: np.asarray(value).tolist()
                for name, value in vars(step).items()
                if name in CONSTANTS
            }
        return constants | ({"target": self.units} if self.units is not None else {})


def fit_scaling(
    node: DictConfig, x: NDArray[Any], y: NDArray[Any], *, impute: str | None, tokens: bool = False
) -> Scaling:
    """Fits on train rows only; a target that never changes keeps its scale.

    Args:
        node: `normalise`, which names a scaler.
        x, y: train rows, or the real steps of train's sequences, and targets.
        impute: how gaps are filled; None: there are none.
        tokens: x holds token ids, which stay as they are.

    Raises:
        UsageError: a scaler that cannot be made or fitted.
    """
    steps: list[Any] = []
    flat = x.reshape(len(x), -1)
    if impute and not tokens:
        from sklearn.impute import SimpleImputer  # takes a second

        steps.append(SimpleImputer(strategy=impute, keep_empty_features=True).fit(flat))
        flat = steps[0].transform(flat)
    shown = flat[:: max(1, len(flat) // SHOWN)]
    settings = dict(node)  # plain, as in `contract.prepare`
    if settings.get("_target_") and not tokens:
        scaler, shown = _fitted(node, flat, shown)
        steps.append(scaler)
    feature_type = trained_type(shown)
    y = y[np.isfinite(y)][:, None] if y.ndim == 3 else y  # numbers per step, without padding
    if not settings.get("target") or y.dtype.kind != "f":
        return Scaling(steps=tuple(steps), feature_type=feature_type, target_type=trained_type(y))
    mean, scale = mean_and_scale(y)
    return Scaling(
        steps=tuple(steps),
        feature_type=feature_type,
        target_type=np.dtype(np.float32),
        mean=mean,
        scale=scale,
    )


def _fitted(node: DictConfig, rows: NDArray[Any], shown: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
    """The scaler that a config names, fitted on `rows`, and some rows scaled by it."""
    arguments = {key: value for key, value in node.items() if key != "target"}
    try:
        scaler = instantiate(arguments, _convert_="all").fit(rows)
        scaled = np.asarray(scaler.transform(np.array(shown)))
        fits = np.abs(scaled) <= np.finfo(np.float32).max  # False for NaN
        if scaled.shape != shown.shape or not fits.all():
            raise ValueError(
                f"rows of {rows.shape[1]} features came back as {scaled.shape[1:]}, or not finite "
                "as float32"
            )
    except Exception as error:  # an import, wrong arguments, or rows that a scaler does not take
        cause = error.__cause__ or error
        raise refused(
            "normalise._target_",
            code="scaler-cannot-be-fitted",
            rule="must name a scaler with fit and transform, such as "
            "sklearn.preprocessing.StandardScaler",
            got=f"{node._target_} ({type(cause).__name__}: {cause})",
            remedy="mend it",
        ) from error
    return scaler, scaled
