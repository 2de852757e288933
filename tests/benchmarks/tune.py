"""Does the carried-out guide pay? Against a joint search, TPE and random search, from poor starts.

    python tests/benchmarks/tune.py chance [--protocols 400] [--words budget_trials=64 …]
    python tests/benchmarks/tune.py starts [--data digits …] [--start rate …] [--seeds 0 1]
    python tests/benchmarks/tune.py equal --data hastie … --start rate --seeds 0 1

`chance`: whole protocols in which nothing is to be found, by the functions that decide: the share
whose answer is the baseline, and how many sweeps adopted something on the way; then protocols with
one rate that is better by so many deviations between seeds. `--words`: further ones of the command.

`starts`: real trainings (`tune_trained.py`), the same poor start for everyone. A rival gets
`TRIALS`, the protocol `SHARE` of them. Everyone's answer is trained again with ten seeds that
nobody has used, and scored on validation and on the test rows, which no search sees. Results are
appended to `--results`; what is there already is not searched again, so a table can be made in
pieces. Columns: epochs of the whole search, its confirmation included, also as a share of those of
the search named by `--against`; after which shares of these it has that search's final value, a
number per seed: "best trial", once its best trial so far is of a configuration whose mean of these
ten seeds is as good; "incumbent", once what it would give the user, stopped then, is (both need that
search's result first); "incumbent, noise", once that is not worse beyond noise: the 95 % interval of
the difference of two means of ten seeds (Welch) does not lie below zero; "at the end", by seed of
the search, the answer's difference to the other's with that interval; the mean over all seeds of
the search, and its difference to the other's with a 95 % interval over these seeds (Student), both
with the sign by which higher is better. Below: in how many searches the incumbent is as good within
`WITHIN` of the other's epochs, strictly and beyond noise, and how many end worse beyond noise.

`equal`: the protocol, a joint search and plain Optuna's TPE, each with the epochs that the protocol
took from the same start; five fresh seeds of each answer on the test rows (`tune_equal.table`).
The data sets of `tune_sets.ASIDE` are for choosing rules, the others for measuring.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
import pandas as pd
import torch
import tune_equal
from intervals import apart, half_width
from simulated import carried_out, tune_plan
from tune_sets import words_of
from tune_trained import (
    Trainings,
    answers,
    best_by,
    fresh,
    joint,
    mean_of_fresh,
    plan_of,
    reached,
    tune,
)

from search.config.knob_parts import RATE

STARTS = {
    "rate": ["optimizer.lr=0.003"],  # a thirtieth of the default
    "short": ["trainer.epochs=5"],
    "penalty": ["optimizer.weight_decay=0.1"],
}
COMMON = ["trainer.batch_size=128", "preflight=off"]  # of small set-ups: a training takes a second
LESS = {"mnist1d": ["trainer.fraction=0.5"]}
SPACE = "space=[lr,momentum,weight_decay,dropout,width]"
EPOCHS = SPACE.replace("]", ",epochs_range]")
RIVALS = {
    "joint": [SPACE, "pruner=none"],  # a Gaussian process, its leaders confirmed
    "joint, epochs": [EPOCHS, "pruner=none"],  # it turns the number of epochs too, as tune does
    "joint, pruned": [SPACE, "pruner=median"],  # as the command has it
    "tpe": [SPACE, "pruner=none", "sampler=tpe", "protocol.confirm=0"],
    "random": [SPACE, "pruner=none", "sampler=random", "protocol.confirm=0"],
}
TRIALS, SHARE = 80, 0.8  # of a rival, and the protocol's share of them
JOINT = ("joint", "joint, epochs")  # whose final values are held against the others'
CONFIRMED = 18  # trials that a joint search confirms with, as a rule
KEY = ("data", "start", "seed", "who")
FRESH = 10  # seeds of an answer that nobody has used
ROUNDING = 1e-12  # by which means of the same scores may differ
WITHIN = 0.6  # of the other's epochs, until the incumbent is as good


def chance(protocols: int, *, words: Sequence[str]) -> None:
    """The share of protocols that end at the baseline, by how much better one rate is."""
    plan = tune_plan("space=[lr,dropout,width,momentum]", *words)
    for gain in (0.0, 2.0, 4.0):
        ends, adopted, sweeps, fresh_seeds, trials = 0, 0, 0, [], 0
        for repeat in range(protocols):
            dice = np.random.default_rng([int(gain), repeat])
            drawn: dict[tuple[str, int], float] = {}

            def value(knobs, seed, dice=dice, drawn=drawn, gain=gain):
                key = repr(sorted(knobs.items())), seed
                noise = drawn.setdefault(key, float(dice.normal()))
                better = gain if 0.02 < knobs.get(RATE, 0.1) < 0.025 else 0.0
                return 0.9 + 0.004 * (noise + better)

            history, rows = carried_out(plan, value)
            trials += len(rows)
            ends += not history.held if gain == 0 else 0.02 < history.held.get(RATE, 0.1) < 0.025
            adopted += sum(step.decision == "adopt" for step in history.sweeps)
            sweeps += len(history.sweeps)
            fresh_seeds += [
                s.trials for s in history.steps if s.request.stage == "confirm" and s.trials
            ]
        wanted = "the baseline" if gain == 0 else f"the rate that is {gain:g} deviations better"
        print(
            f"{wanted} is the answer of {ends} of {protocols} protocols; "
            f"{adopted} of {sweeps} sweeps adopted something; the confirmation took "
            f"{np.mean(fresh_seeds):.1f} trials in the mean, the whole {trials / protocols:.1f}"
        )


def starts(options: argparse.Namespace) -> None:
    """Searches what is not there yet, then prints the table of all results."""
    done = _read(options.results)
    there = {tuple(each[name] for name in KEY) for each in done}
    for data in options.data:
        with tempfile.TemporaryDirectory() as place:
            trainings: Trainings | None = None
            for key in product([data], options.start, options.seeds, options.who):
                if key in there:
                    continue
                words = [*words_of(data, Path(place)), *COMMON, *LESS.get(data, [])]
                trainings = trainings or Trainings(plan_of(tuple(words)), Path(place) / "search")
                words = [*words, *STARTS[key[1]], f"seed={key[2]}"]
                result = _searched(trainings, words, key[3]) | dict(zip(KEY, key, strict=True))
                if key[3] == "tune":
                    result["answers"] = answers(trainings, words, result, seeds=FRESH)
                rivals = [each for each in done if all(each[k] == result[k] for k in KEY[:3])]
                for rival in (each for each in rivals if each["who"] in JOINT):
                    result |= _beside(trainings, words, result, rival)
                done.append(result)
                with options.results.open("a") as file:
                    print(json.dumps(result), file=file)
                print(key, result["epochs"], round(float(np.mean(result["val"])), 4), flush=True)
    shown = table(_read(options.results), against=options.against)
    print(shown.to_string())
    for who, part in shown.groupby("who", sort=False):
        print(f"{who}: {tally(part)}")


def equal(options: argparse.Namespace) -> None:
    """Searches of as many epochs that are not there yet, then the table of all answers."""
    done = _read(options.results)
    for data in options.data:
        with tempfile.TemporaryDirectory() as place:
            words = [*words_of(data, Path(place)), *COMMON, *LESS.get(data, [])]
            trainings = Trainings(plan_of(tuple(words)), Path(place) / "search")
            for start, seed in product(options.start, options.seeds):
                key = dict(zip(KEY, (data, start, seed), strict=False))
                if any(key.items() <= each.items() for each in done):
                    continue
                own = [*words, *STARTS[start], f"seed={seed}"]
                for result in tune_equal.searched(
                    trainings, own, trials=round(SHARE * TRIALS), most=TRIALS, space=RIVALS["joint"]
                ):
                    done.append(key | result)
                    print(key, result["who"], result["epochs"], np.mean(result["test"]), flush=True)
                with options.results.open("a") as file:
                    print(*map(json.dumps, done[-len(tune_equal.WHO) :]), sep="\n", file=file)
    print(tune_equal.table(done).to_string())


def _searched(trainings: Trainings, words: list[str], who: str) -> dict[str, Any]:
    """A search's answer with its scores on fresh seeds."""
    if who == "tune":
        result = tune(trainings, [*words, f"budget_trials={round(SHARE * TRIALS)}"])
    else:
        count = TRIALS - (CONFIRMED if who.startswith("joint") else 0)
        result = joint(trainings, [*words, *RIVALS[who], f"n_trials={count}"])
    val, test = fresh(trainings, words, result["knobs"], seeds=FRESH)
    return {**result, "val": val, "test": test}


