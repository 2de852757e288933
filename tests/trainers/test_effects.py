"""Parts of models, losses and schedules do what the guide says of them: each test shows the effect."""

from functools import partial
from itertools import cycle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from trainers.losses import BinaryCrossEntropy, Focal
from trainers.models.cnn import CNN
from trainers.models.mlp import MLP
from trainers.models.parts import ACTIVATIONS, MAXOUT, NORMS
from trainers.models.recurrent import KINDS as CELLS
from trainers.models.recurrent import POOLS, Recurrent
from trainers.models.squashed_lstm import SquashedLSTM
from trainers.models.steps import read_steps
from trainers.models.transformer import Transformer
from trainers.schedules import Schedule


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)


def _trained(model, rows, *, rate, epochs, loss=None, batch=64, kind=torch.optim.SGD, clip=None):
    """The share of rows told right (or the loss, for numbers) after a few epochs of training."""
    x, y = rows
    loss = loss or nn.CrossEntropyLoss()
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    optimizer = kind(model.parameters(), lr=rate, **options)
    dice = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for part in torch.randperm(len(x), generator=dice).split(batch):
            optimizer.zero_grad()
            loss(model(x[part]), y[part]).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
    model.eval()
    with torch.no_grad():
        outputs = model(x)
    if y.dtype != torch.long:
        return float(loss(outputs, y))
    return float((outputs.argmax(1) == y).float().mean())


def _mlp(**settings):
    torch.manual_seed(0)
    given = {"inputs": 64, "outputs": 10, "width": 32, "depth": 2, "dropout": 0.0, "init": "follow"}
    return MLP(**{**given, **settings})


@pytest.mark.slow
def test_residual_blocks_train_twenty_layers_that_plain_ones_do_not(digits):
    adam = {"kind": torch.optim.Adam, "rate": 0.005, "epochs": 4}
    plain = _trained(_mlp(depth=20, init="torch"), digits, **adam)
    with_blocks = _trained(_mlp(depth=20, init="torch", residual=True), digits, **adam)
    assert plain < 0.3
    assert with_blocks > 0.8


@pytest.mark.slow
def test_batch_norm_trains_deep_sigmoids_that_rest_at_chance_without(digits):
    plain = _trained(_mlp(depth=6, activation="sigmoid"), digits, rate=0.1, epochs=4)
    normed = _trained(_mlp(depth=6, activation="sigmoid", norm="batch"), digits, rate=0.1, epochs=4)
    assert plain < 0.2
    assert normed > 0.8


@pytest.mark.slow
def test_he_weights_train_a_deep_relu_net_that_zeros_do_not_and_xavier_trains_tanh(digits):
    shares = {
        init: _trained(_mlp(depth=10, init=init), digits, rate=0.01, epochs=3)
        for init in ("he_uniform", "xavier_uniform", "zeros")
    }
    assert shares["zeros"] < 0.2
    assert shares["he_uniform"] > shares["xavier_uniform"] + 0.05
    tanh = {
        init: _trained(_mlp(depth=10, init=init, activation="tanh"), digits, rate=0.01, epochs=3)
        for init in ("xavier_uniform", "normal")
    }
    assert tanh["xavier_uniform"] > tanh["normal"] + 0.5


@pytest.mark.slow
@pytest.mark.parametrize("activation", [*ACTIVATIONS, MAXOUT])
def test_every_activation_learns_what_no_line_can_part(activation):
    dice = torch.Generator().manual_seed(1)
    x = torch.randn(200, 2, generator=dice)
    y = (x[:, 0] * x[:, 1] > 0).long()
    model = _mlp(inputs=2, outputs=2, activation=activation, norm="batch")
    assert _trained(model, (x, y), rate=0.02, epochs=30, kind=torch.optim.Adam) > 0.8  # a line: 0.6


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "dimensions"), [*((norm, 2) for norm in NORMS), ("batch", 1)])
def test_every_norm_learns_in_a_cnn(digits, norm, dimensions):
    torch.manual_seed(0)
    model = CNN(
        dimensions=dimensions, inputs=64, outputs=10, width=16, depth=2, dropout=0.0,
        norm=norm, residual=True, init="follow",
    )  # fmt: skip
    x, y = digits
    share = _trained(model, (x[:600], y[:600]), rate=0.01, epochs=15, kind=torch.optim.Adam)
    assert share > (0.4 if dimensions == 1 else 0.6)  # chance is 0.1


