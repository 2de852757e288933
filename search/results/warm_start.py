"""What a joint search may learn from earlier ones: their trials, where it would have trained exactly those (R32).

Never writes; a trial of history is no trial of this search.
"""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.drift import flat_config
from search.config.joint_settings import Point, active, default_point, point_for_sampler
from search.config.plan import Plan
from search.config.trial_config import PRIVATE, plain_config, target_of, trial_config
from search.errors import UsageError
from search.results.findings import open_results
from search.stages.past_trial import Past
from search.storage.trials import TrialRecord


def read_history(plan: Plan, *, floor: float | None) -> list[Past]:
    """The trials of the search that this one comes `from`, and of those that it came from, as far as they fit the space."""
    found: list[Past] = []
    source, known = plan.config.get("from"), set[str]()
    while source is not None and source not in known:
        known.add(source)
        try:
            folder, findings = open_results(str(source), root=plan.folder.parent)
        except UsageError:  # an ancestor that has been removed teaches nothing
            break
        old = folder.load_config()
        for row in findings.rows:
            value = (
                row.value
                if row.state == "complete"
                else floor
                if row.state == "infeasible"
                else None
            )
            point = _point(plan, old, row) if value is not None else None
            if point is not None and value is not None:
                found.append(Past(point=point, value=value))
        source = old.get("from")
    return found


def _point(plan: Plan, old: DictConfig, row: TrialRecord) -> Point | None:
    """A trial as a point of the space; None where the space does not hold it, or something else differs."""
    config = trial_config(old, knobs=row.ask.knobs, seed=row.ask.seed)
    choices = plain_config(plan.config, resolve=False).get("choices") or {}
    point = default_point(plan.config, plan.knobs)
    for knob in plan.knobs:
        if knob.path in choices:
            point[knob.path] = config.chosen.get(knob.path)
        elif knob.choice is None or config.chosen.get(knob.choice[0]) == knob.choice[1]:
            point[knob.path] = knob.typed(OmegaConf.select(config, target_of(knob.path, choices)))
    if point_for_sampler(plan.knobs, point) is None:
        return None
    here = trial_config(plan.config, knobs=active(plan.knobs, point), seed=row.ask.seed)
    return point if _trained(here) == _trained(config) else None


def _trained(config: DictConfig) -> Mapping[str, Any]:
    """What a trainer would see."""
    return {
        path: value
        for path, value in flat_config(config).items()
        if path.partition(".")[0] not in PRIVATE
    }
