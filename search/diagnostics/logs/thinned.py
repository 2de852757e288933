"""What stands for a log of very many lines: of lines of one form every second, fourth, eighth one.

A line's form is the line without its numbers, so that the few lines which tell of validation all
stay among the many which tell of single steps of training.
"""

import re
from collections import Counter
from collections.abc import Iterable
from io import BufferedIOBase, BytesIO
from itertools import chain

from search.diagnostics.logs.columns import TRIAL
from search.diagnostics.logs.line import plain_name

LARGE = 1 << 24  # bytes above which a log is thinned
MOST = 1 << 15  # lines of a form that are kept at most
NUMBERS = re.compile(rb"[-+.\d]+(?:e[-+]?\d+)?")
WHOLE = (b"}", b"},")  # how a line ends that is a record in JSON by itself
JSON = (b"{", b"[")
WORD = re.compile(r"[^,;\t|]+")


def thinned(file: BufferedIOBase) -> tuple[bytes, str]:
    """The content, and how many of its lines these are, where not all.

    What is written over several lines, as JSON or a cell may be, what has two bytes a letter, and
    a table with a column of trainings, each of which may have few lines, stay whole.
    """
    start = file.read(LARGE)
    if len(start) < LARGE:
        return start, ""
    first, _, _ = start.lstrip().partition(b"\n")
    names = WORD.findall(first.decode(errors="replace"))
    if (
        (first.startswith(JSON) and not first.rstrip().endswith(WHOLE))
        or any(plain_name(name) in TRIAL for name in names)
        or b"\0" in first
        or any(line.count(b'"') % 2 for line in start.split(b"\n")[:-1])
    ):
        return start + file.read(), ""
    rest = file.readline()  # the line that the first part ends in
    kept, count = stands_for(chain(BytesIO(start + rest), file))
    share = f"{len(kept)} of its {count} lines stand for all" if len(kept) < count else ""
    before = (0, *(number for number, _ in kept))  # empty lines keep the numbers of the others
    gaps = (b"\n" * (number - last - 1) for (number, _), last in zip(kept, before, strict=False))
    return b"".join(chain.from_iterable(zip(gaps, (line for _, line in kept), strict=True))), share


def stands_for(lines: Iterable[bytes]) -> tuple[list[tuple[int, bytes]], int]:
    """The lines that stand for all, in order and with their numbers, and how many all are."""
    kept: dict[bytes, list[tuple[int, bytes]]] = {}
    seen, stride = Counter[bytes](), dict[bytes, int]()
    number = 0
    for number, line in enumerate(lines, start=1):
        form = NUMBERS.sub(b"0", line)
        own, step = kept.setdefault(form, []), stride.setdefault(form, 1)
        if seen[form] % step == 0:
            own.append((number, line))
        seen[form] += 1
        if len(own) > MOST:
            kept[form], stride[form] = own[::2], 2 * step
    return sorted(chain.from_iterable(kept.values())), number
