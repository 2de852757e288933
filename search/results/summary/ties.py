"""Which values tie with the best one, in words, and what so few seeds could not tell."""

from search.config.counted import count
from search.results.findings import Findings
from search.results.summary.formatting import listed, ordered
from search.stages.decision import Decision

MANY = 8  # values, above which they are not named one by one


def tie(findings: Findings, decision: Decision, *, more: str) -> list[str]:
    """The values that do not differ from the best one beyond chance; none where only one leads.

    `more`: the words that give more seeds.
    """
    if not decision.tie:
        return []
    ties = [findings.groups[index].candidate for index in decision.tied]
    means = [group.mean for group in findings.groups]
    is_best = decision.best is None or means[decision.best] == max(means)
    among = "" if is_best else " of those that break least"
    few = _fewer_seeds(findings, decision)
    rest = [group.candidate for group in findings.groups if group.candidate not in ties]
    names = listed(ordered(ties))
    if len(ties) > MANY and len(rest) < len(ties):
        names = f"all {len(findings.groups)} of the table"
        names += f" but {listed(ordered(rest))}" if rest else ""
    return [
        f"a tie: {names}: no significant difference from the best mean{among}"
        f"{few} (5 % for all together, each with its own noise: Welch)"
        f"{_apart(findings, decision, more=more)}"
    ]


def _fewer_seeds(findings: Findings, decision: Decision) -> str:
    """That values which tie had fewer seeds than the best one, so even a large difference may not
    show.
    """
    seeds = [compared.trained for compared in decision.comparisons]
    most = seeds[decision.best] if decision.best is not None else 0
    ties = [(findings.groups[index].candidate, seeds[index]) for index in decision.tied]
    few = [(candidate, n) for candidate, n in ties if n < most]
    if not few:
        return ""
    least, highest = min(n for _, n in few), max(n for _, n in few)
    had = count(least, "seed") if least == highest else f"{least} to {highest} seeds"
    names = listed(ordered([candidate for candidate, _ in few]))
    names = f"{len(few)} of them" if len(few) > MANY else names
    return f"; {names} had only {had}, the best mean has {most}"


def _apart(findings: Findings, decision: Decision, *, more: str) -> str:
    """That intervals of values which tie lie below that of the best mean: a test of all values
    together asks for more than two intervals show, and with few seeds for much more.
    """
    if decision.best is None:
        return ""
    groups, widths = findings.groups, decision.half_widths
    least = groups[decision.best].mean - widths[decision.best]
    apart = [
        groups[index].candidate
        for index in decision.tied
        if groups[index].mean + widths[index] < least
    ]
    if not apart:
        return ""
    return (
        f"; the intervals of {listed(ordered(apart))} lie apart from the best's: use {more} to tell"
    )
