"""Labels that are swapped at random, told from classes that only overlap (R13).

Pure functions of arrays; never trains a model of the user's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from search.diagnostics.preflight.reading import Reading

MILD = 0.05  # share of wrong labels that raises no alarm
SHARES, SLOPES = np.linspace(0.0, 0.49, 50), np.geomspace(0.05, 20.0, 40)  # that are tried
CERTAIN = 3.84  # twice the gain of a log-likelihood that chance brings in one of forty cases
LEAST = 0.01  # chance below which a model's word counts no more


@dataclass(frozen=True, kw_only=True)
class Swapped:
    """Labels of two classes that are swapped at random: the likeliest share of them, by how much
    likelier it is than `MILD` (twice the difference of the logarithms), and the greatest share that
    these rows do not rule out.
    """

    share: float
    gain: float
    most: float


def noise_floor(reading: Reading) -> Swapped:
    """How many labels are swapped, as far as the rows can tell.

    Where classes only overlap, the chance of the surest rows goes on to 0 and 1; where labels are
    swapped, it rests at that share, however far a row lies from the other class. The chances are
    those of trees and of a linear model, held out, in one.
    """
    chances, classes = reading.chances
    labels = reading.y == classes[1]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    linear = cross_val_predict(
        LogisticRegression(C=0.1, max_iter=300), _unit(reading.x), labels, cv=folds,
        method="predict_proba",
    )  # fmt: skip
    evidence = (_log_odds(chances[:, 1]) + _log_odds(linear[:, 1])) / 2
    sure = 1 / (1 + np.exp(-SLOPES[:, None] * evidence))
    likelihoods = np.array([_likelihood(sure, labels, share) for share in SHARES])
    best = int(likelihoods.argmax())
    gain = 2 * float(likelihoods[best] - _likelihood(sure, labels, MILD))
    possible = SHARES[2 * (likelihoods[best] - likelihoods) < CERTAIN]
    return Swapped(
        share=float(SHARES[best]),
        gain=gain if SHARES[best] > MILD else 0.0,
        most=float(possible.max()),
    )


def _likelihood(sure: NDArray[np.float64], labels: NDArray[np.bool_], share: float) -> float:
    """The logarithm, of labels of which this share is swapped, at the slope that fits best."""
    chance = share + (1 - 2 * share) * sure
    likelihoods = np.clip(np.where(labels, chance, 1 - chance), 1e-9, None)
    return float(np.log(likelihoods).sum(axis=1).max())


def _log_odds(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(chance, LEAST, 1 - LEAST)
    odds: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = x.std(axis=0)
    unit: NDArray[np.float64] = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return unit
