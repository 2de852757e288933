"""Settings of single groups: what ends a trial, where workers run, what is checked first, lanes.

Never looks at the space.
"""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from search.config.preflight_checks import CAUSES
from search.contract.metrics import Metric
from search.errors import UsageError, refused, unknown

PREFLIGHT_SECONDS = 240.0  # of searches from before there was `preflight.seconds`
PLACEMENTS = {  # the classes that folders of earlier versions name by `placement.kind`
    "local": "search.execution.placement.local.LocalPlacement",
    "inline": "search.execution.placement.inline.InlinePlacement",
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ends a trial: patience [epochs], time in all and per epoch [s], retries, output [bytes].

    `stop_on_loss`: whether patience waits for a lower validation loss, in place of a better metric.
    `score_last`: whether the last epoch's value counts, in place of the best one's (P9).
    `max_retries`: after deaths of its worker. `last_epoch`: where a training apart from the search
    stops; None within a search.
    """

    patience: int | None
    last_epoch: int | None
    timeout: float | None
    epoch_timeout: float
    max_retries: int
    log_bytes: int
    stop_on_loss: bool = False
    score_last: bool = False


@dataclass(frozen=True, kw_only=True)
class PlacementSettings:
    """`placement.*`: where workers run, how many, with how many threads; `grace` in seconds.

    `target`: import path of the class that starts the workers. `folder`: of the search. `address`:
    of a cluster. `gpus_per_trial`: GPUs of one slot there; None where the cluster is to say.
    `memory_gb`: of one slot [10^9 bytes]; None: no limit. `patience`: silence after which a worker
    of a cluster and the conductor take each other for gone [s].
    `shared`: whether all nodes see the folder of the search.
    """

    target: str
    slots: int | str
    slots_per_gpu: int
    gpus: tuple[str, ...] | None
    threads: int
    grace: float
    folder: Path
    address: str = ""
    gpus_per_trial: int | None = None
    memory_gb: float | None = None
    patience: float = 60.0
    shared: bool = True

    @property
    def gpus_per_slot(self) -> float:
        """GPUs that a slot on GPUs has, or its share of one."""
        return (self.gpus_per_trial or 1) / self.slots_per_gpu


@dataclass(frozen=True, kw_only=True)
class PreflightSettings:
    """`preflight.*`: on, warn or off; checks that may fail; whether backward passes are checked;
    seconds of all questions to a training together.
    """

    mode: str
    allow: tuple[str, ...]
    gradcheck: bool
    seconds: float


def read_lanes(config: DictConfig, metric: Metric) -> int | None:
    """Trials that share a program cannot be told apart by the seconds that they take."""
    value = config.get("lanes", "auto")
    if value in ("auto", "off", False):
        return None if value == "auto" and not metric.is_timed else 0
    if metric.is_timed:
        rule = "a metric with seconds in it needs trials that train one by one"
        raise refused(
            "lanes",
            code="timed-metric-needs-no-lanes",
            rule=rule,
            got=repr(value),
            remedy="give lanes=off",
        )
    return int(value)


def check_watched(config: DictConfig, metric: Metric) -> None:
    """A schedule watches a metric that a worker can compute, which seconds are not."""
    if (config.get("schedule") or {}).get("watch") != "metric" or not metric.is_timed:
        return
    rule = "must be val_loss where the metric counts seconds, which only the search knows"
    raise refused(
        "schedule.watch",
        code="timed-metric-not-watched",
        rule=rule,
        got="metric",
        remedy="say schedule.watch=val_loss",
    )


def in_seconds(hours: float | None) -> float | None:
    """A budget of hours; None without one."""
    return None if hours is None else 3600 * hours


def read_limits(config: DictConfig) -> Limits:
    """What ends a trial."""
    return Limits(
        patience=config.trainer.patience,
        last_epoch=None,
        timeout=config.trainer.timeout,
        epoch_timeout=config.trainer.epoch_timeout,
        max_retries=config.placement.max_retries,
        log_bytes=int(config.trainer.max_log_mb * 2**20),
        stop_on_loss=config.trainer.get("stop_on", "metric") == "val_loss",
        score_last=config.trainer.get("score", "best") == "last",
    )


def read_preflight(config: DictConfig) -> PreflightSettings:
    """Searches from before there was a preflight have none."""
    node = config.get("preflight") or {"mode": "off"}
    mode, allow = node.get("mode", "off"), tuple(node.get("allow", ()))
    if isinstance(mode, bool):  # YAML takes on and off for truth
        mode = "on" if mode else "off"
    for name in allow:
        if name not in CAUSES:
            raise UsageError(
                f"preflight.allow: {unknown('check', name=name, known=CAUSES)}",
                code="unknown-check",
            )
    return PreflightSettings(
        mode=mode,
        allow=allow,
        gradcheck=bool(node.get("gradcheck", False)),
        seconds=float(node.get("seconds", PREFLIGHT_SECONDS)),
    )


def read_placement(config: DictConfig, *, folder: Path) -> PlacementSettings:
    """Where workers run. `folder`: of the search."""
    node = config.placement
    gpus = (
        node.gpus
        if node.gpus is None or OmegaConf.is_list(node.gpus)
        else str(node.gpus).split(",")
    )
    return PlacementSettings(
        target=str(node.get("_target_", PLACEMENTS.get(str(node.get("kind")), ""))),
        slots=node.get("slots", "auto"),
        slots_per_gpu=node.slots_per_gpu,
        gpus=None if gpus is None else tuple(map(str, gpus)),
        threads=node.threads,
        grace=node.grace,
        folder=folder,
        address=str(node.get("address", node.get("scheduler", ""))),
        gpus_per_trial=node.get("gpus_per_trial"),
        memory_gb=node.get("memory_gb"),
        patience=float(node.get("patience", 60.0)),
        shared=bool(node.get("shared", True)),
    )
