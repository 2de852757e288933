"""What orchestration costs per trial: 1 000 trials × 20 reported epochs of a trainer that does nothing.

    python tests/benchmarks/overhead.py [--trials 1000] [--postgresql]

`--postgresql`: with its trials in a server of its own as well (needs one installed, and psycopg).

Beside it, in the same run: the bare fsync, Optuna on its stock journal and on SQLite with the same reports, in one process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))
from postgres import server

EPOCHS = 20


def ours(folder: Path, trials: int, *, url: str = "null") -> float:
    """Seconds per trial of a whole `python -m search`, start-up taken off by a run of few trials.

    `url`: where its trials lie, as `storage.url` takes it.
    """
    few, many = (_search(folder / f"n{count}", count, url) for count in (20, trials))
    return (many - few) / (trials - 20)


def _search(folder: Path, trials: int, url: str) -> float:
    folder.mkdir(parents=True)
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
        f"storage.url={url}",
        f"name=n{trials}",
    ]
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "search", *words, *grid],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def stock(storage, trials: int) -> float:
    """Seconds per trial of plain Optuna: ask, report, tell."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, sampler=optuna.samplers.RandomSampler(), pruner=optuna.pruners.NopPruner()
    )
    begun = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        trial.suggest_float("lr", 1e-4, 1, log=True)
        for epoch in range(EPOCHS):
            trial.report(epoch / 100, epoch)
        study.tell(trial, 0.5)
    return (time.perf_counter() - begun) / trials


def fsync(folder: Path, times: int = 200) -> float:
    """Seconds of one append and fsync."""
    with (folder / "file").open("ab", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(times):
            file.write(b"x" * 200)
            os.fsync(file.fileno())
        return (time.perf_counter() - begun) / times


def main() -> None:
    """Prints milliseconds per trial."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    trials = options.trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sync = fsync(folder)
        rows = {
            "one fsync": sync,
            "knobwise, durable, two workers": ours(folder / "journal", trials),
            "optuna, stock journal": stock(
                JournalStorage(JournalFileBackend(str(folder / "stock.log"))), 100
            ),
            "optuna, sqlite": stock(RDBStorage(f"sqlite:///{folder}/stock.db"), 50),
        }
        if options.postgresql:
            with server() as postgres:
                seconds = ours(folder / "server", trials, url=postgres.url)
                rows["the same in PostgreSQL"] = seconds
                storage = RDBStorage(postgres.driver_url)
                rows["optuna, PostgreSQL"] = stock(storage, 50)
                storage.engine.dispose()
        for what, seconds in rows.items():
            print(f"{what:32} {1000 * seconds:8.2f} ms a trial")


if __name__ == "__main__":
    main()
