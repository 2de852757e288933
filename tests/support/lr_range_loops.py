"""Loops of one's own for range tests: optimizers, losses and steps that the stock trainer has not."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# A form -> numbers or classes, further words of the command
FORMS = {
    "two groups": ("classes", []), "two groups, numbers": ("numbers", []), "accumulated": ("classes", ["trainer.batch_size=8"]),
    "summed": ("numbers", []), "summed, classes": ("classes", []), "signs": ("classes", []), "normed": ("numbers", []),
    "averaged": ("classes", []), "poisson": ("numbers", ["normalise.target=false"]), "median": ("numbers", []),
    "log cosh": ("numbers", ["trainer.batch_size=16"]), "prototypes": ("classes", []), "copies its input": ("classes", []),
    "warmed up": ("classes", []), "cosine per step": ("numbers", []), "clipped, centred": ("numbers", []),
    "tells its noise": ("numbers", []), "two optimizers": ("classes", []), "sharpness": ("classes", []),
    "half pruned": ("numbers", ["trainer.batch_size=64"]),
}  # fmt: skip


class Signs(torch.optim.Optimizer):
    """Steps by the sign of a momentum, or by the gradient over its norm."""

    def __init__(self, params, lr, *, normed=False):
        super().__init__(params, {"lr": lr, "normed": normed})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weights in group["params"]:
                past = self.state[weights].setdefault("past", torch.zeros_like(weights))
                past.mul_(0.9).add_(weights.grad, alpha=0.1)
                step = past / (past.norm() + 1e-8) if group["normed"] else past.sign()
                weights.sub_(step, alpha=group["lr"])


class Prototypes(nn.Module):
    """Logits are distances to a learned point per class."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(inputs, 24), nn.Tanh(), nn.Linear(24, 8))
        self.points = nn.Parameter(torch.randn(outputs, 8))

    def forward(self, x):
        return -torch.cdist(self.inner(x), self.points).square()


class Copies(nn.Module):
    """A classifier that restores its input as well."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.inner, self.head, self.back = nn.Linear(inputs, 32), nn.Linear(32, outputs), nn.Linear(32, inputs)  # fmt: skip

    def forward(self, x):
        return self.head(F.relu(self.inner(x)))

    def restored(self, x):
        return self.back(F.relu(self.inner(x)))


class Loop:
    """One training of a form."""

    def __init__(self, config, data):
        torch.manual_seed(config["seed"])
        self.form, self.rate = config["trainer"]["form"], config["optimizer"]["lr"]
        self.batch, self.epochs = config["trainer"]["batch_size"], config["trainer"]["epochs"]
        self.x, self.y, self.vx, self.vy = (torch.as_tensor(part) for part in (data.train.x, data.train.y, data.val.x, data.val.y))  # fmt: skip
        self.numbers = self.y.is_floating_point()
        self.model = self.built()
        self.optimizers = self.steppers()
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        self.schedule = self.scheduled()

    def built(self):
        inputs = self.x.shape[1]
        outputs = self.y.shape[1] if self.numbers else int(max(self.y.max(), self.vy.max())) + 1
        if self.form in ("prototypes", "copies its input"):
            return (Prototypes if self.form == "prototypes" else Copies)(inputs, outputs)
        outputs *= 2 if self.form == "tells its noise" else 1
        return nn.Sequential(nn.Linear(inputs, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, outputs))  # fmt: skip

    def steppers(self):
        weights, rate, form = list(self.model.parameters()), self.rate, self.form
        if form.startswith("two groups"):
            return [torch.optim.AdamW([{"params": weights[:-2], "lr": rate / 10}, {"params": weights[-2:]}], lr=rate)]  # fmt: skip
        if form == "two optimizers":
            return [torch.optim.Adam(weights[:-2], lr=rate), torch.optim.SGD(weights[-2:], lr=10 * rate)]  # fmt: skip
        if form in ("signs", "normed"):
            return [Signs(weights, rate, normed=form == "normed")]
        if form == "clipped, centred":
            return [torch.optim.RMSprop(weights, lr=rate, centered=True, momentum=0.5)]
        if form in ("poisson", "prototypes", "warmed up", "tells its noise", "cosine per step"):
            return [torch.optim.Adam(weights, lr=rate)]
        return [torch.optim.SGD(weights, lr=rate, momentum=0.0 if form.startswith("summed") else 0.9)]  # fmt: skip

    def scheduled(self):
        steps = self.epochs * -(-len(self.x) // self.batch)
        if self.form == "warmed up":
            return torch.optim.lr_scheduler.LambdaLR(self.optimizers[0], lambda step: min(1.0, (step + 1) / 30))  # fmt: skip
        if self.form == "cosine per step":
            return torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizers[0], steps)
        return None

    def loss(self, outputs, y):
        """What is learned."""
        form = self.form
        if form == "poisson":
            return F.poisson_nll_loss(outputs, y.clamp(min=0), log_input=True)
        if form == "median":
            return 0.5 * (outputs - y).abs().mean()
        if form == "log cosh":
            return (outputs - y).cosh().log().mean()
        if form == "tells its noise":
            mean, spread = outputs.chunk(2, dim=1)
            return F.gaussian_nll_loss(mean, y, F.softplus(spread) + 1e-3)
        how = "sum" if form.startswith("summed") else "mean"
        return (F.mse_loss if self.numbers else F.cross_entropy)(outputs, y, reduction=how)

    def step(self, number, rows):
        """One step; its loss."""
        x, y = self.x[rows], self.y[rows]
        if self.form != "accumulated" or number % 4 == 0:
            for optimizer in self.optimizers:
                optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        if self.form == "copies its input":
            loss = loss + F.mse_loss(self.model.restored(x), x)
        (loss / 4 if self.form == "accumulated" else loss).backward()
        if self.form == "sharpness":
            self.climbed(x, y)
        if self.form == "clipped, centred":
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        if self.form != "accumulated" or number % 4 == 3:
            for optimizer in self.optimizers:
                optimizer.step()
            self.average.update_parameters(self.model)
        if self.schedule is not None:
            self.schedule.step()
        if self.form == "half pruned":
            with torch.no_grad():
                self.model[2].weight[::2] = 0
        return float(loss.detach())

    def climbed(self, x, y):
        """The gradient of a point that lies a little uphill."""
        weights = list(self.model.parameters())
        norm = torch.stack([part.grad.norm() for part in weights]).norm() + 1e-12
        steps = [0.05 * part.grad / norm for part in weights]
        with torch.no_grad():
            for part, step in zip(weights, steps, strict=True):
                part.add_(step)
        self.optimizers[0].zero_grad()
        self.loss(self.model(x), y).backward()
        with torch.no_grad():
            for part, step in zip(weights, steps, strict=True):
                part.sub_(step)


def fit(config, data, device, checkpoint):
    """The training, an epoch a yield."""
    loop = Loop(config, data)
    for _ in range(loop.epochs):
        batches = torch.randperm(len(loop.x)).split(loop.batch)
        losses = [loop.step(number, rows) for number, rows in enumerate(batches)]
        model = loop.average if loop.form == "averaged" else loop.model
        with torch.no_grad():
            outputs = model(loop.vx)
            val_loss = float(loop.loss(outputs, loop.vy))
        if loop.form == "poisson":
            outputs = outputs.exp()
        outputs = outputs.chunk(2, dim=1)[0] if loop.form == "tells its noise" else outputs
        yield {"train_loss": sum(losses) / len(losses), "val_loss": val_loss, "predictions": outputs.numpy()}  # fmt: skip
