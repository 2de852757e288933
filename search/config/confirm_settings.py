"""Which configurations are trained with which seeds: the baseline, or the best on fresh seeds
(P13).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from search.config.knobs import Value


@dataclass(frozen=True, kw_only=True)
class ConfirmSettings:
    """`configurations`: the knobs of each; the first is what the others are compared with.

    All get the first `fewest` of the seeds. The first one and its rivals get the others too, where
    further seeds decide (P5).
    """

    configurations: tuple[Mapping[str, Value], ...]
    seeds: tuple[int, ...]
    fewest: int
