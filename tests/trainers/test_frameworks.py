"""Trainings of PyTorch Lightning and of Hugging Face's Trainer, as the examples show them; and what
Accelerate and Keras keep for their process.
"""

from pathlib import Path

import kit
import numpy as np
import pandas as pd
import pytest

from search.__main__ import main
from trainers.api import Data, Part
from trainers.callable import CallableSeats
from trainers.checkpoint import FolderCheckpoint

ROWS = {"lightning": 1797, "transformers": 600}
EPOCHS = 5


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
        "rehearse=false",
        "report=off",
        f"name={name}",
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)  # three searches: beside the suite they took over three minutes
@pytest.mark.filterwarnings("ignore")  # those of a framework, which trains in this process too
@pytest.mark.parametrize("framework", ROWS)
def test_a_framework_s_own_loop_goes_on_after_a_kill_to_the_same_epochs(
    framework: str, tmp_path: Path
) -> None:
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    with kit.running(*words(framework, "killed"), "placement.slots=1", cwd=tmp_path):
        saved = tmp_path / "results" / "killed" / "checkpoints"
        kit.wait_for(lambda: any(saved.glob("*/last.safetensors")), seconds=120)
    for name in ["killed", "whole"]:
        assert main([*words(framework, name), "placement=inline"]) == 0
    curves = {}
    for name in ["killed", "whole"]:
        rows = pd.read_parquet(tmp_path / "results" / name / "curves.parquet")
        curves[name] = rows[["trial", "epoch", "train_loss", "val_loss", "accuracy"]]
    assert (curves["whole"].groupby("trial")["epoch"].max() <= EPOCHS).all()
    assert len(curves["whole"]) > EPOCHS
    pd.testing.assert_frame_equal(
        *(table.sort_values(["trial", "epoch"], ignore_index=True) for table in curves.values())
    )


def _accelerate_s_precision(config, data, device, checkpoint):
    from accelerate import Accelerator

    asked = config["trainer"]["precision"]
    yield {"used": (Accelerator(mixed_precision=asked) if asked else Accelerator()).mixed_precision}


def _keras_s_precision(config, data, device, checkpoint):
    import keras

    if asked := config["trainer"]["precision"]:
        keras.mixed_precision.set_dtype_policy(asked)
    yield {"used": keras.mixed_precision.dtype_policy().name}


@pytest.mark.parametrize(
    ("library", "train", "asked", "used"),
    [
        (
            "accelerate",
            _accelerate_s_precision,
            [None, "bf16", "no", None],
            ["no", "bf16", "no", "no"],
        ),
        (
            "keras",
            _keras_s_precision,
            [None, "mixed_bfloat16", None],
            ["float32", "mixed_bfloat16", "float32"],
        ),
    ],
)
def test_the_precision_of_a_trial_is_its_own_in_libraries_that_keep_it_for_their_process(
    library, train, asked, used, tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip(library, reason=f"{library} is not installed")
    got = []
    for trial, precision in enumerate(asked):
        rows = Data(train=Part(index=np.arange(2)), val=Part(index=np.arange(2)))
        seats = CallableSeats(train, data=rows, device="cpu")
        config = {"seed": 0, "trainer": {"precision": precision}}
        seats.admit(trial, config=config, checkpoint=FolderCheckpoint(tmp_path))
        [epoch] = seats.step()
        got.append(epoch.values["used"])
        seats.release(trial)
    assert got == used
