"""What a joint search may learn from earlier ones: trials that it would train the same (R32).

Never writes; a trial of history is no trial of this search.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.counted import count
from search.config.drift import flat_config
from search.config.joint_settings import Point, active, default_point, point_for_sampler
from search.config.knobs import Value
from search.config.plan import Plan
from search.config.trial_config import PRIVATE, plain_config, target_of, trial_config
from search.errors import UsageError
from search.results.findings import open_results
from search.stages.stage import Past
from search.storage.trials import TrialRecord

SHOWN = 3  # reasons that are named


@dataclass(kw_only=True)
class History:
    """`past`: trials of earlier searches that fit. `sources`: a line per earlier search."""

    past: list[Past] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def read_history(plan: Plan, *, floor: float | None) -> History:
    """The trials of the search that this one comes from, and of those that it came from.

    `floor`: the value of an infeasible trial; None if it has none.
    """
    history, ours = History(), Searched(plan.config)
    default = default_point(plan.config, plan.knobs)
    source, visited = plan.config.get("from"), set[str]()
    while source is not None and source not in visited:
        visited.add(source)
        try:
            folder, findings = open_results(str(source), root=plan.folder.parent)
        except UsageError as error:
            history.sources.append(f"from={source}: no history, because {error}")
            break
        old, reasons, fits = folder.load_config(), Counter[str](), 0
        theirs = Searched(old)
        for row in findings.rows:
            value = _value(row, floor=floor)
            point = (
                f"{row.state}, without a value"
                if value is None
                else _point(plan, row, theirs=theirs, ours=ours, default=default)
            )
            if isinstance(point, str):
                reasons[point] += 1
            elif value is not None:
                history.past.append(Past(point=point, value=value))
                fits += 1
        history.sources.append(_described(source, fits, len(findings.rows), reasons))
        source = old.get("from")
    return history


def trained_keys(config: DictConfig) -> Mapping[str, Any]:
    """What a trainer would see of a config, links as written."""
    return {
        path: value
        for path, value in flat_config(config).items()
        if path.partition(".")[0] not in PRIVATE
    }


def differences(there: DictConfig, here: DictConfig) -> list[str]:
    """A line per key that a trainer sees and in which two trials' configs differ."""
    return _unlike(trained_keys(there), trained_keys(here))


class Searched:
    """A search's config, read once for all its trials."""

    def __init__(self, config: DictConfig) -> None:
        self.config, self.keys = config, trained_keys(config)
        self.choices = plain_config(config, resolve=False).get("choices") or {}


class Trained:
    """What a trainer sees of a trial. Its config, which takes 10 ms, is made where links or choices
    need it.
    """

    def __init__(self, of: Searched, knobs: Mapping[str, Value], *, seed: int) -> None:
        self._of, self._knobs, self._seed = of, knobs, seed

    @cached_property
    def config(self) -> DictConfig:
        """Whole, links as written."""
        return trial_config(self._of.config, knobs=self._knobs, seed=self._seed)

    def keys(self) -> Mapping[str, Any]:
        """By path, links as written."""
        if self._of.choices or not self._knobs.keys() <= self._of.keys.keys():
            return trained_keys(self.config)
        return {**self._of.keys, **self._knobs, "seed": self._seed}

    def value(self, path: str) -> Any:
        """What stands at a path, links followed."""
        found = self._knobs.get(path, self._of.keys.get(path))
        if self._of.choices or not isinstance(found, int | float):
            return OmegaConf.select(self.config, path)
        return found


def _unlike(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A line per key in which what two trainers see differs."""
    return [
        f"{key} is {old.get(key, 'missing')} there, {new.get(key, 'missing')} here"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) or (key in old) != (key in new)
    ]


def _value(row: TrialRecord, *, floor: float | None) -> float | None:
    """What a trial counts for: its value if it is complete, the floor if it is infeasible."""
    if row.state == "complete":
        return row.value
    return floor if row.state == "infeasible" else None


def _described(source: str, fits: int, number: int, reasons: Counter[str]) -> str:
    """How many trials of a search fit the space, and why the others do not."""
    line = f"{fits} of {number} trials of {source} fit the space and are its history (R32)"
    named = [f"{reason} ({times})" for reason, times in reasons.most_common(SHOWN)]
    more = len(reasons) - len(named)
    if more > 0:
        named.append(count(more, "more reason"))
    return f"{line}; the others do not: {'; '.join(named)}" if named else line


def _point(
    plan: Plan, row: TrialRecord, *, theirs: Searched, ours: Searched, default: Point
) -> Point | str:
    """A trial as a point of the space, or the reason why it is none."""
    there, choices = Trained(theirs, row.spec.knobs, seed=row.spec.seed), ours.choices
    chosen = there.config.chosen if choices else {}
    point = dict(default)
    for knob in plan.knobs:
        if knob.path in choices:
            point[knob.path] = chosen.get(knob.path)
        elif knob.choice is None or chosen.get(knob.choice[0]) == knob.choice[1]:
            point[knob.path] = knob.typed(there.value(target_of(knob.path, choices)))
    if point_for_sampler(plan.knobs, point) is None:
        outside = [
            knob.path
            for knob in plan.knobs
            if not knob.holds(knob.value_for_sampler(point[knob.path]))
        ]
        return f"{', '.join(outside)} outside of the space"
    here = Trained(ours, active(plan.knobs, point), seed=row.spec.seed)
    unlike = _unlike(there.keys(), here.keys())
    more = f" and {len(unlike) - 1} more keys" if len(unlike) > 1 else ""
    return f"{unlike[0]}{more}" if unlike else point
