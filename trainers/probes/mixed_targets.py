"""Whether the targets of a loss matter to what a training comes to, where it loads its rows itself:
trainings on its targets, and on targets that are mixed within each batch.

Measures; never judges.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.overrides import TorchFunctionMode

from trainers.api import Data
from trainers.probes.limits import own_time
from trainers.probes.run import Run
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient, without_penalties

MIXED, CERTAIN = 3, 3.0  # trainings on mixed targets; standard errors that are certain
STEPS, LONGER = 200, 600  # steps of one training: at first, and where nothing was certain
FEWEST, MOST = 60, 20_000  # rows whose losses tell; most of an epoch that are kept
OTHERS = 0.2  # share of the targets that mixing must change
ROW_LOSSES = (
    F.cross_entropy, F.nll_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits,
    F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss,
)  # fmt: skip
Answer = dict[str, Any]


class Targets(TorchFunctionMode):
    """A context in which targets of losses are mixed within a batch, where gradients are on and
    `mixed` says so; of outputs without gradients, a score of every row is noted: e to the minus
    its loss.

    `epochs`: of each, the scores of the rows; `changed`: shares of the targets that mixing changed.
    """

    def __init__(self, *, mixed: bool) -> None:
        super().__init__()
        self.epochs: list[NDArray[np.float64]] = []
        self.changed: list[float] = []
        self._rows: list[Tensor] = []
        self._mixed = mixed

    def epoch(self) -> None:
        """An epoch has ended."""
        rows = torch.cat(self._rows).double().cpu().numpy() if self._rows else np.zeros(0)
        self.epochs.append(rows[:MOST])
        self._rows = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func not in ROW_LOSSES:
            return func(*args, **kwargs)
        targets = args[1] if len(args) > 1 else kwargs.get("target")
        if not isinstance(targets, Tensor) or not targets.ndim or len(targets) < 2:
            return func(*args, **kwargs)
        outputs = args[0] if args else kwargs.get("input")
        if isinstance(outputs, Tensor) and not outputs.requires_grad:
            self._note_rows(func, outputs, targets)
        elif self._mixed and not targets.requires_grad:
            order = torch.randperm(len(targets), device=targets.device)
            self.changed.append(float((targets[order] != targets).double().mean()))
            if len(args) > 1:
                return func(args[0], targets[order], *args[2:], **kwargs)
            kwargs["target"] = targets[order]
        return func(*args, **kwargs)

    def _note_rows(self, func: Callable[..., Any], outputs: Tensor, targets: Tensor) -> None:
        if sum(map(len, self._rows)) < MOST:
            each = func(outputs, targets, reduction="none").detach()
            self._rows.append(torch.exp(-each.reshape(len(each), -1).mean(dim=1)))


def targets_matter(
    subject: Subject, data: Data, *, rates: Sequence[float], enough: float
) -> Answer:
    """How trainings on the targets and on mixed ones do on the rows that they evaluate; higher is
    better. At the first of the rates, and longer at all of them if that shows nothing.
    """
    tries = [(rates[0], STEPS), *((rate, LONGER) for rate in rates)]
    return until_certain(
        tries,
        lambda rate, steps: _against_mixed(subject, data, rate=rate, steps=steps),
        enough=enough,
    )


def until_certain(
    tries: Iterable[tuple[float, int]], attempt: Callable[[float, int], Answer], *, enough: float
) -> Answer:
    """The first answer that is certain, else the last one; without one where the time is over.

    Args:
        tries: learning rates, each with how many steps are trained.
        attempt: trains, and says by how many standard errors the targets mattered.
        enough: after which no further try begins [s of the processor].
    """
    answer: Answer = {}
    ends = own_time() + enough
    for rate, steps in tries:
        if answer and own_time() > ends:
            return {"cause": f"after {enough:.0f} s nothing was certain; not all rates were tried"}
        answer = attempt(rate, steps)
        if answer.get("deviations", math.inf) > CERTAIN:
            break
    return answer


def _against_mixed(subject: Subject, data: Data, *, rate: float, steps: int) -> Answer:
    epochs = max(3, -(-steps // subject.steps(data)))
    scores, changed, fell = list[NDArray[np.float64]](), list[float](), None
    for number in range(1 + MIXED):
        targets = Targets(mixed=number > 0)

        def ended(run: Run, targets: Targets = targets) -> bool:
            targets.epoch()
            return False

        contexts = [Steer(rate=lambda _: rate, plain=True, until=patient()), targets]
        run = subject.train(
            data,
            epochs=epochs,
            config=without_penalties(subject.config),
            contexts=contexts,
            stop=ended,
        )
        rows = [one for one in targets.epochs if len(one) >= FEWEST and np.isfinite(one).all()]
        if not rows:
            return {"cause": run.error or "no loss of rows was seen without gradients"}
        if len({len(one) for one in rows}) > 1:
            return {"cause": "each epoch evaluates another number of rows"}
        scores.append(np.mean(rows[len(rows) // 2 :], axis=0))
        changed += [float(np.mean(targets.changed))] if targets.changed else []
        if not number:
            fell = run.fall
    if len(changed) < MIXED or min(changed) < OTHERS:
        return {"cause": "the trainer loads its labels itself, and mixing targets changes none"}
    if len({len(one) for one in scores}) > 1:
        return {"cause": "each training evaluates another number of rows"}
    gain = scores[0] - np.mean(scores[1:], axis=0)
    chance = float(np.mean(scores[1:]))
    # Rows that resemble each other share what chance the train rows' targets brought.
    drawn = max(chance * (1 - chance), 0.0) / len(data.train.index)
    spread = math.sqrt(float(gain.var(ddof=1)) / len(gain) + drawn)
    return {
        "true": float(scores[0].mean()),
        "shuffled": chance,
        "rows": len(gain),
        "deviations": float(gain.mean()) / spread if spread else math.nan,
        "fell": fell,
        "mixed": True,
    }
