"""What must hold before the sealed test set is opened: a finished search, and sound files."""

from shlex import quote

from omegaconf import DictConfig, OmegaConf

from search.commands.support.scoring import kept_rows
from search.config.config_file import load_config
from search.config.results_root import address
from search.errors import refused
from search.results.ensemble import read_members
from search.results.export import (
    PROVENANCE,
    REFIT,
    check_export,
    check_kept,
    damaged_weights,
    exported_trial,
    is_refitted,
    wants_refit,
)
from search.results.findings import Findings
from search.storage.folder import Folder
from search.storage.sealed import damaged
from trainers.checkpoint import WEIGHTS
from trainers.state import check_weights
from trainers.teacher import EXPORTED


def ready_to_test(findings: Findings, folder: Folder, *, unfinished: bool) -> DictConfig:
    """The exported config, once all is as it must be. `unfinished`: the answer so far will do.

    Raises:
        UsageError: something is not; the test set stays sealed.
    """
    _check_end(findings, accepted=unfinished)
    config = _exported(folder, findings)
    _check_weights(findings, folder)
    _check_winner(findings, folder)
    _check_refit(findings, folder)
    return config


def _check_end(findings: Findings, *, accepted: bool) -> None:
    """Whether the search has come to its end, or its answer so far is `accepted`.

    Raises:
        UsageError: trials are still to come, which could change the answer after its test.
    """
    if not findings.is_done and not accepted:
        raise refused(
            "test",
            code="test-needs-finished-search",
            rule="opens the test set once, for the answer of a finished search (R8, P13)",
            got="one that has not finished",
            remedy="give its command again, or accept the best so far: --unfinished",
        )


def _exported(folder: Folder, findings: Findings) -> DictConfig:
    """The config of best.yaml, with weights beside it and a function that predicts.

    Raises:
        UsageError: something of these is missing, or not as it was exported; or a program trained.
    """
    config = load_config(folder.best_config, overrides=[]) if folder.best_config.exists() else None
    if config is not None and OmegaConf.select(config, "trainer.command"):
        raise refused(
            "test",
            code="program-keeps-its-weights",
            rule="scores weights that a trainer gave to Knobwise",
            got="a program, which keeps its own",
            remedy="let the program score its test rows, once: its words are in "
            f"{folder.best_config}, what it saved in {folder.path / 'files'} "
            f"and {folder.checkpoints}",
        )
    if config is not None and not OmegaConf.select(config, "trainer.predict"):
        raise refused(
            "test",
            code="test-needs-predict",
            rule="needs trainer.predict, a function that predicts the test rows",
            got="null",
            remedy="write such a function (trainers/README.md) and its path into "
            f"{folder.best_config}, as predict: my_script.predict below trainer:",
        )
    files = [folder.best_config, folder.best / EXPORTED, folder.best / PROVENANCE]
    missing = [str(path) for path in files if not path.exists()]
    if config is None or missing:
        again = folder.path.with_name(f"{folder.path.name}-train")
        remedy = (
            f"train it again: python -m search train {quote(str(folder.best_config))}, then "
            f"python -m search test {address(again)}"
            if findings.is_done and config is not None
            else f"finish the search; see python -m search status {address(folder.path)}"
        )
        raise refused(
            "test",
            code="exported-files-missing",
            rule=f"needs {', '.join(missing)}",
            got="none",
            remedy=remedy,
        )
    check_export(folder)
    return config


def _check_weights(findings: Findings, folder: Folder) -> None:
    """Whether all weights that may be scored are sound, before the test set is opened.

    Raises:
        UsageError: a file is damaged, or one of the ensemble's is gone.
    """
    for trials in findings.confirmed.values():
        for row in kept_rows(findings, folder, trials):
            check_kept(folder.checkpoints / str(row.spec.trial) / WEIGHTS, row)
    refitted = folder.best / REFIT
    averaged = [folder.ensemble / str(each["weights"]) for each in read_members(folder)]
    for path in [*([refitted] if refitted.exists() else []), *averaged]:
        try:
            check_weights(path)
        except OSError as error:
            raise damaged(path, got=str(error.strerror)) from error
        except ValueError as error:
            raise damaged_weights(error) from error


def _check_winner(findings: Findings, folder: Folder) -> None:
    """Whether best/ holds the search's present answer.

    Raises:
        UsageError: it holds another trial.
    """
    exported, winner = exported_trial(folder), findings.winner
    if winner is not None and exported != winner.spec.trial:
        raise refused(
            str(folder.best),
            code="export-of-another-trial",
            rule=f"holds the search's answer, trial {winner.spec.trial}",
            got=f"trial {exported}",
            remedy="give the search's command again: it exports anew",
        )


def _check_refit(findings: Findings, folder: Folder) -> None:
    """Whether the winner was trained again on train and validation, where that was wanted.

    Raises:
        UsageError: it was not yet, or its weights are gone.
    """
    winner = findings.winner
    if winner is None or winner.best_epoch is None or not wants_refit(findings.plan):
        return
    if not is_refitted(folder, winner):
        raise refused(
            str(folder.best / REFIT),
            code="refit-is-missing",
            rule="holds the winner, trained on train and validation together (confirm.refit)",
            got="none",
            remedy="give the search's command again: it trains it",
        )
