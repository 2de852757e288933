"""Sequences of different lengths: padding never counts, token ids stay whole, bad lengths are named."""

import gc
import re
import weakref
from types import FrameType

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from refusals import raises
from torch import nn

from search.config.compose import compose_experiment
from search.contract.arrays import read_folds, write_folds
from search.contract.contract import prepare
from search.contract.dataset import completed, load_rows
from search.contract.metrics import Metric, constant_score, scores
from search.diagnostics.preflight import learning, sets
from trainers.api import IGNORED, Data, Epoch
from trainers.augment import Flip, Noise, check_fits
from trainers.callable import open_seats
from trainers.checkpoint import FolderCheckpoint, Unsaved
from trainers.data import toys
from trainers.dry_run import rehearse
from trainers.losses import Focal
from trainers.models.recurrent import KINDS as CELLS
from trainers.models.recurrent import Recurrent
from trainers.models.steps import POOLS
from trainers.models.transformer import Transformer
from trainers.probes.padding import padding_counts
from trainers.probes.subject import Subject
from trainers.seat import Seat
from trainers.stock import Stock, predict

ACCURACY = Metric(name="accuracy", direction="maximize")
STOCK = {"_target_": "trainers.stock.Stock", "batch_size": 8}
SIZES = {"outputs": 3, "width": 8, "depth": 1, "dropout": 0.0}


def _node(path, **keys):
    kind = "npz" if path.endswith("npz") else "table"
    node = {"_target_": f"trainers.data.{kind}.load", "path": path, "task": "tagging"}
    return OmegaConf.create({**node, "inputs": None, "outputs": None, "impute": None, **keys})


def _config(data, **keys):
    split = {"kind": "holdout", "test": 0.3, "val": 0.25, "seed": 0}
    scaler = {"_target_": "sklearn.preprocessing.StandardScaler", "target": True}
    return OmegaConf.create({"data": data, "split": split, "normalise": scaler, **keys})


def _tagged(rows=40, longest=7, *, extra=0, fill=0, features=2, seed=0):
    """Sequences with a label per step, and `extra` padded steps whose content is `fill`."""
    dice = np.random.default_rng(seed)
    lengths = dice.integers(1, longest + 1, rows)
    lengths[:2] = longest
    x = np.full((rows, longest + extra, features), float(fill))
    y = np.full((rows, longest + extra), int(fill))
    for row, length in enumerate(lengths):
        x[row, :length] = dice.normal(3.0, 5.0, (length, features))
        y[row, :length] = dice.integers(0, 3, length)
    return {"x": x, "y": y, "lengths": lengths}


def _prepared(name, arrays, **keys):
    np.savez(name, **arrays)
    return prepare(_config(_node(name, **keys)), metric=ACCURACY)


def _model(kind, *, steps, task="tagging", **keys):
    sizes = {**SIZES, "inputs": 2 * steps, "features": 2, "task": task, **keys}
    torch.manual_seed(0)
    if kind == "transformer":
        return Transformer(heads=2, **sizes).eval()
    return Recurrent(cell=kind, **sizes).eval()


# The contract


@settings(max_examples=15)
@given(st.integers(0, 5), st.sampled_from([0, 1, -7, 1e6, float("nan")]))
def test_content_and_amount_of_padding_change_nothing_that_is_trained_on(extra, fill):
    plain = _prepared("a.npz", _tagged())
    other = _tagged(extra=extra)
    ends = np.arange(other["x"].shape[1]) >= other["lengths"][:, None]
    other["x"][ends], other["y"][ends] = fill, 99
    changed = _prepared("b.npz", other)
    assert changed.contract.data == plain.contract.data
    assert changed.contract.floor == plain.contract.floor
    for one, two in (
        (plain.final.train, changed.final.train),
        (plain.final.test, changed.final.test),
    ):
        for key in ("x", "y", "lengths"):
            assert np.array_equal(getattr(one, key), getattr(two, key))


