"""Averages of trainings' outputs, scored on validation, and whether one is better than the answer's
trainings (R35).

Never sees test rows; an average takes the place of a simpler one only beyond chance.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.config.plan import Plan
from search.config.text import one_line
from search.config.trial_config import plain_config
from search.contract.arrays import read_folds
from search.contract.metrics import Metric, scores
from search.results.export import check_kept, trained_config, written_config
from search.storage.folder import Folder
from search.storage.sealed import read_json, write_json
from search.storage.trials import TrialRecord, ranked
from trainers.api import Data
from trainers.checkpoint import WEIGHTS
from trainers.ensemble import FILE, Outputs, kind_of, member_outputs
from trainers.snapshots import snapshot_file, wave_ends

DRAWS, LEVEL = 400, 0.05  # bootstrap samples of the validation rows, and how often chance may win
FEWEST = 20  # validation rows below which a bootstrap of them tells no average from chance
MOST = 5  # configurations in an average of different ones
SEEDS, SNAPSHOTS = "the answer's seeds", "snapshots of one training"
PREDICT = "trainers.ensemble.predict"
Index = NDArray[np.int64] | slice


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """`of`: what is averaged, in words; `members`: these; `scores`: of each; `score`: of the
    average; `alone`: the mean of the answer's trainings. `reason`: why there is none.
    """

    of: str = ""
    members: tuple["Member", ...] = ()
    scores: tuple[float, ...] = ()
    score: float = np.nan
    alone: float = np.nan
    is_better: bool = False
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A training whose outputs may be averaged, by one file of its weights."""

    row: TrialRecord
    file: str = WEIGHTS

    @property
    def trial(self) -> int:
        """The trial's running number."""
        return self.row.spec.trial

    @property
    def name(self) -> str:
        """The name of its weights in ensemble/: `3.safetensors`, `3-snapshot-7.safetensors`."""
        return f"{self.trial}{'.safetensors' if self.file == WEIGHTS else f'-{self.file}'}"


def candidates_of(
    plan: Plan, folder: Folder, answer: Sequence[TrialRecord], rows: Sequence[TrialRecord]
) -> dict[str, list[Member]]:
    """What may be averaged, the simplest first: the answer's seeds, snapshots of one of these
    trainings, the best configurations of the search with a training each, and these with the seeds.

    Without trainings whose weights are no longer there. The first candidate is the answer.
    """
    seeds = [row for row in answer if row.state == "complete"]
    best: dict[tuple[Any, ...], TrialRecord] = {}
    for row in (*seeds[:1], *ranked((*seeds[:1], *rows), sign=plan.metric.sign)):
        best.setdefault(tuple(sorted(row.spec.knobs.items())), row)
    others = list(best.values())[:MOST]
    both = {row.spec.trial: row for row in (*seeds, *others)}
    candidates = {
        SEEDS: [Member(row=row) for row in seeds],
        SNAPSHOTS: _snapshots(plan, folder, seeds[:1]),
        "the best configurations": [Member(row=row) for row in others],
        "the answer's seeds and the best configurations": [
            Member(row=row) for row in both.values()
        ],
    }
    return {
        name: [member for member in members if _weights(folder, member).exists()]
        for name, members in candidates.items()
    }


def _snapshots(plan: Plan, folder: Folder, rows: Sequence[TrialRecord]) -> list[Member]:
    """The weights at the ends of a training's waves, up to its last epoch."""
    return [
        Member(row=row, file=snapshot_file(epoch))
        for row in rows
        for epoch in sorted(wave_ends(trained_config(plan, row)))
        if epoch <= row.epochs
    ]


def judge_ensemble(
    plan: Plan, folder: Folder, candidates: Mapping[str, Sequence[Member]]
) -> Ensemble:
    """The average to keep. The first candidate holds the answer's trainings."""
    folds = read_folds(folder.arrays)
    answer = next(iter(candidates.values()))
    if plan.program:
        return Ensemble(reason="a program keeps its own weights, so there are none to average")
    if not plan.config.trainer.get("predict"):
        return Ensemble(reason="the trainer has no function that predicts (trainer.predict)")
    if len(folds) != 1 or not answer or plan.metric.formula:
        return Ensemble(reason=_not_averaged(len(folds), answer))
    data, units = folds[0].data, folds[0].units
    every = {member.name: member for members in candidates.values() for member in members}
    for member in every.values():
        check_kept(_weights(folder, member), member.row)
    if data.val.y is None or len(data.val.y) < FEWEST:
        rows = 0 if data.val.y is None else len(data.val.y)
        return Ensemble(reason=f"{rows} validation rows with labels are too few to judge averages")
    judge = _Judge(plan, np.asarray(data.val.y), units=units)
    try:
        outputs = {name: _outputs(plan, folder, member, data) for name, member in every.items()}
        known = {name: each for name, each in outputs.items() if each is not None}
        single = {name: judge.score(each, slice(None)) for name, each in known.items()}
    except Exception as error:  # noqa: BLE001  # a user's function may raise anything
        text = one_line(f"{type(error).__name__}: {error}")
        return Ensemble(reason=f"trainer.predict gives nothing to average: {text}")
    if len(known) < len(every):
        return Ensemble(reason="the outputs are neither numbers nor probabilities")
    best = alone = [known[member.name] for member in answer]
    chosen = Ensemble(alone=float(np.mean([single[member.name] for member in answer])))
    for of, members in candidates.items():
        stacked = [known[member.name] for member in members]
        if len(stacked) < 2 or not judge.is_better(stacked, than=best, single=best is alone):
            continue
        best = stacked
        chosen = replace(
            chosen,
            of=of,
            members=tuple(members),
            scores=tuple(single[member.name] for member in members),
            score=judge.score(np.mean(stacked, axis=0), slice(None)),
            is_better=True,
        )
    return chosen


