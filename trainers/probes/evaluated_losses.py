"""Losses that were asked for without gradients, per epoch: those of rows of train, and others.

Never judges.
"""

from torch import Tensor

MOST = 400  # most losses of an epoch that are noted


class EvaluatedLosses:
    """What evaluations came to. `epochs`: per epoch the losses of train rows, and of others.

    Args:
        train_rows: keys of the train rows.
    """

    def __init__(self, train_rows: frozenset[int]) -> None:
        self.epochs: list[dict[str, list[float]]] = []
        self._train_rows, self._rows = train_rows, "others"
        self._noted = self._fresh()

    @staticmethod
    def _fresh() -> dict[str, list[float]]:
        return {"train": [], "others": []}

    def passed(self, keys: tuple[int, ...]) -> None:
        """A model was given these rows, without gradients."""
        of_train = bool(keys) and self._train_rows.issuperset(keys)
        self._rows = "train" if of_train else "others"

    def lost(self, loss: Tensor) -> None:
        """A loss came out."""
        losses = self._noted[self._rows]
        if len(losses) < MOST:
            losses.append(float(loss.detach().double().mean()))

    def epoch(self) -> None:
        """An epoch has ended."""
        self.epochs.append(self._noted)
        self._noted = self._fresh()
