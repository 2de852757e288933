"""Is the set-up sound? All checks, as a table and as preflight.json."""

import time
from pathlib import Path

from search.commands import take
from search.diagnostics.preflight.report import require
from search.diagnostics.preflight.run import told_preflight
from search.execution.progress import Terminal
from search.run.run_stage import trainings
from search.run.standalone import looked

SUMMARY = "checks data, batches, model and learning before the budget is spent"
USAGE = "preflight [EXPERIMENT] [from=NAME] [key=value …]"


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes results/<name>/preflight.json; exit 1 if a check has failed that `preflight.allow` does not name."""
    since = time.monotonic()
    source, given = take(words, "from")
    with looked(given, config_dir, source=source, verb="preflight") as look:
        checks = told_preflight(
            look.plan,
            look.prepared,
            place=look.folder.path,
            slots=look.slots,
            trainings=trainings(look.plan),
            since=since,
            console=Terminal(),
        )
    remedy = "mend it, or say preflight.allow=[…] if it is meant"
    require(checks, allow=look.plan.preflight.allow, remedy=remedy)
    return 0
