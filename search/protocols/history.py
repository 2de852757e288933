"""What a search of many stages has done so far: its steps, and what follows from them.

Plain data and pure functions; which stage comes next is decided in `next_stage`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from omegaconf import DictConfig, OmegaConf

from search.config.incumbent import incumbent_config
from search.config.knob_parts import EPOCHS, RATE
from search.config.knob_roles import default_of, lacks
from search.config.knobs import Knob, Value, is_number
from search.config.trial_config import is_stock
from search.config.tune_settings import TuneSettings, own_ranges
from search.protocols.learned import nothing_learned
from search.protocols.step import Request, Step
from search.results.summary.verdicts import follows_epochs
from search.stages.sweep import may_be_limit
from search.storage.trials import TrialRecord

BATCH = "trainer.batch_size"
# What makes a rate's best value stale: it follows batch size, optimizer, size, length (P6).
MOVES_THE_RATE = (BATCH, "optimizer", "model.width", "model.depth", "model.norm", EPOCHS)

PENALTIES: Mapping[str, Value] = {
    "model.dropout": 0.0,
    "optimizer.weight_decay": 0.0,
    "loss.label_smoothing": 0.0,
    "trainer.l1": 0.0,
    "trainer.flood": None,
    "trainer.max_norm": None,
}  # what each is when it is off


@dataclass(frozen=True)
class History:
    """The steps of a search. `base`: the search's config. `seeds`: trainings per value."""

    settings: TuneSettings
    base: DictConfig
    seeds: int
    steps: tuple[Step, ...] = ()
    # By the incumbent's knobs: a config takes 20 ms to build, and most steps change no knob.
    _configs: dict[frozenset[tuple[str, Value]], DictConfig] = field(
        default_factory=dict, repr=False, compare=False
    )

    def with_step(self, step: Step) -> "History":
        """One step further."""
        return replace(self, steps=(*self.steps, step))

    def opened(self, request: Request) -> Step:
        """The step of a request before it is carried out, or in place of one that is skipped."""
        return Step(
            number=len(self.steps) + 1,
            request=request,
            decision="skipped" if request.skip and request.stage != "sweeps" else "done",
            says=request.skip,
            held=self.held,
            incumbent=self.incumbent,
            learned=self.learned,
            perfect=self.perfect,
        )

    @property
    def held(self) -> Mapping[str, Value]:
        """The incumbent's knobs, relative to the search's config."""
        return self.steps[-1].held if self.steps else {}

    @property
    def incumbent(self) -> tuple[TrialRecord, ...]:
        """The incumbent's trials."""
        return self.steps[-1].incumbent if self.steps else ()

    @property
    def baseline(self) -> tuple[TrialRecord, ...]:
        """The trials of the defaults, as the search began."""
        return next((step.incumbent for step in self.steps if step.request.stage == "baseline"), ())

    @property
    def spread(self) -> float:
        """The largest standard deviation between seeds of any stage; 0 if it is unknown."""
        return max((step.spread for step in self.steps), default=0.0)

    @property
    def config(self) -> DictConfig:
        """The incumbent's config."""
        knobs = frozenset(self.held.items())
        if knobs not in self._configs:
            self._configs[knobs] = incumbent_config(self.base, self.held)
        return self._configs[knobs]

    @property
    def rate(self) -> str:
        """The path of the learning rate."""
        return self.settings.rate

    @property
    def learned(self) -> bool:
        """Whether the incumbent beats a constant prediction beyond chance."""
        return self.steps[-1].learned if self.steps else True

    @property
    def why_nothing(self) -> str:
        """Why nothing more is turned where nothing was learned, and what to do: told once."""
        rate = self.swept(self.rate)
        unmoved = rate is not None and rate.inert and not rate.learned
        says = nothing_learned(self.verdict, unmoved=unmoved)
        told = next((step.name for step in self.steps if step.says == says), "")
        return f"nothing was learned: see {told}" if told else says

    @property
    def perfect(self) -> bool:
        """Whether every seed of the incumbent has the best score there is."""
        return bool(self.steps) and self.steps[-1].perfect

    @property
    def verdicts(self) -> tuple[tuple[str, int], ...]:
        """The verdicts on the incumbent's trials, each with how many have it."""
        return next((step.verdicts for step in reversed(self.steps) if step.verdicts), ())

    @property
    def verdict(self) -> str:
        """The commonest of them; empty without any."""
        return self.verdicts[0][0] if self.verdicts else ""

    @property
    def sides(self) -> tuple[str, ...]:
        """What is to be seen beside the verdicts, and across the last stage's trials."""
        return next((step.sides for step in reversed(self.steps) if step.verdicts), ())

    @property
    def out_of_patience(self) -> bool:
        """Whether patience ended most of the incumbent's trials."""
        return next((step.out_of_patience for step in reversed(self.steps) if step.verdicts), False)

    @property
    def ends_itself(self) -> bool:
        """Whether the incumbent's trainings end by themselves, whatever the number of epochs is."""
        return not follows_epochs(self.config, self.incumbent)

    @property
    def trials(self) -> int:
        """Trials trained so far."""
        return sum(step.trials for step in self.steps)

    @property
    def gpu_seconds(self) -> float:
        """GPU-seconds of training so far."""
        return sum(step.gpu_seconds for step in self.steps)

    @property
    def seconds(self) -> float:
        """Seconds in which trials trained so far."""
        return sum(step.seconds for step in self.steps)

    @property
    def clock(self) -> float:
        """How long the search has run so far [s]: checks, proposals and pauses included."""
        return max((step.clock for step in self.steps), default=0.0)

    @property
    def sweeps(self) -> list[Step]:
        """The sweeps that were carried out."""
        made = (step for step in self.steps if step.decision != "skipped")
        return [step for step in made if step.request.stage == "sweep"]

    @property
    def undecided(self) -> tuple[Mapping[str, Value], ...]:
        """What the sweeps at this incumbent found ahead of it and had too few seeds to adopt, all
        together in one configuration; none without any.
        """
        leads = [lead for step in self.sweeps if step.held == self.held for lead in step.leaders]
        together = {path: value for lead in leads for path, value in lead.items()}
        return (together,) if leads else ()

    @property
    def idle(self) -> int:
        """Knobs in a row, up to now, that brought nothing; neither a sweep of the list counts, nor
        one whose trainings were all the same: that nothing was turned tells of no other knob.
        """
        count = 0
        for step in reversed(self.sweeps):
            if step.decision == "adopt" or self._is_first(step):
                break
            count += not step.acts_nowhere
        return count

    def _is_first(self, step: Step) -> bool:
        """Whether a sweep is named in the protocol, and does not follow a verdict."""
        return self.settings.stages[step.request.entry].stage == "sweep"

    @property
    def rates(self) -> tuple[float, float] | None:
        """The range of the learning rate that was measured, if any."""
        return next((step.rates for step in reversed(self.steps) if step.rates), None)

    def swept(self, path: str) -> Step | None:
        """The last sweep of a knob."""
        return next((step for step in reversed(self.sweeps) if step.request.path == path), None)

    def is_stale(self, path: str) -> bool:
        """Whether a change since a knob's last sweep moves its best value (P6): any change, where
        that is a limit which no training reached.
        """
        last, part = self.swept(path), self.settings.part
        if last is not None and last.acts_nowhere and last.held != self.held:
            return may_be_limit(path, stock=is_stock(self.base))
        # A lower rate needs more epochs (R27).
        movers = {RATE: MOVES_THE_RATE, EPOCHS: (RATE,)}.get(part(path), ())
        return last is not None and any(
            step.decision == "adopt" and part(step.request.path) in movers
            for step in self.steps[last.number :]
        )

    def is_open(self, path: str) -> bool:
        """Whether a sweep of a knob could tell something that is not known yet."""
        return self.swept(path) is None or self.is_stale(path)

    @property
    def penalties_on(self) -> Mapping[str, Value]:
        """The penalties that are on in the incumbent, each with its value when it is off."""
        part = self.settings.part
        own = {  # in the knob's type: a script may index by a whole number, or ask `is True`
            knob.path: next((each for each in knob.choices if each == 0), knob.typed(0.0))
            for knob in self.settings.knobs
            if knob.path not in PENALTIES and PENALTIES.get(part(knob.path)) == 0
        }
        return {
            path: value
            for path, value in {**own, **PENALTIES}.items()
            if part(path) and OmegaConf.select(self.config, path) not in (None, 0, 0.0, value)
        }

    @property
    def penalties_off(self) -> Mapping[str, Value]:
        """Those of them that may be switched off, or, as a range that the user names is not left,
        be as weak as it allows.
        """
        own = own_ranges(self.base)
        ranges = {knob.path: knob for knob, *_ in self.settings.spaces.values() if knob.path in own}
        weakest = dict[str, Value]()
        for path, off in self.penalties_on.items():
            knob, value = ranges.get(path), OmegaConf.select(self.config, path)
            if knob is None or knob.holds(off):
                weakest[path] = off
            elif off == 0 and is_number(value) and 0 < knob.low < value:  # never of choices
                weakest[path] = knob.typed(knob.low)
        return weakest

    def value(self, knob: Knob) -> Value:
        """A knob's value in the incumbent."""
        return knob.typed(default_of(self.config, knob))

    def acts(self, knob: Knob) -> bool:
        """Whether the incumbent's set-up has the knob, and what the knob needs: Adam, for example,
        has no momentum, one layer no residual connections, and a trainer that ends by itself
        follows no number of epochs.
        """
        if lacks(self.config, knob) or (knob.path == EPOCHS and self.ends_itself):
            return False
        missing = object()
        default = default_of(self.config, knob, missing)
        return default is not missing and (bool(knob.choices) or is_number(default))
