"""Lines of TensorBoard's event files: a line per step, a column per scalar.

Needs the package `tensorboard`, which is imported when such a file is read.
"""

from pathlib import Path

from search.diagnostics.logs.line import Line, plain_name
from search.errors import refused

MARK = "tfevents"  # in the name of every event file
RULE = "TensorBoard events are read by the package tensorboard"


def is_events(path: Path) -> bool:
    """Whether a path is such a file, or a folder of them, or of folders of them."""
    return MARK in path.name or (path.is_dir() and bool(_folders(path)))


def event_lines(path: Path) -> tuple[list[str], list[Line]]:
    """The scalars' names with `step` first, and every step.

    Scalars of a folder inside (`train/`, `validation/`, or one per series, as `add_scalars` writes
    them) have its name in front of theirs.

    Raises:
        UsageError: `tensorboard` is not installed, or there are no scalars.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        remedy = "pip install tensorboard, or save the log as CSV"
        raise refused(
            str(path),
            code="tensorboard-not-installed",
            rule=RULE,
            got="it is not installed",
            remedy=remedy,
        ) from error
    by_step: dict[int, dict[str, str]] = {}
    for place in _folders(path) or [path]:
        events = EventAccumulator(str(place), size_guidance={"scalars": 0})
        events.Reload()
        before = "" if place == path else place.name
        for tag in events.Tags()["scalars"]:
            for event in events.Scalars(tag):
                cells = by_step.setdefault(event.step, {"step": str(event.step)})
                cells[_named(before, tag)] = repr(event.value)
    if not by_step:
        remedy = "log losses as scalars"
        raise refused(
            str(path), code="events-hold-no-scalars", rule=RULE, got="no scalars", remedy=remedy
        )
    lines = [(number, by_step[step]) for number, step in enumerate(sorted(by_step), start=1)]
    return list(dict.fromkeys(name for _, cells in lines for name in cells)), lines


def _folders(path: Path) -> list[Path]:
    """A folder, and those in it, that hold event files."""
    if not path.is_dir():
        return []
    return sorted({file.parent for file in (*path.glob(f"*{MARK}*"), *path.glob(f"*/*{MARK}*"))})


def _named(folder: str, tag: str) -> str:
    """A scalar's name; a folder that begins with it names one series of it."""
    name, before = plain_name(tag), plain_name(folder)
    return before if before.startswith(f"{name}_") else f"{before}_{name}" if before else name
