"""Words of a command line to options, by argparse; a wrong word is an error of the house form."""

import argparse
import textwrap
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from search.config.program_name import as_started
from search.config.results_root import RESULTS
from search.errors import UsageError, unknown

WIDTH = 79  # columns of a help page


class VerbParser(argparse.ArgumentParser):
    """The options and the help page of one verb."""

    def __init__(
        self, verb: str, *, summary: str, details: str = "", examples: Sequence[tuple[str, str]]
    ) -> None:
        """A parser that knows `--help` alone.

        Args:
            verb: the verb's name.
            summary: what it does, in one line.
            details: what else a user must know, a paragraph or none.
            examples: words of a command line, and what it does.
        """
        paragraphs = [f"{summary[0].upper()}{summary[1:]}.", details]
        super().__init__(
            prog=as_started(f"python -m search {verb}"),
            description="\n\n".join(textwrap.fill(text, WIDTH) for text in paragraphs if text),
            epilog=examples_text(examples),
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self._verb, self._takes_keys = verb, False

    def parse(self, words: Sequence[str]) -> Namespace:
        """The options.

        Raises:
            UsageError: a word is missing or unknown.
        """
        options, surplus = self.parse_known_intermixed_args([*map(self._as_option, words)])
        if surplus and surplus[0].startswith("-"):
            flags = [text for action in self._actions for text in action.option_strings]
            name = surplus[0].partition("=")[0]
            known = [flag for flag in flags if flag.startswith("--")]
            key = name.lstrip("-").replace("-", "_") if self._takes_keys else ""
            remedy = f"; a key of the config takes no dashes: {key}=…" if key else ""
            text = f"{unknown('option', name=name, known=known)}{remedy}"
            self._refuse(text, code="unknown-option")
        if surplus:
            text = f"takes no further words, but got {' '.join(surplus)}"
            self._refuse(text, code="surplus-words")
        return options

    def error(self, message: str) -> NoReturn:
        """Called by argparse with its own message."""
        missing = message.removeprefix("the following arguments are required: ")
        if missing != message:
            text = f"needs {missing.removesuffix(', key=value')}, but got none"
            self._refuse(text, code="missing-words")
        self._refuse(message.removeprefix("argument "), code="option-not-valid")

    def _as_option(self, word: str) -> str:
        """`results_root=FOLDER` is a word of every verb; where no config takes it, an option."""
        key, _, value = word.partition("=")
        is_root = key == "results_root" and self.get_default("results_root") is not None
        return f"--results-root={value}" if is_root else word

    def _refuse(self, message: str, *, code: str) -> NoReturn:
        usage = " ".join(self.format_usage().split()).removeprefix("usage: ")
        raise UsageError(f"{self._verb}: {message}; usage: `{usage}`", code=code)

    def add_name(self, *, nargs: str | None = None) -> None:
        """The search that a verb reads, or several."""
        name = "name" if nargs != "+" else "names"
        self.add_argument(
            name, metavar="NAME", nargs=nargs, help="a search in results/, or its folder"
        )

    def add_root(self) -> None:
        """Where searches lie, as the option of verbs that compose no config."""
        help_text = f"folder of all searches, also as results_root=FOLDER (default: {RESULTS})"
        self.add_argument(
            "--results-root", metavar="FOLDER", type=Path, default=Path(RESULTS), help=help_text
        )

    def add_json(self) -> None:
        """One JSON document in place of text."""
        self.add_argument("--json", action="store_true", help="print one JSON document instead")

    def add_experiment(self) -> None:
        """The recipe whose config the words change."""
        self.add_argument("experiment", metavar="EXPERIMENT", help="a recipe of conf/experiment/")

    def add_overrides(self, *, takes_source: bool = True, experiment: str = "") -> None:
        """Words of a config.

        Args:
            takes_source: whether `from=NAME` is one of them.
            experiment: the recipe that is changed where the first word names no other.
        """
        help_text = "keys of the config to change"
        if takes_source:
            help_text += "; from=NAME starts at that search's winner"
        if experiment:
            help_text = f"an experiment may come first (default: {experiment}); then {help_text}"
        self._takes_keys = True
        metavar = "EXPERIMENT|key=value" if experiment else "key=value"
        self.add_argument("overrides", metavar=metavar, nargs="*", help=help_text)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Raw paragraphs, at one width everywhere, so that a help page can be compared."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=WIDTH, max_help_position=24)


def examples_text(examples: Iterable[tuple[str, str]]) -> str:
    """The examples of a help page."""
    lines = [f"  {command}\n      {purpose}" for command, purpose in examples]
    return "\n".join(["examples:", *lines])


def file_to_write(text: str) -> Path:
    """The type of an option that names a file to write: its folder must be there."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"needs a folder that exists, but got {path.parent}/")
    return path


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """The type of an option that is a whole number of at least `low`, and of at most `high`."""
    bounds = f"from {low} to {high}" if high is not None else f"of at least {low}"

    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < low or (high is not None and int(text) > high):
            raise argparse.ArgumentTypeError(f"needs a number {bounds}, but got {text}")
        return int(text)

    return convert
