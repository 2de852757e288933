"""The terms of a loss that is a sum: which of them teach, and how much beside the others.

Measures; never judges.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from trainers.probes.answers import Terms
from trainers.probes.functions import DIFFERENCES, PRODUCTS, QUOTIENTS, SUMS
from trainers.probes.hooks import Intercepted
from trainers.probes.tape import Piece, Tape

ROUNDING = 1e-5  # share of a term by which it differs where only the order of rows does


@dataclass(frozen=True, kw_only=True)
class Term:
    """A number, and by what the sum multiplies it."""

    value: Tensor
    factor: float = 1.0


class Summed(Intercepted):
    """A context in which it is noted of what terms single numbers are sums."""

    def __init__(self) -> None:
        super().__init__()
        self._terms: dict[int, list[Term]] = {}
        self._held: list[Tensor] = []  # so that no other one gets their id

    def terms(self, loss: Tensor) -> list[Term]:
        """Of this sum; of any other number a copy alone, as `loss += more` changes the number."""
        return self._terms.get(id(loss)) or [Term(value=loss.clone())]

    def _on_call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        terms = self._sum_of(func, *args) if len(args) == 2 and not kwargs else []
        result = func(*args, **kwargs)
        if terms:
            self._terms[id(result)] = terms
            self._held.append(result)
        return result

    def _sum_of(self, func: Callable[..., Any], one: Any, other: Any) -> list[Term]:
        if func in PRODUCTS and isinstance(other, Tensor) and other.requires_grad:
            one, other = other, one
        if not isinstance(one, Tensor) or one.numel() != 1:
            return []
        if isinstance(other, Tensor) and other.numel() != 1:
            return []
        constant = not isinstance(other, Tensor) or not other.requires_grad
        if func in SUMS and not isinstance(other, Tensor):
            return self.terms(one)
        if func in SUMS or (func in DIFFERENCES and isinstance(other, Tensor)):
            sign = 1.0 if func in SUMS else -1.0
            return self.terms(one) + _times(self.terms(other), sign)
        if func in (*PRODUCTS, *QUOTIENTS) and constant and 0 < abs(float(other)) < math.inf:
            factor = float(other) if func in PRODUCTS else 1 / float(other)
            return _times(self.terms(one), factor)
        return []


@dataclass(frozen=True, kw_only=True)
class Look:
    """At a term: its value, with the answers of other rows too (`mixed`); whether a gradient comes
    of it; the norm of its gradient over another term's, of the weights that both teach, the least.
    """

    value: float
    mixed: float
    teaches: bool
    share: float


def looked_at(tape: Tape, pieces: Sequence[Piece]) -> list[list[Look]]:
    """The terms of each of these losses, as the copies give them now."""
    if tape.partial:
        return []
    start, learning = tape.state(), tape.learning()
    found = [_looks(tape, piece, learning) for piece in pieces]
    with torch.no_grad():
        for tensor, value in start:  # statistics of batch norm
            tensor.copy_(value)
    return found


def terms_of(before: Sequence[Sequence[Look]], after: Sequence[Sequence[Look]]) -> Terms:
    """Of the same losses before a copy has learned, and after it.

    The greatest share of any look counts, of the term that has the least one, among those to which
    it matters which answer is for which row.
    """
    counts = {len(looks) for looks in (*before, *after)}
    if len(counts) != 1 or max(counts) < 2:
        return {"share": 1.0, "silent": False}
    each = [
        (looks[: len(before)], looks[len(before) :]) for looks in zip(*before, *after, strict=True)
    ]
    silent = [
        not any(look.teaches for look in (*old, *new))
        and [look.value for look in old] != [look.value for look in new]
        for old, new in each
    ]
    shares = [
        max(look.share for look in (*old, *new))
        for old, new in each
        if any(not math.isclose(look.value, look.mixed, rel_tol=ROUNDING) for look in old)
    ]
    return {"share": min(shares, default=1.0), "silent": any(silent)}


def _looks(tape: Tape, piece: Piece, learning: Sequence[Tensor]) -> list[Look]:
    terms = _terms(tape, piece, training=True)
    mixed = _terms(tape, piece, training=True, changed=shuffled(torch.Generator().manual_seed(0)))
    if len(terms) != len(mixed):
        return []
    gradients = [_gradients(term, learning) for term in terms]
    return [
        Look(
            value=float(term.value.detach()),
            mixed=float(other.value.detach()),
            teaches=term.value.requires_grad,
            share=min(_share(terms, gradients, place, beside) for beside in range(len(terms))),
        )
        for place, (term, other) in enumerate(zip(terms, mixed, strict=True))
    ]


def _terms(tape: Tape, piece: Piece, **settings: Any) -> list[Term]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with (summed := Summed()):
            return summed.terms(tape.play(piece, **settings))


def _times(terms: Sequence[Term], factor: float) -> list[Term]:
    return [replace(term, factor=term.factor * factor) for term in terms]


def _gradients(term: Term, learning: Sequence[Tensor]) -> list[Tensor | None]:
    if not term.value.requires_grad:
        return [None] * len(learning)
    return list(
        torch.autograd.grad(term.value.sum(), learning, retain_graph=True, allow_unused=True)
    )


def _share(
    terms: Sequence[Term], gradients: Sequence[Sequence[Tensor | None]], place: int, beside: int
) -> float:
    """Of one term's gradient over another's, where they teach the same weights; of the losses
    themselves, or as the sum weighs them, whichever is greater: a weight is meant.
    """
    pairs = zip(gradients[place], gradients[beside], strict=True)
    shared = [(one, other) for one, other in pairs if one is not None and other is not None]
    if not shared:
        return 1.0
    own, others = (
        math.sqrt(sum(float(each.square().sum()) for each in part))
        for part in zip(*shared, strict=True)
    )
    weight = abs(terms[place].factor / terms[beside].factor)
    return own * max(weight, 1.0) / others if others else 1.0


def shuffled(dice: torch.Generator) -> Callable[[Any], Any]:
    """Puts the rows of tensors in another order, the same of all that have as many."""

    def change(came: Any) -> Any:
        orders: dict[int, Tensor] = {}

        def mixed(one: Any) -> Any:
            if not isinstance(one, Tensor) or not one.ndim or len(one) < 2:
                return one
            if len(one) not in orders:
                orders[len(one)] = torch.randperm(len(one), generator=dice)
            return one[orders[len(one)].to(one.device)]

        return tree_map(mixed, came)

    return change
