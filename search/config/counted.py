"""Says how many there are of something, in words."""


def count(number: float, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number:.12g} {noun}{'' if number == 1 else 's'}"
