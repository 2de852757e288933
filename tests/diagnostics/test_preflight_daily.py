"""Everyday mistakes are named, each beside a sound twin: calls that mean another thing, inputs that hold the target, metrics that get worse by heart."""

import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.diagnostics.preflight import by_heart, learning, loop, losses, model, output
from search.diagnostics.preflight.check import Judge
from search.diagnostics.preflight.class_words import by_targets
from search.diagnostics.preflight.first_loss import first_loss
from search.diagnostics.preflight.inputs import otherwise_given
from search.diagnostics.preflight.leaking_pairs import by_ratio
from search.diagnostics.preflight.leaking_rows_around import made_of_targets
from search.diagnostics.preflight.near_rows import are_windows
from search.diagnostics.preflight.of_rows_seen import of_rows_seen
from search.diagnostics.preflight.sets import shared_rows
from search.diagnostics.preflight.target_leakage import telltale_feature
from trainers.api import Data, Part
from trainers.probes.answers_seen import AnswersSeen
from trainers.probes.seen import batch_of
from trainers.probes.subject import Subject
from trainers.probes.told import Watched
from trainers.probes.watch import Watch
from trainers.probes.watched import watched

JUDGE = Judge(name="batches", rule="R10")


def _series(dice, rows=400):
    values = np.zeros(rows + 20)
    for at in range(2, len(values)):
        values[at] = 1.2 * values[at - 1] - 0.5 * values[at - 2] + dice.normal()
    return values, np.arange(8, rows + 8)


def _around(column, seed, *, ordered=True):
    dice = np.random.default_rng(seed)
    values, at = _series(dice)
    x = np.column_stack([values[at - 1], values[at - 2], column(values, at)]).astype(np.float32)
    rows = np.sort(dice.permutation(len(x))[:260]) if not ordered else np.arange(260)
    known = np.ones(len(x), dtype=bool)
    return made_of_targets(x, values[at].astype(np.float32), rows, known=known, ordered=ordered)


def test_a_column_of_targets_around_a_row_is_told_and_one_of_rows_before_is_not():
    centred = lambda v, at: (v[at - 1] + v[at] + v[at + 1]) / 3  # noqa: E731
    later, change = (lambda v, at: v[at + 1]), (lambda v, at: v[at] - v[at - 1])
    before = lambda v, at: (v[at - 1] + v[at - 2] + v[at - 3]) / 3  # noqa: E731
    for seed in range(10):
        assert _around(centred, seed) == (2, "of 3 rows, from -1 to +1, the row's own among them")
        assert _around(centred, seed, ordered=False)[0] == 2
        assert _around(change, seed, ordered=False)[0] == 2
        assert _around(later, seed) == (2, "of a later row, +1")
        assert _around(later, seed, ordered=False) is None  # which way time runs is not known
        for ordered in (True, False):
            assert _around(before, seed, ordered=ordered) is None
            assert _around(lambda v, at: 0.9 * v[at - 1] ** 2, seed, ordered=ordered) is None


def test_targets_that_foretell_each_other_say_nothing_of_a_column():
    at = np.arange(400)
    wave = np.sin(at / 6)
    x = np.column_stack([np.roll(wave, 1), np.roll(wave, 2)])
    known = np.ones(400, dtype=bool)
    assert made_of_targets(x, wave, np.arange(20, 300), known=known, ordered=True) is None


def test_a_label_by_a_ratio_with_a_square_is_told_and_one_that_depends_on_more_is_not():
    dice = np.random.default_rng(0)
    height, bulk = dice.normal(1.72, 0.1, 700), dice.normal(26, 4, 700)
    x = np.column_stack([height, bulk * height**2, dice.uniform(18, 80, 700)])
    score, name, pair = by_ratio(x, (bulk > 27).astype(int), classification=True, telling=0.997)
    assert (score, name, pair) == (1.0, "ratio of a square", (0, 1))
    noisy = (bulk + dice.normal(0, 1, 700) > 27).astype(int)
    assert by_ratio(x, noisy, classification=True, telling=0.997)[0] == 0


def _net(*between, last=()):
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), *between, nn.Linear(24, 3), *last)


