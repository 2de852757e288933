"""A search that starts where another ended: with its incumbent's config and its contract (R28).

Or where a range test ended: with its set-up, its contract, its learning rates (R31). What the
command or the experiment says wins over what is carried; the defaults do not. Never writes;
says what code is carried along. What reads results is imported only where a source is named: every
search composes its config here, before it starts workers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from search.config.compose import compose_experiment, compose_words
from search.config.compose_protocol import compose_protocol
from search.config.drift import flat_config
from search.config.foreign_code import say_code
from search.config.results_root import address, root_of
from search.config.trial_config import plain_config, target_of, trial_config
from search.config.words import key_of
from search.errors import UsageError, refused
from search.storage.folder import LR_RANGE, Folder
from search.storage.sealed import read_json

if TYPE_CHECKING:
    from search.results.findings import Findings

OWN = (
    "placement",
    "space",
    "protocol",
    "sampler",
    "pruner",
    "preflight",
    "callbacks",
)  # groups that belong to the machine and to the search, not to the incumbent
BESIDE = ("choices", "chosen", "from")  # keys of a composed config that are no settings
FIXED = ("data.", "metric.", "split.", "normalise.")  # of the contract
RATE = "optimizer.lr"
CYCLE = {"schedule.base_lr": "low", RATE: "high"}  # between which a cyclical schedule goes (R38)
RESTRAINTS = ("trainer.l1", "trainer.flood", "trainer.clip", "trainer.max_norm")
READ_FOR = (
    "data.",
    "model.",
    "loss.",
    "optimizer.",
    "trainer._target_",
    "trainer.batch_size",
    *RESTRAINTS,
)


def compose_from(
    experiment: str, *, overrides: list[str], config_dir: Path | None, source: str | None
) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """An experiment's config, on another search's incumbent if one is named, and its contract.

    Raises:
        UsageError: as `compose_experiment`; no such search, or one without a winner.
    """
    config = compose_experiment(experiment, overrides=overrides, config_dir=config_dir)
    return started_from(config, source=source, overrides=overrides)


def protocol_from(
    overrides: list[str], *, config_dir: Path | None, source: str | None
) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """A protocol's config, on another search's incumbent if one is named, and its contract.

    Raises:
        UsageError: as `compose_protocol`; no such search, or one without a winner.
    """
    config = compose_protocol(overrides, config_dir=config_dir, goes_on=source is not None)
    return started_from(config, source=source, overrides=overrides)


def started_from(
    config: DictConfig, *, source: str | None, overrides: list[str]
) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """A config on another search's incumbent if one is named, and its contract.

    `overrides`: of the command, which win over what is carried.

    Raises:
        UsageError: no such search, or one without a winner.
    """
    if source is None:
        return config, None
    from search.results.findings import open_results
    from search.results.folders import find_folder

    root = root_of(config, start=Path.cwd())
    looked = find_folder(source, root=root)
    if (looked.path / LR_RANGE).exists() and not looked.has_trials():
        merged, contract = _from_range(config, looked, overrides=overrides)
        say_code(looked.path, merged, known=config)
        return merged, contract
    folder, findings = open_results(source, root=root)
    if findings.winner is None:
        raise refused(
            f"from={source}",
            code="source-has-no-winner",
            rule="needs a search with a winner",
            got="none yet",
            remedy=f"finish it; see python -m search status {address(folder.path)}",
        )
    old = folder.load_config()
    incumbent = trial_config(old, knobs=findings.winner.spec.knobs, seed=old.seed)
    adopted = _adopted(findings, root=root)
    merged = _carry(incumbent, onto=config, adopted=adopted, words=overrides)
    merged["from"] = source
    OmegaConf.set_readonly(merged, True)
    say_code(folder.path, merged, known=config)
    return merged, folder.load_contract()


def _from_range(
    config: DictConfig, folder: Folder, *, overrides: list[str]
) -> tuple[DictConfig, Mapping[str, Any]]:
    """The config with the set-up and the learning rates of a range test (R31); the command wins.

    Raises:
        UsageError: the test gave no range, or it was made for another set-up.
    """
    where = f"from={folder.path.name}"
    bounds = read_json(folder.path / LR_RANGE, keys=["low", "high"])
    if bounds["low"] is None:
        raise refused(
            where,
            code="source-has-no-range",
            rule="needs a range test with a range",
            got=f"none, because {bounds['because']}",
            remedy="give the bounds",
        )
    old = folder.load_config()
    merged = _carry(old, onto=config, adopted=set(), words=overrides)
    read, wanted = flat_config(old), flat_config(merged)
    lines = [
        f"{key}: {read.get(key, 'missing')} there, {wanted.get(key, 'missing')} now"
        for key in sorted({*read, *wanted})
        if key.startswith(READ_FOR) and key != RATE and read.get(key) != wanted.get(key)
    ]
    if lines:
        raise UsageError(
            f"{where}: its range was measured for another set-up; measure it again:\n  "
            + "\n  ".join(lines),
            code="range-of-another-setup",
        )
    knob = OmegaConf.select(merged, f"space.{RATE}")
    keys = set(map(key_of, overrides))
    for end in ("low", "high"):
        if (
            isinstance(knob, DictConfig)
            and end in knob
            and not keys & {f"space.{RATE}", f"space.{RATE}.{end}"}
        ):
            knob[end] = float(f"{bounds[end]:.3g}")
    for path, end in CYCLE.items():
        if "base_lr" in merged.schedule and path not in keys:
            OmegaConf.update(merged, path, float(f"{bounds[end]:.3g}"))
    merged["from"] = folder.path.name
    OmegaConf.set_readonly(merged, True)
    return merged, folder.load_contract()


def _carry(
    incumbent: DictConfig, *, onto: DictConfig, adopted: set[str], words: list[str]
) -> DictConfig:
    """The incumbent's groups in the new config, except those that the new search chose itself.

    What the new search says of single keys of a carried group wins, but what was adopted stays
    unless the command's own words change it: an experiment's file must not undo a decision.
    """
    defaults, new = compose_words([]), OmegaConf.create(plain_config(onto, resolve=False))
    silent, keys = flat_config(defaults), set(map(key_of, words))
    kept = adopted - keys

    def is_carried(group: str) -> bool:
        if group in OWN or group not in incumbent.chosen:
            return False
        is_default = new.chosen[group] == defaults.chosen.get(group, new.chosen[group])
        is_same = f"{group}." in FIXED and new.chosen[group] == incumbent.chosen[group]
        return is_default or is_same or group in kept

    carried = [str(group) for group in new.chosen if is_carried(group)]
    # A recipe's words on an option that was not adopted mean nothing here.
    others = {each for each in kept & {*carried} if incumbent.chosen[each] != new.chosen[each]}

    def is_said(path: str, value: Any) -> bool:
        if path in kept or silent.get(path, object) == value:
            return False
        is_fixed = path.startswith(FIXED)  # one contract, whatever a recipe says
        return path in keys or not (is_fixed or path.partition(".")[0] in others)

    said = {path: value for path, value in flat_config(onto).items() if is_said(path, value)}
    for group in carried:
        new[group], new.chosen[group] = incumbent[group], incumbent.chosen[group]
    for path, value in said.items():
        if path.partition(".")[0] in carried:
            OmegaConf.update(new, path, value, merge=False, force_add=True)
    for group in carried:
        if group in new.choices:
            new.choices[group][new.chosen[group]] = new[group]
    for path, value in _of_the_users_own(incumbent, defaults=defaults).items():
        if path not in keys:
            OmegaConf.update(new, path, value, merge=False, force_add=True)
    if "seed" not in said:
        new.seed = incumbent.seed
    return new


def _of_the_users_own(config: DictConfig, *, defaults: DictConfig) -> dict[str, Any]:
    """What only a trainer of the user's own reads, such as `my.lr`: keys beside all groups."""
    known = {*map(str, defaults), *BESIDE}
    return {
        path: value
        for path, value in flat_config(config).items()
        if path.partition(".")[0] not in known
    }


def _adopted(findings: "Findings", *, root: Path) -> set[str]:
    """Every key that a search, or one that it came from, has decided on: kept or changed."""
    from search.results.findings import lineage

    paths = set[str]()
    for search in lineage(findings, root=root):
        if search.winner is None:
            break
        choices = search.plan.config.get("choices") or {}
        paths |= {target_of(path, choices) for path in search.winner.spec.knobs}
    return paths
