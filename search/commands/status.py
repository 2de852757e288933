"""How far searches have come, from disk, also while they run."""

from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.config.quick_imports import quick_imports

SUMMARY = "tells how far a search has come; without a name, all of them"


def parser() -> VerbParser:
    """`[NAME] [--json]`."""
    examples = [
        ("python -m search status", "a line or two per search in results/"),
        ("python -m search status lr_sweep --json", "for a program; a line per running trial too"),
    ]
    details = (
        "A search is running, done, stopped (it was interrupted or failed) or died (its process "
        "was killed); the command that started it resumes the last two."
    )
    parser = VerbParser("status", summary=SUMMARY, details=details, examples=examples)
    parser.add_name(nargs="?")
    parser.add_root()
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """One line or two per search; with a name, one per trial that runs or failed as well."""
    options = parser().parse(words)
    with quick_imports():
        from search.commands.support.show_status import show_status
    return show_status(options)
