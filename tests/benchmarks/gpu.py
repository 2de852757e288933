"""Lanes on a GPU: the cost of a step in each way, where an epoch's time goes, 64 trials elsewhere.

    python tests/benchmarks/gpu.py steps [--compile]    a step alone; of lanes in every way
    python tests/benchmarks/gpu.py profile              where the time of an epoch of 64 lanes goes
    python tests/benchmarks/gpu.py side [--bare]        a search; four loops, plain and under MPS;
                                                        one process per trial
    python tests/benchmarks/gpu.py off [--models CNN]   whole sweeps with lanes=off and lanes=auto

`--device cpu` runs the same without a GPU, to see that it runs.
"""

import argparse
import cProfile
import io
import pstats
import time
from collections.abc import Callable, Sequence

from gpu_side import off, side
from lanes_setup import MODELS, config_of

LANES, REPEATS, LONG = 64, 50, 1.0  # of a measurement: steps, and seconds


def steps(device: str, models: Sequence[str], *, compiled: bool) -> None:
    """Prints milliseconds of a training step of 64 lanes in every way, and of one training."""
    import torch

    from trainers.lanes.graphs import GraphedSteps
    from trainers.lanes.steps import Steps
    from trainers.lanes.traced import Traced

    for name in models:
        ready = _Ready(MODELS[name], torch.device(device))
        found = {"alone": _milliseconds(ready.alone(), ready.device)}
        plain, run = ready.of(Steps)
        plain.program._traced = plain.program._gradients
        found["calls"] = _milliseconds(run, ready.device) / ready.each
        plain.program._traced = Traced(plain.program._gradients)
        for _ in range(-(-260 // ready.each)):
            run()
        found["traced"] = _milliseconds(run, ready.device) / ready.each
        if device == "cuda":
            begun = time.perf_counter()
            recorded, run = ready.of(GraphedSteps)
            run()
            found["to record"] = (time.perf_counter() - begun) * 1000
            found["recorded"] = _milliseconds(run, ready.device) / ready.each
            with torch.autocast("cuda", dtype=torch.bfloat16):
                _, run = ready.of(GraphedSteps)
                found["recorded, bf16"] = _milliseconds(run, ready.device) / ready.each
            torch.backends.cuda.matmul.allow_tf32 = True
            _, run = ready.of(GraphedSteps)
            found["recorded, tf32"] = _milliseconds(run, ready.device) / ready.each
            torch.backends.cuda.matmul.allow_tf32 = False
            print(f"{name}: recording given up: {recorded.given_up}")
        if compiled:
            found |= _compiled(ready)
        shown = ", ".join(f"{way} {value:.3f}" for way, value in found.items())
        print(f"{name:30} ms: {shown}", flush=True)


class _Ready:
    """One model, and 64 lanes of it, to be stepped in several ways. `each`: steps per call."""

    def __init__(self, words: Sequence[str], device) -> None:  # type: ignore[no-untyped-def]
        from trainers.build import build, on_device, plain_loss, seed_all

        self.config, data = config_of(*words)
        self.device = device
        self.sets = on_device(data.train, device), on_device(data.val, device)
        self.batch = int(self.config["trainer"]["batch_size"])
        self.each = -(-len(self.sets[0][0]) // self.batch) - 1
        seed_all(0, device)
        self.built = build(self.config, device)
        self.plain = plain_loss(self.config, self.built[1], device)

    def alone(self) -> Callable[[], object]:
        """A step of one training."""
        import torch

        from trainers.checkpoint import Unsaved
        from trainers.seat import Seat

        seat = Seat(self.config, sets=self.sets, device=self.device, checkpoint=Unsaved())
        index = torch.arange(self.batch, device=self.device)

        def step() -> None:
            seat.gradients(index)
            seat.step()

        return step

    def of(self, kind):  # type: ignore[no-untyped-def]
        """Steps of that kind, and a call that makes `each` of them."""
        import torch

        from trainers.checkpoint import Unsaved
        from trainers.lanes.lane import lane_epoch, lane_of
        from trainers.lanes.program import Program
        from trainers.lanes.rows import WEIGHTS, joined

        model, loss, optimizer = self.built
        x, y = (tensor[: self.batch] for tensor in self.sets[0])
        program = Program(model, loss, optimizer, plain=self.plain, x=x, y=y)
        ready = kind(program, sets=self.sets, batch=self.batch)
        built = {"model": model, "loss": loss, "optimizer": optimizer}
        lane = lane_of(0, self.config, **built, steps=ready.count, checkpoint=Unsaved())
        lane.epoch = 1
        rows = joined([program.rows_of(model, optimizer)] * LANES)
        rows_of_data = len(self.sets[0][0])
        epoch = lane_epoch([lane] * LANES, steps=ready.count, rows=rows_of_data, like=rows[WEIGHTS])
        total = torch.zeros(LANES, dtype=torch.float64, device=self.device)
        return ready, lambda: ready.advance(rows, epoch, range(self.each), total)


def _compiled(ready: _Ready) -> dict[str, float]:
    import torch

    from trainers.lanes.steps import Steps

    steps, run = ready.of(Steps)
    begun = time.perf_counter()
    try:
        steps.program._traced = torch.compile(steps.program._gradients, mode="reduce-overhead")
        run()
        taken = (time.perf_counter() - begun) * 1000
        return {"to compile": taken, "compiled": _milliseconds(run, ready.device) / ready.each}
    except Exception as error:  # noqa: BLE001  # says what does not compile
        print(f"torch.compile: {type(error).__name__}: {str(error).splitlines()[:1]}")
        return {}


def _milliseconds(step: Callable[[], object], device) -> float:  # type: ignore[no-untyped-def]
    """The median of some, finished on the device, after a first one."""
    import torch

    seconds: list[float] = []
    step()
    while len(seconds) < 3 or (len(seconds) < REPEATS and sum(seconds) < LONG):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return 1000 * sorted(seconds)[len(seconds) // 2]


def profile(device: str) -> None:
    """Prints the functions of an epoch of 64 lanes, and of one training, by their own time."""
    import torch

    from trainers.checkpoint import Unsaved
    from trainers.stock import Stock

    config, data = config_of(*MODELS["digits, MLP (64, 64)"])
    for count in (1, LANES):
        seats = Stock(data=data, device=device)
        if count > 1:
            seats.fuse(seats.key(config).name)
        for trial in range(count):
            seats.admit(trial, config={**config, "seed": trial}, checkpoint=Unsaved())
        for _ in range(4):
            seats.step()
        epochs = 10
        profiler = cProfile.Profile()
        begun = time.perf_counter()
        for _ in range(epochs):
            seats.step()
        plain = (time.perf_counter() - begun) / epochs
        profiler.runcall(lambda: [seats.step() for _ in range(epochs)])  # noqa: B023
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(22)
        print(f"{count} lanes: {plain * 1000:.1f} ms per epoch\n{text.getvalue()}", flush=True)
        if device == "cuda":
            with torch.profiler.profile() as watched:
                seats.step()
                torch.cuda.synchronize()
            print(watched.key_averages().table(sort_by="self_cpu_time_total", row_limit=14))


def main() -> None:
    """`steps`, `profile`, `side` or `off`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("steps", "profile", "side", "off"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--bare", action="store_true", help="of side, the others only")
    parser.add_argument("--models", default="", help="names that hold this text; all without it")
    given = parser.parse_args()
    models = [name for name in MODELS if given.models in name]
    if given.what == "steps":
        steps(given.device, models, compiled=given.compile)
    elif given.what == "profile":
        profile(given.device)
    elif given.what == "side":
        side(given.device, given.trials, bare=given.bare)
    else:
        off(models)


if __name__ == "__main__":
    main()
