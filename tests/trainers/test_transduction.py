"""Targets that are sequences of other lengths than their inputs: CTC, encoder and decoder, edits."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from refusals import raises

from search.config.compose import compose_experiment
from search.contract.contract import prepare
from search.contract.dataset import completed, load_rows
from search.contract.metrics import Metric, constant_score, scores
from search.contract.sequences import check_alignable
from trainers.api import END, Part
from trainers.checkpoint import Unsaved
from trainers.dry_run import rehearse
from trainers.models.encoder_decoder import EncoderDecoder
from trainers.seat import Seat
from trainers.sequence_losses import CTC, SequenceCrossEntropy

EDITS = Metric(name="edit_distance", direction="minimize")
DECODER = ["data=npz", "data.task=transduction", "model=decoder", "loss=sequence_cross_entropy", "metric=edit_distance", "optimizer=adam", "optimizer.lr=0.01", "trainer.epochs=15"]  # fmt: skip
EXACT = Metric(name="sequence_accuracy", direction="maximize")
CPU = torch.device("cpu")


def _rows(labels, width=None):
    """Sequences as rows that `END` pads."""
    width = width or max(map(len, labels))
    return np.array([[*row, *[END] * (width - len(row))] for row in labels])


def _distance(one, other):
    """Levenshtein's, by its definition."""
    if not one or not other:
        return len(one) + len(other)
    if one[-1] == other[-1]:
        return _distance(one[:-1], other[:-1])
    shorter = ((one[:-1], other), (one, other[:-1]), (one[:-1], other[:-1]))
    return 1 + min(_distance(a, b) for a, b in shorter)


LABELS = st.lists(st.integers(1, 3), max_size=5)


@given(st.lists(st.tuples(LABELS, LABELS.filter(len)), min_size=1, max_size=4))
def test_edit_distance_is_levenshteins_per_label(pairs):
    labels, targets = _rows([a for a, _ in pairs], 5), _rows([b for _, b in pairs])
    expected = sum(_distance(a, b) for a, b in pairs) / sum(len(b) for _, b in pairs)
    got = scores(EDITS, targets=targets, kind="labels", output=labels)
    assert got["edit_distance"] == pytest.approx(expected)
    exact = scores(EXACT, targets=targets, kind="labels", output=labels)
    assert exact["sequence_accuracy"] == np.mean([a == b for a, b in pairs])


def test_an_empty_answer_is_the_floor():
    targets = _rows([[1, 2], [3]])
    floors = [
        constant_score(metric, task="transduction", train=targets, val=targets)
        for metric in (EDITS, EXACT)
    ]
    assert floors == [1.0, 0.0]


def test_ctc_is_torchs_and_decodes_without_blanks_and_repetitions():
    outputs = torch.randn(3, 4, 7, generator=torch.Generator().manual_seed(0))
    lengths, targets = torch.tensor([7, 4, 2]), torch.tensor([[1, 1, 3], [2, 3, 0], [1, 0, 0]])
    losses = torch.nn.CTCLoss(reduction="none")(
        outputs.log_softmax(1).movedim(2, 0), targets, lengths, torch.tensor([3, 2, 1])
    )
    assert CTC()(outputs, targets, lengths) == pytest.approx(float(losses.sum() / 6))
    frames = torch.tensor([[1, 1, 0, 1, 3, 3, 2], [0, 2, 2, 0, 3, 1, 1]])
    decoded = CTC().decode(
        torch.nn.functional.one_hot(frames, 4).movedim(2, 1), torch.tensor([7, 4])
    )
    assert decoded.tolist() == [[1, 1, 3, 2, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0]]


def test_a_decoders_loss_counts_the_end_and_nothing_after_it():
    targets = torch.tensor([[2, 1, 0], [3, 0, 0]])
    outputs = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    logs = outputs.log_softmax(1)
    picked = [logs[0, 2, 0], logs[0, 1, 1], logs[0, 0, 2], logs[1, 3, 0], logs[1, 0, 1]]
    loss = SequenceCrossEntropy()
    assert loss(outputs, targets) == pytest.approx(-float(sum(picked)) / 3, rel=1e-5)
    outputs[0, :, 3], outputs[1, :, 2:] = 99.0, -99.0
    assert loss(outputs, targets) == pytest.approx(-float(sum(picked)) / 3, rel=1e-5)
    best = torch.nn.functional.one_hot(torch.tensor([[2, 1, 0, 3]]), 4).movedim(2, 1)
    assert loss.decode(best).tolist() == [[2, 1, 0, 0]]


def _sets(rows, make):
    """Train and validation of a toy: x, y, lengths."""
    dice = np.random.default_rng(0)
    made = [make(dice) for _ in range(rows)]
    longest, most = (max(len(pair[side]) for pair in made) for side in (0, 1))
    x = torch.tensor([[*a, *[0] * (longest - len(a))] for a, _ in made])
    y = torch.tensor([[*b, *[END] * (most - len(b))] for _, b in made])
    lengths = torch.tensor([len(a) for a, _ in made])
    cut = rows - rows // 5
    return tuple((x[part], y[part], lengths[part]) for part in (slice(cut), slice(cut, None)))


