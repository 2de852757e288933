"""The tables and figures of a search, made again from disk; needs neither torch nor a GPU."""

from pathlib import Path

from search.commands.support.arguments import VerbParser, whole_number
from search.config.quick_imports import quick_imports

FORMATS = ("md", "csv", "latex", "json")
SUMMARY = "shows a search's table and decision, from disk"


def parser() -> VerbParser:
    """`NAME [--trials] [--sort COLUMN] [--top N] [--format FORMAT]`."""
    examples = [
        ("python -m search table lr_sweep", "a row per value, and the decision in words"),
        (
            "python -m search table lr_sweep --sort accuracy --top 5 --format latex",
            "the five best, for a paper; --sort=-accuracy: the five worst",
        ),
    ]
    details = (
        "Brings tables, figures and report.html up to date, unless the search is running or its "
        "folder may not be written. Numbers of --format csv and json have all their digits."
    )
    parser = VerbParser("table", summary=SUMMARY, details=details, examples=examples)
    parser.add_name()
    parser.add_root()
    parser.add_argument(
        "--trials", action="store_true", help="a row per trial, as in trials.csv, not per value"
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="order by a column: scores best first, others ascending; --sort=-COLUMN: the reverse",
    )
    parser.add_argument("--top", metavar="N", type=whole_number(1), help="the first N rows")
    parser.add_argument("--format", choices=FORMATS, help="print the rows alone, in this format")
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Shows the table; writes the files anew where no conductor is at work and it is allowed."""
    options = parser().parse(words)
    with quick_imports():
        from search.commands.support.show_table import show_table
    show_table(options)
    return 0
