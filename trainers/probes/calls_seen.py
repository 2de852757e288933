"""Single calls of torch's functions that say what was meant otherwise: a dropout that leaves hardly
anything or cuts the answer itself, a divergence that is given probabilities, tokens of which most
are read as one. Changes nothing; never judges.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.probes import functions
from trainers.probes.answers_seen import AnswersSeen
from trainers.probes.hooks import DROPOUTS, unwatched
from trainers.probes.maps_seen import MapsSeen
from trainers.probes.maps_turned import MapsTurned
from trainers.probes.shapes import CATEGORIES, PASSED, last_operation, measures

KEPT, DEEP = 32, 12  # nodes of dropouts that are kept; steps back from a loss that are followed
ENDS = (*PASSED, "LogSoftmax", "Softmax", "Sigmoid")
CLOSE = 1e-3  # how near to 1 the sum of probabilities lies
MOST_KINDS = 200_000  # tokens of an embedding that are counted
PADDING = 0  # the token that pads a row, and does not count
SHARES = ("Softmax", "Sigmoid")  # operations that leave probabilities
KINDS = 10  # fewest kinds of tokens of which something is said


class CallsSeen:
    """What is seen of such calls, in training.

    Args:
        answers: hears of the products of a loop without modules, in evaluation too.
    """

    def __init__(self, answers: AnswersSeen) -> None:
        self._answers = answers
        self.dropped = 0.0  # the greatest share that a dropout takes away
        self.answer_dropped = 0  # losses whose outputs come straight from a dropout
        self.divergence = ""  # what it is given that it does not take
        self.soft_targets = 0  # divergences from fixed shares, as a teacher's
        self.logarithm_of = ""  # what ends the numbers of whose softmax a logarithm is taken
        self.maps, self.turned = MapsSeen(), MapsTurned()
        self._nodes: list[Any] = []  # of the last dropouts
        self._read: dict[int, tuple[Tensor, Tensor]] = {}  # embedding → its weights, its counts
        self._ids: list[Tensor] = []  # columns of ids that embeddings were asked for

    def called(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], got: Any
    ) -> None:
        """A function was called, and this came out."""
        if func in functions.LAYERS and len(args) > 1:
            self._answers.multiplied(*args[:2])
        elif func in functions.DIFFERENCES and len(args) > 1:
            self._answers.subtracted(*args[:2])
        elif func is Tensor.__getitem__:
            self._answers.picked(*args)
        elif func in functions.DRAWS and got.ndim == 2:  # a class for each of several rows
            self._answers.draws = True
        if not args or not isinstance(args[0], Tensor):
            return
        if func in functions.OF_IDS and args[0].ndim and args[0].numel():
            tokens = args[0].detach().reshape(len(args[0]), -1).T
            self._ids = [*self._ids, *tokens[:CATEGORIES]][-KEPT:]
        elif func in functions.LOSSES:
            self.turned.asked(functions.targets_of(func, args, dict(kwargs), ()))
        if not torch.is_grad_enabled():
            return
        if func in DROPOUTS:
            self._dropout(args, kwargs, got)
        elif func in functions.LOSSES:
            self.answer_dropped += self._is_dropped(args[0])
            if func in functions.ENTROPIES:
                self.maps.asked(args[1] if len(args) > 1 else kwargs["target"])
        elif func is F.kl_div:
            targets = args[1] if len(args) > 1 else kwargs["target"]
            self.soft_targets += not targets.requires_grad and bool((targets % 1 != 0).any())
            self._diverges(args[0], targets, kwargs)
        elif func in functions.LOGARITHMS:
            name = last_operation(args[0])[0]
            self.logarithm_of = self.logarithm_of or (name.lower() if name in SHARES else "")
        elif func is F.embedding:
            self._embedded(args[0], args[1] if len(args) > 1 else kwargs["weight"])

    @unwatched
    def measures(self, given: Sequence[Tensor]) -> Tensor:
        """What the model was given in this pass whose size means something."""
        self.turned.given(given, teaches=torch.is_grad_enabled())
        ids, self._ids = self._ids, []
        return measures(given, ids)

    def _diverges(self, outputs: Tensor, targets: Any, kwargs: Mapping[str, Any]) -> None:
        if _sums_to_one(outputs):
            self.divergence = "probabilities, where it wants their logarithms"
        elif float(outputs.detach().max()) > CLOSE:
            self.divergence = "numbers above 0, which are no logarithms of probabilities"
        elif not kwargs.get("log_target") and bool((targets.detach() < 0).any()):
            self.divergence = "targets below 0, which are no probabilities"

    def _dropout(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], got: Any) -> None:
        share = float(kwargs.get("p", args[1] if len(args) > 1 else 0.5))
        active = kwargs.get("training", args[2] if len(args) > 2 else True)
        if not active or not share or not isinstance(got, Tensor) or got.grad_fn is None:
            return
        self.dropped = max(self.dropped, share)
        self._nodes = [*self._nodes, got.grad_fn][-KEPT:]

    def _is_dropped(self, outputs: Tensor) -> bool:
        """Whether nothing but a change of form, or a softmax, lies between a dropout and these."""
        node: Any = outputs.grad_fn
        for _ in range(DEEP):
            if node is None or any(node is one for one in self._nodes):
                return node is not None
            if not any(part in str(node.name()) for part in ENDS) or not node.next_functions:
                return False
            node = node.next_functions[0][0]
        return False

    def _embedded(self, tokens: Tensor, weights: Any) -> None:
        if not isinstance(weights, Tensor) or tokens.is_floating_point() or not tokens.numel():
            return
        places = tokens.ndim < 2 or bool((tokens == tokens[:1]).all())  # the same of every row
        if places or len(weights) > MOST_KINDS:
            return
        counts = torch.bincount(tokens.detach().flatten().cpu(), minlength=len(weights))
        _, before = self._read.get(id(weights), (weights, torch.zeros_like(counts)))
        self._read[id(weights)] = weights, before + counts

    def merged_tokens(self, tokens: NDArray[Any]) -> dict[str, Any] | None:
        """Of tokens as they are given and as an embedding is asked for them: how many kinds, and
        the share of the most frequent one; of the embedding with the most kinds. None where too
        few are known.
        """
        given = torch.as_tensor(tokens[tokens != PADDING].astype("int64"))
        counts = [counts for _, counts in self._read.values()]
        if not len(given) or not counts:
            return None
        own = torch.unique(given, return_counts=True)[1]
        read = max((one[PADDING + 1 :] for one in counts), key=lambda one: int((one > 0).sum()))
        if len(own) < KINDS or not int(read.sum()):
            return None
        return {
            "given": len(own),
            "read": int((read > 0).sum()),
            "most_given": float(own.max() / own.sum()),
            "most_read": float(read.max() / read.sum()),
        }


def _sums_to_one(numbers: Tensor) -> bool:
    """Whether rows are probabilities, where their logarithms are asked for."""
    plain = numbers.detach().double()
    several = plain.ndim > 1 and plain.shape[1] > 1 and bool((plain >= 0).all())
    return several and bool(((plain.sum(dim=1) - 1).abs() < CLOSE).all())
