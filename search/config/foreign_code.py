"""What code and programs a config from elsewhere runs, and where it sends: said before it does."""

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from search.config.catalogue import CONF

KEYS = ("_target_", "predict")  # keys whose values are import paths
SHIPPED = re.compile(r"^\s*(?:_target_|predict): *([\w.]+)", re.MULTILINE)
# Classes alone: a module of torch leads on to all others, such as torch.nn.grad.torch.hub.load.
OF_TORCH = re.compile(r"torch\.(nn|optim|optim\.lr_scheduler)\.[A-Z]\w*")
SENT = ("url", "tracking_uri")  # keys of callbacks whose values are addresses


def import_paths(node: Any, *, key: str = "") -> Iterator[str]:
    """All import paths below a node of a config, in its order. `key`: that leads to the node."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name in KEYS and isinstance(value, str) and _is_path(value, key=key, name=name):
                yield value
            yield from import_paths(value, key=str(name))
    elif isinstance(node, list):
        for value in node:
            yield from import_paths(value, key=key)


def say_code(source: object, *configs: DictConfig, known: DictConfig | None = None) -> None:
    """Says what the configs run that does not ship with this program; nothing if there is none.

    To standard error, where no document for a program stands. `known`: a config of the user's own;
    what that one names too needs no word.
    """
    own = _foreign(known) if known is not None else []
    code = [text for config in configs for text in _foreign(config) if text not in own]
    if code:
        named = ", ".join(dict.fromkeys(code))
        print(
            f"{source} runs {named}: trust it as you trust that code", file=sys.stderr, flush=True
        )


def resolved(config: DictConfig) -> Any:
    """The config as plain mappings and lists, with its interpolations where they can be read."""
    try:
        return OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:  # such as a variable of the environment that is not set
        return OmegaConf.to_container(config, resolve=False)


def _foreign(config: DictConfig) -> list[str]:
    """Import paths that neither ship with this program nor are torch's classes; programs; addresses
    that callbacks send to.
    """
    node = resolved(config)
    code = [
        path
        for path in dict.fromkeys(import_paths(node))
        if path not in _shipped() and not OF_TORCH.fullmatch(path)
    ]
    command = (node.get("trainer") or {}).get("command")
    callbacks = (node.get("callbacks") or {}).values()
    each = [callback for callback in callbacks if isinstance(callback, Mapping)]
    for words in [command, *(callback.get("command") for callback in each)]:
        if isinstance(words, list):
            code.append(f"the command {' '.join(map(str, words))}")
    sent = [str(callback[key]) for callback in each for key in SENT if callback.get(key)]
    return [*code, *(f"callbacks that send to {address}" for address in sent)]


@cache  # an ensemble's members are asked about one by one
def _shipped() -> frozenset[str]:
    """All import paths that the shipped configs name."""
    texts = (file.read_text(encoding="utf-8") for file in CONF.rglob("*.yaml"))
    return frozenset(path for text in texts for path in SHIPPED.findall(text))


def _is_path(value: str, *, key: str, name: str) -> bool:
    """Whether a value is imported; `predict` may be another's key, with another meaning."""
    return bool(value) and (name == "_target_" or key == "trainer" or "." in value)
