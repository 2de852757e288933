"""Lanes for tests: groups made from configs, and the same trainings by plain torch."""

import copy
import re
from functools import cache

import numpy as np
import torch
import yaml
from omegaconf import OmegaConf
from torch import nn

from search.config.compose import compose_experiment
from trainers.build import build, epoch_seeds, plain_loss, seed_all
from trainers.lanes.group import Group
from trainers.lanes.key import fusion_key
from trainers.lanes.lane import lane_of
from trainers.lanes.masks import counted_dropout, in_place_of_torchs
from trainers.lanes.program import Program
from trainers.schedules import Schedule, apply

CPU = torch.device("cpu")
BATCH, STEPS = 32, 3
PARTS = ("model", "optimizer", "unsaved")
# What most trials of a test differ in: set without composing their configs anew.
NUMBER = re.compile(r"(optimizer\.)?(lr|seed)=([0-9.]+)")


class Kept:
    """A checkpoint that keeps a copy of every state, by epoch; `saved`: what is to be loaded."""

    def __init__(self, saved=None, epoch=0):
        self.saved, self.epoch, self.states = saved, epoch, {}

    def load(self):
        return self.saved

    def save(self, state, *, epoch):
        self.states[epoch] = {
            "val_losses": list(state["val_losses"]),
            **{
                part: {name: tensor.clone() for name, tensor in state[part].items()}
                for part in PARTS
            },
        }


def config_of(*words, model=None, **keys):
    """A trial's config; `model`: the name of one in odd.py, with more keys of it."""
    linked = any(word.startswith("schedule") for word in words)  # to the rate, perhaps
    own = [match for word in words if (match := NUMBER.fullmatch(word)) and not linked]
    config = copy.deepcopy(_composed(*(word for word in words if word not in {m[0] for m in own})))
    for match in own:
        (config["optimizer"] if match[1] else config)[match[2]] = yaml.safe_load(match[3])
    if model is not None:
        config["model"] = {"_target_": f"odd.{model}", "inputs": 64, "outputs": 10, **keys}
    return config


@cache
def _composed(*words):
    words = ["trainer.epochs=4", *words]
    config = compose_experiment("lr_sweep", overrides=words, config_dir=None)
    return OmegaConf.to_container(config, resolve=True)


def sets_of(dtype=torch.float32):
    """70 rows to train and 30 to validate, drawn; classes follow the inputs."""
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(100, 64, generator=dice).to(dtype)
    y = (x @ torch.randn(64, 10, generator=dice).to(dtype)).argmax(1)
    return (x[:70], y[:70]), (x[70:], y[70:])


def made(config, dtype=torch.float32):
    """Model, loss, optimizer and plain loss, as a seat makes them."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        seed_all(config["seed"], CPU)
        return (*build(config, CPU), plain_loss(config, build(config, CPU)[1], CPU))
    finally:
        torch.set_default_dtype(default)


class Company:
    """A group of lanes; `come` and `go` between epochs, `epochs` trains."""

    def __init__(self, dtype=torch.float32):
        self.dtype, self.sets, self.group = dtype, sets_of(dtype), None
        self.told, self.kept, self.keys = {}, {}, set()

    def come(self, trial, config, *, saved=None, epoch=0):
        model, loss, optimizer, plain = made(config, self.dtype)
        self.keys.add(fusion_key(model, loss, optimizer, batch=BATCH, rows=70))
        if self.group is None:
            (x, y), _ = self.sets
            self.group = Group(
                Program(model, loss, optimizer, plain=plain, x=x[:8], y=y[:8]),
                sets=self.sets,
                batch=BATCH,
            )
        self.kept[trial] = Kept(saved, epoch)
        lane = lane_of(
            trial,
            config,
            model=model,
            loss=loss,
            optimizer=optimizer,
            steps=STEPS,
            checkpoint=self.kept[trial],
        )
        self.group.admit(lane, model, optimizer)
        self.told.setdefault(trial, {})

    def go(self, trial):
        self.group.release(trial)

    def step(self):
        for outcome in self.group.step():
            self.told[outcome.trial][outcome.epoch] = dict(outcome.values)

    def epochs(self, count):
        for _ in range(count):
            self.step()


def trained(configs, *, dtype=torch.float32, epochs=3):
    """All in one company, untrained look included: told by trial and epoch, and what was kept."""
    company = Company(dtype)
    for trial, config in configs.items():
        company.come(trial, config)
    company.epochs(epochs + 1)
    return company


def plainly(config, *, dtype=torch.float32, epochs=3):
    """The same training by torch alone, with the lanes' order of rows and dropout masks.

    Returns losses by epoch, and the model.
    """
    model, loss, optimizer, plain = made(config, dtype)
    (x, y), (val_x, val_y) = sets_of(dtype)
    schedule = Schedule(
        config.get("schedule"), optimizer, epochs=config["trainer"]["epochs"], steps=STEPS
    )
    told, val_losses = {}, []
    for epoch in range(1, epochs + 1):
        model.train()
        seeds = epoch_seeds(config["seed"], epoch, count=STEPS + 1)
        order = torch.randperm(70, generator=torch.Generator().manual_seed(int(seeds[0])))
        keys, total = torch.from_numpy(seeds[1:].view(np.int32).copy()), 0.0
        for step, rows in enumerate(torch.split(order, BATCH)):
            apply(schedule.at(epoch, step=step, watched=val_losses), optimizer)
            optimizer.zero_grad()
            with in_place_of_torchs(counted_dropout(keys[step])):
                outputs = model(x[rows])
            objective = loss(outputs, y[rows])
            total += plain(outputs, y[rows]).item() * len(rows)
            flood, longest = config["trainer"]["flood"], config["trainer"]["max_norm"]
            if flood is not None:
                objective = (objective - flood).abs() + flood
            penalty = config["trainer"]["l1"]
            if penalty:
                objective = objective + penalty * sum(
                    p.abs().sum() for p in model.parameters() if p.ndim > 1
                )
            objective.backward()
            if config["trainer"]["clip"]:
                nn.utils.clip_grad_norm_(model.parameters(), config["trainer"]["clip"])
            optimizer.step()
            for parameter in model.parameters() if longest is not None else ():
                if parameter.ndim > 1:
                    parameter.data = torch.renorm(parameter.data, 2, 0, longest)
        model.eval()
        with torch.no_grad():
            val_losses.append(plain(model(val_x), val_y).item())
        told[epoch] = {"train_loss": total / 70, "val_loss": val_losses[-1]}
    return told, model


def bits(told):
    """Everything that an epoch told, exactly."""
    return {
        epoch: {
            name: value.tobytes() if name == "predictions" else value
            for name, value in values.items()
        }
        for epoch, values in told.items()
    }
