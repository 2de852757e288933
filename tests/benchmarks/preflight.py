"""Faults planted in set-ups: how many are named by the right check, and how many alarms sound set-ups raise.

    python tests/benchmarks/preflight.py [--collection planted|foreign|aside|scripts|styles|everyday|daily|desk|guests|tutorials|repositories|workshop] [--seeds 1] [--only TEXT] [--minutes 60] [--log FILE]

`foreign`: set-ups that the rules were not made with at first; `aside`: a third of them, put aside until the rules stood; `scripts`: in
the styles of strangers, made after both; `styles`: others once more, after all of these; `everyday`: the
last ones, after those; `daily`: of a working day, after all; `desk`: further members of three of its kinds; `guests`: named
tables, own models, trainers and losses, after those, of which `--part` picks what was looked at or put aside; `workshop`: loops with masks, added gradients and
own scores, the last.
`--minutes`: after which no further set-up begins; the sound ones come first, in an order drawn at random. `--log`: gets a line per
set-up; those that stand in it are not run again, and the shares are of all of them.
Trains in a pool of processes, one thread each, without a process of its own per set-up.
"""

import argparse
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
os.environ["PYTHONPATH"] = f"{SUPPORT}:{os.environ.get('PYTHONPATH', '')}"

import daily
import desk
import everyday
import foreign
import foreign_scripts
import foreign_styles
import guests
import planted
import repositories
import torch
import tutorials
import workshop

from search.config.compose import compose_experiment
from search.config.plan import check_task, read_plan
from search.config.trial_config import TrialConfigs
from search.contract.arrays import write_folds
from search.contract.contract import prepare
from search.contract.dataset import completed
from search.diagnostics.preflight.check import excused
from search.diagnostics.preflight.of_data import of_data
from search.diagnostics.preflight.run import OF_OWN, of_training
from search.diagnostics.probe_process import answer
from search.errors import SearchError
from search.execution.slots import Slot
from search.storage.json_numbers import plain
from trainers.probes.limits import Budget

SLOTS = (Slot(number=0, gpu=None, threads=1),)


def checked(plan, prepared, place, *, quick):
    """All checks but that of speed, as `preflight` makes them, in this process; `quick`: without learning by heart."""
    questions = ["padding"] if quick else ["padding", "overfit", "labels_matter"]
    questions += [*OF_OWN] * (not plan.stock)
    questions += ["own_gradients"] * (plan.preflight.gradcheck and plan.stock)
    write_folds(place / "arrays", prepared.folds(), stamp=prepared.stamp)
    asked = {
        "config": TrialConfigs(plan.config).resolve(knobs={}, seed=plan.seed),
        "folder": str(place), "device": "cpu", "task": plan.config.data.task, "metric": asdict(plan.metric),
        "kind": "preflight", "stock": plan.stock, "questions": questions,
        "seconds": 1e6,
    }  # fmt: skip
    answers = json.loads(json.dumps(plain(answer(asked)), allow_nan=False))
    checks = list(of_data(plan, prepared, budget=Budget(1e6, of="")))
    checks += of_training(plan, prepared, answers, data_checks=checks, slots=SLOTS, trainings=39)
    return excused(checks)


def judged(job):
    """The name of a set-up, what warns or fails there as name → (outcome, sentence), and seconds."""
    setup, seed, quick, ends = job
    if time.time() > ends:
        return None
    torch.set_num_threads(1)
    words = [word.replace("+data.seed=0", f"+data.seed={seed}") for word in setup.words]
    words += [f"seed={seed}"] + [f"split.seed={seed}"] * ("split=ordered" not in words)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        try:
            config = completed(compose_experiment("lr_sweep", overrides=words, config_dir=None))
            plan = read_plan(config, root=Path(place))
            check_task(plan)
            prepared = prepare(plan.config, metric=plan.metric)
            checks = checked(plan, prepared, Path(place), quick=quick)
            alarms = {c.name: (c.outcome, c.told) for c in checks if c.outcome in ("warn", "fail")}
        except SearchError as error:
            alarms = {"door": ("fail", f"{error} [{error.code}]")}
    return setup, alarms, time.monotonic() - begun


