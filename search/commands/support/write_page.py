"""Writes the page of a search, or one that compares several, or prints what stands on them."""

import time
from argparse import Namespace

from search.commands.support.documents import page_record, print_document
from search.commands.support.writes_told import writes_told
from search.config.results_root import from_here
from search.results.folders import open_folder
from search.results.report import NAME, page_of, report_page
from search.results.report.comparison import comparison_page
from search.results.tables import load_search
from search.storage.files import write_text

TO = "write elsewhere: --to FILE"  # what helps where the search's folder may not be written


def write_page(options: Namespace) -> None:
    """The page of one search, or one of several; says where it is."""
    if len(options.names) == 1:
        _write_one(options, refresh=0)
        return
    searches = [load_search(name, root=options.results_root) for name in options.names]
    folders = [loaded.folder.path.resolve() for loaded in searches]
    together = "-".join(folder.name for folder in folders)
    target = options.to or folders[0].with_name(f"{together}.html")
    with writes_told(TO):
        write_text(target, comparison_page(searches))
    print(f"{from_here(target)}: {len(searches)} searches of one contract")


def watch(options: Namespace) -> None:
    """A page that loads itself again, until the search has ended; then one that stays."""
    while open_folder(options.names[0], root=options.results_root).alive():
        _write_one(options, refresh=options.every)
        time.sleep(options.every)
    _write_one(options, refresh=0)


def print_data(options: Namespace) -> None:
    """All that the pages of the searches show, and writes nothing."""
    searches = [load_search(name, root=options.results_root) for name in options.names]
    pages = [page_of(loaded.findings, loaded.curves, loaded.folder) for loaded in searches]
    print_document("report", {"pages": [page_record(page) for page in pages]})


def _write_one(options: Namespace, *, refresh: int) -> None:
    loaded = load_search(options.names[0], root=options.results_root)
    target = options.to or loaded.folder.path / NAME
    page = report_page(loaded.findings, loaded.curves, loaded.folder, refresh=refresh)
    with writes_told(TO):
        write_text(target, page)
    done = sum(row.finished for row in loaded.findings.rows)
    print(f"{target}: {done} of {loaded.findings.foreseen} trials")
