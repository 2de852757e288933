"""Whether a step begins with the hidden state that the step before left, as a language model's does
that reads a text in order. Changes nothing; never judges.
"""

import itertools
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks_with_kwargs, register_module_forward_hook
from torch.utils._pytree import tree_leaves

from trainers.probes.hooks import is_transformed


class CarriedState(AbstractContextManager["CarriedState"]):
    """A context in which this is noted.

    A state is what a module, the model or a part of it, puts out beside its first output, and is
    given beside its first input; what it hands on as it was given, such as a mask, is none.
    `carried`: steps that begin with one of the step before.
    """

    def __init__(self) -> None:
        self.carried = 0
        self._steps, self._counted = 0, 0  # gradients that came; those at the last one counted
        self._states: dict[int, tuple[int, Sequence[Tensor]]] = {}  # of a module: when, and which
        self._handles: list[Any] = []

    def __enter__(self) -> "CarriedState":
        self._handles = [register_module_forward_hook(self._left, with_kwargs=True)]
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self._handles:
            handle.remove()
            _global_forward_hooks_with_kwargs.pop(handle.id, None)  # as `hooks.Hooked` says
        self._states.clear()

    def _learned(self, _: Tensor) -> None:
        """A gradient came back: what is called now belongs to a later step."""
        self._steps += 1

    def _left(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        if isinstance(output, Tensor) or not torch.is_grad_enabled() or is_transformed():
            return
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                leaf.register_hook(self._learned)
        came, left = _states((args, kwargs)), _states(output)
        step, before = self._states.get(id(module), (0, ()))
        if self._counted < self._steps and step < self._steps and _share_one(came, before):
            self.carried, self._counted = self.carried + 1, self._steps
        self._states[id(module)] = (
            self._steps,
            [state for state in left if not _share_one(came, [state])],
        )


def followers_kept(epochs: Sequence[Sequence[Sequence[int]]]) -> float | None:
    """Of the rows of the second epoch, the share that the same row of the next batch follows as in
    the first; None where the second epoch has other rows.

    Args:
        epochs: keys of the rows of each batch, of each epoch.
    """
    if len(epochs) < 2:
        return None
    one, two = (
        {pair for now, then in itertools.pairwise(epoch) for pair in zip(now, then, strict=False)}
        for epoch in epochs[:2]
    )
    rows = {row for row, _ in one}
    known = [pair for pair in two if pair[0] in rows]
    if 2 * len(known) <= len(two):
        return None
    return sum(pair in one for pair in known) / len(known)


def _states(values: Any) -> list[Tensor]:
    """What may be a state: numbers that differ, beside the first tensor."""
    tensors = [leaf.detach() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    return [
        one
        for one in tensors[1:]
        if one.is_floating_point() and one.numel() > 1 and bool((one != one.flatten()[0]).any())
    ]


def _share_one(some: Iterable[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether a tensor of the one is, by its numbers, one of the other."""
    return any(
        one.shape == other.shape and torch.equal(one, other) for one in some for other in others
    )
