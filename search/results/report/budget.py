"""The section of a joint search's budget: the best so far, and what fewer trials give (P3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from search.results.findings import Findings
from search.results.places import best_by_place, near_best
from search.results.report.blocks import Figures, Section, Table
from search.results.report.chart import Axis, Chart, Series
from search.results.report.numbers import number, setting
from search.results.report.thinning import thinned
from search.storage.trials import TrialRecord, completed

DOTS = 400  # of one chart
BUDGETS = 120  # points of the band
QUANTILES = {"5 % of draws": 0.05, "median of draws": 0.5, "95 % of draws": 0.95}
Rows = Sequence[TrialRecord]


def budget_section(findings: Findings, rows: Rows) -> Section:
    """The section; `rows` are the search's own trials, without the confirmation."""
    finished = [row for row in rows if row.finished]
    shown, note = thinned(finished, DOTS, sign=findings.plan.metric.sign)
    band = _band(finished, sign=findings.plan.metric.sign)
    best = best_by_place(finished, sign=findings.plan.metric.sign)
    return Section(
        name="budget",
        title="The best against the budget",
        lead=_lead(findings, finished) + note,
        blocks=[
            Figures(
                charts=[_chart(findings, finished, shown, band, best)],
                zoomed=True,
                table=Table(
                    title="Best by number of trials",
                    columns={**band, "best so far": best[band["trials"]].tolist()},
                ),
            )
        ],
    )


def best_of(
    values: Sequence[float | None], *, budget: int, share: float, sign: float
) -> float | None:
    """A quantile of the best of `budget` trials, drawn at random and with replacement.

    This is the bootstrap's exact distribution: the best of k draws lies at or below the i-th of n
    sorted scores with probability (i / n)^k.

    Args:
        values: Of all trials; None, the worst of all, where a trial gave none.
        share: Which quantile, from 0 to 1.
        sign: 1 if more is better, −1 if less is.

    Returns:
        The value; None where the best of so few trials may be none.
    """
    scores = np.sort([-np.inf if value is None else sign * value for value in values])
    index = int(np.ceil(len(scores) * share ** (1 / budget) - 1e-9)) - 1
    score = float(scores[max(index, 0)])
    return sign * score + 0.0 if np.isfinite(score) else None  # 0, never −0


def hover(findings: Findings, row: TrialRecord) -> str:
    """A trial in words, a knob per line."""
    knobs = "\n".join(setting({path: value}) for path, value in row.spec.knobs.items())
    value = f"{findings.plan.metric.name} {number(row.value)}"
    return f"trial {row.spec.trial}, {row.state}: {value}\n{knobs}\nclick: its learning curves"


def _lead(findings: Findings, finished: Rows) -> str:
    """What is drawn, and whether the good region holds enough trials."""
    text = (
        "The step is the best so far. The band is what as many of these trials, drawn at random, "
        "would have given (bootstrap, P3): where it is flat, more trials bring little."
    )
    decision, sign = findings.decision, findings.plan.metric.sign
    scores = [sign * row.result for row in finished if row.result is not None]
    if decision is None or not decision.spread > 0 or not scores:
        return text
    near = sum(score >= max(scores) - 2 * decision.spread for score in scores)
    noise = "two standard deviations between seeds"
    return f"{text} {near} of {len(scores)} complete trials lie within {noise} of the best."


def _chart(
    findings: Findings,
    finished: Rows,
    shown: Rows,
    band: Mapping[str, Sequence[Any]],
    best: "pd.Series[float]",
) -> Chart:
    plan, complete = findings.plan, completed(finished)
    values = [row.value for row in complete]
    places = {row.spec.trial: place for place, row in enumerate(finished, start=1)}
    steps = best[[places[row.spec.trial] for row in complete]]
    if complete:
        steps = pd.concat([steps, best[-1:]])  # up to the last trial
    x, y = steps.index.tolist(), steps.tolist()
    reached = number(best.iloc[-1]) if complete else "no value"
    is_first = bool(complete) and complete[0].spec.trial == 0
    return Chart(
        title=f"Best {plan.metric.name} against the number of trials",
        alt=f"The best {plan.metric.name} of {len(finished)} trials so far: {reached}.",
        series=[
            *_draws(band),
            *([Series(name="best so far", look="step", x=x, y=y)] if complete else []),
            *_dots(findings, shown, places),
        ],
        x=Axis(title="trials", whole=True, limits=(0, len(finished) + 1)),
        y=Axis(title=f"{plan.metric.name}, validation"),
        level=(complete[0].value or 0.0, "baseline") if is_first else None,
        zoom=near_best(
            [value for value in values if value is not None], sign=plan.metric.sign, reach=None
        ),
        height=440,
    )


def _band(finished: Rows, *, sign: float) -> dict[str, list[Any]]:
    """Quantiles of the bootstrap by number of trials, from where all of them are known."""
    values = [row.result for row in finished]
    columns: dict[str, list[Any]] = {"trials": [], **{name: [] for name in QUANTILES}}
    for budget in sorted({int(k) for k in np.geomspace(1, max(len(values), 1), BUDGETS)}):
        best = {
            name: best_of(values, budget=budget, share=share, sign=sign)
            for name, share in QUANTILES.items()
        }
        # With so few trials one draw in twenty gives no result at all.
        if None not in best.values():
            columns["trials"].append(budget)
            for name, value in best.items():
                columns[name].append(value)
    return columns


def _draws(band: Mapping[str, Sequence[Any]]) -> list[Series]:
    x = band["trials"]
    low, middle, high = (band[name] for name in QUANTILES)
    return [
        Series(name="low", look="lower", x=x, y=low, listed=False),
        Series(name="90 % of random draws", look="upper", x=x, y=high),
        Series(name="their median", look="line", x=x, y=middle),
    ]


def _dots(findings: Findings, shown: Rows, places: Mapping[int, int]) -> list[Series]:
    series = []
    for state, look in (("complete", "trial"), ("pruned", "pruned")):
        mine = [row for row in shown if row.state == state and row.value is not None]
        if mine:
            series.append(
                Series(
                    name=state,
                    look=look,
                    x=[places[row.spec.trial] for row in mine],
                    y=[row.value for row in mine],
                    hover=[hover(findings, row) for row in mine],
                    trials=[row.spec.trial for row in mine],
                )
            )
    return series
