"""The sections of the decisions: a notebook of what was decided, and what brought no gain (P5)."""

from collections.abc import Iterator, Mapping
from typing import Any

from search.config.counted import count
from search.config.knobs import written
from search.results.findings import Findings
from search.results.report.blocks import Entry, Section, Table, Words
from search.results.report.numbers import rough, setting
from search.results.summary import conclusion, view_of
from search.results.summary.formatting import LABELS

WORDS = {"adopt": "adopted", "keep": "baseline kept", "none": "no winner"}
SAID = {
    "worse": "worse than the best, beyond chance",
    "tie": "no significant difference from the best",
    "dropped": "dropped: not in the better half after the first seeds",
    "unstable": "seeds collapsed or gave no result",
    "unusable": "no seed gave a result",
}


def decision_sections(findings: Findings) -> list[Section]:
    """The notebook, then what did not help; empty for a single training."""
    if not view_of(findings.plan).compares:
        return []
    records = view_of(findings.plan).teller.records(findings)
    entries = [_entry(findings, record) for record in records]
    notebook = Section(
        name="decisions",
        title="Decisions",
        lead="What was decided, on which evidence, by which rule. Hover over a rule to read it.",
        blocks=entries or [Words(lines=conclusion(findings))],
    )
    return [notebook, *_unhelpful(findings)]


def _entry(findings: Findings, record: Mapping[str, Any]) -> Entry:
    """One line of decisions.jsonl as a page of a notebook."""
    if findings.steps:
        return Entry(
            title=str(record["stage"]),
            mark=WORDS.get(record["decision"], str(record["decision"])),
            lines=[record["because"], record["says"]],
            rules=record["rules"],
            caveats=[],
        )
    evidence, value = record["evidence"], record["value"]
    trial = f"trial {record.get('trial')}"
    what = trial if isinstance(value, Mapping) else f"{record.get('knob')} = {written(value)}"
    caveats = list(record["caveats"])
    # An indented line is a command, which stands at the top of the page, to be copied.
    lines = [
        line for line in conclusion(findings) if line not in caveats and not line.startswith("  ")
    ]
    noise = (
        f"evidence: {count(len(evidence['values']), 'candidate')}; deviation between seeds near "
        f"the best {rough(evidence['spread'])}"
    )
    return Entry(
        title=f"{record['stage']}: {what if value is not None else 'nothing is usable'}",
        mark=WORDS.get(record["decision"], str(record["decision"])),
        lines=[*lines, noise],
        rules=record["rules"],
        caveats=caveats,
    )


def _unhelpful(findings: Findings) -> Iterator[Section]:
    """What did not help, and what could not be resolved, by standing."""
    decision = findings.decision
    if decision is None or decision.best is None:
        return
    metric, best = findings.plan.metric, findings.groups[decision.best]
    losers = [
        (group, standing)
        for index, (group, standing) in enumerate(
            zip(findings.groups, decision.standings, strict=True)
        )
        if index != decision.winner and standing in SAID
    ]
    if not losers:
        return
    lines = []
    for standing, text in SAID.items():
        names = [group.words for group, other in losers if other == standing]
        if names:
            lines.append(f"{text}: {'; '.join(names)}")
    columns: dict[str, list[Any]] = {
        "candidate": [group.words for group, _ in losers],
        "settings": [setting(findings.chosen[group.candidate]) for group, _ in losers],
        "standing": [LABELS[standing] for _, standing in losers],
        "mean": [metric.value_of(group.mean) if group.clean else None for group, _ in losers],
        "below the best by": [
            best.mean - group.mean if group.clean else None for group, _ in losers
        ],
        "seeds": [len(group.clean) for group, _ in losers],
    }
    yield Section(
        name="unhelpful",
        title="What did not help, and what could not be resolved",
        lead="A tie is not a proof of equality: more seeds can resolve smaller differences.",
        blocks=[Words(lines=lines, listed=True), Table(title="By candidate", columns=columns)],
    )
