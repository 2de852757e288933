"""What the steps of an optimizer do, seen from outside: gradients, rates, updates, and what happens
to the weights in between. Changes nothing; never judges.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainers.layer_series import dense
from trainers.probes.between import drawn_anew, factor_between, taken_back
from trainers.probes.by_hand import StepsByHand, leaves_of
from trainers.probes.hooks import (
    Hooked,
    has_closure,
    has_gradient,
    has_memory,
    is_idle,
    parameters_of,
    unwatched,
)
from trainers.probes.next_tokens import NextTokens
from trainers.probes.seen import Seen, Weights
from trainers.probes.shapes import rows_summed
from trainers.probes.weights_alike import is_constant

PREPARED = 16  # steps before the first epoch that are no turn of a critic
LOOKED_AT = 4  # backward passes whose graphs are looked at


class StepWatch(Hooked):
    """Notes the steps of whatever optimizer in `seen`."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()
        self._first: nn.Module | None = None  # the model
        self._named: dict[int, tuple[Tensor, Weights]] = {}  # parameters, and what is noted of them
        self._frozen: dict[int, float] = {}  # those that ask for no gradient, and their sums
        self._fresh: set[int] = set()  # parameters to which a gradient came since the last step
        self._before: dict[int, Tensor] = {}  # parameters before this step
        self._after: dict[int, Tensor] = {}  # and after the last one
        self._optimizers: set[int] = set()
        self._owned: set[int] = set()  # parameters that an optimizer has
        self._initial: dict[int, Tensor] = {}  # these, as they were before the first step
        self._taking_turns: set[int] = set()  # optimizers that stepped in this epoch
        self._stepped: set[int] = set()  # those that were stepped in this epoch
        self._stepped_before: set[int] = set()  # and in the one before
        self._stale: tuple[Tensor, Tensor] | None = None  # a parameter, and what lay there before
        self._by_hand = StepsByHand(self.seen)
        self._next_tokens = NextTokens()
        self._blank = False  # the optimizer remembers nothing before this step
        self._called: set[int] = set()  # parameters of other modules than the model
        self._met: dict[int, Tensor] = {}  # at the ends of any graph so far
        self._leaves: list[Tensor] | None = None  # of every backward pass so far
        self._asking_input = False  # the model's input asks for a gradient of its own
        self._kept: tuple[Tensor, Tensor] | None = None  # a parameter; as it was at the last pass
        self._compared = False  # with it, in this pass
        # Of an optimizer: its last step, and the parameters that had a gradient then.
        self._last: dict[int, tuple[int, set[int]]] = {}
        self._begun: dict[int, int] = {}  # steps when a parameter's gradient last began anew
        self._stepping, self._late = False, 0  # the step after which gradients were changed

    def _note_parameter(self, name: str, parameter: Tensor) -> Weights:
        if id(parameter) in self._named:
            return self._named[id(parameter)][1]
        weights = Weights(
            name=name, shape=tuple(parameter.shape), trainable=parameter.requires_grad
        )
        if not parameter.requires_grad:
            self._frozen[id(parameter)] = _total(parameter)
        weights.constant = not self.seen.steps and is_constant(dense(parameter.detach()))
        self._named[id(parameter)] = parameter, weights
        if parameter.requires_grad:
            hook = parameter.register_hook(lambda _: self._arrived(parameter))
            self._handles.append(hook)
        return weights

    def epoch(self) -> None:
        """An epoch has ended."""
        self._taking_turns = set()
        self.seen.steps_until.append(self.seen.steps + self.seen.hand_steps)
        if self._stepped and self._stepped_before:
            self.seen.made_anew |= not self._stepped & self._stepped_before
        self._stepped_before, self._stepped = self._stepped or self._stepped_before, set()

    def _has_moved(self, parameter: Tensor) -> bool:
        """Whether it asked for no gradient, and became another nonetheless."""
        before = self._frozen.get(id(parameter))
        return before is not None and before != _total(parameter)

    # Gradients and steps

    def changed(self, what: Any) -> None:
        """One or several are multiplied in place: are they gradients that a step has used?"""
        if self._stepping or self._fresh or not self._optimizers or self._late == self.seen.steps:
            return
        ids = {id(one) for one in (what if isinstance(what, list | tuple) else [what])}
        if any(id(p.grad) in ids for p, one in self._named.values() if one.optimized):
            self._late = self.seen.steps
            self.seen.changed_late += 1

    def _arrived(self, parameter: Tensor) -> None:
        """A gradient on its way to a parameter: what lies there since the last step is stale."""
        held = parameter.grad if has_gradient(parameter) else None
        if held is None:
            self._begun[id(parameter)] = self.seen.steps
        if id(parameter) in self._fresh:
            self._note_discarded(parameter)
            return
        self._fresh.add(id(parameter))
        if self._stale is None and id(parameter) in self._owned and held is not None:
            self._stale = parameter, held

    def _note_discarded(self, parameter: Tensor) -> None:
        """A second gradient before a step: is the first one gone, although the weights are the
        same? Loops that look ahead with it move them.
        """
        if self._kept is None or self._kept[0] is not parameter or self._compared:
            return
        self._compared = True
        cleared = not has_gradient(parameter)
        still = torch.equal(self._kept[1], parameter.detach())
        self.seen.discarded += cleared and still

    def _before_backward(self, asked: Sequence[Tensor]) -> None:
        self._compared = False
        self._next_tokens.look()
        if self._optimizers and self.seen.backwards > LOOKED_AT:
            return
        self.seen.backwards += 1
        leaves = {id(leaf): leaf for loss in asked for leaf in leaves_of(loss)}
        if self.seen.backwards <= LOOKED_AT:
            self._note_leaves(leaves)
            self.seen.summed = max(self.seen.summed, *map(rows_summed, asked))
        if self._leaves is not None:
            leaves = {id(leaf): leaf for leaf in self._leaves if id(leaf) in leaves}
        self._leaves = list(leaves.values())
        if not self._optimizers:
            self._by_hand.before_backward(self._leaves)

    def _note_leaves(self, leaves: dict[int, Tensor]) -> None:
        """Tensors without a module, or of another one than the model, that come a second time."""
        for key, leaf in leaves.items():
            if key in self._met and (self._first is None or isinstance(leaf, nn.Parameter)):
                weights = self._note_parameter(f"tensor {tuple(leaf.shape)}", leaf)
                weights.beside = key in self._called
        self._met |= leaves

    def _after_backward(self) -> None:
        if not self._optimizers:
            self._by_hand.after_backward(self._leaves or ())
        fresh = (p for p, _ in self._named.values() if id(p) in self._fresh and has_gradient(p))
        # A pass that was made for the input's gradient keeps none.
        kept = None if self._asking_input else next(fresh, None)
        self._kept = None if kept is None else (kept, kept.detach().clone())

    @unwatched
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if is_idle(optimizer):
            return
        mine = parameters_of(optimizer)
        if self._is_prepared(mine):
            self._forget()
        if not self._optimizers and not any(id(parameter) in self._named for parameter in mine):
            self._first, self._named = None, {}  # what was called first is not what is trained
        if not self._optimizers:  # what was done to the weights before was no step of its own
            self.seen.hand_steps, self.seen.hand_rates, self.seen.factors = 0, [], []
            self.seen.stale_gradients, self._stale = 0, None
        closure = has_closure(args, kwargs)
        known = all(id(parameter) in self._named for parameter in mine)
        self._optimizers.add(id(optimizer))
        self._taking_turns.add(id(optimizer))
        self.seen.optimizers = max(self.seen.optimizers, len(self._taking_turns))
        self.seen.steps += 1
        self._blank = not has_memory(optimizer)
        self.seen.steps_without_gradient += known and not self._fresh and not closure
        self.seen.rates.append(float(optimizer.param_groups[0]["lr"]))
        decays = (group["lr"] * group.get("weight_decay", 0) for group in optimizer.param_groups)
        self.seen.decay = max(self.seen.decay, *map(float, decays))
        self.seen.maximized += bool(optimizer.param_groups[0].get("maximize"))
        none_left = not any(map(has_gradient, mine))
        # A loss of 0, as of triplets that are far apart, has no gradient from the start.
        self.seen.cleared += bool(self._fresh) and self._kept is not None and none_left
        self._note_between(mine)
        for parameter in mine:
            self._note_parameter(f"tensor {tuple(parameter.shape)}", parameter).optimized = True
            self._owned.add(id(parameter))
            self._stepped.add(id(parameter))
            self._before[id(parameter)] = dense(parameter.detach()).clone()
            self._initial.setdefault(id(parameter), self._before[id(parameter)])
        self._note_clearing(optimizer, mine)
        self._stepping = True
        if not closure:
            self._note_gradients(optimizer)

    def _is_prepared(self, parameters: Sequence[Tensor]) -> bool:
        """Whether all steps so far were of others and before the first epoch, and too many for
        turns: as of a teacher, or of a backbone that is trained before.
        """
        other = not any(id(parameter) in self._owned for parameter in parameters)
        return other and self.seen.steps >= PREPARED and not self.seen.steps_until

    def _forget(self) -> None:
        """Begins anew."""
        raise NotImplementedError

    def _note_clearing(self, optimizer: Optimizer, mine: Sequence[Tensor]) -> None:
        """Whether any gradient of these began anew since the last step of this optimizer."""
        held = {id(p) for p in mine if has_gradient(p)}
        at, before = self._last.get(id(optimizer), (0, set()))
        again = held & before
        self.seen.never_cleared += bool(again) and max(self._begun.get(p, -1) for p in again) < at
        self._last[id(optimizer)] = self.seen.steps, held
        betas = optimizer.param_groups[0].get("betas") or ()
        self.seen.betas = [float(beta) for beta in betas] if len(betas) == 2 else []

    def _note_between(self, parameters: Sequence[Tensor]) -> None:
        """What became of the parameters since their last step."""
        old = {id(p): self._after[id(p)] for p in parameters if id(p) in self._after}
        now = {id(p): dense(p.detach()) for p in parameters}
        moved = bool(old) and not all(torch.equal(one, now[key]) for key, one in old.items())
        first = all(torch.equal(self._initial[key], now[key]) for key in old)
        self.seen.restarts += moved and first and self.seen.steps > 2
        self._count(taken_back(self._before, old, now), into=self.seen.put_back)
        factor = factor_between(old, now)
        if factor is not None:
            self.seen.factors.append(factor)
            return
        self._count(drawn_anew(old, now), into=self.seen.drawn_anew)

    def _count(self, tensors: Iterable[int], *, into: dict[str, int]) -> None:
        """Once more for each of these, by its name."""
        for key in tensors:
            name = self._named[key][1].name if key in self._named else "a tensor"
            into[name] = into.get(name, 0) + 1

    def _note_gradients(self, optimizer: Optimizer) -> None:
        """What the parameters hold for this step."""
        total = 0.0
        for parameter in parameters_of(optimizer):
            if parameter.grad is not None:
                weights, gradient = self._named[id(parameter)][1], dense(parameter.grad)
                peak = float(gradient.abs().max()) if gradient.numel() else 0.0
                weights.gradients += peak != 0
                weights.finite &= peak < float("inf")
                weights.largest = max(weights.largest, peak)
                total += float(gradient.double().square().sum())
        self.seen.gradient_norms.append(total**0.5)
        if self._stale is not None:  # added to; a loop may put another one in its place
            self.seen.stale_gradients += self._stale[0].grad is self._stale[1]
        self._fresh, self._stale = set(), None

    @unwatched
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if is_idle(optimizer):
            return
        self._stepping = False
        self.seen.forgetful += self._blank and has_memory(optimizer)
        moved = size = 0.0
        for parameter in parameters_of(optimizer):
            before, now = self._before[id(parameter)], dense(parameter.detach())
            moved += float((now - before).double().square().sum())
            size += float(before.double().square().sum())
            self._after[id(parameter)] = now.clone()
        if len(self.seen.gradient_norms) < self.seen.steps:  # a closure has asked for them
            self._note_gradients(optimizer)
        self.seen.ratios.append((moved / size) ** 0.5 if size else 0.0)


def _total(parameter: Tensor) -> float:
    return float(dense(parameter.detach()).double().sum())
