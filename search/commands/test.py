"""Opens the sealed test set for the exported config, once, and writes it down (R8, P13)."""

import hashlib
from datetime import datetime
from pathlib import Path

import numpy as np
from hydra.utils import get_object
from omegaconf import OmegaConf

from search.commands import one_name
from search.compose import load_config
from search.contract import Prepared, prepare
from search.errors import UsageError
from search.folder import Folder, append_line
from search.metrics import Metric, output_of, score
from search.results import open_results
from trainers.api import Predict

SUMMARY = "opens the sealed test set for the exported config, once"
USAGE = "test NAME [--again]"


def run(words: list[str], config_dir: Path | None) -> int:
    """Scores best/ on the test rows; refuses a second time without --again."""
    again = "--again" in words
    name = one_name([word for word in words if word != "--again"], USAGE)
    folder, findings = open_results(name, root=Path("results"))
    weights = folder.best / "weights.safetensors"
    if not folder.best_config.exists() or not weights.exists():
        raise UsageError(
            f"test: needs {folder.best_config} and {weights}, but one is missing; finish the search: python -m search {name}"
        )
    config = load_config(folder.best_config, overrides=[])
    if not config.trainer.predict:
        raise UsageError(
            "test: needs trainer.predict, a function that predicts the test rows, but got null; see trainers/README.md"
        )
    with folder.locked():
        openings = folder.ledger.read_text().splitlines() if folder.ledger.exists() else []
        if openings and not again:
            raise UsageError(
                f"{folder.ledger}: the test set is looked at once (P13), but it was opened {len(openings)} times; "
                "--again opens it and says so"
            )
        prepared = prepare(config, metric=findings.plan.metric)
        folder.check_contract(prepared.contract)
        value = _score(folder, prepared, metric=findings.plan.metric, predict=get_object(config.trainer.predict))
        record = {
            "when": datetime.now().astimezone().isoformat(timespec="seconds"),
            "config": hashlib.sha256(folder.best_config.read_bytes()).hexdigest(),
            "metric": findings.plan.metric.name,
            "score": value,
            "rows": len(prepared.split.test),
            "opening": len(openings) + 1,
        }
        append_line(folder.ledger, record)
    print(f"test {record['metric']}: {value!r} on {record['rows']} rows (validation: {config.expected!r})")
    if openings:
        print(f"this is opening {record['opening']}; a choice made after the first is a choice made on the test set")
    return 0


def _score(folder: Folder, prepared: Prepared, *, metric: Metric, predict: Predict) -> float:
    config = OmegaConf.to_container(load_config(folder.best_config, overrides=[]), resolve=True)
    assert isinstance(config, dict)
    values = predict(
        {str(key): value for key, value in config.items()}, prepared.data, "cpu", folder.best / "weights.safetensors"
    )
    output, test = output_of(values), prepared.data.test
    if output is None or test is None or test.y is None:
        return float(values[metric.name])
    return score(metric, targets=np.asarray(test.y), kind=output[0], output=output[1])
