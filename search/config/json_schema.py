"""The config's JSON Schema (draft 2020-12), for editors.

Made of the table of rules and the files' comments.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from search.config.catalogue import CONF
from search.config.rules import Rule, either, word
from search.config.schema import CLASSES, MAPPINGS, OPTIONAL_MAPPINGS, TABLE
from search.config.space import KNOB

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# `${optimizer.lr}` leads to another key, `???` is to be given on the command line.
LINK = {"type": "string", "pattern": r"^(\$\{.+\}|\?\?\?)$"}
OPEN: dict[str, Rule] = {
    "name": either(word(), {"type": "null"}),
    "placement.gpus": {"type": ["array", "string", "integer", "null"]},
}
LEAF = re.compile(r"^(?P<indent> *)(?P<key>[\w]+):(?P<value>.*?)(?:\s#\s(?P<comment>.*))?$")


def config_schema() -> Rule:
    """The whole schema. A file of `conf/experiment/` holds a part of what it describes."""
    properties: dict[str, Any] = {
        "defaults": {"type": "array", "description": "options of the config groups"},
        "space": {"$ref": "#/$defs/space"},
    }
    for group in (*MAPPINGS, *OPTIONAL_MAPPINGS):
        properties.setdefault(group, {"type": "object", "properties": {}})
    for path, rule in {**TABLE, **OPEN}.items():
        group, _, key = path.rpartition(".")
        if group:
            properties.setdefault(group, {"type": "object", "properties": {}})
        place = properties[group]["properties"] if group else properties
        place[key] = _leaf(path, rule)
    for group, classes in CLASSES.items():
        properties[group]["allOf"] = [
            _class(group, prefix, keys) for prefix, keys in classes.items()
        ]
    space = {key: _leaf(f"space.{key}", rule) for key, rule in KNOB.items()}
    below = {"anyOf": [{"$ref": "#/$defs/space"}, {"type": "string"}]}
    return {
        "$schema": DRAFT,
        "title": "A config of Knobwise",
        "type": "object",
        "properties": properties,
        "$defs": {"space": {"type": "object", "properties": space, "additionalProperties": below}},
    }


def _class(group: str, prefix: str, keys: Mapping[str, Rule]) -> Rule:
    """The keys of a shipped class, where `_target_` names it."""
    target = {"pattern": f"^{re.escape(prefix)}"} if prefix != "None" else {"type": "null"}
    return {
        "if": {"required": ["_target_"], "properties": {"_target_": target}},
        "then": {"properties": {key: _leaf(f"{group}.{key}", rule) for key, rule in keys.items()}},
    }


def _leaf(path: str, rule: Rule) -> Rule:
    """A rule, or a link in its place, with the comment that explains the key."""
    leaf: Rule = {"anyOf": [*rule.get("anyOf", [rule]), LINK]}
    comment = _comments().get(path)
    return {"description": comment, **leaf} if comment else leaf


@cache
def _comments() -> dict[str, str]:
    """What the shipped files say of each key, by its path; the first file with the key counts."""
    comments: dict[str, str] = {}
    files = [("", CONF / "search.yaml")]
    for group in MAPPINGS + OPTIONAL_MAPPINGS:
        if group != "space":
            files += [(f"{group}.", path) for path in sorted((CONF / group).glob("*.yaml"))]
    for prefix, file in files:
        for path, comment in _of_file(file):
            comments.setdefault(f"{prefix}{path}", comment)
    for path, comment in _of_file(CONF / "space" / "batch_size.yaml"):
        comments.setdefault(f"space.{path.rpartition('.')[2]}", comment)
    return comments


def _of_file(file: Path) -> Iterator[tuple[str, str]]:
    """Path and comment of every commented key of a file."""
    parents: list[tuple[int, str]] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        match = LEAF.match(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        indent = len(match["indent"])
        parents = [parent for parent in parents if parent[0] < indent]
        path = ".".join([*(name for _, name in parents), match["key"]])
        parents.append((indent, match["key"]))
        if match["comment"]:
            yield path, match["comment"]
