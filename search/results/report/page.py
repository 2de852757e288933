"""The page as HTML: the one module that speaks Jinja2. Every foreign text is escaped.

The page is one file: style, scripts and data are in it, and it asks for nothing from any network.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from search.config.text import for_terminal, one_line
from search.results.report.blocks import Block, Curves, Figures, Page, Table
from search.results.report.chart import plotly, script
from search.results.report.rules import CITED, rules
from search.storage.json_numbers import plain

HERE = Path(__file__).parent
RULE = Markup('<span class="rule" tabindex="0" role="note">{}<span class="tip">{}</span></span>')
FEW = 12  # different texts below which a column is stored by code


def render(page: Page) -> str:
    """The page's text."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cited": cited, "line": one_line, "log": for_terminal}
    groups, data = _numbered(page)
    scripts = {"plotly": script(), "page": (HERE / "page.js").read_text("utf-8")}
    return environment.get_template("page.html.j2").render(
        page=page,
        groups=groups,
        data=Markup(_json(data)),
        style=Markup((HERE / "page.css").read_text("utf-8")),
        scripts={name: Markup(text) for name, text in scripts.items()},
        stamp=hashlib.sha256(page.title.encode()).hexdigest()[:8],
    )


def cited(text: str) -> Markup:
    """The text as HTML, each rule that it cites with its wording, for pointer and keyboard."""
    known, parts, end = rules(), [], 0
    for match in CITED.finditer(text):
        if match[0] in known:
            before, rule = text[end : match.start()], RULE.format(match[0], known[match[0]])
            parts += [escape(one_line(before)), rule]
            end = match.end()
    return Markup("").join([*parts, escape(one_line(text[end:]))])


def _numbered(page: Page) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The groups as the template walks through them, and the data of their charts and tables."""
    charts: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    curves: dict[str, Any] = {}

    def table_id(table: Table | None) -> str:
        if table is None:
            return ""
        name = f"t{len(tables)}"
        tables[name] = {"file": f"{page.title}-{name}.csv", "columns": list(_columns(table))}
        return name

    def numbered(block: Block) -> dict[str, Any]:
        item: dict[str, Any] = {"kind": block.kind, "block": block}
        if isinstance(block, Table):
            item["table"] = table_id(block)
        if isinstance(block, Figures):
            names = [f"c{len(charts) + place}" for place in range(len(block.charts))]
            for name, chart in zip(names, block.charts, strict=True):
                charts[name] = plotly(chart) | {"zoom": chart.zoom}
            item |= {"charts": list(zip(names, block.charts, strict=True))}
            item["table"] = table_id(block.table)
        if isinstance(block, Curves):
            item["curves"] = f"l{len(curves)}"
            curves[item["curves"]] = {
                "metric": block.metric,
                "trials": block.trials,
                "picked": block.picked,
            }
            item["table"] = table_id(block.table)
        return item

    groups = [
        {
            "group": group,
            "sections": [
                {
                    "section": section,
                    "id": f"{group.name}-{section.name}" if len(page.groups) > 1 else section.name,
                    "blocks": [numbered(block) for block in section.blocks],
                }
                for section in group.sections
            ],
        }
        for group in page.groups
    ]
    return groups, {"charts": charts, "tables": tables, "curves": curves}


def _columns(table: Table) -> Iterator[dict[str, Any]]:
    """The columns: few different texts are stored once each, and codes point to them."""
    for name, values in table.columns.items():
        texts = [value for value in values if value is not None]
        if texts and all(isinstance(value, str) for value in texts):
            words = list(dict.fromkeys(map(one_line, texts)))
            codes = {word: code for code, word in enumerate(words)}
            if len(words) <= max(FEW, len(values) // 4):
                coded = [None if value is None else codes[one_line(value)] for value in values]
                yield {"name": one_line(name), "words": words, "codes": coded}
                continue
        yield {"name": one_line(name), "values": [_cell(value) for value in values]}


def _cell(value: Any) -> Any:
    """A cell as JSON holds it: numbers in full, everything else as text."""
    number = plain(value)
    if number is None or isinstance(number, int | float):
        return number
    return one_line(number)


def _json(data: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(plain(data), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
