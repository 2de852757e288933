"""How a feature is named in a check's sentence."""

from collections.abc import Sequence


def shown(index: int, names: Sequence[str]) -> str:
    """A feature by its number, and its name where it has one: `3 (usage)`."""
    return f"{index} ({names[index]})" if index < len(names) and names[index] else str(index)
