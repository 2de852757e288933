"""One search's folder below results/: what lies where, the conductor's lock, and writing so that a kill leaves no half file.

Knows names and order of files, not their meaning.
"""

import fcntl
import json
import os
import socket
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from omegaconf import DictConfig, OmegaConf

from search.config.plan import drift
from search.contract.arrays import hash_of, write_folds
from search.errors import UsageError, broken_rule

if (
    TYPE_CHECKING
):  # what fixes a contract takes a second to import, and a folder is looked at before
    from search.contract.contract import Contract, Prepared

LR_RANGE, PREFLIGHT = "lr_range.json", "preflight.json"  # what looks leave behind
ATTEMPTS = 10  # at the lock, 10 ms apart


class Folder:
    """Paths of one search, and the operations that keep the folder sound."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.contract = path / "contract.yaml"
        self.split = path / "split.npz"
        self.journal = path / "journal.log"
        self.curve_log = path / "curves.jsonl"
        self.curves = path / "curves.parquet"
        self.layers = path / "layers"
        self.trials = path / "trials.csv"
        self.decisions = path / "decisions.jsonl"
        self.best_config = path / "best.yaml"
        self.best = path / "best"
        self.ledger = path / "test_ledger.jsonl"
        self.logs = path / "logs"
        self.checkpoints = path / "checkpoints"
        self.arrays = path / "arrays"
        self._lock = path / "lock"

    @property
    def started(self) -> bool:
        """Whether a search has begun here: config.yaml is written last of the first files."""
        return self.config.exists()

    def load_config(self) -> DictConfig:
        """The config of the first start, read-only."""
        config = OmegaConf.load(self.config)
        assert isinstance(config, DictConfig)
        OmegaConf.set_readonly(config, True)
        return config

    def load_contract(self) -> dict[str, Any]:
        """`contract.yaml` as it stands."""
        return dict(yaml.safe_load(self.contract.read_text()))

    def check_config(self, config: DictConfig) -> None:
        """A search resumes with the config it was started with.

        Raises:
            UsageError: it differs, or the folder holds something else. Nothing is touched.
        """
        if self.started:
            lines = drift(self.load_config(), config)
            if lines:
                raise UsageError(
                    f"{self.path}: holds a search with another config; use name=… for a new one:\n  "
                    + "\n  ".join(lines)
                )
        elif self.journal.exists():
            raise UsageError(
                broken_rule(
                    str(self.path),
                    rule="a journal needs the config.yaml it began with",
                    got="none",
                    remedy="restore it or use name=…",
                )
            )

    def begin(self, prepared: "Prepared", config: DictConfig) -> None:
        """Writes arrays, split, contract, config at the first start; later checks them.

        Raises:
            UsageError: data, split, metric or normalisation are not those of the first start. Nothing is touched.
        """
        if self.started:
            self.check_contract(prepared.contract)
            write_folds(self.arrays, prepared.folds(), stamp=prepared.stamp)
            if drift(self.load_config(), config, grown=True):
                write_text(self.config, OmegaConf.to_yaml(config))
            return
        write_folds(self.arrays, prepared.folds(), stamp=prepared.stamp)
        with self.split.open("wb") as file:
            np.savez(file, **prepared.split.arrays())  # type: ignore[arg-type]
        write_text(self.contract, yaml.safe_dump(asdict(prepared.contract), sort_keys=False))
        write_text(self.config, OmegaConf.to_yaml(config))

    def check_contract(self, contract: "Contract") -> None:
        """The contract of the first start holds for ever.

        Raises:
            UsageError: with the differences, line by line.
        """
        contract.check(self.load_contract(), where=str(self.path))
        try:
            with np.load(self.split, allow_pickle=False) as split:
                stored = hash_of(dict(split.items()))
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
            stored = f"{type(error).__name__}: {error}"
        if stored != contract.split["hash"]:
            got = "other rows" if len(stored) == len(contract.split["hash"]) else stored
            raise UsageError(
                broken_rule(
                    str(self.split),
                    rule="holds the split of the first start",
                    got=got,
                    remedy="restore it or use name=…",
                )
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one conductor. The kernel gives the lock back when its holder dies, so it is never stale.

        Raises:
            UsageError: another conductor lives; it is named.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        file = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _acquire(file):
                raise UsageError(
                    f"{self.path}: one conductor per search, but got a second beside {self._holder()}; wait for it or stop it"
                )
            holder = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started": datetime.now().astimezone().isoformat(timespec="seconds"),
                "command": " ".join(sys.argv[1:]),
            }
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(holder).encode(), 0)
            yield
            os.ftruncate(file, 0)
        finally:
            os.close(file)

    def alive(self) -> bool:
        """Whether a conductor holds the folder now."""
        if not self._lock.exists():
            return False
        with self._lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _holder(self) -> str:
        try:
            holder = json.loads(self._lock.read_text())
        except (OSError, ValueError):
            return "one that is just starting"
        return f"process {holder['pid']} on {holder['host']}, started {holder['started']}"


def _acquire(file: int) -> bool:
    """Takes the lock, unless somebody holds it for longer than `Folder.alive` does."""
    for _ in range(ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.01)
    return False


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or none of it: into a fresh one, to disk, then renamed into place."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Adds one JSON line and makes it durable."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())
