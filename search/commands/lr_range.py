"""Which learning rates are worth a sweep? A ramp per seed, read four ways; the range goes to a sweep by `from=` (R31)."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from search.commands import take
from search.config.fields import one_of, positive, whole
from search.diagnostics.lr_range import Range, read_range
from search.diagnostics.probe import Answers, probed
from search.errors import RunError, UsageError, broken_rule
from search.execution.progress import Terminal
from search.results.figures.lr_range import write_figure
from search.run.standalone import Look, looked
from search.storage.files import write_text
from search.storage.folder import LR_RANGE

SUMMARY = "finds a range of learning rates by a ramp; `from=` hands it to a sweep"
USAGE = "lr_range [EXPERIMENT] [from=NAME] [lr_range.high=1] [key=value …]"


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes lr_range.json, .csv and .svg; exit 1 where no range can be told."""
    started = time.monotonic()
    source, given = take(words, "from")
    with looked(given, config_dir, source=source, verb="lr_range") as look:
        config, path = look.plan.config, look.folder.path
        rates, seeds = _rates(config), whole(config, "lr_range.seeds", least=1)
        wanted = {"kind": "lr_range", "rates": rates, "seeds": seeds}
        with probed(look.plan, path, slot=look.slots[0], wanted=wanted) as answers:
            told = answers()
        found = (
            Range(because=told["cause"]) if told.get("cause") else read_range(rates, told["losses"])
        )
        _write(look, rates, told, found, seconds=time.monotonic() - started)
    _show(look, found, seconds=time.monotonic() - started)
    if found.low is None:
        raise RunError(
            f"lr_range: no range can be told, because {found.because}; see {path / 'lr_range.svg'}"
        )
    return 0


def _rates(config: DictConfig) -> list[float]:
    """The learning rate of every step."""
    low, high = positive(config, "lr_range.low"), positive(config, "lr_range.high")
    steps, scale = (
        whole(config, "lr_range.steps", least=40),
        one_of(config, "lr_range.scale", ("log", "linear")),
    )
    if low >= high:
        rule = "a ramp rises"
        raise UsageError(
            broken_rule(
                "lr_range.high", rule=rule, got=f"{high:g} after {low:g}", remedy="raise it"
            )
        )
    return [
        float(rate) for rate in (np.geomspace if scale == "log" else np.linspace)(low, high, steps)
    ]


def _write(look: Look, rates: list[float], told: Answers, found: Range, *, seconds: float) -> None:
    """The range, every seed's curve, and the figure."""
    path = look.folder.path
    rows = [
        {"seed": seed, "step": step, "lr": rates[step], "loss": loss}
        for seed, losses in zip(told["seeds"], told["losses"], strict=False)
        for step, loss in enumerate(losses[: len(rates)])
    ]
    write_text(
        path / "lr_range.csv",
        pd.DataFrame(rows, columns=["seed", "step", "lr", "loss"]).to_csv(index=False),
    )
    summary = {key: value for key, value in asdict(found).items() if key not in ("rates", "losses")}
    agreement = found.agreement if np.isfinite(found.agreement) else None
    write_text(
        path / LR_RANGE,
        json.dumps({**summary, "agreement": agreement, "seconds": round(seconds, 1)}, indent=1),
    )
    write_figure(path, rates=rates, curves=told["losses"], found=found)


def _show(look: Look, found: Range, *, seconds: float) -> None:
    console = Terminal()
    for name, rate in found.suggestions.items():
        console.print(f"{name:>14}  {rate:.2g}", highlight=False)
    if found.low is not None and found.high is not None:
        told = f"learning rates from {found.low:.2g} to {found.high:.2g}; the four ways agree within {found.agreement:.1f} decades"
        console.print(f"{told} ({seconds:.0f} s)", highlight=False)
        console.print(
            f"next: python -m search lr_sweep from={look.plan.name}", highlight=False, markup=False
        )
