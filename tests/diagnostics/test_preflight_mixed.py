"""Rows that a trainer loads itself, whose targets are mixed within each batch; softmaxes inside a loss's own module; train losses of an
epoch's end: planted faults are found, sound twins are left alone."""

import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.diagnostics.preflight import learning, losses, output
from trainers.api import Data, Part
from trainers.probes.mixed_targets import Targets, targets_matter
from trainers.probes.subject import Subject
from trainers.probes.watch import Watch

SIZE, RATE = 32, 0.01


def _table(rows, seed):
    dice = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (rows,), generator=dice)
    return torch.randn(rows, 6, generator=dice) + 2 * F.one_hot(y, 6), y


def loads_itself(config, data, device, checkpoint):
    """Rows of its own, three classes or a number; nothing of `data` is read."""
    fault = config["trainer"]["fault"]
    torch.manual_seed(0)
    (x, y), (held, held_y) = _table(320, 0), _table(160, 1)
    numbers = fault == "numbers"
    if "lists sorted apart" in fault:
        y = y[torch.randperm(len(y))]
    if numbers:
        y, held_y = (part[:, :1].sin() for part in (x, held))
    if fault == "one class":
        y = torch.zeros_like(y)
    net = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 1 if numbers else 3))
    loss_of = F.mse_loss if numbers else F.cross_entropy
    optimizer = torch.optim.Adam(net.parameters(), config["optimizer"]["lr"])
    for _ in range(config["trainer"]["epochs"]):
        told = []
        for rows in torch.randperm(len(x)).split(SIZE):
            optimizer.zero_grad()
            loss = loss_of(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            told.append(loss.item())
        with torch.no_grad():
            val_loss = loss_of(net(held), held_y).item()
        yield {"train_loss": float(np.mean(told)), "val_loss": val_loss}


def _of_own_rows(fault, tmp_path):
    trainer = {"_target_": f"{__name__}.loads_itself", "batch_size": SIZE, "epochs": 3, "fault": fault}  # fmt: skip
    part = [Part(x=None, y=None, index=np.arange(rows)) for rows in (320, 160)]
    subject = Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": RATE}}, device="cpu",
        data=Data(train=part[0], val=part[1]), folder=tmp_path, task="classification",
    )  # fmt: skip
    return targets_matter(subject, subject.data, rates=[RATE], enough=60.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("", "pass"), ("numbers", "pass"), ("lists sorted apart", "not checkable"), ("one class", "not checkable")],
)  # fmt: skip
def test_targets_of_rows_that_a_trainer_loads_itself_matter_and_those_of_other_rows_never_pass(
    fault, outcome, tmp_path
):
    answer = _of_own_rows(fault, tmp_path)
    check = learning.labels_matter(answer, seen=CALM)
    assert check.outcome == outcome, check.told
    if fault == "one class":
        assert "mixing targets changes none" in check.told
    else:
        assert answer["rows"] == 160
        assert (answer["deviations"] > 3) == (outcome == "pass")


@pytest.mark.parametrize("mixed", [True, False])
def test_targets_are_mixed_where_gradients_are_on_and_nowhere_else(mixed):
    torch.manual_seed(0)
    net, y = nn.Linear(4, 4), torch.arange(64) % 4
    x = F.one_hot(y, 4) * 20.0
    net.weight.data, net.bias.data = torch.eye(4), torch.zeros(4)
    targets = Targets(mixed=mixed)
    with targets:
        trained = [F.cross_entropy(net(x), y), F.cross_entropy(input=net(x), target=y)]
        with torch.no_grad():
            evaluated = F.cross_entropy(net(x), y)
        targets.epoch()
    assert all((loss > 1) == mixed for loss in trained)
    assert evaluated < 1e-6
    assert len(targets.changed) == 2 * mixed
    assert targets.epochs[0] == pytest.approx(np.ones(64))


class OwnLoss(nn.Module):
    """A loss by hand, its softmax over an axis."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, out, y):
        return -out.log_softmax(self.axis).gather(1, y[:, None]).mean()


class Attends(nn.Module):
    """A model that weighs its rows' steps by a softmax over the first axis, inside of itself."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x):
        out = self.inner(x)
        return out * out.softmax(0)


@pytest.mark.parametrize(
    ("loss", "net", "found"),
    [(OwnLoss(0), nn.Linear(6, 3), True), (OwnLoss(1), nn.Linear(6, 3), False), (nn.CrossEntropyLoss(), Attends(), False)],
)  # fmt: skip
def test_a_softmax_over_rows_inside_a_losss_own_module_is_told(loss, net, found):
    torch.manual_seed(0)
    x, y = _table(16, 0)
    optimizer = torch.optim.SGD(net.parameters(), RATE)
    with Watch() as watch:
        for _ in range(3):
            optimizer.zero_grad()
            loss(net(x), y).backward()
            optimizer.step()
        watch.epoch()
    assert watch.seen.over_rows == (3 if found else 0)
    seen = {**CALM, "over_rows": watch.seen.over_rows}
    check = output.output_layer(seen, classification=True, classes=3)
    assert (check.outcome == "fail") == found
    assert ("over the rows of a batch" in check.told) == found


# Train losses that hold the epoch before, and others

STEPS = [4.0, 2.4, 1.6, 1.0, 0.8, 0.7]  # losses of two epochs of three steps
FIRST, SECOND = np.mean(STEPS[:3]), np.mean(STEPS[3:])


@pytest.mark.parametrize(
    ("train_loss", "told"),
    [
        ([FIRST, np.mean(STEPS)], "averages all steps"),  # planted
        ([FIRST, FIRST + SECOND], "never reset"),
        ([3 * FIRST, sum(STEPS)], "never reset"),  # a sum over batches
        ([FIRST / 65536, np.mean(STEPS) / 65536], "averages all steps"),  # seen as a scaler has it
        ([FIRST, SECOND], ""),  # sound
        ([3 * FIRST, 3 * SECOND], ""),
        ([STEPS[2], STEPS[5]], ""),  # of the last step
        ([1.2, 1.2 * (FIRST + SECOND) / 2 / FIRST], ""),  # evaluated when the epoch has ended
    ],
)
def test_a_train_loss_that_holds_the_epoch_before_is_told_and_one_of_an_epochs_end_is_not(
    train_loss, told
):
    seen = {**CALM, "losses": STEPS, "losses_until": [3, 6], "train_loss": train_loss}
    check = losses.reported_losses(seen, heart={})
    assert check.outcome == ("fail" if told else "pass")
    assert told in check.told


def test_a_last_step_above_its_epochs_mean_is_no_average_of_all_steps():
    steps = [1.0, 1.0, 4.0, 1.0, 1.0, 2.5]
    seen = {**CALM, "losses": steps, "losses_until": [3, 6], "train_loss": [4.0, 2.5]}
    assert losses.reported_losses(seen, heart={}).outcome == "pass"
    one = {**CALM, "losses": [4.0, 1.0], "losses_until": [1, 2]}  # an epoch of one step
    outcomes = [
        losses.reported_losses({**one, "train_loss": [4.0, loss]}, heart={}).outcome
        for loss in (1.0, 2.5)
    ]
    assert outcomes == ["pass", "fail"]
