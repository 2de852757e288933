"""What each line of a printed log tells: progress bars, headings, and epochs named below theirs.

What a line does not name is its phase: the one of the last brief line that named one.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.diagnostics.logs.line import ROUND, Line
from search.diagnostics.logs.measures import ERRORS, is_loss, is_of_val
from search.diagnostics.logs.once import COUNTS
from search.diagnostics.logs.told_numbers import LONGEST, numbers_of, phase_of, words_of

# A progress bar, and how far it has come, of how much where it says so.
BAR = re.compile(r"\s*(\d+)/(\d+) |\s*step +(\d+)/(\d+) \[|.*?(\d+)%\||.*?\b(\d+)it \[")
BEST_ROUND = re.compile(r"\bbest iteration\b", re.I)  # is told once more in the line below
SETTING = re.compile(r"\s*\w+=\S+,$|.*\bNamespace\(")  # of a config printed in front of a training
OF_BATCHES = "Averaged stats:"  # told already, by the last batch
BRIEF = 5  # words of a line that says what the lines below it are of
NEWS = {"saved", "saving", "save", "best", "warning", "loaded", "loading", "loader", "dataset"}
NEWS |= {"data", "size", "samples", "images", "loss", "file", "directory", "set"}
Steps = dict[frozenset[str], tuple[float, float, bool]]  # by the names of losses
OVER = {"complete", "completed", "done", "end", "ended", "finished", "over"}


def tells_loss(name: str) -> bool:
    """Also an error that is told of a set, as boosting does."""
    return is_loss(name) or name.partition("_")[2] in ERRORS


def tells_loss_of_train(name: str) -> bool:
    """Also a loss that names no set."""
    return tells_loss(name) and not is_of_val(name)


def printed_lines(text: str) -> list[Line]:
    """What each line tells, its epoch's name in front of the lines of an epoch."""
    return _headed(_lines_with_numbers(text))


@dataclass
class Bar:
    """A progress bar: where what it tells stands, how much of it is drawn, and of which phase."""

    place: int
    share: float
    phase: str


def _lines_with_numbers(text: str) -> list[Line]:
    """What each line tells; a progress bar that is drawn again and again is one line, also where
    others stand between: it belongs to the phase in which it began.
    """
    lines: list[Line] = []
    bars: dict[str, Bar] = {}  # of this epoch, by what stands in front of them
    drawn: Bar | None = None  # by the line before
    trained: Steps = {}
    epoch, below, before = "", "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line:
            continue
        retold = OF_BATCHES in line or (BEST_ROUND.search(before) and ROUND in numbers_of(line))
        twice = line == before and "loss" in line.lower() and set(COUNTS) & set(numbers_of(line))
        before = line
        if retold or twice or SETTING.match(line):
            continue
        name, share = _bar(line)
        bar = bars.get(name)
        bar = bar if bar and bar.share <= share else None  # else it is drawn anew
        numbers = numbers_of(line, bar.phase if bar else below)
        if numbers.get("epoch", epoch) != epoch:  # what was told of the epoch before is over
            epoch, below, bars, bar = numbers["epoch"], "", {}, None
            numbers = numbers_of(line, below)
        if bar and bar.share == 1 and bar is not drawn:
            # A full bar may tell more once more, as Keras' losses of validation.
            bar = bar if set(lines[bar.place][1]) - {"bar"} < set(numbers) else None
            numbers = numbers if bar else numbers_of(line, below)
        unnamed = numbers_of(line) if below else numbers
        over = below and "epoch" in unnamed and OVER & {*words_of(line)}  # `Epoch 3 done: …`
        if over or _goes_on(unnamed, below, trained):  # it trains again
            below, numbers = "", unnamed
        if set(numbers) <= set(COUNTS):
            below = _heading(line, below)
        if bar:
            lines[bar.place] = (number, lines[bar.place][1] | numbers)
            bar.share = share
        elif name:
            bar = bars[name] = Bar(len(lines), share, below)
            lines.append((number, numbers | {"bar": name}))
        elif numbers:
            lines.append((number, numbers))
        drawn = bar if line.strip() else drawn
    return lines


def _bar(line: str) -> tuple[str, float]:
    """A progress bar's name, without its numbers but for how many there are to come, and the share
    that is drawn; no name where the line is none.
    """
    bar = BAR.match(line[:LONGEST])
    if not bar:
        return "", 0.0
    done, every = (bar[5], "100") if bar[5] else (bar[1] or bar[3], bar[2] or bar[4])
    if bar[6]:  # it does not know of how many
        done, every = bar[6], str(int(bar[6]) + 1)
        return re.sub(r"[\d.\s]+", "", bar[0]), float(done) / float(every)
    return re.sub(r"[\d.\s]+", "", bar[0]) + every, float(done) / max(float(every), 1.0)


def _goes_on(numbers: Mapping[str, str], below: str, trained: Steps) -> bool:
    """Whether the first line below a heading that tells the losses of training, and no set itself,
    tells the step that is to come next.

    `trained`: by the losses' names the last step in front of headings, how far it lay behind the
    one before it, and whether a line below this heading told another.
    """
    names = frozenset(filter(is_loss, numbers))
    step = float(numbers.get("step", math.nan)) if names else math.nan
    last, held, of_other = trained.get(names, (0.0, math.inf, False))
    goes_on = bool(below) and not of_other and step >= last + held
    stride = step - last if step > last else held
    trained[names] = (step, stride, False) if goes_on or not below else (last, held, True)
    return goes_on


def _headed(lines: Sequence[Line]) -> list[Line]:
    """The same, each epoch's name in front of its lines, also where it stands below them; without
    what is told behind the last one then, of an epoch that is not over.
    """
    blocks: list[list[Line]] = [[]]
    for number, numbers in lines:
        if "epoch" in numbers and any(tells_loss(name) for name in numbers if name[:4] != "val_"):
            return list(lines)  # lines of train name their epochs themselves
        blocks[-1].append((number, numbers))
        if "epoch" in numbers:
            blocks.append([])
    names = [{name for _, numbers in block for name in numbers} - set(COUNTS) for block in blocks]
    losses = {name for name in names[0] if tells_loss(name)}
    closed = all(losses <= own for own in names[:-1] if own) and not losses <= names[-1]
    if not losses or not closed:
        return list(lines)
    return [line for block in blocks[:-1] for line in (*block[-1:], *block[:-1])]


def _heading(line: str, before: str) -> str:
    """The phase of the lines below a brief line that names one and measures nothing, as
    `Evaluating…`; else that of before. Of train it is empty, as names without a phase are train's.
    """
    words = words_of(line)
    if not 0 < len(words) <= BRIEF or NEWS & set(words):
        return before
    if OVER & set(words):
        return ""
    phase = phase_of(words, "")
    return before if not phase else "" if phase == "train" else phase
