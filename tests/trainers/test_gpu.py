"""What only a GPU can show; skipped where there is none.

Figures go to the file $KNOBWISE_GPU_NOTES, where that is set.

pytest -n 8 tests/trainers/test_gpu.py
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kit import MARK, PATH, marked, running, search, trials, wait_for
from odd import SHAPE

from search.execution.gpus import driver_gpus, free_memory

OWN_PATH = os.pathsep.join((str(Path(__file__).parent), PATH))
pytestmark = pytest.mark.skipif(not driver_gpus(), reason="no GPU")
SWEEP = ["lr_sweep", "protocol.refine=0", "protocol.extend=0", "trainer.epochs=6", "seeds=2"]
FEW = [
    *SWEEP,
    "space.optimizer.lr.points=5",
    "space.optimizer.lr.low=0.001",
    "space.optimizer.lr.high=0.3",
]
CNN = ["data=mnist1d", "model=cnn1d", "model.width=8"]
GPU = {"CUDA_VISIBLE_DEVICES": "0"}


def note(text):
    path = os.environ.get("KNOBWISE_GPU_NOTES")
    if path:
        with open(path, "a") as file:
            file.write(text + "\n")


def run(*words, cwd, code=0, timeout=170):
    done = search(*words, cwd=cwd, timeout=timeout, **GPU)
    assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
    return done


def on_gpu(program, timeout=170):
    """A Python program in a process that sees the GPU; its output."""
    environment = {**os.environ, **GPU, "PYTHONPATH": OWN_PATH}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("words", [[], CNN], ids=["mlp", "cnn"])
def test_a_sweep_gives_the_same_values_with_and_without_lanes(words, tmp_path):
    tables = {}
    for lanes in ("off", "auto", "16"):
        done = run(*FEW, *words, f"lanes={lanes}", f"name=lanes-{lanes}", cwd=tmp_path)
        tables[lanes] = trials(tmp_path / "results" / f"lanes-{lanes}").sort_values(
            ["optimizer.lr", "seed"]
        )
        assert set(tables[lanes].device) == {"cuda:0"}
        seconds, lines = tables[lanes].seconds.sum(), re.findall("lanes: .*", done.stdout)
        note(f"lanes={lanes} {words[:1]}: {set(tables[lanes].strategy)} {seconds:.1f} s; {lines}")
    assert set(tables["off"].strategy) == {"loop"}
    assert set(tables["16"].strategy) == {"vmap"}
    for lanes in ("auto", "16"):
        both = tables["off"].merge(tables[lanes], on=["optimizer.lr", "seed"])
        apart = (both.value_x - both.value_y).to_numpy()
        assert len(both) >= 12
        mean, most = np.nanmean(abs(apart)), np.nanmax(abs(apart))
        note(f"lanes={lanes} {words[:1]}: mean difference {mean:.4f}, most {most:.4f}")
        assert mean < 0.03  # as on a CPU: rounding grows where rates are high


def test_a_joint_search_and_its_winner_again(tmp_path):
    words = [
        "joint",
        "space=[lr,weight_decay,dropout]",
        "n_trials=16",
        "trainer.epochs=6",
        "sampler=qmc",
        "protocol.confirm=2",
    ]
    run(*words, "lanes=auto", cwd=tmp_path)
    table = trials(tmp_path / "results" / "joint")
    assert (table.stage == "joint").sum() == 16
    assert not set(table.state) & {"failed", "lost", "running"}
    done = search("train", "results/joint/best.yaml", cwd=tmp_path, **GPU)
    told = dict(re.findall(r"(expected|got): +([\d.e-]+)", done.stdout))
    note(f"train best.yaml: {told} exit {done.returncode}")
    assert float(told["got"]) == pytest.approx(float(told["expected"]), abs=0.02)


@pytest.mark.parametrize(("per_gpu", "lanes"), [(1, "off"), (4, "off"), (4, "4")])
def test_slots_share_a_gpu(per_gpu, lanes, tmp_path):
    run(*FEW, f"placement.slots_per_gpu={per_gpu}", f"lanes={lanes}", cwd=tmp_path)
    table = trials(tmp_path / "results" / "lr_sweep")
    assert set(table.state) <= {"complete", "infeasible"}
    assert set(table.device) == {"cuda:0"}
    note(f"slots_per_gpu={per_gpu} lanes={lanes}: {table.seconds.sum():.1f} s of trials")


def test_a_worker_sees_one_gpu(tmp_path):
    run(
        "own_trainer",
        "trainer._target_=toys.tell",
        "seeds=1",
        "placement.slots_per_gpu=2",
        cwd=tmp_path,
    )
    logs = (tmp_path / "results" / "own_trainer" / "logs").glob("*.log")
    lines = [
        line for path in logs for line in path.read_text().splitlines() if line.startswith("gpus")
    ]
    assert {tuple(line.split()[:2]) for line in lines} == {("gpus", "0")}
    assert all(line.endswith("on cuda") for line in lines)


def test_a_model_that_does_not_fit_is_infeasible_and_the_search_says_why(tmp_path):
    words = [
        "model._target_=odd.Wide",
        *SHAPE,
        "model.gigabytes=1000",
        "rehearse=false",
        "lanes=off",
        "seeds=1",
        "space.optimizer.lr.points=2",
    ]
    done = search(*SWEEP, *words, cwd=tmp_path, **GPU)
    table = trials(tmp_path / "results" / "lr_sweep")
    note(f"does not fit: exit {done.returncode}; {table.reason.iloc[0]}")
    assert set(table.state) == {"infeasible"}
    assert table.reason.str.startswith(
        "out of memory, alone on cuda:0: OutOfMemoryError: CUDA out of memory"
    ).all()


def test_lanes_that_do_not_fit_go_on_by_halves(tmp_path):
    each = (free_memory("0") or 0) / 26e9  # gigabytes; two or three tensors of that size a lane
    words = [
        "model._target_=odd.Wide",
        *SHAPE,
        f"model.gigabytes={each:.1f}",
        "rehearse=false",
        "lanes=16",
        "seeds=2",
        "trainer.epochs=2",
        "space.optimizer.lr.points=7",
        "trainer.batch_size=256",
        "space.optimizer.lr.high=0.1",
    ]
    done = run(*SWEEP, *words, cwd=tmp_path)
    table = trials(tmp_path / "results" / "lr_sweep")
    note(f"lanes do not fit: {re.findall('lanes: .*', done.stdout)}")
    assert set(table.state) == {"complete"}
    assert "need too much memory" in done.stdout


@pytest.mark.parametrize("lanes", ["off", "8"])
def test_a_killed_search_goes_on_to_the_same_total(lanes, tmp_path):
    words = [
        *FEW,
        "trainer.epochs=60",
        "trainer.patience=null",
        "trainer.checkpoint_every=0.01",
        f"lanes={lanes}",
    ]
    folder = tmp_path / "results" / "lr_sweep"
    mark = f"gpu-{lanes}"
    with running(*words, cwd=tmp_path, **GPU, **{MARK: mark}) as process:
        wait_for(lambda: list((folder / "checkpoints").glob("*/last.safetensors")), seconds=100)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        wait_for(lambda: not marked(mark), seconds=30, what="what the search had started to end")
    run(*words, cwd=tmp_path)
    table = trials(folder)
    assert len(table) == 12  # five rates and the baseline's, with two seeds each
    assert set(table.state) <= {"complete", "infeasible"}
    curves = pd.read_parquet(folder / "curves.parquet")
    assert not curves.duplicated(["trial", "fold", "epoch"]).any()


@pytest.mark.parametrize("lanes", ["off", "4"])
def test_a_loss_that_is_no_number_names_its_tensor(lanes, tmp_path):
    words = [
        "space.optimizer.lr.low=0.01",
        "space.optimizer.lr.high=900",
        "space.optimizer.lr.points=3",
        "optimizer=sgd_plain",
        "seeds=1",
    ]
    run(*SWEEP, *words, f"lanes={lanes}", cwd=tmp_path)
    table = trials(tmp_path / "results" / "lr_sweep")
    bad = table[table.state == "infeasible"]
    note(f"diverged, lanes={lanes}: {bad.reason.tolist()}")
    assert len(bad)


def test_preflight_and_range_test(tmp_path):
    done = search("preflight", cwd=tmp_path, timeout=170, **GPU)
    note(f"preflight: exit {done.returncode}; {done.stdout.strip().splitlines()[-1:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    done = search("lr_range", cwd=tmp_path, timeout=170, **GPU)
    note(f"lr_range: exit {done.returncode}; {done.stdout.strip().splitlines()[-3:]}")
    assert done.returncode == 0, done.stdout + done.stderr


RECORDED = """
import warnings, torch
import test_lanes_graphs as t
from company import config_of
for words in t.SETTINGS:
    results = {}
    for kind in (t.Steps, t.GraphedSteps):
        steps, results[kind] = t.trained(words, kind, epochs=3, device="cuda")
    pairs = [(a.double(), b.double()) for a, b in zip(*results.values()) if a.numel()]
    apart = max(float((a - b).abs().max() / (a.abs().max() + 1e-12)) for a, b in pairs)
    print(*words, "recordings", len(steps.recordings), "given up", steps.given_up, "apart", apart)
    assert apart < 1e-2 and not steps.given_up
