"""Whether a user's code mentions a key of the config: one that it never names, it hardly reads."""

import ast
import itertools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from trainers.command_line import FLAG, PLACE
from trainers.libraries import is_users

WORD = re.compile(r"\w+")
COMMAND = "trainers.command.train"


def unmentioned(config: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """The keys that neither the words of a command nor the code name, part by part:
    code that reads `config["my"]["lr"]` does not name `optimizer.lr`.

    Call it once the trainer is imported: the code is that of all modules below the working folder,
    or of the script that a command names. Nothing where there is no code to read.
    """
    target, filled = str(config["trainer"]["_target_"]), set[str]()
    if target == COMMAND:
        words = [str(word) for word in config["trainer"]["command"]]
        filled = {match[1] for word in words for match in PLACE.finditer(word)}
        filled |= {match[2] for word in words for match in FLAG.finditer(word)}
        files = _scripts(words)
    else:
        files = _user_files(target.rpartition(".")[0])
    names = set().union(*map(_names, files))
    if not names:
        return []
    if target == COMMAND and not names & {"KNOBWISE_CONFIG"} and "config" not in filled:
        names = set()  # it sees the words of its command alone
    filled |= {".".join(parts[:n]) for parts in map(_parts, filled) for n in range(1, len(parts))}
    return [key for key in keys if key not in filled and not set(_parts(key)) <= names]


def never_gets(config: Mapping[str, Any], key: str) -> bool:
    """Whether the program of a config is known not to get a key: neither as a word nor by itself.
    False for other trainers.
    """
    if config["trainer"]["_target_"] != COMMAND:
        return False
    return bool(unmentioned(config, [key]))


def reads_other_rows(target: str) -> bool:
    """Whether a generator of the user's reads no `index`, so that it trains on rows of its own
    choice, whatever it is given. False where there is no code to read.
    """
    names = set().union(*map(_names, _user_files(target.rpartition(".")[0])))
    return bool(names) and "index" not in names


def _parts(key: str) -> list[str]:
    return key.split(".")


def _user_files(module: str) -> list[Path]:
    """The sources of a module and of all imported ones below the working folder.

    Each folder is resolved once, however many of the thousands of modules lie in it.
    """
    here, files, real = Path.cwd().resolve(), set[Path](), cache(os.path.realpath)
    for name, loaded in list(sys.modules.items()):
        source = getattr(loaded, "__file__", None)
        if not source or not source.endswith(".py"):
            continue
        path = Path(real(os.path.dirname(source)), os.path.basename(source))
        if name == module or is_users(path, here=here):
            files.add(path)
    return sorted(files)


def _scripts(words: Sequence[str]) -> list[Path]:
    """The Python files that a command names: as a path, or as `-m module` in the working folder."""
    paths = [Path(word) for word in words if word.endswith(".py")]
    modules = [after for word, after in itertools.pairwise(words) if word == "-m"]
    paths += [Path(*name.split(".")).with_suffix(".py") for name in modules]
    return [path for path in paths if path.is_file()]


def _names(path: Path) -> set[str]:
    """All identifiers, and all words in texts, of a source."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.update(WORD.findall(node.value))
        else:
            names.update(
                value
                for field in ("id", "attr", "arg", "name")
                if isinstance(value := getattr(node, field, None), str)
            )
    return names
