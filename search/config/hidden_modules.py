"""Files of the current folder that are imported in place of a module that Knobwise needs."""

import importlib.machinery
import re
import sys
from pathlib import Path
from types import ModuleType

from search.errors import UsageError, refused

WORD = re.compile(r"\w+")


def hiding(name: str) -> Path | None:
    """The file or folder of the current folder that bears the name of a module which Python would
    find elsewhere, such as a random.py of the user's; None if there is none.
    """
    here, others = Path.cwd(), [place for place in sys.path if Path(place) != Path.cwd()]
    found = [path for path in (here / f"{name}.py", here / name / "__init__.py") if path.exists()]
    if not name or not found or importlib.machinery.PathFinder.find_spec(name, others) is None:
        return None
    return found[0] if found[0].stem == name else found[0].parent


def loaded_in_place() -> Path | None:
    """As `hiding`, of the modules that this process has imported from the current folder."""
    loaded = [name for name, module in list(sys.modules.items()) if _is_of_here(module)]
    return next(filter(None, map(hiding, loaded)), None)


def _is_of_here(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(str(file)).is_relative_to(Path.cwd())


def named_in(text: str) -> Path | None:
    """As `hiding`, of the modules that the words of an error name, such as another process's."""
    return next(filter(None, map(hiding, dict.fromkeys(WORD.findall(text)))), None)


def is_hidden(path: Path) -> UsageError:
    """The error for such a file."""
    return refused(
        str(path),
        code="module-is-hidden",
        rule="must not hide a module that Knobwise needs",
        got=f"the name `{path.stem}`",
        remedy="rename it, or start in another folder",
    )
