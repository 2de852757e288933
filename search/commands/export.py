"""Gives the winner's config, from disk."""

from pathlib import Path

from search.commands.support.arguments import VerbParser, file_to_write
from search.commands.support.writes_told import writes_told
from search.config.results_root import address
from search.errors import UsageError
from search.results.export import best_config, write_best
from search.results.findings import open_results
from search.storage.files import write_text

SUMMARY = "writes the winner's config, complete and resolved"

TO = "write the config alone elsewhere: --to FILE"


def parser() -> VerbParser:
    """`NAME [--to FILE]`."""
    examples = [
        ("python -m search export lr_sweep", "results/lr_sweep/best.yaml and best/ once more"),
        ("python -m search export lr_sweep --to mine.yaml", "the same config into another file"),
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
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes best.yaml in the search's folder, or the same text to another file."""
    options = parser().parse(words)
    name = options.name
    folder, findings = open_results(name, root=options.results_root)
    if findings.winner is None:
        raise UsageError(
            f"export: needs a search with a winner, but {name} has none yet; "
            f"see python -m search status {address(folder.path)}",
            code="export-needs-winner",
        )
    target = options.to or folder.best_config
    if options.to is None:
        with writes_told(TO), folder.locked():
            write_best(findings.plan, findings.winner, folder)
    elif target.exists():
        raise UsageError(
            f"export: --to needs a name that is free, but got {target}, which exists; "
            "remove it or choose another",
            code="export-target-exists",
        )
    else:
        contract = folder.load_contract()
        with writes_told(TO):
            write_text(target, best_config(findings.plan, findings.winner, contract=contract))
    metric, winner = findings.plan.metric.name, findings.winner
    print(f"{target}: trial {winner.spec.trial}, {metric} {winner.value:.4g}")
    return 0
