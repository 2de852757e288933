"""One page for several searches of one contract: their answers side by side, then each in full."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.contract.fingerprint import is_same
from search.errors import UsageError
from search.results.findings import Findings
from search.results.report.answer import answer_of
from search.results.report.blocks import Figures, Group, Page, Section, Table
from search.results.report.chart import Axis, Chart, Series
from search.results.report.numbers import setting, with_interval
from search.results.report.page import render
from search.results.report.sections import search_sections
from search.results.report.staged_answer import staged_interval, staged_rivals
from search.results.summary.formatting import half_width, two_digits
from search.results.tables import LoadedSearch
from search.stages.comparison import compare
from search.stages.group import Group as Candidate
from search.storage.folder import Folder

FIXED = ("task", "metric", "direction", "definition", "data", "split", "normalisation")


def comparison_page(searches: Sequence[LoadedSearch]) -> str:
    """The page.

    Raises:
        UsageError: the searches differ in their contracts: their numbers mean different things.
    """
    first, *others = searches
    for other in others:
        _check_contract(first.folder, other.folder)
    names = [loaded.findings.plan.name for loaded in searches]
    overview = Group(name="comparison", title="Side by side", sections=[_side_by_side(searches)])
    groups = [
        Group(
            name=f"search-{number}",
            title=loaded.findings.plan.name,
            sections=search_sections(loaded.findings, loaded.curves, loaded.folder),
            answer=answer_of(loaded.findings),
            folded=True,
        )
        for number, loaded in enumerate(searches)
    ]
    kicker = f"Knobwise · {len(searches)} searches of one contract"
    return render(Page(title=" and ".join(names), kicker=kicker, groups=[overview, *groups]))


def _check_contract(first: Folder, other: Folder) -> None:
    here, there = first.load_contract(), other.load_contract()
    lines = [
        f"{key}: {_shown(here.get(key))} in {first.path.name}, "
        f"{_shown(there.get(key))} in {other.path.name}"
        for key in FIXED
        if not is_same(here.get(key), there.get(key))
    ]
    if lines:
        raise UsageError(
            f"report: searches on one page share their contract (R2, R4), but {first.path.name} "
            f"and {other.path.name} do not; report them one by one:\n  " + "\n  ".join(lines),
            code="contracts-differ-on-page",
        )


def _shown(part: Any) -> str:
    """A part of a contract, short."""
    if isinstance(part, Mapping):
        text = ", ".join(f"{key} {value}" for key, value in part.items() if key != "classes")
    else:
        text = str(part)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _side_by_side(searches: Sequence[LoadedSearch]) -> Section:
    """The winners with their intervals."""
    metric = searches[0].findings.plan.metric
    rows = [
        _winner(loaded.findings) | {"against the first": _against(searches[0], loaded)}
        for loaded in searches
    ]
    places = [place for place, row in enumerate(rows) if row["mean"] is not None]
    chart = Chart(
        title=f"{metric.name} of each search's winner",
        alt="; ".join(f"{row['search']}: {row['result']}" for row in rows),
        series=[
            Series(
                name="winner, 95 % interval",
                look="mean",
                x=[*map(float, places)],
                y=[rows[place]["mean"] for place in places],
                errors=[rows[place]["interval"] for place in places],
                hover=[f"{rows[place]['search']}\n{rows[place]['result']}" for place in places],
            )
        ],
        x=Axis(
            ticks={float(place): row["search"] for place, row in enumerate(rows)},
            limits=(-0.5, len(rows) - 0.5),
        ),
        y=Axis(title=f"{metric.name}, validation"),
    )
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return Section(
        name="winners",
        title="The winners",
        lead=(
            "Each search compares its own candidates; a winner is compared with the first search's "
            "by the same test, with a 95 % interval that allows for the choice of each winner."
        ),
        blocks=[
            Figures(charts=[chart], table=Table(title="By search", columns=columns, open=True))
        ],
    )


def _against(first: LoadedSearch, other: LoadedSearch) -> str:
    """A search's winner against the first one's: the difference with its interval (P5)."""
    mine, theirs = (_chosen(loaded.findings) for loaded in (first, other))
    if first is other or mine is None or theirs is None:
        return ""
    metric = first.findings.plan.metric
    rows = first.folder.val_rows
    compared = compare(
        mine.group.scores,
        theirs.group.scores,
        resolution=1 / rows,
        among=(_rivals(first.findings), _rivals(other.findings)),
    )
    low, high = sorted(map(metric.value_of, (compared.low, compared.high)))
    difference, low_end, high_end = (
        two_digits(value, sign="+") for value in (metric.value_of(compared.difference), low, high)
    )
    if not low <= high or math.isnan(mine.half) or math.isnan(theirs.half):
        return f"{difference}, not tested: few seeds, seeds that never differ or that chose it"
    return f"{difference} [{low_end}, {high_end}], {compared.outcome}"


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """A winner's seeds, half the interval of their mean, and its settings."""

    group: Candidate
    half: float
    settings: str


def _chosen(findings: Findings) -> _Chosen | None:
    """The winner; None where there is none yet."""
    winner, index, steps = findings.winner, findings.winning, findings.steps
    if index is not None:
        group = findings.groups[index]
        half, knobs = half_width(findings.decision, index), findings.chosen[group.candidate]
        return _Chosen(group=group, half=half, settings=setting(knobs))
    if winner is None:
        return None
    values = findings.scores_of(steps[-1]) if steps else [winner.value]
    sign = findings.plan.metric.sign
    scores = tuple(None if value is None else sign * value for value in values)
    return _Chosen(
        group=Candidate(candidate=winner.spec.trial, scores=scores),
        half=staged_interval(findings) if steps else math.nan,
        settings=setting(steps[-1]["held"]) or "the defaults" if steps else "",
    )


def _rivals(findings: Findings) -> int:
    """How many values the winner was the best of; 1 for a baseline that stays."""
    if findings.steps:
        return max(staged_rivals(findings), 1)
    decision = findings.decision
    return len(findings.groups) if decision is not None and decision.adopted else 1


def _winner(findings: Findings) -> dict[str, Any]:
    row: dict[str, Any] = {"search": findings.plan.name, "result": answer_of(findings).label}
    chosen = _chosen(findings)
    if chosen is None:
        return row | {"mean": None, "interval": None, "seeds": None, "settings": ""}
    mean = findings.plan.metric.value_of(chosen.group.mean)
    return row | {
        "result": f"{with_interval(mean, chosen.half)}, {row['result']}",
        "mean": mean,
        "interval": chosen.half,
        "seeds": len(chosen.group.clean),
        "settings": chosen.settings,
    }
