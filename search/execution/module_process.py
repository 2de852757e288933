"""The command line that starts one of Knobwise's own modules as a process.

`python -m search.…` would run a user's `search.py` or `search/` where the current folder has one.
So the packages are first imported from where they lie; only then does the current folder come first
on the path, where a user's own modules are found.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent  # holds the packages `search` and `trainers`
# Without `-m`, `__main__` has no name that a process of `multiprocessing` would import again by.
START = (
    "import os, runpy, sys; root, module = sys.argv[1:3]; del sys.argv[1:3]\n"
    "sys.path[:1] = [os.getcwd()] if sys.path[:1] == [''] else sys.path[:1]\n"
    "sys.path.insert(0, root); import search, trainers; sys.path.remove(root)\n"
    "sys.argv[0] = module; runpy.run_module(module, run_name='__main__')"
)


def module_command(module: str, *arguments: str) -> list[str]:
    """`python -m MODULE ARGUMENTS…`, safe in a folder whose modules are named like ours."""
    return [sys.executable, "-c", START, str(ROOT), module, *arguments]
