"""What the answer's curves say, and what to do next, in words and as a command: the first remedy
of its verdict that was not tried yet.

The table is that of protocols; the memory holds the knobs that the search and those before turned.
The closing page, the report and the doctor ask here.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from search.config.compose_protocol import spaces_by_path
from search.config.counted import count, first_of
from search.config.knob_parts import EPOCHS, RATE, own_parts
from search.config.plan import Plan, name_after
from search.config.results_root import address
from search.config.sweep_words import recipe_words
from search.config.tune_settings import TuneSettings
from search.diagnostics.verdicts.across_trials import Together
from search.diagnostics.verdicts.advice import (
    ADVICE,
    CAUSES,
    CHECK,
    NOT_LEARNED,
    Advice,
    is_longer,
    why_not,
)
from search.diagnostics.verdicts.rules_rate import FEWEST
from search.results.export import config_of
from search.results.findings import Findings, lineage
from search.results.step_record import StepRecord
from search.results.summary.verdicts import out_of_patience, remedies, turnable
from search.storage.trials import TrialRecord
from trainers.mentions import never_gets

PATIENT = "raise trainer.patience, which ended the training, and not its number of epochs (R33)"
UNMOVED = "no learning rate moves the score of any seed"  # so nothing else is turned
LABELS = "see whether the labels belong to their rows (the preflight's labels_matter)"
ITSELF = "let your trainer take more epochs: it ends by itself, whatever trainer.epochs is (R15a)"
UNTOLD = "let your program train for longer: trainer.command holds no {trainer.epochs} (R15a)"
LENGTHS = ("more_epochs", "fewer_epochs")  # what trials say together of their number of epochs
BEST = "next: nothing to turn: no score can be better than the winner's, on these validation rows"
SHOWN = 10  # trials that a line names
WITHOUT_ROWS = (
    "arrays/ holds no rows: the verdicts go without the loss of a constant prediction (R11); "
    "the search's command again writes it"
)


def curve_lines(findings: Findings) -> list[str]:
    """The answer's verdict, what to turn next, and what all trials say together, a line each."""
    rows, lines = _answering(findings), list[str]()
    is_judged = findings.plan.stock or findings.verdicts or findings.without_curves
    if agreed := _agreed(findings, rows):
        verdict = findings.verdicts[agreed[0].spec.trial]
        share = "all" if len(agreed) == len(rows) else f"{len(agreed)} of the"
        of = f"{share} {len(rows)} trials of the answer, such as {agreed[0].spec.trial}"
        if len(rows) == 1:
            of = f"trial {agreed[0].spec.trial}, the winner's first seed"
        lines = [f"the curves of {of}: {verdict.name}: {verdict.why}", *next_lines(findings)]
    elif not is_judged and any(row.value is not None for row in findings.rows):
        lines = ["the curves have no verdict: one needs train_loss and val_loss of each epoch"]
    lines += [f"together: {remark.says} ({remark.rule})" for remark in remarks(findings)]
    return [*lines, *deleted(findings)]


def remarks(findings: Findings) -> list[Together]:
    """What all trials say together. Of their number of epochs nothing, where it was turned: the
    trials themselves have told whether more or fewer are better; nor of a program that never gets
    it. More are not asked for where no score can be better.
    """
    is_settled = EPOCHS in tried_paths(findings) or never_gets(findings.plan.config, EPOCHS)
    settled: tuple[str, ...] = ()
    if is_settled:
        settled = LENGTHS
    elif findings.is_perfect:
        settled = ("more_epochs",)
    return [each for each in findings.together if each.name not in settled]


def next_lines(findings: Findings) -> list[str]:
    """What to do next, in words and as a command; empty without a winner that has a verdict, and
    of a search of many stages, which tells it itself, where no score can be better.
    """
    agreed = _agreed(findings, _answering(findings))
    verdict = findings.verdicts[agreed[0].spec.trial].name if agreed else ""
    if findings.steps and not findings.steps[-1]["learned"]:
        return _unstick(findings, verdict)
    if not agreed:
        return []
    if findings.is_perfect:
        return [] if findings.steps else [BEST]
    if _may_have_learned_nothing(findings, agreed[0], verdict):
        return _unstick(findings, verdict)
    return _remedy_lines(findings, agreed, verdict)


