"""What a copy of the model learns of rows that a trainer loads itself; softmaxes inside a loss's own module; train losses of an
epoch's end: planted faults are found, sound twins are left alone."""

import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.diagnostics.preflight import held_out as judge
from search.diagnostics.preflight import learning, losses, output
from trainers.api import Data, Part
from trainers.probes import questions
from trainers.probes.held_out import held_out, shuffled
from trainers.probes.steer import Enough
from trainers.probes.subject import Subject
from trainers.probes.tape import Tape
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
    if fault == "two classes swapped":
        held_y = torch.tensor([1, 0, 2])[held_y]
    if fault == "columns anew":
        held = held.flip(1)
    net = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 1 if numbers else 3))
    loss_of = F.mse_loss if numbers else F.cross_entropy
    optimizer, other = (torch.optim.Adam(net.parameters(), RATE) for _ in range(2))
    for _ in range(config["trainer"]["epochs"]):
        told = []
        for rows in torch.randperm(len(x)).split(2 * SIZE if fault == "large batches" else SIZE):
            for one in (optimizer, other) if fault == "turns" else (optimizer,):
                one.zero_grad()
                loss = loss_of(net(x[rows]), y[rows])
                loss.backward()
                one.step()
            told.append(loss.item())
        with torch.no_grad():
            val_loss = loss_of(net(held), held_y).item()
        yield {"train_loss": float(np.mean(told)), "val_loss": val_loss}


def _own_rows(fault, tmp_path):
    trainer = {"_target_": f"{__name__}.loads_itself", "batch_size": SIZE, "epochs": 3, "fault": fault}  # fmt: skip
    part = [Part(x=None, y=None, index=np.arange(rows)) for rows in (320, 160)]
    return Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": RATE}}, device="cpu",
        data=Data(train=part[0], val=part[1]), folder=tmp_path, task="classification",
    )  # fmt: skip


# A copy of the model that learns half of the batches


@pytest.mark.parametrize(
    ("fault", "outcome", "told"),
    [
        ("", "pass", "another row's answer"), ("numbers", "pass", "another row's answer"),
        ("lists sorted apart", "warn", "no more than chance"), ("columns anew", "warn", "that of the rows evaluated from"),
        ("two classes swapped", "warn", "takes class 0 for 1, and that for the first, in the rows evaluated alone"),
        ("one class", "not checkable", "nor did it learn its own"),
        ("large batches", "not checkable", "an epoch has 5 batches, which are too few"), ("turns", "not checkable", "its optimizers take turns, each"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_what_a_copy_learns_of_some_rows_holds_for_others_unless_targets_or_columns_are_mixed_up(
    fault, outcome, told, tmp_path
):
    answer = held_out(_own_rows(fault, tmp_path))
    check = judge.held_out(answer)
    assert check.outcome == outcome, check.told
    assert told in check.told
    assert judge.held_out(answer, alike=False).outcome == ("pass" if fault == "columns anew" else outcome)  # fmt: skip
    if outcome == "pass":
        assert answer["deviations"] > 6
        assert answer["held"] < 0.7 * answer["start"]


def loads_rows(config, data, device, checkpoint):
    """Rows of its own; labels too, unless it takes those that it is given."""
    torch.manual_seed(0)
    x, own = _table(480, 0)
    given = [torch.as_tensor(part.y) for part in (data.train, data.val)]
    taught = given[0] if config["trainer"]["takes"] else own[data.train.index]
    net = nn.Linear(6, 3)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    for _ in range(config["trainer"]["epochs"]):
        for rows in torch.arange(len(taught)).split(SIZE):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[data.train.index[rows]]), taught[rows])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            yield {"train_loss": loss.item(), "predictions": net(x[data.val.index]).numpy()}


@pytest.mark.slow
@pytest.mark.parametrize("takes", [True, False])
def test_labels_that_a_trainer_is_given_and_never_takes_are_not_held_against_it(takes, tmp_path):
    y = _table(480, 0)[1].numpy()
    train, val = np.arange(320), np.arange(320, 480)
    trainer = {"_target_": f"{__name__}.loads_rows", "batch_size": SIZE, "epochs": 3, "takes": takes}  # fmt: skip
    subject = Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": RATE}}, device="cpu",
        data=Data(train=Part(index=train, y=y[train]), val=Part(index=val, y=y[val])),
        folder=tmp_path, task="classification",
    )  # fmt: skip
    answer = questions.labels_matter(subject, rate=RATE)
    if takes:
        assert answer["deviations"] > 6
    else:
        assert "it loads its own" in learning.labels_matter(answer, seen=CALM).told


