"""Snapshots of one training: its weights at the ends of a cyclical schedule's waves (R35).

Huang et al. 2017, arXiv 1704.00109: each wave ends in another minimum, and their average costs one
training. Never needs torch.
"""

from collections.abc import Mapping
from typing import Any

RESTARTS = "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts"


def wave_ends(config: Mapping[str, Any]) -> frozenset[int]:
    """The epochs at which the rate is lowest before it starts again; none without such a schedule.

    `config`: of a trial. A wave of another interval than epochs has no snapshots.
    """
    schedule = config.get("schedule") or {}
    if schedule.get("_target_") != RESTARTS or schedule.get("interval", "epoch") != "epoch":
        return frozenset()
    length, times = int(schedule["T_0"]), int(schedule.get("T_mult", 1))
    end, ends = length, set[int]()
    while end <= int(config["trainer"]["epochs"]):
        ends.add(end)
        length *= times
        end += length
    return frozenset(ends)


def snapshot_file(epoch: int) -> str:
    """The name of a snapshot in its trial's checkpoint folder."""
    return f"snapshot-{epoch}.safetensors"
