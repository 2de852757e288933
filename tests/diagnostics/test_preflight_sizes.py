"""Sizes that mean something and sizes that do not: ids beside measures, sums that are
shared out, places of points in a cloud; each fault beside its sound twin."""

import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.diagnostics.preflight.check import Judge
from search.diagnostics.preflight.first_loss import first_loss
from search.diagnostics.preflight.inputs import otherwise_given
from search.diagnostics.preflight.label_noise import label_noise
from search.diagnostics.preflight.reading import Reading
from search.storage.json_numbers import plain
from trainers.api import Data, Part
from trainers.probes.held_out import held_out
from trainers.probes.shapes import rows_summed
from trainers.probes.subject import Subject
from trainers.probes.watch import Watch


class Rated(nn.Module):
    """What users think of items: by ids, and by measures beside them or in the same table."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.items = kind, nn.Embedding(500, 4)
        self.bag = nn.EmbeddingBag(500, 4)
        self.last = nn.Linear(4 if "alone" in kind else 7, 1)

    def forward(self, ids, measures=None):
        if self.kind == "numbers":
            return self.last(F.pad(ids.float(), (0, 6)) / 500)
        if self.kind == "one table":
            ids, measures = ids[:, 0].long(), ids[:, 1:]
        parts = self.bag(ids) if self.kind == "bags alone" else self.items(ids.flatten())
        return self.last(parts if measures is None else torch.cat([parts, measures], 1))


def _told(kind, *, shift, factor):
    """What is said of inputs whose ids are greater, and measures of another size, in evaluation."""
    torch.manual_seed(0)
    net = Rated(kind)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with Watch() as watch:
        for evaluates in (False, False, True):
            ids = torch.randint(
                200 if evaluates and shift else 0, 400 if evaluates and shift else 200, (64, 1)
            )
            measures = torch.randn(64, 3) * (factor if evaluates else 1)
            given = [torch.cat([ids, measures], 1)] if kind == "one table" else [ids, measures]
            with torch.set_grad_enabled(not evaluates):
                out = net(*(given[:1] if kind in ("alone", "bags alone", "numbers") else given))
                loss = F.mse_loss(out, torch.randn(64, 1))
            if not evaluates:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        watch.epoch()
    batches, evaluated = ([plain(vars(one)) for one in some] for some in (watch.seen.batches, watch.seen.evaluated))  # fmt: skip
    seen = {**CALM, "batches": batches, "evaluated": evaluated}
    check = otherwise_given(seen, Judge(name="batches", rule="R10"), batches)
    return check.told if check is not None else ""


@pytest.mark.parametrize("kind", ["alone", "bags alone", "beside", "one table"])
def test_ids_are_not_compared_as_numbers_and_measures_beside_them_are(kind):
    assert _told(kind, shift=True, factor=1) == ""
    scaled = _told(kind, shift=True, factor=9)
    assert ("in evaluation" in scaled) == (kind in ("beside", "one table"))


def test_whole_numbers_that_no_embedding_is_asked_for_are_compared():
    assert "inputs have mean" in _told("numbers", shift=True, factor=1)
    assert _told("numbers", shift=False, factor=1) == ""


ROWS, COLUMNS = 32, 32  # as many numbers of a row as rows


@pytest.mark.parametrize(
    ("loss", "rows"),
    [
        (lambda out, y: ((out - y) ** 2).sum(), ROWS),
        (lambda out, y: -F.logsigmoid(out * y).sum(), ROWS),
        (lambda out, y: ((out - y) ** 2 / 0.5).sum(), ROWS),  # by a variance, as of a likelihood
        (lambda out, y: ((out - y) ** 2 / len(y)).sum(), 0),
        (lambda out, y: ((out - y) ** 2 / ((y - y.mean()) ** 2).sum()).sum(), 0),
        (lambda out, y: ((out - y) ** 2 / torch.full_like(y, len(y))).sum(), 0),
        (lambda out, y: ((out - y) ** 2).mean(), 0),
    ],
)
def test_a_loss_by_hand_that_a_quotient_shares_out_among_its_rows_is_no_sum(loss, rows):
    torch.manual_seed(0)
    out = torch.randn(ROWS, requires_grad=True)
    assert rows_summed(loss(out * 1, torch.randn(ROWS).sign())) == rows


def _of_numbers(loss_of, *, columns=COLUMNS, level=0.0, told=None):
    """What is said of a first loss of targets about `level`; `told`: the trainer's own number."""
    torch.manual_seed(0)
    net, y = nn.Linear(COLUMNS, columns), torch.randn(ROWS, columns) + level
    with Watch() as watch:
        loss = loss_of(0.1 * net(torch.randn(ROWS, COLUMNS)), y)
        loss.backward()
    call = vars(watch.seen.loss)
    seen = {
        **CALM,
        "loss": call,
        "losses": watch.seen.losses,
        "first_loss": told,
        "summed": watch.seen.summed,
    }
    return first_loss(seen, entropy=None, classes=0)


