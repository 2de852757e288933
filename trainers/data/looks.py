"""What a column of numbers looks like beside what it is read as: numbers of rows, marks, thousands.

Nothing here is certain, so nothing is refused: each is a note for whoever begins a search.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainers.data.table_file import Format, is_text
from trainers.data.texts import word

Numbers = NDArray[np.float64]  # [rows, columns]
FEW = 10  # rows that may be in order by chance
MARKS = (-999, -9999, -99999, -999999)  # numbers that often mean a missing value
TIMES = 10  # a mark lies this many times farther out than the other numbers


def looks(
    features: pd.DataFrame, columns: Sequence[str], file: Path, form: Format
) -> tuple[str, ...]:
    """A note per feature (float64) that may not be what its numbers say, of these columns of the
    file; others are of a category.
    """
    names = [name for name in columns if name in features]
    numbers = features[names].to_numpy()
    notes = [
        f"column {names[place]!r} numbers the rows, and where their order tells of the target, a "
        f"model learns that; {word('drop', [names[place]])} leaves it out"
        for place in _row_numbers(numbers)
    ]
    for place, mark, count in _marks(numbers):
        notes.append(
            f"column {names[place]!r}: {count} of {len(numbers)} rows hold {mark}; if it means a "
            f'missing value, say \'data.na_values=["","{mark}"]\''
        )
    if is_text(file) and form.decimal == ".":
        likely = [names[place] for place in _may_part(numbers)]
        written = form.columns(file, likely)
        notes += [
            f"column {name!r}: {_example(written[name])} is read with a decimal point; if the "
            "point parts thousands, take it out"
            for name in likely
            if _parts_thousands(written[name])
        ]
    return tuple(f"{file}: {note}" for note in notes)


def _row_numbers(numbers: Numbers) -> list[int]:
    """Places of columns that hold 0, 1, 2 … or 1, 2, 3 … and nothing else."""
    if len(numbers) <= FEW:
        return []
    first, steps = numbers[0], len(numbers) - 1
    likely = np.isin(first, (0, 1)) & (numbers[-1] - first == steps)
    return [int(i) for i in np.flatnonzero(likely) if (np.diff(numbers[:, i]) == 1).all()]


def _marks(numbers: Numbers) -> Iterator[tuple[int, int, int]]:
    """Place, mark and its rows, of columns where a mark lies far below all other numbers."""
    lowest = np.fmin.reduce(numbers, axis=0)
    for place in np.flatnonzero(np.isin(lowest, MARKS)):
        column = numbers[:, place]
        is_mark = column == lowest[place]
        others = np.abs(column[~is_mark & ~np.isnan(column)])
        if is_mark.sum() > 1 and len(others) and others.max() * TIMES < -lowest[place]:
            yield int(place), int(lowest[place]), int(is_mark.sum())


def _may_part(numbers: Numbers) -> list[int]:
    """Places of columns in which a point may part thousands; only then are their texts read."""
    ends = np.fmin.reduce(numbers, axis=0), np.fmax.reduce(numbers, axis=0)
    likely = (ends[0] >= 1) & (ends[1] >= 100) & (ends[1] < 1000)
    return [
        int(place)
        for place in np.flatnonzero(likely)
        if (whole := numbers[:, place] % 1 == 0).any() and not whole.all()
    ]


def _parts_thousands(texts: "pd.Series[str]") -> bool:
    """Whether a point parts thousands, as in 950 and 1.200: what prints decimal places prints
    them in each row, or no 0 at their end.
    """
    texts = texts[texts != ""]
    has_point = texts.str.contains(".", regex=False)
    pointed, whole = texts[has_point], texts[~has_point]
    return bool(
        len(whole)
        and pointed.str.fullmatch(r"[1-9]\d{0,2}\.\d{3}").all()
        and pointed.str.endswith("0").any()
        and whole.str.fullmatch(r"\d{1,3}").all()
    )


def _example(texts: "pd.Series[str]") -> str:
    return repr(str(texts[texts.str.contains(".", regex=False)].iloc[0]))
