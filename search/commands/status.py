"""How far searches have come, from disk, also while they run."""

from collections import Counter
from pathlib import Path

from search.results import open_results, searches

SUMMARY = "tells how far a search has come; without a name, all of them"
USAGE = "status [NAME]"
ROOT = Path("results")


def run(words: list[str], config_dir: Path | None) -> int:
    """One line per search; with a name, one per running trial as well."""
    names = words or [path.name for path in searches(ROOT)]
    if not names:
        print(f"no search in {ROOT}/ yet; start one: python -m search lr_sweep")
    for name in names:
        folder, findings = open_results(name, root=ROOT)
        counts = Counter(row.state for row in findings.rows)
        told = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        finished = sum(row.finished for row in findings.rows)
        state = "running" if folder.alive() else "done" if finished == len(findings.rows) else "stopped"
        print(f"{findings.plan.name}: {state}, {finished} of {len(findings.rows)} trials finished ({told})")
        if words:
            for row in findings.rows:
                if row.state in ("running", "failed", "lost"):
                    print(
                        f"  trial {row.ask.trial} {row.state}: {dict(row.ask.knobs)} seed {row.ask.seed} {row.reason}".rstrip()
                    )
    return 0
