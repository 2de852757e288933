"""What single words of a text, or its length, tell of its label.

Knows no checks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS, WORDS = 3000, 2000  # that are looked at, of the words the most frequent
KINDS = 500  # the same, of words that are counted
Array = NDArray[Any]


def by_word(x: Array, y: Array, *, lengths: NDArray[np.int64] | None) -> tuple[float, list[int]]:
    """Each class's best word, which stands in all of its texts and in no others: how surely the
    weakest of these words does so, and the words. Of two classes the surer word is enough.

    Args:
        x: token ids, one per step.
        lengths: of the texts, behind which there is padding.
    """
    drawn = np.random.default_rng(0).permutation(len(x))[:ROWS]
    tokens = x[drawn].reshape(len(drawn), -1).astype(np.int64)
    classes, labels = np.unique(y[drawn], return_inverse=True)
    inside = np.ones(tokens.shape, dtype=bool)
    if lengths is not None:
        inside = np.arange(tokens.shape[1]) < lengths[drawn][:, None]
    words, often = np.unique(tokens[inside], return_counts=True)
    words = np.sort(words[np.argsort(-often, kind="stable")[:WORDS]])
    if len(classes) < 2 or not len(words):
        return 0.0, []
    stands = np.zeros((len(tokens), len(words)), dtype=bool)
    place = np.searchsorted(words, tokens).clip(max=len(words) - 1)
    known = inside & (words[place] == tokens)
    stands[np.nonzero(known)[0], place[known]] = True
    own = np.stack([stands[labels == one].mean(axis=0) for one in range(len(classes))])
    others = np.stack([stands[labels != one].mean(axis=0) for one in range(len(classes))])
    sure = np.minimum(own, 1 - others)
    each, best = sure.max(axis=1), words[sure.argmax(axis=1)]
    if len(classes) == 2:
        return float(each.max()), [int(best[each.argmax()])]
    return float(each.min()), best.tolist()


def word_counts(x: Array, *others: Array) -> list[Array]:
    """How often each frequent word of `x` stands in every text, of `x` and of others: what plain
    models read of texts.
    """
    words, often = np.unique(x, return_counts=True)
    words = np.sort(words[np.argsort(-often, kind="stable")[:KINDS]])
    sets = [texts.reshape(len(texts), -1) for texts in (x, *others)]
    return [np.stack([(texts == word).sum(axis=1) for word in words], 1) for texts in sets]
