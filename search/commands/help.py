"""Explains an experiment, a verb, or a rule that is cited."""

import textwrap
from pathlib import Path

from search.commands.support.arguments import WIDTH, VerbParser
from search.config import catalogue
from search.config.program_name import as_started
from search.errors import UsageError, unknown
from search.results.rules import CITED, rules

KNOBS = ("knobs", "knob", "spaces", "space")  # all words for one list
SUMMARY = "explains an experiment, a verb, or a rule that is cited"


def parser() -> VerbParser:
    """`[WORD]`."""
    examples = [
        ("python -m search help lr_sweep", "its knobs and the keys that matter"),
        ("python -m search help table", "the options of a verb; the same as table --help"),
        ("python -m search help knobs", "all knobs that have a name, with their ranges"),
        ("python -m search help P5", "a rule that a table or a message cites"),
    ]
    parser = VerbParser("help", summary=SUMMARY, examples=examples)
    parser.add_argument(
        "word", metavar="WORD", nargs="?", help="an experiment, a verb, a rule, or knobs"
    )
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints one help page; without a word, the list."""
    word = parser().parse(words).word
    if word is None:
        return int(catalogue.verb("list").run([], config_dir))
    if word in catalogue.verbs():
        print(as_started(catalogue.verb(word).parser().format_help().rstrip()))
        return 0
    experiments = catalogue.experiments(config_dir)
    rule = f"{word[:1].upper()}{word[1:].lower()}"
    if CITED.fullmatch(rule) and word not in experiments:
        print(_rule(rule))
        return 0
    if word in KNOBS and word not in experiments:
        from search.commands.support.knob_list import knob_list

        print(as_started(knob_list(config_dir)))
        return 0
    if word not in experiments:
        raise catalogue.unknown_word(word, experiments)
    from search.commands.support.experiment_help import experiment_help

    page = experiment_help(word, purpose=experiments[word], config_dir=config_dir)
    print(as_started(page))
    return 0


def _rule(name: str) -> str:
    """What a rule says.

    Raises:
        UsageError: there is none of that name.
    """
    wordings = rules()
    if name not in wordings:
        raise UsageError(unknown("rule", name=name, known=wordings), code="unknown-rule")
    return textwrap.fill(f"{name}: {wordings[name]}", WIDTH)
