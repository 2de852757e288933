"""What one search, or one stage of several, shows below its answer, in order."""

from collections.abc import Sequence

import pandas as pd

from search.results.by_group import read_groups
from search.results.findings import Findings
from search.results.report.blocks import Section, Table, table_of
from search.results.report.budget import budget_section
from search.results.report.candidates import candidates_section
from search.results.report.checks import preflight_section, range_section
from search.results.report.costs import cost_section
from search.results.report.curves import curves_section
from search.results.report.decisions import decision_sections
from search.results.report.failures import failure_section
from search.results.report.knobs import knob_sections
from search.results.report.provenance import provenance_section, trials_section, trials_table
from search.results.summary import view_of
from search.stages import joint
from search.storage.folder import Folder


def search_sections(findings: Findings, curves: pd.DataFrame, folder: Folder) -> list[Section]:
    """All that have something to show, of a search of one stage."""
    rows = joint.searched(findings.rows)
    many_knobs = view_of(findings.plan).many_knobs and any(row.value is not None for row in rows)
    trials = trials_table(findings)
    looks = [range_section(findings, folder), preflight_section(folder)]
    candidates = candidates_section(findings)
    return [
        *([candidates] if candidates is not None else []),
        *([budget_section(findings, rows)] if many_knobs else []),
        *curve_sections(findings, curves),
        *group_sections(findings, folder),
        *decision_sections(findings),
        *(knob_sections(findings, rows, trials) if many_knobs else []),
        *(look for look in looks if look is not None),
        *record_sections(findings, folder, trials=trials),
    ]


def group_sections(findings: Findings, folder: Folder) -> list[Section]:
    """The winner's score by named group; empty where the data have none."""
    groups = read_groups(folder.path, metric=findings.plan.metric.name)
    if groups is None:
        return []
    table = table_of(groups.frame, title="The winner on the validation rows of each group")
    lead = groups.line.split("; see ")[0]
    return [
        Section(
            name="groups", title="By group", lead=f"{lead[0].upper()}{lead[1:]}.", blocks=[table]
        )
    ]


def curve_sections(findings: Findings, curves: pd.DataFrame) -> list[Section]:
    """The learning curves; empty where no trial has an epoch."""
    section = curves_section(findings, curves)
    return [section] if section is not None else []


def record_sections(
    findings: Findings, folder: Folder, *, trials: Table | None = None
) -> list[Section]:
    """Costs, failures, all trials, provenance. `trials`: their table, where it is made already."""
    sections: Sequence[Section | None] = [
        cost_section(findings),
        failure_section(findings, folder),
        trials_section(findings, trials or trials_table(findings)),
        provenance_section(findings, folder),
    ]
    return [section for section in sections if section is not None]
