"""What a training does in its first epochs, and whether it repeats, as plain numbers.

Measures; never judges.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np

from trainers.api import Data, Epoch, Part, Values
from trainers.probes.carried import CarriedState, followers_kept
from trainers.probes.drawn_rows import weights_by_class
from trainers.probes.helpers_seen import HelpersSeen
from trainers.probes.labels_seen import (
    between_batches,
    first_targets,
    label_of_rows,
    target_counts,
    targets_against_labels,
)
from trainers.probes.limits import Budget, OutOfTime
from trainers.probes.rows_seen import row_keys, rows_seen
from trainers.probes.run import Run, why_unread
from trainers.probes.scores import losses_again, score
from trainers.probes.seen import Batch
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient
from trainers.probes.told import Watched
from trainers.probes.watch import Watch

WATCHED_ROWS, WATCHED_BATCHES = 2000, 20  # of an epoch that is watched: rows, batches at least
FIRST_LOOK = 120.0  # seconds of the two epochs that are watched; as many of the first one again
MOST = 0.75  # share of the features
Answer = dict[str, Any]


def watched(
    subject: Subject,
    *,
    read: Callable[[Epoch, Data], object] | None = None,
    budget: Budget | None = None,
    reseeded: bool = False,
) -> Watched:
    """Two epochs of it as it is, and the first of them again.

    `read`: reads an epoch of a trial on these rows, and raises where the trial would fail;
    `budget`: of all questions; None: no limit but `FIRST_LOOK`; `reseeded`: asks another seed too.
    """
    budget = budget or Budget(math.inf, of="")
    most = max(WATCHED_ROWS, WATCHED_BATCHES * subject.batch)
    data = subject.sample(train=most, val=WATCHED_ROWS)
    train_rows = _keys(data.train)
    watch, run, again = Watch(train_rows), Run(), Run()
    with HelpersSeen() as helpers, CarriedState() as state:
        cut = _look(subject, data, run, watch, epochs=2, budget=budget)
    whole = len(data.val.index) == len(subject.data.val.index)
    cut_again = "" if run.error or cut else _look(subject, data, again, epochs=1, budget=budget)
    reseeded = reseeded and not (run.error or again.error or cut or cut_again)
    other = _with_another_seed(subject, data, budget=budget) if reseeded else Run()
    numbers = _numbers(run.epochs[-1][1] if run.epochs else {})
    by_rows = _rows(watch, train=train_rows, val=_keys(data.val)) | _calls(watch, data, run)
    by_rows |= _labels(watch, data, classes=subject.task == "classification")
    for batch in (*watch.seen.batches, *watch.seen.evaluated):
        batch.keys = ()
    told = {
        **by_rows,
        "carried": state.carried,
        "given_spread": None if data.train.x is None else float(np.nanstd(data.train.x)),
        "losses_again": losses_again(run, data.val.y, call=watch.seen.loss),
        **helpers.told(),
        "drawn": weights_by_class(helpers.drawn, first_targets(watch.labels_seen.noted)),
        "scores": _scores(run, data, subject) if helpers.plateaus else [],
        "error": run.error,
        "unread": "" if read is None else why_unread(run, data, read=read, whole=whole),
        "cut": cut,
        "rows": len(data.train.index),
        "val_rows": len(data.val.index),
        **asdict(watch.seen),
        "epochs_told": run.trained,
        "train_loss": run.series("train_loss"),
        "val_loss": run.series("val_loss"),
        "first_loss": run.first.get("train_loss"),
        "not_finite": [name for name in numbers if not all(map(math.isfinite, run.told(name)))],
        "again": {name: [run.series(name)[:1], again.series(name)[:1]] for name in numbers},
        "other_seed": {name: other.series(name)[:1] for name in numbers},
        "again_error": again.error or cut_again,
    }
    return cast(Watched, told)


def _with_another_seed(subject: Subject, data: Data, *, budget: Budget) -> Run:
    run, config = Run(), {**subject.config, "seed": int(subject.config["seed"]) + 1}
    _look(replace(subject, config=config), data, run, epochs=1, budget=budget)
    return run


def _look(
    subject: Subject, data: Data, into: Run, *watches: Watch, epochs: int, budget: Budget
) -> str:
    """Trains so many epochs; why it was left before, if it was."""
    contexts = [Steer(until=patient()), *watches]
    try:
        with budget.asking("first_look", most=FIRST_LOOK):
            subject.train(
                data, into=into, contexts=contexts, stop=lambda run: run.trained == epochs
            )
    except OutOfTime as over:
        return str(over)
    return ""


def _scores(run: Run, data: Data, subject: Subject) -> list[float]:
    """What each epoch's metric is: as it was told, or the share of right predictions, or R²."""
    told = run.series(subject.metric) if subject.metric else []
    computed = [score(values, data.val.y, subject.task) for epoch, values in run.epochs if epoch]
    return [number for number in (*told, *computed) if math.isfinite(number)]


