"""Gives the winner's config, from disk."""

from pathlib import Path

from search.commands import one_name
from search.errors import UsageError
from search.results.export import best_config, write_best
from search.results.findings import open_results
from search.storage.files import write_text

SUMMARY = "writes the winner's config, complete and resolved"
USAGE = "export NAME [--to FILE.yaml]"


def run(words: list[str], config_dir: Path | None) -> int:
    """best.yaml in the search's folder, or the same text to another file."""
    target: Path | None = None
    if "--to" in words:
        at = words.index("--to")
        if at + 1 == len(words):
            raise UsageError(
                f"export: --to needs a file behind it, but got nothing; usage: python -m search {USAGE}"
            )
        target, words = Path(words[at + 1]), [*words[:at], *words[at + 2 :]]
    name = one_name(words, USAGE)
    folder, findings = open_results(name, root=Path("results"))
    if findings.winner is None:
        raise UsageError(
            f"export: needs a search with a winner, but {name} has none yet; see python -m search status {name}"
        )
    if target is None:
        with folder.locked():
            write_best(findings.plan, findings.winner, folder)
        target = folder.best_config
    else:
        if target.exists():
            raise UsageError(
                f"export: --to needs a name that is free, but got {target}, which exists; remove it or choose another"
            )
        write_text(
            target, best_config(findings.plan, findings.winner, contract=folder.load_contract())
        )
    print(
        f"{target}: trial {findings.winner.ask.trial}, {findings.plan.metric.name} {findings.winner.value}"
    )
    return 0
