"""A step of many lanes as a plain list of torch calls, without the cost of `vmap` and autograd.

The step is traced for two numbers of lanes. Where the two traces differ only in whole numbers that
grow with the lanes, one list of calls serves any number of lanes. For each number, the first result
is compared with the untraced step, bit by bit; after one difference, tracing is given up for good.
So a trace changes nothing but the time.
"""

import operator
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from trainers.lanes.generators import generator_states
from trainers.lanes.rows import Rows

Step = Callable[..., tuple[Tensor, ...]]
# The names of the rows, and the shape of every other tensor without its lanes.
Shape = tuple[tuple[Any, ...], ...]
LANES = (3, 5)  # numbers of lanes that are traced: not 2, which many other sizes have
# Untraced steps of one shape before it is traced: two traces cost about as much as this many save.
AFTER = 200
# Untraced steps of a new number of lanes: its first traced step is computed both ways.
SETTLED = 4
TIMED = 64  # untraced steps whose mean time counts
SLOW = 0.004  # seconds of a step, beyond which a trace saves nothing
ATEN = torch.ops.aten
# Calls that often have no effect.
IDLE = (ATEN.detach.default, ATEN.view.default, ATEN._unsafe_view.default, ATEN.expand.default)
# Calls of a trace and the same by a shorter way: a microsecond each, a fifth of a small step.
DIRECT: dict[Any, Any] = {
    ATEN.view.default: torch.Tensor.view,
    ATEN._unsafe_view.default: torch.Tensor.view,
    ATEN.expand.default: torch.Tensor.expand,
    ATEN.transpose.int: torch.transpose,
    ATEN.unsqueeze.default: torch.unsqueeze,
    ATEN.bmm.default: torch.bmm,
    ATEN.cat.default: torch.cat,
    ATEN.add.Tensor: torch.add,
    ATEN.mul.Tensor: torch.mul,
    ATEN.neg.default: torch.neg,
    ATEN.relu.default: torch.relu,
    ATEN.sum.dim_IntList: torch.sum,
    ATEN.gather.default: torch.gather,
    ATEN.scatter_add.default: torch.scatter_add,
}


