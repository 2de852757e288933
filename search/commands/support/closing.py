"""The last lines of a search: the decision in words, where its results lie, the chosen words to
copy, what may follow.
"""

import shlex

from search.config.counted import count
from search.config.overrides import value_word
from search.config.plan import Plan
from search.config.results_root import address, from_here
from search.config.trial_config import target_of
from search.execution.terminal import Terminal
from search.results.by_group import read_groups
from search.results.findings import Findings
from search.results.report import NAME as PAGE
from search.results.report.go_on import next_commands
from search.results.rules import CITED
from search.results.summary import conclusion, show_summary
from search.storage.trials import ENDED_BY_ERROR, TrialRecord
from trainers.teacher import EXPORTED


def show_decision(findings: Findings, console: Terminal) -> None:
    """Shows the table, the decision in words, and the command that explains its first rule."""
    show_summary(findings, console)
    lines = conclusion(findings)
    for line in lines:
        console.say(line)
    cited = CITED.search(" ".join(lines))
    if cited is not None:
        console.say(f"what a rule says: python -m search help {cited[0]}", style="dim")


def show_closing(findings: Findings, console: Terminal) -> None:
    """Shows where the results are and what may follow; without a winner, only the first."""
    plan = findings.plan
    page = plan.folder / PAGE
    console.say(
        f"\nresults: {from_here(plan.folder)}/"
        + (f", all on one page: {PAGE}" if page.exists() else "")
    )
    failed = sum(row.state in ENDED_BY_ERROR for row in findings.rows)
    if failed:
        console.say(
            f"{count(failed, 'trial')} failed and will not run again here; "
            "after mending the cause, start anew with name=…",
            style="red",
        )
    if findings.winner is None:
        return
    groups = read_groups(plan.folder, metric=plan.metric.name)
    if groups is not None:
        console.say(groups.line)
    words = chosen_words(findings)
    if words:
        line = f"  {' '.join(words)}"
        # A long command goes on behind a backslash, so that it can be copied from any terminal.
        shown = line if len(line) <= console.width else "  " + " \\\n  ".join(words)
        console.say(f"chosen, as words of a command:\n{shown}", style="green")
    if not (plan.folder / "best" / EXPORTED).exists():
        console.say(f"best/ holds no weights: {_without_weights(findings.winner, plan)}")
    console.say("from here:")
    again = (f"python -m search table {address(plan.folder)}", "shows this table again")
    for command, purpose in [*next_commands(findings), again]:
        console.say(f"  {command}\n      {purpose}")


def _without_weights(winner: TrialRecord, plan: Plan) -> str:
    """Why, and where they may be."""
    files = plan.folder / "files" / str(winner.spec.trial)
    if files.is_dir() and any(files.iterdir()):
        return f"what the trainer kept lies in files/{winner.spec.trial}/"
    if "command" in plan.config.trainer:
        return "a program keeps its own; {folder} in trainer.command is a place for them"
    causes = ["the trainer saved none by checkpoint.save"]
    if plan.keep != "all":
        causes.append("keep=best deleted them before this trial won")
    causes.append("somebody removed checkpoints/")
    return f"{', or '.join(causes)}; train best.yaml to get them"


def chosen_words(findings: Findings) -> list[str]:
    """The winner's knobs as `key=value` words that any experiment takes."""
    if findings.winner is None:
        return []
    choices = findings.plan.config.get("choices") or {}
    return [
        shlex.quote(f"{target_of(path, choices)}={value_word(value)}")
        for path, value in findings.winner.spec.knobs.items()
    ]
