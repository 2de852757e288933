"""TensorBoard: a folder of event files per trial, with its knobs for the HParams page."""

import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event as FileEvent
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from search.execution.events import EpochEnded, Event, SearchBegun, TrialBegun, TrialEnded


class TensorBoard:
    """Writes to `folder`, or to `tensorboard/` in the search's folder."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = Path(folder) if folder is not None else None
        self._writers: dict[int, EventFileWriter] = {}
        self._metric = ""

    def __call__(self, event: Event) -> None:
        """Writes what belongs to a trial."""
        if isinstance(event, SearchBegun):
            self._folder = self._folder or Path(event.folder) / "tensorboard"
            self._metric = event.metric
        elif isinstance(event, TrialBegun) and self._folder is not None:
            writer = EventFileWriter(str(self._folder / str(event.trial)))
            self._writers[event.trial] = writer
            values = {path: "null" if v is None else v for path, v in event.knobs.items()}
            values |= {"seed": event.seed}
            self._write(event.trial, hparams.hparams_pb(values, trial_id=str(event.trial)), step=0)
        elif isinstance(event, EpochEnded):
            self._scalars(event.trial, dict(event.values), step=event.epoch)
        elif isinstance(event, TrialEnded) and event.trial in self._writers:
            if event.value is not None:
                self._scalars(event.trial, {f"best/{self._metric}": event.value}, step=event.epochs)
            self._writers.pop(event.trial).close()

    def _scalars(self, trial: int, values: dict[str, float], *, step: int) -> None:
        parts = [Summary.Value(tag=name, simple_value=number) for name, number in values.items()]
        self._write(trial, Summary(value=parts), step=step)

    def _write(self, trial: int, summary: Summary, *, step: int) -> None:
        writer = self._writers.get(trial)
        if writer is not None:
            writer.add_event(FileEvent(wall_time=time.time(), step=step, summary=summary))
