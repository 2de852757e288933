"""A step of many lanes as a plain list of torch calls, for any number of lanes: no `vmap` and no autograd left to pay for.

The step is traced for two numbers of lanes; where the two traces differ only in whole numbers that grow with the lanes, every
other number follows. For each number of lanes the first result is held against the untraced step, bit by bit; one difference,
and tracing is given up for good. So a trace is never seen but in the time it takes. Knows nothing of what is computed.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from trainers.lanes.optimizers import Rows

Step = Callable[..., tuple[Tensor, ...]]
Shape = tuple[tuple[int, ...], ...]
LANES = (3, 5)  # that are traced: not 2, which is too often something else's size
AFTER = 200  # steps of one shape that go untraced: two traces cost about as much as they then would have saved
SETTLED = 64  # steps of one number of lanes, for the same reason
IDLE = (torch.ops.aten.detach.default, torch.ops.aten.view.default, torch.ops.aten.expand.default)  # often without effect
SLOW = 0.004  # seconds of a step beyond which what a trace saves is nothing


class Traced:
    """`step(rows, *tensors)` gives tensors with lanes in front, as all of its own have, and may change rows in place."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._given_up = False
        self._seconds: dict[Shape, deque[float]] = {}  # of the last untraced steps, by shape, lanes left out
        self._steps: Counter[Shape | tuple[int, Shape]] = Counter()  # untraced ones, by shape without and with lanes
        self._graphs: dict[Shape, tuple[fx.Graph, fx.Graph, fx.GraphModule]] = {}
        self._modules: dict[tuple[int, Shape], fx.GraphModule] = {}

    def __call__(self, rows: Rows, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The step, traced as soon as that pays."""
        lanes, shape = len(tensors[0]), tuple(tuple(tensor.shape[1:]) for tensor in tensors)
        module = self._modules.get((lanes, shape))
        if module is not None and not self._given_up:
            with torch.no_grad():
                return tuple(module(rows, *tensors))
        if self._pays(lanes, shape):
            return self._first(shape, rows, tensors)
        begun = time.perf_counter()
        result = self._step(rows, *tensors)
        self._seconds[shape].append(time.perf_counter() - begun)
        return result

    def _pays(self, lanes: int, shape: Shape) -> bool:
        self._steps.update([shape, (lanes, shape)])
        seconds = self._seconds.setdefault(shape, deque(maxlen=SETTLED))
        if self._given_up or self._steps[lanes, shape] <= SETTLED or self._steps[shape] <= AFTER:
            return False
        return sum(seconds) / len(seconds) < SLOW

    def _first(self, shape: Shape, rows: Rows, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """A number of lanes that is new: both ways, on rows of their own."""
        apart = {name: tensor.clone() for name, tensor in rows.items()}
        expected = self._step(rows, *tensors)
        try:
            module = self._module(shape, apart, tensors)
            with torch.no_grad():
                found = module(apart, *tensors)
            pairs = [*zip(expected, found, strict=True), *((rows[name], apart[name]) for name in rows)]
            self._given_up = not all(_same_bits(one, other) for one, other in pairs)
            self._modules[len(tensors[0]), shape] = module
        except Exception:  # noqa: BLE001  # whatever cannot be traced goes on as before
            self._given_up = True
        return expected

    def _module(self, shape: Shape, rows: Rows, tensors: Sequence[Tensor]) -> fx.GraphModule:
        lanes = len(tensors[0])
        if shape not in self._graphs:
            few, more = (self._trace(rows, tensors, count) for count in LANES)
            self._graphs[shape] = few.graph, more.graph, few
        few_graph, more_graph, module = self._graphs[shape]
        graph = fx.Graph()
        graph._codegen = few_graph._codegen  # how its arguments are unpacked
        copies: dict[fx.Node, fx.Node] = {}
        for one, other in zip(few_graph.nodes, more_graph.nodes, strict=True):
            if (one.op, str(one.target)) != (other.op, str(other.target)):
                raise ValueError(f"{one.target} in one trace, {other.target} in the other")
            if _idle(one) and _idle(other):
                copies[one] = copies[one.all_input_nodes[0]]
                continue
            copy = graph.node_copy(one, lambda node: copies[node])
            copy.args = _for_lanes(one.args, other.args, lanes, copies)
            copy.kwargs = _for_lanes(dict(one.kwargs), dict(other.kwargs), lanes, copies)
            copies[one] = copy
        return fx.GraphModule(module, graph)

    def _trace(self, rows: Rows, tensors: Sequence[Tensor], lanes: int) -> fx.GraphModule:
        def some(tensor: Tensor) -> Tensor:
            return tensor[:1].repeat(lanes, *(1,) * (tensor.ndim - 1))

        return make_fx(self._step)({name: some(tensor) for name, tensor in rows.items()}, *map(some, tensors))


def _idle(node: fx.Node) -> bool:
    """Whether a call gives the very tensor that it takes: a fifth of the calls of a small model's step."""
    if node.target not in IDLE:
        return False
    (taken,) = node.all_input_nodes
    before, after = taken.meta["val"], node.meta["val"]
    return bool(before.shape == after.shape and before.stride() == after.stride())


def _for_lanes(one: Any, other: Any, lanes: int, copies: dict[fx.Node, fx.Node]) -> Any:
    """What stands in two traces, for another number of lanes: numbers that differ lie on a line.

    Raises:
        ValueError: they differ in something else.
    """
    if isinstance(one, fx.Node):
        return copies[one]
    if isinstance(one, list | tuple):
        return type(one)(_for_lanes(a, b, lanes, copies) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        return {key: _for_lanes(value, other[key], lanes, copies) for key, value in one.items()}
    if one == other:
        return one
    if not isinstance(one, int) or not isinstance(other, int) or (other - one) % (LANES[1] - LANES[0]):
        raise ValueError(f"{one} in one trace, {other} in the other")
    return one + (other - one) // (LANES[1] - LANES[0]) * (lanes - LANES[0])


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())
