"""Faults planted in set-ups: how many are found, by the right check, and how many alarms sound set-ups raise.

python tests/benchmarks/preflight.py [--seeds 5] [--only TEXT]
"""

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

HERE = Path(__file__).parent.parent
sys.path.insert(0, str(HERE))
os.environ["PYTHONPATH"] = f"{HERE}:{os.environ.get('PYTHONPATH', '')}"

import planted

from search.config.compose import compose_experiment
from search.config.plan import check_task, read_plan
from search.contract.arrays import write_folds
from search.contract.contract import prepare
from search.contract.dataset import completed
from search.diagnostics.preflight.run import preflight
from search.errors import SearchError
from search.execution.worker_pool import slots_of

ONE_AT_A_TIME = Lock()  # Hydra knows one config at a time


def look(setup, seed):
    """The checks that warn or fail, and what the program says before any check."""
    words = [word.replace("+data.seed=0", f"+data.seed={seed}") for word in setup.words]
    words += [f"seed={seed}", *([f"split.seed={seed}"] if "split=ordered" not in words else [])]
    with tempfile.TemporaryDirectory() as place:
        try:
            with ONE_AT_A_TIME:
                config = completed(compose_experiment("lr_sweep", overrides=words, config_dir=None))
            plan = read_plan(config, root=Path(place))
            check_task(plan)
            prepared = prepare(plan.config, metric=plan.metric)
            write_folds(Path(place) / "arrays", prepared.folds(), stamp=prepared.stamp)
            checks = preflight(
                plan, prepared, place=Path(place), slots=slots_of(plan), trainings=39
            )
        except SearchError as error:
            return {}, str(error)
    return {check.name: check for check in checks if check.outcome in ("warn", "fail")}, ""


def judged(setup, seed):
    """Found, wrong alarms, fails, seconds, what was told."""
    started = time.monotonic()
    alarms, door = look(setup, seed)
    seconds = time.monotonic() - started
    found = (bool(setup.door) and setup.door in door) or any(name in alarms for name in setup.found)
    wrong = sorted(set(alarms) - set(setup.found) - set(setup.besides)) + (
        [f"door: {door}"] if door and not setup.door else []
    )
    fails = [name for name in wrong if name.startswith("door") or alarms[name].outcome == "fail"]
    return (
        setup,
        seed,
        found,
        wrong,
        fails,
        seconds,
        {name: (check.outcome, check.told) for name, check in alarms.items()},
    )


def main():
    """The table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    jobs = [
        (setup, seed)
        for setup in (*planted.FAULTS, *planted.SOUND)
        for seed in range(given.seeds)
        if given.only in setup.name
    ]
    results = defaultdict(list)
    with ThreadPoolExecutor(given.jobs) as pool:
        for told in pool.map(lambda job: judged(*job), jobs):
            results[told[0].name].append(told)
            setup, seed, found, wrong, *_, alarms = told
            if wrong or (setup in planted.FAULTS and not found):
                print(
                    f"  {setup.name} (seed {seed}): {'found' if found else 'not found'}; {alarms or wrong}",
                    file=sys.stderr,
                    flush=True,
                )
    print(f"{'planted fault':36} {'found':>6} {'wrong alarms':>13} {'seconds':>8}")
    totals = [0, 0, 0, 0]
    for setup in planted.FAULTS:
        told = results[setup.name]
        if told:
            found, wrong = sum(t[2] for t in told), [name for t in told for name in t[3]]
            totals[0] += found
            totals[1] += len(told)
            print(
                f"{setup.name:36} {found:>3}/{len(told)} {', '.join(sorted(set(wrong))) or '–':>13} {sum(t[5] for t in told) / len(told):8.1f}"
            )
    print(f"{'sound set-up':36} {'fails':>6} {'warnings':>13} {'seconds':>8}")
    for setup in planted.SOUND:
        told = results[setup.name]
        if told:
            fails, wrong = sum(bool(t[4]) for t in told), [name for t in told for name in t[3]]
            totals[2] += fails
            totals[3] += len(told)
            print(
                f"{setup.name:36} {fails:>3}/{len(told)} {', '.join(sorted(set(wrong))) or '–':>13} {sum(t[5] for t in told) / len(told):8.1f}"
            )
    print(f"found {totals[0]} of {totals[1]}; sound set-ups that failed {totals[2]} of {totals[3]}")


if __name__ == "__main__":
    main()
