"""A search as Python code and notebooks see it: frames, the winner, figures. Needs no torch."""

import html
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from search.config.knobs import Value
from search.config.text import for_xml
from search.config.trial_config import plain_config, trial_config
from search.results.report.answer import answer_of
from search.results.result_figures import ResultFigures
from search.results.status import leader_of
from search.results.summary import conclusion, view_of
from search.results.tables import LoadedSearch, load_search, trials_frame

# What the numbers of a column are; the metric's column is named by the metric.
UNITS = {
    "seconds": "s",
    "epoch": "epochs",
    "epochs": "epochs",
    "best_epoch": "epochs",
    "step": "optimizer steps",
    "train_loss": "mean loss per row",
    "val_loss": "mean loss per row",
    "interval": "half width of the mean's 95 % interval, in the metric",
    "against": "difference from the baseline's mean, in the metric",
}


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The trial that is exported, the winner's first seed, and what its seeds reach together."""

    trial: int
    value: float  # in the metric, of this trial alone; to compare, take the mean
    mean: float  # in the metric, of all seeds of these knobs
    seeds: int
    seed: int  # of this trial
    knobs: dict[str, Value]


class SearchResult:
    """What a search has found, finished or not; read from disk once, when it is made.

    Frames have the units of their columns in `frame.attrs["units"]`.
    """

    def __init__(self, search: LoadedSearch) -> None:
        self._folder, self._findings, self._curves = search.folder, search.findings, search.curves

    @property
    def name(self) -> str:
        """The search's name."""
        return self._findings.plan.name

    @property
    def folder(self) -> Path:
        """Where it lies, with its tables and its page."""
        return self._folder.path

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self._findings.plan.metric.name

    @property
    def conclusion(self) -> list[str]:
        """The decision in words, a line each."""
        return conclusion(self._findings)

    @cached_property
    def winner(self) -> Winner | None:
        """None while nothing has won."""
        row, best = self._findings.winner, leader_of(self._findings)
        if row is None or row.value is None or best is None:
            return None
        return Winner(
            trial=row.spec.trial,
            value=row.value,
            mean=best.value,
            seeds=best.seeds,
            seed=row.spec.seed,
            knobs=dict(row.spec.knobs),
        )

    @cached_property
    def config(self) -> dict[str, Any]:
        """The winner's config, complete and resolved; without a winner the search's own."""
        row, config = self._findings.winner, self._findings.plan.config
        knobs, seed = ({}, config.seed) if row is None else (row.spec.knobs, row.spec.seed)
        return plain_config(trial_config(config, knobs=knobs, seed=seed), resolve=True)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial, as trials.csv, with `trial` as index.

        Not as a column too: pandas refuses to merge or sort by a name that is both.
        """
        return self._with_units(trials_frame(self._findings).set_index("trial"), value=self.metric)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per trial, fold and epoch, as curves.parquet."""
        return self._with_units(self._curves)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per value of a sweep, or per rank of a joint search, as summary.csv."""
        frame = view_of(self._findings.plan).teller.frame(self._findings)
        return self._with_units(frame, mean=self.metric, std=self.metric, value=self.metric)

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """One row per decision, as decisions.jsonl."""
        records = view_of(self._findings.plan).teller.records(self._findings)
        return self._with_units(pd.DataFrame(records))

    @cached_property
    def figure(self) -> ResultFigures:
        """Plotly figures: `figure.sweep()`, `figure.curves()`; `figure.names` lists them."""
        return ResultFigures(self._findings, self._curves, self._folder)

    def _with_units(self, frame: pd.DataFrame, **units: str) -> pd.DataFrame:
        """A copy with units and the search in its attributes."""
        known = {**UNITS, self.metric: self.metric, **units}
        columns = [str(column) for column in [frame.index.name, *frame.columns]]
        described = frame.copy()
        described.attrs = {
            "search": self.name,
            "metric": self.metric,
            "direction": self._findings.plan.metric.direction,
            "units": {column: known[column] for column in columns if column in known},
        }
        return described

    def __repr__(self) -> str:
        done = sum(row.finished for row in self._findings.rows)
        return f"<search {self.name}: {done} of {self._findings.foreseen} trials finished>"

    def _repr_html_(self) -> str:
        """The answer and the summary, for a notebook."""
        answer = answer_of(self._findings)
        words = "".join(f"<p>{for_xml(text)}</p>" for text in (answer.sentence, answer.surety))
        table = self.summary.map(_cell).to_html(index=False, escape=True, border=0)
        return f"<h4>{html.escape(self.name)}</h4>{words}{table}"


def load_result(name: str, *, results_root: str | Path = "results") -> SearchResult:
    """A search from disk, running or not, by its name or its folder.

    Raises:
        UsageError: there is none; those that exist are named.
    """
    return SearchResult(load_search(name, root=Path(results_root)))


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return "" if value is None else value
