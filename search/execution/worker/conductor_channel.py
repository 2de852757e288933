"""A worker's questions and reports to its conductor."""

import time
from typing import TypeVar

from search.execution.link import Link
from search.execution.messages import Message

M = TypeVar("M", bound=Message)


class ConductorGone(EOFError):
    """The conductor is no longer there: no trial's fault."""


class ConductorChannel:
    """One worker's. `waited`: how long the last answer took [s]."""

    def __init__(self, link: Link) -> None:
        self._link, self.waited = link, 0.0

    def tell(self, message: Message, *, more: bool = False) -> None:
        """Sends a report; with `more`, together with the next message. Raises ConductorGone."""
        try:
            self._link.send(message, more=more)
        except OSError as error:
            raise ConductorGone from error

    def ask(self, message: Message) -> Message:
        """Sends a question and waits for its answer. Raises ConductorGone."""
        self.tell(message)
        asked_at = time.monotonic()
        try:
            answer = self._link.receive()
        except (EOFError, OSError) as error:
            raise ConductorGone from error
        self.waited = time.monotonic() - asked_at
        return answer


def expected(message: Message, kind: type[M]) -> M:
    """The message as the kind that must come now. Raises ConductorGone: it is another."""
    if not isinstance(message, kind):
        raise ConductorGone(f"got {type(message).__name__} in place of {kind.__name__}")
    return message
