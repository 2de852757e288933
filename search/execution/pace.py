"""How long trials that have not ended will take, from the epochs trained so far."""

from collections.abc import Iterable


def usual_epochs(*, trained: int, ended: int, most: int) -> float:
    """Epochs of a trial, as a rule. Those that run count too: the first to end are the shortest."""
    return min(trained / ended, most) if ended else float(most)


def epochs_left(*, usual: float, running: Iterable[int], waiting: int, most: int) -> float:
    """Epochs still to be trained.

    Args:
        usual: epochs of a trial, as a rule.
        running: epochs so far of each running trial.
        waiting: number of trials that have not begun.
        most: epochs of a trial that does not stop early.
    """
    # A trial that outlasts the usual length is taken to be half-way to its end.
    rest = sum(usual - done if done < usual else (most - done) / 2 for done in running)
    return waiting * usual + max(rest, 0.0)


def seconds_left(epochs: float, *, trained: int, seconds: float) -> float | None:
    """Seconds for so many epochs at the pace so far; None while nothing has been trained."""
    return epochs * seconds / trained if trained and seconds > 0 else None


def duration(seconds: float) -> str:
    """Seconds in words."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
