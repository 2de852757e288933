"""A line of somebody's log: its number and its cells, by the columns' names."""

import re
from collections.abc import Mapping

Line = tuple[int, dict[str, str]]
# The columns' names as `plain_name` writes them, the lines, and by column, or of all under "", how
# what may mean either was read.
Table = tuple[list[str], list[Line], dict[str, str]]
SETS = (
    "train", "training", "trn", "tr", "val", "va", "valid", "validation", "eval", "dev", "test",
    "tst",
)  # fmt: skip
JOINED = {
    before + after: f"{before}_{after}" for before in SETS for after in ("loss", "acc", "accuracy")
} | {"totalloss": "total_loss"}  # names that are written as one word
BEHIND = re.compile(rf"(\w+)_({'|'.join(SETS)})$")  # a set behind what was measured
ROUND = "boosting_round"
GAPS = ("", "na", "n/a", "-", "none", "null", "no log")  # in a cell: nothing was measured


SAME = {"learning_rate": "lr", "ep": "epoch", "itr": "iter", "loss_total": "total_loss"}
SAME |= dict.fromkeys(("num_updates", "train_num_updates", "valid_num_updates"), "step")


def plain_name(name: str) -> str:
    """A column's name in small letters, its words joined by `_`, the set first: `train_loss`."""
    plain = spelt_out(name)
    return SAME.get(plain) or JOINED.get(plain) or BEHIND.sub(r"\2_\1", plain)


def spelt_out(name: str) -> str:
    """A column's name in small letters, with `_` between its own words."""
    spaced = name.strip().lower()
    for mark in "/-.:@()[]":
        spaced = spaced.replace(mark, " ")
    return "_".join(spaced.split()).lstrip("_")


def number_in(cell: str) -> float | None:
    """A number that may be missing: nothing rests on it alone."""
    if not cell:
        return None
    try:
        return float(cell.strip().removesuffix("%") if "%" in cell else cell)
    except ValueError:
        return None


def is_told(cells: Mapping[str, str], name: str) -> bool:
    """Whether a column has a number in this line, `nan` being one."""
    return number_in(cells.get(name, "")) is not None
