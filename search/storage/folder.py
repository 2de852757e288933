"""One search's folder below results/: what lies where, and what must hold before it is used.

Knows names and order of files, not their meaning.
"""

import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from search.config.counted import first_of
from search.config.drift import drift, words_back
from search.config.yaml_text import read_yaml
from search.contract.arrays import hash_of, write_folds
from search.errors import UsageError, refused
from search.storage.files import replacing, write_text
from search.storage.journal import JournalFile
from search.storage.lock import FolderLock
from search.storage.run_log import RunLog
from search.storage.sealed import damaged, read_text, seal_text
from search.storage.trial_storage import TrialStorage
from trainers.data.files import read_npz

if TYPE_CHECKING:  # a contract takes a second to import, and a folder is read before
    from search.contract.contract import Contract, Prepared

# The trials, or what a storage that keeps them elsewhere leaves here: one of these files is there
# once any trial may have been recorded.
TRIALS = ("journal.log", "storage.json")
# What a search writes, config.yaml first: without it nothing counts as begun.
WRITTEN = (
    "config.yaml", "contract.yaml", "split.npz", *TRIALS, "code.json",
    "lanes.json", "curves.jsonl", "curves.parquet", "trials.csv", "summary.csv", "summary.md",
    "decisions.jsonl", "best.yaml", "report.html", "preflight.json", "*.svg", "arrays", "best",
    "checkpoints", "layers", "logs", "orders", "refit", "runs.json", "workers.json", "teacher.json",
    "lr_range.json", "lr_range.csv", "probes.log", "groups.csv", "groups-test.csv", "ensemble",
    "again", "*.kept",
)  # fmt: skip
SHOWN = 6  # keys of another config that a message tells
MARK = re.compile(r"^# begun [0-9a-f]{8}\n", re.MULTILINE)
LR_RANGE, PREFLIGHT = "lr_range.json", "preflight.json"  # results of the checks before a search
PROBES_LOG = "probes.log"  # what a training printed in these checks


