"""What would run: stages, trials, seeds, knobs, and how long it would take from one measured epoch. Writes no results."""

from pathlib import Path

from rich.table import Table

from search.carry import compose_from
from search.commands import take
from search.dataset import completed
from search.errors import UsageError
from search.estimate import measure_epoch
from search.folder import Folder
from search.plan import read_plan
from search.progress import Terminal, duration
from search.results import open_results
from search.running import slots_of
from search.stages import sweep

SUMMARY = "tells what an experiment would run and how long; trains one epoch at most"
USAGE = "plan EXPERIMENT [from=NAME] [key=value …]"


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints the plan; what a search of this name has done already is taken off."""
    if not words:
        raise UsageError(f"plan: needs an experiment, but got none; usage: python -m search {USAGE}")
    source, overrides = take(words[1:], "from")
    config, _ = compose_from(words[0], overrides=overrides, config_dir=config_dir, source=source, root=Path("results"))
    plan = read_plan(completed(config), root=Path.cwd())
    folder = Folder(plan.folder)
    folder.check_config(plan.config)
    rows = open_results(str(plan.folder), root=plan.folder.parent)[1].rows if folder.journal.exists() else ()
    missing = [*(row.ask for row in rows if not row.finished), *sweep.wanted(plan, rows, resolution=0.0)]
    slots = slots_of(plan)
    console = Terminal()
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "knob", "range", "baseline", "values", "seeds", "trials"):
        table.add_column(column)
    for knob in plan.knobs:
        row = [sweep.stage_name(plan), knob.path, knob.describe(), str(plan.default(knob))]
        if knob.nuisance:
            table.add_row(*row, str(len(set(knob.grid()) | {plan.default(knob)})), "", "tuned beside")
        else:
            count = sum(len(sweep.cells(plan, value)) for value in sweep.first_round(plan))
            table.add_row(*row, str(len(sweep.first_round(plan))), str(plan.seeds), str(count * plan.seeds))
    console.print(table)
    if plan.kind == "sweep":
        first = ", ".join(map(str, sweep.first_round(plan)))
        console.print(f"values of {plan.knob.path}: {first}", markup=False, highlight=False)
    done = sum(row.finished for row in rows)
    console.print(
        f"{len(missing)} trials to run, {done} done already, up to {plan.epochs} epochs each, on {len(slots)} slots:",
        end=" ",
    )
    console.print(", ".join(slot.label for slot in slots), markup=False)
    if not missing:
        return 0
    measured = measure_epoch(plan)
    total = measured.search(epochs=plan.epochs, trials=len(missing), slots=len(slots))
    console.print(
        f"one epoch takes {measured.epoch:.3g} s here: at most about {duration(total)}, less where trials stop early",
        markup=False,
    )
    return 0
