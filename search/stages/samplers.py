"""Optuna's samplers and pruners, each made anew from settings and a seed. Keeps no state.

What a search remembers lies in its trials. `sampler_thread` asks a sampler for the next point.
"""

import hashlib
import warnings
from collections.abc import Sequence

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
from optuna.trial import FrozenTrial

from search.config.joint_settings import JointSettings

optuna.logging.set_verbosity(optuna.logging.WARNING)
WARM = 10  # trials known, the best tenth of which CMA-ES begins at
COMPARED = 3  # trials that must have reached the epoch
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
