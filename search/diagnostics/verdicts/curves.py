"""One training's learning curves, by epoch (R16). Never judges."""

from dataclasses import dataclass

from search.diagnostics.verdicts.trend import Array


@dataclass(frozen=True, kw_only=True)
class Curves:
    """By epoch, [n] each; the untrained model's epoch 0 first, where it is known.

    `train` and `val`: losses that can be compared; `sign`: 1 where a higher metric is better.
    `classes`: of a classification by cross-entropy; 0 where it is none or they are unknown.
    `constant`: what a constant prediction loses, where that is known. The others are as in the
    curves' file; None where they are not known. `comparable`: whether train was taken in evaluation
    mode, without penalties, as validation is; `untrained`: whether the first epoch is the untrained
    model's.
    """

    epochs: Array
    train: Array
    val: Array
    metric: Array | None = None
    sign: float = 1.0
    classes: int = 0
    constant: float | None = None
    lr: Array | None = None
    grad_norm: Array | None = None
    early_gradient: Array | None = None
    dead_units: Array | None = None
    confidence: Array | None = None
    comparable: bool = False
    untrained: bool = False
