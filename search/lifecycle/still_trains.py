"""Do trainings still give what they gave, where the last ones gave nothing (R20), or quite another
score (R4)?

Rates that diverge leave no result, and so does a trainer or a machine that has broken meanwhile; a
great gain may be another unit. What tells is a training from before: the incumbent's, once more,
with its own seed.
"""

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace

from search.contract.metrics import Metric
from search.errors import RunError
from search.execution.terminal import Terminal
from search.lifecycle.run_stage import Run, train_one
from search.protocols.chosen import CHANGED
from search.protocols.step import Step
from search.results.export import config_of
from search.stages.comparison import chance_apart
from search.storage.folder import Folder
from search.storage.trials import TrialRecord

SILENT = 3  # trials in a row, up to the last one, without a result: only then it is asked
TWICE = 2  # trainings that must give none: a seed on a GPU may diverge by chance
FAR = 10.0  # deviations between seeds; changed units and labels move scores by far more


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


def check_same_scores(run: Run, before: Sequence[TrialRecord], step: Step) -> None:
    """Trains the incumbent again, apart from the search, where a sweep leaves one that scores far
    otherwise: that may be another unit, or other rows, which later stages would take for a gain.

    Args:
        run: of the search.
        before: the trials of the incumbent before the sweep.
        step: the sweep.

    Raises:
        RunError: the same trainings score otherwise now. Interrupted: by a signal.
    """
    known = [(row, row.value) for row in before if row.value is not None]
    again = list[float]()
    for row, was in known[:TWICE] if is_far(before, step, metric=run.plan.metric) else ():
        number = row.spec.trial
        run.console.say(
            f"  so great a difference may be another unit: trial {number}, which gave {was:.6g}, "
            "is trained again, apart"
        )
        now = _again(run, row).value
        gives = "no result" if now is None else "the same" if now == was else f"{now:.6g}"
        run.console.say(f"  it gives {gives}")
        if now is None or now == was:  # whether trainings give nothing is asked by itself
            return
        again.append(now)
    share = 1 / int(run.contract.split["rows"]["val"])
    if not again or chance_apart([was for _, was in known], again, resolution=share) >= CHANGED:
        return
    raise RunError(
        f"the trainer, its data or a unit has changed: trial {number}, which had given {was:.4g}, "
        f"gives {again[-1]:.4g} when it is trained again, so {step.name} compared what does not "
        "compare (R4); mend it, then use name=…, since this search holds both",
        code="trainings-have-changed",
    )


def is_far(before: Sequence[TrialRecord], step: Step, *, metric: Metric) -> bool:
    """Whether what a sweep has trained of its incumbent, a new one or the one from before with
    further seeds, lies away from that one's first scores by far more than seeds explain. False for
    a metric that counts seconds, of which a training apart takes others.
    """
    known = {row.spec.trial for row in before}
    then = [row.value for row in before if row.value is not None]
    rows = (row for row in step.incumbent if row.spec.trial not in known)
    now = [row.value for row in rows if row.value is not None]
    if step.request.stage != "sweep" or len(then) < 2 or not now or metric.is_timed:
        return False
    # The noise is that from before: what changed within the sweep moves seeds of one value apart.
    return abs(statistics.mean(now) - statistics.mean(then)) > FAR * statistics.stdev(then)


def _again(run: Run, row: TrialRecord) -> TrialRecord:
    """One trial as it was, in a folder of its own that has the search's rows. Its knobs are `held`:
    workers have the search's config, and hear only of knobs.
    """
    apart, number = Folder(run.folder.path / "again"), row.spec.trial
    shutil.rmtree(apart.path, ignore_errors=True)  # a run that was killed may have left it
    quiet = Terminal(quiet=True)  # it has another number there
    with apart.locked():
        try:
            apart.arrays.symlink_to(run.folder.arrays.resolve(), target_is_directory=True)
            again = train_one(
                replace(run, folder=apart, console=quiet),
                run.plan.config,
                held=row.spec.knobs,
                keep_workers=True,
                name=f"{run.plan.name}-again",
                seed=row.spec.seed,
                epochs=int(config_of(run.plan, row).trainer.epochs),
                lanes=1,
            )
            log = run.folder.logs / f"{number}-again.log"
            if (apart.logs / "0.log").exists():
                (apart.logs / "0.log").replace(log)
        finally:
            shutil.rmtree(apart.path, ignore_errors=True)
    return replace(again, reason=again.reason.replace("logs/0.log", f"logs/{log.name}"))
