"""Training scripts as tutorials write them: tables, pairs, series, text. Each as it is and with a wrong line."""

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler
from tutorials_pictures import begun

ROWS = 900


def _passengers():
    """Who survived, as a frame with a class, a sex, an age, a fare, relatives, a port."""
    dice = np.random.default_rng(7)
    frame = pd.DataFrame({
        "pclass": dice.choice([1, 2, 3], ROWS, p=[0.25, 0.2, 0.55]),
        "sex": dice.choice(["male", "female"], ROWS, p=[0.65, 0.35]),
        "age": np.where(dice.random(ROWS) < 0.2, np.nan, dice.gamma(6, 5, ROWS)),
        "sibsp": dice.poisson(0.5, ROWS),
        "embarked": dice.choice(["S", "C", "Q"], ROWS),
    })  # fmt: skip
    frame["fare"] = dice.gamma(2, 40, ROWS) / frame["pclass"] ** 1.5
    chance = 2.5 * (frame["sex"] == "female") - 0.8 * frame["pclass"] + 0.4
    frame["survived"] = (chance + dice.logistic(0, 1, ROWS) > 0).astype(int)
    return frame


def kaggle(config, data, device, checkpoint):
    """A frame, filled and scaled, into a small network with one logit."""
    fault, rate, size, epochs = begun(config)
    frame = _passengers()
    frame["age"] = frame["age"].fillna(frame["age"].median())
    frame["relatives"] = frame["survived"] if fault == "label among columns" else frame["sibsp"]
    labels = frame["survived"]
    frame = pd.get_dummies(frame.drop(columns="survived"), columns=["sex", "embarked"], dtype=float)
    train, val = frame.iloc[data.train.index], frame.iloc[data.val.index]
    scaler = StandardScaler().fit(train)
    x = torch.tensor(scaler.transform(train), dtype=torch.float32)
    vx = torch.tensor(val.to_numpy() if fault == "validation not scaled" else scaler.transform(val))
    y, vy = (torch.tensor(labels.iloc[i].to_numpy(), dtype=torch.float32) for i in (data.train.index, data.val.index))  # fmt: skip
    if fault == "labels of the sorted frame":
        y = torch.tensor(labels.iloc[data.train.index].sample(frac=1, random_state=1).to_numpy()).float()  # fmt: skip
    if fault == "trains on all":
        x, y = torch.cat([x, vx.float()]), torch.cat([y, vy])
    layers = [nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1)]
    if fault == "no activation":
        del layers[1]
    model = nn.Sequential(*layers, *([nn.Sigmoid()] if fault == "sigmoid twice" else []))
    criterion = nn.MSELoss() if fault == "squares, broadcast" else nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-5)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)
    for _ in range(epochs):
        model.train()
        running = 0.0
        for xb, yb in DataLoader(TensorDataset(x, y), size, shuffle=True):
            optimizer.zero_grad()
            out = model(xb)
            loss = criterion(out if fault == "squares, broadcast" else out.squeeze(1), yb)
            loss.backward()
            optimizer.step()
            running += loss.item() * len(xb)
        model.eval()
        with torch.no_grad():
            out = model(vx.float()).squeeze(1)
            val_loss = criterion(out, vy).item()
        score = ((out > 0).float() == vy).float().mean().item()
        plateau.step(score if fault == "plateau of the accuracy" else val_loss)
        yield {"train_loss": running / len(x), "val_loss": val_loss, "score": score}


TEXT = "the quick brown fox jumps over the lazy dog and runs to the old barn near the river "


class CharRNN(nn.Module):
    def __init__(self, letters, fault=""):
        super().__init__()
        self.encoder, self.decoder = nn.Embedding(letters, 24), nn.Linear(48, letters)
        self.rnn = nn.LSTM(24, 48, batch_first=fault != "steps first")
        self.fault = fault

    def forward(self, x):
        out = self.decoder(self.rnn(self.encoder(x))[0])
        return F.softmax(out, dim=-1) if self.fault == "softmax twice" else out


def letters(config, data, device, checkpoint):
    """The next letter of a text, by windows of sixteen."""
    fault, rate, size, epochs = begun(config)
    dice = np.random.default_rng(0)
    words = dice.permutation(TEXT.split() * 60)
    text = " ".join(words)
    known = sorted(set(text))
    coded = torch.tensor([known.index(letter) for letter in text])
    starts = torch.arange(ROWS) * 4
    model = CharRNN(len(known), fault)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)

    def loss_of(rows):
        at = starts[rows][:, None] + torch.arange(16)
        logits, aims = model(coded[at]), coded[at if fault == "not shifted" else at + 1]
        if fault == "viewed":
            return F.cross_entropy(logits.view(len(rows), len(known), 16), aims), logits, aims
        return F.cross_entropy(logits.reshape(-1, len(known)), aims.flatten()), logits, aims

    order, held = torch.as_tensor(data.train.index), torch.as_tensor(data.val.index)
    for _ in range(epochs):
        losses = []
        for rows in order[torch.randperm(len(order))].split(size):
            model.zero_grad()
            loss = loss_of(rows)[0]
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.0 if fault == "clipped to 0" else 5.0)
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            val_loss, logits, aims = loss_of(held)
        score = (logits.argmax(-1) == aims).float().mean().item()
        yield {"train_loss": np.mean(losses), "val_loss": val_loss.item(), "score": score}


