"""A protocol, a joint search and plain Optuna with as many epochs each (`tune.py equal`)."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import optuna
import pandas as pd
from intervals import apart, half_width
from trainings import Search, Trainings
from tune_trained import best_epoch, fresh, plan_of, tune

from search.config.incumbent import canonical
from search.config.joint_settings import JointSettings
from search.config.knobs import Value, as_number
from search.results.findings import find
from search.storage.distributions import distribution_of

FRESH = 5  # seeds of an answer that nobody has used
WHO = ("tune", "joint", "tpe")


def searched(
    trainings: Trainings, words: list[str], *, trials: int, most: int, space: list[str]
) -> list[dict[str, Any]]:
    """The answers of all three, each with its epochs and its scores on rows that no search saw.

    Args:
        trainings: of the data set.
        words: of the command, the poor start among them.
        trials: the protocol's budget; the epochs that it takes are the others' budget.
        most: trials of a joint search that its epochs surely end.
        space: the words by which the others get their knobs.
    """
    own = tune(trainings, [*words, f"budget_trials={trials}"])
    wide = [*words, *space, f"n_trials={most}"]
    found = [
        {"who": "tune", "knobs": own["knobs"], "epochs": own["epochs"]},
        {"who": "joint"} | _joint(trainings, wide, epochs=own["epochs"]),
        {"who": "tpe"} | _tpe(trainings, wide, epochs=own["epochs"]),
    ]
    for each in found:
        each["val"], each["test"] = fresh(trainings, words, each["knobs"], seeds=FRESH)
        each["higher"] = plan_of(tuple(words)).metric.sign > 0
    return found


def _joint(trainings: Trainings, words: list[str], *, epochs: int) -> dict[str, Any]:
    """The joint search of as many trials as the epochs pay for, its confirmation included."""
    plan = plan_of(tuple(words), joint=True)
    assert isinstance(plan.settings, JointSettings)
    alone = replace(plan, settings=replace(plan.settings, confirm=0))
    rows = Search(alone, trainings).carry_out(alone, ours=[], past=())
    spent = np.cumsum([row.epochs for row in rows])

    @cache
    def confirmed(count: int) -> tuple[int, dict[str, Value]]:
        """Epochs and answer of the search of its first so many trials."""
        cut = replace(plan, settings=replace(plan.settings, n_trials=count))
        search = Search(cut, trainings)
        found = search.carry_out(cut, ours=[], past=(), known=rows[:count])
        winner = find(cut, found, val_rows=trainings.val_rows).winner
        assert winner is not None
        knobs = canonical(dict(cut.trained_knobs(winner.spec.knobs)), base=plan.config)
        return int(spent[count - 1]) + search.epochs, dict(knobs)

    count = int(np.sum(spent <= epochs))
    while (over := confirmed(count)[0] - epochs) > 0:
        count = min(count - 1, int(np.sum(spent <= spent[count - 1] - over)))
    while count < len(rows) and confirmed(count + 1)[0] <= epochs:
        count += 1
    total, knobs = confirmed(count)
    return {"knobs": knobs, "epochs": total}


def _tpe(trainings: Trainings, words: list[str], *, epochs: int) -> dict[str, Any]:
    """Plain Optuna: the best trial of those that the epochs pay for. The first one is the start,
    brought into the ranges: a weight decay of 0 has no logarithm.
    """
    plan = plan_of(tuple(words), joint=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = "maximize" if plan.metric.sign > 0 else "minimize"
    sampler = optuna.samplers.TPESampler(seed=plan.seed)
    study = optuna.create_study(direction=direction, sampler=sampler)
    space = {knob.path: distribution_of(knob, ()) for knob in plan.knobs}
    starts = ((knob, as_number(plan.default(knob))) for knob in plan.knobs)
    study.enqueue_trial(
        {knob.path: knob.typed(min(max(at, knob.low), knob.high)) for knob, at in starts}
    )
    total = 0
    while True:
        trial = study.ask(space)
        knobs = plan.trained_knobs(trial.params)
        cost = len(trainings.epochs(plan, knobs, plan.seed))
        if total + cost > epochs:
            break
        total += cost
        ended = best_epoch(trainings, plan, knobs, plan.seed)
        if ended is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, ended[0])
    knobs = canonical(dict(plan.trained_knobs(study.best_params)), base=plan.config)
    return {"knobs": dict(knobs), "epochs": total}


def table(results: list[dict[str, Any]]) -> pd.DataFrame:
    """A row per data set and rival: scores on test rows, and the protocol's error by the rival's.

    An error is a loss, or what is missing to a score of one. Its ratio needs no unit, so that all
    data sets have a mean: in the last rows, with a 95 % interval over the searches (Student, of the
    ratios' logarithms). "apart": by search, the difference of the two means of fresh seeds, higher
    being better, with its 95 % interval (Welch).
    """
    frame = pd.DataFrame(results)
    frame["sign"] = np.where(frame.higher, 1.0, -1.0)
    frame["score"] = frame.test.map(np.mean)
    frame["error"] = np.where(frame.higher, 1 - frame.score, frame.score)
    wide, rows = frame.set_index(["data", "start", "seed", "who"]).unstack("who"), []
    parts = [(data, wide.xs(data, drop_level=False)) for data in frame.data.unique()]
    for rival in WHO[1:]:
        for data, part in [*parts, ("all", wide)]:
            logs = np.log(part.error.tune / part.error[rival])
            ratio, half = logs.mean(), half_width(logs)
            ends = [
                apart(sign * np.array(own), sign * np.array(its))
                for sign, own, its in zip(
                    part.sign.tune, part.test.tune, part.test[rival], strict=True
                )
            ]
            rows.append(
                {
                    "data": data,
                    "rival": rival,
                    "searches": len(part),
                    "epochs": round(part.epochs.tune.mean()),
                    "its": round(part.epochs[rival].mean()),
                    "test": "" if data == "all" else f"{part.score.tune.mean():.4g}",
                    "its test": "" if data == "all" else f"{part.score[rival].mean():.4g}",
                    "error by its": f"{np.exp(ratio):.3f} "
                    f"[{np.exp(ratio - half):.3f}, {np.exp(ratio + half):.3f}]",
                    "better": sum(low > 0 for _, low, _ in ends),
                    "worse": sum(high < 0 for _, _, high in ends),
                    "apart": ""
                    if data == "all"
                    else "; ".join(f"{a:+.3g} [{b:+.3g}, {c:+.3g}]" for a, b, c in ends),
                }
            )
    return pd.DataFrame(rows)
