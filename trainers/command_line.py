"""The words of `trainer.command`, filled in from a config; and whether its program is there."""

import json
import re
import shutil
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from trainers.api import Config
from trainers.settings import flat

COMMAND = "trainers.command.train"  # import path of what runs a program
PLACE = re.compile(r"\{([A-Za-z_][\w.]*)\}")  # other braces, such as those of JSON, are left alone
FLAG = re.compile(r"\{(--?[A-Za-z][\w-]*):([A-Za-z_][\w.]*)\}")  # a whole word: {--amp:trainer.amp}

EXAMPLE = ["{python}", "train.py", "--lr", "{optimizer.lr}"]


def rehearse(config: Config, shape: tuple[int, int, str]) -> str | None:
    """Fills the command and looks for its program; what it trains is not known.

    Raises:
        TypeError, ValueError: as `command_line`.
        FileNotFoundError: there is no such program, or no such Python file.
    """
    words = command_line(config, config_file=Path("config.json"), folder=Path())
    if shutil.which(words[0]) is None:
        remedy = "mend it"
        if "=" in words[0]:  # a variable, as before a program in a shell
            remedy = "write env before variables of the environment: [env,NAME=value,program,…]"
        raise FileNotFoundError(
            f"trainer.command: the first word must be a program, but {words[0]!r} is none; {remedy}"
        )
    script = words[1] if words[0] == sys.executable and len(words) > 1 else ""
    if script.endswith(".py") and not Path(script).is_file():
        raise FileNotFoundError(
            f"trainer.command: must name a file, but there is no {script!r} here; mend the path"
        )
    return None


def command_line(config: Config, *, config_file: Path, folder: Path) -> list[str]:
    """`trainer.command` with {path.of.a.key} filled in from the config.

    {config} is the JSON file of all keys, {folder} this trial's folder for files, {python} this
    Python. The word {--flag:path.of.a.key} becomes `--flag` where the key is true, nothing where it
    is false or null, and `--flag` with its value otherwise.

    Raises:
        TypeError: the command is no list, or a key is filled in that is true, false or null.
        ValueError: it names a key that the config does not have.
    """
    command = config["trainer"]["command"]
    if not isinstance(command, list) or not command:
        parts = command.split() if isinstance(command, str) else []
        raise TypeError(
            f"trainer.command: must be a list of program and arguments, but got {command!r}; "
            f"write 'trainer.command={json.dumps(parts or EXAMPLE)}'"
        )
    paths = {"config": str(config_file), "folder": str(folder), "python": sys.executable}
    keys = {**flat(config), **paths}

    def value(place: str, key: str) -> Any:
        if key not in keys:
            near = get_close_matches(key, keys, n=1)
            hint = f"did you mean '{{{near[0]}}}'? " if near else ""
            raise ValueError(
                f"trainer.command: {place} must name a key of the config; {hint}there are: "
                + ", ".join(sorted(keys))
            )
        return keys[key]

    def filled(match: re.Match[str]) -> str:
        text = value(match[0], match[1])
        if text is None or isinstance(text, bool):
            raise TypeError(_misread(match[0], match[1], text))
        return json.dumps(text) if isinstance(text, list) else str(text)

    words: list[str] = []
    for word in map(str, command):
        flag = FLAG.fullmatch(word)
        if flag is None:
            words.append(PLACE.sub(filled, word))
            continue
        setting = value(word, flag[2])
        if setting is not None and setting is not False:
            words += [flag[1]] if setting is True else [flag[1], str(setting)]
    return words


def _misread(place: str, key: str, value: bool | None) -> str:
    flag = f"'{{--{key.rpartition('.')[2]}:{key}}}' for a flag"
    words = (
        ""
        if value is None
        else (
            " that is left out where the key is false; for a program that wants a word either way, "
            f"let the key be one: \"knob.{key}=choice('true','false')\""
        )
    )
    return (
        f"trainer.command: {place} must be a number or text, but got {value}, which programs "
        f"misread; write {flag}{words}"
    )
