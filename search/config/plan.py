"""From a config to a frozen plan: all checks between keys are made here. Never touches results."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.confirm_settings import ConfirmSettings
from search.config.follower import Follower
from search.config.incumbent import canonical, merged
from search.config.joint_settings import JointSettings, read_joint
from search.config.knob_parts import EPOCHS
from search.config.knob_roles import check_knob, check_values, default_of
from search.config.knobs import Knob, Value, is_number
from search.config.passwords import without_password
from search.config.results_root import root_of
from search.config.schema import check_settings
from search.config.settings import (
    Limits,
    PlacementSettings,
    PreflightSettings,
    check_watched,
    read_lanes,
    read_limits,
    read_placement,
    read_preflight,
)
from search.config.space import read_space
from search.config.sweep_settings import SweepSettings, read_sweep
from search.config.trial_config import is_program, is_stock, resolved_config, trial_base
from search.config.tune_settings import TuneSettings, knobs_of, read_tune
from search.contract.metrics import Metric, read_metric, tasks_of
from search.contract.tasks import TASKS
from search.errors import refused

Settings = SweepSettings | JointSettings | ConfirmSettings | TuneSettings
SETTINGS: dict[str, Callable[[DictConfig, tuple[Knob, ...]], Settings | None]] = {
    "sweep": read_sweep,
    "joint": read_joint,
    "tune": read_tune,
    "train": lambda config, knobs: None,
}
LONGEST_NAME = 100  # characters of a search's name, which is a folder's
CLASSES, NUMBERS = ("classification", "tagging"), ("regression", "step_regression")
SEQUENCES = ("transduction",)
HEADS = "trainers.heads.Heads"  # the loss of several targets
USUAL_LOSS = {
    "classification": "cross_entropy",
    "tagging": "cross_entropy",
    "regression": "mse",
    "step_regression": "mse",
    "transduction": "ctc",
}  # by task, the option of `loss` to begin with
LOSS_TASKS = {
    "torch.nn.CrossEntropyLoss": CLASSES,
    "torch.nn.NLLLoss": CLASSES,
    "torch.nn.MultiMarginLoss": ("classification",),
    "trainers.losses.Focal": CLASSES,
    "trainers.losses.BinaryCrossEntropy": ("classification",),
    "torch.nn.MSELoss": NUMBERS,
    "torch.nn.L1Loss": NUMBERS,
    "torch.nn.SmoothL1Loss": NUMBERS,
    "torch.nn.HuberLoss": NUMBERS,
    "trainers.sequence_losses.CTC": SEQUENCES,
    "trainers.sequence_losses.SequenceCrossEntropy": SEQUENCES,
    HEADS: ("classification", "regression"),
}


def name_after(name: str, further: str) -> str:
    """The name of a search that follows another one, short enough for a folder's."""
    return f"{name[: LONGEST_NAME - 1 - len(further)]}-{further}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One search. `config` is unresolved and read-only; `knobs` are empty for a single training.

    `settings`: those of its kind; None of a single training. `first_trial`: number of its first.
    `closed`: of a stage that is decided by the trials there are, though today's rules want more.

    A stage of a search of many stages has the incumbent's `config`; `base` is the search's own
    config, which its workers have, and `held` the knobs by which the incumbent differs from it.
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
    report: bool
    settings: Settings | None
    preflight: PreflightSettings
    first_trial: int = 0
    closed: bool = False
    base: DictConfig | None = None
    held: Mapping[str, Value] = field(default_factory=dict)

    def epochs_of(self, knobs: Mapping[str, Value]) -> int:
        """The epochs that a trial with these knobs may train."""
        epochs = knobs.get(EPOCHS)
        return epochs if isinstance(epochs, int) else self.epochs

    @property
    def most_epochs(self) -> int:
        """The most epochs that any trial may train: the baseline's, or the knob's largest."""
        mine = [knob for knob in self.knobs if knob.path == EPOCHS]
        ends = [end for knob in mine for end in knob.choices or (knob.high,) if is_number(end)]
        return max(self.epochs, *map(int, ends), 0)

    @property
    def knob(self) -> Knob:
        """The one that a sweep is about."""
        (knob,) = (knob for knob in self.knobs if not knob.nuisance)
        return knob

    @cached_property
    def first_round(self) -> tuple[Value, ...]:
        """The values with which its sweep begins: the baseline's, then the grid's, ascending."""
        baseline = self.default(self.knob)
        return (baseline, *(value for value in self.knob.grid() if value != baseline))

    @property
    def follower(self) -> Follower | None:
        """What moves with a sweep's knob, and by which power (R28)."""
        return self.settings.follower if isinstance(self.settings, SweepSettings) else None

    @property
    def stock(self) -> bool:
        """Whether the stock trainer trains."""
        return is_stock(self.config)

    @property
    def program(self) -> bool:
        """Whether a program trains, in a process of its own."""
        return is_program(self.config)

    @property
    def search_config(self) -> DictConfig:
        """The config that workers have."""
        return self.base if self.base is not None else self.config

    @cached_property
    def trial_base(self) -> Mapping[str, Any]:
        """The plain config that the knobs of all trials are relative to."""
        return trial_base(self.search_config)

    def trained_knobs(self, knobs: Mapping[str, Value]) -> dict[str, Value]:
        """A trial's knobs as its worker sets them: relative to the search's config."""
        return merged(self.held, knobs, base=self.trial_base) if self.held else dict(knobs)

    def all_knobs(self, knobs: Mapping[str, Value]) -> dict[str, Value]:
        """A trial's knobs and the incumbent's, relative to the search's config, without those
        that say the same as it: equal for equal trainings.
        """
        knobs = merged(self.held, knobs, base=self.trial_base)
        return canonical(knobs, base=self.trial_base)

    def nuisance(self, value: Value) -> Knob | None:
        """The one that is tuned anew for a value of the sweep's knob (P1)."""
        under = (None, (self.knob.path, value))
        fits = [knob for knob in self.knobs if knob.nuisance and knob.choice in under]
        return fits[0] if fits else None

    def default(self, knob: Knob) -> Value:
        """A knob's value in the baseline, or within its choice. A sweep asks often: it is kept."""
        if (key := (knob.path, knob.choice)) not in self._defaults:
            self._defaults[key] = default_of(self.config, knob)
        return knob.typed(self._defaults[key])

    @cached_property
    def _defaults(self) -> dict[tuple[str, Any], Value]:
        return {}


