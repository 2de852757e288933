"""A sweep in a table and in words: a row per value, the winner, and what was held fixed."""

from typing import Any

import pandas as pd
from rich.bar import Bar
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from search.config.counted import averaged, count
from search.config.knob_roles import unequal_settings
from search.config.knobs import as_number, is_rate, written
from search.config.text import one_line
from search.results.findings import Findings
from search.results.summary.advise import curve_lines
from search.results.summary.certainty import certainty, evidence, gain
from search.results.summary.formatting import (
    BAR,
    EPOCHS,
    NARROW,
    WIDE,
    bullets,
    cell,
    held,
    labels,
    markdown,
    measured,
    score,
    style_of,
)
from search.results.summary.inert import inert
from search.results.summary.verdicts import outcomes, verdict_of, why_none
from search.stages.decision import Decision
from search.stages.range_ends import clear_edge, edge, hard_limit
from search.stages.sweep import cells
from search.storage.trials import STATES

BY_VALUE = (
    "n: seeds that neither collapsed nor failed; mean, std and interval (half the 95 % interval's "
    "width) are theirs; against: the mean less the baseline's; best_epoch: mean of all seeds; "
    "seconds: of all seeds together."
)
CONSTANT = (
    "a better score, the same with every seed, is that of trainings that have learned nothing (R11)"
)


def frame(findings: Findings) -> pd.DataFrame:
    """One row per value of the knob, in the knob's order.

    `interval`: half width of the mean's 95 % interval, by the value's own noise. `against`: the
    mean less the baseline's.
    """
    plan, decision = findings.plan, findings.decision
    knob, records = plan.knob, []
    tunes_beside = any(map(findings.beside, findings.values))
    states = [state for state in STATES if any(row.state == state for row in findings.rows)]
    for index, group in enumerate(findings.groups):
        rows = findings.of(group.candidate)
        records.append(
            {
                knob.path: group.value,
                **({"with": findings.beside(group.value)} if tunes_beside else {}),
                **measured(findings, index),
                **{state: sum(row.state == state for row in rows) for state in states},
                "verdict": verdict_of(findings, rows),
                "decision": labels(decision, index),
            }
        )
    summary = pd.DataFrame(records)
    if not knob.choices:
        return summary.sort_values(knob.path, ignore_index=True)
    values = pd.Series([group.value for group in findings.groups], dtype=object)  # None, not NaN
    return summary.assign(**{knob.path: values})


def text(findings: Findings, summary: pd.DataFrame) -> str:
    """The summary as Markdown: by value, by rank, and the decision in words."""
    plan = findings.plan
    ranked = summary.sort_values(
        "mean", ascending=plan.metric.direction == "minimize", na_position="last", kind="stable"
    )
    columns = (plan.knob.path, "with", "mean", "interval", "against", "decision")
    short = [column for column in columns if column in summary]
    ranked = ranked[short].assign(rank=range(1, len(ranked) + 1))[["rank", *short]]
    text = bullets(conclusion(findings))
    return (
        f"# {plan.name}: {plan.knob.path}\n\n"
        f"Metric: {plan.metric.name}, {plan.metric.direction}d on validation.\n\n"
        f"{text}\n\n![The sweep](sweep.svg)\n\n![The learning curves](curves.svg)\n\n"
        f"## By value\n\n{markdown(summary)}\n\n{BY_VALUE}\n\n"
        f"## By rank of the mean\n\n{markdown(ranked)}\n"
    )


