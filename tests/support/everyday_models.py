"""Models of strangers under the stock trainer: with everyday faults, and sound shapes few use."""

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint as recompute

WIDTH = 48


class Faulty(nn.Module):
    """Two hidden layers and a skip, with one fault."""

    def __init__(self, inputs, outputs, fault=""):
        super().__init__()
        self.fault, self.outputs = fault, outputs
        self.read = nn.Linear(inputs, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        if fault != "drawn in forward":
            self.mix = nn.Linear(WIDTH, WIDTH)
        self.give = nn.Linear(WIDTH, outputs)
        if fault == "batch statistics":
            self.norm = nn.BatchNorm1d(WIDTH, track_running_stats=False)
        if fault in ("normalised over rows", "deep and linear"):
            self.norm = nn.Identity()
        self.gate = nn.Parameter(torch.tensor(-60.0 if fault == "gate shut" else 1.0))
        if fault == "saturated":
            nn.init.normal_(self.read.weight, std=20.0)
        if fault == "no offset":
            self.give = nn.Linear(WIDTH, outputs, bias=False)
        deep = {"deep without a skip": nn.Sigmoid, "deep and linear": nn.Identity}.get(fault)
        self.deep = nn.Sequential()
        if deep:
            layers = 14 if fault == "deep without a skip" else 3
            self.deep = nn.Sequential(
                *(nn.Sequential(nn.Linear(WIDTH, WIDTH), deep()) for _ in range(layers))
            )
        if fault == "one feature normalised":
            self.last_norm = nn.LayerNorm(1)

    def forward(self, x):
        fault, x = self.fault, x.flatten(1)
        if fault == "reads half":
            half = x.shape[1] // 2
            x = torch.cat([x[:, :half], x[:, :half]], 1)[:, : x.shape[1]]
        if fault == "scaled by the batch":
            x = x / x.abs().max()
        if fault == "centred by the batch":
            x = x - x.mean(0)
        hidden = self.read(x)
        hidden = hidden if fault == "deep and linear" else torch.tanh(hidden)
        if fault == "normalised over rows":
            hidden = F.layer_norm(hidden.T, hidden.T.shape[1:]).T
        hidden = self.deep(self.norm(hidden))
        if fault == "viewed, not transposed":
            hidden = hidden.T.contiguous().view(len(x), -1)
        mix = nn.Linear(WIDTH, WIDTH) if fault == "drawn in forward" else self.mix
        branch = mix(hidden)
        if fault != "deep and linear":
            branch = torch.relu(branch)
        hidden = hidden + torch.sigmoid(self.gate) * branch
        if fault == "pooled over rows":
            hidden = hidden + hidden.max(0, keepdim=True)[0]
        out = self.give(hidden)
        if fault == "chosen by argmax":
            out = F.one_hot(out.argmax(1), self.outputs).float() + 0.0 * out.sum(1, keepdim=True)
        return self.end(out)

    def end(self, out):
        fault = self.fault
        if fault == "one feature normalised":
            return self.last_norm(out)
        if fault == "temperature":
            return out * 200.0
        if fault == "cooled":
            return out / 1e5
        if fault == "softplus end":
            return F.softplus(out)
        if fault == "log-sigmoid end":
            return F.logsigmoid(out)
        if fault == "dropout last":
            return F.dropout(out, 0.5)
        return out


class RoundsStraightThrough(torch.autograd.Function):
    """Rounds; its gradient passes as if it had not."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, slope):
        return slope


class Rare(nn.Module):
    """Sound shapes that few use."""

    def __init__(self, inputs, outputs, shape):
        super().__init__()
        self.shape = shape
        self.read, self.mix = nn.Linear(inputs, WIDTH), None
        self.give = nn.Linear(WIDTH, outputs)
        if shape in ("shared", "recomputed", "spectral", "orthogonal"):
            self.mix = nn.Linear(WIDTH, WIDTH)
        if shape == "lazy":
            self.read, self.mix, self.give = map(nn.LazyLinear, (WIDTH, WIDTH, outputs))
            self(torch.zeros(2, inputs))
        elif shape == "complex":
            self.mix = nn.Linear(WIDTH // 2, WIDTH // 2, dtype=torch.complex64)
        elif shape == "spectral":
            self.mix = parametrizations.spectral_norm(self.mix)
        elif shape == "orthogonal":
            self.mix = parametrizations.orthogonal(self.mix)
        elif shape == "waves":
            self.register_buffer("waves", torch.randn(inputs, WIDTH // 2) / math.sqrt(inputs))
            del self.read
        elif shape == "prototypes":
            self.prototypes, self.give = nn.Parameter(torch.randn(outputs, WIDTH)), None
        elif shape == "experts":
            self.experts = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(4)])
            self.chooser = nn.Linear(WIDTH, 4)
        elif shape == "bilinear":
            self.mix = nn.Bilinear(WIDTH, WIDTH, WIDTH)
        elif shape == "tied":
            self.read, self.give = nn.Linear(inputs, WIDTH, bias=False), nn.Linear(inputs, outputs)

    def hidden(self, x):
        shape = self.shape
        if shape == "waves":
            return torch.cat([torch.sin(x @ self.waves), torch.cos(x @ self.waves)], 1)
        hidden = F.silu(self.read(x))
        if shape == "shared":
            for _ in range(4):
                hidden = hidden + F.silu(self.mix(hidden))
        elif shape == "recomputed":
            hidden = recompute(lambda h: F.silu(self.mix(h)), hidden, use_reentrant=False)
        elif shape == "complex":
            turned = self.mix(torch.complex(*hidden.chunk(2, 1)))
            hidden = torch.cat([turned.real, turned.imag], 1)
        elif shape == "rounds":
            hidden = RoundsStraightThrough.apply(4 * hidden) / 4
        elif shape == "experts":
            share, chosen = self.chooser(hidden).softmax(1).max(1, keepdim=True)
            every = torch.stack([expert(hidden) for expert in self.experts], 1)
            hidden = hidden + share * every[torch.arange(len(x)), chosen[:, 0]]
        elif shape == "bilinear":
            hidden = hidden + self.mix(hidden, hidden)
        elif self.mix is not None:
            hidden = F.silu(self.mix(hidden))
        return hidden

    def forward(self, x):
        x = x.flatten(1)
        hidden = self.hidden(x)
        if self.shape == "prototypes":
            return -torch.cdist(hidden, self.prototypes)
        if self.shape == "tied":
            return self.give(F.silu(hidden @ self.read.weight))
        return self.give(hidden)


class Reader(nn.Module):
    """Token ids [n, steps, 1] to classes by an embedding, attention and a mean over steps."""

    def __init__(self, outputs, vocabulary, fault=""):
        super().__init__()
        self.fault = fault
        self.embed = nn.Embedding(vocabulary, 24, padding_idx=0)
        self.query, self.key, self.value = (nn.Linear(24, 24) for _ in range(3))
        self.give = nn.Linear(24, outputs)

    def forward(self, x, lengths):
        tokens = x.flatten(1).long()
        inside = torch.arange(tokens.shape[1], device=x.device) < lengths[:, None]
        said = self.embed(tokens)
        scores = self.query(said) @ self.key(said).transpose(1, 2) / math.sqrt(24)
        if self.fault == "attention over rows":
            weights = scores.softmax(0)
        elif self.fault == "padding attended":
            weights = scores.softmax(2)
        else:
            weights = scores.masked_fill(~inside[:, None], -1e9).softmax(2)
        said = said + weights @ self.value(said)
        if self.fault == "padding averaged":
            return self.give(said.mean(1))
        if self.fault == "padding is last":
            return self.give(said[:, -1])
        if self.fault == "first token alone":
            return self.give(self.embed(tokens[:, 0]))
        pooled = (said * inside[..., None]).sum(1) / lengths[:, None]
        return self.give(pooled)
