"""Events and callbacks: what they are told, that none of them can hurt a search, and real trackers."""

import http.server
import json
import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from kit import search, trials
from omegaconf import OmegaConf
from refusals import raises

from search.config.compose import compose_experiment
from search.execution import event_stream
from search.execution.event_stream import EventStream
from search.execution.events import (
    DecisionMade,
    EpochEnded,
    SearchBegun,
    SearchEnded,
    TrialBegun,
    TrialEnded,
    event_document,
    event_name,
)
from search.execution.trackers.command import Command
from search.execution.trackers.configured import configured_callbacks
from search.execution.trackers.webhook import Webhook


def _events(folder, trials=2, epochs=3):
    """A small search, as a tracker is told of it."""
    yield SearchBegun(
        search="toy", folder=str(folder), metric="accuracy", direction="maximize",
        knobs=["optimizer.lr"], finished=0, config={"seed": 0, "optimizer": {"lr": 0.1}},
    )  # fmt: skip
    for trial in range(trials):
        yield TrialBegun(trial=trial, stage="sweep", knobs={"optimizer.lr": 0.1 * (trial + 1)}, seed=trial, device="cpu")  # fmt: skip
    for epoch in range(1, epochs + 1):
        for trial in range(trials):
            yield EpochEnded(trial=trial, epoch=epoch, values={"train_loss": 1 / epoch, "accuracy": 0.1 * epoch + trial / 100})  # fmt: skip
    for trial in range(trials):
        yield TrialEnded(
            trial=trial, stage="sweep", knobs={"optimizer.lr": 0.1 * (trial + 1)}, seed=trial, state="complete",
            value=0.3 + trial / 100, best_epoch=3, epochs=3, seconds=0.1, reason="", verdict="converged", why="it rests",
        )  # fmt: skip
    yield DecisionMade(record={"decision": "adopt"}, words=["adopted"])
    yield SearchEnded(state="done", reason="", winner=1, value=0.31, knobs={"optimizer.lr": 0.2})


def _stream(warnings, **callbacks):
    made = {name: (lambda callback=callback: callback) for name, callback in callbacks.items()}
    return EventStream(made, judge=lambda row, records: ("", ""), warn=warnings.append)


def test_every_callback_gets_every_event_in_order(tmp_path):
    heard, warnings = ([], []), []
    stream = _stream(warnings, a=heard[0].append, b=heard[1].append)
    events = list(_events(tmp_path))
    for event in events:
        stream.post(event)
    stream.close()
    assert heard == (events, events)
    assert warnings == []


def test_a_callback_that_raises_is_a_warning_and_hurts_no_other(tmp_path):
    def raises(event):
        raise ValueError("no")

    heard, warnings = [], []
    stream = _stream(warnings, bad=raises, good=heard.append)
    for event in _events(tmp_path, trials=4):
        stream.post(event)
    stream.close()
    assert len(heard) == 3 + 4 * 5
    assert warnings[0] == "callback bad raised at search_begun: ValueError: no; the search goes on"
    assert "callback bad raised 5 times in a row and is called no more" in warnings


def test_a_callback_that_cannot_be_made_is_a_warning():
    def make():
        raise SystemExit("no licence")

    warnings = []
    stream = EventStream({"x": make}, judge=lambda row, records: ("", ""), warn=warnings.append)
    stream.close()
    assert warnings == [
        "callback x cannot be made: SystemExit: no licence; the search goes on without it"
    ]


def test_a_slow_callback_misses_epochs_but_no_end_of_a_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(event_stream, "LIMIT", 5)
    free, heard, warnings = threading.Event(), [], []

    def slow(event):
        free.wait()
        heard.append(event_name(event))

    stream = _stream(warnings, slow=slow)
    for event in _events(tmp_path, trials=2, epochs=50):
        stream.post(event)
    while not any("epochs are dropped above 5 in line" in line for line in warnings):
        time.sleep(0.001)
    free.set()
    stream.close()
    counts = Counter(heard)
    assert (counts["trial_ended"], counts["search_ended"]) == (2, 1)
    assert counts["epoch_ended"] < 100
    assert f"callback slow missed {100 - counts['epoch_ended']} epochs" in warnings


def test_a_callback_that_hangs_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(event_stream, "PATIENCE", 0.2)
    monkeypatch.setattr(event_stream, "NOTICE", 0.1)
    monkeypatch.setattr(event_stream, "CLOSING", 3600.0)  # not this is what ends the waiting
    warnings, never = [], threading.Event()
    stream = _stream(warnings, hangs=lambda event: never.wait())
    for event in _events(tmp_path):
        stream.post(event)
    stream.close()
    assert re.fullmatch(
        r"callback hangs is waited for; \d+ events? left, Ctrl-C drops them", warnings[0]
    )
    assert re.fullmatch(
        r"callback hangs made no progress and is left behind; not delivered: \d+ events?",
        warnings[1],
    )
    never.set()


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ({"x": {"url": "a"}}, ("callback-names-no-class", "callbacks.x", "_target_")),
        ({"x": 3}, ("callback-names-no-class", "callbacks.x", "_target_")),
        ({"x": {"_target_": "nowhere.Thing"}}, ("callback-not-installed", "callbacks.x._target_")),
    ],
)  # fmt: skip
def test_a_callback_that_cannot_be_is_refused_before_anything_is_written(callbacks, message):
    with raises(*message):
        configured_callbacks(OmegaConf.create({"callbacks": callbacks}))
    assert configured_callbacks(OmegaConf.create({})) == {}


def test_several_callbacks_are_chosen_by_name_on_the_command_line():
    words = [
        "callbacks=[webhook,command]",
        "callbacks.webhook.url=http://x",
        "callbacks.command.command=[true]",
    ]
    config = compose_experiment("smoke", overrides=words, config_dir=None)
    assert list(configured_callbacks(config)) == ["webhook", "command"]