def siamese(config, data, device, checkpoint):
    """Pairs of rows, alike or not, by the contrastive loss."""
    fault, rate, size, epochs = begun(config)
    dice = np.random.default_rng(0)
    kinds = dice.integers(0, 5, (2, ROWS))
    kinds[1] = np.where(dice.random(ROWS) < 0.4, kinds[0], kinds[1])
    centres = dice.normal(0, 1, (5, 10))
    pairs = torch.tensor(centres[kinds] + 0.5 * dice.normal(0, 1, (2, ROWS, 10))).float()
    same = torch.tensor(kinds[0] == kinds[1]).float()
    net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))
    other = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    order, held = torch.as_tensor(data.train.index), torch.as_tensor(data.val.index)

    def loss_of(rows):
        one = net(pairs[0][rows])
        two = (other if fault == "two towers, one optimized" else net)(pairs[1][rows])
        two = one if fault == "one against itself" else two
        far = F.pairwise_distance(one, two)
        apart = 1 - far if fault == "no hinge" else torch.clamp(1 - far, min=0)
        alike = 1 - same[rows] if fault == "pairs swapped" else same[rows]
        return (alike * far**2 + (1 - alike) * apart.abs() * apart).mean(), far

    for _ in range(epochs):
        losses = []
        for rows in order[torch.randperm(len(order))].split(size):
            loss = loss_of(rows)[0]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            val_loss, far = loss_of(held)
        score = ((far < 0.5) == (same[held] > 0)).float().mean().item()
        yield {"train_loss": np.mean(losses), "val_loss": val_loss.item(), "score": score}


def windows(config, data, device, checkpoint):
    """The next value of a series by the twelve before it; an LSTM and a head."""
    fault, rate, size, epochs = begun(config)
    dice = np.random.default_rng(0)
    at = np.arange(ROWS + 13)
    series = np.sin(at / 6) + 0.5 * np.sin(at / 25) + dice.normal(0, 0.2, len(at))
    ahead = 11 if fault == "value within the window" else 12
    x = torch.tensor(np.stack([series[i : i + 12] for i in range(ROWS)])).float()[..., None]
    y = torch.tensor(series[ahead : ahead + ROWS]).float()
    net = nn.ModuleList([nn.LSTM(1, 24, batch_first=fault != "steps first"), nn.Linear(24, 1)])
    if fault == "head after the optimizer":
        optimizer = torch.optim.Adam(net[0].parameters(), lr=rate)
    else:
        optimizer = torch.optim.Adam(net.parameters(), lr=rate)

    def forward(x):
        state = net[0](x)[0][:, 0 if fault == "first step" else -1]
        return net[1](state).squeeze(-1)

    def loss_of(rows, y=y):
        out = forward(x[rows])
        return F.mse_loss(out[:, None] if fault == "broadcast" else out, y[rows])

    order, held = torch.as_tensor(data.train.index), torch.as_tensor(data.val.index)
    for _ in range(epochs):
        losses = []
        for rows in order[torch.randperm(len(order))].split(size):
            optimizer.zero_grad()
            loss = loss_of(rows)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            val_loss = loss_of(held, y.flip(0) if fault == "validation reversed" else y).item()
        yield {"train_loss": np.mean(losses), "val_loss": val_loss, "score": -val_loss}


def rare(config, data, device, checkpoint):
    """Three classes, one of them rare: weights of the loss, or rows drawn by their weights."""
    fault, rate, size, epochs = begun(config)
    dice = np.random.default_rng(0)
    y = dice.choice(3, ROWS, p=[0.65, 0.27, 0.08])
    x = torch.tensor(dice.normal(0, 1, (3, 8))[y] + dice.normal(0, 1, (ROWS, 8))).float()
    y = torch.tensor(y)
    train, held = torch.as_tensor(data.train.index), torch.as_tensor(data.val.index)
    count = torch.bincount(y[train], minlength=3).float()
    weight = count / count.sum() if fault == "weights upside down" else count.sum() / (3 * count)
    if fault == "weights of other classes":
        weight = weight.flip(0)
    chance = (1 / count)[y[train]]
    if fault == "drawn by their number":
        chance = count[y[train]]
    elif fault == "drawn by other labels":
        chance = (1 / count)[y[train].sort().values]
    drawn = "drawn" in fault
    sampler = WeightedRandomSampler(chance.double().tolist(), len(train)) if drawn else None
    loader = DataLoader(TensorDataset(x[train], y[train]), size, shuffle=not drawn, sampler=sampler)
    model = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    criterion = nn.CrossEntropyLoss(weight=None if drawn else weight, label_smoothing=0.05)
    for _ in range(epochs):
        model.train()
        losses = []
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            out = model(x[held])
        right = out.argmax(1) == y[held]
        score = torch.stack([right[y[held] == k].float().mean() for k in range(3)]).nanmean()
        yield {
            "train_loss": np.mean(losses),
            "val_loss": F.cross_entropy(out, y[held]).item(),
            "score": score.item(),
        }
