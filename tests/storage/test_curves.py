"""Learning curves: appended, repeated after a kill, cut at a trial's last epoch."""

import math
import os
from pathlib import Path

import pytest
from full_disk import filling

from search.storage.curves import CurveLog, read_curves, settle_curves
from search.storage.sealed import seal_line


def _record(trial, epoch, value, **more):
    return {"trial": trial, "fold": 0, "epoch": epoch, "accuracy": value, "seconds": 0.1, **more}


def _read(tmp_path, epochs=None):
    return read_curves(tmp_path / "log", tmp_path / "table", metric="accuracy", epochs=epochs)


def test_the_last_record_of_an_epoch_wins_and_columns_come_in_the_promised_order(tmp_path):
    log = CurveLog(tmp_path / "log", unfinished=[0, 1])
    for record in (
        _record(0, 1, 0.1),
        _record(1, 1, 0.5, own=3.0),
        _record(0, 1, 0.2),
        _record(0, 2, 0.3, train_loss=math.inf),
    ):
        log.append(record)
    log.close()
    frame = _read(tmp_path)
    assert list(frame.columns[:11]) == ["trial", "fold", "epoch", "step", "train_loss", "val_loss", "accuracy", "lr", "grad_norm", "update_ratio", "seconds"]  # fmt: skip
    assert frame[["trial", "epoch", "accuracy"]].to_numpy().tolist() == [
        [0, 1, 0.2],
        [0, 2, 0.3],
        [1, 1, 0.5],
    ]
    assert frame.own.tolist()[-1] == 3.0
    assert frame.train_loss.tolist()[1] == math.inf


def test_a_torn_last_line_is_cut_off_and_what_was_recorded_stays(tmp_path):
    log = CurveLog(tmp_path / "log", unfinished=[0, 1])
    log.append(_record(0, 1, 0.1))
    log.close()
    with (tmp_path / "log").open("a") as file:
        file.write('{"trial": 0, "fo')
    assert len(_read(tmp_path)) == 1
    again = CurveLog(tmp_path / "log", unfinished=[0, 1])
    again.append(_record(0, 2, 0.2))
    again.close()
    assert _read(tmp_path).accuracy.tolist() == [0.1, 0.2]


def test_a_table_and_a_later_log_are_read_as_one(tmp_path):
    log = CurveLog(tmp_path / "log", unfinished=[0, 1])
    log.append(_record(0, 1, 0.1))
    log.close()
    settle_curves(_read(tmp_path), log=tmp_path / "log", table=tmp_path / "table", unfinished=[0])
    later = CurveLog(tmp_path / "log", unfinished=[0, 1])
    assert [record["accuracy"] for record in later.records(0)] == [0.1]
    later.append(_record(0, 2, 0.2))
    assert [record["epoch"] for record in later.records(0)] == [1, 2]
    later.forget(0)
    assert later.records(0) == []
    later.close()
    assert _read(tmp_path).accuracy.tolist() == [0.1, 0.2]


def test_the_log_goes_only_once_its_records_are_on_the_disk_elsewhere(tmp_path, monkeypatch):
    synced, whole = [], os.fsync

    def sync(file):
        synced.append((Path(f"/proc/self/fd/{file}").resolve().name, (tmp_path / "log").exists()))
        whole(file)

    monkeypatch.setattr(os, "fsync", sync)
    for unfinished in ([1], []):
        log = CurveLog(tmp_path / "log", unfinished=[])
        log.append(_record(1, 1, 0.1))
        log.close()
        paths = {"log": tmp_path / "log", "table": tmp_path / "table"}
        settle_curves(_read(tmp_path), **paths, unfinished=unfinished)
    assert synced == [("table.new", True), ("log.new", True), ("table.new", True)]


def test_a_resumed_trials_records_keep_nan_apart_from_what_was_never_told(tmp_path):
    """A trial without losses was once taken for diverged when it went on, and one that had diverged for a sound one."""
    log = CurveLog(tmp_path / "log", unfinished=[])
    log.append(_record(0, 1, 0.1))
    log.append(_record(1, 1, math.nan, train_loss=math.nan))
    log.append(_record(5, 1, 0.5, train_loss=2.0))
    log.close()
    settle_curves(
        _read(tmp_path), log=tmp_path / "log", table=tmp_path / "table", unfinished=[0, 1]
    )
    later = CurveLog(tmp_path / "log", unfinished=[0, 1])
    assert later.records(0) == [_record(0, 1, 0.1)]
    (diverged,) = later.records(1)
    assert math.isnan(diverged["accuracy"])
    assert math.isnan(diverged["train_loss"])
    assert later.records(5) == []
    later.close()
    assert len(_read(tmp_path)) == 3


def test_records_behind_a_trials_last_epoch_and_of_unknown_trials_are_dropped(tmp_path):
    log = CurveLog(tmp_path / "log", unfinished=[0, 1])
    for record in (_record(0, 1, 0.1), _record(0, 2, 0.2), _record(7, 1, 0.3)):
        log.append(record)
    log.close()
    assert _read(tmp_path, epochs={0: 1}).accuracy.tolist() == [0.1]


def test_without_records_there_is_an_empty_table(tmp_path):
    frame = _read(tmp_path)
    assert len(frame) == 0
    assert "accuracy" in frame


def test_a_full_disk_is_told_and_what_it_refused_begins_within_no_line_later(tmp_path, monkeypatch):
    log = CurveLog(tmp_path / "log", unfinished=[0, 1])
    log.append(_record(0, 1, 0.1))
    with monkeypatch.context() as full:
        filling(full, room=20)
        with pytest.raises(OSError, match="No space left on device"):
            log.flush()
    log.close()
    assert (tmp_path / "log").read_bytes() == seal_line(_record(0, 1, 0.1))[:20]
    again = CurveLog(tmp_path / "log", unfinished=[0, 1])
    again.append(_record(0, 2, 0.2))
    again.close()
    assert _read(tmp_path).accuracy.tolist() == [0.2]


def test_folds_of_unequal_size_have_a_mean_of_whole_steps(tmp_path):
    log = CurveLog(tmp_path / "log", unfinished=())
    log.append({"trial": 0, "fold": -1, "epoch": 1, "step": 11.333, "accuracy": 0.5})
    log.close()
    frame = read_curves(tmp_path / "log", tmp_path / "none", metric="accuracy")
    assert frame["step"].tolist() == [11]
