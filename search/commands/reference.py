"""Does this installation reach published results? A recipe's models, on the test rows (R14)."""

import shlex
from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.config.catalogue import reference_names
from search.config.quick_imports import quick_imports

SUMMARY = "trains models with a published result, and compares with it"


def parser() -> VerbParser:
    """`[NAME] [key=value …]`."""
    examples = [
        ("python -m search reference", "lists the references"),
        ("python -m search reference digits", "half a minute on two cores"),
        ("python -m search reference mnist1d", "the table of its paper"),
    ]
    details = (
        "Every seed of every model is scored on the test rows. The ledger says so; since nothing "
        "is chosen by these scores, they do not count as an opening for `test`. Exit code 1 where "
        "a model stays below its published value by more than the published spread."
    )
    parser = VerbParser("reference", summary=SUMMARY, details=details, examples=examples)
    parser.add_argument("name", metavar="NAME", nargs="?", help=f"{', '.join(reference_names())}")
    parser.add_overrides(takes_source=False)
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Trains into results/reference_<name>/; prints a table; exit 1 if a model stays below."""
    options = parser().parse(words)
    with quick_imports():
        from search.commands.support.train_reference import list_references, train_reference
    if options.name is None:
        list_references()
        return 0
    command = f"python -m search reference {shlex.join(words)}"
    return train_reference(options.name, options.overrides, config_dir, command=command)
