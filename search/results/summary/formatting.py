"""What all summaries share: the numbers of a group, and how numbers and tables are shown."""

import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from search.config.counted import averaged
from search.config.knob_roles import COLUMNS
from search.config.knobs import written
from search.config.text import for_markdown, one_line
from search.config.trial_config import plain_config
from search.results.findings import Findings
from search.stages.decision import Decision
from search.stages.group import Candidate, Leader

WIDE, BAR = 100, 16  # columns from which a terminal shows the picture, and its width
FEW, MANY = 0.01, 1000.0  # means between these are shown with four decimals
LARGE = 1e6  # from here on a power of ten is shorter
DECIMALS, DIGITS, EPOCHS = "z.4f", "z.4g", "z.1f"  # forms of a score, any number, a mean epoch
WHOLE = "z.12g"  # form of a knob's value: 0.9999 and 0.99995 are two values
NARROW = 80  # columns below which a sweep's table has no trials, a joint one no decision beside
EMPTY = "no finite value"  # what axes without a dot or a line say
# Settings that every conclusion names.
USUAL = (("optimizer", "lr"), ("trainer", "batch_size"), ("trainer", "epochs"))
PLUS_MINUS = (
    "±: the mean's 95 % interval, by its seeds' noise and that near the best; wide with few "
    "seeds; epoch: the best one, mean of the seeds"
)
LABELS = {
    "best": "best",
    "tie": "tie",
    "worse": "worse",
    "dropped": "dropped early",
    "unstable": "seeds broke",
    "unusable": "not usable",
}


def markdown(frame: pd.DataFrame) -> str:
    """A table."""

    def row(cells: Iterable[str]) -> str:
        return "| " + " | ".join(map(for_markdown, cells)) + " |"

    forms: dict[Hashable, str] = {column: form_of(column, frame) for column in frame.columns}
    shown = [
        [cell(value, form=forms[column]) for column, value in record.items()]
        for record in frame.to_dict("records")
    ]
    lines = [row(map(cell, frame.columns)), "|" + " --- |" * len(frame.columns)]
    return "\n".join([*lines, *map(row, shown)])


def form_of(column: object, frame: pd.DataFrame) -> str:
    """How a table shows the numbers of a column: a spread has the decimals of its mean, and a
    knob's values are not rounded.
    """
    if column not in COLUMNS:
        return WHOLE
    if column == "best_epoch":
        return EPOCHS
    if column in ("mean", "std", "interval", "against") and "mean" in frame:
        return form_of_score(frame["mean"].abs().max())
    return DIGITS


def form_of_score(value: float) -> str:
    """Four decimals suit shares and losses; 12 010 250 or 0.0001 needs other digits."""
    return DECIMALS if FEW <= abs(value) < MANY or not value else DIGITS


def bullets(lines: Iterable[str]) -> str:
    """A list in Markdown; an indented line is a command, which belongs to the line before it."""
    return "\n".join(
        f"  `{one_line(line.strip())}`" if line.startswith("  ") else f"- {for_markdown(line)}"
        for line in lines
    )


def seeds_words(number: int, *, of: int) -> str:
    """`mean of 3 seeds`, or `mean of 2 seeds, 1 of 3 trainings gave no result`."""
    lost = f", {of - number} of {of} trainings gave no result" if of > number else ""
    return averaged(number) + lost


def measured(findings: Findings, index: int) -> dict[str, Any]:
    """A group in numbers.

    `n`, `mean`, `std`: of the seeds that neither collapsed nor failed. `interval`: half width of
    the mean's 95 % interval, by the group's own noise. `against`: the mean less the baseline's.
    """
    decision, group = findings.decision, findings.groups[index]
    rows, metric = findings.of(group.candidate), findings.plan.metric
    scores, baseline = group.clean, findings.groups[0].clean
    epochs = [row.best_epoch for row in rows if row.best_epoch is not None]
    return {
        "n": len(scores),
        "mean": metric.value_of(float(np.mean(scores))) if scores else math.nan,
        "std": np.std(scores, ddof=1) if len(scores) > 1 else math.nan,
        "interval": half_width(decision, index),
        "against": metric.value_of(float(np.mean(scores) - np.mean(baseline)))
        if scores and baseline
        else math.nan,
        "best_epoch": float(np.mean(epochs)) if epochs else math.nan,
        "seconds": sum(row.seconds for row in rows),
    }


