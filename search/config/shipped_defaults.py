"""Whether a key has the value that the shipped configs give it, as in a search begun before the
key.

A folder that an older version began lacks the keys that were added since. Their shipped values keep
what the older version did, so such a search resumes.
"""

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.catalogue import CONF

GLOBAL = "# @package _global_"  # first line of a file whose keys stand below their groups
# What older versions did, where a key that was added since ships with something else.
OWN_LEVEL = "protocol.own_level"
BEFORE = {"protocol.halving": False, OWN_LEVEL: False}
# The stages of `protocol=guide` before there was one for longer trainings.
GUIDE = [
    "preflight", "baseline", "regularisers_off", "lr_range", {"sweep": "lr"},
    {"sweeps": "verdict"}, "joint", "confirm", "ensemble",
]  # fmt: skip
# What shipped files gave to keys that follow the data since, or name more stages.
FORMER: Mapping[str, tuple[object, ...]] = {"model.features": (1, 4), "protocol.stages": (GUIDE,)}


def is_former_default(key: str, before: object, now: object) -> bool:
    """Whether a key's shipped value became another one, which does the same to an older search."""
    return before in FORMER.get(key, ()) and is_shipped_default(key, now)


def with_former_rules(config: DictConfig, begun: DictConfig) -> DictConfig:
    """The config with the stages that its search began with, where the shipped protocol has got
    further ones since, and with the confirmation's rule of that time; else the config itself.
    """
    before, now = (
        OmegaConf.to_container(
            OmegaConf.select(each, "protocol.stages", default=OmegaConf.create())
        )
        for each in (begun, config)
    )
    has_stages = before != now and is_former_default("protocol.stages", before, now)
    shared = OmegaConf.select(config, OWN_LEVEL) and OmegaConf.select(begun, OWN_LEVEL) is None
    if not has_stages and not shared:
        return config
    former = copy.deepcopy(config)
    OmegaConf.set_readonly(former, False)
    if has_stages:
        former.protocol.stages = before
    if shared:
        former.protocol.own_level = False
    OmegaConf.set_readonly(former, True)
    return former


def is_shipped_default(key: str, value: object) -> bool:
    """Whether a shipped file gives a dotted key this value, or older versions did as it says;
    `chosen.GROUP`: the default choice.
    """
    if key in BEFORE:
        return value == BEFORE[key]
    group, _, inner = key.partition(".")
    whole = _whole()
    if group == "chosen":
        return value in [entry[inner] for entry in whole["defaults"] if inner in _names(entry)]
    if not inner:
        return (group in whole and whole[group] == value) or value in _files(group)
    keys = inner.split(".")
    # A protocol holds each space below the name of its file.
    places = [keys, keys[1:]] if group == "space" else [keys]
    return any(_has(node, place, value) for node in _files(group) for place in places)


@cache
def _whole() -> dict[str, Any]:
    return dict(_read(CONF / "search.yaml"))


@cache
def _files(group: str) -> list[Any]:
    files = []
    for path in sorted((CONF / group).glob("*.yaml")):
        is_global = path.read_text(encoding="utf-8").startswith(GLOBAL)
        files.append(_read(path).get(group) if is_global else _read(path))
    return files


def _read(path: Path) -> Any:
    """As Hydra reads it: 1e-8 is a number."""
    return OmegaConf.to_container(OmegaConf.load(path), resolve=False)


def _names(entry: object) -> Mapping[str, Any]:
    return entry if isinstance(entry, Mapping) else {}


def _has(node: object, keys: list[str], value: object) -> bool:
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return node == value
