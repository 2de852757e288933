"""In which keys two configs of one search differ, and in which of them they may."""

import copy
import shlex
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from search.config.overrides import baseline_of, value_word
from search.config.schema import NEEDED_BY_KIND
from search.config.shipped_defaults import is_shipped_default
from search.config.trial_config import is_stock, plain_config
from trainers.settings import flat

# Keys that may change from start to start: those that begin so, and these.
FREE = ("placement.", "preflight.", "lr_range.", "callbacks", "confirm.", "figures.")
FREE_KEYS = (
    "lanes", "results_root", "rehearse", "report", "accept_code", "storage.patience",
    "chosen.placement", "chosen.preflight", "chosen.callbacks",
)  # fmt: skip
# Keys of `protocol` without which a search goes on that was begun before them.
LATER = ("own_ranges", "parts", "trials_per_knob")
OF_THE_SEARCH = ("name", "chosen.", "choices.", "from")  # no words of a resumption
MOST_WORDS = 3
RENAMED = " (a folder that was renamed goes on once it is named {name} again)"


def as_begun(config: DictConfig, former: DictConfig) -> DictConfig:
    """The config as the search in its folder was begun: without keys that are newer, and with the
    parts of its knobs as its version read them by their names; what a user says of a part is a key
    of the knob.
    """
    later = [key for key in LATER if key in config.protocol and key not in former.protocol]
    has_other_parts = former.protocol.get("parts") not in (None, config.protocol.get("parts"))
    if not later and not has_other_parts:
        return config
    own = copy.deepcopy(config)
    OmegaConf.set_readonly(own, False)
    with open_dict(own):
        for key in later:
            del own.protocol[key]
        if has_other_parts:
            own.protocol.parts = former.protocol.parts
    OmegaConf.set_readonly(own, True)
    return own


def flat_config(config: DictConfig) -> dict[str, Any]:
    """Every leaf of a config by its dotted path, links as written."""
    return flat(plain_config(config, resolve=False))


def drift(old: DictConfig, new: DictConfig, *, grown: bool = False) -> list[str]:
    """A line per key in which a resumed search may not differ from its first start.

    `grown`: the keys instead by which the search has been extended, and which must be written down.
    """
    before, now = flat_config(old), flat_config(new)
    lines = [_line(key, before, now) for key in _drifting(before, now, new, grown=grown)]
    return list(dict.fromkeys(lines))


def _line(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How a key differs; of a knob that is turned no longer, once for all of its keys."""
    knob = key.rpartition(".")[0]
    if key.startswith("space.") and not any(each.startswith(f"{knob}.") for each in now):
        return f"{knob}: turned there, not now"
    text = f"{key}: {before.get(key, 'missing')} there, {now.get(key, 'missing')} now"
    return text + RENAMED.format(name=before.get(key)) * (key == "name")


def words_back(old: DictConfig, new: DictConfig) -> str:
    """The words with which a command has the config of the first start, as a shell takes them;
    empty where words do not say it, or are many.
    """
    before, now = flat_config(old), flat_config(new)
    keys = _drifting(before, now, new, grown=False)
    said = [key for key in keys if key in {*before} & {*now} and not key.startswith(OF_THE_SEARCH)]
    if not 0 < len(keys) == len(said) <= MOST_WORDS:
        return ""
    return " ".join(shlex.quote(f"{key}={value_word(before[key])}") for key in said)


def _drifting(
    before: Mapping[str, Any], now: Mapping[str, Any], new: DictConfig, *, grown: bool
) -> list[str]:
    """The keys that `drift` tells of."""
    return [
        key
        for key in sorted({*before, *now})
        if not _may_differ(key, before, now, new) and _is_extended(key, before, now) == grown
    ]


def _may_differ(
    key: str, before: Mapping[str, Any], now: Mapping[str, Any], new: DictConfig
) -> bool:
    """Whether a key is the same, or what it says changes nothing that the search has done."""
    was, value = before.get(key), now.get(key)
    if was == value or (was != was and value != value):  # or both are NaN
        return True
    if key.startswith(FREE) or key in FREE_KEYS:
        return True
    is_sampled = "sampler.kind" in NEEDED_BY_KIND.get(str(now.get("protocol.kind")), ())
    if key.removeprefix("chosen.").startswith(("sampler", "pruner")) and not is_sampled:
        return True  # nobody proposes or prunes there
    if key not in before:  # the search was begun before there was such a key
        return is_shipped_default(key, value)
    return _became_a_link(key, was, value, new) or _came_from_domain(key, was, value, new)


def _is_extended(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a search may go on with another value of a key, which is written down."""
    more_seeds = key == "seeds" and now.get(key, 0) > before.get(key, 0)
    return key.startswith("budget_") or key == "n_trials" or more_seeds


def _became_a_link(key: str, before: object, now: object, new: DictConfig) -> bool:
    """Whether a shipped file links a key today, and the link leads to the value from before."""
    is_link = isinstance(now, str) and "${" in now and is_shipped_default(key, now)
    return is_link and bool(OmegaConf.select(new, key) == before)


def _came_from_domain(key: str, before: object, now: object, new: DictConfig) -> bool:
    """Whether a knob of the user's own trainer has the middle of its range as its baseline today,
    where a shipped value outside of it was taken before.
    """
    node = OmegaConf.select(new, f"space.{key}")
    is_shipped = node is not None and is_shipped_default(key, before)
    return is_shipped and not is_stock(new) and now == baseline_of(key, node)
