"""Opens the sealed test set for the exported config, once, and writes it down (R8, P13)."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_object
from omegaconf import OmegaConf

from search.commands.support.arguments import VerbParser
from search.commands.support.imports import say_imports
from search.config.config_file import load_config
from search.config.results_root import address
from search.contract.contract import Prepared, prepare
from search.contract.metrics import OUTPUTS, output_of, scores
from search.errors import RunError, UsageError
from search.results.findings import Findings, open_results
from search.storage.folder import Folder
from search.storage.ledger import Ledger
from trainers.api import Predict
from trainers.rows import own_rows

SUMMARY = "opens the sealed test set for the exported config, once"


def parser() -> VerbParser:
    """`NAME [--again]`."""
    examples = [
        ("python -m search test lr_sweep", "the winner's score on the test rows, once"),
        ("python -m search test lr_sweep --again", "a second time; the ledger says so"),
    ]
    parser = VerbParser("test", summary=SUMMARY, examples=examples)
    parser.add_name()
    parser.add_argument("--again", action="store_true", help="open it although it was opened")
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Scores best/ on the test rows; refuses a second time without --again."""
    options = parser().parse(words)
    folder, findings = open_results(options.name, root=options.results_root)
    weights = folder.best / "weights.safetensors"
    if not folder.best_config.exists() or not weights.exists():
        raise UsageError(
            f"test: needs {folder.best_config} and {weights}, but one is missing; "
            f"finish the search; see python -m search status {address(folder.path)}"
        )
    config = load_config(folder.best_config, overrides=[])
    if not config.trainer.predict:
        raise UsageError(
            "test: needs trainer.predict, a function that predicts the test rows, but got null; "
            "see trainers/README.md"
        )
    say_imports(config, folder.best_config)
    with folder.locked():
        ledger = Ledger(folder)
        earlier = ledger.openings()
        if earlier and not options.again:
            raise UsageError(
                f"{ledger.path}: the test set is looked at once (P13), but it was opened "
                f"{len(earlier)} times:\n{_shown(earlier)}\n--again opens it and says so"
            )
        prepared = prepare(config, metric=findings.plan.metric)
        folder.check_contract(prepared.contract)
        predict = _import(config.trainer.predict)
        opening = ledger.begin(
            {
                "config": hashlib.sha256(folder.best_config.read_bytes()).hexdigest(),
                "metric": findings.plan.metric.name,
                "rows": len(prepared.split.test),
            }
        )
        value = _score(folder, prepared, findings=findings, predict=predict)
        ledger.finish(opening, score=value)
    print(
        f"test {opening['metric']}: {value!r} on {opening['rows']} rows "
        f"(validation: {config.expected!r})"
    )
    if earlier:
        print(f"these rows were seen before:\n{_shown(earlier)}")
        print(
            f"this is opening {opening['opening']}; "
            "a choice made after the first is a choice made on the test set"
        )
    return 0


def _shown(openings: Sequence[Mapping[str, Any]]) -> str:
    """A line per opening: when, by which search, and what it said."""
    return "\n".join(
        f"  {opening.get('when', 'once')} by {opening.get('search', 'a search')}: "
        f"{opening.get('metric', 'score')} {opening.get('score')}"
        for opening in openings
    )


def _score(folder: Folder, prepared: Prepared, *, findings: Findings, predict: Predict) -> float:
    config = OmegaConf.to_container(load_config(folder.best_config, overrides=[]), resolve=True)
    assert isinstance(config, dict)
    plain, metric = {str(key): value for key, value in config.items()}, findings.plan.metric
    test = prepared.final.test
    try:
        values = dict(
            predict(plain, own_rows(prepared.final), "cpu", folder.best / "weights.safetensors")
        )
        output = output_of(values)
        if output is not None and test is not None and test.y is not None:
            units = prepared.contract.normalisation.get("target")
            values |= scores(
                metric, targets=np.asarray(test.y), kind=output[0], output=output[1], units=units
            )
        if metric.formula:
            return metric.combine(
                {
                    **values,
                    "seconds": findings.winner.seconds if findings.winner is not None else 0.0,
                }
            )
        return float(values[metric.name])
    except Exception as error:  # a user's function may raise anything, and return anything
        raise RunError(
            f"trainer.predict: must return a dict with {', '.join(OUTPUTS)} or {metric.name!r} "
            f"for data.test.index, but got {type(error).__name__}: {error}; "
            f"mend {config['trainer']['predict']}, then say --again"
        ) from error


def _import(path: str) -> Predict:
    try:
        predict: Predict = get_object(path)
    except Exception as error:  # importing runs a user's module, which may raise anything
        raise UsageError(
            f"trainer.predict: must name a function, but {path!r} cannot be imported: {error}; "
            "mend it"
        ) from error
    return predict
