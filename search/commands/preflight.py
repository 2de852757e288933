"""Is the set-up sound? All checks, as a table and as preflight.json."""

import time
from pathlib import Path

from search.commands import take
from search.looking import looked
from search.preflight.report import require, show, write
from search.preflight.run import preflight
from search.progress import Terminal
from search.running import trainings

SUMMARY = "checks data, batches, model and learning before the budget is spent"
USAGE = "preflight [EXPERIMENT] [from=NAME] [key=value …]"


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes results/<name>/preflight.json; exit 1 if a check has failed that `preflight.allow` does not name."""
    started, console = time.monotonic(), Terminal()
    source, given = take(words, "from")
    with looked(given, config_dir, source=source, verb="preflight") as look:
        checks = preflight(look.plan, look.prepared, place=look.folder.path, slots=look.slots, trainings=trainings(look.plan))
        seconds = time.monotonic() - started
        write(checks, look.folder.path, seconds=seconds)
    show(checks, console, seconds=seconds)
    remedy = "mend it, or say preflight.allow=[…] if it is meant"
    require(checks, allow=look.plan.preflight.allow, remedy=remedy)
    return 0