def _train(habit, config, data):
    torch.manual_seed(config["seed"])
    x, y = torch.tensor(data.train.x), torch.tensor(data.train.y)
    vx, vy = torch.tensor(data.val.x), torch.tensor(data.val.y)
    last = {"answer dropped": [nn.Dropout(0.2)], "ends in log": [nn.LogSoftmax(1)]}
    share = {"share to keep": 0.95, "dropout": 0.5}.get(habit, 0.1)
    net = _net(nn.Dropout(share), last=last.get(habit, ()))
    if habit == "constant weights":
        nn.init.constant_(net[0].weight, 0.05)
    if habit == "constant head":
        nn.init.constant_(net[3].weight, 0.05)
    optimizer = torch.optim.Adam(net.parameters(), 0.003)
    weight = torch.bincount(y).float()
    weight = 1 / weight if habit == "weights by class" else weight

    def loss_of(out, y):
        chosen = F.one_hot(y, 3).float()
        if habit == "probabilities":
            return F.kl_div(out.softmax(1), chosen, reduction="batchmean")
        if habit == "divergence":
            return F.kl_div(out.log_softmax(1), chosen, reduction="batchmean")
        if habit == "hinge on zero and one":
            return (1 - out * chosen).clamp(min=0).mean()
        if habit == "hinge":
            return F.multi_margin_loss(out, y)
        if habit == "ends in log":
            return F.nll_loss(out, y)
        return F.cross_entropy(out, y, weight if "weights" in habit and "const" not in habit else None)  # fmt: skip

    parts = 4 if "part" in habit else 1  # as where the gradients of four batches are added up
    for _ in range(config["trainer"]["epochs"]):
        net.train()
        told = []
        for rows in torch.randperm(len(x)).split(32):
            xb = x[rows]
            if habit == "scaled per batch":
                xb = (xb - xb.mean(0)) / (xb.std(0) + 1e-6)
            loss = loss_of(net(xb), y[rows]) / parts
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            told.append(loss.item() * (parts if habit == "a part, told whole" else 1))
        net.eval()
        with torch.no_grad():
            total = F.cross_entropy(net(vx), vy, reduction="sum").item()
        times = {"divided by batches": 4, "both in parts": 4 * len(vx)}.get(habit, len(vx))
        yield {"train_loss": float(np.mean(told)), "val_loss": total / times, "hits": 0.5}


def train(config, data, device, checkpoint):
    """The loop of these tests."""
    yield from _train(config["trainer"]["habit"], config, data)


def seen(habit, tmp_path):
    """What is seen of that loop on three uneven classes."""
    dice = np.random.default_rng(0)
    y = dice.choice(3, 400, p=[0.6, 0.3, 0.1])
    x = (2.0 * dice.normal(0, 1, (3, 6))[y] + dice.normal(0, 1, (400, 6))).astype(np.float32)
    parts = [Part(index=rows, x=x[rows], y=y[rows]) for rows in (np.arange(300), np.arange(300, 400))]  # fmt: skip
    trainer = {"_target_": f"{__name__}.train", "habit": habit, "batch_size": 32, "epochs": 40}
    subject = Subject(
        config={"seed": 0, "optimizer": {"lr": 0.003}, "data": {"task": "classification"}, "trainer": trainer},
        data=Data(train=parts[0], val=parts[1]), device="cpu", folder=tmp_path,
        task="classification", metric="hits",
    )  # fmt: skip
    return watched(subject)


def _output(found):
    counts = [180, 90, 30]
    return output.output_layer(found, classification=True, classes=3, counts=counts)


def test_a_watched_training_tells_all_that_the_type_of_a_checks_input_names(tmp_path):
    assert seen("sound", tmp_path).keys() == Watched.__annotations__.keys()


@pytest.mark.parametrize(
    ("habit", "told"),
    [
        ("probabilities", "kl_div is given probabilities"),
        ("hinge on zero and one", "only the output of the row's own class is ever taught"),
        ("answer dropped", "dropout is applied to the outputs themselves"),
    ],
)
def test_a_call_that_means_another_thing_is_told_by_the_output_layer(habit, told, tmp_path):
    check = _output(seen(habit, tmp_path))
    assert check.outcome in ("warn", "fail")
    assert told in check.told


@pytest.mark.parametrize("habit", ["", "divergence", "hinge", "ends in log", "dropout", "weights by class"])  # fmt: skip
def test_sound_habits_of_the_same_kinds_raise_nothing(habit, tmp_path):
    found = seen(habit, tmp_path)
    checks = (
        _output(found), loop.evaluation_mode(found, steps=400), model.initial_weights(found),
        loop.batches(found), losses.reported_losses(found, heart={}), model.capacity(found, rows=300),
    )  # fmt: skip
    assert {check.name: check.told for check in checks if check.outcome in ("warn", "fail")} == {}


@pytest.mark.slow
def test_a_share_to_keep_constant_weights_and_scaling_by_batch_are_told_by_what_they_leave(
    tmp_path,
):
    kept = loop.evaluation_mode(seen("share to keep", tmp_path), steps=400)
    assert (kept.outcome, "takes away 95%" in kept.told) == ("warn", True)
    constant = model.initial_weights(seen("constant weights", tmp_path))
    assert (constant.outcome, constant.measured["alike"]) == ("warn", ["0.weight"])
    assert model.initial_weights(seen("constant head", tmp_path)).outcome == "pass"
    scaled = loop.batches(seen("scaled per batch", tmp_path))
    assert (scaled.outcome, "scaled batch by batch" in scaled.told) == ("warn", True)


