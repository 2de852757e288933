"""The answer at the top of the page: what to use, how good it is, and how sure that is (P5)."""

import math
from collections.abc import Iterable, Mapping
from shlex import quote

from omegaconf import OmegaConf

from search.config.catalogue import CONF
from search.config.compose_protocol import spaces_by_path
from search.config.knobs import Value
from search.config.plan import Plan
from search.config.results_root import address, from_here
from search.results.findings import Findings
from search.results.report.blocks import Answer
from search.results.summary import view_of
from search.results.summary.formatting import count, half_width, listed, ordered, percent
from search.stages.decision import Decision
from search.storage.folder import Folder

TIE_LIST = 6  # tied values that are named
MOST_DECIMALS, LARGE = 8, 1e6  # beyond these, powers of ten are shorter
NAMED = 3  # knobs that the sentence names; more stand below it


def answer_of(findings: Findings) -> Answer:
    """The outcome of a search, finished or not."""
    if not view_of(findings.plan).compares:
        return _single(findings)
    if findings.steps:
        return _staged(findings)
    decision = findings.decision
    if decision is None and findings.obstacle:
        return Answer(
            mark="none",
            label="no decision",
            sentence=f"{findings.obstacle[0].upper()}{findings.obstacle[1:]}.",
            surety="The section on failures shows the reasons.",
        )
    if decision is None:
        return _open(findings)
    if decision.winner is None:
        usable = any(row.value is not None for row in findings.rows)
        reason = (
            "no candidate gave a result on all its seeds" if usable else "no trial gave a result"
        )
        return Answer(
            mark="none",
            label="no winner",
            sentence=f"Nothing has won: {reason}.",
            surety="The section on failures shows the reasons.",
        )
    return _decided(findings, decision, decision.winner)


def setting(knobs: Mapping[str, Value]) -> str:
    """A configuration in words: `optimizer.lr = 0.1, model.width = 64`."""
    return ", ".join(f"{path} = {value}" for path, value in knobs.items())


def number(value: float | None) -> str:
    """Four digits, as all texts of the page show a number."""
    return "–" if value is None or not math.isfinite(value) else f"{value:z.4g}"


def rough(value: float | None) -> str:
    """Two digits: a spread or a margin is not known better."""
    return "–" if value is None or not math.isfinite(value) else f"{value:z.2g}"


def with_interval(mean: float, half: float) -> str:
    """`0.9709 ± 0.0086`: two digits of the interval, and as many decimals of the mean."""
    if not math.isfinite(half) or half <= 0:
        return number(mean)
    decimals = 1 - math.floor(math.log10(half))
    if decimals > MOST_DECIMALS or abs(mean) >= LARGE:
        return f"{number(mean)} ± {rough(half)}"
    shown = max(decimals, 0)
    return f"{mean:z.{shown}f} ± {round(half, decimals):.{shown}f}"


def _decided(findings: Findings, decision: Decision, index: int) -> Answer:
    plan, groups = findings.plan, findings.groups
    winner, baseline, metric = groups[index], groups[0], plan.metric
    score = with_interval(metric.value_of(winner.mean), half_width(decision, index))
    knobs = findings.chosen[winner.candidate]
    seeds = count(len(winner.clean), "seed")
    what = setting(knobs) if len(knobs) <= NAMED else "with the settings below"
    reached = f"{plan.metric.name} {score} on validation, the mean of {seeds}"
    cards = [(plan.metric.name, score, f"validation, mean of {seeds}")]
    use = "Use" if len(knobs) <= NAMED else f"Use {winner.candidate}"
    if decision.adopted and baseline.clean:
        base = number(metric.value_of(baseline.mean))
        gain, certain = _gain(decision, index)
        sentence = f"{use} {what}: {reached}, {gain} better than the baseline's {base}."
        cards += [("baseline", base, setting(findings.chosen[baseline.candidate]))]
        cards += [("gain", gain, f"over the baseline, {certain}")]
    elif decision.adopted:
        sentence = f"{use} {what}: {reached}. The baseline gave no result."
        cards += [("baseline", "no result", setting(findings.chosen[baseline.candidate]))]
    else:
        sentence = f"Keep the baseline, {what}: {reached}."
        cards.append(("gain over the baseline", "none", _still_possible(findings, decision)))
    mark, label, surety = _surety(findings, decision)
    return Answer(
        mark=mark,
        label=label,
        sentence=sentence,
        surety=surety,
        cards=[*cards, ("how sure", label, f"over {count(len(groups), 'candidate')}")],
        settings=[f"{path}={value}" for path, value in knobs.items()],
        commands=_commands(findings),
    )