class LossInside(nn.Module):
    """A model that is given its targets and answers with its loss."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x, y):
        return F.cross_entropy(self.inner(x), y)


def _steps(net, loss_of, *, buffer=None):
    """Five plain steps, on rows that may all come in one tensor; the losses, and the tape."""
    torch.manual_seed(0)
    x, y = _table(5 * SIZE, 0)
    optimizer, told = torch.optim.SGD(net.parameters(), RATE), []
    with Tape() as tape:
        for rows in torch.arange(len(x)).split(SIZE):
            given = x[rows] if buffer is None else buffer.copy_(x[rows])
            optimizer.zero_grad()
            loss = loss_of(net, given, y[rows])
            loss.backward()
            optimizer.step()
            told.append(loss.item())
    return told, tape


def _by_hand(net, x, y):
    """A loss of functions and writes in place, and with a tensor outside of modules."""
    out = net(x)
    shares = torch.zeros_like(out)
    shares[:, :] = out.log_softmax(1)
    total = torch.zeros(())
    total += -shares.gather(1, y[:, None]).mean()
    return total + 0.1 * net.weight.square().sum()


@pytest.mark.parametrize("buffer", [None, torch.zeros(SIZE, 6)])
@pytest.mark.parametrize("loss_of", [_by_hand, lambda net, x, y: F.cross_entropy(net(x), y)])
def test_a_tape_played_in_plain_steps_gives_the_losses_of_the_training(loss_of, buffer):
    told, tape = _steps(nn.Linear(6, 3), loss_of, buffer=buffer)
    optimizer = torch.optim.SGD(tape.learning(), RATE)
    for loss, piece in zip(told, tape.pieces, strict=True):
        optimizer.zero_grad()
        again = tape.play(piece, training=True)
        assert again.item() == pytest.approx(loss, rel=1e-6)
        again.backward()
        optimizer.step()


def test_a_loss_from_inside_of_a_model_depends_on_which_input_stands_beside_which_target():
    _, tape = _steps(LossInside(), lambda net, x, y: net(x, y))
    mixed = shuffled(torch.Generator().manual_seed(0))
    for piece in tape.pieces:
        plain = tape.play(piece, training=False)
        assert tape.play(piece, training=False, changed=mixed) != plain
        assert tape.play(piece, training=False) == plain


def test_a_training_that_no_tape_holds_says_why():
    net, x = nn.Linear(6, 3), torch.zeros(4, 6)
    optimizer = torch.optim.LBFGS(net.parameters())
    with pytest.raises(Enough), Tape() as tape:
        optimizer.step(lambda: net(x).sum())
    assert tape.cause == "its optimizer asks for the gradients itself"
    with pytest.raises(Enough), Tape() as tape:
        (net.weight.sum() * torch.tensor(1.0)).backward()
    assert "functions alone" in tape.cause


class OwnLoss(nn.Module):
    """A loss by hand, its softmax over an axis."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, out, y):
        return -out.log_softmax(self.axis).gather(1, y.view(-1, *[1] * (out.ndim - 1))).mean()


class Attends(nn.Module):
    """A model that weighs its rows' steps by a softmax over the first axis, inside of itself."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x):
        out = self.inner(x)
        return out * out.softmax(0)


PICTURES = nn.Sequential(nn.Linear(6, 12), nn.Unflatten(1, (3, 2, 2)))


@pytest.mark.parametrize(
    ("loss", "net", "found"),
    [(OwnLoss(0), nn.Linear(6, 3), True), (OwnLoss(1), nn.Linear(6, 3), False), (OwnLoss(0), PICTURES, True), (nn.CrossEntropyLoss(), Attends(), False)],
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


@pytest.mark.parametrize(("margin", "clears", "cleared"), [(-9.0, False, 0), (9.0, False, 0), (9.0, True, 3)])  # fmt: skip
def test_gradients_of_a_margin_that_is_reached_are_none_that_were_cleared(margin, clears, cleared):
    x, net = _table(16, 0)[0], nn.Linear(6, 3)
    optimizer = torch.optim.SGD(net.parameters(), RATE)
    with Watch() as watch:
        for _ in range(3):
            optimizer.zero_grad()
            torch.relu(net(x).square().sum(1) + margin).mean().backward()
            if clears:
                optimizer.zero_grad()
            optimizer.step()
        watch.epoch()
    assert watch.seen.cleared == cleared


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
