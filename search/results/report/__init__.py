"""The page of a search, `report.html`: one file that answers, shows and proves."""

from collections.abc import Mapping

import pandas as pd

from search.config.tune_settings import TuneSettings
from search.results.findings import Findings
from search.results.report.answer import answer_of
from search.results.report.blocks import Group, Page, present
from search.results.report.curves import curves_section
from search.results.report.page import render
from search.results.report.sections import record_sections, search_sections
from search.results.report.stages import overview_sections, stage_groups
from search.results.summary import view_of
from search.storage.folder import Folder

NAME = "report.html"


def report_files(findings: Findings, curves: pd.DataFrame, folder: Folder) -> Mapping[str, str]:
    """File name → text: the page, unless the config says `report: off`."""
    return {NAME: report_page(findings, curves, folder)} if findings.plan.report else {}


def report_page(
    findings: Findings, curves: pd.DataFrame, folder: Folder, *, refresh: int = 0
) -> str:
    """The page of one search as HTML; see `page_of`."""
    return render(page_of(findings, curves, folder, refresh=refresh))


def page_of(findings: Findings, curves: pd.DataFrame, folder: Folder, *, refresh: int = 0) -> Page:
    """What the page of one search shows, as data.

    Args:
        findings: With their verdicts.
        folder: The search's folder, which is read only.
        refresh: Seconds after which the page loads itself again; 0 never.
    """
    plan = findings.plan
    if isinstance(plan.settings, TuneSettings):
        first = present(*overview_sections(findings), curves_section(findings, curves))
        groups = [
            Group(name="whole", title="The whole", sections=first, answer=answer_of(findings)),
            *stage_groups(findings, folder),
            Group(name="records", title="Records", sections=record_sections(findings, folder)),
        ]
    else:
        sections = search_sections(findings, curves, folder)
        answer = answer_of(findings)
        groups = [Group(name=plan.name, title=plan.name, sections=sections, answer=answer)]
    kicker = f"Knobwise · {view_of(plan).title}"
    return Page(title=plan.name, kicker=kicker, groups=groups, refresh=refresh)
