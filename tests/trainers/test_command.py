"""Programs as trainers: their lines, their arguments, their end."""

import ast
import json
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import wait_for
from omegaconf import OmegaConf

from trainers.api import Data, End, Epoch, Failure, Part
from trainers.callable import CallableSeats, rehearse
from trainers.checkpoint import FolderCheckpoint
from trainers.command import ANEW, train
from trainers.command_end import CommandFailed, CommandKilled
from trainers.command_line import command_line, keys_named
from trainers.printed import Printed
from trainers.probes.run import train as probe

DATA = Data(train=Part(index=np.arange(5)), val=Part(index=np.arange(5, 8)))


def _config(code, **keys):
    return {
        "seed": 3,
        "optimizer": {"lr": 0.5},
        "metric": {"name": "accuracy"},
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
told |= {"folder": os.environ["KNOBWISE_CHECKPOINT"], "files": os.environ["KNOBWISE_FOLDER"]}
told["lightning"] = os.environ["PL_TRAINER_DEFAULT_ROOT_DIR"]
open(os.environ["KNOBWISE_FOLDER"] + "/seen.json", "w").write(json.dumps(told))
print('{"accuracy": 1.0}')
"""
    checkpoint = FolderCheckpoint(tmp_path / "checkpoints" / "7", files=tmp_path / "files" / "7")
    assert list(train(_config(code), DATA, "cpu", checkpoint)) == [{"accuracy": 1.0, "epoch": 1}]
    assert json.loads((tmp_path / "files" / "7" / "seen.json").read_text()) == {
        "lr": 0.5,
        "names": ["train", "val"],
        "rows": [5, 6, 7],
        "folder": str(tmp_path / "checkpoints" / "7"),
        "files": str(tmp_path / "files" / "7"),
        "lightning": str(tmp_path / "files" / "7"),
    }


def test_a_look_at_a_program_writes_nothing_into_the_searchs_folder_and_begins_anew(tmp_path):
    (tmp_path / "split.npz").write_text("the search's own")
    code = 'print(\'{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "accuracy": 0.5}\')'
    config = _config(code)
    config["trainer"] |= {"_target_": "trainers.command.train", "epochs": 1, "untrained": False}
    for _ in range(2):
        run = probe(config, data=DATA, device="cpu", folder=tmp_path)
        assert (len(run.epochs), run.error) == (1, "")
    assert [path.name for path in tmp_path.iterdir()] == ["split.npz"]
    assert (tmp_path / "split.npz").read_text() == "the search's own"


def test_keys_are_filled_into_the_arguments_and_nothing_is_split_on_spaces():
    config = {
        "optimizer": {"lr": 1e-05},
        "name": "a b",
        "trainer": {
            "command": [
                "run",
                "--lr={optimizer.lr}",
                "{name}",
                "{config}",
                "x{seed}y{seed}",
                "{folder}",
            ]
        },
        "seed": 7,
    }
    assert command_line(config, config_file=Path("c.json"), folder=Path("f")) == [
        "run",
        "--lr=1e-05",
        "a b",
        "c.json",
        "x7y7",
        "f",
    ]
    config["trainer"]["command"] = ["{python}", "{optimizer.rate}"]
    with pytest.raises(
        ValueError,
        match=r"trainer\.command: \{optimizer\.rate\} must name a key of the config; did you mean '\{optimizer\.lr\}'\? there are: config,",
    ):
        command_line(config, config_file=Path("c.json"), folder=Path("f"))
    config["trainer"]["command"] = ["run", {"file": "my.yaml"}]  # Hydra's, of braces without quotes
    with pytest.raises(TypeError, match=r"must be texts, but got .*; put braces into quotes"):
        command_line(config, config_file=Path("c.json"), folder=Path("f"))
    config["trainer"]["command"] = "python train.py"
    with pytest.raises(
        TypeError,
        match=r"trainer\.command: must be a list of program and arguments, but got 'python train\.py'; write 'trainer\.command=\[\"python\", \"train\.py\"\]'",
    ):
        command_line(config, config_file=Path("c.json"), folder=Path("f"))


def test_a_program_that_fails_is_told_with_its_status(tmp_path):
    with pytest.raises(CommandFailed, match="ended with exit status 3"):
        list(_run("import sys; sys.exit(3)", tmp_path))


LEAVES = """
import subprocess, sys
child = "import time\\nfor epoch in range(1, 4): print('{\\"epoch\\": %d, \\"accuracy\\": 0.5}' % epoch, flush=True); time.sleep(0.2)\\ntime.sleep(REST)"
subprocess.Popen([sys.executable, "-c", child])
"""


@pytest.mark.slow
def test_a_program_that_leaves_its_training_in_the_background_loses_no_epoch(tmp_path):
    records = list(_run(LEAVES.replace("REST", "0"), tmp_path))
    assert [record["epoch"] for record in records] == [1, 2, 3]


@pytest.mark.slow
def test_a_training_in_the_background_whose_end_is_not_known_is_refused(tmp_path):
    config = _config(LEAVES.replace("REST", "300"))
    config["trainer"]["grace"] = 1
    generator = train(config, DATA, "cpu", FolderCheckpoint(tmp_path))
    assert [next(generator)["epoch"] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(CommandFailed, match="a process in the background went on printing epochs"):
        next(generator)


def test_a_helper_that_a_program_leaves_behind_changes_nothing(tmp_path):
    code = """
import subprocess
subprocess.Popen(["sleep", "300"])
print('{"epoch": 1, "accuracy": 0.5}', flush=True)
"""
    config = _config(code)
    config["trainer"]["grace"] = 0.2
    (record,) = train(config, DATA, "cpu", FolderCheckpoint(tmp_path))
    assert record["epoch"] == 1


STAYS = """
import threading, time
print('{"epoch": 1, "accuracy": 0.5}', flush=True)
print('{"epoch": 2, "accuracy": 0.6}', flush=True)
threading.Event().wait(300)
"""


@pytest.mark.slow
def test_a_program_that_does_not_end_after_its_last_epoch_keeps_all_its_epochs(tmp_path):
    config = _config(STAYS)
    config["trainer"] |= {"epochs": 2, "epoch_timeout": 1}
    generator = train(config, DATA, "cpu", FolderCheckpoint(tmp_path))
    assert [next(generator)["epoch"] for _ in range(2)] == [1, 2]
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value.startswith("did not end after its last epoch and was stopped")


def test_a_program_that_works_behind_its_last_epoch_or_between_two_is_waited_for(tmp_path):
    code = STAYS.replace("300", "0.2") + "print('saved')"
    config = _config(code)
    config["trainer"] |= {"epochs": 2, "epoch_timeout": 60}
    assert len(list(train(config, DATA, "cpu", FolderCheckpoint(tmp_path / "saves")))) == 2
    config["trainer"] |= {"epochs": 3, "epoch_timeout": 0.1}  # the conductor's clock rules there
    assert len(list(train(config, DATA, "cpu", FolderCheckpoint(tmp_path / "trains")))) == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_records_in_another_encoding_are_read(encoding, tmp_path):
    code = f"""
import sys
text = 'Época 1\\r\\n' + '{{"epoch": 1, "accuracy": 0.5}}\\r\\n' * 1 + 'loss |███| {{"epoch": 2, "accuracy": 0.6}}\\n'
sys.stdout.buffer.write(text.encode({encoding!r}))
"""
    assert [r["accuracy"] for r in _run(code, tmp_path)] == [0.5, 0.6]


@pytest.mark.slow
def test_closing_stops_the_whole_group_first_kindly_then_surely(tmp_path):
    code = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: open({str(tmp_path / "asked")!r}, "w").close())
child = subprocess.Popen(["sleep", "300"])
print('{{"epoch": 1, "accuracy": %d}}' % child.pid, flush=True)
time.sleep(300)
time.sleep(300)
"""
    config = _config(code)
    config["trainer"]["grace"] = 1
    generator = train(config, DATA, "cpu", FolderCheckpoint(tmp_path / "0"))
    child = psutil.Process(next(generator)["accuracy"])
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


@pytest.mark.parametrize(
    ("told", "status", "begins_anew"),
    [([1], 0, True), ([], 1, True), ([1, 2, 3], 0, False), ([1], 1, False)],
)
def test_a_program_that_stops_at_what_an_interrupted_attempt_left_begins_anew(
    told, status, begins_anew, tmp_path
):
    checkpoint = FolderCheckpoint(tmp_path)
    (checkpoint.files / "out").mkdir(parents=True)  # what an attempt leaves that is killed
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "lines.jsonl").write_text("".join(f'{{"accuracy": {n / 10}}}\n' for n in told))
    code = f"""import os, sys
if os.path.exists(os.environ["KNOBWISE_FOLDER"] + "/out"): sys.exit({status})
for epoch in (1, 2, 3): print('{{"accuracy": 0.%d}}' % epoch)"""
    config = _config(code)
    config["trainer"]["epochs"] = 3
    seats = CallableSeats(train, data=DATA, device="cpu")
    seats.admit(5, config=config, checkpoint=checkpoint)
    outcomes = [outcome for _ in range(4) for outcome in seats.step()]
    values = [each.values["accuracy"] for each in outcomes if isinstance(each, Epoch)]
    assert values == ([0.1, 0.2, 0.3] if begins_anew or status == 0 else [0.1])
    assert (outcomes[-1] == End(trial=5, remark=ANEW)) is begins_anew
    has_failed = any(isinstance(each, Failure) for each in outcomes)
    assert has_failed is not (begins_anew or status == 0)
    assert (checkpoint.files / "out").exists() is not begins_anew


