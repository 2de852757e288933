"""A joint search in a table and in words: a row per configuration by rank, the winner, what pruning
saved. Never decides.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Group

from search.config.counted import averaged, count
from search.config.knobs import Value, assigned, short_names, written
from search.execution.terminal import Line, aligned
from search.results.findings import Findings
from search.results.summary.advise import curve_lines
from search.results.summary.certainty import certainty, evidence, gain
from search.results.summary.edges import edges
from search.results.summary.formatting import (
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
from search.results.summary.inert import repeated
from search.results.summary.verdicts import verdict_of, why_none
from search.stages import joint
from search.stages.decision import Decision
from search.stages.joint_confirmation import LIFT, leaders
from search.stages.spent import gpu_seconds
from search.storage.trials import ENDED_BY_ERROR

INDENT = 6  # columns in front of what stands below a rank
SHOWN = 10  # configurations on the terminal
COLUMNS = (
    "trial", "value", "n", "mean", "std", "interval", "against", "best_epoch", "seconds", "verdict",
    "decision",
)  # fmt: skip


def frame(findings: Findings) -> pd.DataFrame:
    """One row per configuration that was trained to its end, by rank: first the confirmed ones, by
    their fresh seeds.

    `value`: mean in the search itself; `n`, `mean`, `std`, `interval`, `against`: of the
    confirmation, else of the search, where those that nothing was decided about have no interval.
    """
    leaders = {
        tuple(findings.chosen[group.candidate].items()): index
        for index, group in enumerate(findings.groups)
    }
    records, confirmed = [], joint.settings(findings.plan).confirm > 0
    for rows in joint.configurations(findings.rows).values():
        if any(row.state != "complete" for row in rows):
            continue
        index = leaders.get(tuple(rows[0].spec.knobs.items()))
        value = sum(row.value for row in rows if row.value is not None) / len(rows)
        numbers = {"n": 0} if confirmed else {"n": len(rows), "mean": value}
        if index is not None:
            numbers = measured(findings, index)
        records.append(
            {
                "trial": rows[0].spec.trial,
                "value": value,
                **numbers,
                "best_epoch": sum(row.best_epoch or 0 for row in rows) / len(rows),
                "seconds": sum(row.seconds for row in rows)
                + (numbers.get("seconds", 0.0) if confirmed else 0.0),
                "verdict": verdict_of(findings, rows),
                "decision": labels(findings.decision, index) if index is not None else "",
                **rows[0].spec.knobs,
            }
        )
    summary = pd.DataFrame(records, columns=[*COLUMNS, *(k.path for k in findings.plan.knobs)])
    sign = findings.plan.metric.sign
    first = summary["mean" if confirmed else "value"].astype(float)
    order = summary.assign(_first=first * sign, _then=summary["value"] * sign).sort_values(
        ["_first", "_then"], ascending=False, na_position="last", kind="stable"
    )
    ranked = order.drop(columns=["_first", "_then"]).reset_index(drop=True)
    return ranked.assign(rank=range(1, len(ranked) + 1))[["rank", *ranked.columns]]


def text(findings: Findings, summary: pd.DataFrame) -> str:
    """The summary as Markdown: the decision in words, then every configuration by rank."""
    plan = findings.plan
    text = bullets(conclusion(findings))
    return (
        f"# {plan.name}: {count(len(plan.knobs), 'knob')} together\n\n"
        f"Metric: {plan.metric.name}, {plan.metric.direction}d on validation.\n\n{text}\n\n"
        "![The search](search.svg)\n\n![The knobs](knobs.svg)\n\n"
        "![The learning curves](curves.svg)\n\n"
        f"## By rank\n\n{markdown(summary)}\n"
    )


def table(findings: Findings, *, width: int) -> Group:
    """The first ranks, for a terminal; on a narrow one knobs stand below their rank, on a very
    narrow one the decision too.
    """
    summary, plan = frame(findings), findings.plan
    wide, narrow = width >= WIDE, width < NARROW
    mean = "fresh seeds" if joint.settings(plan).confirm else "mean"
    header = ["rank", "trial", plan.metric.name, mean, "epoch"]
    header += [] if narrow else ["decision"]
    header += ["seconds", "verdict", "knobs"] if wide else []
    baseline = findings.groups[0].trial if findings.groups else None
    knobs_of = {row.spec.trial: row.spec.knobs for row in findings.rows}
    lines = []
    for record in summary.to_dict("records"):
        if record["rank"] > SHOWN and record["trial"] != baseline:
            continue
        values = knobs_of[record["trial"]]
        names = short_names(values)
        knobs = " ".join(f"{name}={written(values[path])}" for path, name in names.items())
        cells = [
            str(record["rank"]),
            str(record["trial"]),
            cell(record["value"]),
            score(record),
            cell(record["best_epoch"], form=EPOCHS),
            *([] if narrow else [record["decision"]]),
        ]
        beside = [f"{record['seconds']:.1f}", record["verdict"], knobs] if wide else []
        decided = f"{record['decision']}: " if narrow and record["decision"] else ""
        verdict = f" ({record['verdict']})" if record["verdict"] else ""
        parts = textwrap.wrap(f"{decided}{knobs}{verdict}", width - INDENT)
        below = "" if wide else "\n".join(parts)
        style = style_of(record["decision"])
        lines.append(Line(cells=[*cells, *beside], below=below, style=style))
    return aligned(header, lines, left=("decision", "verdict", "knobs"))


def _more_seeds(findings: Findings) -> str:
    """The words that give more fresh seeds than a configuration has had."""
    settings = joint.settings(findings.plan)
    used = max((len(group.scores) for group in findings.groups), default=0)
    more = f"protocol.confirm={max(3, settings.confirm + 2, used + 2)}"
    return f"{more} in a search of another name="


def conclusion(findings: Findings) -> list[str]:
    """The decision in words: the winner, how sure it is, edges, what ended the search."""
    plan, decision = findings.plan, findings.decision
    if decision is None and findings.obstacle:
        return [findings.obstacle, *account(findings)]
    if decision is None:
        done = sum(row.finished for row in findings.rows)
        return [
            f"no decision yet: {done} of {findings.foreseen} trials are done",
            *account(findings),
        ]
    if decision.winner is None:
        ever = any(row.value is not None for row in findings.rows)
        text = "none gave a result on its fresh seeds" if ever else why_none(findings.rows)
        return [f"no configuration is usable: {text}", *account(findings)]
    return [
        *_winner(findings, decision, decision.winner),
        *certainty(findings, more=_more_seeds(findings)),
        *_left_out(findings),
        *repeated(findings),
        *edges(findings),
        *account(findings),
        *curve_lines(findings),
        held(findings, moved=[knob.path for knob in plan.knobs]),
    ]


def _winner(findings: Findings, decision: Decision, winner: int) -> list[str]:
    """Which configuration was chosen, with its mean and what it is compared with."""
    plan, metric = findings.plan, findings.plan.metric
    chosen, baseline = findings.groups[winner], findings.groups[0]
    seeds = averaged(len(chosen.clean), "fresh seed" if joint.settings(plan).confirm else "seed")
    mean = f"{metric.name} {metric.words(chosen.mean)}, {seeds}"
    knobs = ", ".join(assigned(findings.chosen[chosen.candidate]))
    rule = "" if decision.untested or not baseline.clean else " (P5)"
    if decision.adopted:
        against = metric.words(baseline.mean)
        text = f"against {against} at the baseline{gain(findings, winner)}{rule}: {knobs}"
        return [f"{chosen.candidate} is adopted: {mean}, {text}"]
    better = "has a better score" if decision.untested else "is better beyond chance"
    stays = f"the baseline, {chosen.candidate}, stays: {mean}"
    return [f"{stays}; no configuration {better}{rule}: {knobs}"]


def _left_out(findings: Findings) -> list[str]:
    """How many leaders of the search have no fresh seeds, and why."""
    left = len(leaders(findings.plan, findings.rows)) - len(findings.groups)
    if left <= 0:
        return []
    decision = findings.decision
    why = f"chance lifts no score from so far below ({LIFT:g} deviations, P13)"
    if decision is not None and decision.identical:
        why = "fresh seeds would give the same scores"
    return [
        f"{count(left, 'further leader')} {'is' if left == 1 else 'are'} not trained again: {why}"
    ]


def account(findings: Findings) -> list[str]:
    """What ended the search, its cost, what was infeasible, which knobs matter (R32, P8)."""
    plan = findings.plan
    mine = [row for row in findings.rows if row.spec.stage == joint.STAGE and row.finished]
    if not mine:
        return []
    over = joint.ended(plan, findings.rows)
    pruned = [row for row in mine if row.state == "pruned"]
    lines = [f"ended: {over}"] if over else []
    run = sum(row.epochs for row in mine)
    saved = sum(plan.epochs_of(row.spec.knobs) - row.epochs for row in pruned)
    text = f"{count(run, 'epoch')} run in {count(len(mine), 'trial')}"
    if spent := gpu_seconds(mine, gpus=plan.placement.gpus_per_slot):
        text += f", {spent:.0f} GPU-seconds"
    if joint.settings(plan).rungs:
        share = 100 * len(pruned) / len(mine)
        text += f"; up to {saved} saved by pruning {len(pruned)} of them ({share:.0f} %)"
    infeasible, failed = (
        sum(row.state in states for row in mine) for states in (("infeasible",), ENDED_BY_ERROR)
    )
    if infeasible:
        text += f"; {infeasible} infeasible ({100 * infeasible / len(mine):.0f} %, P8)"
        short = sum(row.lacked_memory for row in mine)
        text += f", {short} of them for want of memory" if short else ""
    lines.append(text + (f"; {failed} failed" if failed else ""))
    named = ", ".join(f"{path} {share:.2f}" for path, share in findings.importance.items())
    if named:
        lines.append(
            f"what separates the better half from the rest, beyond chance (PED-ANOVA): {named}"
        )
    return lines


def records(findings: Findings) -> list[dict[str, Any]]:
    """decisions.jsonl: what was decided, on which evidence, by which rule."""
    decision, plan = findings.decision, findings.plan
    if decision is None:
        return []

    def knobs(index: int | None) -> Mapping[str, Value] | None:
        return None if index is None else findings.chosen[findings.groups[index].candidate]

    return [
        {
            "stage": joint.CONFIRM if joint.settings(plan).confirm else joint.STAGE,
            "decision": decision.word,
            "trial": None if decision.winner is None else findings.groups[decision.winner].trial,
            "value": knobs(decision.winner),
            "baseline": knobs(0),
            "tie": decision.tie,
            "rules": ["R32", "P4", "P5", "P8", "P9", "P13"],
            "evidence": {
                **evidence(findings, decision, noun="trial"),
                "importance": findings.importance,
            },
            "caveats": [held(findings, moved=[knob.path for knob in plan.knobs]), *edges(findings)],
        }
    ]
