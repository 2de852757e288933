"""A trial under way: what counts of earlier attempts, when its time is up, how often it may die."""

import socket
import time
from dataclasses import replace

import numpy as np
import pytest

from search.config.settings import Limits
from search.contract.metrics import Metric
from search.execution.callbacks import Callback
from search.execution.clocks import Clocks
from search.execution.link import Link
from search.execution.placement import WorkerJoined
from search.execution.placement.local import LocalPlacement
from search.execution.running_trial import (
    SHARED_DEATHS,
    SLOW_START,
    RunningTrial,
    fresh_early_stopping,
)
from search.execution.slots import Slot
from search.execution.worker_pool import WorkerPool
from search.storage.logs import TrialLogs
from search.storage.trials import FINISHED, TrialSpec

METRIC = Metric(name="accuracy", direction="maximize")


def _underway(**limits):
    limits = Limits(
        **{
            "patience": None,
            "last_epoch": None,
            "timeout": None,
            "epoch_timeout": 100.0,
            "max_retries": 2,
            "log_bytes": 1,
        }
        | limits
    )
    spec = TrialSpec(trial=3, stage="sweep.lr", knobs={"lr": 0.1}, seed=0)
    trial = RunningTrial(
        spec=spec, early_stopping=fresh_early_stopping(METRIC, limits), limits=limits
    )
    trial.hand_out()
    trial.begin(0, records=[], device="cpu", strategy="loop")
    return trial


def _record(epoch, value, seconds=1.0):
    return {
        "trial": 3,
        "epoch": epoch,
        "accuracy": value,
        "train_loss": 1.0,
        "val_loss": 1.0,
        "seconds": seconds,
        "source": "computed",
    }


@pytest.mark.parametrize(
    ("epochs", "most", "has_room"),
    [((1, 2, 3), 3, False), ((1, 2, 3), 4, True), ((4, 9), 10, False), ((5, 10), 15, True)],
)
def test_a_trainer_that_tells_every_fifth_epoch_has_not_ended_early_at_its_last_one(
    epochs, most, has_room
):
    trial = _underway()
    for epoch in epochs:
        trial.add_epoch(_record(epoch, 0.5))
    assert trial.has_room(most) is has_room


def test_records_beyond_the_checkpoint_are_void_when_a_trial_goes_on():
    trial = _underway()
    records = [_record(1, 0.5), _record(2, 0.9), _record(3, 0.95)]
    for record in records:
        trial.add_epoch(record)
    trial.begin(1, records=records, device="cuda:0", strategy="loop")
    assert (
        trial.early_stopping.epoch,
        trial.early_stopping.best_epoch,
        trial.early_stopping.value,
        trial.seconds,
    ) == (1, 1, 0.5, 1.0)
    trial.add_epoch(_record(2, 0.6))
    row = trial.row("complete", reason="")
    assert (row.value, row.best_epoch, row.epochs, row.seconds, row.device) == (
        0.6,
        2,
        2,
        2.0,
        "cuda:0",
    )


def test_a_trial_killed_after_its_last_epoch_keeps_where_its_number_came_from():
    trial = _underway()
    trial.begin(1, records=[_record(1, 0.5)], device="cpu", strategy="loop")
    assert trial.row("complete", reason="").source == "computed"


def test_a_stop_that_was_recorded_before_a_kill_still_holds():
    trial = _underway(patience=1)
    records = [_record(1, 0.5), _record(2, 0.4)]
    trial.begin(2, records=records, device="cpu", strategy="loop")
    assert trial.decision == "stop"


def test_deaths_count_only_while_no_new_epoch_is_reached():
    trial = _underway(max_retries=1)
    trial.add_epoch(_record(1, 0.5))
    assert trial.record_failure(shared=False)
    trial.begin(0, records=[_record(1, 0.5)], device="cpu", strategy="loop")
    trial.add_epoch(_record(1, 0.5))  # reached before: no progress
    assert not trial.record_failure(shared=False)
    trial.add_epoch(_record(2, 0.5))
    assert trial.record_failure(shared=False)