def test_a_last_line_without_its_end_and_an_epoch_of_null(tmp_path, capfd):
    code = """print('{"epoch": null, "accuracy": 0.3}'); print('{"accuracy": 0.5}', end="")"""
    assert list(_run(code, tmp_path)) == [{"accuracy": 0.5, "epoch": 1}]
    assert '"epoch": null' in capfd.readouterr().out


def _records(code, folder, **keys):
    return [(record["epoch"], record["accuracy"]) for record in _run(code, folder, **keys)]


@pytest.mark.parametrize(
    "code",
    [
        """print('epoch 1 done: {"epoch": 1, "accuracy": 0.5} in 3 s'); print('{"epoch": 2, "accuracy": 0.7}')""",
        """print(' 10%|#  | 1/9\\r 99%|###| 9/9\\r{"epoch": 1, "accuracy": 0.5}'); print('{"epoch": 2, "accuracy": 0.7} 100%')""",
        """print('{"epoch": 1, "accuracy": 0.5}', end='\\r'); print('{"epoch": 2, "accuracy": 0.7}', end='\\r')""",
        """print('{"epoch": 1, "accuracy": 0.5}{"epoch": 2, "accuracy": 0.7}')""",
        """print('{"event": "start", "config": {"accuracy": 9}}'); print('{"epoch": 1, "accuracy": 0.5}'); print('{"epoch": 2, "train_loss": 1}'); print('{"epoch": 2, "accuracy": 0.7, "done": true, "phase": "val"}')""",
        r"""print('\x1b[1m{\x1b[34m"epoch"\x1b[0m:1,\x1b[34m"accuracy"\x1b[0m:\x1b[1;36m0.5\x1b[0m}'); print('{"epoch": 1e300, "accuracy": 1}\n{"epoch": 2, "accuracy": 0.7}')""",
        """print('{{{ {"a": [1, {"b'); print('{"epoch": 1, "accuracy": 0.5, "model": null}\\r'); print('{"epoch": 2, "accuracy": "0.7"}')""",
    ],
)  # fmt: skip
def test_a_record_is_found_wherever_it_stands_and_other_objects_end_nothing(code, tmp_path):
    assert _records(code, tmp_path) == [(1, 0.5), (2, 0.7)]
    assert _records("pass", tmp_path) == [(1, 0.5), (2, 0.7)], "as a resumed trial reads them"


