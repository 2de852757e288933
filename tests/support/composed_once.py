"""The same choice of files is composed once per test process, which saves half of the quick tests' time, and each of
our files is read once: what is composed all the same takes 28 % less. Both are kept as pickles, which give a copy in a
sixth of the time of `copy.deepcopy`. What Hydra lays ready for links between options is made only where there is one: a
quarter of what is left.

Words that only change values (`trainer.epochs=4`) are applied to a copy, by Hydra's own function. What a test says about
a folder of its own is composed anew each time. Programs that are forks find what their server has composed before;
those that a test starts `anew` compose everything, as for a user.
"""

import gc
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig

from search.config import compose, group_options
from search.config.catalogue import CONF, experiments
from search.config.compose_protocol import compose_protocol

GROUPS = {str(folder.relative_to(CONF)) for folder in CONF.rglob("*") if folder.is_dir()}
NAMES = experiments(None)
MAP = "_create_interpolation_map"


def compose_once(put: Callable[[object, str, object], None]) -> None:
    """Puts the faster way in place, by `setattr` or what takes it back later."""
    faster = _faster(group_options.composed)
    for module in (compose, group_options):
        put(module, "composed", faster)
    Plugins.instance()  # it registers the sources
    source = SourcesRegistry.instance().types["file"]
    put(source, "load_config", _read_once(source.load_config))
    put(defaults_list, MAP, _for_links_only(getattr(defaults_list, MAP)))


def compose_for(words: tuple[str, ...]) -> None:
    """Composes what a program is about to, so that it, and all that choose alike, find it done."""
    if words[1:3] == ("-m", "search"):
        chosen = (word for word in words[3:] if word.partition("=")[0] in GROUPS)
        named = (word for word in words[3:5] if word == "tune" or word in NAMES)
        _compose(next(named, ""), tuple(chosen))


@cache
def _compose(name: str, choices: tuple[str, ...]) -> None:
    with suppress(Exception):  # the program refuses it
        if name == "tune":
            compose_protocol(list(choices), config_dir=None)
        elif name:
            compose.compose_experiment(name, overrides=list(choices), config_dir=None)
        gc.freeze()


def _read_once(load: Callable[[ConfigSource, str], ConfigResult]) -> Callable[..., ConfigResult]:
    kept: dict[str, bytes] = {}

    def read(source: ConfigSource, config_path: str) -> ConfigResult:
        if source.path != str(CONF):
            return load(source, config_path)
        name = f"{source.provider} {config_path}"
        if name not in kept:
            kept[name] = pickle.dumps(load(source, config_path))
        return pickle.loads(kept[name])

    return read


def _for_links_only(create: Callable[..., DictConfig]) -> Callable[..., DictConfig | None]:
    def create_if_needed(overrides: object, defaults: list[Any], self_added: bool) -> Any:
        is_linked = any(each.is_interpolation() for each in defaults)
        return create(overrides, defaults, self_added) if is_linked else None

    return create_if_needed


def _faster(composed: Callable[[list[str]], DictConfig]) -> Callable[[list[str]], DictConfig]:
    chosen = cache(lambda *words: pickle.dumps(composed(list(words))))

    def faster(words: list[str]) -> DictConfig:
        overrides = OverridesParser.create().parse_overrides(words)
        values = [each for each in overrides if each.key_or_group not in GROUPS]
        if any(each.is_sweep_override() or each.is_hydra_override() for each in overrides):
            return composed(words)
        choices = [each.input_line for each in overrides if each not in values]
        config = pickle.loads(chosen(*choices))
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config

    return faster
