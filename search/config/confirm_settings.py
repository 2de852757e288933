"""Which configurations have which seeds: the baseline, or the best on fresh seeds (P13)."""

from collections.abc import Mapping
from dataclasses import dataclass

from search.config.knobs import Value


@dataclass(frozen=True, kw_only=True)
class ConfirmSettings:
    """`configurations`: the knobs of each; the first is what the others are compared with.

    All get the first `fewest` of the seeds. The first one and its rivals get the others too, where
    further seeds decide (P5). `halved`: seeds after which only the better half of the others goes
    on to `fewest`; 0: all do. `early`: seeds at which a first look ends what is decided; 0: none.
    `own_level`: whether the second one, which the sweeps found better, has an own level of error.
    `broke`: whether the first one gave no result with any seed before. If it gives none at a look
    either, it gets no more.
    """

    configurations: tuple[Mapping[str, Value], ...]
    seeds: tuple[int, ...]
    fewest: int
    halved: int = 0
    early: int = 0
    own_level: bool = False
    broke: bool = False

    def trials(self, configurations: int) -> int:
        """Trials of so many configurations, without further seeds that decide."""
        return confirm_trials(configurations - 1, seeds=self.fewest, halved=self.halved)


def confirm_trials(rivals: int, *, seeds: int, halved: int) -> int:
    """Trials of a baseline and its rivals: all seeds, but after `halved` of them, unless that is 0,
    only for the better half of the rivals.
    """
    if not halved:
        return (1 + rivals) * seeds
    return seeds + rivals * halved + -(-rivals // 2) * (seeds - halved)