def test_time_is_up_for_a_silent_trial_that_may_be_tried_again_and_for_a_long_one_that_may_not():
    trial = _underway(epoch_timeout=10)
    assert trial.overdue(time.monotonic() + 9, shared=False) == ""
    assert (
        trial.overdue(time.monotonic() + 11, shared=False)
        == "hung: no epoch for trainer.epoch_timeout=10 s"
    )
    assert trial.row("lost", reason="").seconds == pytest.approx(11, abs=1)  # it had its slot
    assert trial.record_failure(shared=False)
    trial = _underway(timeout=5)
    trial.add_epoch(_record(1, 0.5, seconds=4.5))
    assert (
        trial.overdue(time.monotonic() + 1, shared=False) == "took longer than trainer.timeout=5 s"
    )
    assert not trial.record_failure(shared=False)


@pytest.mark.parametrize(("stood", "kept"), [(0.0, False), (40.0, True)])
def test_a_trial_is_not_charged_with_the_time_in_which_its_search_stood_still(
    stood, kept, tmp_path
):
    """The epoch says that it took so long; the search waited in vain, or for its disk or server."""
    slot, (ours, theirs) = Slot(number=0, gpu=None, threads=1), socket.socketpair()
    pool = WorkerPool((slot,), LocalPlacement, trainer="mine.train")
    pool.connections.post(WorkerJoined(slot=slot, connection=Link(ours)))
    pool.connections.wait(0)
    trial = _underway(timeout=5)
    trial.add_epoch(_record(1, 0.5, seconds=41.0))
    next(iter(pool.connections.workers)).trials[3] = trial
    clocks = Clocks(pool, logs=TrialLogs(tmp_path, limit=1), callback=Callback())
    clocks.look(asked_at=time.monotonic() - stood)
    assert (trial.kill_reason == "") == kept
    pool.connections.close()
    theirs.close()


def test_only_trials_that_may_be_ranked_have_a_value():
    trial = _underway()
    trial.add_epoch(_record(1, 0.5))
    assert trial.row("complete", reason="").value == 0.5
    for state in ("failed", "lost", "infeasible"):
        row = trial.row(state, reason="why")
        assert (row.value, row.best_epoch, row.epochs, row.reason) == (None, None, 1, "why")


def test_what_happens_in_company_is_nobodys_own_until_it_is_tried_alone():
    trial = _underway(max_retries=0)
    for _ in range(SHARED_DEATHS):
        assert not trial.must_run_alone
        assert trial.record_failure(shared=True)
    assert trial.must_run_alone
    assert not trial.record_failure(shared=False)
    silent = _underway(timeout=5, epoch_timeout=10)
    assert silent.overdue(time.monotonic() + 6, shared=True) == ""
    assert (
        silent.overdue(time.monotonic() + 11, shared=True)
        == "hung: no epoch for trainer.epoch_timeout=10 s"
    )
    assert silent.retry
    assert silent.seconds == 0  # the silence may be another trial's
    silent.seconds = 6.0
    assert silent.overdue(time.monotonic(), shared=True) == "took longer than trainer.timeout=5 s"
    assert not silent.record_failure(shared=True)


def test_a_slow_start_is_said_once_and_only_until_the_trial_has_begun():
    trial = _underway(epoch_timeout=3600)
    trial.hand_out()
    now = time.monotonic()
    assert trial.unusual_silence(now + SLOW_START - 1) == ""
    assert (
        "trial 3: its trainer and model are still being imported or built"
        in trial.unusual_silence(now + SLOW_START + 1)
    )
    assert trial.unusual_silence(now + SLOW_START + 2) == ""
    trial.hand_out()
    trial.begin(0, records=[], device="cpu", strategy="loop")
    assert trial.unusual_silence(now + SLOW_START + 3) == ""


