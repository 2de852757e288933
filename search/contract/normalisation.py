"""Scales features and targets by scikit-learn's imputers and scalers, fitted on train (R5, R6)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from sklearn.impute import SimpleImputer

from search.errors import UsageError, broken_rule, unknown

IMPUTE = ("mean", "median", "most_frequent")
# attributes of scalers and imputers that hold what they have learned
CONSTANTS = ("mean_", "scale_", "min_", "center_", "statistics_")


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Fitted steps for the features, and mean and scale of the targets.

    `mean` and `scale` are None for classes, and where targets are not scaled.
    """

    steps: tuple[Any, ...]
    mean: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None

    def features(self, x: NDArray[Any]) -> NDArray[Any]:
        """Rows [n, …] scaled, in float32 unless they are floats of another width."""
        if not self.steps:
            return x
        flat = x.reshape(len(x), -1)
        for step in self.steps:
            flat = step.transform(flat)
        scaled: NDArray[Any] = (
            np.asarray(flat).astype(x.dtype if x.dtype.kind == "f" else np.float32).reshape(x.shape)
        )
        return scaled

    def targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """Targets in training units."""
        return (
            y
            if self.mean is None or self.scale is None
            else ((y - self.mean) / self.scale).astype(np.float32)
        )

    @property
    def units(self) -> dict[str, Any] | None:
        """Mean and scale of the targets as plain numbers; None where they are as they were."""
        if self.mean is None or self.scale is None:
            return None
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    def constants(self) -> dict[str, Any]:
        """For the contract: what each step has learned."""
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
    node: DictConfig, x: NDArray[Any], y: NDArray[Any], *, impute: str | None
) -> Scaling:
    """Fits on train rows only; a target that never changes keeps its scale.

    Raises:
        UsageError: an imputer that does not exist, or a scaler that cannot be made or fitted.
    """
    steps: list[Any] = []
    flat = x.reshape(len(x), -1)
    if impute:
        if impute not in IMPUTE:
            raise UsageError(unknown("data.impute", name=impute, known=IMPUTE))
        steps.append(SimpleImputer(strategy=impute, keep_empty_features=True).fit(flat))
        flat = steps[0].transform(flat)
    if node.get("_target_"):
        arguments = {key: value for key, value in node.items() if key != "target"}
        try:
            steps.append(instantiate(arguments).fit(flat))
            shown = np.asarray(steps[-1].transform(flat[:100]))
            if shown.shape != flat[:100].shape or not np.isfinite(shown).all():
                raise ValueError(
                    f"rows of {flat.shape[1]} features came back as {shown.shape[1:]}, "
                    "or not finite"
                )
        except (
            Exception
        ) as error:  # an import, wrong arguments, or rows that a scaler does not take
            cause = error.__cause__ or error
            raise UsageError(
                broken_rule(
                    "normalise._target_",
                    rule="must name a scaler with fit and transform, such as "
                    "sklearn.preprocessing.StandardScaler",
                    got=f"{node._target_} ({type(cause).__name__}: {cause})",
                    remedy="mend it",
                )
            ) from error
    if not node.get("target") or y.dtype.kind != "f":
        return Scaling(steps=tuple(steps))
    mean, scale = y.mean(axis=0, dtype=np.float64), y.std(axis=0, dtype=np.float64)
    return Scaling(steps=tuple(steps), mean=mean, scale=np.where(scale > 0, scale, 1.0))
