"""The incumbent of a search of many stages: the knobs by which it differs from the search's config.

Plain functions of knobs and configs; never decides who is the incumbent. `base` is the search's
config; where every trial asks, it is plain, links as written: `trial_config.trial_base` of it.
"""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.knobs import Value
from search.config.trial_config import target_of, trial_config


def merged(
    held: Mapping[str, Value], knobs: Mapping[str, Value], *, base: Mapping[str, Any]
) -> dict[str, Value]:
    """The knobs of a trial relative to the search's config: the incumbent's, then the trial's own.

    If the trial takes another option of a config group than the incumbent, the incumbent's knobs
    of that group are left behind: another optimizer may not have them. Each knob stands at the
    path where it is set, so that `optimizer.adam.lr` and `optimizer.lr` cannot both be there.
    """
    choices = base.get("choices") or {}
    left = {
        group
        for group in choices
        if group in knobs and knobs[group] != held.get(group, base["chosen"][group])
    }
    kept = {path: value for path, value in held.items() if path.partition(".")[0] not in left}
    own = {path if path in choices else target_of(path, choices): knobs[path] for path in knobs}
    return {**kept, **own}


def incumbent_config(base: DictConfig, held: Mapping[str, Value]) -> DictConfig:
    """The search's config with the incumbent's knobs, also where a space names the option used."""
    config = trial_config(base, knobs=held, seed=base.seed)
    for group, options in (config.get("choices") or {}).items():
        options[config.chosen[group]] = config[group]
    OmegaConf.set_readonly(config, True)
    return config


def canonical(knobs: Mapping[str, Value], *, base: Mapping[str, Any]) -> dict[str, Value]:
    """Knobs without those that say what the search's config says anyway.

    Two trials with equal canonical knobs and one seed are the same training. A knob at a link is
    kept: what the link leads to may be another knob.
    """
    choices, chosen = base.get("choices") or {}, base.get("chosen") or {}
    changed = {group for group in choices if knobs.get(group, chosen[group]) != chosen[group]}

    def is_default(path: str, value: Value) -> bool:
        if path in choices:
            return path not in changed
        group, *inner = path.split(".")
        default: Any = choices[group][knobs[group]] if group in changed else base[group]
        for key in inner:
            default = default.get(key) if isinstance(default, Mapping) else None
        return bool(default == value) and isinstance(default, bool) == isinstance(value, bool)

    return {path: knobs[path] for path in sorted(knobs) if not is_default(path, knobs[path])}
