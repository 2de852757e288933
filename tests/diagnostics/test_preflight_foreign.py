"""The preflight on set-ups that nobody here had seen: a member of each kind, told by its own check, and sound twins left alone."""

import json

import foreign
import numpy as np
import pytest
from kit import search
from test_preflight import STEADY_PROGRAM, alarms_of

from search.diagnostics.preflight import by_heart
from search.storage.sealed import read_json
from trainers.api import Data, Part
from trainers.probes import questions, watched
from trainers.probes.subject import Subject

# Of each kind the member on the data set that most have: what the checks of the data say of one is made once.
SHARED = ("friedman", "clouds", "digits")


def _place(setup):
    source = setup.name.partition(" · ")[2].partition(",")[0]
    return SHARED.index(source) if source in SHARED else len(SHARED)


ONE_EACH = {setup.name.partition(" · ")[0]: setup for setup in sorted(foreign.FAULTS, key=_place, reverse=True) if "loop:" in setup.name or "model:" in setup.name}  # fmt: skip
TWINS = [setup for setup in foreign.SOUND if "habit" in setup.name or "shape" in setup.name][::5]


@pytest.mark.slow
@pytest.mark.xdist_group("foreign")
@pytest.mark.parametrize("setup", ONE_EACH.values(), ids=ONE_EACH)
def test_a_fault_of_a_loop_or_of_a_model_is_told_by_its_own_check(setup, elsewhere):
    assert {*alarms_of(setup, elsewhere, of_its_data=False)} & {*setup.found}


@pytest.mark.slow
@pytest.mark.xdist_group("foreign")
@pytest.mark.parametrize("setup", TWINS, ids=lambda setup: setup.name)
def test_a_sound_habit_raises_no_alarm(setup, elsewhere):
    assert {*alarms_of(setup, elsewhere)} <= {*setup.besides}


GAN = """
import torch
from torch import nn

def train(config, data, device, checkpoint):
    g = torch.Generator().manual_seed(config["seed"])
    rows = torch.randn(300, 4, generator=torch.Generator().manual_seed(7)) * 0.5 + 1
    mine, held = rows[torch.as_tensor(data.train.index)], rows[torch.as_tensor(data.val.index)]
    maker = nn.Sequential(nn.Linear(4, 32), nn.LeakyReLU(0.2), nn.Linear(32, 4))
    critic = nn.Sequential(nn.Linear(4, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    turns = [torch.optim.Adam(net.parameters(), lr=config["optimizer"]["lr"]) for net in (maker, critic)]
    for _ in range(config["trainer"]["epochs"]):
        for batch in torch.randperm(len(mine), generator=g).split(32):
            made = maker(torch.randn(len(batch), 4, generator=g))
            turns[0].zero_grad()
            nn.functional.softplus(-critic(made)).mean().backward()
            turns[0].step()
            turns[1].zero_grad()
            real, fake = critic(mine[batch]), critic(made.detach())
            (nn.functional.softplus(-real) + nn.functional.softplus(fake)).mean().backward()
            turns[1].step()
        with torch.no_grad():
            far = (maker(torch.randn(len(held), 4, generator=g)).mean(0) - held.mean(0)).norm()
        yield {"distance": far.item()}
"""


@pytest.mark.slow
def test_two_nets_against_each_other_need_not_learn_rows_by_heart(elsewhere, monkeypatch):
    (elsewhere / "gan.py").write_text(GAN)
    monkeypatch.syspath_prepend(elsewhere)
    monkeypatch.setattr(questions, "FIT_STEPS", 50)
    rows = Part(index=np.arange(300))
    config = {
        "trainer": {"_target_": "gan.train", "epochs": 4, "batch_size": 32},
        "optimizer": {"lr": 0.001},
        "seed": 0,
    }
    data = Data(train=rows, val=rows)
    gan = Subject(config=config, data=data, device="cpu", folder=elsewhere, task="own")
    seen = watched.watched(gan)
    heart = questions.learned_by_heart(gan, parameters=1000, loss=None)
    check = by_heart.overfit(heart, optimizers=seen["optimizers"], seen=seen)
    assert check.outcome == "not checkable"
    assert "2 optimizers take turns" in check.told
    alone = by_heart.overfit(heart, optimizers=1, seen=seen)
    assert alone.outcome in ("warn", "fail")


@pytest.mark.slow
def test_the_document_on_stdout_is_what_the_file_holds(elsewhere):
    words = ["own_command", STEADY_PROGRAM, "name=p", "rehearse=false", "--json"]
    done = search("preflight", *words, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    written = read_json(elsewhere / "results" / "p" / "preflight.json")
    assert {key: document[key] for key in written} == written
