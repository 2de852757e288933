"""What verdicts get right: the confusion matrix on planted curves, and alarms on sound trainings that nobody looked at before.

python tests/benchmarks/verdicts.py matrix             of the curves put aside while the rules were made (`--tuned`: of the others;
    `--bare`: as a plain CSV file tells them, without classes, epoch 0, layers and gradients;
    `--bare --scaled`: the same with classes or the constant)
python tests/benchmarks/verdicts.py sound [--runs 90] [--first 0]  trains digits with sound set-ups of random size, rate and seed
"""

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
import pandas as pd
import torch
from planted_curves import COSINE, FILE, Plant, adam, curves, model_of, sgd

from search.diagnostics.verdicts.advice import ALARMS
from search.diagnostics.verdicts.from_columns import curves_of
from search.diagnostics.verdicts.rules import NEED_SCALE, Verdict, judge


def verdict(frame: pd.DataFrame, *, classes: int, constant: float | None) -> Verdict:
    """On one training's rows."""
    columns = {name: frame[name].to_numpy() for name in frame}
    curves = curves_of(columns, metric="metric", sign=1.0, classes=classes, constant=constant)
    return judge(curves) if curves is not None else Verdict(name="nan", why="")


def matrix(aside: bool, *, bare: bool, scaled: bool) -> None:
    """Rows: what was planted; what was said instead, in words.

    `bare`: as a plain log; `scaled`: what a constant prediction loses is known nevertheless. Where it
    is not, `cannot_tell` is right for what needs it, or layers.
    """
    known = scaled or not bare
    untold = () if known else (*NEED_SCALE, "vanishing", "dead_units")
    table: dict[str, Counter[str]] = {}
    named, joint = Counter[str](), Counter[str]()
    for _, frame in pd.read_parquet(FILE).groupby("name", sort=False):
        if bool(frame.aside.iloc[0]) == aside:
            label, classes = str(frame.label.iloc[0]), int(frame.classes.iloc[0])
            constant = float(frame.constant.iloc[0])
            told = verdict(
                _bare(frame) if bare else frame,
                classes=classes if known else 0,
                constant=constant if known else None,
            )
            said = label if told.name == "cannot_tell" and label in untold else told.name
            table.setdefault(label, Counter())[said] += 1
            named[label] += label in (said, *told.alike)
            if told.word != told.name:
                joint[told.word] += 1
                joint["right"] += label in (told.name, *told.alike)
    print(
        "| planted | curves | said so | or left open | said instead |\n| --- | --- | --- | --- | --- |"
    )
    for label, row in sorted(table.items()):
        instead = ", ".join(
            f"{number} {name}" for name, number in row.most_common() if name != label
        )
        print(f"| {label} | {row.total()} | {row[label]} | {named[label]} | {instead} |")
    recalls = [row[label] / row.total() for label, row in table.items()]
    or_open = [named[label] / row.total() for label, row in table.items()]
    given_up = sum(row["cannot_tell"] for label, row in table.items() if label != "cannot_tell")
    right = joint.pop("right", 0)
    print(
        f"macro recall {np.mean(or_open):.3f}, where a joint word is right that holds what was planted "
        f"(right in {right} of {joint.total()}: {dict(sorted(joint.items()))}); "
        f"{np.mean(recalls):.3f} if only the first of its causes counted"
    )
    print(f"given up {given_up} of {sum(row.total() for row in table.values())}")


def _bare(frame: pd.DataFrame) -> pd.DataFrame:
    """What a plain log holds: losses and a metric, from the first trained epoch on."""
    columns = ["epoch", "train_loss", "val_loss", "metric", "lr"]
    return frame.loc[frame.epoch > 0, columns]


def sound(runs: int, first: int) -> None:
    """Shares of verdicts on sound trainings: digits, a rate that falls to zero, enough epochs.

    Of all that was recorded, and of what a plain log holds, with the number of classes.
    """
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    counts, plain = Counter[str](), Counter[str]()
    for run in range(first, first + runs):
        dice = np.random.default_rng(10_000 + run)
        kind = ("mlp", "cnn", "gru")[run % 3]
        width = int(dice.choice({"mlp": [48, 64, 128], "cnn": [16, 24], "gru": [24, 32, 48]}[kind]))
        rate = float(1.5 ** dice.uniform(-1, 1))
        optimizer = adam(
            rate * {"mlp": 1e-3, "cnn": 5e-3, "gru": 5e-3}[kind],
            weight_decay=float(dice.choice([0.0, 1e-4])),
        )
        if dice.random() < 0.3:
            optimizer = sgd(rate * {"mlp": 0.05, "cnn": 0.1, "gru": 0.2}[kind])
        plant = Plant(
            label="converged", data="digits", name=kind, model=model_of(kind, "digits", width=width), optimizer=optimizer,
            epochs=int(dice.integers(30, 60)), batch=int(dice.choice([32, 64])), schedule=COSINE,
        )  # fmt: skip
        frame, constant = curves(plant, seed=10_000 + run)
        said = verdict(frame, classes=10, constant=constant).name
        logged = verdict(_bare(frame), classes=10, constant=None).name
        counts[said] += 1
        plain[logged] += 1
        if {said, logged} & set(ALARMS):
            words = f"{said}, as a plain log {logged}"
            print(f"run {run}, {kind}, {len(frame) - 1} epochs: {words}", flush=True)
    for what, said_so in (("", counts), (", as plain logs with classes", plain)):
        alarms = sum(said_so[name] for name in ALARMS)
        share = f"{alarms} alarms ({100 * alarms / runs:.1f} %)"
        print(f"{runs} sound trainings{what}: {share}; {dict(said_so.most_common())}")


def main() -> None:
    """Prints one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["matrix", "sound"])
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--scaled", action="store_true")
    parser.add_argument("--runs", type=int, default=90)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.what == "matrix":
        matrix(not chosen.tuned, bare=chosen.bare, scaled=chosen.scaled)
    else:
        sound(chosen.runs, chosen.first)


if __name__ == "__main__":
    main()