def test_normalisation_is_fitted_on_the_real_steps_of_train_alone():
    arrays = _tagged(rows=60)
    made = _prepared("a.npz", arrays)
    train, lengths = made.split.rest, arrays["lengths"]
    steps = np.concatenate([arrays["x"][row, : lengths[row]] for row in train])
    constants = made.contract.normalisation
    assert constants["mean_"] == pytest.approx(steps.mean(axis=0))
    assert constants["scale_"] == pytest.approx(steps.std(axis=0))
    part = made.final.train
    real = np.arange(part.x.shape[1]) < part.lengths[:, None]
    assert part.x[real].mean(axis=0) == pytest.approx(0, abs=1e-6)
    assert not part.x[~real].any()
    assert (part.y[~real] == IGNORED).all()


def test_token_ids_stay_whole_and_reach_the_workers_as_ids(tmp_path):
    arrays = _tagged(features=1)
    arrays["x"] = np.abs(arrays["x"][:, :, 0]).astype(int) % 9
    made = _prepared("t.npz", arrays, vocabulary=9)
    assert made.contract.normalisation == {"kind": "none"}
    write_folds(tmp_path / "arrays", made.folds(), stamp="s")
    (fold,) = read_folds(tmp_path / "arrays")
    assert fold.data.train.tokens
    assert fold.data.train.x.dtype == np.int64
    assert np.array_equal(fold.data.train.lengths, made.final.train.lengths)
    stock = Stock(data=fold.data, device="cpu")
    assert stock.sets[0][0].dtype == torch.long


@pytest.mark.parametrize("split", ["holdout", "kfold"])
def test_time_that_orders_steps_is_no_reason_to_refuse_a_split(split, tmp_path):
    rows = [(who, when, who + when, "ab"[when % 2]) for who in range(12) for when in (2, 0, 1)]
    path = tmp_path / "t.csv"
    pd.DataFrame(rows, columns=["who", "t", "v", "tag"]).to_csv(path, index=False)
    words = [f"data.path={path}", "data.target=tag", "data.sequence=who", "data.time=t"]
    config = compose_experiment(
        "lr_sweep", overrides=["data=csv", "data.task=tagging", *words, f"split={split}"],
        config_dir=None,
    )  # fmt: skip
    prepared = prepare(config, metric=Metric(name="accuracy", direction="maximize"))
    assert len(prepared.final.train.x) + len(prepared.final.test.x) <= 12


def test_steps_of_a_table_stand_by_their_time_where_it_is_named():
    """A file in another order gives the same sequences; one moment for all keeps the file's."""
    frame = pd.DataFrame({"who": list("ppqqp"), "t": [1, 2, 1, 2, 3], "a": [1.0, 2, 3, 4, 5]})
    frame["tag"] = list("xyxyx")
    frame.iloc[[1, 3, 4, 0, 2]].to_csv("t.csv", index=False)
    rows = load_rows(_node("t.csv", target="tag", sequence="who", time="t")).data
    assert rows.x.tolist() == [[1, 2, 5], [3, 4, 0]]
    assert rows.y.tolist() == [[0, 1, 0], [0, 1, IGNORED]]
    frame.assign(t=1).iloc[[1, 3, 4, 0, 2]].to_csv("t.csv", index=False)
    assert load_rows(_node("t.csv", target="tag", sequence="who", time="t")).data.x[0].tolist() == [2, 5, 1]  # fmt: skip


def test_a_real_step_without_a_label_counts_as_padding_does():
    y = np.array([[0, IGNORED, 1], [2, 1, IGNORED]])
    for lengths in ({}, {"lengths": np.array([3, 3])}):
        np.savez("t.npz", x=np.ones((2, 3)), y=y, **lengths)
        rows = load_rows(_node("t.npz"))
        assert (rows.classes, rows.data.y.tolist()) == ((), y.tolist())
    np.savez("t.npz", x=np.ones((2, 3)), y=[[0, 1, 2], [IGNORED] * 3])
    with raises("sequence-without-labels", "-100"):  # fmt: skip
        load_rows(_node("t.npz"))
    np.savez("t.npz", x=np.ones((3, 3)), y=[0, 1, IGNORED])
    with raises("class-means-no-label", "-100"):  # fmt: skip
        load_rows(_node("t.npz", task="classification"))


