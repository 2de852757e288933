"""What the curves say, in words: of some trials, of the winner with advice, of all together."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from omegaconf import DictConfig

from search.config.plan import Plan
from search.config.trial_config import trial_config
from search.config.tune_settings import TuneSettings
from search.diagnostics.verdicts.advice import ADVICE, CHECK, EPOCHS, PATIENCE, applies, is_longer
from search.results.findings import Findings
from search.storage.trials import TrialRecord

SHOWN = 10  # trials that a line names


def verdict_of(findings: Findings, rows: Iterable[TrialRecord]) -> str:
    """The verdicts on some trials, the commonest first: `2 overfitting, 1 converged`."""
    names = Counter(
        findings.verdicts[row.spec.trial].name
        for row in rows
        if row.spec.trial in findings.verdicts
    )
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


def said(findings: Findings, *, trials: Collection[int] = (), advise: bool = True) -> list[str]:
    """The winner's verdict, what to turn next, and what all trials say together, a line each.

    Args:
        findings: of the search.
        trials: of the winner, whose commonest verdict counts; none: its first seed's.
        advise: whether something is to be turned.
    """
    winner, lines = findings.winner, list[str]()
    numbers = trials or ((winner.spec.trial,) if winner is not None else ())
    known = [row for row in findings.rows if row.spec.trial in {*numbers} & {*findings.verdicts}]
    counts = Counter(findings.verdicts[row.spec.trial].name for row in known)
    for name, times in counts.most_common(1):
        row = next(row for row in known if findings.verdicts[row.spec.trial].name == name)
        share = "all" if times == len(known) else f"{times} of the"
        of = (
            f"{share} {len(known)} trials of the answer, such as {row.spec.trial}"
            if len(known) > 1
            else f"trial {row.spec.trial}, the winner's first seed"
        )
        lines.append(f"the curves of {of}: {name}: {findings.verdicts[row.spec.trial].why}")
        swept = set(turned(findings)) if findings.steps else set()
        ended = out_of_patience(findings.plan, row)
        turnable = None if findings.plan.stock else {knob.path for knob in findings.plan.knobs}
        left = advice(
            name,
            config_of(findings, row),
            tried=swept,
            turnable=turnable,
            out_of_patience=ended,
        )
        lines += [f"  next: {line}" for line in left[:1] if advise]
    lines += [f"together: {found.says} ({found.rule})" for found in findings.together]
    return [*lines, *_deleted(findings)]


def _deleted(findings: Findings) -> list[str]:
    """That curves are missing, where they are."""
    missing = findings.without_curves
    if not missing:
        return []
    trials = ", ".join(map(str, missing[:SHOWN])) + (", …" if len(missing) > SHOWN else "")
    return [
        f"curves.parquet holds no curves of {len(missing)} trials that trained ({trials}): without "
        "them there is no verdict; restore the file from a copy"
    ]


def turned(findings: Findings) -> Iterator[str]:
    """The paths that a search turned, one by one or together; of one stage, those of its knobs."""
    if isinstance(findings.plan.settings, TuneSettings):
        yield from (step["path"] for step in findings.steps if step["kind"] == "sweep")
        joint = (row for row in findings.rows if row.spec.stage.endswith("-joint"))
        yield from dict.fromkeys(path for row in joint for path in row.spec.knobs)
    else:
        yield from (knob.path for knob in findings.plan.knobs)


def advice(
    verdict: str,
    config: DictConfig | None = None,
    *,
    tried: Collection[str] = (),
    turnable: Collection[str] | None = None,
    out_of_patience: bool = False,
) -> list[str]:
    """What to turn after a verdict of that name, and by which rule, the first first.

    `config`: of the trial, whose conditions are looked at; None, where no config is known: without
    the remedies that rest on one. `tried`: paths that were swept, and are not named again.
    `turnable`: paths that a trainer of the user's own reads; None: it is ours, which reads all.
    `out_of_patience`: it ended before its last epoch, so that more epochs would change nothing.
    """
    remedies = [
        one
        for one in ADVICE[verdict]
        if (not one.when if config is None else applies(one, config)) and one.knob not in tried
        if turnable is None or one.turn == CHECK or one.knob in {EPOCHS, *turnable}
    ]
    lines = []
    for one in remedies:
        stopped = out_of_patience and is_longer(one)
        knob, more = (PATIENCE, "; its patience had ended it") if stopped else (one.knob, "")
        lines.append(f"{one.says}{more} ({knob}: {one.turn}, {one.rule})")
    return lines


def out_of_patience(plan: Plan, row: TrialRecord) -> bool:
    """Whether a trial ended before its last epoch, for want of a better metric (R33)."""
    is_patient = plan.limits.patience is not None
    return is_patient and row.state == "complete" and row.epochs < allowed_epochs(plan, row)


def allowed_epochs(plan: Plan, row: TrialRecord) -> int:
    """The epochs that a trial might have had."""
    epochs = row.spec.knobs.get(EPOCHS)
    return epochs if isinstance(epochs, int) else plan.epochs


def config_of(findings: Findings, row: TrialRecord) -> DictConfig:
    """The config that a trial was trained with."""
    return trial_config(findings.plan.config, knobs=row.spec.knobs, seed=row.spec.seed)
