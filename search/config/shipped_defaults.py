"""Whether a key has the value that the shipped configs give it, as in a search begun before the
key.

A folder that an older version began lacks the keys that were added since. Their shipped values keep
what the older version did, so such a search resumes.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from search.config.catalogue import CONF
from search.config.yaml_text import read_shipped

GLOBAL = "# @package _global_"  # first line of a file whose keys stand below their groups


def is_shipped_default(key: str, value: object) -> bool:
    """Whether a shipped file gives a dotted key this value; `chosen.GROUP`: the default choice."""
    group, _, inner = key.partition(".")
    whole = _whole()
    if group == "chosen":
        listed = [entry for entry in whole["defaults"] if isinstance(entry, Mapping)]
        return value in [entry[inner] for entry in listed if inner in entry]
    if not inner:
        return (group in whole and whole[group] == value) or value in _files(group)
    keys = inner.split(".")
    # A protocol holds each space below the name of its file.
    places = [keys, keys[1:]] if group == "space" else [keys]
    return any(_has(node, place, value) for node in _files(group) for place in places)


@cache
def _whole() -> dict[str, Any]:
    return dict(read_shipped(CONF / "search.yaml"))


@cache
def _files(group: str) -> list[Any]:
    files = []
    for path in sorted((CONF / group).glob("*.yaml")):
        is_global = path.read_text(encoding="utf-8").startswith(GLOBAL)
        node = read_shipped(path)
        files.append(node.get(group) if is_global else node)
    return files


def _has(node: object, keys: list[str], value: object) -> bool:
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return node == value
