"""Models as guests write them, for flat rows: with a fault, or sound and unusual."""

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.nn.utils import parametrizations


class Residual(nn.Module):
    """A block whose branch is weighed by a gate."""

    def __init__(self, width, *, gate, learnt):
        super().__init__()
        self.norm, self.one, self.two = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)  # fmt: skip
        self.gate = nn.Parameter(torch.full((1,), gate), requires_grad=learnt)

    def forward(self, x):
        return x + self.gate * self.two(F.gelu(self.one(self.norm(x))))


class Net(nn.Module):
    """Rows to classes or numbers."""

    def __init__(self, inputs, outputs, habit=""):
        super().__init__()
        self.habit = habit
        self.into, self.out = nn.Linear(inputs, 48), nn.Linear(48, outputs)
        self.body = nn.Sequential(nn.Linear(48, 48), nn.ReLU())
        if habit == "layers in a dict":
            self.parts = {"one": nn.Linear(48, 48), "two": nn.Linear(48, 48)}
        elif habit == "module dict":
            self.parts = nn.ModuleDict({"one": nn.Linear(48, 48), "two": nn.Linear(48, 48)})
        elif habit in ("gate shut for good", "gate opens"):
            self.body = nn.Sequential(*(Residual(48, gate=0.0, learnt=habit == "gate opens") for _ in range(2)))  # fmt: skip
        elif habit == "slow batch norm":
            self.body = nn.Sequential(nn.Linear(48, 48), nn.BatchNorm1d(48, momentum=1e-5), nn.ReLU())  # fmt: skip
        elif habit == "batch norm":
            self.body = nn.Sequential(nn.Linear(48, 48), nn.BatchNorm1d(48, momentum=0.1), nn.ReLU())  # fmt: skip
        elif habit in ("first state", "last state"):
            del self.into
            self.body = nn.GRU(8, 48, num_layers=2, batch_first=True)
        elif habit == "spectral":
            self.body = nn.Sequential(parametrizations.spectral_norm(nn.Linear(48, 48)), nn.ReLU())
        elif habit == "weight norm":
            self.body = nn.Sequential(parametrizations.weight_norm(nn.Linear(48, 48)), nn.ReLU())
        elif habit == "random waves":  # a first layer that is never trained, on purpose
            self.register_buffer("waves", torch.randn(inputs, 96) * 0.3 / math.sqrt(inputs) * 3)
            del self.into, self.body
            self.out = nn.Linear(192, outputs)
        elif habit == "sines":
            nn.init.uniform_(self.into.weight, -3.0 / inputs, 3.0 / inputs)
        elif habit == "gated units":
            self.body = nn.Sequential(nn.Linear(48, 96), nn.GLU())
        elif habit == "cosine":
            self.out = nn.Parameter(torch.randn(outputs, 48))
        elif habit == "branch without gradient":
            self.side = nn.Linear(inputs, 48)

    def forward(self, x):
        x = x.flatten(1).float()
        habit = self.habit
        if habit == "drawn in forward":
            x = x @ torch.randn(x.shape[1], x.shape[1]) / math.sqrt(x.shape[1])
        if habit == "random waves":
            waves = x @ self.waves
            return self.out(torch.cat([waves.sin(), waves.cos()], 1))
        if habit in ("first state", "last state"):
            steps = x.view(len(x), -1, 8)
            _, state = self.body(steps)
            return self.out(state[0 if habit == "first state" else -1])
        if habit == "scaled twice":
            x = x / 255.0 / 255.0
        hidden = self.into(x)
        hidden = torch.sin(6 * hidden) if habit == "sines" else torch.relu(hidden)
        if habit in ("layers in a dict", "module dict"):
            for part in self.parts.values():
                hidden = torch.relu(part(hidden))
            hidden = self.body(hidden)
        elif habit == "branch without gradient":
            with torch.no_grad():
                side = torch.relu(self.side(x))
            hidden = self.body(hidden) + side
        elif habit == "hard choice":  # a code of whole numbers, through which no gradient comes
            hidden = self.body(F.one_hot(hidden.argmax(1), 48).float())
        elif habit == "straight through":
            soft = hidden.softmax(1)
            hard = F.one_hot(hidden.argmax(1), 48).float()
            hidden = self.body(hard + soft - soft.detach())
        else:
            hidden = self.body(hidden)
        if habit == "cosine":
            return 16 * F.linear(F.normalize(hidden), F.normalize(self.out))
        out = self.out(hidden)
        if habit == "dropout on the answer":
            return F.dropout(out, 0.5, self.training)
        if habit == "sigmoid on a number":
            return torch.sigmoid(out)
        if habit == "shares before the loss":
            return out.softmax(-1)
        if habit == "shares over rows":
            return out.log_softmax(0)
        return out
