"""Who trains where in a running search; frees its slots, and drains a node."""

import time
from dataclasses import asdict
from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.commands.support.documents import print_document
from search.config.counted import first_of
from search.config.quick_imports import quick_imports
from search.errors import UsageError, refused, unknown
from search.execution.pace import duration
from search.execution.terminal import Line, Terminal, aligned
from search.storage.slot_orders import SlotOrder, SlotRow, give_order, read_slots

SUMMARY = "shows who trains where; frees a slot, or drains a node, while the search runs"
ORDERS = ("stop", "start", "drain")
PATIENCE = 60.0  # time that the search has to take an order [s]
SHOWN = 4  # trials of a worker; lanes hold many
LEFT = ("device", "node", "state", "trial")  # columns of words


def parser() -> VerbParser:
    """`NAME [stop SLOT | start SLOT | drain NODE] [--json]`."""
    examples = [
        ("python -m search workers lr_sweep", "slot, GPU, node, trial, and since when"),
        ("python -m search workers lr_sweep stop 3", "slot 3 is free after its epoch"),
        ("python -m search workers lr_sweep start 3", "and is used again"),
        ("python -m search workers lr_sweep drain gpu-node-7", "its slots move to other nodes"),
    ]
    details = (
        "A worker whose slot is freed finishes its epoch, or is killed after placement.grace; its "
        "trials go on in other slots from their checkpoints. On a Ray or Dask cluster, the slots "
        "of a drained node move to other nodes; elsewhere they are freed. An order holds until "
        "the command of the search ends."
    )
    parser = VerbParser("workers", summary=SUMMARY, details=details, examples=examples)
    parser.add_name()
    parser.add_root()
    parser.add_argument("order", nargs="?", metavar="ORDER", help="stop, start or drain")
    parser.add_argument(
        "target", nargs="?", metavar="SLOT|NODE", help="as in the table that is shown"
    )
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Gives the order, where there is one, or shows the table."""
    options = parser().parse(words)
    with quick_imports():
        from search.results.folders import open_folder
    folder = open_folder(options.name, root=options.results_root)
    rows = read_slots(folder.path) if folder.alive() else []
    if options.order is not None:
        order = _checked(
            options.order, options.target, rows, name=options.name, running=folder.alive()
        )
        print(_given(folder.path, order))
    elif options.json:
        print_document("workers", {"slots": [asdict(row) for row in rows]})
    elif rows:
        _show(rows)
    else:
        print(f"{folder.path.name}: no worker, since the search is not running")
    return 0


def _checked(
    verb: str, target: str | None, rows: list[SlotRow], *, name: str, running: bool
) -> SlotOrder:
    """Raises UsageError: the order makes no sense now."""
    if verb not in ORDERS:
        raise UsageError(
            f"workers: {unknown('order', name=verb, known=ORDERS)}", code="unknown-workers-order"
        )
    kind = "node" if verb == "drain" else "slot"
    if target is None:
        raise refused(
            "workers",
            code="workers-order-needs-target",
            rule=f"{verb} needs a {kind}",
            got="none",
            remedy="give it as the last word",
        )
    if not running:
        raise refused(
            "workers",
            code="search-not-running",
            rule=f"{name} must be running",
            got="a search that is not",
            remedy="start it first",
        )
    slots = [str(row.slot) for row in rows]
    if kind == "slot" and target not in slots:
        raise UsageError(
            f"workers: {unknown(kind, name=target, known=slots)}", code="unknown-slot-or-worker"
        )
    return SlotOrder(verb=verb, target=target)


def _given(folder: Path, order: SlotOrder) -> str:
    """The answer to an order.

    Raises:
        UsageError: none came.
    """
    answer = give_order(folder, order, seconds=PATIENCE)
    if answer is None:
        raise refused(
            "workers",
            code="search-does-not-answer",
            rule=f"{folder.name} must answer within {PATIENCE:g} s",
            got="nothing",
            remedy="try again: between two stages it has no time",
        )
    return answer


def _show(rows: list[SlotRow]) -> None:
    header = ("slot", "device", "node", "state", "trial", "since")
    lines = [
        Line(
            cells=(
                str(row.slot),
                row.device,
                row.node,
                row.state,
                first_of(row.trials, SHOWN),
                "" if row.since is None else duration(max(0.0, time.time() - row.since)),
            )
        )
        for row in rows
    ]
    Terminal().print(aligned(header, lines, left=LEFT))
