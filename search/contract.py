"""What is fixed before tuning and checked at every start: task, metric, data, split, normalisation (R1-R8).

Loads and fingerprints the data, splits them, fits the normaliser on train. Never trains, never gives test rows to a worker.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from search.errors import UsageError, broken_rule, unknown
from search.metrics import Metric, constant_score
from search.split import Split, make_split
from trainers.api import Data, Part
from trainers.data import DataSet

TASKS = ("classification", "regression")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """`contract.yaml`. `floor`: the metric of a constant prediction on validation, None where it cannot be known."""

    task: str
    metric: str
    direction: str
    data: dict[str, Any]
    split: dict[str, Any]
    normalisation: dict[str, Any]
    floor: float | None = field(default=None)

    def check(self, other: Mapping[str, Any], *, where: str) -> None:
        """All that `other`, a contract or a part of one as written down, says must be so here.

        Raises:
            UsageError: with the differences, line by line.
        """
        here, there = _flat(asdict(self)), _flat(other)
        lines = [
            f"{key}: {there[key]} there, {here.get(key, 'missing')} now" for key in sorted(there) if here.get(key) != there[key]
        ]
        if lines:
            raise UsageError(
                f"{where}: a contract is fixed (R2, R4), but this one differs; use name=… for a new search:\n  "
                + "\n  ".join(lines)
            )


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A contract with what it was made from. `data` holds the test rows, and stays in this process."""

    contract: Contract
    split: Split
    data: Data


def prepare(config: DictConfig, *, metric: Metric) -> Prepared:
    """Loads the data of a resolved config, splits and normalises them.

    Raises:
        UsageError: data that cannot be loaded, do not fit the config, or cannot be split.
    """
    node = config.data
    if node.task not in TASKS:
        raise UsageError(unknown("task", name=str(node.task), known=TASKS))
    if not node.get("_target_"):
        return _prepare_own(config, metric=metric)
    rows = _load(node)
    _check_rows(node, rows)
    labels = rows.y if node.task == "classification" else None
    split = make_split(config.split, rows=len(rows.x), labels=labels)
    scaled, constants = _normalise(config.normalise, rows.x, split)
    parts = {name: Part(index=index, x=scaled[index], y=rows.y[index]) for name, index in asdict(split).items()}
    contract = Contract(
        task=node.task,
        metric=metric.name,
        direction=metric.direction,
        data={"rows": len(rows.x), "shape": list(rows.x.shape[1:]), "fingerprint": fingerprint(rows.x, rows.y)},
        split={**_plain(config.split), **_sizes(split)},
        normalisation=constants,
        floor=constant_score(metric, task=node.task, train=rows.y[split.train], val=rows.y[split.val]),
    )
    return Prepared(contract=contract, split=split, data=Data(**parts))


def fingerprint(*arrays: NDArray[Any]) -> str:
    """SHA-256 over dtype, shape and content of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _prepare_own(config: DictConfig, *, metric: Metric) -> Prepared:
    """`data=own`: row numbers only; content is fingerprinted by the files named, labels are read where given."""
    node = config.data
    labels = _read_labels(Path(node.labels), int(node.rows)) if node.labels else None
    split = make_split(config.split, rows=int(node.rows), labels=labels if node.task == "classification" else None)
    targets = {name: None if labels is None else labels[index] for name, index in asdict(split).items()}
    files = {str(path): _file_hash(Path(path)) for path in node.files}
    floor = None
    if labels is not None:
        floor = constant_score(metric, task=node.task, train=labels[split.train], val=labels[split.val])
    contract = Contract(
        task=node.task,
        metric=metric.name,
        direction=metric.direction,
        data={"rows": int(node.rows), "files": files, **({"labels": fingerprint(labels)} if labels is not None else {})},
        split={**_plain(config.split), **_sizes(split)},
        normalisation={"kind": "own"},
        floor=floor,
    )
    parts = {name: Part(index=index, y=targets[name]) for name, index in asdict(split).items()}
    return Prepared(contract=contract, split=split, data=Data(**parts))


def _load(node: DictConfig) -> DataSet:
    arguments = {key: value for key, value in node.items() if key not in ("task", "inputs", "outputs")}
    try:
        rows = instantiate(arguments)
    except Exception as error:
        raise UsageError(
            broken_rule(
                "data._target_",
                rule="must name a function that returns a DataSet",
                got=f"{node._target_} ({error})",
                remedy="mend it",
            )
        ) from error
    if not isinstance(rows, DataSet):
        raise UsageError(
            broken_rule(
                "data._target_", rule="must return trainers.data.DataSet", got=type(rows).__name__, remedy="wrap x and y in it"
            )
        )
    return rows


def _check_rows(node: DictConfig, rows: DataSet) -> None:
    classes = node.task == "classification"
    outputs = int(rows.y.max()) + 1 if classes else int(np.prod(rows.y.shape[1:], dtype=int))
    for key, got in (("inputs", int(np.prod(rows.x.shape[1:]))), ("outputs", outputs)):
        if key in node and node[key] != got:
            raise UsageError(
                broken_rule(f"data.{key}", rule=f"must be {got}, as in the rows", got=node[key], remedy=f"say data.{key}={got}")
            )
    for name, array in (("x", rows.x), ("y", rows.y)):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int((~np.isfinite(array.reshape(len(array), -1))).any(axis=1).argmax())
            raise UsageError(
                broken_rule(
                    f"data: {name}",
                    rule="must be finite",
                    got=f"NaN or inf first in row {bad}",
                    remedy="impute or drop it (R10)",
                )
            )


def _normalise(node: DictConfig, x: NDArray[Any], split: Split) -> tuple[NDArray[Any], dict[str, Any]]:
    """All rows scaled by a scaler fitted on train, and the scaler's constants (R5)."""
    if not node.get("_target_"):
        return x, {"kind": "none"}
    flat = x.reshape(len(x), -1)
    scaler = instantiate(node).fit(flat[split.train])
    scaled = scaler.transform(flat).astype(x.dtype if x.dtype.kind == "f" else np.float32).reshape(x.shape)
    constants = {
        name: np.asarray(value).tolist() for name, value in vars(scaler).items() if name in ("mean_", "scale_", "min_")
    }
    return scaled, {"kind": type(scaler).__name__, **constants}


def _read_labels(path: Path, rows: int) -> NDArray[Any]:
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            broken_rule("data.labels", rule="must be a .npy file", got=str(error), remedy="save it with numpy.save")
        ) from error
    if labels.shape[:1] != (rows,):
        raise UsageError(
            broken_rule(
                "data.labels", rule=f"must hold data.rows={rows} labels", got=f"shape {labels.shape}", remedy="make them agree"
            )
        )
    return np.asarray(labels)


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(broken_rule("data.files", rule="must be readable", got=str(error), remedy="mend the path")) from error


def _sizes(split: Split) -> dict[str, Any]:
    return {"rows": {name: len(rows) for name, rows in asdict(split).items()}, "hash": split.hash()}


def _plain(node: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
