"""One training of one complete config, and whether it gives what was promised."""

from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf, open_dict

from search.config.compose import check_whole, load_config
from search.config.plan import read_plan
from search.errors import Interrupted, RunError, UsageError
from search.execution.progress import Terminal
from search.run.launch import launch
from search.storage.folder import Folder

SUMMARY = "trains one config, such as best.yaml; compares with its `expected:`"
USAGE = "train FILE.yaml [key=value …]"
HARMLESS = (
    "name=",
    "results_root=",
    "placement.",
    "keep=",
)  # overrides that promise the same value still


def run(words: list[str], config_dir: Path | None) -> int:
    """Trains into results/<name>-train/; exit 1 if `expected` and got differ."""
    if not words:
        raise UsageError(
            f"train: needs a config file, but got none; usage: python -m search {USAGE}"
        )
    given = load_config(Path(words[0]), overrides=words[1:])
    check_whole(given, Path(words[0]))
    config = OmegaConf.create(OmegaConf.to_container(given, resolve=False))
    assert isinstance(config, DictConfig)
    with open_dict(config):
        expected = config.pop("expected", None)
        contract = OmegaConf.to_container(config.pop("contract", None) or OmegaConf.create({}))
        if not any(word.startswith("name=") for word in words[1:]):
            config.name = f"{config.name}-train"
        config.protocol = {"kind": "train"}
        config.space = {}
    OmegaConf.set_readonly(config, True)
    if Folder(read_plan(config, root=Path.cwd()).folder).trials.exists():
        print(
            f"{config.name}: was trained before; what follows is its result, and name=… trains again"
        )
    try:
        findings = launch(config, console=Terminal(), contract=cast(dict[str, Any], contract))
    except Interrupted as error:
        raise Interrupted(
            f"{error}; the same command goes on: python -m search train {' '.join(words)}"
        ) from error
    (row,) = findings.rows
    if row.value is None:
        raise RunError(f"{config.name}: the training gave no value: {row.state}, {row.reason}")
    print(f"{findings.plan.metric.name}: {row.value!r} at epoch {row.best_epoch}")
    if expected is None:
        return 0
    print(f"expected: {expected!r}\ngot:      {row.value!r}")
    changed = [word.partition("=")[0] for word in words[1:] if not word.startswith(HARMLESS)]
    if changed:
        print(f"expected was promised for another config: here {', '.join(changed)} was given")
        return 0
    if "seconds" in findings.plan.metric.names:
        print("a metric with seconds depends on the machine and the moment, and is not compared")
        return 0
    if float(expected) != row.value:
        print(
            "they differ, as they may on another device, processor, thread count or library version; see best/provenance.json"
        )
        return 1
    return 0
