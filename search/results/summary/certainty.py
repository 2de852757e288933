"""How sure a decision is, in words: what is undecided, what gave no result, seeds that break."""

import math
from collections.abc import Sequence
from typing import Any

from search.config.counted import count
from search.config.plan import Plan
from search.results.findings import Findings
from search.results.summary.formatting import listed, ordered, percent, two_digits
from search.results.summary.ties import tie
from search.results.summary.verdicts import usual_reason
from search.stages.comparison import Comparison
from search.stages.decision import Decision
from search.stages.group import Candidate, losses_differ, train_alike
from search.stages.racing import LEVEL, MOST, STABLE, Race
from search.stages.scores import GAP
from search.storage.json_numbers import plain
from search.storage.trials import TrialState
from trainers.mentions import never_gets

LISTED = 6  # names in a line
REASONS = 3  # of values without a result


def gain(findings: Findings, index: int) -> str:
    """By how much a group is better than the baseline, with its interval, in the metric's units;
    seeds that broke have no part in it, while the means beside it may hold them.
    """
    decision, metric = findings.decision, findings.plan.metric
    if decision is None or not index or decision.untested:
        return ""
    compared = decision.comparisons[index]
    if not compared.low <= compared.high:
        return ""
    ends = sorted(map(metric.value_of, (compared.low, compared.high)))
    difference = metric.value_of(compared.difference)
    told, low, high = (two_digits(value, sign="+") for value in (difference, *ends))
    text = f"; difference {told}, {percent(decision.confidence)} interval {low} to {high}"
    baseline = decision.comparisons[0]
    if not compared.broken and not baseline.broken:
        return text
    return f"{text}, without seeds that broke: {share(compared)}, of the baseline {share(baseline)}"


def certainty(findings: Findings, *, more: str) -> list[str]:
    """All that limits a decision, a line each.

    `more`: the words that give more seeds.
    """
    decision = findings.decision
    if decision is None or decision.winner is None:
        return []
    if never_gets(findings.plan.config, "seed"):
        more += " with {seed} in trainer.command (your program gets none)"
    return [
        *untested(findings, decision, more=more),
        *tie(findings, decision, more=more),
        *_undecided(findings, decision, more=more),
        *_without_result(findings, decision),
        *_broken(findings, decision),
        *sounder(decision),
        *held_back(findings, decision, more=more),
    ]


def no_constant(plan: Plan) -> str:
    """That no constant prediction stands beside the scores, so that labels of other rows look like
    a hard task, and what would give one; empty where one does.
    """
    data, ships = plan.config.data, plan.metric.ships
    if ships and (data.get("_target_") or data.get("labels")):
        return ""
    gives = "data.labels=FILE.npy gives it, in a search of another name="
    remedy = gives if ships else "compare by hand"
    return (
        "what a constant prediction scores is not known, so a training that learned nothing may "
        f"not be named: {remedy} (R11)"
    )


def untested(findings: Findings, decision: Decision, *, more: str = "") -> list[str]:
    """Why a value was chosen without a test; none where it was tested.

    `more`: the words that give more seeds.
    """
    if decision.identical:
        same = "every seed gave the same score, so a difference was compared without a test: "
        if any(len({*group.curves} - {""}) > 1 for group in findings.groups):
            return [f"{same}their losses differ, so the metric is too coarse to tell seeds apart"]
        take = "let the config's `seed` set weights and order of the rows"
        if never_gets(findings.plan.config, "seed"):
            take = "trainer.command holds no {seed}: add it, and let your program draw by it"
        return [
            f"{same}the trainer ignores the seed ({take}; where nothing is drawn, seeds=1 costs "
            "less), or the metric's steps are too coarse to tell seeds apart"
        ]
    if decision.untested:
        return [
            "one seed per value: a difference may be noise, so the best value was chosen without "
            f"a test; use {more}"
        ]
    if decision.adopted and not decision.comparisons[0].trained - decision.comparisons[0].broken:
        return ["the baseline gave no result, so the best value was chosen without a test"]
    return []


def _undecided(findings: Findings, decision: Decision, *, more: str) -> list[str]:
    """The rival with the best mean: how much better than the baseline it may still be."""
    open_still = decision.undecided
    if not open_still:
        return []
    rival = max(open_still, key=lambda index: decision.comparisons[index].difference)
    compared = decision.comparisons[rival]
    if not compared.difference > 0:
        return []
    name = findings.groups[rival].candidate
    seeds = count(compared.trained, "seed")
    if math.isnan(compared.high):
        return [f"undecided: {name} has too few seeds that trained ({seeds} in all); use {more}"]
    metric = findings.plan.metric
    gain = min(compared.high, metric.room(metric.value_of(findings.groups[0].mean)))
    return [
        f"undecided: {name} may be better than the baseline by up to {two_digits(gain)} "
        f"({seeds}, 95 %); use {more} to know"
    ]


def _without_result(findings: Findings, decision: Decision) -> list[str]:
    """Values of which no seed gave a result, by what most of their trials ended with."""
    by_reason: dict[str, list[Candidate]] = {}
    for group, standing in zip(findings.groups, decision.standings, strict=True):
        rows = findings.of(group.candidate)
        if standing == "unusable" and any(row.state == TrialState.FAILED for row in rows):
            reason, _ = usual_reason(rows)
            by_reason.setdefault(reason, []).append(group.candidate)
    return [
        f"no result with any seed: {listed(ordered(names)[:LISTED])}: {reason}"
        for reason, names in list(by_reason.items())[:REASONS]
    ]