class Traced:
    """A step that is traced once that pays.

    `step(rows, *tensors)` returns tensors with lanes in front, as all its arguments have; it may
    change rows in place.

    Attributes:
        given_up: True once a trace gave other bits; steps are not traced from then on.
        checked: lanes and shapes for which a trace has been compared.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self.given_up = False
        self._seconds: dict[Shape, deque[float]] = {}  # of the last untraced steps
        # Numbers of untraced steps, by shape alone, and by lanes and shape.
        self._steps: Counter[Shape | tuple[int, Shape]] = Counter()
        self._modules: dict[Shape, fx.GraphModule] = {}
        self.checked: set[tuple[int, Shape]] = set()

    def __call__(self, rows: Rows, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The step, traced as soon as that pays."""
        lanes = len(tensors[0])
        shape = (tuple(rows), *(tuple(tensor.shape[1:]) for tensor in tensors))
        if (lanes, shape) in self.checked and not self.given_up:
            with torch.no_grad():
                return tuple(self._modules[shape](*rows.values(), *tensors))
        if self._pays(lanes, shape):
            return self._first(shape, rows, tensors)
        begun = time.perf_counter()
        result = self._step(rows, *tensors)
        self._seconds[shape].append(time.perf_counter() - begun)
        return result

    def _pays(self, lanes: int, shape: Shape) -> bool:
        self._steps.update([shape, (lanes, shape)])
        seconds = self._seconds.setdefault(shape, deque(maxlen=TIMED))
        if self.given_up or self._steps[lanes, shape] <= SETTLED or self._steps[shape] <= AFTER:
            return False
        return sum(seconds) / len(seconds) < SLOW

    def _first(self, shape: Shape, rows: Rows, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The first traced step of a number of lanes, compared with the untraced one."""
        copies = {name: tensor.clone() for name, tensor in rows.items()}
        generators = generator_states(tensors[0].device)
        expected = self._step(rows, *tensors)
        try:
            if shape not in self._modules:
                few, more = (self._trace(rows, tensors, count) for count in LANES)
                self._modules[shape] = _general(few, more)
            with torch.no_grad():
                results = self._modules[shape](*copies.values(), *tensors)
            pairs = [
                *zip(expected, results, strict=True),
                *((rows[name], copies[name]) for name in rows),
            ]
            same = all(_same_bits(one, other) for one, other in pairs)
            self.given_up = not same or generator_states(tensors[0].device) != generators
            self.checked.add((len(tensors[0]), shape))
        except Exception:  # noqa: BLE001  # whatever cannot be traced goes on as before
            self.given_up = True
        return expected

    def _trace(self, rows: Rows, tensors: Sequence[Tensor], lanes: int) -> fx.GraphModule:
        # Private names, which another torch may lack: that gives up tracing, and no training.
        from torch._guards import TracingContext, tracing
        from torch._subclasses.fake_tensor import FakeTensorMode
        from torch.fx.experimental.proxy_tensor import make_fx

        def step(*flat: Tensor) -> tuple[Tensor, ...]:
            return self._step(dict(zip(rows, flat, strict=False)), *flat[len(rows) :])

        examples = [
            tensor[:1].repeat(lanes, *(1,) * (tensor.ndim - 1))
            for tensor in (*rows.values(), *tensors)
        ]
        # A trace keeps of each value what a fake of it is. Torch makes a mode of fakes for each
        # of them where none is under way, which is three fifths of a trace's time.
        with tracing(TracingContext(FakeTensorMode())):
            return make_fx(step)(*examples)


def _general(few: fx.GraphModule, more: fx.GraphModule) -> fx.GraphModule:
    """Two traces, for 3 and for 5 lanes, as one for any number.

    Raises:
        ValueError: they differ in something that does not grow with the lanes.
    """
    merged = _Merged()
    for one, other in zip(few.graph.nodes, more.graph.nodes, strict=True):
        merged.add(one, other)
    for node in reversed(merged.graph.nodes):
        if node.target is torch.transpose and not node.users:
            merged.graph.erase_node(node)
    return fx.GraphModule(few, merged.graph)


class _Merged:
    """The calls of two traces as one graph; the number of lanes is read from its first input."""

    def __init__(self) -> None:
        self.graph = fx.Graph()
        self._copies: dict[fx.Node, fx.Node] = {}
        self._lanes: fx.Node | None = None
        self._sizes: dict[tuple[int, int], fx.Node] = {}

    def add(self, one: fx.Node, other: fx.Node) -> None:
        """Adds the next call of each trace."""
        if (one.op, str(one.target)) != (other.op, str(other.target)):
            raise ValueError(f"{one.target} in one trace, {other.target} in the other")
        same = self._same(one, other)
        if same is not None:
            self._copies[one] = same
            return
        if one.op != "placeholder" and self._lanes is None:
            self._lanes = self.graph.call_method("size", (next(iter(self._copies.values())), 0))
        args = self._both(one.args, other.args)
        kwargs = self._both(dict(one.kwargs), dict(other.kwargs))
        copy = self.graph.node_copy(one, lambda node: self._copies[node])
        copy.args, copy.kwargs, copy.target = args, kwargs, DIRECT.get(one.target, one.target)
        self._copies[one] = copy

    def _same(self, one: fx.Node, other: fx.Node) -> fx.Node | None:
        """An earlier call with the same result; None where there is none."""
        if one.target not in (*IDLE, ATEN.transpose.int):
            return None
        source = self._copies[one.all_input_nodes[0]]
        if one.target in IDLE and _idle(one) and _idle(other):
            return source
        turned_back = (
            one.target is ATEN.transpose.int
            and source.target is torch.transpose
            and one.args[1:] == source.args[1:]
        )
        return source.all_input_nodes[0] if turned_back else None

    def _both(self, one: Any, other: Any) -> Any:
        """An argument of both calls; whole numbers that differ grow linearly with the lanes."""
        if isinstance(one, fx.Node):
            return self._copies[one]
        if isinstance(one, list | tuple):
            return type(one)(self._both(a, b) for a, b in zip(one, other, strict=True))
        if isinstance(one, dict):
            return {key: self._both(value, other[key]) for key, value in one.items()}
        if one == other:
            return one
        slope, rest = (
            divmod(other - one, LANES[1] - LANES[0])
            if isinstance(one, int) and isinstance(other, int)
            else (0, 1)
        )
        if rest or self._lanes is None:
            raise ValueError(f"{one} in one trace, {other} in the other")
        line = slope, one - slope * LANES[0]
        if line not in self._sizes:
            product = self.graph.call_function(operator.mul, (self._lanes, slope))
            self._sizes[line] = self.graph.call_function(operator.add, (product, line[1]))
        return self._sizes[line]


def _idle(node: fx.Node) -> bool:
    """Whether a call returns its input unchanged: a fifth of the calls of a small model's step."""
    before, after = node.all_input_nodes[0].meta["val"], node.meta["val"]
    return bool(before.shape == after.shape and before.stride() == after.stride())


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())
