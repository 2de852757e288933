"""What torch's helpers around the steps are told: schedules, scalers, clips, samplers, states; each beside a sound twin."""

import json

import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from search.diagnostics.preflight import by_heart, learning, loop, model, output, stepping
from search.storage.json_numbers import plain
from trainers.api import Data, Part
from trainers.probes import watched
from trainers.probes.drawn_rows import weights_by_class
from trainers.probes.helpers_seen import HelpersSeen
from trainers.probes.subject import Subject

EPOCHS, SIZE = 8, 16


def _schedule(habit, optimizer, steps):
    if "cycle" in habit:
        return lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=EPOCHS * steps)
    if habit == "of another":
        optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], 0.01)
    return lr_scheduler.StepLR(optimizer, 4, gamma=10 if habit == "rises" else 0.5)


def _loader(habit, x, y):
    count = torch.bincount(y).float()
    weights = count[y] if habit == "drawn by number" else (1 / count)[y]
    if habit == "drawn by others":
        weights = (1 / count)[y.sort().values]
    drawn = "drawn" in habit
    sampler = WeightedRandomSampler(weights.tolist(), len(x)) if drawn else None
    return DataLoader(TensorDataset(x, y), SIZE, shuffle=not drawn, sampler=sampler)


def _prepared(x, y):
    """A teacher that is trained before."""
    teacher = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    slow = torch.optim.Adam(teacher.parameters(), 0.01)
    for _ in range(20):
        slow.zero_grad()
        F.cross_entropy(teacher(x), y).backward()
        slow.step()


def loop_of(config, data, device, checkpoint):
    """A loop over a table of two classes, with a habit or a fault."""
    torch.manual_seed(0)
    habit = config["trainer"]["habit"]
    x, y = torch.tensor(data.train.x), torch.tensor(data.train.y)
    if habit == "prepared":
        _prepared(x, y)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    if "loaded" in habit:
        prefix = "module." if habit == "loaded, other names" else ""
        net.load_state_dict({f"{prefix}0.bias": torch.zeros(16)}, strict=False)
    betas = (0.999, 0.9) if habit == "betas swapped" else (0.9, 0.999)
    optimizer = torch.optim.Adam(net.parameters(), 0.01, betas=betas)
    loader, scaler = _loader(habit, x, y), torch.amp.GradScaler("cpu")
    schedule = _schedule(habit, optimizer, len(loader))
    for epoch in range(EPOCHS):
        for rows, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(rows), labels)
            (scaler.scale(loss) if "scaled" in habit else loss).backward()
            if habit == "clipped":
                nn.utils.clip_grad_norm_(net.parameters(), 0.01)
            if habit == "scaled":
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
            if habit == "clipped late":
                nn.utils.clip_grad_norm_(net.parameters(), 0.01)
            if habit == "cycle":
                schedule.step()
        if habit != "cycle":
            schedule.step(*[100 - epoch] * (habit == "told a loss"))
        with torch.no_grad():
            told = F.cross_entropy(net(torch.tensor(data.val.x)), torch.tensor(data.val.y))
        yield {"train_loss": loss.item(), "val_loss": told.item()}


def _part(rows, seed):
    dice = np.random.default_rng(seed)
    y = (dice.random(rows) < 0.25).astype(int)
    x = dice.normal(0, 1, (rows, 6)) + 2 * y[:, None]
    return Part(x=x.astype(np.float32), y=y, index=np.arange(rows))


def _alarms(habit, tmp_path):
    trainer = {"_target_": f"{__name__}.loop_of", "batch_size": SIZE, "epochs": 3, "habit": habit}
    subject = Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": 0.01}}, device="cpu",
        data=Data(train=_part(240, 0), val=_part(120, 1)), folder=tmp_path,
        task="classification", metric="accuracy",
    )  # fmt: skip
    seen = json.loads(json.dumps(plain(watched.watched(subject)), allow_nan=False))
    made = (
        learning.learning_rate(seen, steps=15 * EPOCHS, epochs=EPOCHS), stepping.optimizer_steps(seen), loop.batches(seen),
        model.initial_weights(seen), model.gradients(seen), model.dead_units(seen), loop.trains(seen),
    )  # fmt: skip
    return {check.name: check.told for check in made if check.outcome in ("warn", "fail")}


FAULTS = {
    "cycle per epoch": ("learning_rate", "OneCycleLR ends at its step 120"),
    "of another": ("learning_rate", "and its optimizer never"),
    "rises": ("learning_rate", "multiplies the rate by 10"),
    "told a loss": ("learning_rate", "a time that goes back"),
    "betas swapped": ("learning_rate", "betas of the optimizer are 0.999 and 0.9"),
    "scaled, own step": ("optimizer_steps", "30 losses were scaled"),
    "clipped late": ("optimizer_steps", "gradients were multiplied that"),
    "drawn by number": ("batches", "the more often a class comes"),
    "drawn by others": ("batches", "the rows of a class bear several"),
    "loaded, other names": ("initial_weights", "a state of 1 tensors was loaded"),
}