def test_losses_in_lines_of_their_own_are_joined_to_the_record_of_their_epoch(tmp_path):
    code = """
for epoch in (1, 2):
    print('{"epoch": %d, "train_loss": 0.%d}' % (epoch, epoch))
    print('{"epoch": %d, "accuracy": 0.5}' % epoch)
print('{"epoch": 3, "train_loss": 0.3}')
"""
    assert [record.get("train_loss") for record in _run(code, tmp_path)] == [0.1, 0.2]


def test_a_summary_behind_numbered_epochs_is_no_epoch_also_of_a_resumed_program(tmp_path):
    summary = """print('{"accuracy": 0.9, "best_epoch": 1, "test_loss": 1}')"""
    epochs = """print('{"epoch": 0, "accuracy": 0.5}\\n{"epoch": 1, "accuracy": 0.7}')\n"""
    assert _records(epochs + summary, tmp_path) == [(1, 0.5), (2, 0.7)]
    assert _records(summary, tmp_path) == [(1, 0.5), (2, 0.7)], "nothing was left to train"


def test_the_metric_of_train_rows_in_lines_of_their_own_is_left_out(tmp_path):
    code = """
for value in (5, 7):
    print('{"split": "train", "accuracy": 0.9}')
    print('{"split": "val", "accuracy": 0.%d}' % value)
"""
    assert _records(code, tmp_path) == [(1, 0.5), (2, 0.7)]
    both = """print('{"phase": "Train", "epoch": 1, "val_loss": 2, "accuracy": 0.6}')"""
    assert _records(both, tmp_path / "both") == [(1, 0.6)], "a line of train and validation"
    with pytest.raises(CommandFailed, match=r"whose 'mode' says that it is of train rows"):
        _records("""print('{"mode": "train", "accuracy": 0.6}')""", tmp_path / "alone")


