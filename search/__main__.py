"""The door: `python -m search WORD …` finds the verb or the experiment and turns errors into exit codes.

Never composes itself.
"""

import importlib.util
import os
import sys
from pathlib import Path

from search.config import catalogue
from search.errors import SearchError, UsageError, broken_rule, unknown


def main(arguments: list[str]) -> int:
    """Runs one command line (without the program's name) and returns its exit code: 0, 1, 2 or 130."""
    try:
        words, config_dir = _take_config_dir(arguments)
        if not words or words[0] in ("-h", "--help"):
            catalogue.verb("list").run([], config_dir)
            return 0 if words else 2
        word, rest = words[0], words[1:]
        _check_not_hidden()
        if word in catalogue.verbs():
            if rest[:1] in (["-h"], ["--help"]):
                print(
                    f"usage: python -m search {catalogue.verb(word).USAGE}\n{catalogue.verb(word).SUMMARY}"
                )
                return 0
            return int(catalogue.verb(word).run(rest, config_dir))
        known = catalogue.experiments(config_dir)
        if word not in known:
            raise UsageError(
                unknown("experiment or verb", name=word, known=[*known, *catalogue.verbs()])
            )
        if {"-h", "--help"} & set(rest):
            print(
                f"usage: python -m search {word} [key=value …]\n{known[word]}\nall keys: {catalogue.CONF}"
            )
            return 0
        return int(catalogue.verb("run").run(words, config_dir))
    except SearchError as error:
        print(f"search: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # before the search could listen to it
        print("search: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _check_not_hidden() -> None:
    """A folder or file of the user's may bear the name of our other package, and come first on the path."""
    found = importlib.util.find_spec("trainers")
    origin = found.origin if found is not None else None
    if origin is not None and Path(origin).parent.parent != catalogue.PACKAGE.parent:
        raise UsageError(
            broken_rule(
                origin,
                rule="must not hide Knobwise's own package",
                got="the name `trainers`",
                remedy="rename it",
            )
        )


def _take_config_dir(arguments: list[str]) -> tuple[list[str], Path | None]:
    words, folder = list(arguments), None
    for index, word in enumerate(words):
        if word == "--config-dir":
            if index + 1 == len(words):
                raise UsageError(
                    "--config-dir: needs a folder behind it, but got nothing; give the folder's path"
                )
            folder = Path(words[index + 1])
            del words[index : index + 2]
            break
        if word.startswith("--config-dir="):
            folder = Path(word.partition("=")[2])
            del words[index]
            break
    return words, folder.absolute() if folder is not None else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