def test_sequences_of_a_table_are_those_of_an_array(tmp_path):
    arrays = _tagged(rows=30)
    steps = [
        {"who": f"s{row}", "a": x[0], "b": x[1], "tag": "uvw"[y], "odd": "no" if row % 2 else "yes"}
        for row, (xs, ys, length) in enumerate(zip(*arrays.values(), strict=True))
        for x, y in zip(xs[:length], ys[:length], strict=True)
    ]
    pd.DataFrame(steps).to_csv("t.csv", index=False)
    pd.DataFrame(steps).to_parquet("t.parquet")
    np.savez("t.npz", **arrays)
    array = load_rows(_node("t.npz"))
    for path in ("t.csv", "t.parquet"):
        table = load_rows(_node(path, target="tag", sequence="who", drop=["odd"]))
        assert table.classes == ("u", "v", "w")
        assert np.array_equal(table.data.y, array.data.y)
        assert np.allclose(table.data.x, array.data.x)
        assert np.array_equal(table.data.lengths, arrays["lengths"])
    one = load_rows(
        _node("t.csv", target="odd", sequence="who", drop=["tag"], task="classification")
    )
    assert one.data.y.tolist() == [1, 0] * 15
    whole = completed(_config(_node("t.csv", target="tag", sequence="who", drop=["odd"])))
    assert (whole.data.inputs, whole.data.features, whole.data.steps) == (14, 2, 7)


def test_a_row_of_a_table_may_be_a_sequence_with_a_column_of_its_length():
    text = "a,b,c,t1,t2,t3,n\n1,2,3,x,y,x,3\n4,,,y,,,1\n5,6,,x,x,,2\n7,8,9,y,y,y,3\n"
    with open("wide.csv", "w") as file:
        file.write(text)
    rows = load_rows(_node("wide.csv", target=["t1", "t2", "t3"], length="n"))
    assert rows.data.lengths.tolist() == [3, 1, 2, 3]
    assert rows.data.x.tolist()[1] == [4, 0, 0]
    assert rows.data.y.tolist() == [
        [0, 1, 0], [1, IGNORED, IGNORED], [0, 0, IGNORED], [1, 1, 1],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        ({"lengths": np.array([0, 3, 2])}, {}, ("length-out-of-range",)),
        ({"lengths": np.array([1, 4, 2])}, {}, ("length-out-of-range",)),
        ({"lengths": np.array([1, 2.5, 2])}, {}, ("lengths-not-whole", "float64")),
        ({"lengths": np.array([1, 2])}, {}, ("lengths-differ-from-rows",)),
        ({"y": np.zeros(3, dtype=int)}, {}, ("tagging-needs-step-labels",)),
        ({}, {"vocabulary": 2}, ("token-id-outside-vocabulary", "data.vocabulary=2")),
        ({"x": np.arange(9.0).reshape(3, 3) / 2}, {"vocabulary": 9}, ("token-id-outside-vocabulary", "data.vocabulary=9", "0.5")),
        ({}, {"outputs": 9}, ("shape-differs-from-rows", "data.outputs")),
        ({"x": np.ones((3, 3, 2, 2))}, {}, ("sequences-have-wrong-shape",)),
        ({"x": np.ones((3, 3, 2))}, {"vocabulary": 9}, ("token-ids-have-wrong-shape", "(3, 3, 2)")),
    ],
)  # fmt: skip
def test_bad_sequences_are_named(change, keys, message):
    arrays = {"x": np.arange(9).reshape(3, 3), "y": np.arange(9).reshape(3, 3) % 3, "lengths": np.array([3, 3, 3])}  # fmt: skip
    np.savez("bad.npz", **{**arrays, **change})
    with raises(*message):
        load_rows(_node("bad.npz", **keys))


