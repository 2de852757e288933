"""Records that a program printed among text: Python dicts, such as `{'loss': 0.5}`, or JSON."""

import ast
import json
import re
from typing import Any

RECORD = re.compile(r"\{.*\}")
BARE = re.compile(r"(?<=: )-?(nan|inf)\b")  # no literals of Python
AXES = ("epoch", "step", "global_step", "iteration", "iter")
LEAST = 2  # records that tell a loss, from which a text is a log of them


def printed_records(text: str) -> str:
    """The records, as lines of JSON; empty where fewer than two of them tell a loss."""
    records = [record for line in text.splitlines() if (record := record_of(line))]
    losses = [record for record in records if any("loss" in str(name) for name in record)]
    if len(losses) == 1 and any(isinstance(value, list) for value in losses[0].values()):
        return json.dumps(losses[0])  # a whole history
    if len(losses) < LEAST:
        return ""
    axis = next((name for name in AXES if all(name in record for record in losses)), None)
    # What lacks the axis is of no epoch, such as settings that were printed.
    of_training = losses if axis is None else [record for record in records if axis in record]
    return "\n".join(map(json.dumps, of_training))


def record_of(line: str) -> dict[str, Any]:
    """The record of a line, its numbers and texts by name; empty if there is none."""
    found = RECORD.search(line)
    if not found:
        return {}
    try:
        record = ast.literal_eval(BARE.sub(r"'\g<0>'", found[0]))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        try:
            record = json.loads(found[0])
        except ValueError:
            return {}
    cells = record.items() if isinstance(record, dict) else ()
    return {
        str(name): value for name, value in cells if isinstance(value, str | int | float | list)
    }
