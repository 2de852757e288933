"""Which keys of a config nobody reads: an unknown setting must not stand there as if it acted.

Also what a dry run tries out: keys that a trainer of the user's own should read, and settings that
differ from those shipped.
"""

import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.catalogue import CONF
from search.config.drift import flat_config
from search.config.knobs import is_rate
from search.config.schema import TABLE
from search.config.trial_config import hidden_keys, is_stock, plain_config
from search.config.yaml_text import read_shipped
from search.errors import UsageError, refused

# Groups that this program reads key by key; a class or function takes the keys of the others.
READ = ("split", "placement", "protocol", "sampler", "pruner", "preflight", "metric")
KINDS = ("split", "sampler", "pruner")  # groups of which every kind reads its own keys
BLOCKS = ("lr_range", "storage", "confirm", "figures")  # groups that have no files of their own
TRAINER = ("replay",)  # keys of the stock trainer that no file has
ROOT = ("choices", "chosen", "from", "expected", "contract", "space")
GIVEN = (
    "model",
    "optimizer",
    "schedule",
    "features",
    "augment",
    "distillation",
    "loss",
    "trainer",
)  # groups that a trainer may read
BUILT = ("model", "optimizer", "schedule", "loss", "augment", "distillation")  # built from scalars
# Keys of `trainer` that the search reads, whoever trains.
READ_BY_SEARCH = (
    "_target_", "predict", "command", "untrained", "grace", "patience", "timeout", "epoch_timeout",
    "checkpoint_every", "max_log_mb", "stop_on", "score",
)  # fmt: skip
KEY = re.compile(r"^([A-Za-z_]\w*):", re.MULTILINE)
LINKED = re.compile(r"\$\{(\w+)")  # the first part of a link's path


def check_keys(config: DictConfig) -> None:
    """Every key of a config is one that somebody reads; a trainer of the user's own reads any."""
    for group in READ:
        if isinstance(config.get(group), DictConfig):
            _check(config, group, known=_group_keys(group))
    for group in KINDS:
        if isinstance(config.get(group), DictConfig):
            _check_kind(config, group)
    for group in BLOCKS:
        if isinstance(config.get(group), DictConfig):
            paths = (path for path in TABLE if path.startswith(f"{group}."))
            _check(config, group, known=frozenset(path.partition(".")[2] for path in paths))
    if not is_stock(config):
        return
    _check(config, "trainer", known=_keys("trainer/stock.yaml") | frozenset(TRAINER))
    linked = LINKED.findall(str(OmegaConf.to_container(config, resolve=False)))
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    known = _keys("search.yaml") | frozenset((*groups, *ROOT))
    unread = [key for key in map(str, config) if key not in (*known, *linked)]
    if unread:
        raise _unread(config, unread[0], known=known)


def unusual_keys(config: DictConfig) -> list[str]:
    """The keys that a trainer of the user's own should read: knobs, new keys and changed values."""
    if is_stock(config):
        return []
    keys = [path for path in _knobs(config.get("space"), "") if path.partition(".")[0] in GIVEN]
    for group in GIVEN:
        shipped = _shipped(config, group)
        keys += [
            f"{group}.{key}"
            for key, value in _plain(config, group).items()
            if key != "_target_"
            and not (group == "trainer" and key in READ_BY_SEARCH)
            and (key not in shipped or shipped[key] != value)
        ]
    known = {*_keys("search.yaml"), *GIVEN, *READ, *ROOT, *hidden_keys(config), "data", "seed"}
    keys += [str(key) for key in config if key not in known]
    if "command" in config.trainer:  # other trainers are seeded, whatever they read
        keys.append("seed")
    return list(dict.fromkeys(keys))


def own_rate(config: DictConfig) -> str:
    """The one key of those that a trainer of the user's own should read which is called a learning
    rate, such as `args.lr`; empty where none is, or several are.
    """
    own = tuple(f"{key}." for key in unusual_keys(config))
    leaves = flat_config(config) if own else {}
    called = [key for key in leaves if is_rate(key) and f"{key}.".startswith(own)]
    return called[0] if len(called) == 1 else ""


