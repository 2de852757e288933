"""What a loss teaches each output of a row, whether a row's input holds its target, and the rows
themselves, also those that are evaluated. Changes nothing; never judges.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainers.probes.rows_seen import (
    Numbers,
    has_several,
    place_among,
    row_keys,
    values_of,
    widened,
)
from trainers.probes.shapes import classes_axis, padded_steps, side_by_side, viewed_from

PASSES = 24  # batches whose gradients are noted
HANDED = 200_000  # numbers that are handed on, at most
FEWEST, AIMS = 64, 16  # rows that can tell; targets of a row
STEPS = 8  # from which whole numbers are tokens of a text
WHOLE = 0.9  # share of the validation rows that those evaluated are at least
EACH = 20  # rows per output that tell whether it is taught
ROUNDING = 1e-6  # share of outputs by which rows of one answer differ
PADDED = 0.1  # share of all steps from which padding tells
NORMAL = 1e-3  # how near to 1 the sum of probabilities lies
Keys = tuple[int, ...]


class AnswersSeen:
    """Inputs, targets, and the gradients of outputs, of the first batches."""

    def __init__(self) -> None:
        self.evaluated_keys = set[int]()  # rows that any module saw without gradients
        self._held: dict[int, Numbers] = {}  # such rows by their keys
        self.held_targets: dict[int, list[float]] = {}  # what a loss asks of these
        self._waiting: list[int] = []  # keys of rows that the model has answered, and no loss yet
        self.draws = False  # classes are drawn, as a policy draws its actions
        self._mixed = False  # further losses ask for other targets of the same rows
        self._by_modules = False  # a module was called
        self._layer: torch.Size | None = None  # else of the first weights
        self._answers = False  # the model itself is evaluated
        self._ended = False  # that has come: rows that are taught now came before
        self._given: Tensor | None = None
        self._answered: tuple[Any, Tensor | None] = None, None  # outputs of this pass, all its rows
        self._subtracted: list[Tensor] = []  # what is taken from the outputs of these rows
        self._measures = True  # inputs are no whole numbers, as tokens are
        self._whole = True  # targets came as whole numbers, as classes do
        self._pairs: list[tuple[Numbers, Numbers]] = []
        self._taught: list[tuple[Keys, Tensor]] = []
        self._reached: list[tuple[int, Tensor]] = []  # rows and steps; which outputs, in any
        self.viewed: tuple[int, ...] = ()  # of which shape the outputs are a view, axes swapped
        self._steps = [0, 0, 0]  # all; of padding; of these, whose outputs a loss teaches
        self._widths = set[int]()  # numbers of steps
        self._padding_known = False
        self._below = False  # are outputs below 0 taught? Then none sleeps behind a ReLU
        self._left = PASSES
        self._alike: list[bool] = []  # whether all rows of a batch had one answer
        self._normal = False  # outputs are probabilities, or their logarithms

    def passed(
        self, given: Sequence[Tensor], output: Any, keys: Keys, *, module: nn.Module
    ) -> None:
        """The model was given this, with gradients; rows first."""
        self._by_modules = True
        derived = any(one.requires_grad for one in given)  # its slope may be what is taught
        self._taken(side_by_side(given) if given and not derived else None)
        self._answered = output, self._given
        if isinstance(output, Tensor) and 0 < output.ndim < 3 and len(output) > 3:
            self._alike.append(_are_alike(output.detach()))
        if not isinstance(output, Tensor) or not output.requires_grad or self._left < 1:
            return
        self.viewed = self.viewed or viewed_from(output)
        axis = classes_axis(output, module)
        if axis is None or len(output) != len(keys):
            return
        self._left -= 1
        plain = output.detach().double()
        sums = plain.logsumexp(dim=axis), plain.sum(dim=axis) - 1
        self._normal |= any(bool(one.abs().max() < NORMAL) for one in sums)
        padding = padded_steps(given) if output.ndim == 3 else None
        below = output.detach() < 0

        def taught(gradient: Tensor) -> None:
            self._below |= bool(((gradient != 0) & below).any())
            moved = gradient.detach().movedim(axis, -1)
            rows = moved.flatten(0, -2) != 0
            self._reached.append((len(rows), rows.any(dim=0)))
            if output.ndim == 2:
                self._taught.append((keys, moved))
            elif padding is not None and padding[0].shape == moved.shape[:2]:
                self._padded(padding[0], (moved != 0).any(dim=-1), known=padding[1])

        output.register_hook(taught)

    def multiplied(self, rows: Tensor, weights: Any) -> None:
        """A product of rows and weights. Where no module is called, that of the first layer is told
        by rows that ask for no gradient, and in evaluation by the shape of its weights.
        """
        if self._by_modules or not isinstance(weights, Tensor) or not rows.ndim or not len(rows):
            return
        if torch.is_grad_enabled() and weights.requires_grad and not rows.requires_grad:
            self._layer = weights.shape  # its numbers may be others in every step
            self._taken(rows.detach())
        elif weights.shape == self._layer and not torch.is_grad_enabled():
            self.evaluated([rows])

    def _taken(self, first: Tensor | None) -> None:
        """A step takes these rows."""
        self._lost_by_hand()
        self._waiting = []
        self._given = first if first is not None and has_several(first) else None
        self._measures &= self._given is None or self._given.is_floating_point()

    def _padded(self, padding: Tensor, taught: Tensor, *, known: bool) -> None:
        self._widths.add(padding.shape[1])
        self._padding_known |= known
        for place, steps in enumerate((padding | True, padding, padding & taught)):
            self._steps[place] += int(steps.sum())

    def padding_taught(self) -> float | None:
        """The share of padding's steps whose outputs a loss teaches. None where there is hardly
        any, or where nothing says that it is padding: lengths or a mask that the model is given, or
        batches as long as their longest rows.
        """
        steps, padding, taught = self._steps
        known = self._padding_known or len(self._widths) > 2
        return taught / padding if known and padding > PADDED * steps else None

    def evaluated(
        self, given: Sequence[Tensor], *, by: nn.Module | None = None, model: Any = None
    ) -> Keys:
        """A module was given these, without gradients: the model, or a copy, or another one."""
        mine, rows, keys = by is model, side_by_side(given), row_keys(given[0])
        self._answers |= mine
        copied = by is not None and any(type(part) is type(model) for part in by.modules())
        if mine:
            self._lost_by_hand()
        self.evaluated_keys.update(keys)
        if has_several(rows) and len(self._held) * len((values := values_of(rows))[0]) < HANDED:
            own = keys if rows.shape == given[0].shape else row_keys(rows)
            self._held.update(zip(own, values, strict=True))
            self._waiting += own if mine or (copied and not self._answers) else ()
            self._ended |= mine and bool(self._pairs)
        return keys

    def evaluated_against(self, targets: Any, *, of: Keys = ()) -> None:
        """A loss is asked for without gradients: `of` these rows, or of those that the model has
        answered since the last one, if they are as many.
        """
        keys, self._waiting = of or tuple(self._waiting), []
        if keys and isinstance(targets, Tensor) and targets.ndim and len(keys) == len(targets):
            self.held_targets.update(zip(keys, values_of(targets).tolist(), strict=True))

    def lost(self, targets: Any) -> None:
        """A loss is asked for against these targets."""
        given, self._given, self._subtracted = self._given, None, []
        if given is None and self._waiting:
            self.evaluated_against(targets)  # many compute it behind no_grad
        elif given is None and isinstance(targets, Tensor) and self._pairs:
            known, asked = self._pairs[-1][1].flatten(), targets.detach().double().cpu().flatten()
            self._mixed |= len(asked) == len(known) and not np.array_equal(asked.numpy(), known)
        full = sum(rows.size for rows, _ in self._pairs) >= HANDED
        if given is None or full or self._ended or not isinstance(targets, Tensor):
            return
        if targets.ndim and len(targets) == len(given):
            wide = targets[0].numel() > given[0].numel() / 2  # as maps are: rows alone are noted
            aims = np.empty((len(given), 0)) if wide else values_of(targets)
            self._pairs.append((values_of(given), aims))
            self._whole &= not targets.is_floating_point()

    def picked(self, outputs: Any, rows: Any) -> None:
        """The loss is of some outputs, by number or mask, as of train's nodes of a graph."""
        chosen = isinstance(rows, Tensor) and rows.ndim == 1 and not rows.is_floating_point()
        answered, given = self._answered
        is_theirs = chosen and outputs is answered and self._given is not None
        if is_theirs and given is not None and len(given) == len(outputs):  # else of several each
            self._given = given[rows.to(given.device)]

    def subtracted(self, one: Any, other: Any) -> None:
        """A difference: in a loss by hand that of outputs and targets, if a row has one of each."""
        if self._given is None or not isinstance(one, Tensor) or not isinstance(other, Tensor):
            return
        outputs, targets = (one, other) if one.requires_grad else (other, one)
        asked = outputs.requires_grad and not targets.requires_grad
        if asked and outputs.shape == targets.shape and targets.shape[:1] == self._given.shape[:1]:
            self._subtracted.append(targets.detach())

    def _lost_by_hand(self) -> None:
        """The step before asked for no loss of torch's: what was taken from its outputs are their
        targets, unless that was several things, such as a last value and the change from it.
        """
        several, self._subtracted = self._subtracted, []
        if several and all(torch.equal(several[0], each) for each in several):
            self.lost(several[0])

    def of_own_class_alone(self, labels: Mapping[int, float]) -> int:
        """Of how many rows only the output of the row's own class is ever taught, and upwards; 0
        where others are too, or where outputs are tied to each other by a softmax.
        """
        rows = 0
        for keys, gradient in [] if self._normal else self._taught:
            for key, row in zip(keys, gradient.double().cpu(), strict=True):
                taught = torch.nonzero(row).flatten().tolist()
                if key not in labels or not taught:
                    continue
                if taught != [int(labels[key])] or float(row[taught[0]]) >= 0:
                    return 0
                rows += 1
        return rows if rows >= FEWEST else 0

    def one_answer(self) -> bool:
        """Whether all rows of a batch had the same outputs, to rounding, from the first batch on:
        what has died by its training had others before.
        """
        return len(self._alike) > 1 and all(self._alike)

    def never_taught(self) -> list[int]:
        """How many outputs no loss has taught in any of these batches, and of how many; empty where
        all were taught, or where that cannot be told.
        """
        widths = {len(reached) for _, reached in self._reached}
        rows = sum(count for count, _ in self._reached)
        if self._normal or not self._below or len(widths) != 1 or rows < EACH * max(*widths, 4):
            return []
        taught = torch.stack([reached for _, reached in self._reached]).any(dim=0)
        idle = int((~taught).sum())
        return [idle, len(taught)] if 0 < idle < len(taught) else []

    def pairs(self) -> tuple[Numbers, Numbers] | None:
        """Inputs [n, width] and targets [n, columns] of what was noted, if it is finite and of one
        shape; texts are as long as the longest.
        """
        self._lost_by_hand()
        pairs = [pair for pair in self._pairs if pair[1].size] or self._pairs
        widths = {rows.shape[1] for rows, _ in pairs}
        shapes = len(widths if self._measures else {0}), len({a.shape[1] for _, a in pairs})
        if shapes != (1, 1) or sum(len(rows) for rows, _ in pairs) < FEWEST:
            return None
        x = np.concatenate([widened(rows, max(widths)) for rows, _ in pairs])
        y = np.concatenate([aims for _, aims in pairs])
        return (x, y) if np.isfinite(x).all() and np.isfinite(y).all() else None

    def handed_on(self, *, val_rows: int = 0) -> dict[str, Any] | None:
        """The same for rules of tables: of rows of measures, or of texts, with few targets each,
        which differ, and within batches, as those of a real and a made one do not; or with none,
        of rows with targets as wide as they are, such as maps; else None.

        `held`: the rows that were evaluated, if they are as many as there are `val_rows`: others
        may be rows of train; `held_targets`: what losses ask of these, if that is known of all;
        `mixed`: a row has several targets, by further losses, as of mixed rows.
        """
        pairs = self.pairs()
        several = [y for _, y in self._pairs if len(y) > 1 and y.size]
        alike = {float(y[0, 0]) for y in several if not np.ptp(y)}
        if pairs is None or len(alike) > 1:
            return None
        width, aims = pairs[0].shape[1], pairs[1].shape[1]
        if aims > AIMS or (aims and not np.ptp(pairs[1])) or (width < STEPS and not self._measures):
            return None  # of a generator, or of pairs of which the first is the better
        least = width if self._measures else 0
        held = {key: row for key, row in self._held.items() if least <= len(row) <= width}
        rows = np.array([widened(row[None], width)[0] for row in held.values()])
        whole = WHOLE * val_rows <= len(held) <= val_rows and bool(np.isfinite(rows).all())
        asked = [self.held_targets.get(key, []) for key in held]
        known = all(len(one) == aims for one in asked) and bool(np.isfinite(asked).all())
        most = HANDED // width
        return {
            "x": pairs[0][:most].tolist(),
            "y": pairs[1][:most].tolist(),
            "tokens": not self._measures,
            "whole": self._whole,
            "held": rows.tolist() if whole else [],
            "mixed": self._mixed,
            "draws": self.draws,
            "held_targets": asked if whole and known else [],
        }

    def target_among_inputs(self) -> int | None:
        """The input that is a row's target, times a number and shifted, or has a value per class;
        of several targets the first such one of at least half of them. None where there is none.
        """
        pairs = self.pairs()
        if pairs is None:
            return None
        places = [place_among(pairs[0], column) for column in pairs[1].T]
        told = [place for place in places if place is not None]
        return told[0] if told and 2 * len(told) >= len(places) else None


def _are_alike(rows: Tensor) -> bool:
    """Whether all rows are one, to rounding."""
    apart = float((rows - rows[:1]).abs().max()) if rows.numel() else math.inf
    return apart <= ROUNDING * float(rows.abs().max())
