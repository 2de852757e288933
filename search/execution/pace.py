"""How long trials that have not ended will take, from the epochs trained so far."""

from collections.abc import Sequence


def epochs_left(
    *, finished: Sequence[int], running: Sequence[int], waiting: int, most: int
) -> float:
    """Epochs still to be trained.

    Args:
        finished: epochs of each finished trial; their mean stands for what a trial takes.
        running: epochs so far of each running trial.
        waiting: number of trials that have not begun.
        most: epochs of a trial that does not stop early; counts until a trial has finished.
    """
    expected = sum(finished) / len(finished) if finished else float(most)
    # A trial that outlasts the mean is taken to be half-way to its end.
    rest = sum(expected - done if done < expected else (most - done) / 2 for done in running)
    return waiting * expected + max(rest, 0.0)


def seconds_left(epochs: float, *, trained: int, seconds: float) -> float | None:
    """Seconds for so many epochs at the pace so far; None while nothing has been trained."""
    return epochs * seconds / trained if trained and seconds > 0 else None
