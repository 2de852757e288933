"""Runs or resumes an experiment, then shows its table, the winner against the baseline, and what to do next."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from search.commands import take
from search.config.compose import compose_experiment
from search.config.quick_imports import quick_imports
from search.errors import Interrupted, RunError, UsageError
from search.execution.progress import Terminal
from search.run.launch import launch

if TYPE_CHECKING:
    from search.results.findings import Findings

SUMMARY = "runs or resumes an experiment; the word may be left out"
USAGE = "[run] EXPERIMENT [from=NAME] [key=value …]"


def run(words: list[str], config_dir: Path | None) -> int:
    """One experiment from config to table."""
    if not words:
        raise UsageError(f"run: needs an experiment, but got none; usage: python -m search {USAGE}")
    console = Terminal()
    config, contract = _composed(words, config_dir)
    try:
        findings = launch(config, console=console, contract=contract)
    except Interrupted as error:
        raise Interrupted(
            f"{error}; the tables are written, and the same command goes on: python -m search {' '.join(words)}"
        ) from error
    _show(findings, console)
    if findings.winner is None:
        raise RunError(
            f"{findings.plan.name}: nothing has won; the reasons stand in {findings.plan.folder / 'trials.csv'}"
        )
    return 0


def _composed(
    words: list[str], config_dir: Path | None
) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """The config, and from which contract it comes, if any."""
    source, overrides = take(words[1:], "from")
    if source is None:
        return compose_experiment(words[0], overrides=overrides, config_dir=config_dir), None
    with quick_imports():
        from search.results.transfer import compose_from
    return compose_from(
        words[0], overrides=overrides, config_dir=config_dir, source=source, root=Path("results")
    )


def _show(findings: "Findings", console: Terminal) -> None:
    from search.results.summary import conclusion, show_summary

    plan = findings.plan
    show_summary(findings, console)
    for line in conclusion(findings):
        console.say(line)
    where = (
        plan.folder.relative_to(Path.cwd())
        if plan.folder.is_relative_to(Path.cwd())
        else plan.folder
    )
    console.print(f"\nresults: {where}/", markup=False, highlight=False)
    failed = sum(row.state in ("failed", "lost") for row in findings.rows)
    if failed:
        console.print(
            f"{failed} trials failed and stay failed here; after mending the cause, start anew with name=…",
            markup=False,
        )
    if findings.winner is None:
        return
    if not (plan.folder / "best" / "weights.safetensors").exists():
        told = (
            "the trainer saved none"
            if plan.keep == "all"
            else "the trainer saved none, or keep=best dropped them before it won"
        )
        console.print(
            f"best/ holds no weights: {told}; train best.yaml to get them",
            markup=False,
            soft_wrap=True,
        )
    for command, purpose in (
        (f"python -m search train {where}/best.yaml", "trains the winner again, and compares"),
        *(
            [(f"python -m search test {plan.name}", "opens the sealed test set, once")]
            if plan.config.trainer.predict
            else []
        ),
        (f"python -m search table {plan.name}", "shows this table again"),
    ):
        console.say(f"  {command:55} {purpose}")
