"""Logs of a training that went on from an earlier epoch, as after a crash: what it gave up is left
out.
"""

from collections.abc import Sequence

from search.diagnostics.logs.line import Line, is_told, number_in

OFTEN, FEWEST = 3, 3  # most times that a training is taken up again; epochs of each time, at least


def taken_up(lines: Sequence[Line], *, axis: str, loss: str) -> tuple[list[Line], list[float]]:
    """The lines without those of epochs that were trained again, and the epochs from which; no line
    is left out where the order tells of something else, such as rows that are not sorted, or a
    training of another kind, which tells no `loss` of train.
    """
    parts: list[list[Line]] = [[]]
    starts: list[float] = []
    before = float("-inf")
    for line in lines:
        at = number_in(line[1].get(axis, ""))
        if at is not None and at < before:
            parts.append([])
            starts.append(at)
        parts[-1].append(line)
        before = before if at is None else at
    if not 0 < len(starts) <= OFTEN or any(_epochs(part, axis, loss) < FEWEST for part in parts):
        return list(lines), []
    kept: list[Line] = []
    for start, part in zip((None, *starts), parts, strict=True):
        if start is not None:
            kept = [line for line in kept if (number_in(line[1].get(axis, "")) or 0.0) < start]
        kept += part
    return kept, starts


def _epochs(lines: Sequence[Line], axis: str, loss: str) -> int:
    return len({cells.get(axis, "") for _, cells in lines if is_told(cells, loss)})