@settings(max_examples=25)
@given(
    values=st.lists(st.floats(0, 1), min_size=1, max_size=5),
    first=st.sampled_from([0, 1]),
    before=st.sampled_from(["", "\r 50%|##", "INFO {x} ", '{"a": 1} ', "}{ "]),
    after=st.sampled_from(["", " in 3 s", "\r", " {"]),
)
def test_every_trained_epoch_counts_whether_a_program_counts_from_0_or_1(
    values, first, before, after
):
    printed = Printed(needed=("accuracy",), untrained=False)
    records = []
    for epoch, value in enumerate(values, first):
        line = before + json.dumps({"epoch": epoch, "accuracy": value}) + after
        records += printed.read(line)[0]
    expected = [{"epoch": epoch, "accuracy": value} for epoch, value in enumerate(values, 1)]
    assert records == expected


def test_a_record_that_is_cut_in_two_and_epochs_too_many_are_said():
    printed = Printed(needed=("accuracy",), untrained=False, most=4)
    lines = (
        '{"epoch": 1, "train_loss": 0.5}',  # whole, and no record by itself
        'epoch 1 {"epoch": 1, "accuracy": 0.1} {"other": {}',
        '{"epoch": 2, "accurhello from rank 1',
        'acy": 0.2}',
        *(json.dumps({"epoch": epoch, "accuracy": 0.3}) for epoch in (3, 4, 5)),
    )
    records = [record for line in lines for record in printed.read(line)[0]]
    assert [(record["epoch"], record.get("remark", "")[:26]) for record in records] == [
        (1, ""),
        (3, "a record that the program "),
        (4, ""),
        (5, "the program prints more ep"),
    ]
    assert "trainer.untrained" not in records[-1]["remark"]
    counts_from_0 = Printed(needed=("accuracy",), untrained=False, most=1)
    told = [counts_from_0.read(f'{{"epoch": {epoch}, "accuracy": 0.3}}')[0] for epoch in (0, 1)]
    assert "trainer.untrained=true" in told[1][0]["remark"]


def test_records_between_two_whole_epochs_are_left_out_and_said():
    printed = Printed(needed=("accuracy",), untrained=False)
    lines = [json.dumps({"epoch": epoch, "accuracy": 0.5}) for epoch in (0.5, 1.0, 1.5, 2, 3)]
    records = [record for line in lines for record in printed.read(line)[0]]
    said = "a record that the program printed is left out, since its epoch is no whole number"
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [record.get("remark", "").startswith(said) for record in records] == [True, True, False]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"accuracy": 0.9}], "0.9"),  # no record holds it
        ([{"accuracy": 0.8}], ""),  # the best epoch's once more
        ([{"accuracy": 0.7996}], ""),  # rounded
        ([{"epoch": 2, "accuracy": 0.9}], "0.9"),  # the best weights', once more at the end
        ([{"epoch": 2, "accuracy": 0.7}] * 2, ""),
        ([{"best": 0.9}], ""),
        ([{"accuracy": "n/a"}], ""),
        ([{"accuracy": 0.9, "split": "train"}], ""),
        ([{"accuracy": 0.9}, {"epoch": 3, "accuracy": 0.9}], ""),
    ],
)
def test_a_summary_whose_score_no_record_holds_is_said(lines, said):
    printed = Printed(needed=("accuracy",), untrained=False)
    records = [{"epoch": 1, "accuracy": 0.8}, {"epoch": 2, "accuracy": 0.7}, *lines]
    told = [record for line in records for record in printed.read(json.dumps(line))[0]]
    assert [record["epoch"] for record in told] in ([1, 2], [1, 2, 3])
    assert bool(printed.left_out()) == bool(said)
    assert said in printed.left_out()


def test_epochs_that_are_printed_by_each_rank_are_refused_and_not_left_out():
    printed = Printed(needed=("accuracy",), untrained=True)
    lines = [json.dumps({"epoch": epoch, "accuracy": 0.5}) for epoch in (0, 0, 1, 1)]
    records = [record for line in lines for record in printed.read(line)[0]]
    assert [record["epoch"] for record in records] == [0, 0, 1]


