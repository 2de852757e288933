"""The command that repeats one stage of a search by itself, in a folder of its own."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from search.config.compose import GROUPS, compose_defaults, compose_experiment
from search.config.drift import flat_config
from search.config.plan import Plan
from search.config.sweep_settings import SweepSettings

# Keys that a stage by itself does not need, or sets itself.
OWN = ("space", "protocol", "sampler", "pruner", "preflight", "choices", "chosen", "name", "from")
LINK = {0.5: "sqrt", 1.0: "linear"}


def words_of(config: DictConfig, *, config_dir: Path | None) -> list[str]:
    """The overrides that make a config from the defaults: options of groups, then single keys."""
    defaults = compose_defaults()
    options = [
        f"{group}={config.chosen[group]}"
        for group in GROUPS
        if config.chosen.get(group) != defaults.chosen.get(group)
    ]
    plain = flat_config(compose_experiment(None, overrides=options, config_dir=config_dir))
    keys = [
        f"{'' if path in plain else '+'}{path}={'null' if value is None else value}"
        for path, value in flat_config(config).items()
        if plain.get(path, object) != value
        and path.partition(".")[0] not in OWN
        and not path.startswith("budget_")
    ]
    return [*options, *keys]


def sweep_command(plan: Plan, knob: str, *, words: Sequence[str]) -> str:
    """A sweep at the incumbent that it began with. `plan`: of the stage; `words`: as `words_of`."""
    settings, about = plan.settings, plan.knob
    if not isinstance(settings, SweepSettings):
        raise TypeError(f"{plan.name}: not a sweep")
    held = [f"{path}={'null' if value is None else value}" for path, value in plan.held.items()]
    bounds = [
        f"space.{about.path}.{key}={value:g}"
        for key, value in (("low", about.low), ("high", about.high), ("points", about.points))
        if not about.choices
    ]
    follows = (
        [
            f"protocol.follower={settings.follower.path}",
            f"protocol.link={LINK[settings.follower.power]}",
        ]
        if settings.follower
        else []
    )
    rounds = [f"protocol.extend={settings.extend}", f"protocol.refine={settings.refine}"]
    name = plan.name.replace("/", "-")
    parts = [f"name={name}", f"space={knob}", *words, *held, *bounds, *rounds, *follows]
    return f"python -m search lr_sweep {' '.join(map(shlex.quote, parts))}"
