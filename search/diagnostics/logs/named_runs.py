"""Which lines of a text are of which run, where several runs write among each other and every line
names its own in front of its epoch, as `[fold1] epoch 3 loss 0.5`.

Read as one, their losses would be averaged.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from search.diagnostics.logs.doubts import results_refused
from search.diagnostics.logs.line import ROUND, number_in
from search.diagnostics.logs.losses import FEW
from search.diagnostics.logs.measures import is_of_val
from search.diagnostics.logs.printed_lines import NEWS, OVER, tells_loss, tells_loss_of_train
from search.diagnostics.logs.told_numbers import FILLERS, LONGEST, OF_LINES, numbers_of
from search.errors import refused

COUNTER = re.compile(r"\b(epochs?|ep|steps?|iter(?:ation)?s?|round|batch)(?=[\W\d_])", re.I)
LOSS = re.compile(r"loss|entropy|\bnll\b|\bcost\b", re.I)
# What a line is of, wherever it says so: `fold 2`, `run=a`, `model: resnet18`.
OF_RUN = re.compile(
    r"\b(fold|run|trial|seed|subject|client|model|experiment|exp|job|member|pid)"
    r"(?:[ _#:=-]*(\d+)|[ \"']*[:=][ \"']*([\w.-]+))",
    re.I,
)
# The processes of one training, whose losses are of parts of its batches.
OF_ONE = re.compile(
    r"\b(?:local_?|global_?)?(?:rank|gpu|cuda|device|worker|node)[ _#:=-]*\d+", re.I
)
COUNT = re.compile(r"(?:e|ep|epoch|s|step|it|iter|b|batch)[_-]?\d+", re.I)  # as a word, `[E1]`
WORD = re.compile(r"(?<![\w.])[a-z_][\w.-]*", re.I)
# Words of what happens to a run, of its sets, and of who writes the line: they name no run.
NO_NAMES = {*NEWS, *OVER, *FILLERS, *OF_LINES, "start", "started", "begin", "new", "info", "debug"}
MONTHS = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
NO_NAMES |= MONTHS | {"mon", "tue", "wed", "thu", "fri", "sat", "sun", "am", "pm"}
DRAWN, STRETCH = 4000, 50  # lines that are looked at first, and so many behind each other
OF_BATCH = re.compile(r"\d+/\d+[\]) :]|\b(?:batch|step|iter)|%\|", re.I)  # in a line: of a part
OF_EPOCHS = re.compile(r"\bepoch\W{0,3}\d+ */ *\d+", re.I)
LEAST = 2  # epochs that several names tell, from which these are runs
MANY = 1000  # lines: a text that tells the results of some models has fewer
COUNTED = {"epoch", "step", ROUND}
Name = tuple[str, ...]
At = tuple[float, float]  # epoch and step


def runs_of(path: Path, text: str) -> dict[str, str]:
    """The text of each run by its name, its lines where they stood; a whole text has no name.

    Raises:
        UsageError: several names tell the same epochs, and which lines are of which run is unsure.
    """
    lines = text.splitlines()
    _refuse_results(path, lines)
    if len(_often(_drawn(lines))) < 2:
        return {"": text}
    names = [_name(line[:LONGEST]) for line in lines]
    told = _told(lines, names)
    runs = set[Name]()
    for by_name in told.values():
        if not _are_runs(by_name):
            continue
        if not _are_whole(by_name):
            got = f"{_shown(list(by_name))} in front of the same epochs"
            rule, remedy = "each run needs its own lines", "write each run to a file of its own"
            raise refused(
                str(path), code="log-runs-not-told-apart", rule=rule, got=got, remedy=remedy
            )
        runs |= by_name.keys()
    if not runs:
        return {"": text}
    shown = _names(runs)
    kept: dict[Name, list[str]] = {name: [""] * len(lines) for name in shown}
    current = next(name for name in names if name in runs)
    for number, (line, name) in enumerate(zip(lines, names, strict=True)):
        current = name if name in runs else current
        assert current is not None  # the first of them was not
        kept[current][number] = line
    return {f": {shown[name]}": "\n".join((*own, "")) for name, own in kept.items()}


def _refuse_results(path: Path, lines: Sequence[str]) -> None:
    """Refuses what a text of few lines tells of the ends of several trainings: a line for each of
    several models, none of which counts, or one late epoch of each, with validation.
    """
    told = [numbers_of(line) for line in lines] if len(lines) <= MANY else []
    of_train = [(line, own) for line, own in zip(lines, told, strict=False) if _trains(own)]
    names = [_name(line) for line, _ in of_train]
    plain = {re.sub(r"\d+", "", " ".join(name)) for name in names if name}
    counted = any(not COUNTED.isdisjoint(own) for own in told)
    models = not counted and len(of_train) > 1 and len(plain) == len(of_train)
    whole = ((OF_EPOCHS.sub("", line), own) for line, own in of_train if "epoch" in own)
    at_epoch = [own for line, own in whole if not OF_BATCH.search(line)]
    epochs = [number_in(own["epoch"]) or 0.0 for own in at_epoch]
    beside = all(any(tells_loss(n) and is_of_val(n) for n in own) for own in at_epoch)
    few = len(set(epochs)) < FEW <= len(epochs) if beside else len(set(epochs)) < len(epochs) == 2
    ends = few and len(at_epoch) == len(of_train) and min(epochs) > 1
    if not models and not ends:
        return
    if models:
        got = f"a line each of {_shown([name for name in names if name])}"
    else:
        got = f"epoch {epochs[0]:g} {epochs.count(epochs[0])} times"
    raise results_refused(path, got)


def _trains(numbers: Mapping[str, str]) -> bool:
    return any(map(tells_loss_of_train, numbers))


def _drawn(lines: Sequence[str]) -> list[str]:
    """All lines, or of very many stretches that lie evenly among them."""
    apart = max(STRETCH, len(lines) * STRETCH // DRAWN)
    return [line for at in range(0, len(lines), apart) for line in lines[at : at + STRETCH]]


def _often(lines: Sequence[str]) -> set[Name]:
    """The names that several lines have."""
    names = Counter(name for line in lines if (name := _name(line[:LONGEST])) is not None)
    return {name for name, times in names.items() if times >= LEAST}


def _name(line: str) -> Name | None:
    """What a line names in front of what it counts and measures; None of a line without either."""
    counter, loss = COUNTER.search(line), LOSS.search(line)
    if not loss:
        return None
    front = min(found.start() for found in (counter, loss) if found)
    of_run = [f"{word.lower()} {number or value}" for word, number, value in OF_RUN.findall(line)]
    words = WORD.findall(OF_RUN.sub(" ", OF_ONE.sub(" ", line[:front])))
    words = [word for word in words if not COUNT.fullmatch(word)]
    return (*of_run, *(word for word in words if word.lower().strip("_") not in NO_NAMES))


def _told(
    lines: Sequence[str], names: Sequence[Name | None]
) -> dict[tuple[str, ...], dict[Name, list[tuple[At, float]]]]:
    """By the losses of train that lines tell, and by their names: the epochs and steps, and the
    first of these losses.
    """
    told: dict[tuple[str, ...], dict[Name, list[tuple[At, float]]]] = {}
    for line, name in zip(lines, names, strict=True):
        if name is None:
            continue
        numbers = numbers_of(line)
        losses = tuple(sorted(filter(tells_loss_of_train, numbers)))
        at = tuple(number_in(numbers.get(count, "")) for count in ("epoch", "step"))
        loss = number_in(numbers[losses[0]]) if losses else None
        if loss is not None and any(number is not None for number in at):
            own = told.setdefault(losses, defaultdict(list))[name]
            own.append(((at[0] or 0.0, at[1] or 0.0), loss))
    return told


def _are_runs(told: Mapping[Name, Sequence[tuple[At, float]]]) -> bool:
    """Whether several names tell other losses of the same epochs, and each of them tells an epoch
    once: the lines of one run alone would tell all of it under one name.
    """
    counts = {name: [at for at, _ in own] for name, own in told.items()}
    rise = all(
        before < after or after == own[0]
        for own in counts.values()
        for before, after in pairwise(own)
    )
    losses: dict[At, set[float]] = defaultdict(set)
    times = Counter(at for own in counts.values() for at in set(own))
    for own in told.values():
        for at, loss in own:
            losses[at].add(loss)
    shared = [at for at in times if times[at] > 1 and len(losses[at]) > 1]
    return len(told) > 1 and rise and len(shared) >= LEAST


def _are_whole(told: Mapping[Name, Sequence[tuple[At, float]]]) -> bool:
    """Whether each name tells all epochs up to its last: else one run may have several names."""
    each = [{at for at, _ in own} for own in told.values()]
    every = sorted(set().union(*each))
    return all(sorted(own) == every[: len(own)] for own in each)


def _names(runs: set[Name]) -> dict[Name, str]:
    """What is shown of each name: the words that not all of them hold."""
    shared = set.intersection(*map(set, runs))
    return {
        name: " ".join(word for word in name if word not in shared) or "(no name)"
        for name in sorted(runs)
    }


def _shown(names: Sequence[Name]) -> str:
    return ", ".join(_names(set(names)).values())
