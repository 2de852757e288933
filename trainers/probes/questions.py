"""What is asked of a training before its search begins, beside what is seen of it: whether it can
learn a few rows by heart, whether labels matter to it.

Measures; never judges.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.api import IGNORED, Data, Part
from trainers.probes.answers import ByHeart, LabelsMatter, Try
from trainers.probes.limits import own_time
from trainers.probes.rows_seen import RowsTaught
from trainers.probes.run import Run, some_rows
from trainers.probes.scores import losses_again, row_scores, score
from trainers.probes.seen import LossCall
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient, ramp, without_penalties
from trainers.probes.watched import WATCHED_ROWS

POOL = 5000  # rows among which those to learn by heart are picked
FEW_ROWS, LEAST_ROWS = 64, 8  # rows to learn by heart: at most, at least
FIT_STEPS = 500  # steps of one try to learn rows by heart
LABEL_STEPS = 200  # steps of one training on true or on shuffled labels
SHUFFLES = 3  # trainings on shuffled labels
CERTAIN = 3.0  # standard errors from which no further rate is tried
PLAIN = 6.0  # the same for further shuffled labels: twice, as one training stands for three
LOWEST, HIGHEST, RAMP_STEPS = 1e-6, 10.0, 100  # rates and steps of the ramp that finds rates to try
ENOUGH = 30.0  # after so many seconds (`own_time`), a question begins no further training
# Metrics of which 1 is the best: what a trainer reports of itself.
UP_TO_ONE = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "r2")
FITTED = 0.98  # share of correct rows, or R², from which rows are learned by heart
NEARLY, LONGER = 0.8, 4  # score from which a longer try is worth it; how many times longer
KNOWN, FALLING = 0.05, 0.3  # share of its first loss at which rows are known, or nearly
OTHERS = 4  # times as many rows as were given, from which a trainer takes others
FIRST = 3  # epochs from which a metric has begun
ENDLESS = 10.0  # times its first size below 0, where a loss is no usual one any more


def learned_by_heart(
    subject: Subject, *, parameters: int, loss: LossCall | None, by_hand: bool = False
) -> ByHeart:
    """How well a few rows can be fitted with the regularisers off, at several rates (R9).

    Every try also has the trainer's `val_loss`, and the same computed again from its predictions.
    The rows are at most half of the parameters per output: a small model cannot learn more.

    Args:
        subject: the training.
        parameters: of its model.
        loss: the loss that was seen, by which `val_loss` is computed again; None: it was not seen.
        by_hand: no optimizer takes the steps, so that only the training's own rate can be tried.
    """
    few = _few(subject, parameters=parameters)
    data = Data(train=few, val=few)
    ends = own_time() + ENOUGH
    rates = [subject.own_rate or math.nan] if by_hand else _rates(subject, data)
    tries: list[Try] = []
    for rate in rates:
        if tries and own_time() > ends:
            return {"rows": len(few.index), "tries": tries, "left_out": len(rates) - len(tries)}
        tries.append(_fit(subject, data, rate=rate, steps=FIT_STEPS, loss=loss))
        if few.x is None and tries[-1]["rows"] > OTHERS * len(few.index):
            cause = "the trainer takes rows of its own, or makes more than"
            return {"cause": f"{cause} {OTHERS} of each row of data.train.index"}
        if tries[-1]["fitted"]:
            break
    best = max(
        tries, key=lambda attempt: -math.inf if attempt["score"] is None else attempt["score"]
    )
    falling = min(tries, key=_left)
    nearly = (best["score"] or 0.0) >= NEARLY
    if best["score"] is None and _left(falling) < FALLING:
        best, nearly = falling, True
    if not tries[-1]["fitted"] and nearly:
        steps = LONGER * FIT_STEPS
        tries.append(_fit(subject, data, rate=best["rate"], steps=steps, loss=loss))
    numbers = subject.task in ("regression", "step_regression")
    return {"rows": len(few.index), "tries": tries, "by_hand": by_hand, "numbers": numbers}


def _left(attempt: Try) -> float:
    """What is left of the first loss; infinite where nothing tells it, or it fell below 0."""
    start, end = attempt["start"], attempt["end"]
    return float(end / start) if start > 0 and end > 0 else math.inf


def labels_matter(subject: Subject, *, rate: float) -> LabelsMatter:
    """How trainings on the true labels and on shuffled ones do on validation rows (R10).

    They use `rate`, which has taught this model something. If that shows nothing, they train
    longer, at lower rates and at the training's own.
    """
    data = subject.sample(train=WATCHED_ROWS, val=WATCHED_ROWS)
    if data.train.y is None or data.val.y is None:
        return {"cause": "the trainer loads its labels itself"}
    others = [rate / 10, rate / 100, subject.own_rate or rate]
    tries = [(rate, LABEL_STEPS), *((other, 3 * LABEL_STEPS) for other in others)]
    return _until_certain(
        tries, lambda rate, steps: _against_shuffled(subject, data, rate=rate, steps=steps)
    )


def _until_certain(
    tries: Iterable[tuple[float, int]], attempt: Callable[[float, int], LabelsMatter]
) -> LabelsMatter:
    """The first answer that is certain, else the last one; without one where the time is over.

    Args:
        tries: learning rates, each with how many steps are trained.
        attempt: trains, and says by how many standard errors the labels mattered.
    """
    answer: LabelsMatter = {}
    ends = own_time() + ENOUGH
    for rate, steps in tries:
        if answer and own_time() > ends:
            return {"cause": f"after {ENOUGH:.0f} s nothing was certain; not all rates were tried"}
        answer = attempt(rate, steps)
        if answer.get("deviations", math.inf) > CERTAIN:
            break
    return answer


def _against_shuffled(subject: Subject, data: Data, *, rate: float, steps: int) -> LabelsMatter:
    """Scores of validation rows, of one training on true labels and of several on shuffled ones;
    higher is better. One training on shuffled labels is enough where it already differs plainly.
    """
    assert data.train.y is not None
    assert data.val.y is not None
    labels, val = data.train.y, data.val.y
    dice = np.random.default_rng(0)
    wrong = [_shuffled(labels, dice, per_step=subject.task == "tagging") for _ in range(SHUFFLES)]
    epochs = max(3, -(-steps // subject.steps(data)))
    scores, answer = list[NDArray[np.float64]](), LabelsMatter()
    for y in (labels, *wrong):
        steer = Steer(rate=lambda _: rate, plain=True, until=patient())
        rows = replace(data, train=replace(data.train, y=y))
        run = subject.train(
            rows, epochs=epochs, config=without_penalties(subject.config), contexts=[steer]
        )
        scored = [
            score
            for epoch, values in run.epochs
            if epoch > 0 and (score := row_scores(values, val)) is not None
        ]
        if not scored:
            return {"cause": run.error or _why_unscored(run)}
        scores.append(np.mean(scored[len(scored) // 2 :], axis=0))
        if y is labels:
            answer = {"fell": run.fall}
            continue
        if data.train.x is None and np.array_equal(scores[0], scores[1]):
            return {"cause": "the labels that are named change no training: it loads its own"}
        answer |= _compared(scores[0], scores[1:])
        if answer["deviations"] > PLAIN:
            break
    return answer


def _compared(own: NDArray[np.float64], others: Sequence[NDArray[np.float64]]) -> LabelsMatter:
    """Scores of rows after training on true labels, beside the mean of those on shuffled ones."""
    gain = own - np.mean(others, axis=0)
    spread = float(gain.std(ddof=1) / math.sqrt(len(gain))) if len(gain) > 1 else math.nan
    return {
        "true": float(own.mean()),
        "shuffled": float(np.mean(others)),
        "rows": len(gain),
        "deviations": float(gain.mean()) / spread if spread else math.nan,
    }


def _why_unscored(run: Run) -> str:
    """Why validation rows have no scores."""
    if any("labels" in values for _, values in run.epochs):
        return "the trainer yields labels, which do not say how sure it is of them"
    return "the trainer tells no predictions"


def _shuffled(labels: NDArray[Any], dice: np.random.Generator, *, per_step: bool) -> NDArray[Any]:
    """The labels in another order; those of steps among the steps that have one."""
    if not per_step:
        return labels[dice.permutation(len(labels))]
    mixed, real = np.array(labels), labels != IGNORED
    mixed[real] = dice.permutation(labels[real])
    return mixed


def _few(subject: Subject, *, parameters: int) -> Part:
    """Few rows, as many of each class, no input twice."""
    part = subject.data.train
    outputs = 1
    if part.y is not None:
        outputs = (
            len(np.unique(part.y))
            if subject.task == "classification"
            else int(np.prod(part.y.shape[1:], dtype=int))
        )
    most = min(FEW_ROWS, max(LEAST_ROWS, parameters // (2 * outputs)), len(part.index))
    order = np.random.default_rng(0).permutation(len(part.index))[:POOL]
    if part.x is not None:
        _, first = np.unique(
            np.asarray(part.x[order]).reshape(len(order), -1), axis=0, return_index=True
        )
        order = order[np.sort(first)]
    if part.y is not None and subject.task == "classification":
        labels = part.y[order]
        rank = np.zeros(len(order), dtype=int)
        for label in np.unique(labels):
            rank[labels == label] = np.arange((labels == label).sum())
        order = order[np.argsort(rank, kind="stable")]
    return some_rows(part, order[:most])


def _rates(subject: Subject, data: Data) -> list[float]:
    """Rates worth a try: below the one at which a ramp's loss is least, and the training's own."""
    rates = [float(rate) for rate in np.geomspace(LOWEST, HIGHEST, RAMP_STEPS)]
    losses = ramp(subject, data, seed=int(subject.config["seed"]), rates=rates, plain=True)
    own = subject.own_rate
    smooth = [float(np.mean(losses[max(0, end - 4) : end + 1])) for end in range(len(losses))]
    finite = [loss if math.isfinite(loss) else math.inf for loss in smooth]
    best = rates[int(np.argmin(finite))] if finite else 1e-2
    return [best / 10, *([own] if own else []), best / 3, best / 30, best / 100]


def _fit(subject: Subject, data: Data, *, rate: float, steps: int, loss: LossCall | None) -> Try:
    """One try to learn rows by heart in so many steps."""
    best = -math.inf

    def fitted(run: Run) -> bool:
        nonlocal best
        taught.most = 0 if run.trained else taught.most
        values = run.epochs[-1][1]
        got = score(values, data.val.y, subject.task)
        if math.isinf(got) and subject.metric in UP_TO_ONE and subject.metric in values:
            got = float(values[subject.metric])
        best = max(best, got)
        return best >= FITTED and (got == 1.0 or subject.task in ("regression", "step_regression"))

    steer = Steer(rate=lambda _: rate, plain=True, most=steps, until=patient())
    taught = RowsTaught(most=1 + OTHERS * len(data.train.index))
    epochs = -(-steps // subject.steps(data))
    run = subject.train(
        data,
        epochs=epochs,
        config=without_penalties(subject.config),
        contexts=[steer, taught],
        stop=fitted,
    )
    losses = [loss for loss in steer.losses if math.isfinite(loss)]
    start, end = (
        float(np.median(part)) if part else math.nan for part in (losses[:1], losses[-5:])
    )
    scored, told = math.isfinite(best), run.series(subject.metric)
    again = losses_again(Run(epochs=run.epochs[-1:]), data.val.y, call=loss)
    return {
        "rate": rate,
        "val_loss": next(reversed(run.series("val_loss")), None),
        "again": again[-1] if again else None,
        "steps": len(steer.times),
        "rows": len(taught.keys),
        "score": best if scored else None,
        "start": start,
        "end": end,
        "metric": [got for got in (_begun(told), _begun(told[::-1])) if math.isfinite(got)],
        "lost": bool(steer.losses) and not math.isfinite(steer.losses[-1]),
        "fitted": best >= FITTED if scored else _is_known(losses, run.series("val_loss")),
        "error": run.error,
    }


def _is_known(losses: Sequence[float], told: Sequence[float]) -> bool:
    """Whether a loss says that rows are known: that of the steps, or `val_loss`, which is of the
    same rows here and may lack what holds the other one up, such as mixed rows.
    """
    size, end = (abs(losses[0]), float(np.median(losses[-5:]))) if losses else (0.0, 0.0)
    if -ENDLESS * size < end < KNOWN * size:
        return True
    finite = [loss for loss in told if math.isfinite(loss)]
    return len(finite) > FIRST and 0 <= finite[-1] < KNOWN * max(finite[:FIRST])


def _begun(told: Sequence[float]) -> float:
    """The usual one of the first few."""
    return float(np.median(told[:FIRST])) if len(told) > 4 * FIRST else math.nan
