"""A user's model that keeps state outside itself, in a way that is chosen; each trial would then score by those before it."""

import os
import threading

import torch
from torch import nn

CACHE, HERE, BUILT = {}, threading.local(), [0]
COUNT = 0


class Net(nn.Module):
    """One hidden layer, scaled down further by each training that its process has seen before."""

    def __init__(self, inputs, outputs, keeps="nothing"):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs))
        self.scale, self.keeps = 1.0, keeps
        if keeps == "variable":
            self.scale = float(os.environ.get("KNOBWISE_TEST_SCALE", "1"))
            os.environ["KNOBWISE_TEST_SCALE"] = str(self.scale / 4)
        elif keeps == "thread":
            self.scale = getattr(HERE, "scale", 1.0)
            HERE.scale = self.scale / 4
        elif keeps == "number":
            global COUNT
            COUNT += 1
            self.scale = 1 / COUNT**2
        elif keeps == "library":
            self.scale = 1.0 if torch.get_default_dtype() == torch.float32 else 0.1
            torch.set_default_dtype(torch.float64)
            self.to(torch.float32)
        elif keeps == "cache":
            self.scale = 1 / (1 + CACHE.setdefault("steps", [0.0])[0])

    def forward(self, x):
        """Logits."""
        if self.keeps == "cache":
            CACHE["steps"][0] += 0.1 * self.training
        return self.layers(x) * self.scale
