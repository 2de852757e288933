"""What the curves of some trials say, in words, and what may be turned after a verdict."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from omegaconf import DictConfig, OmegaConf

from search.config.counted import count
from search.config.knob_parts import EPOCHS, own_parts
from search.config.plan import Plan
from search.diagnostics.verdicts.advice import ADVICE, CHECK, PATIENCE, Advice, is_longer, why_not
from search.results.findings import Findings
from search.storage.trials import BY_ITSELF, FROM_ZERO, TrialRecord
from trainers.mentions import never_gets


def verdict_of(findings: Findings, rows: Iterable[TrialRecord]) -> str:
    """The verdicts on some trials, the commonest first: `2 overfitting, 1 converged`."""
    names = Counter(verdict.name for verdict in findings.verdicts_on(rows))
    if len(names) == 1:
        return next(iter(names))
    return ", ".join(f"{number} {name}" for name, number in names.most_common())


def outcomes(findings: Findings, rows: Iterable[TrialRecord]) -> str:
    """What became of some trials: the verdict if it is complete, else its state."""
    counts = Counter(
        findings.verdicts[row.spec.trial].name
        if row.state == "complete" and row.spec.trial in findings.verdicts
        else row.state
        for row in rows
    )
    return ", ".join(f"{number} {name}" for name, number in counts.most_common())


def advice(
    verdict: str,
    config: DictConfig | None = None,
    *,
    tried: Collection[str] = (),
    turnable: Collection[str] | None = None,
    out_of_patience: bool = False,
) -> list[str]:
    """What to turn after a verdict of that name, and by which rule, the first first.

    `out_of_patience`: it ended before its last epoch, so that more epochs would change nothing. The
    others are those of `remedies`.
    """
    lines: list[str] = []
    for one in remedies(verdict, config, tried=tried, turnable=turnable):
        stopped = out_of_patience and is_longer(one)
        knob, more = (PATIENCE, "; its patience had ended it") if stopped else (one.path, "")
        says = one.says if lines else one.alone  # a first remedy follows no other
        lines.append(f"{says}{more} ({knob}: {one.turn}, {one.rule})")
    return lines


def remedies(
    verdict: str,
    config: DictConfig | None = None,
    *,
    tried: Collection[str] = (),
    turnable: Collection[str] | None = None,
) -> list[Advice]:
    """The remedies of a verdict that a training can take.

    Args:
        config: of the trial, which has the knobs, and whose conditions are looked at; None, where
            no config is known: those that rest on none.
        tried: paths that were swept, and are not named again.
        turnable: paths that the trainer reads, as the function `turnable` returns them.
    """
    parts = {} if config is None else own_parts(config)
    return [
        one
        for remedy in ADVICE[verdict]
        for one in remedy.among(parts)
        if one.turn == CHECK or one.path not in tried
        if turnable is None or one.turn == CHECK or one.path in turnable
        if (not one.when if config is None else _takes(config, one))
    ]


def _takes(config: DictConfig, remedy: Advice) -> bool:
    """Whether a set-up has the knob of a remedy, and its condition holds."""
    missing = object()
    is_there = OmegaConf.select(config, remedy.path, default=missing) is not missing
    return (remedy.turn == CHECK or is_there) and not why_not(remedy, config)


def turnable(findings: Findings, rows: Sequence[TrialRecord]) -> Collection[str] | None:
    """The paths that a trainer of the user's own reads; None: it is ours, which reads all. `rows`:
    the trials in question, which may end by themselves where others do not.
    """
    plan = findings.plan
    if plan.stock:
        return None
    paths = {EPOCHS, *(knob.path for knob in plan.knobs)}
    return paths if follows_epochs(plan.config, rows) else paths - {EPOCHS}


def follows_epochs(config: DictConfig, rows: Sequence[TrialRecord]) -> bool:
    """Whether trials take as many epochs as the config says: not where they end by themselves
    before, nor where the program never gets that number.
    """
    return not ended_by_themselves(rows) and not never_gets(config, EPOCHS)


def ended_by_themselves(rows: Sequence[TrialRecord]) -> bool:
    """Whether most of the trials that ended took fewer epochs than they might, without patience."""
    reasons = [row.reason for row in rows if row.state == "complete"]
    own = [text for text in reasons if text.startswith(BY_ITSELF) and FROM_ZERO not in text]
    return 2 * len(own) > len(reasons)


def usual_reason(rows: Iterable[TrialRecord]) -> tuple[str, int]:
    """With what most of some trials ended, and how many did."""
    return Counter(row.reason or str(row.state) for row in rows).most_common(1)[0]


def why_none(rows: Collection[TrialRecord]) -> str:
    """How many trials gave no result, and with what most of these ended."""
    broken = [row for row in rows if row.value is None]
    reason, times = usual_reason(broken)
    trials, is_all = count(len(rows), "trial"), len(broken) == len(rows)
    share = f"none of {trials} gave a" if is_all else f"{len(broken)} of {trials} gave no"
    return f"{share} result; {times} ended with: {reason}"


def mostly_out_of_patience(plan: Plan, rows: Collection[TrialRecord]) -> bool:
    """Whether patience ended more than half of the trials: more epochs would change nothing."""
    return 2 * sum(out_of_patience(plan, row) for row in rows) > len(rows)


def out_of_patience(plan: Plan, row: TrialRecord) -> bool:
    """Whether a trial ended before its last epoch, for want of a better metric (R33)."""
    is_patient = plan.limits.patience is not None
    ended_early = row.state == "complete" and row.epochs < plan.epochs_of(row.spec.knobs)
    return is_patient and ended_early and not row.reason.startswith(BY_ITSELF)
