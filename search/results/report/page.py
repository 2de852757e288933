"""The page as HTML: the one module that speaks Jinja2. Every foreign text is escaped.

The page is one file: style, scripts and data are in it, and it asks for nothing from any network.
"""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from search.config.program_name import as_started
from search.config.text import for_terminal, one_line
from search.results.report.blocks import Group, Page
from search.results.report.chart import script
from search.results.report.page_data import PageData
from search.results.rules import CITED, rules

BROWSER = Path(__file__).parent / "browser"  # what runs there: template, style, scripts
SCRIPTS = ("base.js", "charts.js", "curves.js", "tables.js", "page.js")
RULE = Markup('<span class="rule" tabindex="0" role="note">{}<span class="tip">{}</span></span>')


def render(page: Page) -> str:
    """The page's text; its commands, which are copied, name the program that was started."""
    environment = Environment(
        loader=FileSystemLoader(BROWSER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cited": cited, "line": one_line, "log": for_terminal, "bound": _bound}
    data = PageData(page.title)
    parts = [(BROWSER / name).read_text("utf-8") for name in SCRIPTS]
    scripts = {"plotly": script(), "page": '(() => {\n"use strict";\n' + "\n".join(parts) + "})();"}
    text = environment.get_template("page.html.j2").render(
        page=page,
        groups=[_prepared(group, data, alone=len(page.groups) == 1) for group in page.groups],
        data=Markup(data.text()),
        style=Markup((BROWSER / "page.css").read_text("utf-8")),
        scripts={name: Markup(source) for name, source in scripts.items()},
    )
    return as_started(text)


def cited(text: str) -> Markup:
    """The text as HTML, each rule that it cites with its wording, for pointer and keyboard."""
    wordings, parts, end = rules(), [], 0
    for match in CITED.finditer(text):
        if match[0] in wordings:
            before, rule = text[end : match.start()], RULE.format(match[0], wordings[match[0]])
            parts += [escape(one_line(before)), rule]
            end = match.end()
    return Markup("").join([*parts, escape(one_line(text[end:]))])


def _bound(text: str) -> str:
    """The text on one line, each mean in one piece with its interval."""
    return one_line(text).replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")


def _prepared(group: Group, data: PageData, *, alone: bool) -> dict[str, Any]:
    """A group as the template walks through it: every section with its anchor and its blocks."""
    sections = [
        {
            "section": section,
            "id": section.name if alone else f"{group.name}-{section.name}",
            "blocks": [data.item(block) for block in section.blocks],
        }
        for section in group.sections
    ]
    return {"group": group, "sections": sections}
