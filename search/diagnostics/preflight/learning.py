"""Checks of the learning: the rate, a few rows by heart, whether labels matter, how fast it is (R9,
R10, R24, P6).

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.model import NO_STEP
from search.diagnostics.preflight.schedule import ends_early, misled
from search.diagnostics.preflight.stepping import of_clip
from search.execution.pace import in_words
from trainers.api import IGNORED
from trainers.probes.answers import LabelsMatter, Padding, Speed
from trainers.probes.told import Answer, Watched

DIVERGED = 10.0  # a loss of so many times the first one has diverged
GROWN = 3.0  # the same where no step was seen
# relative distance that the weights could cover in the whole training, if every step went the same
# way
STILL = 1e-3
WILD = (0.5, 1.0)  # a usual step's update over the weights: a warning, a fault
HEAVY, FAINT = 0.1, 1e-6  # rate times weight decay; norm of a gradient
FALLS = 0.8  # share of the first loss below which a loss has fallen
SINGLE = 1e-6  # relative difference of a number in single and in double precision
ALIKE = 1e-4  # relative difference of two losses that rounding may cause
SURE = 2.3  # standard errors that are certain
LEARNED = 0.05  # share of its first train loss by which a training has learned something
FOLLOWS = 0.5  # targets that follow the labels of their rows by less are of other rows
FEWEST, MANY = 20, 100  # fewest validation rows that can tell; fewest for a fault, not a warning

MOSTLY = 0.9  # share of padding's steps above which they count; one more may end a sequence
PADDED = (
    "let the model read lengths (pack, or mask attention and pools), and let the loss leave out "
    f"labels of {IGNORED}"
)


def learning_rate(seen: Watched, *, steps: float, epochs: int = 0, higher: bool = True) -> Check:
    """Is the baseline's rate usable at all (R24)? `steps`, `epochs`: of the whole training;
    `higher`: is better, of the metric. One heavy batch is no divergence: what ends far above is.
    """
    judge = Judge(name="learning_rate", rule="R24")
    losses = seen["losses"]
    ratios = [math.inf if ratio is None else ratio for ratio in seen["ratios"]]
    start = max(abs(losses[0] or 0.0), abs(seen["first_loss"] or 0.0)) if losses else math.inf
    end = _end(losses)
    diverged = _diverged(losses, start=start, end=end, times=DIVERGED if ratios else GROWN)
    if seen["hand_rates"] and median(seen["hand_rates"]) < 0:
        text = f"steps by hand go up the gradient, by {-median(seen['hand_rates']):.3g} times it"
        return judge.fail(text, "subtract the gradient: a loss is to fall")
    if not ratios:
        if diverged and losses[0] is not None:
            return judge.fail(diverged, "is a step taken uphill, or is the rate too high?")
        return judge.unknown(NO_STEP)
    rate, usual = max(seen["rates"]), median(ratios)
    sentence = f"at {rate:.3g}, a step moves the weights by {usual:.2g} of their size"
    numbers: dict[str, Any] = {"rate": rate, "update_ratio": usual}
    finds = "python -m search lr_range finds a range"
    lower = f"lower optimizer.lr; {finds}"
    if seen["decay"] >= HEAVY:
        lower = "lower optimizer.weight_decay: it takes the weights away"
    if losses and losses[0] is None:
        remedy = "look for log(0), divisions and roots in the loss, and at the data (R20)"
        return judge.fail("the first loss is not finite, before any step", remedy, **numbers)
    if told := misled(seen, epochs=epochs):
        return judge.warn(*told, **numbers)
    if diverged:
        text = f"{sentence}; {diverged}"
        return judge.fail(text, lower + _at_once(losses, start=start), **numbers)
    if seen["rates"][-1] == 0:
        first = seen["rates"].index(0, 1) if 0 in seen["rates"][1:] else 0
        return judge.fail(f"the rate is 0 from step {first} on", "see the schedule", **numbers)
    if turned := _turned_plateau(seen, higher=higher):
        return judge.fail(turned, "say mode='min' of a loss, mode='max' of a metric", **numbers)
    if faded := ends_early(seen["rates"], steps=steps, epochs=epochs):
        return judge.fail(faded, "is the schedule stepped per batch, and counts epochs?", **numbers)
    norms = [math.inf if norm is None else norm for norm in seen["gradient_norms"]]
    if max(ratios) * steps < STILL or max(norms, default=FAINT) < FAINT:
        text = f"{sentence}, by {max(ratios) * steps:.1g} at most in all {steps:.0f} steps"
        if norms and median(norms) < FAINT < rate:
            remedy = "are they clipped away, or do they vanish in the depth?"
            return judge.fail(f"{text}; gradients are tiny", remedy, **numbers)
        return judge.fail(text, f"raise optimizer.lr; {finds}", **numbers)
    if seen["decay"] >= HEAVY:
        text = f"{sentence}; weight decay takes {seen['decay']:.0%} of the weights in every step"
        return judge.warn(text, lower, **numbers)
    if usual > WILD[0] and end >= start:
        least = judge.fail if usual > WILD[1] else judge.warn
        return least(sentence, lower, **numbers)
    return of_clip(judge, sentence, norms, held=end > FALLS * start, **numbers)


def _turned_plateau(seen: Watched, *, higher: bool) -> str:
    """How a schedule that waits for a plateau takes a lower loss for worse, or a higher metric;
    empty if none does.

    Known by the number: the schedule is told just what the trainer reports.
    """
    reported = {
        "max": [*seen["train_loss"], *seen["val_loss"]],
        "min": seen["scores"] if higher else [],
    }
    for mode, numbers in reported.items():
        heard = [number for kind, number in seen["plateaus"] if kind == mode]
        if heard and all(_is_among(number, numbers) for number in heard):
            kind = "a loss" if mode == "max" else "a metric"
            return f"ReduceLROnPlateau waits for {kind} to {'rise' if mode == 'max' else 'fall'}"
    return ""


def _is_among(number: float, numbers: Sequence[float | None]) -> bool:
    """Whether it is one of these, but for the last digit of a single."""
    known = (one for one in numbers if one is not None)
    return any(math.isclose(number, one, rel_tol=SINGLE) for one in known)


def _diverged(losses: Sequence[float | None], *, start: float, end: float, times: float) -> str:
    """Where a loss began and where it ended, if that is far above; else empty."""
    if not losses or (None not in losses and end <= times * start + 1e-3):
        return ""
    return f"the loss went from {start:.3g} to {'not finite' if math.isinf(end) else f'{end:.3g}'}"


def _end(losses: Sequence[float | None]) -> float:
    """The usual loss of the last quarter of the steps; infinite if it is not finite."""
    last = losses[-max(len(losses) // 4, 1) :]
    return median([math.inf if loss is None else loss for loss in last]) if losses else 0.0


def _at_once(losses: Sequence[float | None], *, start: float) -> str:
    """More of the remedy where a loss went from usual to not finite, without growing before."""
    before = [loss for loss in losses[: losses.index(None)] if loss] if None in losses else []
    if None not in losses or max(before, default=0.0) > DIVERGED * start:
        return ""
    return "; it did so at once: also look for log(0), divisions and roots (R20)"


def labels_matter(answer: LabelsMatter, *, seen: Watched, legible: bool = False) -> Check:
    """Are the targets of the loss the labels of their rows, and does the model do better on these
    than on shuffled ones (R10)?

    `legible`: trees read the labels in the inputs. Then a training that has not even learned its
    own rows in these few steps proves nothing, and only warns.
    """
    judge = Judge(name="labels_matter", rule="R10")
    if text := _tokens_given(seen.get("next_tokens")):
        return judge.fail(text, "shift the targets by one step, and mask what comes after a step")
    targets = seen.get("targets")
    if targets is not None and targets["follows"] < FOLLOWS:
        text = (
            f"the targets of the loss follow the labels of their rows by {targets['follows']:.0%}, "
            f"of {targets['rows']} rows: 0 is chance"
        )
        return judge.fail(text, "keep inputs and labels in one order, up to the loss")
    if answer.get("deviations") is None:
        return judge.unknown(answer.get("cause", "a loss was not finite"))
    if answer["rows"] < FEWEST:
        return judge.unknown(f"{answer['rows']} validation rows are too few")
    sure = answer["deviations"]
    sentence = (
        f"score of validation rows {answer['true']:.3g}, trained on shuffled labels "
        f"{answer['shuffled']:.3g}"
    )
    if sure > SURE:
        return judge.passed(sentence, deviations=sure)
    text = f"{sentence}: no better beyond chance"
    remedy = "do the labels belong to the inputs? Do the inputs say anything of them?"
    if legible and (answer.get("fell") or 0.0) < LEARNED:
        return judge.warn(
            f"{text}, though trees read the labels, and its train loss did not fall",
            "train longer, or at another rate (lr_range); else see whether inputs and labels stay "
            "together on their way to the loss",
            deviations=sure,
        )
    least = judge.fail if answer["rows"] >= MANY else judge.warn
    return least(text, remedy, deviations=sure)


def _tokens_given(tokens: Answer | None) -> str:
    """How a model of sequences is given the tokens that it is to foretell; else empty."""
    if tokens is None or bool(tokens["ahead"]) != tokens["reads_on"]:
        return ""  # another task: the next token, read from those before; or its own, from all
    if tokens["ahead"]:
        return "each step is to foretell the next token, and its output changes with that token"
    return "each step is to name the token that it has just read, and nothing that comes later"


def padding(answer: Padding) -> Check:
    """Do the losses stay where padding holds other numbers, or is longer (R1)?"""
    judge = Judge(name="padding", rule="R1")
    if "plain" not in answer:
        return judge.unknown(answer.get("cause", "the trainer reported no loss"))
    apart: dict[str, str] = {}
    for kind, losses in answer["changed"].items():
        for name, loss in losses.items():
            plain = answer["plain"][name]
            if abs(loss - plain) > ALIKE * abs(plain):
                apart.setdefault(name, f"{name} {plain:.6g}, with {kind} {loss:.6g}")
    kinds = " and with ".join(answer["changed"])
    if apart:
        text = f"padding counts: {'; '.join(apart.values())}"
        return judge.fail(text, PADDED, **answer)
    return judge.passed(f"with {kinds} in the padding, the losses stay", **answer)


def padding_seen(share: float) -> Check:
    """The same of rows that a trainer loads itself: of how many of padding's steps a loss teaches
    the outputs.
    """
    judge = Judge(name="padding", rule="R1")
    text = f"the loss teaches the outputs of {share:.0%} of padding's steps"
    return judge.warn(text, PADDED) if share > MOSTLY else judge.passed(text)


def speed(answer: Speed, *, epochs: int, trainings: int, slots: int, batch: int) -> Check:
    """Rows per second and memory by batch size; time of an epoch and of all (R15a, P6)."""
    judge = Judge(name="speed", rule="P6")
    measured = answer.get("batches") or ()
    if not measured:
        return judge.unknown(answer.get("cause", "fewer than three steps were seen"))
    own = min(measured, key=lambda entry: abs(entry["batch"] - batch))
    fastest = max(measured, key=lambda entry: entry["batch"] / entry["seconds"])
    own_steps = answer.get("own_steps", 0)
    epoch = (own_steps or -(-answer["rows"] // own["batch"])) * own["seconds"]
    search = epoch * epochs * -(-trainings // slots)
    rates = [
        f"{entry['batch'] / entry['seconds']:.0f} rows/s at batch {entry['batch']}"
        for entry in (own, fastest)
    ]
    if own_steps:  # how many rows these are is not known
        rates = [f"{own_steps} steps an epoch, of rows that the trainer takes itself"]
    text = f"{', '.join(dict.fromkeys(rates))} ({fastest['megabytes']:.2g} MB kept)"
    wanted = f", all {trainings} trainings at most {in_words(search)}" if trainings else ""
    return judge.note(
        f"{text}; an epoch takes {in_words(epoch)}{wanted}",
        batches=list(measured),
        epoch=epoch,
        search=search,
    )
