"""Does a protocol that is killed again and again end with the same rows?

    python tests/benchmarks/kills.py [--kills 30] [--seed 0]

Breast cancer by the stock trainer on one slot, so that the sampler of the joint stage sees the same
order of trials each time: all rows are compared. The kills (-9) are spread evenly over all stages with
trials and the averages at the end: a trial of an undisturbed run is drawn, and up to a fifth of
a second after it has begun.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from kit import running, search, steady, trials

WORDS = [
    "tune", "data=breast_cancer", "model.width=8", "trainer.epochs=4", "placement.slots=1", "seeds=2", "lanes=off", "report=off",
    "trainer.checkpoint_every=0.001", "placement.max_retries=100", "preflight=warn", "space=[lr,momentum,epochs_range]",
    "space.optimizer.lr.points=3", "space.optimizer.momentum.points=3", "protocol.extend=0", "protocol.trials=12", "protocol.confirm=2",
    "optimizer.lr=0.001",
    "protocol.stages=[preflight,baseline,{sweep:lr},{sweep:momentum},joint,confirm,ensemble]",
]  # fmt: skip
DELAY = 0.2  # seconds after the drawn moment, at most


def moments(folder: Path, kills: int, dice: random.Random) -> list[tuple[str, int]]:
    """Stages, and how many trials must have begun: as many kills in each stage, in order.

    The averages at the end have no trials: their number is that of all, and a decision comes first.
    """
    begun = trials(folder)
    numbers = {str(stage): list(own.trial) for stage, own in begun.groupby("stage", sort=False)}
    each = kills // (len(numbers) + 1)
    chosen = [
        (stage, trial + 1)
        for stage, own in numbers.items()
        for trial in dice.sample(own, min(each, len(own)))  # none twice: no kill comes too early
    ]
    late = [("ensemble", len(begun))] * (kills - len(chosen))
    return [*sorted(chosen, key=lambda pair: pair[1]), *late]


def has_come(folder: Path, stage: str, number: int) -> bool:
    """Whether so many trials have begun; of the averages, whether they come next."""
    if stage == "ensemble":
        decisions = folder / "decisions.jsonl"
        return decisions.exists() and '-ensemble"}' in decisions.read_text()
    journal = folder / "journal.log"
    return journal.exists() and journal.read_bytes().count(b'{"op_code":4,') >= number


def main() -> None:
    """Reads the words of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice, cwd = random.Random(options.seed), Path(tempfile.mkdtemp())
    whole = search(*WORDS, "name=whole", cwd=cwd, timeout=1200)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    folders = [cwd / "results" / name for name in ("whole", "killed")]
    done = dict[str, int]()
    for stage, number in moments(folders[0], options.kills, dice):
        with running(*WORDS, "name=killed", cwd=cwd) as process:
            while process.poll() is None and not has_come(folders[1], stage, number):
                time.sleep(0.005)
            time.sleep(dice.uniform(0, DELAY))
            done[stage] = done.get(stage, 0) + (process.poll() is None)
            process.send_signal(signal.SIGKILL)
    last = search(*WORDS, "name=killed", cwd=cwd, timeout=1200)
    assert last.returncode == 0, last.stdout + last.stderr
    first, second = (steady(trials(folder)) for folder in folders)
    texts = [(each / "decisions.jsonl").read_text().replace(each.name, "") for each in folders]
    print(f"kills by stage: {done}")
    print(f"{len(first)} rows, {len(second)} after the kills, equal: {first.equals(second)}")
    print(f"decisions equal: {texts[0] == texts[1]}")
    if not first.equals(second):
        print(first.compare(second) if len(first) == len(second) else second)


if __name__ == "__main__":
    main()