def test_a_silence_much_longer_than_the_epochs_before_it_is_said_once():
    trial = _underway(epoch_timeout=3600)
    trial.begin(0, records=[], device="cpu", strategy="loop")
    now = time.monotonic()
    assert trial.unusual_silence(now + 3000) == ""  # a first epoch may take its time
    for epoch in (1, 2):
        trial.add_epoch(_record(epoch, 0.5, seconds=4.0))
    usual = now + SLOW_START + 10 * 4.0
    assert trial.unusual_silence(usual - 1) == ""
    assert trial.unusual_silence(usual + 1) == (
        "trial 3: nothing told for 71 s, since its epoch 2; "
        "the attempt ends after trainer.epoch_timeout=3600 s"
    )
    assert trial.unusual_silence(usual + 2) == ""


def test_the_next_decision_is_the_rung_to_come_or_the_end_of_patience():
    trial = _underway(patience=3)
    trial.hand_out(rungs=(1, 2, 9))
    decisions = [trial.next_decision]
    for epoch, value in enumerate([0.5, 0.6, 0.6], start=1):
        trial.add_epoch(_record(epoch, value))
        decisions.append(trial.answer(stopping=False).next_decision)
    assert decisions == [1, 2, 5, 5]
    assert _underway().next_decision is None


LOSSES = (0.123456789012, 0.0987654321098, 0.0876543210987)
COARSE = (0.8, 0.9, 0.9)


def _curve(losses, *, scores=COARSE, val=LOSSES, metric=METRIC, resumed=0):
    """The curve of a trial with these numbers, of which the first were recorded by a run before."""
    trial = _underway()
    trial.early_stopping.metric = metric
    records = [
        {**_record(epoch, score, seconds=epoch), "train_loss": train, "val_loss": held}
        for epoch, (score, train, held) in enumerate(zip(scores, losses, val, strict=True), 1)
    ]
    trial.begin(resumed, records=records[:resumed], device="cpu", strategy="loop")
    for record in records[resumed:]:
        trial.add_epoch(record)
    return trial.row("complete", reason="").curve


def test_curves_are_equal_where_every_loss_and_score_is_to_the_last_digit():
    same = _curve(LOSSES)
    assert same == _curve(LOSSES, resumed=2) != ""
    nearly = (*LOSSES[:2], np.nextafter(LOSSES[2], 1))
    others = (_curve(nearly), _curve(LOSSES, val=nearly), _curve(LOSSES, scores=(0.8, 0.9, 0.91)))
    assert len({same, *others, _curve(LOSSES, val=[None] * 3)}) == 5
    # also of a formula, which may count what no loss tells, such as seconds
    made = replace(METRIC, formula="accuracy - seconds")
    assert _curve(LOSSES, metric=made) != _curve(LOSSES, metric=made, scores=(0.8, 0.7, 0.9))


def test_a_training_that_is_killed_before_its_first_epoch_has_the_curve_of_an_undisturbed_one():
    records = [
        {**_record(epoch, score), "train_loss": loss}
        for epoch, (score, loss) in enumerate(zip(COARSE, LOSSES, strict=True))
    ]
    curves = []
    for known in ([], records[:1]):  # the untrained model is recorded before the first checkpoint
        trial = _underway()
        trial.begin(0, records=known, device="cpu", strategy="loop")
        for record in records:
            trial.add_epoch(record)
        curves.append(trial.row("complete", reason="").curve)
    assert curves[0] == curves[1] != ""


@pytest.mark.parametrize(
    "losses",
    [
        [None] * 3,
        [LOSSES[0], None, LOSSES[2]],
        LOSSES[:1] * 3,  # rests
        [0.1235, 0.09877, 0.08765],  # rounded, so that small effects do not show
    ],
)
def test_no_curve_stands_for_a_training_whose_losses_would_not_show_a_difference(losses):
    assert _curve(losses) == ""


def test_a_trial_that_gave_no_result_or_was_pruned_has_no_curve_to_compare():
    trial = _underway()
    for epoch, loss in enumerate(LOSSES, 1):
        trial.add_epoch({**_record(epoch, 0.9), "train_loss": loss})
    told = {state: trial.row(state, reason="").curve != "" for state in FINISHED}
    assert [state for state in told if told[state]] == ["complete"]
