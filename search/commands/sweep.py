"""Several sweeps in one search: one knob after the other, each from the winner before (R28)."""

from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.commands.tune import compose_and_run
from search.config.sweep_words import sweep_words
from search.config.words import take
from search.execution.terminal import Terminal

SUMMARY = "sweeps several knobs, each from the winner before, and confirms what was adopted"


def parser() -> VerbParser:
    """`knobs=[…] [name=NAME] [key=value …]`."""
    examples = [
        ("python -m search sweep 'knobs=[lr,batch_size,dropout]'", "one search, results/sweep/"),
        ("python -m search sweep 'knobs=[lr,width]' name=mine from=joint", "after another search"),
        ("python -m search sweep 'knob.optimizer.lr=log(1e-3,1)'", "a knob by its path and range"),
        (
            "python -m search sweep 'knobs=[lr,width]' protocol=coordinate",
            "pass after pass, until one adopts nothing",
        ),
    ]
    details = (
        "A knob is named as in its experiment KNOB_sweep or its file in conf/space/; the first "
        "experiment that brings a set-up of its own, such as a model, sets it for all. The same as "
        "tune protocol=sweeps 'space=[…]'; protocol.confirm= is the number of fresh seeds. The "
        "same command resumes it."
    )
    parser = VerbParser("sweep", summary=SUMMARY, details=details, examples=examples)
    parser.add_overrides()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """One protocol of sweeps, from config to page."""
    console = Terminal()
    knobs, overrides = take(parser().parse(words).overrides, "knobs")
    protocol = sweep_words(knobs, overrides, config_dir)
    name, _ = take(protocol, "name")
    console.say(f"{name}: reading the config …")
    return compose_and_run(protocol, config_dir, console=console, command=["sweep", *words])
