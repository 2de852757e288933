"""Knobwise: a hyperparameter search orchestrator for PyTorch.

    import search

    result = search.run("lr_sweep", ["optimizer=adam", "seeds=5"])
    result = search.load("lr_sweep")

Importing it loads nothing heavy. The command line is `python -m search`, or `knobwise`.
"""

import importlib

from search.config.version import __version__

TYPE_CHECKING = False  # as `typing` has it, whose import takes half of the time
if TYPE_CHECKING:
    from typing import Any

    from search.lifecycle.call import run_search as run
    from search.results.search_result import SearchResult
    from search.results.search_result import load_result as load

__all__ = ["SearchResult", "__version__", "load", "run"]

_PLACES = {
    "run": ("search.lifecycle.call", "run_search"),
    "load": ("search.results.search_result", "load_result"),
    "SearchResult": ("search.results.search_result", "SearchResult"),
}


def __getattr__(name: str) -> "Any":
    if name in _PLACES:
        module, attribute = _PLACES[name]
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
