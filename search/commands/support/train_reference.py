"""Trains the models of a reference and compares them, on the test rows, with what is published."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from search.commands.support.scoring import Scorer, imported, kept_rows, trials_scores
from search.config.catalogue import reference_names
from search.config.compose import compose_experiment
from search.config.program_name import as_started
from search.config.reference import Reference, read_reference
from search.config.words import changed_keys
from search.contract.contract import prepare
from search.contract.fingerprint import file_digest
from search.errors import RunError, refused
from search.execution.terminal import Terminal
from search.lifecycle.launch import launch
from search.results.findings import Findings
from search.storage.folder import Folder
from search.storage.ledger import Ledger

BESIDE = ("lanes=", "seeds=")  # further words that leave the recipe as it is
Scores = Mapping[str, Sequence[float]]


def list_references() -> None:
    """A line per reference: its name, and who has published it; then how to train one."""
    for name in reference_names():
        Terminal().say(f"{name:<10} {read_reference(name).source}")
    Terminal().say(f"to train and compare: {as_started('python -m search reference NAME')}")


def train_reference(
    name: str, overrides: list[str], config_dir: Path | None, *, command: str
) -> int:
    """Trains and compares; returns the exit code."""
    console, reference = Terminal(), read_reference(name)
    config = compose_experiment(reference.experiment, overrides=overrides, config_dir=config_dir)
    reference = _chosen(reference, config)
    findings = launch(config, console=console, command=command)
    scores = _tested(findings, reference)
    missed = _show(reference, scores, metric=findings.plan.metric.name, console=console)
    changed = changed_keys(overrides, beside=BESIDE)
    if missed and changed:
        console.say(f"another recipe than the published one: {', '.join(changed)} was changed")
    return 1 if missed and not changed else 0


def _chosen(reference: Reference, config: DictConfig) -> Reference:
    """The reference with the models that the config trains.

    Raises:
        UsageError: it trains none of them.
    """
    choices = list(config.space.model.choices)
    models = {name: each for name, each in reference.models.items() if name in choices}
    if not models:
        rule = f"a reference trains one of {', '.join(reference.models)}"
        remedy = "name one of them"
        raise refused(
            "space.model.choices",
            code="reference-trains-other-models",
            rule=rule,
            got=", ".join(choices),
            remedy=remedy,
        )
    return replace(reference, models=models)


def _tested(findings: Findings, reference: Reference) -> Scores:
    """The scores on the test rows of every seed of every model; the ledger names the opening.

    Raises:
        RunError: a model has no weights to score.
    """
    plan, folder = findings.plan, Folder(findings.plan.folder)
    with folder.locked():
        prepared = prepare(plan.config, metric=plan.metric)
        folder.check_contract(prepared.contract)
        predict = imported(str(plan.config.trainer.predict))
        judge = Scorer(prepared, metric=plan.metric, predict=predict)
        trials = {
            model: [row.spec.trial for row in findings.rows if row.spec.knobs.get("model") == model]
            for model in reference.models
        }
        for model, numbers in trials.items():
            if not kept_rows(findings, folder, numbers):
                raise RunError(
                    f"reference {reference.name}: no training of {model} has ended with weights; "
                    f"see {folder.path / 'trials.csv'}, then train anew: name=…",
                    code="reference-without-weights",
                )
        opening = Ledger(folder).begin(
            {
                "config": file_digest(folder.config),
                "metric": plan.metric.name,
                "rows": len(prepared.split.test),
                "reference": reference.name,
            }
        )
        scores = {
            model: trials_scores(findings, folder, numbers, judge=judge)
            for model, numbers in trials.items()
        }
        Ledger(folder).finish(opening, score=max(float(np.mean(each)) for each in scores.values()))
    return scores


def _show(reference: Reference, scores: Scores, *, metric: str, console: Terminal) -> list[str]:
    """The table; returns the models that stay below."""
    missed = []
    console.say(f"\ntest {metric}, published by {reference.source}:")
    for model, published in reference.models.items():
        values = scores[model]
        mean = float(np.mean(values))
        is_reached = mean >= published.value - published.spread
        missed += [] if is_reached else [model]
        console.say(
            f"{model:>14}  {mean:.3f}, mean of {len(values)} from {min(values):.3f} to "
            f"{max(values):.3f}; published {published.value:g} ± {published.spread:g}: "
            f"{'reached' if is_reached else 'not reached'}"
        )
    return missed
