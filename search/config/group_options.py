"""Every option that a space names for a config group, composed: what a knob chooses from (P7)."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from search.config.catalogue import roots
from search.config.sweep_grammar import read_domain
from search.config.words import group_of

COPIES = "_copies_"  # where the options of groups stand that are composed at once
OUTWARD = re.compile(r"@package|^defaults:", re.MULTILINE)  # in a file that is no plain option


def composed(words: list[str]) -> DictConfig:
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


def add_choices(
    config: DictConfig,
    spaces: Iterable[Mapping[str, Any]],
    words: list[str],
    *,
    config_dir: Path | None,
) -> None:
    """Sets `choices`: every option that a space names for a config group, composed (P7).

    The chosen option stands as it is in the config, with all overrides.
    """
    wanted = dict[str, list[str]]()
    nodes = [pair for space in spaces for pair in space.items() if pair[0] in config.chosen]
    for group, node in nodes:
        domain = read_domain(f"space.{group}", node) if isinstance(node, str) else node
        if isinstance(domain, DictConfig | dict) and "choices" in domain:
            wanted.setdefault(group, []).extend(map(str, domain["choices"]))
    at_once = _composed_at_once(config, wanted, words, config_dir=config_dir)
    choices = dict[str, dict[str, DictConfig]]()
    for group, options in wanted.items():
        others = [word for word in words if group_of(word) != group]
        choices[group] = {str(config.chosen[group]): config[group]}
        for option in options:
            if (group, option) in at_once:
                choices[group][option] = at_once[group, option]
            elif option not in choices[group]:
                choices[group][option] = composed([*others, f"{group}={option}"])[group]
    with open_dict(config):
        config.choices = choices


def _composed_at_once(
    config: DictConfig,
    wanted: Mapping[str, Iterable[str]],
    words: list[str],
    *,
    config_dir: Path | None,
) -> dict[tuple[str, str], DictConfig]:
    """Options by group and name from one composition, as choosing each of them would give it: a
    copy, with what the recipe says of its group laid over it. A composition takes 0.15 s.

    Without options that write into other groups or have defaults, and without a group whose chosen
    option does not come out as it stands in the config, as where words set its keys.
    """
    own = {group: (group, str(config.chosen[group])) for group in wanted}
    pairs = [*own.values(), *((group, each) for group in wanted for each in wanted[group])]
    plain = [pair for pair in dict.fromkeys(pairs) if _is_plain(*pair, config_dir=config_dir)]
    if not plain:
        return {}
    kept = [word for word in words if group_of(word) not in wanted]
    added = [f"+{group}@{COPIES}.at{at}={option}" for at, (group, option) in enumerate(plain)]
    try:
        found = composed([*kept, *(f"~{group}" for group in wanted), *added])
        with open_dict(found):
            nodes = {
                pair: OmegaConf.merge(found[COPIES][f"at{at}"], found.get(pair[0], {}))
                for at, pair in enumerate(plain)
            }
    except (HydraException, OmegaConfBaseException):  # told by composing them one by one
        return {}
    contents = {pair: OmegaConf.to_container(node) for pair, node in nodes.items()}
    same = [
        group
        for group, pair in own.items()
        if pair in contents and contents[pair] == OmegaConf.to_container(config[group])
    ]
    return {pair: cast(DictConfig, node) for pair, node in nodes.items() if pair[0] in same}


def _is_plain(group: str, option: str, *, config_dir: Path | None) -> bool:
    """Whether the file of an option holds its own keys and nothing else."""
    paths = [root / group / f"{option}.yaml" for root in roots(config_dir)]
    texts = [path.read_text(encoding="utf-8") for path in paths if path.is_file()]
    return bool(texts) and not any(map(OUTWARD.search, texts))
