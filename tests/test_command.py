"""Programs as trainers: their lines, their arguments, their end."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from kit import wait_for

from trainers.api import Data, Part
from trainers.checkpoint import FolderCheckpoint
from trainers.command import CommandFailed, command_line, train

DATA = Data(train=Part(index=np.arange(5)), val=Part(index=np.arange(5, 8)))


def _config(code, **keys):
    return {
        "seed": 3,
        "optimizer": {"lr": 0.5},
        "trainer": {"grace": 5, "command": [sys.executable, "-c", code, *keys.pop("words", [])]},
        **keys,
    }


def _run(code, folder, **keys):
    return train(_config(code, **keys), DATA, "cpu", FolderCheckpoint(folder))


def test_lines_of_json_are_epochs_and_the_rest_goes_to_the_log(tmp_path, capfd):
    code = """print("hello"); print('{"accuracy": 0.5}'); print("{not json"); print('{"epoch": 3, "accuracy": 0.7}')"""
    assert list(_run(code, tmp_path)) == [
        {"accuracy": 0.5, "epoch": 1},
        {"epoch": 3, "accuracy": 0.7},
    ]
    assert capfd.readouterr().out == "hello\n{not json\n"


def test_a_program_finds_config_split_and_its_own_folder_and_no_test_rows(tmp_path):
    code = """
import json, os, numpy as np
config = json.load(open(os.environ["KNOBWISE_CONFIG"]))
split = np.load(os.environ["KNOBWISE_SPLIT"])
told = {"lr": config["optimizer"]["lr"], "names": sorted(split), "rows": split["val"].tolist()}
print(json.dumps({**told, "folder": os.environ["KNOBWISE_CHECKPOINT"]}))
"""
    (record,) = _run(code, tmp_path)
    assert record == {
        "lr": 0.5,
        "names": ["train", "val"],
        "rows": [5, 6, 7],
        "folder": str(tmp_path),
        "epoch": 1,
    }


def test_keys_are_filled_into_the_arguments_and_nothing_is_split_on_spaces():
    config = {
        "optimizer": {"lr": 1e-05},
        "name": "a b",
        "trainer": {
            "command": ["run", "--lr={optimizer.lr}", "{name}", "{config}", "x{seed}y{seed}"]
        },
        "seed": 7,
    }
    assert command_line(config, config_file=Path("c.json")) == [
        "run",
        "--lr=1e-05",
        "a b",
        "c.json",
        "x7y7",
    ]
    config["trainer"]["command"] = ["{python}", "{optimizer.rate}"]
    with pytest.raises(
        KeyError,
        match=r"trainer\.command: \{optimizer\.rate\} must name a key of the config, but there are: config, name",
    ):
        command_line(config, config_file=Path("c.json"))
    config["trainer"]["command"] = "python train.py"
    with pytest.raises(
        TypeError,
        match=r"trainer\.command: must be a list of program and arguments, but got 'python train\.py'; write",
    ):
        command_line(config, config_file=Path("c.json"))


def test_a_program_that_fails_is_told_with_its_status(tmp_path):
    with pytest.raises(CommandFailed, match="ended with exit status 3"):
        list(_run("import sys; sys.exit(3)", tmp_path))


def test_closing_stops_the_whole_group_first_kindly_then_surely(tmp_path):
    code = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: open({str(tmp_path / "asked")!r}, "w").close())
child = subprocess.Popen(["sleep", "300"])
print('{{"epoch": 1, "pid": %d}}' % child.pid, flush=True)
time.sleep(300)
time.sleep(300)
"""
    config = _config(code)
    config["trainer"]["grace"] = 1
    generator = train(config, DATA, "cpu", FolderCheckpoint(tmp_path / "0"))
    child = psutil.Process(next(generator)["pid"])
    begun = time.monotonic()
    generator.close()
    assert 0.9 < time.monotonic() - begun < 5
    assert (tmp_path / "asked").exists()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, seconds=5)


def test_no_line_is_lost_when_the_reader_dies_and_the_program_goes_on_from_its_own_checkpoint(
    tmp_path,
):
    """The first attempt printed epochs 1 to 3, saved 2, and was killed; the second goes on with 3, which replaces it."""
    (tmp_path / "lines.jsonl").write_text(
        '{"epoch": 1, "accuracy": 0.1}\n{"epoch": 2, "accuracy": 0.2}\n{"epoch": 3, "accuracy": 0.33}\n{"epoch": 4, "acc'
    )
    code = """
for epoch in (3, 4): print('{"epoch": %d, "accuracy": 0.%d}' % (epoch, epoch))
"""
    got = [(record["epoch"], record["accuracy"]) for record in _run(code, tmp_path)]
    assert got == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]
    again = [
        (record["epoch"], record["accuracy"])
        for record in _run('print(\'{"epoch": 1, "accuracy": 0.9}\')', tmp_path)
    ]
    assert again == [(1, 0.9)], "a program that starts afresh tells all anew"
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 3


def test_a_resumed_program_that_has_nothing_left_to_do_keeps_what_it_had_told(tmp_path):
    (tmp_path / "lines.jsonl").write_text('{"accuracy": 0.1}\n{"accuracy": 0.2}\n')
    assert [record["accuracy"] for record in _run("pass", tmp_path)] == [0.1, 0.2]


def test_a_last_line_without_its_end_and_an_epoch_of_null(tmp_path, capfd):
    code = """print('{"epoch": null, "accuracy": 0.3}'); print('{"accuracy": 0.5}', end="")"""
    assert list(_run(code, tmp_path)) == [{"accuracy": 0.5, "epoch": 1}]
    assert '"epoch": null' in capfd.readouterr().out
