"""Whether a model's own backward passes are right, by finite differences in float64 (R12).

Measures; never judges.
"""

import torch
from torch.autograd import gradcheck
from torch.func import functional_call

from trainers.api import Config, Data
from trainers.build import made, on_device, seed_all
from trainers.features import with_features
from trainers.probes.answers import OwnGradients
from trainers.probes.run import told_of
from trainers.sequences import loss_of

ROWS = 4


def wrong_gradients(config: Config, data: Data) -> OwnGradients:
    """What torch's `gradcheck` says of model and loss on a few rows, in evaluation mode; `told` is
    empty where all is well.

    The fast check: one random direction per tensor.
    https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
    """
    device = torch.device("cpu")
    config, data = with_features(config, data)
    seed_all(0, device)
    model, loss = made(config, "model").double().eval(), made(config, "loss").double()
    x, y, *lengths = (
        tensor[:ROWS].clone().double() if tensor.is_floating_point() else tensor[:ROWS].clone()
        for tensor in on_device(data.train, device)
    )
    rows = (x, y, *lengths)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    given = [
        dict(model.named_parameters())[name].detach().clone().requires_grad_() for name in names
    ]

    def losses(*parameters: torch.Tensor) -> torch.Tensor:
        values = dict(zip(names, parameters, strict=True))
        return loss_of(loss, functional_call(model, values, (x, *lengths)), rows)

    try:
        gradcheck(losses, given, fast_mode=True)
    except Exception as error:  # noqa: BLE001  # a user's module may raise anything
        return {"told": told_of(error), "tensors": len(names)}
    return {"told": "", "tensors": len(names)}
