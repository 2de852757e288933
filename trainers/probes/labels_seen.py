"""Whether the targets of a loss are the labels of the rows that the model was given, row by row,
and how labels lie in batches.

A row is known by its values (`rows_seen`): of rows that a loop changes, nothing is said. Never
judges.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.probes.answers_seen import AnswersSeen
from trainers.probes.hooks import unwatched
from trainers.probes.seen import Batch

MOST = 200  # most losses of training that are noted
KNOWN, FEWEST = 0.9, 64  # share of a batch's rows that must be known; rows that can tell
MOST_CLASSES = 100
SHUFFLES = 5  # shuffles of the targets, which show what chance brings
Keys = tuple[int, ...]
Noted = tuple[int, Keys, NDArray[np.float64]]


class LabelsSeen:
    """Keys and targets of each loss that is asked for in training."""

    def __init__(self) -> None:
        self.noted: list[Noted] = []
        self.answers = AnswersSeen()
        self._keys: Keys = ()
        self._place = 0  # of a loss among those after one pass of the model
        # Answers of the model in evaluation by their ids, and the rows that they are for.
        self._answered: dict[int, tuple[torch.Tensor, Keys]] = {}
        self._inside: list[Any] = []  # targets of losses within the pass that is under way

    @unwatched
    def passed(
        self,
        given: Batch | None,
        tensors: Sequence[torch.Tensor],
        output: Any,
        *,
        module: torch.nn.Module,
    ) -> None:
        """The model was given these rows, with gradients, and this came out."""
        self._keys, self._place = (() if given is None else given.keys), 0
        self.answers.passed(tensors, output, self._keys, module=module)
        for targets in self._inside:
            self._note(targets)
        self._inside = []

    def answered(self, output: Any, keys: Keys) -> None:
        """The model was given these rows, without gradients, and this came out."""
        if isinstance(output, torch.Tensor) and len(self._answered) < MOST:
            self._answered[id(output)] = output, keys  # kept, so that its id stays its own

    def lost(self, targets: Any, *, inside: bool, outputs: Any = None) -> None:
        """A loss is asked for against these targets; `inside`: by the model itself. An evaluation
        may answer all batches, twice even, before it asks for the loss of the first.
        """
        _, keys = self._answered.pop(id(outputs), (None, ()))
        if keys or not torch.is_grad_enabled():  # many compute it behind no_grad
            self.answers.evaluated_against(targets, of=keys)
        elif len(self.noted) < MOST and isinstance(targets, torch.Tensor):
            if inside:
                self._inside.append(targets)
            else:
                self.answers.lost(targets)
                self._note(targets)

    def _note(self, targets: torch.Tensor) -> None:
        rows = len(targets) if targets.ndim else 0
        if not rows or rows != len(self._keys) or targets.numel() != rows:
            return
        numbers = targets.detach().reshape(-1).double().cpu().numpy()
        self.noted.append((self._place, self._keys, numbers))
        self._place += 1


def label_of_rows(keys: Keys, y: NDArray[Any]) -> dict[int, float]:
    """The label of every row by its key, the first column; without rows of several labels."""
    labels, several = dict[int, float](), set[int]()
    for key, label in zip(keys, y.reshape(len(y), -1)[:, 0].tolist(), strict=True):
        if labels.setdefault(key, label) != label:
            several.add(key)
    return {key: label for key, label in labels.items() if key not in several}


def first_targets(noted: Sequence[Noted]) -> list[float]:
    """The targets of the first loss of every pass, in order."""
    targets = [numbers for place, _, numbers in noted if place == 0]
    return np.concatenate(targets).tolist() if targets else []


def target_counts(noted: Sequence[Noted]) -> list[int]:
    """How often each class is a target of the first loss of a pass; empty where targets are no
    classes.
    """
    numbers = np.array(first_targets(noted) or [-1.0])
    if numbers.min() < 0 or numbers.max() >= MOST_CLASSES or (numbers != np.round(numbers)).any():
        return []
    return [int(count) for count in np.bincount(numbers.astype(np.int64))]


def targets_against_labels(
    noted: Sequence[Noted], labels: Mapping[int, float], *, classes: bool
) -> dict[str, Any] | None:
    """How far targets follow the labels of their rows, 0 to 1, of the loss in which they follow
    most; None where too few rows are known.

    Of classes the share of rows whose target is the usual one of their label, above chance: other
    numbers for the same classes are no fault. Of numbers the rank correlation. `kinds`: how many
    classes, and how many different targets they became.
    """
    best: dict[str, Any] | None = None
    for place in sorted({place for place, _, _ in noted}):
        pairs = [
            (labels[key], target)
            for mine, keys, targets in noted
            if mine == place and np.mean([key in labels for key in keys]) >= KNOWN
            for key, target in zip(keys, targets.tolist(), strict=True)
            if key in labels
        ]
        if len(pairs) < FEWEST:
            continue
        own, targets = np.array(pairs).T
        if len(np.unique(own)) < 2 or len(np.unique(targets)) < 2:
            continue
        if classes and len(np.unique(targets)) > 2 * len(np.unique(own)):
            continue  # such as the row's number, among which a loss finds its partner
        follows = _by_class(own, targets) if classes else _by_rank(own, targets)
        if best is None or follows > best["follows"]:
            kinds = [len(np.unique(own)), len(np.unique(targets))] if classes else []
            best = {"follows": follows, "rows": len(pairs), "kinds": kinds}
    return best


def _by_rank(own: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """The absolute rank correlation; scipy's would import for half a second."""
    return abs(float(np.corrcoef(_ranks(own), _ranks(targets))[0, 1]))


def _ranks(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal numbers share the mean of theirs."""
    _, place, often = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(often) - (often - 1) / 2)[place]
    return ranks


def _by_class(labels: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    dice = np.random.default_rng(0)
    chance = np.mean([_usual(labels, dice.permutation(targets)) for _ in range(SHUFFLES)])
    return float((_usual(labels, targets) - chance) / (1 - chance)) if chance < 1 else 1.0


def _usual(labels: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Share of rows whose target is the most frequent one of their label."""
    rows, columns = (np.unique(side, return_inverse=True)[1] for side in (labels, targets))
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    return float(table.max(axis=1).sum() / len(labels))


def between_batches(
    batches: Sequence[Keys], labels: Mapping[int, float], *, classes: bool
) -> float | None:
    """The share of the labels' spread that lies between the batches of an epoch, above what a
    random order leaves there: 1 where every batch has one label. None where rows are not known.
    """
    known = [
        np.array([labels[key] for key in keys if key in labels])
        for keys in batches
        if len(keys) > 1 and np.mean([key in labels for key in keys]) >= KNOWN
    ]
    values = np.concatenate(known) if known else np.array([])
    if len(known) < 3 or len(values) < FEWEST or len(np.unique(values)) < 2:
        return None
    columns = [values == one for one in np.unique(values)] if classes else [values]
    number = np.repeat(np.arange(len(known)), [len(part) for part in known])
    sizes = np.bincount(number)
    whole = between = 0.0
    for column in columns:
        numbers = np.asarray(column, dtype=np.float64)
        means = np.bincount(number, numbers) / sizes
        whole += float(((numbers - numbers.mean()) ** 2).sum())
        between += float((sizes * (means - numbers.mean()) ** 2).sum())
    chance = (len(known) - 1) / (len(values) - 1)
    return (between / whole - chance) / (1 - chance)