def table(findings: Findings, *, width: int) -> Table:
    """The summary for a terminal of so many columns; a wide one gets a picture."""
    summary, knob = frame(findings), findings.plan.knob
    shown = Table(box=None, pad_edge=False)
    beside = ["with"] if "with" in summary else []
    picture = _bars(summary["mean"] * findings.plan.metric.sign) if width >= WIDE else None
    drawn, costs = ([""], ["seconds"]) if picture else ([], [])
    trials = ["trials"] if width >= NARROW else []
    columns = [knob.path, *beside, findings.plan.metric.name, *drawn, "epoch", *costs, *trials]
    for column in (*columns, "decision"):
        words = column in ("trials", "decision")
        shown.add_column(column, justify="left" if words else "right", no_wrap=not words)
    values = findings.values if knob.choices else sorted(findings.values, key=as_number)
    for place, (value, record) in enumerate(zip(values, summary.to_dict("records"), strict=True)):
        row = [
            one_line(written(value)),
            *(record[name] for name in beside),
            score(record),
            *([picture[place]] if picture else []),
            cell(record["best_epoch"], form=EPOCHS),
            *([f"{record['seconds']:.1f}"] if costs else []),
            *([outcomes(findings, findings.of(value))] if trials else []),
        ]
        cells = [Text(each) if isinstance(each, str) else each for each in row]  # no markup
        shown.add_row(*cells, record["decision"], style=style_of(record["decision"]))
    return shown


class _Bar(Bar):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.ascii_only:
            return iter([Text("#" * round(BAR * self.end), justify="left")])
        return super().__rich_console__(console, options)


def _bars(scores: "pd.Series[float]") -> list[Bar]:
    """The sweep as a picture: the best mean a whole bar, the worst none."""
    low, high = scores.min(), scores.max()
    shares = ((scores - low) / (high - low)).fillna(0.0) if high > low else scores.fillna(0.0) * 0
    return [_Bar(size=1.0, begin=0.0, end=float(share), width=BAR) for share in shares]


def conclusion(findings: Findings) -> list[str]:
    """The decision in words: winner, baseline, how sure it is, edges, and what was held fixed."""
    plan, decision = findings.plan, findings.decision
    if decision is None and findings.obstacle:
        return [findings.obstacle]
    if decision is None:
        missing = sum(not row.finished for row in findings.rows)
        return [f"no decision yet: {count(missing, 'trial')} still to come"]
    if decision.winner is None:
        return [f"no value of {plan.knob.path} is usable: {why_none(findings.rows)}"]
    return [
        *winner_words(findings, decision, decision.winner),
        *certainty(findings, more=_more_seeds(findings)),
        *inert(findings),
        *edges(findings, decision, decision.winner),
        *curve_lines(findings),
        *caveats(findings),
    ]


def _more_seeds(findings: Findings) -> str:
    """The words that give more seeds than any value has."""
    trained = max((len(group.scores) for group in findings.groups), default=0)
    most = max(findings.plan.seeds, trained)
    return "seeds=3 or more" if most < 3 else f"seeds={most + 2}"


def winner_words(findings: Findings, decision: Decision, winner: int) -> list[str]:
    """Which value was chosen, with its mean and what it is compared with."""
    plan, metric = findings.plan, findings.plan.metric
    chosen, baseline = findings.groups[winner], findings.groups[0]
    value = findings.groups[winner].value
    tuned = f" with {findings.beside(value)}" if findings.beside(value) else ""
    named = f"{plan.knob.path} = {chosen.words}{tuned}"
    mean = f"{metric.name} {metric.words(chosen.mean)}, {averaged(len(chosen.clean))}"
    rule = "" if decision.untested or not baseline.clean else " (P5)"
    former = "the incumbent" if plan.held else "the baseline"
    if not decision.adopted:
        better = "no value is better beyond chance"
        if decision.untested:
            highest = max(group.mean for group in findings.groups)
            better = "no value has a better score" if highest <= chosen.mean else CONSTANT
        return [f"{named}, {former}, stays: {mean}; {better}{rule}"]
    lines = [
        f"{named} is adopted: {mean}, against {metric.words(baseline.mean)} at {former}, "
        f"{findings.groups[0].words}{gain(findings, winner)}{rule}"
    ]
    best = decision.best
    if best is None or best == winner or findings.groups[best].mean <= chosen.mean:
        return lines
    top = findings.groups[best].words
    if plan.knob.group == "capacity" and decision.comparisons[best].low > 0:
        near = f"within one standard error of {top}, the best mean"
        text = f"{chosen.words} is the cheapest value {near}"
    else:
        text = f"{top} has the best mean, but is not better than the baseline beyond chance"
    return [*lines, f"{text} (P5)"]