def _beside(
    trainings: Trainings, words: list[str], result: dict[str, Any], rival: dict[str, Any]
) -> dict[str, Any]:
    """When a search reaches a joint search's final value, and what that one had by its end: the
    joint search's best trial within as many epochs as the search took, on fresh seeds.
    """
    target = plan_of(tuple(words)).metric.sign * float(np.mean(rival["val"]))
    then = best_by(rival, result["epochs"])
    name = rival["who"]
    return {
        f"reached {name}": reached(trainings, words, result, target=target, seeds=FRESH),
        f"{name} then": mean_of_fresh(trainings, words, then, seeds=FRESH),
    }


def _read(results: Path) -> list[dict[str, Any]]:
    return list(map(json.loads, results.read_text().splitlines())) if results.exists() else []


def table(results: list[dict[str, Any]], *, against: str) -> pd.DataFrame:
    """A row per data set, start and search; `against`: the search that others are compared with."""
    rows = []
    frame = pd.DataFrame(results)
    sign = np.where(frame.data == "diabetes", -1.0, 1.0)  # higher is better in both
    frame["scores"] = [s * np.array(values) for s, values in zip(sign, frame.val, strict=True)]
    for name in ("val", "test"):
        frame[name] = sign * frame[name].map(np.mean)
    for (data, start), part in frame.groupby(["data", "start"], sort=False):
        rival = part[part.who == against].set_index("seed")
        for who, own in part.groupby("who", sort=False):
            own = own.set_index("seed")
            row = {"data": data, "start": start, "who": who, "seeds": len(own)}
            own = own.loc[own.index.intersection(rival.index)]
            row["epochs"] = round(own.epochs.mean()) if len(own) else 0
            row["of its"] = own.epochs.sum() / max(rival.epochs[own.index].sum(), 1)
            for name, at in _reached(own, rival, against).items():
                shares = (at / rival.epochs[own.index]).dropna()
                row[name] = ", ".join(f"{share:.2f}" for share in shares) or "no"
                row[f"{name}, in time"] = int((shares <= WITHIN).sum())
            ends = [apart(own.scores[seed], rival.scores[seed]) for seed in own.index]
            row["at the end"] = "; ".join(f"{a:+.4g} [{b:+.4g}, {c:+.4g}]" for a, b, c in ends)
            row["below"] = sum(high < 0 for _, _, high in ends)
            for name in ("val", "test"):
                gap = own[name] - rival[name][own.index]
                row[name] = own[name].mean()
                row[f"{name} - its"] = gap.mean()
                row[f"± {name}"] = half_width(gap)
            rows.append(row)
    return pd.DataFrame(rows).round(4)


