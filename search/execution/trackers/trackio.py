"""Trackio: a local run per trial, all of them in the group of their search."""

from typing import Any

import trackio

from search.execution.events import (
    EpochEnded,
    Event,
    SearchBegun,
    SearchEnded,
    TrialBegun,
    TrialEnded,
)

RENAMED = {"step": "optimizer_step"}  # `step` is Trackio's own, which is our epoch


class Trackio:
    """Writes to Trackio's local database (TRACKIO_DIR); `trackio show` opens its page."""

    def __init__(self, project: str = "knobwise") -> None:
        self._project, self._search = project, ""
        self._runs: dict[int, Any] = {}

    def __call__(self, event: Event) -> None:
        """Writes the event to the run that it belongs to."""
        match event:
            case SearchBegun():
                self._search = event.search
            case TrialBegun():
                self._runs[event.trial] = trackio.init(
                    project=self._project,
                    name=f"{self._search}-{event.trial}",
                    group=self._search,
                    config={**event.knobs, "seed": event.seed, "stage": event.stage},
                    resume="allow",
                    embed=False,
                    auto_log_gpu=False,
                    auto_log_cpu=False,
                )
            case EpochEnded() if event.trial in self._runs:
                values = {RENAMED.get(name, name): v for name, v in event.values.items()}
                self._runs[event.trial].log(values, step=event.epoch)
            case TrialEnded() if event.trial in self._runs:
                run = self._runs.pop(event.trial)
                if event.value is not None:
                    run.log({"best": event.value}, step=event.epochs)
                run.finish()
            case SearchEnded():
                for run in self._runs.values():
                    run.finish()
