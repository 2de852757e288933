"""Has the storage lost trials that an earlier table lists as ended?

A kill loses none of them: a table is written after the trials. A damaged disk, or somebody who puts
an older file back, may.
"""

import csv
from collections.abc import Collection

from search.errors import refused
from search.storage.folder import Folder

KEPT = ("complete", "pruned", "infeasible")  # states that a trial keeps


def lost_trials(folder: Folder, ended: Collection[int]) -> list[int]:
    """Trials that the folder's table lists as ended and that are not among those that `ended`."""
    try:
        with folder.trials.open(newline="", encoding="utf-8") as file:
            listed = {int(row["trial"]) for row in csv.DictReader(file) if row["state"] in KEPT}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []  # the table is only drawn from the trials
    return sorted(listed - set(ended))


def check_trials(folder: Folder, ended: Collection[int]) -> None:
    """Whether nothing is lost. A search that runs trains again what is, and has said so.

    Raises:
        UsageError: trials are lost, and no search runs.
    """
    if not folder.alive() and (gone := lost_trials(folder, ended)):
        raise refused(
            folder.storage().url,
            code="trials-were-lost",
            rule=f"must hold the trials that {folder.trials.name} lists",
            got=f"{len(gone)} of them without an end ({gone[0]} …)",
            remedy="restore it from a copy, or give the search's command again, which trains them "
            "anew",
        )
