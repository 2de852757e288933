"""kill -9 of the conductor, of a worker, of everything, at every part of a search: the rows of an undisturbed one."""

import itertools
import random
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import optuna
import pandas as pd
import psutil
import pytest
from kit import MARK, TINY, marked, running, search, steady, trials, wait_for, words_of
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.storage.journal import JournalFile
from search.storage.study import Study

KINDS = ("conductor", "worker", "everything")
STOCK = [
    "lr_sweep",
    "trainer.epochs=6",
    "trainer.checkpoint_every=0.001",
    "placement.max_retries=50",
    "space.optimizer.lr.points=3",
    "lanes=4",  # not by measured times, which differ on a busy machine
    "protocol.extend=0",
    "protocol.refine=0",
    "protocol.most_seeds=1",
    "report=off",
]
ROUNDS = [*TINY, "protocol.extend=1", "protocol.refine=1"]
FOLDS = [*TINY, "split=kfold", "split.folds=3"]
SCRIPT = [
    "own_command",
    'trainer.command=["{python}","-m","steady_program","{optimizer.lr}","{seed}","{trainer.epochs}"]',
    "trainer.epochs=6",
    "space.optimizer.lr.points=3",
    "seeds=1",
    "placement.max_retries=50",
    "trainer.grace=1",
    "protocol.extend=0",
    "protocol.refine=0",
    "rehearse=false",
    "report=off",
]


JOINT = [word for word in TINY if not word.startswith("protocol")] + [
    "protocol=joint",
    "space=[lr,weight_decay]",
    "n_trials=30",
    "protocol.confirm=2",
    "protocol.leaders=2",
]


@pytest.mark.parametrize(
    ("words", "kills", "seed", "anew"),
    [
        (ROUNDS, 9, 1, True),
        (FOLDS, 4, 2, False),
        (STOCK, 4, 3, False),
        (SCRIPT, 4, 4, False),
        ([*JOINT, "sampler=qmc"], 4, 5, False),
    ],
    ids=["generator", "folds", "stock", "command", "quasi-random"],
)
@pytest.mark.timeout(300)
def test_a_search_killed_again_and_again_gives_the_rows_of_an_undisturbed_one(
    words, kills, seed, anew, tmp_path
):
    """An undisturbed one that starts anew has another hash seed too."""
    calm = search(*words, "name=calm", cwd=tmp_path, anew=anew, TOY_PAUSE="0")
    assert calm.returncode == 0, calm.stdout + calm.stderr
    _storm(words, kills, seed, tmp_path, records=_records(tmp_path / "results" / "calm"))
    _same_rows(tmp_path / "results" / "calm", tmp_path / "results" / "storm")


@pytest.mark.timeout(300)
def test_a_joint_search_that_learns_and_prunes_loses_and_repeats_nothing_when_killed(tmp_path):
    seen: dict[int, tuple[object, ...]] = {}

    def watch():
        """What has ended stays as it is."""
        for number, row in _finished(tmp_path / "results" / "storm").items():
            assert seen.setdefault(number, row) == row

    _storm(
        [*JOINT, "sampler=tpe", "pruner=median", "pruner.warmup=2", "pruner.every=2"],
        6,
        6,
        tmp_path,
        records=250,  # pruning leaves at least so many
        after=watch,
    )
    table = trials(tmp_path / "results" / "storm")
    watch()
    assert list(table.trial) == list(range(len(table)))
    first = table[table.stage == "joint"]
    assert len(first) == 30
    assert not first.duplicated(["optimizer.lr", "optimizer.weight_decay", "seed"]).any()
    assert set(table.state) <= {"complete", "pruned", "infeasible"}
    fresh = table[table.stage == "confirm"].groupby("seed").size()
    assert list(fresh.index) == [2, 3]
    assert (
        fresh[2] == fresh[3] <= 3
    )  # the baseline, and leaders with both seeds complete: pruning may leave fewer than two


