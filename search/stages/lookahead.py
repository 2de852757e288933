"""How far ahead the conductor looks in a stage's trials."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from search.config.knobs import Value
from search.storage.trials import UnnumberedTrial

PEEK = 256  # trials that are looked at, to see how many share a key


def looked_ahead(candidates: Iterable[UnnumberedTrial]) -> list[tuple[dict[str, Value], int]]:
    """The knobs of the first trials, and how many of these have them."""
    counts = Counter(tuple(trial.knobs.items()) for trial in islice(candidates, PEEK))
    return [(dict(knobs), count) for knobs, count in counts.items()]