def _reached(own: pd.DataFrame, rival: pd.DataFrame, against: str) -> dict[str, "pd.Series[float]"]:
    """By seed, the epochs after which the best trial is as good as the rival's final answer, and
    after which the incumbent is, strictly and within noise; NaN where it never is.
    """
    column, never = f"reached {against}", pd.Series(np.nan, index=own.index)
    strictly, within = never.copy(), never.copy()
    for seed, found in own.get("answers", never).items():
        if not isinstance(found, list):
            continue  # a search without incumbents
        steps = [(epochs, apart(s, rival.scores[seed])) for epochs, s in found if s]
        equal = (epochs for epochs, (mean, _, _) in steps if mean >= -ROUNDING)
        strictly[seed] = next(equal, np.nan)
        within[seed] = next((epochs for epochs, (_, _, high) in steps if high >= 0), np.nan)
    best = own.get(column, never)
    return {"best trial": best, "incumbent": strictly, "incumbent, noise": within}


def tally(part: pd.DataFrame) -> str:
    """How many searches reach the other's final value in time, and how many end below it."""
    strictly, within = part["incumbent, in time"].sum(), part["incumbent, noise, in time"].sum()
    return (
        f"the incumbent is as good within {WITHIN:g} of the epochs in {strictly} of "
        f"{part.seeds.sum()} searches, within noise in {within}; "
        f"{part.below.sum()} end worse beyond noise"
    )


def main() -> None:
    """Reads the words of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["chance", "starts", "equal"])
    parser.add_argument("--protocols", type=int, default=400)
    parser.add_argument("--words", nargs="+", default=[])
    parser.add_argument("--data", nargs="+", default=["breast_cancer", "diabetes", "digits"])
    parser.add_argument("--start", nargs="+", default=list(STARTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--who", nargs="+", default=["joint", "tune", *RIVALS])
    parser.add_argument("--against", default="joint", choices=JOINT)
    parser.add_argument("--results", type=Path, default=Path("starts.jsonl"))
    options = parser.parse_args()
    if options.what == "chance":
        chance(options.protocols, words=options.words)
        return
    torch.set_num_threads(1)
    (starts if options.what == "starts" else equal)(options)


if __name__ == "__main__":
    main()
