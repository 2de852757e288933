"""The JSON Schema of a config, so that an editor completes and checks its keys."""

import json
from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.config.json_schema import config_schema

SUMMARY = "prints the JSON Schema of a config, for editors"


def parser() -> VerbParser:
    """No words."""
    examples = [
        ("python -m search schema > knobwise.schema.json", "for your own folder of configs"),
        ("# yaml-language-server: $schema=../knobwise.schema.json", "a line of a recipe in it"),
    ]
    details = "The shipped recipes name conf/knobwise.schema.json, which is the same."
    return VerbParser("schema", summary=SUMMARY, details=details, examples=examples)


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints it."""
    parser().parse(words)
    print(json.dumps(config_schema(), indent=1))
    return 0
