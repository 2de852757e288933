"""Losses as guests write them: with a fault, or sound and unusual."""

import math

import torch
from torch.nn import functional as F  # noqa: N812  # the field's name for it


def classes_loss(habit, y, count):
    """A loss of outputs and class numbers."""
    weight = len(y) / (count * torch.bincount(y, minlength=count).float().clamp(min=1))

    def own(out, y):
        chosen = out.log_softmax(1).gather(1, y[:, None]).squeeze(1)
        if habit == "focal by hand":
            return -((1 - chosen.exp()) ** 2 * chosen).mean()
        if habit == "shares, then shares again":
            return F.cross_entropy(out.softmax(1), y)
        if habit == "likelihood without logarithm":
            return F.nll_loss(out.softmax(1), y)
        if habit == "shares over the rows":
            return F.nll_loss(out.log_softmax(0), y)
        if habit == "two sigmoids":
            aims = F.one_hot(y, count).float()
            return F.binary_cross_entropy_with_logits(out.sigmoid(), aims)
        if habit == "one against all":
            return F.binary_cross_entropy_with_logits(out, F.one_hot(y, count).float())
        if habit == "smoothed and weighed":
            return F.cross_entropy(out, y, weight=weight, label_smoothing=0.1)
        if habit == "squares of shares":  # Brier's
            return (out.softmax(1) - F.one_hot(y, count)).square().sum(1).mean()
        if habit == "thresholds":  # ordered classes
            over = (y[:, None] > torch.arange(count - 1)).float()
            return F.binary_cross_entropy_with_logits(out[:, : count - 1], over) + 0 * out.mean()
        return F.cross_entropy(out, y)

    return own


def numbers_loss(habit):
    """A loss of outputs and numbers [n, 1]."""

    def own(out, y):
        if habit == "flat against column":
            return F.smooth_l1_loss(out.squeeze(1), y)
        if habit == "flat against flat":
            return F.smooth_l1_loss(out.squeeze(1), y.squeeze(1))
        if habit == "summed":
            return F.mse_loss(out, y, reduction="sum")
        if habit == "positive part":
            return F.mse_loss(out.relu(), y)
        if habit == "ninth decile":
            over = y - out
            return torch.maximum(0.9 * over, -0.1 * over).mean()
        if habit == "mean and spread":
            return F.gaussian_nll_loss(out[:, :1], y, F.softplus(out[:, 1:]) + 1e-4)
        if habit == "three bells":
            share, at, wide = out.chunk(3, 1)
            each = -0.5 * ((y - at) / (wide.exp() + 1e-3)) ** 2 - (wide.exp() + 1e-3).log()
            return -(share.log_softmax(1) + each).logsumexp(1).mean() + 0.5 * math.log(2 * math.pi)
        if habit == "counts by rate":
            return F.poisson_nll_loss(out, y)
        if habit == "log-cosh":
            return (F.softplus(2 * (out - y)) - (out - y) - math.log(2)).mean()
        return F.mse_loss(out, y)

    return own
