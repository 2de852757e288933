"""Lines of TensorBoard's event files: a line per step, a column per scalar.

Needs the package `tensorboard`, which is imported when such a file is read.
"""

from collections.abc import Sequence
from pathlib import Path

from search.diagnostics.logs.line import Line, plain_name
from search.diagnostics.logs.phases import TRAIN, VAL
from search.errors import refused

MARK = "tfevents"  # in the name of every event file
RULE = "TensorBoard events are read by the package tensorboard"


def is_events(path: Path) -> bool:
    """Whether a path is such a file, or a folder of them, or of folders of them."""
    return MARK in path.name or (path.is_dir() and bool(_folders(path)))


def event_lines(path: Path) -> tuple[list[str], list[Line]]:
    """The scalars' names with `step` first, and every step.

    Scalars of a folder inside (`train/`, `validation/`, or one per series, as `add_scalars` writes
    them) have its name in front of theirs; any other folder is a run of its own.

    Raises:
        UsageError: `tensorboard` is not installed, or there are no scalars.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        got, remedy = "it is not installed", "pip install tensorboard, or save the log as CSV"
        raise refused(
            str(path), code="tensorboard-not-installed", rule=RULE, got=got, remedy=remedy
        ) from error
    rows: dict[tuple[str, int], dict[str, str]] = {}
    for place in _folders(path) or [path]:
        events = EventAccumulator(str(place), size_guidance={"scalars": 0})
        events.Reload()
        tags = events.Tags()["scalars"]
        before = "" if place == path else place.name
        run = before if before and not _is_part(before, tags) else ""
        for tag in tags:
            for event in events.Scalars(tag):
                own = {"step": str(event.step)} | ({"run": run} if run else {})
                cells = rows.setdefault((run, event.step), own)
                cells[_named("" if run else before, tag)] = repr(event.value)
    if not rows:
        remedy = "log losses as scalars"
        raise refused(
            str(path), code="events-hold-no-scalars", rule=RULE, got="no scalars", remedy=remedy
        )
    lines = [(number, rows[at]) for number, at in enumerate(sorted(rows), start=1)]
    return list(dict.fromkeys(name for _, cells in lines for name in cells)), lines


def _folders(path: Path) -> list[Path]:
    """A folder, and those in it, that hold event files."""
    if not path.is_dir():
        return []
    return sorted({file.parent for file in (*path.glob(f"*{MARK}*"), *path.glob(f"*/*{MARK}*"))})


def _is_part(folder: str, tags: Sequence[str]) -> bool:
    """Whether a folder holds a set's scalars or a series, and not a run."""
    name = plain_name(folder)
    of_series = (f"{plain_name(tag)}_" for tag in tags)
    return name in (*TRAIN, *VAL, "test") or any(map(name.startswith, of_series))


def _named(folder: str, tag: str) -> str:
    """A scalar's name; a folder that begins with it names one series of it."""
    name, before = plain_name(tag), plain_name(folder)
    return before if before.startswith(f"{name}_") else f"{before}_{name}" if before else name