def test_a_feature_of_another_size_centres_none_of_the_others():
    dice = np.random.default_rng(0)
    rows = torch.tensor(dice.normal(0, 1, (32, 9)) * [1e6] + [[1.0] * 8 + [0.0]]).float()
    one = torch.tensor(dice.normal(0, 1, (32, 9)) * ([1] * 8 + [1e6])).float()
    assert batch_of(rows).centred == batch_of(one).centred == 0
    assert batch_of((one - one.mean(0)) / one.std(0)).centred > 0.9


def test_a_val_loss_divided_by_another_number_is_told_without_predictions(tmp_path):
    check = losses.reported_losses(seen("divided by batches", tmp_path), heart={})
    assert check.outcome == "warn"
    assert "val_loss is 25 times the mean loss of all rows evaluated" in check.told


def test_a_train_loss_divided_for_accumulated_gradients_is_told(tmp_path):
    divided = seen("a part", tmp_path)
    check = losses.reported_losses(divided, heart={})
    assert check.outcome == "warn"
    assert "1/4 of the loss" in check.told
    begun = losses.reported_losses({**divided, "train_loss": []}, heart={})  # no epoch has ended
    assert "1/4 of the loss" not in begun.told
    for habit in ("a part, told whole", "both in parts"):
        assert losses.reported_losses(seen(habit, tmp_path), heart={}).outcome == "pass"


def _answers(x, y):
    """What is noted of rows of a loop of one's own, in batches of 32."""
    answers = AnswersSeen()
    for rows, targets in zip(torch.tensor(x).split(32), torch.tensor(y).split(32), strict=True):
        answers.passed([rows], None, (), module=torch.nn.Identity())
        answers.lost(targets)
    return answers


@pytest.mark.parametrize(
    ("ahead", "steps", "place"),
    [(-1, 1, 11), (0, 1, None), (-3, 3, 9), (-1, 3, None), (0, 3, None), (-11, 11, None)],
)  # of windows of 12 values; the last is of next steps: as many targets as a model reads on for
def test_an_input_that_is_the_target_is_told_where_the_trainer_loads_its_rows(ahead, steps, place):
    wave = np.random.default_rng(0).normal(size=400).cumsum().astype(np.float32)
    x = np.stack([wave[at : at + 12] for at in range(320)])
    y = np.stack([wave[at + 12 + ahead :][:steps] for at in range(320)])
    among = _answers(x, y).target_among_inputs()
    check = otherwise_given({**CALM, "target_among_inputs": among}, JUDGE, [])
    assert among == place
    assert check is None or (check.outcome, f"input {place} of a row" in check.told) == ("warn", True)  # fmt: skip


def _own(x, y, held=(), *, loss="mse_loss", **seen):
    """What is said of rows of a loop of one's own, by name; `held`: validation, rows and targets;
    `seen`: what else was.
    """
    answers, rows = _answers(x, y), 0
    if held:
        rows = len(held[1])
        for at in range(0, rows, 32):
            answers.evaluated([torch.tensor(held[0][at : at + 32])])
            answers.evaluated_against(torch.tensor(held[1][at : at + 32]))
    seen = {**CALM, "loss": {"name": loss}, **seen}
    pairs = answers.handed_on(val_rows=rows)
    return {c.name: c for c in of_rows_seen(pairs, seen, metric="accuracy", alike=True)}


@pytest.mark.parametrize(
    ("leak", "outcome"),
    [
        (lambda y, dice: (0.9 * y + 50).round(), "warn"),
        (lambda y, dice: y + dice.normal(0, 200, len(y)), "pass"),
        (lambda y, dice: np.where(y > 0, y > 300, y > -300), "pass"),
    ],
)
def test_a_column_made_of_the_target_is_told_of_rows_that_a_trainer_loads_itself(leak, outcome):
    dice = np.random.default_rng(1)
    x = dice.normal(0, 1, (384, 5))
    y = 300 * x[:, 0] + dice.normal(0, 200, len(x))
    checks = _own(np.column_stack([x, leak(y, dice)]), y)
    assert checks["telltale_feature"].outcome == outcome


@pytest.mark.parametrize("series", [
    np.random.default_rng(3).normal(size=400).cumsum() * 0.1 + np.arange(400),
    np.sin(np.arange(400) * 0.7),
])  # fmt: skip
def test_a_series_whose_last_values_tell_the_next_one_is_no_leak(series):
    x = np.stack([series[at : at + 12] for at in range(320)])
    assert "telltale_feature" not in _own(x, series[12:332])


