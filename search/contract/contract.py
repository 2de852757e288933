"""What is fixed before tuning and checked at every start: task, metric, data, split (R1-R8).

Fingerprints the data, splits them, and normalises them with constants of the train rows. Never
gives test rows to a worker.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from search.contract.arrays import FoldData
from search.contract.auxiliary import scaled_targets
from search.contract.dataset import load_rows, read_labels
from search.contract.fingerprint import difference, file_hash, fingerprint, is_same
from search.contract.fixed_set import Rows
from search.contract.metrics import Metric, constant_score
from search.contract.normalisation import Scaling, fit_scaling
from search.contract.sequences import described_lengths, padded, real_rows
from search.contract.split import Marks, Split, make_split
from search.contract.targets import LoadedRows
from search.errors import UsageError, refused
from trainers.api import Data, Part
from trainers.data import DataSet
from trainers.settings import flat


@dataclass(frozen=True, kw_only=True)
class Contract:
    """`contract.yaml`. `definition`: what else makes the metric what it is.

    `floor`: the metric of a constant prediction on validation, None where it cannot be known.
    """

    task: str
    metric: str
    direction: str
    definition: dict[str, str]
    data: dict[str, Any]
    split: dict[str, Any]
    normalisation: dict[str, Any]
    floor: float | None = field(default=None)

    def check(self, other: Mapping[str, Any], *, where: str) -> None:
        """Compares this contract with `other`, a contract as written down or a part of one.

        Raises:
            UsageError: with the differences, line by line.
        """
        here, there = flat(asdict(self)), flat(other)
        lines = [
            f"{key}{difference(there[key], here.get(key, 'missing'))}"
            for key in sorted(there)
            if not is_same(here.get(key), there[key])
        ]
        if lines:
            raise UsageError(
                f"{where}: a contract is fixed (R2, R4), but this one differs; "
                "use name=… for a new search:\n  " + "\n  ".join(lines),
                code="contract-differs",
            )


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A contract with what it was made from.

    `folds` makes the train and validation rows of each training, one after the other. `final`:
    the rows that the exported model is trained on, with the test rows, which stay in this process;
    `units`: mean and scale of its regression targets; `rows`: all as they were loaded, None where
    the trainer loads its own.
    """

    contract: Contract
    split: Split
    folds: Callable[[], Iterator[FoldData]]
    final: Data
    units: dict[str, Any] | None = None
    rows: LoadedRows | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the data say, a line each."""
        return () if self.rows is None else self.rows.data.notes

    @property
    def stamp(self) -> str:
        """What the arrays of the folds depend on."""
        contract = self.contract
        text = repr(
            (contract.data, contract.split["hash"], len(self.split.folds), contract.normalisation)
        )
        return hashlib.sha256(text.encode()).hexdigest()


def prepare(config: DictConfig, *, metric: Metric) -> Prepared:
    """Loads the data of a resolved config, splits and normalises them.

    Raises:
        UsageError: data that cannot be loaded, do not fit the config, or cannot be split.
    """
    # A plain dict, here and below: the error of a DictConfig without a key keeps frames and rows.
    node = dict(config.data)
    if not node.get("_target_"):
        return _prepare_own(config, metric=metric)
    tokens, impute = node.get("vocabulary") is not None, node.get("impute")
    rows = load_rows(config.data)
    data = rows.data
    split = make_split(dict(config.split), rows=len(data.x), marks=_marks(rows, config))

    def scaled(train: Rows, **parts: Rows) -> tuple[Data, Scaling]:
        scaling = fit_scaling(
            config.normalise,
            real_rows(data.x[train], _lengths(data, train)),
            data.y[train],
            impute=impute,
            tokens=tokens,
        )
        further = scaled_targets(rows.further, rows.heads or {}, train)
        made = {
            name: _part(data, index, scaling=scaling, tokens=tokens, further=further)
            for name, index in {"train": train, **parts}.items()
        }
        return Data(**made), scaling

    final, scaling = scaled(split.rest, val=split.folds[0].val, test=split.test)

    def folds() -> Iterator[FoldData]:
        if len(split.folds) == 1:
            yield FoldData(data=replace(final, test=None), units=scaling.units)
            return
        for fold in split.folds:
            made, own = scaled(fold.train, val=fold.val)
            yield FoldData(data=made, units=own.units)

    return Prepared(
        contract=_contract(
            config,
            metric,
            split=split,
            data=_described(rows),
            targets=data.y,
            normalisation=scaling.constants(),
        ),
        split=split,
        folds=folds,
        final=final,
        units=scaling.units,
        rows=rows,
    )


def _lengths(data: DataSet, index: Rows) -> NDArray[np.int64] | None:
    return None if data.lengths is None else data.lengths[index]


def _part(
    data: DataSet, index: Rows, *, scaling: Scaling, tokens: bool, further: NDArray[Any] | None
) -> Part:
    """Rows of one set, scaled; padding stays 0. `further`: targets of all rows, scaled."""
    x, lengths = data.x[index], _lengths(data, index)
    scaled = padded(scaling.features(real_rows(x, lengths)), lengths, like=x)
    y, own = scaling.targets(data.y[index]), None if further is None else further[index]
    return Part(index=index, x=scaled, y=y, lengths=lengths, tokens=tokens, auxiliary=own)


def _marks(rows: LoadedRows, config: DictConfig) -> Marks:
    data, node = rows.data, dict(config.data)
    # Time orders the steps of a table's sequences, whatever the split.
    is_of_steps = node.get("sequence") and config.split.kind != "ordered"
    return Marks(
        labels=data.y if node["task"] == "classification" else None,
        classes=rows.classes,
        groups=data.groups,
        time=None if is_of_steps else data.time,
        given=data.given,
    )


def _described(rows: LoadedRows) -> dict[str, Any]:
    """The rows as the contract knows them."""
    data = rows.data
    columns = (data.groups, data.time, data.lengths, rows.further)
    return {
        "rows": len(data.x),
        "shape": list(data.x.shape[1:]),
        "fingerprint": fingerprint(data.x, data.y, *(each for each in columns if each is not None)),
        **({"classes": list(rows.classes)} if rows.classes else {}),
        **({} if data.lengths is None else {"lengths": described_lengths(data.lengths)}),
    }


def _prepare_own(config: DictConfig, *, metric: Metric) -> Prepared:
    """`data=own`: row numbers only.

    The files in `data.files` are fingerprinted; `data.labels` is read where there is one.
    """
    node = dict(config.data)
    rows = node.get("rows")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 3:
        raise refused(
            "data.rows",
            code="own-rows-not-counted",
            rule="must be a whole number of at least 3",
            got=repr(rows),
            remedy="say data.rows=N, the number of your rows",
        )
    labels, classes = None, ()
    if node.get("labels"):
        labels, classes = read_labels(Path(node["labels"]), rows, task=node["task"])
    split = make_split(
        dict(config.split),
        rows=rows,
        marks=Marks(labels=labels if node["task"] == "classification" else None, classes=classes),
    )
    files = {str(path): file_hash(Path(path)) for path in node.get("files") or ()}
    described: dict[str, Any] = {"rows": rows, "files": files}
    if labels is not None:
        described["labels"] = fingerprint(labels)

    def part(index: Rows) -> Part:
        return Part(index=index, y=None if labels is None else labels[index])

    return Prepared(
        contract=_contract(
            config,
            metric,
            split=split,
            data=described,
            targets=labels,
            normalisation={"kind": "own"},
        ),
        split=split,
        folds=lambda: (
            FoldData(data=Data(train=part(fold.train), val=part(fold.val))) for fold in split.folds
        ),
        final=Data(train=part(split.rest), val=part(split.folds[0].val), test=part(split.test)),
    )


def _contract(
    config: DictConfig,
    metric: Metric,
    *,
    split: Split,
    data: dict[str, Any],
    targets: NDArray[Any] | None,
    normalisation: dict[str, Any],
) -> Contract:
    floor = None
    if targets is not None:
        scores = [
            constant_score(
                metric, task=config.data.task, train=targets[fold.train], val=targets[fold.val]
            )
            for fold in split.folds
        ]
        mean = float(np.mean([math.nan if score is None else score for score in scores]))
        floor = mean if math.isfinite(mean) else None
        if "roc_auc" in metric.parts and any(
            len(np.unique(targets[fold.val])) < 2 for fold in split.folds
        ):
            raise refused(
                "metric",
                code="roc-auc-needs-two-classes",
                rule="roc_auc needs two classes in validation",
                got="one",
                remedy="choose another split or metric",
            )
    sizes = {name: len(rows) for name, rows in split.arrays().items() if name != "folds"}
    return Contract(
        task=config.data.task,
        metric=metric.name,
        direction=metric.direction,
        definition=metric.definition,
        data=data,
        split={
            **_plain(config.split),
            "rows": {**sizes, "val": sum(len(fold.val) for fold in split.folds)},
            "hash": split.hash(),
        },
        normalisation=normalisation,
        floor=floor,
    )


def _plain(node: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
