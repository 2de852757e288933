"""A command of one's own: started per event, with the event as JSON on its standard input."""

import json
import subprocess
from collections.abc import Sequence

from search.execution.events import Event, event_document, event_name
from search.execution.trackers.webhook import ENDS


class Command:
    """Runs `command` for the named events."""

    def __init__(
        self, command: Sequence[str], *, events: Sequence[str] = ENDS, timeout: float = 60.0
    ) -> None:
        """A program and its arguments, without a shell.

        Args:
            command: words; the event's name is added as the last one.
            events: names of events; see `search.execution.events`.
            timeout: seconds after which the program is killed.
        """
        self._command, self._events, self._timeout = list(command), tuple(events), timeout

    def __call__(self, event: Event) -> None:
        """Runs the command; an exit code other than 0 raises, with the end of its output."""
        if event_name(event) not in self._events:
            return
        done = subprocess.run(
            [*self._command, event_name(event)],
            input=json.dumps(event_document(event)),
            capture_output=True,
            text=True,
            timeout=self._timeout,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"exit code {done.returncode}: {(done.stderr or done.stdout)[-200:]}"
            )
