"""Weights & Biases: a run per trial, all of them in the group of their search."""

from pathlib import Path
from typing import Any

import wandb

from search.execution.events import (
    EpochEnded,
    Event,
    SearchBegun,
    SearchEnded,
    TrialBegun,
    TrialEnded,
)
from search.storage.trials import ENDED_BY_ERROR


class WandB:
    """Writes below the search's folder; `mode=offline` reaches no network, `wandb sync` uploads."""

    def __init__(
        self, project: str = "knobwise", mode: str = "offline", entity: str | None = None
    ) -> None:
        self._shared: dict[str, Any] = {"project": project, "mode": mode, "entity": entity}
        self._search = ""
        self._config: dict[str, Any] = {}
        self._runs: dict[int, Any] = {}

    def __call__(self, event: Event) -> None:
        """Writes the event to the run that it belongs to."""
        match event:
            case SearchBegun():
                self._search, self._config = event.search, dict(event.config)
                folder = Path(event.folder) / "wandb"
                folder.mkdir(exist_ok=True)
                self._shared["dir"] = str(folder)
            case TrialBegun():
                self._runs[event.trial] = wandb.init(
                    **self._shared,
                    group=self._search,
                    name=f"{self._search} trial {event.trial}",
                    config={**self._config, "trial": event.trial, "knobs": dict(event.knobs)},
                    reinit="create_new",  # several trials run at once
                    settings=wandb.Settings(silent=True, console="off"),
                )
            case EpochEnded() if event.trial in self._runs:
                self._runs[event.trial].log(dict(event.values), step=event.epoch)
            case TrialEnded() if event.trial in self._runs:
                run = self._runs.pop(event.trial)
                run.summary.update(
                    {"best": event.value, "state": event.state, "verdict": event.verdict}
                )
                run.finish(exit_code=int(event.state in ENDED_BY_ERROR))
            case SearchEnded():
                for run in self._runs.values():
                    run.finish(exit_code=1)
