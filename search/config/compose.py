"""From YAML files and overrides to one config: Hydra composes, once. Never reads results."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from search.config.catalogue import CONF, experiments, roots
from search.config.check_keys import check_keys
from search.config.overrides import Overrides, parse_override
from search.config.sweep_grammar import read_domain
from search.contract.metrics import METRICS
from search.errors import SearchError, UsageError, broken_rule, unknown

MEANING = ("metric.name", "metric.formula")  # keys without which a direction means nothing
GROUPS = (
    "data",
    "model",
    "optimizer",
    "schedule",
    "loss",
    "trainer",
    "metric",
    "split",
    "normalise",
    "placement",
)


def compose_experiment(
    experiment: str | None,
    *,
    overrides: list[str],
    config_dir: Path | None,
    spaces: Mapping[str, Any] | None = None,
) -> DictConfig:
    """The config of an experiment with the command line's overrides: unresolved, read-only.

    Args:
        experiment: a file of `conf/experiment/`; None for the defaults.
        spaces: nested spaces by name, in place of the config's own: those of a protocol.

    Raises:
        UsageError: Hydra could not compose it: a misspelt key, an unknown option, a syntax error.
    """
    known = experiments(config_dir)
    if experiment is not None and experiment not in known:
        raise UsageError(unknown("experiment", name=experiment, known=known))
    where = experiment or "config"
    given = Overrides.read(overrides)
    user = [folder for folder in roots(config_dir) if folder != CONF]
    paths = ",".join(f"file://{folder}" for folder in user)
    words = [f"hydra.searchpath=[{paths}]"] if user else []
    words += [*([f"experiment={experiment}"] if experiment is not None else []), *given.hydra]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            config = _composed(words)
            _check_direction(config, words)
            given.apply(config)
            with open_dict(config):
                if spaces is not None:
                    config.space = spaces
                config.choices = {
                    group: options
                    for space in (
                        [config.get("space") or {}] if spaces is None else spaces.values()
                    )
                    for group, options in _choices(config, space, words).items()
                }
        OmegaConf.to_container(config, resolve=True)
    except SearchError:
        raise
    except Exception as error:  # Hydra raises ValueError, TypeError, AttributeError as well
        hint = _misspelt(error, experiment, given.hydra, config_dir)
        raise UsageError(f"{where}: {hint or _first_part(error)}") from error
    with open_dict(config):
        config.name = config.name or where
    _check_complete(config, where)
    check_keys(config)
    OmegaConf.set_readonly(config, True)
    return config


def _check_direction(config: DictConfig, words: list[str]) -> None:
    """A direction belongs to a name: one that was set for another metric is never kept.

    Raises:
        UsageError: `metric.name` was given without `metric.direction`.
    """
    keys = [word.lstrip("+").partition("=")[0] for word in words]
    name, option = config.metric.get("name"), config.chosen.get("metric")
    if OmegaConf.is_missing(config.metric, "direction") or "metric.direction" in keys:
        return
    if option in METRICS and name in METRICS:
        other = name != option
    else:
        given = [key for key in MEANING if key in keys]
        before = [word for word, key in zip(words, keys, strict=True) if key not in given]
        preset = _composed(before).metric if given else config.metric
        other = any(preset.get(key) != config.metric.get(key) for key in ("name", "formula"))
        if config.chosen.get("trainer") == "stock" and not config.metric.get("formula"):
            other = False  # a name that does not exist is refused as such
    if other:
        raise UsageError(
            broken_rule(
                "metric.direction",
                rule=f"belongs to metric.name, and nobody has said it for {name}",
                got=f"{config.metric.direction}, which is of another metric",
                remedy=f"say metric={name}"
                if name in METRICS
                else "say metric.direction=minimize or metric.direction=maximize",
            )
        )


def _misspelt(
    error: Exception, experiment: str | None, words: list[str], config_dir: Path | None
) -> str | None:
    """The message for a key that does not exist, its nearest sibling first; None for other errors."""
    match = re.match(r"Could not override '([^']+)'", str(error))
    if match is None or not words:
        return None
    key = match[1]
    heads = [word.partition("=")[0] for word in words]
    groups = [
        word for word, head in zip(words, heads, strict=True) if "." not in head and head != key
    ]
    whole = compose_experiment(experiment, overrides=groups, config_dir=config_dir)
    hint = unknown("key", name=key, known=_siblings(whole, key))
    return f"{hint}; a new key is added with +{key}=…"


def compose_defaults() -> DictConfig:
    """`conf/search.yaml` alone: what a config is where nobody says anything."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        return _composed([])


