"""A stage that comes next, and a stage that has ended: plain data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from search.config.knob_parts import EPOCHS
from search.config.knobs import Knob, Value
from search.storage.trials import TrialRecord


@dataclass(frozen=True, kw_only=True)
class Considered:
    """A knob that might have come next.

    `verdict`: that names it; empty where the protocol or the command does. `turn`, `rule`: how the
    table of remedies turns it, and by which rule. `passed`: why it was passed over; empty where it
    is turned.
    """

    knob: str
    rule: str
    verdict: str = ""
    turn: str = ""
    passed: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A stage that comes next, and why.

    `entry`: its place in the protocol's list. `knobs`: what it turns; of a sweep the first is what
    it is about. `knob`: their name. `trials`: at most, of a joint stage. `extend`, `most_seeds`: as
    a sweep's.
    `configurations`: of a confirmation, the baseline first, relative to the search's config.
    `considered`: the knobs that it was chosen from, in order, up to what it turns. `needs`: trials
    that it takes at least, and `left` those that it may have; without enough it is skipped.
    `skip`: why the stage is not carried out; empty where it is.
    """

    entry: int
    stage: str
    because: str
    rules: tuple[str, ...] = ()
    knob: str = ""
    knobs: tuple[Knob, ...] = ()
    trials: int = 0
    extend: int = 0
    most_seeds: int = 1
    configurations: tuple[Mapping[str, Value], ...] = ()
    considered: tuple[Considered, ...] = ()
    needs: float = 0
    left: float = math.inf
    skip: str = ""

    @property
    def path(self) -> str:
        """The path of the knob that the stage is about; empty where it is about none, or many."""
        if self.stage == "longer":
            return EPOCHS
        return self.knobs[0].path if self.stage == "sweep" and self.knobs else ""

    def name(self, number: int) -> str:
        """As the stage of this number: `04-sweep.dropout`."""
        knob = f".{self.knob}" if self.knob else ""
        return f"{number:02d}-{self.stage}{knob}"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage that has ended, and what it left.

    `decision`: adopt, keep, none (nothing is usable), done, or skipped. `says`: the evidence, in
    words. `trials`: trained for it; `seconds`: in which they trained, `gpu_seconds`: of GPUs.
    `pace`: seconds that an epoch took at its end; `clock`: how long the search had run by then [s].
    `held`: the incumbent's knobs after it, `incumbent` its trials, with all their knobs.
    `verdicts`: on these, each with its number of trials, the commonest first; `sides`: what is seen
    beside them and across trials.
    `effect`: whether values differ beyond chance; `inert`: whether a sweep's values do not differ
    in any seed, so that the joint stage leaves the knob out; `good`: the values that do not lie
    below the best. `leaders`: configurations that a joint stage found,
    or the one that a sweep found ahead and could not decide. `rates`: a range test's.
    `learned`: whether the incumbent beats a constant prediction beyond chance; `perfect`: whether
    every seed of it has the best score there is. `out_of_patience`:
    whether patience ended most of its trials, so that more epochs would change nothing (R33).
    """

    number: int
    request: Request
    decision: str
    says: str
    trials: int = 0
    seconds: float = 0.0
    pace: float = 0.0
    gpu_seconds: float = 0.0
    clock: float = 0.0
    held: Mapping[str, Value] = field(default_factory=dict)
    incumbent: tuple[TrialRecord, ...] = ()
    verdicts: tuple[tuple[str, int], ...] = ()
    sides: tuple[str, ...] = ()
    effect: bool = False
    inert: bool = False
    good: tuple[Value, ...] = ()
    leaders: tuple[Mapping[str, Value], ...] = ()
    rates: tuple[float, float] | None = None
    learned: bool = True
    perfect: bool = False
    out_of_patience: bool = False
    evidence: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`04-sweep.dropout`."""
        return self.request.name(self.number)

    @property
    def acts_nowhere(self) -> bool:
        """Whether all values of a sweep trained alike to the last digit."""
        return bool(self.evidence.get("same_training"))

    @property
    def spread(self) -> float:
        """The standard deviation between seeds, pooled over the values; 0 if it is unknown."""
        spread = self.evidence.get("spread")
        return float(spread) if isinstance(spread, float) and math.isfinite(spread) else 0.0
