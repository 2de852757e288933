"""Checkpoints: what goes in comes out, the disk is never ahead of the records, and the best epoch's weights stay."""

import os
import sys
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from trainers import state as states
from trainers.checkpoint import BEST, LAST, PREVIOUS, WEIGHTS, FolderCheckpoint, TrialCheckpoint
from trainers.snapshots import wave_ends


def _model(value):
    return {"model": {"w": torch.full((2, 2), float(value))}, "step": value}


def test_equal_weights_are_equal_files():
    assert len({states.weights(_model(1)) for _ in range(32)}) == 1
    assert len({states.weights(_model(value)) for value in range(3)}) == 3


def test_a_state_comes_back_as_it_was():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, betas=(0.8, 0.9))
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "numpy": np.arange(3.0),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "rng": torch.get_rng_state(),
        "nested": [1, (2.5, None, "x"), {"a": True}],
        "scalar": np.float32(0.5),
        "empty": torch.zeros(0),
        "names": np.array(["cat", "dog"]),
        "big-endian": np.array([1.5, 2.0], ">f8"),
        "backwards": np.arange(4)[::-1],
        "sparse": torch.eye(3).to_sparse(),
    }
    back = states.load(states.dump(state))
    for name in ("names", "big-endian", "backwards"):
        assert np.array_equal(back[name], state[name])
    assert torch.equal(back["sparse"].to_dense(), torch.eye(3))
    for name, tensor in state["model"].items():
        assert torch.equal(back["model"][name], tensor)
    moments = back["optimizer"]["state"][0]
    assert torch.equal(moments["exp_avg"], state["optimizer"]["state"][0]["exp_avg"])
    assert back["optimizer"]["param_groups"][0]["betas"] == (0.8, 0.9)
    torch.optim.Adam(model.parameters()).load_state_dict(back["optimizer"])
    assert back["nested"] == [1, (2.5, None, "x"), {"a": True}]
    assert (back["numpy"] == np.arange(3.0)).all()
    assert torch.equal(back["half"], state["half"])
    assert torch.equal(back["rng"], state["rng"])
    assert back["scalar"] == 0.5


def test_tensors_that_share_memory_are_saved_each():
    shared = torch.ones(3)
    back = states.load(states.dump({"a": shared, "b": shared}))
    assert torch.equal(back["a"], back["b"])


def test_a_copy_stays_as_it_was_taken_also_where_a_trainer_needs_no_torch(monkeypatch):
    arrays, tensor = np.zeros(2), torch.zeros(2)
    copies = [states.copy({"model": [arrays, tensor]})["model"]]
    monkeypatch.delitem(sys.modules, "torch")
    copies.append(states.copy({"model": [arrays]})["model"])
    arrays += 1
    tensor += 1
    assert not any(part.any() for parts in copies for part in parts)


