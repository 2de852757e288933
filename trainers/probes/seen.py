"""What is noted of a training, as plain numbers. Knows no hooks; never judges."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.layer_series import dense
from trainers.probes.class_words import class_words
from trainers.probes.hooks import unwatched
from trainers.probes.rows_seen import centred_share, row_keys
from trainers.probes.shapes import last_operation, viewed_from

CLOSE = 1e-3  # how near to 1 the sum of probabilities lies


@dataclass(kw_only=True)
class Weights:
    """One parameter tensor. `trainable`: asks for gradients; `optimized`: an optimizer has it.

    `gradients`: steps to which a gradient came; `largest`: the greatest absolute entry of any;
    `alike`: whether all of its units bear the same weights in the end; `constant`: whether all
    were one number, not 0, at first; `beside`: of a module beside the model; `moved`: whether it
    asked for no gradient and became another nonetheless, as an average of others does.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool
    optimized: bool = False
    gradients: int = 0
    largest: float = 0.0
    finite: bool = True
    alike: bool = False
    constant: bool = False
    beside: bool = False
    moved: bool = False


@dataclass(kw_only=True)
class Batch:
    """What the model was given.

    `content`: a hash; `alike`: whether its rows are all the same; `mean`, `spread`: of its measures
    (not finite without any); `keys`: of its rows, until they are compared with the rows given;
    `centred`: the share of the features that change whose mean is 0, to the rounding of singles.
    """

    shape: tuple[int, ...]
    finite: bool
    content: str
    alike: bool
    mean: float
    spread: float
    keys: tuple[int, ...] = ()
    centred: float = 0.0


@dataclass(kw_only=True)
class LossCall:
    """A loss as it was first asked for.

    Attributes:
        outputs, targets: the shapes of the model's outputs and of the targets.
        probabilities, log_probabilities, over_batch: whether rows of outputs are such; columns.
        within_unit, sigmoid: whether all outputs lie from 0 to 1, and none is 0 or 1.
        classes, one_each: whether targets are whole numbers, and every row has one label.
        value: of the loss.
        constant, zero: what the mean of the targets would give on average, for losses between
            numbers whose targets differ; and what zeros would give.
        reduction, plain: mean | sum | none, and whether it has neither class weights nor smoothing.
        end, end_axis: the model's last operation in training, as autograd names it (`Sigmoid`),
            and the axis of a softmax.
        below, beyond: shares of the targets below 0, and beyond −1 … 1.
        partners: whether every row's target is a row of its own, as where rows find their partners.
        viewed: the shape of which outputs are a view that swaps two axes; told: of the classes.
        logarithms: whether outputs are taken for logarithms of rates.
    """

    name: str
    outputs: tuple[int, ...]
    targets: tuple[int, ...]
    probabilities: bool
    log_probabilities: bool
    within_unit: bool
    classes: bool
    over_batch: bool = False
    one_each: bool = False
    sigmoid: bool = False
    value: float | None = None
    constant: float | None = None
    zero: float | None = None
    reduction: str = "mean"
    plain: bool = True
    end: str = ""
    end_axis: int | None = None
    below: float = 0.0
    beyond: float = 0.0
    partners: bool = False
    viewed: tuple[int, ...] = ()
    logarithms: bool = False
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Seen:
    """What hooks note; `trainers.probes.told.Watched` says what each field is."""

    weights: list[Weights] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    loss: LossCall | None = None
    optimizers: int = 0
    steps: int = 0
    never_cleared: int = 0
    changed_late: int = 0
    prepared: bool = False
    betas: list[float] = field(default_factory=list)
    steps_without_gradient: int = 0
    stale_gradients: int = 0
    ratios: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    noisy_evaluations: list[str] = field(default_factory=list)
    quiet_trainings: list[str] = field(default_factory=list)
    evaluated: list[Batch] = field(default_factory=list)
    unsteady_evaluation: bool = False
    sampled: bool = False
    rows_mix: bool = False
    changed_buffers: list[str] = field(default_factory=list)
    dead: list[float] = field(default_factory=list)
    relu_rows: int = 0
    batch_norms: int = 0
    still_norms: int = 0
    broadcast: list[tuple[int, ...]] = field(default_factory=list)
    averaged: int | None = None
    first_layer: float | None = None
    maximized: int = 0
    cleared: int = 0
    factors: list[float] = field(default_factory=list)
    drawn_anew: dict[str, int] = field(default_factory=dict)
    losses_until: list[int] = field(default_factory=list)
    passes: int = 0
    discarded: int = 0
    backwards: int = 0
    hand_steps: int = 0
    hand_rates: list[float] = field(default_factory=list)
    steps_until: list[int] = field(default_factory=list)
    put_back: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    made_anew: bool = False
    followed: float | None = None
    unused_inputs: float = 0.0
    linear_layers: int = 0
    decay: float = 0.0
    saturated: float = 0.0
    over_rows: int = 0
    summed: int = 0
    forgetful: int = 0
    next_tokens: dict[str, Any] | None = None


