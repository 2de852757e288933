"""Short names of knobs for narrow places: the last word of a path, if no other path ends so."""

from collections import Counter
from collections.abc import Collection


def short_names(paths: Collection[str]) -> dict[str, str]:
    """Path → short name; an ambiguous path keeps its whole name."""
    last = {path: path.rpartition(".")[2] for path in paths}
    counts = Counter(last.values())
    return {path: word if counts[word] == 1 else path for path, word in last.items()}
