"""What a training does, seen from outside: batches, losses, gradients, steps, evaluations.

By torch's own hooks, a `TorchFunctionMode` for functions and global ones for modules and
optimizers: a user's loop is seen as well as the stock trainer. Changes nothing; never judges.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from trainers.probes import functions
from trainers.probes.calls_seen import CallsSeen
from trainers.probes.evaluated_losses import EvaluatedLosses
from trainers.probes.evaluation import evaluate_again, mixes_rows
from trainers.probes.following import share_followed
from trainers.probes.hooks import DROPOUTS, is_transformed, named_weights, of_modules
from trainers.probes.labels_seen import LabelsSeen
from trainers.probes.seen import Pass, batch_of, loss_call
from trainers.probes.shapes import broadcast_shapes, over_rows
from trainers.probes.units_seen import UnitsSeen
from trainers.probes.watch_steps import LOOKED_AT, StepWatch
from trainers.probes.weights_alike import units_alike

OTHERS = 0.1  # share of rows that were not trained on, above which it is an evaluation
STILL = 1e-3  # with less momentum, running statistics stay where they began


class Watch(StepWatch):
    """A context in which whatever torch trains is noted in `seen`, which is complete at its end.

    Args:
        train_rows: keys of these; passes over them may set statistics of batch norm (`update_bn`).
    """

    def __init__(self, train_rows: frozenset[int] = frozenset()) -> None:
        super().__init__()
        self._train_rows, self._taught = train_rows, set(train_rows)  # given; trained on too
        self.labels_seen, self.evaluated_losses = LabelsSeen(), EvaluatedLosses(train_rows)
        self.calls_seen = CallsSeen(self.labels_seen.answers)
        self._calibrating: set[str] = set()  # what was active in the pass without gradients
        # And in such passes since the last backward pass; in those that one came after.
        self._noisy, self._helping = set[str](), set[str]()
        self._helped, self._helps = 0, False  # backward passes right after any such, as a teacher's
        self._depth = 0  # modules under way
        self._noted, self._units = list[Tensor](), UnitsSeen(self.seen)
        self._passes, self._pass = list[Pass](), Pass()  # of this epoch; the one under way
        self._evaluated, self._buffers = False, dict[str, Tensor]()
        self._judged: nn.Module | None = None  # what evaluated other rows than those of train
        self._inside = self._in_training = self._paused = False  # inside of the model
        self._pieces: set[int] = set()  # further modules of an evaluation that were looked at

    def _forget(self) -> None:
        kept = {"_handles", "_backward", "_depth", "_inside", "_paused"}
        fresh = vars(Watch(self._train_rows))
        vars(self).update({name: fresh[name] for name in fresh.keys() - kept})
        self.seen.prepared = True

    def _hook(self) -> None:
        super()._hook()
        self._handles += of_modules(self._entered, self._left)

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        ended = self._passes and self._passes[-1].used  # the last one may have been cut short
        self._close(self._passes if ended else self._passes[:-1])
        if 2 * self._helped < len(self._noted):  # an evaluation in front of an epoch's training
            self._noisy |= self._helping
        self._note_noise()
        self.seen.losses = [float(loss) for loss in self._noted]
        self._units.end()
        for tensor, weights in self._named.values():
            weights.alike = units_alike(tensor.detach())
            weights.trainable |= tensor.requires_grad  # thawed meanwhile
            weights.moved = self._has_moved(tensor)
        self.seen.weights = [weights for _, weights in self._named.values()]
        self.seen.next_tokens, first = self._next_tokens.found, self._initial
        owned = self._owned
        self.seen.followed = share_followed(self._judged, self._first, first=first, owned=owned)

    def epoch(self) -> None:
        """An epoch has ended."""
        super().epoch()
        self._note_noise()
        self._close(self._passes)
        self._passes = []
        self.seen.epochs.append(len(self.seen.batches))
        self.seen.losses_until.append(len(self._noted))
        self.evaluated_losses.epoch()

    def _close(self, passes: Sequence[Pass]) -> None:
        """What was no training, although gradients were on, was an evaluation."""
        for one in passes:
            if one.used:
                self.seen.quiet_trainings += sorted(
                    one.quiet - one.active - set(self.seen.quiet_trainings)
                )
                if one.given is not None:
                    self.seen.batches.append(one.given)
            else:
                self.seen.noisy_evaluations += sorted(one.active - set(self.seen.noisy_evaluations))
                if one.given is not None:
                    self.seen.evaluated.append(one.given)

    # Calls of torch's functions

    def _on_call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if is_transformed():
            return func(*args, **kwargs)
        fresh = func in functions.LOSSES and len(args) > 1 and self._is_first(func, args)
        if func in DROPOUTS or func is F.batch_norm:
            self._note_mode(func, args, kwargs)
        elif func in functions.DIFFERENCES and not self.seen.broadcast:
            self.seen.broadcast = broadcast_shapes(args)
        elif fresh:
            # An evaluation's counts until there is one in training.
            self._in_training = torch.is_grad_enabled()
            self.seen.loss = loss_call(
                func, args[0], args[1], functions.with_weight(func, args, kwargs)
            )
        elif func in functions.DENSE and self._is_inside() and self.seen.first_layer is None:
            self.seen.first_layer = functions.spread(args[0])
        outputs = () if not self._passes or self._is_inside() else self._passes[-1].outputs
        targets = functions.targets_of(func, args, kwargs, outputs)
        if targets is not None and not self._paused:
            if torch.is_grad_enabled() and func in functions.LOSSES:
                self._next_tokens.asked(args[0] if args else None, targets)
            first = args[0] if args else None
            self.labels_seen.lost(targets, inside=self._is_inside(), outputs=first)
        elif func in functions.SOFTMAXES and args and outputs:
            self.seen.over_rows += over_rows(args, kwargs, outputs=outputs)
        if func in functions.MULTIPLIED:
            self.changed(args[0])
        result = func(*args, **kwargs)
        if func is F.embedding and args:
            self._next_tokens.embedded(args[0], result)
        if fresh and self.seen.loss is not None:
            self.seen.loss.value = float(result.detach().double().mean())
        if func in functions.LOSSES and not self._paused:
            self.evaluated_losses.lost(func.__name__, args, kwargs, result)
        self.calls_seen.called(func, args, kwargs, result)
        self._units.put_out(func, result)
        return result

    def _is_inside(self) -> bool:
        """Whether the model itself is under way."""
        return self._inside and self._depth > 0

    def _is_first(self, func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Whether it is the first one, the first in training, or the first against labels; a loss
        of no row, as of a picture without objects, is none.
        """
        if not args[0].numel():
            return False
        if self.seen.loss is None or not torch.is_grad_enabled() or not self._in_training:
            return self.seen.loss is None or torch.is_grad_enabled()
        return not self.seen.backwards and functions.asks_for_labels(func, args, self.seen.loss)

    def _note_mode(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Dropout or batch norm, as in training or as in evaluation."""
        name = "batch norm" if func is F.batch_norm else "dropout"
        active = bool(kwargs.get("training", name == "dropout"))
        if name == "dropout" and not kwargs.get("p", 0.5):
            return
        if name == "batch norm":
            if args[1] is None:
                return  # no running statistics: batch statistics are all that it has
            self.seen.batch_norms += 1
            self.seen.still_norms += active and kwargs.get("momentum", 1.0) < STILL
            if active:
                self.seen.averaged = max(
                    args[0].numel() // max(args[0].shape[1], 1), self.seen.averaged or 0
                )
        if torch.is_grad_enabled():
            (self._pass.active if active else self._pass.quiet).add(name)
        elif active and self._depth:
            self._calibrating.add(name)
        elif active and name not in self.seen.noisy_evaluations:
            self.seen.noisy_evaluations.append(name)

    def _on_backward(self, loss: Tensor) -> None:
        self._noted.append(loss)
        self._helped, self._helps = self._helped + self._helps, False
        self._helping, self._noisy = self._helping | self._noisy, set()

    def _note_noise(self) -> None:
        """What was active in evaluations of this epoch."""
        self.seen.noisy_evaluations += sorted(self._noisy - set(self.seen.noisy_evaluations))
        self._noisy = set()

    # Modules

    def _entered(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        outermost = self._depth == 0
        self._depth += 1
        if is_transformed() or any(map(is_lazy, module.parameters())):
            return
        if outermost:
            self._calibrating = set()
            if any(True for _ in module.parameters()):
                self._called_from_outside(module, args)
            self._inside = module is self._first
        elif self._inside and torch.is_grad_enabled() and not self._paused:
            for name, parameter in named_weights(module, recurse=False):
                self._note_parameter(
                    f"{name} of an unregistered {type(module).__name__}", parameter
                )

    def _called_from_outside(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """A module that has weights, the model or another one, is called by none."""
        if self._first is None and torch.is_grad_enabled():
            self._first = module
        if module is not self._first and self.seen.backwards < LOOKED_AT:
            self._called |= {id(parameter) for parameter in module.parameters()}
        if module is not self._first or self._paused:
            return
        self.evaluated_losses.begun(evaluates=not torch.is_grad_enabled())
        self._units.begin()
        self._pass = Pass()
        self._asking_input = any(isinstance(x, Tensor) and x.requires_grad for x in args)
        for name, parameter in named_weights(module):
            self._note_parameter(name, parameter)
        if not torch.is_grad_enabled() and not self._evaluated:
            self._buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}

    def _left(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any = None
    ) -> None:
        # Where the module raised, torch gives neither keywords nor an output.
        self._depth -= 1
        if self._depth or self._paused or output is None or is_transformed():
            return
        given = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        # what is sparse, as the links of a graph, is no row's own
        leaves = [leaf for leaf in given if leaf.ndim and leaf.layout is torch.strided]
        tensors = [leaf for leaf in leaves if len(leaf)]
        if leaves and not tensors:  # no row, as of pictures without objects
            return
        if not torch.is_grad_enabled() and tensors and any(True for _ in module.parameters()):
            self._note_evaluation(module, tensors)
        if module is not self._first:
            if not kwargs:
                self._note_piece(module, args, output)
            return
        size = self.calls_seen.measures(tensors) if tensors else None
        batch = batch_of(tensors[0].detach(), size) if tensors else None
        if not torch.is_grad_enabled():
            self.labels_seen.answered(output, batch.keys if batch is not None else ())
            self.seen.evaluated += [batch] if batch is not None else []
            if not self._evaluated and not self._calibrating:
                self._evaluated = self._paused = True
                try:
                    evaluate_again(
                        self.seen, module, args, kwargs=kwargs, output=output, before=self._buffers
                    )
                finally:
                    self._paused = False
            return
        self._taught.update(() if batch is None else batch.keys)
        (done := self._pass).given = batch
        done.outputs = tuple(output.shape) if isinstance(output, Tensor) else ()
        self.labels_seen.passed(batch, tensors, output, module=module)
        self._passes.append(done)
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                leaf.register_hook(lambda _: setattr(done, "used", True))

    def _note_piece(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """A further piece of the model, in an evaluation: is a row's part its own there?"""
        rows = self.seen.evaluated[-1].shape[:1] if self.seen.evaluated else ()
        mine = any(id(parameter) in self._owned for parameter in module.parameters())
        if torch.is_grad_enabled() or not mine or not rows or id(module) in self._pieces:
            return
        self._pieces.add(id(module))
        self._paused = True
        try:
            self.seen.rows_mix |= mixes_rows(module, args, output, rows=rows[0])
        finally:
            self._paused = False

    def _note_evaluation(self, module: nn.Module, given: Sequence[Tensor]) -> None:
        """A pass of any module without gradients; one of a copy may set its statistics."""
        self.seen.passes += 1
        keys = self.labels_seen.answers.evaluated(given, by=module, model=self._first)
        self.evaluated_losses.passed(keys)
        self._helps |= bool(self._calibrating)
        known = self._train_rows if module is self._first or not module.training else self._taught
        if sum(key not in known for key in keys) > OTHERS * len(keys):
            self._judged = module
            self._noisy |= self._calibrating
