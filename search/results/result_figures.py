"""The figures of a search's page as Plotly figures, for notebooks, made on demand."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from search.config.counted import count
from search.errors import UsageError, refused, unknown
from search.results.findings import Findings
from search.results.report.blocks import Figures
from search.results.report.chart import Axis, Chart, Series, plotly
from search.results.report.sections import search_sections
from search.storage.curves import followed
from search.storage.folder import Folder

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Names of a notebook → sections of the page.
ALIASES = {"sweep": "candidates", "search": "budget", "knob": "knobs"}
MOST = 8  # trials whose curves are drawn where none is named


class ResultFigures:
    """`figure.NAME()` is a section's first chart, `figure.NAME("optimizer.lr")` a named one."""

    def __init__(self, findings: Findings, curves: pd.DataFrame, folder: Folder) -> None:
        self._findings, self._curves, self._folder = findings, curves, folder

    @cached_property
    def _charts(self) -> dict[str, dict[str, Chart]]:
        """Section → title → chart."""
        charts: dict[str, dict[str, Chart]] = {}
        for section in search_sections(self._findings, self._curves, self._folder):
            for block in section.blocks:
                if isinstance(block, Figures):
                    named = {chart.title: chart for chart in block.charts}
                    charts.setdefault(section.name, {}).update(named)
        return charts

    @property
    def names(self) -> list[str]:
        """What this search has figures of."""
        aliases = [alias for alias, section in ALIASES.items() if section in self._charts]
        return list(dict.fromkeys([*aliases, *self._charts, "curves"]))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.names]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        section = ALIASES.get(name, name)
        if section not in self._charts:
            raise AttributeError(unknown("figure", name=name, known=self.names))
        charts = self._charts[section]

        def figure(title: str | None = None) -> "Figure":
            if title is not None and title not in charts:
                raise UsageError(
                    unknown(f"{name} figure", name=title, known=charts), code="unknown-figure"
                )
            return _figure(charts[title] if title is not None else next(iter(charts.values())))

        figure.__doc__ = f"A Plotly figure: {', '.join(charts)}."
        return figure

    def curves(self, trials: Sequence[int] | None = None, *, column: str = "") -> "Figure":
        """Learning curves by epoch.

        Args:
            trials: which; the best ones where none is named.
            column: of `curves`, such as `train_loss`; the metric where none is named.

        Raises:
            UsageError: there is no such trial or column.
        """
        column = column or self._findings.plan.metric.name
        if column not in self._curves:
            raise UsageError(
                unknown("column", name=column, known=map(str, self._curves.columns)),
                code="curves-of-unknown-column",
            )
        there = self._curves["trial"].unique()
        for trial in trials or ():
            if trial not in there:
                span = f", from {min(there)} to {max(there)}" if len(there) else ""
                raise refused(
                    "figure.curves",
                    code="curves-of-unknown-trial",
                    rule=f"has curves of {count(len(there), 'trial')}{span}",
                    got=trial,
                    remedy="see result.trials",
                )
        frame = followed(self._curves)
        series = [
            Series(
                name=f"trial {trial}",
                look="line",
                x=part["epoch"].tolist(),
                y=part[column].tolist(),
            )
            for trial in (self._best() if trials is None else trials)
            for part in [frame[frame["trial"] == trial]]
        ]
        chart = Chart(
            title="Learning curves",
            alt=f"{column} by epoch",
            series=series,
            x=Axis(title="epoch", whole=True),
            y=Axis(title=column),
        )
        figure = _figure(chart)
        figure.update_traces(line_color=None)  # one colour of Plotly's for each trial
        return figure

    def _best(self) -> list[int]:
        sign = self._findings.plan.metric.sign
        valued = [row for row in self._findings.rows if row.value is not None]
        ranked = sorted(valued, key=lambda row: sign * (row.value or 0.0), reverse=True)
        return [row.spec.trial for row in ranked[:MOST]]


def _figure(chart: Chart) -> "Figure":
    from plotly.graph_objects import Figure  # takes half a second

    drawn = plotly(chart)
    figure = Figure(data=drawn["data"], layout=drawn["layout"])
    figure.update_layout(title=chart.title, margin_t=64)
    return figure