def _marked(rows, steps):
    """Numbers, and a mark at an early step; the class is the sign of the marked number."""
    dice = torch.Generator().manual_seed(2)
    numbers = torch.randn(rows, steps, generator=dice)
    place = torch.randint(0, steps // 4, (rows,), generator=dice)
    marks = nn.functional.one_hot(place, steps).float()
    x = torch.stack([numbers, marks], dim=2).flatten(1)
    return x, (numbers[torch.arange(rows), place] > 0).long()


def _recurrent(**settings):
    torch.manual_seed(0)
    given = {"inputs": 160, "outputs": 2, "features": 2, "width": 16, "depth": 1, "dropout": 0.0}
    return Recurrent(**{**given, **settings})


@pytest.mark.slow
def test_attention_tells_what_stood_early_in_a_sequence_where_the_last_state_has_forgotten():
    rows = _marked(512, 80)
    adam = {"kind": torch.optim.Adam, "rate": 0.01, "epochs": 12}
    last = _trained(_recurrent(cell="rnn", pool="last"), rows, **adam)
    attention = _trained(_recurrent(cell="rnn", pool="attention"), rows, **adam)
    assert attention > 0.9
    assert last < attention - 0.15


def test_an_lstm_of_ones_own_squash_is_torchs_where_that_is_tanh():
    sizes = {"num_layers": 2, "bidirectional": True, "dropout": 0.0}
    torch.manual_seed(0)
    theirs = nn.LSTM(3, 5, batch_first=True, **sizes)
    ours = SquashedLSTM(3, 5, squash=torch.tanh, **sizes)
    for index, cell in enumerate(ours.cells):
        mark = f"l{index // 2}" + "_reverse" * (index % 2)
        for name, weight in cell.named_parameters():
            weight.data.copy_(getattr(theirs, f"{name}_{mark}"))
    x = torch.randn(4, 7, 3)
    for lengths in (None, torch.tensor([7, 1, 4, 2])):
        for mine, torchs in zip(ours(x, lengths), read_steps(theirs, x, lengths), strict=True):
            assert torch.allclose(mine, torchs, atol=1e-6)


# Each cell, and each pool: what pools is given the cells' steps, whichever they are.
@pytest.mark.parametrize(("cell", "pool"), [*zip(CELLS, cycle(POOLS), strict=False)])
@pytest.mark.slow
def test_every_cell_and_pool_learns_a_short_sequence(cell, pool):
    rows = _marked(256, 8)
    model = _recurrent(inputs=16, cell=cell, pool=pool, bidirectional=True, init="xavier_uniform")
    assert _trained(model, rows, kind=torch.optim.Adam, rate=0.02, epochs=25) > 0.85


@pytest.mark.slow
def test_a_transformer_learns_a_short_sequence():
    torch.manual_seed(0)
    model = Transformer(inputs=16, outputs=2, features=2, width=16, heads=2, depth=1, dropout=0.0)
    assert _trained(model, _marked(256, 8), kind=torch.optim.Adam, rate=0.01, epochs=25) > 0.9


def test_clipping_saves_an_lstm_at_a_rate_at_which_it_diverges():
    dice = torch.Generator().manual_seed(3)
    x = torch.randn(256, 40, generator=dice)
    rows = x, 100 * x[:, :20].sum(dim=1, keepdim=True)
    settings = {"inputs": 40, "outputs": 1, "features": 1, "cell": "lstm"}
    settings |= {"init": "orthogonal", "gain": 1.0}
    training = {"rate": 0.5, "epochs": 10, "loss": nn.MSELoss()}
    assert not np.isfinite(_trained(_recurrent(**settings), rows, **training))
    clipped = _trained(_recurrent(**settings), rows, clip=5.0, **training)
    assert clipped < float(rows[1].var())  # no worse than a constant


def test_weights_of_the_focal_loss_find_more_of_a_rare_class():
    dice = torch.Generator().manual_seed(4)
    y = (torch.rand(2000, generator=dice) < 0.04).long()
    x = torch.randn(2000, 5, generator=dice) + 1.5 * y[:, None] * torch.eye(5)[0]

    def recall(loss):
        model = _mlp(inputs=5, outputs=2, width=8)
        _trained(model, (x, y), rate=0.05, epochs=8, loss=loss)
        with torch.no_grad():
            return float((model(x).argmax(1) == 1)[y == 1].float().mean())

    assert recall(Focal(gamma=0.0, weights=[1.0, 20.0])) > recall(nn.CrossEntropyLoss()) + 0.3


def test_one_sigmoid_is_torch_s_binary_cross_entropy_and_two_logits_their_softmax():
    logits, y = torch.randn(50, 2), torch.randint(0, 2, (50,))
    ours = BinaryCrossEntropy()
    softmax = nn.functional.cross_entropy(logits, y)
    assert float(ours(logits, y)) == pytest.approx(float(softmax), rel=1e-5)
    one = logits[:, 1:] - logits[:, :1]
    assert float(ours(one, y)) == pytest.approx(float(softmax), rel=1e-5)
    weighted = nn.functional.cross_entropy(logits, y, weight=torch.tensor([1.0, 5.0]))
    assert float(BinaryCrossEntropy(5.0)(one, y)) == pytest.approx(float(weighted), rel=1e-5)
    with pytest.raises(ValueError, match=r"loss\.positive_weight: must be a number above 0"):
        BinaryCrossEntropy(0.0)


def test_the_focal_loss_with_gamma_0_is_torch_s_weighted_cross_entropy():
    dice = torch.Generator().manual_seed(5)
    logits, y = torch.randn(50, 3, generator=dice), torch.randint(0, 3, (50,), generator=dice)
    weights = [1.0, 2.0, 5.0]
    torchs = nn.CrossEntropyLoss(weight=torch.tensor(weights))(logits, y)
    assert float(Focal(gamma=0.0, weights=weights)(logits, y)) == pytest.approx(float(torchs))
    one = torch.tensor([[0.0, 0.0]])
    assert float(Focal(gamma=2.0)(one, torch.tensor([0]))) == pytest.approx(0.25 * np.log(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Focal(gamma=-1.0), "loss.gamma: must be at least 0, but got -1.0"),
        (lambda: Focal(weights=[1.0, 0.0]), r"loss.weights: must be above 0, but got \[1.0, 0.0\]"),
        (lambda: _mlp(norm="spectral"), "model.norm: 'spectral' does not exist; there are: none"),
        (lambda: _mlp(activation="swoosh"), "model.activation: 'swoosh' does not exist"),
        (lambda: _recurrent(cell="mlp"), "model.cell: 'mlp' does not exist; there are: rnn, lstm"),
        (lambda: _recurrent(pool="sum"), "model.pool: 'sum' does not exist; there are: last"),
        (lambda: _recurrent(features=3), "model.features: must divide the 160 numbers of a row"),
        (
            lambda: Transformer(
                inputs=16, outputs=2, features=2, width=15, heads=2, depth=1, dropout=0.0
            ),
            "model.width: must be a multiple of model.heads=2, but got 15",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_words(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def _schedule(config, *, epochs, steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    return Schedule(config, optimizer, epochs=epochs, steps=steps)


def test_the_inverse_root_and_a_warm_up_in_front_of_any_schedule_follow_their_tables():
    inverse = {"_target_": "trainers.schedules.InverseSquareRoot", "interval": "epoch"}
    plain = _schedule(inverse, epochs=4, steps=5)
    rates = [plain.at(epoch, step=0, watched=[])[0]["lr"] for epoch in range(1, 5)]
    assert rates == pytest.approx([1, 1 / np.sqrt(2), 1 / np.sqrt(3), 0.5])
    warm = _schedule({**inverse, "warmup": 0.8}, epochs=4, steps=5)
    assert warm.per_step
    first = [warm.at(1, step=step, watched=[])[0]["lr"] for step in range(5)]
    assert first == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert warm.at(2, step=3, watched=[])[0]["lr"] == pytest.approx(1 / np.sqrt(2))
    plateau = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0}
    falling = _schedule({**plateau, "factor": 0.5, "warmup": 1.0}, epochs=9, steps=4)
    assert falling.at(1, step=1, watched=[])[0]["lr"] == pytest.approx(0.4)
    assert falling.at(4, step=0, watched=[1.0, 1.0, 1.0])[0]["lr"] == pytest.approx(0.25)


@pytest.mark.parametrize("warmup", [-1, "long", True, float("nan"), float("inf")])
def test_a_warm_up_of_no_length_is_refused(warmup):
    with pytest.raises(ValueError, match=r"schedule.warmup: must be a number of epochs"):
        _schedule({"warmup": warmup}, epochs=2, steps=2)


@pytest.mark.parametrize("make", [_mlp, partial(CNN, dimensions=2, inputs=64, outputs=10)])
def test_deep_and_shallow_models_of_one_number_of_parameters_have_nearly_as_many(make):
    settings = {"width": 7, "dropout": 0.0, "parameters": 20000}
    models = {depth: make(depth=depth, **settings) for depth in (1, 3, 6)}
    counts = [sum(p.numel() for p in model.parameters()) for model in models.values()]
    assert all(18000 < count <= 20000 for count in counts)
    widths = [model.state_dict()[name].shape[0] for model in models.values()
              for name in [next(iter(model.state_dict()))]]  # fmt: skip
    assert widths == sorted(widths, reverse=True)
    torch.manual_seed(0)
    again = make(depth=3, **{**settings, "width": 99})
    torch.manual_seed(0)
    other = make(depth=3, **settings)
    assert all(
        torch.equal(a, b) for a, b in zip(again.parameters(), other.parameters(), strict=True)
    )


def test_a_number_of_parameters_below_the_least_is_refused():
    with pytest.raises(ValueError, match=r"model\.parameters: 85 is the least .* but got 20"):
        _mlp(depth=1, parameters=20)
