"""The tables and figures of a search, made again from disk; needs neither torch nor a GPU."""

from pathlib import Path

from search.commands import one_name
from search.execution.progress import Terminal
from search.results.diagnosis import diagnosed
from search.results.figures import write_figures
from search.results.findings import open_results
from search.results.summary import conclusion, show_summary
from search.results.tables import curves_so_far, write_tables

SUMMARY = "shows a search's table and decision, from disk"
USAGE = "table NAME"


def run(words: list[str], config_dir: Path | None) -> int:
    """Shows the table; writes the files anew unless a conductor is at work."""
    folder, findings = open_results(one_name(words, USAGE), root=Path("results"))
    console = Terminal()
    if folder.alive():
        findings = diagnosed(findings, curves_so_far(findings, folder), folder=folder)
    else:
        with folder.locked():
            findings = write_tables(findings, folder)
            write_figures(findings, folder)
    show_summary(findings, console)
    for line in conclusion(findings):
        console.say(line)
    return 0
