"""The section of the learning curves: chosen, baseline, and what the reader picks (R16)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from search.diagnostics.verdicts.trend import Columns
from search.results.diagnosis import by_trial
from search.results.export import config_of
from search.results.findings import Findings
from search.results.report.blocks import Block, Curves, Section, Words, table_of
from search.results.report.epochs import epoch_figures
from search.results.report.numbers import setting
from search.results.summary.advise import remarks, tried_paths
from search.results.summary.verdicts import advice, out_of_patience, turnable
from search.storage.folder import Folder
from search.storage.layers import read_series
from search.storage.trials import TrialRecord

NUMBERS = 25_000  # that all curves of a page may hold: about 170 kB
EPOCHS = 200  # points of one curve
LEAST = 20  # trials that are drawn, however long their curves are
SERIES = ("train_loss", "val_loss")


def curves_section(findings: Findings, curves: pd.DataFrame) -> Section | None:
    """None where no trial has an epoch."""
    columns_of = by_trial(curves)
    ranked = [row for row in _ranked(findings) if row.spec.trial in columns_of]
    if not ranked:
        return None
    metric = findings.plan.metric.name
    longest = max(len(columns["epoch"]) for columns in columns_of.values())
    room = max(LEAST, NUMBERS // (min(longest, EPOCHS) * (len(SERIES) + 1)))
    shown = ranked[:room]
    note = ""
    if len(shown) < len(ranked):
        note = (
            f"The page holds the curves of {len(shown)} of {len(ranked)} trials, the best first; "
        )
        note += "curves.parquet holds all."
    if longest > EPOCHS:
        note += f" Curves are drawn with {EPOCHS} of their {longest} epochs."
    picked, titles = _picked(findings, shown)
    trials = {
        row.spec.trial: _trial(findings, row, columns_of[row.spec.trial], titles) for row in shown
    }
    blocks: list[Block] = [
        Curves(
            metric=metric,
            trials=trials,
            picked=picked,
            table=table_of(
                _epochs(curves, picked, metric), title="Epochs of the trials shown at first"
            ),
            note=note.strip(),
        )
    ]
    shown_first = {trial: titles.get(trial, f"trial {trial}") for trial in picked}
    layers = Folder(findings.plan.folder).layers
    records = epoch_figures(
        columns_of,
        shown_first,
        metric=metric,
        shares_of=lambda trial: read_series(layers, trial, "confidence"),
    )
    if records is not None:
        blocks.append(records)
    lines = [f"{together.says} ({together.rule})" for together in remarks(findings)]
    return Section(
        name="curves",
        title="Learning curves",
        lead="Train loss dashed, validation loss solid; a dot marks the best epoch.",
        blocks=[*blocks, *([Words(lines=lines, listed=True)] if lines else [])],
    )


def _ranked(findings: Findings) -> list[TrialRecord]:
    """The trials by what a reader may want to see: winner, baseline, candidates, then by value."""
    groups, winner, sign = findings.groups, findings.winning, findings.plan.metric.sign
    heads = sorted(
        range(len(groups)), key=lambda index: (index != winner, index != 0, -groups[index].mean)
    )
    first = [row for index in heads for row in findings.of(groups[index].candidate)]
    order = {trial: place for place, trial in enumerate({row.spec.trial: 0 for row in first})}

    def key(row: TrialRecord) -> tuple[int, float]:
        score = -np.inf if row.value is None else sign * row.value
        return order.get(row.spec.trial, len(order)), -score

    return sorted(findings.rows, key=key)


def _picked(findings: Findings, shown: Sequence[TrialRecord]) -> tuple[list[int], dict[int, str]]:
    """The trials shown at first, and what they are: the first seeds of winner and baseline."""
    there = {row.spec.trial for row in shown}
    titles: dict[int, str] = {}
    winner = findings.winner
    if winner is not None:
        titles[winner.spec.trial] = "chosen"
    if findings.groups:
        baseline = next((row.spec.trial for row in findings.of(findings.groups[0].candidate)), None)
        if baseline is not None:
            titles[baseline] = "chosen, baseline" if baseline in titles else "baseline"
    picked = [trial for trial in titles if trial in there]
    return picked or [row.spec.trial for row in shown[:2]], titles


def _trial(
    findings: Findings, row: TrialRecord, columns: Columns, titles: Mapping[int, str]
) -> dict[str, Any]:
    verdict = findings.verdicts.get(row.spec.trial)
    title = titles.get(row.spec.trial, "")
    name = ", ".join(filter(None, (setting(row.spec.knobs), f"seed {row.spec.seed}")))
    series = {
        name: [_short(value) for value in _thinned(columns[name], row, columns)]
        for name in ("epoch", *SERIES, findings.plan.metric.name)
        if name in columns
    }
    return {
        "name": name,
        "title": title,
        "state": row.state,
        "best": row.best_epoch,
        "verdict": verdict.name if verdict is not None else "",
        "why": verdict.why if verdict is not None else row.reason[:300],
        "next": _next(findings, row) if verdict is not None and title else "",
        "series": series,
    }


def _next(findings: Findings, row: TrialRecord) -> str:
    """What to turn after a trial that was chosen or is the baseline: what was not tried yet."""
    ways = advice(
        findings.verdicts[row.spec.trial].name,
        config_of(findings.plan, row),
        tried=tried_paths(findings),
        turnable=turnable(findings, [row]),
        out_of_patience=out_of_patience(findings.plan, row),
    )
    return ways[0] if ways else ""


def _thinned(values: Any, row: TrialRecord, columns: Columns) -> Any:
    """At most `EPOCHS` of the values; the best and the last epoch are among them."""
    epochs = columns["epoch"]
    if len(epochs) <= EPOCHS:
        return values
    places = np.linspace(0, len(epochs) - 1, EPOCHS - 1).astype(int)
    best = np.flatnonzero(epochs == row.best_epoch)
    return np.asarray(values)[np.unique([*places, *best])]


def _short(value: float) -> float | int | None:
    """Four digits, as far as an eye can tell curves apart."""
    if not np.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < 1e6 else float(f"{value:.4g}")


def _epochs(curves: pd.DataFrame, picked: Sequence[int], metric: str) -> pd.DataFrame:
    names = [name for name in ("trial", "fold", "epoch", *SERIES, metric, "lr") if name in curves]
    names = list(dict.fromkeys(names))
    return curves.loc[curves.trial.isin(list(picked)), names]
