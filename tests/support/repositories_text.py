"""Training scripts in the styles of public repositories: words, translations, reviews, a teacher. Each as it is and with a wrong line."""

import math

import numpy as np
import torch
from repositories_pictures import Tracker
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from tutorials_pictures import begun

WORDS, LENGTH = 16, 12


def _walks(index):
    """Sequences of a chain that mostly goes on by one or by three, as numbers below 16."""
    draw = np.random.default_rng(0)
    walks = np.zeros((2000, LENGTH + 1), int)
    walks[:, 0] = draw.integers(WORDS, size=2000)
    for at in range(LENGTH):
        walks[:, at + 1] = (walks[:, at] + draw.choice([1, 3, 7], 2000, p=[0.6, 0.3, 0.1])) % WORDS
    return torch.tensor(walks[index])


class Attention(nn.Module):
    """One head that looks back."""

    def __init__(self, width, fault):
        super().__init__()
        self.key_query_value, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fault = fault
        self.register_buffer("mask", torch.tril(torch.ones(LENGTH, LENGTH)))

    def forward(self, x):
        q, k, v = self.key_query_value(x).chunk(3, -1)
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
        mask = self.mask[: x.shape[1], : x.shape[1]]
        if self.fault == "mask multiplies":
            scores = scores * mask
        elif self.fault == "mask the other way":
            scores = scores.masked_fill(mask.T == 0, -1e9)
        else:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        over = 1 if self.fault == "softmax over queries" else -1
        return self.project(scores.softmax(over) @ v)


class Gpt(nn.Module):
    """A small language model that returns logits and loss."""

    def __init__(self, fault="", width=32):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, width), nn.Embedding(LENGTH, width)
        self.normed, self.attends = nn.LayerNorm(width), Attention(width, fault)
        self.normed_again = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
        self.head = nn.Linear(width, WORDS, bias=False)
        if fault == "tied":
            self.head.weight = self.words.weight
            nn.init.normal_(self.words.weight, std=0.05)

    def forward(self, tokens, targets):
        x = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
        x = x + self.attends(self.normed(x))
        x = x + self.mlp(self.normed_again(x))
        logits = self.head(x)
        return logits, F.cross_entropy(logits.view(-1, WORDS), targets.reshape(-1))


