"""What a trial and an epoch cost besides training: counted in calls of functions, never by a clock."""

import io
import sys

import numpy as np
import pytest
from drawn import plan_of

from search.contract.contract import Contract
from search.execution.end_reasons import StopDecision
from search.execution.messages import EpochTrained
from search.execution.progress import ShownProgress
from search.execution.recorder import Recorder
from search.execution.running_trial import RunningTrial, fresh_early_stopping
from search.execution.slots import Slot
from search.execution.terminal import Terminal
from search.stages.kinds import kind_of
from search.stages.stage import StageContext, looked_ahead
from search.storage.folder import Folder
from search.storage.journal import JournalFile
from search.storage.study import Study
from search.storage.trials import TrialState
from trainers.api import Data, Part
from trainers.callable import CallableSeats
from trainers.checkpoint import FolderCheckpoint

SLOT = Slot(number=0, gpu=None, threads=1)
JOINT = ("joint", "pruner=none", "n_trials={trials}")
SEARCHES = {
    "joint, quasi-random": (*JOINT, "sampler=qmc"),
    "joint, hours": (*JOINT, "sampler=qmc", "budget_hours=1000"),
    "sweep, seeds": ("lr_sweep", "seeds={part}", "space.optimizer.lr.points=4"),
    "sweep, values": ("lr_sweep", "seeds=4", "space.optimizer.lr.points={part}"),
}


class Search:
    """A search whose trainings take no time: all that the conductor does for a trial, without a worker."""

    def __init__(self, folder, words):
        self.plan = plan_of(*words)
        contract = Contract(
            task="classification", metric="accuracy", direction="maximize", definition={},
            data={}, split={}, normalisation={}, floor=0.1,
        )  # fmt: skip
        context = StageContext(slots=1, resolution=0.01, wake=lambda: None)
        self.stage = kind_of(self.plan).stage(self.plan, [], context)
        study = Study.for_writing(
            JournalFile(folder / "journal.log"),
            name=self.plan.name,
            metric=self.plan.metric,
            knobs=self.plan.knobs,
        )
        self.progress = ShownProgress(self.plan, rows=(), console=Terminal(file=io.StringIO()))
        self.recorder = Recorder(
            self.plan,
            folder=Folder(folder),
            study=study,
            contract=contract,
            stage=self.stage,
            callback=self.progress,
        )
        self.queue = []

    def carry_out(self, trials):
        """So many further trials, every fifth of which diverges."""
        for _ in range(trials):
            if not self.queue:
                self.queue = self.stage.wanted(self.recorder.rows, room=1)
                for spec in self.queue:
                    self.recorder.add(spec)
                self.progress.foreseen(self.stage.foreseen(self.recorder.rows))
            self._train(self.queue.pop(0))

    def _train(self, spec):
        limits = self.plan.limits
        early_stopping = fresh_early_stopping(self.plan.metric, limits)
        trial = RunningTrial(spec=spec, early_stopping=early_stopping, limits=limits)
        trial.hand_out(rungs=self.stage.rungs(spec))
        self.recorder.begin(SLOT, spec)
        looked_ahead(self.stage.candidates(self.recorder.rows))
        records = self.recorder.epochs(spec.trial)
        trial.begin(0, records=records, device="cpu", strategy="alone")
        number, value = spec.trial, 0.5 + spec.trial % 7 / 100
        message = EpochTrained(
            trial=number, epoch=1, value=value, values={}, seconds=0.1, source="computed"
        )
        self.recorder.record_epoch(SLOT, trial, message)
        assert trial.decision is StopDecision.GO
        self.recorder.flush()
        state = TrialState.INFEASIBLE if number % 5 == 3 else TrialState.COMPLETE
        self.recorder.finish(trial, state, reason="", cause=None)
        self.progress.left(SLOT, spec)
        self.recorder.sync()


def calls(work):
    """How many functions are called, a generator's every step among them."""
    count = 0

    def see(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def _calls_of_a_trial(trials, words, folder):
    """The mean of 64 trials in a search of so many, a quarter of which has ended."""
    folder.mkdir()
    search = Search(folder, [word.format(trials=trials, part=trials // 4) for word in words])
    search.carry_out(trials // 4)
    return calls(lambda: search.carry_out(64)) / 64


@pytest.mark.parametrize("words", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.slow
def test_a_trial_costs_as_many_calls_among_three_thousand_as_among_eight_hundred(words, tmp_path):
    few, many = (_calls_of_a_trial(trials, words, tmp_path / f"{trials}") for trials in (800, 3000))
    assert many < 1.1 * few


def idle(config, data, device, checkpoint):
    while True:
        yield {"train_loss": 0.1, "val_loss": 0.2, "accuracy": 0.5}


def test_an_epoch_costs_few_calls_however_many_variables_the_environment_has(tmp_path, monkeypatch):
    part = Part(index=np.arange(2))
    costs = []
    for variables in (0, 300):
        for number in range(variables):
            monkeypatch.setenv(f"OWN_{number}", "1")
        seats = CallableSeats(idle, data=Data(train=part, val=part), device="cpu")
        seats.admit(0, config={"seed": 0}, checkpoint=FolderCheckpoint(tmp_path))
        for _ in range(64):  # looks at files and globals come at epochs 1, 2, 4, 8 …
            seats.step()
        costs.append(calls(lambda seats=seats: [seats.step() for _ in range(32)]) / 32)
        seats.release(0)
    assert costs[0] == costs[1] < 60
