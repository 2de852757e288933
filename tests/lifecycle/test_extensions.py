"""What a contributor adds by the recipes of CONTRIBUTING.md works, and what was forgotten is named."""

from dataclasses import replace

from kit import INLINE, script

from search.commands.support.show_plan import _show
from search.config.compose import compose_experiment
from search.config.confirm_settings import ConfirmSettings
from search.config.plan import SETTINGS, read_plan
from search.config.schema import NEEDED_BY_KIND
from search.config.tune_settings import STAGES
from search.execution.terminal import Terminal
from search.protocols.stage_requests import STAGE_REQUESTS
from search.results.summary import VIEWS
from search.stages.kinds import KINDS

SEARCHED = """
import search
from omegaconf import OmegaConf

{added}

words = ["protocol.stages=[baseline,half_rate]", "trainer.epochs=2", "seeds=2", "report=off", "preflight=off"]
result = search.run("tune", [*words, *{inline!r}, "name=added"])
print(*result.decisions.kind, *result.decisions.trials)
"""
HALF_RATE = """
from search.config import tune_settings
from search.protocols import stage_requests
from search.protocols.step import Request

def half_rate(history, index, argument):
    halved = history.base.optimizer.lr / 2
    configurations = {}, {"optimizer.lr": halved}
    return Request(entry=index, stage="half_rate", because="it may be as good", configurations=configurations)

tune_settings.STAGES = (*tune_settings.STAGES, "half_rate")
stage_requests.STAGE_REQUESTS["half_rate"] = half_rate
"""
OTHER_FILE = """
from search.storage import folder
from search.storage.journal import JournalFile

folder.Folder._storage_of = lambda self, config: JournalFile(self.path / "other.log")
"""


def test_a_stage_that_compares_configurations_needs_its_name_and_its_request_alone(elsewhere):
    (elsewhere / "mine.py").write_text(SEARCHED.format(added=HALF_RATE, inline=INLINE))
    done = script("mine.py", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "baseline half_rate [0, 1] [0, 1]"


def test_a_storage_whose_file_no_later_start_would_know_is_named_at_the_first_one(elsewhere):
    (elsewhere / "mine.py").write_text(
        SEARCHED.format(added=OTHER_FILE, inline=INLINE).replace("half_rate", "confirm")
    )
    done = script("mine.py", cwd=elsewhere)
    assert done.returncode == 1
    assert "TypeError: JournalFile: TRIALS of search.storage.folder lacks its file" in done.stderr


def test_every_kind_of_search_and_every_stage_is_registered_wherever_it_is_asked_for():
    assert set(NEEDED_BY_KIND) == set(SETTINGS) == set(VIEWS)
    assert set(SETTINGS) - {"tune"} <= set(KINDS)  # whose stages are of the other kinds
    assert set(STAGES) == {*STAGE_REQUESTS, "sweeps"}  # which asks for one sweep after the other


def test_the_plan_of_a_kind_that_is_neither_sweep_nor_joint_tells_knobs_and_trials_foreseen(
    elsewhere, capsys
):
    plan = read_plan(compose_experiment("lr_sweep", overrides=[], config_dir=None), root=elsewhere)
    settings = ConfirmSettings(
        configurations=({}, {"optimizer.lr": 0.05}), seeds=(0, 1, 2), fewest=3
    )
    epochs = _show(replace(plan, kind="confirm", settings=settings), (), Terminal())
    assert epochs == [plan.epochs] * 6
    assert "optimizer.lr  0.0001 … 1, log  0.1" in capsys.readouterr().out
