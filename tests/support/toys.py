"""Trainers for tests: small, without torch, each with one habit. Run in workers by `trainer._target_=toys.NAME`."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

PAUSE = float(os.environ.get("TOY_PAUSE", "0.005"))  # seconds per epoch


def steady(config, data, device, checkpoint):
    """A value that depends on the whole way there, so that a wrong resumption shows; diverges at the highest rates."""
    rate, seed = config["optimizer"]["lr"], config["seed"]
    saved = checkpoint.load() or {
        "sum": 1e-3 * float(data.val.index.sum() % 97),
        "trace": np.zeros(3),
    }
    total, trace = saved["sum"], saved["trace"]
    for epoch in range(checkpoint.epoch + 1, config["trainer"]["epochs"] + 1):
        time.sleep(PAUSE)
        noise = np.random.default_rng([seed, epoch]).normal()
        total += math.sin(total + rate * epoch) + 0.01 * noise
        trace = np.roll(trace, 1) + total
        checkpoint.save({"sum": total, "trace": trace}, epoch=epoch)
        loss = 1.0 / epoch if rate < 0.9 or epoch < 3 else math.inf
        yield {
            "train_loss": loss,
            "val_loss": loss,
            "accuracy": 0.5 + 0.1 * math.tanh(total) + 1e-6 * float(trace.sum()),
        }


def patient(config, data, device, checkpoint):
    """As `steady`; its log says at which epoch each attempt begins."""
    print("begins at", checkpoint.epoch + 1, "in", os.getpid(), flush=True)
    yield from steady(config, data, device, checkpoint)


def held(config, data, device, checkpoint):
    """As `patient`; from its third epoch on, waits while the current folder has a file `hold`."""
    for epoch, values in enumerate(patient(config, data, device, checkpoint)):
        while epoch >= 2 and Path("hold").exists():
            time.sleep(0.02)
        yield values


def hump(config, data, device, checkpoint):
    """Best at its second epoch; the lower the rate, the worse at every epoch."""
    rate = config["optimizer"]["lr"]
    for epoch in range(1, config["trainer"]["epochs"] + 1):
        yield {
            "train_loss": 1 / epoch,
            "val_loss": 1 / epoch,
            "accuracy": 0.5 + math.log10(rate) / 20 - 0.01 * abs(epoch - 2),
        }


def quiet(config, data, device, checkpoint):
    """As `steady`, but tells no losses."""
    for values in steady(config, data, device, checkpoint):
        yield {"accuracy": values["accuracy"]}


def idle(config, data, device, checkpoint):
    """Does nothing, as fast as it can."""
    for epoch in range(1, config["trainer"]["epochs"] + 1):
        yield {"accuracy": epoch / 100}


def too_few_rows(config, data, device, weights):
    """Predicts all rows but one."""
    from trainers.stock import predict

    return {"predictions": predict(config, data, device, weights)["predictions"][:-1]}


def other_classes(config, data, device, weights):
    """Predicts with the classes in another order."""
    from trainers.stock import predict

    return {"predictions": predict(config, data, device, weights)["predictions"][:, ::-1]}


def share(config, data, device, checkpoint):
    """Takes a share of the GPU's memory, in an object that holds itself."""
    import torch

    everything = torch.cuda.get_device_properties(0).total_memory
    held = {
        "rows": torch.empty(
            int(config["optimizer"]["lr"] * everything), dtype=torch.uint8, device=device
        )
    }
    held["itself"] = held
    for _ in range(config["trainer"]["epochs"]):
        time.sleep(0.5)
        yield {"accuracy": config["optimizer"]["lr"]}


def tell(config, data, device, checkpoint):
    """Reports what its process finds in its environment."""
    print(
        "gpus",
        os.environ["CUDA_VISIBLE_DEVICES"],
        "threads",
        os.environ["OMP_NUM_THREADS"],
        "pid",
        os.getpid(),
        "on",
        device,
    )
    time.sleep(0.2)
    yield {"accuracy": 0.5}


def occupy(config, data, device, checkpoint):
    """Writes down from when to when it had its slot [s since 1970]."""
    print("occupied", time.time())
    time.sleep(0.5)
    yield {"accuracy": 0.5 + config["optimizer"]["lr"] / 100}
    print(time.time())


def clocked(config, data, device, checkpoint):
    """Prints how long each report has waited for its answer [s]."""
    for _ in range(config["trainer"]["epochs"]):
        time.sleep(PAUSE)
        begun = time.perf_counter()
        yield {"accuracy": 0.5}
        print(time.perf_counter() - begun)


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
    "calm": lambda: None,
    "segfault": _segfault,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(0),
    "hang": lambda: time.sleep(600),
    "flood": _flood,
    "child": _leave_child,
    "raise": _raise,
    "leave": lambda: sys.exit(0),
    "slow": lambda: time.sleep(0.8),
    "hoard": lambda: bytearray(b"x") * (3 * 10**9),
    "memory": lambda: (_ for _ in ()).throw(MemoryError("no room")),
}


