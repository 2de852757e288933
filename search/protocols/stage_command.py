"""The command that repeats one stage of a search by itself, in a folder of its own."""

import shlex
from collections.abc import Sequence

from search.config.compose_protocol import recipe_of
from search.config.overrides import value_word
from search.config.passwords import redacted
from search.config.plan import Plan, name_after
from search.config.sweep_settings import SweepSettings
from search.config.sweep_words import KNOB
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
ROUNDS = ("extend", "refine", "most_seeds")  # keys of a sweep's protocol
LINK = {0.5: "sqrt", 1.0: "linear"}


def stage_words(words: Sequence[str]) -> list[str]:
    """The words of a protocol's command that its stages share: the experiment, then the set-up, and
    the domains of knobs of the command's own.
    """
    experiment, overrides = with_experiment(words)
    if experiment is None and "from" not in map(key_of, overrides):
        experiment, overrides = recipe_of(overrides)
    kept = [word for word in overrides if group_of(word) not in OWN]
    return [experiment or EXPERIMENT, *map(redacted, kept)]


def sweep_command(plan: Plan, knob: str, *, words: Sequence[str]) -> str:
    """A sweep at the incumbent that it began with.

    Args:
        plan: of the stage.
        knob: the name of its space, of `conf/space/` unless a word gives its domain.
        words: as `stage_words` gives them.
    """
    settings, about = plan.settings, plan.knob
    if not isinstance(settings, SweepSettings):
        raise TypeError(f"{plan.name}: not a sweep")
    held = [f"{path}={value_word(value)}" for path, value in plan.held.items()]
    domain = f"{KNOB}{about.path}"
    is_own = domain in map(key_of, words)  # which no file of conf/space/ holds as it is here
    bounds = [
        f"space.{about.path}.{key}={value:.12g}"
        for key, value in (("low", about.low), ("high", about.high), ("points", about.points))
        if not about.choices
    ]
    follows, follower = list[str](), settings.follower
    if follower is not None:
        follows = [f"protocol.follower={follower.path}", f"protocol.link={LINK[follower.power]}"]
    rounds = [f"protocol.{key}={getattr(settings, key)}" for key in ROUNDS]
    rounds += ["protocol.halving=true"] if settings.halving else []
    search, _, stage = plan.name.rpartition("/")
    name = name_after(search, stage)
    experiment, *set_up = words
    set_up = [
        word
        for word in set_up
        if key_of(word) not in plan.held and (key_of(word) == domain or group_of(word) != "knob")
    ]
    parts = [f"name={name}", "protocol=sweep", *([] if is_own else [f"space={knob}"])]
    parts += [*set_up, *held, *bounds, *rounds, *follows]
    return f"python -m search {experiment} {' '.join(map(shlex.quote, parts))}"
