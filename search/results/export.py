"""Exports the winner: its config, which `python -m search train` repeats, and its weights.

Reads the disk only; never trains, never opens the test set.
"""

import json
import platform
import shutil
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from search.config.passwords import with_environment_as_links
from search.config.plan import Plan
from search.config.trial_config import is_program, plain_config, trial_config
from search.config.version import __version__
from search.config.yaml_text import read_yaml
from search.contract.fingerprint import file_digest
from search.errors import UsageError, refused
from search.execution.slots import STEADY
from search.storage.files import replacing, write_text
from search.storage.folder import Folder
from search.storage.sealed import damaged, read_json, read_text, write_json
from search.storage.trials import TrialRecord
from trainers.checkpoint import WEIGHTS
from trainers.state import check_weights, owner
from trainers.teacher import EXPORTED

PROVENANCE = "provenance.json"  # in best/: which trial, how it was trained, checksums
REFIT, REFIT_NOTE = "refit.safetensors", "refit.json"  # in best/: of train and validation together

LIBRARIES = ("knobwise", "torch", "numpy", "optuna", "hydra-core", "scikit-learn")


def config_of(plan: Plan, row: TrialRecord) -> DictConfig:
    """The config that a trial trained with."""
    return trial_config(plan.config, knobs=row.spec.knobs, seed=row.spec.seed)


def trained_config(plan: Plan, row: TrialRecord) -> dict[str, Any]:
    """The same, plain and resolved."""
    return plain_config(config_of(plan, row), resolve=True)


def written_config(plan: Plan, row: TrialRecord) -> dict[str, Any]:
    """The same as in a file: a text from the environment, such as a password, stays a link."""
    written = config_of(plan, row)
    config: dict[str, Any] = with_environment_as_links(
        plain_config(written, resolve=True), plain_config(written, resolve=False)
    )
    return config


def best_config(plan: Plan, row: TrialRecord, *, contract: dict[str, Any]) -> str:
    """The text of best.yaml: a trial's config, resolved, with its seed, value and contract. A trial
    that did not come to its end promises no value.
    """
    config = written_config(plan, row)
    config["protocol"] = {"kind": "train"}
    config["space"] = {}
    config.pop("choices", None)
    # Two lanes give the bits of any number of lanes; a trial trained alone gives others.
    config["lanes"] = 2 if row.strategy == "vmap" else "off"
    config["expected"] = row.result
    # The fingerprint covers the classes.
    data = {key: value for key, value in contract["data"].items() if key != "classes"}
    config["contract"] = {"data": data, "split": {"hash": contract["split"]["hash"]}}
    head = (
        f"# `python -m search train` on this file repeats trial {row.spec.trial} of {plan.name} "
        f"and compares {plan.metric.name} with `expected`.\n"
    )
    if not plan.stock:
        steady = " ".join(f"{name}={value}" for name, value in STEADY.items())
        who = "The program" if is_program(plan.config) else plan.config.trainer._target_
        head += (
            f"# {who} gets all these keys and heeds those that its code reads: classes that they "
            "name,\n# such as an optimizer, are its own only where it builds them from here.\n"
            "# Outside of Knobwise the same number needs its variables: "
            f"{steady} PYTHONHASHSEED=0 OMP_NUM_THREADS={plan.placement.threads}.\n"
        )
    return head + OmegaConf.to_yaml(OmegaConf.create(config))