def test_sequences_that_look_padded_without_lengths_are_said_and_others_and_those_with_lengths_not():
    dice = np.random.default_rng(0)
    arrays = {"x": dice.integers(1, 5, (60, 9)), "y": dice.integers(0, 2, 60)}
    lengths = dice.integers(1, 9, 60)

    def notes(**more):
        np.savez("ids.npz", **{**arrays, **more})
        return load_rows(_node("ids.npz", task="classification", vocabulary=5)).data.notes

    assert notes() == ()
    arrays["x"] = np.where(np.arange(9) < lengths[:, None], arrays["x"], 0)
    (note,) = notes()
    assert "each sequence has 9 real steps, but 88% of them end in the id 0 twice" in note
    assert notes(lengths=lengths) == ()


@pytest.mark.parametrize("width", [6, 8])
def test_numbers_per_step_are_no_regression_per_sequence_and_outputs_of_whole_sequences_are(width):
    arrays = _tagged(rows=20, longest=6, extra=2)
    arrays["y"] = np.random.default_rng(0).normal(size=(20, width))
    arrays["y"][np.arange(width) >= arrays["lengths"][:, None]] = 0.0
    np.savez("numbers.npz", **arrays)
    with raises("one-answer-per-sequence", "y", "sequence 0", "data.task=step_regression"):
        load_rows(_node("numbers.npz", task="regression"))
    assert load_rows(_node("numbers.npz", task="step_regression")).data.y.shape == (20, 1, 6)
    np.savez("outputs.npz", **arrays | {"y": np.random.default_rng(0).normal(size=(20, 6))})
    assert load_rows(_node("outputs.npz", task="regression")).outputs == 6


def test_a_search_keeps_no_rows_but_those_of_its_parts():
    np.savez("kept.npz", x=np.random.default_rng(0).normal(size=(60, 4)), y=np.arange(60.0))
    split, node = {"kind": "kfold", "test": 0.3, "folds": 3}, _node("kept.npz", task="regression")
    config = OmegaConf.create({"data": node, "split": split, "normalise": {}})
    OmegaConf.set_struct(config, True)  # as Hydra composes it: a missing key raises inside of it
    gc.collect()
    gc.disable()
    try:
        whole = weakref.ref(prepare(config, metric=Metric(name="mse", direction="minimize")).final)
        assert whole() is None
        frames = [each for each in gc.get_objects() if type(each) is FrameType]
        names = {frame.f_code.co_name for frame in frames}
    finally:
        gc.enable()
    assert not names & {"prepare", "load_rows", "make_split", "fit_scaling", "scaled"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sequence": "who", "length": "n"}, ("data-cannot-be-read", "data.length", "data.sequence")),
        ({"sequence": "who", "task": "classification", "drop": ["n", "gap"]}, ("one-answer-per-sequence", "data.task=tagging")),
        ({"sequence": "gap", "drop": ["who"]}, ("data-cannot-be-read", "t.csv")),
        ({"length": "gap"}, ("data-cannot-be-read", "'gap'", "data.length")),
        ({"sequence": "who", "groups": "n", "drop": ["gap"]}, ("data-cannot-be-read", "t.csv", "'p'")),
    ],
)  # fmt: skip
def test_bad_tables_of_sequences_are_named(keys, message):
    with open("t.csv", "w") as file:
        file.write("a,tag,who,n,gap\n1,x,p,1,1\n2,y,p,2,\n3,x,q,1,2\n")
    with raises(*message):
        load_rows(_node("t.csv", target="tag", **keys))


# Models and losses