def _remedy_lines(findings: Findings, agreed: Sequence[TrialRecord], verdict: str) -> list[str]:
    """The first remedy that a command sweeps, else the first that needs a hand. `agreed`: trials
    of the answer that share the verdict.
    """
    plan, row, tried = findings.plan, agreed[0], tried_paths(findings)
    ended, acts = out_of_patience(plan, row), turnable(findings, _answering(findings))
    config, spaces = config_of(plan, row), spaces_by_path(plan.config)
    closed = tried - {EPOCHS} if ended else tried
    by_hand = list[str]()
    for name in _names(findings, row):
        for remedy in remedies(name, config, tried=closed, turnable=acts):
            if ended and is_longer(remedy):
                by_hand.append(PATIENT)
            elif remedy.turn == CHECK or remedy.at:
                by_hand.append(cited(remedy))
            elif remedy.knob in spaces and not why_not(remedy, config, out_of_patience=ended):
                return _sweep_lines(plan, name, remedy, knob=spaces[remedy.knob])
    if acts is not None:
        # Patience of the user's own ends a training some epochs after its best.
        improves = any(each.best_epoch == each.epochs for each in agreed)
        by_hand[:0] = _own_length(plan, verdict, acts) if improves else []
        by_hand += _beyond_keys(
            verdict, known={RATE, EPOCHS, *tried, *acts, *own_parts(config).values()}
        )
    done = f"; tried already: {', '.join(sorted(tried))}" if tried else ""
    if by_hand:
        return [f"next, by hand: {by_hand[0]}{done}"]
    return [f"next: {verdict}: no remedy is left to try{done}"]


def _names(findings: Findings, row: TrialRecord) -> list[str]:
    """The verdict on a trial, what lies beside it, and what all trials say; causes first."""
    verdict = findings.verdicts[row.spec.trial]
    together = [each.name for each in remarks(findings) if each.name in ADVICE]
    names = [verdict.name, *(side.name for side in verdict.sides), *together]
    return sorted(names, key=lambda each: each not in CAUSES)


def _sweep_lines(plan: Plan, verdict: str, remedy: Advice, *, knob: str) -> list[str]:
    """A remedy, and the command that sweeps its knob; a trainer of the user's own may lack what
    follows that knob in its recipe.
    """
    rules = ", ".join(dict.fromkeys(["R34", remedy.rule]))
    words = recipe_words(knob) if plan.stock else f"lr_sweep space={knob}"
    words += f" from={address(plan.folder)} name={name_after(plan.name, knob)}"
    return [f"next: {verdict}: {remedy.alone} ({rules})", f"  python -m search {words}"]


def _own_length(plan: Plan, verdict: str, acts: Collection[str]) -> list[str]:
    """That more epochs, which would help, are the affair of the user's own trainer."""
    if EPOCHS in acts or not any(map(is_longer, ADVICE[verdict])):
        return []
    return [UNTOLD if never_gets(plan.config, EPOCHS) else ITSELF]


def _beyond_keys(verdict: str, *, known: Collection[str]) -> list[str]:
    """What a trainer of the user's own may do, though no key of it is `known`."""
    free = (one for one in ADVICE[verdict] if one.turn != CHECK and not one.when)
    return [cited(one) for one in free if one.knob not in known]


def cited(remedy: Advice) -> str:
    """What to do, with its rule, and by which knob where it has another name."""
    return f"{remedy.alone} ({remedy.at}{', ' * bool(remedy.at)}{remedy.rule})"


def _may_have_learned_nothing(findings: Findings, row: TrialRecord, verdict: str) -> bool:
    """Whether a protocol without a preflight kept the baseline, whose curves do not tell that it
    learned anything: labels that belong to other rows look so.
    """
    if findings.plan.preflight.mode != "off" or not findings.steps or findings.stage:
        return False
    turned = [step for step in findings.steps if step["kind"] == "sweep" and step["trained"]]
    is_told = verdict in (*NOT_LEARNED, "cannot_tell") and row.epochs >= FEWEST
    return is_told and bool(turned) and not findings.steps[-1]["held"]


