"""Models for tests: ordinary `nn.Module`s, each with something that a program of many lanes may get wrong."""

import itertools
import os

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from trainers.api import Disruption, Failure
from trainers.stock import Stock

# What they all are given in a search of digits.
SHAPE = ["model.inputs=64", "model.outputs=10"]


class Two(nn.Module):
    """A plain network of two layers to start from."""

    def __init__(self, *, inputs, outputs, width=16):
        super().__init__()
        self.first, self.last = nn.Linear(inputs, width), nn.Linear(width, outputs)

    def middle(self, x):
        return torch.relu(x)

    def forward(self, x):
        return self.last(self.middle(self.first(x.flatten(1))))


class Scaling(Two):
    """Scales its inputs in place, as many public scripts do."""

    def forward(self, x):
        return super().forward(x.sub_(0.3).div_(1.5))


class Rooted(nn.Module):
    """A root whose slope is infinite where it is taken."""

    def __init__(self, **sizes):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        hidden = self.layer(x)
        return hidden + torch.sqrt(hidden * 0)


class Greedy(nn.Module):
    """A loss that changes its targets in place where no gradient is taken."""

    def forward(self, outputs, y):
        loss = functional.cross_entropy(outputs, y)
        if not torch.is_grad_enabled():
            y.zero_()
        return loss


class Tempered(nn.CrossEntropyLoss):
    """A loss that divides the logits by a temperature of its own, which it would learn."""

    def __init__(self, *, learns):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()), requires_grad=learns)

    def forward(self, outputs, y):
        return super().forward(outputs / self.temperature, y)


class Summed(nn.Module):
    """A loss by hand, with or without the division by its rows."""

    def __init__(self, *, reduction):
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs, y):
        losses = -functional.log_softmax(outputs, dim=1).gather(1, y[:, None])
        return losses.sum() / (len(y) if self.reduction == "mean" else 1)


def two_rates(params, *, lr, last):
    """SGD with a rate of its own for the last layer."""
    *body, weight, bias = params
    groups = [{"params": body}, {"params": [weight, bias], "lr": last}]
    return torch.optim.SGD(groups, lr=lr)


class OneNumber(nn.Module):
    """A loss of the shape [1], of which torch takes a gradient too."""

    def forward(self, outputs, y):
        return functional.cross_entropy(outputs, y)[None]


class Pair(Two):
    """Gives a tuple, as models with several heads do."""

    def forward(self, x):
        return super().forward(x), x


class Deep(Two):
    """Gives a place too many, as a convolution without a flattening at its end does."""

    def forward(self, x):
        return super().forward(x)[..., None]


class Bare(Two):
    """Gives a number per row without a column of its own, which a loss would broadcast."""

    def forward(self, x):
        return super().forward(x)[:, 0]


class Named(Two):
    """Gives a dict, as models of some libraries do."""

    def forward(self, x):
        return {"logits": super().forward(x)}


class Lazy(Two):
    """Finds out its inputs at the first pass."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.first = nn.LazyLinear(16)


class Seeded(Two):
    """Begins with the same weights whatever the seed, as scripts that are to repeat do."""

    def __init__(self, *, inputs, outputs, seed):
        torch.manual_seed(seed)
        super().__init__(inputs=inputs, outputs=outputs)


class Listed(nn.Module):
    """Takes its widths as a list, which it tells from a single number; has no biases."""

    def __init__(self, *, inputs, outputs, widths):
        super().__init__()
        widths = [inputs, *(widths if isinstance(widths, list) else [widths]), outputs]
        layers = (nn.Linear(*pair, bias=False) for pair in itertools.pairwise(widths))
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x.flatten(1))


class Complex(Two):
    """Weights with an imaginary part."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.phase = nn.Parameter(torch.zeros(3, dtype=torch.complex64))


class Thick(nn.Module):
    """A model whose arguments have names of their own."""

    def __init__(self, *, features, units):
        super().__init__()
        self.layer = nn.Linear(features, units)


