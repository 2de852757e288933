"""Scores what was exported on the sealed test rows; the ledger holds every opening (R8, P13)."""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from search.commands.support.ready_to_test import ready_to_test
from search.commands.support.scoring import Scorer, imported, kept_rows, spread, trials_scores
from search.commands.support.writes_told import writes_told
from search.config.counted import count
from search.config.foreign_code import say_code
from search.config.results_root import address
from search.config.trial_config import plain_config
from search.contract.arrays import FoldData
from search.contract.contract import Prepared, prepare
from search.contract.fingerprint import file_digest
from search.errors import COPY, Interrupted, UsageError
from search.results.by_group import write_test_groups
from search.results.ensemble import judged_before, read_members
from search.results.export import REFIT, refit_note
from search.results.findings import ANSWER, Findings, open_results
from search.results.summary.gap import gap_lines
from search.storage.folder import Folder
from search.storage.ledger import Ledger
from trainers.ensemble import FILE, predict
from trainers.mentions import unread_data
from trainers.teacher import EXPORTED


def open_test_set(options: Namespace) -> None:
    """Of the search that the options of `test` name; shows the scores."""
    folder, findings = open_results(options.name, root=options.results_root)
    config = ready_to_test(findings, folder, unfinished=options.unfinished)
    members = [OmegaConf.create(each["config"]) for each in read_members(folder)]
    say_code(folder.path, config, findings.plan.config, *members)
    with writes_told(COPY), folder.locked():
        ledger = Ledger(folder)
        earlier = _earlier(ledger, again=options.again)
        metric = findings.plan.metric
        prepared = prepare(config, metric=metric)
        folder.check_contract(prepared.contract)
        judge = Scorer(prepared, metric=metric, predict=imported(config.trainer.predict))
        exported = folder.best / EXPORTED
        seconds = findings.winner.seconds if findings.winner is not None else 0.0
        judge.check(config, exported, seconds=seconds)
        digest = file_digest(folder.best_config)
        known = {"config": digest, "metric": metric.name, "rows": len(prepared.split.test)}
        opening = ledger.begin(known)
        more = " --unfinished" if options.unfinished else ""
        with _told_if_cut_off(f"python -m search test {address(folder.path)} --again{more}"):
            several = _several(findings, folder, judge)
            answer = several.get(ANSWER) or judge.score(config, exported, seconds=seconds)
            averaged = _ensemble(config, folder, prepared, findings)
            trained_again = _refit(findings, config, folder, judge)
            held = float(np.mean(answer)) if trained_again is None else trained_again
            ledger.finish(opening, score=held)
        by_group = _by_group(findings, folder, prepared)
    metric, rows = opening["metric"], opening["rows"]
    if not several:
        text = f"{np.mean(answer):.4g} on {rows} rows (validation: {config.expected:.4g})"
        print(f"test {metric}: {text}")
    scores = {who: spread(values) for who, values in several.items()}
    if averaged is not None:
        scores["the ensemble"] = f"{averaged:.4g}"
    for who, score in scores.items():
        print(f"test {metric} of {who}: {score} on {rows} rows")
    if trained_again is not None:
        print(
            f"test {metric} of the winner trained again on train and validation: "
            f"{trained_again:.4g} on {rows} rows; the ledger holds this one"
        )
    both = sum(len(fold.val) for fold in prepared.split.folds), rows
    gap = _gap(findings, folder, several, rows=both)
    own = _own_rows(config, rows=rows)
    for line in [*by_group, *_without_weights(findings, folder), *gap, *own]:
        print(line)
    _say_earlier(earlier, number=opening["opening"])