@settings(max_examples=25)
@given(
    st.sampled_from([*CELLS, "transformer"]),
    st.sampled_from([*POOLS, "none"]),
    st.booleans(),
    st.integers(0, 4),
    st.floats(-1e3, 1e3),
)
def test_padding_changes_no_output(kind, pool, bidirectional, extra, fill):
    task = "tagging" if pool == "none" else "classification"
    keys = {} if kind == "transformer" else {"bidirectional": bidirectional}
    if kind != "transformer" and pool != "none":
        keys["pool"] = pool
    model, lengths = _model(kind, steps=9, task=task, **keys), torch.tensor([5, 1, 3])
    x = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(1))
    real = torch.arange(5 + extra) < lengths[:, None]
    wider = torch.cat([x, torch.zeros(3, extra, 2)], dim=1)
    wider[~real] = fill
    with torch.no_grad():
        plain, padded = model(x, lengths), model(wider, lengths)
    if task == "tagging":
        plain, padded = plain.movedim(1, 2)[real[:, :5]], padded.movedim(1, 2)[real]
    assert torch.allclose(plain, padded, atol=1e-6)
    if task != "tagging":  # and the outputs are those of the sequence alone
        for row, length in enumerate(lengths):
            alone = model(x[row : row + 1, :length])
            assert torch.allclose(alone[0], padded[row], atol=1e-5)


def test_losses_and_metrics_are_over_real_steps_alone():
    logits = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0))
    y = torch.randint(3, (4, 6), generator=torch.Generator().manual_seed(1))
    real = torch.arange(6) < torch.tensor([6, 2, 1, 4])[:, None]
    masked = y.masked_fill(~real, IGNORED)
    flat, labels = logits.movedim(1, 2)[real], y[real]
    for loss in (nn.CrossEntropyLoss(), Focal(gamma=2.0), Focal(gamma=1.0, weights=[1, 2, 3])):
        assert loss(logits, masked) == pytest.approx(float(loss(flat, labels)), abs=1e-6)
    logits = logits.movedim(1, 2).masked_fill(~real[:, :, None], float("nan")).movedim(2, 1)
    for name in ("accuracy", "log_loss", "f1", "balanced_accuracy"):
        metric = Metric(name=name, direction="maximize")
        steps = scores(metric, targets=labels.numpy(), kind="predictions", output=flat.numpy())
        whole = scores(metric, targets=masked.numpy(), kind="predictions", output=logits.numpy())
        assert whole == steps
    exact = Metric(name="sequence_accuracy", direction="maximize")
    labels = y.clone()
    labels[0, 0] = (labels[0, 0] + 1) % 3
    assert scores(exact, targets=masked.numpy(), kind="labels", output=labels.numpy()) == {
        "sequence_accuracy": 0.75
    }


def test_the_floor_of_tagging_is_that_of_one_label_at_every_step():
    train = np.array([[0, 0, 1], [0, IGNORED, IGNORED]])
    val = np.array([[0, 1, IGNORED], [0, 0, 0]])
    floors = {
        name: constant_score(
            Metric(name=name, direction="maximize"), task="tagging", train=train, val=val
        )
        for name in ("accuracy", "sequence_accuracy", "log_loss")
    }
    assert floors["accuracy"] == 0.8
    assert floors["sequence_accuracy"] == 0.5
    assert floors["log_loss"] == pytest.approx(-(4 * np.log(0.75) + np.log(0.25)) / 5)


def _training(model):
    return {
        "seed": 0,
        "model": model,
        "loss": {"_target_": "torch.nn.CrossEntropyLoss", "label_smoothing": 0.1},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
        "trainer": {"epochs": 1, "batch_size": 8},
    }


def _trained(rows, *, extra=0, epochs=2, model=None):
    """Values of the epochs of a training on these rows with `extra` steps of padding more."""
    sets = []
    for x, y, lengths in rows:
        more = torch.full((len(x), extra, x.shape[2]), 7.0)
        labels = torch.full((len(x), extra), IGNORED)
        sets.append((torch.cat([x, more], 1), torch.cat([y, labels], 1), lengths))
    model = model or {"_target_": "trainers.models.recurrent.Recurrent", "cell": "gru"}
    model = {**model, **SIZES, "inputs": 14, "features": 2, "task": "tagging"}
    config = {**_training(model), "trainer": {"epochs": epochs, "batch_size": 8}}
    seat = Seat(config, sets=tuple(sets), device=torch.device("cpu"), checkpoint=Unsaved())
    return [seat.next_epoch() for _ in range(epochs + 1)]


