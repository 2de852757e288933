"""What a protocol is: a list of stages, the knobs it may turn, and when it ends. Read from the
config.

Never decides which stage comes next.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.knob_parts import parts_of, rate_among, read_words
from search.config.knob_roles import check_knob, check_roles, default_of, fits, lacks
from search.config.knobs import RATES, Knob
from search.config.settings import in_seconds
from search.config.space import read_space
from search.config.trial_config import is_stock
from search.errors import UsageError, refused, unknown

PLAIN = (
    "preflight", "baseline", "regularisers_off", "longer", "lr_range", "joint", "confirm",
    "ensemble",
)  # fmt: skip
ORDERS = ("verdict", "given", "passes")
STAGES = (*PLAIN, "sweep", "sweeps")
ENOUGH = 6  # trials of a joint stage per knob, so that any knob is turned which may help


@dataclass(frozen=True, kw_only=True)
class StageEntry:
    """One entry of a protocol's list.

    `argument`: a sweep's knob, or the order of sweeps; else empty.
    """

    stage: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.stage}: {self.argument}" if self.argument else self.stage


@dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """A protocol with its numbers.

    `spaces`: the knobs of each name, in the order in which they are turned where nothing else says.
    `left_out`: names of the protocol whose key this set-up lacks, or which need another one.
    `idle`: sweeps in a row that bring nothing before the sweeps end, or None. `passes`: over all
    knobs.
    `until`: verdicts at which the sweeps go on; empty where verdicts do not end them.
    `share`: of the budget, for the sweeps; without a joint stage they get what the confirmation
    leaves, if that is more. `trials`: of the joint stage. `trials_per_knob`: that pay there for a
    knob which the command names and no sweep tried.
    `confirm`: fresh seeds, for the baseline, the incumbent and at most `leaders` more (P13): the
    best of a joint stage, and what sweeps found ahead and could not decide.
    `halving`: whether only the better half goes on, of a sweep's values after one seed, of the
    confirmation's leaders after half of the seeds.
    `own_level`: whether the confirmation compares what the sweeps have found better at a level of
    its own, and the joint stage's leaders at another one.
    `most_seeds`, `confirm_most`: seeds that a value may get where further ones decide (P5).
    `parts`: by path, the part of a knob that is not called as in the stock trainer.
    `budget_trials`, `budget_seconds`, `gpu_budget` [GPU-seconds]: of the whole search; None: no
    limit.
    """

    stages: tuple[StageEntry, ...]
    spaces: Mapping[str, tuple[Knob, ...]]
    left_out: tuple[str, ...]
    idle: int | None
    passes: int
    until: tuple[str, ...]
    share: float
    trials: int
    trials_per_knob: int
    confirm: int
    confirm_most: int
    most_seeds: int
    leaders: int
    halving: bool
    own_level: bool
    extend: int
    refine: int
    parts: Mapping[str, str]
    budget_trials: int | None
    budget_seconds: float | None
    gpu_budget: float | None

    @property
    def rate(self) -> str:
        """The path of the learning rate."""
        return rate_among(self.parts)

    @property
    def has_joint(self) -> bool:
        """Whether a joint stage follows the sweeps, and takes what their share leaves."""
        return any(entry.stage == "joint" for entry in self.stages)

    @property
    def knobs(self) -> list[Knob]:
        """All knobs, of every name."""
        return [knob for knobs in self.spaces.values() for knob in knobs]

    def named(self, path: str) -> str | None:
        """The name of the knob that turns a path."""
        for name, knobs in self.spaces.items():
            if any(knob.path == path and not knob.nuisance for knob in knobs):
                return name
        return None

    def part(self, path: str) -> str:
        """The part that a knob plays, as the stock trainer calls it; its path where it has none."""
        return self.parts.get(path, path)


def read_tune(config: DictConfig, knobs: tuple[Knob, ...]) -> TuneSettings:
    """The settings of a protocol; `knobs` are its own affair.

    Raises:
        UsageError: an unknown stage or order, a protocol without an end, a knob that this set-up
            does not have, or a number out of range.
    """
    spaces, left_out = _spaces(config)
    chosen = bool(config.protocol.get("chosen"))
    listed = config.protocol.get("stages") or ()
    parts = _parts(config, spaces)
    stages = tuple(_entry(node, spaces, chosen=chosen, rate=rate_among(parts)) for node in listed)
    _check_end(config, stages)
    protocol = config.protocol
    if (share := protocol.share) >= 1:
        where, rule = "protocol.share", "the sweeps' share of the budget lies below 1"
        remedy = "say protocol.share=0.6"
        raise refused(where, code="share-not-below-one", rule=rule, got=share, remedy=remedy)
    return TuneSettings(
        stages=stages,
        spaces=spaces,
        left_out=left_out,
        idle=protocol.get("idle"),
        passes=int(protocol.get("passes") or 1),
        until=tuple(protocol.get("until") or ()),
        share=share,
        trials=protocol.trials,
        # Searches from before asked as many for a knob that is named as for any other.
        trials_per_knob=protocol.get("trials_per_knob", ENOUGH),
        confirm=protocol.confirm,
        confirm_most=protocol.confirm_most,
        most_seeds=protocol.most_seeds,
        leaders=protocol.leaders,
        # Searches from before have no such key, and gave every value all its seeds.
        halving=bool(protocol.get("halving")),
        own_level=bool(protocol.get("own_level")),  # searches from before had none
        extend=protocol.extend,
        refine=protocol.refine,
        parts=parts,
        budget_trials=config.get("budget_trials"),
        budget_seconds=in_seconds(config.get("budget_hours")),
        gpu_budget=config.get("budget_gpu_seconds"),
    )


def knobs_of(config: DictConfig) -> tuple[Knob, ...]:
    """Every knob of a protocol once, for the dry run; the first of two that turn one path."""
    spaces, _ = _spaces(config)
    by_path = {
        knob.path: knob
        for knobs in reversed(spaces.values())
        for knob in knobs
        if not lacks(config, knob)  # another knob may bring what it needs
    }
    return tuple(by_path.values())


def _spaces(config: DictConfig) -> tuple[dict[str, tuple[Knob, ...]], tuple[str, ...]]:
    """The knobs by name; those of the protocol's own list that this set-up lacks are left out.

    Raises:
        UsageError: a name of the command line whose key the config does not have.
    """
    plain = OmegaConf.to_container(config.get("space") or {}, resolve=True)
    assert isinstance(plain, dict)
    chosen = bool(config.protocol.get("chosen"))
    listed = (config.protocol.get("knobs") or ()) if is_stock(config) and not chosen else ()
    own = own_ranges(config)
    read = {
        str(name): tuple(_kept(knob) if knob.path in own else knob for knob in read_space(node))
        for name, node in plain.items()
    }
    for knobs in read.values():
        check_roles(knobs)
    turned = {knob.path for knobs in read.values() for knob in knobs}
    spaces = {
        name: knobs for name, knobs in read.items() if chosen or _suits(config, knobs, turned)
    }
    for knob in (knob for knobs in spaces.values() for knob in knobs):
        if chosen or not lacks(config, knob):
            check_knob(config, knob)
    absent = (str(name) for name in listed if name not in plain)
    return spaces, (*absent, *(name for name in read if name not in spaces))


def _suits(config: DictConfig, knobs: Sequence[Knob], turned: Collection[str]) -> bool:
    """Whether a set-up has the key that a sweep would be about, and what its knobs need."""
    (about,) = (knob for knob in knobs if not knob.nuisance)
    missing = object()
    is_there = default_of(config, about, missing) is not missing
    return is_there and fits(config, knobs, turned=turned)


def _kept(knob: Knob) -> Knob:
    """The knob, whose range no trial leaves."""
    return knob if knob.choices else replace(knob, least=knob.low, most=knob.high)


def own_ranges(config: DictConfig) -> Sequence[str]:
    """The paths of knobs whose values the user names, which no trial leaves; none in a search from
    before there was such a key: it goes on as it began.
    """
    return config.protocol.get("own_ranges") or ()


def _parts(config: DictConfig, spaces: Mapping[str, tuple[Knob, ...]]) -> dict[str, str]:
    """The part of each knob that the stock trainer calls otherwise, as the search was begun with
    it; by today's names, where it was begun before there were parts. `protocol.rate`: the path of
    the knob that is the learning rate; None: its name tells it.

    Raises:
        UsageError: no knob of numbers turns it.
    """
    path: str | None = config.protocol.get("rate")  # searches from before had none
    paths = [each.path for knobs in spaces.values() for each in knobs if not each.choices]
    if path is not None and path not in paths:
        raise UsageError(
            f"protocol.rate: {unknown('knob of numbers', name=str(path), known=paths)}",
            code="rate-is-no-knob",
        )
    if (words := config.protocol.get("parts")) is not None:
        return read_words(words)
    return parts_of((knob for knobs in spaces.values() for knob in knobs), rate=path)


def _entry(
    node: Any, spaces: Mapping[str, tuple[Knob, ...]], *, chosen: bool, rate: str
) -> StageEntry:
    """One entry: a name, or `sweep: KNOB`, or `sweeps: ORDER`.

    `chosen`: the command names the knobs, so the learning rate may have another name or be none.
    `rate`: its path.
    """
    if isinstance(node, str):
        name, argument = node, ""
    elif isinstance(node, DictConfig) and len(node) == 1:
        ((name, argument),) = ((str(key), str(value)) for key, value in node.items())
    else:
        rule, remedy = "an entry is a stage's name, or its name and one word", "see conf/protocol/"
        raise refused(
            "protocol.stages", code="stage-entry-not-understood", rule=rule, got=node, remedy=remedy
        )
    if name not in STAGES:
        raise UsageError(
            f"protocol.stages: {unknown('stage', name=name, known=STAGES)}", code="unknown-stage"
        )
    is_rate = name == "sweep" and argument in RATES and chosen and argument not in spaces
    if is_rate:
        argument = next((own for own, knobs in spaces.items() if knobs[0].path == rate), argument)
    if name == "sweep" and argument not in spaces and not is_rate:
        by_tune = "" if spaces else "python -m search tune carries out a list of stages"
        text = unknown("knob", name=argument or "none", known=spaces, remedy=by_tune)
        raise UsageError(f"protocol.stages: {text}", code="stage-of-unknown-knob")
    if name == "sweeps" and argument not in ORDERS:
        raise UsageError(
            f"protocol.stages: {unknown('order', name=argument or 'none', known=ORDERS)}",
            code="unknown-order-of-sweeps",
        )
    return StageEntry(stage=name, argument=argument)


def _check_end(config: DictConfig, stages: tuple[StageEntry, ...]) -> None:
    """A protocol begins with a baseline, and every round in it is bounded."""
    names = [entry.stage for entry in stages]
    if "baseline" not in names:
        rule, remedy = "a protocol begins with what all is compared with", "add `- baseline`"
        raise refused(
            "protocol.stages",
            code="protocol-needs-baseline",
            rule=rule,
            got=names or "none",
            remedy=remedy,
        )
    if any(entry.argument == "passes" for entry in stages) and not config.protocol.get("passes"):
        rule, remedy = "passes over all knobs need an end", "say protocol.passes=3"
        raise refused(
            "protocol.passes", code="passes-need-an-end", rule=rule, got=None, remedy=remedy
        )
