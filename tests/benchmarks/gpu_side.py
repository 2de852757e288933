"""64 trials on a GPU: a search, four loops, MPS, a process per trial; sweeps with and without lanes.

Run by `gpu.py side` and `gpu.py off`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lanes_setup import MODELS, SWEEP, config_of, save_arrays, timed_command
from other_tools import LONG, OURS, TRAIN

SHORT = [SWEEP[0], "trainer.patience=null", "protocol.refine=0", "protocol.extend=0"]
BARE = """
device = sys.argv[3]
data = [tensor.to(device) for tensor in data]
mine = json.loads(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
for number in mine:
    torch.manual_seed(number)
    model_device = torch.device(device)
    train(rates[number % 64], *data, epochs)
print("done", flush=True)
"""


def side(device: str, trials: int, *, bare: bool) -> None:
    """Prints seconds of 64 trainings of 20 epochs: a search, four loops, one process per trial."""
    _, data = config_of("data=digits")
    ours = [word for word in OURS if not word.startswith("placement")]
    tiny = ["trainer.epochs=1", "seeds=1", "space.optimizer.lr.points=2"]
    with tempfile.TemporaryDirectory() as folder:
        save_arrays(data, folder)
        for per_gpu in () if bare else (1, 4):
            words = [*ours, f"placement.slots_per_gpu={per_gpu}"]
            if device == "cpu":
                words[-1] = f"placement.slots={per_gpu}"
            timed_command([*words, *tiny, f"name=tiny-{per_gpu}"], folder)
            begun = time.perf_counter()
            timed_command([*words, f"name=whole-{per_gpu}"], folder)
            print(
                f"search, {per_gpu} workers: {time.perf_counter() - begun:.1f} s the whole command",
                flush=True,
            )
        if not bare:
            seconds = timed_command([*ours, "lanes=off", "name=off", "placement.slots=4"], folder)
            print(f"search, lanes=off, 4 workers: {seconds:.1f} s the whole command", flush=True)
        Path(f"{folder}/bare.py").write_text(TRAIN + BARE)
        begun = time.perf_counter()
        numbers = [list(range(first, trials, 4)) for first in range(4)]
        loops = _bare(folder, device, numbers)
        print(
            f"four processes, a loop each: {loops:.1f} s, start-up left out; "
            f"{time.perf_counter() - begun:.1f} s with it",
            flush=True,
        )
        with _mps(folder) as started:
            if started:
                loops = _bare(folder, device, numbers)
                print(f"four processes under MPS: {loops:.1f} s, start-up left out", flush=True)
        begun, few = time.perf_counter(), 8
        for first in range(0, few, 4):
            _bare(folder, device, [[first + number] for number in range(4)])
        seconds = (time.perf_counter() - begun) * trials / few
        print(
            f"a process per trial, four at a time: {seconds:.1f} s "
            f"(of {few} trials, times {trials // few})"
        )


@contextmanager
def _mps(folder: str) -> Iterator[bool]:
    """Processes that start inside share the GPU by NVIDIA's MPS; False where it does not start."""
    names = {"CUDA_MPS_PIPE_DIRECTORY": "pipe", "CUDA_MPS_LOG_DIRECTORY": "log"}
    places = {name: f"{folder}/mps-{place}" for name, place in names.items()}
    for place in places.values():
        Path(place).mkdir()
    control, environment = "nvidia-cuda-mps-control", {**os.environ, **places}
    try:
        subprocess.run([control, "-d"], env=environment, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"MPS: does not start here: {error}", flush=True)
        yield False
        return
    os.environ.update(places)
    try:
        yield True
    finally:
        for name in places:
            del os.environ[name]
        subprocess.run([control], env=environment, input="quit\n", text=True, check=False)
        print("MPS:", Path(f"{places['CUDA_MPS_LOG_DIRECTORY']}/control.log").read_text()[-300:])


def _bare(folder: str, device: str, numbers: Sequence[list[int]]) -> float:
    """Seconds from the moment when all processes are ready until the last one is done."""
    command = [sys.executable, "bare.py", folder, str(LONG), device]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": folder}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen([*command, json.dumps(mine)], env=environment, **pipes) for mine in numbers
    ]  # type: ignore[call-overload]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    begun = time.perf_counter()
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        assert worker.communicate()[0] == "done\n"
    return time.perf_counter() - begun


def off(models: Sequence[str]) -> None:
    """Prints seconds of whole sweeps with lanes=off and with lanes=auto, which measures first."""
    for name in models:
        with tempfile.TemporaryDirectory() as folder:
            epochs = 20 if "MLP" in name else 5
            sweep = [
                *SHORT,
                *MODELS[name],
                f"trainer.epochs={epochs}",
                "seeds=1",
                "placement.slots=1",
            ]
            taken = {
                way: timed_command([*sweep, f"lanes={way}", f"name={way}"], folder)
                for way in ("off", "auto")
            }
            decided = json.loads((Path(folder) / "results/auto/lanes.json").read_text())
            why = [entry["why"] for entry in decided.values()]
            print(
                f"{name:30} off {taken['off']:.1f} s, auto {taken['auto']:.1f} s: "
                f"{taken['off'] / taken['auto']:.2f}; {why}",
                flush=True,
            )