@pytest.mark.slow
@pytest.mark.parametrize(("of_target", "outcome"), [(True, "warn"), (False, "pass")])
def test_a_target_with_noise_is_told_from_a_cause_by_what_others_tell_of_the_rest(
    of_target, outcome
):
    for seed in range(2):
        dice = np.random.default_rng(seed)
        x = dice.normal(0, 1, (600, 5))
        y = x[:, 0] + np.sin(2 * x[:, 1]) + 0.5 * x[:, 2]
        near = y + 0.13 * dice.normal(0, 1, 600) if of_target else 8 * x[:, 3]
        y = y if of_target else y + near  # a cause beside which the others tell little
        check = telltale_feature(np.column_stack([x[:, :3], near]), y, classification=False)
        assert check.outcome == outcome


def _clouds(fault):
    """Four clouds of rows; what is wrong with their labels, of train or of validation."""
    dice = np.random.default_rng(5)
    y = dice.integers(0, 2 if fault in ("", "noise") else 4, 900)
    x = dice.normal(0, 1, (900, 6)) + 3 * np.eye(6)[y]
    shift = fault == "a sum"
    x = np.column_stack([x, y - (noise := dice.normal(0, 9, 900)), noise]) if shift else x
    wrong = dice.random(900)
    if fault == "noise":
        y = np.where(wrong < 0.3, 1 - y, y)
    if fault == "half":
        y = np.where((y == 2) & (wrong < 0.5), 0, y)
    asked = np.array([1, 2, 0, 3])[y] if fault == "turned" else y
    if fault == "rare":
        y = (wrong < 0.01).astype(int)
    return x[:700], y[:700], (x[700:], asked[700:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "name"),
    [("", ""), ("half", "label_noise"), ("noise", "label_noise"), ("turned", "validation_labels"),
     ("rare", "class_balance"), ("a sum", "telltale_feature")],
)  # fmt: skip
def test_wrong_labels_are_told_of_rows_that_a_trainer_loads_itself(fault, name):
    checks = _own(*_clouds(fault), loss="cross_entropy")
    assert [one.name for one in checks.values() if one.outcome in ("warn", "fail")] == [name][: len(name)]  # fmt: skip


def test_labels_of_mixed_rows_are_not_taken_for_wrong_ones():
    x, y, _ = _clouds("noise")
    answers = AnswersSeen()
    for rows, targets in zip(torch.tensor(x).split(50), torch.tensor(y).split(50), strict=True):
        answers.passed([rows], None, (), module=torch.nn.Identity())
        answers.lost(targets)
        answers.lost(targets.roll(1))
    seen = {**CALM, "loss": {"name": "cross_entropy"}}
    checks = of_rows_seen(answers.handed_on(), seen, metric="", alike=True)
    assert "label_noise" not in {check.name for check in checks}


def picks(config, data, device, checkpoint):
    """A loss by hand on the rows of `data`: of the actions that it draws, or of labels of other rows."""
    net = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, y = torch.tensor(data.train.x), torch.tensor(data.train.y)
    for _ in range(2):
        for rows in torch.randperm(len(x)).split(32):
            chances = net(x[rows]).softmax(1)
            taken, reward = y[rows].roll(1), 1.0
            if config["trainer"]["fault"] == "draws":
                taken = torch.multinomial(chances, num_samples=1)[:, 0]
                reward = (taken == y[rows]).float()
            optimizer.zero_grad()
            (-torch.log(chances.gather(1, taken[:, None])[:, 0]) * reward).mean().backward()
            optimizer.step()
        yield {"train_loss": 0.5}


@pytest.mark.parametrize(("fault", "told"), [("draws", None), ("of other rows", "labels_matter")])
def test_actions_that_a_policy_draws_follow_no_labels_and_labels_of_other_rows_are_told(
    fault, told, tmp_path
):
    x = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    part = Part(x=x, y=(x[:, 0] > 0).astype(np.int64), index=np.arange(256))
    trainer = {"_target_": f"{__name__}.picks", "batch_size": 32, "epochs": 2, "fault": fault}
    subject = Subject(
        config={"trainer": trainer, "seed": 0}, data=Data(train=part, val=part), device="cpu",
        folder=tmp_path, task="classification",
    )  # fmt: skip
    seen = watched(subject)
    check = learning.labels_matter({"cause": "not asked"}, seen=seen, legible=True)
    assert (check.outcome == "fail") == (told == "labels_matter")
    assert (seen["targets"] is None) == (fault == "draws")


