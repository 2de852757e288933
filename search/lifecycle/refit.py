"""The winner trained once more for its best epoch's number of epochs: after cross-validation on all
folds (R36), and by `confirm.refit=true` on train and validation rows together.

Never chooses the winner or the number of epochs; the test rows stay sealed.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from search.config.counted import count
from search.contract.arrays import FoldData
from search.contract.contract import prepare
from search.lifecycle.run_stage import Run, train_apart
from search.results.export import REFIT, REFIT_NOTE, config_of, is_refitted, wants_refit
from search.storage.files import write_text
from search.storage.folder import Folder
from search.storage.sealed import write_json
from search.storage.trials import TrialRecord
from trainers.api import Part
from trainers.checkpoint import WEIGHTS
from trainers.state import owned, owner

DONE = "refit.json"  # in the winner's checkpoint folder: how its training on all folds ended


def refit(run: Run, winner: TrialRecord) -> None:
    """Leaves the final weights, of all folds where the winner's checkpoint lies, of train and
    validation together in best/; nothing where that has been done or is not wanted.

    Raises:
        RunError: its trainings died. Interrupted: by a signal; what is done is not lost.
    """
    if "folds" in run.plan.config.split:
        _on_all_folds(run, winner)
    elif wants_refit(run.plan):
        _with_validation(run, winner)


def _on_all_folds(run: Run, winner: TrialRecord) -> None:
    folder = run.folder
    kept = folder.checkpoints / str(winner.spec.trial)
    if _is_over(folder, winner, is_done=(kept / DONE).exists()):
        return
    _begin(run, winner, with_validation=False)
    row = _trained(run, winner, what="on all folds")
    _keep(folder, winner, kept / WEIGHTS)
    write_text(kept / DONE, json.dumps({"state": row.state, "reason": row.reason}) + "\n")


def _with_validation(run: Run, winner: TrialRecord) -> None:
    folder = run.folder
    if _is_over(folder, winner, is_done=is_refitted(folder, winner)):
        return
    rows = _begin(run, winner, with_validation=True)
    row = _trained(run, winner, what=f"on the {rows} rows of train and validation together")
    folder.best.mkdir(exist_ok=True)
    _keep(folder, winner, folder.best / REFIT)
    note = {
        "trial": winner.spec.trial,
        "epochs": winner.best_epoch,
        "rows": rows,
        "state": row.state,
        "reason": row.reason,
        "weights": (folder.best / REFIT).exists(),  # a trainer may save none
    }
    write_json(folder.best / REFIT_NOTE, note)


def _begin(run: Run, winner: TrialRecord, *, with_validation: bool) -> int:
    """Begins the folder of its own; returns how many rows will be trained on.

    Once it has returned, this process holds no row, and so none of the test set (R8).
    """
    prepared = prepare(run.plan.config, metric=run.plan.metric)
    train = prepared.final.train
    if with_validation:
        train = _joined(train, prepared.final.val)
    data = replace(prepared.final, train=train, val=train, test=None)
    everything = FoldData(data=data, units=prepared.units)
    apart, config = Folder(_place(run.folder, winner)), config_of(run.plan, winner)
    with apart.locked():
        apart.begin(replace(prepared, folds=lambda: iter([everything])), config)
    return len(train.index)


def _trained(run: Run, winner: TrialRecord, *, what: str) -> TrialRecord:
    """Trains the winner on the rows of the folder of its own."""
    plan, trial = run.plan, winner.spec.trial
    assert winner.best_epoch is not None
    run.console.say(
        f"training trial {trial} again, {what}, for {count(winner.best_epoch, 'epoch')}; "
        "its value is that of train"
    )
    row = train_apart(
        plan,
        Folder(_place(run.folder, winner)),
        run.contract,
        config=config_of(plan, winner),
        last_epoch=winner.best_epoch,
        console=run.console,
        seed=winner.spec.seed,
        name=f"{plan.name}-refit",
    )
    if row.state != "complete":
        run.console.say(f"it {row.state}: {row.reason}; see logs/{trial}-refit.log")
    return row


def _place(folder: Folder, winner: TrialRecord) -> Path:
    return folder.path / "refit" / str(winner.spec.trial)


def _is_over(folder: Folder, winner: TrialRecord, *, is_done: bool) -> bool:
    """Whether nothing is to be trained; what another winner's may have left is removed then."""
    if is_done:
        shutil.rmtree(folder.path / "refit", ignore_errors=True)
    return is_done or winner.best_epoch is None


def _keep(folder: Folder, winner: TrialRecord, weights: Path) -> None:
    """Moves weights and log where they stay."""
    apart = Folder(_place(folder, winner))
    trained, log = apart.checkpoints / "0" / WEIGHTS, apart.logs / "0.log"
    weights.unlink(missing_ok=True)
    weights.parent.mkdir(parents=True, exist_ok=True)
    if trained.exists():
        mine = owner(trial=winner.spec.trial, seed=winner.spec.seed)
        trained.write_bytes(owned(trained.read_bytes(), of=mine))
        trained.replace(weights)
    if log.exists():
        log.replace(folder.logs / f"{winner.spec.trial}-refit.log")
    shutil.rmtree(apart.path.parent)


def _joined(train: Part, val: Part) -> Part:
    """The rows of both sets."""

    def both(name: str) -> Any:
        parts = [getattr(part, name) for part in (train, val)]
        return None if any(part is None for part in parts) else np.concatenate(parts)

    return replace(train, index=both("index"), x=both("x"), y=both("y"), lengths=both("lengths"))
