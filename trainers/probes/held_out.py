"""Whether what a training learns of some rows holds for others, and for those that it evaluates: a
copy of its model learns half of its own batches, by its own losses, in a plain loop.

Measures; never judges.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.probes.answers import HeldOut
from trainers.probes.functions import ENTROPIES, LOSSES
from trainers.probes.hooks import Intercepted
from trainers.probes.limits import own_time
from trainers.probes.run import Run
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient
from trainers.probes.tape import Piece, Tape
from trainers.probes.terms import looked_at, shuffled, terms_of
from trainers.probes.told import FELL
from trainers.probes.watched import WATCHED_ROWS

FEWEST, MOST = 8, 48  # batches of an epoch that can tell; that are taken
RATES = (3e-3, 3e-2, 3e-4)  # of Adam
STEPS = (24, 96, 288)  # after which the batches that it has not learned are looked at
ORDERS = 3  # orders in which the answers for a batch stand beside it
CERTAIN = 6.0  # standard errors from which nothing more is asked
ENOUGH = 5.0  # seconds (`own_time`) after which no further rate is tried
MOST_ROWS = 2000  # whose classes are told
ROUNDING = 1e-6  # share of a loss by which it differs where nothing else does
Losses = NDArray[np.float64]
SUREST = 0.2  # share of the rows that a copy is surest of
# [3, rows]: the class of each row, what it is taken for, and the logarithm of how likely
Classes = NDArray[np.float64]


class Named(Intercepted):
    """A context in which losses of rows of one class each are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.classes: Classes = np.zeros((3, 0))  # of the rows so far

    def _on_call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if func in ENTROPIES and len(args) > 1 and args[0].ndim == 2 and args[1].ndim == 1:
            best = args[0].detach().log_softmax(1).max(1)
            noted = torch.stack([args[1], best.indices, best.values]).double().cpu()
            self.classes = np.hstack([self.classes, noted.numpy()])
        return func(*args, **kwargs)


@dataclass(kw_only=True)
class _Look:
    """Losses of batches, and the same with the answers for their rows in other orders."""

    start: Losses
    plain: Losses
    mixed: Losses
    own: float  # standard errors, as `deviations`, of the batches that were learned
    evaluated: list[float]  # at the start, now, in other orders; empty: none was seen
    named: list[Classes]  # of these batches, and of those evaluated

    @property
    def deviations(self) -> float:
        """By how many standard errors it matters to a loss which answer is for which row."""
        return _deviations(self.plain, self.mixed)

    @property
    def fell(self) -> float:
        """How far the loss of these batches fell, as a share of its start."""
        start = float(self.start.mean())
        return (start - float(self.plain.mean())) / start if start > 0 else math.nan


