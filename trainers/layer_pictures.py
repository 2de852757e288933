"""What the first layers of a trained model look at: filters and activations as numbers (R16, R26).

Takes any model that the stock trainer builds; draws nothing.
"""

from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from trainers.api import Config, Data
from trainers.build import made, on_device
from trainers.features import with_features
from trainers.sequences import outputs_of

LAYERS = 2  # layers with weights that are looked at
ROWS = 16  # validation rows that are sent through them
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
WEIGHTED = (nn.Linear, *CONVOLUTIONS, nn.RNNBase)


def layer_arrays(config: Config, data: Data, weights: Path) -> dict[str, NDArray[Any]]:
    """Filters [filters, channels, …] and activations [rows, units or channels, …] by their name.

    `data`: its validation rows; the first ones are sent through the model.
    """
    config, data = with_features(config, data)
    model: nn.Module = made(config, "model")
    model.load_state_dict(load_file(weights))
    model.eval()
    layers = [(name, each) for name, each in model.named_modules() if isinstance(each, WEIGHTED)]
    arrays: dict[str, NDArray[Any]] = {}

    def watch(name: str, layer: nn.Module) -> Any:
        def hook(_: nn.Module, __: Any, outputs: Any) -> None:
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            if isinstance(first, Tensor):
                arrays[f"activations of {name}"] = first.detach().float().numpy()

        if isinstance(layer, CONVOLUTIONS):
            arrays[f"filters of {name}"] = layer.weight.detach().float().numpy()
        return layer.register_forward_hook(hook)

    hooks = [watch(name, layer) for name, layer in layers[:LAYERS]]
    rows = tuple(part[:ROWS].clone() for part in on_device(data.val, torch.device("cpu")))
    with torch.no_grad():
        outputs_of(model, rows)
    for each in hooks:
        each.remove()
    return arrays
