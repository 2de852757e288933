"""Runs or resumes an experiment, then shows its table, its decision and what may follow.

What is heavy is imported after the first line has been shown.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.commands.support.arguments import VerbParser
from search.config.passwords import redacted
from search.config.quick_imports import quick_imports
from search.config.results_root import from_here
from search.config.words import take
from search.errors import RunError
from search.execution.terminal import Terminal

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from search.results.findings import Findings

SUMMARY = "runs or resumes an experiment; the word `run` may be left out"


def parser() -> VerbParser:
    """`EXPERIMENT [key=value …]`."""
    examples = [
        ("python -m search lr_sweep", "runs it; the same command resumes it"),
        ("python -m search lr_sweep seeds=5 name=five", "with other keys, in results/five/"),
    ]
    details = (
        "Ctrl-C stops at the end of the epoch and writes the tables; a second one stops at once. "
        "python -m search help EXPERIMENT shows an experiment's knobs and keys."
    )
    parser = VerbParser("run", summary=SUMMARY, details=details, examples=examples)
    parser.add_experiment()
    parser.add_overrides()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """One experiment from config to table."""
    options = parser().parse(words)
    console = Terminal()
    console.say(f"{options.experiment}: reading the config …")
    config, contract = _composed(options.experiment, options.overrides, config_dir)
    return run_config(config, console=console, command=words, contract=contract)


def run_config(
    config: "DictConfig",
    *,
    console: Terminal,
    command: Sequence[str],
    contract: Mapping[str, Any] | None,
    words: Sequence[str] = (),
) -> int:
    """Runs or resumes a search; shows its table, its decision and what may follow.

    Args:
        config: composed.
        console: standard output.
        command: the words that resume it.
        contract: one that must hold here too.
        words: see `launch`.

    Raises:
        RunError: nothing has won, or the search failed.
        Interrupted: by a signal.
    """
    with quick_imports():
        from search.lifecycle.launch import launch
    whole = f"python -m search {redacted(shlex.join(command))}"
    findings = launch(config, console=console, contract=contract, words=words, command=whole)
    _show(findings, console)
    if findings.winner is None:
        raise RunError(
            findings.obstacle
            or f"{findings.plan.name}: a search needs a trial that gives a value, but got none; "
            f"see the reasons in {from_here(findings.plan.folder)}/trials.csv, then use name=…",
            code="nothing-has-won",
        )
    return 0


def _composed(
    experiment: str, overrides: list[str], config_dir: Path | None
) -> tuple["DictConfig", Mapping[str, Any] | None]:
    """The config, and from which contract it comes, if any."""
    with quick_imports():
        from search.results.transfer import compose_from
    source, overrides = take(overrides, "from")
    return compose_from(experiment, overrides=overrides, config_dir=config_dir, source=source)


def _show(findings: "Findings", console: Terminal) -> None:
    """The table, the decision in words, and what to do next."""
    from search.commands.support.closing import show_closing, show_decision

    show_decision(findings, console)
    show_closing(findings, console)
