"""A search that starts where another ended: its incumbent's config and its contract, under this one's own words (R28).

What the command or the experiment says itself wins over what is carried; the defaults do not. Never writes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.compose import compose_defaults, compose_experiment
from search.configs import plain_config, trial_config
from search.errors import UsageError
from search.plan import flat_config
from search.results import open_results

OWN = ("placement", "space", "protocol")  # groups that belong to the machine and to the search, not to the incumbent


def take_source(words: list[str]) -> tuple[list[str], str | None]:
    """The words without `from=NAME`, and the name."""
    named = [word.partition("=")[2] for word in words if word.startswith("from=")]
    return [word for word in words if not word.startswith("from=")], named[-1] if named else None


def compose_from(
    experiment: str, *, overrides: list[str], config_dir: Path | None, source: str | None, root: Path
) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """An experiment's config, from another search's incumbent where one is named, and the contract that must hold then.

    Raises:
        UsageError: as `compose_experiment`; no such search, or one without a winner.
    """
    config = compose_experiment(experiment, overrides=overrides, config_dir=config_dir)
    if source is None:
        return config, None
    folder, findings = open_results(source, root=root)
    if findings.winner is None:
        raise UsageError(
            f"from={source}: needs a search with a winner, but it has none yet; finish it: python -m search {source}"
        )
    old = folder.load_config()
    incumbent = trial_config(old, knobs=findings.winner.ask.knobs, seed=old.seed)
    carried = _carry(incumbent, onto=config, defaults=compose_defaults())
    carried["from"] = source
    merged = OmegaConf.create(carried)
    OmegaConf.set_readonly(merged, True)
    return merged, folder.load_contract()


def _carry(incumbent: DictConfig, *, onto: DictConfig, defaults: DictConfig) -> dict[str, Any]:
    old, new, plain = (plain_config(config, resolve=False) for config in (incumbent, onto, defaults))
    said = {path: value for path, value in flat_config(onto).items() if flat_config(defaults).get(path, object) != value}
    for group in new["chosen"]:
        if (
            group in OWN
            or group not in old["chosen"]
            or new["chosen"][group] != plain["chosen"].get(group, new["chosen"][group])
        ):
            continue  # not the incumbent's, or chosen by this search itself
        new[group], new["chosen"][group] = old[group], old["chosen"][group]
        for path, value in said.items():
            if path.startswith(f"{group}."):
                *parents, key = path.split(".")
                node = new
                for parent in parents:
                    node = node.setdefault(parent, {})
                node[key] = value
        if group in new["choices"]:
            new["choices"][group][new["chosen"][group]] = new[group]
    if "seed" not in said:
        new["seed"] = old["seed"]
    return new
