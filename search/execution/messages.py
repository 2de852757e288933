"""What conductor and workers say to each other: tagged structs, as MessagePack on the wire.

Every field's type is checked when a message is read. NaN and infinity travel; nothing is unpickled.
"""

from collections.abc import Mapping

import msgspec

from search.config.knobs import Value
from search.contract.metrics import Metric
from search.execution.end_reasons import StopDecision, TrialEnd
from search.execution.lanes import Fusion, LaneSetup
from trainers.api import Pace

LIMIT = 16 * 2**20  # size of one message [bytes]
LEFT = 75  # exit status of a worker that was told to leave (the system's EX_TEMPFAIL)


class MessageError(Exception):
    """What came is no message, or what should go is none."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of all messages; the class's name is its tag."""


# From a worker


class Hello(Message, frozen=True, kw_only=True):
    """The first message. `host`: its machine; `gpus`: that it sees; `code`: as of `code_here`."""

    pid: int
    host: str = ""
    gpus: str = ""
    code: dict[str, str] = {}


class AskForWork(Message, frozen=True, kw_only=True):
    """An idle worker asks for trials. `room`: its free seats. `wants_candidates`: True if it wants
    to know which trials could share a program.
    """

    room: int
    wants_candidates: bool


class Settle(AskForWork, frozen=True, kw_only=True):
    """A busy worker asks, after an epoch, whether its trials go on, and for more trials.

    `soon`: seats that the answer frees, whatever it says, since their trials have ended.
    `leaving`: it has been told to end (SIGTERM), and hands its trials back.
    """

    soon: int = 0
    leaving: bool = False


class FusionWanted(Message, frozen=True, kw_only=True):
    """A worker has measured a new key and proposes how its trials are trained."""

    key: str
    wanted: Fusion
    pace: Pace


class MemoryExceeded(Message, frozen=True, kw_only=True):
    """Memory has run out for one key; at most `seats` of its trials sit together from now on."""

    key: str
    seats: int


class TrialBegun(Message, frozen=True, kw_only=True):
    """A trial starts from its checkpoint of `epoch`; 0: anew. `damage`: its own, in words."""

    trial: int
    epoch: int
    strategy: str
    damage: str = ""


class FoldNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """One fold's numbers, `layers` by series. `value`: the metric, None if it is composite."""

    value: float | None
    values: dict[str, float]
    layers: dict[str, dict[str, float]] = {}


class EpochTrained(Message, frozen=True, kw_only=True):
    """One epoch of a trial. `value` and `values`: as of `FoldNumbers`, the folds' mean.

    Attributes:
        seconds: the epoch's time; a share of it where several trials train together [s].
        source: "computed" here, or "reported" by the trainer.
        folds: the numbers of each fold; empty without folds.
        remark: of the trainer, for the reason of a trial that diverges, or for the screen.
    """

    trial: int
    epoch: int
    value: float | None
    values: dict[str, float]
    seconds: float
    source: str
    folds: list[FoldNumbers] = []
    layers: dict[str, dict[str, float]] = {}
    remark: str = ""


class TrialEnded(Message, frozen=True, kw_only=True):
    """A trial has left the worker. `cause`: equal for errors from the same line of code."""

    trial: int
    end: TrialEnd
    reason: str = ""
    cause: str | None = None


class DryRunAnswer(Message, frozen=True, kw_only=True):
    """What a dry run has found. `wrong`: what cannot be built, empty if nothing, None where the dry
    run has died; `alike`: a knob that changes nothing, empty if none; `unread`: keys that no code
    mentions; `inert`: a line per setting that changes nothing; `files`: of data, in the code.
    """

    wrong: str | None
    alike: str = ""
    unread: list[str] = []
    inert: list[str] = []
    files: list[str] = []


class MachineFault(Message, frozen=True, kw_only=True):
    """A worker cannot go on: its machine is at fault, such as by a full disk."""

    reason: str


class FilesWanted(Message, frozen=True, kw_only=True):
    """A worker without the search's folder asks which files lie in a place there."""

    place: str


class ChunkWanted(Message, frozen=True, kw_only=True):
    """A worker asks for a piece of a file. `offset`: where it begins [bytes]."""

    path: str
    offset: int


class FileRemoved(Message, frozen=True, kw_only=True):
    """A file of a trial is no longer there."""

    path: str


class LogWritten(Message, frozen=True, kw_only=True):
    """What has been printed since the last of these. `name`: of the log."""

    name: str
    text: bytes


class FileChunk(Message, frozen=True, kw_only=True):
    """A piece of a file; the answer to `ChunkWanted`, or what a trial has written.

    `path`: within the search's folder. `offset`, `size`: of the piece's place, and of the whole
    file [bytes]. `digest`: of the piece.
    """

    path: str
    offset: int
    size: int
    data: bytes
    digest: bytes


# From the conductor


class DryRunQuestions(Message, frozen=True, kw_only=True):
    """Asks an early worker to build what a config names. `questions`: JSON."""

    questions: str


class ProbeWanted(Message, frozen=True, kw_only=True):
    """Asks the process of a probe what lies in `folder`, which then holds its answers."""

    folder: str


class Setup(Message, frozen=True, kw_only=True):
    """What a worker needs before its first trial. `config`: JSON, links unresolved.

    `carried`: `folder` is not the worker's, so files travel in messages; `code`: the user's then.
    """

    config: str
    folder: str
    device: str
    log: str
    metric: Metric
    lanes: LaneSetup
    carried: bool = False
    code: Mapping[str, str] = {}


class AssignedTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial that a worker is to train. `next_decision`: as of `Answer`."""

    trial: int
    seed: int
    knobs: Mapping[str, Value]
    next_decision: int | None = None


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """Trials that may train at the same time and have the same knobs: how many there are."""

    knobs: Mapping[str, Value]
    trials: int


class Work(Message, frozen=True, kw_only=True):
    """New trials for a worker; the answer to `AskForWork`."""

    trials: list[AssignedTrial] = []
    candidates: list[Candidates] = []


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one trial. `epoch`: the last one that counts; `best_epoch`: up to it."""

    decision: StopDecision
    reason: str
    epoch: int
    best_epoch: int
    next_decision: int | None = None  # first epoch at which it may stop, unless it diverges


class Settled(Work, frozen=True, kw_only=True):
    """The answer to `Settle`: by trial what becomes of it, and new trials."""

    answers: dict[int, Answer]


class FusionDecided(Message, frozen=True, kw_only=True):
    """How the trials of a key are trained; the answer to `FusionWanted` and `MemoryExceeded`."""

    fusion: Fusion


class FilesListed(Message, frozen=True, kw_only=True):
    """The files in a place, with their sizes [bytes]; the answer to `FilesWanted`."""

    files: dict[str, int]


class Quit(Message, frozen=True, kw_only=True):
    """There is no more work."""


FromWorker = (
    Hello | AskForWork | Settle | FusionWanted | MemoryExceeded
    | TrialBegun | EpochTrained | TrialEnded | DryRunAnswer
    | MachineFault | FilesWanted | ChunkWanted | FileRemoved | LogWritten | FileChunk
)  # fmt: skip
FromConductor = (
    DryRunQuestions | ProbeWanted | Setup | Work | Settled | FusionDecided | FilesListed | Quit
)
