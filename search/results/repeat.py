"""Whether a search's baseline repeats the winner that it starts from: one config, one number (R28).

Never writes.
"""

from collections.abc import Sequence

from search.config.plan import Plan
from search.errors import RunError, UsageError
from search.results.export import config_of
from search.results.findings import Findings, open_results
from search.results.warm_start import differences
from search.storage.folder import Folder
from search.storage.sealed import read_json
from search.storage.trials import TrialRecord

SHOWN = 3  # keys that are named


def check_repeats(findings: Findings) -> list[str]:
    """What the baseline has to do with the winner of the search it came `from`, in words.

    Raises:
        RunError: the baseline has the winner's config, seed, device and number of threads, and has
            given another number.
    """
    source = findings.plan.config.get("from")
    if source is None:
        return []
    try:
        folder, old = open_results(str(source), root=findings.plan.folder.parent)
    except UsageError:  # a range test, or a search that has been removed
        return []
    if old.winner is None:
        return []
    winner, baseline = old.winner, _baseline(findings, seed=old.winner.spec.seed)
    if baseline is None or baseline.value is None or winner.value is None:
        return []
    unlike = differences(config_of(old.plan, winner), config_of(findings.plan, baseline))
    name = f"trial {winner.spec.trial} of {source}, its winner"
    if unlike:
        more = f" and {len(unlike) - SHOWN} more keys" if len(unlike) > SHOWN else ""
        return [f"the baseline differs from {name}: {'; '.join(unlike[:SHOWN])}{more}"]
    if baseline.value == winner.value:
        return [f"the baseline repeats {name}, to the digit"]
    metric = findings.plan.metric.name
    text = f"{metric} {baseline.value!r} at the baseline, {winner.value!r} there"
    reasons = _excuses(old.plan, findings.plan, folder, winner, baseline)
    if reasons:
        return [f"the baseline has the config of {name}, but {', '.join(reasons)}: {text}"]
    raise RunError(
        f"{findings.plan.name}: the baseline must repeat {name}, whose config and seed it has, "
        f"but got {text}; code, data or machine have changed since; start again without from=",
        code="baseline-does-not-repeat",
    )


def _baseline(findings: Findings, *, seed: int) -> TrialRecord | None:
    """The baseline's complete trial of a seed."""
    plan = findings.plan
    defaults = {knob.path: plan.default(knob) for knob in plan.knobs}
    for row in findings.rows:
        knobs = {path: defaults[path] for path in row.spec.knobs if path in defaults}
        same = all(row.spec.knobs[path] == value for path, value in knobs.items())
        if same and row.spec.seed == seed and row.state == "complete":
            return row
    return None


def _excuses(
    old: Plan, new: Plan, folder: Folder, winner: TrialRecord, baseline: TrialRecord
) -> Sequence[str]:
    """Why the same config may give another number; empty where nothing excuses it."""
    reasons = []
    for name in ("device", "strategy", "source"):
        if getattr(winner, name) != getattr(baseline, name):
            reasons.append(f"{name} {getattr(baseline, name)} and not {getattr(winner, name)}")
    if "cpu" not in baseline.device:
        reasons.append("a GPU repeats within noise only")
    if old.placement.threads != new.placement.threads:
        reasons.append("another number of threads")
    if not new.stock:
        reasons.append("a trainer of your own may be random beside its seed")
    if new.metric.is_timed:
        reasons.append("the metric counts seconds")
    if _libraries(folder) != _libraries(Folder(new.folder)):
        reasons.append("other library versions")
    return reasons


def _libraries(folder: Folder) -> object:
    """Versions of Python and the libraries, as the export of a search has recorded them."""
    try:
        provenance = read_json(folder.best / "provenance.json")
    except UsageError:
        return None
    return provenance.get("python"), provenance.get("libraries")
