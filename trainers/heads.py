"""Several heads: a loss per target, weighted and summed (R6, R50).

The model's outputs are the target's, then those of each further target (`data.auxiliary`), in
their order. Only the target's outputs are predictions; the metric is the target's alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from torch import Tensor, nn

from trainers.settings import fits

MAIN = "main"  # the target's own head, as its loss is called in the curves


class Heads(nn.Module):
    """The target's loss and, by their weights, those of further targets.

    Args:
        task: of the target: classification or regression.
        outputs: of the model, all heads together.
        heads: outputs of each further head by its name: as many as it has classes, or 1 of numbers.
        weights: of the further heads; 1 where none is given. The target's is 1.
        main: the target's loss; None: cross-entropy of classes, squared error of numbers.

    Raises:
        ValueError: no further heads, another task, or a weight that is none.
    """

    def __init__(
        self,
        *,
        task: str,
        outputs: int,
        heads: Mapping[str, int] | None,
        weights: Mapping[str, float] | None = None,
        main: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not heads:
            raise ValueError(
                "loss: several heads need further targets, but got no data.auxiliary; "
                "name columns, as data.auxiliary={price: regression}, or take another loss"
            )
        if task not in ("classification", "regression"):
            raise ValueError(
                f"loss: several heads need one answer per row, but got data.task={task}; "
                "take another loss"
            )
        self.is_class = task == "classification"
        self.heads = {str(name): int(size) for name, size in heads.items()}
        self.weights = dict.fromkeys(self.heads, 1.0) | _checked(weights or {}, self.heads)
        self.own = outputs - sum(self.heads.values())
        self.loss = main or _usual(classes=self.is_class)
        self.others = nn.ModuleList([_usual(classes=size > 1) for size in self.heads.values()])

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """outputs [batch, all heads], targets [batch, target and further ones]; a scalar."""
        parts = self.parts(outputs, targets)
        total = parts[MAIN]
        for name, weight in self.weights.items():
            total = total + weight * parts[name]
        return total

    def parts(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Each head's loss without its weight, the target's first."""
        own = targets[:, 0].long() if self.is_class else targets[:, : self._columns(targets)]
        parts = {MAIN: self.loss(self.predictions(outputs), own)}
        for loss, (name, head, answers) in zip(
            self.others, self._further(outputs, targets), strict=True
        ):
            parts[name] = loss(head, answers)
        return parts

    def scores(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """What each further head knows, by column: accuracy_NAME of classes, r2_NAME of numbers.

        R² is NaN where the numbers do not differ.
        """
        scores = {}
        for name, head, answers in self._further(outputs, targets):
            if self.heads[name] > 1:
                scores[f"accuracy_{name}"] = float((head.argmax(dim=1) == answers).float().mean())
            else:
                spread = (answers - answers.mean()).square().mean()
                scores[f"r2_{name}"] = float(1 - (head - answers).square().mean() / spread)
        return scores

    def _further(self, outputs: Tensor, targets: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Name, outputs and answers of each further head."""
        start = self.own
        for column, (name, size) in enumerate(self.heads.items(), start=self._columns(targets)):
            answers = targets[:, column].long() if size > 1 else targets[:, column : column + 1]
            yield name, outputs[:, start : start + size], answers
            start += size

    def _columns(self, targets: Tensor) -> int:
        """How many columns are the target's own."""
        return targets.shape[1] - len(self.heads)

    def predictions(self, outputs: Tensor) -> Tensor:
        """The outputs of the target's own head."""
        return outputs[:, : self.own]


def has_heads(loss: object) -> TypeGuard[Heads]:
    """Whether a loss is one of several heads."""
    return isinstance(loss, Heads)


def own_outputs(loss: nn.Module, outputs: Tensor) -> Tensor:
    """What a model predicts of the target: all of its outputs, but for several heads."""
    return loss.predictions(outputs) if has_heads(loss) else outputs


def _usual(*, classes: bool) -> nn.Module:
    return nn.CrossEntropyLoss() if classes else nn.MSELoss()


def _checked(weights: Mapping[str, Any], heads: Mapping[str, int]) -> dict[str, float]:
    for name, weight in weights.items():
        if name not in heads:
            raise ValueError(
                f"loss.weights.{name}: must be of a further target, but got none of that name; "
                f"there are: {', '.join(heads)}"
            )
        if not fits(weight, positive=False):
            raise ValueError(
                f"loss.weights.{name}: must be a number of 0 or more, but got {weight!r}; mend it"
            )
    return {str(name): float(weight) for name, weight in weights.items()}
