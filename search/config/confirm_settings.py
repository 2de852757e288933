"""Which configurations are trained with which seeds: first the baseline, at last the best.

R15, P13.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from search.config.knobs import Value


@dataclass(frozen=True, kw_only=True)
class ConfirmSettings:
    """`configurations`: knobs of each, the one to compare with first. All get the same `seeds`."""

    configurations: tuple[Mapping[str, Value], ...]
    seeds: tuple[int, ...]
