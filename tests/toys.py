"""Trainers for tests: small, without torch, each with one habit. Run in workers by `trainer._target_=toys.NAME`."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np

PAUSE = float(os.environ.get("TOY_PAUSE", "0.005"))  # seconds per epoch


def steady(config, data, device, checkpoint):
    """A value that depends on the whole way there, so that a wrong resumption shows; diverges at the highest rates."""
    rate, seed = config["optimizer"]["lr"], config["seed"]
    saved = checkpoint.load() or {"sum": 0.0, "trace": np.zeros(3)}
    total, trace = saved["sum"], saved["trace"]
    for epoch in range(checkpoint.epoch + 1, config["trainer"]["epochs"] + 1):
        time.sleep(PAUSE)
        noise = np.random.default_rng([seed, epoch]).normal()
        total += math.sin(total + rate * epoch) + 0.01 * noise
        trace = np.roll(trace, 1) + total
        checkpoint.save({"sum": total, "trace": trace}, epoch=epoch)
        loss = 1.0 / epoch if rate < 0.9 or epoch < 3 else math.inf
        yield {"train_loss": loss, "val_loss": loss, "accuracy": 0.5 + 0.1 * math.tanh(total) + 1e-6 * float(trace.sum())}


def quiet(config, data, device, checkpoint):
    """As `steady`, but tells no losses."""
    for values in steady(config, data, device, checkpoint):
        yield {"accuracy": values["accuracy"]}


def idle(config, data, device, checkpoint):
    """Does nothing, as fast as it can."""
    for epoch in range(1, config["trainer"]["epochs"] + 1):
        yield {"accuracy": epoch / 100}


def tell(config, data, device, checkpoint):
    """Reports what its process finds in its environment."""
    print(
        "gpus", os.environ["CUDA_VISIBLE_DEVICES"], "threads", os.environ["OMP_NUM_THREADS"], "pid", os.getpid(), "on", device
    )
    time.sleep(0.2)
    yield {"accuracy": 0.5}


def naughty(config, data, device, checkpoint):
    """One habit at one rate, at the second epoch; every other rate trains in peace."""
    for epoch in (1, 2, 3):
        if epoch == 2 and config["optimizer"]["lr"] == 0.01:
            HABITS[config["model"]["habit"]]()
        yield {"train_loss": 1 / epoch, "accuracy": 0.5 + epoch / 100}


def _segfault():
    import ctypes

    ctypes.string_at(0)


def _raise():
    raise RuntimeError("the flux is broken")


def _flood():
    while True:
        sys.stdout.write("x" * 65536)


def _leave_child():
    subprocess.Popen(["sleep", "300"], start_new_session=True)


HABITS = {
    "segfault": _segfault,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(0),
    "hang": lambda: time.sleep(600),
    "flood": _flood,
    "child": _leave_child,
    "raise": _raise,
    "leave": lambda: sys.exit(0),
    "slow": lambda: time.sleep(0.8),
    "memory": lambda: (_ for _ in ()).throw(MemoryError("no room")),
}


def rotten():
    """Rows with a hole."""
    from trainers.data import DataSet

    x = np.ones((10, 3), dtype=np.float32)
    x[2, 1] = np.nan
    return DataSet(x=x, y=np.arange(10) % 2)


def empty(config, data, device, checkpoint):
    """Yields nothing."""
    yield from ()


def forgetful(config, data, device, checkpoint):
    """Forgets the metric."""
    yield {"train_loss": 1.0}


def nan(config, data, device, checkpoint):
    """Reports no number."""
    yield {"accuracy": float("nan")}


def again(config, data, device, checkpoint):
    """Repeats an epoch."""
    yield {"epoch": 1, "accuracy": 0.5}
    yield {"epoch": 1, "accuracy": 0.5}


def broken(config, data, device, checkpoint):
    """Raises before its first epoch."""
    raise RuntimeError("no luck")
    yield


def plain(config, data, device, checkpoint):
    """Is no generator."""


def share_of_ones(targets, outputs):
    """A metric of one's own."""
    return float(np.mean(outputs == 1))
