"""The list of experiments and verbs, from file names and first lines: nothing heavy is imported."""

import shutil
import sys
import textwrap
from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.commands.support.documents import print_document
from search.config.catalogue import experiments, verb_summaries
from search.config.program_name import as_started
from search.config.text import is_terminal

SUMMARY = "lists experiments and verbs"
USAGE = """\
usage: python -m search EXPERIMENT [key=value …] [--config-dir FOLDER]
       python -m search VERB …
       python -m search help WORD       explains an experiment or a verb"""
SCRIPT_TOO = "\n`knobwise …` does the same, also in a folder with modules of the same names"
# The last lines, which stay on the screen.
BEGIN = {
    "python -m search lr_sweep": "one knob on a small data set, in seconds",
    "python -m search tune": "the whole guide on that data set, in a minute",
    "python -m search help tune": "explains it, as every other word above",
}


def parser() -> VerbParser:
    """`[--json]`."""
    examples = [
        ("python -m search", "the same, with exit code 2"),
        ("python -m search list --config-dir my_conf", "your own experiments too"),
    ]
    parser = VerbParser("list", summary=SUMMARY, examples=examples)
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints both lists."""
    purposes, summaries = experiments(config_dir), verb_summaries()
    if parser().parse(words).json:
        named = {"experiments": purposes, "verbs": summaries}
        print_document("list", {kind: _records(names) for kind, names in named.items()})
        return 0
    print(usage := as_started(USAGE))
    if usage == USAGE:
        print(SCRIPT_TOO)
    width = max(map(len, [*purposes, *summaries]))
    for kind, names in (("experiments", purposes), ("verbs", summaries)):
        print(f"\n{kind}:")
        for name, purpose in names.items():
            print(_entry(f"  {name:{width}}  ", purpose))
    print("\nto begin:")
    for command, purpose in BEGIN.items():
        print(_entry(f"  {as_started(command):28}  ", purpose))
    return 0


def _entry(head: str, purpose: str) -> str:
    """A line; on a terminal that is too narrow, several."""
    if not is_terminal(sys.stdout):
        return f"{head}{purpose}"
    columns, blank = shutil.get_terminal_size().columns, " " * len(head)
    return textwrap.fill(purpose, columns, initial_indent=head, subsequent_indent=blank)


def _records(names: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "purpose": purpose} for name, purpose in names.items()]
