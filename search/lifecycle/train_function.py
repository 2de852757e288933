"""A function of a script or a notebook as an import path that workers can follow.

Workers import, they unpickle nothing. A function of a file is imported from its file; one of a
notebook is written, with what it uses, into a module in the current folder.
"""

import ast
import builtins
import hashlib
import inspect
import linecache
import re
import symtable
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from search.errors import UsageError, refused
from search.storage.files import write_text

PLAIN = (int, float, complex, str, bytes, bool, type(None))
INFINITE = re.compile(r"^\w+ = .*\b(?:inf|nan)\b")  # a constant that holds such a number
HEAD = '"""Written by search.run from a notebook: its function, and what that uses."""\n\n'


def importable(train: Callable[..., Any]) -> tuple[str, Path]:
    """The import path of a function, and the folder from which it is found.

    Raises:
        UsageError: workers cannot import it; the message says why.
    """
    if not isinstance(train, FunctionType):
        raise _refused(
            "is a function",
            f"a {type(train).__name__}",
            "give a function",
            code="train-not-a-function",
        )
    if "<" in train.__qualname__:  # <lambda>, outer.<locals>.inner
        got = f"{train.__qualname__}, which no module holds by its name"
        raise _refused(
            "stands at the top of a file or a cell", got, "move it there", code="train-not-at-top"
        )
    module = sys.modules.get(train.__module__)
    file = getattr(module, "__file__", None)
    if file is None or module is None or file == "<stdin>":
        return _written(train)
    path = Path(file).resolve()
    name = path.stem if module.__name__ == "__main__" else module.__name__
    root = path.parents[name.count(".") + (path.name == "__init__.py")]
    return f"{name}.{train.__qualname__}", root


def _written(train: FunctionType) -> tuple[str, Path]:
    """A module of its own; another source is another module, so a resumed search notices."""
    text = HEAD + "\n\n\n".join(_pieces(train)) + "\n"
    name = f"notebook_{train.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    path = Path.cwd() / f"{name}.py"
    if not path.exists():
        write_text(path, text)
    return f"{name}.{train.__qualname__}", path.parent


def _pieces(train: FunctionType) -> list[str]:
    """Imports, constants, functions and classes that the function uses, before it."""
    space, pieces = train.__globals__, dict[str, str]()

    def add(name: str, value: Any) -> None:
        if name in pieces:
            return
        if isinstance(value, ModuleType):
            alias = "" if value.__name__ == name else f" as {name}"
            pieces[name] = f"import {value.__name__}{alias}"
            return
        if isinstance(value, FunctionType | type) and value.__module__ == train.__module__:
            pieces[name] = ""  # being added: functions may call each other
            source = _source(value)
            for used in _names(source):
                if used in space and not _is_ipythons(used, space[used]):
                    add(used, space[used])
            del pieces[name]
            pieces[name] = source
            return
        pieces[name] = _line_of(name, value)

    add(train.__name__, train)
    imports = [text for text in pieces.values() if text.startswith(("import ", "from "))]
    rest = [text for text in pieces.values() if text not in imports]
    if any(INFINITE.search(text) for text in rest):  # `repr` writes them as names
        imports.append("from math import inf, nan")
    return ["\n".join(sorted(imports)), *rest] if imports else rest


def _line_of(name: str, value: Any) -> str:
    """An object of another module, or a constant, as a line of source."""
    item = getattr(value, "item", None)
    if isinstance(value, PLAIN) and item is not None:
        value = item()  # a number of numpy's, which is a float too
    if _is_plain(value):
        return f"{name} = {value!r}"
    module, known = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if module and known.isidentifier() and getattr(sys.modules.get(module), known, None) is value:
        return f"from {module} import {known}{'' if known == name else f' as {name}'}"
    raise _refused(
        "uses modules, functions, classes and constants",
        f"{name}, a {type(value).__name__} of the notebook",
        "make it inside of the function, or move both into a file",
        code="train-uses-other-values",
    )


def _is_plain(value: Any) -> bool:
    """Whether `repr` gives the source of a value: a subclass may show itself otherwise."""
    if type(value) in (list, tuple, set):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, [*value, *value.values()]))
    return type(value) in PLAIN


def _source(value: FunctionType | type) -> str:
    try:
        return textwrap.dedent(inspect.getsource(value)).rstrip()
    except (OSError, TypeError) as error:
        source = _class_source(value) if isinstance(value, type) else None
        if source is None:
            got = f"{value.__name__}, whose source Python does not know"
            rule = "has a source that can be written down"
            raise _refused(rule, got, "move it into a file", code="train-has-no-source") from error
        return source


def _class_source(value: type) -> str | None:
    """A class of a notebook: Python looks for it in a file, but its methods know their cell."""
    for method in vars(value).values():
        if isinstance(method, FunctionType):
            text = "".join(linecache.getlines(method.__code__.co_filename))
            for node in ast.parse(text).body:
                if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                    first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
                    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return None


def _names(source: str) -> list[str]:
    """Names that a source reads from outside: a local variable of the same name is none."""
    names, waiting = set[str](), [symtable.symtable(source, "train", "exec")]
    while waiting:
        table = waiting.pop()
        is_top = table.get_type() == "module"  # where decorators, defaults and bases are read
        names |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (is_top or symbol.is_global())
        }
        waiting += table.get_children()
    return sorted(names)


def _is_ipythons(name: str, value: Any) -> bool:
    """Whether IPython has put its own in the place of a function of Python's, such as `open`."""
    module = str(getattr(value, "__module__", ""))
    return hasattr(builtins, name) and module.partition(".")[0] == "IPython"


def _refused(rule: str, got: str, remedy: str, *, code: str) -> UsageError:
    return refused("train", code=code, rule=f"{rule}: workers import it", got=got, remedy=remedy)
