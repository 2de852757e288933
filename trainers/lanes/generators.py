"""The states of the global random generators, which every model can draw from. Never draws."""

import random

import numpy as np
import torch


def generator_states(device: torch.device) -> dict[str, bytes]:
    """A state by each generator's name."""
    states = {
        "random": repr(random.getstate()).encode(),
        "numpy.random": repr(np.random.get_state(legacy=False)).encode(),
        "torch's generator": torch.default_generator.get_state().numpy().tobytes(),
    }
    if device.type == "cuda":
        states["torch's generator of the GPU"] = torch.cuda.get_rng_state(device).numpy().tobytes()
    return states