@dataclass(kw_only=True)
class Pass:
    """A forward pass with gradients. `used`: whether a backward pass came back through it; else it
    was an evaluation.

    `active`, `quiet`: dropout and batch norm in it, as in training and as in evaluation.
    """

    given: Batch | None = None
    outputs: tuple[int, ...] = ()
    used: bool = False
    active: set[str] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)


@unwatched
def batch_of(given: Tensor, measures: Tensor | None = None) -> Batch:
    """What is noted of a batch; its size is that of its `measures`, if they are not all of it."""
    plain = given.cpu().contiguous()
    finite = bool(torch.isfinite(plain).all()) if plain.is_floating_point() else True
    alike = len(plain) > 1 and bool((plain == plain[:1]).all())
    numbers = dense(plain).double()
    content = hashlib.sha256(numbers.numpy().tobytes()).hexdigest()
    sized = numbers if measures is None else dense(measures).double()
    mean = float(sized.mean())
    return Batch(
        shape=tuple(given.shape),
        finite=finite,
        content=content,
        alike=alike,
        mean=mean,
        spread=float((sized - mean).square().mean().sqrt()),
        keys=row_keys(plain),
        centred=centred_share(numbers.flatten(1)) if numbers.ndim > 1 else 0.0,
    )


def _plain_answers(
    func: Callable[..., Any], outputs: Tensor, targets: Tensor, kwargs: dict[str, Any]
) -> tuple[float | None, float | None]:
    """The loss of the mean of the targets, and that of zeros, on average; None where targets do not
    differ, or have another shape.
    """
    if outputs.shape != targets.shape or not bool((targets != targets.flatten()[0]).any()):
        return None, None
    mean = targets.to(outputs.dtype).mean(dim=0, keepdim=True).expand_as(outputs)
    if func is F.binary_cross_entropy_with_logits:
        mean = torch.logit(mean, eps=1e-6)
    plainly = {**kwargs, "reduction": "mean"}
    constant = float(func(mean, targets, **plainly))
    if func is F.binary_cross_entropy:
        return constant, None
    return constant, float(func(torch.zeros_like(mean), targets, **plainly))


def _are_partners(outputs: Tensor, targets: Tensor) -> bool:
    """Whether every row's target is a row of its own, as where rows find their partners."""
    if outputs.ndim != 2 or targets.numel() != len(outputs) or outputs.shape[1] < len(outputs):
        return False
    return len(set(targets.flatten().tolist())) == len(outputs)


def loss_call(
    func: Callable[..., Any], outputs: Tensor, targets: Tensor, kwargs: dict[str, Any]
) -> LossCall:
    """What is noted of a call of a loss."""
    end, axis = last_operation(outputs)
    viewed = viewed_from(outputs)
    outputs, targets = outputs.detach(), targets.detach()
    rows = outputs.double()
    sums = rows.sum(dim=1) if rows.ndim > 1 else rows
    several = rows.ndim > 1 and rows.shape[1] > 1
    exponents = rows.logsumexp(dim=1) if several else rows
    numbers = func not in (F.cross_entropy, F.nll_loss, F.poisson_nll_loss, F.gaussian_nll_loss)
    constant, zero = _plain_answers(func, outputs, targets, kwargs) if numbers else (None, None)
    within = bool((rows >= 0).all() and (rows <= 1).all() and (rows != rows.flatten()[0]).any())
    return LossCall(
        name=str(func.__name__),
        outputs=tuple(outputs.shape),
        targets=tuple(targets.shape),
        probabilities=several and within and bool((sums - 1).abs().max() < CLOSE),
        over_batch=several
        and within
        and len(rows) > 2
        and bool((rows.sum(dim=0) - 1).abs().max() < CLOSE),
        sigmoid=several and within and bool((rows > 0).all() and (rows < 1).all()),
        log_probabilities=several and bool(exponents.abs().max() < CLOSE),
        within_unit=within,
        one_each=several
        and targets.shape == outputs.shape
        and bool((targets.sum(dim=1) == 1).all()),
        classes=not targets.is_floating_point() or bool((targets == targets.round()).all()),
        constant=constant,
        zero=zero,
        reduction=str(kwargs.get("reduction", "mean")),
        plain=kwargs.get("weight") is None and not kwargs.get("label_smoothing"),
        end=end,
        end_axis=axis,
        partners=_are_partners(outputs, targets),
        viewed=viewed,
        logarithms=func is F.poisson_nll_loss and bool(kwargs.get("log_input", True)),
        told=class_words(func, outputs, targets, kwargs),
        below=float((targets < 0).double().mean()),
        beyond=float((targets.abs() > 1).double().mean()) if numbers else 0.0,
    )