@pytest.mark.filterwarnings("ignore:Detected call of", "ignore:The epoch parameter")
@pytest.mark.parametrize("habit", FAULTS)
def test_a_helper_that_is_called_at_the_wrong_time_or_told_the_wrong_thing_is_named(
    habit, tmp_path
):
    name, told = FAULTS[habit]
    alarms = _alarms(habit, tmp_path)
    assert set(alarms) == {name}
    assert told in alarms[name]


@pytest.mark.parametrize("habit", ["", "cycle", "scaled", "clipped", "drawn", "loaded", "prepared"])
def test_its_sound_twin_raises_no_alarm(habit, tmp_path):
    assert _alarms(habit, tmp_path) == {}


def test_helpers_are_noted_only_inside_of_the_context():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    noted = HelpersSeen()
    with noted:
        schedule.step(1.0)
        schedule.step(torch.tensor(2.0))
    schedule.step(3.0)
    assert noted.plateaus == [("min", 1.0), ("min", 2.0)]
    assert optimizer.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize(("cleared", "outcome"), [(True, "not checkable"), (False, "fail")])
def test_gradients_of_one_of_two_optimizers_that_are_never_cleared_are_told(cleared, outcome):
    torch.manual_seed(0)
    maker, critic = nn.Linear(4, 2), nn.Linear(2, 1)
    steps = {net: torch.optim.Adam(net.parameters(), 0.001) for net in (maker, critic)}
    with watched.Watch() as watch:
        for _ in range(12):
            made = maker(torch.randn(8, 4))
            if cleared:
                steps[critic].zero_grad()
            (critic(made.detach()) - critic(torch.randn(8, 2))).mean().backward()
            steps[critic].step()
            steps[maker].zero_grad()
            critic(made).mean().backward()
            steps[maker].step()
        watch.epoch()
    assert watch.seen.never_cleared == (0 if cleared else 11)
    seen = {**CALM, **{name: getattr(watch.seen, name) for name in ("steps", "optimizers", "never_cleared")}}  # fmt: skip
    assert stepping.optimizer_steps(seen).outcome == outcome


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (lambda out, other: F.kl_div(out, other.softmax(1), reduction="batchmean"), "numbers above 0"),
        (lambda out, other: F.kl_div(out.log_softmax(1), other.log_softmax(1), reduction="batchmean"), "targets below 0"),
        (lambda out, other: -F.log_softmax(out.softmax(1), 1)[:, 0].mean(), "what a softmax leaves"),
        (lambda out, other: -F.log_softmax(out.sigmoid(), 1)[:, 0].mean(), "what a sigmoid leaves"),
        (lambda out, other: F.kl_div(out.log_softmax(1), other.softmax(1), reduction="batchmean"), ""),
        (lambda out, other: F.kl_div(out.log_softmax(1), other.log_softmax(1), log_target=True, reduction="batchmean"), ""),
        (lambda out, other: -F.log_softmax(out.log_softmax(1), 1)[:, 0].mean(), ""),
    ],
)  # fmt: skip
def test_divergences_and_softmaxes_of_the_wrong_numbers_are_told(loss, told):
    torch.manual_seed(0)
    out, other = torch.randn(8, 3, requires_grad=True), torch.randn(8, 3)
    with watched.Watch() as watch:
        loss(out * 1, other)
    calls = watch.calls_seen
    seen = {**CALM, "divergence": calls.divergence, "logarithm_of": calls.logarithm_of}
    check = output.output_layer(seen, classification=True, classes=3)
    assert check.outcome == ("fail" if told else "not checkable")
    assert told in check.told


def test_shares_of_classes_are_a_teachers_and_single_classes_are_labels():
    out, classes = torch.randn(8, 3, requires_grad=True), torch.arange(8) % 3
    for targets, soft in ((F.one_hot(classes, 3).float(), 0), (torch.randn(8, 3).softmax(1), 1)):
        with watched.Watch() as watch:
            F.kl_div((out * 1).log_softmax(1), targets, reduction="batchmean")
        assert watch.calls_seen.soft_targets == soft


def test_weights_of_rows_that_are_no_weights_of_classes_tell_nothing():
    dice = np.random.default_rng(0)
    labels = dice.integers(0, 2, 500).astype(float)
    assert weights_by_class(dice.random(500), labels) is None  # a weight per row
    assert weights_by_class([1.0] * 500, labels) is None
    domains = np.where(dice.random(500) < 0.9, 0.1, 0.9)  # of two sources, whatever the class
    seen = {**CALM, "drawn": weights_by_class(domains, labels)}
    assert loop.batches({**seen, "batches": []}).outcome == "not checkable"


def test_a_language_model_that_nearly_knows_its_rows_has_a_floor_and_another_has_none():
    attempt = {"start": 3.0, "end": 0.16, "score": None, "steps": 2000, "rate": 0.01, "fitted": False}  # fmt: skip
    heart = {"rows": 64, "tries": [attempt]}
    text = {**CALM, "next_tokens": {"ahead": True, "reads_on": False}}
    sees = {**CALM, "next_tokens": {"ahead": True, "reads_on": True}}
    outcomes = [by_heart.overfit(heart, optimizers=1, seen=s).outcome for s in (text, sees, CALM)]
    assert outcomes == ["note", "warn", "warn"]
    high = {**heart, "tries": [{**attempt, "end": 1.6}]}
    assert by_heart.overfit(high, optimizers=1, seen=text).outcome == "warn"
