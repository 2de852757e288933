"""What orchestration costs per trial: 1 000 trials × 20 reported epochs of a trainer that does nothing.

    python tests/benchmarks/overhead.py [--trials 1000] [--rounds 5] [--postgresql]

Beside it, in each round: the bare fsync, Optuna on its stock journal and on SQLite with the same reports, in one process.
With `--postgresql` instead: the records alone, in the journal, in a PostgreSQL server started for it, and by plain Optuna there, in
processor time of the process that records.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

ROOT = Path(__file__).parents[2]
PATHS = [str(ROOT), str(ROOT / "tests" / "support")]
sys.path[:0] = PATHS
from postgres import server

from search.config.knobs import Knob
from search.contract.metrics import Metric
from search.storage.database import Database
from search.storage.journal import JournalFile
from search.storage.study import Study
from search.storage.trial_storage import TrialStorage
from search.storage.trials import TrialRecord, TrialSpec

EPOCHS = 20


def ours(folder: Path, trials: int) -> float:
    """Seconds per trial of a whole `python -m search`, start-up taken off by a run of few trials."""
    few, many = (_search(folder / f"n{count}", count) for count in (20, trials))
    return (many - few) / (trials - 20)


def _search(folder: Path, trials: int) -> float:
    folder.mkdir()
    words = [
        "own_trainer",
        "trainer._target_=toys.idle",
        f"trainer.epochs={EPOCHS}",
        "trainer.patience=null",
        f"seeds={trials // 5}",
    ]
    grid = [
        "space.optimizer.lr.points=5",
        "optimizer.lr=0.01",
        "placement.slots=2",
        "protocol.extend=0",
        "protocol.refine=0",
    ]
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "search", *words, *grid],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def stock(storage, trials: int, *, clock=time.perf_counter) -> float:
    """Seconds per trial of plain Optuna: ask, report, tell."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, sampler=optuna.samplers.RandomSampler(), pruner=optuna.pruners.NopPruner()
    )
    begun = clock()
    for _ in range(trials):
        trial = study.ask()
        trial.suggest_float("lr", 1e-4, 1, log=True)
        for epoch in range(EPOCHS):
            trial.report(epoch / 100, epoch)
        study.tell(trial, 0.5)
    return (clock() - begun) / trials


def recorded(storage: TrialStorage, trials: int) -> float:
    """Seconds of a processor per trial for the conductor's records, without any worker."""
    metric = Metric(name="accuracy", direction="maximize")
    knob = Knob(path="lr", low=1e-4, high=1.0, log=True)
    study = Study.for_writing(storage, name="s", metric=metric, knobs=[knob])
    begun = time.process_time()
    for number in range(trials):
        spec = TrialSpec(trial=number, stage="joint", knobs={"lr": 0.5}, seed=number)
        study.start(spec, values={})
        for epoch in range(EPOCHS):
            study.report(number, epoch=epoch, value=epoch / 100)
        row = TrialRecord(spec=spec, state="complete", value=0.5, epochs=EPOCHS, best_epoch=3, seconds=1.0, wall=1.0)  # fmt: skip
        study.finish(replace(row, device="cpu", strategy="loop", source="computed", sampler_value=0.5))  # fmt: skip
        study.storage.sync()
    seconds = (time.process_time() - begun) / trials
    study.close()
    return seconds


def in_server(folder: Path) -> dict[str, float]:
    """Seconds of this process's processor per trial for the records alone."""
    with server() as postgres:
        database = Database(postgres.url, marker=folder / "storage.json", patience=1)
        there = RDBStorage(postgres.driver_url)
        rows = {
            "records in the journal": recorded(JournalFile(folder / "journal.log"), 200),
            "records in PostgreSQL": recorded(database, 50),
            "optuna, PostgreSQL": stock(there, 50, clock=time.process_time),
        }
        there.engine.dispose()
    return rows


def in_files(folder: Path, trials: int) -> dict[str, float]:
    """Seconds per trial of whole searches, and of stock Optuna in files."""
    return {
        "one fsync": fsync(folder),
        "knobwise, durable, two workers": ours(folder, trials),
        "optuna, stock journal": stock(
            JournalStorage(JournalFileBackend(str(folder / "stock.log"))), 100
        ),
        "optuna, sqlite": stock(RDBStorage(f"sqlite:///{folder}/stock.db"), 50),
    }


def fsync(folder: Path, times: int = 200) -> float:
    """Seconds of one append and fsync."""
    with (folder / "file").open("ab", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(times):
            file.write(b"x" * 200)
            os.fsync(file.fileno())
        return (time.perf_counter() - begun) / times


def main() -> None:
    """Prints milliseconds per trial: the median of the rounds, and each of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5, help="start-ups differ by 0.5 s")
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rounds.append(
                in_server(folder) if options.postgresql else in_files(folder, options.trials)
            )
    for what in rounds[0]:
        numbers = [1000 * row[what] for row in rounds]
        each = " ".join(f"{number:.2f}" for number in numbers)
        print(f"{what:32} {statistics.median(numbers):8.2f} ms a trial, of {each}")


if __name__ == "__main__":
    main()
