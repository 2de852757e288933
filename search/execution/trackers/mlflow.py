"""MLflow: a parent run per search, which a resumed search goes on with; a child run per trial."""

import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from search.execution.events import (
    DecisionMade,
    EpochEnded,
    Event,
    SearchBegun,
    SearchEnded,
    TrialBegun,
    TrialEnded,
)

FOLDER = "knobwise.folder"  # tag of a parent run: the folder of its search
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "done": "FINISHED", "interrupted": "KILLED"}


class MLflow:
    """Writes to `tracking_uri`, or where MLflow itself writes (MLFLOW_TRACKING_URI)."""

    def __init__(self, tracking_uri: str | None = None, experiment: str = "knobwise") -> None:
        self._client = MlflowClient(tracking_uri=tracking_uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment: str = (
            found.experiment_id if found is not None else self._client.create_experiment(experiment)
        )
        self._parent = ""
        self._children: dict[int, str] = {}

    def __call__(self, event: Event) -> None:
        """Writes the event to the run that it belongs to."""
        match event:
            case SearchBegun():
                self._parent = self._parent_of(event)
            case TrialBegun():
                self._begin(event)
            case EpochEnded() if event.trial in self._children:
                now = int(time.time() * 1000)
                metrics = [Metric(k, v, now, event.epoch) for k, v in event.values.items()]
                self._client.log_batch(self._children[event.trial], metrics=metrics)
            case TrialEnded() if event.trial in self._children:
                self._end(event)
            case DecisionMade():
                self._client.set_tag(self._parent, "decision", "\n".join(event.words)[:5000])
            case SearchEnded():
                self._end_search(event)

    def _parent_of(self, event: SearchBegun) -> str:
        runs = self._client.search_runs(
            [self._experiment], filter_string=f"tags.`{FOLDER}` = '{_quoted(event.folder)}'"
        )
        if runs:
            return str(runs[0].info.run_id)
        tags = {FOLDER: event.folder, MLFLOW_RUN_NAME: event.search}
        run = self._client.create_run(self._experiment, tags=tags)
        self._client.log_param(run.info.run_id, "metric", event.metric)
        return str(run.info.run_id)

    def _begin(self, event: TrialBegun) -> None:
        tags = {MLFLOW_PARENT_RUN_ID: self._parent, MLFLOW_RUN_NAME: f"trial {event.trial}"}
        run = self._client.create_run(self._experiment, tags=tags)
        self._children[event.trial] = run.info.run_id
        values = {**event.knobs, "seed": event.seed, "stage": event.stage, "device": event.device}
        params = [Param(key, str(value)) for key, value in values.items()]
        self._client.log_batch(run.info.run_id, params=params)

    def _end(self, event: TrialEnded) -> None:
        run = self._children.pop(event.trial)
        tags = {"state": event.state, "verdict": event.verdict, "reason": event.reason}
        for key, text in tags.items():
            if text:
                self._client.set_tag(run, key, text[:5000])
        if event.value is not None:
            self._client.log_metric(run, "best", event.value)
        self._client.set_terminated(run, status=STATUS.get(event.state, "FAILED"))

    def _end_search(self, event: SearchEnded) -> None:
        for run in self._children.values():  # they have no row yet; a resumed search begins anew
            self._client.set_terminated(run, status="KILLED")
        if event.value is not None:
            self._client.log_metric(self._parent, "best", event.value)
            for path, value in event.knobs.items():
                self._client.set_tag(self._parent, f"best.{path}", str(value))
        self._client.set_terminated(self._parent, status=STATUS.get(event.state, "FAILED"))


def _quoted(text: str) -> str:
    return text.replace("'", "\\'")
