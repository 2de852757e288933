"""A step of a search of many stages, as a line of decisions.jsonl holds it: its keys, their types.

`search.protocols.record` makes it of a step.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from search.config.knobs import Value
from search.storage.sealed import read_json_lines


class Candidate(TypedDict):
    """What a stage compared: a value of its knob, or a configuration, with a trial per seed.

    `broken_trials`: of these, whose seed collapsed or gave no result; former versions name none.
    `difference`, `interval`: against the first candidate; None where nothing tells them.
    """

    value: Value
    standing: str
    knobs: Mapping[str, Value]
    trials: list[int]
    broken_trials: NotRequired[list[int]]
    scores: list[float | None]
    difference: float | None
    interval: list[float | None]


class Evidence(TypedDict):
    """The numbers of a decision, of which these are read again."""

    values: list[Candidate]
    untested: NotRequired[bool]


class ConsideredKnob(TypedDict):
    """A knob that might have come next; see `search.protocols.step.Considered`."""

    knob: str
    verdict: str
    turn: str
    rule: str
    passed: str


class StepRecord(TypedDict):
    """A stage that has ended; the keys are those of `search.protocols.step`, but for these.

    `kind`: of the stage, and `stage` its name. `knob`, `path`: what it was about, empty for none.
    `value`: the incumbent's, of that knob. `trials`, `scores`: of the incumbent. `trained`: how
    many trials the stage has trained. `beside`: what is to be seen beside the verdicts. `command`:
    repeats the stage. `next`: the stage that follows. `budget`: by which that was chosen.
    `considered`, `needs`, `left`: how the stage was chosen; former versions tell none.
    """

    stage: str
    kind: str
    knob: str
    path: str
    decision: str
    value: Value
    says: str
    because: str
    considered: NotRequired[list[ConsideredKnob]]
    needs: NotRequired[float]
    left: NotRequired[float | None]
    rules: list[str]
    held: Mapping[str, Value]
    trials: list[int]
    trained: int
    verdicts: dict[str, int]
    beside: list[str]
    evidence: Evidence | None
    scores: list[float | None]
    learned: bool
    perfect: bool
    out_of_patience: bool
    searched: list[dict[str, Any]]
    leaders: list[Mapping[str, Value]]
    rates: list[float]
    command: str
    next: str | None
    budget: Mapping[str, Any]


def read_steps(path: Path) -> list[StepRecord]:
    """The lines of decisions.jsonl; none where there is no file.

    Raises:
        UsageError: a line is damaged, or lacks a key.
    """
    return cast(list[StepRecord], read_json_lines(path, keys=StepRecord.__required_keys__))


def sound_scores(candidate: Candidate) -> list[float]:
    """The scores of the seeds that did not break, of which a decision takes the mean."""
    broken = candidate.get("broken_trials", ())
    pairs = zip(candidate["trials"], candidate["scores"], strict=True)
    return [score for trial, score in pairs if score is not None and trial not in broken]


def passed_over(step: StepRecord) -> str:
    """The knobs that were passed over for the stage's own, by the reason, in a line."""
    considered = step.get("considered", ())
    turned = {each["knob"] for each in considered if not each["passed"]}
    by_reason: dict[str, dict[str, None]] = {}
    for each in considered:
        if each["knob"] not in turned:
            by_reason.setdefault(each["passed"], {})[each["knob"]] = None
    return "; ".join(f"{', '.join(knobs)}: {why}" for why, knobs in by_reason.items())


def candidates_of(step: StepRecord) -> Sequence[Candidate]:
    """What a stage compared, first what it began with; empty where it compared nothing."""
    evidence = step["evidence"]
    return evidence["values"] if evidence else ()