class Tied(Two):
    """One weight under two names."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.again = nn.Linear(16, 16)
        self.other = nn.Linear(16, 16)
        self.other.weight = self.again.weight

    def middle(self, x):
        return self.other(torch.tanh(self.again(x)))


class Assigned(Two):
    """A buffer that is assigned, not changed in place."""

    persistent = True

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.register_buffer("seen", torch.zeros(16), persistent=self.persistent)

    def middle(self, x):
        if self.training:
            self.seen = 0.9 * self.seen + x.detach().mean(0)
        return torch.relu(x - self.seen)


class InPlace(Assigned):
    """The same buffer, changed in place."""

    def middle(self, x):
        if self.training:
            self.seen.mul_(0.9).add_(x.detach().mean(0))
        return torch.relu(x - self.seen)


class Functional(Two):
    """Dropout without a module."""

    def middle(self, x):
        return functional.dropout(torch.relu(x), p=0.3, training=self.training)


class Noisy(Two):
    """Noise that no dropout is."""

    def middle(self, x):
        return torch.relu(x + 0.1 * torch.randn_like(x)) if self.training else torch.relu(x)


class Branching(Two):
    """Control flow that depends on the data."""

    def middle(self, x):
        return torch.relu(x) if x.mean() > 0 else torch.tanh(x)


class Doubled(torch.autograd.Function):
    """A backward pass of its own."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class OwnGradient(Two):
    """A custom autograd function."""

    def middle(self, x):
        return torch.relu(Doubled.apply(x))


class Normed(Two):
    """Weight norm, as a parametrisation."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.first = weight_norm(self.first)


class OldNormed(Two):
    """Weight norm, as a hook."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.first.register_forward_pre_hook(lambda module, x: None)


class Sparse(Two):
    """An embedding with sparse gradients."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.table = nn.Embedding(10, 16, sparse=True)

    def middle(self, x):
        return torch.relu(x) + self.table((x[:, 0].abs() * 3).long().clamp(max=9))


class Counting(Two):
    """State in Python: noise would fall with every call."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.calls = 0

    def middle(self, x):
        self.calls += 1
        return torch.relu(x) / (1 + 0.1 * self.calls)


class Stray(Two):
    """A random tensor that is neither parameter nor buffer, another one for every seed."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.mask = torch.rand(16).round()

    def middle(self, x):
        return torch.relu(x) * self.mask


class Masked(Two):
    """The same as a buffer."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.register_buffer("mask", torch.rand(16).round())

    def middle(self, x):
        return torch.relu(x) * self.mask


class Recurrent(nn.Module):
    """A GRU over the row."""

    def __init__(self, *, inputs, outputs):
        super().__init__()
        self.gru, self.head = nn.GRU(8, 8, batch_first=True), nn.Linear(8, outputs)

    def forward(self, x):
        return self.head(self.gru(x.reshape(len(x), -1, 8))[0][:, -1])


class Attention(nn.Module):
    """A layer of a transformer."""

    def __init__(self, *, inputs, outputs):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, outputs)

    def forward(self, x):
        return self.head(self.norm(self.layer(x.reshape(len(x), -1, 8))).mean(1))


class Frozen(Two):
    """A layer that is not trained, and a number that is never used."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.first.requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(1))


class Poison(Two):
    """Ends its process where it is built with seed 1."""

    def __init__(self, *, inputs, outputs, width):
        super().__init__(inputs=inputs, outputs=outputs, width=width)
        if torch.initial_seed() == 1:
            os._exit(3)


class Chosen(Two):
    """Its activation is a lambda, and another one for another word."""

    def __init__(self, *, inputs, outputs, act="relu"):
        super().__init__(inputs=inputs, outputs=outputs)
        self.act = {"relu": lambda x: torch.relu(x), "tanh": lambda x: torch.tanh(x)}[act]

    def middle(self, x):
        return self.act(x)


def made_here(*, inputs, outputs, act="relu"):
    """A class of its own for every call."""

    class Net(Two):
        def middle(self, x):
            return getattr(torch, act)(x)

    return Net(inputs=inputs, outputs=outputs)


class Annealed(Two):
    """A buffer that is assigned, and hardly moves."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.register_buffer("heat", torch.ones(1))

    def middle(self, x):
        if self.training:
            self.heat = self.heat * 0.9997
        return torch.relu(x) * self.heat


