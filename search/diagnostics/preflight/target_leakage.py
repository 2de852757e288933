"""Target leakage: do features give the label away (R10), one alone, a few together, or what a
text holds? The check is named `telltale_feature`.

Validation and test labels take no part. Pure functions of arrays; never trains a model of the
user's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.column_names import shown
from search.diagnostics.preflight.leaking_columns import (
    by_column_per_class,
    by_greatest,
    by_indicators,
    by_neighbours,
    by_sum_of_few,
    by_tree,
    each_alone,
    label_code,
)
from search.diagnostics.preflight.leaking_pairs import SUMS, by_combination, by_ratio, of_the_rest
from search.diagnostics.preflight.leaking_words import by_word
from search.diagnostics.preflight.reading import Reading, readable
from search.diagnostics.preflight.target_encoding import means_of_classes, means_of_numbers

TELLTALE = 0.997  # share of the labels from which a feature gives them away
NEARLY = 0.98  # the same of a feature that is the target and some noise, as the others then show
CURVED = 3  # degree of the curve by which it follows the target
PARTLY = 0.9  # most that one of several features may explain alone, as a share of the labels
TOLD = 0.3  # least that the other columns explain: else two columns may be a puzzle, and no leak
SURE = 3.1  # standard errors by which trees read a label: one in a thousand
DROP = "see whether it is known before the label is; drop it if not"
Array = NDArray[Any]


def telltale_feature(
    x: Array,
    y: Array,
    *,
    classification: bool,
    raw: Array | None = None,
    targets: Array | None = None,
    names: Sequence[str] = (),
) -> Check:
    """Features that give the label away: a label among the inputs, a code or an identifier that
    names it, a column per class, a few whose sum, ratio or combination it is, or means of it (R10).

    `raw`: the features as they came, where they had gaps or were scaled; `targets`: of a
    regression, the same; `names`: of the features.
    """
    judge = Judge(name="telltale_feature", rule="R10")
    if len(x) < 50 or x[0].size < 2:
        return judge.unknown("there are fewer than fifty rows, or one feature only")
    raw = x if raw is None else raw
    scores = each_alone(x, y, classification)
    best = max(scores, key=lambda index: scores[index], default=None)
    if best is None:
        return judge.unknown("no feature changes")
    sentence = (
        f"the best single feature, {shown(best, names)}, explains {scores[best]:.1%} of the labels"
    )
    if scores[best] >= TELLTALE:
        return judge.warn(sentence, DROP, feature=best)
    nearly = not classification and scores[best] >= NEARLY
    if nearly and _is_measured_twice(x, y, best):
        text = f"{sentence}, and the others tell nothing of what it leaves"
        return judge.warn(text, "is it the target, and some noise? Drop it then", feature=best)
    check = _of_classes(x, y, raw, judge, names) if classification else None
    check = check or _of_means(
        raw, y, judge, targets=None if classification else targets, names=names
    )
    if check is not None:
        return check
    check = _of_several(x, y, raw, judge, classification=classification, scores=scores, names=names)
    return check or judge.passed(sentence, feature=best, score=scores[best])


def _of_several(
    x: Array,
    y: Array,
    raw: Array,
    judge: Judge,
    *,
    classification: bool,
    scores: Mapping[int, float],
    names: Sequence[str],
) -> Check | None:
    """The alarm about features that tell the label together, where none does alone (`scores`)."""
    together, few = by_sum_of_few(x, y, classification)
    if together > 1:
        listed = ", ".join(shown(one, names) for one in few)
        text = f"features {listed}, each times a number, add up to the target, to the digit"
        return judge.warn(text, DROP, features=few)
    if together >= TELLTALE and max(scores[one] for one in few) < PARTLY:
        return _together(judge, few, "", together, names)
    together, name, pair = by_ratio(raw, y, classification=classification, telling=TELLTALE)
    apart = bool(name) and max(scores.get(one, 0.0) for one in pair) < PARTLY
    if apart and (name not in SUMS or _is_read(x, y, without=pair)):
        return _together(judge, pair, f", by their {name},", together, names)
    if classification:
        together, name, pair = by_combination(x, y)
        apart = max((scores.get(one, 0.0) for one in pair), default=0.0) < PARTLY
        if together >= TELLTALE and apart and of_the_rest(x, y, without=pair) > TOLD:
            return _together(judge, pair, f", by their {name},", together, names)
    return None


def _is_measured_twice(x: Array, y: Array, best: int) -> bool:
    """Whether the other columns tell much of the targets, and nothing of what this one leaves of
    them: it is the target and some noise. What a cause leaves, other causes tell.
    """
    flat = x.reshape(len(x), -1)
    column, numbers = flat[:, best].astype(np.float64), y.reshape(len(y), -1)[:, 0]
    left = numbers - np.polynomial.Polynomial.fit(column, numbers, CURVED)(column)
    rest = np.delete(flat, best, axis=1)
    of_all, of_left = (
        readable(Reading.of(rest, some, classification=False)) for some in (numbers, left)
    )
    return of_all[0] > TOLD and of_left[1] < SURE


def _is_read(x: Array, y: Array, *, without: Sequence[int]) -> bool:
    """Whether trees read the classes in the other columns too, beyond chance. A label that is told
    by two columns and by nothing else may be the task: a line that somebody drew.
    """
    rest = np.delete(x.reshape(len(x), -1), list(without), axis=1)
    if not rest.shape[1]:
        return False
    return readable(Reading.of(rest, y, classification=True))[1] > SURE


def _together(
    judge: Judge, few: Sequence[int], how: str, share: float, names: Sequence[str]
) -> Check:
    """That some columns tell together what none of them tells alone."""
    listed = ", ".join(shown(one, names) for one in few)
    text = f"features {listed} together{how} explain {share:.1%} of the labels"
    return judge.warn(f"{text}, and alone much less", DROP, features=tuple(few))


def _of_classes(x: Array, y: Array, raw: Array, judge: Judge, names: Sequence[str]) -> Check | None:
    """Codes, identifiers, gaps, times and columns per class; None where none tells."""
    if (code := label_code(raw, y)) is not None:
        index, what, score = code
        text = f"feature {shown(index, names)}, {what}, names {score:.1%} of the labels"
        if len(np.unique(y)) > 2 or "value per class" not in what:
            return judge.warn(text, "is it the label by another name, or a prediction of it?")
        return judge.note(text, "no fault in an answer known before; else drop it", feature=index)
    runs = by_neighbours(x, y)
    if runs and max(runs.values()) >= TELLTALE:
        most = shown(max(runs, key=runs.__getitem__), names)
        text = f"in the order of feature {most}, labels lie in runs"
        return judge.warn(text, "is it a code or a time that each belong to one label?")
    spread = max(by_indicators(x, y), by_column_per_class(x, y), by_greatest(raw, y))
    if spread >= TELLTALE:
        text = f"a column per class tells it from the others, by {spread:.1%}"
        return judge.warn(text, DROP, score=spread)
    return None


def _of_means(
    raw: Array, y: Array, judge: Judge, *, targets: Array | None, names: Sequence[str]
) -> Check | None:
    """A column of means of the labels, of small groups that hold the row itself; else None.

    `targets`: as they came; None of classes.
    """
    remedy = "encode each row by the labels of other rows alone: of other folds, fitted on train"
    if targets is not None:
        numbers = means_of_numbers(raw, targets)
        if numbers is None:
            return None
        index, met, groups = numbers
        text = f"feature {shown(index, names)} is the mean target of just the rows that share its"
        return judge.warn(f"{text} value, in {met} of {groups} groups", remedy, feature=index)
    share = means_of_classes(raw, y)
    if share is None:
        return None
    index, certain = share
    text = f"feature {shown(index, names)} holds shares of a class in small groups, the row itself"
    return judge.warn(
        f"{text} among them: it names {certain:.0%} of the labels", remedy, feature=index
    )


def telltale_word(x: Array, y: Array, *, lengths: NDArray[np.int64] | None) -> Check | None:
    """A word that stands in all texts of a class and in no others, or lengths that tell the class;
    None where nothing tells.
    """
    judge = Judge(name="telltale_feature", rule="R10")
    if len(x) < 50:
        return None
    share, words = by_word(x, y, lengths=lengths)
    if share >= TELLTALE:
        names = ", ".join(map(str, words))
        text = f"token {names} stands in {share:.1%} of the texts of a class, and in no others"
        return judge.warn(text, "was it written when the label was known? Drop it then")
    if lengths is None:
        return None
    score = by_tree(lengths[:, None].astype(np.float64), y)
    if score < TELLTALE:
        return None
    text = f"the lengths of the sequences tell {score:.1%} of the labels"
    return judge.warn(text, "is each class cut, or padded, in its own way?")