def edges(findings: Findings, decision: Decision, winner: int) -> list[str]:
    """Whether the best value, or what was tuned for the winner, lies where the range ends (P2)."""
    plan, lines = findings.plan, list[str]()
    knob = plan.knob
    best = None if decision.best is None else findings.groups[decision.best].value
    if best is not None and not knob.choices and not inert(findings):
        lies = f"{written(best)}, the best, lies at the"
        if clear_edge(knob, findings.values, decision):
            lines.append(f"{lies} edge of what was tried: the range may be wrong (P2)")
        elif limit := hard_limit(plan.config, knob, best):
            lines.append(f"{lies} {limit}: what lies beyond was not tried (P2)")
    chosen = findings.groups[winner].value
    nuisance = plan.nuisance(chosen)
    if nuisance is not None and not nuisance.choices:
        tuned = findings.chosen[chosen][nuisance.path]
        if edge(nuisance, nuisance.grid(), tuned):
            lines.append(
                f"{nuisance.path} = {written(tuned)} lies at the edge of its range: "
                "the range may be wrong (P2)"
            )
    return lines


def records(findings: Findings) -> list[dict[str, Any]]:
    """decisions.jsonl: what was decided, on which evidence, by which rule."""
    plan, decision = findings.plan, findings.decision
    if decision is None:
        return []
    return [
        {
            "stage": findings.rows[0].spec.stage,
            "decision": decision.word,
            "knob": plan.knob.path,
            "value": None if decision.winner is None else findings.groups[decision.winner].value,
            "baseline": findings.groups[0].value,
            "tie": decision.tie,
            "rules": ["R28", *(["R29"] if is_rate(plan.knob.path) else []), "P5", "P9"],
            "evidence": evidence(findings, decision, noun="value"),
            "followers": _followers(findings),
            "caveats": caveats(findings),
        }
    ]


def caveats(findings: Findings) -> list[str]:
    """What a conclusion rests on: what was held, at what, and what moved (P1, R28)."""
    plan = findings.plan
    moved = {
        plan.knob.path,
        plan.follower.path if plan.follower else "",
        *(knob.path for knob in plan.knobs),
    }
    most = max((len(group.scores) for group in findings.groups), default=plan.seeds)
    further = f", up to {most} where they decide" if most > plan.seeds else ""
    lines = [f"{held(findings, moved=moved)}; {count(plan.seeds, 'seed')} per value{further}"]
    nuisance = [knob.path for knob in plan.knobs if knob.nuisance]
    if nuisance:
        lines.append(
            f"tuned anew for every value, with the same budget each: {', '.join(nuisance)} (P1)"
        )
    unequal = unequal_settings(plan.config, plan.knobs)
    if unequal:
        lines.append(f"not the same for every value: {'; '.join(unequal)} (P1)")
    if plan.knob.path == "model.activation" and plan.config.model.get("init") == "follow":
        lines.append(
            "initial weights moved with model.activation (model.init=follow): He, but Xavier for "
            "tanh and sigmoid (R28, R42)"
        )
    if plan.follower is not None:
        moves = _followers(findings)
        lines.append(
            f"{plan.follower.path} moved with {plan.knob.path}: from {min(moves.values())} "
            f"to {max(moves.values())} (R28)"
        )
    return lines


def _followers(findings: Findings) -> dict[str, float]:
    """Value of the knob → value of what follows it; empty where nothing does."""
    plan = findings.plan
    if plan.follower is None:
        return {}
    path = plan.follower.path
    moves = {str(group.value): cells(plan, group.value)[0][path] for group in findings.groups}
    return {value: number for value, number in moves.items() if isinstance(number, int | float)}
