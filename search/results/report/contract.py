"""The section of the contract: what is fixed, and what is measured (R1 to R8)."""

from collections.abc import Iterator

from search.errors import UsageError
from search.results.report.blocks import Facts, Section
from search.results.report.numbers import number
from search.storage.folder import Folder
from search.storage.ledger import Ledger

HASH = 12  # characters shown of a hash


def contract_section(folder: Folder) -> Section:
    """The section, from contract.yaml and the ledger of the test set."""
    contract = folder.load_contract()
    data, split, floor = contract["data"], contract["split"], contract.get("floor")
    sizes = ", ".join(f"{part} {size}" for part, size in split.get("rows", {}).items())
    shape = " × ".join(map(str, data.get("shape", []))) or "a shape that the trainer knows"
    definition = {"direction": f"{contract['direction']}d", **contract.get("definition", {})}
    metric = ", ".join(str(text) for text in definition.values())
    fingerprint = str(data.get("fingerprint", "none"))[:HASH]
    return Section(
        name="contract",
        title="Contract",
        lead="Fixed at the first start, checked at every later one; test rows stay sealed (R8).",
        blocks=[
            Facts(
                pairs=[
                    ("task", str(contract["task"])),
                    ("metric", f"{contract['metric']}, {metric}"),
                    ("data", f"{data.get('rows', '?')} rows of {shape}; fingerprint {fingerprint}"),
                    ("split", f"rows: {sizes}; hash {str(split['hash'])[:HASH]}"),
                    ("normalisation", str(contract["normalisation"].get("kind", "none"))),
                    ("constant prediction", number(floor)),
                    *_openings(folder, loads_itself="fingerprint" not in data),
                ]
            )
        ],
    )


def _openings(folder: Folder, *, loads_itself: bool) -> Iterator[tuple[str, str]]:
    """What the sealed test set said, as often as any search opened it.

    `loads_itself`: whether the trainer loads its rows, and may so load others than it is given.
    """
    try:
        openings = Ledger(folder).openings()
    except (OSError, ValueError, KeyError, UsageError) as error:  # the page is for reading
        yield "test set", f"not known, because {folder.split.name} cannot be read: {error}"
        return
    if not openings:
        trust = ", where the trainer keeps to the row numbers that it is given"
        yield "test set", "sealed" + (trust if loads_itself else "")
    for opening in openings:
        yield "test set opened", ", ".join(f"{key} {value}" for key, value in opening.items())
