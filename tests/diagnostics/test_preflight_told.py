"""What a loss is told of the classes, an optimizer that forgets, language models that see what they are to say, and losses and answers that
hold for a part alone: planted ones are found, and their sound twins are left alone."""

import copy
import json
from dataclasses import asdict

import desk_loops
import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.diagnostics.preflight import learning, loop, losses, model, output, stepping
from search.diagnostics.preflight.class_words import misled
from search.diagnostics.preflight.first_loss import first_loss
from search.storage.json_numbers import plain
from trainers.api import Data, Part
from trainers.probes import watched
from trainers.probes.class_words import class_words
from trainers.probes.functions import with_weight
from trainers.probes.seen import loss_call
from trainers.probes.subject import Subject
from trainers.probes.watch import Watch

COUNTS, ROWS = (400, 150, 50), 600
OWN = {"follows": 1.0}
Y = torch.arange(3).repeat_interleave(torch.tensor(COUNTS))


def _misled(*, targets=OWN, counts=COUNTS, **words):
    told = class_words(F.cross_entropy, torch.zeros(ROWS, 3), Y, words)
    return misled({"name": "cross_entropy", "told": told}, targets, counts=counts)


def test_weights_that_grow_with_the_rows_of_a_class_are_told_and_others_are_not():
    rows = torch.tensor(COUNTS, dtype=torch.float32)
    for weight in (rows, rows / rows.sum(), 3 * rows / rows.mean() * torch.tensor([1, 1.03, 1])):
        assert "proportional" in _misled(weight=weight)[0]
    sound = [
        1 / rows,
        rows.rsqrt(),
        1 - rows / rows.sum(),
        torch.ones(3),
        rows.sqrt(),
        torch.tensor([1.0, 2, 3]),
    ]
    assert [_misled(weight=weight) for weight in sound] == [None] * len(sound)
    assert _misled(weight=rows, targets={"follows": 0.5}) is None  # targets are no labels
    assert _misled(weight=rows, targets=None) is None


def test_weights_that_are_drawn_by_chance_are_hardly_ever_proportional():
    dice = np.random.default_rng(0)
    told = [_misled(weight=torch.tensor(np.exp(dice.normal(0, 1, 3)))) for _ in range(1000)]
    assert sum(one is not None for one in told) <= 10


def test_a_class_that_is_taken_for_padding_is_told_and_a_number_that_is_none_is_not():
    assert "leaves out label 1 (ignore_index), which 25%" in _misled(ignore_index=1)[0]
    assert _misled(ignore_index=255) is _misled(ignore_index=-100) is _misled() is None


@pytest.mark.parametrize(("rows", "told"), [(8, True), (4, False)])
def test_a_label_of_rows_that_is_left_out_is_told_of_rows_of_ones_own_and_padding_of_steps_is_not(
    rows, told
):
    y = torch.arange(8) % 3
    call = asdict(loss_call(F.cross_entropy, torch.randn(8, 3), y, {"ignore_index": 0}))
    seen = {**CALM, "steps": 1, "loss": call, "batches": [{"shape": [rows, 2]}]}
    check = output.output_layer(seen, classification=True, classes=0)
    assert ("leaves out label 0" in check.told) == told


@pytest.mark.parametrize(("taught", "active"), [(True, []), (False, ["batch norm"])])
def test_statistics_set_on_rows_that_it_trained_on_are_no_evaluation_in_training_mode(
    taught, active
):
    net, x = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), torch.randn(64, 4)
    averaged = copy.deepcopy(net)
    with Watch() as watch:
        net(x).square().mean().backward()
        watch.epoch()
        with torch.no_grad():
            averaged(x if taught else torch.randn(64, 4))
    assert watch.seen.noisy_evaluations == active


@pytest.mark.parametrize(
    ("weight", "flipped", "told"), [(0.5, False, True), (2.0, False, False), (1.0, False, False), (0.5, True, False)]
)  # fmt: skip
def test_a_weight_of_the_second_class_that_is_upside_down_is_told(weight, flipped, told):
    y = (torch.arange(ROWS) % 3 == 0).float()  # two of the first for one of the second
    ones = 1 - y if flipped else y
    words = class_words(F.binary_cross_entropy_with_logits, y, ones, {"pos_weight": torch.tensor(weight)})  # fmt: skip
    call = {"name": "binary_cross_entropy_with_logits", "told": words}
    assert (misled(call, OWN, counts=(400, 200)) is not None) == told