def _odd(make, *arguments):
    """A tensor whose kind torch calls unfinished, or old, when it is made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*arguments)


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (lambda: 0, "function"),
        (np.array([None, 1]), "an array of object"),
        (torch.zeros(1, dtype=torch.complex128), r"a tensor of torch\.complex128"),
        (
            _odd(torch.quantize_per_tensor, torch.ones(1), 0.1, 0, torch.qint8),
            "a tensor of torch.qint8.*quantized",
        ),
        (
            _odd(torch.nested.as_nested_tensor, [torch.ones(1), torch.ones(2)]),
            "a tensor of torch.float32.*nested",
        ),
    ],
)
def test_what_cannot_be_saved_is_named_with_its_place_at_the_first_save(value, got, tmp_path):
    rule = rf"checkpoint\.save: state\.model\.hook must hold tensors.*but got {got}.*; turn it into"
    with pytest.raises(TypeError, match=rule):
        FolderCheckpoint(tmp_path).save({"model": {"hook": value}}, epoch=1)


def test_a_save_counts_only_when_its_epoch_has_been_recorded(tmp_path):
    checkpoint = FolderCheckpoint(tmp_path / "0")
    checkpoint.save(_model(1), epoch=1)
    checkpoint.flush()
    assert not (tmp_path / "0" / LAST).exists()
    checkpoint.confirm(1, best_epoch=1)
    checkpoint.flush()
    again = FolderCheckpoint(tmp_path / "0")
    assert again.epoch == 1
    assert again.load()["step"] == 1


def test_a_save_after_the_yield_counts_at_once(tmp_path):
    checkpoint = FolderCheckpoint(tmp_path / "0")
    checkpoint.confirm(1, best_epoch=1)
    checkpoint.save(_model(1), epoch=1)
    checkpoint.flush()
    assert FolderCheckpoint(tmp_path / "0").epoch == 1


def test_the_best_epochs_weights_stay_when_the_trial_ends(tmp_path):
    checkpoint = FolderCheckpoint(tmp_path / "0")
    for epoch, best in ((1, 1), (2, 2), (3, 2)):
        checkpoint.save(_model(epoch), epoch=epoch)
        checkpoint.confirm(epoch, best_epoch=best)
    checkpoint.finish()
    assert torch.equal(load_file(tmp_path / "0" / WEIGHTS)["w"], torch.full((2, 2), 2.0))
    assert [path.name for path in (tmp_path / "0").iterdir()] == [WEIGHTS]


def test_the_best_survives_a_kill_between_it_and_the_end(tmp_path):
    checkpoint = FolderCheckpoint(tmp_path / "0")
    for epoch, best in ((1, 1), (2, 1)):
        checkpoint.save(_model(epoch), epoch=epoch)
        checkpoint.confirm(epoch, best_epoch=best)
        checkpoint.flush()
    resumed = FolderCheckpoint(tmp_path / "0")
    resumed.save(_model(3), epoch=3)
    resumed.confirm(3, best_epoch=1)
    resumed.finish()
    assert load_file(tmp_path / "0" / WEIGHTS)["w"][0, 0] == 1.0


def test_weights_of_another_epoch_than_the_best_are_not_passed_off_as_the_best(tmp_path):
    checkpoint = FolderCheckpoint(tmp_path / "0")
    checkpoint.save(_model(2), epoch=2)
    checkpoint.confirm(2, best_epoch=2)
    checkpoint.confirm(3, best_epoch=3)  # the trainer saves every other epoch only
    checkpoint.finish()
    assert not (tmp_path / "0" / WEIGHTS).exists()


def test_another_trainings_files_are_never_taken_for_ones_own(tmp_path):
    mine, other = (states.owner(trial=trial, seed=0) for trial in (1, 2))
    for of in (mine, other):
        checkpoint = FolderCheckpoint(tmp_path / of, of=of)
        checkpoint.save(_model(1), epoch=1)
        checkpoint.confirm(1, best_epoch=1)
        checkpoint.flush()
    assert FolderCheckpoint(tmp_path / mine, of=mine).epoch == 1
    assert FolderCheckpoint(tmp_path / mine).epoch == 1
    (tmp_path / other / LAST).replace(tmp_path / mine / LAST)
    afresh = FolderCheckpoint(tmp_path / mine, of=mine)
    assert afresh.epoch == 0
    assert "is damaged (it is another training's)" in afresh.damage

    weights = tmp_path / WEIGHTS
    weights.write_bytes(states.weights(_model(1), of=other))
    states.check_weights(weights, of=other)
    with pytest.raises(ValueError, match="must hold its own trial's weights, but got another's"):
        states.check_weights(weights, of=mine)
    weights.write_bytes(states.owned(weights.read_bytes(), of=mine))
    states.check_weights(weights, of=mine)
    assert weights.read_bytes() == states.weights(_model(1), of=mine)


def test_crash_checkpoints_keep_their_distance(tmp_path):
    checkpoint = TrialCheckpoint(tmp_path / "0", folds=1, every=3600)
    checkpoint.parts[0].save(_model(1), epoch=1)
    checkpoint.confirm(1, best_epoch=1)
    assert not (tmp_path / "0").exists()
    checkpoint.flush()
    assert {path.name for path in (tmp_path / "0").iterdir()} == {LAST, BEST}
    eager = TrialCheckpoint(tmp_path / "1", folds=1, every=0.0)
    eager.parts[0].save(_model(1), epoch=1)
    eager.confirm(1, best_epoch=1)
    assert (tmp_path / "1" / LAST).exists()


@pytest.mark.parametrize(("count", "share"), [(1, 0.02), (32, 0.1)])
def test_trials_side_by_side_write_for_a_tenth_of_the_time_together(
    count, share, tmp_path, monkeypatch
):
    now = 0.0

    def sync(_):
        nonlocal now
        now += 0.01  # of two for each file, its own and its folder's

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr("trainers.checkpoint.time", SimpleNamespace(monotonic=lambda: now))
    trials = [TrialCheckpoint(tmp_path / str(n), folds=1, every=1.0) for n in range(count)]
    for epoch in range(1, 2001):
        now += 0.05
        for each in trials:
            each.parts[0].save(_model(epoch), epoch=epoch)
            each.confirm(epoch, best_epoch=1, trials=count)
    assert 0.8 * share < (now - 2000 * 0.05) / now < 1.2 * share


@pytest.mark.parametrize("written", [1, 2])
def test_folds_go_on_from_an_epoch_that_all_of_them_have(written, tmp_path):
    """A kill between two folds' writes leaves them at different epochs."""
    checkpoint = TrialCheckpoint(tmp_path, folds=3, every=3600)
    for epoch in (1, 2):
        for part in checkpoint.parts:
            part.save(_model(epoch), epoch=epoch)
        checkpoint.confirm(epoch, best_epoch=1)
        for part in checkpoint.parts if epoch == 1 else checkpoint.parts[:written]:
            part.flush()
    resumed = TrialCheckpoint(tmp_path, folds=3, every=3600)
    assert resumed.epoch == 1
    assert [part.load()["step"] for part in resumed.parts] == [1, 1, 1]
    for part in resumed.parts:
        part.save(_model(2), epoch=2)
    resumed.confirm(2, best_epoch=1)
    resumed.parts[0].flush()  # killed again between two folds' writes
    assert TrialCheckpoint(tmp_path, folds=3, every=3600).epoch == 1
    (tmp_path / "fold-2" / LAST).unlink()
    afresh = TrialCheckpoint(tmp_path, folds=3, every=3600)
    assert afresh.epoch == 0
    assert [part.load() for part in afresh.parts] == [None, None, None]