def test_the_amount_of_padding_changes_no_loss_of_a_training():
    part = _prepared("a.npz", _tagged(rows=60)).final
    rows = [
        tuple(torch.from_numpy(np.asarray(one)) for one in (side.x, side.y, side.lengths))
        for side in (part.train, part.val)
    ]
    plain, padded = _trained(rows), _trained(rows, extra=4)
    for name in ("train_loss", "val_loss", "train_eval_loss"):
        assert [v[name] for v in plain] == pytest.approx([v[name] for v in padded], abs=1e-6)


class Blind(nn.Module):
    """Ignores lengths: what stands in the padding reaches the labels before it."""

    def __init__(self, *, inputs, outputs, features, width, depth, dropout, task):
        super().__init__()
        self.read = nn.GRU(features, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x, lengths):
        return self.head(self.read(x)[0]).movedim(2, 1)


def test_preflight_finds_a_mask_that_is_ignored_and_passes_one_that_is_heeded(tmp_path):
    part = _prepared("a.npz", _tagged(rows=60)).final
    data = Data(train=part.train, val=part.val)
    outcomes = {}
    for kind in ("test_sequences.Blind", "trainers.models.recurrent.Recurrent"):
        model = {"_target_": kind, **SIZES, "inputs": 14, "features": 2, "task": "tagging"}
        subject = Subject(
            config={**_training(model), "metric": {}, "trainer": {**STOCK, "epochs": 1}},
            data=data,
            device="cpu",
            folder=tmp_path,
            task="tagging",
        )
        outcomes[kind] = learning.padding(padding_counts(subject))
    blind, heeded = outcomes.values()
    assert blind.outcome == "fail"
    assert re.search(r"val_loss [0-9.]+, with other numbers [0-9.]+", blind.told)
    assert heeded.outcome == "pass"
    assert heeded.told == "with other numbers and with 2 steps more in the padding, the losses stay"


def test_rows_of_short_sequences_that_meet_by_chance_are_no_leak():
    dice = np.random.default_rng(0)
    lengths = dice.integers(1, 20, 400)
    x = dice.integers(0, 4, (400, 19)).astype(float)
    x[np.arange(19) >= lengths[:, None]] = 0
    rows = np.column_stack([lengths, x])
    parts = {"train": rows[:250], "val": rows[250:320], "test": rows[320:]}
    assert sets.shared_rows(parts, lengths=lengths[:250]).outcome == "pass"
    copied = {**parts, "val": np.concatenate([rows[250:310], rows[lengths > 15][:10]])}
    assert sets.shared_rows(copied, lengths=lengths[:250]).outcome == "fail"


@pytest.mark.parametrize(("ids", "longest"), [(4, 19), (20, 8), (30, 12)])
def test_padded_rows_of_ids_without_lengths_that_meet_by_chance_are_no_leak(ids, longest):
    dice = np.random.default_rng(0)
    lengths = dice.integers(1, longest + 1, 1000)
    rows = dice.integers(1, ids + 1, (1000, longest)).astype(float)
    rows[np.arange(longest) >= lengths[:, None]] = 0
    parts = {"train": rows[:600], "val": rows[600:800], "test": rows[800:]}
    assert sets.shared_rows(parts, numbers=False).outcome in ("pass", "note")
    copied = {**parts, "val": np.concatenate([rows[:60], rows[600:740]])}
    assert sets.shared_rows(copied, numbers=False).outcome == "fail"
    whole = dice.integers(1, ids + 1, (1000, longest)).astype(float)  # no padding: one in a hundred
    copied = {"train": whole[:600], "val": whole[592:792], "test": whole[800:]}
    assert sets.shared_rows(copied, numbers=False).outcome == "fail"


