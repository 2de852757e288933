"""Seeds the generators that code draws from, so that one seed is one training."""

import random
import sys

import numpy as np


def seed_generators(seed: int, *, cuda: bool) -> None:
    """Seeds those of Python, numpy and torch; `cuda`: that of the current GPU too.

    Else a trial would draw on from wherever the trial before it had left this process. Torch's own
    `manual_seed` would search for every device.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")  # code that has not imported it does without
    if torch is not None:
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
