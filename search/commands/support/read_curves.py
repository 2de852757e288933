"""Reads the learning curves that the doctor is asked about: of a search, a trial or logs."""

from argparse import Namespace

from search.commands.support.reading import Reading
from search.config.knob_parts import EPOCHS, RATE
from search.diagnostics.logs.read import read_logs
from search.diagnostics.verdicts.across_trials import across, trained
from search.diagnostics.verdicts.rules import Verdict, judge, unheld, unscaled
from search.errors import UsageError, refused
from search.results.findings import Findings
from search.results.summary.advise import deleted, next_lines, remarks
from search.results.summary.verdicts import turnable
from search.results.tables import load_search

ALWAYS = ["trial", "fold", "epoch", "step", "seconds"]  # columns of all curves


def of_search(options: Namespace) -> Reading:
    """The verdicts on a search, or on one of its trials."""
    loaded = load_search(options.name, root=options.results_root)
    findings = loaded.findings
    if not findings.verdicts and findings.without_curves:
        words = f"{loaded.folder.path}: {deleted(findings)[0]}"
        raise UsageError(words, code="curves-were-deleted")
    if options.trial is not None:
        verdict = _verdict(findings, options.trial)
        verdicts = {options.trial: verdict}
        trained = [row for row in findings.rows if str(row.spec.trial) == options.trial]
        acts = turnable(findings, trained)
        return Reading(name=options.name, verdicts=verdicts, findings=findings, acts=acts)
    if not findings.verdicts:
        columns = loaded.curves.dropna(axis="columns", how="all").columns.difference(ALWAYS)
        raise refused(
            options.name,
            code="verdict-needs-both-losses",
            rule="a verdict needs train_loss and val_loss",
            got=f"curves of {', '.join(columns)}" if len(columns) else "no epoch yet",
            remedy="yield both, or print them, under these names"
            if len(columns)
            else "wait, or give the search's command again",
        )
    return Reading(
        name=options.name,
        verdicts={str(trial): verdict for trial, verdict in findings.verdicts.items()},
        findings=findings,
        acts=turnable(findings, findings.rows),
        together=remarks(findings),
        then=[*next_lines(findings), *deleted(findings)],
    )


def of_logs(options: Namespace) -> Reading:
    """The verdicts on somebody's logs."""
    log = read_logs(
        options.csv,
        classes=options.classes or 0,
        constant=options.constant,
        columns=dict(options.columns or ()),
    )
    verdicts = {name: judge(curves) for name, curves in log.trainings.items()}
    untold = {name for curves in log.trainings.values() for name in unscaled(curves)}
    return Reading(
        name=str(options.csv),
        verdicts=verdicts,
        together=across([trained(c, verdicts[name].name) for name, c in log.trainings.items()]),
        untold=sorted(untold - {verdict.name for verdict in verdicts.values()}),
        unheld=sorted({name for curves in log.trainings.values() for name in unheld(curves)}),
        columns=log.columns,
        left_out=log.left_out,
        then=["boosting: an epoch is a round, and its knobs are others"] if log.boosted else (),
        acts=(EPOCHS, RATE) if log.boosted else None,
    )


def _verdict(findings: Findings, trial: str) -> Verdict:
    rows = {str(row.spec.trial): row for row in findings.rows}
    if trial not in rows:
        rule = f"trials are 0 to {len(rows) - 1}" if rows else "the search has no trial yet"
        remedy = "name one of them" if rows else "wait, or give the search's command again"
        raise refused(f"doctor {trial}", code="no-such-trial", rule=rule, got=trial, remedy=remedy)
    verdict = findings.verdicts.get(int(trial))
    if verdict is None:
        rule, got = "a verdict needs curves of both losses", f"a trial that is {rows[trial].state}"
        raise refused(
            f"doctor {trial}",
            code="verdict-needs-curves",
            rule=rule,
            got=got,
            remedy="wait or take another",
        )
    return verdict
