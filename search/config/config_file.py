"""A complete config from a file of its own, such as best.yaml, with plain overrides."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from search.config.check_keys import check_keys
from search.config.drift import flat_config
from search.config.misspelt import there_already, unknown_key
from search.config.overrides import in_grammar, parse_override
from search.config.schema import MAPPINGS, check_settings
from search.config.trial_config import resolved_config
from search.contract.tasks import TASKS
from search.errors import UsageError, refused

MOST_VALUES = 100_000  # of a file, its aliases written out
SHOWN = 10  # files that a message names


def load_config(path: Path, *, overrides: list[str]) -> DictConfig:
    """A complete config file, such as best.yaml, with overrides of keys that it has: read-only.

    Raises:
        UsageError: no such file, not YAML, not a mapping, or an override of a key that the file
            does not have.
    """
    try:
        _check_size(path)
        config = OmegaConf.load(path)
    except FileNotFoundError as error:
        raise refused(
            str(path),
            code="config-not-found",
            rule="must be a file",
            got="nothing there",
            remedy=_near(path) or "mend the path",
        ) from error
    except (OSError, ValueError) as error:
        raise refused(
            str(path),
            code="config-not-readable",
            rule="must be readable YAML",
            got=str(error),
            remedy="mend it",
        ) from error
    except UsageError:
        raise
    except Exception as error:  # PyYAML's own tree of errors does not descend from ValueError
        raise refused(
            str(path),
            code="config-not-valid-yaml",
            rule="must be valid YAML",
            got=str(error),
            remedy="mend it",
        ) from error
    if not isinstance(config, DictConfig):
        raise refused(
            str(path),
            code="config-not-a-mapping",
            rule="must hold a mapping",
            got=type(config).__name__,
            remedy="give a config",
        )
    override_keys(config, overrides, where=str(path))
    check_complete(config, str(path))
    OmegaConf.set_readonly(config, True)
    return config


def _near(path: Path) -> str:
    """Which configs there are where none was found, the nearest first; empty where there are none.

    In a folder that does not exist either: those of the same name in the folders beside it.
    """
    pattern, folder = "*.y*ml", path.parent
    if not folder.is_dir():
        pattern, folder = f"*/{path.name}", folder.parent
    names = sorted(map(str, folder.glob(pattern)))
    near = difflib.get_close_matches(str(path), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}there are: {', '.join(names[:SHOWN])}" if names else ""


def override_keys(config: DictConfig, words: Sequence[str], *, where: str) -> None:
    """Changes keys that a complete config has, by words `key=value`, or drops them by `~key`.

    Raises:
        UsageError: a word that is none, or a key that the config does not have.
    """
    OmegaConf.set_struct(config, True)
    for word in words:
        try:
            override = parse_override(in_grammar(word))
            forced = override.is_force_add()  # ++, which changes a key that is there
            key = override.key_or_group if forced else override.get_key_element()
            above, _, last = override.key_or_group.rpartition(".")
            node = OmegaConf.select(config, above) if override.is_delete() else None
            if isinstance(node, DictConfig) and last in node:
                # As Hydra says elsewhere. Without a value, a link that is dead goes as well.
                if (value := override.value()) is not None and value != node[last]:
                    raise HydraException(f"{key} is {node[last]}")
                with open_dict(config):
                    del node[last]
                continue
            OmegaConf.update(config, key, override.value())
        except (ConfigAttributeError, ConfigKeyError) as error:
            if override.is_add() and override.key_or_group in flat_config(config):
                raise there_already(override.key_or_group, where=where) from error
            raise unknown_key(config, override.key_or_group, where=where) from error
        except (UsageError, HydraException, OmegaConfBaseException) as error:
            raise UsageError(
                f"{where}: {first_part(error)}; mend the word {word!r}",
                code="override-does-not-fit",
            ) from error


def check_whole(config: DictConfig, path: Path) -> None:
    """A config to train needs every group."""
    lacking = [group for group in MAPPINGS if group not in config]
    if lacking:
        raise refused(
            str(path),
            code="config-lacks-groups",
            rule="every group of a config must be there",
            got=f"none of {', '.join(lacking)}",
            remedy="export it by python -m search export",
        )
    check_settings(resolved_config(config, where=str(path)))
    check_keys(config)


def check_complete(config: DictConfig, where: str) -> None:
    """Keys that are ??? have no default that would be right; they must be given."""
    missing = sorted(path for path, value in flat_config(config).items() if _is_missing(value))
    if missing:
        raise refused(
            where,
            code="key-without-value",
            rule="every key needs a value",
            got=f"??? for {', '.join(missing)}",
            remedy=f"say {' '.join(f'{key}=…' for key in missing)}"
            + (f"; data.task is {', '.join(TASKS)}" if "data.task" in missing else ""),
        )


def _is_missing(value: Any) -> bool:
    """Whether a value is ???, or holds one."""
    held = value.values() if isinstance(value, Mapping) else value
    within = not isinstance(value, str) and isinstance(held, Iterable)
    return value == "???" or (within and any(map(_is_missing, held)))


def first_part(error: Exception) -> str:
    """Hydra's message with its cause, without its search path, which a user cannot change."""
    text = str(error).split("Config search path:")[0].strip()
    cause = error.__cause__
    return f"{text}\n{cause}" if cause is not None and str(cause) not in text else text


def _check_size(path: Path) -> None:
    """Aliases may let a small file grow without end, so it is measured before it is read."""
    sizes: dict[int, float] = {}

    def size(node: yaml.Node | None) -> float:
        if node is None or isinstance(node, yaml.ScalarNode):
            return 1.0
        if id(node) not in sizes:
            sizes[id(node)] = math.inf  # an alias inside of what it stands for has no end
            below = [
                part
                for item in node.value
                for part in (item if isinstance(item, tuple) else (item,))
            ]
            sizes[id(node)] = 1.0 + sum(map(size, below))
        return sizes[id(node)]

    if size(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)) > MOST_VALUES:
        rule = f"has at most {MOST_VALUES} values"
        raise refused(
            str(path), code="config-too-large", rule=rule, got="more", remedy="drop its aliases"
        )
