"""A search that starts where another ended: with its incumbent's config and its contract (R28).

Or where a range test ended: with its set-up, its contract, its learning rates (R31). What the
command or the experiment says wins over what is carried; the defaults do not. Never writes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.compose import compose_defaults, compose_experiment
from search.config.drift import flat_config
from search.config.results_root import address, root_of
from search.config.trial_config import plain_config, trial_config
from search.errors import UsageError
from search.results.findings import find_folder, open_results
from search.storage.folder import LR_RANGE, Folder

OWN = (
    "placement",
    "space",
    "protocol",
    "sampler",
    "pruner",
    "preflight",
    "callbacks",
)  # groups that belong to the machine and to the search, not to the incumbent
RATE = "optimizer.lr"
PENALTIES = ("trainer.l1", "trainer.flood", "trainer.clip", "trainer.max_norm")
READ_FOR = (
    "data.",
    "model.",
    "loss.",
    "optimizer.",
    "trainer._target_",
    "trainer.batch_size",
    *PENALTIES,
)


def compose_from(
    experiment: str,
    *,
    overrides: list[str],
    config_dir: Path | None,
    source: str | None,
) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """An experiment's config, on another search's incumbent if one is named, and its contract.

    Raises:
        UsageError: as `compose_experiment`; no such search, or one without a winner.
    """
    config = compose_experiment(experiment, overrides=overrides, config_dir=config_dir)
    if source is None:
        return config, None
    root = root_of(config, start=Path.cwd())
    looked = find_folder(source, root=root)
    if (looked.path / LR_RANGE).exists() and not looked.has_trials():
        return _from_range(config, looked, overrides=overrides)
    folder, findings = open_results(source, root=root)
    if findings.winner is None:
        raise UsageError(
            f"from={source}: needs a search with a winner, but it has none yet; "
            f"finish it; see python -m search status {address(folder.path)}"
        )
    old = folder.load_config()
    incumbent = trial_config(old, knobs=findings.winner.ask.knobs, seed=old.seed)
    merged = _carry(incumbent, onto=config, defaults=compose_defaults())
    merged["from"] = source
    OmegaConf.set_readonly(merged, True)
    return merged, folder.load_contract()


def _from_range(
    config: DictConfig, folder: Folder, *, overrides: list[str]
) -> tuple[DictConfig, Mapping[str, Any]]:
    """The config with the set-up and the learning rates of a range test (R31); the command wins.

    Raises:
        UsageError: the test gave no range, or it was made for another set-up.
    """
    where, found = f"from={folder.path.name}", json.loads((folder.path / LR_RANGE).read_text())
    if found["low"] is None:
        raise UsageError(
            f"{where}: needs a range test with a range, but got none, because {found['because']}; "
            "give the bounds"
        )
    old = folder.load_config()
    merged = _carry(old, onto=config, defaults=compose_defaults())
    read, wanted = flat_config(old), flat_config(merged)
    lines = [
        f"{key}: {read.get(key, 'missing')} there, {wanted.get(key, 'missing')} now"
        for key in sorted({*read, *wanted})
        if key.startswith(READ_FOR) and key != RATE and read.get(key) != wanted.get(key)
    ]
    if lines:
        raise UsageError(
            f"{where}: its range was read for another set-up; make it anew:\n  "
            + "\n  ".join(lines)
        )
    knob = OmegaConf.select(merged, f"space.{RATE}")
    said = {word.lstrip("+~").partition("=")[0] for word in overrides}
    for end in ("low", "high"):
        if (
            isinstance(knob, DictConfig)
            and end in knob
            and not said & {f"space.{RATE}", f"space.{RATE}.{end}"}
        ):
            knob[end] = float(f"{found[end]:.3g}")
    merged["from"] = folder.path.name
    OmegaConf.set_readonly(merged, True)
    return merged, folder.load_contract()


def _carry(incumbent: DictConfig, *, onto: DictConfig, defaults: DictConfig) -> DictConfig:
    """The incumbent's groups in the new config, except those that the new search chose itself.

    What the new search says of single keys of a carried group wins.
    """
    new, silent = OmegaConf.create(plain_config(onto, resolve=False)), flat_config(defaults)
    said = {
        path: value
        for path, value in flat_config(onto).items()
        if silent.get(path, object) != value
    }

    def is_carried(group: str) -> bool:
        return (
            group not in OWN
            and group in incumbent.chosen
            and new.chosen[group]
            == defaults.chosen.get(group, new.chosen[group])  # not chosen by this search itself
        )

    carried = [str(group) for group in new.chosen if is_carried(group)]
    for group in carried:
        new[group], new.chosen[group] = incumbent[group], incumbent.chosen[group]
    for path, value in said.items():
        if path.partition(".")[0] in carried:
            OmegaConf.update(new, path, value, merge=False, force_add=True)
    for group in carried:
        if group in new.choices:
            new.choices[group][new.chosen[group]] = new[group]
    if "seed" not in said:
        new.seed = incumbent.seed
    return new