@contextmanager
def _told_if_cut_off(command: str) -> Iterator[None]:
    """Within it a signal says that the ledger has the opening: the same command would be refused,
    and this one opens the rows once more.

    Raises:
        Interrupted: by a signal.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            "test: interrupted once the ledger had this opening, which has no score: "
            f"{command} opens the test set once more",
            code="test-was-cut-off",
        ) from None


def _earlier(ledger: Ledger, *, again: bool) -> list[dict[str, Any]]:
    """The openings so far.

    Raises:
        UsageError: there are some, and the rows are not to be opened `again`.
    """
    # a reference chooses nothing by its scores
    earlier = [line for line in ledger.openings() if not line.get("reference")]
    if earlier and not again:
        raise UsageError(
            f"{ledger.path}: the test set is looked at once (P13), but it was opened "
            f"{count(len(earlier), 'time')}:\n{_shown(earlier)}\n--again opens it and says so",
            code="test-set-was-opened",
        )
    return earlier


def _say_earlier(openings: Sequence[Mapping[str, Any]], *, number: object) -> None:
    """What was seen of these rows before the opening of this number."""
    if openings:
        print(f"these rows were seen before:\n{_shown(openings)}")
        print(
            f"this is opening {number}; "
            "a choice made after the first is a choice made on the test set"
        )


def _without_weights(findings: Findings, folder: Folder) -> list[str]:
    """Which seeds of the answer are not among its scores, since only their weights are gone."""
    trials = findings.confirmed.get(ANSWER, ())
    kept = [row.spec.trial for row in kept_rows(findings, folder, trials)]
    lost = [
        row.spec.trial
        for row in findings.rows
        if row.spec.trial in trials and row.state == "complete" and row.spec.trial not in kept
    ]
    words = f"not scored, without weights in checkpoints/: trial {', '.join(map(str, lost))}"
    return [words] if kept and lost else []


def _several(findings: Findings, folder: Folder, judge: Scorer) -> dict[str, list[float]]:
    """The scores of all seeds of a confirmed answer, and of the baseline; empty without several."""
    known = {
        who: trials_scores(findings, folder, trials, judge=judge)
        for who, trials in findings.confirmed.items()
    }
    known = {who: values for who, values in known.items() if len(values) > 1}
    return known if ANSWER in known else {}


def _ensemble(
    config: DictConfig, folder: Folder, prepared: Prepared, findings: Findings
) -> float | None:
    """The score of the average beside the answer; None where none was adopted."""
    judged = judged_before(folder)
    if judged is None or not judged[0]:
        return None
    judge = Scorer(prepared, metric=findings.plan.metric, predict=predict)
    # Each member brings features of its own, so the rows stay as they are here.
    bare = OmegaConf.create({**plain_config(config, resolve=True), "features": {}})
    return judge.score(bare, folder.ensemble / FILE, seconds=0.0)


def _by_group(findings: Findings, folder: Folder, prepared: Prepared) -> list[str]:
    """The exported weights' scores by named group of test rows, in words."""
    if findings.winner is None:
        return []
    rows = FoldData(data=prepared.final, units=prepared.units)
    line = write_test_groups(findings.plan, findings.winner, folder, rows=rows)
    return [line] if line else []


def _refit(findings: Findings, config: DictConfig, folder: Folder, judge: Scorer) -> float | None:
    """The score of the winner trained on train and validation together; None without one."""
    winner, weights = findings.winner, folder.best / REFIT
    note = refit_note(folder)
    if winner is None or note.get("trial") != winner.spec.trial or not weights.exists():
        return None
    return judge.score(config, weights, seconds=winner.seconds)


def _gap(
    findings: Findings, folder: Folder, several: Mapping[str, list[float]], *, rows: tuple[int, int]
) -> list[str]:
    """What is lost from validation to test, and what that may mean."""
    validation = {
        who: [row.value for row in kept_rows(findings, folder, trials) if row.value is not None]
        for who, trials in findings.confirmed.items()
    }
    return gap_lines(findings.plan.metric, validation=validation, test=several, rows=rows)


def _own_rows(config: DictConfig, *, rows: int) -> list[str]:
    """That a trainer takes rows of its own, among which those of the test may be."""
    trainer = str(config.trainer._target_)
    data = unread_data(trainer)
    return [
        f"{trainer} never reads its argument {data!r}, so it takes rows of its own: it may have "
        f"trained on these {rows}, and then the score says nothing of new ones; let it train on "
        f"{data}.train.index, in a search of another name"
    ] if data else []  # fmt: skip


def _shown(openings: Sequence[Mapping[str, Any]]) -> str:
    """A line per opening: when, by which search, and what it said."""
    return "\n".join(
        f"  {_minute(opening.get('when'))} by {opening.get('search', 'a search')}: "
        f"{opening.get('metric', 'score')} {_score(opening.get('score'))}"
        for opening in openings
    )


def _minute(when: str | None) -> str:
    """`2026-11-27 10:51 +0000`; a ledger of long ago may hold no time."""
    return f"{datetime.fromisoformat(when):%Y-%m-%d %H:%M %z}" if when else "once"


def _score(score: float | None) -> str:
    return "unknown, since that test was cut off" if score is None else f"{score:.4g}"