def _gain(decision: Decision, index: int) -> tuple[str, str]:
    """The distance of two means, with its interval where it was tested, and how sure it is."""
    compared = decision.comparisons[index]
    if decision.untested:
        return number(compared.difference), "not tested"
    gain = with_interval(compared.difference, (compared.high - compared.low) / 2)
    return gain, f"with its {percent(decision.confidence)} interval"


def _still_possible(findings: Findings, decision: Decision) -> str:
    """How much better than the baseline any candidate may still be; empty if nothing tells."""
    metric = findings.plan.metric
    room = metric.room(metric.value_of(findings.groups[0].mean))
    highs = [min(compared.high, room) for compared in decision.comparisons[1:]]
    known = [high for high in highs if math.isfinite(high) and high > 0]
    return f"at most {rough(max(known))} at 95 %" if known and not decision.untested else ""


def _surety(findings: Findings, decision: Decision) -> tuple[str, str, str]:
    """How sure the decision is: a mark, a label and a sentence."""
    groups = findings.groups
    if decision.identical:
        reason = "Every seed gave the same score: it is ignored, or the metric is too coarse."
        return "unsure", "not tested", reason
    if decision.untested:
        reason = "With one seed per candidate a difference may be noise: use more seeds."
        return "unsure", "not tested", reason
    tied = [
        group.candidate
        for group, standing in zip(groups, decision.standings, strict=True)
        if standing == "tie"
    ]
    ties = ordered(tied)
    more = f" and {len(ties) - TIE_LIST} more" if len(ties) > TIE_LIST else ""
    named = f"{listed(ties[:TIE_LIST])}{more}"
    if decision.adopted and not groups[0].clean:
        return "gain", "no baseline", "There is no baseline to compare with."
    if decision.adopted and decision.winner is not None:
        low = rough(decision.comparisons[decision.winner].low)
        leads = ties and decision.standings[decision.winner] != "unstable"
        note = f" {len(ties)} candidates tie with the best: {named}." if leads else ""
        text = f"A real gain: at least {low} over the baseline, with 95 % confidence (P5).{note}"
        return "gain", "a real gain", text
    possible = _still_possible(findings, decision)
    limit = f" Another candidate may be better by {possible} (P5)." if possible else ""
    if decision.tie:
        text = f"No significant difference: {len(ties)} candidates ({named}) lie together."
        return "stays", "no gain beyond chance", text + limit
    return "stays", "the baseline is best", f"No candidate is better beyond chance (P5).{limit}"


def _open(findings: Findings) -> Answer:
    done = sum(row.finished for row in findings.rows)
    sign, metric = findings.plan.metric.sign, findings.plan.metric.name
    usable = [row for row in findings.rows if row.state == "complete" and row.value is not None]
    best = max(usable, key=lambda row: sign * (row.value or 0.0), default=None)
    sentence = f"No decision yet: {done} of {findings.foreseen} trials are done."
    cards = [("trials", f"{done} of {findings.foreseen}", "done")]
    if best is not None:
        where = setting(best.spec.knobs) or f"trial {best.spec.trial}"
        sentence += f" The best single trial so far has {metric} {number(best.value)} at {where}."
        cards.append((f"best {metric}", number(best.value), f"trial {best.spec.trial}, one seed"))
    command = Folder(findings.plan.folder).runs.command
    resume = [(command, "goes on where it stopped")] if command else []
    return Answer(
        mark="open",
        label="not finished",
        sentence=sentence,
        surety="One trial is one seed: it proves nothing until its candidate has all its seeds.",
        cards=cards,
        commands=resume if view_of(findings.plan).compares else [],
    )


