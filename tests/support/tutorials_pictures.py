"""Training scripts as tutorials write them: pictures, masks, codes, generators. Each as it is and with a wrong line."""

import copy

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, TensorDataset


def begun(config):
    """The wrong line, rate, rows of a batch, epochs."""
    torch.manual_seed(config["seed"])
    trainer = config["trainer"]
    return (
        trainer.get("fault", ""),
        config["optimizer"]["lr"],
        trainer["batch_size"],
        trainer["epochs"],
    )


class Digits(Dataset):
    """Pictures of digits, read row by row."""

    def __init__(self, index, fault=""):
        x, y = load_digits(return_X_y=True)
        self.x = torch.tensor(x[index] / 16, dtype=torch.float32).view(-1, 1, 8, 8)
        self.y = torch.tensor(y[index])
        if fault == "labels of the file before":
            self.y = self.y.roll(1)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, at):
        return self.x[at], self.y[at]


class Net(nn.Module):
    """The network of the first example that everybody runs."""

    def __init__(self, fault=""):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(32 * 16, 64), nn.Linear(64, 10)
        self.fault = fault

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        x = F.relu(self.fc1(torch.flatten(self.dropout1(x), 1)))
        if self.fault == "dropout on the answer":
            return F.log_softmax(self.dropout2(self.fc2(x)), dim=1)
        x = self.fc2(self.dropout2(x))
        if self.fault == "softmax without log":
            return F.softmax(x, dim=1)
        return F.log_softmax(x, dim=0 if self.fault == "softmax over rows" else 1)


def mnist(config, data, device, checkpoint):
    """PyTorch's basic example: Adadelta, StepLR, functions `train` and `test`."""
    fault, _, size, epochs = begun(config)
    model = Net(fault).to(device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    train_loader = DataLoader(Digits(data.train.index), size, shuffle=True)
    test_loader = DataLoader(Digits(data.val.index), 100)
    for _ in range(epochs):
        model.train()
        losses = []
        for batch, target in train_loader:
            if fault != "gradients kept":
                optimizer.zero_grad()
            loss = F.nll_loss(model(batch.to(device)), target.to(device))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if fault == "schedule per batch":
                scheduler.step()
        if fault != "no eval":
            model.eval()
        test_loss = correct = 0
        with torch.no_grad():
            for batch, target in train_loader if fault == "tests on train" else test_loader:
                output = model(batch.to(device))
                test_loss += F.nll_loss(output, target, reduction="sum").item()
                correct += output.argmax(1).eq(target).sum().item()
        count = len(test_loader if fault == "divided by batches" else test_loader.dataset)
        if fault != "schedule per batch":
            scheduler.step()
        yield {
            "train_loss": float(np.mean(losses)),
            "val_loss": test_loss / count,
            "score": correct / len(test_loader.dataset),
        }


def _classified(model, loader):
    with torch.no_grad():
        pairs = [(model(x), y) for x, y in loader]
    out, y = (torch.cat(part) for part in zip(*pairs, strict=True))
    return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def _small(drop=0.1):
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(),
        nn.Dropout(drop), nn.Linear(16 * 64, 10),
    )  # fmt: skip


def averaged(config, data, device, checkpoint):
    """An exponential average of the weights is evaluated."""
    fault, rate, size, epochs = begun(config)
    model = _small()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    buffers = fault not in ("buffers of the start", "use_buffers")
    average = AveragedModel(
        model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=fault == "use_buffers"
    )
    loader = DataLoader(Digits(data.train.index), size, shuffle=True)
    held = DataLoader(Digits(data.val.index), 256)
    for _ in range(epochs):
        model.train()
        losses = []
        for x, y in loader:
            loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if fault != "never updated":
                average.update_parameters(model)
            if buffers:
                for kept, now in zip(average.module.buffers(), model.buffers(), strict=True):
                    kept.copy_(now)
            if fault == "average put back":
                model.load_state_dict(average.module.state_dict())
            losses.append(loss.item())
        average.eval()
        val_loss, score = _classified(average, held)
        yield {"train_loss": float(np.mean(losses)), "val_loss": val_loss, "score": score}


def compiled(config, data, device, checkpoint):
    """`torch.compile`, workers of a loader that stay, the best state kept in memory."""
    fault, rate, size, epochs = begun(config)
    net = _small()
    model = torch.compile(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=10 * rate, momentum=0.9, nesterov=True)
    loader = DataLoader(
        Digits(data.train.index, fault), size, shuffle=fault != "no shuffle", num_workers=2,
        persistent_workers=True, drop_last=True,
    )  # fmt: skip
    held = DataLoader(Digits(data.val.index), 256, num_workers=1)
    best, state = 0.0, copy.deepcopy(net.state_dict())
    for _ in range(epochs):
        model.train()
        losses = []
        for x, y in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        val_loss, score = _classified(model, held)
        if score > best and fault != "back to the start":
            best = score
            state = net.state_dict() if fault == "a view of the state" else copy.deepcopy(net.state_dict())  # fmt: skip
        if fault in ("best state taken up again", "back to the start"):
            net.load_state_dict(state)
        yield {"train_loss": float(np.mean(losses)), "val_loss": val_loss, "score": score}