def test_a_summary_that_holds_the_only_score_belongs_to_the_last_epoch_whose_losses_were_told():
    printed = Printed(needed=("accuracy",), untrained=False)
    lines = [{"epoch": epoch, "val_loss": 1 / epoch} for epoch in (1, 2, 3, 4)]
    records = [
        record
        for line in [*lines, {"accuracy": 0.9}]
        for record in printed.read(json.dumps(line))[0]
    ]
    assert records == [{"epoch": 4, "val_loss": 0.25, "accuracy": 0.9}]
    assert not printed.left_out()


@pytest.mark.parametrize(
    ("epochs", "resumes", "is_said"),
    [((4, 5, 6), False, True), ((4, 5, 6), True, False), ((5, 10, 15), False, False),
     ((0, 1, 2), False, False), ((1, 2, 3), False, False), ((4,), False, False)],
)  # fmt: skip
def test_a_program_that_begins_in_the_middle_of_a_training_is_said(epochs, resumes, is_said):
    printed = Printed(needed=("accuracy",), untrained=True, resumes=resumes)
    lines = [json.dumps({"epoch": epoch, "accuracy": 0.5}) for epoch in epochs]
    remarks = [record.get("remark", "") for line in lines for record in printed.read(line)[0]]
    first = "the first epoch that the program prints is 4: if it goes on from what an earlier trial"
    assert any(remark.startswith(first) for remark in remarks) == is_said
    assert sum(map(bool, remarks)) == is_said


def test_epoch_0_is_the_untrained_model_where_the_config_says_so_and_a_resumed_count_goes_on(
    tmp_path,
):
    code = """
for epoch in range({first}, {last}): print('{{"epoch": %d, "accuracy": 0.%d}}' % (epoch, 9 - epoch))
"""
    config = _config(code.format(first=0, last=3))
    config["trainer"]["untrained"] = True
    told = train(config, DATA, "cpu", FolderCheckpoint(tmp_path / "0"))
    assert [record["epoch"] for record in told] == [0, 1, 2]
    assert _records(code.format(first=0, last=3), tmp_path / "1") == [(1, 0.9), (2, 0.8), (3, 0.7)]
    resumed = _records(code.format(first=2, last=5), tmp_path / "1")
    assert [epoch for epoch, _ in resumed] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("value", ["NaN", "null", "Infinity"])
def test_a_metric_that_is_no_number_is_told_as_such(value, tmp_path):
    (record,) = _run(f"print('{{\"accuracy\": {value}}}')", tmp_path)
    assert not np.isfinite(record["accuracy"])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def f(): raise ValueError('bad width')\nf()", "ended with exit status 1: ValueError: bad width"),
        ("import sys; sys.stderr.write('usage: x\\nerror: no --lr'); sys.exit(2)", "ended with exit status 2: error: no --lr"),
        ("import sys; sys.stderr.write('Usage: x\\n╭─ Error ─╮\\n│ No such option: --hiden │\\n╰─────────╯\\n'); sys.exit(2)", "exit status 2: Error No such option: --hiden; it was "),
        ("import sys; sys.stderr.write('FATAL Flags parsing error:\\n  Unknown flag x\\nPass --helpshort\\n'); sys.exit(1)", "exit status 1: FATAL Flags parsing error: Unknown flag x Pass --helpshort; it was "),
        ("import sys; print('out of ideas'); sys.exit(3)", "ended with exit status 3: out of ideas"),
        ("import os; os.kill(os.getpid(), 9)", r"ended with signal 9 \(Killed\)"),
        ("print('hello {\"loss\": 3}')", "must print a JSON object with 'accuracy' on one line per epoch, to standard output, but printed none; the last other object was {\"loss\": 3}; if another of its numbers is the metric, say metric.name=… and metric.direction=maximize or minimize; it was "),
        ("print('{\"accuracy\": \"97.9%\"}\\n{\"done\": 1}')", "whose 'accuracy' is no plain number"),
        ("print('{\"accuracy\": 0.9, \"epoch\": \"1/5\"}')", "whose 'epoch' is no plain number"),
        ("print('{\"accuracy\": 1' + '0' * 400 + '}')", "whose 'accuracy' is no plain number"),
        ("print('{\"accuracy\": 0.9, \"epoch\": 1' + '0' * 400 + '}')", "whose 'epoch' is no plain number"),
        ("print('{\"val\": {\"accuracy\": 0.9}}')", "whose 'accuracy' in 'val' is not looked for there"),
        ("print({'accuracy': 0.9, 'epoch': 1})", r"{'accuracy': 0.9, 'epoch': 1}, as Python writes it and not JSON: print.json.dumps"),
        ("import logging; logging.warning('{\"accuracy\": 0.9}')", "printed none; it prints them as errors, as logging does: use print"),
        ("pass", "must print a JSON object with 'accuracy' on one line per epoch, to standard output, but printed none; print one, as trainers/examples/script.py does; or, if it has ended a training that an earlier trial began, save in"),
    ],
)  # fmt: skip
def test_the_reason_of_a_programs_end_is_its_own_last_word(code, reason, tmp_path):
    with pytest.raises(CommandFailed, match=reason):
        list(_run(code, tmp_path))