"""


def test_recorded_steps_give_what_plain_calls_give_on_a_gpu():
    text = on_gpu(RECORDED)
    note(text)
    assert "recordings" in text


WAITING = """
import torch
import test_lanes_graphs as t
from trainers.lanes.lane import lane_epoch
from trainers.lanes.rows import WEIGHTS
for words in t.SETTINGS:
    steps, rows, lanes = t.ready(words, t.GraphedSteps, device="cuda")
    epoch = lane_epoch(lanes, steps=3, rows=70, like=rows[WEIGHTS])
    total = torch.zeros(3, dtype=torch.float64, device="cuda")
    for mode in ("default", "error"):
        torch.cuda.set_sync_debug_mode(mode)
        steps.advance(rows, epoch, range(2), total)
        steps.advance(rows, epoch, range(2, 3), total)
        steps.observe(rows, epoch.rates)
    torch.cuda.set_sync_debug_mode("default")
    plain, rows, lanes = t.ready(words, t.Steps, device="cuda")
    plain.advance(rows, epoch, range(2), total)
    torch.cuda.set_sync_debug_mode("error")
    plain.advance(rows, epoch, range(2), total)
    torch.cuda.set_sync_debug_mode("default")
from trainers.checkpoint import Unsaved
from trainers.seat import Seat
from company import config_of, sets_of
sets = tuple(tuple(part.cuda() for part in pair) for pair in sets_of())
config, device = config_of("optimizer=adam", "trainer.clip=1"), torch.device("cuda")
seat = Seat(config, sets=sets, device=device, checkpoint=Unsaved())
index = torch.arange(32, device="cuda")
seat.gradients(index); seat.step()
torch.cuda.set_sync_debug_mode("error")
seat.gradients(index); seat.step()
print("nothing waits inside of an epoch")
"""


def test_the_host_waits_for_nothing_inside_of_an_epoch():
    text = on_gpu(WAITING)
    note(text)
    assert text.endswith("nothing waits inside of an epoch\n")


TWICE = """
import torch
from company import config_of
from trainers.checkpoint import Unsaved
from trainers.seat import Seat
device, dice = torch.device("cuda"), torch.Generator().manual_seed(0)
def weights(words, inputs):
    x = torch.randn(800, inputs, generator=dice.manual_seed(0))
    y = (x @ torch.randn(inputs, 10, generator=dice)).argmax(1)
    sets = ((x.to(device), y.to(device)),) * 2
    seat = Seat(config_of(*words), sets=sets, device=device, checkpoint=Unsaved())
    for first in range(0, 800, 8):
        seat.gradients(torch.arange(first, first + 8, device=device)); seat.step()
    return [tensor.detach().clone() for tensor in seat.model.parameters()]