def test_a_weight_that_is_given_by_its_place_is_read_as_one_by_its_name():
    weight = torch.ones(3)
    assert with_weight(F.cross_entropy, (1, 2, weight), {}) == {"weight": weight}
    assert with_weight(F.mse_loss, (1, 2, None), {"reduction": "sum"}) == {"reduction": "sum"}


@pytest.mark.parametrize(
    ("habit", "steps"), [("momentum anew per step", 12), ("rms anew per step", 12), ("plain steps anew", 0),
                         ("momentum anew per epoch", 3), ("", 1)],
)  # fmt: skip
def test_an_optimizer_that_forgets_in_every_step_is_told(habit, steps):
    net = torch.nn.Linear(4, 2)
    optimizer = desk_loops._optimizer(habit, net, 0.1)
    with Watch() as watch:
        for step in range(12):
            if habit.endswith(("per step", "steps anew")) or (habit.endswith("epoch") and step % 4 == 0):  # fmt: skip
                optimizer = desk_loops._optimizer(habit, net, 0.1)
            optimizer.zero_grad()
            net(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    assert watch.seen.forgetful == steps
    seen = {**CALM, "steps": 12, "forgetful": steps}
    outcome = stepping.optimizer_steps(seen).outcome
    assert outcome == ("warn" if steps == 12 else "pass")


@pytest.mark.parametrize(
    ("habit", "relation"),
    [("attending", (1, False)), ("attending, sees all", (1, True)), ("attending, classes second", (1, False)),
     ("recurrent, sees all, padded", (1, True)), ("recurrent", (1, False)), ("steps first, sees all", (1, True)), ("steps first", (1, False)),
     ("window, not shifted", (0, False)), ("itself from all", (0, True)), ("hidden words", None), ("normed", None)],
)  # fmt: skip
def test_what_a_model_of_tokens_is_to_say_is_told_by_the_tokens_and_how_far_it_reads(
    habit, relation
):
    torch.manual_seed(0)
    text = torch.randint(1, desk_loops.WORDS, (24, desk_loops.STEPS + 1))
    net = desk_loops.Speaker(habit)
    given, aims = text[:, :-1], text[:, 1:]
    if "not shifted" in habit or habit == "itself from all":
        aims = given
    left = {}
    if "padded" in habit:
        given, aims, left = given.clone(), aims.clone(), {"ignore_index": 0}
        given[::2, 8:] = aims[::2, 7:] = 0
    if habit == "hidden words":
        given = torch.where(torch.rand(given.shape) < 0.2, 0, given)
    if "steps first" in habit:
        given, aims = given.T, aims.T
    with Watch() as watch:
        out = net(given)
        if "classes second" in habit:
            loss = F.cross_entropy(out.transpose(1, 2), aims, **left)
        else:
            loss = F.cross_entropy(out.flatten(0, 1), aims.flatten(), **left)
        loss.backward()
    found = watch.seen.next_tokens
    assert (None if found is None else (found["ahead"], found["reads_on"])) == relation
    assert found is None or found["steps_first"] == ("steps first" in habit)
    check = learning.labels_matter({}, seen={**CALM, "next_tokens": found})
    faulty = relation in ((1, True), (0, False))
    assert check.outcome == ("fail" if faulty else "not checkable")


def test_looking_how_far_a_model_reads_changes_neither_its_gradients_nor_chance():
    text = torch.randint(0, desk_loops.WORDS, (24, desk_loops.STEPS + 1), generator=torch.Generator().manual_seed(0))  # fmt: skip
    told = []
    for looking in (False, True):
        torch.manual_seed(1)
        net = desk_loops.Speaker("attending")
        with Watch() if looking else torch.enable_grad():
            F.cross_entropy(net(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()).backward()
        told.append([*(p.grad for p in net.parameters()), torch.rand(3)])
    assert all(torch.equal(one, two) for one, two in zip(*told, strict=True))


@pytest.mark.parametrize(("shapes", "outcome"), [(((12, 32), (12, 20)), "pass"), (((32, 12), (20, 12)), "warn")])  # fmt: skip
def test_a_model_whose_steps_come_first_mixes_steps_and_no_rows(shapes, outcome):
    given = [{"shape": shape, "content": str(shape)} for shape in shapes]
    seen = {**CALM, "batches": given, "rows_mix": True}
    assert loop.evaluation_mode(seen).outcome == outcome
    tokens = {"ahead": True, "reads_on": False, "steps_first": True}  # whose last batch is shorter
    assert loop.evaluation_mode({**seen, "next_tokens": tokens}).outcome == "pass"


@pytest.mark.parametrize(("flood", "outcome"), [(5.0, "fail"), (0.05, "pass"), (0.0, "pass")])
def test_a_flood_above_the_first_loss_is_told(flood, outcome):
    seen = {**CALM, "first_loss": 2.3, "steps": 9, "epochs_told": 2}
    check = loop.trains(seen, flood=flood)
    assert (check.outcome, "lies above the first loss, 2.3" in check.told) == (outcome, outcome == "fail")  # fmt: skip
    assert loop.trains({**seen, "first_loss": None}, flood=5.0).outcome == "pass"


class Pooled(nn.Sequential):
    """Takes the mean over rows, not over features."""

    def forward(self, x):
        return super().forward(x).mean(0, keepdim=True).expand(len(x), -1)


def parts(config, data, device, checkpoint):
    """A regression of three targets, with a habit or a fault; its rows are its own."""
    torch.manual_seed(config["seed"])
    habit = config["trainer"]["habit"]
    x = torch.randn(640, 8)
    y = x[:, :3] - 0.5 * x[:, 3:6] + (5.0 if habit == "far" else 0.0)
    y = torch.randn(640, 3) if habit == "noise" else y
    kind = Pooled if habit == "one answer" else nn.Sequential
    net = kind(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3))
    net[-1].bias.data[2] -= 50.0 * (habit == "asleep")
    optimizer = torch.optim.Adam(net.parameters(), 0.01)

    def lost(rows, train=False):
        if habit == "taught within" and train:  # as MAML does: by weights that are a step ahead
            step = torch.autograd.grad(
                F.mse_loss(net(x[rows]), y[rows]), net.parameters(), create_graph=True
            )
            weights = {
                name: one - 0.01 * by
                for (name, one), by in zip(net.named_parameters(), step, strict=True)
            }
            return F.mse_loss(torch.func.functional_call(net, weights, (x[rows],)), y[rows])
        out = net(x[rows])
        if habit == "asleep":  # all outputs are read, behind a ReLU
            return F.mse_loss(out.relu().sum(1), y[rows, 0])
        if habit == "first alone":
            return F.mse_loss(out[:, 0], y[rows, 0])
        if habit == "a column per step" and train:
            return F.mse_loss(*(one[:, lost.turn % 3] for one in (out, y[rows])))
        return F.mse_loss(out, y[rows])

    lost.turn = 0
    for _ in range(config["trainer"]["epochs"]):
        net.train()
        told = []
        for rows in torch.randperm(512).split(32):
            loss = lost(rows, train=True)
            lost.turn += 1
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            told.append(loss.item())
        net.eval()
        held = torch.arange(512, 640)
        with torch.no_grad():
            each = [lost(some).item() for some in held.split(32)]
        val = each[-1] if habit == "last batch" else np.mean(each)
        yield {"train_loss": float(np.mean(told)), "val_loss": float(val)}


@pytest.mark.parametrize(
    ("habit", "told"),
    [("", {}), ("far", {}), ("noise", {}), ("a column per step", {}), ("asleep", {}), ("taught within", {}),
     ("last batch", {"reported_losses": "the last batch in every epoch"}),
     ("first alone", {"output_layer": "2 of 3 outputs are never taught"}), ("one answer", {"capacity": "one and the same answer"})],
)  # fmt: skip
def test_what_holds_for_a_part_of_rows_or_outputs_alone_is_told(habit, told, tmp_path):
    trainer = {"_target_": f"{__name__}.parts", "batch_size": 32, "epochs": 3, "habit": habit}
    own = [Part(x=None, y=None, index=np.arange(rows)) for rows in (512, 128)]
    subject = Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": 0.01}}, data=Data(train=own[0], val=own[1]),
        device="cpu", folder=tmp_path, task="regression",
    )  # fmt: skip
    seen = json.loads(json.dumps(plain(watched.watched(subject)), allow_nan=False))
    checks = [losses.reported_losses(seen, heart={}), output.output_layer(seen, classification=False, classes=0), model.capacity(seen, rows=512), model.gradients(seen)]  # fmt: skip
    alarms = {check.name: check.told for check in checks if check.outcome in ("warn", "fail")}
    assert alarms.keys() == told.keys()
    assert all(words in alarms[name] for name, words in told.items())
    assert checks[-1].outcome != "not checkable"  # the training was seen


