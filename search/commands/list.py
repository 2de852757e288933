"""The list of experiments and verbs, from file names and first lines: nothing heavy is imported."""

from pathlib import Path

from search.config.catalogue import experiments, verb_summaries

SUMMARY = "lists experiments and verbs"
USAGE = "list"


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints both lists."""
    print(
        "usage: python -m search EXPERIMENT [key=value …]   or   python -m search VERB …   [--config-dir FOLDER]"
    )
    print("\nexperiments:")
    found = experiments(config_dir)
    width = max(map(len, [*found, *verb_summaries()]))
    for name, purpose in found.items():
        print(f"  {name:{width}}  {purpose}")
    print("\nverbs:")
    for name, summary in verb_summaries().items():
        print(f"  {name:{width}}  {summary}")
    return 0
