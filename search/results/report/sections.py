"""What one search, or one stage of several, shows below its answer, in order."""

import pandas as pd

from search.config.counted import count
from search.results.by_group import read_groups
from search.results.findings import Findings
from search.results.report.blocks import Section, Table, present, table_of
from search.results.report.budget import budget_section
from search.results.report.candidates import candidates_section
from search.results.report.checks import preflight_section, range_section
from search.results.report.costs import cost_section
from search.results.report.curves import curves_section
from search.results.report.decisions import decision_sections
from search.results.report.knobs import knob_sections
from search.results.report.records import (
    contract_section,
    failure_section,
    provenance_section,
    trials_table,
)
from search.results.summary import view_of
from search.stages import joint
from search.storage.folder import Folder


def search_sections(findings: Findings, curves: pd.DataFrame, folder: Folder) -> list[Section]:
    """All that have something to show, of a search of one stage."""
    rows = joint.searched(findings.rows)
    many_knobs = view_of(findings.plan).many_knobs and any(row.value is not None for row in rows)
    trials = trials_table(findings)
    return present(
        candidates_section(findings),
        budget_section(findings, rows) if many_knobs else None,
        curves_section(findings, curves),
        _group_section(findings, folder),
        *decision_sections(findings),
        *(knob_sections(findings, rows, trials) if many_knobs else []),
        range_section(findings, folder),
        preflight_section(folder),
        *record_sections(findings, folder, trials=trials),
    )


def _group_section(findings: Findings, folder: Folder) -> Section | None:
    """The winner's score by named group; None where the data have none."""
    groups = read_groups(folder.path, metric=findings.plan.metric.name)
    if groups is None:
        return None
    table = table_of(groups.frame, title="The winner on the validation rows of each group")
    lead = groups.line.split("; see ")[0]
    lead = f"{lead[0].upper()}{lead[1:]}."
    return Section(name="groups", title="By group", lead=lead, blocks=[table])


def record_sections(
    findings: Findings, folder: Folder, *, trials: Table | None = None
) -> list[Section]:
    """Costs, failures, all trials, contract, provenance. `trials`: their table, if it is made."""
    return present(
        cost_section(findings),
        failure_section(findings, folder),
        Section(
            name="trials",
            title="All trials",
            lead=f"{count(len(findings.rows), 'trial')}, the same rows as in trials.csv.",
            blocks=[trials or trials_table(findings)],
        ),
        contract_section(folder),
        provenance_section(findings, folder),
    )
