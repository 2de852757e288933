"""The program's name as the user started it; messages are written with `python -m search`."""

import os
import sys

MODULE, SCRIPT = "python -m search", "knobwise"


def as_started(text: str) -> str:
    """The text with `knobwise` in its commands if that was started.

    Where a folder has a `search.py` of its own, `python -m search` would run that one.
    """
    started = os.path.basename(sys.argv[0])
    return text.replace(MODULE, SCRIPT) if started == SCRIPT else text