def mixup(config, data, device, checkpoint):
    """Rows mixed with others of their batch, and their losses in the same shares."""
    fault, rate, size, epochs = begun(config)
    model, dice = _small(), np.random.default_rng(config["seed"])
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    loader = DataLoader(Digits(data.train.index), size, shuffle=True)
    held = DataLoader(Digits(data.val.index), 256)
    for _ in range(epochs):
        model.train()
        losses = []
        for x, y in loader:
            lam, index = dice.beta(0.4, 0.4), torch.randperm(len(x))
            mixed = x if fault == "labels alone" else lam * x + (1 - lam) * x[index]
            output = model(mixed)
            other = y if fault == "pictures alone" else y[index]
            share = 1 - lam if fault == "shares swapped" else lam
            loss = share * F.cross_entropy(output, y) + (1 - share) * F.cross_entropy(output, other)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        val_loss, score = _classified(model, held)
        yield {"train_loss": float(np.mean(losses)), "val_loss": val_loss, "score": score}


class UNet(nn.Module):
    """Two levels down and up again."""

    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up, self.join = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 8, 3, padding=1)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        one = F.relu(self.down1(x))
        two = self.up(F.relu(self.down2(F.max_pool2d(one, 2))))
        skip = two if self.fault == "skip forgotten" else one
        out = self.out(F.relu(self.join(torch.cat([skip, two], 1))))
        return torch.sigmoid(out) if self.fault == "sigmoid twice" else out


def segments(config, data, device, checkpoint):
    """Bright spots in noise: a mask per picture, by cross-entropy and Dice."""
    fault, rate, size, epochs = begun(config)
    dice = np.random.default_rng(0)
    at, grid = dice.integers(3, 13, (400, 2, 1, 1)), np.indices((16, 16))
    masks = (((grid[None] - at) ** 2).sum(1) < 9).astype(np.float32)
    x = masks + dice.normal(0, 0.5, masks.shape).astype(np.float32)
    masks = masks * 255 if fault == "masks up to 255" else masks
    x, y = (torch.tensor(part)[:, None] for part in (x, masks))
    model = UNet(fault)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)

    def loss_of(rows, flip=False):
        pictures, mask = x[rows], y[rows]
        if flip and np.random.random() < 0.5:
            pictures = pictures.flip(-1)
            mask = mask if fault == "picture flipped alone" else mask.flip(-1)
        logits = model(pictures)
        share = logits if fault == "overlap of logits" else torch.sigmoid(logits)
        overlap = (2 * (share * mask).sum() + 1) / (share.sum() + mask.sum() + 1)
        plus = overlap if fault == "overlap is lost" else 1 - overlap
        return F.binary_cross_entropy_with_logits(logits, mask) + plus, logits

    held = torch.as_tensor(data.val.index)
    for _ in range(epochs):
        losses = []
        order = torch.as_tensor(data.train.index)
        for rows in order[torch.randperm(len(order))].split(size):
            optimizer.zero_grad()
            loss = loss_of(rows, flip=True)[0]
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            val_loss, logits = loss_of(held)
            right, found = y[held] > 0, logits > 0
            score = (right & found).sum() / (right | found).sum().clamp(min=1)
        yield {"train_loss": np.mean(losses), "val_loss": val_loss.item(), "score": score.item()}


def vae(config, data, device, checkpoint):
    """PyTorch's example: summed cross-entropy of pixels, summed divergence."""
    fault, rate, size, epochs = begun(config)
    pixels = torch.tensor(load_digits(return_X_y=True)[0] / 16, dtype=torch.float32)
    pixels = pixels * 16 if fault == "pixels up to 16" else pixels
    into, mean, spread = nn.Linear(64, 64), nn.Linear(64, 8), nn.Linear(64, 8)
    back, out = nn.Linear(8, 64), nn.Linear(64, 64)
    model = nn.ModuleList([into, mean, spread, back, out])
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)

    def loss_of(x):
        hidden = F.relu(into(x))
        mu, logvar = mean(hidden), spread(hidden)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        z = z.detach() if fault == "codes detached" else z
        again = torch.sigmoid(out(F.relu(back(z))))
        lost = F.binary_cross_entropy(again, x, reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return lost - kld if fault == "divergence lost" else lost + kld

    for _ in range(epochs):
        model.train()
        total = 0.0
        for (x,) in DataLoader(TensorDataset(pixels[data.train.index]), size, shuffle=True):
            optimizer.zero_grad()
            loss = loss_of(x)
            loss.backward()
            total += loss.item()
            if fault != "no step":
                optimizer.step()
        model.eval()
        with torch.no_grad():
            val_loss = loss_of(pixels[data.val.index]).item() / len(data.val.index)
        yield {"train_loss": total / len(data.train.index), "val_loss": val_loss, "score": -val_loss}  # fmt: skip