@pytest.mark.parametrize("toy", [toys.unaligned, toys.latch])
def test_sequences_of_alike_processes_are_no_leak_and_copies_of_them_are(toy):
    for seed in range(4):
        data = toy(rows=600, longest=5 if toy is toys.unaligned else 20, seed=seed)
        rows = np.column_stack([data.lengths, data.x]).astype(float)
        parts = {"train": rows[:340], "val": rows[340:420], "test": rows[420:]}
        told = sets.shared_rows(parts, lengths=data.lengths[:340], numbers=False)
        assert told.outcome in ("pass", "note"), told.told
        copied = {**parts, "val": np.concatenate([rows[:20], rows[340:400]])}
        assert sets.shared_rows(copied, lengths=data.lengths[:340]).outcome == "fail"


def test_augmentation_that_would_move_padding_or_change_ids_is_refused():
    padded = torch.zeros(2, 5), torch.zeros(2, 5).long(), torch.tensor([5, 1])
    check_fits(Noise(strength=0.1), padded)
    check_fits(Flip(strength=0.5, dimensions=1), padded[:1])
    with pytest.raises(TypeError, match="Flip needs rows of numbers of one length, but got seq"):
        check_fits(Flip(strength=0.5, dimensions=1), padded)
    with pytest.raises(
        TypeError, match=r"Noise needs rows of numbers .* but got token ids; say aug"
    ):
        check_fits(Noise(strength=0.1), (padded[0].long(), padded[1]))


def test_a_model_that_cannot_read_lengths_is_refused_and_one_that_can_is_built():
    shape = (14, 3, "tagging", {"steps": 7, "features": 2, "vocabulary": None})
    config = _training({"_target_": "trainers.models.mlp.MLP", **SIZES, "inputs": 14})
    with pytest.raises(TypeError, match=r"need a model with forward\(x, lengths\), but got MLP"):
        rehearse(config, shape)
    model = {"_target_": "trainers.models.recurrent.Recurrent", **SIZES, "inputs": 14}
    config = _training({**model, "features": 2, "task": "tagging"})
    balanced = {**config, "trainer": {**config["trainer"], "balance": 1.0}}
    with pytest.raises(ValueError, match=r"needs one class per row, but the targets are labels"):
        rehearse(balanced, shape)
    steps = {"k_best": {"_target_": "trainers.features.KBest"}}
    with pytest.raises(
        ValueError, match=r"features: takes rows of one width, but the data are seq"
    ):
        rehearse({**config, "features": steps}, shape)
    kinds = {"transformer.Transformer": {"heads": 2}, "recurrent.Recurrent": {}}
    for kind, own in kinds.items():
        model = {"_target_": f"trainers.models.{kind}", **SIZES, "inputs": 14, **own}
        keys = {**model, "features": 2, "task": "tagging"}
        assert rehearse({**config, "model": keys}, shape)


def _epochs(data, folder, *, stop_after=9):
    """Epochs of a training of the stock trainer, from its checkpoint on."""
    model = {"_target_": "trainers.models.recurrent.Recurrent", "cell": "lstm", **SIZES}
    config = _training({**model, "inputs": 14, "features": 2, "task": "tagging", "dropout": 0.3})
    config |= {"trainer": {**STOCK, "epochs": 4}, "metric": {}}
    seats, checkpoint = Stock(data=data, device="cpu"), FolderCheckpoint(folder)
    assert seats.key(config).cause == "its sequences have lengths of their own"
    seats.admit(0, config=config, checkpoint=checkpoint)
    epochs = []
    while len(epochs) < stop_after and isinstance(outcome := seats.step()[0], Epoch):
        checkpoint.confirm(outcome.epoch, best_epoch=outcome.epoch)
        epochs.append(outcome)
    checkpoint.flush()
    if stop_after == 9:
        checkpoint.finish()
    return epochs, config


def test_a_training_of_sequences_that_was_interrupted_goes_on_with_the_same_bits(tmp_path):
    part = _prepared("a.npz", _tagged(rows=60)).final
    data = Data(train=part.train, val=part.val)
    whole, config = _epochs(data, tmp_path / "whole")
    first, _ = _epochs(data, tmp_path / "parts", stop_after=3)
    second, _ = _epochs(data, tmp_path / "parts")
    losses = [(one.epoch, one.values["train_loss"], one.values["val_loss"]) for one in whole]
    parts = [*first, *second]
    assert losses == [
        (one.epoch, one.values["train_loss"], one.values["val_loss"]) for one in parts
    ]
    swapped = Data(train=part.train, val=part.val, test=part.val)
    again = predict(config, swapped, "cpu", tmp_path / "whole" / "best.safetensors")
    assert np.array_equal(again["predictions"], whole[-1].values["predictions"])


