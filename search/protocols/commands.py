"""The command that repeats one stage of a search by itself, in a folder of its own."""

import shlex
from collections.abc import Sequence

from search.config.overrides import value_word
from search.config.passwords import redacted
from search.config.plan import Plan, name_after
from search.config.sweep_settings import SweepSettings
from search.config.words import EXPERIMENT, group_of, key_of, with_experiment

# Keys of a protocol's command that a stage by itself does not need, or sets itself.
OWN = (
    "protocol",
    "space",
    "name",
    "budget_trials",
    "budget_hours",
    "budget_gpu_seconds",
    "preflight",
    "from",
)
LINK = {0.5: "sqrt", 1.0: "linear"}


def stage_words(words: Sequence[str]) -> list[str]:
    """The words of a protocol's command that its stages share: the experiment, then the set-up."""
    experiment, overrides = with_experiment(words)
    kept = [word for word in overrides if group_of(word) not in OWN]
    return [experiment or EXPERIMENT, *map(redacted, kept)]


def sweep_command(plan: Plan, knob: str, *, words: Sequence[str]) -> str:
    """A sweep at the incumbent that it began with.

    Args:
        plan: of the stage.
        knob: the name of its space.
        words: as `stage_words` gives them.
    """
    settings, about = plan.settings, plan.knob
    if not isinstance(settings, SweepSettings):
        raise TypeError(f"{plan.name}: not a sweep")
    held = [f"{path}={value_word(value)}" for path, value in plan.held.items()]
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
    rounds.append(f"protocol.most_seeds={settings.most_seeds}")
    rounds += ["protocol.halving=true"] if settings.halving else []
    search, _, stage = plan.name.rpartition("/")
    name = name_after(search, stage)
    experiment, *set_up = words
    set_up = [word for word in set_up if key_of(word) not in plan.held]
    parts = [f"name={name}", "protocol=sweep", f"space={knob}", *set_up, *held, *bounds]
    parts += [*rounds, *follows]
    return f"python -m search {experiment} {' '.join(map(shlex.quote, parts))}"
