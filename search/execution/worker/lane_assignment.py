"""How a worker's trials train: one by one, or several as lanes of one program, and how many more.

Measures a key that is new here, then asks the conductor for the decision. Never trains, never sees
an epoch.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from search.config.knobs import Value
from search.execution.lanes import ALONE, Fusion, LaneSetup, decide
from search.execution.messages import (
    Candidates,
    FusionDecided,
    FusionWanted,
    MemoryExceeded,
    Message,
)
from search.execution.worker.conductor_channel import expected
from search.execution.worker.seated import Seated
from search.execution.worker.trial_runner import TrialRunner
from trainers.api import Config, Key, Pace

ConfigOf = Callable[[Mapping[str, Value]], Config]  # of a trial with these knobs


class LaneAssignment:
    """Seats of one worker.

    `runner`: trains its trials. `setup`: of `search.execution.lanes.Fusions`. `ask`: sends a
    message and returns the answer.
    """

    def __init__(
        self, runner: TrialRunner, *, setup: LaneSetup, ask: Callable[[Message], Message]
    ) -> None:
        self.runner, self._ask = runner, ask
        self._most, self._slots = setup.most, setup.slots
        self._decisions, self._paces = dict(setup.decisions), dict(setup.paces)
        self._seated: dict[int, Fusion] = {}
        self._keys: dict[int, str] = {}  # of the trials that are seated
        self._known: dict[str, str] = {}  # keys of candidates, by their knobs
        self._fused: set[str] = set()
        self._crowded: set[str] = set()

    @property
    def shares(self) -> bool:
        """Whether trials may share a program here at all."""
        return bool(self.runner.fusable) and self._most != 0

    def room(self, *, leaving: Collection[int] = ()) -> int:
        """Seats that are free, once these trials have left."""
        staying = [fusion for trial, fusion in self._seated.items() if trial not in leaving]
        if not staying:
            return 1
        if any(fusion.strategy != "vmap" for fusion in staying):
            return 0
        return max(0, max(fusion.seats for fusion in staying) - len(staying))

    def soon(self, seated: Iterable[Seated]) -> int:
        """Seats that the next answer frees, whatever it says: their trials have ended well."""
        leaving = {each.trial for each in seated if each.ended_well}
        return self.room(leaving=leaving) - self.room() if self.runner.fresh else 0

    def free(self, trial: int) -> None:
        """The trial has left."""
        self._seated.pop(trial, None)
        self._keys.pop(trial, None)

    def crowded(self, trial: int) -> bool:
        """Memory ran out at this trial: halves the lanes of its key, if all seated trials share it.

        Returns:
            Whether the lanes are to blame: the trial then tries again among fewer.
        """
        key = self._keys.pop(trial, None)
        if key is None or (key not in self._crowded and set(self._keys.values()) != {key}):
            return False
        if key not in self._crowded:
            self._crowded.add(key)
            self._ask(MemoryExceeded(key=key, seats=(len(self._keys) + 2) // 2))
        return True

    def seat(
        self, trial: int, config: Config, *, candidates: Sequence[Candidates], config_of: ConfigOf
    ) -> str:
        """Seats a trial; returns its strategy.

        `candidates`: trials that may train at the same time, in all workers together.
        """
        with self.runner.rehearsing(config):
            fusion, key = self._fusion(config, candidates, config_of)
        self._seated[trial] = fusion
        if key is not None:
            self._keys[trial] = key
        return fusion.strategy if fusion.strategy == "vmap" else self.runner.strategy

    def _fusion(
        self, config: Config, candidates: Sequence[Candidates], config_of: ConfigOf
    ) -> tuple[Fusion, str | None]:
        """The decision for a config, and its key, where it has one."""
        fusable = self.runner.fusable
        if not fusable or (self._most == 0 and not self._decisions):
            return ALONE, None
        keys = [seats.key(config) for seats in fusable]
        key = keys[0].name
        if self._most == 0 and key not in self._decisions:
            return ALONE, None
        if key not in self._decisions:
            trials = sum(o.trials for o in candidates if self._key_of(o, config_of) == key)
            here = -(-trials // self._slots)  # in one worker
            several = here > 1 or self._most is not None
            pace = self._pace(keys[0], config, trials=here) if several else Pace()
            wanted = decide(pace, candidates=here, most=self._most)
            answer = self._ask(FusionWanted(key=key, wanted=wanted, pace=pace))
            self._decisions[key] = expected(answer, FusionDecided).fusion
        if self._decisions[key].strategy == "vmap" and key not in self._fused:
            self._fused.add(key)
            for seats, fused in zip(fusable, keys, strict=True):
                seats.fuse(fused.name)
        return self._decisions[key], key

    def _key_of(self, candidate: Candidates, config_of: ConfigOf) -> str:
        """Its key; empty where it cannot be built. Asked for each new key, and made once."""
        knobs = repr(candidate.knobs)
        if knobs not in self._known:
            try:
                self._known[knobs] = self.runner.fusable[0].key(config_of(candidate.knobs)).name
            except Exception:  # noqa: BLE001  # of a user's class: raised again when it is seated
                self._known[knobs] = ""
        return self._known[knobs]

    def _pace(self, key: Key, config: Config, *, trials: int) -> Pace:
        if key.cause:
            return Pace(cause=key.cause)
        if key.name not in self._paces:
            self._paces[key.name] = self.runner.fusable[0].measure(
                config, trials=trials if self._most is None else None
            )
        return self._paces[key.name]
