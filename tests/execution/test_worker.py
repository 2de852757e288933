"""The worker: what a trainer yields, told as numbers; what it gets; and what it must not get."""

import json
import socket
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from kit import search, trials
from refusals import check_told

from search.contract.arrays import FoldData, read_folds, write_folds
from search.contract.metrics import Metric
from search.execution.end_reasons import StopDecision, TrialEnd
from search.execution.lanes import LaneSetup
from search.execution.link import Link
from search.execution.messages import (
    Answer,
    AssignedTrial,
    Settle,
    Settled,
    Setup,
    TrialBegun,
    TrialEnded,
    Work,
)
from search.execution.worker.notice import Notice
from search.execution.worker.worker import Worker
from trainers.api import Data, Part

DATA = Data(
    train=Part(index=np.arange(4), x=np.zeros((4, 2), dtype=np.float32), y=np.array([0, 1, 0, 1])),
    val=Part(index=np.arange(4, 8), x=np.ones((4, 2), dtype=np.float32), y=np.array([0, 1, 1, 1])),
)
CONFIG = {
    "data": {"_target_": "x", "path": "secret.csv"},
    # Written at the end alone: between two epochs, as on a busy machine, a file that fails comes too early.
    "trainer": {"_target_": "toys.steady", "checkpoint_every": 3600.0, "max_log_mb": 1},
    "split": {"seed": 0},
    "placement": {"threads": 1},
    "optimizer": {"lr": 0.1, "twin": "${optimizer.lr}"},
    "seed": 0,
}


@pytest.fixture
def worker(tmp_path):
    write_folds(tmp_path / "arrays", [FoldData(data=DATA)], stamp="a")
    setup = Setup(
        config=json.dumps(CONFIG),
        folder=str(tmp_path),
        device="cpu",
        log="",
        metric=Metric(name="accuracy", direction="maximize"),
        lanes=LaneSetup(most=0, slots=1, decisions={}, paces={}),
    )
    return Worker(None, setup=setup, log=None)


@contextmanager
def _serving(folder, trainer, *, notice=None):
    """A worker at work in a thread, with a trainer of a module of its own; gives the other end, set to hear it."""
    write_folds(folder / "arrays", [FoldData(data=DATA)], stamp="a")
    trainer = {**CONFIG["trainer"], "_target_": trainer, "epochs": 2}
    setup = Setup(
        config=json.dumps({**CONFIG, "trainer": trainer}),
        folder=str(folder),
        device="cpu",
        log="",
        metric=Metric(name="accuracy", direction="maximize"),
        lanes=LaneSetup(most=0, slots=1, decisions={}, paces={}),
    )
    ours, theirs = (Link(end) for end in socket.socketpair())
    own = Worker(theirs, setup=setup, log=None, notice=notice)
    thread = threading.Thread(target=own.serve)
    thread.start()
    try:
        yield ours
    finally:
        thread.join(20)
        assert not thread.is_alive()
        ours.close()
        theirs.close()


def _handed(trial):
    return AssignedTrial(trial=trial, seed=trial, knobs={})


def _settled(ended, *, then):
    answer = Answer(decision=StopDecision.GO, reason="", epoch=2, best_epoch=2)
    return Settled(answers={ended: answer}, trials=[_handed(then)])


def _until(ours, kind):
    """The messages up to one of a kind, each as its kind and what tells it."""
    heard = []
    while not isinstance(message := ours.receive(), kind):
        heard.append((type(message), getattr(message, "trial", None), getattr(message, "end", "")))
    return heard, message


def _until_end(ours, trial):
    """As `_until` its last question; on a busy machine it asks between two epochs, too."""
    heard, settle = _until(ours, Settle)
    while not settle.soon:
        answer = Answer(decision=StopDecision.GO, reason="", epoch=1, best_epoch=1)
        ours.send(Settled(answers={trial: answer}))
        more, settle = _until(ours, Settle)
        heard += more
    return heard, settle


def test_a_trial_that_comes_with_the_answer_begins_once_the_one_before_has_left(tmp_path):
    notice = Notice()
    with _serving(tmp_path, "toys.idle", notice=notice) as ours:
        ours.receive()
        ours.send(Work(trials=[_handed(0)]))
        _, settle = _until_end(ours, 0)
        assert (settle.room, settle.soon) == (0, 1)
        ours.send(_settled(0, then=1))
        heard, settle = _until_end(ours, 1)
        assert heard[:2] == [(TrialEnded, 0, TrialEnd.COMPLETE), (TrialBegun, 1, "")]
        assert settle.soon == 1
        notice.given = True  # its machine is taken away
        ours.send(_settled(1, then=2))
        ends = [ours.receive(), ours.receive()]
        assert [(end.trial, end.end) for end in ends] == [
            (1, TrialEnd.COMPLETE),
            (2, TrialEnd.INTERRUPTED),
        ]


