"""Before the budget is spent: is the set-up sound? Data, batches, model, learning and speed, each
by small checks (R3, R7-R13).

What a training does is measured in a process of its own (`search.diagnostics.probe`), while this
one looks at the data. Only here, and only between sets, are test rows looked at. Decides nothing
but the outcome of each check.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from threadpoolctl import threadpool_limits

from search.config.check_keys import own_rate
from search.config.knob_parts import RATE, own_parts
from search.config.plan import Plan
from search.contract.contract import Prepared
from search.contract.metric_functions import entropy
from search.diagnostics.preflight import (
    by_heart,
    held_out,
    learning,
    loop,
    losses,
    model,
    output,
    stepping,
)
from search.diagnostics.preflight.check import Check, Preflight, excused
from search.diagnostics.preflight.direction import of_direction
from search.diagnostics.preflight.first_loss import first_loss
from search.diagnostics.preflight.of_data import APART, of_data
from search.diagnostics.preflight.of_rows_seen import of_rows_seen
from search.diagnostics.preflight.scores import of_scores
from search.diagnostics.probe import Probe, probed
from search.execution.slots import Slot
from trainers.probes.answers import Answers
from trainers.probes.limits import Budget
from trainers.probes.told import Watched

ASKED = ("overfit", "labels_matter", "speed", "padding")  # of every training
OF_OWN = ("held_out", "heard", "uphill")  # of trainers of the user's
OF_DATA = 90.0  # seconds of all checks of the data together


def preflight(
    plan: Plan,
    prepared: Prepared,
    *,
    place: Path,
    slots: tuple[Slot, ...],
    trainings: int,
    early: Probe | None = None,
) -> Preflight:
    """All checks, in the order of a reader.

    Args:
        plan: of the search.
        prepared: its data, the test rows included.
        place: holds `arrays/`.
        slots: the training is looked at in the first one.
        trainings: of the search that is to follow.
        early: a process there that has started before, if any.

    Raises:
        RunError: the training could not be looked at.
    """
    gradcheck = plan.preflight.gradcheck and plan.stock
    wanted = {
        "kind": "preflight",
        "stock": plan.stock,
        "seconds": plan.preflight.seconds,
        "questions": (
            *ASKED,
            *(["own_gradients"] * gradcheck),
            *(OF_OWN if not plan.stock else ()),
        ),
    }
    budget = Budget(min(OF_DATA, plan.preflight.seconds), of="all checks of the data")
    # Plain models of few rows: further threads wait for each other longer than they compute.
    asking = probed(plan, place, slot=slots[0], wanted=wanted, early=early)
    with asking as answers, threadpool_limits(1):
        checks = list(of_data(plan, prepared, budget=budget))
        answered: Answers = answers()
        checks += of_training(
            plan, prepared, answered, data_checks=checks, slots=slots, trainings=trainings
        )
    spent = {**answered["seconds"], "data": math.fsum(budget.spent.values())}
    return Preflight(checks=excused(checks, _parts(plan)), seconds=spent)


def _parts(plan: Plan) -> dict[str, str]:
    """By path of a key of the user's, the stock trainer's name of it, for remedies."""
    parts, rate = own_parts(plan.config), own_rate(plan.config)
    return {**parts, rate: RATE} if rate and RATE not in parts.values() else parts


def of_training(
    plan: Plan,
    prepared: Prepared,
    answers: Answers,
    *,
    data_checks: Sequence[Check],
    slots: tuple[Slot, ...],
    trainings: int,
) -> Iterator[Check]:
    """Checks of what was measured of the training, beside those of its data."""
    outcomes = {check.name: check.outcome for check in data_checks}
    # Plain dicts: a missing key of a DictConfig leaves a traceback that holds `prepared`.
    trainer = dict(plan.config.trainer)
    answers = _complete(answers, stock=plan.stock)
    seen, heart, train = answers["watched"], answers["overfit"], next(prepared.folds()).data.train
    count, batch = len(train.index), int(trainer["batch_size"])
    classification = plan.config.data.task in ("classification", "tagging")
    labels = train.y if classification else None
    expected, classes = (None, 0) if labels is None else (entropy(labels), 1 + int(labels.max()))
    alike = plan.config.split.kind not in APART
    if outcomes.get("telltale_feature") == "not checkable" and (pairs := seen["pairs"]):
        doubted = answers["held_out"].get("doubted")
        yield from of_rows_seen(pairs, seen, metric=plan.metric.name, alike=alike, doubted=doubted)
    metric, higher = plan.metric.name, plan.metric.direction == "maximize"
    trains = loop.trains(seen, flood=float(trainer.get("flood") or 0.0) if plan.stock else 0.0)
    yield of_direction(trains, answers["uphill"], higher=higher)
    yield of_scores(losses.reported_losses(seen, heart=heart), answers["heard"])
    yield loop.batches(seen, fraction=float(trainer.get("fraction") or 1.0))
    yield loop.shuffling(seen, ordered=outcomes.get("label_order") == "note")
    counts = [] if labels is None or labels.ndim > 1 else np.bincount(labels).tolist()
    yield output.output_layer(seen, classification=classification, classes=classes, counts=counts)
    yield first_loss(seen, entropy=expected, classes=classes)
    yield model.initial_weights(seen)
    yield model.gradients(seen)
    yield stepping.optimizer_steps(seen)
    yield model.dead_units(seen)
    steps, optimizers = _steps(plan, seen, rows=count), seen["optimizers"]
    yield loop.evaluation_mode(seen, steps=steps)
    yield model.batch_norm(seen, rows=count, batch=batch if plan.stock else None)
    yield learning.learning_rate(seen, steps=steps, epochs=plan.epochs, higher=higher)
    yield loop.repeatable(seen, exact=slots[0].gpu is None, metric=metric)
    yield model.capacity(seen, rows=count)
    yield by_heart.overfit(heart, optimizers=optimizers, metric=metric, higher=higher, seen=seen)
    legible = outcomes.get("label_signal") == "pass"
    yield learning.labels_matter(answers["labels_matter"], seen=seen, legible=legible)
    if not plan.stock:
        yield held_out.held_out(answers["held_out"], alike=alike)
    yield from _of_padding(answers, varies=train.lengths is not None)
    search = {"epochs": plan.epochs, "trainings": trainings, "slots": len(slots)}
    yield learning.speed(answers["speed"], batch=batch, **search)
    yield model.own_gradients(answers["own_gradients"])


def _of_padding(answers: Answers, *, varies: bool) -> Iterator[Check]:
    """Of rows whose length varies, as Knobwise knows or as was seen."""
    if varies:
        yield learning.padding(answers["padding"])
    elif (taught := answers["watched"]["padding_taught"]) is not None:
        yield learning.padding_seen(taught)


def _complete(answers: Answers, *, stock: bool) -> Answers:
    """With the cause, where a question has no answer."""
    seen = answers["watched"]
    unseen = seen["cut"] or "no step of a torch optimizer was seen in this process"
    cause = {"cause": "the training raised" if seen["error"] else unseen}
    own = {} if stock else {"cause": "a trainer of yours builds its model itself"}
    causes = {**dict.fromkeys((*ASKED, *OF_OWN), cause), "own_gradients": own}
    return cast(Answers, {**causes, **answers})


def _steps(plan: Plan, seen: Watched, *, rows: int) -> float:
    """Steps of the whole training, from those of the rows that were seen."""
    epochs = max(len(seen["epochs"]), 1)
    return float(seen["steps"] / epochs * rows / max(seen["rows"], 1) * plan.epochs)
