"""Says what learning curves mean and what to turn next: of a search, of one of its trials, or of a CSV file. Writes nothing."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from rich.text import Text

from search.diagnostics.verdicts.advice import ALARMS
from search.diagnostics.verdicts.csv_log import read_csv
from search.diagnostics.verdicts.rules import Verdict, judge
from search.errors import UsageError, broken_rule
from search.execution.progress import Terminal, shown_knobs
from search.results.diagnosis import diagnosed
from search.results.findings import Findings, open_results
from search.results.summary.verdicts import advice
from search.results.tables import curves_so_far

SUMMARY = "reads learning curves: what they say, on which evidence, and what to turn next"
USAGE = "doctor NAME [TRIAL] | doctor --csv FILE [--classes C]"
SHOWN = 12  # trials that a verdict names


def run(words: list[str], config_dir: Path | None) -> int:
    """A verdict, or a table of them."""
    console = Terminal()
    if any(word.startswith("--") for word in words):
        file, classes = _options(words)
        verdicts = {name: judge(curves) for name, curves in read_csv(file, classes=classes).items()}
        _tell(verdicts, {}, console)
        return 0
    if not 1 <= len(words) <= 2:
        got = " ".join(words) or "none"
        raise UsageError(
            f"doctor: needs a search, and one of its trials or none, but got {got}; usage: python -m search {USAGE}"
        )
    folder, findings = open_results(words[0], root=Path("results"))
    findings = diagnosed(findings, curves_so_far(findings, folder), folder=folder)
    told = {str(trial): verdict for trial, verdict in findings.verdicts.items()}
    knobs = {
        str(row.ask.trial): f"{shown_knobs(row.ask)} seed {row.ask.seed}  {row.state}"
        for row in findings.rows
    }
    if len(words) == 2:
        told = {words[1]: _one(findings, words[1])}
    if not told:
        raise UsageError(
            broken_rule(
                words[0],
                rule="a verdict needs train_loss and val_loss",
                got="neither in its curves",
                remedy="yield both",
            )
        )
    _tell(told, knobs, console)
    if len(words) == 1:
        for found in findings.together:
            console.say(f"together: {found.says} ({found.rule})")
    if len(words) == 1 and len(told) > 1:
        console.print(
            f"\none trial: python -m search doctor {words[0]} TRIAL", markup=False, highlight=False
        )
    return 0


def _options(words: list[str]) -> tuple[Path, int]:
    """The file and the number of classes.

    Raises:
        UsageError: something else, or no number.
    """
    joined = [
        part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])
    ]
    options = dict(zip(joined[::2], joined[1::2], strict=False))
    if len(joined) % 2 or set(options) - {"--csv", "--classes"} or not options.get("--csv"):
        raise UsageError(
            f"doctor: needs --csv FILE, and --classes C or not, but got {' '.join(words)}; usage: python -m search {USAGE}"
        )
    told = options.get("--classes")
    if told is not None and (not told.isdecimal() or int(told) < 2):
        raise UsageError(
            broken_rule(
                "--classes",
                rule="the number of classes is 2 or more",
                got=told,
                remedy="leave it out for numbers",
            )
        )
    return Path(options["--csv"]), int(told or 0)


def _one(findings: Findings, trial: str) -> Verdict:
    known = {str(row.ask.trial): row for row in findings.rows}
    if trial not in known:
        raise UsageError(
            broken_rule(
                f"doctor {trial}",
                rule=f"trials are 0 to {len(known) - 1}",
                got=trial,
                remedy="name one of them",
            )
        )
    verdict = findings.verdicts.get(int(trial))
    if verdict is None:
        raise UsageError(
            broken_rule(
                f"doctor {trial}",
                rule="a verdict needs curves",
                got=f"a trial that is {known[trial].state}",
                remedy="wait or take another",
            )
        )
    return verdict


def _tell(verdicts: Mapping[str, Verdict], about: Mapping[str, str], console: Terminal) -> None:
    """One in full; several by what they say."""
    if len(verdicts) > 1:
        _table(verdicts, console)
        return
    ((name, verdict),) = verdicts.items()
    console.say(f"{name}  {about.get(name, '')}".rstrip())
    for finding in (verdict, *verdict.sides):
        console.say(f"{finding.name}: {finding.why}")
        for line in advice(finding.name):
            console.say(f"  - {line}")


def _table(verdicts: Mapping[str, Verdict], console: Terminal) -> None:
    counts = Counter(verdict.name for verdict in verdicts.values())
    table = Table(box=None, pad_edge=False)
    table.add_column("verdict", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("which")
    ranked = dict(sorted(counts.items(), key=lambda item: (item[0] not in ALARMS, -item[1])))
    for name, number in ranked.items():
        which = [trial for trial, verdict in verdicts.items() if verdict.name == name]
        more = f" and {number - SHOWN} more" if number > SHOWN else ""
        table.add_row(name, str(number), Text(" ".join(which[:SHOWN]) + more))
    console.print(table)
    for name in ranked:
        for line in advice(name)[:1]:
            console.say(f"{name}: {line}")
