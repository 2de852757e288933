"""Are the rows sound that a trainer loads itself, as its model and its losses are given them?
By the checks of rows that Knobwise loads (R3, R10, R13).

Pure functions of what `trainers.probes` has measured; never trains a model of the user's.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.preflight import labels, sets
from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.label_noise import label_noise
from search.diagnostics.preflight.leaking_columns import each_alone
from search.diagnostics.preflight.leaking_words import word_counts
from search.diagnostics.preflight.near_rows import are_windows
from search.diagnostics.preflight.others_labels import of_other_rows
from search.diagnostics.preflight.reading import Reading, readable
from search.diagnostics.preflight.target_leakage import PARTLY, telltale_feature, telltale_word
from search.diagnostics.preflight.validation_labels import validation_labels
from trainers.probes.told import Answer, Watched

MOST_CLASSES, EACH = 100, 5  # kinds of whole numbers that are classes; rows of each, on average
OF_CLASSES = ("cross_entropy", "nll_loss", "binary")  # how names of their losses begin
Array = NDArray[Any]
COPIES = 1.05  # times its rows, from which an epoch takes some of them several times
FAINT = 0.05  # spread of whole rows; a layer's biases are as large as what 1 of it brings


def of_rows_seen(
    pairs: Answer, seen: Watched, *, metric: str, alike: bool, doubted: float | None = None
) -> Iterator[Check]:
    """Checks of these rows, which stand in place of those that could not be made.

    Args:
        pairs: rows and targets, as `AnswersSeen.handed_on` says.
        seen: of the training.
        metric: what ranks the trials.
        alike: whether the sets were drawn alike.
        doubted: as `label_noise` says.
    """
    x, y, held, asked = (np.array(pairs[name]) for name in ("x", "y", "held", "held_targets"))
    y, asked = (one[:, 0] if y.shape[1] == 1 and len(one) else one for one in (y, asked))
    kinds, codes = np.unique(y, return_inverse=True)
    loss = seen["loss"]  # None: by hand; counts are no classes
    if loss is None and pairs["draws"]:
        return  # what it picks are no labels
    named = pairs["whole"] if loss is None else loss["name"].startswith(OF_CLASSES)
    whole = bool((kinds == kinds.round()).all()) and len(kinds) > 1
    few = y.ndim == 1 and len(kinds) <= min(MOST_CLASSES, len(y) / EACH)
    classes, tokens, windows = named and whole and few, pairs["tokens"], are_windows(x)
    if tokens and (windows or not classes):
        return  # of a language, whose steps tell each other
    if len(held):
        yield sets.shared_rows({"train": x, "val": held}, numbers=not tokens, forms=False)
    if not y.size:  # whole maps, of which the losses ask
        return
    if tokens:
        if word := telltale_word(x, codes, lengths=None):
            yield word
        x, held = word_counts(x, held)
    else:
        yield from _of_measures(x, codes if classes else y, y, seen, windows=windows)
    reading = Reading.of(x, codes if classes else y, classification=classes)
    if pairs["mixed"]:
        return
    if classes:
        yield sets.class_balance({"train": codes}, classes=len(kinds), metric=metric)
        drawn = any(math.prod(one["shape"][1:]) > x.shape[1] for one in seen["batches"][:1])
        # Of some pixels of a picture, the surest rows may be wrong; and what a loss by hand picks
        # may be actions, drawn by numpy.
        if not drawn and loss is not None:
            legible = readable(reading)[0] >= labels.READABLE
            yield label_noise(reading, legible=legible, doubted=doubted)
        asked = np.searchsorted(kinds, asked) if np.isin(asked, kinds).all() else asked[:0]
    if len(asked):
        epoch = seen["batches"][: seen["epochs"][0] if seen["epochs"] else 0]
        several = sum(batch["shape"][0] for batch in epoch) > COPIES * seen["rows"]
        # of a row that comes several times, as augmented, trees know a copy
        alike = alike and not several
        yield validation_labels(reading, (held, asked), alike=alike)
        if apart := of_other_rows(reading, (held, asked), alike=alike):
            yield apart


def _of_measures(
    x: Array, aims: Array, y: Array, seen: Watched, *, windows: bool
) -> Iterator[Check]:
    """Checks of rows of numbers; `aims`: their targets `y`, classes by their places."""
    classification = aims is not y
    alone = sorted(each_alone(x, y, classification).values())
    if not windows and (len(alone) < 2 or alone[-2] < PARTLY):  # of no slow series
        yield telltale_feature(x, aims, classification=classification, targets=y)
    spread, shape = float(np.linalg.norm(x.std(axis=0))), seen["batches"][:1]
    if seen["first_layer"] is not None and shape:  # behind what a model does to them first
        spread = seen["first_layer"] * math.sqrt(math.prod(shape[0]["shape"][1:]))
    if spread < FAINT and not seen["batch_norms"]:
        text = f"what tells the rows apart that a first layer is given is {spread:.2g} in size"
        remedy = "are they scaled twice? Beside its biases, a first layer hardly hears them (R5)"
        yield Judge(name="feature_scales", rule="R5").warn(text, remedy, spread=spread)
    if not classification and (scale := labels.targets(y)).outcome == "fail":
        yield scale
