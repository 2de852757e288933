"""Which learning rates are worth a sweep? A ramp per seed, read four ways (R31)."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from search.commands.support.arguments import VerbParser, take
from search.config.fields import one_of, positive, whole
from search.config.results_root import address
from search.diagnostics.lr_range import Range, read_range
from search.diagnostics.probe import Answers, probed
from search.errors import RunError, UsageError, broken_rule
from search.execution.terminal import Terminal
from search.results.figures.lr_range import write_figure
from search.run.standalone import Look, looked
from search.storage.files import write_text
from search.storage.folder import LR_RANGE

SUMMARY = "finds a range of learning rates by a ramp; `from=` hands it to a sweep"
DRAWN = ("rates", "losses")  # parts of a range that lie in lr_range.csv


def parser() -> VerbParser:
    """`[EXPERIMENT] [key=value …]`."""
    examples = [
        ("python -m search lr_range", "of lr_sweep's set-up, into results/lr_range/"),
        ("python -m search lr_range joint lr_range.high=1 name=ramp", "of another; ends at 1"),
    ]
    details = (
        "Trains a short ramp per seed, its learning rate rising every step. "
        "python -m search lr_sweep from=lr_range then sweeps the range that was found."
    )
    parser = VerbParser("lr_range", summary=SUMMARY, details=details, examples=examples)
    parser.add_overrides()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes lr_range.json, .csv and .svg.

    Raises:
        RunError: no range follows from the ramps.
    """
    started = time.monotonic()
    source, overrides = take(parser().parse(words).overrides, "from")
    with looked(overrides, config_dir, source=source, verb="lr_range") as look:
        config, path = look.plan.config, look.folder.path
        rates, seeds = _rates(config), whole(config, "lr_range.seeds", least=1)
        wanted = {"kind": "lr_range", "rates": rates, "seeds": seeds}
        with probed(look.plan, path, slot=look.slots[0], wanted=wanted) as wait_for_answers:
            answers = wait_for_answers()
        result = (
            Range(because=answers["cause"])
            if answers.get("cause")
            else read_range(rates, answers["losses"])
        )
        seconds = time.monotonic() - started
        _write(look, rates, answers, result, seconds=seconds)
    _show(look, result, seconds=seconds)
    if result.low is None:
        raise RunError(
            f"lr_range: no range can be told, because {result.because}; see {path / 'lr_range.svg'}"
        )
    return 0


def _rates(config: DictConfig) -> list[float]:
    """The learning rate of every step."""
    low, high = positive(config, "lr_range.low"), positive(config, "lr_range.high")
    steps = whole(config, "lr_range.steps", least=40)
    scale = one_of(config, "lr_range.scale", ("log", "linear"))
    if low >= high:
        got = f"{high:g} after {low:g}"
        raise UsageError(
            broken_rule("lr_range.high", rule="a ramp rises", got=got, remedy="raise it")
        )
    spaced = np.geomspace if scale == "log" else np.linspace
    return [float(rate) for rate in spaced(low, high, steps)]


def _write(
    look: Look, rates: list[float], answers: Answers, result: Range, *, seconds: float
) -> None:
    """The range, every seed's curve, and the figure."""
    path = look.folder.path
    rows = [
        {"seed": seed, "step": step, "lr": rates[step], "loss": loss}
        for seed, losses in zip(answers["seeds"], answers["losses"], strict=False)
        for step, loss in enumerate(losses[: len(rates)])
    ]
    frame = pd.DataFrame(rows, columns=["seed", "step", "lr", "loss"])
    write_text(path / "lr_range.csv", frame.to_csv(index=False))
    summary = {name: part for name, part in asdict(result).items() if name not in DRAWN}
    agreement = result.agreement if np.isfinite(result.agreement) else None
    content = {**summary, "agreement": agreement, "seconds": round(seconds, 1)}
    write_text(path / LR_RANGE, json.dumps(content, indent=1))
    write_figure(path, rates=rates, curves=answers["losses"], found=result)


def _show(look: Look, result: Range, *, seconds: float) -> None:
    console = Terminal()
    for name, rate in result.suggestions.items():
        console.say(f"{name:>14}  {rate:.2g}")
    if result.low is not None and result.high is not None:
        console.say(
            f"learning rates from {result.low:.2g} to {result.high:.2g}; the four ways agree "
            f"within {result.agreement:.1f} decades ({seconds:.0f} s)"
        )
        console.say(f"next: python -m search lr_sweep from={address(look.folder.path)}")