def _groups(model, fault):
    """Weights that decay, and those that do not."""
    decays = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    if fault == "embeddings in no group":
        embedded = {id(model.words.weight), id(model.places.weight)}
        decays = [p for p in decays if id(p) not in embedded]
    return [{"params": decays, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]


def gpt(config, data, device, checkpoint):
    """Steps without epochs: a sampler without end, evaluation every so many steps on a few batches."""
    fault, rate, size, epochs = begun(config)
    torch.manual_seed(config["seed"])
    train, val = (_walks(rows.index) for rows in (data.train, data.val))
    model = Gpt(fault)
    optimizer = torch.optim.AdamW(_groups(model, fault), rate, betas=(0.9, 0.95))
    shift = 0 if fault == "target is the token" else 1
    rows = TensorDataset(train[:, :-1], train[:, shift : LENGTH + shift])
    loader = DataLoader(
        rows, size, sampler=RandomSampler(rows, replacement=True, num_samples=10**8)
    )
    batches, steps = iter(loader), len(train) // size
    for epoch in range(epochs):
        model.train()
        tracker = Tracker()
        for at in range(steps):
            x, y = next(batches)
            done = epoch * steps + at
            if fault == "warm-up in whole numbers":
                factor = min(1, (done + 1) // (4 * steps))
            else:
                factor = min(1.0, (done + 1) / (2 * steps))
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            _, loss = model(x, y)
            model.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            tracker.update(loss.item())
        model.eval()
        with torch.no_grad():
            pick = torch.randperm(len(val))[:80] if fault == "a few rows drawn" else slice(None)
            logits, val_loss = model(val[pick, :-1], val[pick, shift : LENGTH + shift])
        hits = (logits.argmax(-1) == val[pick, shift : LENGTH + shift]).float().mean().item()
        yield {"train_loss": tracker.mean, "val_loss": val_loss.item(), "score": hits}


class Seq2seq(nn.Module):
    """An encoder's last state, and a decoder that speaks word by word."""

    def __init__(self, width=48):
        super().__init__()
        self.words = nn.Embedding(WORDS + 1, 24)
        self.encoder = nn.GRU(24, width, batch_first=True)
        self.decoder, self.head = nn.GRU(24, width, batch_first=True), nn.Linear(width, WORDS)

    def forward(self, source, target, fault, forced):
        _, state = self.encoder(self.words(source))
        if fault == "state detached":
            state = state.detach()
        begin = torch.full((len(source), 1), WORDS)
        if forced:
            given = (
                target
                if fault == "decoder sees the word"
                else torch.cat([begin, target[:, :-1]], 1)
            )
            out, _ = self.decoder(self.words(given), state)
            return self.head(out)
        outs, word = [], begin
        for _ in range(target.shape[1]):
            out, state = self.decoder(self.words(word), state)
            outs.append(self.head(out))
            word = outs[-1].argmax(-1)
        return torch.cat(outs, 1)


def translation(config, data, device, checkpoint):
    """Sequences told backwards: forced by the teacher in training, free in validation or forced there too."""
    fault, rate, size, epochs = begun(config)
    torch.manual_seed(config["seed"])
    train, val = (_walks(rows.index)[:, :6] for rows in (data.train, data.val))
    model = Seq2seq()
    optimizer = torch.optim.Adam(model.parameters(), rate)
    free = fault == "free in validation"
    for _ in range(epochs):
        model.train()
        tracker = Tracker()
        for rows in torch.randperm(len(train)).split(size):
            source = train[rows]
            if fault == "batch turned twice":
                source = source.flip(0)
            target = train[rows].flip(1)
            out = model(source, target, fault, forced=True)
            if fault == "classes in the wrong place":
                loss = F.cross_entropy(out.reshape(len(out), WORDS, -1), target)
            else:
                loss = F.cross_entropy(out.transpose(1, 2), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tracker.update(loss.item(), len(rows))
        model.eval()
        with torch.no_grad():
            out = model(val, val.flip(1), fault, forced=not free)
        loss = F.cross_entropy(out.transpose(1, 2), val.flip(1)).item()
        hits = (out.argmax(-1) == val.flip(1)).float().mean().item()
        yield {"train_loss": tracker.mean, "val_loss": loss, "score": hits}


def _reviews(index):
    """Sequences of 4 to 14 words and whether good ones prevail, padded with 0; words 1 to 5 are good, 6 to 10 bad."""
    draw = np.random.default_rng(1)
    lengths = draw.integers(4, 15, 1200)
    words = draw.integers(1, 21, (1200, 14)) * (np.arange(14) < lengths[:, None])
    balance = ((words >= 1) & (words <= 5)).sum(1) - ((words >= 6) & (words <= 10)).sum(1)
    lean = balance + draw.normal(0, 0.3, 1200)
    return tuple(torch.tensor(part[index]) for part in (words, lengths, (lean > 0).astype(int)))


class Reader(nn.Module):
    """A recurrent network over packed words."""

    def __init__(self, fault):
        super().__init__()
        self.words = nn.Embedding(21, 16, padding_idx=0)
        self.recurrent, self.head = nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 2)
        self.fault, self.state = fault, None

    def forward(self, words, lengths):
        if self.fault == "last place of the padded":
            out, _ = self.recurrent(self.words(words))
            return self.head(out[:, -1])
        if self.fault == "state of the batch before":
            if self.state is None or self.state[0].shape[1] != len(words):
                self.state = (torch.zeros(1, len(words), 32), torch.zeros(1, len(words), 32))
            out, state = self.recurrent(self.words(words), self.state)
            self.state = tuple(part.detach() for part in state)
            return self.head(out[torch.arange(len(words)), lengths - 1])
        packed = pack_padded_sequence(self.words(words), lengths, True, enforce_sorted=False)
        _, (hidden, _) = self.recurrent(packed)
        return self.head(hidden[-1])


def reviews(config, data, device, checkpoint):
    """Reviews in batches sorted by length, as packing once asked for."""
    fault, rate, size, epochs = begun(config)
    torch.manual_seed(config["seed"])
    words, lengths, labels = _reviews(data.train.index)
    held = _reviews(data.val.index)
    model = Reader(fault)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(epochs):
        model.train()
        tracker = Tracker()
        for rows in torch.randperm(len(words)).split(size):
            order = lengths[rows].argsort(descending=True)
            told = labels[rows] if fault == "labels left unsorted" else labels[rows][order]
            out = model(words[rows][order], lengths[rows][order])
            loss = F.nll_loss(F.log_softmax(out, 1), told)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tracker.update(loss.item(), len(rows))
        model.eval()
        with torch.no_grad():
            out = model(held[0], held[1])
        score = (out.argmax(1) == held[2]).float().mean().item()
        yield {
            "train_loss": tracker.mean,
            "val_loss": F.cross_entropy(out, held[2]).item(),
            "score": score,
        }


def distilled(config, data, device, checkpoint):
    """A small network learns from a bigger one that is trained first."""
    fault, rate, size, epochs = begun(config)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    train, held = torch.tensor(data.train.index), torch.tensor(data.val.index)
    teacher = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
    student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    with torch.enable_grad():
        slow = torch.optim.Adam(teacher.parameters(), 0.003)
        for _ in range(150):
            rows = train[torch.randint(len(train), (64,))]
            slow.zero_grad()
            F.cross_entropy(teacher(x[rows]), y[rows]).backward()
            slow.step()
    teacher.train(fault == "teacher left in training")
    optimizer = torch.optim.Adam(student.parameters(), rate)
    for _ in range(epochs):
        student.train()
        tracker = Tracker()
        for rows in train[torch.randperm(len(train))].split(size):
            with torch.no_grad():
                told = teacher(x[rows]) / 4
            told = told.log_softmax(1) if fault == "logarithms as shares" else told.softmax(1)
            out = student(x[rows])
            shares = out / 4 if fault == "no logarithm" else (out / 4).log_softmax(1)
            soft = 16 * F.kl_div(shares, told, reduction="batchmean")
            loss = 0.5 * soft + 0.5 * F.cross_entropy(out, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tracker.update(loss.item(), len(rows))
        student.eval()
        with torch.no_grad():
            out = student(x[held])
        loss, hits = F.cross_entropy(out, y[held]).item(), (out.argmax(1) == y[held]).float().mean()
        yield {"train_loss": tracker.mean, "val_loss": loss, "score": hits.item()}
