"""The page of a search, made from disk; several searches of one contract on one page."""

import time
from argparse import Namespace
from pathlib import Path

from search.commands.support.arguments import VerbParser, file_to_write, whole_number
from search.commands.support.documents import page_record, print_document
from search.commands.support.writes_told import writes_told
from search.config.results_root import from_here
from search.errors import UsageError
from search.results.folders import open_folder
from search.results.report import NAME, page_of, report_page
from search.results.report.comparison import comparison_page
from search.results.tables import load_search
from search.storage.files import write_text

SUMMARY = "writes a search's page, report.html; of several searches, one page that compares them"
TO = "write elsewhere: --to FILE"  # what helps where the search's folder may not be written
EVERY = 5  # seconds between two pages of --watch


def parser() -> VerbParser:
    """`NAME [NAME …] [--to FILE] [--watch]`."""
    examples = [
        ("python -m search report lr_sweep", "results/lr_sweep/report.html, also while it runs"),
        ("python -m search report lr_sweep --watch", "the same every few seconds, until it ends"),
        (
            "python -m search report lr_sweep adam_lr --to both.html",
            "both on one page; they must share their contract",
        ),
    ]
    details = "The page is one file that opens in a browser without a server or a network."
    parser = VerbParser("report", summary=SUMMARY, details=details, examples=examples)
    parser.add_name(nargs="+")
    parser.add_root()
    parser.add_argument(
        "--to", metavar="FILE", type=file_to_write, help="another file than report.html"
    )
    parser.add_argument(
        "--watch", action="store_true", help="write it again while the search runs; one NAME only"
    )
    parser.add_argument(
        "--every",
        metavar="SECONDS",
        type=whole_number(1),
        default=EVERY,
        help=f"time from one page of --watch to the next (default: {EVERY})",
    )
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Writes the page and says where it is."""
    options = parser().parse(words)
    if options.json:
        return _print_data(options)
    if len(options.names) == 1:
        return _watch(options) if options.watch else _write_one(options, refresh=0)
    if options.watch:
        raise UsageError(
            f"report: --watch follows one search, but got {len(options.names)}; name one of them",
            code="watch-one-search",
        )
    searches = [load_search(name, root=options.results_root) for name in options.names]
    folders = [loaded.folder.path.resolve() for loaded in searches]
    together = "-".join(folder.name for folder in folders)
    target = options.to or folders[0].with_name(f"{together}.html")
    with writes_told(TO):
        write_text(target, comparison_page(searches))
    print(f"{from_here(target)}: {len(searches)} searches of one contract")
    return 0


def _write_one(options: Namespace, *, refresh: int) -> int:
    loaded = load_search(options.names[0], root=options.results_root)
    target = options.to or loaded.folder.path / NAME
    page = report_page(loaded.findings, loaded.curves, loaded.folder, refresh=refresh)
    with writes_told(TO):
        write_text(target, page)
    done = sum(row.finished for row in loaded.findings.rows)
    print(f"{target}: {done} of {loaded.findings.foreseen} trials")
    return 0


def _print_data(options: Namespace) -> int:
    """All that the pages of the searches show, and writes nothing."""
    searches = [load_search(name, root=options.results_root) for name in options.names]
    pages = [page_of(loaded.findings, loaded.curves, loaded.folder) for loaded in searches]
    print_document("report", {"pages": [page_record(page) for page in pages]})
    return 0


def _watch(options: Namespace) -> int:
    """A page that loads itself again, until the search has ended; then one that stays."""
    while open_folder(options.names[0], root=options.results_root).alive():
        _write_one(options, refresh=options.every)
        time.sleep(options.every)
    return _write_one(options, refresh=0)
