"""Does a protocol that is killed again and again end with the same rows?

    python tests/benchmarks/kills.py [--kills 30] [--seed 0] [--place FOLDER]

Breast cancer by the stock trainer on one slot, so that the sampler of the joint stage sees the same
order of trials each time: all rows and decisions are compared. The kills (-9) are spread evenly
over all stages, in order: a trial of an undisturbed run is drawn, and up to a fifth of a second
after it has begun; of a stage without trials (the checks, the range test, the averages), a moment
of its time. Every second kill ends the conductor alone, the others all its processes at once. With
--place, the same command goes on where it was stopped.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import psutil
from kit import MARK, command, environment, marked, search, steady, trials, wait_for

from search.storage.sealed import read_json_lines

WORDS = [
    "tune", "data=breast_cancer", "model.width=8", "trainer.epochs=4", "placement.slots=1", "seeds=2", "lanes=off", "report=off",
    "trainer.checkpoint_every=0.001", "placement.max_retries=100", "preflight=warn", "space=[lr,momentum,epochs_range,width,weight_decay]",
    "space.optimizer.lr.points=3", "space.optimizer.momentum.points=3", "protocol.extend=0", "protocol.trials=12", "protocol.confirm=2",
    "optimizer.lr=0.001",
    "protocol.stages=[preflight,baseline,lr_range,{sweep:lr},{sweep:momentum},joint,confirm,ensemble]",
]  # fmt: skip
NAMES = "whole", "killed"
DELAY = 0.2  # seconds after the drawn moment, at most
# Of stages without trials, what is printed as they begin, and in how many seconds a kill is drawn.
SHOWN = {
    "preflight": ("starting 1 worker", 12.0),
    "lr_range": ("-lr_range: ", 2.0),
    "ensemble": ("-ensemble: ", 0.8),
}
GONE = 30  # seconds within which no process of a killed search is left
Moment = tuple[str, Callable[[], bool], float]  # stage, whether it has come, and how long after


def moments(
    killed: Path, log: Path, *, whole: Path, kills: int, dice: random.Random
) -> list[Moment]:
    """As many kills in each stage, in order.

    Args:
        killed: the folder of the search.
        log: what it prints.
        whole: the folder of an undisturbed run, whose trials are drawn from.
        kills: in sum.
        dice: that draw.
    """
    begun = trials(whole)
    decided = [json.loads(line)["stage"] for line in (whole / "decisions.jsonl").open()]
    steps = [name for name in decided if name in {*begun.stage} or name.endswith(tuple(SHOWN))]
    chosen: list[Moment] = []
    for place, stage in enumerate(steps):
        share = range(place, kills, len(steps))
        own = list(begun.trial[begun.stage == stage])
        if own:
            for trial in sorted(dice.sample(own, min(len(share), len(own)))):  # none twice
                has_come = partial(_begun, killed / "journal.log", trial + 1)
                chosen.append((stage, has_come, dice.uniform(0, DELAY)))
        else:
            text, span = next(SHOWN[name] for name in SHOWN if stage.endswith(name))
            has_come = partial(_printed, log, text)
            chosen += [(stage, has_come, dice.uniform(0, span)) for _ in share]
    return chosen


def _begun(journal: Path, number: int) -> bool:
    """Whether so many trials have begun."""
    return journal.exists() and journal.read_bytes().count(b'{"op_code":4,') >= number


def _printed(log: Path, text: str) -> bool:
    return text in log.read_text()


def _killed(has_come: Callable[[], bool], delay: float, *, log: Path, alone: bool) -> bool:
    """Whether a run was killed so long after a moment; False if it had ended before."""
    marks = environment(**{MARK: str(log.parent), "PYTHONUNBUFFERED": "1"})
    with log.open("w") as output:
        process = subprocess.Popen(
            command(*WORDS, "name=killed"), cwd=log.parent, env=marks, stdout=output, stderr=output
        )
        while process.poll() is None and not has_come():
            time.sleep(0.005)
        time.sleep(delay)
        is_running = process.poll() is None
        if is_running:
            _kill(psutil.Process(process.pid), alone=alone)
        process.wait()
    wait_for(lambda: not marked(str(log.parent)), seconds=GONE, what="its processes to be gone")
    return is_running


def _kill(process: psutil.Process, *, alone: bool) -> None:
    """The conductor alone, or with all its processes."""
    for one in [process, *([] if alone else process.children(recursive=True))]:
        one.kill()


def main() -> None:
    """Reads the words of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--place", type=Path)
    options = parser.parse_args()
    dice, cwd = random.Random(options.seed), options.place or Path(tempfile.mkdtemp())
    cwd.mkdir(exist_ok=True)
    whole = search(*WORDS, "name=whole", cwd=cwd, timeout=1200, anew=True)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    folders = [cwd / "results" / name for name in NAMES]
    log, done = cwd / "output.txt", cwd / "kills.txt"
    drawn = moments(folders[1], log, whole=folders[0], kills=options.kills, dice=dice)
    before = len(done.read_text().splitlines()) if done.exists() else 0
    for number, (stage, has_come, delay) in enumerate(drawn[before:], start=before):
        alone = number % 2 == 0
        killed = _killed(has_come, delay, log=log, alone=alone)
        ending = ("the conductor" if alone else "all its processes") if killed else "came too late"
        with done.open("a") as file:
            print(f"{stage}: {ending}", file=file)
        print(f"{number + 1} of {len(drawn)}, {stage}: {ending}", flush=True)
    last = search(*WORDS, "name=killed", cwd=cwd, timeout=1200, anew=True)
    assert last.returncode == 0, last.stdout + last.stderr
    first, second = (steady(trials(folder)) for folder in folders)
    decided = [read_json_lines(folder / "decisions.jsonl") for folder in folders]
    texts = [
        json.dumps(each).replace(f"name={name}", "")
        for each, name in zip(decided, NAMES, strict=True)
    ]
    print(Counter(done.read_text().splitlines()))
    print(f"{len(first)} rows, {len(second)} after the kills, equal: {first.equals(second)}")
    print(f"decisions equal: {texts[0] == texts[1]}")
    if not first.equals(second):
        print(first.compare(second) if len(first) == len(second) else second)


if __name__ == "__main__":
    main()