@pytest.mark.parametrize("draws", [True, False])
def test_what_a_policy_draws_is_not_taken_for_labels_and_what_a_loss_by_hand_picks_is(draws):
    net, dice = torch.nn.Linear(4, 2), torch.Generator().manual_seed(0)
    with Watch() as watch:
        for _ in range(4):
            rows = torch.randn(64, 4, generator=dice)
            chances = net(rows).softmax(1)
            taken = (
                torch.multinomial(input=chances, num_samples=1)
                if draws
                else (rows[:, :1] > 0).long()
            )
            (-chances.gather(1, taken).log() * rows[:, 1:2]).mean().backward()
    answers = watch.labels_seen.answers
    checks = of_rows_seen(answers.handed_on(), {**CALM, "loss": None}, metric="", alike=True)
    assert {check.name for check in checks} == (set() if draws else {"telltale_feature", "class_balance"})  # fmt: skip


@pytest.mark.parametrize("loss", [
    lambda out, y: (out - y).square().mean(), lambda out, y: (y - out).abs().mean(),
    lambda out, y: F.mse_loss(out, y) + 0.1 * (out - y).abs().mean(),
    lambda out, y: ((out - y).square().mean() - torch.tensor(0.01)).abs(),
])  # fmt: skip
def test_targets_of_a_loss_by_hand_are_what_outputs_are_subtracted_from(loss):
    x = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    with Watch() as watch:
        for rows in x.split(32):
            loss(model(rows), rows[:, 2]).backward()
    pairs = watch.labels_seen.answers.handed_on()
    assert (pairs["x"], pairs["y"], pairs["mixed"]) == (x.tolist(), x[:, 2:3].tolist(), False)


class _Timed(torch.nn.Linear):
    """A layer that is given a time beside its row, and first."""

    def forward(self, time, rows):
        return super().forward(torch.cat([time[:, None], rows], 1))


def test_confidences_losses_of_no_row_and_passes_over_none_ask_for_nothing():
    x, y, (held, asked) = _clouds("noise")
    x, y, held, asked = map(torch.tensor, (x, y, held, asked))
    model = _Timed(6, 2, dtype=x.dtype)
    with Watch() as watch:
        for rows, labels in zip(x.split(50), y.split(50), strict=True):
            model(rows[:0, 0], rows[:0, 1:])
            shares = model(rows[:, 0], rows[:, 1:]).softmax(1)
            shares.gather(1, shares.argmax(1, keepdim=True))
            shares[torch.arange(50), labels].log().mean().neg().backward()
        with torch.no_grad():
            model(held[:0, 0], held[:0, 1:])
            shares = model(held[:, 0], held[:, 1:]).softmax(1)
            shares.gather(1, shares.argmax(1, keepdim=True))
            shares[torch.arange(200), asked].log().mean()
            F.mse_loss(held[:0], held[:0])
    pairs = watch.labels_seen.answers.handed_on(val_rows=200)
    assert (pairs["x"], pairs["y"]) == (x.tolist(), y[:, None].tolist())
    assert (pairs["held"], pairs["held_targets"]) == (held.tolist(), asked[:, None].tolist())


def _slope(out, x):
    return torch.autograd.grad(out.sum(), x, create_graph=True)[0][:, 0]


@pytest.mark.parametrize(("loss", "asked"), [
    (lambda out, x: F.mse_loss(out - x[:, 0], x[:, 2] - x[:, 0]), "change"),
    (lambda out, x: ((out - x[:, 0]) - (x[:, 2] - x[:, 0])).square().mean(), None),
    (lambda out, x: (_slope(out, x) - x[:, 0].detach()).square().mean(), "slope"),
])  # fmt: skip
def test_what_is_taken_from_outputs_before_their_loss_is_no_target(loss, asked):
    x = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Tanh(), torch.nn.Flatten(0))
    with Watch() as watch:
        for rows in x.split(32):
            rows = rows.clone().requires_grad_(asked == "slope")
            loss(model(rows), rows).backward()
    pairs = watch.labels_seen.answers.handed_on()
    change = (x[:, 2] - x[:, 0])[:, None].tolist()
    assert (pairs and pairs["y"]) == (change if asked == "change" else None)


@pytest.mark.parametrize("kept", [True, False])
def test_rows_of_a_loop_without_modules_are_those_that_its_first_weights_multiply(kept):
    x, y, (held, asked) = _clouds("noise")
    first, last = torch.randn(6, 9, requires_grad=True), torch.randn(9, 2, requires_grad=True)
    x, y, held, asked = map(torch.tensor, (x, y, held, asked))
    with Watch() as watch:
        for rows, labels in zip(x.float().split(50), y.split(50), strict=True):
            F.cross_entropy(torch.relu(rows @ first) @ last, labels).backward()
            first = first if kept else (first - 1e-3 * first.grad).detach().requires_grad_()
        with torch.no_grad():
            outputs = [torch.relu(part @ first) @ last for part in held.float().split(50)]
            F.cross_entropy(torch.cat(outputs), asked)
    pairs = watch.labels_seen.answers.handed_on(val_rows=200)
    assert pairs["x"] == x.float().tolist()
    assert pairs["y"] == y[:, None].tolist()
    assert (pairs["held"], pairs["held_targets"]) == (
        held.float().tolist(),
        asked[:, None].tolist(),
    )


