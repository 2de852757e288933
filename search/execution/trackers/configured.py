"""The callbacks that a config names: `callbacks.NAME._target_` and its arguments."""

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig

from search.config.trial_config import plain_config
from search.errors import refused
from search.execution.events import EventCallback

# Shipped trackers and the library that each needs, which is also the name of its extra.
LIBRARIES = {
    f"search.execution.trackers.{library}.{name}": library
    for library, name in (
        ("tensorboard", "TensorBoard"),
        ("mlflow", "MLflow"),
        ("wandb", "WandB"),
        ("trackio", "Trackio"),
    )
}


def configured_callbacks(config: DictConfig) -> dict[str, Callable[[], EventCallback]]:
    """Functions that make the callbacks, by name. Imports nothing: some libraries take seconds.

    Raises:
        UsageError: an entry is no mapping with `_target_`, or its package is not installed.
    """
    nodes = config.get("callbacks") or {}
    return {str(name): _maker(str(name), node) for name, node in nodes.items()}


def _maker(name: str, node: Any) -> Callable[[], EventCallback]:
    where = f"callbacks.{name}"
    if not isinstance(node, DictConfig) or not isinstance(node.get("_target_"), str):
        raise refused(
            where,
            code="callback-names-no-class",
            rule="names a class by `_target_`; its other keys are arguments",
            got=repr(node),
            remedy="see conf/callbacks/",
        )
    arguments = plain_config(node, resolve=True)
    target = str(arguments.pop("_target_"))
    package = LIBRARIES.get(target, target.partition(".")[0])
    if importlib.util.find_spec(package) is None:
        remedy = f"pip install 'knobwise[{package}]'" if target in LIBRARIES else "mend the path"
        raise refused(
            f"{where}._target_",
            code="callback-not-installed",
            rule=f"needs the package {package}",
            got="none installed",
            remedy=remedy,
        )
    return partial(_made, target, arguments)


def _made(target: str, arguments: dict[str, Any]) -> EventCallback:
    callback: EventCallback = get_object(target)(**arguments)
    if not callable(callback):
        raise TypeError(f"{target}: its objects must take an event, by a method __call__")
    return callback
