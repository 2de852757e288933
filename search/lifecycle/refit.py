"""After cross-validation: the winner trained once more, on all folds, for its best epoch's number
of epochs (R36).

Never chooses the winner or the number of epochs; the test rows stay sealed.
"""

import json
import shutil
from dataclasses import replace

from omegaconf import DictConfig
from rich.console import Console

from search.config.plan import Plan
from search.config.trial_config import trial_config
from search.contract.arrays import FoldData
from search.contract.contract import Contract, prepare
from search.lifecycle.run_stage import train_apart
from search.storage.files import write_text
from search.storage.folder import Folder
from search.storage.trials import TrialRecord
from trainers.checkpoint import WEIGHTS

DONE = "refit.json"  # in the winner's checkpoint folder: how it ended


def refit(plan: Plan, winner: TrialRecord, folder: Folder, *, console: Console) -> None:
    """Leaves the final weights where the winner's checkpoint lies; nothing where that has been
    done.

    Raises:
        RunError: its trainings died. Interrupted: by a signal; what is done is not lost.
    """
    kept, place = folder.checkpoints / str(winner.spec.trial), folder.path / "refit"
    for path in place.glob("*"):
        if path.name != str(winner.spec.trial) or (kept / DONE).exists():
            shutil.rmtree(path, ignore_errors=True)
    if (kept / DONE).exists() or winner.best_epoch is None:
        return
    told = (
        f"training trial {winner.spec.trial} again, on all folds, for {winner.best_epoch} epochs; "
        "its value is that of train"
    )
    console.print(told, markup=False)
    apart = Folder(place / str(winner.spec.trial))
    config = trial_config(plan.config, knobs=winner.spec.knobs, seed=winner.spec.seed)
    row = train_apart(
        plan,
        apart,
        _begin(plan, apart, config),
        config=config,
        last_epoch=winner.best_epoch,
        console=console,
        seed=winner.spec.seed,
        name=f"{plan.name}-refit",
    )
    kept.mkdir(parents=True, exist_ok=True)
    weights, log = apart.checkpoints / "0" / WEIGHTS, apart.logs / "0.log"
    if weights.exists():
        weights.replace(kept / WEIGHTS)
    if log.exists():
        log.replace(folder.logs / f"{winner.spec.trial}-refit.log")
    write_text(kept / DONE, json.dumps({"state": row.state, "reason": row.reason}) + "\n")
    if row.state != "complete":
        console.print(
            f"it {row.state}: {row.reason}; see logs/{winner.spec.trial}-refit.log",
            markup=False,
            soft_wrap=True,
        )
    shutil.rmtree(place)


def _begin(plan: Plan, folder: Folder, config: DictConfig) -> Contract:
    """Writes a folder whose train rows are those of all folds; the test rows are forgotten (R8)."""
    prepared = prepare(plan.config, metric=plan.metric)
    everything = FoldData(
        data=replace(prepared.final, val=prepared.final.train, test=None), units=prepared.units
    )
    with folder.locked():
        folder.begin(replace(prepared, folds=lambda: iter([everything])), config)
    return prepared.contract