def changed_settings(config: DictConfig) -> dict[str, Any]:
    """The shipped values, by path, of plain settings of the stock trainer's parts that have others.

    A key that others are linked to acts by them, and is left out.
    """
    if not is_stock(config):
        return {}
    links = str(OmegaConf.to_container(config, resolve=False))
    changed: dict[str, Any] = {}
    for group in BUILT:
        shipped, own = _shipped(config, group), _plain(config, group)
        if shipped.get("_target_") != own.get("_target_"):
            continue
        for key, value in own.items():
            before = shipped.get(key, value)
            is_linked = f"${{{group}.{key}}}" in links
            if before != value and _is_plain(before) and _is_plain(value) and not is_linked:
                changed[f"{group}.{key}"] = before
    return changed


def _is_plain(value: Any) -> bool:
    """A number or a text, not a link or a list."""
    return value is None or (isinstance(value, int | float | str) and "${" not in str(value))


def _shipped(config: DictConfig, group: str) -> dict[str, Any]:
    """The chosen file of a group; empty where it is not one that is shipped."""
    option = CONF / group / f"{(config.get('chosen') or {}).get(group)}.yaml"
    return (read_shipped(option) or {}) if option.is_file() else {}


def _plain(config: DictConfig, group: str) -> dict[str, Any]:
    """A group as it stands, links as written."""
    node = config.get(group)
    return plain_config(node, resolve=False) if isinstance(node, DictConfig) else {}


def _knobs(node: Any, prefix: str) -> Iterator[str]:
    """Paths of the knobs of a space."""
    if not isinstance(node, DictConfig) or "low" in node or "choices" in node:
        if node is not None:
            yield prefix
        return
    for key in node:
        yield from _knobs(node.get(key), f"{prefix}.{key!s}".lstrip("."))


def _check(config: DictConfig, group: str, *, known: frozenset[str]) -> None:
    for key in map(str, config[group]):
        if key not in known:
            raise _unread(config, f"{group}.{key}", known=frozenset(f"{group}.{k}" for k in known))


def _check_kind(config: DictConfig, group: str) -> None:
    """A key of another kind has no effect: that split.folds are set does not make it kfold."""
    kind = config[group].get("kind")
    option = f"{group}/{kind}.yaml"
    if not (CONF / option).is_file():
        return
    idle = next((key for key in map(str, config[group]) if key not in _keys(option)), None)
    if idle is not None:
        readers = options_with(group, idle)
        rule = f"a key of {' or '.join(f'{group}={reader}' for reader in readers)}"
        remedy = f"say {group}={readers[0]}, or drop the key"
        raise refused(
            f"{group}.{idle}",
            code="key-of-another-kind",
            rule=rule,
            got=f"{group}.kind={kind}",
            remedy=remedy,
        )


def _unread(config: DictConfig, key: str, *, known: frozenset[str]) -> UsageError:
    """The error for a key that nobody reads, with the nearest known key, else the nearest name."""
    near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.75)
    if not near:
        leaves = {
            path.rpartition(".")[2]: path
            for path in flat_config(config)
            if path != key and path.partition(".")[0] not in ("space", "choices", "chosen")
        }
        names = difflib.get_close_matches(key.rpartition(".")[2], sorted(leaves), n=1, cutoff=0.75)
        near = [leaves[name] for name in names]
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(
        f"{key}: a setting must be one that something reads, but nothing reads this key; "
        f"{hint}drop it; there are: {', '.join(sorted(known))}",
        code="key-that-nothing-reads",
    )


def options_with(group: str, key: str) -> list[str]:
    """The shipped options of a config group that have a key, such as `own` for `data.rows`."""
    paths = sorted((CONF / group).glob("*.yaml"))
    return [path.stem for path in paths if key in _keys(f"{group}/{path.name}")]


def _group_keys(group: str) -> frozenset[str]:
    """The keys of all shipped options of a group."""
    return frozenset().union(
        *(_keys(str(path.relative_to(CONF))) for path in sorted((CONF / group).glob("*.yaml")))
    ) | frozenset(("average", "formula", "_target_") if group == "metric" else ())


@cache
def _keys(path: str) -> frozenset[str]:
    """The keys at the top of a shipped file."""
    return frozenset(KEY.findall((CONF / path).read_text(encoding="utf-8")))