def rotten():
    """Rows with a hole."""
    from trainers.data import DataSet

    x = np.ones((10, 3), dtype=np.float32)
    x[2, 1] = np.nan
    return DataSet(x=x, y=np.arange(10) % 2)


def tasked():
    """Rows by a reader who takes the task for a part of them."""
    from trainers.data import DataSet

    return DataSet(x=np.ones((10, 3)), y=np.arange(10) % 2, task="classification")


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


def few_rows(config, data, device, checkpoint):
    """Has fewer rows than it was told."""
    yield {"accuracy": ([0.5] * 100)[max(data.train.index)]}


def plain(config, data, device, checkpoint):
    """Is no generator."""


def nosy(config, data, device, checkpoint):
    """Looks for test rows in all that it is given: through every attribute of its arguments, and in every file around it."""
    kept_alive: list[object] = []
    found, seen, todo = 0, set(), [config, data, device, checkpoint]
    while todo:
        thing = todo.pop()
        if (
            id(thing) in seen
            or isinstance(thing, type | type(sys) | Path | int | float | None)
            or callable(thing)
        ):
            continue
        seen.add(id(thing))
        kept_alive.append(
            thing
        )  # an object made by a property must not give its number to the next one
        if isinstance(thing, np.ndarray):
            found += _secrets(np.ascontiguousarray(thing).tobytes())
            todo.append(thing.base)
        elif isinstance(thing, str | bytes):
            found += _secrets(thing if isinstance(thing, bytes) else thing.encode())
        elif isinstance(thing, dict):
            todo += [*thing, *thing.values()]
        elif isinstance(thing, list | tuple | set):
            todo += list(thing)
        else:
            todo += [getattr(thing, name, None) for name in dir(thing) if not name.startswith("__")]
    for root in {os.getcwd(), str(checkpoint.folder.parents[1])}:
        for folder, _, names in os.walk(root):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found += _secrets(file.read())
    kept = sum(len(np.unique(part.x)) for part in (data.train, data.val))
    yield {"accuracy": found / 1000, "rows_seen": kept}


def secret():
    """Rows whose every number is one that occurs nowhere else: 1 000 000 + its row."""
    from trainers.data import DataSet

    rows = np.arange(60, dtype=np.float32)
    return DataSet(
        x=np.repeat(1_000_000 + rows[:, None], 3, axis=1),
        y=np.arange(60) % 2,
        given={"test": np.arange(40, 60)},
    )


def _secrets(content):
    """How many test rows of `secret` lie in these bytes, as floats of either width."""
    wanted = range(1_000_040, 1_000_060)
    return sum(
        np.float32([row] * 3).tobytes() in content or np.float64([row] * 3).tobytes() in content
        for row in wanted
    )


def rummage(config, data, device, checkpoint):
    """Counts the objects in this process that hold rows of a test set; inline, that is the conductor's."""
    import gc

    from search.contract.contract import Prepared
    from search.contract.targets import LoadedRows
    from trainers.api import Data
    from trainers.data import DataSet

    gc.unfreeze()
    held = [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, Prepared | LoadedRows | DataSet)
        or (isinstance(thing, Data) and thing.test is not None)
    ]
    with open("rummaged.txt", "a") as file:
        file.write(f"{len(held)}\n")
    yield {"accuracy": 1.0}


def share_of_ones(targets, outputs):
    """A metric of one's own."""
    return float(np.mean(outputs == 1))


def dies(config, data, device, checkpoint):
    """Ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    yield {}


def hangs(config, data, device, checkpoint):
    """Never comes to its first epoch."""
    threading.Event().wait()
    yield {}


def stubborn(config, data, device, checkpoint):
    """Catches whatever its steps raise, and goes on."""
    import torch

    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    for _ in range(config["trainer"]["epochs"]):
        try:
            weight.grad = torch.ones(3)
            optimizer.step()
        except Exception as error:  # noqa: BLE001
            print(error)
        yield {"accuracy": 0.5}


def curve(config, data, device, checkpoint):
    """Both losses and an accuracy of some training, by a formula, at once."""
    dice = np.random.default_rng(config["seed"])
    rate, gap = dice.uniform(1, 12), dice.uniform(0, 1)
    count = config["trainer"]["epochs"]
    for epoch in range(1, count + 1):
        share = epoch / count
        train = 2.3 * math.exp(-rate * share) + 0.01 * dice.normal()
        yield {"train_loss": train, "val_loss": train + gap * share, "accuracy": 1 - train / 3}


def heavy(config, data, device, checkpoint):
    """As `steady`, with a state of 2 MB."""
    saved = checkpoint.load() or {"total": 0.0}
    total = saved["total"]
    for epoch in range(checkpoint.epoch + 1, config["trainer"]["epochs"] + 1):
        total += math.sin(total + config["optimizer"]["lr"] * epoch)
        checkpoint.save({"total": total, "ballast": np.zeros(250_000)}, epoch=epoch)
        time.sleep(PAUSE)
        yield {"train_loss": 1 / epoch, "accuracy": 0.5 + 0.1 * math.tanh(total)}
