"""Whether trainings may share a program: steps of two lanes are compared with two plain models.

Compared are losses, gradients, buffers and outputs. `torch.func` is silently wrong about some
models (a buffer that forward assigns anew, state in Python). A model for which lanes differ, that
raises, or whose forward pass has side effects, trains alone instead. Never looks at the metric.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn, optim

from trainers.api import Config
from trainers.build import Sets, build, plain_loss, seed_all
from trainers.lanes.evaluation import ROWS, observe
from trainers.lanes.key import Unfusable, attributes, named_tensors, smoothing_of
from trainers.lanes.masks import counted_dropout, in_place_of_torchs, rates_of
from trainers.lanes.program import Program
from trainers.lanes.rows import BUFFER, WEIGHTS, Numbers, Rows, joined
from trainers.lanes.side_effects import no_side_effects
from trainers.layer_series import LEAST

# Relative to the greatest number of its kind: rounding gives 1e-5, a wrong program about 1.
TOLERANCE = 1e-3
RATE = 0.01  # learning rate of the plain steps between the comparisons
EVALUATED = ROWS + LEAST  # rows that are evaluated: one whole pass and a part of the next


def admitted(config: Config, *, sets: Sets, batch: int, device: torch.device) -> Program:
    """The program of a config's key.

    Raises:
        Unfusable: it does not train as the plain model does; the text says where they differ.
    """
    seed_all(int(config["seed"]), device)
    model, loss, optimizer = build(config, device)
    models = [model, _another(model)]
    plain = plain_loss(config, loss, device)
    (x, y), _ = sets
    try:
        program = Program(models[0], loss, optimizer, plain=plain, x=x[:batch], y=y[:batch])
        with no_side_effects(model, loss, device=device), _whole_precision():
            _Comparison(program, models, loss, optimizer).run(x, y, batch=batch)
    except Unfusable:
        raise
    except Exception as error:  # vmap, or a user's model under it, may raise anything
        first_line = (str(error).strip().splitlines() or [""])[0][:200]
        raise Unfusable(f"{type(error).__name__}: {first_line}") from error
    return program


class _Comparison:
    """Two lanes of a program beside the two plain models that they stand for."""

    def __init__(
        self, program: Program, models: list[nn.Module], loss: nn.Module, optimizer: optim.Optimizer
    ) -> None:
        self._program, self._models, self._loss = program, models, loss
        self._rows = joined([program.rows_of(model, optimizer) for model in models])
        like = self._rows[WEIGHTS]
        self._rates = torch.tensor([rates_of(models[0])] * 2, dtype=like.dtype, device=like.device)
        self._smoothing = torch.full((2,), smoothing_of(loss), dtype=like.dtype, device=like.device)

    def run(self, x: Tensor, y: Tensor, *, batch: int) -> None:
        """Training steps, with the epoch's last and smaller batch among them, and an evaluation."""
        program, models = self._program, self._models
        settings, places = attributes(program.template), [_places(model) for model in models]
        sizes = [batch, batch, len(x) % batch]
        index = torch.stack([torch.arange(batch), len(x) - 1 - torch.arange(batch)]).to(x.device)
        for step, size in enumerate(size for size in sizes if size):
            self._step(x[index[:, :size]], y[index[:, :size]], step=step)
            index = (index + batch) % len(x)
        self._evaluate(x, y)
        if attributes(program.template) != settings:
            raise Unfusable(
                "forward changes attributes of the model that are neither parameters nor buffers"
            )
        for before, model in zip(places, models, strict=True):
            moved = [name for name, place in _places(model).items() if place != before.get(name)]
            if moved:
                raise Unfusable(f"forward assigns {moved[0]} anew instead of changing it in place")

    def _step(self, x: Tensor, y: Tensor, *, step: int) -> None:
        """One step of the lanes and of the plain models, on batches [2, size, …]."""
        key = torch.tensor([17 + step, -4711 * step - 5], dtype=torch.int32, device=x.device)
        numbers = Numbers(key=key, rates=self._rates, smoothing=self._smoothing)
        _, _, gradients = self._program.gradients(self._rows, x, y, numbers)
        for lane, model in enumerate(self._models):
            gradient = _gradient(
                self._program, model.train(), self._loss, x[lane], y[lane], key=key[lane]
            )
            _compare(gradients[lane], gradient, "gradients")
            _compare_buffers(self._rows, model, lane)
        self._rows[WEIGHTS] = self._rows[WEIGHTS] - RATE * gradients

    def _evaluate(self, x: Tensor, y: Tensor) -> None:
        """Outputs and losses in evaluation mode, which must change no buffer.

        As in training, other rows are in the same pass: a model must not mix rows.
        """
        rows = self._rows
        buffers = {name: tensor.clone() for name, tensor in rows.items() if name.startswith(BUFFER)}
        sample = x[-LEAST:].clone(), y[-LEAST:].clone()
        x, y = x[:EVALUATED].clone(), y[:EVALUATED].clone()  # forward may write into its input
        observed = observe(self._program, rows, x, y, self._rates, sample=sample)
        for lane, model in enumerate(self._models):
            with torch.no_grad():
                expected = model.eval()(x.clone())
                _compare(observed.outputs[lane], expected, "outputs in evaluation mode")
                loss = self._program.plain(expected, y.clone())
                _compare(observed.losses[lane], loss, "losses in evaluation mode")
        for name, tensor in buffers.items():
            if not torch.equal(tensor, rows[name]):
                buffer = name.removeprefix(BUFFER)
                raise Unfusable(f"forward changes buffer {buffer} in evaluation mode")


@contextmanager
def _whole_precision() -> Iterator[None]:
    """Without TF32, whose rounding on a GPU is as great as the differences that are looked for."""
    matmul = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul


def _another(model: nn.Module) -> nn.Module:
    """A copy with other weights and buffers; building one with another seed could cost more."""
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
    """The plain model's gradient in the order of a row; then makes the model's step."""
    model.zero_grad(set_to_none=True)
    with in_place_of_torchs(counted_dropout(key)):
        loss(model(x), y).backward()
    parameters = dict(model.named_parameters())
    gradients = [parameters[name].grad for name in program.trained]
    reached = [gradient for gradient in gradients if gradient is not None]
    if len(reached) < len(gradients):
        raise Unfusable("a parameter gets no gradient in one step and one in another")
    with torch.no_grad():
        for name, gradient in zip(program.trained, reached, strict=True):
            parameters[name].sub_(gradient, alpha=RATE)
    return torch.cat([gradient.flatten() for gradient in reached])


def _compare(lane: Tensor, plain: Tensor, what: str) -> None:
    """Raises where a lane's numbers are not the plain model's."""
    if lane.shape != plain.shape:
        shapes = f"{tuple(lane.shape)} instead of {tuple(plain.shape)}"
        raise Unfusable(f"{what} have another shape in lanes: {shapes}")
    distance = float((lane.double() - plain.double()).abs().max()) if lane.numel() else 0.0
    size = float(plain.double().abs().max()) if plain.numel() else 0.0
    if not distance <= TOLERANCE * size + 1e-12:
        raise Unfusable(f"{what} differ in lanes by {distance:.3g}, at most {size:.3g} in size")


def _compare_buffers(rows: Rows, model: nn.Module, lane: int) -> None:
    for name, buffer in model.named_buffers():
        if buffer.numel():
            _compare(rows[BUFFER + name][lane], buffer, f"buffer {name}: values")
