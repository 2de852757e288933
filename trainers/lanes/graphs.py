"""Steps of lanes on a GPU as recorded graphs: one launch in place of a hundred small ones.

A graph works on memory of its own: rows and tables are copied in, the step number counts on the
device, and rows are copied out. It is made for a capacity, a number of lanes, which smaller numbers
are padded to, so that lanes that come and go need few recordings. The first result of each graph is
compared with the plain calls; what cannot be recorded, or differs, goes on without graphs.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from trainers.build import Sets
from trainers.lanes.evaluation import Observation
from trainers.lanes.lane import LaneEpoch
from trainers.lanes.program import Program
from trainers.lanes.rows import WEIGHTS, Rows, size_of
from trainers.lanes.steps import Steps

KEPT = 2  # capacities whose recordings are kept: those used last
SHARE = 1 / 32  # rows above this share of a device's memory are too large to hold several times
WARM = 2  # calls before a recording, which prepare libraries and memory
TOLERANCE = 1e-3  # of a first result, relative to its greatest number, as in the admission
Replay = Callable[[], None]


def lane_steps(program: Program, *, sets: Sets, batch: int) -> Steps:
    """The fastest way of training steps on the data's device."""
    kind = GraphedSteps if sets[0][0].device.type == "cuda" else Steps
    return kind(program, sets=sets, batch=batch)


def capacity(lanes: int, device: torch.device) -> int:
    """How many lanes a program runs for: at least 2; on a GPU, powers of 2 and 1.5 times these."""
    size = 2
    while device.type == "cuda" and size < lanes:
        size = size * 3 // 2 if size & (size - 1) == 0 and size > 2 else 1 << size.bit_length()
    return max(size, lanes)


class GraphedSteps(Steps):
    """Steps whose calls are recorded where they can be.

    Attributes:
        recordings: by what they are of, the last used at the end.
        given_up: True once a recording was wrong or could not be made; none is made then.
    """

    def __init__(self, program: Program, *, sets: Sets, batch: int) -> None:
        super().__init__(program, sets=sets, batch=batch)
        self.recordings: dict[object, _Recording] = {}
        self.given_up = False

    def advance(self, rows: Rows, epoch: LaneEpoch, steps: range, total: Tensor) -> Tensor:
        """As `Steps.advance`; all but an epoch's last batch have one size."""
        if not steps or self._too_large(rows):
            return super().advance(rows, epoch, steps, total)
        size = min(self.batch, len(self.x) - steps[-1] * self.batch)
        shapes = tuple((name, tensor.shape) for name, tensor in epoch.tensors().items())
        recording = self._recording(
            ("steps", size, shapes), lambda: _StepRecording(self, rows, epoch, size=size)
        )
        if not isinstance(recording, _StepRecording):
            return super().advance(rows, epoch, steps, total)
        return recording.run(rows, epoch, steps, total)

    def observe(self, rows: Rows, rates: Tensor) -> Observation:
        """As `Steps.observe`."""
        if self._too_large(rows):
            return super().observe(rows, rates)
        recording = self._recording(
            ("observe", rates.shape),
            lambda: _ObservationRecording(super(GraphedSteps, self).observe, rows, rates),
        )
        if not isinstance(recording, _ObservationRecording):
            return super().observe(rows, rates)
        return recording.run(rows, rates)

    def _too_large(self, rows: Rows) -> bool:
        return self.given_up or size_of(rows) > SHARE * memory_of(self.x.device)

    def _recording(
        self, name: tuple[object, ...], make: Callable[[], "_Recording"]
    ) -> "_Recording | None":
        """The recording of that name, made where there is none; None where it cannot be."""
        if name in self.recordings:
            self.recordings[name] = self.recordings.pop(name)  # the last ones used stay
            return self.recordings[name]
        try:
            recording = make()
            self.given_up = not recording.is_right
        except Exception:  # noqa: BLE001  # of a user's model; memory, of which graphs need more
            self.given_up = True
        if self.given_up:
            self.recordings.clear()
            torch.cuda.empty_cache()
            return None
        self.recordings[name] = recording
        while len(self.recordings) > 3 * KEPT:  # whole batches, last batches, evaluations
            del self.recordings[next(iter(self.recordings))]
        return recording


