"""The JSON Schema of a config, so that an editor completes and checks its keys."""

import json
from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.config.quick_imports import quick_imports

SUMMARY = "prints the JSON Schema of a config, for editors"


def parser() -> VerbParser:
    """No words."""
    examples = [
        (
            "python -m search schema > my_conf/knobwise.schema.json",
            "a recipe says: # yaml-language-server: $schema=../knobwise.schema.json",
        ),
        ("python -m search schema > conf/knobwise.schema.json", "as the shipped recipes name it"),
    ]
    details = (
        "An editor with YAML support completes and checks the keys of a recipe that names it in a "
        "comment at its top."
    )
    return VerbParser("schema", summary=SUMMARY, details=details, examples=examples)


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints it."""
    parser().parse(words)
    with quick_imports():
        from search.config.json_schema import config_schema
    print(json.dumps(config_schema(), indent=1))
    return 0