def test_two_tensors_of_one_dotted_path_are_kept_apart():
    from trainers import state as states

    mixed = {"a.b": np.array([1.0]), "a": {"b": np.array([2.0])}}
    back = states.load(states.dump(mixed))
    assert (back["a.b"][0], back["a"]["b"][0]) == (1.0, 2.0)


@settings(max_examples=60)
@given(st.sampled_from([LAST, BEST]), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_a_checkpoint_means_a_fresh_start_or_changes_nothing(
    name, at, bit
):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        checkpoint = FolderCheckpoint(folder)
        for epoch in (1, 2):
            checkpoint.save({**_model(epoch), "rng": np.arange(30)}, epoch=epoch)
            checkpoint.confirm(epoch, best_epoch=1)
            checkpoint.flush()
        content = bytearray((folder / name).read_bytes())
        content[int(at * len(content))] ^= 1 << bit
        (folder / name).write_bytes(content)
        again = FolderCheckpoint(folder)
        if again.epoch == 0:
            assert again.load() is None
            assert name in again.damage
        else:
            assert torch.equal(again.load()["model"]["w"], _model(2)["model"]["w"])
            assert (again.load()["rng"] == np.arange(30)).all()


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"{}", b"\xff" * 100])
def test_a_strange_checkpoint_of_one_fold_sends_all_folds_back_to_an_epoch_that_they_share(
    content, tmp_path
):
    trial = TrialCheckpoint(tmp_path, folds=2, every=0)
    for epoch in (1, 2, 3):
        for part in trial.parts:
            part.save(_model(epoch), epoch=epoch)
        trial.confirm(epoch, best_epoch=3)
        trial.flush()
    (tmp_path / "fold-1" / LAST).write_bytes(content)
    again = TrialCheckpoint(tmp_path, folds=2, every=0)
    assert [part.epoch for part in again.parts] == [2, 2]
    (tmp_path / "fold-1" / LAST).write_bytes(content)
    (tmp_path / "fold-1" / PREVIOUS).unlink(missing_ok=True)
    assert [part.epoch for part in TrialCheckpoint(tmp_path, folds=2, every=0).parts] == [0, 0]


