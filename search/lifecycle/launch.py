"""Launches a search: the config is read, workers start, and the rest is imported while they import
torch.

So everything heavy stays out of this module: a search of a minute would feel the second.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from search.config.counted import count
from search.config.drift import as_begun
from search.config.plan import Plan, check_task, read_plan
from search.config.quick_imports import quick_imports
from search.config.tune_settings import TuneSettings
from search.contract.dataset import completed
from search.errors import COPY, ELSEWHERE, Interrupted, disk_error
from search.execution.gpu_sharing import gpus_announced
from search.execution.slots import left_idle
from search.execution.terminal import Terminal
from search.execution.worker_pool import slots_of, started_workers
from search.protocols.opening import check_budget, check_until, opening
from search.storage.folder import Folder

if TYPE_CHECKING:
    from search.results.findings import Findings


def launch(
    config: DictConfig,
    *,
    console: Terminal,
    contract: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
    command: str = "",
) -> "Findings":
    """Runs or resumes a search to its end, writes its tables and exports its winner.

    Args:
        contract: one that must hold here too.
        words: of the command, from which a protocol tells the command of each stage by itself.
        command: that goes on with the search, for whoever looks at it later.

    Raises:
        UsageError: before anything is written.
        RunError: the search failed.
        Interrupted: by a signal; the tables are written and the text says how to go on.
    """
    plan, folder = plan_in_folder(config)
    slots = slots_of(plan)
    with _told(plan.folder, command=command):
        _check_folder(plan, folder, console=console)
        if isinstance(plan.settings, TuneSettings):
            console.say(opening(plan, plan.settings))
        labels = ", ".join(slot.label for slot in slots)
        console.say(f"starting {count(len(slots), 'worker')} ({labels}) …")
        if idle := left_idle(plan.placement, slots, by_torch=plan.stock):
            console.say(idle)
        with (
            started_workers(plan, slots=slots, early=not folder.started) as pool,
            gpus_announced(slots, search=plan.folder.name) as lines,
        ):
            for line in lines:
                console.say(line)
            shared: dict[str, Any] = {"contract": contract, "console": console, "command": command}
            if isinstance(plan.settings, TuneSettings):
                with quick_imports():  # while the workers import torch
                    from search.lifecycle.many_stages import run_protocol
                return run_protocol(plan, folder, pool, words=words, **shared)
            with quick_imports():
                from search.lifecycle.lifecycle import run_search
            return run_search(plan, folder, pool, **shared)


def plan_in_folder(config: DictConfig) -> tuple[Plan, Folder]:
    """The plan of a composed config, and its folder."""
    plan = read_plan(completed(config), root=Path.cwd())
    folder = Folder(plan.folder)
    if folder.started:
        config = as_begun(plan.config, folder.load_config())
        plan = plan if config is plan.config else read_plan(config, root=Path.cwd())
    return plan, folder


def _check_folder(plan: Plan, folder: Folder, *, console: Terminal) -> None:
    """Whether this search may begin or go on in its folder, or anew; a fresh one needs no trials
    read.
    """
    if folder.started:
        if elsewhere := folder.lock.elsewhere():
            text = f"{elsewhere}; if it does, stop it before this search goes on"
            console.say(text, style="yellow")
        with quick_imports():
            from search.lifecycle.resume import settle
        settle(plan, folder, console=console)
    is_fresh = not (folder.started and folder.has_trials())
    if is_fresh and isinstance(plan.settings, TuneSettings):  # what has begun may end with any
        check_until(plan.settings)
        check_budget(plan.settings, plan.seeds)
    if not folder.started:
        check_task(plan)
        folder.check_config(plan.config)
        folder.check_storage(plan.config, name=plan.name)


@contextmanager
def _told(path: Path, *, command: str) -> Iterator[None]:
    """An interruption says how to go on; what the file system refuses is no traceback."""
    try:
        yield
    except Interrupted as error:
        if not command:
            raise
        raise Interrupted(
            f"{error}; the tables are written, and the same command goes on: {command}",
            code=error.code,
        ) from error
    except OSError as error:
        remedy = COPY if Folder(path).started else ELSEWHERE
        raise disk_error(error, path=path, remedy=remedy) from error