def _finished(folder: Path) -> dict[int, tuple[object, ...]]:
    """Every trial that has ended, by its running number."""
    if not (folder / "config.yaml").exists() or not (folder / "journal.log").exists():
        return {}
    study = Study.for_reading(JournalFile(folder / "journal.log"), name="storm", knobs=())
    return {
        row.spec.trial: (row.state, row.value, row.spec.seed, dict(row.spec.knobs))
        for row in study.rows(alive=False)
        if row.finished
    }


def _storm(words, kills, seed, tmp_path, *, records, after=lambda: None) -> None:
    """The search `storm`, killed so many times and resumed each time.

    Every second kill comes as soon as workers stand, the others in equal parts of the `records`
    that a search writes, so that kills fall on its beginning, its rounds and its end.
    """
    pause = {"TOY_PAUSE": "0.01"}
    dice, moments = random.Random(seed), itertools.islice(_moments(records, kills), kills)
    storm, done, moment = tmp_path / "results" / "storm", 0, next(moments)
    for _attempt in range(kills + 1):
        mark = uuid.uuid4().hex
        with running(*words, "name=storm", cwd=tmp_path, **pause, **{MARK: mark}) as conductor:
            while done < kills and conductor.poll() is None:
                if _records(storm) < moment or not _workers(conductor):
                    time.sleep(0.02)
                    continue
                time.sleep(dice.uniform(0, 0.02))
                kind = KINDS[done % 3]
                if _kill(kind, conductor, dice):
                    done, moment = done + 1, next(moments, 0)
                if kind != "worker":
                    break
            if done >= kills and conductor.poll() is None:
                conductor.communicate(timeout=120)
        wait_for(
            lambda mark=mark: not marked(mark),
            seconds=10,
            what="every process of the search to end",
        )
        after()
        if conductor.returncode == 0:
            break
    assert done == kills, f"the search ended after {done} of {kills} kills"
    assert conductor.returncode == 0


def _moments(records: int, kills: int) -> Iterator[int]:
    """The number of records after which each kill comes; 0: as soon as workers stand."""
    for part in range(1, kills + 1, 2):
        yield records * part // (kills + 1)
        yield 0


def _records(folder: Path) -> int:
    """How many records a search's journal has by now."""
    journal = folder / "journal.log"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def _workers(conductor) -> list[psutil.Process]:
    try:
        return [
            child
            for child in psutil.Process(conductor.pid).children()
            if "search.execution.worker.process" in " ".join(words_of(child))
        ]
    except psutil.Error:
        return []


def _kill(kind: str, conductor, dice: random.Random) -> bool:
    """Sends SIGKILL; says whether it hit anything."""
    try:
        if kind == "conductor":
            victims = [psutil.Process(conductor.pid)]
        elif kind == "worker":
            victims = [dice.choice(_workers(conductor))]
        else:
            whole = psutil.Process(conductor.pid)
            victims = [*whole.children(recursive=True), whole]
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        return True
    except (psutil.Error, IndexError):
        return False


def _same_rows(calm: Path, storm: Path) -> None:
    pd.testing.assert_frame_equal(steady(trials(calm)), steady(trials(storm)), check_exact=True)
    assert list(trials(storm).trial) == list(range(len(trials(storm))))
    assert not set(trials(storm).state) & {"running", "queued", "lost"}
    curves = [
        pd.read_parquet(folder / "curves.parquet").drop(columns="seconds")
        for folder in (calm, storm)
    ]
    pd.testing.assert_frame_equal(*curves, check_exact=True)
    study = optuna.load_study(
        study_name="storm", storage=JournalStorage(JournalFileBackend(str(storm / "journal.log")))
    )
    assert all(trial.state.is_finished() for trial in study.trials)
    weights = [folder / "best" / "weights.safetensors" for folder in (calm, storm)]
    assert weights[0].exists() == weights[1].exists()
    if weights[0].exists():
        assert weights[0].read_bytes() == weights[1].read_bytes()
    assert (calm / "best.yaml").read_text().replace("calm", "storm") == (
        storm / "best.yaml"
    ).read_text()
