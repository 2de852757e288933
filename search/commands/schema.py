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
        ("python -m search schema > my_conf/knobwise.schema.json", "beside your own recipes"),
    ]
    details = (
        "A recipe names it in a line: # yaml-language-server: $schema=../knobwise.schema.json "
        "The shipped recipes name conf/knobwise.schema.json, which is the same."
    )
    return VerbParser("schema", summary=SUMMARY, details=details, examples=examples)


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints it."""
    parser().parse(words)
    print(json.dumps(config_schema(), indent=1))
    return 0
