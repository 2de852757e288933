"""Steps that no torch optimizer takes: weights that became others between two backward passes.

Never judges.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from trainers.layer_series import dense
from trainers.probes.between import alike_factor
from trainers.probes.seen import Seen

LEAST = 8  # fewest numbers of a tensor whose change three causes can explain
EXACT = 1e-3  # share of a change that the three causes may leave unexplained


def leaves_of(loss: Tensor) -> list[Tensor]:
    """The tensors that ask for gradients at the ends of the graph of a loss."""
    waiting: list[Any] = [loss.grad_fn]
    seen: set[Any] = set()
    leaves = []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        waiting += [before for before, _ in node.next_functions]
    return leaves


class StepsByHand:
    """Looks at parameters before and after every backward pass; what was done to them between two
    such passes was a step.
    """

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._weights: dict[int, Tensor] = {}  # as they were at the last backward pass
        self._gradients: dict[int, Tensor] = {}  # that it left
        self._moves: dict[int, Tensor] = {}  # of the step before

    def before_backward(self, parameters: Iterable[Tensor]) -> None:
        """Notes the step that was taken since the last pass, if one was."""
        now = {id(p): dense(p.detach()) for p in parameters}
        held = {id(p): p.grad for p in parameters if p.grad is not None}
        before = {key: self._weights[key] for key in now if key in self._weights}
        moved = {
            key: now[key] - old for key, old in before.items() if not torch.equal(now[key], old)
        }
        if moved:
            self._seen.hand_steps += 1
            self._seen.stale_gradients += any(
                key in held and bool(dense(held[key]).any()) for key in moved
            )
            self._explain(before, moved)
            self._moves = moved

    def after_backward(self, parameters: Iterable[Tensor]) -> None:
        """Keeps weights and gradients for the next pass."""
        self._weights = {id(p): dense(p.detach()).clone() for p in parameters}
        self._gradients = {
            id(p): dense(p.grad).detach().clone() for p in parameters if p.grad is not None
        }

    def _explain(self, before: dict[int, Tensor], moved: dict[int, Tensor]) -> None:
        """Each move as a rate times the gradient, a share of the weights, and of the last move."""
        rates, factors = list[float](), list[float]()
        for key, move in moved.items():
            gradient = self._gradients.get(key)
            if gradient is None or gradient.shape != move.shape or move.numel() < LEAST:
                continue
            causes = [gradient, before[key]]
            if key in self._moves:
                causes.append(self._moves[key])
            columns = torch.stack([cause.double().flatten() for cause in causes], dim=1)
            sizes = columns.norm(dim=0).clamp(min=1e-300)
            wanted = move.double().flatten()
            solved = (
                torch.linalg.lstsq((columns / sizes).cpu(), wanted.cpu()).solution / sizes.cpu()
            )
            left = (columns.cpu() @ solved - wanted.cpu()).norm()
            if float(left) <= EXACT * float(wanted.norm()):
                rates.append(-float(solved[0]))
                factors.append(1 + float(solved[1]))
        if rates:
            self._seen.hand_rates.append(sorted(rates)[len(rates) // 2])
        factor = alike_factor(factors)
        if factor is not None:
            self._seen.factors.append(factor)
