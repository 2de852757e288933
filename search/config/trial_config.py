"""A trial's config from the search's and its knobs: choices first, then numbers, then links (P7).

Never proposes a value, never composes.
"""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from search.config.knobs import Value
from search.errors import UsageError
from trainers.command_line import COMMAND
from trainers.settings import copied

STOCK = "trainers.stock.Stock"  # import path of the stock trainer
# Keys that are the search's own affair.
PRIVATE = (
    "space", "protocol", "placement", "keep", "results_root", "split", "normalise", "seeds", "name",
    "experiment", "chosen", "choices", "rehearse", "sampler", "pruner", "n_trials", "budget_hours",
    "budget_trials", "from", "lanes", "preflight", "lr_range", "callbacks", "report", "accept_code",
    "storage", "budget_gpu_seconds", "confirm",
)  # fmt: skip
ADDRESSES = ("storage", "callbacks")


class TrialConfigs:
    """What the trainer gets in each of many trials on one base."""

    def __init__(self, base: DictConfig) -> None:
        self._base = base
        self._choices: Mapping[str, Any] = trial_base(base).get("choices") or {}
        self._chosen: dict[tuple[tuple[str, Value], ...], _Chosen] = {}

    def resolve(self, *, knobs: Mapping[str, Value], seed: int) -> dict[str, Any]:
        """`trainer_config` of `trial_config`, plain and resolved."""
        options = {path: value for path, value in knobs.items() if path in self._choices}
        key = tuple(options.items())
        if key not in self._chosen:
            self._chosen[key] = _Chosen(trial_config(self._base, knobs=options, seed=seed))
        others = {
            target_of(path, self._choices): value
            for path, value in knobs.items()
            if path not in options
        }
        return self._chosen[key].resolve({**others, "seed": seed})


class _Chosen:
    """Configs of trials that choose the same options; only groups with a link are resolved anew."""

    def __init__(self, config: DictConfig) -> None:
        self._config = config
        self._raw = trainer_config(plain_config(config, resolve=False))
        self._plain = trainer_config(plain_config(config, resolve=True))
        self._linked = [key for key, node in self._raw.items() if "${" in str(node)]

    def resolve(self, changes: Mapping[str, Value]) -> dict[str, Any]:
        """What the trainer gets once these keys have these values."""
        plain: dict[str, Any] = copied(self._plain)
        for path, value in changes.items():
            parent, key = _parent(plain, path)
            parent[key] = value
        if self._linked:
            self._resolve_links(plain, changes)
        return plain

    def _resolve_links(self, plain: dict[str, Any], changes: Mapping[str, Value]) -> None:
        try:
            for path, value in changes.items():
                OmegaConf.update(self._config, path, value)
            for key in self._linked:
                node = self._config[key]
                is_plain = not OmegaConf.is_config(node)
                plain[key] = node if is_plain else OmegaConf.to_container(node, resolve=True)
        finally:
            for path in changes:
                parent, key = _parent(self._raw, path)
                if key in parent:
                    OmegaConf.update(self._config, path, parent[key])
                else:  # this option has no such key
                    del OmegaConf.select(self._config, path.rpartition(".")[0])[key]


def is_stock(config: DictConfig) -> bool:
    """Whether the stock trainer trains."""
    return str(OmegaConf.select(config, "trainer._target_")) == STOCK


def is_program(config: DictConfig) -> bool:
    """Whether a program trains, in a process of its own."""
    return str(config.trainer._target_) == COMMAND


def plain_config(config: DictConfig, *, resolve: bool) -> dict[str, Any]:
    """A config as plain dicts and lists; `resolve`: links replaced by what they lead to."""
    plain = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def resolved_config(config: DictConfig, *, where: str) -> dict[str, Any]:
    """A config as plain dicts and lists, with every link resolved.

    Raises:
        UsageError: a link leads nowhere, or in a circle.
    """
    try:
        return plain_config(config, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        remedy, are_own = "mend the link", OmegaConf.select(config, "data._target_") is None
        if "Environment variable" in str(error):
            remedy = "set it, as it was when the search began"
        elif str(error).startswith("Interpolation key 'data.") and are_own:
            remedy = "data=own has no such key, so say model=own"
        elif OmegaConf.select(config, "chosen.data") == "own":
            remedy = "data=own leaves the rows to your trainer; drop it beside data._target_"
        raise UsageError(
            f"{where}: {str(error).splitlines()[0]}; {remedy}", code="config-does-not-resolve"
        ) from error


def trial_config(base: DictConfig, *, knobs: Mapping[str, Value], seed: int) -> DictConfig:
    """The config of one trial: base, choices, knobs, then the seed; links stay links."""
    plain = trial_base(base)
    choices = plain.get("choices") or {}
    for group in choices:
        if group in knobs:
            plain[group], plain["chosen"][group] = choices[group][knobs[group]], knobs[group]
    config = OmegaConf.create(plain)
    for path, value in knobs.items():
        if path not in choices:
            OmegaConf.update(config, target_of(path, choices), value)
    config.seed = seed
    return config


def target_of(path: str, choices: Mapping[str, Any]) -> str:
    """Where a knob is set: `optimizer.adam.lr` at `optimizer.lr`, once that choice is taken."""
    group, _, rest = path.partition(".")
    choice, _, inner = rest.partition(".")
    return f"{group}.{inner}" if inner and choice in choices.get(group, ()) else path


def trainer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a trainer gets of a resolved config: not the search's own keys.

    Nor the data's keys, unless the trainer loads its data itself.
    """
    return {key: value for key, value in config.items() if key not in hidden_keys(config)}


def hidden_keys(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that no trainer sees."""
    return PRIVATE if config["data"].get("_target_") is None else (*PRIVATE, "data")


def trial_base(config: DictConfig) -> dict[str, Any]:
    """What a trial's config is made from, links as written.

    No trial needs the addresses of storage and callbacks: they may hold a password, or be links to
    variables that its node does not have.
    """
    plain = plain_config(config, resolve=False)
    return {key: value for key, value in plain.items() if key not in ADDRESSES}


def _parent(config: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The dict that holds a dotted path's last key, made where there is none, and that key."""
    *parents, key = path.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    return config, key