class _Judge:
    """Scores outputs for the validation rows, and compares averages by a paired bootstrap."""

    def __init__(self, plan: Plan, targets: NDArray[Any], *, units: dict[str, Any] | None) -> None:
        self._metric: Metric = plan.metric
        self._kind = kind_of(plain_config(plan.config, resolve=True))
        self._targets, self._units = targets, units
        dice = np.random.default_rng(plan.seed)
        self._draws = [dice.integers(len(targets), size=len(targets)) for _ in range(DRAWS)]

    def score(self, output: Outputs, index: Index) -> float:
        """The contract's metric on some rows."""
        values = scores(
            self._metric,
            targets=self._targets[index],
            kind=self._kind,
            output=output[index],
            units=self._units,
        )
        return float(values[self._metric.name])

    def is_better(
        self, members: Sequence[Outputs], *, than: Sequence[Outputs], single: bool
    ) -> bool:
        """Whether the average is better beyond chance. `single`: than each alone, in the mean;
        else than the average of these.
        """
        average = np.mean(members, axis=0)
        others = list(than) if single else [np.mean(than, axis=0)]
        gains = [
            self.score(average, index) - np.mean([self.score(each, index) for each in others])
            for index in self._draws
        ]
        return float(np.quantile(self._metric.sign * np.array(gains), LEVEL / 2)) > 0


def _not_averaged(folds: int, answer: Sequence[Member]) -> str:
    """Why no average is judged."""
    if folds != 1:
        return f"{folds} folds have no validation rows in common, on which averages could be judged"
    if not answer:
        return "no weights of the answer's trainings are there"
    return "a metric that is a formula is not computed of averages"


def in_words(ensemble: Ensemble, *, metric: Metric) -> str:
    """What was found."""
    alone = f"{ensemble.alone:.4g}, the mean of the answer's trainings alone"
    if not ensemble.is_better:
        return f"no average is better beyond chance than {metric.name} {alone}"
    is_fair = ensemble.of in (SEEDS, SNAPSHOTS)
    chosen = "" if is_fair else "; these rows chose its members, which flatters it"
    return (
        f"the average of {len(ensemble.members)} models ({ensemble.of}): {metric.name} "
        f"{ensemble.score:.4g}, against {alone}{chosen}; in ensemble/"
    )


def write_ensemble(plan: Plan, folder: Folder, ensemble: Ensemble, *, says: str) -> None:
    """ensemble/: the members' weights and configs, by which `PREDICT` predicts, and what was found.

    `says`: the outcome in words, which a resumed search repeats.
    """
    folder.ensemble.mkdir(exist_ok=True)
    members = []
    for each, score in zip(ensemble.members, ensemble.scores, strict=True):
        row = each.row
        shutil.copy2(_weights(folder, each), folder.ensemble / each.name)
        member = {"weights": each.name, "trial": each.trial, "seed": row.spec.seed}
        config = written_config(plan, row)
        members.append({**member, "score": score, "knobs": dict(row.spec.knobs), "config": config})
    content = {
        "predict": PREDICT,
        "of": ensemble.of,
        "adopted": ensemble.is_better,
        "metric": plan.metric.name,
        "score": ensemble.score if ensemble.is_better else None,
        "says": says,
        "members": members,
    }
    write_json(folder.ensemble / FILE, content)


def judged_before(folder: Folder) -> tuple[bool, str] | None:
    """Whether an average was adopted, and in which words; None before it was judged."""
    path = folder.ensemble / FILE
    if not path.exists():
        return None
    content = read_json(path, keys=["adopted", "says"])
    return bool(content["adopted"]), str(content["says"])


def read_members(folder: Folder) -> list[dict[str, Any]]:
    """The trainings that an average is made of, as they are written; none before one was judged."""
    path = folder.ensemble / FILE
    return list(read_json(path, keys=["members"])["members"]) if path.exists() else []


def _weights(folder: Folder, member: Member) -> Path:
    return folder.checkpoints / str(member.trial) / member.file


def _outputs(plan: Plan, folder: Folder, member: Member, data: Data) -> Outputs | None:
    """A member's outputs for the validation rows, which stand in for the rows to predict."""
    shown = replace(data, test=data.val)
    return member_outputs(trained_config(plan, member.row), shown, "cpu", _weights(folder, member))
