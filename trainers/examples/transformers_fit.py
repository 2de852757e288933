"""A Hugging Face Trainer, as it is: a callback tells the epochs, and an interrupted one goes on.

python -m search own_trainer trainer._target_=trainers.examples.transformers_fit.fit data.rows=600
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import trainers


def made_up_rows():
    """600 sequences of token ids; does one of three words stand in them?"""
    tokens = np.random.default_rng(0).integers(5, 60, (600, 12))
    return [
        {"input_ids": torch.tensor(ids), "labels": int(np.isin(ids, [7, 8, 9]).any())}
        for ids in tokens
    ]


class Report(TrainerCallback):
    """Tells an epoch's numbers, and offers the state from which the training can go on."""

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint

    def on_evaluate(self, args, state, control, metrics, **_):
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        trainers.report(
            epoch=round(state.epoch),
            train_loss=losses[-1],  # the mean over the epoch
            val_loss=metrics["eval_loss"],
            accuracy=metrics["eval_accuracy"],
        )

    def on_save(self, args, state, control, model, **_):
        folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
        files = {file.name: np.fromfile(file, np.uint8) for file in folder.iterdir()}
        self.checkpoint.save(
            {"model": model.state_dict(), "folder": folder.name, "files": files},
            epoch=round(state.epoch),
        )
        shutil.rmtree(folder)


def accuracy(prediction):
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


def fit(config, data, device, checkpoint):
    rows = made_up_rows()
    torch.manual_seed(config["seed"])
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=60,
            hidden_size=config["model"]["width"],
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
        )
    )
    settings = TrainingArguments(
        output_dir=str(checkpoint.files),
        num_train_epochs=config["trainer"]["epochs"],
        per_device_train_batch_size=config["trainer"]["batch_size"],
        learning_rate=config["optimizer"]["lr"],
        seed=config["seed"],
        use_cpu=device == "cpu",
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="epoch",
        report_to=[],
        disable_tqdm=True,
    )
    training = Trainer(
        model,
        settings,
        train_dataset=[rows[index] for index in data.train.index],
        eval_dataset=[rows[index] for index in data.val.index],
        compute_metrics=accuracy,
        callbacks=[Report(checkpoint)],
    )
    saved, folder = checkpoint.load(), None
    if saved:
        folder = checkpoint.files / saved["folder"]
        folder.mkdir(exist_ok=True)
        for name, content in saved["files"].items():
            (folder / name).write_bytes(np.asarray(content).tobytes())
    training.train(resume_from_checkpoint=folder)