def _single(findings: Findings) -> Answer:
    plan, row = findings.plan, findings.winner
    if row is None:
        return _open(findings)
    sentence = f"{plan.metric.name} {number(row.value)} on validation, at epoch {row.best_epoch}."
    return Answer(
        mark="stays",
        label="one training",
        sentence=sentence,
        surety="One training of one seed compares nothing.",
        cards=[(plan.metric.name, number(row.value), f"epoch {row.best_epoch} of {row.epochs}")],
    )


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values that there are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _staged(findings: Findings) -> Answer:
    """What the stages of a protocol have arrived at: the last incumbent, against the baseline."""
    plan, steps = findings.plan, findings.steps
    values = {row.spec.trial: row.value for row in findings.rows}
    last = steps[-1]
    mean = mean_of(values.get(trial) for trial in last["trials"])
    if not findings.stage and all(value is None for value in values.values()):
        why, *advice = view_of(plan).teller.conclusion(findings)
        return Answer(mark="none", label="no answer", sentence=f"{why}.", surety=" ".join(advice))
    first = next((step for step in steps if step["kind"] == "baseline"), last)
    base = mean_of(values.get(trial) for trial in first["trials"])
    confirm = next((step for step in steps if step["kind"] == "confirm"), None)
    held = last["held"]
    what = setting(held) if len(held) <= NAMED else "the settings below"
    seeds = count(len(last["trials"]), "seed")
    reached = f"{plan.metric.name} {number(mean)} on validation, the mean of {seeds}"
    cards = [
        (plan.metric.name, number(mean), f"validation, mean of {seeds}"),
        ("baseline", number(base), "the defaults, on their own seeds"),
        ("stages", str(len(steps)), f"{count(len(findings.rows), 'trial')} in all"),
    ]
    outcomes = {
        "adopt": ("gain", "a real gain"),
        "keep": ("stays", "no gain beyond chance"),
        "": ("unsure", "not confirmed yet"),
    }
    decision = confirm["decision"] if confirm is not None else ""
    if confirm is not None and decision in outcomes:
        surety = f"Confirmed on fresh seeds (P13): {confirm['says']}."
    elif not held:
        decision, surety = "keep", "No stage found a value that is better beyond chance (P5)."
    else:
        decision = ""
        surety = "Chosen values lead partly by luck until fresh seeds confirm them (P13)."
    mark, label = outcomes[decision]
    if not last.get("learned", True):
        mark, label = "unsure", "nothing learned"
        surety = "No training beats a constant prediction beyond chance (R11)."
    sentence = f"Use {what}: {reached}." if held else f"Keep the defaults: {reached}."
    if findings.stage:
        mark, label = "open", "not finished"
        sentence = f"In stage {findings.stage}; so far: {sentence[0].lower()}{sentence[1:]}"
    return Answer(
        mark=mark,
        label=label,
        sentence=sentence,
        surety=surety,
        cards=[*cards, ("how sure", label, "")],
        settings=[f"{path}={value}" for path, value in held.items()],
        commands=_commands(findings) if findings.winner is not None else [],
    )


def follow_up(plan: Plan) -> str:
    """The joint search that goes on from a sweep's winner, over those of its usual knobs that the
    winner has; empty where it has less than two, or where a trainer is the user's own.
    """
    recipe = view_of(plan).follow_up
    if not recipe or not plan.stock:
        return ""
    usual = list(OmegaConf.load(CONF / "space" / f"{recipe}.yaml").defaults)
    there = {
        name
        for path, name in spaces_by_path(plan.config).items()
        if OmegaConf.select(plan.config, path) is not None
    }
    names = [name for name in usual if name in there]
    space = "" if names == usual else f" 'space=[{','.join(names)}]'"
    source = address(plan.folder)
    command = f"python -m search {recipe} from={source} name={plan.name}-{recipe}{space}"
    return command if len(names) > 1 else ""


def next_commands(plan: Plan) -> list[tuple[str, str]]:
    """Commands that go on from a search with a winner, each with its purpose."""
    name, best = address(plan.folder), quote(str(from_here(plan.folder) / "best.yaml"))
    seal = (f"python -m search test {name}", "opens the sealed test set, once")
    return [
        (f"python -m search train {best}", "trains the winner again, and compares"),
        *([seal] if plan.config.trainer.predict else []),
        (
            f"python -m search doctor {name}",
            "what the curves say, trial by trial, and what to turn",
        ),
    ]


def _commands(findings: Findings) -> list[tuple[str, str]]:
    joint = [(follow_up(findings.plan), "turns many knobs at once, from this winner")]
    return [*next_commands(findings.plan), *(each for each in joint if each[0])]
