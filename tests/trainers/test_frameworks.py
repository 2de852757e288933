"""Trainings of PyTorch Lightning and of Hugging Face's Trainer, as the examples show them."""

from pathlib import Path

import kit
import pandas as pd
import pytest

ROWS = {"lightning": 1797, "transformers": 600}
EPOCHS = 8


def words(framework: str, name: str) -> list[str]:
    return [
        "own_trainer",
        f"trainer._target_=trainers.examples.{framework}_fit.fit",
        f"data.rows={ROWS[framework]}",
        "model.width=16",
        f"trainer.epochs={EPOCHS}",
        f"trainer.patience={EPOCHS}",
        "trainer.checkpoint_every=0.01",
        "space.optimizer.lr.points=2",
        "protocol.refine=0",
        "seeds=1",
        "placement.slots=1",
        "rehearse=false",
        f"name={name}",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("framework", ROWS)
def test_a_framework_s_own_loop_goes_on_after_a_kill_to_the_same_epochs(
    framework: str, tmp_path: Path
) -> None:
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    with kit.running(*words(framework, "killed"), cwd=tmp_path):
        saved = tmp_path / "results" / "killed" / "checkpoints"
        kit.wait_for(lambda: any(saved.glob("*/last.safetensors")), seconds=120)
    curves = {}
    for name in ["killed", "whole"]:
        done = kit.search(*words(framework, name), cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        rows = pd.read_parquet(tmp_path / "results" / name / "curves.parquet")
        curves[name] = rows[["trial", "epoch", "train_loss", "val_loss", "accuracy"]]
    assert (curves["whole"].groupby("trial")["epoch"].max() <= EPOCHS).all()
    assert len(curves["whole"]) > EPOCHS
    pd.testing.assert_frame_equal(
        *(table.sort_values(["trial", "epoch"], ignore_index=True) for table in curves.values())
    )