def test_counts_and_targets_near_one_are_left_alone_and_hundred_thousands_and_faint_rows_are_not():
    dice = np.random.default_rng(6)
    x = dice.normal(0, 1, (600, 5))
    counts = dice.poisson(np.exp(x[:, 0])).astype(float)
    wrong = {(scale, size): [one.name for one in _own(scale * x, size * counts).values() if one.outcome in ("warn", "fail")]
             for scale, size in ((1, 1), (1, 1e5), (1e-3, 1))}  # fmt: skip
    assert wrong == {(1, 1): [], (1, 1e5): ["targets"], (1e-3, 1): ["feature_scales"]}


def _texts(y, word):
    """Texts of twelve tokens, of which the third tells the class."""
    dice = np.random.default_rng(3)
    x = dice.integers(40, 60, (len(y), 12))
    x[:, 3:6] = dice.integers(10, 20, (len(y), 3)) + 10 * y[:, None]
    x[:, 2] = word(y)
    return x


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "name"), [
    (lambda x, y: (np.repeat(x, 100, axis=1), y), ""),
    (lambda x, y: (np.repeat(x, 100, axis=1), 2e5 * np.stack([x[:, 0], x[:, 1]], 1)), "targets"),
    (lambda x, y: (_texts(y, lambda y: 0 * y), y), ""),
    (lambda x, y: (_texts(y, lambda y: 1 + y), y), "telltale_feature"),
    (lambda x, y: (_texts(np.where(y < 2, 1 - y, y) if len(y) < 200 else y, lambda y: 0 * y), y), "validation_labels"),
])  # fmt: skip
def test_wide_rows_texts_and_several_targets_are_looked_at_too(shape, name):
    x, y, held = _clouds("")
    (x, y), held = shape(x[:300], y[:300]), shape(held[0][:120], held[1][:120])
    checks = _own(x, y, held, loss="cross_entropy" if y.ndim == 1 else "mse_loss")
    assert [one.name for one in checks.values() if one.outcome in ("warn", "fail")] == [name][: len(name)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "numbers", "given", "name"), [
    ("noise", 6, 50, "label_noise"), ("noise", 4000, 50, ""),
    ("turned", 6, 50, "validation_labels"), ("turned", 6, 40, ""),
])  # fmt: skip
def test_some_pixels_tell_of_no_noise_and_copies_of_rows_tell_nothing_of_validation(
    fault, numbers, given, name
):
    seen = {"batches": [{"shape": [50, numbers]}], "epochs": [1], "rows": given}
    checks = _own(*_clouds(fault), loss="cross_entropy", **seen)
    assert [one.name for one in checks.values() if one.outcome in ("warn", "fail")] == [name][: len(name)]  # fmt: skip


@pytest.mark.parametrize("pick", [
    lambda out, y: out[torch.arange(len(y)), y], lambda out, y: out.gather(1, y[:, None])[:, 0]
])  # fmt: skip
def test_classes_that_a_loss_by_hand_picks_are_targets_also_of_an_average(pick):
    x, y, (held, asked) = _clouds("noise")
    x, y, held, asked = torch.tensor(x).float(), *map(torch.tensor, (y, held, asked))
    model = torch.nn.Linear(x.shape[1], int(y.max()) + 1)
    with Watch() as watch:
        for rows, labels in zip(x.split(50), y.split(50), strict=True):
            (-pick(model(rows).log_softmax(1), labels)).mean().backward()
        average = torch.optim.swa_utils.AveragedModel(model)
        with torch.no_grad():
            pick(average(held.float()).log_softmax(1), asked)
    pairs = watch.labels_seen.answers.handed_on(val_rows=len(held))
    assert (pairs["y"], pairs["whole"]) == (y[:, None].tolist(), True)
    assert pairs["held_targets"] == asked[:, None].tolist()


def _visits(dice, patients):
    """Four visits of each patient, in the order of the patients."""
    usual = dice.normal(0, 1, (patients, 8)).repeat(4, axis=0)
    return usual + dice.normal(0, 0.1, usual.shape)