RAISES = """
import sys, time, traceback
wait = lambda: time.sleep(0.2)  # so that records and errors are read one by one
def fails(words):
    try: raise RuntimeError(words)
    except RuntimeError: traceback.print_exc()
"""


@pytest.mark.parametrize(
    ("code", "has_failed"),
    [
        ("print('{\"accuracy\": 0.5}', flush=True); wait(); fails('of the device'); sys.exit(0)", True),
        ("fails('no tracker'); wait(); print('{\"accuracy\": 0.5}\\n{\"accuracy\": 0.6}')", False),
        ("print('{\"accuracy\": 0.5}', flush=True); wait(); print('Exception ignored in: x', file=sys.stderr); fails('y')", False),
        ("print('{\"epoch\": 9, \"accuracy\": 0.5}', flush=True); wait(); fails('too late to matter')", False),
    ],
)  # fmt: skip
def test_a_program_that_hides_its_error_behind_status_0_has_failed(code, has_failed, tmp_path):
    config = _config(RAISES + code)
    config["trainer"]["epochs"] = 9
    trained = train(config, DATA, "cpu", FolderCheckpoint(tmp_path))
    if not has_failed:
        assert list(trained)
        return
    with pytest.raises(CommandFailed, match=r"status 0, but at epoch 1 of 9 .* of the device"):
        list(trained)


def test_a_metric_in_other_letters_is_told_while_the_program_runs(tmp_path):
    printed = Printed(needed=["val_acc"], untrained=False)
    assert printed.read('{"epoch": 1, "Val-Acc": 0.5}') == ([], True)
    assert printed.read('{"epoch": 1, "val_acc": 0.5}')[0]  # it was another number
    assert printed.read('{"epoch": 2, "Val-Acc": 0.5}') == ([], True)
    code = 'import time\nfor epoch in range(1, 9): print(\'{"epoch": %d, "Accuracy": 0.5}\' % epoch)\ntime.sleep(600)'
    with pytest.raises(
        ValueError, match="reads 'accuracy', but the program prints 'Accuracy'; pri"
    ):
        list(_run(code, tmp_path))


def test_a_program_that_ran_out_of_memory_is_told_apart(tmp_path, capfd):
    with pytest.raises(MemoryError, match=r"exit status 1: torch\.OutOfMemoryError: CUDA out of"):
        list(
            _run(
                "class E(Exception): pass\nE.__name__ = E.__qualname__ = 'torch.OutOfMemoryError'\nE.__module__ = 'builtins'\nraise E('CUDA out of memory')",
                tmp_path,
            )
        )
    assert "Traceback" in capfd.readouterr().err


def test_flags_are_there_or_not_and_nothing_is_filled_in_that_programs_misread():
    config = {
        "trainer": {"amp": True, "bias": False, "clip": None, "decay": 0.5, "sizes": [8, "a"]},
    }

    def words(*command):
        whole = {**config, "trainer": {**config["trainer"], "command": list(command)}}
        return command_line(whole, config_file=Path("c.json"), folder=Path("f"))

    assert words(
        "run", "{--amp:trainer.amp}", "{--bias:trainer.bias}", "{--clip:trainer.clip}"
    ) == [
        "run",
        "--amp",
    ]
    assert words("run", "{--decay:trainer.decay}", "{trainer.sizes}") == [
        "run",
        "--decay",
        "0.5",
        '[8, "a"]',
    ]
    for key in ("amp", "bias", "clip"):
        value = config["trainer"][key]
        message = rf"\{{trainer\.{key}\}} must be a number or text, but got {value}, which programs misread; write '\{{--{key}:trainer\.{key}\}}'"
        with pytest.raises(TypeError, match=message) as caught:
            words("run", f"--{key}={{trainer.{key}}}")
        word = f"\"knob.trainer.{key}=choice('true','false')\""
        assert (word in str(caught.value)) is (value is not None)


