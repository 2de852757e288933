"""Which files of the user's a config runs: found by import paths and imports, without running them.

Only files below the working folder count, also where a link there leads elsewhere; those of
installed packages have versions of their own.
"""

import ast
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.foreign_code import import_paths, resolved
from search.config.version import OUR_ROOMS, ROOT
from trainers.command_line import FILE
from trainers.libraries import is_library, is_users

SCRIPTS = (".py", ".sh", ".bash", ".pl", ".r", ".R", ".jl", ".lua", ".js", ".m")


def user_code(config: DictConfig) -> dict[str, str]:
    """SHA-256 of every such file, by its path from the working folder."""
    here = Path.cwd().resolve()
    entries = [_users_place(Path(entry), here) for entry in [str(here), *sys.path] if entry]
    roots = list(dict.fromkeys(root for root in entries if root is not None))
    waiting: list[tuple[Path, Path]] = []  # files, and the folder that their imports start from
    for path in dict.fromkeys(import_paths(resolved(config))):
        waiting += _first_files(path.split("."), roots)
    for script in _scripts(OmegaConf.select(config, "trainer.command", default=None), here):
        waiting.append((script, script.resolve().parent))
    files: dict[Path, str] = {}
    while waiting:
        found, root = waiting.pop()
        file = _users_place(found, here)
        if file is None or file in files:
            continue
        content = file.read_bytes()
        files[file] = hashlib.sha256(content).hexdigest()
        is_ours = any(file.is_relative_to(room) for room in OUR_ROOMS)
        if file.suffix == ".py" and not is_ours:  # imports into ours are not followed
            for name in _imports(content, file, root):
                waiting += _first_files(name, [root, *roots])
    return {str(file.relative_to(here)): files[file] for file in sorted(files)}


def _users_place(path: Path, here: Path) -> Path | None:
    """A file or folder of the user's by its real path, or by that of the link which leads out of
    the working folder; None for another one.
    """
    real, named = path.resolve(), Path(os.path.abspath(path))
    if is_users(real, here=here):
        return real
    return named if is_users(named, here=here) and not is_library(real) else None


def _first_files(names: Sequence[str], roots: Sequence[Path]) -> list[tuple[Path, Path]]:
    """The files that an import path leads to, and the root that they lie below: the first one that
    has any, as Python finds them. Our own packages are found first, whatever is called like them.
    """
    is_ours = names[:1] and names[0] in [room.name for room in OUR_ROOMS]
    for root in [ROOT] if is_ours else roots:
        if files := [(file, root) for file in _files_of(names, root)]:
            return files
    return []


def _files_of(names: Sequence[str], root: Path) -> Iterator[Path]:
    """The module that an import path leads into, with the packages around it."""
    place = root
    for name in names:
        package, module = place / name / "__init__.py", place / f"{name}.py"
        if module.is_file():
            yield module
        if package.is_file():
            yield package
        place = place / name
        if not place.is_dir():
            return


def _scripts(command: Any, here: Path) -> Iterator[Path]:
    """Files of the user's that the words of a command name."""
    words = [str(word) for word in command] if OmegaConf.is_list(command) else []
    for before, word in zip(["", *words], words, strict=False):
        if before == "-m":
            yield from _files_of([*word.split("."), "__main__"], here)
            continue
        filled = FILE.search(word)
        path = here / (filled[1] if filled else word)
        try:
            path = path / "__main__.py" if path.is_dir() else path  # as Python runs a folder
            runs = path.is_file() and (
                path.suffix in SCRIPTS or filled is not None or os.access(path, os.X_OK)
            )
        except (OSError, ValueError):  # a word that is no path
            continue
        if runs:
            yield path


def _imports(content: bytes, file: Path, root: Path) -> Iterator[list[str]]:
    """The import paths in a source, from `root`."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            if node.level and file.is_relative_to(root):
                package = file.relative_to(root).parent.parts
                base = [*package[: len(package) - node.level + 1], *base]
            yield from ([*base, alias.name] for alias in node.names)