# Numbers per step


def _levels(path, *, sequences=60):
    """A level per step that follows its input with a memory; lengths from 1 to 12."""
    dice, rows = np.random.default_rng(0), []
    for who in range(sequences):
        level = 0.0
        for step in range(int(dice.integers(1, 13))):
            value = dice.normal()
            level = 0.7 * level + value
            rows.append((who, step, value, 50 + 10 * level))
    frame = pd.DataFrame(rows, columns=["who", "t", "v", "level"])
    frame.to_csv(path, index=False)
    return frame


def _of_steps(path, *words, metric="r2"):
    columns = ["data.target=level", "data.sequence=who", "data.time=t", f"data.path={path}"]
    tail = ["model=gru", "loss=mse", f"metric={metric}", "optimizer=adam", "optimizer.lr=0.02"]
    config = compose_experiment(
        "lr_sweep",
        overrides=["data=csv", "data.task=step_regression", *columns, *tail, *words],
        config_dir=None,
    )
    return completed(config)


def test_a_number_per_step_is_scaled_by_real_train_steps_and_scored_over_real_steps(tmp_path):
    frame = _levels(tmp_path / "levels.csv")
    config = _of_steps(tmp_path / "levels.csv")
    metric = Metric(name="mse", direction="minimize")
    prepared = prepare(config, metric=metric)
    train, val = prepared.final.train, prepared.final.val
    assert train.y.shape == (len(train.x), 1, 12)
    real = np.arange(12) < train.lengths[:, None]
    assert (np.isfinite(train.y[:, 0]) == real).all()
    assert train.y[:, 0][real].mean() == pytest.approx(0, abs=1e-5)
    assert train.y[:, 0][real].std() == pytest.approx(1, abs=1e-4)
    levels = frame[frame.who.isin(train.index)].level
    units = prepared.units
    assert units["mean"] == pytest.approx([levels.mean()])
    output = np.zeros(val.y.shape)
    output[~np.isfinite(val.y)] = 1e6  # what stands in the padding counts for nothing
    got = scores(metric, targets=val.y, kind="predictions", output=output, units=units)
    expected = np.square(frame[frame.who.isin(val.index)].level - levels.mean()).mean()
    assert got["mse"] == pytest.approx(expected, rel=1e-4)
    assert prepared.contract.floor == pytest.approx(expected, rel=1e-4)


def test_a_recurrent_network_follows_numbers_step_by_step_whatever_stands_in_the_padding(tmp_path):
    _levels(tmp_path / "levels.csv", sequences=150)
    config = _of_steps(tmp_path / "levels.csv")
    metric = Metric(name="r2", direction="maximize")
    data = next(prepare(config, metric=metric).folds()).data
    plain = OmegaConf.to_container(config, resolve=True)
    seats = open_seats("trainers.stock.Stock", data=data, device="cpu")
    seats.admit(0, config=plain, checkpoint=Unsaved())
    values = [seats.step()[0].values for _ in range(9)][-1]
    output, targets = values["predictions"], data.val.y
    assert output.shape == targets.shape
    assert scores(metric, targets=targets, kind="predictions", output=output)["r2"] > 0.9
    real = np.isfinite(targets)
    assert values["val_loss"] == pytest.approx(np.square(output - targets)[real].mean(), rel=1e-3)


def test_text_for_a_number_per_step_is_refused(tmp_path):
    frame = _levels(tmp_path / "levels.csv")
    frame.assign(level=["x"] * len(frame)).to_csv(tmp_path / "levels.csv", index=False)
    with raises("step-targets-not-numbers"):
        _of_steps(tmp_path / "levels.csv")