@pytest.mark.slow
def test_a_hydra_app_writes_into_its_trials_own_folder_and_no_two_share_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("app.yaml").write_text("lr: 1\n")
    Path("app.py").write_text(
        "import hydra\n\n@hydra.main(version_base=None, config_path='.', config_name='no')\n"
        "def main(config):\n    print('{\"accuracy\": 0.5}')\n\nmain()\n"
    )
    command = ["env", "A=1", "{python}", "app.py", "lr={lr}", "--config-name", "app"]
    config = {"lr": 0.1, "metric": {}, "trainer": {"grace": 5, "command": command}}
    for name in ("it's 1", "2,b=3"):
        checkpoint = FolderCheckpoint(tmp_path / name)
        assert len(list(train(config, DATA, "cpu", checkpoint))) == 1
        assert (checkpoint.files / ".hydra" / "overrides.yaml").read_text() == "- lr=0.1\n"
    assert not Path("outputs").exists()
    Path("short.py").write_text(
        "from hydra import compose, main\n\n@main()\ndef run(config): ...\n"
    )
    for tail, told in (
        (["short.py"], ["hydra.run.dir='f'"]),
        (["app.py", "--config-name", "app"], ["hydra.run.dir='f'"]),  # behind the flag's value
        (["-m", "app", "++hydra.run.dir={folder}/run"], []),
        (["other.py", "lr=1"], []),
    ):
        config["trainer"]["command"] = ["run", *tail]
        words = command_line(config, config_file=Path("c.json"), folder=Path("f"))
        assert words == ["run", *(word.replace("{folder}", "f") for word in tail), *told]


def test_a_file_of_settings_is_filled_in_as_its_readers_take_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = {"optimizer": {"lr": 1e-05, "nesterov": True}, "model": {"kind": "mlp", "drop": None}}
    template = '{{"lr": {optimizer.lr}, "n": {optimizer.nesterov}, "k": "{model.kind}", "d": {model.drop}, "s": {seed}, "o": "{folder}/${{model.kind}}", "at": "{epoch}"}}'
    read = {".json": json.loads, ".yaml": yaml.safe_load, ".py": ast.literal_eval}
    for ending, load in read.items():
        Path(f"my{ending}").write_text(template.replace("{{", "{").replace("}}", "}"))
        command = [
            sys.executable,
            "-c",
            f"open({str(tmp_path / 'at')!r}, 'w').write(__import__('sys').argv[1]); print('{{\"accuracy\": 1}}')",
            f"--c={{file:my{ending}}}",
        ]
        config = {
            "seed": 3,
            **keys,
            "metric": {},
            "trainer": {"grace": 5, "_target_": "trainers.command.train", "command": command},
        }
        assert rehearse(config, (1, 1, "")) is None
        assert {"optimizer.lr", "model.kind"} < set(keys_named(OmegaConf.create(config)))
        folder = FolderCheckpoint(tmp_path / "c")
        assert len(list(train(config, DATA, "cpu", folder))) == 1
        copy = Path((tmp_path / "at").read_text().removeprefix("--c="))
        assert copy == folder.files / f"my{ending}"
        assert load(copy.read_text()) == {
            "lr": 1e-05,
            "n": True,
            "k": "mlp",
            "d": None,
            "s": 3,
            "o": f"{folder.files}/${{model.kind}}",
            "at": "{epoch}",
        }
    for path, error, message in (
        ("none.yaml", FileNotFoundError, "there is no 'none.yaml' here"),
        (
            "wrong.yaml",
            ValueError,
            r"\{model.kin\} of wrong.yaml must name a key of the config; did you mean '\{model.kind",
        ),
        ("twin/my.json", ValueError, "must have a name each.* another 'my.json'"),
    ):
        Path("wrong.yaml").write_text("kind: {model.kin}")
        Path("twin").mkdir(exist_ok=True)
        Path("twin/my.json").write_text("")
        config["trainer"]["command"] = ["env", f"{{file:{path}}}", "{file:my.json}"]
        with pytest.raises(error, match=message):
            rehearse(config, (1, 1, ""))


@pytest.mark.parametrize("fails", [False, True])
def test_an_error_after_the_last_epoch_of_a_program_that_ends_well_stands_in_its_row(
    fails, tmp_path
):
    code = """
import sys, time, traceback
print('{"accuracy": 0.5}', flush=True)
time.sleep(0.2)
try:
    raise ValueError("no room for the weights")
except ValueError:
    traceback.print_exc() if sys.argv[1] == "True" else None
"""
    runner = CallableSeats(train, data=DATA, device="cpu")
    config = _config(code, words=[str(fails)])
    config["trainer"]["epochs"] = 1
    runner.admit(5, config=config, checkpoint=FolderCheckpoint(tmp_path))
    assert runner.step()[0].values["accuracy"] == 0.5
    said = "an error came after its last epoch: ValueError: no room for the weights"
    assert runner.step() == [End(trial=5, remark=said if fails else "")]


