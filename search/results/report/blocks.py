"""What a page is made of: sections of blocks, and groups of sections. Plain data, no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from search.results.report.chart import Chart


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that the page can sort, filter, copy and save. `columns`: name → values.

    `note`: what was left out, if anything. `open`: whether it is shown at once.
    """

    kind: ClassVar[str] = "table"
    title: str
    columns: Mapping[str, Sequence[Any]]
    note: str = ""
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Charts with the table behind them. `choose`: one chart is shown at a time, named so.

    `zoomed`: the charts begin with their range near the best.
    """

    kind: ClassVar[str] = "figures"
    charts: Sequence[Chart]
    table: Table | None = None
    choose: str = ""
    small: bool = False
    zoomed: bool = False


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The learning curves of trials that the reader picks.

    `trials`: number → name, verdict, reason, and the columns by name. `picked`: shown at first.
    """

    kind: ClassVar[str] = "curves"
    metric: str
    trials: Mapping[int, Mapping[str, Any]]
    picked: Sequence[int]
    table: Table
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Words:
    """Paragraphs, or a list."""

    kind: ClassVar[str] = "words"
    lines: Sequence[str]
    listed: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Terms and what they are."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Log:
    """Text as a program printed it, folded under its title."""

    kind: ClassVar[str] = "log"
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One decision in the notebook."""

    kind: ClassVar[str] = "entry"
    title: str
    mark: str
    lines: Sequence[str]
    rules: Sequence[str]
    caveats: Sequence[str] = ()


Block = Table | Figures | Curves | Words | Facts | Log | Entry


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question that the page answers. `lead`: the answer in a sentence."""

    name: str
    title: str
    blocks: Sequence[Block]
    lead: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcome in one sentence. `mark`: gain, stays, unsure, open or none, which colors it.

    `cards`: label, value, note. `commands`: what to type next, if anything, and what it does.
    """

    mark: str
    label: str
    sentence: str
    surety: str
    cards: Sequence[tuple[str, str, str]] = ()
    settings: Sequence[str] = ()
    commands: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Group:
    """The sections of one search or of one stage. Several groups on a page can be folded."""

    name: str
    title: str
    sections: Sequence[Section]
    answer: Answer | None = None
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page. `refresh`: seconds after which it loads itself again; 0 never."""

    title: str
    kicker: str
    groups: Sequence[Group] = field(default_factory=tuple)
    refresh: int = 0


def table_of(frame: pd.DataFrame, *, title: str, note: str = "", open: bool = False) -> Table:
    """A data frame as a table; its numbers keep all their digits."""
    columns = {
        str(name): frame[name].astype(object).where(frame[name].notna(), None).tolist()
        for name in frame
    }
    return Table(title=title, columns=columns, note=note, open=open)


def present(*sections: Section | None) -> list[Section]:
    """The sections that have something to show."""
    return [section for section in sections if section is not None]