def test_a_checkpoint_without_a_checksum_of_an_earlier_version_is_read(tmp_path):
    (tmp_path / LAST).write_bytes(states.dump({"epoch": 4, "state": _model(4)}))
    assert FolderCheckpoint(tmp_path).epoch == 4


def test_a_disk_that_refuses_a_checkpoint_leaves_the_older_one_and_no_rest(tmp_path, monkeypatch):
    checkpoint = FolderCheckpoint(tmp_path)
    checkpoint.save(_model(1), epoch=1)
    checkpoint.confirm(1, best_epoch=1)
    checkpoint.flush()

    def refuses(number):
        raise OSError(28, "No space left on device")

    checkpoint.save(_model(2), epoch=2)
    checkpoint.confirm(2, best_epoch=1)
    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.flush()
    assert FolderCheckpoint(tmp_path).epoch == 1
    assert not list(tmp_path.glob("*.new"))


RESTARTS = "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts"


@pytest.mark.parametrize(
    ("schedule", "epochs", "ends"),
    [
        ({"_target_": RESTARTS, "T_0": 7, "T_mult": 2}, 50, {7, 21, 49}),
        ({"_target_": RESTARTS, "T_0": 5}, 14, {5, 10}),
        ({"_target_": RESTARTS, "T_0": 7, "interval": "step"}, 50, set()),
        ({"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 50}, 50, set()),
        (None, 50, set()),
    ],
)
def test_waves_end_where_the_rate_is_lowest_before_it_starts_again(schedule, epochs, ends):
    assert wave_ends({"schedule": schedule, "trainer": {"epochs": epochs}}) == ends
    for end in ends:  # torch's own rates agree
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        keys = {"T_0": schedule["T_0"], "T_mult": schedule.get("T_mult", 1)}
        waves = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, **keys)
        rates = [optimizer.param_groups[0]["lr"]]
        for _ in range(end):
            optimizer.step()
            waves.step()
            rates.append(optimizer.param_groups[0]["lr"])
        assert rates[end] == 1.0
        assert rates[end - 1] == min(rates[:end])


def test_snapshots_stay_beside_the_best_epochs_weights_also_after_a_kill(tmp_path):
    config = {"schedule": {"_target_": RESTARTS, "T_0": 2}, "trainer": {"epochs": 5}}
    for last in (3, 6):  # a kill in between
        checkpoint = TrialCheckpoint(tmp_path, folds=1, every=0.0)
        checkpoint.keep_snapshots(config)
        for epoch in range(checkpoint.epoch + 1, last + 1):
            checkpoint.parts[0].save(_model(epoch), epoch=epoch)
            checkpoint.confirm(epoch, best_epoch=5 if epoch >= 5 else epoch)
    checkpoint.keep("complete")
    kept = {path.name: float(load_file(path)["w"][0, 0]) for path in tmp_path.glob("*.safetensors")}
    assert kept == {WEIGHTS: 5.0, "snapshot-2.safetensors": 2.0, "snapshot-4.safetensors": 4.0}
