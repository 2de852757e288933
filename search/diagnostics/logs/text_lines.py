"""A text log as a table: `epoch 3: loss=0.5 val_loss=0.6`, Keras' progress and the like.

A line belongs to the last epoch that was named.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import dropwhile, islice, pairwise
from statistics import median

from search.diagnostics.logs.commas import with_points_in_text
from search.diagnostics.logs.line import ROUND, Line, Table
from search.diagnostics.logs.losses import FEW
from search.diagnostics.logs.measures import ENTROPIES, ERRORS, is_loss
from search.diagnostics.logs.once import COUNTS, once
from search.diagnostics.logs.printed_lines import printed_lines, tells_loss
from search.diagnostics.logs.told_numbers import NUMBER, numbers_of

# A batch's number, and the average so far in brackets.
AVERAGED = re.compile(rf"({NUMBER}) *\( *(?=\d+\.)({NUMBER}) *\)", re.I)
SO_FAR = re.compile(r"\bloss so far\b", re.I)
LOOKED_AT = 5000  # pairs of a number and one in brackets, which show what brackets hold
OF_BATCHES = re.compile(r"loss value printed in the log is the current (?:step|batch)", re.I)
NEAR = 3.0  # how far averages lie from their batches at most; a deviation in brackets lies farther
LOSSES = re.compile("|".join(("loss", "learn: ", "entropy", *ENTROPIES, *ERRORS)), re.I)
VALIDATION = re.compile(r"val|test|eval", re.I)
LEAST = 2  # lines that tell a loss, from which a text is a log
# A bar that counts epochs, or the batches of each: `Epoch:  10%|█   | 1/10 [00:05<…, loss=0.5]`.
EPOCH_BAR = re.compile(r"\bepochs?:? *(?=\d+%\|[^|\n]*\| *(\d+)/\d+(.*))", re.I)
DONE = re.compile(r"^(.*\bepochs?:? *\d+%\|[^|\n]*\| *)(\d+)/(\d+)(.*)$", re.I | re.M)  # the same


def is_text_log(
    text: str, *, least: int = LEAST, tells: Callable[[str], bool] = tells_loss
) -> bool:
    """Whether so many lines tell losses by name: a table's names stand in its first line alone."""
    named = (line for line in text.splitlines() if LOSSES.search(line))
    tell = (line for line in named if any(map(tells, numbers_of(line))))
    return sum(1 for _ in zip(range(least), tell, strict=False)) == least


def text_lines(text: str) -> Table:
    """The names that recur, in small letters with their phase in front, what each line tells, and
    how brackets were read.

    `batch` counts lines where an epoch tells a loss several times; of validation, and of averages
    so far, the last counts.
    """
    text = _with_running_epochs(_without_epochs_of_batches(with_points_in_text(text)))
    averaged = _tells_averages(text)
    text = AVERAGED.sub(r"\2", text) if averaged else text
    so_far = averaged or SO_FAR.search(text) is not None
    lines, at = _with_their_epochs(printed_lines(text))
    lines = list(dropwhile(lambda line: not any(map(tells_loss, line[1])), lines))  # of settings
    idle = _idle(lines, at)
    lines = [(n, {k: v for k, v in cells.items() if k != idle}) for n, cells in lines]
    axis = next((name for name in COUNTS if name in at and name != idle), "batch")
    of_axis = [line for line in lines if axis in line[1]]
    of_batches = OF_BATCHES.search(text) is not None
    lines = once(of_axis, axis, averaged=so_far, of_batches=of_batches)
    losses = Counter((cells[axis], name) for _, cells in lines for name in cells if is_loss(name))
    several = axis == "epoch" and max(losses.values(), default=0) > 1
    often = Counter(name for _, cells in lines for name in cells)
    left_out = {"bar"} if several else {"bar", "batch"}
    header = [name for name, times in often.items() if times > 1 and name not in left_out]
    kept = [(n, {k: v for k, v in cells.items() if k in header}) for n, cells in lines]
    brackets = {n: "brackets as averages so far" for n in header if averaged and is_loss(n)}
    return header, kept, brackets


def _without_epochs_of_batches(text: str) -> str:
    """The text with bars that are drawn anew, and so are one of each epoch, as bars of batches; of
    epochs they tell validation's loss, or are drawn once.
    """
    bars = [(int(count), behind) for count, behind in EPOCH_BAR.findall(text)]
    anew = any(after < before for (before, _), (after, _) in pairwise(bars))
    of_epochs = not anew or any(VALIDATION.search(behind) for _, behind in bars)
    return text if of_epochs else EPOCH_BAR.sub("", text)


def _with_running_epochs(text: str) -> str:
    """The text with bars of epochs that count the one which runs, where they tell a loss before the
    first is done: they are drawn once with its loss, and with the same once more as it is counted.
    """
    bars = list(DONE.finditer(text)) if "%|" in text else []
    ahead = any(int(bar[2]) == 0 and any(map(tells_loss, numbers_of(bar[0]))) for bar in bars)
    if not ahead:
        return text
    return DONE.sub(
        lambda bar: f"{bar[1]}{min(int(bar[2]) + 1, int(bar[3]))}/{bar[3]}{bar[4]}", text
    )


def _with_their_epochs(told: Sequence[Line]) -> tuple[list[Line], dict[str, str]]:
    """The lines that measure something, each with its number as `batch` and the epoch, round or
    step that it belongs to; and those of the last line.

    What lines tell that name their epoch themselves, others do not tell again.
    """
    lines: list[Line] = []
    at: dict[str, str] = {}
    own: set[str] = set()
    for number, numbers in told:
        begins = {name: numbers[name] for name in ("epoch", ROUND, "step") if name in numbers}
        at = begins if "epoch" in begins else at | begins  # a step counts within its epoch
        own |= set(numbers) if "epoch" in numbers else set()
        names = set(numbers) if "epoch" in numbers else set(numbers) - own
        if names - set(COUNTS):
            cells = {name: cell for name, cell in numbers.items() if name in names}
            lines.append((number, {"batch": str(number)} | cells | at))
    return lines, at


def _idle(lines: Sequence[Line], at: Mapping[str, str]) -> str:
    """The count that counts nothing here: a setting, such as `iterations: 5000`, or the number of
    an epoch or two that are told line by line.
    """
    steps = {cells["step"] for _, cells in lines if "step" in cells}
    if len(steps) == 1 and "epoch" not in at:
        return "step"
    return "epoch" if len(steps) <= 1 and _within(lines) else ""


def _within(lines: Sequence[Line]) -> bool:
    """Whether an epoch or two are told line by line, each with losses of train and validation."""
    losses = [[name for name in cells if is_loss(name)] for _, cells in lines]
    beside = sum(len({name.startswith("val_") for name in names}) > 1 for names in losses)
    return len({cells.get("epoch") for _, cells in lines}) < FEW <= beside


def _tells_averages(text: str) -> bool:
    """Whether a number in brackets is the average so far of the one before it."""
    found = islice(AVERAGED.finditer(text), LOOKED_AT)
    pairs = ((abs(float(pair[1])), abs(float(pair[2]))) for pair in found)
    ratios = [average / own for own, average in pairs if own and average]
    return len(ratios) >= LEAST and 1 / NEAR < median(ratios) < NEAR
