"""Settings of a process that a training may change: how each is read, and how it is put back."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, reduce
from operator import attrgetter, methodcaller
from typing import Any

Access = tuple[Callable[[Any], Any], Callable[[Any, Any], object]]  # how it is read, and written
Setting = tuple[str, *Access]  # the module that must have been imported before


def _at(*paths: str) -> Access:
    """Reader and writer of attributes of a module, such as `backends.cudnn.benchmark`."""

    def write(module: Any, values: Any) -> None:
        for path, value in zip(paths, values if len(paths) > 1 else (values,), strict=True):
            *owners, last = path.split(".")
            setattr(reduce(getattr, owners, module), last, value)

    return attrgetter(*paths), write


def _by(read: str, write: str) -> Access:
    """Functions of a module that read and write a setting, by their names."""
    return methodcaller(read), lambda module, value: getattr(module, write)(value)


@cache
def _hooks(module: Any) -> dict[str, dict[int, Any]]:
    """The hooks that torch keeps for all modules of the process, by their kind."""
    kept = vars(module).items()
    return {
        name: hooks
        for name, hooks in kept
        if name.startswith("_global_") and isinstance(hooks, dict)
    }


def _set_hooks(module: Any, value: Mapping[str, Any]) -> None:
    for name, hooks in _hooks(module).items():
        hooks.clear()
        hooks.update(value[name])


def _set_filters(warnings: Any, filters: list[Any]) -> None:
    warnings.filters[:] = filters
    with warnings.catch_warnings():  # at its end Python forgets what it has shown by other filters
        pass


SIGNALS = ("SIGINT", "SIGTERM", "SIGALRM")


def _handlers(module: Any) -> dict[int, Any]:
    """What signals call, as far as Python knows it."""
    numbers = [getattr(module, name) for name in SIGNALS if hasattr(module, name)]
    called = {number: module.getsignal(number) for number in numbers}
    return {number: handler for number, handler in called.items() if handler is not None}


def _set_handlers(module: Any, value: Mapping[int, Any]) -> None:
    for number, handler in value.items():
        if module.getsignal(number) is not handler:
            module.signal(number, handler)


def _set_logging(logging: Any, value: tuple[Any, ...]) -> None:
    logging.root.handlers[:], level, disabled = value
    logging.root.setLevel(level)
    logging.disable(disabled)


ATTENTION = ("flash", "mem_efficient", "math", "cudnn")  # ways to compute attention on a GPU


def _set_attention(torch: Any, value: tuple[bool, ...]) -> None:
    for kind, enabled in zip(ATTENTION, value, strict=True):
        getattr(torch.backends.cuda, f"enable_{kind}_sdp")(enabled)


# Each general one before the special ones, which take its value where they have none.
PRECISIONS = tuple(
    f"backends.{kind}fp32_precision"
    for kind in (
        *("", "cuda.matmul.", "cudnn.", "cudnn.conv.", "cudnn.rnn."),
        *("mkldnn.", "mkldnn.matmul.", "mkldnn.conv.", "mkldnn.rnn."),
    )
)
# torch's older names of the same; each write gives the special ones above a value of their own.
OLDER_PRECISIONS = (
    _by("get_float32_matmul_precision", "set_float32_matmul_precision"),
    _at("backends.cudnn.allow_tf32"),
)


def _told(torch: Any, access: Access) -> Any:
    """None where torch refuses to tell, as the newer names say what the older one cannot."""
    with suppress(RuntimeError):
        return access[0](torch)
    return None


def _precision(torch: Any) -> tuple[Any, ...]:
    older = (_told(torch, access) for access in OLDER_PRECISIONS)
    return (attrgetter(*PRECISIONS)(torch), *older)


def _set_precision(torch: Any, value: tuple[Any, ...]) -> None:
    """Writes only what differs, and the older names between: what is written by itself no longer
    follows the general precision that a later trial sets."""
    precisions, *older = value
    newer = [_at(path) for path in PRECISIONS]
    for access, one in zip(
        (*newer, *OLDER_PRECISIONS, *newer), (*precisions, *older, *precisions), strict=True
    ):
        if one is not None and _told(torch, access) != one:
            access[1](torch, one)


AUTOCAST = ("cpu", "cuda")


def _autocast(torch: Any) -> tuple[Any, ...]:
    """Whether torch computes with less precision by itself, with which, and what it keeps of it."""
    kinds = [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in AUTOCAST]
    return (*kinds, torch.is_autocast_cache_enabled())


def _set_autocast(torch: Any, value: tuple[Any, ...]) -> None:
    for kind, (enabled, dtype) in zip(AUTOCAST, value, strict=False):
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)
    torch.set_autocast_cache_enabled(value[-1])


def _device_settings(torch: Any) -> tuple[Any, ...]:
    """What holds for the GPU of this process, once it is used: its stream, its share of memory."""
    if not torch.cuda.is_initialized():
        return ()
    return (
        torch.cuda.current_stream(),
        torch.cuda.memory.get_per_process_memory_fraction(),
        torch.cuda.get_sync_debug_mode(),
    )


def _set_device_settings(torch: Any, value: tuple[Any, ...]) -> None:
    """A GPU that was not in use before is left as one that has just begun to be."""
    if not torch.cuda.is_initialized():
        return
    stream, share, waits = value or (torch.cuda.default_stream(), 1.0, 0)
    torch.cuda.set_stream(stream)
    torch.cuda.set_per_process_memory_fraction(share)
    torch.cuda.set_sync_debug_mode(waits)


# Left as they are: what changes no score (how numbers are printed and figures drawn, rights of new
# files, priority), and `sys.path` and `sys.modules`, on which what was imported may rest.
SETTINGS: Mapping[str, Setting] = {
    "start method": (
        "multiprocessing",
        lambda multiprocessing: multiprocessing.get_start_method(allow_none=True),
        lambda multiprocessing, method: multiprocessing.set_start_method(method, force=True),
    ),
    # What `initialize` of a Hydra app sets, which may be called once.
    "hydra": (
        "hydra.core.global_hydra",
        lambda module: module.GlobalHydra.instance().hydra,
        lambda module, hydra: setattr(module.GlobalHydra.instance(), "hydra", hydra),
    ),
    "floating-point errors": (
        "numpy",
        methodcaller("geterr"),
        lambda numpy, value: numpy.seterr(**value),
    ),
    "default device": (
        "torch",
        methodcaller("get_default_device"),
        # A default that is set, even to "cpu", costs time at each tensor made.
        lambda torch, device: torch.set_default_device(None if device.type == "cpu" else device),
    ),
    "deterministic": (
        "torch",
        *_by("get_deterministic_debug_mode", "set_deterministic_debug_mode"),
    ),
    "anomalies": ("torch", *_by("is_anomaly_enabled", "set_anomaly_enabled")),
    "precision": ("torch", _precision, _set_precision),
    "convolutions are timed": ("torch", *_at("backends.cudnn.benchmark")),
    "convolutions timed at most": ("torch", *_at("backends.cudnn.benchmark_limit")),
    "convolutions repeat": ("torch", *_at("backends.cudnn.deterministic")),
    "products on the processor": ("torch", *_at("backends.mkldnn.enabled")),
    "convolutions of cuDNN": ("torch", *_at("backends.cudnn.enabled")),
    "attention": (
        "torch",
        lambda torch: tuple(
            getattr(torch.backends.cuda, f"{kind}_sdp_enabled")() for kind in ATTENTION
        ),
        _set_attention,
    ),
    "autocast": ("torch", _autocast, _set_autocast),
    "products in half precision": (
        "torch",
        *_at(
            "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
            "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
            "backends.cuda.matmul.allow_fp16_accumulation",
        ),
    ),
    "algebra on a GPU": (
        "torch",
        lambda torch: (
            torch.backends.cuda.preferred_linalg_library(),
            torch.backends.cuda.preferred_blas_library(),
        ),
        lambda torch, value: [
            torch.backends.cuda.preferred_linalg_library(value[0]),
            torch.backends.cuda.preferred_blas_library(value[1]),
        ],
    ),
    "a GPU in use": ("torch", _device_settings, _set_device_settings),
    # Python multiplies as the processor is set.
    "smallest numbers": (
        "torch",
        lambda _: 5e-324 * float(1) == 0,
        lambda torch, flushed: torch.set_flush_denormal(flushed),
    ),
    "hooks": (
        "torch.nn.modules.module",
        lambda module: {name: dict(hooks) for name, hooks in _hooks(module).items()},
        _set_hooks,
    ),
    "scikit-learn": (
        "sklearn",
        methodcaller("get_config"),
        lambda sklearn, value: sklearn.set_config(**value),
    ),
    "keras": ("keras.src.backend.config", *_at("_FLOATX", "_EPSILON", "_IMAGE_DATA_FORMAT")),
    # `simplefilter("error")` would fail the next trial.
    "warnings": ("warnings", lambda warnings: list(warnings.filters), _set_filters),
    "shown warnings": ("warnings", *_at("showwarning")),
    "logging": (
        "logging",
        lambda logging: (
            list(logging.root.handlers),
            logging.root.level,
            logging.root.manager.disable,
        ),
        _set_logging,
    ),
    "signals": ("signal", _handlers, _set_handlers),
    "output": ("sys", *_at("stdout", "stderr", "excepthook")),
    "words": (
        "sys",
        lambda sys: list(sys.argv),
        lambda sys, words: setattr(sys, "argv", list(words)),
    ),
    "recursion": ("sys", *_by("getrecursionlimit", "setrecursionlimit")),
    "profile": ("sys", *_by("getprofile", "setprofile")),
    "garbage": (
        "gc",
        methodcaller("isenabled"),
        lambda gc, enabled: gc.enable() if enabled else gc.disable(),
    ),
    "locale": (
        "locale",
        lambda locale: locale.setlocale(locale.LC_ALL),
        lambda locale, value: locale.setlocale(locale.LC_ALL, value),
    ),
    "decimals": (
        "decimal",
        lambda decimal: decimal.getcontext().copy(),
        lambda decimal, context: decimal.setcontext(context),
    ),
    "waiting for a network": ("socket", *_by("getdefaulttimeout", "setdefaulttimeout")),
    "tensors of other processes": (
        "torch.multiprocessing",
        *_by("get_sharing_strategy", "set_sharing_strategy"),
    ),
}
