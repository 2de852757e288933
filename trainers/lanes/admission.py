"""Before trainings share a program: two steps of two lanes, held against two plain models (loss, gradients, buffers, outputs).

`torch.func` is silently wrong about some models (a buffer that forward assigns anew, state in Python); what differs here, or
raises, trains alone instead. Never looks at the metric.
"""

import copy

import torch
from torch import Tensor, nn

from trainers.api import Config
from trainers.build import build, plain_loss, seed_all
from trainers.lanes.group import Sets
from trainers.lanes.key import Unfusable, attributes, smoothing_of
from trainers.lanes.masks import counted_dropout, in_place_of_torchs, rates_of
from trainers.lanes.optimizers import Rows
from trainers.lanes.program import BUFFER, WEIGHTS, Numbers, Program, joined

TOLERANCE = 1e-3  # of the greatest number of its kind; rounding gives 1e-5, a wrong program the whole
RATE = 0.01  # of the plain steps between the two looks


def admitted(config: Config, *, sets: Sets, batch: int, device: torch.device) -> Program:
    """The program of a config's key.

    Raises:
        Unfusable: it does not train as the plain model does; the text says where they part.
    """
    models = []
    for lane in range(2):
        seed_all(int(config["seed"]) + lane, device)
        model, loss, optimizer = build(config, device)
        models.append(model)
    plain = plain_loss(config, loss, device)
    (x, y), _ = sets
    try:
        program = Program(models[0], loss, optimizer, plain=plain, x=x[:batch], y=y[:batch])
        _compare(program, models, loss, sets=sets, batch=batch)
    except Unfusable:
        raise
    except Exception as error:  # vmap, or a user's model under it, may raise anything
        raise Unfusable(f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}") from error
    return program


def _compare(program: Program, models: list[nn.Module], loss: nn.Module, *, sets: Sets, batch: int) -> None:
    (x, y), (val_x, val_y) = sets
    rows = joined([program.rows_of(model) for model in models])
    told, index = attributes(program.template), torch.stack([torch.arange(batch), len(x) - 1 - torch.arange(batch)])
    rates = rates_of(models[0])
    smoothing = torch.full((2,), smoothing_of(loss), dtype=x.dtype, device=x.device)
    for step in range(2):
        key = torch.tensor([17 + step, -4711 * step - 5], dtype=torch.int32, device=x.device)
        numbers = Numbers(key=key, rates=torch.tensor([rates] * 2, dtype=x.dtype, device=x.device), smoothing=smoothing)
        batches = x[index.to(x.device)], y[index.to(x.device)]
        _, gradients = program.gradients(rows, *batches, numbers)
        for lane, model in enumerate(models):
            gradient = _gradient(program, model.train(), loss, *(tensor[lane] for tensor in batches), key=key[lane])
            _same(gradients[lane], gradient, "gradients")
            _same_buffers(rows, model, lane)
        rows[WEIGHTS] = rows[WEIGHTS] - RATE * gradients
        index = (index + batch) % len(x)
    _, outputs = program.evaluate(rows, val_x, val_y)
    for lane, model in enumerate(models):
        with torch.no_grad():
            _same(outputs[lane], model.eval()(val_x), "outputs in evaluation mode")
    if attributes(program.template) != told:
        raise Unfusable("forward changes attributes of the model that are neither parameters nor buffers")


def _gradient(program: Program, model: nn.Module, loss: nn.Module, x: Tensor, y: Tensor, *, key: Tensor) -> Tensor:
    """The plain model's, in the order of a row; the model then makes its step."""
    model.zero_grad(set_to_none=True)
    with in_place_of_torchs(counted_dropout(key)):
        loss(model(x), y).backward()
    parameters = dict(model.named_parameters())
    gradients = [parameters[name].grad for name in program.trained]
    found = [gradient for gradient in gradients if gradient is not None]
    if len(found) < len(gradients):
        raise Unfusable("a parameter gets no gradient in one step and one in another")
    with torch.no_grad():
        for name, gradient in zip(program.trained, found, strict=True):
            parameters[name].sub_(gradient, alpha=RATE)
    return torch.cat([gradient.flatten() for gradient in found])


def _same(ours: Tensor, theirs: Tensor, what: str) -> None:
    if ours.shape != theirs.shape:
        raise Unfusable(f"{what} have another shape in lanes: {tuple(ours.shape)} instead of {tuple(theirs.shape)}")
    distance = float((ours.double() - theirs.double()).abs().max()) if ours.numel() else 0.0
    size = float(theirs.double().abs().max()) if theirs.numel() else 0.0
    if not distance <= TOLERANCE * size + 1e-12:
        raise Unfusable(f"{what} differ in lanes by {distance:.3g}, at most {size:.3g} in size")


def _same_buffers(rows: Rows, model: nn.Module, lane: int) -> None:
    for name, buffer in model.named_buffers():
        if buffer.numel():
            _same(rows[BUFFER + name][lane], copy.deepcopy(buffer), f"buffer {name}: values")
