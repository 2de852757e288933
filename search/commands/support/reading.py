"""What the doctor has read from learning curves, as text and as a document."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from rich.table import Column, Table
from rich.text import Text

from search.config.counted import first_of
from search.config.results_root import address
from search.diagnostics.verdicts.across_trials import Together
from search.diagnostics.verdicts.advice import ALARMS
from search.diagnostics.verdicts.rules import Verdict
from search.execution.progress import shown_trial
from search.execution.terminal import Terminal
from search.results.export import config_of
from search.results.findings import Findings
from search.results.summary.advise import tried_paths
from search.results.summary.verdicts import advice, out_of_patience

SHOWN = 12  # trials that a verdict names
FEW = 3  # logs of which is said why they are left out


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the curves of a search, of one of its trials or of somebody's logs say.

    `verdicts`: by trial. `findings`: of the search, if it is one. `together`: what all trials say.
    `untold`, `unheld`: verdicts that could not be given without a scale, or without losses of
    validation. `columns`: which columns of a log were read as what. `left_out`: logs that cannot be
    read, and why. `then`: what to do next.
    `acts`: the knobs that can be turned; None: all.
    """

    name: str
    verdicts: Mapping[str, Verdict]
    findings: Findings | None = None
    together: Sequence[Together] = ()
    untold: Sequence[str] = ()
    unheld: Sequence[str] = ()
    columns: str = ""
    left_out: Sequence[str] = ()
    then: Sequence[str] = ()
    acts: Collection[str] | None = None


def document_of(reading: Reading) -> dict[str, Any]:
    """As JSON."""
    ended, (config, tried) = _ended(reading.findings), _setup(reading.findings)
    return {
        "name": reading.name,
        "trials": [
            {
                "trial": name,
                "verdict": verdict.name,
                "word": verdict.word,
                "why": verdict.why,
                "alike": list(verdict.alike),
                "advice": []
                if verdict.asks
                else advice(
                    verdict.name,
                    config,
                    tried=tried,
                    turnable=reading.acts,
                    out_of_patience=name in ended,
                ),
                "also": [{"verdict": side.name, "why": side.why} for side in verdict.sides],
            }
            for name, verdict in reading.verdicts.items()
        ],
        "together": [{"says": remark.says, "rule": remark.rule} for remark in reading.together],
        "untold": [*reading.untold, *reading.unheld],
        "columns": reading.columns,
        "left_out": list(reading.left_out),
        "then": [line.strip() for line in reading.then],
    }


def say(reading: Reading) -> None:
    """As text."""
    console = Terminal()
    if len(reading.verdicts) > 1:
        _show_table(reading, console)
    else:
        _show_one(reading, console)
    if reading.columns:
        console.say(f"read {reading.columns}; --columns ROLE=NAME decides otherwise")
    more = [f"{len(reading.left_out) - FEW} more"] if len(reading.left_out) > FEW else []
    for why in (*reading.left_out[:FEW], *more):
        console.say(f"left out: {why}")
    if reading.untold:
        console.say(
            f"cannot be judged from these curves: {', '.join(reading.untold)}; how many classes "
            "are there (--classes C), or what does a constant prediction lose (--constant L)?"
        )
    if reading.unheld:
        console.say(
            f"cannot be judged without losses of validation: {', '.join(reading.unheld)}; where a "
            "column holds them, name it with --columns val=NAME"
        )
    for remark in reading.together:
        console.say(f"together: {remark.says} ({remark.rule})")
    for line in reading.then:
        console.say(line)
    if reading.findings is not None and len(reading.verdicts) > 1:
        name = address(reading.findings.plan.folder)
        console.say(f"\none trial: python -m search doctor {name} TRIAL")


def _ended(findings: Findings | None) -> set[str]:
    """The trials of a search that patience had ended."""
    if findings is None:
        return set()
    plan = findings.plan
    return {str(row.spec.trial) for row in findings.rows if out_of_patience(plan, row)}


def _setup(findings: Findings | None) -> tuple[DictConfig | None, set[str]]:
    """The config of a search, and the knobs that it or those before have tried."""
    return (None, set()) if findings is None else (findings.plan.config, tried_paths(findings))


def _show_one(reading: Reading, console: Terminal) -> None:
    findings = reading.findings
    ((name, verdict),) = reading.verdicts.items()
    rows = findings.rows if findings is not None else ()
    row = next((row for row in rows if str(row.spec.trial) == name), None)
    about, config, ended = "", None, False
    if findings is not None and row is not None:
        about = f"  {shown_trial(row.spec, findings.plan)}  {row.state}"
        config = config_of(findings.plan, row)
        ended = out_of_patience(findings.plan, row)
    console.say(f"{name}{about}")
    for finding in (verdict, *verdict.sides):
        word = verdict.word if finding is verdict else finding.name
        console.say(f"{word}: {finding.why}")
        if finding is verdict and verdict.asks:
            continue  # what would tell is asked below
        for line in advice(finding.name, config, turnable=reading.acts, out_of_patience=ended):
            console.say(f"  - {line}")


def _show_table(reading: Reading, console: Terminal) -> None:
    verdicts, findings = reading.verdicts, reading.findings
    counts = Counter(verdict.name for verdict in verdicts.values())
    numbers = Column("trials", justify="right", no_wrap=True)
    table = Table(Column("verdict", no_wrap=True), numbers, "which", box=None, pad_edge=False)
    words = {name: _word(name, verdicts.values()) for name in counts}
    ranked = dict(sorted(counts.items(), key=lambda item: (item[0] not in ALARMS, -item[1])))
    for name, number in ranked.items():
        trials = [trial for trial, verdict in verdicts.items() if verdict.name == name]
        style = "red" if name in ALARMS else ""
        word = words[name]
        table.add_row(word, str(number), Text(first_of(trials, SHOWN, between=" ")), style=style)
    console.print(table)
    config, tried = _setup(findings)
    ended = _mostly_out_of_patience(verdicts, findings)
    for name in ranked:
        if all(verdict.asks for verdict in verdicts.values() if verdict.name == name):
            continue
        stopped = name in ended
        lines = advice(name, config, tried=tried, turnable=reading.acts, out_of_patience=stopped)
        for line in lines[:1]:
            console.say(f"{words[name]}: {line}")


def _word(name: str, verdicts: Iterable[Verdict]) -> str:
    """What a row of the table says: a joint word, if all of its trials have that."""
    words = {verdict.word for verdict in verdicts if verdict.name == name}
    return words.pop() if len(words) == 1 else name


def _mostly_out_of_patience(verdicts: Mapping[str, Verdict], findings: Findings | None) -> set[str]:
    """The verdicts of which patience had ended more than half of the trials."""
    ended = _ended(findings)
    of = Counter(verdict.name for verdict in verdicts.values())
    stopped = Counter(verdict.name for name, verdict in verdicts.items() if name in ended)
    return {name for name, number in stopped.items() if 2 * number > of[name]}
