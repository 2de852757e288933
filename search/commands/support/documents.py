"""JSON documents that scripts and agents read: each says its kind and version, see `README.md`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from search.storage.json_numbers import plain

if TYPE_CHECKING:  # `list` stays light
    from search.results.report.blocks import Page

VERSION = 1  # raised when a key is renamed, removed or changes its meaning; new keys leave it


def print_document(kind: str, content: Mapping[str, Any]) -> None:
    """Prints one document; numbers that are not finite stand as null."""
    document = {"schema": f"knobwise/{kind}", "version": VERSION, **content}
    print(json.dumps(plain(document), indent=1, allow_nan=False, ensure_ascii=False))


def page_record(page: "Page") -> dict[str, Any]:
    """What a search's page shows: the answer, and every section with its blocks, by their kind."""
    groups = [
        {
            "name": group.name,
            "answer": None if group.answer is None else asdict(group.answer),
            "sections": [
                {
                    "name": section.name,
                    "title": section.title,
                    "lead": section.lead,
                    "blocks": [{"kind": block.kind, **asdict(block)} for block in section.blocks],
                }
                for section in group.sections
            ],
        }
        for group in page.groups
    ]
    return {"title": page.title, "groups": groups}
