"""Opens the sealed test set for the exported config, once, and writes it down (R8, P13)."""

from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.config.quick_imports import quick_imports

SUMMARY = "opens the sealed test set for the exported config, once"


def parser() -> VerbParser:
    """`NAME [--again] [--unfinished]`."""
    examples = [
        ("python -m search test lr_sweep", "the winner's score on the test rows, once"),
        ("python -m search test lr_sweep --again", "a second time; the ledger says so"),
    ]
    parser = VerbParser("test", summary=SUMMARY, examples=examples)
    parser.add_name()
    parser.add_root()
    parser.add_argument(
        "--again", action="store_true", help="open it although it was opened before"
    )
    parser.add_argument(
        "--unfinished",
        action="store_true",
        help="open it for the best so far of a search that stopped",
    )
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Scores best/ on the test rows; refuses a second time without --again."""
    options = parser().parse(words)
    with quick_imports():
        from search.commands.support.open_test_set import open_test_set
    open_test_set(options)
    return 0
