"""The life of a search: launch, lifecycle, stages, refit, and single trainings.

The room is also the function of Python code: `search.run("lr_sweep", ["seeds=5"])` is
`search.run.call.run_search`. Package and function share the name, so the module itself is callable.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.results.search_result import SearchResult


class _CallableRoom(ModuleType):
    def __call__(self, *arguments: Any, **keywords: Any) -> "SearchResult":
        from search.run.call import run_search

        return run_search(*arguments, **keywords)


sys.modules[__name__].__class__ = _CallableRoom
