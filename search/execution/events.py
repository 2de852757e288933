"""What happens in a search, as a stream of events that callbacks receive.

An interface for callbacks of one's own: fields may be added, none is renamed or removed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from search.config.knobs import Value
from search.storage.json_numbers import plain


@dataclass(frozen=True, kw_only=True)
class SearchBegun:
    """A search begins or goes on. `finished`: trials that an earlier run has finished."""

    search: str
    folder: str
    metric: str
    direction: str
    knobs: Sequence[str]
    finished: int
    config: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrialBegun:
    """A worker begins a trial, or goes on with one that was interrupted."""

    trial: int
    stage: str
    knobs: Mapping[str, Value]
    seed: int
    device: str


@dataclass(frozen=True, kw_only=True)
class EpochEnded:
    """An epoch has been recorded; of folds, the mean. `values`: losses, metric, columns."""

    trial: int
    epoch: int
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrialEnded:
    """A trial has its row in `trials.csv`. `verdict`, `why`: what its curves say, if anything."""

    trial: int
    stage: str
    knobs: Mapping[str, Value]
    seed: int
    state: str
    value: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    reason: str
    verdict: str
    why: str


@dataclass(frozen=True, kw_only=True)
class DecisionMade:
    """A stage has decided. `record`: a line of decisions.jsonl; `words`: the same in words."""

    record: Mapping[str, Any]
    words: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class SearchEnded:
    """`state`: done, interrupted or failed. `winner`: the trial that is exported, None for none."""

    state: str
    reason: str
    winner: int | None
    value: float | None
    knobs: Mapping[str, Value]


Event = SearchBegun | TrialBegun | EpochEnded | TrialEnded | DecisionMade | SearchEnded


class EventCallback(Protocol):
    """A class of one's own, named by `callbacks.NAME._target_`; its other keys are arguments.

    Called in a thread of its own, with one event after the other. What it raises is a warning.
    """

    def __call__(self, event: Event, /) -> None:
        """Receives an event."""


def event_name(event: Event) -> str:
    """`trial_ended`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def event_document(event: Event) -> dict[str, Any]:
    """The event as JSON knows it, with its name as `event`."""
    document: dict[str, Any] = plain({"event": event_name(event), **asdict(event)})
    return document
