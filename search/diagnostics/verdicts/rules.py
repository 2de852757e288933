"""The verdict on one training, in the guide's order: what is not finite, what cannot be told,
train, then validation (R22).

The first rule that holds gives the main verdict. Knows no search.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from search.diagnostics.verdicts import rules_generalisation, rules_rate, rules_training
from search.diagnostics.verdicts.advice import FALLING
from search.diagnostics.verdicts.curves import Curves, plain
from search.diagnostics.verdicts.rules_training import last_epoch
from search.diagnostics.verdicts.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A verdict's name and why."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Verdict(Finding):
    """The main finding, and what is to be seen beside it.

    `alike`: verdicts that look the same in what was recorded. `asks`: for what a constant
    prediction loses, without which it cannot be told; other curves would not tell it either.
    """

    sides: tuple[Finding, ...] = ()
    alike: tuple[str, ...] = ()
    asks: bool = False

    @property
    def word(self) -> str:
        """The verdict, or one word for it and all that look the same: no more than was seen."""
        return JOINT.get((self.name, *self.alike), self.name)


def judge(curves: Curves) -> Verdict:
    """What curves of at least one epoch say."""
    text = _not_finite(curves)
    if text:
        grew = _grew(curves)
        return Verdict(
            name="nan", why=text, sides=(Finding(name="lr_too_high", why=grew),) if grew else ()
        )
    shape = Shape(curves)
    for name, rule in RULES:
        if not curves.held_out and name in NEED_VALIDATION:
            continue
        if text := rule(shape):
            sides = [
                Finding(name=side, why=why)
                for side, (mains, looks) in SIDES.items()
                if name in mains
                and side != name
                and (curves.held_out or side not in NEED_VALIDATION)
                and (why := looks(shape))
            ]
            alike = _alike_of(name, shape)
            text = f"{text}; {_to_record(name, alike)}" if alike else text
            return Verdict(
                name=name, why=text, sides=tuple(sides), alike=alike, asks=rule in ASKING
            )
    shakes = f"train shakes by {shape.by(shape.jitter)} {curves.to_the_next}"
    text = f"no trend beyond its noise: {shakes}"
    if shape.falls:
        rests = f"validation, at {shape.loss(shape.val_level)}, lies below it and does not fall"
        text = f"train still falls ({shape.stands}); {rests}, which dropout or easier rows may do"
        if not curves.comparable:
            text = f"{text}; evaluate train rows as validation is to tell the cause"
            return Verdict(name="cannot_tell", why=text, alike=("data_suspect",))
    return Verdict(name="cannot_tell", why=text)


def _alike_of(name: str, shape: Shape) -> tuple[str, ...]:
    """The verdicts that have the same losses as one: their causes lie in the model (R19, R26)."""
    curves = shape.curves
    if name == "dead" and curves.early_gradient is None and curves.dead_units is None:
        return UNMOVED if rules_training.is_frozen(shape) else STILL
    if curves.grad_norm is None and (name == "exploding" or rules_rate.is_huge(shape)):
        return {"exploding": ("lr_too_high",), "lr_too_high": ("exploding",)}.get(name, ())
    return ()


def _to_record(name: str, alike: tuple[str, ...]) -> str:
    """What would tell a verdict from those that look the same."""
    if alike == UNMOVED:
        return (
            "validation's loss is the same to the last digit in every epoch, so not even the bias "
            "of the last layer moves: is a step taken, does a gradient arrive, is the rate 0? Dead "
            "units do so only where that layer has no bias"
        )
    if alike == STILL:
        return (
            "dead (no gradient, or a rate of 0), vanishing, dead_units and lr_too_high leave the "
            "same losses. Record each layer's gradient: 0 in all is dead, in the first ones alone "
            "vanishing; and the share of its units that no row wakes: near 1 is dead_units, or "
            "lr_too_high if it was small before training"
        )
    return (
        f"{' and '.join(sorted((name, *alike)))} leave the same losses. Record the norm of the "
        "gradient: it is huge from the first step on if it explodes"
    )


def unscaled(curves: Curves) -> tuple[str, ...]:
    """The verdicts that these curves do not get, or in plain cases only, as it is not known what a
    constant prediction loses (R11), nor what the untrained model does.
    """
    known = curves.classes > 1 or curves.constant is not None or curves.untrained
    return () if known else NEED_SCALE


def unheld(curves: Curves) -> tuple[str, ...]:
    """The verdicts that these curves cannot get, as there are no losses of validation."""
    return () if curves.held_out else NEED_VALIDATION


def _not_finite(curves: Curves) -> str:
    for name, series in (("train", curves.train), ("validation", curves.val)):
        bad = ~np.isfinite(series)
        if bad.any():
            at = curves.at(float(curves.epochs[bad.argmax()]))
            return f"the {name} loss is not finite {f'from {at} on' if bad[-1] else f'at {at}'}"
    return ""


def _grew(curves: Curves) -> str:
    """Whether train had grown before it ended (R20)."""
    before = curves.train[: int((~np.isfinite(curves.train) | ~np.isfinite(curves.val)).argmax())]
    if len(before) < 2 or before[-1] < 2 * abs(before[0]):
        return ""
    return f"train had grown to {before[-1]:.3g} from {before[0]:.3g} before"


STILL, UNMOVED = ("vanishing", "dead_units", "lr_too_high"), ("dead_units",)
JOINT = {
    ("dead", *STILL): "nothing_learned",
    ("dead", *UNMOVED): "nothing_moves",
    ("exploding", "lr_too_high"): "blown_up",
    ("lr_too_high", "exploding"): "blown_up",
}
NEED_SCALE = ("dead", "stuck", "exploding", "data_suspect", "lr_drop_due")
NEED_VALIDATION = ("overfitting", "overconfident", "val_stalled", "data_suspect", "fewer_epochs")
RULES: tuple[tuple[str, Callable[[Shape], str]], ...] = (
    ("lr_too_high", rules_rate.blown),
    ("cannot_tell", rules_training.too_few),
    ("exploding", rules_training.exploding),
    ("vanishing", rules_training.vanishing),
    ("dead_units", rules_training.dead_units),
    ("unstable", rules_training.unstable),
    ("data_suspect", rules_training.opposed),
    ("lr_too_high_late", rules_rate.lr_too_high_late),
    ("lr_too_high", rules_rate.lr_too_high),
    ("dead", rules_training.dead),
    ("cannot_tell", rules_training.rests_unscaled),
    ("cannot_tell", rules_generalisation.fell_at_once),
    ("data_suspect", rules_training.data_suspect),
    ("cannot_tell", rules_generalisation.suspect_unscaled),
    ("too_short", rules_generalisation.too_short),
    ("lr_too_low", rules_generalisation.lr_too_low),
    ("stuck", rules_training.stuck),
    ("overconfident", rules_generalisation.overconfident),
    ("overfitting", rules_generalisation.overfitting),
    ("cannot_tell", rules_generalisation.far_from_usual),
    ("still_learning", rules_generalisation.still_learning),
    ("val_stalled", rules_generalisation.val_stalled),
    ("lr_drop_due", rules_generalisation.lr_drop_due),
    ("cannot_tell", rules_generalisation.may_have_a_floor),
    ("cannot_tell", rules_generalisation.rests_alone),
    ("underfitting", rules_generalisation.underfitting),
    ("converged", rules_generalisation.converged),
)
# Of those that cannot tell, the rules that a constant prediction's loss would answer.
ASKING = (
    rules_training.rests_unscaled,
    rules_generalisation.fell_at_once,
    rules_generalisation.suspect_unscaled,
    rules_generalisation.far_from_usual,
    rules_generalisation.rests_alone,
)


def _fall_longer(shape: Shape) -> str:
    return f"{rules_generalisation.falling(shape)} at {shape.curves.at(last_epoch(shape))}"


def _was_best_early(shape: Shape) -> str:
    if shape.turn > shape.count / 3 or shape.val_goes != "up":
        return ""
    return f"validation was best at {shape.curves.at(shape.turned)} of {plain(last_epoch(shape))}"


ALL = frozenset(name for name, _ in RULES)
# Beside which main verdicts each is looked for, and its rule.
SIDES: dict[str, tuple[Collection[str], Callable[[Shape], str]]] = {
    "unstable": (ALL - {"lr_too_high", "lr_too_high_late"}, rules_training.shocks),
    "overfitting": (
        ("unstable", "lr_drop_due", "still_learning"),
        rules_generalisation.overfitting,
    ),
    "overconfident": (("overfitting",), rules_generalisation.rises_while_better),
    "data_suspect": (("unstable", "lr_too_high_late"), rules_training.data_suspect),
    "lr_too_high": (("data_suspect",), rules_rate.lr_too_high),
    "rate_fell_early": (FALLING, rules_rate.fell_early),
    "more_epochs": (FALLING, _fall_longer),
    "fewer_epochs": (("overfitting", "overconfident"), _was_best_early),
    "always_clipped": (ALL, rules_rate.always_clipped),
}
