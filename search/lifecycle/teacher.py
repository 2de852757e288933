"""Whether a teacher belongs to the same contract, and is still the one it was (R52, R4)."""

from omegaconf import DictConfig, OmegaConf

from search.config.foreign_code import say_code
from search.contract.contract import Contract
from search.contract.fingerprint import file_digest
from search.errors import UsageError, refused
from search.storage.folder import Folder
from search.storage.sealed import read_json, write_json
from trainers.state import check_weights
from trainers.teacher import read_teacher, teacher_files, teacher_of

RECORD = "teacher.json"
SAME = ("data.task", "data.impute", "normalise")  # what both must share beside the contract


def check_teacher(config: DictConfig, contract: Contract) -> str:
    """The checksum of the weights of the teacher that a config names; empty without one.

    Raises:
        UsageError: a teacher that cannot be read, of another contract, or that has seen the
            validation rows.
    """
    source = teacher_of(config)
    if not source:
        return ""
    where = "distillation.teacher"
    try:
        file, weights = teacher_files(source)
        teacher = OmegaConf.create(read_teacher(file))
        check_weights(weights)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error), code="teacher-not-readable") from error
    if config.split.kind == "kfold":
        raise refused(
            where,
            code="teacher-saw-validation",
            rule="a teacher must not have seen the validation rows, but one of several folds "
            "is trained on all of them",
            got="split=kfold",
            remedy="say split=holdout, for the teacher too",
        )
    there = OmegaConf.to_container(teacher.get("contract") or OmegaConf.create({}), resolve=True)
    if not isinstance(there, dict) or not there:
        raise refused(
            where,
            code="teacher-names-no-contract",
            rule="names its contract",
            got="none",
            remedy="export it again",
        )
    contract.check({str(key): value for key, value in there.items()}, where=f"{where} {source}")
    for key in SAME:
        theirs, ours = (OmegaConf.select(node, key) for node in (teacher, config))
        if theirs != ours:
            raise refused(
                where,
                code="teacher-differs",
                rule=f"must have this search's {key}, {_plain(ours)}",
                got=_plain(theirs),
                remedy="choose another teacher",
            )
    say_code(file, teacher, known=config)
    return file_digest(weights)


def record_teacher(folder: Folder, digest: str) -> None:
    """Stores the checksum of the teacher's weights, or compares it with the one stored.

    Raises:
        UsageError: the teacher has changed since the search began.
    """
    record = folder.path / RECORD
    if digest and not record.exists():
        write_json(record, {"weights": digest})
    elif digest and read_json(record, keys=["weights"])["weights"] != digest:
        raise refused(
            "distillation.teacher",
            code="teacher-was-exchanged",
            rule="must be the teacher with which this search began",
            got="other weights",
            remedy="restore them, or use name=… for a new search",
        )


def _plain(value: object) -> object:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
