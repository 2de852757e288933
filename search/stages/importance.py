"""Which knobs matter in a joint search: each knob's share in what makes a configuration good.

By Optuna's PED-ANOVA; a knob whose share may be luck gets none.
"""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.trial import create_trial

from search.config.knobs import Knob, Value
from search.contract.metrics import Direction
from search.storage.distributions import distribution_of

BETTER = 0.5  # share of trials whose knobs are compared with all
PERMUTATIONS, CHANCE = 39, 0.05  # of the values, and the share in which a knob stands out by luck


def importances(
    tried: Sequence[tuple[Mapping[str, Value], float]],
    *,
    knobs: Sequence[Knob],
    direction: Direction,
) -> dict[str, float]:
    """The knobs that separate the better half of the configurations from the rest beyond chance,
    each with its share, the greatest first (PED-ANOVA: Watanabe, Bansal and Hutter 2023, arXiv
    2304.10255).

    A knob's share must exceed the greatest share of any knob in 95 % of permutations of the values:
    where nothing matters, some knob has the greatest share all the same.

    Args:
        tried: configurations with their values; idle knobs are not in them.
        knobs: all that may be in a configuration.
        direction: of the values.

    Returns:
        Shares of the whole; empty where no knob stands out.
    """
    if len({value for _, value in tried}) < 2:
        return {}
    by_path = {knob.path: knob for knob in knobs}
    values = {path: [point[path] for point, _ in tried if path in point] for path in by_path}
    space = {path: distribution_of(by_path[path], found) for path, found in values.items() if found}
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        [
            create_trial(
                params=dict(point), distributions={path: space[path] for path in point}, value=0.0
            )
            for point, _ in tried
        ]
    )
    sign = 1.0 if direction == "minimize" else -1.0
    losses = np.array([sign * value for _, value in tried])
    shares = _shares(study, losses)
    dice, tops = np.random.default_rng(0), list[float]()

    def stands_out(share: float) -> bool:
        return 1 + sum(top >= share for top in tops) <= CHANCE * (PERMUTATIONS + 1)

    while len(tops) < PERMUTATIONS and any(map(stands_out, shares.values())):
        tops.append(max(_shares(study, dice.permutation(losses)).values(), default=0.0))
    return {path: share for path, share in shares.items() if stands_out(share)}


def _shares(
    study: optuna.Study, losses: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> dict[str, float]:
    """Each knob's share in what separates the better half from the rest; empty without any."""
    # Imports scikit-learn, which takes a second.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = get_param_importances(
                study,
                evaluator=PedAnovaImportanceEvaluator(target_quantile=BETTER),
                target=lambda trial: float(losses[trial.number]),
            )
    except (ValueError, RuntimeError):
        return {}
    return {path: share for path, share in shares.items() if math.isfinite(share)}
