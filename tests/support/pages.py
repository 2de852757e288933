"""Pages of searches whose values a function gives, for tests that read or open them."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import yaml
from drawn import joint_of
from simulated import carried_out, tune_plan

from search.contract.arrays import hash_of
from search.diagnostics.verdicts.rules import Verdict
from search.protocols.record import record_of
from search.results.findings import find
from search.results.report import report_page
from search.storage.folder import Folder

SPLIT = {"test": np.arange(3)}  # a page reads no row of it
CONTRACT = {
    "task": "classification",
    "metric": "accuracy",
    "direction": "maximize",
    "definition": {},
    "data": {"rows": 1000, "shape": [8], "fingerprint": "abc"},
    "split": {"rows": {"train": 600, "val": 250, "test": 150}, "hash": hash_of(SPLIT)},
    "normalisation": {"kind": "StandardScaler"},
    "floor": 0.1,
}


def joint_findings(truth, *overrides):
    """A finished joint search."""
    plan, rows = joint_of(truth, "sampler=random", *overrides)
    return find(plan, rows, val_rows=250)


def smooth(knobs, seed):
    """A joint search's truth: best at a rate of 0.03 and a little dropout; high rates diverge."""
    rate, dropout = knobs["optimizer.lr"], knobs["model.dropout"]
    if rate > 0.6:
        return None
    loss = 0.2 * abs(np.log10(rate / 0.03)) + 0.1 * abs(dropout - 0.2)
    return 0.95 - loss + 0.003 * np.sin(37 * seed + 1000 * rate)


def steep(knobs, seed):
    """The same, with low rates that are far worse than all others."""
    return -3.0 if knobs["optimizer.lr"] < 0.001 else smooth(knobs, seed)


def staged_findings(truth, *overrides, floor=None):
    """A protocol carried out, with the decision of every stage; `floor`: a constant's score."""
    plan = tune_plan(*overrides)
    history, rows = carried_out(plan, truth, floor=floor)
    joint = next((step.name for step in history.steps if step.request.stage == "joint"), "")
    rows = [
        replace(row, spec=replace(row.spec, stage=joint)) if row.spec.stage == "joint" else row
        for row in rows
    ]
    findings = find(plan, rows, val_rows=0)
    followers = [*(step.name for step in history.steps[1:]), ""]
    steps = tuple(
        record_of(step, following=following, command=f"again {step.name}", budget={})
        for step, following in zip(history.steps, followers, strict=True)
    )
    return replace(findings, steps=steps)


def curves_of(findings, epochs=5):
    """Learning curves that fit the trials."""
    metric = findings.plan.metric.name
    rows = [row for row in findings.rows if row.finished]
    return pd.DataFrame(
        {
            "trial": row.spec.trial,
            "fold": 0,
            "epoch": epoch,
            "train_loss": 2.0 / (epoch + 1),
            "val_loss": 2.2 / (epoch + 1) + 0.01 * epoch,
            metric: (row.value or 0.1) * min(1.0, 0.2 + 0.2 * epoch),
            "lr": 0.1,
        }
        for row in rows
        for epoch in range(epochs + 1)
    )


def folder_of(path, findings, *, contract=CONTRACT, log=""):
    """A folder with what a page reads beside the findings."""
    path.mkdir(parents=True, exist_ok=True)
    folder = Folder(path)
    folder.contract.write_text(yaml.safe_dump(contract))
    folder.config.write_text("name: made\nstorage: postgresql://me:secret@host/db\n")
    np.savez(folder.split, **SPLIT)
    folder.logs.mkdir(exist_ok=True)
    for row in findings.rows:
        if row.state in ("failed", "infeasible", "lost"):
            (folder.logs / f"{row.spec.trial}.log").write_text(log or "first line\nlast line\n")
    return folder


def judged(findings, why="train still falls"):
    """With a verdict on every trial."""
    verdict = Verdict(name="still_learning", why=why)
    return replace(findings, verdicts={row.spec.trial: verdict for row in findings.rows})


def page_of(findings, path, **parts):
    """The page's text."""
    curves = parts.pop("curves", None)
    return report_page(
        findings,
        curves_of(findings) if curves is None else curves,
        folder_of(path, findings, **parts),
    )


def data_of(page):
    """The JSON inside a page."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[
        1
    ]
    return json.loads(text)


def table_of(page, title):
    """A table of the page as a frame, by its title."""
    names = re.findall(r'data-table="(t\d+)"[^>]*>\s*<summary>(.*?)</summary>', page)
    (name,) = {name for name, summary in names if summary == title}
    columns = data_of(page)["tables"][name]["columns"]
    return pd.DataFrame({column["name"]: column["values"] for column in columns})


def words_of(page):
    """What the page says outside of its scripts and style."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())
