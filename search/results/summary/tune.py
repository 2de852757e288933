"""A search of many stages on one page: each stage with its reason, decision and evidence."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from search.config.counted import count
from search.config.knobs import Value, assigned, written
from search.config.tune_settings import TuneSettings
from search.diagnostics.preflight.report import doubts_in
from search.diagnostics.verdicts.advice import ADVICE
from search.results.findings import Findings
from search.results.step_record import StepRecord, candidates_of, passed_over
from search.results.summary.advise import UNMOVED, curve_lines, is_unmoved, joint_paths, swept_paths
from search.results.summary.certainty import no_constant
from search.results.summary.formatting import bullets, listed, markdown, seeds_words
from search.results.summary.trials_used import trained, unused
from search.results.summary.verdicts import why_none

COLUMNS = (
    "stage", "knob", "candidates", "decision", "value", "says", "because", "passed_over", "rules",
    "trials",
)  # fmt: skip
NEEDLESS = ("sweeps", "regularisers_off", "longer")  # stages whose absence leaves nothing open
NOISE = 2.0  # standard deviations between seeds within which a trial may be as good as the answer


def frame(findings: Findings) -> pd.DataFrame:
    """One row per stage, in order."""
    return pd.DataFrame([_row(step) for step in findings.steps], columns=list(COLUMNS))


def text(findings: Findings, summary: pd.DataFrame) -> str:
    """The page: the answer, what led to it, what did not help, what is not resolved, caveats."""
    parts = [f"# {findings.plan.name}\n", bullets(conclusion(findings))]
    for title, lines in (
        ("What did not help", did_not_help(findings.steps)),
        ("Not resolved, or left out", unresolved(findings.steps)),
        ("Caveats", caveats(findings)),
    ):
        if lines:
            parts += [f"\n## {title}\n", bullets(lines)]
    parts += [
        "\n## Stage by stage\n",
        markdown(summary.assign(value=summary["value"].map(written))),
    ]
    if commands := [f"    {step['command']}" for step in findings.steps if step["command"]]:
        parts += ["\n## Each stage by itself\n", *commands]
    return "\n".join(parts) + "\n"


def table(findings: Findings, *, width: int) -> Table | None:
    """The stages for a terminal."""
    shown = Table(box=None, pad_edge=False)
    for column in ("stage", "decision", "evidence"):
        shown.add_column(column, no_wrap=column == "stage", overflow="fold")
    for step in findings.steps:
        style = "bold" if step["decision"] == "adopt" else ""
        says = "told below" if _is_told(step) else step["says"]
        shown.add_row(step["stage"], step["decision"], Text(says), style=style)
    return shown


def conclusion(findings: Findings) -> list[str]:
    """The answer in words."""
    steps, lines = findings.steps, list[str]()
    if not steps:
        return [f"no stage has ended yet; {count(len(findings.rows), 'trial')}"]
    final = steps[-1]
    if findings.rows and all(row.value is None for row in findings.rows):
        return _no_result(findings)
    knobs, told = _configuration(final["held"]), [step for step in steps if _is_told(step)]
    is_judged = any(step["trials"] == final["trials"] for step in told if step["kind"] == "confirm")
    score = _score(findings, final["trials"], judged=is_judged)
    so_far = f"not finished, in stage {findings.stage}; the incumbent so far"
    if not final["learned"]:
        why = "the answer is no better than a constant prediction beyond chance (R11)"
        lines.append(f"nothing was learned: {UNMOVED if is_unmoved(steps) else why}")
    lines.append(f"{so_far if findings.stage else 'the answer'}: {knobs}{score}")
    lines += [f"{step['kind']}: {step['says']}" for step in told]
    near = _good_region(findings, final["trials"]) if final["learned"] else ""
    lines.append(f"{trained(findings)} in {count(len(steps), 'stage')}{near}")
    doubts = doubts_in(steps[0]["says"])
    if doubts and not final["held"] and not findings.stage:
        lines.append(f"why nothing is better, the preflight may tell: {'; '.join(doubts)} (R10)")
    return [*lines, *unused(findings), *left_alone(findings), *curve_lines(findings)]


def left_alone(findings: Findings) -> list[str]:
    """That knobs which the command names were turned by no stage of a protocol that has ended."""
    if findings.stage or not _are_named(findings):
        return []
    never = ", ".join(_never_turned(findings))
    return [f"never turned, although the command names them: {never} (P1)"] if never else []


def _is_told(step: StepRecord) -> bool:
    """Whether the answer's lines hold what a stage says."""
    return step["kind"] in ("confirm", "ensemble") and step["decision"] != "skipped"


def _never_turned(findings: Findings) -> list[str]:
    """The paths of the protocol's knobs that no stage gave another value."""
    settings = findings.plan.settings
    assert isinstance(settings, TuneSettings)
    told = (each for step in findings.steps for each in candidates_of(step))
    compared = {path for each in told for path in each["knobs"]}  # such as a penalty, without it
    turned = {*swept_paths(findings), *joint_paths(findings), *compared}
    paths = (knobs[0].path for knobs in settings.spaces.values())
    return [path for path in paths if path not in turned]


def _are_named(findings: Findings) -> bool:
    """Whether the command names the protocol's knobs."""
    return bool(findings.plan.search_config.protocol.get("chosen"))


