"""What a training calls on the outputs of its modules, up to every loss, on a tape that copies of
the modules, as they were before the first step, play again.

Whatever the loop does around it (steps, schedules, evaluations) is not on it. Never judges.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

from trainers.probes.hooks import Hooked, has_closure, is_transformed, of_modules
from trainers.probes.steer import Enough

MOST_NUMBERS, MOST_CALLS = 50_000_000, 20_000  # that a tape holds; calls between two steps


@dataclass(frozen=True)
class _Value:
    """What an earlier call gave."""

    number: int


@dataclass(frozen=True)
class _Learned:
    """A tensor that learns, outside of modules."""

    tensor: Tensor


@dataclass(kw_only=True)
class Call:
    """Of a function, or of a `module` that nothing else on the tape is inside of."""

    function: Callable[..., Any]
    module: bool
    given: list[Any]
    form: TreeSpec
    came: list[int]  # numbers of its tensors
    gradients: bool


@dataclass(kw_only=True)
class Piece:
    """The calls that lead to a loss, and the number that the loss has."""

    calls: list[Call]
    loss: int


@dataclass(kw_only=True)
class _Open:
    """Since the last step: the calls, and the numbers of the tensors that came of them."""

    calls: list[Call] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)  # held, so that no other one gets their id


class Tape(Hooked):
    """A context in which a training is taped, or ends at once where that cannot be.

    `pieces`: one per backward pass; `cause`: why there is no tape; `partial`: whether anything that
    learns came to a call another way, as by a distribution.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Piece] = []
        self.cause, self.partial = "", False
        self._steps = 0
        self._optimizers: set[int] = set()
        self._open = _Open()
        self._copies: dict[int, Any] = {}  # of modules and tensors; `copy.deepcopy` fills it too
        self._entering: list[Any] = []  # what the module under way was given
        self._count = self._depth = self._numbers = 0

    def _hook(self) -> None:
        super()._hook()
        self._handles += of_modules(self._entered, self._left)

    def _end(self, cause: str) -> NoReturn:
        self.cause = cause
        raise Enough

    def _on_backward(self, loss: Tensor) -> None:
        pass

    def _before_backward(self, asked: Sequence[Tensor]) -> None:
        number = self._open.numbers.get(id(asked[0]))
        if len(asked) != 1 or number is None or asked[0].numel() != 1:
            self._end("its losses do not come from its modules by torch's functions alone")
        self.pieces.append(Piece(calls=leading_to({number}, self._open.calls), loss=number))

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if has_closure(args, kwargs):
            self._end("its optimizer asks for the gradients itself")
        self._optimizers.add(id(optimizer))
        self._steps += 1

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._open = _Open()

    @property
    def takes_turns(self) -> bool:
        """Whether several optimizers have losses of their own."""
        return len(self._optimizers) > 1 and len(self.pieces) >= self._steps

    def evaluation(self, functions: Sequence[Callable[..., Any]]) -> list[Piece]:
        """Since the last step: losses that these functions gave, of modules that are trained."""
        calls, known = self._open.calls, self.modules(self.pieces)
        found = [
            Piece(calls=leading_to({call.came[0]}, calls), loss=call.came[0])
            for call in calls
            if call.function in functions
        ]
        return [one for one in found if known.issuperset(self.modules([one]))]

    @staticmethod
    def modules(pieces: Sequence[Piece]) -> set[int]:
        """Those that are called in these."""
        return {id(call.function) for one in pieces for call in one.calls if call.module}

    # What is on it

    def _entered(self, module: nn.Module, args: Any) -> None:
        if self._depth or any(True for _ in module.parameters()):
            if not self._depth:
                self._copy(module)
                self._entering = [self._given(one) for one in tree_leaves(args)]
            self._depth += 1

    def _left(self, module: nn.Module, args: Any, kwargs: Any, output: Any = None) -> None:
        if self._depth:
            self._depth -= 1
            if not self._depth and output is not None and not is_transformed():
                given, form = tree_flatten((args, kwargs))
                keywords = [self._given(one) for one in given[len(self._entering) :]]
                self._note(module, ([*self._entering, *keywords], form), output)

    def _on_call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        known = self._open.numbers
        if not known or self._depth or is_transformed() or func is Tensor.backward:
            return func(*args, **kwargs)
        tensors = (one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor))
        if not any(id(one) in known or _learns(one) for one in tensors):
            return func(*args, **kwargs)
        taken = self._taken(args, kwargs)
        result = func(*args, **kwargs)
        came = _came_of(result, args)
        if any(isinstance(one, Tensor) for one in tree_leaves(came)):
            self._note(func, taken, came)
        return result

    def _taken(self, args: Any, kwargs: Any) -> tuple[list[Any], TreeSpec]:
        """What is given, as it is before the call, which may write in place."""
        given, form = tree_flatten((args, kwargs))
        return [self._given(one) for one in given], form

    def _note(
        self, function: Callable[..., Any], taken: tuple[list[Any], TreeSpec], result: Any
    ) -> None:
        given, form = taken
        came = []
        for one in tree_leaves(result):
            if isinstance(one, Tensor):
                self._open.numbers[id(one)] = self._count
                self._open.tensors.append(one)
            came.append(self._count)
            self._count += 1
        self._open.calls.append(
            Call(
                function=function,
                module=isinstance(function, nn.Module),
                given=given,
                form=form,
                came=came,
                gradients=torch.is_grad_enabled(),
            )
        )
        if self._numbers > MOST_NUMBERS or len(self._open.calls) > MOST_CALLS:
            self._end("it computes more than a tape may hold")

    def _given(self, one: Any) -> Any:
        """As it stands on the tape: other tensors as they are now."""
        if not isinstance(one, Tensor):
            return one
        if id(one) in self._open.numbers:
            return _Value(self._open.numbers[id(one)])
        if _learns(one):
            self._copy(one)
            return _Learned(one)
        self.partial |= one.requires_grad
        self._numbers += one.numel()
        return one.detach().clone()  # a loop may fill the same tensor with its next batch

    # Copies

    def _copy(self, one: nn.Module | Tensor) -> None:
        if id(one) not in self._copies:
            try:
                copy.deepcopy(one, self._copies)
            except Exception as error:  # noqa: BLE001  # a module may hold anything
                self._end(f"a copy of its model fails: {error}")

    def learning(self) -> list[Tensor]:
        """The tensors of the copies that ask for gradients."""
        every = {id(one): one for one in self._copies.values() if isinstance(one, Tensor)}
        return [one for one in every.values() if one.requires_grad and one.is_leaf]

    def state(self) -> list[tuple[Tensor, Tensor]]:
        """All tensors of the copies, each with what it holds."""
        parts = self._copies.values()
        modules = [one for one in parts if isinstance(one, nn.Module)]
        every = [one for one in parts if isinstance(one, Tensor)]
        every += [buffer for module in modules for buffer in module.buffers()]
        return [(one, one.detach().clone()) for one in {id(x): x for x in every}.values()]

    def play(
        self, piece: Piece, *, training: bool, changed: Callable[[Any], Any] | None = None
    ) -> Tensor:
        """The loss that the copies give; `changed`: what becomes of the output of each module, or,
        where a module gives the loss itself, of the first tensor that it is given.
        """
        values: dict[int, Any] = {}
        for call in piece.calls:
            given = [self._played(one, values) for one in call.given]
            whole = call.module and piece.loss in call.came
            if changed is not None and whole:
                given[_first_rows(given)] = changed(given[_first_rows(given)])
            args, kwargs = tree_unflatten(given, call.form)
            with torch.set_grad_enabled(call.gradients and torch.is_grad_enabled()):
                if call.module:
                    module = self._copies[id(call.function)]
                    module.train(training)
                    result = module(*args, **kwargs)
                    result = result if changed is None or whole else changed(result)
                else:
                    result = call.function(*args, **kwargs)
            values.update(zip(call.came, tree_leaves(_came_of(result, args)), strict=False))
        loss: Tensor = values[piece.loss]
        return loss

    def _played(self, one: Any, values: Mapping[int, Any]) -> Any:
        if isinstance(one, _Value):
            return values[one.number]
        if isinstance(one, _Learned):
            return self._copies[id(one.tensor)]
        return one.clone() if isinstance(one, Tensor) else one  # a call may write in place


def leading_to(numbers: set[int], calls: Sequence[Call]) -> list[Call]:
    """Those of the calls of which one of these numbers comes, in order."""
    wanted, leading = set(numbers), []
    for call in reversed(calls):
        own = {one.number for one in call.given if isinstance(one, _Value)}
        if wanted.intersection(call.came):
            leading.append(call)
            wanted |= own
    return leading[::-1]


def _came_of(result: Any, args: Sequence[Any]) -> Any:
    """What is written in place has no result of its own."""
    return args[0] if result is None else result


def _first_rows(given: Sequence[Any]) -> int:
    """The place of the first tensor with rows, else 0."""
    rows = (place for place, one in enumerate(given) if isinstance(one, Tensor) and one.ndim)
    return next(rows, 0)


def _learns(one: Tensor) -> bool:
    return one.requires_grad and one.is_leaf
