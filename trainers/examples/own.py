"""A trainer of your own, resumable, with its DataLoader: python -m search own_trainer runs it."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def loader(index, batch_size, shuffle):
    x, y = load_digits(return_X_y=True)
    rows = TensorDataset(torch.tensor(x[index] / 16, dtype=torch.float32), torch.tensor(y[index]))
    return DataLoader(rows, batch_size=batch_size, shuffle=shuffle)


def network(width):
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, width, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * 36, 10),
    )


def train(config, data, device, checkpoint):
    torch.manual_seed(config["seed"])
    model = network(config["model"]["width"]).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config["optimizer"]["lr"])
    loss = nn.CrossEntropyLoss()
    saved = checkpoint.load()
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    for epoch in range(checkpoint.epoch + 1, config["trainer"]["epochs"] + 1):
        # so that a resumed trial shuffles like an undisturbed one
        torch.manual_seed(1000 * config["seed"] + epoch)
        losses = []
        for x, y in loader(data.train.index, config["trainer"]["batch_size"], shuffle=True):
            optimizer.zero_grad()
            error = loss(model(x.to(device)), y.to(device))
            error.backward()
            optimizer.step()
            losses.append(error.item())
        logits, y = evaluate(model, data.val.index, device)
        checkpoint.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict()}, epoch=epoch
        )
        right = (logits.argmax(1) == y).float().mean().item()
        yield {
            "train_loss": sum(losses) / len(losses),
            "val_loss": loss(logits, y).item(),
            "accuracy": right,
        }


def evaluate(model, index, device):
    with torch.no_grad():
        batches = [(model(x.to(device)).cpu(), y) for x, y in loader(index, 512, shuffle=False)]
    return torch.cat([logits for logits, _ in batches]), torch.cat([y for _, y in batches])