def write_best(plan: Plan, row: TrialRecord, folder: Folder) -> None:
    """Writes best.yaml, and best/ with weights, config, metrics and provenance."""
    contract = folder.load_contract()
    kept = folder.checkpoints / str(row.spec.trial)
    if (kept / WEIGHTS).exists():
        check_kept(kept / WEIGHTS, row)
    text = best_config(plan, row, contract=contract)
    write_text(folder.best_config, text)
    weights = folder.best / EXPORTED
    provenance = {
        "search": plan.name,
        "trial": row.spec.trial,
        "stage": row.spec.stage,
        "seed": row.spec.seed,
        "split": contract["split"]["hash"],
        "data": contract["data"],
        "device": row.device,
        "strategy": row.strategy,
        "threads": plan.placement.threads,
        "knobwise": __version__,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "config": file_digest(folder.best_config),
    }
    same = exported_trial(folder) == row.spec.trial
    folder.best.mkdir(exist_ok=True)
    if (kept / WEIGHTS).exists():
        with (kept / WEIGHTS).open("rb") as trained, replacing(weights) as file:
            shutil.copyfileobj(trained, file)
    elif not same:
        weights.unlink(missing_ok=True)  # they belong to an earlier winner
    if weights.exists():
        provenance["weights"] = file_digest(weights)
    write_text(folder.best / "config.yaml", text)
    metrics = {
        plan.metric.name: row.value,
        "best_epoch": row.best_epoch,
        "epochs": row.epochs,
        "source": row.source,
    }
    write_text(folder.best / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_json(folder.best / PROVENANCE, provenance)


def check_kept(path: Path, row: TrialRecord) -> None:
    """Whether a file holds a trial's own weights, as they were written."""
    try:
        check_weights(path, of=owner(trial=row.spec.trial, seed=row.spec.seed))
    except ValueError as error:
        raise damaged_weights(error, or_else=", or delete it: it is missing then") from error


def damaged_weights(error: ValueError, *, or_else: str = "") -> UsageError:
    """The error for a file of weights that is not as it was written."""
    return UsageError(f"{error}; restore it from a copy{or_else}", code="weights-were-changed")


def check_export(folder: Folder) -> None:
    """Whether best.yaml and the weights in best/ are those that the search exported.

    Another function may predict: `trainer.predict` in best.yaml is free.
    """
    config, weights = folder.best / "config.yaml", folder.best / EXPORTED
    note = read_json(folder.best / PROVENANCE, keys=["trial"])
    written = _exported_keys(config)
    sums = {path: file_digest(path) for path in (config, weights)}
    same = {  # earlier versions have not written every checksum
        config: note.get("config", sums[config]) == sums[config],
        weights: note.get("weights", sums[weights]) == sums[weights],
        folder.best_config: _exported_keys(folder.best_config) == written
        and written.get("expected") is not None,  # a winner has come to its end, with a value
    }
    for path in (path for path, is_same in same.items() if not is_same):
        raise refused(
            str(path),
            code="export-was-changed",
            rule="must be as the search exported it",
            got="another content",
            remedy="give the search's command again: it exports anew",
        )


def _exported_keys(path: Path) -> dict[str, Any]:
    """The keys of an exported config, but `trainer.predict`."""
    try:
        config = dict(read_yaml(read_text(path)))
        trainer = dict(config["trainer"])
    except (yaml.YAMLError, TypeError, ValueError, KeyError) as error:
        raise damaged(path, got="text that is no exported config") from error
    return {**config, "trainer": {**trainer, "predict": None}}


def refit_note(folder: Folder) -> dict[str, Any]:
    """Which trial was trained again on train and validation together, and how; empty if none."""
    path = folder.best / REFIT_NOTE
    return read_json(path, keys=["trial", "state"]) if path.exists() else {}


def wants_refit(plan: Plan) -> bool:
    """Whether the winner is trained once more on train and validation rows (`confirm.refit`).

    Never under folds, whose final weights have seen both; nor where a search began before the key.
    """
    return "folds" not in plan.config.split and bool(OmegaConf.select(plan.config, "confirm.refit"))


def is_refitted(folder: Folder, winner: TrialRecord) -> bool:
    """Whether this trial was trained again, and its weights are there if it had any."""
    note = refit_note(folder)
    has_weights = not note.get("weights") or (folder.best / REFIT).exists()
    return note.get("trial") == winner.spec.trial and has_weights


def drop_beaten(
    plan: Plan, winner: TrialRecord | None, folder: Folder, *, spared: Collection[int]
) -> None:
    """Deletes the weights of beaten trials once the winner is known, if `keep: best`.

    `spared`: other trials whose weights stay.
    """
    if plan.keep == "all" or winner is None or not folder.checkpoints.is_dir():
        return
    for path in folder.checkpoints.iterdir():
        if path.name not in map(str, (winner.spec.trial, *spared)):
            shutil.rmtree(path, ignore_errors=True)


def exported_trial(folder: Folder) -> int | None:
    """The trial whose weights are in best/; None if there are none."""
    path = folder.best / PROVENANCE
    return int(read_json(path, keys=["trial"])["trial"]) if path.exists() else None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