def _check_name(name: str) -> None:
    """A search's name, which becomes a folder's, and a word of a command."""
    rule = ""
    if len(name) > LONGEST_NAME:
        rule = f"a name has at most {LONGEST_NAME} characters"
    elif not re.fullmatch(r"[\w+][\w.+-]*", name):
        rule = "letters, digits and . _ + - make a name, which begins with no . or -"
    elif name.endswith((".json", ".jsonl")):
        rule = "a name does not end as the files beside the searches do"
    if rule:
        got, remedy = repr(name), "give another name="
        raise refused("name", code="name-not-allowed", rule=rule, got=got, remedy=remedy)


def read_plan(config: DictConfig, *, root: Path) -> Plan:
    """The plan of a composed config; results lie below `root` / `results_root`.

    Raises:
        UsageError: any key or combination of keys that breaks a rule.
    """
    config = without_password(config)
    resolved = resolved_config(config, where="the config")
    check_settings(resolved)
    name = str(config.name)
    _check_name(name)
    kind = config.protocol.kind
    knobs = _knobs(config, kind, resolved.get("space") or {})
    for knob in knobs:
        check_knob(config, knob)
        check_values(resolved, knob)
    metric = read_metric(resolved["metric"], reported=not is_stock(config))
    check_watched(config, metric)
    folder = root_of(config, start=root) / name
    return Plan(
        name=name,
        folder=folder,
        kind=kind,
        config=config,
        knobs=knobs,
        seed=config.seed,
        seeds=config.seeds,
        metric=metric,
        epochs=config.trainer.epochs,
        limits=read_limits(config),
        placement=read_placement(config, folder=folder),
        keep=config.keep,
        lanes=read_lanes(config, metric),
        rehearse=config.rehearse,
        report=config.get("report", True) in ("on", True),
        settings=SETTINGS[kind](config, knobs),
        preflight=read_preflight(config),
    )


def _knobs(config: DictConfig, kind: str, space: Mapping[str, Any]) -> tuple[Knob, ...]:
    """All knobs that the search may turn."""
    if kind == "train":
        return ()
    return knobs_of(config) if kind == "tune" else read_space(space)


def check_task(plan: Plan) -> None:
    """Metric and loss must fit the task (R1, R4)."""
    task = plan.config.data.get("task")
    if task not in tasks_of(plan.metric):
        got = plan.metric.formula or plan.metric.name
        words = f"metric={next(iter(TASKS[task]))}"
        words += f" loss={USUAL_LOSS[task]}" if plan.stock else ""
        other = next(iter(tasks_of(plan.metric)), "")
        is_own = not plan.stock and plan.config.data.get("_target_") is None  # the task is a word
        raise refused(
            "metric",
            code="metric-does-not-fit-task",
            rule=f"a metric of {task} is one of {', '.join(TASKS[task])}",
            got=got,
            remedy=f"say {words}, or another of these"
            + (f"; data.task={other} if that is the task" if other and is_own else ""),
        )
    if not plan.stock:
        return
    _check_heads(plan)
    choices = (OmegaConf.select(plan.config, "choices.loss") or {}).values()
    losses = [str(group.get("_target_")) for group in (*choices, plan.config.loss)]
    for loss in losses:
        if task in LOSS_TASKS.get(loss, (task,)):
            continue
        fits = [name for name, tasks in LOSS_TASKS.items() if task in tasks]
        raise refused(
            "loss",
            code="loss-does-not-fit-task",
            rule=f"a loss of {task} is such as {', '.join(fits)} (R50)",
            got=loss,
            remedy=f"say loss={USUAL_LOSS[task]}, or another of these",
        )


def _check_heads(plan: Plan) -> None:
    """Further targets are learned by a loss of several heads alone (R50)."""
    loss, further = str(plan.config.loss.get("_target_")), plan.config.data.get("auxiliary")
    if further and loss != HEADS:
        rule = f"further targets ({', '.join(further)}) are learned by several heads"
        remedy = "say loss=heads, or drop them by data.drop"
        raise refused(
            "data.auxiliary", code="loss-has-one-head", rule=rule, got=f"loss {loss}", remedy=remedy
        )
