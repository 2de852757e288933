"""The data of a page as JSON: charts, tables and curves, each under the name of its block."""

import json
from typing import Any

from search.config.text import one_line
from search.results.report.blocks import Block, Curves, Figures, Table
from search.results.report.chart import EMPTINESS, plotly
from search.storage.json_numbers import plain


class PageData:
    """Collects what the page's script draws, block by block; `title` begins the names of files."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._charts: dict[str, Any] = {}
        self._tables: dict[str, Any] = {}
        self._curves: dict[str, Any] = {}
        self._names: dict[int, str] = {}  # a table behind several figures is stored once

    def item(self, block: Block) -> dict[str, Any]:
        """The block with the names of its data, as the template takes it."""
        item: dict[str, Any] = {"kind": block.kind, "block": block}
        if isinstance(block, Table):
            item["table"] = self._table(block)
        elif isinstance(block, Figures):
            first = len(self._charts)
            item["charts"] = [(f"c{first + place}", one) for place, one in enumerate(block.charts)]
            for name, chart in item["charts"]:
                self._charts[name] = plotly(chart) | {"zoom": chart.zoom}
            item["table"] = self._table(block.table) if block.table is not None else ""
        elif isinstance(block, Curves):
            item["curves"] = f"l{len(self._curves)}"
            curves = {"metric": block.metric, "trials": block.trials, "picked": block.picked}
            self._curves[item["curves"]] = curves
            item["table"] = self._table(block.table)
        return item

    def text(self) -> str:
        """JSON that may stand inside a script element."""
        data = {"charts": self._charts, "tables": self._tables, "curves": self._curves}
        data["emptiness"] = EMPTINESS
        text = json.dumps(plain(data), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    def _table(self, table: Table) -> str:
        if id(table) not in self._names:
            name = self._names[id(table)] = f"t{len(self._tables)}"
            file = f"{self._title}-{name}.csv"
            columns = [
                {"name": one_line(column), "values": [*map(_cell, values)]}
                for column, values in table.columns.items()
            ]
            self._tables[name] = {"file": file, "columns": columns}
        return self._names[id(table)]


def _cell(value: Any) -> Any:
    """A cell as JSON holds it: numbers in full, everything else as text."""
    number = plain(value)
    return number if isinstance(number, int | float | None) else one_line(number)
