"""Checks between the three sets: one distribution, no shared rows, no shared groups, no future in
train (R3).

The test rows are used here and in no other check, by the search's own process. Pure functions of
arrays; never trains a model of the user's.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict

from search.diagnostics.preflight.by_chance import (
    by_chance,
    drawn_by_chance,
    longest_by_chance,
    row_keys,
    row_units,
)
from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.class_words import spelt_alike
from search.diagnostics.preflight.later_values import judged_in_time
from search.diagnostics.preflight.near_rows import LEAST, MOVED, continuous_columns, repeated

ROWS, FEATURES = 1200, 500  # of each set, drawn at random, that the classifier sees
SURE = 3.3  # standard errors: one false alarm in a thousand pairs
# Areas under the curve, surely above which sets differ, and differ too much.
SHIFTED, APART = 0.55, 0.70
TREES, FEW_TREES, SLACK = 50, 16, 0.05  # few are enough where sets look alike by so much
RICH = 0.5  # share of distinct rows from which a row found twice is a leak, not a coincidence
BY_CHANCE = 3.0  # times what chance brings: more is no coincidence
LEAKED = 0.01  # share of held-out rows that stand in train too, from which they leak
OFTEN = 0.1  # the same of sequences: equal processes often make equal sequences
RARE = 50  # rows of one class per row of another, from which accuracy says nothing of the other
PADDED = 0.25  # least share of padded rows of token ids: with fewer, rows have no lengths
Sets = Mapping[str, NDArray[Any]]


def same_distribution(
    sets: Sets, *, groups: Sets | None = None, ordered: bool = False, names: Sequence[str] = ()
) -> Check:
    """Can a classifier tell the sets apart? Cross-validated area under the curve of each pair (R3).

    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017. `groups`: whole groups
    are held out, so that it cannot know a row by its group. `ordered`: the sets follow one another
    in time, and may differ; `names`: of the features.
    """
    judge = Judge(name="same_distribution", rule="R3")
    areas = {
        f"{one}/{other}": _area(
            sets[one],
            sets[other],
            None if groups is None else np.concatenate([groups[one], groups[other]]),
        )
        for one, other in combinations(sets, 2)
    }
    measured = {pair: {"auc": area, "standard_error": of} for pair, (area, of) in areas.items()}
    known = {pair: (area, SURE * of) for pair, (area, of) in areas.items() if math.isfinite(area)}
    if not known:
        return judge.unknown("a set has fewer than ten rows, or too few groups", **measured)
    least = {pair: area - of for pair, (area, of) in known.items()}
    worst = max(least, key=lambda pair: least[pair])
    text = ", ".join(f"{pair} {area:.2f} ±{of:.2f}" for pair, (area, of) in known.items())
    sentence = f"a classifier tells the sets apart with an AUC of {text}; 0.5 is chance"
    if least[worst] <= SHIFTED:
        return judge.passed(sentence, **measured)
    if ordered:
        return judged_in_time(judge, sentence, sets, apart=worst, names=names, measured=measured)
    if least[worst] <= APART:
        remedy = f"{worst} differ; see which features do, and whether the split should be so"
        return judge.warn(sentence, remedy, **measured)
    remedy = f"{worst} are not of one distribution, so no result can be read"
    return judge.fail(sentence, f"{remedy}: draw the split at random, or mend the set", **measured)


def shared_rows(
    x: Sets, *, lengths: NDArray[np.int64] | None = None, numbers: bool = True, forms: bool = True
) -> Check:
    """Rows of validation and test that stand in train as well, or nearly (R3).

    `lengths`: of train's sequences, which stand in front of their steps. Alike processes bring
    short sequences twice, copies are of any length: only the longer half is looked at, and of it
    those longer than what chance brings twice. `numbers`: features are numbers, between which
    distances mean something; `forms`: rows stand there as they were read, so that other forms of
    them are looked for too.
    """
    judge, noun = Judge(name="shared_rows", rule="R3"), "rows"
    if lengths is None and not numbers:
        x, lengths = _by_length(x)
    if lengths is not None:
        shortest = _shortest_compared(x["train"], lengths)
        noun = f"sequences of {shortest} steps and more"
        x = {name: rows[rows[:, 0] >= shortest] for name, rows in x.items()}
        if not all(map(len, x.values())):
            return judge.unknown(f"a set has no {noun}, and chance brings shorter ones twice")
        lengths = lengths[lengths >= shortest]
    unit = row_units(x["train"])
    keys = {name: row_keys(rows, unit) for name, rows in x.items()}
    train = np.unique(keys["train"])
    distinct = len(train) / max(len(keys["train"]), 1)
    matches = {name: np.isin(keys[name], train) for name in keys if name != "train"}
    shares = {name: float(mask.mean()) for name, mask in matches.items()}
    told = (f"{mask.sum()} of {len(mask)} {noun} of {name}" for name, mask in matches.items())
    measured = {"shares": shares, "distinct_in_train": distinct}
    sentence = f"{', '.join(told)} stand in train too"
    exact = max(shares.values(), default=0.0)
    copies = sum(int(mask.sum()) for mask in matches.values())
    by_accident = (
        distinct < RICH
        or (exact and exact <= BY_CHANCE * by_chance(x["train"], lengths=lengths))
        or (lengths is not None and copies < LEAST)
    )
    if numbers and lengths is None and (not exact or by_accident):
        again = repeated(x, like=drawn_by_chance(x["train"]), forms=forms)
        if again:
            remedy = "keep what belongs together in one set, as split=grouped or split=ordered do"
            say = judge.warn if MOVED in again and not forms else judge.fail
            return say(again, f"{remedy}; augment after the split", **measured)
    if not exact:
        return judge.passed(sentence, **measured)
    if by_accident or (copies == 1 and not continuous_columns(x["train"])):
        chance = "as chance brings where values are few" if by_accident else "which may be chance"
        return judge.note(f"{sentence}, {chance}", "", **measured)
    drop = "drop the duplicates"
    if exact < (LEAKED if lengths is None else OFTEN) or copies == 1:
        return judge.warn(sentence, drop, **measured)
    remedy = f"{drop}, or keep copies together, as split=grouped does"
    return judge.fail(sentence, f"{remedy}; validation measures memory otherwise", **measured)


def _by_length(x: Sets) -> tuple[Sets, NDArray[np.int64] | None]:
    """Rows of token ids without lengths: their lengths in front, where rows end in padding.

    Padding is the id at the end of most rows. None: the rows show no padding.
    """
    if any(rows.ndim != 2 or not len(rows) for rows in x.values()):
        return x, None
    ids, counts = np.unique(x["train"][:, -1], return_counts=True)
    padding, lengths = ids[np.argmax(counts)], {}
    for name, rows in x.items():
        run = (rows[:, ::-1] == padding).cumprod(axis=1).sum(axis=1)
        lengths[name] = np.maximum(rows.shape[1] - run, 1).astype(np.int64)
    if float((lengths["train"] < x["train"].shape[1] - 1).mean()) < PADDED:
        return x, None
    headed = {name: np.column_stack([lengths[name], rows]) for name, rows in x.items()}
    return headed, lengths["train"]


def _shortest_compared(train: NDArray[Any], lengths: NDArray[np.int64]) -> int:
    """The length from which sequences of two sets are compared."""
    above_chance = longest_by_chance(train, lengths=lengths) + 2  # one more: draws vary
    return max(above_chance, int(np.median(lengths)))


def shared_groups(groups: Sets | None, time: Sets | None) -> Check:
    """Groups that stand in two sets, and train rows that are younger than held-out ones (R3)."""
    judge = Judge(name="shared_groups", rule="R3")
    if groups is None and time is None:
        return judge.unknown("no column of groups or times is named (data.groups, data.time)")
    texts, bad = [], False
    for name in ("val", "test"):
        if groups is not None:
            both = np.intersect1d(groups["train"].astype(str), groups[name].astype(str))
            bad |= bool(len(both))
            texts.append(f"{len(both)} groups of {name} stand in train too")
        if time is not None:
            late = float((time["train"] > time[name].min()).mean())
            bad |= late > 0
            texts.append(f"{late:.0%} of train is younger than the oldest row of {name}")
    sentence = "; ".join(texts)
    if bad:
        return judge.fail(sentence, "say split=grouped or split=ordered, or mend the index files")
    return judge.passed(sentence)


def class_balance(
    y: Sets, *, classes: int, names: Sequence[object] = (), metric: str = ""
) -> Check:
    """How often each class occurs in each set (R3, R13).

    `names`: of the classes, if any; `metric`: what ranks the trials.
    """
    judge = Judge(name="class_balance", rule="R13")
    counts = {
        name: np.bincount(labels.astype(int), minlength=classes) for name, labels in y.items()
    }
    train = counts["train"]
    measured = {name: count.tolist() for name, count in counts.items()}
    sentence = f"{classes} classes of {int(train.min())} to {int(train.max())} rows in train"
    if text := spelt_alike(list(map(str, names))):
        return judge.warn(text, "write the labels of one class alike", **measured)
    for name, count in counts.items():
        missing = np.flatnonzero((count == 0) & (sum(counts.values()) > 0))
        if len(missing):
            shown = [str(names[index]) if names else str(index) for index in missing[:5]]
            text = f"class {', '.join(shown)} has no row in {name}"
            remedy = "find more of that class or merge it with another; split=holdout is stratified"
            return judge.fail(text, remedy, **measured)
    table = np.array(list(counts.values()))
    p = float(chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)
    if p < 1e-4:
        shares = table / table.sum(axis=1, keepdims=True)
        if (most := float(np.abs(shares - shares[0]).max())) > 0.05:
            text = f"{sentence}; their shares differ between the sets by up to {most:.0%}"
            return judge.warn(text, "draw a stratified split (split=holdout)", p=p, **measured)
    if train.min() < 5:
        remedy = "a class of fewer than five rows cannot be learned; merge it or find more"
        return judge.warn(sentence, remedy, **measured)
    if train.max() <= 10 * train.min():
        return judge.passed(sentence, **measured)
    remedy = "a metric such as balanced_accuracy or roc_auc sees the rare class"
    if metric == "accuracy" and train.max() > RARE * train.min():
        most = train.max() / train.sum()
        text = f"{sentence}: always naming the most frequent class gives an accuracy of {most:.1%}"
        return judge.warn(text, remedy, **measured)
    if metric not in ("", "accuracy"):
        remedy = "if a model passes the rare one over, draw it as often (stock: trainer.balance=1)"
    return judge.note(f"{sentence}: unbalanced", remedy, **measured)


def _area(
    one: NDArray[Any], other: NDArray[Any], given: NDArray[Any] | None, *, trees: int = FEW_TREES
) -> tuple[float, float]:
    """Area under a cross-validated ROC curve, its error (Hanley, McNeil 1982); `given`: groups."""
    dice = np.random.default_rng(0)
    picks = [np.sort(dice.permutation(len(rows))[:ROWS]) for rows in (one, other)]
    if min(map(len, picks)) < 10:
        return math.nan, math.nan
    x = np.concatenate([one[picks[0]], other[picks[1]]]).reshape(sum(map(len, picks)), -1)
    if x.shape[1] > FEATURES:
        x = x[:, dice.permutation(x.shape[1])[:FEATURES]]
    labels = np.repeat([0, 1], [len(pick) for pick in picks])
    n, m = map(len, picks)
    folds: Any = StratifiedKFold(3, shuffle=True, random_state=0)
    groups = None
    if given is not None:  # rows of a group are no independent witnesses: groups are counted
        groups = given[np.concatenate([picks[0], len(one) + picks[1]])]
        n, m = (len(np.unique(groups[labels == side])) for side in (0, 1))
        folds = GroupKFold(5)
    if min(n, m) < 5:
        return math.nan, math.nan
    forest = ExtraTreesClassifier(
        trees, min_samples_leaf=3, class_weight="balanced", random_state=0
    )
    scores = cross_val_predict(
        forest, np.nan_to_num(x), labels, cv=folds, groups=groups, method="predict_proba"
    )[:, 1]
    area = float(roc_auc_score(labels, scores))
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (n - 1) * (q1 - area**2) + (m - 1) * (q2 - area**2)) / (n * m)
    error = math.sqrt(max(variance, 0.25 / (n * m)))
    if trees < TREES and area - SURE * error > SHIFTED - SLACK:
        return _area(one, other, given, trees=TREES)
    return area, error
