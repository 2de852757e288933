"""A look at a set-up apart from any search: preflight, range test.

Begins a folder, or makes it anew; trains no trial.
"""

import importlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from search.config.plan import Plan, check_task, read_plan
from search.config.quick_imports import quick_imports
from search.config.words import EXPERIMENT, key_of, with_experiment
from search.contract.contract import Prepared, prepare
from search.contract.dataset import completed
from search.diagnostics.probe import Probe, started_probe
from search.errors import refused
from search.execution.dry_run import dry_run
from search.execution.slots import Slot
from search.execution.worker_pool import slots_of
from search.lifecycle.teacher import check_teacher
from search.results.transfer import compose_from
from search.storage.folder import Folder


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is looked at, and where. `prepared` holds the test rows, which no training may see;
    `probe` is the process that may be asked once.
    """

    plan: Plan
    folder: Folder
    prepared: Prepared
    slots: tuple[Slot, ...]
    probe: Probe


@contextmanager
def looked(
    words: list[str],
    config_dir: Path | None,
    *,
    source: str | None,
    verb: str,
    imports: Sequence[str],
) -> Iterator[Look]:
    """The set-up of `[EXPERIMENT] [key=value …]`, in a locked folder with config and contract; from
    `source` if named.

    The folder is named `verb`, or `EXPERIMENT-verb` where one is named, unless `name=` says
    otherwise. `imports`: modules that are wanted in the block, imported while the process that is
    asked imports torch, which takes longer than all else.

    Raises:
        UsageError: the config or the data are wrong, or the folder holds a search.
    """
    experiment, overrides = with_experiment(words)
    if "name" not in map(key_of, overrides):
        overrides.append(f"name={experiment}-{verb}" if experiment else f"name={verb}")
    config, contract = compose_from(
        experiment or EXPERIMENT, overrides=overrides, config_dir=config_dir, source=source
    )
    plan = read_plan(completed(config), root=Path.cwd())
    if verb == "lr_range" and plan.program:
        raise refused(
            "lr_range",
            code="no-ramp-of-a-program",
            rule="a ramp sets the rate at every step of torch's optimizer",
            got="a program, which steps in a process of its own",
            remedy="leave the range test out: a sweep tries the range of its space",
        )
    slots, folder = slots_of(plan), Folder(plan.folder)
    if folder.has_trials():
        rule = f"a {verb} needs a folder of its own"
        raise refused(
            str(folder.path),
            code="folder-has-a-search",
            rule=rule,
            got="a search there",
            remedy="give another name=",
        )
    check_task(plan)
    with started_probe(slots[0]) as probe:
        with dry_run(plan, early=probe), quick_imports():
            for module in imports:
                importlib.import_module(module)
            prepared = prepare(plan.config, metric=plan.metric)
        if contract is not None:
            prepared.contract.check(contract, where="the contract that comes with the config")
        check_teacher(plan.config, prepared.contract)
        with folder.locked():
            folder.config.unlink(missing_ok=True)
            folder.begin(prepared, plan.config)
            try:
                yield Look(plan=plan, folder=folder, prepared=prepared, slots=slots, probe=probe)
            finally:
                shutil.rmtree(folder.arrays, ignore_errors=True)
