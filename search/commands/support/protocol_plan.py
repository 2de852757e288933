"""The plan of a protocol: its stages with their shares of the budget, and its knobs."""

from collections.abc import Sequence

from rich.table import Column, Table

from search.config.knobs import written
from search.config.plan import Plan
from search.config.tune_settings import TuneSettings
from search.execution.terminal import Terminal
from search.protocols.budget import foreseen_trials
from search.protocols.history import History
from search.protocols.opening import assumed, budget_words, check_budget, check_until
from search.storage.trials import TrialRecord


def show_protocol(plan: Plan, rows: Sequence[TrialRecord], console: Terminal) -> int:
    """Shows stages and knobs.

    Returns:
        About how many trials are missing.

    Raises:
        UsageError: the budget does not pay for the first stages.
    """
    settings = plan.settings
    assert isinstance(settings, TuneSettings)
    history = History(settings, plan.config, plan.seeds)
    if not rows:  # one that has begun may end with any budget
        check_budget(settings, plan.seeds)
    check_until(settings)
    foreseen = foreseen_trials(history)
    stages = Table("stage", Column("trials", justify="right"), box=None, pad_edge=False)
    for number, (entry, trials) in enumerate(foreseen, start=1):
        stages.add_row(f"{number:02d} {entry}", str(trials) if trials else "")
    console.print(stages)
    knobs = Table(box=None, pad_edge=False)
    for column in ("knob", "path", "range", "baseline", "tuned beside"):
        knobs.add_column(column, overflow="fold")  # a path is an argument: whole, or of no use
    for name, (about, *beside) in settings.spaces.items():
        knobs.add_row(
            name,
            about.path,
            about.describe(),
            written(plan.default(about)),
            ", ".join(knob.path for knob in beside),
        )
    console.print(knobs)
    for line in assumed(settings):
        console.say(line)
    if settings.left_out:
        console.say(f"not in this set-up: {', '.join(settings.left_out)}")
    total, done = sum(trials for _, trials in foreseen), sum(row.finished for row in rows)
    console.say(budget_words(plan, settings))
    if settings.budget_trials is not None:
        total = min(total, settings.budget_trials)
    return max(total - done, 0)
