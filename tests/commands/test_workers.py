"""`python -m search workers`: who trains where, and slots that are freed and used again while the search runs."""

import json
import re
import signal
from dataclasses import replace

import pandas as pd
import pytest
from kit import TINY, running, search, steady, trials, wait_for
from refusals import check_told

from search.__main__ import main
from search.commands import workers
from search.storage.slot_orders import (
    SlotOrder,
    SlotRow,
    answer_order,
    give_order,
    read_slots,
    take_orders,
    write_slots,
)

SEARCH = [*TINY, "trainer.epochs=20", "seeds=4", "name=busy"]


def test_orders_are_taken_once_and_answered_and_what_is_none_is_removed(tmp_path, capsys):
    order = SlotOrder(verb="stop", target="3")
    tmp_path.chmod(0o775)  # a folder of a group, whose members may give orders and take them
    assert give_order(tmp_path, order, seconds=0.01) is None
    assert take_orders(tmp_path) == []  # nobody waits for it any more
    assert (tmp_path / "orders").stat().st_mode & 0o777 == 0o775
    (tmp_path / "orders" / "x.json").write_text("[1, 2")
    (tmp_path / "orders" / "w.json").write_text(json.dumps({"verb": "stop", "target": 1}))
    (tmp_path / "orders" / "y.json").write_text(
        json.dumps({"verb": "stop", "target": "1", "of a later version": 1})
    )
    ((path, taken),) = take_orders(tmp_path)
    assert taken.target == "1"
    assert take_orders(tmp_path) == []
    answer_order(path, "done")
    assert [each.name for each in (tmp_path / "orders").iterdir()] == ["y.answer"]
    (tmp_path / "orders" / "v.json").mkdir()  # cannot be removed, as what is another user's
    assert take_orders(tmp_path) == []
    row = SlotRow(slot=0, device="cpu", node="", state="idle", trials=[], since=None)
    write_slots(tmp_path, [row])
    table = json.loads((tmp_path / "workers.json").read_text())
    (tmp_path / "workers.json").write_text(json.dumps([{**table[0], "of a later version": 1}]))
    assert read_slots(tmp_path) == [row]
    workers._show([replace(row, trials=[*range(40)], since=0.0)])  # lanes; 80 columns
    assert re.search(r"0, 1, 2, 3 and 36 more +\d+ ", capsys.readouterr().out)
    (tmp_path / "workers.json").write_text("{")
    assert read_slots(tmp_path) == []


@pytest.mark.slow
def test_slots_are_freed_and_used_again_while_a_search_runs_and_its_rows_stay_the_same(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    calm = search(*SEARCH, "name=calm", cwd=tmp_path, TOY_PAUSE="0")
    assert calm.returncode == 0, calm.stdout + calm.stderr
    folder = tmp_path / "results" / "busy"

    def states() -> list[str]:
        return [row.state for row in read_slots(folder)]

    def ordered(*words: str) -> str:
        assert main(["workers", "busy", *words]) == 0
        return capsys.readouterr().out

    def refused(*words: str) -> str:
        assert main(["workers", "busy", *words]) == 2
        return capsys.readouterr().err

    with running(*SEARCH, cwd=tmp_path, TOY_PAUSE="0.3") as conductor:
        wait_for(lambda: states() == ["trains", "trains"], what=states)
        node = read_slots(folder)[0].node
        table = ordered()
        assert table.split("\n")[0].split() == ["slot", "device", "node", "state", "trial", "since"]
        assert table.count(f"cpu     {node}") == 2
        assert ordered("stop", "1").startswith("slot 1 is being freed")
        wait_for(lambda: states() == ["trains", "freed"], what=states)
        assert [len(row["trials"]) for row in json.loads(ordered("--json"))["slots"]] == [1, 0]
        assert "slot 1 is used again" in ordered("start", "1")
        wait_for(lambda: states() == ["trains", "trains"], what=states)
        assert f"{node} is being drained: 2 slots to be freed" in ordered("drain", node)
        wait_for(lambda: states() == ["freed", "freed"], what=states)
        for slot in ("0", "1"):
            ordered("start", slot)
        for words, message in (
            (["stop", "7"], ("unknown-slot-or-worker", "'7'", "0, 1")),
            (["halt", "1"], ("unknown-workers-order", "'halt'", "drain, start, stop")),
            (["stop"], ("workers-order-needs-target", "stop", "slot")),
        ):
            check_told(refused(*words), *message)
        monkeypatch.setattr(workers, "PATIENCE", 0.2)
        conductor.send_signal(signal.SIGSTOP)
        check_told(refused("stop", "1"), "search-does-not-answer", "0.2 s")
        assert list((folder / "orders").iterdir()) == []  # it takes no effect later
        conductor.send_signal(signal.SIGCONT)
        conductor.terminate()
        conductor.communicate(timeout=60)
    assert read_slots(folder) == []
    check_told(refused("stop", "1"), "search-not-running", "busy")
    done = search(*SEARCH, cwd=tmp_path, TOY_PAUSE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    tables = [steady(trials(tmp_path / "results" / name)) for name in ("calm", "busy")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
