"""From YAML files and overrides to one config: Hydra composes, once. Never reads results."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict

from search.config.catalogue import CONF, experiments, roots, search_as_word
from search.config.check_keys import check_keys
from search.config.config_file import check_complete, first_part
from search.config.group_options import add_choices, composed
from search.config.misspelt import check_words, refusal
from search.config.overrides import Overrides, value_word
from search.config.schema import check_groups, check_settings
from search.config.trial_config import resolved_config
from search.config.words import key_of
from search.contract.tasks import ERRORS, METRICS
from search.errors import SearchError, UsageError, refused, unknown

MEANING = ("metric.name", "metric.formula")  # keys without which a direction means nothing


def compose_experiment(
    experiment: str | None,
    *,
    overrides: list[str],
    config_dir: Path | None,
    spaces: Callable[[DictConfig], Mapping[str, Any]] | None = None,
) -> DictConfig:
    """The config of an experiment with the command line's overrides: unresolved, read-only.

    Args:
        experiment: a file of `conf/experiment/`; None for the defaults.
        spaces: from the config, nested spaces by name in place of its own: those of a protocol.

    Raises:
        UsageError: Hydra could not compose it: a misspelt key, an unknown option, a syntax error.
    """
    known = experiments(config_dir)
    if experiment is not None and experiment not in known:
        text = unknown("experiment", name=experiment, known=known)
        error = UsageError(text, code="unknown-experiment")
        raise search_as_word(experiment, words=overrides) or error
    where = experiment or "config"
    given = Overrides.read(overrides)
    check_words(given.hydra)
    user = [f"file://{folder}" for folder in roots(config_dir) if folder != CONF]
    words = [f"hydra.searchpath={value_word(user)}"] if user else []
    words += [*([f"experiment={experiment}"] if experiment is not None else []), *given.hydra]
    try:
        with _our_hydra():
            config = composed(words)
            check_groups(OmegaConf.to_container(config, resolve=False))
            _keep_chosen_metric(config, words)
            _check_direction(config, words)
            _keep_chosen_space(config, words)
            given.apply(config)
            own = [config.get("space") or {}]
            add_choices(config, own, words, config_dir=config_dir)
            _complete(config, where)
            if spaces is not None:
                with open_dict(config):
                    config.space = spaces(config)
                add_choices(config, config.space.values(), words, config_dir=config_dir)
                _complete(config, where)
    except SearchError:
        raise
    except Exception as error:  # Hydra raises ValueError, TypeError, AttributeError as well
        reason = refusal(error, words, where=where, compose=compose_words, config_dir=config_dir)
        if reason is not None:
            raise reason from None  # Hydra's words tell Python's users nothing more
        text = f"{where}: {first_part(error)}"
        raise UsageError(text, code="config-cannot-be-composed") from error
    OmegaConf.set_readonly(config, True)
    return config


def _keep_chosen_metric(config: DictConfig, words: list[str]) -> None:
    """A metric that a word chooses keeps its own name and direction, where a recipe names another
    one, such as that of a trainer's example.
    """
    keys = list(map(key_of, words))
    if "metric" not in keys or (option := config.chosen.metric) not in METRICS:
        return
    own = {"name": option, "direction": "minimize" if option in ERRORS else "maximize"}
    for key, value in own.items():
        if f"metric.{key}" not in keys:
            config.metric[key] = value


def _keep_chosen_space(config: DictConfig, words: list[str]) -> None:
    """What a recipe says of a knob of its own space, as `points`, is dropped where the space that a
    word chooses has no such knob, or gives it by a text, which Hydra has replaced.
    """
    if "space" not in map(key_of, words) or "space" not in config:  # as with space=[]
        return
    left = list(_without_domain(config.space))
    if not left:
        return
    chosen = composed([word for word in words if key_of(word) in ("space", "hydra.searchpath")])
    with open_dict(config):
        for path in left:
            above, _, name = f"space.{path}".rpartition(".")
            del OmegaConf.select(config, above)[name]
            if (node := OmegaConf.select(chosen, f"space.{path}")) is not None:
                OmegaConf.update(config, f"space.{path}", node, force_add=True)


def _without_domain(space: DictConfig, prefix: str = "") -> Iterator[str]:
    """The paths of nodes with details of a knob, and no domain."""
    for key, node in space.items():
        if not isinstance(node, DictConfig) or "choices" in node or {"low", "high"} <= node.keys():
            continue
        if {"low", "points"} & node.keys():
            yield f"{prefix}{key!s}"
        else:
            yield from _without_domain(node, f"{prefix}{key!s}.")


def _complete(config: DictConfig, where: str) -> None:
    """Names a config, and checks that it has all keys, with values that can be."""
    with open_dict(config):
        if OmegaConf.is_interpolation(config, "name"):
            resolved_config(config, where=where)  # a link that leads nowhere is told as such
        if config.get("name", "") is None:
            config.name = where
    resolved = resolved_config(config, where=where)
    check_complete(config, where)
    _check_budget(config)
    check_settings(resolved)
    check_keys(config)


@contextmanager
def _our_hydra() -> Iterator[None]:
    """Hydra for our configs; that of a user's app, which calls `search.run`, comes back."""
    hydra = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = hydra