def test_a_program_that_is_not_there_is_found_by_the_dry_run():
    config = {"metric": {}, "trainer": {"_target_": "trainers.command.train"}}
    for command, message in (
        (
            ["nowhere-to-be-found"],
            "the first word must be a program, but 'nowhere-to-be-found' is none",
        ),
        (["LR=0.1", "{python}", "t.py"], "write env before variables of the environment: "),
        (["{python}", "no.py"], "must name a file, but there is no 'no.py' here"),
    ):
        config["trainer"]["command"] = command
        with pytest.raises(FileNotFoundError, match=message):
            rehearse(config, (1, 1, "classification"))


@pytest.mark.slow
def test_two_ranks_train_together_and_a_rank_that_dies_fails_the_trial_and_leaves_nothing(tmp_path):
    command = [
        *("{python}", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "trainers.examples.ddp"),
        *("--lr", "{optimizer.lr}", "--seed", "{seed}", "--epochs", "{trainer.epochs}"),
    ]
    data = Data(train=Part(index=np.arange(640)), val=Part(index=np.arange(640, 800)))
    config = _config("") | {"metric": {"name": "accuracy"}}
    config["trainer"] = {"grace": 5, "command": command, "epochs": 10_000}
    before = set(psutil.Process().children(recursive=True))
    records = train(config, data, "cpu", FolderCheckpoint(tmp_path))
    first, second = next(records), next(records)
    assert (first["epoch"], second["epoch"]) == (1, 2)
    others = set(psutil.Process().children(recursive=True)) - before
    ranks = {
        process.environ()["LOCAL_RANK"]: process
        for process in others
        if "LOCAL_RANK" in process.environ()
    }
    assert set(ranks) == {"0", "1"}
    ranks["1"].kill()
    with pytest.raises(
        CommandFailed, match=r"ended with exit status 1: rank 1 was killed by SIGKILL; it was "
    ):
        for _ in records:
            pass
    wait_for(lambda: not any(each.is_running() for each in others), what="every process to end")


TORCHRUN = """failed (exitcode: {first}) local_rank: 0 (pid: 7) of binary: python
Failures:
[1]:
  time      : 2026-11-26_18:43:30
  host      : localhost
  rank      : 1 (local_rank: 1)
  exitcode  : {second} (pid: 8)
Root Cause (first observed failure):
[0]:
  rank      : 0 (local_rank: 0)
  exitcode  : {first} (pid: 7)
"""


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (-6, -9, "rank 1 was killed by SIGKILL"),  # whose end made the first one abort
        (-6, -15, "rank 0 was killed by SIGABRT"),
        (-35, -15, "rank 0 was killed by signal 35"),  # a real-time one has no name
        (1, 1, "rank 0 ended with exit status 1"),
    ],
)
def test_of_ranks_that_end_together_the_one_that_was_killed_is_named(first, second, told, tmp_path):
    text = TORCHRUN.format(first=first, second=second)
    with pytest.raises(CommandFailed, match=f"exit status 1: {told}; it was "):
        list(_run(f"import sys; print({text!r}, file=sys.stderr); sys.exit(1)", tmp_path))


@pytest.mark.parametrize(
    "code",
    [
        """import os; print('{"epoch": 1, "accuracy": 0.5}', flush=True); os.abort()""",
        """import os; os.execlp("sh", "sh", "-c", "sh -c 'kill -SEGV $$'; exit $?")""",
        """import sys; print("failed (exitcode: -6) local_rank: 1 (pid: 7)", file=sys.stderr); sys.exit(1)""",
    ],
    ids=["a program", "below a shell", "a rank"],
)
def test_a_program_that_crashes_has_been_killed_and_has_not_failed(code, tmp_path):
    with pytest.raises(CommandKilled, match=r"SIGABRT|signal 6|exit status 139"):
        list(_run(code, tmp_path))


def test_the_error_of_the_rank_that_failed_first_is_the_reason(tmp_path):
    code = """import sys; print("[rank1]: Traceback (most recent call last):\\n[rank1]:   File x\\n[rank1]: ValueError: bad\\nfailed (exitcode: 1) local_rank: 1 (pid: 7)\\nTraceback (most recent call last)\\nChildFailedError:", file=sys.stderr); sys.exit(1)"""
    with pytest.raises(
        CommandFailed, match=r"rank 1 ended with exit status 1: ValueError: bad; it was "
    ):
        list(_run(code, tmp_path))