def _unstick(findings: Findings, verdict: str) -> list[str]:
    """What to do where nothing was learned: no knob is turned before that is understood."""
    plan = findings.plan
    assert isinstance(plan.settings, TuneSettings)
    lines = [f"next, by hand: {first_by_hand(verdict, unmoved=is_unmoved(findings.steps))}"]
    if plan.settings.until:  # this was that protocol
        return lines
    words = f"from={address(plan.folder)} name={name_after(plan.name, 'unstick')}"
    checks = "" if plan.preflight.mode == "on" else " preflight=on"
    return [*lines, f"  python -m search tune protocol=unstick {words}{checks}"]


def first_by_hand(verdict: str, *, unmoved: bool) -> str:
    """What a person looks at first where nothing was learned, with its rule.

    Args:
        verdict: on the incumbent; empty where its curves tell none.
        unmoved: whether no learning rate moved the score of any seed.
    """
    if unmoved and verdict not in NOT_LEARNED:
        verdict = "dead"  # whether its loss rests, or is not told
    advised = ADVICE[verdict] if verdict in NOT_LEARNED else ()
    checks = [remedy for remedy in advised if remedy.turn == CHECK]
    first = (*checks, *advised)[:1]
    return cited(first[0]) if first else f"{LABELS} (R10)"


def is_unmoved(steps: Iterable[StepRecord]) -> bool:
    """Whether the sweeps have ended since no learning rate moved a score."""
    return any(step["kind"] == "sweeps" and step["says"].startswith(UNMOVED) for step in steps)


def _answering(findings: Findings) -> list[TrialRecord]:
    """The answer's trials that have a verdict; without stages, that of the winner's first seed."""
    winner = findings.winner
    if winner is None:
        return []
    numbers = findings.steps[-1]["trials"] if findings.steps else [winner.spec.trial]
    judged = {*numbers} & {*findings.verdicts}
    return [row for row in findings.rows if row.spec.trial in judged]


def _agreed(findings: Findings, rows: list[TrialRecord]) -> list[TrialRecord]:
    """Those that share the commonest verdict."""
    names = [verdict.name for verdict in findings.verdicts_on(rows)]
    common = Counter(names).most_common(1)
    return [row for row, name in zip(rows, names, strict=True) if name == common[0][0]]


def tried_paths(findings: Findings) -> set[str]:
    """The knobs that a search turned, and those that it comes `from`, as far as these exist."""
    searches = lineage(findings, root=findings.plan.folder.parent)
    return {path for search in searches for path in _turned(search)}


def _turned(findings: Findings) -> Iterator[str]:
    """The paths that a search turned, one by one or together; of one stage, those of its knobs."""
    if isinstance(findings.plan.settings, TuneSettings):
        yield from swept_paths(findings)
        yield from joint_paths(findings)
    else:
        yield from (knob.path for knob in findings.plan.knobs)


def swept_paths(findings: Findings) -> set[str]:
    """The knobs that a search of many stages swept; not those whose sweep was left out."""
    sweeps = (step for step in findings.steps if step["kind"] == "sweep")
    return {step["path"] for step in sweeps if step["decision"] != "skipped"}


def joint_paths(findings: Findings) -> list[str]:
    """The knobs that the joint stage of a search of many stages turned, in its order."""
    joint = [row.spec.knobs for row in findings.rows if row.spec.stage.endswith("-joint")]
    paths = dict.fromkeys(path for knobs in joint for path in knobs)
    # What has one value in all of them was adopted before, and held.
    return [path for path in paths if len({knobs.get(path) for knobs in joint}) > 1]


def deleted(findings: Findings) -> list[str]:
    """That curves or rows are missing, where they are."""
    missing = findings.without_curves
    rows = [] if findings.has_rows else [WITHOUT_ROWS]
    if not missing:
        return rows
    return [
        f"curves.parquet holds no curves of {count(len(missing), 'trial')} that trained "
        f"({first_of(missing, SHOWN)}): without them there is no verdict; restore the file from a "
        "copy",
        *rows,
    ]
