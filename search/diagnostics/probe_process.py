"""The process that asks a training: imports torch, does dry runs, reads what is asked, writes the
answers.

Never judges; imports torch.
"""

import json
import math
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from search.execution import process_guard as guard

if __name__ == "__main__":
    ARGUMENTS = guard.enter()

from search.config.quick_imports import quick_imports

with quick_imports():
    from search.contract.arrays import FoldData, read_folds
    from search.contract.metrics import Metric
    from search.diagnostics.lr_range import read_range
    from search.execution.link import Link
    from search.execution.messages import ProbeWanted
    from search.execution.worker.dry_run import after_dry_runs
    from search.execution.worker.epoch_message import epoch_message
    from search.execution.worker.log_redirect import LogRedirect
    from search.storage.folder import PROBES_LOG
    from search.storage.json_numbers import plain
    from trainers.api import Data, Epoch
    from trainers.probes import gradients, questions
    from trainers.probes.answers import Answers, ByHeart, Ramps, Unanswered
    from trainers.probes.heard import heard
    from trainers.probes.held_out import held_out
    from trainers.probes.limits import Budget, OutOfTime
    from trainers.probes.padding import padding_counts
    from trainers.probes.seen import LossCall
    from trainers.probes.speed import speed
    from trainers.probes.subject import PATIENCE, Subject, is_cut, ramp
    from trainers.probes.uphill import uphill
    from trainers.probes.watched import WATCHED_ROWS, watched
    from trainers.stock import warm

# Seconds that the question of a check may take, of those that all have together. Those of several
# trainings begin no further one after `questions.ENOUGH` of them.
MOST = {
    "overfit": 90, "labels_matter": 90, "speed": 40, "held_out": 20, "heard": 20, "uphill": 30,
    "padding": 40, "own_gradients": 30,
}  # fmt: skip


def answer(asked: dict[str, Any]) -> Answers | Ramps:
    """Everything that is wanted, in order. `kind`: preflight | lr_range."""
    folder = Path(asked["folder"])
    fold = read_folds(folder / "arrays")[0]
    subject = Subject(
        config=asked["config"],
        data=fold.data,
        device=asked["device"],
        folder=folder,
        task=asked["task"],
        metric=asked["metric"]["name"],
    )
    if asked["kind"] == "lr_range":
        return _ramps(subject, asked)

    def read(epoch: Epoch, rows: Data) -> object:
        given = FoldData(data=rows, units=fold.units)
        return epoch_message(epoch, given, metric=Metric(**asked["metric"]))

    return _preflight(subject, asked, read=read)


def _preflight(
    subject: Subject, asked: dict[str, Any], *, read: Callable[[Epoch, Data], object]
) -> Answers:
    """The first question decides which of the others have a sense."""
    budget = Budget(asked["seconds"], of="preflight.seconds")
    seen = watched(subject, read=read, budget=budget, reseeded=not asked["stock"])
    answers: dict[str, Any] = {"watched": seen, "seconds": budget.spent}
    by_hand = bool(seen["hand_steps"]) and not seen["steps"]
    if seen["error"] or not (seen["steps"] or by_hand):
        return cast(Answers, answers)
    parameters = sum(math.prod(weights["shape"]) for weights in seen["weights"])
    loss = LossCall(**seen["loss"]) if seen["loss"] is not None else None
    asking: dict[str, Callable[[], Unanswered]] = {
        "overfit": lambda: questions.learned_by_heart(
            subject, parameters=parameters, loss=loss, by_hand=by_hand
        ),
        "labels_matter": lambda: questions.labels_matter(
            subject, rate=_taught(answers.get("overfit", {}))
        ),
        "held_out": lambda: held_out(subject),
        "heard": lambda: heard(subject),
        "uphill": lambda: uphill(subject, higher=asked["metric"]["direction"] == "maximize"),
        "speed": lambda: speed(subject, sizes=asked["stock"]),
    }
    if subject.data.train.lengths is not None and subject.data.train.x is not None:
        asking["padding"] = lambda: padding_counts(subject)
    asking["own_gradients"] = lambda: gradients.wrong_gradients(subject.config, subject.data)
    for name, question in asking.items():
        if name not in asked["questions"]:
            continue
        if name == "uphill" and not seen["draws"]:
            answers[name] = {"cause": "no actions are drawn"}
            continue
        if by_hand and name != "overfit":
            answers[name] = {"cause": "no optimizer of torch takes its steps"}
            continue
        try:
            with budget.asking(name, most=MOST[name]):
                answers[name] = question()
        except OutOfTime as over:
            answers[name] = {"cause": str(over)}
        except Exception as error:  # noqa: BLE001  # a user's training may raise anything, and the other questions remain
            answers[name] = {"cause": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    return cast(Answers, answers)


def _taught(heart: ByHeart) -> float:
    """The rate of the try that learned most of the few rows."""
    tries = [attempt for attempt in heart.get("tries", ()) if attempt["score"] is not None]
    return float(max(tries, key=lambda attempt: attempt["score"])["rate"]) if tries else 1e-2


def _ramps(subject: Subject, asked: dict[str, Any]) -> Ramps:
    """The losses of a ramp per seed; where no range can be read from them, also those of weights
    that stay as they are. `cause`, if a ramp could not be trained.
    """
    rates, batch = asked["rates"], subject.batch
    data = subject.sample(train=max(WATCHED_ROWS, len(rates) * batch), val=questions.FEW_ROWS)
    seeds = [int(subject.config["seed"]) + number for number in range(asked["seeds"])]
    answers = Ramps(seeds=seeds, losses=[], untrained=[], cause="")

    def walked(rates: Sequence[float]) -> list[list[float]]:
        return [ramp(subject, data, seed=seed, rates=rates, plain=False) for seed in seeds]

    try:
        answers["losses"] = walked(rates)
    except RuntimeError as error:
        return {**answers, "cause": str(error)}
    answers["cause"] = _cut(answers["losses"], rates)
    if not answers["cause"] and read_range(rates, answers["losses"]).low is None:
        with suppress(RuntimeError):  # an optimizer may refuse a rate of 0
            answers["untrained"] = walked([0.0] * len(rates))
    return answers


def _cut(curves: Sequence[Sequence[float]], rates: Sequence[float]) -> str:
    """Why ramps say nothing that ended too early."""
    ends = [len(curve) for curve in curves if is_cut(curve, steps=len(rates))]
    if 2 * len(ends) <= len(curves):
        return ""
    end = max(ends)
    return (
        f"the ramp ended after {end} of {len(rates)} steps, at a rate of {rates[end - 1]:.2g}, and "
        f"the loss had not risen by then: its {PATIENCE:.0f} s were over, or the training takes no "
        "more epochs than it likes; loop over trainer.epochs"
    )


if __name__ == "__main__":
    with quick_imports():
        warm()
    link = Link(socket.socket(fileno=int(ARGUMENTS[0])))
    look = after_dry_runs(link)
    assert isinstance(look, ProbeWanted)
    link.close()
    place = Path(look.folder)
    LogRedirect(place, own=PROBES_LOG)
    answers = answer(json.loads((place / "asked.json").read_text(encoding="utf-8")))
    fresh = place / "answers.new"
    fresh.write_text(json.dumps(plain(answers), allow_nan=False))
    fresh.replace(place / "answers.json")
    sys.stdout.flush()
    os._exit(0)  # at once: threads that a training has left behind must not hold up the answer