def _trained(watch: Watch) -> list[list[Batch]]:
    """The batches that each epoch trained on."""
    ends = [0, *watch.seen.epochs]
    return [watch.seen.batches[start:end] for start, end in itertools.pairwise(ends)]


def _keys(part: Part) -> frozenset[int]:
    return frozenset(() if part.x is None else row_keys(np.asarray(part.x)))


def _rows(watch: Watch, *, train: frozenset[int], val: frozenset[int]) -> Answer:
    """Which rows came, and in which order."""
    batches = [[batch.keys for batch in epoch] for epoch in _trained(watch)]
    trained = [list(itertools.chain(*epoch)) for epoch in batches]
    evaluated = watch.labels_seen.answers.evaluated_keys
    return {
        "rows_seen": rows_seen(trained, evaluated, train=train, val=val),
        "followers_kept": followers_kept(batches),
    }


def _labels(watch: Watch, data: Data, *, classes: bool) -> Answer:
    """Targets of the losses against their rows' labels, and how labels lie in batches."""
    part, noted, trained = data.train, watch.labels_seen.noted, _trained(watch)
    told: Answer = {
        "target_counts": target_counts(noted),
        "of_own_class": 0,
        "targets": None,
        "held_targets": None,
        "between_batches": [],
    }
    if part.x is not None and part.y is not None and part.y.ndim < 3:
        labels = label_of_rows(row_keys(np.asarray(part.x)), np.asarray(part.y))
        told["of_own_class"] = classes * watch.labels_seen.answers.of_own_class_alone(labels)
        if not (watch.labels_seen.answers.draws and watch.seen.loss is None):
            # what a policy's loss picks are the actions that it drew, and no labels
            told["held_targets"] = _held_targets(watch, data, classes=classes)
            told["targets"] = targets_against_labels(noted, labels, classes=classes)
    elif part.x is None and told["target_counts"] and watch.seen.optimizers == 1:
        # rows of its own, whose labels are what the losses ask
        keys = [key for place, rows, _ in noted if place == 0 for key in rows]
        labels = label_of_rows(tuple(keys), np.array(first_targets(noted)))
    else:
        return told
    told["between_batches"] = [
        between_batches([batch.keys for batch in epoch], labels, classes=classes)
        for epoch in trained
    ]
    return told


def _held_targets(watch: Watch, data: Data, *, classes: bool) -> Answer | None:
    """Targets of the loss of evaluated rows against the labels of these rows, as `targets`; None
    where steps have several losses, of which another may be that of the labels.
    """
    held, val, noted = watch.labels_seen.answers.held_targets, data.val, watch.labels_seen.noted
    if not held or any(place for place, _, _ in noted) or val.x is None or val.y is None:
        return None
    labels = label_of_rows(row_keys(np.asarray(val.x)), np.asarray(val.y))
    asked = (0, tuple(held), np.array([several[0] for several in held.values()]))
    return targets_against_labels([asked], labels, classes=classes)


def _calls(watch: Watch, data: Data, run: Run) -> Answer:
    """What single calls, and the inputs of single batches, show."""
    calls, answers = watch.calls_seen, watch.labels_seen.answers
    held = watch.evaluated_losses.rows_of(next(reversed(run.series("val_loss")), math.nan))
    own = data.train.x is None  # the trainer loads its rows itself
    return {
        "evaluated_losses": watch.evaluated_losses.epochs,
        "evaluated_means": watch.evaluated_losses.means,
        "target_among_inputs": answers.target_among_inputs(),
        "pairs": answers.handed_on(val_rows=held or len(data.val.index)) if own else None,
        "never_taught": answers.never_taught(),
        "padding_taught": answers.padding_taught(),
        "viewed": answers.viewed,
        "draws": answers.draws,
        "one_answer": answers.one_answer(),
        "centred_batches": _centred_batches(_trained(watch)),
        "dropped": calls.dropped,
        "answer_dropped": calls.answer_dropped,
        "divergence": calls.divergence,
        "soft_targets": calls.soft_targets,
        "blurred": calls.maps.blurred(),
        "maps_turned": calls.turned.told(),
        "logarithm_of": calls.logarithm_of,
        "tokens": _tokens(watch, data),
    }


def _centred_batches(trained: list[list[Batch]]) -> int:
    """Of an epoch of several batches, how many of them have a mean of 0 in three of four features,
    to rounding, if all have that; else 0. What hardly changes in a batch is all rounding.
    """
    for epoch in trained[:1]:
        several = [one for one in epoch if one.shape and one.shape[0] > 1]
        if len({one.content for one in several}) > 2 and min(one.centred for one in several) > MOST:
            return len(several)
    return 0


def _tokens(watch: Watch, data: Data) -> Answer | None:
    """Tokens as they are given, and as an embedding is asked for them."""
    if not data.train.tokens or data.train.x is None:
        return None
    return watch.calls_seen.merged_tokens(np.asarray(data.train.x))


def _numbers(values: Values) -> list[str]:
    return [
        name
        for name, value in values.items()
        if isinstance(value, float | int) and not isinstance(value, bool)
    ]
