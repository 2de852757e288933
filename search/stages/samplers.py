"""Optuna's samplers, pruners and importances for our knobs, each made anew from settings and a
seed. Keeps no state.

What a search remembers lies in its trials.
"""

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial

from search.config.joint_settings import JointSettings
from search.config.knobs import Knob, Value
from search.contract.metrics import Direction
from search.storage.distributions import distribution_of

optuna.logging.set_verbosity(optuna.logging.WARNING)
WARM = 10  # trials known, the best tenth of which CMA-ES begins at
COMPARED = 3  # trials that must have reached the epoch
BETTER = 0.5  # share of trials whose knobs are compared with all
PERMUTATIONS, CHANCE = 39, 0.05  # of the values, and the share in which a knob stands out by luck
STARTED = 5  # trials that must have ended before the median of others means something


def seed_of(*parts: object) -> int:
    """A seed that depends on all parts, so that a resumed search repeats nothing."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


def make_sampler(kind: str, *, seed: int, known: Sequence[FrozenTrial] = ()) -> BaseSampler:
    """An adaptive sampler. The random start is ours, so none of theirs.

    `known`: ended trials around whose best CMA-ES begins; later it learns only from what it has
    asked for itself (Nomura et al. 2021, arXiv 2012.06932).

    Raises:
        ImportError: cmaes needs the package of that name.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if kind == "gp":
            return GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
        if kind == "cmaes":
            return CmaEsSampler(
                seed=seed,
                n_startup_trials=1,
                source_trials=list(known) if len(known) >= WARM else None,
            )
        return TPESampler(seed=seed, n_startup_trials=1)


def make_pruner(settings: object, *, epochs: int) -> BasePruner:
    """The pruner of a joint search, asked at rung epochs only (halving: Li et al. 2018, median:
    Golovin et al. 2017); for other stages one that never prunes.
    """
    if not isinstance(settings, JointSettings) or settings.pruner == "none":
        return NopPruner()
    kind = settings.pruner
    if kind == "asha":
        return SuccessiveHalvingPruner(
            min_resource=settings.warmup, reduction_factor=settings.reduction
        )
    if kind == "hyperband":
        return HyperbandPruner(
            min_resource=settings.warmup, max_resource=epochs, reduction_factor=settings.reduction
        )
    median = MedianPruner(n_startup_trials=STARTED, n_min_trials=COMPARED)
    if kind == "median":
        return median
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return PatientPruner(median, patience=settings.patience)


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
    dice = np.random.default_rng(0)
    tops = [
        max(_shares(study, dice.permutation(losses)).values(), default=0.0)
        for _ in range(PERMUTATIONS if shares else 0)
    ]
    return {
        path: share
        for path, share in shares.items()
        if 1 + sum(top >= share for top in tops) <= CHANCE * (PERMUTATIONS + 1)
    }


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
