"""From a config to a frozen plan: every check between fields is made here, at the door. Never touches results."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.check_names import CAUSES
from search.config.confirm_settings import ConfirmSettings
from search.config.fields import one_of, positive, whole
from search.config.joint_settings import JointSettings, read_joint
from search.config.knob_roles import check_knob, default_of
from search.config.knobs import Knob, Value, read_space
from search.config.sweep_settings import SweepSettings, read_sweep
from search.contract.metric_functions import TASKS
from search.contract.metrics import Metric, check_task_name, read_metric, tasks_of
from search.errors import UsageError, broken_rule, unknown

SETTINGS: dict[
    str, Callable[[DictConfig, tuple[Knob, ...]], SweepSettings | JointSettings | None]
] = {"sweep": read_sweep, "joint": read_joint, "train": lambda config, knobs: None}
PLACEMENTS = ("local", "inline")
KEEP = ("best", "all")
PREFLIGHT = ("on", "warn", "off")
STOCK = "trainers.stock.Stock"
LOSS_TASKS = {
    "torch.nn.CrossEntropyLoss": "classification",
    "torch.nn.NLLLoss": "classification",
    "torch.nn.MSELoss": "regression",
    "torch.nn.L1Loss": "regression",
    "torch.nn.SmoothL1Loss": "regression",
    "torch.nn.HuberLoss": "regression",
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ends a trial: epochs of patience, seconds in all and per epoch, retries after its worker's death, bytes printed.

    `last_epoch`: where a training apart from the search stops; None within it.
    """

    patience: int | None
    last_epoch: int | None
    timeout: float | None
    epoch_timeout: float
    max_retries: int
    log_bytes: int


@dataclass(frozen=True, kw_only=True)
class PlacementSettings:
    """`placement.*`: where workers run, how many, with how many threads; `grace` in seconds."""

    kind: str
    slots: int | str
    slots_per_gpu: int
    gpus: tuple[str, ...] | None
    threads: int
    grace: float


@dataclass(frozen=True, kw_only=True)
class PreflightSettings:
    """`preflight.*`: on, warn or off before a search; checks that may fail; whether backward passes are checked."""

    mode: str
    allow: tuple[str, ...]
    gradcheck: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One search. `config` is unresolved and read-only; `knobs` are empty for a single training.

    `settings`: those of its kind; None of a single training. `first_trial`: number of the first one.
    `lanes`: trials that a worker may train as one program; None where their pace is to say.
    """

    name: str
    folder: Path
    kind: str
    config: DictConfig
    knobs: tuple[Knob, ...]
    seed: int
    seeds: int
    metric: Metric
    epochs: int
    limits: Limits
    placement: PlacementSettings
    keep: str
    lanes: int | None
    rehearse: bool
    settings: SweepSettings | JointSettings | ConfirmSettings | None
    preflight: PreflightSettings
    first_trial: int = 0

    @property
    def knob(self) -> Knob:
        """The one that a sweep is about."""
        (knob,) = (knob for knob in self.knobs if not knob.nuisance)
        return knob

    @property
    def follower(self) -> tuple[str, float] | None:
        """What moves with a sweep's knob, and by which power (R28)."""
        return self.settings.follower if isinstance(self.settings, SweepSettings) else None

    @property
    def stock(self) -> bool:
        """Whether the stock trainer trains."""
        return str(self.config.trainer._target_) == STOCK

    def nuisance(self, value: Value) -> Knob | None:
        """The one that is tuned anew for a value of the sweep's knob (P1)."""
        fits = [
            k
            for k in self.knobs
            if k.nuisance and (k.choice is None or k.choice == (self.knob.path, value))
        ]
        return fits[0] if fits else None

    def default(self, knob: Knob) -> Value:
        """A knob's value in the baseline, or within its choice."""
        return knob.typed(default_of(self.config, knob))


def read_plan(config: DictConfig, *, root: Path) -> Plan:
    """The plan of a composed config; results lie below `root` / `results_root`.

    Raises:
        UsageError: any key or combination of keys that breaks a rule.
    """
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    if not re.fullmatch(r"[\w.+-]+", str(config.name)) or str(config.name).startswith("."):
        raise UsageError(
            broken_rule(
                "name",
                rule="letters, digits and . _ + - make a name",
                got=repr(config.name),
                remedy="give another name=",
            )
        )
    kind = one_of(config, "protocol.kind", tuple(SETTINGS))
    knobs = read_space(resolved.get("space") or {}) if kind != "train" else ()
    for knob in knobs:
        check_knob(config, knob)
    positive(config, "trainer.checkpoint_every")
    own_metric = resolved["trainer"]["_target_"] != STOCK
    metric = read_metric(resolved["metric"], reported=own_metric)
    return Plan(
        name=str(config.name),
        folder=root / str(config.results_root) / str(config.name),
        kind=kind,
        config=config,
        knobs=knobs,
        seed=whole(config, "seed", least=0),
        seeds=whole(config, "seeds", least=1),
        metric=metric,
        epochs=whole(config, "trainer.epochs", least=1),
        limits=_limits(config),
        placement=_placement(config),
        keep=one_of(config, "keep", KEEP),
        lanes=_lanes(config, metric),
        rehearse=one_of(config, "rehearse", ("True", "False")) == "True",
        settings=SETTINGS[kind](config, knobs),
        preflight=_preflight(config),
    )


