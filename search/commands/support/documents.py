"""JSON documents that scripts and agents read: each says its kind and version, see `README.md`."""

import json
from collections.abc import Mapping
from typing import Any

from search.storage.json_numbers import plain

VERSION = 1  # raised when a key is renamed, removed or changes its meaning; new keys leave it


def print_document(kind: str, content: Mapping[str, Any]) -> None:
    """Prints one document; numbers that are not finite stand as null."""
    document = {"schema": f"knobwise/{kind}", "version": VERSION, **content}
    print(json.dumps(plain(document), indent=1, allow_nan=False, ensure_ascii=False))