class _Recording:
    """Calls on memory of their own. `is_right`: whether a replay first gave what the calls give."""

    is_right = True

    def __init__(self, rows: Rows) -> None:
        self._rows = {name: tensor.clone() for name, tensor in rows.items()}


class _StepRecording(_Recording):
    """One training step, on a batch of `size` rows per lane."""

    def __init__(self, steps: Steps, rows: Rows, epoch: LaneEpoch, *, size: int) -> None:
        super().__init__(rows)
        device = rows[WEIGHTS].device
        self._steps, self._epoch, self._size = steps, epoch.copy(), size
        self._number = torch.zeros(1, dtype=torch.int64, device=device)
        self._places = torch.arange(size, device=device)
        self._total = torch.zeros(len(rows[WEIGHTS]), dtype=torch.float64, device=device)
        self._gradients = torch.empty(0)
        self._replay = recorded(self._step, device)
        self._load(rows, epoch, 0)
        self._replay()
        expected = {name: tensor.clone() for name, tensor in rows.items()}
        index = epoch.order[:, :size]
        _, gradients = steps.step(expected, index, epoch.copy(), number=0)
        pairs = [(expected[name], self._rows[name]) for name in rows]
        self.is_right = _agree([(gradients, self._gradients), *pairs])

    def run(self, rows: Rows, epoch: LaneEpoch, steps: range, total: Tensor) -> Tensor:
        """Some steps; changes rows, the epoch's counts and the total in place."""
        self._load(rows, epoch, steps[0])
        for _ in steps:
            self._replay()
        for name, tensor in rows.items():
            tensor.copy_(self._rows[name])
        epoch.clipped.copy_(self._epoch.clipped)
        total += self._total
        return self._gradients

    def _load(self, rows: Rows, epoch: LaneEpoch, number: int) -> None:
        for name, tensor in rows.items():
            self._rows[name].copy_(tensor)
        mine = self._epoch.tensors()
        for name, tensor in epoch.tensors().items():
            mine[name].copy_(tensor)
        self._number.fill_(number)
        self._total.zero_()

    def _step(self) -> None:
        places = self._number * self._steps.batch + self._places
        index = self._epoch.order.index_select(1, places)
        plain, self._gradients = self._steps.step(
            self._rows, index, self._epoch, number=self._number
        )
        self._total += plain.double() * self._size
        self._number += 1


class _ObservationRecording(_Recording):
    """An evaluation."""

    def __init__(
        self, look: Callable[[Rows, Tensor], Observation], rows: Rows, rates: Tensor
    ) -> None:
        super().__init__(rows)
        self._look, self._rates = look, rates.clone()
        self._observation = look(self._rows, self._rates)
        self._replay = recorded(self._observe, rates.device)
        self._replay()
        expected = look(rows, rates)
        self.is_right = _agree(
            [
                (expected.losses, self._observation.losses),
                (expected.outputs, self._observation.outputs),
                (expected.sample_losses, self._observation.sample_losses),
            ]
        )

    def run(self, rows: Rows, rates: Tensor) -> Observation:
        """What the lanes make of the data now; valid until the next call."""
        for name, tensor in rows.items():
            self._rows[name].copy_(tensor)
        self._rates.copy_(rates)
        self._replay()
        return self._observation

    def _observe(self) -> None:
        self._observation = self._look(self._rows, self._rates)


def recorded(calls: Callable[[], None], device: torch.device) -> Replay:
    """The calls as a graph, to be replayed; on a CPU, which has no graphs, the calls themselves."""
    if device.type != "cuda":
        return calls
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            calls()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with _no_collection(), torch.cuda.graph(graph, stream=stream):
        calls()
    replay: Replay = graph.replay
    return replay


def memory_of(device: torch.device) -> int:
    """Bytes of the device's memory; of a CPU, which has no recordings, as good as endless."""
    if device.type != "cuda":
        return 2**62
    return int(torch.cuda.get_device_properties(device).total_memory)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection: an old graph that were freed now would spoil the recording."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _agree(pairs: Sequence[tuple[Tensor, Tensor]]) -> bool:
    """Whether tensors are the same but for rounding; what is not finite counts as the same."""
    for expected, got in pairs:
        one, other = expected.double().nan_to_num(), got.double().nan_to_num()
        if one.numel() and float((one - other).abs().max()) > TOLERANCE * float(one.abs().max()):
            return False
    return True
