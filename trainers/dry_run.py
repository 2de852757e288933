"""The stock trainer's dry run: everything that a config names is built, and trains two steps.

On random rows, without the data; what is found here burns no name and no trial.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from trainers.api import END, IGNORED, Config
from trainers.augment import check_fits, read_augmentation
from trainers.build import RowSet, chances, seeded
from trainers.distillation import read_distillation
from trainers.features import check_has_width
from trainers.models.steps import TokensNotRead
from trainers.penalties import read_penalties
from trainers.schedules import COLUMNS, Schedule, apply
from trainers.sequences import check_reads_lengths, is_forced, loss_of, outputs_of, real_steps
from trainers.teacher import teacher_of

ROWS, SEED = 4, 20170905  # a seed that nobody's code sets


class DataShape(NamedTuple):
    """The shape of the data: inputs, outputs and task.

    `sequences`: `steps` of the longest, where they have lengths; `features` per step, `vocabulary`;
    `target_steps`, where targets are sequences of lengths of their own. `heads`: outputs of further
    targets by name.
    """

    inputs: int
    outputs: int
    task: str
    sequences: Mapping[str, int | None] = {}
    heads: Mapping[str, int] = {}


def rehearse(config: Config, shape: Sequence[Any]) -> str | None:
    """Builds everything that a config names, and trains two steps on random rows of a `DataShape`.

    Returns a description: two configs with the same description train alike. None where the model
    does not take rows of that shape.

    Raises:
        TypeError: a class that cannot be imported, does not take its keys, or makes a model, loss
            or optimizer that cannot train.
        ValueError: a setting that leaves nothing to train.
    """
    device, trainer = torch.device("cpu"), config["trainer"]
    _check_batch(trainer.get("batch_size"))
    model, loss, optimizer = seeded(config, SEED, device)
    if torch.initial_seed() not in (SEED, config.get("seed")):
        raise TypeError(
            "model._target_: model, loss and optimizer must leave torch's seed as it is, or all "
            f"seeds begin alike, but got torch.manual_seed({torch.initial_seed()}); take it out"
        )
    _check_parameters(model, loss)
    penalties = read_penalties(trainer)
    schedule = Schedule(config.get("schedule"), optimizer, epochs=int(trainer["epochs"]), steps=3)
    rows = _rows(DataShape(*shape))
    if len(rows) > 2:
        check_reads_lengths(model)
    for step in range(2):  # the second step shows what an optimizer keeps of the first
        apply(schedule.at(1, step=step, watched=[]), optimizer)
        optimizer.zero_grad()
        try:
            outputs = outputs_of(model, rows, forced=is_forced(model))
        except TokensNotRead:
            raise
        except Exception:  # noqa: BLE001  # a model of other rows, or one that needs a whole batch
            return None
        _check_outputs(outputs, model)
        _check_shape(outputs, rows[1], model, loss)
        _check_mean(loss, outputs, rows)
        _step(config, loss, optimizer, outputs, rows)
    weights = [
        (name, tensor.double().abs().sum().item()) for name, tensor in model.state_dict().items()
    ]
    parts = [_described(module) for module in (*model.modules(), *loss.modules())]
    check_fits(read_augmentation(config), rows)
    check_has_width(config, sequences=len(rows) > 2 or not rows[0].is_floating_point())
    chances(config, rows[1])
    numbers = rows[1].is_floating_point()
    own = [trainer.get(key) for key in ("epochs", "batch_size", "fraction", "balance")]
    own += [penalties, [buffer.tolist() for buffer in loss.buffers()], config.get("augment")]
    own += [config.get("features"), read_distillation(config, classes=not numbers)]
    own += [teacher_of(config)]
    settings = [
        {key: value for key, value in group.items() if key not in ("params", *COLUMNS)}
        for group in optimizer.param_groups
    ]
    return repr((parts, weights, settings, schedule.describe(), own))


def _rows(shape: DataShape) -> tuple[Tensor, ...]:
    """Inputs and targets, and lengths where sequences have some."""
    dice, outputs = torch.Generator().manual_seed(0), shape.outputs
    if shape.heads:
        outputs -= sum(shape.heads.values())
    features, vocabulary, longest = (
        shape.sequences.get(key) for key in ("features", "vocabulary", "steps")
    )
    steps = shape.inputs // (features or 1)
    x = torch.randn(ROWS, *((steps, features) if features else (steps,)), generator=dice)
    if vocabulary:
        x = torch.randint(vocabulary, (ROWS, steps), generator=dice)
    lengths = torch.tensor([steps, -(-steps // 2), 1, steps])
    if shape.task == "tagging":
        y = torch.arange(ROWS * steps).view(ROWS, steps) % shape.outputs
        y = y if longest is None else y.masked_fill(~real_steps(lengths, steps), IGNORED)
    elif shape.task == "step_regression":
        y = torch.randn(ROWS, 1, steps, generator=dice)
        y = y if longest is None else y.masked_fill(~real_steps(lengths, steps)[:, None], math.nan)
    elif shape.task == "transduction":
        longest_target = shape.sequences.get("target_steps") or 1
        y = torch.randint(1, shape.outputs, (ROWS, longest_target), generator=dice)
        y[1, -(-longest_target // 2) :] = END
    elif shape.task == "classification":
        y = torch.arange(ROWS) % outputs
    else:
        y = torch.randn(ROWS, outputs, generator=dice)
    if shape.heads:
        further = [torch.arange(ROWS) % size for size in shape.heads.values()]
        y = torch.cat([y.float().view(ROWS, -1), torch.stack(further, dim=1)], dim=1)
    return (x, y) if longest is None else (x, y, lengths)


def _step(
    config: Config, loss: nn.Module, optimizer: torch.optim.Optimizer, outputs: Tensor, rows: RowSet
) -> None:
    """Loss, backward pass and step; the forward pass was right, so an error is one of these."""
    for group, action in (
        ("loss", lambda: loss_of(loss, outputs, rows).backward()),
        ("optimizer", optimizer.step),
    ):
        try:
            action()
        except Exception as error:
            raise TypeError(
                f"{group}._target_: {config[group].get('_target_')!r} must train with outputs "
                f"{tuple(outputs.shape)} and targets {tuple(rows[1].shape)}, "
                f"but got {type(error).__name__}: {error}; mend {group} or the model's outputs"
            ) from error


def _check_batch(size: Any) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(
            f"trainer.batch_size: must be a whole number of at least 1, but got {size!r}; mend it"
        )


def _check_parameters(model: nn.Module, loss: nn.Module) -> None:
    for name, _ in filter(lambda named: named[1].requires_grad, loss.named_parameters()):
        raise TypeError(
            f"loss._target_: {type(loss).__name__} must have nothing to train, since by the loss "
            f"trainings are compared, but got {name}; train it in the model, or freeze it"
        )
    for name, state in model.state_dict().items():
        if not isinstance(state, Tensor):
            raise TypeError(
                f"model._target_: {type(model).__name__} must hold tensors alone in its state, "
                f"but got {name}, a {type(state).__name__}; make it a tensor, or leave it out"
            )
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise TypeError(
                f"model._target_: {type(model).__name__} must have its parameters from the start, "
                f"but got {name}, which is lazy; give its layer the number of inputs"
            )
        if parameter.is_complex():
            raise TypeError(
                f"model._target_: {type(model).__name__} must have real parameters, but got {name} "
                f"of {parameter.dtype}; hold real and imaginary part, or use a trainer of your own"
            )


def _check_outputs(outputs: Any, model: nn.Module) -> None:
    if not isinstance(outputs, Tensor):
        raise TypeError(
            f"model._target_: the forward of {type(model).__name__} must return one tensor, "
            f"but got {type(outputs).__name__}; return the logits or numbers alone"
        )
    if outputs.is_complex() or not outputs.is_floating_point():
        raise TypeError(
            f"model._target_: the forward of {type(model).__name__} must return real numbers, "
            f"but got {outputs.dtype}; return logits or numbers"
        )


def _check_shape(outputs: Tensor, y: Tensor, model: nn.Module, loss: nn.Module) -> None:
    """One row of numbers per row of data; torch's own losses would broadcast numbers that are not.

    Raises:
        TypeError: the outputs have another shape.
    """
    is_class = not y.is_floating_point()
    if is_class and (y.ndim > 1 or outputs.ndim == 2):
        return  # a class per step; or as it must be
    is_torchs = type(loss).__module__.startswith("torch.nn.")
    if not is_class and (outputs.shape == y.shape or not is_torchs):
        return
    expected = "one row of logits per row of data, [rows, classes]"
    if not is_class:
        expected = f"numbers of the targets' shape, {list(y.shape)}"
    raise TypeError(
        f"model._target_: the forward of {type(model).__name__} must return {expected}, "
        f"but got shape {list(outputs.shape)}; reshape them at its end, as by .flatten(1)"
    )


def _check_mean(loss: nn.Module, outputs: Tensor, rows: RowSet) -> None:
    """By a loss, batches and sets of several sizes are compared, which their sums cannot be.

    Raises:
        TypeError: the loss of the rows twice is twice their loss.
    """
    losses = list[float]()
    with torch.no_grad(), suppress(Exception):  # a loss that cannot be computed fails the step
        for times in (1, 2):
            given, *others = (torch.cat([part] * times) for part in (outputs, *rows))
            losses.append(float(loss_of(loss, given, tuple(others))))
    if len(losses) == 2 and losses[0] and math.isclose(losses[1], 2 * losses[0], rel_tol=1e-3):
        raise TypeError(
            f"loss._target_: {type(loss).__name__} must be a mean over the rows, by which sets of "
            "several sizes are compared, but got a sum; divide by their number (reduction=mean)"
        )


def _described(module: nn.Module) -> tuple[str, dict[str, Any]]:
    return type(module).__qualname__, {
        k: v for k, v in vars(module).items() if isinstance(v, int | float | str | tuple)
    }
