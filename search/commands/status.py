"""How far searches have come, from disk, also while they run."""

from collections import Counter
from pathlib import Path

from search.errors import UsageError
from search.execution.progress import shown_knobs
from search.results.findings import Findings, looks, open_results, searches
from search.storage.curves import followed, read_curves
from search.storage.folder import Folder

SUMMARY = "tells how far a search has come; without a name, all of them"
USAGE = "status [NAME]"
ROOT = Path("results")


def run(words: list[str], config_dir: Path | None) -> int:
    """One line per search; with a name, one per running trial as well."""
    others = looks(ROOT)
    names = words or [*others, *(path.name for path in searches(ROOT))]
    if not names:
        print(f"no search in {ROOT}/ yet; start one: python -m search lr_sweep")
    broken = 0
    for name in names:
        if name in others:
            print(f"{name}: {others[name]}")
            continue
        try:
            folder, findings = open_results(name, root=ROOT)
        except UsageError as error:
            if words:
                raise
            print(f"{name}: cannot be read: {error}")
            broken += 1
            continue
        counts = Counter(row.state for row in findings.rows)
        told = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        finished = sum(row.finished for row in findings.rows)
        state = (
            "running" if folder.alive() else "done" if finished == findings.foreseen else "stopped"
        )
        print(
            f"{findings.plan.name}: {state}, {finished} of {findings.foreseen} trials finished ({told})"
        )
        if words:
            _show_trials(folder, findings)
    return 1 if broken else 0


def _show_trials(folder: Folder, findings: Findings) -> None:
    """A line per trial that runs or has failed; how far it has come stands in the curves."""
    metric = findings.plan.metric.name
    curves = read_curves(folder.curve_log, folder.curves, metric=metric)
    for row in findings.rows:
        if row.state not in ("running", "failed", "lost"):
            continue
        told = followed(curves[curves.trial == row.ask.trial])
        reached = (
            f"epoch {told.epoch.iloc[-1]} of {findings.plan.epochs}, {metric} {told[metric].iloc[-1]:.4g}"
            if len(told)
            else ""
        )
        line = f"  trial {row.ask.trial} {row.state}: {shown_knobs(row.ask)} seed {row.ask.seed}  {reached}  {row.reason}"
        print(line.rstrip())