def test_a_trial_that_comes_behind_one_that_fails_at_its_end_is_handed_back(tmp_path, monkeypatch):
    """Its weights cannot be saved: known only after the answer that brought the next trial."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "checkpoints").write_text("a file where a folder should be")
    (tmp_path / "lib/late.py").write_text(
        "def train(config, data, device, checkpoint):\n"
        "    for epoch in (1, 2):\n"
        "        checkpoint.save({'w': 0.5}, epoch=epoch)\n"
        "        yield {'accuracy': epoch / 10}\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "lib")
    with _serving(tmp_path, "late.train") as ours:
        ours.receive()
        ours.send(Work(trials=[_handed(0)]))
        _until_end(ours, 0)
        ours.send(_settled(0, then=1))
        ends = [ours.receive(), ours.receive()]
        assert [(end.trial, end.end) for end in ends] == [
            (0, TrialEnd.MACHINE_FAULT),
            (1, TrialEnd.INTERRUPTED),
        ]


def test_what_a_trial_leaves_in_its_process_is_known_before_another_could_come(
    tmp_path, monkeypatch
):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/hoarder.py").write_text(
        "best = 0.0\n"
        "def train(config, data, device, checkpoint):\n"
        "    global best\n"
        "    for epoch in (1, 2):\n"
        "        yield {'accuracy': epoch / 10}\n"
        "    best = 0.2\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "lib")
    with _serving(tmp_path, "hoarder.train") as ours:
        ours.receive()
        ours.send(Work(trials=[_handed(0)]))
        answer = Answer(decision=StopDecision.GO, reason="", epoch=2, best_epoch=2)
        while not isinstance(message := ours.receive(), TrialEnded):
            if isinstance(message, Settle):
                assert message.soon == 0
                ours.send(Settled(answers={0: answer}))
        assert message.end is TrialEnd.COMPLETE


def test_the_trainer_gets_its_trials_config_resolved_without_what_is_not_its_own(worker):
    config = worker._configs.resolve(knobs={"optimizer.lr": 0.5}, seed=9)
    assert config == {
        "trainer": CONFIG["trainer"],
        "optimizer": {"lr": 0.5, "twin": 0.5},
        "seed": 9,
    }
    again = worker._configs.resolve(knobs={}, seed=1)
    assert again["optimizer"] == {"lr": 0.1, "twin": 0.1}


def test_rows_are_mapped_and_one_worker_cannot_change_anothers(tmp_path):
    write_folds(tmp_path, [FoldData(data=DATA)], stamp="a")
    data = read_folds(tmp_path)[0].data
    data.train.x[:] = 7
    assert (read_folds(tmp_path)[0].data.train.x == 0).all()
    assert data.test is None
    assert sorted(path.name for path in (tmp_path / "fold-0").glob("*.npy")) == sorted(
        f"{part}.{key}.npy" for part in ("train", "val") for key in ("index", "x", "y")
    )


def test_arrays_of_another_contract_are_written_anew_and_those_of_the_same_are_left(tmp_path):
    """A first start that was killed, then another split under the same name, once trained on the old split's rows."""
    units = {"mean": [1.0], "scale": [2.0]}
    write_folds(tmp_path, [FoldData(data=DATA)] * 3, stamp="a")
    write_folds(tmp_path, iter([FoldData(data=DATA, units=units)]), stamp="b")
    (fold,) = read_folds(tmp_path)
    assert fold.units == units
    write_folds(tmp_path, (1 / 0 for _ in range(1)), stamp="b")  # not even made
    (tmp_path / "stamp").unlink()
    write_folds(tmp_path, [FoldData(data=DATA)] * 2, stamp="b")
    assert len(read_folds(tmp_path)) == 2


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ("empty", "TrialFailed: the trainer ended without a single epoch; yield once per epoch"),
        (
            "forgetful",
            "TrialFailed: a yield must hold predictions or probabilities or labels or 'accuracy', but got train_loss; add",
        ),
        (
            "again",
            "ValueError: epochs must rise, but got epoch 1 after 1; yield or print each epoch once, and of several folds their mean",
        ),
    ],
)
def test_a_trainer_that_breaks_the_seam_is_failed_with_its_reason_and_log(
    trainer, reason, tmp_path
):
    done = search(
        "own_trainer", f"trainer._target_=toys.{trainer}", "placement.slots=1", cwd=tmp_path
    )
    assert done.returncode == 1
    check_told(done.stderr, "first-trials-failed", reason, "; log: results/own_trainer/logs/")
    table = trials(tmp_path / "results" / "own_trainer").query("state == 'failed'")
    assert table.reason.str.startswith(reason).all()
    assert table.reason.str.endswith(
        tuple(f"; log: logs/{trial}.log" for trial in table.trial)
    ).all()
    assert "Traceback" in (tmp_path / "results" / "own_trainer" / "logs" / "0.log").read_text()
