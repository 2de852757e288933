"""Which parts of the lines that a program prints are records: one JSON object per epoch.

A record holds the metric's own name, or outputs. It may stand behind other text or a progress bar;
other objects are no records, nor is one that says it is of train rows, nor a summary: one without
an epoch after those with one. Losses of an epoch in lines of their own are joined to its record.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from trainers.api import OUTPUTS

Record = dict[str, Any]
OTHERS = ("layers", "remark")  # what a record may hold beside numbers
OBJECTS = 1000  # objects of one line that are looked at
BROKEN = (
    "a record that the program printed is no whole JSON object, so its epoch is lost: other output "
    "stands within it, or a word such as nan; print a record and its line's end in one call, from "
    "one process"
)
MORE = (
    "the program prints more epochs than trainer.epochs={}: print each epoch once, from one "
    "process, and of several folds or trainings their mean; hand it {{trainer.epochs}} in "
    "trainer.command, or say how many it trains"
)
FROM_0 = "; where its epoch 0 is the untrained model, say trainer.untrained=true"
LATE = (
    "the first epoch that the program prints is {}: if it goes on from what an earlier trial has "
    "saved, two trials are one training; save in the folder that {{folder}} in trainer.command "
    "becomes"
)
UNEVEN = (
    "a record that the program printed is left out, since its epoch is no whole number: number the "
    "records 1, 2, 3 …, evaluations within an epoch too"
)
SUMMARY = (
    "the program printed {} without an epoch of its own, after records that have one: it is taken "
    "for a summary and left out, although no record holds this {}; give it its epoch if it is one"
)
SAME = 1e-3  # difference of two scores, by their size, up to which one is the other, rounded
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # of terminals, also between the parts of a record
LAST_EPOCH = 10**9
PYTHON = re.compile(r"\{[^{}]*'[^{}]*\}")  # a dict as Python prints it
UNREAD = (
    *("is no plain number", "is not looked for there", "print(json.dumps(…))"),
    "says that it is of train rows: print what validation gives",
)
TRAIN, OF_VALIDATION = ("train", "training"), ("val", "eval", "dev", "test")  # marks of an object
MISSPELT = 3  # objects with a metric in other letters, and no record, that are no chance
DECODER = json.JSONDecoder()


class Printed:
    """Reads lines in their order.

    Args:
        needed: names that make an object a record; any object is one where there are none.
        untrained: whether a record of epoch 0 is of the untrained model. If not, it is the first
            trained epoch of a program that counts from 0, and every epoch is one higher here.
        shift: 1 if an earlier attempt has counted from 0.
        numbered: whether an earlier attempt has numbered its records.
        most: `trainer.epochs`; a program that prints more is told.
        resumes: whether an earlier attempt of the trial has printed epochs.
        told: what its records have held, by needed name.
    """

    def __init__(
        self,
        *,
        needed: Sequence[str],
        untrained: bool,
        shift: int = 0,
        numbered: bool = False,
        most: int = LAST_EPOCH,
        resumes: bool = False,
        told: dict[str, set[float]] | None = None,
    ) -> None:
        self._needed, self._untrained, self.shift = tuple(needed), untrained, shift
        self.numbered, self._most = numbered, most
        self.last = -1  # epoch of the last record
        self._first = 1 if resumes else 0  # the first epoch that was printed; 0 before it
        self._partial: dict[int, Record] = {}  # numbers of epochs without their metric yet
        self.other = ""  # the last object that was no record, and why, where that can be seen
        self._misspelt = 0  # objects with the metric's name in other letters
        self._broken = False  # whether a record was lost, and no later one says so yet
        self._uneven = False  # whether one was left out for its epoch, likewise
        self.told = told or {}  # what records have held, by needed name
        self._summary: Record = {}  # the last record that was left out for having no epoch
        # One more of the last epoch: a summary too, if none of a later epoch follows.
        self._repeated: Record | None = None

    @property
    def is_last(self) -> bool:
        """Whether the last record that was read is of the last epoch."""
        return self.last >= self._most

    def read(self, line: str) -> tuple[list[Record], bool]:
        """The records of a line, and whether it holds anything else."""
        line = COLOURS.sub("", line)
        records, rest, between = [], line, line
        for text, item in _objects(line):
            between = between.replace(text, "", 1)
            record = self._record(item)
            if record is not None:
                if self._repeated is not None:  # each epoch more than once, as of several ranks
                    records.append(self._repeated)
                records.append(record)
                rest = rest.replace(text, "", 1)
            elif why := self._why_unread(item):
                self.other = f"{text:.200}, {why}"
            elif not self.other.endswith(UNREAD):
                self.other = f"{text:.200}"
        for text in [] if records else PYTHON.findall(line):
            if any(repr(name) in text for name in self._needed):
                self.other = f"{text:.200}, as Python writes it and not JSON: {UNREAD[2]}"
        begun = between[between.find('{"') :] if '{"' in between else ""
        self._broken |= any(json.dumps(name) in begun for name in ("epoch", *self._needed))
        return records, bool(rest.strip())

    def _record(self, item: Record) -> Record | None:
        if self._train_mark(item):
            return None
        if "epoch" not in item and self.numbered:
            self._summary = item if all(name in item for name in self._needed) else self._summary
            return None
        epoch = _whole(item["epoch"]) if "epoch" in item else self._next()
        if epoch is None:
            is_record = bool(self._needed) and all(name in item for name in self._needed)
            self._uneven |= is_record and item["epoch"] is not None
            return None
        numbers = _numbers(item, needed=self._needed)
        if not any(name in item for name in OUTPUTS) and any(
            name not in numbers for name in self._needed
        ):
            if "epoch" in item:
                self._partial.setdefault(epoch, {}).update(numbers)
            self._check_spelling(item)
            return None
        if epoch == 0 and not self._untrained:
            self.shift = 1
        numbers = self._partial.pop(epoch, {}) | numbers
        if "epoch" in item and epoch + self.shift == self.last:
            self._summary = self._repeated = {**numbers, "epoch": self.last}
            return None
        self._partial = {later: values for later, values in self._partial.items() if later > epoch}
        self.last, self.numbered = epoch + self.shift, "epoch" in item
        self._first = self._first or self.last
        for name in self._needed:
            self.told.setdefault(name, set()).add(numbers.get(name, math.nan))
        return {**numbers, **self._remark(), "epoch": self.last}

    def _next(self) -> int:
        """The epoch of a record that has none: of the losses that were printed before it, if any
        wait for their metric, else the next.
        """
        last = max(self.last, 0)
        later = [epoch for epoch in self._partial if epoch + self.shift > last]
        return max(later, default=last + 1 - self.shift)

    def left_out(self) -> str:
        """What to say at the program's end of a summary whose score no record holds."""
        for name in self._needed:
            value = _numbers(self._summary, needed=[name]).get(name)
            if not isinstance(value, int | float) or not math.isfinite(value):
                continue
            near = SAME * (1e-3 + abs(value))
            if not any(abs(value - told) <= near for told in self.told.get(name, ())):
                return SUMMARY.format(f"{{{json.dumps(name)}: {value:.4g}}}", name)
        return ""

    def _train_mark(self, item: Record) -> str:
        """The name that says an object is of train rows, such as `split`; empty where none does, or
        where it holds validation's numbers too.
        """
        if any(name.lower().startswith(OF_VALIDATION) for name in item):
            return ""
        marks = (name for name, value in item.items() if str(value).lower() in TRAIN)
        return next(marks, "")

    def _why_unread(self, item: Record) -> str:
        """Why an object that holds the metric is no record; empty where it does not hold it."""
        for name in self._needed:
            if name in item and (mark := self._train_mark(item)):
                return f"whose {mark!r} {UNREAD[3]}"
            if name in item:
                is_epoch = "epoch" in item and _whole(item["epoch"]) is None
                return f"whose {('epoch' if is_epoch else name)!r} {UNREAD[0]}"
            for key, inner in item.items():
                if isinstance(inner, dict) and name in inner:
                    return f"whose {name!r} in {key!r} {UNREAD[1]}"
        return ""

    def _check_spelling(self, item: Record) -> None:
        """Raises ValueError where the metric's name has come in other letters, and no record."""
        plain = {} if self.last > 0 else {_plain(name): name for name in item}
        for name in self._needed:
            other = plain.get(_plain(name), name)
            self._misspelt += other != name
            if other != name and self._misspelt >= MISSPELT:
                raise ValueError(
                    f"metric.name: the search reads {name!r}, but the program prints {other!r}; "
                    f"print that name, or say metric.name={other}"
                )

    def _remark(self) -> Record:
        """What the search should hear of the program, with its next record."""
        if self._broken:
            self._broken = False
            return {"remark": BROKEN}
        if self._uneven:
            self._uneven = False
            return {"remark": UNEVEN}
        if self.last == self._first + 1 and self._first > 1:  # not one that prints every 5 epochs
            return {"remark": LATE.format(self._first)}
        more = MORE.format(self._most) + FROM_0 * self.shift
        return {"remark": more} if self.last > self._most else {}