def _broken(findings: Findings, decision: Decision) -> list[str]:
    """Seeds that collapsed or gave no result: a share, compared by Fisher's exact test (Holm)."""
    rivals = [
        index
        for index, standing in enumerate(decision.standings)
        if index and standing != "unusable"  # said above, or by the table
    ]
    broke = [index for index in (0, *rivals) if decision.comparisons[index].broken]
    if not broke:
        return []
    baseline = decision.comparisons[0]
    shares = [
        f"{findings.groups[index].candidate} in {share(decision.comparisons[index])}"
        for index in broke
        if index
    ]
    shown = shares[:LISTED] + ([f"{len(shares) - LISTED} more"] if len(shares) > LISTED else [])
    text = ", ".join([*shown, f"the baseline in {share(baseline)}"])
    often = any(
        decision.comparisons[index].broken_share - baseline.broken_share > STABLE for index in broke
    )
    rule = "; a value that breaks in a larger share than the baseline is not adopted (P8)"
    lines = [f"seeds that broke (collapsed, or gave no result): {text}{rule if often else ''}"]
    more_often = _holm([decision.comparisons[index].p_breaks for index in rivals])
    less_often = _holm([decision.comparisons[index].p_steadier for index in rivals])
    for words, places in (("more", more_often), ("less", less_often)):
        if places:
            names = listed([findings.groups[rivals[place]].candidate for place in places[:LISTED]])
            lines.append(
                f"breaks {words} often than the baseline beyond chance: {names} "
                "(Fisher's exact test, 5 % for all together); no gain of the mean by itself"
            )
    return lines


def held_back(findings: Findings, decision: Decision, *, more: str = "") -> list[str]:
    """Values that are better where they trained, but broke more often than the baseline.

    `more`: the words that give more seeds.
    """
    if decision.adopted or decision.untested:
        return []
    held = [
        f"{findings.groups[index].candidate} (broke in {share(compared)})"
        for index, compared in enumerate(decision.comparisons)
        if index and compared.outcome == "better" and compared.broken
    ]
    if not held:
        return []
    return [
        f"better than the baseline in the seeds that trained: {', '.join(held[:LISTED])}; "
        f"not adopted, since the baseline broke in {share(decision.comparisons[0])}"
        + (f"; use {more} to know whether that is chance" if more else "")
    ]


def sounder(decision: Decision) -> list[str]:
    """Why a value is adopted whose mean does not tell: the baseline breaks, or is far lower."""
    if not decision.adopted or decision.untested or not decision.winner:
        return []
    chosen, baseline = decision.comparisons[decision.winner], decision.comparisons[0]
    if chosen.p <= chosen.critical_p or baseline.broken == baseline.trained:
        return []
    if baseline.broken <= MOST * baseline.trained:
        return [
            f"even the worst of its {chosen.trained} seeds is better than the best of the "
            f"baseline's {baseline.trained}, by more than {GAP:.0f} times the range of its own: it "
            "is adopted for that, as the baseline's noise hides any difference of means (P5)"
        ]
    return [
        f"the baseline broke in {share(baseline)} seeds and this value in {share(chosen)}, so it "
        f"is adopted for that (Fisher's exact test, p {chosen.p_steadier:.2g}; P8)"
    ]


def share(compared: Comparison) -> str:
    """`1 of 3`."""
    return f"{compared.broken} of {compared.trained}"


def _holm(chances: Sequence[float]) -> list[int]:
    """Places of what is beyond chance, all together at 5 % (Holm 1979)."""
    kept = list[int]()
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    for rank, place in enumerate(order):
        if chances[place] > LEVEL / (len(chances) - rank):
            break
        kept.append(place)
    return kept


def _looks(race: Race) -> dict[str, float]:
    """By which rules a race looked: seeds of every value, of what goes on and at most, the fewest
    that adopt, and the share of sweeps in which a look errs.
    """
    return {
        "halved_after": race.halved,
        "first": race.first,
        "most": race.most,
        "fewest": race.fewest,
        "level": race.level,
    }


def evidence(findings: Findings, decision: Decision, *, noun: str) -> dict[str, Any]:
    """On which numbers it was decided, as JSON holds them; `noun`: what a group is called."""
    metric = findings.plan.metric
    values = []
    for index, (group, standing) in enumerate(
        zip(findings.groups, decision.standings, strict=True)
    ):
        rows = findings.of(group.candidate)[: len(group.scores)]  # there may be further seeds
        entry: dict[str, Any] = {
            noun: group.name,
            "standing": standing,
            "scores": [row.value for row in rows],
            "trials": [row.spec.trial for row in rows],
            "broken_trials": [rows[place].spec.trial for place in sorted(group.broken)],
        }
        if decision.comparisons:
            compared = decision.comparisons[index]
            ends = sorted(map(metric.value_of, (compared.low, compared.high)))
            entry |= {
                "broken": compared.broken,
                "difference": metric.value_of(compared.difference),
                "interval": ends,
                "p": compared.p,
                "critical_p": compared.critical_p,
                "p_breaks": compared.p_breaks,
                "p_steadier": compared.p_steadier,
            }
        values.append(entry)
    record: dict[str, Any] = plain(
        {
            "metric": metric.name,
            "untested": decision.untested,
            "confidence": decision.confidence,
            "own_level": decision.own_level,
            "spread": decision.spread,
            "least_deviation": decision.noise_floor,
            "worth": decision.worth,
            "looks": _looks(decision.race),
            "same_training": train_alike(findings.groups),
            "losses_differ": losses_differ(findings.groups),
            "values": values,
        }
    )
    return record
