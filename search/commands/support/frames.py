"""A frame as text for papers, pages, spreadsheets and programs."""

import pandas as pd

from search.contract.metrics import Metric
from search.errors import UsageError, unknown
from search.results.summary.formatting import form_of, markdown
from search.storage.sealed import csv_safe

SCORES = ("mean", "value")  # columns of scores, the one that decides first
AGAINST = "against"  # the score less the baseline's


def selected(
    frame: pd.DataFrame, *, sort: str | None, top: int | None, metric: Metric
) -> pd.DataFrame:
    """The rows in the order of a column, the first `top` of them.

    Args:
        frame: a table of values or of trials.
        sort: a column; the metric's name means its score. Scores come best first, all else
            ascending; `-COLUMN` turns that round. None: as they are.
        top: how many; None for all.
        metric: says which scores are good.

    Raises:
        UsageError: there is no such column.
    """
    if sort is not None:
        column = sort.removeprefix("-")
        if column == metric.name and column not in frame:
            column = next((score for score in SCORES if score in frame), column)
        if column not in frame:
            known = [*map(str, frame.columns), metric.name]
            raise UsageError(unknown("column", name=column, known=known), code="unknown-column")
        is_falling = column in (*SCORES, AGAINST) and metric.direction == "maximize"
        ascending = is_falling == sort.startswith("-")
        numbers = pd.to_numeric(frame[column], errors="coerce")  # choices may be numbers too
        is_number = numbers.count() == frame[column].count()
        frame = frame.sort_values(
            column, key=lambda cells: numbers if is_number else cells.astype(str),
            ignore_index=True, ascending=ascending, na_position="last", kind="stable",
        )  # fmt: skip
    return frame if top is None else frame.head(top)


def frame_text(frame: pd.DataFrame, output: str) -> str:
    """The frame in one of the text formats."""
    if output == "csv":
        return csv_safe(frame).to_csv(index=False)
    if output == "latex":
        forms = {
            name: f"{{:{form_of(name, frame)}}}".format
            for name in frame.select_dtypes(include="float").columns
        }
        return frame.to_latex(index=False, formatters=forms, escape=True, na_rep="")
    return f"{markdown(frame)}\n"
