"""A learning-rate range test in a folder: ramps the rate, reads curves, writes the range (R31)."""

import time
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from search.config.incumbent import incumbent_config
from search.config.plan import Plan
from search.config.schema import check_there
from search.diagnostics.lr_range import Range, read_range
from search.diagnostics.probe import Probe, probed
from search.diagnostics.verdicts.advice import MOMENTUM
from search.errors import refused
from search.execution.slots import Slot
from search.results.figures.lr_range import write_figure
from search.storage.folder import LR_RANGE
from search.storage.sealed import read_json, write_csv, write_json
from trainers.probes.answers import Ramps

MEMORY = 0.9  # momentum that a ramp of `lr_range.steps` leaves time to forget
SLOWEST = 5.0  # times as many steps, at most, for more of it
LONGEST = 0.99  # most momentum that a ramp is walked with: that of more reacts after its end
RAMP = ("low", "high", "scale", "steps", "seeds")  # keys of `lr_range`
DRAWN = ("rates", "losses")  # parts of a range that lie in lr_range.csv


def range_test(
    plan: Plan, path: Path, *, slot: Slot, early: Probe | None = None
) -> tuple[Range, float]:
    """The range and its seconds. Writes lr_range.json, .csv and .svg beside `path`/arrays/.

    `early`: a process in this slot that has started before, if any.

    Raises:
        UsageError: the keys of `lr_range` do not make a ramp.
        RunError: the training could not be looked at.
    """
    started = time.monotonic()
    rates, seeds = ramp_rates(plan.config), plan.config.lr_range.seeds
    wanted = {"kind": "lr_range", "rates": rates, "seeds": seeds}
    walked = replace(plan, config=walked_config(plan.config))
    with probed(walked, path, slot=slot, wanted=wanted, early=early) as wait_for_answers:
        answers: Ramps = wait_for_answers()
    result = (
        Range(because=answers["cause"])
        if answers["cause"]
        else read_range(rates, answers["losses"], answers["untrained"])
    )
    seconds = time.monotonic() - started
    if walked.config is not plan.config:
        result = replace(result, momentum=LONGEST)
    _write(path, rates, answers, result, seconds=seconds)
    return result, seconds


def ramp_rates(config: DictConfig) -> list[float]:
    """The learning rate of every step."""
    check_there(config, (f"lr_range.{key}" for key in RAMP))
    ramp = config.lr_range
    low, high, steps = ramp.low, ramp.high, _slower(ramp.steps, config)
    if low >= high:
        got = f"{high:g} after {low:g}"
        raise refused(
            "lr_range.high",
            code="ramp-does-not-rise",
            rule="a ramp rises",
            got=got,
            remedy="raise it",
        )
    spaced = np.geomspace if ramp.scale == "log" else np.linspace
    return [float(rate) for rate in spaced(low, high, steps)]


def walked_config(config: DictConfig) -> DictConfig:
    """The config of the ramps: with less momentum, where the training's own remembers far more
    steps than a ramp has. Its loss would still answer to rates that the ramp has long left.
    """
    if _momentum(config) <= LONGEST:
        return config
    return incumbent_config(config, {MOMENTUM: LONGEST})


def walked_with(momentum: float | None) -> str:
    """In words, that the ramps had less momentum than the training; empty where they had not."""
    return "" if momentum is None else f"; the ramp was walked with a momentum of {momentum:g}"


def range_once(plan: Plan, path: Path, *, slot: Slot) -> tuple[str, tuple[float, float] | None]:
    """What a range test found, in words and as a range, if any; it is made once in a folder."""
    if not (path / LR_RANGE).exists():
        range_test(plan, path, slot=slot)
    result = read_json(path / LR_RANGE, keys=["low", "high"])
    walked = walked_with(result.get("momentum"))
    if result["low"] is None:
        return f"no range, because {result['because']}; the knob's own is taken{walked}", None
    rates = float(result["low"]), float(result["high"])
    return f"learning rates from {rates[0]:.2g} to {rates[1]:.2g}{walked}", rates


def _momentum(config: DictConfig) -> float:
    """The optimizer's momentum; 0 where there is none that a ramp could mind."""
    momentum = OmegaConf.select(config, MOMENTUM)
    return float(momentum) if isinstance(momentum, int | float) and 0 < momentum < 1 else 0.0


def _slower(steps: int, config: DictConfig) -> int:
    """More steps where momentum remembers more than ten: what it has gathered is stepped by the
    rate of now, so a ramp that rises faster than it forgets is lost far below the rate that is.
    """
    momentum = max(_momentum(config), MEMORY)
    return round(steps * min((1 - MEMORY) / (1 - momentum), SLOWEST))


def _write(
    path: Path, rates: list[float], answers: Ramps, result: Range, *, seconds: float
) -> None:
    """The range, every seed's curve, and the figure."""
    rows = [
        {"seed": seed, "step": step, "lr": rates[step], "loss": loss, "untrained": still}
        for seed, losses, ease in zip_longest(
            answers["seeds"], answers["losses"], answers["untrained"], fillvalue=()
        )
        for step, (loss, still) in enumerate(zip_longest(losses[: len(rates)], ease[: len(losses)]))
    ]
    columns = ["seed", "step", "lr", "loss", *["untrained"] * bool(answers["untrained"])]
    write_csv(path / "lr_range.csv", pd.DataFrame(rows, columns=columns))
    summary = {name: part for name, part in asdict(result).items() if name not in DRAWN}
    agreement = result.agreement if np.isfinite(result.agreement) else None
    content = {**summary, "agreement": agreement, "seconds": round(seconds, 1)}
    write_json(path / LR_RANGE, content)
    write_figure(path, rates=rates, curves=answers["losses"], result=result)
