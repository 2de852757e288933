"""How fast epochs are trained, and how long trials that have not ended will take by that."""

from collections import deque
from collections.abc import Sequence

RECENT, SPAN = 200, 2.0  # epochs, and seconds, that count as of late: whichever are more
BURST = 0.02  # seconds within which lanes report one epoch, which took longer than that


class RecentEpochs:
    """When the last epochs were recorded, by the monotonic clock; short ones come many at once."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """One more."""
        self._times.append(now)
        while len(self._times) > RECENT and self._times[0] < now - SPAN:
            self._times.popleft()

    @property
    def pace(self) -> float:
        """Epochs per second; 0 while there is but one burst, which says nothing of its length."""
        if not self._times:
            return 0.0
        first, last = self._times[0], self._times[-1]
        later = sum(moment > first + BURST for moment in self._times)
        return later / (last - first) if later else 0.0


def epochs_left(
    *, trained: int, ended: int, running: Sequence[int], waiting: int, most: int
) -> float:
    """Epochs still to be trained.

    Args:
        trained: epochs so far, of trials that run too: the first to end are the shortest.
        ended: number of trials that have.
        running: epochs so far of each running trial.
        waiting: number of trials that have not begun.
        most: epochs of a trial that does not stop early.
    """
    usual = min(trained / ended, most) if ended else float(most)
    # A trial that outlasts the usual length is taken to be half-way to its end.
    rest = sum(usual - done if done < usual else (most - done) / 2 for done in running)
    return max(waiting, 0) * usual + max(rest, 0.0)


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


def in_words(seconds: float) -> str:
    """As `duration`, but to two digits where it is less than 10 s."""
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)
