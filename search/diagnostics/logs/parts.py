"""Which lines of a text are of which training, where several stand in different forms one behind
the other. A form is what a line names: losses, what counts them, and whether it is a bar or record.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from search.diagnostics.logs.line import ROUND, number_in, plain_name
from search.diagnostics.logs.losses import EPOCH, FEW, STEP
from search.diagnostics.logs.once import COUNTS
from search.diagnostics.logs.printed_lines import BAR, tells_loss, tells_loss_of_train
from search.diagnostics.logs.printed_records import record_of
from search.diagnostics.logs.told_numbers import LONGEST, numbers_of

DIGITS = re.compile(r"[-+.\d]+(?:e[-+]?\d+)?")
COUNTER = dict.fromkeys(EPOCH[:2], "epoch") | {ROUND: ROUND} | dict.fromkeys(STEP, "step")


def parts_of(text: str) -> dict[str, str]:
    """The parts by their lines, behind empty ones for those before; a whole text has no name."""
    lines = text.splitlines()
    ends = [end for pair in pairwise(_spans(lines)) if (end := _end(lines, *pair))]
    if not ends:
        return {"": text}
    return {
        f": lines {begin + 1} to {end}": "\n" * begin + "\n".join((*lines[begin:end], ""))
        for begin, end in pairwise((0, *ends, len(lines)))
    }


def _spans(lines: Sequence[str]) -> list[tuple[int, int]]:
    """The first and last lines that tell losses of train of forms that occur among each other."""
    known: dict[str, tuple[str, ...]] = {}
    places: dict[tuple[str, ...], list[int]] = {}
    for at, line in enumerate(lines):
        if (plain := DIGITS.sub("0", line[:LONGEST])) not in known:
            kind, told = _named(line)
            names = sorted(name for name in told if tells_loss(name) or name in COUNTS)
            train = any(map(tells_loss_of_train, names))
            known[plain] = (kind, *names) if train else ()
        if known[plain]:
            places.setdefault(known[plain], []).append(at)
    spans: list[tuple[int, int]] = []
    for own in places.values():  # in the order of their first lines
        if len(own) >= FEW:
            begin, end = spans.pop() if spans and own[0] < spans[-1][1] else (own[0], own[-1])
            spans.append((begin, max(end, own[-1])))
    return spans


def _end(lines: Sequence[str], before: tuple[int, int], after: tuple[int, int]) -> int:
    """Behind which line another training begins, as counts do not go on from part to part; or 0."""
    end = before[1] + 1
    named = _count(reversed(lines[before[0] : end]))
    below = "epoch" in named.keys() - _count(lines[: before[0] + 1]).keys()
    for at in range(end, after[0]):  # its last epoch, and what that tells of validation
        told = _named(lines[at])[1]
        end = at + 1 if (below and "epoch" in told) or any(map(tells_loss, told)) else end
        below &= "epoch" not in told
    last = _count(reversed(lines[before[0] : end]))
    first = _count(lines[after[0] : after[1] + 1]) | _count(reversed(lines[end : after[0] + 1]))
    by = next((name for name in COUNTER.values() if name in last or name in first), "")
    goes_on = not by or first.get(by, -math.inf) > last.get(by, math.inf)
    return 0 if goes_on else end


def _count(lines: Iterable[str]) -> dict[str, float]:
    """The first number of each counter, up to that of an epoch."""
    found: dict[str, float] = {}
    for line in lines:
        for name, cell in _named(line)[1].items():
            if name in COUNTER and (number := number_in(cell)) is not None:
                found.setdefault(COUNTER[name], number)
        if "epoch" in found:
            break
    return found


def _named(line: str) -> tuple[str, Mapping[str, str]]:
    """What kind of line it is, and what it tells by name."""
    if "{" in line and (record := record_of(line)):
        return "record", {plain_name(name): str(value) for name, value in record.items()}
    return "bar" if BAR.match(line[:LONGEST]) else "line", numbers_of(line)