class Folder:
    """Paths of one search, and the operations that keep the folder sound."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.contract = path / "contract.yaml"
        self.split = path / "split.npz"
        self.journal = path / "journal.log"
        self.database = path / "storage.json"  # the writer's name in a database
        self.curve_log = path / "curves.jsonl"
        self.curves = path / "curves.parquet"
        self.layers = path / "layers"
        self.trials = path / "trials.csv"
        self.decisions = path / "decisions.jsonl"
        self.best_config = path / "best.yaml"
        self.best = path / "best"
        self.ensemble = path / "ensemble"
        self.ledger = path / "test_ledger.jsonl"
        self.logs = path / "logs"
        self.checkpoints = path / "checkpoints"
        self.arrays = path / "arrays"
        self.runs = RunLog(path / "runs.json")
        self.lock = FolderLock(path / "lock")
        self._storage: TrialStorage | None = None

    @property
    def started(self) -> bool:
        """True if a search has begun here: config.yaml is written last of the first files."""
        return self.config.exists()

    def storage(self) -> TrialStorage:
        """Where the trials lie, as the config of the first start says.

        Raises:
            UsageError: the address of a database cannot be read.
        """
        if self._storage is None:
            self._storage = JournalFile(self.journal)
            if self.started and not self.journal.exists():
                self._storage = self._storage_of(self.load_config())
        return self._storage

    def check_storage(self, config: DictConfig, *, name: str) -> None:
        """Whether a search of this name can keep its trials where its config says.

        Raises:
            UsageError: it cannot. Nothing is written.
        """
        self._storage_of(config).check(name=name)

    def _storage_of(self, config: DictConfig) -> TrialStorage:
        try:
            address = OmegaConf.select(config, "storage.url")
        except OmegaConfBaseException as error:
            text = f"storage.url: {str(error).splitlines()[0]}; set it"
            raise UsageError(text, code="storage-url-does-not-resolve") from error
        if address is None:
            return JournalFile(self.journal)
        from search.storage.database import Database  # SQLAlchemy takes half a second

        return Database(str(address), marker=self.database, patience=float(config.storage.patience))

    def has_trials(self) -> bool:
        """True if trials may have been recorded."""
        return any((self.path / name).exists() for name in TRIALS)

    def load_config(self) -> DictConfig:
        """The config of the first start, read-only.

        Raises:
            UsageError: the file is damaged, or a newer version went on with the search.
        """
        self.runs.check_version()  # before its files are called damaged
        try:
            text = read_text(self.config)
            config = OmegaConf.create(text)
        except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
            raise damaged(self.config, got="text that is no YAML") from error
        if not isinstance(config, DictConfig) or "metric" not in config:
            raise damaged(self.config, got="YAML that is no config of a search")
        contract = read_text(self.contract) if self.contract.exists() else ""
        if "" not in (marks := {_mark_of(text), _mark_of(contract)}) and len(marks) > 1:
            got = f"the config of another search than {self.contract.name} is of"
            raise damaged(self.config, got=got)
        OmegaConf.set_readonly(config, True)
        return config

    @property
    def val_rows(self) -> int:
        """Rows of validation, by the contract; raises as `load_contract`."""
        return int(self.load_contract()["split"]["rows"]["val"])

    def load_contract(self) -> dict[str, Any]:
        """`contract.yaml` as it stands.

        Raises:
            UsageError: the file is missing or damaged.
        """
        try:
            contract = read_yaml(read_text(self.contract))
            contract["split"]["rows"]["val"], contract["metric"]  # what every reader needs
        except yaml.YAMLError as error:
            raise damaged(self.contract, got="text that is no YAML") from error
        except (TypeError, KeyError) as error:
            raise damaged(self.contract, got="YAML that is no contract") from error
        return dict(contract)

    def check_config(self, config: DictConfig) -> None:
        """A search resumes with the config that it was started with.

        Raises:
            UsageError: the config differs, or the folder holds something else. Nothing is touched.
        """
        if self.started:
            begun = self.load_config()
            if lines := drift(begun, config):
                words = words_back(begun, config)
                told = [f"the words with which it goes on: {words}"] * bool(words)
                told += [first_of(lines, SHOWN, between="\n  ")]
                raise UsageError(
                    f"{self.path}: holds a search with another config; use name=… for a new one:"
                    "\n  " + "\n  ".join(told),
                    code="config-of-another-search",
                )
        self.check_begun()

    def clear(self) -> None:
        """Removes what a search has written; files of the user's and the ledger of tests stay."""
        self.storage().clear()
        self._storage = None
        for path in (path for name in WRITTEN for path in self.path.glob(name)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def forget(self, trial: int) -> None:
        """Removes the checkpoints of a trial: it begins anew."""
        shutil.rmtree(self.checkpoints / str(trial), ignore_errors=True)

    def begin(self, prepared: "Prepared", config: DictConfig) -> None:
        """Writes arrays, split, contract and config at the first start; later checks them.

        Raises:
            UsageError: data, split, metric or normalisation are not those of the first start.
                Nothing is touched.
        """
        if self.started:
            self.check_contract(prepared.contract)
            write_folds(self.arrays, prepared.folds(), stamp=prepared.stamp)
            if drift(self.load_config(), config, grown=True):
                mark = _mark_of(read_text(self.contract))
                write_text(self.config, seal_text(mark + OmegaConf.to_yaml(config)))
            return
        write_folds(self.arrays, prepared.folds(), stamp=prepared.stamp)
        with replacing(self.split) as file:  # on the disk before config.yaml says that it is there
            np.savez(file, **dict[str, Any](prepared.split.arrays()))
        contract = yaml.safe_dump(asdict(prepared.contract), sort_keys=False)
        text = OmegaConf.to_yaml(config)
        mark = f"# begun {zlib.crc32(text.encode()):08x}\n"  # both files are of one search
        write_text(self.contract, seal_text(mark + contract))
        write_text(self.config, seal_text(mark + text))

    def check_contract(self, contract: "Contract") -> None:
        """The contract of the first start holds for good.

        Raises:
            UsageError: with the differences, line by line.
        """
        contract.check(self.load_contract(), where=str(self.path))
        self.load_split()

    def load_split(self) -> dict[str, NDArray[np.int64]]:
        """The rows of the split, by set.

        Raises:
            UsageError: the file is damaged, or holds another split than the contract's.
        """
        try:
            rows = read_npz(self.split)
            got = "" if hash_of(rows) == self.load_contract()["split"]["hash"] else "other rows"
        except (OSError, ValueError) as error:
            got = f"{type(error).__name__}: {error}"
        if got:
            rule, remedy = "holds the split of the first start", "restore it or use name=…"
            where = str(self.split)
            raise refused(where, code="split-was-changed", rule=rule, got=got, remedy=remedy)
        return rows

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one conductor.

        Raises:
            UsageError: another conductor lives; it is named.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self.lock.held():
            yield

    def alive(self) -> bool:
        """True if a conductor holds the folder now."""
        return self.lock.is_held()

    def check_begun(self) -> None:
        """Trials have their config, and those that tables or curves list are in the storage.

        Raises:
            UsageError: config.yaml or the journal is gone, or the storage has none of the trials.
        """
        if not self.started:
            if not self.has_trials():
                return
            raise refused(
                str(self.path),
                code="journal-without-config",
                rule="a journal needs the config.yaml it began with",
                got="none",
                remedy="restore it or use name=…",
            )
        lines = self.trials.read_bytes().count(b"\n") if self.trials.exists() else 0
        begun = lines > 1 or self.curve_log.exists()  # which begins once the storage is open
        if begun and not (self.has_trials() and self.storage().holds_records()):
            listed = (
                f"none of the {lines - 1} trials that {self.trials.name} lists"
                if lines > 1
                else f"nothing of the search whose epochs {self.curve_log.name} holds"
            )
            raise damaged(self.storage().url, got=listed)


def _mark_of(text: str) -> str:
    """The line that config.yaml and contract.yaml of one search share.

    Empty where an earlier version, or somebody by hand, has written the file.
    """
    mark = MARK.search(text)
    return mark[0] if mark else ""
