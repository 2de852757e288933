"""Terms of a summed loss, outputs of several axes, padding that a loss counts: planted faults are told,
and their sound twins are left alone."""

import pytest
import torch
from test_preflight import CALM
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.diagnostics.preflight import held_out as judge
from search.diagnostics.preflight import learning, model, output
from trainers.probes.answers_seen import AnswersSeen
from trainers.probes.maps_seen import MapsSeen
from trainers.probes.tape import Tape
from trainers.probes.terms import looked_at, terms_of
from trainers.probes.watch import Watch

ROWS, STEPS = 32, 8


class Heads(nn.Module):
    """Three classes and a number, of a trunk that both share."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
        self.kind, self.price = nn.Linear(16, 3), nn.Linear(16, 1)

    def forward(self, x):
        return self.kind(self.trunk(x)), self.price(self.trunk(x))[:, 0]


def _taped(loss_of):
    """Eight steps of a model with two heads on rows that both can learn."""
    torch.manual_seed(0)
    net = Heads()
    optimizer = torch.optim.SGD(net.parameters(), 1e-9)
    with Tape() as tape:
        for _ in range(STEPS):
            x = torch.randn(ROWS, 6)
            optimizer.zero_grad()
            loss_of(*net(x), x[:, :3].argmax(1), x[:, 3]).backward()
            optimizer.step()
    return tape


def _inside(kind, price, y, z):
    """The same sum inside of a module."""
    return _Sum()(kind, price, y, z)


def _added_up(kind, price, y, z):
    """The same sum, added up in place."""
    loss = F.cross_entropy(kind, y)
    loss += F.mse_loss(price, 1e5 * z)
    return loss


class _Sum(nn.Module):
    def forward(self, kind, price, y, z):
        terms = {"kind": F.cross_entropy(kind, y), "price": F.mse_loss(price, 1e5 * z)}
        return sum(terms.values())


@pytest.mark.parametrize(
    ("loss_of", "tells"),
    [
        (lambda kind, price, y, z: F.cross_entropy(kind, y) + F.mse_loss(price, 1e5 * z), "times as much"),  # planted
        (_inside, "times as much"),
        (_added_up, "times as much"),
        (lambda kind, price, y, z: F.cross_entropy(kind, y) + F.mse_loss(price, z) / float("inf"), ""),
        (lambda kind, price, y, z: F.mse_loss(price, z) + F.cross_entropy(kind.detach(), y), "no gradient comes"),
        (lambda kind, price, y, z: F.cross_entropy(kind, y) + F.mse_loss(price, z), ""),  # sound
        (lambda kind, price, y, z: F.cross_entropy(kind, y) + 1e-5 * F.mse_loss(price, z), ""),  # a weight that is meant
        (lambda kind, price, y, z: F.cross_entropy(kind, y) + 1e-10 * F.mse_loss(price, 1e5 * z), ""),
        (lambda kind, price, y, z: F.cross_entropy(kind, y) + 1e-6 * kind.square().sum(), ""),  # a penalty
        (lambda kind, price, y, z: F.cross_entropy(kind, y), ""),
    ],
)  # fmt: skip
def test_a_term_that_teaches_nothing_beside_another_is_told_and_a_weight_that_is_meant_is_not(
    loss_of, tells
):
    tape = _taped(loss_of)
    before = looked_at(tape, tape.pieces)
    with torch.no_grad():
        for weights in tape.learning():
            weights.add_(0.01 * torch.randn_like(weights))
    answer = {"deviations": 9.0, "own": 9.0, "ids": False, "named": [[[], []]] * 2, "evaluated": [],
              "start": 2.0, "held": 1.0, "mixed": 2.0, "terms": terms_of(before, looked_at(tape, tape.pieces))}  # fmt: skip
    check = judge.held_out(answer)
    assert check.outcome == ("warn" if tells else "pass")
    assert tells in check.told
    hidden = judge.held_out(
        {**answer, "held": 1.99, "deviations": 1.0}
    )  # nothing is learned in the sum
    assert (tells or "no more than chance") in hidden.told


class Steps(nn.Module):
    """Three outputs per step, on the last axis or the second one, or dealt out anew."""

    def __init__(self, form):
        super().__init__()
        self.form = form
        self.inner = nn.Linear(1, 3)
        nn.init.ones_(self.inner.bias)  # none sleeps, as behind a ReLU that follows

    def forward(self, x, lengths=None):
        out = self.inner(x[:, :, None])
        return {"last": out, "second": out.transpose(1, 2), "dealt": out.view(len(x), 3, -1)}[
            self.form
        ]


def _watched(form, *, loss_of, widths=(8,), lengths=True):
    """Rows of which half are padded by a half, seen by a loss of outputs [n, steps, 3]."""
    torch.manual_seed(0)
    net = Steps(form)
    with Watch() as watch:
        for step in range(6):
            x = 1 + torch.rand(ROWS, widths[step % len(widths)])
            many = torch.full((ROWS,), x.shape[1])
            many[::2] //= 2
            x *= torch.arange(x.shape[1]) < many[:, None]
            out = net(x, many) if lengths else net(x)
            loss_of(out if form == "last" else out.transpose(1, 2), x > 0).backward()
    answers: AnswersSeen = watch.labels_seen.answers
    return answers


@pytest.mark.parametrize("form", ["last", "second"])
def test_an_output_of_every_step_that_no_loss_teaches_is_told(form):
    whole = _watched(form, loss_of=lambda out, real: out.square().mean())
    part = _watched(form, loss_of=lambda out, real: out[..., 1:].square().mean())
    steps = _watched(form, loss_of=lambda out, real: out[:, :-1].square().mean())
    assert [one.never_taught() for one in (whole, part, steps)] == [[], [1, 3], []]
    assert [one.viewed for one in (whole, part)] == [(), ()]


def test_outputs_that_are_a_view_in_another_order_of_axes_are_told_before_any_loss():
    dealt = _watched("dealt", loss_of=lambda out, real: out.square().mean())
    check = output.output_layer({**CALM, "viewed": dealt.viewed}, classification=True, classes=0)
    assert (dealt.viewed, check.outcome) == ((ROWS, 8, 3), "fail")


@pytest.mark.parametrize(
    ("loss_of", "outcome"),
    [
        (lambda out, real: out.square().mean(), "warn"),  # planted
        (lambda out, real: out[real].square().mean(), "pass"),  # sound
        (lambda out, real: out[real | real.roll(1, 1)].square().mean(), "pass"),  # an end is taught
    ],
)
@pytest.mark.parametrize("said", [{}, {"lengths": False, "widths": (6, 8, 10)}])
def test_padding_that_a_loss_of_ones_own_counts_is_told(loss_of, outcome, said):
    share = _watched("last", loss_of=loss_of, **said).padding_taught()
    assert learning.padding_seen(share).outcome == outcome


def test_zeros_at_the_ends_of_rows_are_no_padding_where_nothing_says_so():
    assert _watched("last", loss_of=lambda out, real: out.sum(), lengths=False).padding_taught() is None  # fmt: skip


def test_rates_that_are_taken_for_logarithms_are_told_and_logarithms_are_not():
    x, y = torch.randn(ROWS, 6), torch.ones(ROWS, 1)

    def outcome(end, **words):
        net = nn.Sequential(nn.Linear(6, 1), end)
        with Watch() as watch:
            nn.PoissonNLLLoss(**words)(net(x), y).backward()
        call = {**vars(watch.seen.loss), "told": {}}
        return output.output_layer({**CALM, "loss": call}, classification=False, classes=0).outcome

    assert outcome(nn.Softplus()) == "fail"
    assert outcome(nn.Softplus(), log_input=False) == outcome(nn.Identity()) == "pass"


class Follower(nn.Module):
    """A part that learns, and a frozen copy of it."""

    def __init__(self):
        super().__init__()
        self.online, self.target = nn.Linear(6, 3), nn.Linear(6, 3).requires_grad_(False)

    def forward(self, x):
        return self.online(x) - self.target(x)


@pytest.mark.parametrize(("share", "outcome"), [(0.1, "pass"), (0.0, "note")])
def test_a_frozen_part_that_follows_what_learns_is_no_forgotten_one(share, outcome):
    net = Follower()
    optimizer = torch.optim.SGD(net.online.parameters(), 0.1)
    with Watch() as watch:
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(ROWS, 6)).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(
                    net.target.parameters(), net.online.parameters(), strict=True
                ):
                    slow.data.mul_(1 - share).add_(share * fast)
        watch.epoch()
    weights = [vars(one) for one in watch.seen.weights]
    check = model.gradients({**CALM, "weights": weights, "steps": 3, "losses": [1.0]})
    assert check.outcome == outcome, check.told


@pytest.mark.parametrize(("mode", "told"), [("bilinear", True), ("nearest", False)])
def test_maps_of_classes_that_were_resized_like_a_picture_are_told(mode, told):
    dice, targets = torch.Generator().manual_seed(0), MapsSeen()
    for _ in range(4):
        maps = 2.0 * torch.randint(0, 3, (8, 1, 6, 6), generator=dice)  # classes 0, 2, 4
        resized = F.interpolate(F.interpolate(maps, 48), 32, mode=mode)[:, 0].long()
        targets.asked(resized)
        targets.asked(torch.rand(8, 9, 32).softmax(1))  # soft ones of nine classes: no map
    seen = {**CALM, "blurred": targets.blurred()}
    assert (output.output_layer(seen, classification=True, classes=0).outcome == "warn") == told


@pytest.mark.parametrize("as_mask", [True, False])
def test_nodes_of_a_graph_whose_loss_takes_some_rows_are_held_beside_their_own_targets(as_mask):
    x, y = torch.randn(90, 4), torch.arange(90) % 3
    links, net = torch.eye(90).to_sparse(), nn.Linear(4, 3)
    linked = _Linked(net)
    mask = torch.arange(90) < 70
    taken = mask if as_mask else torch.nonzero(mask).flatten()
    with Watch() as watch:
        out = linked(x, links)
        assert out[taken].argmax(1).shape == (70,)  # as for an accuracy, before the loss
        F.cross_entropy(out[taken], y[taken]).backward()
    rows, targets = watch.labels_seen.answers.pairs()
    assert rows.shape == (70, 4)
    torch.testing.assert_close(torch.tensor(rows).float(), x[:70])
    assert targets[:, 0].tolist() == y[:70].tolist()
    pooled = nn.Sequential(nn.Unflatten(0, (45, 2)), nn.Flatten(), nn.Linear(8, 3))
    with Watch() as watch:  # outputs of graphs, each of two nodes
        F.cross_entropy(pooled(x)[taken[:45]], y[:45]).backward()
        F.cross_entropy(net(x.to_sparse()), y).backward()  # whose spread torch does not take
    assert watch.labels_seen.answers.pairs() is None


class _Linked(nn.Module):
    """A layer whose rows are mixed by sparse links."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, links):
        return torch.sparse.mm(links, self.inner(x))


