"""Carries out the tuning guide: from a set-up to a confirmed configuration, stage by stage."""

from pathlib import Path

from search.commands.run import run_config
from search.commands.support.arguments import VerbParser
from search.config.quick_imports import quick_imports
from search.config.words import take
from search.execution.terminal import Terminal

SUMMARY = "carries out the tuning guide: checks, sweeps by verdict, joint search, confirmation"


def parser() -> VerbParser:
    """`[EXPERIMENT] [key=value …]`."""
    examples = [
        ("python -m search tune", "digits and a multilayer perceptron, into results/tune/"),
        (
            "python -m search tune data=breast_cancer budget_trials=300",
            "another set-up, at most 300 trainings",
        ),
        (
            "python -m search tune protocol=fixed_order 'space=[lr,dropout]'",
            "these knobs alone, in this order",
        ),
        (
            "python -m search tune trainer._target_=mine.train 'knob.my.lr=log(1e-4,1)'",
            "a trainer of yours, and its knobs",
        ),
    ]
    details = (
        "protocol= is guide (the next knob follows the verdict), fixed_order, coordinate, sweeps, "
        "unstick or a file of yours in conf/protocol/. With words knob.PATH=DOMAIN or "
        "space=[NAME,…] it turns these knobs alone. The same command resumes it."
    )
    parser = VerbParser("tune", summary=SUMMARY, details=details, examples=examples)
    parser.add_overrides(experiment="conf/search.yaml")
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """One protocol from config to page."""
    overrides = parser().parse(words).overrides
    console = Terminal()
    console.say("tune: reading the config …")
    return compose_and_run(overrides, config_dir, console=console, command=["tune", *words])


def compose_and_run(
    words: list[str], config_dir: Path | None, *, console: Terminal, command: list[str]
) -> int:
    """Runs or resumes a protocol, from another search's winner where `from=` names one.

    Args:
        words: as `compose_protocol` takes them, and `from=`.
        config_dir: a folder of configs of the user's.
        console: standard output.
        command: the words that resume it.
    """
    source, words = take(words, "from")
    with quick_imports():
        from search.results.transfer import protocol_from
    config, contract = protocol_from(words, config_dir=config_dir, source=source)
    return run_config(config, console=console, command=command, contract=contract, words=words)
