"""Callbacks of a user's own, for tests: one that writes all it is told, one that always raises."""

import json

from search.execution.events import event_document


class Diary:
    """Appends every event to a file."""

    def __init__(self, path):
        self._path = path

    def __call__(self, event):
        with open(self._path, "a") as file:
            file.write(json.dumps(event_document(event)) + "\n")


class Broken:
    """Raises at every event."""

    def __call__(self, event):
        raise RuntimeError("out of order")
