"""The contract: fixed at the first start, enforced ever after, with the test rows out of every worker's reach."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from kit import INLINE, TINY, search, trials
from omegaconf import OmegaConf
from refusals import check_told, raises

from search.config.compose import compose_experiment
from search.config.plan import read_plan
from search.contract.contract import Contract, prepare
from search.contract.fingerprint import fingerprint
from search.contract.metrics import Metric
from search.storage.folder import Folder
from trainers.data import bundled

ACCURACY = Metric(name="accuracy", direction="maximize")


def _config(*overrides, experiment="lr_sweep"):
    return compose_experiment(experiment, overrides=list(overrides), config_dir=None)


def _prepared(*overrides):
    return prepare(_config(*overrides), metric=ACCURACY)


def test_the_split_is_seven_to_three_and_stratified_and_covers_every_row_once():
    prepared = _prepared()
    split = prepared.split
    assert (len(split.folds[0].train), len(split.folds[0].val), len(split.test)) == (1005, 252, 540)
    assert sorted([*split.folds[0].train, *split.folds[0].val, *split.test]) == list(range(1797))
    shares = [
        np.bincount(part.y, minlength=10) / len(part.y)
        for part in (prepared.final.train, prepared.final.val, prepared.final.test)
    ]
    assert np.abs(shares[0] - shares[1]).max() < 0.01
    assert np.abs(shares[0] - shares[2]).max() < 0.01


def test_changing_the_seed_never_changes_the_split_and_changing_its_own_does():
    assert _prepared("seed=5").split.hash() == _prepared().split.hash()
    assert _prepared("split.seed=1").split.hash() != _prepared().split.hash()


def test_the_normaliser_knows_train_only():
    data = _prepared().final
    varying = data.train.x.std(axis=0) > 0
    assert np.abs(data.train.x.mean(axis=0)).max() < 1e-5
    assert data.train.x.std(axis=0)[varying] == pytest.approx(1, abs=1e-4)
    assert np.abs(data.val.x.mean(axis=0)).max() > 1e-3
    spans = _prepared("normalise=minmax").final
    assert spans.train.x.min() == 0
    assert spans.train.x.max() == pytest.approx(1)
    assert spans.val.x.max() > 1


def test_the_floor_is_the_share_of_the_most_frequent_class():
    prepared = _prepared()
    most = np.bincount(prepared.final.train.y).argmax()
    assert prepared.contract.floor == np.mean(prepared.final.val.y == most)


def test_a_fingerprint_sees_content_type_and_shape():
    x = np.arange(6, dtype=np.float32)
    prints = {
        fingerprint(a)
        for a in (
            x,
            x.reshape(2, 3),
            x.astype(np.float64),
            np.where(x == 3, 9, x).astype(np.float32),
        )
    }
    assert len(prints) == 4
    assert fingerprint(x) == fingerprint(x.copy())
    for kind in ("M8[s]", "m8[s]"):  # of time: moments, or seconds since the first
        assert fingerprint(x.astype(kind)) != fingerprint((2 * x).astype(kind))


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("split.seed=3", "split.seed: 0 there, 3 now"),
        ("metric=mse", "metric.name: accuracy there, mse now"),
        ("normalise=minmax", "normalise._target_: sklearn.preprocessing.StandardScaler there"),
        ("trainer.epochs=7", "trainer.epochs: 3 there, 7 now"),
        ("seed=4", "seed: 0 there, 4 now"),
        ("keep=all", "keep: best there, all now"),
    ],
)
def test_another_config_on_the_same_folder_is_refused_line_by_line_and_nothing_is_touched(
    override, line, smoke
):
    before = _state(smoke)
    done = search("smoke", *INLINE, override, cwd=smoke)
    assert done.returncode == 2
    check_told(done.stderr, "config-of-another-search", line)
    assert _state(smoke) == before


def test_what_brings_a_search_back_stands_above_the_keys_and_of_many_keys_the_first_are_told(smoke):
    back = "the words with which it goes on: trainer.epochs=3"
    for words, said in (
        (["trainer.epochs=7"], [back, "trainer.epochs: 3 there, 7 now"]),
        (
            ["data=breast_cancer", "seed=4", "split.seed=3"],
            ["chosen.data: "] + ["data."] * 4 + ["seed"],
        ),
    ):
        lines = search("smoke", *INLINE, *words, cwd=smoke).stderr.splitlines()[1:]
        assert [line.strip()[: len(start)] for line, start in zip(lines, said, strict=True)] == said
    assert " and 1 more" in lines[-1]


def test_the_test_set_of_a_search_from_before_a_key_is_opened(smoke):
    path = smoke / "results" / "smoke" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["confirm"]
    path.write_text(yaml.safe_dump(config))
    done = search("test", "smoke", cwd=smoke)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout


def test_changed_data_behind_the_same_config_are_refused_line_by_line(smoke):
    path = smoke / "results" / "smoke" / "contract.yaml"
    contract = yaml.safe_load(path.read_text())
    contract["data"]["fingerprint"] = "0" * 64
    path.write_text(yaml.safe_dump(contract))
    before = _state(smoke)
    done = search("smoke", *INLINE, cwd=smoke)
    assert done.returncode == 2
    check_told(done.stderr, "contract-differs", f"data.fingerprint: {'0' * 64} there")
    assert _state(smoke) == before


def test_what_may_differ_on_resume_may(smoke):
    done = search("smoke", *INLINE, "placement.slots=1", "placement.grace=5", cwd=smoke)
    assert done.returncode == 0, done.stderr


def test_a_changed_split_file_is_refused(smoke):
    folder = Folder(smoke / "results" / "smoke")
    with np.load(folder.split) as split:
        arrays = dict(split.items())
    arrays["train"] = arrays["train"][:-1]
    with folder.split.open("wb") as file:
        np.savez(file, **arrays)
    done = search("smoke", *INLINE, cwd=smoke)
    assert done.returncode == 2
    check_told(done.stderr, "split-was-changed", "split.npz")


def test_last_digits_of_constants_by_another_machine_are_the_same_contract_and_more_is_not(smoke):
    folder = Folder(smoke / "results" / "smoke")
    written = folder.load_contract()
    means = written["normalisation"]["mean_"]
    contract = Contract(**written)
    contract.check(_with_means(written, [mean * (1 + 1e-14) for mean in means]), where="here")
    other = [means[0], *(mean * (1 + 1e-6) for mean in means[1:])]
    first = next(place for place, mean in enumerate(other) if mean != means[place])
    with raises(
        "contract-differs", f"\n  normalisation.mean_[{first}]: {other[first]} there,"
    ) as told:
        contract.check(_with_means(written, other), where="here")
    assert len(str(told.value)) < 400  # and not a number per feature
    with raises("contract-differs", "\n  normalisation.mean_: "):
        contract.check(_with_means(written, means[:-1]), where="here")


def _with_means(contract, means):
    return {**contract, "normalisation": {**contract["normalisation"], "mean_": means}}


def test_a_missing_split_file_is_refused(smoke):
    (smoke / "results" / "smoke" / "split.npz").unlink()
    done = search("smoke", *INLINE, cwd=smoke)
    assert done.returncode == 2
    assert re.search(
        r"split\.npz: holds the split of the first start, but got FileNotFoundError: .*; restore it or use name=",
        done.stderr,
    )


def test_no_test_row_lies_in_any_file_that_a_worker_can_reach(smoke):
    sealed = _prepared().final.test
    raw = prepare(_config("normalise=none"), metric=ACCURACY).final.test
    rows = {row.tobytes() for part in (sealed, raw) for row in part.x}
    seen = 0
    for path in (smoke / "results" / "smoke").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            seen += 1
            assert not any(row in content for row in rows), path
    assert seen > 10


def test_a_trainer_that_looks_everywhere_finds_no_test_row(tmp_path):
    words = [
        "trainer._target_=toys.nosy",
        "metric=reported",
        "metric.name=accuracy",
        "metric.direction=maximize",
        "seeds=1",
        "report=off",
    ]
    data = [
        "data._target_=toys.secret",
        "data.inputs=3",
        "data.outputs=2",
        "split=predefined",
        "normalise=none",
    ]
    done = search("smoke", *words, *data, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(tmp_path / "results" / "smoke")
    assert (table.state == "complete").all()
    assert (table.value == 0).all()  # it counts what it finds
    curves = pd.read_parquet(tmp_path / "results" / "smoke" / "curves.parquet")
    assert (curves.rows_seen == 40).all()  # and it does find the other rows


@pytest.mark.slow
def test_the_conductor_keeps_no_test_rows_once_the_contract_is_made(tmp_path):
    words = ["trainer._target_=toys.rummage", "metric=reported", "metric.name=accuracy"]
    words += [
        "metric.direction=maximize",
        "seeds=1",
        "placement=inline",
        "split=kfold",
        "split.folds=2",
        "space.optimizer.lr.high=0.1",
        "space.optimizer.lr.points=2",
    ]
    done = search("smoke", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = (tmp_path / "rummaged.txt").read_text().split()
    assert len(counts) > 4, "trials, and the winner once more on all folds"
    assert set(counts) == {"0"}


def test_data_that_do_not_fit_the_config_are_refused():
    with raises("shape-differs-from-rows", "data.inputs", "64", "63"):
        _prepared("data.inputs=63")
    with raises("shape-differs-from-rows", "data.outputs", "10"):
        _prepared("data.outputs=9")
    with raises("data-not-from-function", "data._target_", "nowhere.load"):
        _prepared("data._target_=nowhere.load")
    with raises("data-not-a-dataset", "data._target_", "trainers.data.DataSet"):
        _prepared("data._target_=builtins.int")
    with raises("data-not-finite", "data.impute=mean"):
        _prepared("data._target_=toys.rotten", "data.inputs=3", "data.outputs=2")
    with raises("data-not-from-function", "data.colour"):
        _prepared("data._target_=toys.rotten", "+data.colour=red")
    with raises("data-not-from-function", "'task'", "data.task"):
        _prepared("data._target_=toys.tasked")
    with raises("unknown-choice", "'guessing'"):
        _prepared("data.task=guessing")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["split.test=1.5"],
            ("share-not-between-0-and-1", "split.test", "1.5", "0.3"),
        ),
        (
            ["split.kind=cut"],
            ("unknown-split", "'cut'"),
        ),
        (
            ["split.test=0.9999"],
            ("set-too-small", "split.test", "10", "1797"),
        ),
    ],
)
def test_a_split_that_cannot_be_is_refused(overrides, message):
    with raises(*message):
        _prepared(*overrides)


def test_own_data_are_fingerprinted_by_the_files_named_and_stratified_by_the_labels_given(tmp_path):
    rows = tmp_path / "rows.bin"
    rows.write_bytes(b"abc")
    np.save(tmp_path / "labels.npy", np.arange(100) % 4)
    words = [f"data.labels={tmp_path}/labels.npy", "data.rows=100", f"data.files=[{rows}]"]
    prepared = prepare(_config(*words, experiment="own_trainer"), metric=ACCURACY)
    assert prepared.final.train.x is None
    assert set(np.bincount(prepared.final.val.y)) == {3, 4}
    assert prepared.contract.floor is not None
    rows.write_bytes(b"abd")
    assert (
        prepare(_config(*words, experiment="own_trainer"), metric=ACCURACY).contract
        != prepared.contract
    )
    with raises("labels-differ-from-rows", "data.labels", "data.rows=99", "100"):
        prepare(_config(*words, "data.rows=99", experiment="own_trainer"), metric=ACCURACY)
    with raises("data-file-not-readable", "data.files"):
        prepare(_config("data.files=[nowhere]", experiment="own_trainer"), metric=ACCURACY)
    with raises("labels-not-npy", "data.labels", ".npy"):
        prepare(_config("data.labels=nowhere.npy", experiment="own_trainer"), metric=ACCURACY)


def test_a_config_in_the_folder_is_composed_with_its_links(smoke):
    config = OmegaConf.load(smoke / "results" / "smoke" / "config.yaml")
    assert OmegaConf.to_container(config, resolve=False)["model"]["inputs"] == "${data.inputs}"
    assert read_plan(config, root=smoke).knobs[0].path == "optimizer.lr"


def _state(cwd):
    """Name and content of everything but the lock's own file."""
    return {
        path: path.read_bytes()
        for path in (cwd / "results").rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_folds_of_a_regression_are_scored_in_the_targets_own_units(tmp_path):
    """Each fold has a scale of its own; its predictions were once mapped back by another's."""
    prepared = prepare(
        _config("data=diabetes", "split=kfold"), metric=Metric(name="mse", direction="minimize")
    )
    raw = bundled.diabetes().y
    means = set()
    for fold in prepared.folds():
        val = fold.data.val
        np.testing.assert_allclose(
            val.y * fold.units["scale"] + fold.units["mean"], raw[val.index], rtol=1e-5
        )
        means.add(fold.units["mean"][0])
    assert len(means) == 5


def test_a_floor_that_is_no_number_does_not_forbid_to_go_on(tmp_path):
    (tmp_path / "o.csv").write_text(
        "a,y\n" + "".join(f"{row},{int(row < 50)}\n" for row in range(100))
    )
    words = [
        "data=csv",
        "data.path=o.csv",
        "data.task=classification",
        "data.target=y",
        "split=ordered",
        "rehearse=false",
        "report=off",
        "metric=roc_auc",
    ]
    done = search("smoke", *words, cwd=tmp_path)
    assert done.returncode == 2
    check_told(done.stderr, "roc-auc-needs-two-classes")
    assert search("smoke", *words[:-1], "metric=log_loss", cwd=tmp_path).returncode == 0
    assert search("smoke", *words[:-1], "metric=log_loss", cwd=tmp_path).returncode == 0


def test_a_refit_that_was_cut_short_is_not_taken_for_another_winners(tmp_path):
    words = [*TINY, "split=kfold", "split.folds=3"]
    assert search(*words, cwd=tmp_path, TOY_PAUSE="0").returncode == 0
    folder = tmp_path / "results" / "own_trainer"
    weights = (folder / "best" / "weights.safetensors").read_bytes()
    trial = json.loads((folder / "best" / "provenance.json").read_text())["trial"]
    shutil.rmtree(folder / "checkpoints" / str(trial))
    shutil.rmtree(folder / "best")
    left = folder / "refit" / "99"
    left.mkdir(parents=True)
    (left / "config.yaml").write_text("of: another winner")
    again = search(*words, cwd=tmp_path, TOY_PAUSE="0")
    assert f"training trial {trial} again, on all folds" in again.stdout
    assert (folder / "best" / "weights.safetensors").read_bytes() == weights
    assert not (folder / "refit").exists()
    assert "again, on all folds" not in search(*words, cwd=tmp_path, TOY_PAUSE="0").stdout
