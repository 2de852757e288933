"""How an error that a trainer has raised ends its trial, in the words of its row. Raises nothing itself."""

import traceback
from pathlib import Path

from search.execution.messages import Message
from search.execution.worker.trial_runner import TrialFailed


def ended_by(error: Exception) -> Message:
    """State, reason, and a cause that is the same for errors from the same line."""
    state = "infeasible" if out_of_memory(error) else "failed"
    return {
        "state": state,
        "reason": _reason(error),
        "cause": f"{type(error).__name__} at {_place(error)}",
    }


def out_of_memory(error: Exception) -> bool:
    """Python's MemoryError or torch's OutOfMemoryError, told apart by its name, since torch may not be here."""
    return isinstance(error, MemoryError) or any(
        kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__
    )


def _reason(error: Exception) -> str:
    """The error in one line, with the line of code that raised it."""
    told = str(error).strip().splitlines()
    place = "" if isinstance(error, TrialFailed) else f" ({_place(error)})"
    return f"{type(error).__name__}: {told[0] if told else ''}{place}"


def _place(error: Exception) -> str:
    """File and line that raised it; seats may also hand over an error that nobody has raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "not raised"
