"""Lines of TensorBoard's event files: a line per step, a column per scalar.

Needs the package `tensorboard`, which is imported when such a file is read.
"""

from pathlib import Path

from search.diagnostics.logs.line import Line, plain_name
from search.errors import UsageError, broken_rule

MARK = "tfevents"  # in the name of every event file
RULE = "TensorBoard events are read by the package tensorboard"


def is_events(path: Path) -> bool:
    """Whether a path is such a file, or a folder of them."""
    return MARK in path.name or (path.is_dir() and any(path.glob(f"*{MARK}*")))


def event_lines(path: Path) -> tuple[list[str], list[Line]]:
    """The scalars' names with `step` first, and every step.

    Raises:
        UsageError: `tensorboard` is not installed, or there are no scalars.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        remedy = "pip install tensorboard, or save the log as CSV"
        message = broken_rule(str(path), rule=RULE, got="it is not installed", remedy=remedy)
        raise UsageError(message) from error
    events = EventAccumulator(str(path), size_guidance={"scalars": 0})
    events.Reload()
    by_step: dict[int, dict[str, str]] = {}
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            cells = by_step.setdefault(event.step, {"step": str(event.step)})
            cells[plain_name(tag)] = repr(event.value)
    if not by_step:
        remedy = "log losses as scalars"
        raise UsageError(broken_rule(str(path), rule=RULE, got="no scalars", remedy=remedy))
    lines = [(number, by_step[step]) for number, step in enumerate(sorted(by_step), start=1)]
    return list(dict.fromkeys(name for _, cells in lines for name in cells)), lines
