"""The key that moves with a sweep's knob: a declared exception to one knob at a time (R28)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from search.config.grids import rounded
from search.config.knob_parts import EPOCHS
from search.config.knobs import Knob, Value, is_number, is_rate
from search.config.ranges import shipped_limits
from search.config.trial_config import hidden_keys
from search.errors import UsageError, refused

LINKS = {"none": 0.0, "linear": 1.0, "sqrt": 0.5}  # powers by which a follower moves with its knob


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A key and how it moves with the knob.

    `start`: its value where the knob has its baseline. `power`: where the knob is r times its
    baseline, the key is `start` times r to this power. `whole`: whether it is a whole number.
    `least`, `most`: hard limits.
    """

    path: str
    start: float
    power: float
    whole: bool
    least: float = -math.inf
    most: float = math.inf

    def at(self, ratio: float) -> Value:
        """The value where the knob is `ratio` times its baseline; a whole number stays whole."""
        number = rounded(self.start * ratio**self.power, step=0.0, whole=self.whole)
        inside = min(max(number, self.least), self.most)
        return round(inside) if self.whole else inside


def read_follower(config: DictConfig, knobs: Sequence[Knob]) -> Follower | None:
    """What moves with the sweep's knob; None where nothing does.

    Epochs move against a learning rate: a lower rate needs more of them (R27).

    Raises:
        UsageError: something that is no number above 0.
    """
    path, link = config.protocol.get("follower"), config.protocol.get("link", "none")
    if not path:
        return None
    path, missing = str(path), object()
    if OmegaConf.select(config, path, default=missing) is missing:
        raise _refused("are keys of the config", path, code="follower-not-a-key")
    if not LINKS[link]:
        return None
    (knob,) = (knob for knob in knobs if not knob.nuisance)
    start = OmegaConf.select(config, path)
    sizes = OmegaConf.select(config, knob.path), *knob.choices
    for name, value in ((path, start), *((knob.path, size) for size in sizes)):
        if not is_number(value) or not 0 < value < math.inf:
            raise _refused("are numbers above 0", f"{name}={value!r}", code="follower-not-positive")
    if path in [knob.path for knob in knobs]:
        raise _refused("are two keys", f"{path}, which is a knob itself", code="follower-is-a-knob")
    if path.partition(".")[0] in hidden_keys(config):
        raise _refused(
            "have an effect on the training",
            f"{path}, which no trainer sees",
            code="follower-has-no-effect",
        )
    is_whole = isinstance(start, int)
    shipped_least, shipped_most = shipped_limits().get(path, (None, None))
    floor = 1.0 if is_whole else -math.inf
    against = path == EPOCHS and is_rate(knob.path)
    return Follower(
        path=path,
        start=start,
        power=-LINKS[link] if against else LINKS[link],
        whole=is_whole,
        least=min(start, floor if shipped_least is None else shipped_least),
        most=max(start, math.inf if shipped_most is None else shipped_most),
    )


def _refused(rule: str, got: str, *, code: str) -> UsageError:
    rule = f"the follower and the knob that it follows {rule}"
    remedy = "say protocol.follower=null"
    return refused("protocol.follower", code=code, rule=rule, got=got, remedy=remedy)