@pytest.mark.parametrize(
    ("order", "further", "outcome"),
    [(np.random.default_rng(0).permutation(400), 0, "fail"), (np.arange(400), 0, "pass"),
     (np.random.default_rng(0).permutation(400), 40, None)],
)  # fmt: skip
def test_visits_of_a_patient_in_both_sets_are_told_of_rows_that_a_trainer_loads_itself(
    order, further, outcome
):
    rows = _visits(np.random.default_rng(1), 100)[order]
    answers = _answers(rows[:320], rows[:320, 0])
    for held in torch.tensor(rows[320 - further :]).split(32):  # of train as well, if further
        answers.evaluated([held])
    kept = answers.handed_on(val_rows=80)["held"]
    if outcome is None:
        assert kept == []
        return
    check = shared_rows({"train": rows[:320], "val": np.array(kept)}, forms=False)
    assert (check.name, check.outcome) == ("shared_rows", outcome)


def test_other_forms_of_rows_are_not_looked_for_among_those_that_a_loop_gives():
    x = np.random.default_rng(4).normal(size=(400, 12))
    sets = {"train": x[:320], "val": np.concatenate([x[320:], x[:20, ::-1]])}
    assert [shared_rows(sets, forms=forms).outcome for forms in (True, False)] == ["fail", "pass"]


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("steps_first", [True, False])
@pytest.mark.parametrize("apart", [True, False])
def test_windows_of_a_series_that_overlap_between_the_sets_are_told(stride, steps_first, apart):
    series = np.random.default_rng(4).normal(size=(400 * stride + 24, 3))
    windows = np.stack([series[at : at + 24] for at in range(0, 400 * stride, stride)])
    rows = (windows if steps_first else windows.swapaxes(1, 2)).reshape(400, -1)
    rows = rows if apart else rows[np.random.default_rng(5).permutation(400)]
    sets = {"train": rows[:320], "val": rows[320:]}
    checks = [shared_rows(sets, forms=forms) for forms in (True, False)]
    assert [one.outcome for one in checks] == (["pass", "pass"] if apart else ["fail", "warn"])
    assert are_windows(rows)
    assert not are_windows(np.random.default_rng(6).permuted(rows, axis=1))


def test_rows_whose_losses_make_val_loss_are_held_out_however_many_were_given():
    torch.manual_seed(0)
    batches = torch.randn(300, 5).split(64)
    for reduction in ("mean", "sum"):
        with Watch() as watch, torch.no_grad():
            model = nn.Linear(5, 1)
            losses = [F.mse_loss(model(x), x[:, :1], reduction=reduction).item() for x in batches]
            watch.epoch()
        shares = [len(x) / 300 if reduction == "mean" else 1 / 300 for x in batches]
        own = float(np.dot(losses, shares))
        assert watch.evaluated_losses.rows_of(own) == 300
        assert [watch.evaluated_losses.rows_of(one) for one in (losses[-1], 1.01 * own)] == [0, 0]


@pytest.mark.parametrize("shared", [True, False])
def test_pictures_whose_targets_are_maps_are_compared_between_the_sets(shared):
    dice = np.random.default_rng(7)
    x = dice.normal(size=(400, 1, 8, 8))
    answers = _answers(x[:320], (x[:320] > 1).astype(float))
    held = x[:80] + 0.01 * dice.normal(size=(80, 1, 8, 8)) if shared else x[320:]
    for given in torch.tensor(held).split(32):
        answers.evaluated([given])
    checks = of_rows_seen(answers.handed_on(val_rows=80), CALM, metric="", alike=True)
    assert [(one.name, one.outcome) for one in checks] == [("shared_rows", "fail" if shared else "pass")]  # fmt: skip


def test_targets_that_a_batch_has_in_common_are_no_rows_of_a_table():
    x = np.random.default_rng(2).normal(0, 1, (128, 5))
    assert _answers(x, np.repeat([0.0, 1.0], 64)).handed_on() is None
    assert _answers(x, np.ones(128)).handed_on() is None  # a generator's, or a ranking's


