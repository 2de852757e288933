"""The source of Knobwise, read and parsed once: for tests that look through all of it."""

import ast
import gc
from functools import cache

import pytest
from kit import ROOT

PARSED_ONCE = pytest.mark.xdist_group("source")  # by one process


@cache
def parsed():
    """The syntax tree of every module, by its path. They stay, and the collector passes them by."""
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for package in ("search", "trainers")
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    gc.freeze()
    return trees