def half_width(decision: Decision | None, index: int) -> float:
    """Half the width of a mean's 95 % interval; NaN where nothing tells the noise."""
    if decision is None or decision.untested or not decision.half_widths:
        return math.nan
    return decision.half_widths[index]


def ordered(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Numbers by size, leaders by their trial, anything else as it stands."""
    leaders = [each for each in candidates if isinstance(each, Leader)]
    numbers = [each for each in candidates if isinstance(each, int | float)]
    if len(leaders) == len(candidates):
        return sorted(leaders, key=lambda leader: leader.trial)
    return sorted(numbers) if len(numbers) == len(candidates) else candidates


def listed(candidates: Sequence[Candidate]) -> str:
    """`0.01, 0.1`, or `trials 3, 17`."""
    trials = [str(each.trial) for each in candidates if isinstance(each, Leader)]
    if len(trials) > 1:
        return f"trials {', '.join(trials)}"
    return ", ".join(map(written, candidates))


def held(findings: Findings, *, moved: Collection[str]) -> str:
    """What was held fixed, at what."""
    config = plain_config(findings.plan.config, resolve=True)
    # What a trainer of the user's own reads is not known; a command names some of it.
    words = " ".join(map(str, config["trainer"].get("command") or ()))
    shown = [
        f"{group}.{key}={config[group][key]}"
        for group, key in USUAL
        if not {f"{group}.{key}", group} & set(moved)
        and key in config[group]
        and (findings.plan.stock or f"{group}.{key}}}" in words)
    ]
    return f"held fixed: {', '.join([*shown, 'all else as in config.yaml'])}"


def score(record: Mapping[Any, Any]) -> str:
    """A mean with its interval."""
    if not record["n"]:
        return ""
    form = form_of_score(record["mean"])
    mean = format(record["mean"], form)
    return mean + (f" ±{record['interval']:{form}}" if math.isfinite(record["interval"]) else "")


def labels(decision: Decision | None, index: int) -> str:
    """What was decided of a group, in words: the first is the baseline."""
    if decision is None:
        return "baseline" if index == 0 else ""
    standing = LABELS[decision.standings[index]]
    if decision.standings[index] == "unstable":
        compared = decision.comparisons[index]
        standing = f"{compared.broken} of {compared.trained} {standing}"
    if decision.untested and decision.standings[index] == "worse":
        standing = ""  # nothing was tested
    chosen = "chosen" if decision.winner == index else ""
    return ", ".join(filter(None, ["baseline" if index == 0 else "", standing, chosen]))


def style_of(decision: str) -> str:
    """The colour of a row: green for what was chosen, red for what cannot be used."""
    if "chosen" in decision:
        return "bold green"
    return "red" if LABELS["unusable"] in decision or LABELS["unstable"] in decision else ""


def percent(share: float) -> str:
    """`95 %`."""
    return f"{100 * share:.0f} %"


def two_digits(value: float, *, sign: str = "") -> str:
    """Two digits, as a difference is known no better: `-450`, and `+0.012`.

    `sign`: as in a format: "+" shows it above zero too, "z" none at a zero.
    """
    rounded = float(f"{value:.1e}")
    return f"{rounded:{sign}.0f}" if 10 <= abs(rounded) < LARGE else f"{value:{sign}.2g}"


def cell(value: Any, *, form: str = DIGITS) -> str:
    """As a table shows it."""
    if isinstance(value, float):
        return "" if math.isnan(value) else format(value, form)
    return one_line(value)
