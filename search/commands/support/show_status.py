"""How far searches have come, as lines and as a document."""

from argparse import Namespace
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.commands.support.documents import print_document
from search.config.counted import count
from search.config.program_name import as_started
from search.errors import SearchError, UsageError, disk_error
from search.execution.pace import duration
from search.execution.progress import shown_knobs, shown_trial
from search.results.findings import Findings, open_results
from search.results.folders import folders_below
from search.results.status import Status, status_of
from search.storage.trials import ENDED_BY_ERROR

ENDED = {"running": "begun", "done": "ended", "stopped": "last trial ended", "died": "begun"}


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One folder below results: a search, something else with its description, or unreadable."""

    name: str
    look: str = ""
    error: SearchError | None = None
    progress: tuple[Status, Findings] | None = None


def show_status(options: Namespace) -> int:
    """Of all searches, or of the one that is named; returns the exit code."""
    root = options.results_root
    there = folders_below(root)
    names = [options.name] if options.name else sorted(there, key=lambda name: not there[name])
    entries = [_entry(name, root, look=there.get(name, "")) for name in names]
    if options.name and entries[0].error:
        raise entries[0].error
    if options.json:
        print_document("status", {"searches": [_record(entry) for entry in entries]})
    else:
        if not entries:
            print(as_started(f"no search in {root}/ yet; start one: python -m search lr_sweep"))
        for entry in entries:
            _show(entry, trials=options.name is not None)
    return 1 if any(entry.error for entry in entries) else 0


def _entry(name: str, root: Path, *, look: str) -> _Entry:
    if look:
        return _Entry(name=name, look=look)
    try:
        folder, findings = open_results(name, root=root)
        return _Entry(name=name, progress=(status_of(folder, findings), findings))
    except UsageError as error:
        return _Entry(name=name, error=error)
    except OSError as error:  # of one folder; the others are told all the same
        return _Entry(name=name, error=disk_error(error, path=root / name))


def _show(entry: _Entry, *, trials: bool) -> None:
    if entry.progress is None:
        print(f"{entry.name}: {entry.look or f'cannot be read: {entry.error}'}")
        return
    status, findings = entry.progress
    counts = ", ".join(f"{number} {state}" for state, number in status.counts.items())
    stage = f" in stage {status.stage}" if status.stage else ""
    trials_of = f"{status.finished} of {status.foreseen} trials"
    ended = count(status.finished, "trial") if status.stage else trials_of
    done = f"{ended} finished ({counts})"
    name = Path(entry.name).name
    begun = "" if name == status.name else f" (begun as {status.name})"
    print(f"{name}{begun}: {status.state}{stage}, {done}")
    facts = []
    best = status.best
    if best is not None:
        score = f"{status.metric} {best.value:.4g}"
        knobs = shown_knobs(best.knobs, findings.plan)
        facts.append(
            f"{'incumbent so far' if status.stage else 'chosen'}: {knobs}, mean {score}"
            if best.decided
            else f"best {score}: trial {best.trial}, {knobs}".removesuffix(", ")
        )
    if status.age:
        facts.append(f"{ENDED[status.state]} {duration(status.age)} ago")
    if status.left is not None:
        facts.append(f"about {duration(status.left)} left")
    if facts:
        print(f"  {'; '.join(facts)}")
    if status.elsewhere:
        print(f"  {status.elsewhere}")
    if status.command and status.state in ("stopped", "died"):
        print(as_started(f"  goes on by: {status.command}"))
    if trials:
        _show_trials(status, findings)


def _show_trials(status: Status, findings: Findings) -> None:
    """A line per trial that runs or has failed; its last epoch stands in the curves."""
    for row in findings.rows:
        if row.state not in ("running", *ENDED_BY_ERROR):
            continue
        trial, reached = row.spec.trial, ""
        if trial in status.reached:
            value = f"{status.metric} {status.values[trial]:.4g}"
            most = findings.plan.epochs_of(row.spec.knobs)
            reached = f"epoch {status.reached[trial]} of {most}, {value}"
        about = shown_trial(row.spec, findings.plan)
        line = f"  trial {trial} {row.state}: {about}  {reached}  {row.reason}"
        print(line.rstrip())


def _record(entry: _Entry) -> dict[str, Any]:
    if entry.progress is None:
        state = "unreadable" if entry.error else "look"
        return {"name": entry.name, "state": state, "says": entry.look or str(entry.error)}
    status, findings = entry.progress
    best = status.best
    return {
        "name": Path(entry.name).name,
        "state": status.state,
        "stage": status.stage or None,
        "command": status.command or None,
        "trials_finished": status.finished,
        "trials_foreseen": None if status.stage else status.foreseen,
        "trials_by_state": status.counts,
        "metric": status.metric,
        "best": best and asdict(best),
        "age_seconds": status.age,
        "seconds_left": status.left,
        "running": [
            {
                "trial": row.spec.trial,
                "knobs": dict(row.spec.knobs),
                "seed": row.spec.seed,
                "epoch": status.reached.get(row.spec.trial),
                "epochs": findings.plan.epochs_of(row.spec.knobs),
                "value": status.values.get(row.spec.trial),
            }
            for row in findings.rows
            if row.state == "running"
        ],
    }