def needed_names(metric: dict[str, Any]) -> tuple[str, ...]:
    """What a record of this metric must hold: its name, or the metrics in its formula."""
    if metric.get("_target_"):
        return OUTPUTS[:1]  # a function of outputs
    if not metric.get("formula"):
        return (str(metric["name"]),) if metric.get("name") else ()
    words = "".join(c if c.isalnum() or c == "_" else " " for c in str(metric["formula"])).split()
    functions = ("log", "log2", "log10", "exp", "sqrt", "abs", "min", "max")
    measured = ("seconds", "parameters")
    return tuple(word for word in words if word.isidentifier() and word not in functions + measured)


def _objects(line: str) -> Iterator[tuple[str, Record]]:
    """The outermost JSON objects in a line, as they are written and read."""
    place = line.find("{")
    for _ in range(OBJECTS):
        if place < 0:
            return
        try:
            item, end = DECODER.raw_decode(line, place)
            yield line[place:end], item
        except (ValueError, RecursionError):
            end = place + 1
        place = line.find("{", end)


def _plain(name: str) -> str:
    """A name without its case and its marks: `Val-Acc` is `valacc`."""
    return "".join(filter(str.isalnum, name)).lower()


def _whole(value: Any) -> int | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    is_whole = 0 <= number <= LAST_EPOCH and number == int(number)
    return int(number) if is_whole else None


def _numbers(item: Record, *, needed: Sequence[str]) -> Record:
    """What a record may hold of an object; a needed number that is null is none."""
    kept: Record = {}
    for name, value in item.items():
        if name == "epoch":
            continue
        if name in OUTPUTS or (name in OTHERS and isinstance(value, dict | str)):
            kept[name] = value
        elif value is None and name in needed:
            kept[name] = math.nan  # how JSON without NaN writes it
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            with suppress(ValueError, OverflowError):  # no number, or one beyond all floats
                number = float(value)
                kept[name] = number if isinstance(value, str) else value
    return kept