def right(setup, alarms):
    """Whether the fault is named by a check that names it rightly."""
    door = alarms.get("door", ("", ""))[1]
    return (bool(setup.door) and setup.door in door) or bool({*alarms} & {*setup.found})


def wrong(setup, alarms):
    """The alarms that nothing excuses."""
    expected = {*setup.found, *setup.besides, *(["door"] if setup.door else [])}
    return {name: alarm for name, alarm in alarms.items() if name not in expected}


def main():
    """Runs what is left of a collection."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--collection",
        choices=(
            "planted",
            "foreign",
            "aside",
            "scripts",
            "styles",
            "everyday",
            "daily",
            "desk",
            "guests",
            "tutorials",
            "repositories",
            "workshop",
        ),
        default="planted",
    )
    parser.add_argument("--part", choices=("all", "looked-at", "aside"), default="all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--quick", action="store_true", help="without learning by heart")
    parser.add_argument("--log", type=Path)
    words = parser.parse_args()
    others = {
        "planted": planted,
        "scripts": foreign_scripts,
        "styles": foreign_styles,
        "everyday": everyday,
        "daily": daily,
        "desk": desk,
        "guests": guests,
        "tutorials": tutorials,
        "repositories": repositories,
        "workshop": workshop,
    }
    source = others.get(words.collection, foreign)
    parts = {"looked-at": (False,), "aside": (True,), "all": (False, True)}[words.part]
    if source is foreign:
        parts = (words.collection == "aside",)
    ends = time.time() + 60 * words.minutes
    lines = words.log.read_text().splitlines() if words.log and words.log.exists() else []
    known = {(record["name"], record["seed"]): record for record in map(json.loads, lines)}
    jobs = [
        (setup, seed, words.quick, ends)
        for setup in (*source.SOUND, *source.FAULTS)
        if words.only in setup.name and setup.aside in parts
        for seed in range(words.seeds)
    ]
    random.Random(0).shuffle(jobs)
    jobs.sort(key=lambda job: bool(job[0].found or job[0].door))
    records = [known[job[0].name, job[1]] for job in jobs if (job[0].name, job[1]) in known]
    left = [job for job in jobs if (job[0].name, job[1]) not in known]
    with ProcessPoolExecutor(words.jobs) as pool:
        for job, answer in zip(left, pool.map(judged, left), strict=True):
            if answer is None:
                continue
            records.append(recorded(*answer, seed=job[1]))
            if words.log:
                with words.log.open("a") as file:
                    file.write(json.dumps(records[-1]) + "\n")
    told(records, of=len(jobs))


def recorded(setup, alarms, seconds, *, seed):
    """A line of the log: how a set-up was judged."""
    if setup.found or setup.door:
        outcome = "named" if right(setup, alarms) else "other" if alarms else "missed"
    else:
        extra = wrong(setup, alarms)
        fails = any(outcome == "fail" for outcome, _ in extra.values())
        outcome = "failed" if fails else "warned" if extra else "sound"
    return {"name": setup.name, "seed": seed, "outcome": outcome, "alarms": alarms, "seconds": seconds}  # fmt: skip


def told(records, *, of):
    """What was missed or falsely raised, a line each, and the shares."""
    for record in records:
        if record["outcome"] not in ("named", "sound"):
            print(f"{record['outcome']:8} {record['name']} ({record['seconds']:.1f} s): {record['alarms']}")  # fmt: skip
    count = Counter(record["outcome"] for record in records)
    faults = count["named"] + count["other"] + count["missed"]
    sound = count["sound"] + count["failed"] + count["warned"]
    if len(records) < of:
        print(f"{of - len(records)} of {of} set-ups were left out: no time")
    print(f"faults: {count['named']} of {faults} named by the right check, {count['other']} by another alone")  # fmt: skip
    print(f"sound set-ups: {count['failed']} of {sound} failed, {count['warned']} warned")
    seconds = [record["seconds"] for record in records] or [0.0]
    print(f"seconds of a set-up: {sum(seconds) / len(seconds):.1f} on average, {max(seconds):.1f} at most")  # fmt: skip


if __name__ == "__main__":
    main()
