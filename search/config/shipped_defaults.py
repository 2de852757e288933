"""Whether a key has the value that the shipped configs give it, as in a search begun before the
key.

A folder that an older version began lacks the keys that were added since. Their shipped values keep
what the older version did, so such a search resumes.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from search.config.catalogue import CONF

GLOBAL = "# @package _global_"  # first line of a file whose keys stand below their groups


def is_shipped_default(key: str, value: object) -> bool:
    """Whether a shipped file gives a dotted key this value; `chosen.GROUP`: the default choice."""
    group, _, inner = key.partition(".")
    whole = _whole()
    if group == "chosen":
        return value in [entry[inner] for entry in whole["defaults"] if inner in _names(entry)]
    if not inner:
        return (group in whole and whole[group] == value) or value in _files(group)
    keys = inner.split(".")
    # A protocol holds each space below the name of its file.
    places = [keys, keys[1:]] if group == "space" else [keys]
    return any(_has(node, place, value) for node in _files(group) for place in places)


@cache
def _whole() -> dict[str, Any]:
    return dict(_read(CONF / "search.yaml"))


@cache
def _files(group: str) -> list[Any]:
    files = []
    for path in sorted((CONF / group).glob("*.yaml")):
        is_global = path.read_text(encoding="utf-8").startswith(GLOBAL)
        files.append(_read(path).get(group) if is_global else _read(path))
    return files


def _read(path: Path) -> Any:
    """As Hydra reads it: 1e-8 is a number."""
    return OmegaConf.to_container(OmegaConf.load(path), resolve=False)


def _names(entry: object) -> Mapping[str, Any]:
    return entry if isinstance(entry, Mapping) else {}


def _has(node: object, keys: list[str], value: object) -> bool:
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return node == value
