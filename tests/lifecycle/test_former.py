"""A folder that an earlier version began and left unfinished goes on, row for row.

`former_search/` is such a folder: `python -m search` with WORDS was interrupted in its second
trial. `expected.csv` is the table of the same command without the interruption.
"""

import shutil
from pathlib import Path

import optuna
import pandas as pd
import pytest
from kit import search, steady, trials
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

FORMER = Path(__file__).parent / "former_search"
WORDS = [
    "smoke",
    "name=old",
    "trainer.epochs=12",
    "data=breast_cancer",
    "model.width=8",
    "space.optimizer.lr.points=3",
    "preflight=off",
    "lanes=0",
    "placement.slots=1",
    "trainer.checkpoint_every=0.01",
]


@pytest.mark.slow
def test_a_search_of_an_earlier_version_goes_on_from_its_checkpoint(tmp_path):
    folder = tmp_path / "results" / "old"
    shutil.copytree(FORMER, folder)
    before = pd.read_parquet(folder / "curves.parquet").query("trial == 1")
    done = search(*WORDS, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = pd.read_csv(FORMER / "expected.csv")
    rows = trials(folder)
    same = [name for name in expected if name not in ("verdict", "seconds", "device")]
    pd.testing.assert_frame_equal(steady(rows)[same], steady(expected)[same])
    after = pd.read_parquet(folder / "curves.parquet").query("trial == 1")
    kept = after.merge(before, on=["epoch", "seconds"])
    assert len(kept) == len(before), "an epoch that was recorded before was trained again"
    journal = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    study = optuna.load_study(study_name="old", storage=journal)
    assert study.best_trial.value == rows.value.max()
    assert study.metric_names == ["accuracy"]
