"""A trainer that changes one thing of its process, and tells how it has found all of them: `KINDS`, by name how it is
changed and how it is found.
"""

import builtins
import decimal
import gc
import locale
import logging
import multiprocessing
import os
import random
import signal
import socket
import sys
import time
import warnings
import zlib

import numpy as np
import sklearn
import torch
from torch import nn

HERE = os.getcwd()


def plain(*_arguments, **_words):
    return 0.25


def _number(value):
    return zlib.crc32(repr(value).encode()) % 1000


def _put(owner, name, value=plain):
    """Replaces an attribute; found by whether it stands there."""
    return lambda: setattr(owner, name, value), lambda: getattr(owner, name) is value


def _shown(setting):
    return lambda: _number(setting())


KINDS = {
    "random.random": _put(random, "random"),
    "numpy.mean": _put(np, "mean"),
    "time.time": _put(time, "time"),
    "builtins.sum": _put(builtins, "sum"),
    "torch.Tensor.backward": _put(torch.Tensor, "backward"),
    "torch.nn.ReLU": _put(nn, "ReLU", nn.GELU),
    "hooks of all modules": (
        lambda: nn.modules.module.register_module_forward_hook(plain),
        lambda: len(nn.modules.module._global_forward_hooks),
    ),
    "variables": (lambda: os.environ.update(KINDS="1"), lambda: "KINDS" in os.environ),
    "working folder": (lambda: os.chdir("/"), lambda: os.getcwd() == HERE),
    "argv": (lambda: sys.argv.append("--flag"), lambda: "--flag" in sys.argv),
    "argv replaced": _put(sys, "argv", ["x"]),
    "excepthook": _put(sys, "excepthook"),
    "output": _put(sys, "stdout", None),
    "recursion": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "profile": (lambda: sys.setprofile(plain), lambda: sys.getprofile() is plain),
    "warnings": (lambda: warnings.simplefilter("error"), lambda: _number(warnings.filters[0][0])),
    "shown warnings": _put(warnings, "showwarning"),
    "locale": (
        lambda: locale.setlocale(locale.LC_ALL, "C"),
        lambda: _number(locale.setlocale(locale.LC_ALL)),
    ),
    "logging handlers": (
        lambda: logging.getLogger().addHandler(logging.NullHandler()),
        lambda: len(logging.getLogger().handlers),
    ),
    "logging level": (
        lambda: logging.getLogger().setLevel("DEBUG"),
        lambda: logging.getLogger().level,
    ),
    "logging disabled": (logging.disable, lambda: logging.root.manager.disable),
    "a signal ignored": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGTERM) == signal.SIG_IGN,
    ),
    "start method": (
        lambda: multiprocessing.set_start_method("forkserver", force=True),
        _shown(lambda: multiprocessing.get_start_method(allow_none=True)),
    ),
    "garbage": (gc.disable, gc.isenabled),
    "decimals": (
        lambda: setattr(decimal.getcontext(), "prec", 3),
        lambda: decimal.getcontext().prec,
    ),
    "socket's timeout": (
        lambda: socket.setdefaulttimeout(3),
        lambda: socket.getdefaulttimeout() or 0,
    ),
    "numpy's errors": (lambda: np.seterr(all="ignore"), _shown(np.geterr)),
    "sklearn's output": (
        lambda: sklearn.set_config(transform_output="pandas"),
        _shown(sklearn.get_config),
    ),
    "default dtype": (
        lambda: torch.set_default_dtype(torch.float64),
        _shown(torch.get_default_dtype),
    ),
    "default device": (
        lambda: torch.set_default_device("meta"),
        _shown(lambda: torch.get_default_device().type),
    ),
    "threads": (lambda: torch.set_num_threads(2), torch.get_num_threads),
    "gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "autocast": (
        lambda: torch.set_autocast_enabled("cpu", True),
        lambda: torch.is_autocast_enabled("cpu"),
    ),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(True),
        torch.are_deterministic_algorithms_enabled,
    ),
    "smallest numbers": (lambda: torch.set_flush_denormal(True), lambda: 5e-324 * float(1)),
    "mkldnn": (
        lambda: torch.backends.mkldnn.set_flags(False),
        lambda: torch.backends.mkldnn.enabled,
    ),
    "cudnn": _put(torch.backends.cudnn, "enabled", False),
    "cudnn.benchmark": _put(torch.backends.cudnn, "benchmark", True),
    "attention": (
        lambda: torch.backends.cuda.enable_math_sdp(False),
        torch.backends.cuda.math_sdp_enabled,
    ),
    "sharing": (
        lambda: torch.multiprocessing.set_sharing_strategy("file_system"),
        _shown(torch.multiprocessing.get_sharing_strategy),
    ),
}


def train(config, data, device, checkpoint):
    found = {f"found_{number}": float(find()) for number, (_, find) in enumerate(KINDS.values())}
    for epoch in (1, 2):
        if epoch == 1 and config["model"]["changes"] in KINDS:
            KINDS[config["model"]["changes"]][0]()
        yield {"accuracy": 0.5, **found}
