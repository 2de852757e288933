"""After cross-validation: the winner trained once more, on all folds, for its best epoch's number of epochs (R36).

Never chooses the winner or the number of epochs; the test rows stay sealed.
"""

import shutil
from dataclasses import replace

from rich.console import Console

from search.contract import prepare
from search.folder import Folder
from search.knobs import trial_config
from search.plan import Plan
from search.rows import Row
from search.running import train_apart
from trainers.checkpoint import WEIGHTS


def refit(plan: Plan, winner: Row, folder: Folder, *, console: Console) -> None:
    """Leaves the final weights where the winner's checkpoint lies; nothing where they lie there already.

    Raises:
        RunError: its trainings died. Interrupted: by a signal; what is done is not lost.
    """
    kept = folder.checkpoints / str(winner.ask.trial)
    if (kept / WEIGHTS).exists() or winner.best_epoch is None:
        return
    console.print(
        f"training trial {winner.ask.trial} again, on all folds, for {winner.best_epoch} epochs; its value is that of train",
        markup=False,
    )
    prepared = prepare(plan.config, metric=plan.metric)
    everything = replace(prepared.final, val=prepared.final.train, test=None)
    apart = Folder(folder.path / "refit")
    row = train_apart(
        plan,
        apart,
        replace(prepared, folds=(everything,)),
        config=trial_config(plan.config, knobs=winner.ask.knobs, seed=winner.ask.seed),
        last_epoch=winner.best_epoch,
        console=console,
        seed=winner.ask.seed,
        name=f"{plan.name}-refit",
    )
    weights = apart.checkpoints / str(row.ask.trial) / WEIGHTS
    if weights.exists():
        kept.mkdir(parents=True, exist_ok=True)
        weights.replace(kept / WEIGHTS)
    shutil.rmtree(apart.path)
