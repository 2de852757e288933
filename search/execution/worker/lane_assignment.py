"""How a worker's trials sit: one by one, or several as lanes of one program, and for how many more there is room.

Asks the conductor what holds for a key that is new, after it has been measured here. Never trains, never sees an epoch.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from search.execution.lanes import ALONE, Fusion, decide, pace_of
from search.execution.messages import Message
from search.execution.worker.trial_runner import StepResult, TrialRunner
from trainers.api import Config, Fusable, Key, Pace
from trainers.checkpoint import TrialCheckpoint

Company = Sequence[tuple[Config, int]]  # configs, and how many trials have each


@dataclass(kw_only=True, eq=False)
class Seated:
    """A trial under way here. `epochs`: those seen here; `told`: what its last step brought, `end` how it ended."""

    trial: int
    checkpoint: TrialCheckpoint
    epochs: int = 0
    told: StepResult | None = None
    end: Message | None = None

    @property
    def ended(self) -> bool:
        """Whether its trainer has nothing more to give."""
        return self.told is not None and self.told.message is None


class LaneAssignment:
    """`told`: `search.execution.lanes.Fusions.setup`. `ask` sends a message and waits for its answer."""

    def __init__(
        self, trainings: TrialRunner, *, told: Message, ask: Callable[[Message], Message]
    ) -> None:
        self._trainings, self._ask = trainings, ask
        self._most, self._slots = told["most"], int(told["slots"])
        self._known = {key: Fusion(**fusion) for key, fusion in told["known"].items()}
        self._paces = {key: pace_of(pace) for key, pace in told["paces"].items()}
        self._seated: dict[int, Fusion] = {}
        self._keys: dict[int, str] = {}  # of those that are seated
        self._fused: set[str] = set()
        self._crowded: set[str] = set()

    @property
    def shares(self) -> bool:
        """Whether trials may share a program here at all."""
        return bool(self._trainings.fusable) and self._most != 0

    @property
    def room(self) -> int:
        """Seats that are free."""
        if not self._seated:
            return 1
        if any(fusion.strategy != "vmap" for fusion in self._seated.values()):
            return 0
        return max(0, max(fusion.seats for fusion in self._seated.values()) - len(self._seated))

    def free(self, trial: int) -> None:
        """The trial has left."""
        self._seated.pop(trial, None)
        self._keys.pop(trial, None)

    def crowded(self, trial: int) -> bool:
        """Memory has run out at this trial: where all that sit here share its key, half as many may do so from now on."""
        key = self._keys.pop(trial, None)
        if key is None or (key not in self._crowded and set(self._keys.values()) != {key}):
            return False
        if key not in self._crowded:
            self._crowded.add(key)
            self._ask({"kind": "crowded", "key": key, "seats": (len(self._keys) + 2) // 2})
        return True

    def seat(self, trial: int, config: Config, *, candidates: Callable[[], Company]) -> str:
        """A trial sits down; its strategy. `candidates`: those that may train at the same time, all workers together."""
        fusion, key = self._fusion(config, candidates)
        self._seated[trial] = fusion
        if key is not None:
            self._keys[trial] = key
        return fusion.strategy if fusion.strategy == "vmap" else self._trainings.strategy

    def _fusion(
        self, config: Config, candidates: Callable[[], Company]
    ) -> tuple[Fusion, str | None]:
        """What holds for a config, and its key, where it has one."""
        fusable = self._trainings.fusable
        if not fusable or (self._most == 0 and not self._known):
            return ALONE, None
        keys = [seats.key(config) for seats in fusable]
        key = keys[0].name
        if self._most == 0 and key not in self._known:
            return ALONE, None
        if key not in self._known:
            company = -(
                -sum(trials for other, trials in candidates() if _same(fusable[0], other, key))
                // self._slots
            )
            pace = self._pace(keys[0], config) if company > 1 or self._most is not None else Pace()
            wanted = decide(pace, company=company, most=self._most)
            answer = self._ask(
                {"kind": "fusion", "key": key, "wanted": asdict(wanted), "pace": asdict(pace)}
            )
            self._known[key] = Fusion(**answer["fusion"])
        if self._known[key].strategy == "vmap" and key not in self._fused:
            self._fused.add(key)
            for seats, fused in zip(fusable, keys, strict=True):
                seats.fuse(fused.name)
        return self._known[key], key

    def _pace(self, key: Key, config: Config) -> Pace:
        if key.cause:
            return Pace(cause=key.cause)
        if key.name not in self._paces:
            self._paces[key.name] = self._trainings.fusable[0].measure(
                config, timed=self._most is None
            )
        return self._paces[key.name]


def _same(seats: Fusable, config: Config, key: str) -> bool:
    try:
        return seats.key(config).name == key
    except Exception:  # noqa: BLE001  # a user's classes may raise anything: that will be said when this one's turn comes
        return False