def check_task(plan: Plan) -> None:
    """Metric and loss must fit the task (R1, R4).

    Raises:
        UsageError: one does not, or there is no such task.
    """
    task = plan.config.data.get("task")
    check_task_name(task)
    if task not in tasks_of(plan.metric):
        got = plan.metric.formula or plan.metric.name
        raise UsageError(
            broken_rule(
                "metric",
                rule=f"a metric of {task} is one of {', '.join(TASKS[task])}",
                got=got,
                remedy="choose one",
            )
        )
    loss = str(OmegaConf.select(plan.config, "loss._target_"))
    if (
        OmegaConf.select(plan.config, "trainer._target_") == STOCK
        and LOSS_TASKS.get(loss, task) != task
    ):
        fits = [name for name, fit in LOSS_TASKS.items() if fit == task]
        raise UsageError(
            broken_rule(
                "loss",
                rule=f"a loss of {task} is such as {', '.join(fits)} (R50)",
                got=loss,
                remedy="choose one",
            )
        )


def flat_config(config: DictConfig) -> dict[str, Any]:
    """Every leaf of a config by its dotted path, links as written."""

    def leaves(node: Any, prefix: str) -> dict[str, Any]:
        if isinstance(node, Mapping) and node:
            return {
                path: leaf
                for key, value in node.items()
                for path, leaf in leaves(value, f"{prefix}.{key}").items()
            }
        return {prefix.lstrip("."): node}

    return leaves(OmegaConf.to_container(config, resolve=False), "")


def drift(old: DictConfig, new: DictConfig, *, grown: bool = False) -> list[str]:
    """One line per key in which a resumed search's config may not differ from its first start's.

    `grown`: the keys instead by which the search has been extended, and which must be written down.
    """
    before, now = flat_config(old), flat_config(new)
    lines = []
    for key in sorted({*before, *now}):
        if (
            before.get(key) == now.get(key)
            or key.startswith(("placement.", "preflight.", "lr_range."))
            or key in ("lanes", "results_root", "rehearse", "chosen.preflight")
        ):
            continue
        if (
            key.removeprefix("chosen.").startswith(("sampler", "pruner"))
            and now.get("protocol.kind") != "joint"
        ):
            continue  # nobody proposes or prunes there
        extended = (
            key.startswith("budget_")
            or key == "n_trials"
            or (key == "seeds" and now.get(key, 0) > before.get(key, 0))
        )
        if extended == grown:
            lines.append(
                f"{key}: {before.get(key, 'missing')} there, {now.get(key, 'missing')} now"
            )
    return lines


def _lanes(config: DictConfig, metric: Metric) -> int | None:
    """Trials that share a program cannot be told apart by the seconds that they take."""
    value = config.get("lanes", "auto")
    timed = "seconds" in metric.names
    if value in ("auto", "off", False):
        return None if value == "auto" and not timed else 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 2:
        rule = "must be auto, off or a number of trials of at least 2"
        raise UsageError(broken_rule("lanes", rule=rule, got=repr(value), remedy="mend it"))
    if timed:
        rule = "a metric with seconds in it needs trials that train one by one"
        raise UsageError(broken_rule("lanes", rule=rule, got=repr(value), remedy="give lanes=off"))
    return int(value)


def _limits(config: DictConfig) -> Limits:
    patience, timeout = config.trainer.patience, config.trainer.timeout
    return Limits(
        patience=None if patience is None else whole(config, "trainer.patience", least=1),
        last_epoch=None,
        timeout=None if timeout is None else positive(config, "trainer.timeout"),
        epoch_timeout=positive(config, "trainer.epoch_timeout"),
        max_retries=whole(config, "placement.max_retries", least=0),
        log_bytes=int(positive(config, "trainer.max_log_mb") * 2**20),
    )


def _preflight(config: DictConfig) -> PreflightSettings:
    """Searches from before there was a preflight have none."""
    node = config.get("preflight") or {"mode": "off", "allow": [], "gradcheck": False}
    mode = {True: "on", False: "off"}.get(
        node["mode"], node["mode"]
    )  # YAML takes on and off for truth
    if mode not in PREFLIGHT:
        raise UsageError(unknown("preflight", name=str(mode), known=PREFLIGHT))
    for name in node["allow"]:
        if name not in CAUSES:
            raise UsageError(f"preflight.allow: {unknown('check', name=name, known=CAUSES)}")
    return PreflightSettings(
        mode=mode, allow=tuple(node["allow"]), gradcheck=bool(node["gradcheck"])
    )


def _placement(config: DictConfig) -> PlacementSettings:
    node = config.placement
    gpus = node.gpus
    if gpus is not None:
        gpus = (
            tuple(str(gpu) for gpu in gpus)
            if OmegaConf.is_list(gpus)
            else tuple(str(gpus).split(","))
        )
    return PlacementSettings(
        kind=one_of(config, "placement.kind", PLACEMENTS),
        slots="auto" if node.get("slots") == "auto" else whole(config, "placement.slots", least=1),
        slots_per_gpu=whole(config, "placement.slots_per_gpu", least=1),
        gpus=gpus,
        threads=whole(config, "placement.threads", least=1),
        grace=positive(config, "placement.grace"),
    )
