"""A LightningModule, as it is: a callback tells the epochs, and an interrupted training goes on.

python -m search own_trainer trainer._target_=trainers.examples.lightning_fit.fit data.rows=1797
"""

import lightning
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, Subset, TensorDataset

import trainers


class Digits(lightning.LightningModule):
    """Knows nothing of Knobwise."""

    def __init__(self, width, lr):
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def training_step(self, batch, _):
        x, y = batch
        loss = nn.functional.cross_entropy(self.network(x), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        x, y = batch
        logits = self.network(x)
        self.log("val_loss", nn.functional.cross_entropy(logits, y))
        self.log("accuracy", (logits.argmax(1) == y).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


class Report(lightning.Callback):
    """Tells an epoch's logged numbers, and offers the state from which the training can go on."""

    def __init__(self, checkpoint, seed):
        self.checkpoint, self.seed = checkpoint, seed
        self.file = checkpoint.files / "lightning.ckpt"

    def on_train_epoch_start(self, trainer, module):
        # so that a resumed training draws what an undisturbed one draws, for dropout and such
        lightning.seed_everything(1000 * self.seed + trainer.current_epoch, verbose=False)

    def on_train_epoch_end(self, trainer, module):
        epoch = trainer.current_epoch + 1
        trainer.save_checkpoint(self.file)
        state = {"model": module.state_dict(), "file": np.fromfile(self.file, np.uint8)}
        self.checkpoint.save(state, epoch=epoch)
        numbers = {name: value.item() for name, value in trainer.callback_metrics.items()}
        trainers.report(epoch=epoch, **numbers)


def fit(config, data, device, checkpoint):
    lightning.seed_everything(config["seed"], verbose=False)
    x, y = load_digits(return_X_y=True)
    rows = TensorDataset(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y))
    report = Report(checkpoint, config["seed"])
    saved = checkpoint.load()
    if saved:
        report.file.write_bytes(np.asarray(saved["file"]).tobytes())
    trainer = lightning.Trainer(
        max_epochs=config["trainer"]["epochs"],
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,  # a worker sees one GPU only
        callbacks=[report],
        default_root_dir=checkpoint.files,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    train_rows = Subset(rows, data.train.index)
    trainer.fit(
        Digits(config["model"]["width"], config["optimizer"]["lr"]),
        DataLoader(
            train_rows,
            batch_size=config["trainer"]["batch_size"],
            # shuffles by seed and epoch alone; Lightning tells this sampler its epoch
            sampler=DistributedSampler(train_rows, num_replicas=1, rank=0, seed=config["seed"]),
        ),
        DataLoader(Subset(rows, data.val.index), batch_size=512),
        ckpt_path=report.file if saved else None,
        weights_only=True,
    )