@pytest.mark.parametrize(("value", "outcome"), [(0.2, "note"), (1.1, "pass"), (30.0, "fail")])
def test_a_model_that_begins_near_its_targets_is_noted(value, outcome):
    call = {"name": "mse_loss", "outputs": [32], "targets": [32], "value": value, "constant": 1.0, "reduction": "mean", "zero": 1.0}  # fmt: skip
    seen = {**CALM, "loss": call, "losses": [value]}
    assert first_loss(seen, entropy=None, classes=0).outcome == outcome
    told = first_loss({**seen, "first_loss": 0.1}, entropy=None, classes=0)
    assert told.outcome == "warn"  # what is told of the first loss is not what the loss was


def reads_in_order(config, data, device, checkpoint):
    """A language model of one text; its habit says what becomes of the state between steps."""
    torch.manual_seed(config["seed"])
    habit = config["trainer"]["habit"]
    text = torch.randint(0, 9, (8, 12 * 16))
    rows = text.view(8, 12, 16).transpose(0, 1)  # a batch of 8 streams, 12 in a row
    embedding, cells, head = nn.Embedding(9, 8), nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 9)
    net = nn.ModuleList([embedding, cells, head])
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(config["trainer"]["epochs"]):
        order = torch.randperm(12) if "other order" in habit else torch.arange(12)
        state = None
        for part in rows[order]:
            out, left = cells(embedding(part[:, :-1]), state)
            if "carried" in habit:
                state = tuple(one.detach().clone() for one in left)
            loss = F.cross_entropy(head(out).flatten(0, 1), part[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            if "by hand" in habit:
                for weight in net.parameters():
                    weight.data.add_(weight.grad, alpha=-0.1)
            else:
                optimizer.step()
        yield {"train_loss": loss.item(), "val_loss": loss.item()}


@pytest.mark.parametrize(
    ("habit", "outcome"),
    [("carried", "pass"), ("carried, by hand", "pass"), ("dropped", "warn"), ("carried, other order", "warn"), ("dropped, other order", "pass")],
)  # fmt: skip
def test_rows_in_order_are_no_fault_where_a_hidden_state_goes_on_and_are_meant_to_stay_so(
    habit, outcome, tmp_path
):
    trainer = {"_target_": f"{__name__}.reads_in_order", "batch_size": 8, "epochs": 3, "habit": habit}  # fmt: skip
    own = Part(x=None, y=None, index=np.arange(96))
    subject = Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": 0.01}}, data=Data(train=own, val=own),
        device="cpu", folder=tmp_path, task="classification",
    )  # fmt: skip
    seen = json.loads(json.dumps(plain(watched.watched(subject)), allow_nan=False))
    check = loop.shuffling(seen, ordered=False)
    assert (check.outcome, "hidden state" in check.told) == (outcome, "carried" in habit)


def test_the_time_of_a_trainer_with_rows_of_its_own_is_that_of_its_steps():
    batch = {"batch": 128, "seconds": 0.5, "megabytes": 0.5}
    answer = {"batches": [batch], "rows": 1344, "own_steps": 18}
    check = learning.speed(answer, epochs=2, trainings=3, slots=1, batch=128)
    assert "18 steps an epoch" in check.told
    assert "an epoch takes 9 s, all 3 trainings at most 54 s" in check.told


def test_the_time_of_a_long_search_is_told_in_minutes_and_hours():
    batch = {"batch": 32, "seconds": 1.0, "megabytes": 0.5}
    answer = {"batches": [batch], "rows": 32 * 130}
    check = learning.speed(answer, epochs=50, trainings=78, slots=2, batch=32)
    assert "an epoch takes 2 min 10 s, all 78 trainings at most 70 h 25 min" in check.told