def _composed(words: list[str]) -> DictConfig:
    """A config with `chosen`: the option of every config group in it, also of the user's groups."""
    config = compose(config_name="search", overrides=words, return_hydra_config=True)
    with open_dict(config):
        groups = config.pop("hydra").runtime.choices.items()
        config.chosen = {
            str(group): str(option)
            for group, option in groups
            if group != "experiment" and not str(group).startswith("hydra")
        }
    return config


def _choices(
    config: DictConfig, space: Mapping[str, Any], words: list[str]
) -> dict[str, dict[str, DictConfig]]:
    """Every option that a space names for a config group, composed (P7).

    The chosen option stands as it is in the config, with all overrides.
    """
    chosen, choices = config.chosen, dict[str, dict[str, DictConfig]]()
    for group, node in space.items():
        if group not in chosen:
            continue
        if isinstance(node, str):
            node = read_domain(f"space.{group}", node)
        if not isinstance(node, DictConfig | dict) or "choices" not in node:
            continue
        others = [word for word in words if _group_of(word) != group]
        choices[group] = {str(chosen[group]): config[group]}
        for option in node["choices"]:
            if option != chosen[group]:
                changed = [*others, f"{group}={option}"]
                choices[group][str(option)] = compose("search", overrides=changed)[group]
    return choices


def _group_of(word: str) -> str:
    """The first part of the key of an override."""
    return word.lstrip("+~").partition("=")[0].partition(".")[0]


def load_config(path: Path, *, overrides: list[str]) -> DictConfig:
    """A complete config file, such as best.yaml, with overrides of keys that it has: read-only.

    Raises:
        UsageError: no such file, not YAML, not a mapping, or an override of a key that the file
            does not have.
    """
    try:
        config = OmegaConf.load(path)
    except FileNotFoundError as error:
        raise UsageError(
            broken_rule(
                str(path), rule="must be a file", got="nothing there", remedy="mend the path"
            )
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(
            broken_rule(str(path), rule="must be readable YAML", got=str(error), remedy="mend it")
        ) from error
    except Exception as error:  # PyYAML's own tree of errors does not descend from ValueError
        raise UsageError(
            broken_rule(str(path), rule="must be valid YAML", got=str(error), remedy="mend it")
        ) from error
    if not isinstance(config, DictConfig):
        raise UsageError(
            broken_rule(
                str(path),
                rule="must hold a mapping",
                got=type(config).__name__,
                remedy="give a config",
            )
        )
    OmegaConf.set_struct(config, True)
    try:
        for text in overrides:
            override = parse_override(text)
            OmegaConf.update(config, override.get_key_element(), override.value())
    except (UsageError, HydraException, OmegaConfBaseException) as error:
        raise UsageError(f"{path}: {_first_part(error)}") from error
    _check_complete(config, str(path))
    OmegaConf.set_readonly(config, True)
    return config


def check_whole(config: DictConfig, path: Path) -> None:
    """A config to train needs every group.

    Raises:
        UsageError: some are not there.
    """
    lacking = [group for group in GROUPS if group not in config]
    if lacking:
        raise UsageError(
            broken_rule(
                str(path),
                rule="every group of a config must be there",
                got=f"none of {', '.join(lacking)}",
                remedy="export it by python -m search export",
            )
        )
    check_keys(config)


def _siblings(config: DictConfig, path: str) -> list[str]:
    """The keys at the place where a path leaves the config."""
    node, prefix = config, ""
    for part in path.split("."):
        below = node.get(part) if part in node else None
        if not isinstance(below, DictConfig):
            break
        node, prefix = below, f"{prefix}{part}."
    return [f"{prefix}{key!s}" for key in node]


def _check_complete(config: DictConfig, where: str) -> None:
    """Keys that are ??? have no default that would be right; they must be given."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UsageError(
            broken_rule(
                where,
                rule="every key needs a value",
                got=f"??? for {', '.join(missing)}",
                remedy=f"say {missing[0]}=…",
            )
        )


def _first_part(error: Exception) -> str:
    """Hydra's message with its cause, without its search path, which a user cannot change."""
    text = str(error).split("Config search path:")[0].strip()
    cause = error.__cause__
    return f"{text}\n{cause}" if cause is not None and str(cause) not in text else text
