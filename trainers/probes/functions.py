"""Functions of torch whose calls tell something of a training: losses, differences, layers."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.probes.seen import LossCall

LOSSES = (
    F.cross_entropy, F.nll_loss, F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss,
    F.binary_cross_entropy, F.binary_cross_entropy_with_logits,
    F.poisson_nll_loss, F.gaussian_nll_loss,
)  # fmt: skip
ENTROPIES = (F.cross_entropy, F.nll_loss)
DIFFERENCES = (
    torch.sub, torch.subtract, Tensor.sub, Tensor.subtract, Tensor.__sub__, Tensor.__rsub__,
)  # fmt: skip
SUMS = (torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__)
PRODUCTS = (torch.mul, Tensor.mul, Tensor.mul_, Tensor.__mul__, Tensor.__rmul__, Tensor.__imul__)
QUOTIENTS = (torch.div, Tensor.div, Tensor.div_, Tensor.__truediv__, Tensor.__itruediv__)
MULTIPLIED = (Tensor.mul_, torch._foreach_mul_)  # in place
DENSE = (F.linear, torch.conv1d, torch.conv2d, torch.conv3d, F.conv1d, F.conv2d, F.conv3d)
LAYERS = (*DENSE, torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.mm, Tensor.mm)
OF_IDS = (F.embedding, F.embedding_bag, F.one_hot)
RELUS = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
LOGARITHMS = (F.log_softmax, torch.log_softmax, Tensor.log_softmax)
SOFTMAXES = (F.softmax, torch.softmax, Tensor.softmax, *LOGARITHMS)
DRAWS = (torch.multinomial, Tensor.multinomial)
PICKS = (torch.gather, Tensor.gather, Tensor.__getitem__, torch.take_along_dim)
WEIGHED = (*ENTROPIES, F.binary_cross_entropy, F.binary_cross_entropy_with_logits)


def targets_of(
    func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], outputs: Sequence[int]
) -> Any:
    """The targets of a loss, or the classes whose outputs a loss by hand picks, one per row, of a
    model that puts out this shape; else None.
    """
    if func in LOSSES:
        return kwargs.get("target", args[1] if len(args) > 1 else None)
    if func not in PICKS or len(outputs) != 2 or len(args) < 2 or args[0].shape[1:] != outputs[1:]:
        return None
    picked = kwargs.get("index", args[-1])
    picked = picked[1] if isinstance(picked, tuple) and len(picked) == 2 else picked
    if not isinstance(picked, Tensor) or picked.dtype not in (torch.int64, torch.int32):
        return None
    classes = picked.flatten().long()
    predicted = torch.equal(classes, args[0].argmax(1))  # as for a confidence: no targets
    return None if predicted or len(classes) != len(args[0]) else classes


def asks_for_labels(func: Callable[..., Any], args: Sequence[Any], before: LossCall) -> bool:
    """Whether a loss compares the same outputs with class numbers that a loss before, whose targets
    have the outputs' form, compared with those of a teacher.
    """
    if func not in ENTROPIES or before.targets != before.outputs:
        return False
    return tuple(args[0].shape) == before.outputs and args[1].ndim == args[0].ndim - 1


def with_weight(
    func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """A loss's keywords, and the weight that it may be given by its place."""
    return {"weight": args[2], **kwargs} if func in WEIGHED and len(args) > 2 else kwargs


def spread(given: Tensor) -> float | None:
    """The standard deviation of all its values; None where there are none, and of sparse or nested
    ones, of which torch takes none.
    """
    is_plain = given.layout is torch.strided and given.numel() > 0
    return float(given.detach().double().std(correction=0)) if is_plain else None