def _check_budget(config: DictConfig) -> None:
    """`budget_trials` bounds a protocol; a search of another kind would not look at it."""
    kind, budget = config.protocol.get("kind"), config.get("budget_trials")
    if budget is not None and kind != "tune":
        settled = "leave it out: the values and seeds= settle how many there are"
        raise refused(
            "budget_trials",
            code="budget-trials-without-protocol",
            rule="bounds the trials of a whole protocol, such as tune",
            got=f"a search of kind {kind}",
            remedy=f"say n_trials={budget}" if kind == "joint" else settled,
        )


def _check_direction(config: DictConfig, words: list[str]) -> None:
    """A direction belongs to a name: one that was set for another metric is never kept, and a name
    that is known has its own.

    Raises:
        UsageError: `metric.name` was given without `metric.direction`, or with the wrong one.
    """
    metric, keys = config.metric, list(map(key_of, words))
    name, formula = metric.get("name"), metric.get("formula")
    if "metric.direction" in keys:
        # of neg_log_loss more is better, of negative_log_likelihood_loss less: either may be said
        is_loss = str(name).endswith("loss") and not str(name).startswith("neg")
        is_error = name in ERRORS or is_loss
        own, wrong = ("minimize", "maximize") if is_error else ("maximize", "minimize")
        if (is_error or name in METRICS) and not formula and metric.direction == wrong:
            raise refused(
                "metric.direction",
                code="direction-against-metric",
                rule=f"{name} is better where it is {'lower' if is_error else 'higher'}",
                got=wrong,
                remedy=f"say metric.direction={own}, or give another number a name of its own",
            )
    elif not OmegaConf.is_missing(metric, "direction") and _is_of_another(config, words):
        raise refused(
            "metric.direction",
            code="direction-of-another-metric",
            rule=f"belongs to metric.name, and none is set for {name}",
            got=f"{metric.direction}, which is of another metric",
            remedy=f"say metric={name}"
            if name in METRICS
            else "say metric.direction=minimize or metric.direction=maximize",
        )


def _is_of_another(config: DictConfig, words: list[str]) -> bool:
    """Whether a direction that no word gives was set for another metric than the one named."""
    metric, option = config.metric, config.chosen.get("metric")
    if option in METRICS and metric.get("name") in METRICS:
        return bool(metric.name != option)
    if config.chosen.get("trainer") == "stock" and not metric.get("formula"):
        return False  # a name that does not exist is refused as such
    before = [word for word in words if key_of(word) not in MEANING]
    if len(before) == len(words):
        return False
    preset = composed(before).metric
    return any(preset.get(key) != metric.get(key) for key in ("name", "formula"))


def compose_words(words: list[str]) -> DictConfig:
    """The config of these words, by Hydra begun anew; of none, `conf/search.yaml` alone."""
    with _our_hydra():
        return composed(words)
