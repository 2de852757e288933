"""What happens to the weights between two steps of an optimizer: shrunk by hand, drawn anew, or
put back.

Never judges.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

SAME = 1e-3  # share of a tensor's change that its factor may leave unexplained
UNDONE = 0.9  # share of a step that must be taken back for it to be undone
OTHER = 0.5  # cosine of two states below which a tensor has been replaced


def factor_between(before: Mapping[int, Tensor], now: Mapping[int, Tensor]) -> float | None:
    """The factor by which all tensors were multiplied; None where there is none, or it is 1."""
    factors = []
    for key, old in before.items():
        size = float(old.double().square().sum())
        if not size:
            continue
        factor = float((old.double() * now[key].double()).sum()) / size
        left = float((now[key].double() - factor * old.double()).square().sum())
        if left > (SAME * (1 - factor)) ** 2 * size + 1e-12 * size:
            return None
        factors.append(factor)
    return alike_factor(factors)


def alike_factor(factors: Sequence[float]) -> float | None:
    """The one factor of all tensors; None where they differ, or it is 1."""
    alike = bool(factors) and max(factors) - min(factors) <= SAME  # NaN is never alike
    if not alike or abs(factors[0] - 1) < SAME:
        return None
    return sum(factors) / len(factors)


def drawn_anew(before: Mapping[int, Tensor], now: Mapping[int, Tensor]) -> list[int]:
    """Keys of the matrices that have nothing of what they were."""
    changed = []
    for key, old in before.items():
        new = now[key]
        if old.ndim < 2 or torch.equal(old, new) or not bool(new.any()) or not bool(old.any()):
            continue
        cosine = torch.nn.functional.cosine_similarity(
            old.double().flatten(), new.double().flatten(), dim=0
        )
        changed += [key] if float(cosine) < OTHER else []
    return changed


def taken_back(
    before: Mapping[int, Tensor], after: Mapping[int, Tensor], now: Mapping[int, Tensor]
) -> list[int]:
    """Keys of the tensors that are nearly what they were before the last step again, since what was
    done to them after it undoes it.

    Args:
        before: the last step.
        after: it.
        now: before the next one.
    """
    back = []
    for key, old in after.items():
        if key not in before or torch.equal(old, now[key]):
            continue
        step, left = (old - before[key]).double(), (now[key] - before[key]).double()
        undone, size = float(((step - left) * step).sum()), float(step.square().sum())
        back += [key] if 0 < UNDONE * size < undone and float(left.square().sum()) < size else []
    return back
