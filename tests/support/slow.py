"""Which tests start whole programs, or put a training through all of the preflight's questions: they get the mark `slow`, by
what they call, so that none is forgotten."""

import dis
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

import pytest

TESTS = Path(__file__).parents[1]


@cache
def _heavy() -> tuple[object, ...]:
    """What is heavy, as modules or functions of the tests name it. Imported here: the process that only hands tests out
    to others needs no torch, and they begin after it.
    """
    from trainers.probes import watched

    return subprocess, watched, watched.watched


def is_heavy(item: pytest.Function) -> bool:
    """Whether a test or one of its fixtures, or a function of the tests that they call, uses something heavy."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    functions = [item.function, *(definition[-1].func for definition in fixtures)]
    return any(_is_heavy(function) for function in functions)


def _is_heavy(function: object) -> bool:
    """Whether it does, itself or by what it calls; functions may call each other in a circle."""
    reached, ahead = set[CodeType](), [function]
    while ahead:
        function = getattr(ahead[-1], "__wrapped__", ahead.pop())
        if not isinstance(function, FunctionType) or function.__code__ in reached:
            continue
        reached.add(function.__code__)
        used = _used(function)
        if any(each is heavy for each in used for heavy in _heavy()):
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
        if callable(value := function.__globals__.get(name))
        or any(value is heavy for heavy in _heavy())
    )


def _names(code: CodeType) -> Iterator[str]:
    """Global names in a function's code, those of the functions inside it included.

    Attributes are none: `re.search` is not the `search` that a module has imported from `kit`.
    """
    yield from (each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