@pytest.mark.slow
def test_a_search_tells_its_callbacks_what_its_tables_say_and_a_broken_one_does_not_hurt(elsewhere):
    words = ["+callbacks.diary._target_=watchers.Diary", f"+callbacks.diary.path={elsewhere / 'diary'}",
             "+callbacks.broken._target_=watchers.Broken"]  # fmt: skip
    done = search("smoke", *words, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "callback broken raised at search_begun: RuntimeError: out of order" in done.stdout
    events = [json.loads(line) for line in (elsewhere / "diary").read_text().splitlines()]
    assert events[0]["event"] == "search_begun"
    assert [event["event"] for event in events[-2:]] == ["decision_made", "search_ended"]
    table = trials(elsewhere / "results" / "smoke").set_index("trial").astype(object)
    ended = {event["trial"]: event for event in events if event["event"] == "trial_ended"}
    assert set(ended) == set(table.index)
    for trial, event in ended.items():
        row = table.loc[trial].where(table.loc[trial].notna(), None)
        for column in ("state", "value", "best_epoch", "epochs", "seed"):
            assert event[column] == row[column], (trial, column)
        assert event["verdict"] == (row["verdict"] or "")
    epochs = Counter(event["trial"] for event in events if event["event"] == "epoch_ended")
    assert all(epochs[trial] >= event["epochs"] for trial, event in ended.items())
    assert events[-1]["value"] == table.value.max()
    best = (elsewhere / "results" / "smoke" / "best.yaml").read_text()
    assert "callbacks" not in best.replace("callbacks: none", "")
    again = search("smoke", cwd=elsewhere)  # other callbacks are no other search
    assert again.returncode == 0, again.stderr


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as server:
        server.bodies, server.answer = [], 200
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_webhook_posts_the_chosen_events_and_raises_where_it_is_refused(server, tmp_path):
    hook = Webhook(
        f"http://127.0.0.1:{server.server_port}/", events=["trial_ended", "search_ended"]
    )
    events = list(_events(tmp_path))
    for event in events:
        hook(event)
    chosen = [event for event in events if event_name(event) in ("trial_ended", "search_ended")]
    assert server.bodies == [event_document(event) for event in chosen]
    server.answer = 500
    with pytest.raises(OSError, match="500"):
        hook(events[-1])
    with pytest.raises(ValueError, match="url must begin with http"):
        Webhook("file:///etc/passwd")


def test_a_command_gets_the_event_and_its_failure_raises(tmp_path):
    code = (
        "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ' ' + sys.stdin.read() + chr(10))"
    )
    command = Command([sys.executable, "-c", code, str(tmp_path / "log")])
    for event in _events(tmp_path):
        command(event)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["search_begun", "decision_made", "search_ended"]
    assert json.loads(lines[-1].partition(" ")[2])["winner"] == 1
    with pytest.raises(RuntimeError, match="exit code 3: no"):
        Command([sys.executable, "-c", "import sys; print('no'); sys.exit(3)"])(event)


def test_tensorboard_reads_every_curve_and_knob(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from search.execution.trackers.tensorboard import TensorBoard

    tracker = TensorBoard()
    for event in _events(tmp_path):
        tracker(event)
    read = EventAccumulator(str(tmp_path / "tensorboard" / "1")).Reload()
    assert [(e.step, round(e.value, 4)) for e in read.Scalars("accuracy")] == [
        (1, 0.11),
        (2, 0.21),
        (3, 0.31),
    ]
    assert round(read.Scalars("best/accuracy")[0].value, 4) == 0.31
    assert "_hparams_/session_start_info" in read.PluginTagToContent("hparams")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own
def test_mlflow_has_a_parent_run_with_a_child_per_trial_and_a_resumed_search_goes_on_with_it(
    tmp_path,
):
    pytest.importorskip("mlflow", reason="the extra [mlflow] is not installed")
    from mlflow import MlflowClient

    from search.execution.trackers.mlflow import MLflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for _ in range(2):
        tracker = MLflow(tracking_uri=uri)
        for event in _events(tmp_path):
            tracker(event)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("knobwise").experiment_id
    runs = client.search_runs([experiment])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    assert parents[0].data.metrics["best"] == 0.31
    assert parents[0].info.status == "FINISHED"
    children = [
        run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id
    ]
    assert len(children) == 4
    last = next(run for run in children if run.data.params["optimizer.lr"] == "0.2")
    history = client.get_metric_history(last.info.run_id, "accuracy")
    assert [(point.step, round(point.value, 4)) for point in history] == [
        (1, 0.11),
        (2, 0.21),
        (3, 0.31),
    ]
    assert (last.data.tags["verdict"], last.info.status) == ("converged", "FINISHED")


@pytest.mark.slow
def test_wandb_keeps_a_run_per_trial_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra [wandb] is not installed")
    from search.execution.trackers.wandb import WandB

    tracker = WandB()
    for event in _events(tmp_path):
        tracker(event)
    runs = sorted((tmp_path / "wandb" / "wandb").glob("offline-run-*"))
    assert len(runs) == 2
    assert all(list(run.glob("*.wandb")) for run in runs)


def test_trackio_keeps_a_run_per_trial(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="the extra [trackio] is not installed")
    from search.execution.trackers.trackio import Trackio

    tracker = Trackio(project="toys")
    for event in _events(tmp_path):
        tracker(event)
    import trackio

    runs = {run.name: run for run in trackio.Api().runs("toys")}
    assert set(runs) == {"toy-0", "toy-1"}
    assert list(Path(tmp_path / "trackio").rglob("*"))
