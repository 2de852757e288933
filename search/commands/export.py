"""Gives the config of the winner, or of any trial, from disk."""

from pathlib import Path
from typing import TYPE_CHECKING

from search.commands.support.arguments import VerbParser, file_to_write
from search.commands.support.writes_told import writes_told
from search.config.quick_imports import quick_imports
from search.config.results_root import address
from search.errors import refused
from search.storage.files import write_text

if TYPE_CHECKING:
    from search.results.findings import Findings
    from search.storage.folder import Folder
    from search.storage.trials import TrialRecord

SUMMARY = "writes the config of the winner, or of any trial, complete and resolved"

TO = "write the config alone elsewhere: --to FILE"


def parser() -> VerbParser:
    """`NAME [--to FILE [--trial N]]`."""
    examples = [
        ("python -m search export lr_sweep", "writes results/lr_sweep/best.yaml and best/ again"),
        ("python -m search export lr_sweep --to mine.yaml", "the same config into another file"),
        ("python -m search export lr_sweep --trial 17 --to 17.yaml", "of a trial that did not win"),
    ]
    parser = VerbParser("export", summary=SUMMARY, examples=examples)
    parser.add_name()
    parser.add_root()
    parser.add_argument(
        "--to",
        metavar="FILE",
        type=file_to_write,
        help="a file that does not exist yet (default: best.yaml)",
    )
    parser.add_argument(
        "--trial", metavar="N", type=int, help="of trial N; needs --to (default: the winner)"
    )
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes best.yaml in the search's folder, or a config to another file."""
    options = parser().parse(words)
    with quick_imports():
        from search.results.export import best_config, write_best
        from search.results.findings import open_results
    folder, findings = open_results(options.name, root=options.results_root)
    row = _row(findings, folder, trial=options.trial)
    target = options.to or folder.best_config
    if options.to is None and options.trial is not None:
        raise refused(
            "export",
            code="trial-needs-file",
            rule="best.yaml is the winner's, and another trial's config goes into a file",
            got=f"--trial {options.trial} alone",
            remedy="say --to FILE",
        )
    if options.to is None:
        with writes_told(TO), folder.locked():
            write_best(findings.plan, row, folder)
    elif target.exists():
        raise refused(
            "export --to",
            code="export-target-exists",
            rule="needs a name that is free",
            got=f"{target}, which exists",
            remedy="remove it or choose another",
        )
    else:
        contract = folder.load_contract()
        with writes_told(TO):
            write_text(target, best_config(findings.plan, row, contract=contract))
    metric = findings.plan.metric.name
    result = row.state if row.value is None else f"{metric} {row.value:.4g}"
    print(f"{target}: trial {row.spec.trial}, {result}")
    return 0


def _row(findings: "Findings", folder: "Folder", *, trial: int | None) -> "TrialRecord":
    """The winner, or the trial of a number.

    Raises:
        UsageError: there is none.
    """
    if trial is None:
        if findings.winner is not None:
            return findings.winner
        raise refused(
            "export",
            code="export-needs-winner",
            rule="needs a search with a winner",
            got=f"{folder.path.name}, which has none yet",
            remedy=f"see python -m search status {address(folder.path)}",
        )
    rows = {row.spec.trial: row for row in findings.rows}
    if trial not in rows:
        raise refused(
            "export --trial",
            code="unknown-trial-to-export",
            rule=f"{folder.path.name} has trials 0 to {max(rows, default=0)}",
            got=str(trial),
            remedy=f"see {folder.path / 'trials.csv'}",
        )
    return rows[trial]
