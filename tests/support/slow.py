"""Which tests start whole programs: they get the mark `slow`, by what they call, so that none is forgotten."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

import pytest

TESTS = Path(__file__).parents[1]


def starts_a_program(item: pytest.Function) -> bool:
    """Whether a test or one of its fixtures, or a function of the tests that they call, uses `subprocess`."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    functions = [item.function, *(definition[-1].func for definition in fixtures)]
    return any(_uses_subprocess(function) for function in functions)


def _uses_subprocess(function: object) -> bool:
    """Whether it does, itself or by what it calls; functions may call each other in a circle."""
    reached, ahead = set[CodeType](), [function]
    while ahead:
        function = getattr(ahead[-1], "__wrapped__", ahead.pop())
        if not isinstance(function, FunctionType) or function.__code__ in reached:
            continue
        reached.add(function.__code__)
        used = _used(function)
        if subprocess in used:
            return True
        ahead += used
    return False


@cache
def _used(function: FunctionType) -> tuple[object, ...]:
    """What a function of the tests names of its module; nothing of other functions."""
    if not Path(function.__code__.co_filename).is_relative_to(TESTS):
        return ()
    return tuple(
        value
        for name in _names(function.__code__)
        if (value := function.__globals__.get(name)) is subprocess or callable(value)
    )


def _names(code: CodeType) -> Iterator[str]:
    """Global names in a function's code, those of the functions inside it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