@pytest.mark.parametrize(("batches", "outcome"), [(8, "warn"), (2, "not checkable")])
def test_a_loss_by_hand_is_not_to_be_summed_unless_all_rows_are_one_batch(batches, outcome):
    given = [{"shape": [16, 5]}] * batches
    seen = CALM | {"summed": 16, "batches": given, "epochs": [batches // 2, batches]}
    assert first_loss(seen, entropy=None, classes=0).outcome == outcome


def test_weights_that_grow_with_their_class_are_told_by_the_targets_where_rows_are_not_known():
    call = {"name": "cross_entropy", "told": {"weights": [0.6, 0.3, 0.1]}}
    assert by_targets(call, [180, 90, 30]) is not None
    for weights in ([1.0, 2.0, 6.0], [1.0, 1.0, 1.0], []):
        assert by_targets({"name": "cross_entropy", "told": {"weights": weights}}, [180, 90, 30]) is None  # fmt: skip
    for positive, told in ((0.25, True), (4.0, False), (1.0, False)):
        words = {"positive": positive, "ones": 0.2}
        assert bool(by_targets({"name": "", "told": words}, [240, 60])) == told


@pytest.mark.parametrize(
    ("metric", "higher", "end", "outcome"),
    [
        ([0.48, 0.0], True, 0.002, "warn"),
        ([0.48, 1.0], True, 0.002, "pass"),
        ([0.98, 0.95], True, 0.002, "pass"),
        ([1.2, 0.1], False, 0.002, "pass"),
        ([0.1, 1.2], False, 0.002, "warn"),
        ([0.48, 0.0], True, 0.5, "pass"),
        ([0.41, 0.25], True, 0.0, "warn"),
        ([], True, 0.002, "pass"),
    ],
)
def test_a_metric_that_gets_worse_on_rows_whose_loss_fell_is_told(metric, higher, end, outcome):
    tries = [{"rate": 0.1, "steps": 500, "score": None, "start": 0.7, "end": end, "fitted": True, "error": "", "metric": metric}]  # fmt: skip
    heart = {"rows": 64, "tries": tries}
    assert by_heart.overfit(heart, optimizers=1, higher=higher).outcome == outcome


def test_a_loss_without_end_is_told_though_one_rate_stayed_above_and_a_density_is_not():
    base = {"steps": 500, "score": None, "start": 4.1, "error": ""}
    sign = [{**base, "rate": 0.03, "end": -9157.0, "fitted": False}, {**base, "rate": 0.003, "end": -0.9, "fitted": True}]  # fmt: skip
    check = by_heart.overfit({"rows": 64, "tries": sign}, optimizers=1)
    assert (check.outcome, "without end" in check.remedy) == ("warn", True)
    density = [{**base, "rate": 0.03, "end": -40.0, "fitted": True}]
    assert by_heart.overfit({"rows": 64, "tries": density}, optimizers=1).outcome == "pass"


def test_words_that_a_vocabulary_lacks_are_told_if_they_are_most():
    weights = [{"name": "embed.weight", "shape": (62, 24), "trainable": True}]
    lacking = {"given": 59, "read": 6, "most_given": 0.04, "most_read": 0.89}
    rare = {"given": 900, "read": 400, "most_given": 0.04, "most_read": 0.12}
    found = {**CALM, "weights": weights}
    assert model.capacity({**found, "tokens": lacking}, rows=300).outcome == "warn"
    assert model.capacity({**found, "tokens": rare}, rows=300).outcome == "note"


def test_a_bias_that_cancels_out_is_noted_and_a_layer_without_gradient_is_a_fault():
    def weight(name, largest):
        return {
            "name": name, "shape": (4, 4) if "weight" in name else (4,), "trainable": True, "optimized": True,
            "gradients": 9, "largest": largest, "finite": True, "alike": False, "beside": False, "constant": False,
        }  # fmt: skip

    found = {**CALM, "steps": 9, "losses": [1.0], "weights": [weight("2.weight", 1.0), weight("2.bias", 0.0)]}  # fmt: skip
    check = model.gradients(found)
    assert (check.outcome, "2.bias cancel out" in check.told) == ("note", True)
    silent = [weight("0.weight", 1.0), weight("2.weight", 0.0), weight("2.bias", 0.0)]
    assert model.gradients({**found, "weights": silent}).outcome == "fail"


def test_a_summed_loss_with_a_divergence_beside_is_not_judged_and_a_summed_loss_alone_is():
    call = {
        "name": "binary_cross_entropy", "constant": 0.41, "zero": None, "outputs": [32, 64], "value": 1420.0,
        "targets": [32, 64], "reduction": "sum",
    }  # fmt: skip
    found = {**CALM, "loss": call, "first_loss": None}
    with_kl = first_loss({**found, "losses": [1435.0]}, entropy=None, classes=0)
    assert with_kl.outcome == "not checkable"
    small = first_loss({**found, "losses": [1420.0]}, entropy=None, classes=0)
    assert small.outcome == "not checkable"  # an untrained model's divergence may be next to 0
    call |= {"outputs": [32, 1], "targets": [32, 1]}
    alone = first_loss({**found, "losses": [1420.0]}, entropy=None, classes=0)
    assert alone.outcome == "fail"


@pytest.mark.parametrize(
    ("dead", "outcome"), [(0.56, "pass"), (0.8, "warn"), (0.995, "fail")]
)  # half of the units sleep by chance where rows hardly differ yet
def test_units_asleep_are_told_from_those_that_chance_leaves_asleep(dead, outcome):
    assert model.dead_units({**CALM, "dead": [dead], "relu_rows": 640}).outcome == outcome
