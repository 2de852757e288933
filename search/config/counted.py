"""Says how many there are of something, or which the first are, in words."""

from collections.abc import Sequence


def count(number: float, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number:.12g} {noun}{'' if number == 1 else 's'}"


def averaged(number: int, noun: str = "seed") -> str:
    """`mean of 3 seeds`; one has no mean: `of one seed`."""
    return f"of one {noun}" if number == 1 else f"mean of {count(number, noun)}"


def first_of(words: Sequence[object], most: int, *, between: str = ", ") -> str:
    """`1, 2 and 5 more`."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(map(str, words[:most])) + more
