"""Recorded steps: the same as plain calls. Without a GPU, what would be recorded runs as it is."""

import pytest
import torch
from company import BATCH, CPU, Kept, config_of, sets_of

from trainers.build import build, plain_loss, seed_all
from trainers.lanes import graphs
from trainers.lanes.graphs import GraphedSteps, capacity
from trainers.lanes.lane import dropout_rates, lane_epoch, lane_of
from trainers.lanes.program import Program
from trainers.lanes.rows import WEIGHTS, joined
from trainers.lanes.steps import Steps

CUDA = torch.device("cuda")
SETTINGS = [
    ("model.dropout=0.2", "optimizer=adam", "trainer.clip=0.5"),
    ("model=cnn2d", "model.width=4", "schedule=one_cycle", "trainer.l1=0.001"),
    ("trainer.flood=1.0", "trainer.max_norm=0.6", "loss.label_smoothing=0.1"),
]


def ready(words, kind, *, device="cpu"):
    """Steps of three lanes, their rows and the lanes."""
    rows, lanes, steps = [], [], None
    sets = tuple(tuple(part.to(device) for part in pair) for pair in sets_of())
    for seed in range(3):
        config = config_of(*words, f"seed={seed}", f"optimizer.lr={0.01 * (1 + seed)}")
        seed_all(seed, torch.device(device))
        model, loss, optimizer = build(config, torch.device(device))
        if steps is None:
            (x, y), _ = sets
            plain = plain_loss(config, loss, torch.device(device))
            program = Program(model, loss, optimizer, plain=plain, x=x[:8], y=y[:8])
            steps = kind(program, sets=sets, batch=BATCH)
        rows.append(program.rows_of(model, optimizer))
        lane = lane_of(
            seed,
            config,
            model=model,
            loss=loss,
            optimizer=optimizer,
            steps=3,
            checkpoint=Kept(),
        )
        lane.epoch = 1
        lanes.append(lane)
    return steps, joined(rows), lanes


def trained(words, kind, *, epochs=2, device="cpu"):
    steps, rows, lanes = ready(words, kind, device=device)
    results = []
    for _ in range(epochs):
        epoch = lane_epoch(lanes, steps=3, rows=70, like=rows[WEIGHTS])
        total = torch.zeros(3, dtype=torch.float64, device=device)
        steps.advance(rows, epoch, range(2), total)
        gradients = steps.advance(rows, epoch, range(2, 3), total)
        seen = steps.observe(rows, dropout_rates(lanes, rows[WEIGHTS]))
        parts = [total, gradients, epoch.clipped, seen.losses, seen.outputs, seen.dead]
        results += [tensor.clone() for tensor in parts]
        for lane in lanes:
            lane.epoch += 1
    return steps, [*results, *(tensor for _, tensor in sorted(rows.items()))]


@pytest.mark.parametrize("words", SETTINGS, ids=[" ".join(words) for words in SETTINGS])
def test_recorded_steps_give_what_plain_calls_give(words):
    _, plain = trained(words, Steps)
    steps, recorded = trained(words, GraphedSteps)
    assert not steps.given_up
    assert len(steps.recordings) == 3  # whole batches, the last one, the evaluation
    assert all(torch.equal(one, other) for one, other in zip(plain, recorded, strict=True))


def test_recordings_of_other_numbers_of_lanes_take_the_place_of_old_ones():
    steps, rows, lanes = ready((), GraphedSteps)
    for count in range(2, 9):
        some = joined([{name: tensor[:1] for name, tensor in rows.items()}] * count)
        epoch = lane_epoch(lanes[:1] * count, steps=3, rows=70, like=rows[WEIGHTS])
        steps.advance(some, epoch, range(2), torch.zeros(count, dtype=torch.float64))
    assert len(steps.recordings) == 3 * graphs.KEPT


def test_a_recording_that_differs_or_cannot_be_made_is_given_up(monkeypatch):
    def wrong(calls, device):
        def twice():
            calls()
            calls()

        return twice

    def impossible(calls, device):
        raise RuntimeError("operation not permitted when stream is capturing")

    def too_large(calls, device):
        raise torch.OutOfMemoryError("planted")

    _, plain = trained((), Steps)
    for recorded in (wrong, impossible, too_large):
        monkeypatch.setattr(graphs, "recorded", recorded)
        steps, results = trained((), GraphedSteps)
        assert steps.given_up
        assert all(torch.equal(one, other) for one, other in zip(plain, results, strict=True))


def test_a_capacity_holds_its_lanes_with_at_most_half_as_many_again():
    for lanes in range(1, 600):
        assert capacity(lanes, CPU) == max(lanes, 2)
        assert max(lanes, 2) <= capacity(lanes, CUDA) <= max(2, 1.5 * lanes)
    assert len({capacity(lanes, CUDA) for lanes in range(1, 513)}) == 16