def held_out(subject: Subject) -> HeldOut:
    """How much a copy, which has learned half of the batches of an epoch, knows of the others."""
    tape, data = Tape(), subject.sample(train=WATCHED_ROWS, val=WATCHED_ROWS)
    evaluations: list[Piece] = []

    def ended(run: Run) -> bool:
        if run.trained:
            asked = {call.function for piece in tape.pieces for call in piece.calls}
            evaluations.extend(tape.evaluation([one for one in LOSSES if one in asked]))
        return bool(run.trained)

    contexts = [Steer(until=patient()), tape]
    run = subject.train(data, epochs=2, contexts=contexts, stop=ended)
    pieces = tape.pieces[:: -(-len(tape.pieces) // MOST) or 1]
    turns = "its optimizers take turns, each with losses of its own" if tape.takes_turns else ""
    few = f"an epoch has {len(pieces)} batches, which are too few" if len(pieces) < FEWEST else ""
    if cause := tape.cause or run.error or turns or few:
        return {"cause": cause}
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(0)
        return _with_terms(tape, pieces, evaluations[:MOST])


def _with_terms(tape: Tape, pieces: Sequence[Piece], evaluated: Sequence[Piece]) -> HeldOut:
    """The best look, and what the terms of the losses are to each other before it and after."""
    few = pieces[:: len(pieces) // FEWEST]
    before = looked_at(tape, few)
    answer = _best(_looks(tape, pieces, evaluated))
    if "cause" in answer:
        return answer
    return {**answer, "terms": terms_of(before, looked_at(tape, few)), "ids": _are_ids(pieces)}


def _are_ids(pieces: Sequence[Piece]) -> bool:
    """Whether all that modules are given is a whole number per row, as of a user or an item."""
    calls = [call for piece in pieces for call in piece.calls if call.module]
    given = [one for call in calls for one in call.given if isinstance(one, Tensor)]
    return bool(given) and not any(one.is_floating_point() or one.ndim > 1 for one in given)


def _best(looks: Iterator[_Look]) -> HeldOut:
    every = list(looks)
    if not every:
        return {"cause": "a loss was not finite"}
    best = max(every, key=lambda look: look.deviations)
    held, _ = best.named
    surest = held[:2, np.argsort(-held[2])[: int(SUREST * held.shape[1])]]
    return {
        "start": float(best.start.mean()),
        "held": float(best.plain.mean()),
        "mixed": float(best.mixed.mean()),
        "deviations": best.deviations,
        "own": max(look.own for look in every),
        "evaluated": best.evaluated,
        "named": [classes[:2, :MOST_ROWS].astype(int).tolist() for classes in best.named],
        "doubted": float((surest[0] != surest[1]).mean()) if surest.size else None,
    }


def _looks(tape: Tape, pieces: Sequence[Piece], evaluated: Sequence[Piece]) -> Iterator[_Look]:
    """After so many steps at each rate: at batches that a copy has not learned, of both halves,
    until one is certain.
    """
    start, ends = tape.state(), own_time() + ENOUGH
    for rate in RATES:
        if own_time() > ends:
            return
        halves: list[list[_Look]] = []
        for half in (0, 1):
            for tensor, value in start:
                tensor.detach().copy_(value)
            halves.append([])
            mine, others = pieces[half::2], pieces[1 - half :: 2]
            before = _losses(tape, others), _losses(tape, evaluated)
            for _ in _learned(tape, mine, rate=rate):
                with Named() as held:
                    plain = _losses(tape, others)
                with Named() as named:
                    now = _losses(tape, evaluated)
                told = [before[1], now, _mixed(tape, evaluated)]
                look = _Look(
                    start=before[0],
                    plain=plain,
                    mixed=_mixed(tape, others),
                    own=_deviations(_losses(tape, mine), _mixed(tape, mine)),
                    evaluated=[float(losses.mean()) for losses in told if len(losses)],
                    named=[held.classes, named.classes],
                )
                if not np.isfinite([*look.plain, *look.mixed, *look.start, look.own]).all():
                    break
                halves[-1].append(look)
                certain = look.deviations > CERTAIN
                if certain and (not evaluated or look.fell > FELL):
                    yield look
                    return
        yield from (_joined(*both) for both in zip(*halves, strict=False))


def _learned(tape: Tape, pieces: Sequence[Piece], *, rate: float) -> Iterator[int]:
    """Plain steps on these; stops at each of `STEPS`."""
    optimizer = torch.optim.Adam(tape.learning(), lr=rate)
    order: list[int] = []
    for step in range(1, max(STEPS) + 1):
        order = order or torch.randperm(len(pieces)).tolist()
        optimizer.zero_grad()
        tape.play(pieces[order.pop()], training=True).backward()
        optimizer.step()
        if step in STEPS:
            yield step


def _deviations(plain: Losses, mixed: Losses) -> float:
    """By how many standard errors the second ones are greater; 0 where they differ by rounding."""
    gain, rounding = mixed - plain, ROUNDING * np.abs(plain)
    if (np.abs(gain) <= rounding).all():
        return 0.0
    spread = float(gain.std(ddof=1)) / math.sqrt(len(gain))
    return float(gain.mean()) / max(spread, float(rounding.mean()))


def _joined(one: _Look, other: _Look) -> _Look:
    return _Look(
        start=np.concatenate([one.start, other.start]),
        plain=np.concatenate([one.plain, other.plain]),
        mixed=np.concatenate([one.mixed, other.mixed]),
        own=min(one.own, other.own),
        evaluated=np.mean([one.evaluated, other.evaluated], axis=0).tolist(),
        named=[np.hstack(both) for both in zip(one.named, other.named, strict=True)],
    )


def _losses(tape: Tape, pieces: Sequence[Piece], **changes: Any) -> Losses:
    """With gradients on: a loss may ask for some itself, as that of a differential equation."""
    played = (tape.play(piece, training=False, **changes) for piece in pieces)
    return np.array([float(loss.detach().double().mean()) for loss in played])


def _mixed(tape: Tape, pieces: Sequence[Piece]) -> Losses:
    dice = (torch.Generator().manual_seed(number) for number in range(ORDERS))
    mean: Losses = np.mean([_losses(tape, pieces, changed=shuffled(one)) for one in dice], axis=0)
    return mean
