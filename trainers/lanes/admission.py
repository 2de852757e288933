"""Before trainings share a program: two steps of two lanes, held against two plain models (loss, gradients, buffers, outputs).

`torch.func` is silently wrong about some models (a buffer that forward assigns anew, state in Python); what differs here, or
raises, trains alone instead. Never looks at the metric.
"""

import copy

import torch
from torch import Tensor, nn, optim

from trainers.api import Config
from trainers.build import Sets, build, plain_loss, seed_all
from trainers.lanes.evaluation import ROWS, observe
from trainers.lanes.key import Unfusable, attributes, named_tensors, smoothing_of
from trainers.lanes.masks import counted_dropout, in_place_of_torchs, rates_of
from trainers.lanes.program import Program
from trainers.lanes.rows import BUFFER, WEIGHTS, Numbers, Rows, joined
from trainers.records import LEAST

TOLERANCE = (
    1e-3  # of the greatest number of its kind; rounding gives 1e-5, a wrong program the whole
)
RATE = 0.01  # of the plain steps between the two looks
SEEN = ROWS + LEAST  # rows that are evaluated: one pass and a part of the next


def admitted(config: Config, *, sets: Sets, batch: int, device: torch.device) -> Program:
    """The program of a config's key.

    Raises:
        Unfusable: it does not train as the plain model does; the text says where they part.
    """
    seed_all(int(config["seed"]), device)
    model, loss, optimizer = build(config, device)
    models = [model, _another(model)]
    plain = plain_loss(config, loss, device)
    (x, y), _ = sets
    try:
        program = Program(models[0], loss, optimizer, plain=plain, x=x[:batch], y=y[:batch])
        _compare(program, models, loss, optimizer, sets=sets, batch=batch)
    except Unfusable:
        raise
    except Exception as error:  # vmap, or a user's model under it, may raise anything
        raise Unfusable(
            f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
        ) from error
    return program


def _compare(
    program: Program,
    models: list[nn.Module],
    loss: nn.Module,
    optimizer: optim.Optimizer,
    *,
    sets: Sets,
    batch: int,
) -> None:
    (x, y), _ = sets
    rows = joined([program.rows_of(model, optimizer) for model in models])
    told, places = attributes(program.template), [_places(model) for model in models]
    index = torch.stack([torch.arange(batch), len(x) - 1 - torch.arange(batch)]).to(x.device)
    rates = torch.tensor([rates_of(models[0])] * 2, dtype=rows[WEIGHTS].dtype, device=x.device)
    smoothing = torch.full((2,), smoothing_of(loss), dtype=rows[WEIGHTS].dtype, device=x.device)
    for step in range(2):
        key = torch.tensor([17 + step, -4711 * step - 5], dtype=torch.int32, device=x.device)
        _, _, gradients = program.gradients(
            rows, x[index], y[index], Numbers(key=key, rates=rates, smoothing=smoothing)
        )
        for lane, model in enumerate(models):
            gradient = _gradient(
                program, model.train(), loss, x[index[lane]], y[index[lane]], key=key[lane]
            )
            _same(gradients[lane], gradient, "gradients")
            _same_buffers(rows, model, lane)
        rows[WEIGHTS] = rows[WEIGHTS] - RATE * gradients
        index = (index + batch) % len(x)
    buffers = {name: tensor.clone() for name, tensor in rows.items() if name.startswith(BUFFER)}
    others = (
        x[-LEAST:],
        y[-LEAST:],
    )  # in one pass with these, as in training: a model must not mix rows
    losses, outputs, _ = observe(program, rows, x[:SEEN], y[:SEEN], rates, sample=others)
    for lane, model in enumerate(models):
        with torch.no_grad():
            theirs = model.eval()(x[:SEEN].clone())
            _same(outputs[lane], theirs, "outputs in evaluation mode")
            _same(
                losses[lane], program.plain(theirs, y[:SEEN].clone()), "losses in evaluation mode"
            )
    changed = [
        name.removeprefix(BUFFER)
        for name, tensor in buffers.items()
        if not torch.equal(tensor, rows[name])
    ]
    if changed:
        raise Unfusable(f"forward changes buffer {changed[0]} in evaluation mode")
    if attributes(program.template) != told:
        raise Unfusable(
            "forward changes attributes of the model that are neither parameters nor buffers"
        )
    for before, model in zip(places, models, strict=True):
        moved = [name for name, place in _places(model).items() if place != before.get(name)]
        if moved:
            raise Unfusable(f"forward assigns {moved[0]} anew instead of changing it in place")


def _another(model: nn.Module) -> nn.Module:
    """The same model with other weights and buffers: building one for another seed would be another trial's affair."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in [*other.parameters(), *other.buffers()]:
            if tensor.is_floating_point():
                tensor.mul_(0.9)
    return other


def _places(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Which tensor a name leads to, and where its numbers lie."""
    return {name: (id(tensor), tensor.data_ptr()) for name, tensor in named_tensors(model)}


def _gradient(
    program: Program, model: nn.Module, loss: nn.Module, x: Tensor, y: Tensor, *, key: Tensor
) -> Tensor:
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
        raise Unfusable(
            f"{what} have another shape in lanes: {tuple(ours.shape)} instead of {tuple(theirs.shape)}"
        )
    distance = float((ours.double() - theirs.double()).abs().max()) if ours.numel() else 0.0
    size = float(theirs.double().abs().max()) if theirs.numel() else 0.0
    if not distance <= TOLERANCE * size + 1e-12:
        raise Unfusable(f"{what} differ in lanes by {distance:.3g}, at most {size:.3g} in size")


def _same_buffers(rows: Rows, model: nn.Module, lane: int) -> None:
    for name, buffer in model.named_buffers():
        if buffer.numel():
            _same(rows[BUFFER + name][lane], buffer, f"buffer {name}: values")
