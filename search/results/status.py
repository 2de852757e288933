"""How far a search has come, from disk, also while it runs. Never writes."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from search.config.knobs import Value
from search.execution.pace import epochs_left, seconds_left
from search.results.findings import Findings
from search.storage.curves import followed, read_curves
from search.storage.folder import Folder
from search.storage.trials import TrialRecord, ranked

State = Literal["running", "done", "stopped", "died"]


@dataclass(frozen=True, kw_only=True)
class BestTrial:
    """What leads a search: the decision's winner with the mean of its `seeds`, or, while nothing is
    decided, the best complete trial so far with its own value (`decided` is False).
    """

    trial: int
    knobs: Mapping[str, Value]
    value: float
    seeds: int
    decided: bool


@dataclass(frozen=True, kw_only=True)
class Status:
    """A search as it stands.

    `state`: died means that its conductor ended without a word, as by `kill -9`; the same command
    goes on: `command`, empty if it is not known. `stage`: in which a search of many stages stands,
    empty at its end; what follows it is not foreseen. `age`: seconds since the conductor started,
    or since its last trial ended. `left`: seconds; None where nothing runs or can be told.
    `reached`: of running trials, the last epoch. `elsewhere`: a conductor on another machine that
    may live, in words.
    """

    name: str
    state: State
    finished: int
    foreseen: int
    counts: Mapping[str, int]
    metric: str
    best: BestTrial | None
    age: float
    left: float | None
    stage: str
    command: str
    reached: Mapping[int, int]
    values: Mapping[int, float]
    elsewhere: str = ""


def status_of(folder: Folder, findings: Findings) -> Status:
    """How a search stands now."""
    rows, plan = findings.rows, findings.plan
    finished = [row for row in rows if row.finished]
    began, alive = folder.lock.started(), folder.alive()
    done = findings.is_done
    state: State = "running" if alive else "done" if done else "died" if began else "stopped"
    last = {} if done else _last_epochs(folder, findings)
    reached = {trial: epoch for trial, (epoch, _) in last.items()}
    values = {trial: value for trial, (_, value) in last.items()}
    now, ended = time.time(), max((row.ended for row in finished), default=0.0)
    started = began.timestamp() if began else ended
    left = None
    if state == "running" and not findings.stage:
        left = _left(findings, reached, since=started, seconds=now - started)
    return Status(
        name=plan.name,
        state=state,
        finished=len(finished),
        foreseen=findings.foreseen,
        counts=dict(Counter(row.state for row in rows).most_common()),
        metric=plan.metric.name,
        best=leader_of(findings),
        age=max(now - started, 0.0) if started else 0.0,  # the clock may have been set back
        left=left,
        stage=findings.stage,
        command=folder.runs.command,
        reached=reached,
        values=values,
        elsewhere=folder.lock.elsewhere(),
    )


def leader_of(findings: Findings) -> BestTrial | None:
    """What leads; None while nothing is complete."""
    winner, decision = findings.winner, findings.decision
    if winner is not None and decision is not None and decision.winner is not None:
        group = findings.groups[decision.winner]
        mean = findings.plan.metric.value_of(group.mean)
        return _leader(winner, value=mean, seeds=len(group.clean), decided=True)
    if winner is not None and findings.steps:
        mine = findings.steps[-1]["trials"]
        rows = [row for row in findings.rows if row.spec.trial in mine]
        values = [row.result for row in rows if row.result is not None]
        mean = sum(values) / len(values)
        return _leader(winner, value=mean, seeds=len(values), decided=True)
    best = next(iter(ranked(findings.rows, sign=findings.plan.metric.sign)), None)
    if best is None or best.value is None:
        return None
    return _leader(best, value=best.value, seeds=1, decided=False)


def _leader(row: TrialRecord, *, value: float, seeds: int, decided: bool) -> BestTrial:
    trial, knobs = row.spec.trial, row.spec.knobs
    return BestTrial(trial=trial, knobs=knobs, value=value, seeds=seeds, decided=decided)


def _left(
    findings: Findings, reached: Mapping[int, int], *, since: float, seconds: float
) -> float | None:
    """Seconds, by the pace of this conductor's own trials."""
    rows = findings.rows
    running = [reached.get(row.spec.trial, 0) for row in rows if row.state == "running"]
    finished = [row for row in rows if row.finished]
    epochs = epochs_left(
        trained=sum(row.epochs for row in finished) + sum(running),
        ended=len(finished),
        running=running,
        waiting=findings.foreseen - len(finished) - len(running),
        most=findings.plan.most_epochs,
    )
    lately = sum(row.epochs for row in finished if row.ended >= since) + sum(running)
    return seconds_left(epochs, trained=lately, seconds=seconds)


def _last_epochs(folder: Folder, findings: Findings) -> dict[int, tuple[int, float]]:
    """The last epoch of every trial that has not finished, and its metric, by trial."""
    metric = findings.plan.metric.name
    curves = followed(read_curves(folder.curve_log, folder.curves, metric=metric))
    unfinished = [row.spec.trial for row in findings.rows if not row.finished]
    rows = curves[curves.trial.isin(unfinished)].drop_duplicates("trial", keep="last")
    columns = zip(rows["trial"], rows["epoch"], rows[metric], strict=True)
    return {int(trial): (int(epoch), float(value)) for trial, epoch, value in columns}
