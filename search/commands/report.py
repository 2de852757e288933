"""The page of a search, made from disk; several searches of one contract on one page."""

from pathlib import Path

from search.commands.support.arguments import VerbParser, file_to_write, whole_number
from search.config.quick_imports import quick_imports
from search.errors import refused

SUMMARY = "writes a search's page, report.html; of several searches, one page that compares them"
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
    if options.watch and len(options.names) > 1 and not options.json:
        raise refused(
            "report",
            code="watch-one-search",
            rule="--watch follows one search",
            got=len(options.names),
            remedy="name one of them",
        )
    with quick_imports():
        from search.commands.support.write_page import print_data, watch, write_page
    act = print_data if options.json else watch if options.watch else write_page
    act(options)
    return 0
