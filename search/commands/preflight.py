"""Is the set-up sound? All checks, as a table and as preflight.json.

What is heavy is imported after the first line has been shown.
"""

import time
from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.commands.support.documents import print_document
from search.config.quick_imports import quick_imports
from search.config.words import EXPERIMENT, take
from search.execution.terminal import Terminal
from search.storage.sealed import read_json

HEAVY = ("search.diagnostics.preflight.run", "search.lifecycle.run_stage")  # a second or two
SUMMARY = "checks data, batches, model and learning before the budget is spent"


def parser() -> VerbParser:
    """`[EXPERIMENT] [key=value …] [--json]`."""
    examples = [
        ("python -m search preflight", "of lr_sweep's set-up, into results/preflight/"),
        (
            "python -m search preflight joint data=breast_cancer",
            "of another experiment's, on other rows",
        ),
    ]
    details = (
        "Exit code 1 where a check has failed that preflight.allow=[…] does not name. "
        "preflight=on makes a search start with it."
    )
    parser = VerbParser("preflight", summary=SUMMARY, details=details, examples=examples)
    parser.add_overrides(experiment=EXPERIMENT)
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes results/<name>/preflight.json.

    Raises:
        RunError: a check has failed that `preflight.allow` does not name.
    """
    since = time.monotonic()
    options = parser().parse(words)
    console = Terminal(quiet=options.json)
    console.say("preflight: reading the config …")
    with quick_imports():
        from search.lifecycle.standalone import looked
        from search.storage.folder import PREFLIGHT
    source, overrides = take(options.overrides, "from")
    with looked(overrides, config_dir, source=source, verb="preflight", imports=HEAVY) as look:
        from search.diagnostics.preflight.report import require, show, write
        from search.diagnostics.preflight.run import preflight
        from search.lifecycle.run_stage import trainings

        console.say("looking at the data, at two epochs of a training, and at what it can learn …")
        place = look.folder.path
        made = preflight(
            look.plan,
            look.prepared,
            place=place,
            slots=look.slots,
            trainings=trainings(look.plan),
            early=look.probe,
        )
        seconds = time.monotonic() - since
        write(made, place, seconds=seconds)
        show(made.checks, console, seconds=seconds)
    if options.json:
        content = read_json(look.folder.path / PREFLIGHT)
        print_document("preflight", {"name": look.plan.name, **content})
    require(made.checks, allow=look.plan.preflight.allow, or_else=" if it is meant")
    return 0
