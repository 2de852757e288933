"""Torch's own hooks for as long as a context lasts: its functions by a mode, its modules and
optimizers by global hooks.

Backward passes have no global hook: `torch.autograd.backward`, through which `Tensor.backward` goes
too, is wrapped meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.nn.modules.module import (
    _global_forward_hooks_with_kwargs,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.overrides import TorchFunctionMode

from trainers.layer_series import dense

P = ParamSpec("P")
R = TypeVar("R")
DROPOUTS = (
    F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout,
)  # fmt: skip


def unwatched(look: Callable[P, R]) -> Callable[P, R]:
    """What a look computes by torch itself is no call of the training's: it goes past all modes,
    in half of the time.
    """

    @wraps(look)
    def past_all_modes(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch._C.DisableTorchFunction():
            return look(*args, **kwargs)

    return past_all_modes


class Intercepted(TorchFunctionMode):
    """A context in which `_on_call` stands in place of every call of a function of torch's; what it
    calls itself goes past it.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return self._on_call(func, args, kwargs or {})

    def _on_call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of the call."""
        raise NotImplementedError


class Hooked(Intercepted):
    """A context with hooks, all of which are gone afterwards; `_handles` holds them."""

    def __init__(self) -> None:
        super().__init__()
        self._handles: list[Any] = []
        self._backward: Callable[..., None] = torch.autograd.backward

    def _hook(self) -> None:
        """Registers the hooks."""
        self._handles += [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """An optimizer is about to step."""
        raise NotImplementedError

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """It has stepped."""
        raise NotImplementedError

    def _on_backward(self, loss: torch.Tensor) -> None:
        """A gradient is asked for; `loss` [] is the mean of what it is asked of."""
        raise NotImplementedError

    def _before_backward(self, asked: Sequence[torch.Tensor]) -> None:
        """A gradient is asked for of these."""

    def _after_backward(self) -> None:
        """The gradients have come."""

    def __enter__(self) -> Self:
        self._hook()
        inner = self._backward = torch.autograd.backward

        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            asked = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
            self._on_backward(_mean(asked))
            self._before_backward(asked)
            inner(tensors, *args, **kwargs)
            self._after_backward()

        torch.autograd.backward = backward
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch.autograd.backward = self._backward
        removed(self._handles)


def of_modules(entered: Callable[..., None], left: Callable[..., None]) -> list[Any]:
    """Hooks of every call of a module: before it, and behind it, also where it raised."""
    return [
        register_module_forward_pre_hook(entered),
        register_module_forward_hook(left, with_kwargs=True, always_call=True),
    ]


def removed(handles: Iterable[Any]) -> None:
    """Takes hooks away."""
    for handle in handles:
        handle.remove()
        # torch 2.13 forgets this mark, by which `torch.compile` then warns of a hook
        _global_forward_hooks_with_kwargs.pop(handle.id, None)


@unwatched
def _mean(asked: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([tensor.detach().double().mean() for tensor in asked]).mean()


def has_closure(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a step is given a closure, which asks for its gradients itself, as for L-BFGS."""
    return any(map(callable, (*args, *kwargs.values())))


def named_weights(module: nn.Module, *, recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
    """A module's parameters, without what torch.func.functional_call puts in their place for a
    call: weights that were computed, which no optimizer has.
    """
    named = module.named_parameters(recurse=recurse)
    return ((name, weight) for name, weight in named if weight.is_leaf)


def has_gradient(parameter: Tensor) -> bool:
    """Whether a gradient lies there, and not zeros."""
    return parameter.grad is not None and bool(dense(parameter.grad).any())


def parameters_of(optimizer: Optimizer) -> list[torch.Tensor]:
    """All that an optimizer steps."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def is_idle(optimizer: Optimizer) -> bool:
    """Whether an optimizer has nothing to step, as one has that is made for its schedule only."""
    return not any(parameter.numel() for parameter in parameters_of(optimizer))


def has_memory(optimizer: Optimizer) -> bool:
    """Whether an optimizer keeps anything of its earlier steps, such as a momentum."""
    kept = (part for part in optimizer.state.values() if isinstance(part, Mapping))
    return any(value is not None for part in kept for value in part.values())


def is_transformed() -> bool:
    """Whether `torch.func` transforms what is called: its tensors then hold no values."""
    return torch._C._functorch.peek_interpreter_stack() is not None
