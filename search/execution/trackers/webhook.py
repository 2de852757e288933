"""A webhook: events as JSON, posted to an address."""

import json
import urllib.request
from collections.abc import Sequence

from search.execution.events import Event, event_document, event_name

ENDS = ("search_begun", "decision_made", "search_ended")


class Webhook:
    """Posts the named events to `url`."""

    def __init__(self, url: str, *, events: Sequence[str] = ENDS, timeout: float = 5.0) -> None:
        """An address to post to.

        Args:
            url: http or https.
            events: names of events; see `search.execution.events`.
            timeout: seconds that an answer may take.
        """
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, but got {url}")
        self._url, self._events, self._timeout = url, tuple(events), timeout

    def __call__(self, event: Event) -> None:
        """Posts the event; an answer that is no success raises."""
        if event_name(event) not in self._events:
            return
        body = json.dumps(event_document(event)).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=self._timeout):
            pass