@pytest.mark.parametrize(("most", "outcome"), [(1.0, "pass"), (255.0, "fail")])
def test_targets_of_probabilities_that_are_none_are_told(most, outcome):
    targets = most * (torch.arange(64) % 2)[:, None].float()
    with Watch() as watch:
        F.binary_cross_entropy_with_logits(nn.Linear(4, 1)(torch.randn(64, 4)), targets).backward()
    call = {**vars(watch.seen.loss), "told": {}}
    check = output.output_layer({**CALM, "loss": call}, classification=True, classes=2)
    assert check.outcome == outcome, check.told


@pytest.mark.parametrize(("read", "outcome"), [("last step", "warn"), ("state", "pass")])
def test_a_reversed_direction_that_is_read_at_its_first_step_is_told(read, outcome):
    rnn = nn.GRU(4, 5, batch_first=True, bidirectional=True)
    optimizer = torch.optim.SGD(rnn.parameters(), 0.1)
    with Watch() as watch:
        for _ in range(3):
            optimizer.zero_grad()
            out, state = rnn(torch.randn(ROWS, STEPS, 4))
            (out[:, -1] if read == "last step" else state).square().mean().backward()
            optimizer.step()
    weights = [vars(one) for one in watch.seen.weights]
    check = model.gradients({**CALM, "weights": weights, "steps": 3, "losses": [1.0]})
    assert check.outcome == outcome, check.told
