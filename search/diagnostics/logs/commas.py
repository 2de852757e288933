"""Numbers that are written with commas: `0,5` is a half, `1,000,000` a million.

What `1,234` means, the column's other cells tell. Where they do not, it is 1.234, and that is said.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from search.diagnostics.logs.line import number_in

DECIMAL = re.compile(r"([-+]?\d+),(\d+(?:e[-+]?\d+)?)", re.I)
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
BOTH = re.compile(r"([-+]?[1-9]\d{0,2}(?:\.\d{3})+),(\d+)")  # 1.234,5: points part thousands
# In lines of text: commas of thousands; the same of a count; decimals behind a comma, as thousands
# cannot be; and such behind a point.
IN_TEXT = re.compile(r"(?<=\d),(?=\d{3}(?:,\d{3})*\.\d)")
COUNTED = re.compile(r"\b((?:iter|step)\w*\W{1,9}\d{1,3}),(?=\d{3}\b)", re.I)
COMMA = re.compile(r"loss\W*(?:0,\d|\d+,(?!\d{3}\b)\d)", re.I)
POINT = re.compile(r"loss\W*\d+\.\d", re.I)
FEWEST = 3  # cells without which round numbers may be chance
ROUND = "00"  # with which all cells of a counter end, and not three losses


def with_points_in_text(text: str) -> str:
    """Lines of text with points in place of commas, and without those of thousands."""
    text = COUNTED.sub(r"\1", IN_TEXT.sub("", text))
    if COMMA.search(text) and not POINT.search(text):
        text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    return text


def with_points(columns: Sequence[Sequence[str]]) -> tuple[list[list[str]], dict[int, str]]:
    """The cells with points in place of commas; and of the columns whose commas may mean either,
    one cell and how it was read.
    """
    read, unsure = [], {}
    for number, cells in enumerate(columns):
        written = [cell for cell in cells if _has_comma(cell)]
        are_thousands = _are_thousands(cells, written)
        read.append([_plain(cell, thousands=bool(are_thousands)) for cell in cells])
        if written and are_thousands is None:
            unsure[number] = f"{written[0].strip()} as {_plain(written[0], thousands=False)}"
    return read, unsure


def _has_comma(cell: str) -> bool:
    text = cell.strip().removesuffix("%").strip()
    return "," in text and any(form.fullmatch(text) for form in (DECIMAL, THOUSANDS, BOTH))


def _plain(cell: str, *, thousands: bool) -> str:
    if not _has_comma(cell):
        return cell
    if both := BOTH.fullmatch(cell.strip()):
        return f"{both[1].replace('.', '')}.{both[2]}"
    return cell.strip().replace(",", "" if thousands else ".")


def _are_thousands(cells: Sequence[str], written: Sequence[str]) -> bool | None:
    """Whether the commas of a column part thousands; None where nothing tells."""
    texts = [cell.strip().removesuffix("%").strip() for cell in written]
    if not texts or not all(THOUSANDS.fullmatch(text) for text in texts):
        return False
    if any("." in text or text.count(",") > 1 for text in texts):
        return True
    others = [number for cell in cells if (number := number_in(cell)) is not None]
    if any("." in cell for cell in cells if number_in(cell) is not None):
        return True  # a point is the decimal mark here
    if any(abs(number) >= 1000 for number in others):
        return False  # a thousand is written without one
    whole, parts = (
        [number_in(_plain(cell, thousands=way)) for cell in cells] for way in (True, False)
    )
    if others and _rises(whole) and not _rises(parts):
        return True
    if len(texts) >= FEWEST and all(text.endswith(ROUND) for text in texts) and _rises(whole):
        return True
    return None


def _rises(numbers: Sequence[float | None]) -> bool:
    known = [number for number in numbers if number is not None]
    return all(one <= other for one, other in pairwise(known))
