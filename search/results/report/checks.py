"""The sections of what was looked at before the search: preflight and range test (R9, R31)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from search.config.counted import count
from search.diagnostics.lr_range import Range, read_range
from search.diagnostics.preflight.check import unmade
from search.results.findings import Findings
from search.results.places import log_ticks
from search.results.report.blocks import Figures, Section, Table, Words
from search.results.report.chart import Axis, Chart, Series
from search.storage.folder import LR_RANGE, PREFLIGHT, Folder
from search.storage.sealed import read_csv, read_json

SEEDS = 20  # curves of a range test that are drawn
COLUMNS = {
    "check": "name",
    "outcome": "outcome",
    "rule": "rule",
    "finding": "told",
    "remedy": "remedy",
}


def preflight_section(folder: Folder) -> Section | None:
    """The checks before the search; None where none were made."""
    path = folder.path / PREFLIGHT
    if not path.exists():
        return None
    report = read_json(path, keys=["checks", "failed"])
    checks = report["checks"]
    columns = {name: [check[key] for check in checks] for name, key in COLUMNS.items()}
    bad = [
        f"{check['name']}: {check['told']}"
        for check in checks
        if check["outcome"] in ("fail", "warn")
    ]
    failed = ", ".join(report["failed"]) or "none"
    missing = unmade(checks)
    return Section(
        name="preflight",
        title="Preflight",
        lead=f"{count(len(checks), 'check')} before the first trial; failed: {failed}."
        + (f" {missing}." if missing else ""),
        blocks=[
            *([Words(lines=bad, listed=True)] if bad else []),
            Table(title="Every check", columns=columns),
        ],
    )


def range_section(findings: Findings, folder: Folder) -> Section | None:
    """The range test of this folder, or of the one that the search came from (R31)."""
    source = findings.plan.config.get("from")
    places = [folder.path, *([folder.path.parent / str(source)] if source else [])]
    place = next((path for path in places if (path / LR_RANGE).exists()), None)
    if place is None or not (place / "lr_range.csv").exists():
        return None
    ramps = read_csv(place / "lr_range.csv")
    if not len(ramps):
        return None
    wide, *untrained = (
        ramps.pivot(index="lr", columns="seed", values=column)
        for column in ("loss", "untrained")
        if column in ramps
    )
    result = read_range(
        wide.index.tolist(),
        *([part[seed].tolist() for seed in part] for part in (wide, *untrained)),
    )
    if because := read_json(place / LR_RANGE).get("because"):  # such as a ramp that was cut
        result = replace(result, low=None, high=None, because=str(because))
    where = "" if place == folder.path else f" From {place.name}."
    ways = Table(
        title="Ways of reading the curve",
        columns={"way": [*result.suggestions], "learning rate": [*result.suggestions.values()]},
    )
    return Section(
        name="range",
        title="Range test",
        lead=f"{_outcome(result)} The lines mark the ends of the range (R31).{where}",
        blocks=[Figures(charts=[_ramp_chart(wide, result)], table=ways)],
    )


def _outcome(result: Range) -> str:
    if result.low is None or result.high is None:
        return f"No range was found, because {result.because}."
    return f"Learning rates from {result.low:.2g} to {result.high:.2g} are worth a sweep."


def _ramp_chart(wide: pd.DataFrame, result: Range) -> Chart:
    """Every seed's losses over the rate, and the curve that was read."""
    rates = wide.index.tolist()
    seeds = [
        Series(name="one seed", look="faint", x=rates, y=wide[seed].tolist(), listed=not number)
        for number, seed in enumerate(list(wide)[:SEEDS])
    ]
    start = result.losses[0] if result.losses else float(np.nanmedian(wide.to_numpy()))
    fall = abs(start - min(result.losses, default=start)) + 1e-9
    limits = (min(result.losses, default=start) - 0.1 * fall, start + 0.6 * fall)
    return Chart(
        title="Training loss over the learning rate",
        alt=f"A range test of {wide.shape[1]} seeds. {_outcome(result)}",
        series=[
            *seeds,
            Series(name="median, smoothed", look="line", x=result.rates, y=result.losses),
        ],
        x=Axis(title="learning rate", log=True, ticks=log_ticks(rates[0], rates[-1], most=9)),
        y=Axis(title="training loss of a batch", limits=limits),
        gaps=[end for end in (result.low, result.high) if end is not None],
    )