for inputs, words in [
    (40, ["data=mnist1d", "model=cnn1d"]), (64, ["model=cnn2d", "model.norm=batch"]),
    (40, ["data=mnist1d", "model=gru"]), (40, ["data=mnist1d", "model=transformer"]),
]:
    pairs = zip(weights(words, inputs), weights(words, inputs))
    assert all(torch.equal(one, two) for one, two in pairs), words
print("one seed is one training")
"""


def test_one_seed_of_a_convolution_or_a_recurrent_net_is_one_training():
    text = on_gpu(TWICE)
    note(text)
    assert text == "one seed is one training\n"


def test_a_trial_that_needs_most_of_a_gpu_fits_once_its_neighbours_have_ended(tmp_path):
    """Memory that torch holds for later tensors of an idle worker counts as free."""
    words = [
        "own_trainer",
        "trainer._target_=toys.share",
        "trainer.epochs=3",
        "protocol=joint",
        "protocol.confirm=0",
        "sampler=grid",
        "knob.optimizer.lr=choice(0.3,0.6,0.75)",
        "optimizer.lr=0.3",
        "n_trials=3",
        "seeds=1",
        "placement.slots_per_gpu=2",
    ]
    done = run(*words, cwd=tmp_path)
    table = trials(tmp_path / "results" / "own_trainer")
    ends = list(zip(table["optimizer.lr"], table.state, strict=True))
    note(f"shares of a GPU: {ends}; {re.findall('trying again.*', done.stdout)}")
    assert set(table.state) == {"complete"}


CHANGED = """
import torch
from trainers.isolation.process_state import LibraryState
def found():
    here = torch.cuda.current_stream() == torch.cuda.default_stream()
    share = torch.cuda.memory.get_per_process_memory_fraction()
    matmul, library = torch.backends.cuda.matmul, torch.backends.cuda.preferred_linalg_library()
    half = matmul.allow_fp16_accumulation, matmul.allow_fp16_reduced_precision_reduction
    return here, share, torch.cuda.get_sync_debug_mode(), str(library), half
for before in ("nothing", "a trial"):
    state = LibraryState.read()
    torch.zeros(1, device="cuda")
    untouched = found()
    torch.cuda.set_stream(torch.cuda.Stream())
    torch.cuda.set_per_process_memory_fraction(0.25)
    torch.cuda.set_sync_debug_mode("error")
    torch.backends.cuda.preferred_linalg_library("magma")
    torch.backends.cuda.matmul.allow_fp16_accumulation = True
    assert all(one != other for one, other in zip(untouched, found()))
    state.restore()
    assert found() == untouched, (before, untouched, found())
print("as it was")
"""


def test_what_a_trial_sets_of_its_gpu_ends_with_it():
    text = on_gpu(CHANGED)
    note(text)
    assert text == "as it was\n"