class Flat(Two):
    """Dropout over channels of rows without a second dimension of space."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.drop = nn.Dropout2d(0.5)

    def middle(self, x):
        return self.drop(torch.relu(x).reshape(len(x), 4, 4)).flatten(1)


class Overwritten(Two):
    """Dropout in place, its result unused."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.drop = nn.Dropout(0.5, inplace=True)

    def middle(self, x):
        x = x + 0.1
        self.drop(x)
        return x


class Reading(Two):
    """Reads its own rate when it is evaluated."""

    def __init__(self, *, inputs, outputs, rate=0.1):
        super().__init__(inputs=inputs, outputs=outputs)
        self.drop = nn.Dropout(rate)

    def middle(self, x):
        return self.drop(x) if self.training else x * (1 - self.drop.p)


class EvaluatedOnly(Two):
    """A layer that only evaluation uses."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.late = nn.Linear(16, 16)

    def middle(self, x):
        return torch.relu(x) if self.training else self.late(torch.relu(x))


class Twice(Two):
    """A batch norm under two names."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.norm = nn.BatchNorm1d(16)
        self.net = nn.Sequential(self.norm, nn.ReLU())

    def middle(self, x):
        return self.net(x)


class Extra(Two):
    """State that is no tensor."""

    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass


class Unsaved(InPlace):
    """A buffer that changes and is not in the state_dict."""

    persistent = False


class Writing(Two):
    """Counts in a buffer, when evaluated too."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.register_buffer("count", torch.zeros(()))

    def middle(self, x):
        self.count.add_(1)
        return torch.relu(x) / (1 + 0.01 * self.count)


class Fragile(Two):
    """Raises where its numbers explode, in whichever lane."""

    def middle(self, x):
        torch.linalg.cholesky(x.T @ x + 0.1 * torch.eye(x.shape[1]))
        return torch.relu(x)


class Talking(Two):
    """Prints too much."""

    def forward(self, x):
        print("x" * 50_000)
        return super().forward(x)


class Choosy(Two):
    """Cannot be built with seed 1."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        if torch.initial_seed() == 1:
            raise RuntimeError("not with this seed")


class Cramped(Stock):
    """The stock trainer on a device with room for three lanes."""

    def step(self):
        crowd = [
            trial
            for group in self._groups.values()
            for trial in group.trials
            if len(group.trials) > 3
        ]
        if crowd:
            return [
                Disruption(trial=trial, error=torch.OutOfMemoryError("planted")) for trial in crowd
            ]
        return super().step()


class Full(Stock):
    """The stock trainer where a fourth lane does not even find a seat."""

    def admit(self, trial, *, config, checkpoint):
        if sum(len(group.trials) for group in self._groups.values()) > 2:
            raise torch.OutOfMemoryError("planted")
        super().admit(trial, config=config, checkpoint=checkpoint)


class Tight(Stock):
    """The stock trainer on a device with room for three models, of whatever program."""

    def step(self):
        groups = [group.trials for group in self._groups.values() if group.trials]
        if sum(map(len, groups)) <= 3:
            return super().step()
        error = torch.OutOfMemoryError("planted")
        return [
            (Failure if len(group) == 1 else Disruption)(trial=trial, error=error)
            for group in groups
            for trial in group
        ]


class Mixing(Two):
    """Batch norm without running statistics: rows of a pass depend on each other in evaluation, too."""

    def __init__(self, *, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.norm = nn.BatchNorm1d(16, track_running_stats=False)

    def middle(self, x):
        return torch.relu(self.norm(x))


class Wide(Two):
    """Takes so many gigabytes for the activations of a training step of 256 rows, and does little with them."""

    def __init__(self, *, inputs, outputs, gigabytes):
        super().__init__(inputs=inputs, outputs=outputs)
        self.copies = int(gigabytes * 1e9 / (256 * 16 * 4))

    def middle(self, x):
        if not self.training:
            return torch.relu(x)
        wide = torch.relu(x).unsqueeze(2) + torch.zeros(self.copies, device=x.device)
        return wide.mean(2)
