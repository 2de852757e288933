"""Launches a search: the config is read, workers start, and the rest is imported while they import torch.

So everything heavy stays out of this module: a search of a minute would feel the second.
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig
from rich.console import Console

from search.catalogue import later
from search.dataset import completed
from search.errors import RunError, UsageError
from search.folder import Folder
from search.plan import read_plan
from search.staff import slots_of, staffed

if TYPE_CHECKING:
    from search.results import Findings


def launch(config: DictConfig, *, console: Console, contract: Mapping[str, Any] | None = None) -> "Findings":
    """Runs or resumes a search to its end, writes its tables and exports its winner. `contract`: one that must hold here too.

    Raises:
        UsageError: before anything is written.
        RunError: the search failed.
        Interrupted: by a signal; the tables are written and the text says how to go on.
    """
    config = completed(config)
    plan = read_plan(config, root=Path.cwd())
    slots = slots_of(plan)
    folder = Folder(plan.folder)
    with _disk_errors(plan.folder):
        folder.check_config(config)
        with staffed(plan, logs=folder.logs, slots=slots, early=not folder.started) as staff:
            findings: Findings = later("search.course").carried_out(plan, folder, staff, contract=contract, console=console)
    return findings


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """What the file system refuses is told as an error of the command or of the run, never as a traceback."""
    try:
        yield
    except OSError as error:
        told = f"{error.filename or path}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"{told}; free some space and give the same command again, nothing that was recorded is lost"
            ) from error
        raise UsageError(f"{told}; mend it or choose another results_root=") from error