def test_a_mean_near_its_rows_times_what_is_due_is_no_sum_and_a_sum_is_told():
    away = (ROWS - 1) ** 0.5  # from 0, in spreads of the targets: zeros cost as much as 32 rows
    check = _of_numbers(F.mse_loss, level=away)
    assert (check.outcome, "the targets lie away from 0" in check.told) == ("note", True)
    assert 0.7 < check.measured["got"] / (ROWS * check.measured["expected"]) < 1.3
    shared = _of_numbers(lambda out, y: F.mse_loss(out, y, reduction="sum") / len(y))
    assert (shared.outcome, 0.9 < shared.measured["got"] < 1.2) == ("pass", True)
    faults = [
        _of_numbers(lambda out, y: F.mse_loss(out, y, reduction="sum")),
        _of_numbers(lambda out, y: F.mse_loss(out, y, reduction="sum") / 20, columns=20),
        _of_numbers(F.mse_loss, told=33.0),
    ]
    assert [fault.outcome for fault in faults] == ["fail"] * 3
    assert all("take the mean over the batch" in fault.remedy for fault in faults)


def _clouds(fault):
    """Points of balls' and boxes' faces and of tubes, in any order; the kind of each cloud."""
    dice, (n, points) = np.random.default_rng(0), (900, 24)
    y, ball = dice.integers(0, 3, n), dice.normal(0, 1, (n, points, 3))
    ball /= np.linalg.norm(ball, axis=2, keepdims=True)
    box, turn = dice.uniform(-1, 1, (n, points, 3)), dice.uniform(0, 2 * np.pi, (n, points))
    box = box / np.abs(box).max(axis=2, keepdims=True)
    tube = np.stack([np.cos(turn), np.sin(turn), dice.uniform(-1, 1, (n, points))], axis=2)
    x = np.choose(y[:, None, None], [ball, 0.8 * box, 0.9 * tube])
    if "ordered" in fault:
        x = np.take_along_axis(x, x[..., 2].argsort(axis=1)[..., None], axis=1)
    noisy = "noise" in fault
    y = np.where(dice.random(n) < 0.5 * noisy, dice.integers(0, 3, n), y)
    return torch.tensor(x.transpose(0, 2, 1)).float(), torch.tensor(y)


class Points(nn.Module):
    """Each point by itself, and the greatest of all."""

    def __init__(self):
        super().__init__()
        first = nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU()
        self.each = nn.Sequential(*first, nn.Conv1d(32, 64, 1), nn.BatchNorm1d(64))
        self.last = nn.Linear(64, 3)

    def forward(self, x):
        return self.last(self.each(x).relu().amax(2))


def learns_clouds(config, data, device, checkpoint):
    """A plain loop over such clouds, which it makes itself."""
    torch.manual_seed(0)
    (x, y), net = _clouds(config["trainer"]["fault"]), Points()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(config["trainer"]["epochs"]):
        for rows in torch.randperm(512).split(32):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
        yield {"train_loss": loss.item(), "val_loss": loss.item()}


@pytest.mark.parametrize(
    ("fault", "trees", "outcome"),
    [("", "pass", "pass"), ("noise, ordered", "warn", "warn")],
)
@pytest.mark.slow
def test_labels_that_the_users_model_reads_surely_are_not_noisy_because_trees_read_them_badly(
    fault, trees, outcome, tmp_path
):
    trainer = {
        "_target_": f"{__name__}.learns_clouds",
        "batch_size": 32,
        "epochs": 3,
        "fault": fault,
    }
    part = [Part(x=None, y=None, index=np.arange(rows)) for rows in (512, 128)]
    subject = Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": 0.01}}, device="cpu",
        data=Data(train=part[0], val=part[1]), folder=tmp_path, task="classification",
    )  # fmt: skip
    doubted = held_out(subject)["doubted"]
    x, y = (one[:512].numpy() for one in _clouds(fault))
    reading = Reading.of(x.reshape(len(x), -1), y, classification=True)
    assert label_noise(reading, legible=True).outcome == trees
    assert label_noise(reading, legible=True, doubted=doubted).outcome == outcome