def _learned(sets, model, loss, *, epochs, rate=0.01):
    """Edit distance on validation after so many epochs."""
    config = {
        "seed": 0,
        "model": {**model, "inputs": sets[0][0].shape[1], "outputs": int(sets[0][1].max()) + 1, "features": 1, "vocabulary": 12, "embedding": 16, "dropout": 0.0, "depth": 1},
        "loss": {"_target_": f"trainers.sequence_losses.{loss}"},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": rate},
        "trainer": {"epochs": epochs, "batch_size": 32, "clip": 5.0},
    }  # fmt: skip
    seat = Seat(config, sets=sets, device=CPU, checkpoint=Unsaved())
    values = [seat.next_epoch() for _ in range(epochs + 1)]
    assert values[-1]["val_loss"] < values[0]["val_loss"]
    output = values[-1]["labels"]
    return scores(EDITS, targets=sets[1][1].numpy(), kind="labels", output=output)["edit_distance"]


def _reversed(dice):
    digits = dice.integers(1, 6, dice.integers(1, 6)).tolist()
    return digits, digits[::-1]


def _stretched(dice):
    """Each label lasts one to three steps of a noise id or its own: nobody says which."""
    labels = dice.integers(1, 5, dice.integers(1, 5)).tolist()
    steps = []
    for label in labels:
        steps += [label] * int(dice.integers(1, 4)) + [int(dice.integers(5, 8))]
    return steps, labels


@pytest.mark.slow
def test_ctc_reads_an_unaligned_toy():
    model = {"_target_": "trainers.models.recurrent.Recurrent", "task": "transduction", "width": 32}
    sets = _sets(600, _stretched)
    assert _learned(sets, {**model, "bidirectional": True}, "CTC", epochs=8) < 0.1


@pytest.mark.slow
def test_a_decoder_with_attention_learns_to_reverse_digits():
    model = {"_target_": "trainers.models.encoder_decoder.EncoderDecoder", "width": 64}
    sets = _sets(800, _reversed)
    model |= {"length": sets[0][1].shape[1], "bidirectional": True}
    assert _learned(sets, model, "SequenceCrossEntropy", epochs=8) < 0.1


@pytest.mark.slow
def test_a_decoder_writes_a_sequence_from_a_row_of_numbers(tmp_path):
    dice = np.random.default_rng(0)
    lengths, labels = dice.integers(1, 4, 500), dice.integers(0, 3, (500, 3))
    marks = np.arange(3) < lengths[:, None]
    row = np.concatenate([labels * marks, marks], axis=1) + dice.normal(0, 0.02, (500, 6))
    np.savez(tmp_path / "rows.npz", x=row, y=labels, y_lengths=lengths)
    config = completed(
        compose_experiment(
            "smoke", overrides=[f"data.path={tmp_path / 'rows.npz'}", *DECODER], config_dir=None
        )
    )
    assert (config.model.inputs, config.model.features, config.model.length) == (6, 6, 3)
    made = prepare(config, metric=EDITS)
    sets = [
        (torch.tensor(part.x), torch.tensor(part.y)) for part in (made.final.train, made.final.val)
    ]
    plain = OmegaConf.to_container(config, resolve=True)
    seat = Seat(plain, sets=sets, device=CPU, checkpoint=Unsaved())
    values = [seat.next_epoch() for _ in range(16)]
    assert values[-1]["val_loss"] < 0.3 * values[0]["val_loss"]
    written = values[-1]["labels"]
    assert written.ndim == 2
    assert set(np.unique(written)) <= {0, 1, 2, 3}
    val = made.final.val.y
    assert scores(EDITS, targets=val, kind="labels", output=written)["edit_distance"] < 0.2


@settings(max_examples=10)
@given(st.integers(0, 4), st.integers(0, 11))
def test_padding_changes_no_label_that_is_written(extra, fill):
    torch.manual_seed(0)
    sizes = {"inputs": 5, "outputs": 4, "features": 1, "length": 3, "width": 8, "depth": 2}
    model = EncoderDecoder(**sizes, dropout=0.0, vocabulary=12, bidirectional=True).eval()
    lengths, x = torch.tensor([5, 1, 3]), torch.randint(12, (3, 5))
    wider = torch.cat([x, torch.zeros(3, extra, dtype=torch.long)], dim=1)
    wider[torch.arange(5 + extra) >= lengths[:, None]] = fill
    with torch.no_grad():
        assert torch.allclose(model(x, lengths), model(wider, lengths), atol=1e-6)


def test_teacher_forcing_of_all_steps_is_one_pass_and_of_some_is_drawn():
    sizes = {"inputs": 5, "outputs": 4, "features": 1, "length": 3, "width": 8, "depth": 1}
    x, y = torch.randn(6, 5), torch.randint(1, 4, (6, 3))

    def outputs(share, *, steps=None):
        torch.manual_seed(0)
        model = EncoderDecoder(**sizes, dropout=0.0, teacher_forcing=share)
        return model(x, None, steps)

    whole, none, free = outputs(1.0, steps=y), outputs(0.0, steps=y), outputs(1.0)
    assert torch.equal(none, free)
    assert torch.allclose(whole[:, :, 0], free[:, :, 0], atol=1e-6)
    assert not torch.allclose(whole, free)


