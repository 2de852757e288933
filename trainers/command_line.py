"""The words of `trainer.command`, and files that they name, filled in from a config; and whether
its program is there.
"""

import itertools
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from trainers.api import Config
from trainers.settings import flat

COMMAND = "trainers.command.train"  # import path of what runs a program
# Other braces, such as those of JSON and of ${links}, are left alone.
PLACE = re.compile(r"(?<!\$)\{([A-Za-z_][\w.]*)\}")
FLAG = re.compile(r"\{(--?[A-Za-z][\w-]*):([A-Za-z_][\w.]*)\}")  # a whole word: {--amp:trainer.amp}
FILE = re.compile(r"\{file:([^{}]+)\}")
HYDRA = re.compile(r"^(?:@hydra\.main|from hydra import .*\bmain)\b", re.MULTILINE)
OVERRIDE = re.compile(r"[+~]{0,2}[A-Za-z_][\w.@/]*=")  # a word for Hydra: +optimizer.lr=0.1
BARE = re.compile(r"(?<![\w.])(-?\d)(?=e[-+]\d)")  # 1e-05, which PyYAML takes for text

EXAMPLE = ["{python}", "train.py", "--lr", "{optimizer.lr}"]


def rehearse(config: Config, shape: tuple[int, int, str]) -> str | None:
    """Fills the command and its files, and looks for its program; what it trains is not known.

    Raises:
        TypeError, ValueError: as `command_line`.
        FileNotFoundError: there is no such program, or no such file.
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
    named = [script] if script.endswith(".py") else []
    for path in [*named, *map(str, files_named(config))]:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"trainer.command: must name a file, but there is no {path!r} here; mend the path"
            )
    filled_files(config, config_file=Path("config.json"), folder=Path())
    return None


def command_line(config: Config, *, config_file: Path, folder: Path) -> list[str]:
    """`trainer.command` with {path.of.a.key} filled in from the config.

    {config} is the JSON file of all keys, {folder} this trial's folder for files, {python} this
    Python, {file:PATH} the path of a filled copy of a file (`filled_files`). The word
    {--flag:path.of.a.key} becomes `--flag` where the key is true, nothing where it is false or
    null, and `--flag` with its value otherwise.

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
    if odd := [word for word in command if isinstance(word, dict | list)]:
        raise TypeError(
            f"trainer.command: words must be texts, but got {odd[0]}; put braces into quotes, as "
            '"{file:my.yaml}"'
        )
    keys, words = _keys(config, config_file=config_file, folder=folder), list[str]()

    def filled(match: re.Match[str]) -> str:
        text = _value(match[0], match[1], keys)
        if text is None or isinstance(text, bool):
            raise TypeError(_misread(match[0], match[1], text))
        return json.dumps(text) if isinstance(text, list) else str(text)

    for word in map(str, command):
        flag = FLAG.fullmatch(word)
        if flag is None:
            word = FILE.sub(lambda file: str(folder / Path(file[1]).name), word)
            words.append(PLACE.sub(filled, word))
            continue
        setting = _value(word, flag[2], keys)
        if setting is not None and setting is not False:
            words += [flag[1]] if setting is True else [flag[1], str(setting)]
    return _with_hydras_folder(words, folder)


def _with_hydras_folder(words: list[str], folder: Path) -> list[str]:
    """The words with this trial's folder as that of a Hydra app, which names its own by the time:
    two that start in one second would share it.
    """
    apps = [at for at, path in scripts_of(words).items() if _is_hydra_app(path)]
    if not apps or any("hydra.run.dir=" in word for word in words):
        return words
    # beside the overrides: Hydra's parser takes none behind further flags
    given = [at for at in range(apps[0] + 1, len(words)) if OVERRIDE.match(words[at])]
    place = given[-1] + 1 if given else len(words)
    quoted = str(folder).replace("'", r"\'")
    return [*words[:place], f"hydra.run.dir='{quoted}'", *words[place:]]


def _is_hydra_app(path: Path) -> bool:
    return HYDRA.search(path.read_text(encoding="utf-8", errors="replace")) is not None


def scripts_of(words: Sequence[str]) -> dict[int, Path]:
    """The Python files of a command, by the word's place: a path, or `-m module` in the folder."""
    paths = {at: Path(word) for at, word in enumerate(words) if word.endswith(".py")}
    for at, (word, module) in enumerate(itertools.pairwise(words), 1):
        if word == "-m":
            paths[at] = Path(*module.split(".")).with_suffix(".py")
    return {at: path for at, path in paths.items() if path.is_file()}


def files_named(config: Mapping[str, Any]) -> list[Path]:
    """The files that the command names as {file:PATH}."""
    words = map(str, config["trainer"]["command"])
    return [Path(match[1]) for word in words for match in FILE.finditer(word)]


def filled_files(config: Config, *, config_file: Path, folder: Path) -> dict[Path, str]:
    """Text by path of each such file's copy, with {path.of.a.key} filled in as JSON writes it, or
    Python in a `.py`. Texts are without quotes; a name without a dot that is no key is left alone.

    Raises:
        ValueError: a file names a key that the config does not have, or two files have one name.
    """
    keys = _keys(config, config_file=config_file, folder=folder)
    sources = {folder / source.name: source for source in files_named(config)}
    if twins := set(files_named(config)) - set(sources.values()):
        raise ValueError(
            f"trainer.command: files must have a name each, since their copies lie in one folder, "
            f"but got another {twins.pop().name!r}; rename one"
        )
    return {copy: _filled_text(source, keys) for copy, source in sources.items()}


def _filled_text(source: Path, keys: Mapping[str, Any]) -> str:
    def filled(match: re.Match[str]) -> str:
        if match[1] not in keys and "." not in match[1]:
            return match[0]
        value = _value(f"{match[0]} of {source}", match[1], keys)
        if isinstance(value, str):
            return value
        return repr(value) if source.suffix == ".py" else BARE.sub(r"\1.0", json.dumps(value))

    return PLACE.sub(filled, source.read_text(encoding="utf-8"))


def keys_named(config: Mapping[str, Any]) -> Iterator[str]:
    """The keys that the command and its files are filled in with."""
    files = (path.read_text(encoding="utf-8") for path in files_named(config) if path.is_file())
    for text in (*map(str, config["trainer"]["command"]), *files):
        yield from (match[1] for match in PLACE.finditer(text))
        yield from (match[2] for match in FLAG.finditer(text))


def _keys(config: Config, *, config_file: Path, folder: Path) -> dict[str, Any]:
    """All that can be filled in."""
    paths = {"config": str(config_file), "folder": str(folder), "python": sys.executable}
    return {**flat(config), **paths}


def _value(place: str, key: str, keys: Mapping[str, Any]) -> Any:
    if key not in keys:
        near = get_close_matches(key, keys, n=1)
        hint = f"did you mean '{{{near[0]}}}'? " if near else ""
        raise ValueError(
            f"trainer.command: {place} must name a key of the config; {hint}there are: "
            + ", ".join(sorted(keys))
        )
    return keys[key]


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
