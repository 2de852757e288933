"""The checks as `preflight.json` and as a table, and whether they let a search go on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from search.diagnostics.preflight.check import Check, Preflight, unmade
from search.errors import RunError
from search.storage.folder import PREFLIGHT
from search.storage.json_numbers import plain
from search.storage.sealed import read_json, write_json

RATE_CHECK = "learning_rate"  # the check of the rate
MANY = 3  # checks that one reason leaves out, from which they stand in one line
DOUBTS = ("failed, ", "warnings, ")  # so parts of the line on them begin, in any version's folder
STYLES = {"pass": "green", "note": "", "warn": "yellow", "fail": "bold red", "not checkable": "dim"}


def write(made: Preflight, folder: Path, *, seconds: float) -> None:
    """All checks with all their numbers; what is not finite stands as null."""
    document = {
        "failed": failed(made.checks),
        "seconds": round(seconds, 1),
        "seconds_of": {name: round(own, 2) for name, own in made.seconds.items()},
        "checks": [asdict(check) for check in made.checks],
    }
    write_json(folder / PREFLIGHT, plain(document))


def sound(folder: Path) -> bool:
    """Whether a preflight was made here and nothing failed."""
    path = folder / PREFLIGHT
    return path.exists() and not read_json(path, keys=["failed"])["failed"]


def failed(checks: Sequence[Check]) -> list[str]:
    """Names of the checks that failed."""
    return [check.name for check in checks if check.outcome == "fail"]


def show(
    checks: Sequence[Check], console: Console, *, seconds: float, briefly: bool = False
) -> None:
    """A row per check, those that failed last; under those that are not well, what to do. Checks
    that cannot be made, many for one reason, stand in one line, and so do all, if they are most.
    `briefly`: those that passed are counted.
    """
    missing = unmade(map(asdict, checks))
    reasons = Counter(check.told for check in checks if check.outcome == "not checkable")
    shared = [reason for reason, count in reasons.items() if missing or count >= MANY]
    table = Table(box=None, pad_edge=False)
    for column in ("check", "outcome", "rule", "what was found"):
        table.add_column(column, overflow="fold")
    for check in sorted(checks, key=lambda check: check.outcome == "fail"):
        if check.told in shared or (briefly and check.outcome == "pass"):
            continue
        remedy = f"\n→ {check.remedy}" if check.remedy else ""
        text = f"{check.told}{remedy}".replace("[", r"\[")
        table.add_row(check.name, check.outcome, check.rule, text, style=STYLES[check.outcome])
    if table.row_count:
        console.print(table)
    for reason in [] if missing else shared:
        names = ", ".join(check.name for check in checks if check.told == reason)
        line = f"not checkable, {reason}: {names}"
        console.print(line, markup=False, highlight=False, style=STYLES["not checkable"])
    counts = Counter[str](check.outcome for check in checks)
    text = ", ".join(f"{counts[outcome]} {outcome}" for outcome in STYLES if counts[outcome])
    where = f"; every check: {PREFLIGHT}" if briefly else ""
    console.print(f"{len(checks)} checks in {seconds:.0f} s: {text}{where}", highlight=False)
    if missing:
        line = f"{missing}: this does not say that the set-up is sound (why each: {PREFLIGHT})"
        console.print(line, markup=False, highlight=False, style=STYLES["warn"])


def require(
    checks: Sequence[Check], *, allow: Sequence[str], tuned: Sequence[str] = (), or_else: str
) -> None:
    """Nothing may have failed but what is allowed to.

    Args:
        checks: all that were made.
        allow: checks that the user lets fail.
        tuned: checks that may fail, since what they look at is tuned next. Where the rate may be
            far off, so may losses be that are not finite in a program that is not seen.
        or_else: what else may be said.

    Raises:
        RunError: something has; it is named.
    """
    lenient = {*allow, *tuned}
    if RATE_CHECK in lenient:
        lenient |= {check.name for check in checks if check.measured.get("unseen")}
    bad = [name for name in failed(checks) if name not in lenient]
    if bad:
        raise RunError(
            f"preflight: a sound set-up fails no check, but got {', '.join(bad)}; mend it, or say "
            f"'preflight.allow=[{','.join([*allow, *bad])}]'{or_else}",
            code="preflight-failed",
        )


def soundness(content: Mapping[str, Any]) -> str:
    """What a preflight found that did not stop the search, in one line; `content`: of its file."""
    warned = [check["name"] for check in content["checks"] if check["outcome"] == "warn"]
    failed, parts = content["failed"], []
    if failed == [RATE_CHECK]:
        parts.append("the learning rate is far off, and is tuned next")
    elif failed:
        parts.append(f"failed, and let through: {', '.join(failed)}")
    if warned:
        parts.append(f"warnings, to be looked at: {', '.join(warned)}")
    unseen = sum(check["outcome"] == "not checkable" for check in content["checks"])
    missing = [f"{unseen} of {len(content['checks'])} checks could not be made"] if unseen else []
    if unmade(content["checks"]):  # the reasons stand above, and in the file
        return "; ".join([*missing, *(parts or ["no other one failed"])])
    return "; ".join([*(parts or ["no check failed"]), *missing])


def doubts_in(told: str) -> list[str]:
    """What the line of `soundness` tells of checks that failed or warned."""
    return [part for part in told.split("; ") if part.startswith(DOUBTS)]