def _node(path, **keys):
    node = {"_target_": "trainers.data.npz.load", "path": path, "task": "transduction"}
    return OmegaConf.create({**node, "inputs": None, "outputs": None, "impute": None, **keys})


def _arrays():
    return {
        "x": np.arange(12).reshape(3, 4) % 5,
        "lengths": np.array([4, 2, 3]),
        "y": np.array([[7, 9, 7], [9, -1, -1], [8, 7, -1]]),
        "y_lengths": np.array([3, 1, 2]),
    }


def test_target_sequences_are_numbered_from_one_and_padded_by_the_end():
    np.savez("t.npz", **_arrays())
    rows = load_rows(_node("t.npz", vocabulary=5))
    assert rows.data.y.tolist() == [[1, 3, 1], [3, 0, 0], [2, 1, 0]]
    assert (rows.outputs, rows.target_steps, rows.classes) == (4, 3, (7, 8, 9))
    whole = completed(OmegaConf.create({"data": _node("t.npz", vocabulary=5)}))
    assert (whole.data.outputs, whole.data.target_steps, whole.data.steps) == (4, 3, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_lengths": np.array([3, 4, 2])}, ("length-out-of-range", "y_lengths")),
        ({"y_lengths": np.array([3, 0, 2])}, ("length-out-of-range", "y_lengths")),
        ({"y": np.array([1, 2, 1])}, ("transduction-needs-lengths", "y_lengths")),
    ],
)  # fmt: skip
def test_bad_targets_are_named(change, message):
    np.savez("bad.npz", **{**_arrays(), **change})
    with raises(*message):
        load_rows(_node("bad.npz"))


def test_ctc_targets_longer_than_their_inputs_are_named():
    part = Part(
        index=np.array([5, 8]),
        x=np.zeros((2, 4)),
        y=np.array([[1, 2, 0], [1, 1, 2]]),
        lengths=np.array([2, 3]),
    )
    with raises("ctc-needs-more-steps", "y", "4", "3", "row 8"):
        check_alignable([part])


def test_a_loss_of_another_shape_than_its_model_is_told_before_the_start():
    shape = (6, 4, "transduction", {"steps": 6, "vocabulary": 5, "target_steps": 3})
    config = {
        "seed": 0,
        "model": {"_target_": "trainers.models.recurrent.Recurrent", "inputs": 6, "outputs": 4, "features": 1, "width": 8, "depth": 1, "dropout": 0.0, "vocabulary": 5, "task": "transduction"},
        "loss": {"_target_": "trainers.sequence_losses.CTC"},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
        "trainer": {"epochs": 1, "batch_size": 8},
    }  # fmt: skip
    assert rehearse(config, shape)
    wrong = {**config, "loss": {"_target_": "trainers.sequence_losses.SequenceCrossEntropy"}}
    with pytest.raises(
        TypeError, match=r"must train with outputs \(4, 4, 6\) and targets \(4, 3\)"
    ):
        rehearse(wrong, shape)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_a_row_per_pair_holds_what_an_npz_file_does(kind, tmp_path):
    dice, n = np.random.default_rng(0), 12
    lengths, ends = dice.integers(1, 5, n), dice.integers(1, 4, n)
    x = np.where(np.arange(4) < lengths[:, None], dice.integers(0, 9, (n, 4)), 0)
    y = np.where(np.arange(3) < ends[:, None], dice.integers(5, 8, (n, 3)), 0)
    np.savez(tmp_path / "pairs.npz", x=x, y=y, lengths=lengths, y_lengths=ends)
    frame = pd.DataFrame(x, columns=[f"x{step}" for step in range(4)]).assign(read=lengths)
    for step in range(3):  # padding is empty
        frame[f"y{step}"] = pd.Series(y[:, step]).where(step < ends).astype("Int64")
    frame = frame.assign(wrote=ends)
    path = tmp_path / f"pairs.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    columns = ["data.target=[y0,y1,y2]", "data.length=read", "data.target_length=wrote"]
    table, arrays = (
        load_rows(_composed(f"data={name}", f"data.path={file}", *words).data)
        for name, file, words in (
            (kind, path, columns),
            ("npz", tmp_path / "pairs.npz", ()),
        )
    )
    np.testing.assert_array_equal(table.data.y, arrays.data.y)
    np.testing.assert_array_equal(table.data.x, arrays.data.x)
    assert table.data.lengths.tolist() == lengths.tolist()
    assert (table.outputs, table.target_steps) == (arrays.outputs, arrays.target_steps)


def _composed(*words):
    tail = ["data.task=transduction", "data.vocabulary=9", "metric=edit_distance"]
    return compose_experiment("lr_sweep", overrides=[*words, *tail], config_dir=None)
