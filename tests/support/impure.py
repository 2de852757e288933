"""Models for tests whose forward pass changes something outside of the model, hardly to be seen."""

import functools
import itertools
import os
import random
from collections import Counter, deque
from types import SimpleNamespace

import numpy as np
import torch
from odd import Two
from torch import nn

NUMBER = 0
LIST, DICT, QUEUE, NAMES, COUNTER = [0], {"calls": 0}, deque([0], maxlen=1), set(), Counter()
NESTED = {"deep": [{"deeper": [0]}]}
ARRAY, TENSOR, VIEWED = np.zeros(3), torch.zeros(3), torch.zeros(3)
NUMPY_DICE, OLD_DICE, DICE = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
TORCH_DICE = torch.Generator().manual_seed(0)
TICKS, LISTED = itertools.count(), iter(list(range(10_000)))
SPACE, HELPER = SimpleNamespace(calls=0), nn.BatchNorm1d(16)


def ticking():
    number = 0
    while True:
        number += 1
        yield number


def enclosed():
    calls = 0

    def call():
        nonlocal calls
        calls += 1

    return call


GENERATOR, CLOSURE = ticking(), enclosed()
PARTIAL = functools.partial(enclosed())


class Book:
    calls = 0


BOOK = Book()


def noted(_value, kept=[0]):  # noqa: B006  # the mistake that is tested
    kept[0] += 1


def _global():
    global NUMBER
    NUMBER += 1


def _rare(draw):
    """Its effect, one in a million, is not seen in a few steps."""
    return draw < 1e-6


EFFECTS = {
    "random": lambda: _rare(random.random()),
    "numpy.random": lambda: _rare(np.random.rand()),
    "a generator of numpy": lambda: _rare(NUMPY_DICE.random()),
    "an old generator of numpy": lambda: _rare(OLD_DICE.rand()),
    "a generator of random": lambda: _rare(DICE.random()),
    "shuffled": lambda: random.shuffle([1, 2, 3]),
    "a number": _global,
    "a list": lambda: LIST.__setitem__(0, LIST[0] + 1),
    "a list that grows": lambda: LIST.append(0),
    "a dict": lambda: DICT.update(calls=DICT["calls"] + 1),
    "a deque": lambda: QUEUE.append(QUEUE[0] + 1),
    "a set": lambda: NAMES.add(len(NAMES)),
    "a counter": lambda: COUNTER.update(["calls"]),
    "a list deep inside": lambda: NESTED["deep"][0]["deeper"].append(1),
    "an array": lambda: ARRAY.__iadd__(1),
    "a tensor": lambda: TENSOR.add_(1),
    "a tensor behind torch's back": lambda: VIEWED.numpy().__iadd__(1),
    "itertools.count": lambda: next(TICKS),
    "an iterator": lambda: next(LISTED),
    "a generator function": lambda: next(GENERATOR),
    "a closure": CLOSURE,
    "a partial's closure": PARTIAL,
    "a default argument": lambda: noted(1),
    "a function's attribute": lambda: setattr(noted, "calls", getattr(noted, "calls", 0) + 1),
    "a class attribute": lambda: setattr(Book, "calls", Book.calls + 1),
    "an object": lambda: setattr(BOOK, "calls", BOOK.calls + 1),
    "a namespace": lambda: setattr(SPACE, "calls", SPACE.calls + 1),
    "a module elsewhere": lambda: HELPER.running_mean.add_(1),
    "the environment": lambda: os.environ.update(KNOBWISE_CALLS=str(len(LIST))) or LIST.append(0),
}


class Impure(Two):
    """Does one of them when it is trained, evaluated, or given a smaller batch."""

    def __init__(self, *, inputs, outputs, effect, when="always"):
        super().__init__(inputs=inputs, outputs=outputs)
        self.effect, self.when = effect, when

    def middle(self, x):
        due = {
            "always": True,
            "trained": self.training,
            "evaluated": not self.training,
            "short": self.training and len(x) % 32 != 0,
        }
        if due[self.when]:
            EFFECTS[self.effect]()
        return torch.relu(x)


class OwnCounter(Two):
    """Counts in an attribute of its own class."""

    calls = 0

    def middle(self, x):
        type(self).calls += 1
        return torch.relu(x)


class Flipping(Two):
    """Now and then an image is mirrored: with most seeds, never in the first steps."""

    def forward(self, x):
        if self.training and np.random.rand() < 0.1:
            x = x.flip(-1)
        return super().forward(x)


class WritingInput(Two):
    """Normalises the rows that it is given, in place."""

    def forward(self, x):
        x.sub_(0.3).div_(1.5)
        return super().forward(x)


class Reading(Two):
    """Only reads what others write."""

    def middle(self, x):
        scale = 1 + 0 * (len(LIST) + ARRAY.size + Book.calls + len(NESTED))
        return torch.relu(x) * scale


class Holding(Two):
    """A generator of its own, of one kind or another."""

    def __init__(self, *, inputs, outputs, kind):
        super().__init__(inputs=inputs, outputs=outputs)
        kinds = {"numpy": np.random.default_rng, "random": random.Random, "torch": torch.Generator}
        self.dice = kinds[kind]()

    def middle(self, x):
        return torch.relu(x)
