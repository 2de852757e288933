"""Range tests against real sweeps: does the best rate of a sweep over six decades lie inside the range that was told?

python tests/benchmarks/lr_range.py [--keep FOLDER] [--only TEXT]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

SUPPORT = Path(__file__).parents[1] / "support"
RECURRENT = [
    "model=own",
    "~model.width",
    "+model._target_=planted.Recurrent",
    "+model.outputs=${data.outputs}",
]
WAVES = ["data._target_=planted.waves", "data.inputs=null", "data.outputs=null", *RECURRENT]
XOR = ["data._target_=planted.xor", "data.inputs=null", "data.outputs=null"]
DIABETES = ["data=diabetes", "metric=r2", "loss=mse"]
SETUPS = {
    "digits, MLP, SGD": [],
    "digits, MLP, Adam": ["optimizer=adam"],
    "digits, MLP, RMSprop": ["optimizer=rmsprop"],
    "digits, MLP of 3 layers, Nesterov": ["optimizer=nesterov", "model.depth=3"],
    "digits, MLP, plain SGD": ["optimizer=sgd_plain"],
    "digits, CNN, SGD": ["model=cnn2d", "model.width=16"],
    "digits, CNN, Adam": ["model=cnn2d", "model.width=16", "optimizer=adam"],
    "mnist1d, MLP, SGD": ["data=mnist1d"],
    "mnist1d, MLP, Adam": ["data=mnist1d", "optimizer=adam"],
    "mnist1d, MLP, Adagrad": ["data=mnist1d", "optimizer=adagrad"],
    "mnist1d, CNN, SGD": ["data=mnist1d", "model=cnn1d", "model.width=16"],
    "mnist1d, CNN, AdamW": ["data=mnist1d", "model=cnn1d", "model.width=16", "optimizer=adamw"],
    "breast_cancer, MLP, SGD": ["data=breast_cancer"],
    "breast_cancer, MLP, AdamW": ["data=breast_cancer", "optimizer=adamw"],
    "diabetes, MLP, SGD": DIABETES,
    "diabetes, MLP, Adam": [*DIABETES, "optimizer=adam"],
    "XOR, MLP, Adam": [*XOR, "optimizer=adam"],
    "waves, GRU, Adam": [*WAVES, "optimizer=adam"],
    "waves, GRU, SGD": WAVES,
}
# Not looked at while the rule was made.
FRESH = {
    "digits, MLP, AMSGrad": ["optimizer=amsgrad"],
    "digits, tanh, Nesterov": ["optimizer=nesterov", "model.activation=tanh"],
    "digits, batches of 128, Adam": ["optimizer=adam", "trainer.batch_size=128"],
    "digits, dropout, SGD": ["model.dropout=0.5"],
    "digits, 3 sigmoid layers, Adam": [
        "model.depth=3",
        "model.activation=sigmoid",
        "optimizer=adam",
    ],
    "digits, linear, SGD": ["model.depth=0"],
    "mnist1d, MLP of 3 layers, SGD": ["data=mnist1d", "model.depth=3"],
    "mnist1d, batches of 128, Nesterov": [
        "data=mnist1d",
        "optimizer=nesterov",
        "trainer.batch_size=128",
    ],
    "mnist1d, CNN, RMSprop": ["data=mnist1d", "model=cnn1d", "model.width=16", "optimizer=rmsprop"],
    "breast_cancer, plain SGD": ["data=breast_cancer", "optimizer=sgd_plain"],
    "breast_cancer, batches of 8, Adam": [
        "data=breast_cancer",
        "optimizer=adam",
        "trainer.batch_size=8",
    ],
    "diabetes, MLP of 2 layers, Nesterov": [*DIABETES, "optimizer=nesterov", "model.depth=2"],
    "diabetes, linear, AdamW": [*DIABETES, "optimizer=adamw", "model.depth=0"],
    "unbalanced, SGD": [
        "data._target_=planted.rare",
        "data.inputs=null",
        "data.outputs=null",
        "metric=log_loss",
    ],
}
SWEEP = [
    "space.optimizer.lr.low=1e-5", "space.optimizer.lr.high=10", "space.optimizer.lr.points=19",
    "protocol.refine=0", "protocol.extend=0", "trainer.epochs=20", "seeds=3",
]  # fmt: skip


def run(*words, cwd):
    """The program, and how long it took."""
    env = {**os.environ, "PYTHONPATH": f"{SUPPORT}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run(
        [sys.executable, "-m", "search", *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def main():
    """The table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    place = given.keep or Path(tempfile.mkdtemp())
    place.mkdir(exist_ok=True)
    print(
        f"{'set-up':36} {'range':>18} {'best':>8} {'inside':>7} {'ties inside':>12} {'seconds':>8}"
    )
    inside, total, fresh = 0, 0, list[bool]()
    for number, (name, words) in enumerate((SETUPS | FRESH).items()):
        if given.only not in name:
            continue
        sweep, look = f"sweep{number}", f"range{number}"
        for told in (
            run("lr_sweep", *words, *SWEEP, f"name={sweep}", cwd=place),
            run("lr_range", *words, f"name={look}", cwd=place),
        ):
            if told.returncode:
                print(told.stdout[-500:], told.stderr[-500:], file=sys.stderr)
        found = json.loads((place / "results" / look / "lr_range.json").read_text())
        table = pd.read_csv(place / "results" / sweep / "trials.csv")
        usable = table.groupby("optimizer.lr").filter(lambda rows: (rows.state == "complete").all())
        means = usable.groupby("optimizer.lr").value.mean()
        means = -means if "metric=log_loss" in words else means
        low, high = found["low"] or 0.0, found["high"] or 0.0
        tops = [
            float(rate) for rate in means[means == means.max()].index
        ]  # exact ties are all the best
        best = next((rate for rate in tops if low <= rate <= high), tops[0])
        spread = usable.groupby("optimizer.lr").value.std().median()
        ties = means[means >= means.max() - spread].index
        hit = low <= best <= high
        inside, total = inside + hit, total + 1
        if name in FRESH:
            fresh.append(hit)
        held = sum(low <= rate <= high for rate in ties)
        told = f"{low:.2g} – {high:.2g}" if high else "none"
        print(
            f"{name:36} {told:>18} {best:8.2g} {'yes' if hit else 'no':>7} {held:>6} of {len(ties):<3} {found['seconds']:8.1f} {found['because']}",
            flush=True,
        )
    print(
        f"inside: {inside} of {total}, of those not looked at before {sum(fresh)} of {len(fresh)}"
    )


if __name__ == "__main__":
    main()
