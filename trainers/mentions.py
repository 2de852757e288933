"""Whether a user's code mentions a key of the config: one that it never names, it hardly reads."""

import ast
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainers.command_line import COMMAND, keys_named, scripts_of
from trainers.libraries import is_users

WORD = re.compile(r"\w+")


def unmentioned(config: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """The keys that neither the words of a command nor the code name, part by part:
    code that reads `config["my"]["lr"]` does not name `optimizer.lr`.

    Call it once the trainer is imported: the code is that of all modules below the working folder,
    or of the script that a command names. Nothing where there is no code to read.
    """
    if not keys:  # the usual case: no source is read
        return []
    target, filled = str(config["trainer"]["_target_"]), set[str]()
    names = set().union(*map(_names, _sources(config)))
    if target == COMMAND:
        filled = set(keys_named(config))
    if not names:
        return []
    if target == COMMAND and not names & {"KNOBWISE_CONFIG"} and "config" not in filled:
        names = set()  # it sees the words of its command alone
    filled |= {".".join(parts[:n]) for parts in map(_parts, filled) for n in range(1, len(parts))}
    return [key for key in keys if key not in filled and not set(_parts(key)) <= names]


def named_files(config: Mapping[str, Any], endings: tuple[str, ...]) -> list[str]:
    """The files with these endings that texts in the code name, from the working folder or from
    that of the source. Call it as `unmentioned`.
    """
    found = dict[str, None]()
    for source in _sources(config):
        for text in _texts(source):
            if text.lower().endswith(endings) and "\n" not in text:
                here = (path for path in (Path(text), source.parent / text) if path.is_file())
                found.update((os.path.relpath(path), None) for path in here)
    return list(found)


def never_gets(config: Mapping[str, Any], key: str) -> bool:
    """Whether the program of a config is known not to get a key: neither as a word nor by itself.
    False for other trainers.
    """
    if config["trainer"]["_target_"] != COMMAND:
        return False
    return bool(unmentioned(config, [key]))


def unread_data(target: str) -> str:
    """The name of the argument `data`, of a trainer that never reads it and so takes rows of its
    own; empty where it reads it, or where that is not known, as of a class.
    """
    module, _, name = target.rpartition(".")
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return ""
    nodes = _nodes(Path(spec.origin)) if spec and spec.origin else []
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(functions) != 1:
        return ""
    given = [argument.arg for argument in functions[0].args.posonlyargs + functions[0].args.args]
    read = {node.id for node in ast.walk(functions[0]) if isinstance(node, ast.Name)}
    known = len(given) > 1 and not read & {"locals", "vars"}
    return given[1] if known and given[1] not in read else ""


def _parts(key: str) -> list[str]:
    return key.split(".")


def _sources(config: Mapping[str, Any]) -> list[Path]:
    """The sources of the code that trains: the scripts of a command, or the user's modules."""
    target = str(config["trainer"]["_target_"])
    if target == COMMAND:
        return [*scripts_of([str(word) for word in config["trainer"]["command"]]).values()]
    return _user_files(target.rpartition(".")[0])


def _user_files(module: str) -> list[Path]:
    """The sources of a module and of all imported ones below the working folder.

    Each folder is looked at once, however many of the thousands of modules lie in it.
    """
    here, files = Path.cwd().resolve(), set[Path]()
    folder_of = cache(lambda folder: Path(os.path.realpath(folder)))
    is_of_user = cache(lambda folder: is_users(folder_of(folder), here=here))
    for name, loaded in list(sys.modules.items()):
        source = getattr(loaded, "__file__", None)
        if not source or not source.endswith(".py"):
            continue
        folder, file = os.path.split(source)
        if name == module or is_of_user(folder):
            files.add(folder_of(folder) / file)
    return sorted(files)


def _names(path: Path) -> set[str]:
    """All identifiers, and all words in texts, of a source."""
    names = {word for text in _texts(path) for word in WORD.findall(text)}
    for node in _nodes(path):
        fields = (getattr(node, field, None) for field in ("id", "attr", "arg", "name"))
        names.update(value for value in fields if isinstance(value, str))
    return names


def _texts(path: Path) -> list[str]:
    """All texts of a source."""
    values = (node.value for node in _nodes(path) if isinstance(node, ast.Constant))
    return [value for value in values if isinstance(value, str)]


def _nodes(path: Path) -> list[ast.AST]:
    """The syntax tree of a source, flat; empty where it cannot be read."""
    try:
        return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    except (OSError, SyntaxError, ValueError):
        return []
