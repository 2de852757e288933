"""Which learning rates are worth a sweep? A ramp per seed, read four ways (R31).

What is heavy is imported after the first line has been shown.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from search.commands.support.arguments import VerbParser
from search.config.quick_imports import quick_imports
from search.config.results_root import address, from_here
from search.config.words import EXPERIMENT, take
from search.errors import RunError
from search.execution.terminal import Terminal

if TYPE_CHECKING:
    from search.diagnostics.lr_range import Range
    from search.lifecycle.standalone import Look

SUMMARY = "finds a range of learning rates by a ramp; `from=` hands it to a sweep"


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
    parser.add_overrides(experiment=EXPERIMENT)
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes lr_range.json, .csv and .svg.

    Raises:
        RunError: no range follows from the ramps.
    """
    source, overrides = take(parser().parse(words).overrides, "from")
    console = Terminal()
    console.say("lr_range: reading the config …")
    with quick_imports():
        from search.lifecycle.standalone import looked
    heavy = ["search.lifecycle.range_test"]
    with looked(overrides, config_dir, source=source, verb="lr_range", imports=heavy) as look:
        from search.lifecycle.range_test import range_test

        path = look.folder.path
        slot = look.slots[0]
        result, seconds = range_test(look.plan, path, slot=slot, early=look.probe)
    _show(look, result, seconds=seconds, console=console)
    if result.low is None:
        raise RunError(
            f"lr_range: a range is where the loss falls, but none was found: {result.because}; "
            f"see {from_here(path)}/lr_range.svg",
            code="no-range-found",
        )
    return 0


def _show(look: "Look", result: "Range", *, seconds: float, console: Terminal) -> None:
    from search.lifecycle.range_test import walked_with

    for name, rate in result.suggestions.items():
        console.say(f"{name:>14}  {rate:.2g}")
    if result.low is not None and result.high is not None:
        console.say(
            f"learning rates from {result.low:.2g} to {result.high:.2g}; the four ways agree "
            f"within {result.agreement:.1f} decades ({seconds:.0f} s){walked_with(result.momentum)}"
        )
        console.say(f"next: python -m search lr_sweep from={address(look.folder.path)}")
