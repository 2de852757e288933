"""Which tests start whole programs: they get the mark `slow`, by what they call, so that none is forgotten."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

import pytest

TESTS = Path(__file__).parents[1]


def starts_a_program(item: pytest.Function) -> bool:
    """Whether a test or one of its fixtures, or a function of the tests that they call, uses `subprocess`."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    functions = [item.function, *(definition[-1].func for definition in fixtures)]
    seen: set[CodeType] = set()
    return any(_uses_subprocess(function, seen) for function in functions)


def _uses_subprocess(function: object, seen: set[CodeType]) -> bool:
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or function.__code__ in seen:
        return False
    seen.add(function.__code__)
    if not Path(function.__code__.co_filename).is_relative_to(TESTS):
        return False
    used = [function.__globals__.get(name) for name in _names(function.__code__)]
    return any(value is subprocess or _uses_subprocess(value, seen) for value in used)


def _names(code: CodeType) -> Iterator[str]:
    """Global names in a function's code, those of the functions inside it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