def _no_result(findings: Findings) -> list[str]:
    """Why there is no answer, and what to do."""
    names = Counter(verdict.name for verdict in findings.verdicts.values()).most_common(1)
    return [f"no answer: {why_none(findings.rows)}"] + [
        f"next, by hand: {remedy.says} ({remedy.rule})"
        for name, _ in names
        for remedy in ADVICE[name][:1]
    ]


def _good_region(findings: Findings, trials: Sequence[int]) -> str:
    """How many trials score as the answer's seeds do, or better (P3); empty without their noise."""
    sign = findings.plan.metric.sign
    scores = {row.spec.trial: sign * row.value for row in findings.rows if row.value is not None}
    own = [scores[trial] for trial in trials if trial in scores]
    others = [score for trial, score in scores.items() if trial not in trials]
    if len(own) < 2 or not others:
        return ""
    least = statistics.mean(own) - NOISE * statistics.stdev(own)
    near = sum(score >= least for score in others)
    better = sum(score > max(own) for score in others)
    best = f", {better} of them better than its best seed" if better else ""
    return (
        f"; of the {len(others)} other trials with a score, {near} are within the noise of its "
        f"seeds or better{best} (P3)"
    )


def records(findings: Findings) -> list[dict[str, Any]]:
    """decisions.jsonl, as it stands."""
    return [dict(step) for step in findings.steps]


def did_not_help(steps: Sequence[StepRecord]) -> list[str]:
    """The knobs that were swept and left as they were, each time."""
    changed = {step["knob"] for step in steps if step["decision"] == "adopt"}
    return [
        f"{step['knob']}: {step['says']}"
        for step in steps
        if step["kind"] == "sweep"
        and step["decision"] in ("keep", "none")
        and step["knob"] not in changed
    ]


def unresolved(steps: Sequence[StepRecord]) -> list[str]:
    """Stages that were left out, and values that a sweep could not tell from its best."""
    skipped: dict[str, list[str]] = {}  # by the reason, which several stages may share
    for step in steps:
        if step["decision"] == "skipped" and step["kind"] not in NEEDLESS:
            skipped.setdefault(step["says"], []).append(step["knob"] or step["kind"])
    return [f"{', '.join(names)}: {why}" for why, names in skipped.items()] + [
        f"{step['knob']}: a tie: {listed(tied)}: no significant difference from the best mean"
        for step in steps
        if step["kind"] == "sweep" and len(tied := _tied(step)) > 1
    ]


def _tied(step: StepRecord) -> list[Any]:
    """The values of a sweep whose means cannot be told from the best, itself among them."""
    return [each["value"] for each in candidates_of(step) if each["standing"] == "tie"]


def caveats(findings: Findings) -> list[str]:
    """What the answer rests on (P1)."""
    settings = findings.plan.settings
    assert isinstance(settings, TuneSettings)
    swept, together = swept_paths(findings), joint_paths(findings)
    only_together = [path for path in together if path not in swept]
    never = [] if _are_named(findings) else _never_turned(findings)
    lines = [told] if (told := no_constant(findings.plan)) else []
    if only_together:
        lines.append(f"turned by the joint stage, in no sweep: {', '.join(only_together)} (P1)")
    if never:
        lines.append(f"never turned, held as they were: {', '.join(never)} (P1)")
    if settings.left_out:
        lines.append(f"not in this set-up: {', '.join(settings.left_out)}")
    return [*lines, *([_seeds(findings, settings)] if swept else [])]


def _seeds(findings: Findings, settings: TuneSettings) -> str:
    """With how many seeds the sweeps compared values."""
    seeds, halved = findings.plan.seeds, settings.halving and findings.plan.seeds > 1
    each = f"one seed, the better half with {seeds}" if halved else count(seeds, "seed")
    compared = [
        len(value["scores"])
        for step in findings.steps
        if step["kind"] == "sweep"
        for value in candidates_of(step)
    ]
    most = max(compared, default=seeds)
    further = f", up to {most} where further ones decided" if most > seeds else ""
    return f"sweeps train each value with {each}{further}; one knob at a time (R28)"


def _row(step: StepRecord) -> dict[str, Any]:
    known = dict(step)
    chosen = {name: "" if known.get(name) is None else known[name] for name in COLUMNS}
    shown = (
        written(each["value"]) if step["knob"] else _configuration(each["knobs"])
        for each in candidates_of(step)
    )
    chosen["candidates"] = (", " if step["knob"] else "; ").join(shown)
    chosen["passed_over"] = passed_over(step)
    chosen["rules"] = " ".join(step["rules"])
    chosen["trials"] = step["trained"]
    return chosen


def _configuration(knobs: Mapping[str, Value]) -> str:
    """A whole configuration, relative to the search's config."""
    return ", ".join(assigned(knobs)) or "the baseline"


def _score(findings: Findings, trials: Sequence[int], *, judged: bool) -> str:
    """`; accuracy 0.97, mean of 5 seeds (trials 60, 61, 62)`; empty where no trial has a value.
    `judged`: of an answer whose confirmation tells the rest, the trials alone.
    """
    values = [
        row.value for row in findings.rows if row.spec.trial in trials and row.value is not None
    ]
    if not values:
        return ""
    which = f"(trial{'s' * (len(trials) > 1)} {', '.join(map(str, trials))})"
    mean, seeds = sum(values) / len(values), seeds_words(len(values), of=len(trials))
    score = f"; {findings.plan.metric.name} {mean:.4g}, {seeds}"
    return f"{'' if judged else score} {which}"
