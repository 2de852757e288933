"""Which evaluated batches a score that a trainer reports hears: two epochs as they are, and two in
which the model answers otherwise, first to all batches but the last, then to the last one alone.

Measures; never judges.
"""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from trainers.probes.answers import Heard
from trainers.probes.functions import LOSSES
from trainers.probes.hooks import Intercepted, is_transformed, of_modules, removed, unwatched
from trainers.probes.run import Run
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient

ROWS, HELD = 500, 2000  # rows that are trained on; that are evaluated
NAMES = "score", "val_loss"


class Answering(Intercepted):
    """A context in which a model's answers in evaluation are counted, and some are others.

    Args:
        others: epoch, from 0, and place of an evaluated batch in it → whether it gets other ones.
    """

    def __init__(self, others: Callable[[int, int], bool] = lambda epoch, place: False) -> None:
        super().__init__()
        self._others, self._depth, self._handles = others, 0, list[Any]()
        self.sizes: list[list[int]] = [[]]  # rows of the batches that were evaluated, by epoch
        self.taught: list[list[dict[str, float]]] = [[]]  # how right each batch of train was

    def __enter__(self) -> "Answering":
        self._handles = of_modules(self._entered, self._left)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        removed(self._handles)

    def epoch(self) -> None:
        """An epoch has ended."""
        self.sizes.append([])
        self.taught.append([])

    def _entered(self, module: nn.Module, args: Any) -> None:
        self._depth += 1

    def _left(self, module: nn.Module, args: Any, kwargs: Any, output: Any = None) -> Any:
        self._depth -= 1
        teaches = torch.is_grad_enabled() and module.training
        if self._depth or teaches or output is None or is_transformed():
            return None
        given = next((one for one in args if isinstance(one, Tensor) and one.ndim), None)
        if given is None or not any(True for _ in module.parameters()):
            return None
        self.sizes[-1].append(len(given))
        if not self._others(len(self.sizes) - 1, len(self.sizes[-1]) - 1):
            return None
        return tree_map(_other, output)

    def _on_call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if func in LOSSES and torch.is_grad_enabled() and not self._depth and len(args) > 1:
            self.taught[-1].append(_right(args[0].detach(), args[1].detach()))
        return func(*args, **kwargs)


@unwatched
def _other(answer: Any) -> Any:
    """Another answer of the same kind: of the row before, turned over."""
    if not isinstance(answer, Tensor) or not answer.is_floating_point() or not answer.ndim:
        return answer
    moved = answer.detach().roll(1, 0)
    within = bool((moved >= 0).all() and (moved <= 1).all())
    return 1 - moved if within else -moved


@unwatched
def _right(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """How right a batch was, in the usual numbers, and of how many rows."""
    told = {"rows": float(len(outputs))}
    if outputs.shape == targets.shape and outputs.numel():
        apart = (outputs - targets).double()
        told |= {"squares": float(apart.square().mean()), "apart": float(apart.abs().mean())}
        for name, border in (("above 0", 0.0), ("above a half", 0.5)):
            told[name] = float(((outputs > border) == (targets > 0.5)).double().mean())
    elif outputs.ndim == targets.ndim + 1 and outputs.shape[1] > 1:
        told["right"] = float((outputs.argmax(1) == targets).double().mean())
    return told


def of_train(taught: Sequence[dict[str, float]]) -> dict[str, float]:
    """Numbers of an epoch's batches that a score may be: of the last batch, means of batches, and
    of rows.
    """
    if not taught:
        return {}
    found = {}
    for name in taught[-1].keys() - {"rows"}:
        batches = [(one[name], one["rows"]) for one in taught if name in one]
        rows = sum(count for _, count in batches)
        found[f"{name}, last batch"] = batches[-1][0]
        found[f"{name}, batches"] = fmean(value for value, _ in batches)
        found[f"{name}, rows"] = sum(value * count for value, count in batches) / rows
    return found


def heard(subject: Subject) -> Heard:
    """What two epochs report, and what they report where the model answers otherwise."""
    usual = Answering()
    plain = _epochs(subject, usual)
    sizes = usual.sizes[0]
    if plain.error or len(sizes) < 2 or usual.sizes[1] != sizes:
        return {
            "cause": plain.error or "an epoch does not evaluate several batches, always as many"
        }
    last = len(sizes) - 1
    changed = _epochs(subject, Answering(lambda epoch, place: (place == last) == bool(epoch)))
    return {
        "sizes": sizes,
        "plain": _told(plain, subject.metric),
        "changed": _told(changed, subject.metric),
        "train": [of_train(batches) for batches in usual.taught[:2]],
    }


def _epochs(subject: Subject, answering: Answering) -> Run:
    def ended(run: Run) -> bool:
        if run.trained >= len(answering.sizes):
            answering.epoch()
        return run.trained == 2

    data = subject.sample(train=ROWS, val=HELD)
    return subject.train(data, contexts=[Steer(until=patient()), answering], stop=ended)


def _told(run: Run, metric: str) -> list[list[float]]:
    """The score and `val_loss` of each epoch."""
    return [run.series(metric)[:2], run.series("val_loss")[:2]]
