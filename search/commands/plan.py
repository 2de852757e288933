"""What would run, and for how long by one measured epoch. Writes no results.

What is heavy is imported after the first line has been shown.
"""

from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.config.quick_imports import quick_imports
from search.execution.terminal import Terminal

SUMMARY = "tells what an experiment would run and how long; trains one epoch at most"


def parser() -> VerbParser:
    """`EXPERIMENT [key=value …]`."""
    examples = [
        ("python -m search plan lr_sweep", "trials, knobs with their ranges, estimated time"),
        ("python -m search plan joint n_trials=200", "trials that are done are left out"),
        ("python -m search plan tune budget_trials=300", "a protocol: its stages and knobs"),
        ("python -m search plan sweep 'knobs=[lr,width]'", "several sweeps, one after the other"),
    ]
    parser = VerbParser("plan", summary=SUMMARY, examples=examples)
    parser.add_experiment()
    parser.add_overrides()
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints the plan; what a search of this name has done already is taken off."""
    options = parser().parse(words)
    console = Terminal(quiet=options.json)
    console.say(f"{options.experiment}: reading the config …")
    with quick_imports():
        from search.commands.support.show_plan import show_plan
    show_plan(options, config_dir, console)
    return 0
