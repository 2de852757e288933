"""Do trainings still work, where the last trials of a search gave nothing (R20)?

Rates that diverge leave no result, and so does a trainer or a machine that has broken meanwhile.
What tells them apart is a training that has worked: the incumbent's, once more, with its own seed.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace

from search.errors import RunError
from search.execution.terminal import Terminal
from search.lifecycle.run_stage import Run, train_one
from search.results.export import config_of
from search.storage.folder import Folder
from search.storage.trials import TrialRecord

SILENT = 3  # trials in a row, up to the last one, without a result: only then it is asked
TWICE = 2  # trainings that must give none: a seed on a GPU may diverge by chance


def check_still_trains(
    run: Run, rows: Sequence[TrialRecord], incumbent: Sequence[TrialRecord]
) -> None:
    """Trains the incumbent again, apart from the search, where the last trials gave no result.

    Args:
        run: of the search, by whose workers it is trained: what is broken may be these.
        rows: of all stages so far, with all their knobs.
        incumbent: the trials of the incumbent before the last stage.

    Raises:
        RunError: trainings that had worked give no result any more. Interrupted: by a signal.
    """
    silent, worked = asked_again(rows, incumbent)
    if not worked:
        return
    first = silent[0].spec.trial
    since = f"no trial from {first} on gave a result ({len(silent)} in a row)"
    for row in worked:
        number = row.spec.trial
        run.console.say(f"  {since}, so trial {number}, which gave one, is trained again, apart")
        again = _again(run, row)
        if again.value is not None:
            run.console.say("  it gives one: trainings still work, and the search goes on")
            return
    raise RunError(
        f"the trainer or its machine has broken since trial {first}: {len(silent)} trials in a row "
        f"gave no result, and trial {number}, which had given {row.value:.4g}, gives none when it "
        f"is trained again: {again.reason or again.state}; mend it, then use name=…, since this "
        "search holds these trials as failures of their knobs",
        code="trainings-have-broken",
    )


def asked_again(
    rows: Sequence[TrialRecord], incumbent: Sequence[TrialRecord]
) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """The last trials, all those after the last one that gave a result, by their numbers; and which
    trials of the incumbent are trained again for them, none where there are few.
    """
    ended = sorted((row for row in rows if row.finished), key=lambda row: row.spec.trial)
    first = max((at + 1 for at, row in enumerate(ended) if row.value is not None), default=0)
    silent = ended[first:]
    worked = [row for row in incumbent if row.value is not None][:TWICE]
    return silent, worked if len(silent) >= SILENT else []


def _again(run: Run, row: TrialRecord) -> TrialRecord:
    """One trial as it was, in a folder of its own that has the search's rows."""
    apart, number = Folder(run.folder.path / "again"), row.spec.trial
    shutil.rmtree(apart.path, ignore_errors=True)  # a run that was killed may have left it
    config = config_of(run.plan, row)
    quiet = Terminal(quiet=True)  # it has another number there
    with apart.locked():
        try:
            apart.arrays.symlink_to(run.folder.arrays.resolve(), target_is_directory=True)
            again = train_one(
                replace(run, folder=apart, console=quiet),
                config,
                keep_workers=True,
                name=f"{run.plan.name}-again",
                seed=row.spec.seed,
                epochs=int(config.trainer.epochs),
                lanes=1,
            )
            log = run.folder.logs / f"{number}-again.log"
            if (apart.logs / "0.log").exists():
                (apart.logs / "0.log").replace(log)
        finally:
            shutil.rmtree(apart.path, ignore_errors=True)
    return replace(again, reason=again.reason.replace("logs/0.log", f"logs/{log.name}"))
