"""Code that changes between two commands: what of it counts, and that no trial mixes two versions."""

import json
import os
import sysconfig
from pathlib import Path

import pytest
from kit import INLINE, running, search, trials, wait_for
from omegaconf import OmegaConf
from refusals import check_told

from search.config.foreign_code import say_code
from search.config.user_code import user_code
from search.storage.code_record import CodeRecord
from search.storage.sealed import write_json
from trainers.libraries import is_library, is_users

FILES = {
    "mine.py": "from helper import rate\nimport pkg.deep\nimport numpy\n",
    "helper.py": "rate = 1\n",
    "pkg/__init__.py": "",
    "pkg/deep.py": "from . import near\nfrom .sub.far import x\n",
    "pkg/near.py": "",
    "pkg/sub/__init__.py": "",
    "pkg/sub/far.py": "x = 1\n",
    "metrics.py": "",
    "idle.py": "",
    ".venv/lib/python3/site-packages/mine.py": "",
    "run.sh": "python tool.py",
    "tool.py": "import helper\n",
    "data.csv": "a,b\n",
}


def _config(**trainer):
    return OmegaConf.create(
        {
            "trainer": {"_target_": "mine.train", "predict": "mine.predict", **trainer},
            "metric": {"_target_": "metrics.score"},
            "model": {"_target_": "torch.nn.Linear"},
            "data": {"_target_": "trainers.data.bundled.digits", "path": "data.csv"},
        }
    )


def _write():
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def test_the_files_that_a_config_runs_are_found_with_what_they_import():
    _write()
    assert list(user_code(_config())) == [
        "helper.py",
        "metrics.py",
        "mine.py",
        "pkg/__init__.py",
        "pkg/deep.py",
        "pkg/near.py",
        "pkg/sub/__init__.py",
        "pkg/sub/far.py",
    ]
    command = ["{python}", "tool.py", "--data", "data.csv", "{optimizer.lr}"]
    program = _config(_target_="trainers.command.train", command=command, predict=None)
    assert list(user_code(program)) == ["helper.py", "metrics.py", "tool.py"]
    os.chmod("run.sh", 0o700)
    assert "run.sh" in user_code(_config(command=["./run.sh"]))
    assert "mine.py" in user_code(_config(_target_="x.y", command=["{python}", "-m", "mine"]))
    assert "data.csv" in user_code(_config(command=["./run.sh", "--settings={file:data.csv}"]))
    Path("app").mkdir()
    Path("app/__main__.py").write_text("from . import net\n")
    Path("app/net.py").write_text("")
    for words in (["-m", "app"], ["app"]):
        found = user_code(_config(_target_="x.y", command=["{python}", *words]))
        assert {"app/__main__.py", "app/net.py"} <= set(found)


def test_code_behind_a_link_out_of_the_folder_counts_and_one_in_it_is_named_once(tmp_path):
    _write()
    record, elsewhere = CodeRecord(tmp_path), tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    (elsewhere / "site-packages").mkdir(parents=True)
    for name in ("steps.py", "site-packages/foreign.py"):
        (elsewhere / name).write_text("import shared.steps, again.near\n")
    Path("shared").symlink_to(elsewhere)
    Path("again").symlink_to("pkg")
    Path("foreign.py").symlink_to(elsewhere / "site-packages" / "foreign.py")
    record.begin(user_code(_config()))
    Path("metrics.py").write_text("import shared.steps, again.near, foreign\n")
    found = user_code(_config())
    assert {"shared/steps.py", "pkg/near.py"} <= set(found)
    assert not {"again/near.py", "foreign.py"} & set(found)
    record.change(found, ended=[])
    (elsewhere / "steps.py").write_text("rate = 2\n")
    assert record.changed(user_code(_config())) == ["shared/steps.py"]
    record.note_edits()
    assert record.edited() == ["shared/steps.py"]
    # a record of a version that followed no links, or found less, has none to compare with
    files = {name: digest for name, digest in found.items() if name != "shared/steps.py"}
    for version in ({"files": files}, {"files": files, "links": True}):
        write_json(tmp_path / "code.json", {"versions": [version]})
        assert record.changed(user_code(_config())) == []


def test_files_of_python_and_of_environments_are_libraries_and_those_beside_them_are_not(tmp_path):
    standard = Path(sysconfig.get_path("stdlib"))
    assert is_library(standard / "json" / "decoder.py")
    assert is_library(standard.resolve() / "ast.py")
    assert not is_library(Path(f"{standard}-mine") / "decoder.py")
    here = tmp_path.resolve()
    assert is_users(here / "pkg" / "mine.py", here=here)
    for name in (".venv/src/mine.py", "env/lib/site-packages/mine.py", "../mine.py"):
        assert not is_users((here / name).resolve(), here=here), name


def test_only_what_python_would_import_counts_and_never_what_is_called_like_our_packages(
    monkeypatch,
):
    _write()
    for name in ("search.py", "trainers.py", "lib/helper.py", "lib/only.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("")
    monkeypatch.syspath_prepend(str(Path("lib").resolve()))
    Path("metrics.py").write_text("import search, trainers.api, helper, only\n")
    found = set(user_code(_config()))
    assert {"metrics.py", "helper.py", "lib/only.py"} <= found
    assert not found & {"search.py", "trainers.py", "lib/helper.py"}


def test_a_change_is_one_of_content_and_of_a_file_that_counts(tmp_path):
    _write()
    record = CodeRecord(tmp_path)
    assert record.changed(user_code(_config())) == []
    record.begin(user_code(_config()))
    for name, text in (("idle.py", "1"), ("data.csv", "2"), ("helper.py", FILES["helper.py"])):
        Path(name).write_text(text)
    assert record.changed(user_code(_config())) == []
    Path("pkg/sub/far.py").write_text("x = 2\n")
    Path("metrics.py").unlink()
    assert record.changed(user_code(_config())) == ["metrics.py", "pkg/sub/far.py"]
    record.change(user_code(_config()), ended=[0, 2])
    assert record.changed(user_code(_config())) == []
    Path("helper.py").write_text("rate = 3\n")
    record.change(user_code(_config()), ended=[0, 1, 2, 5])
    assert record.older() == [0, 1, 2, 5]
    assert [version.get("trials") for version in json.loads((tmp_path / "code.json").read_text())["versions"]] == [[0, 2], [1, 5], None]  # fmt: skip


def test_files_that_change_while_trials_train_are_named_and_those_that_do_not_are_not(tmp_path):
    _write()
    record = CodeRecord(tmp_path)
    record.note_edits()
    assert record.edited() == []  # of a folder without a record
    record.begin(user_code(_config()))
    record.note_edits()
    assert record.edited() == []
    Path("helper.py").write_text("rate = 2\n")
    Path("metrics.py").unlink()
    record.note_edits()
    assert record.edited() == ["helper.py", "metrics.py"]
    record.change(user_code(_config()), ended=[0])
    record.note_edits()
    assert CodeRecord(tmp_path).edited() == ["helper.py", "metrics.py"]
    assert record.changed(user_code(_config())) == []


TRAINER = """
import os, time
VALUE = {value}

def train(config, data, device, checkpoint):
    saved = checkpoint.load()
    versions = (saved or {{"versions": []}})["versions"]
    for epoch in range(checkpoint.epoch + 1, 5):
        if config["optimizer"]["lr"] > 0.1 and epoch == 4 and VALUE < 0.5:
            time.sleep(600)
        time.sleep(0.06)
        versions = [*versions, VALUE]
        checkpoint.save({{"versions": versions}}, epoch=epoch)
        yield {{"accuracy": VALUE, "versions": len(set(versions))}}
"""
WORDS = [
    "own_trainer", "trainer._target_=mine_code.train", "seeds=1", "protocol.extend=0",
    "protocol.refine=0", "space.optimizer.lr.points=2", "placement.slots=1",
    "trainer.checkpoint_every=0.001", "trainer.patience=null", "report=off",
]  # fmt: skip


@pytest.mark.slow
def test_trials_do_not_mix_code_and_finished_ones_are_named_as_older(tmp_path):
    code, folder = tmp_path / "mine_code.py", tmp_path / "results" / "own_trainer"
    code.write_text(TRAINER.format(value=0.1))
    with running(*WORDS, cwd=tmp_path) as process:
        saved = folder / "checkpoints" / "2" / "last.safetensors"
        wait_for(saved.exists, seconds=60)
        code.write_text(TRAINER.format(value=0.9))
        process.send_signal(2)
        process.wait(60)
    refused = search(*WORDS, cwd=tmp_path)
    assert refused.returncode == 2
    check_told(refused.stderr, "code-has-changed", "mine_code.py", "2 trials", "accept_code=true")
    done = search(*WORDS, "accept_code=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "trained with older code: trials 0, 1" in " ".join(done.stdout.split())
    summary = (folder / "summary.md").read_text()
    assert "trained with older code: trials 0, 1\n" in summary
    assert "mine_code.py changed while the search ran, so its trials may be of" in summary
    table = trials(folder)
    assert table.value.tolist() == [0.1, 0.1, 0.9]
    import pandas as pd

    assert (pd.read_parquet(folder / "curves.parquet").versions == 1).all()
    assert (
        "trained with older code: trials 0, 1"
        in search("table", "own_trainer", cwd=tmp_path).stdout
    )
    code.write_text(TRAINER.format(value=0.8))  # nothing is left to train
    finished = search(*WORDS, cwd=tmp_path)
    assert finished.returncode == 0
    assert "your code has changed since these trials were trained: mine_code.py" in finished.stdout
    again = search("train", str(folder / "best.yaml"), cwd=tmp_path)
    assert again.returncode == 1
    assert "they differ, and your code has changed: mine_code.py" in again.stdout


@pytest.mark.slow
def test_a_failed_set_up_does_not_use_up_the_name(tmp_path):
    code, folder = tmp_path / "mine_code.py", tmp_path / "results" / "own_trainer"
    code.write_text("def train(config, data, device, checkpoint):\n    yield {'acuracy': 0.5}\n")
    assert search(*WORDS, cwd=tmp_path).returncode == 1
    again = search(*WORDS, cwd=tmp_path)
    assert again.returncode == 1
    assert "begins anew" not in again.stdout + again.stderr  # nothing has changed
    (folder / "notes.txt").write_text("mine")
    code.write_text("def train(config, data, device, checkpoint):\n    yield {'accuracy': 0.5}\n")
    mended = search(*WORDS, cwd=tmp_path)
    assert mended.returncode == 0, mended.stderr
    assert "no trial has completed and your code has changed (mine_code.py): the search begins anew" in mended.stdout  # fmt: skip
    assert (trials(folder).state == "complete").all()
    assert (folder / "notes.txt").read_text() == "mine"
    other = search(*WORDS, "trainer.epochs=3", cwd=tmp_path)
    assert other.returncode == 2
    check_told(other.stderr, "config-of-another-search", "trainer.epochs")


def _foreign(**changes):
    return OmegaConf.create(
        {
            "model": {"_target_": "torch.nn.Linear", "predict": "classes"},
            "optimizer": {"_target_": "torch.optim.SGD"},
            "schedule": {"_target_": "torch.optim.lr_scheduler.StepLR"},
            "trainer": {"_target_": "trainers.stock.Stock", "predict": "trainers.stock.predict"},
            "data": {"_target_": "trainers.data.bundled.digits"},
            **changes,
        }
    )


RUNS = "search.execution.trackers.command.Command"
SENDS = "search.execution.trackers.webhook.Webhook"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": {"steps": [{"_target_": "os.system"}]}}, "os.system"),
        ({"model": {"_target_": "evil"}}, "evil"),
        ({"model": {"_target_": "${name}"}, "name": "evil.Model"}, "evil.Model"),
        ({"model": {"_target_": "${oc.env:NO_SUCH_VARIABLE}"}}, "${oc.env:NO_SUCH_VARIABLE}"),
        (
            {"model": {"_target_": "torch.nn.grad.torch.hub.load"}},
            "torch.nn.grad.torch.hub.load",
        ),
        ({"trainer": {"_target_": "a.b", "command": ["rm", "-rf"]}}, "a.b, the command rm -rf"),
        ({"trainer": {"_target_": "trainers.stock.Stock", "predict": "evil"}}, "evil"),
        ({"callbacks": {"x": {"_target_": RUNS, "command": ["rm", "x"]}}}, "the command rm x"),
        (
            {"callbacks": {"x": {"_target_": SENDS, "url": "http://far"}}},
            "callbacks that send to http://far",
        ),
    ],
)
def test_a_config_from_elsewhere_says_what_it_will_run_before_it_does(changes, said, capsys):
    say_code("best.yaml", _foreign())
    assert capsys.readouterr().err == ""
    say_code("best.yaml", _foreign(), _foreign(**changes))
    told = f"best.yaml runs {said}: trust it as you trust that code\n"
    assert capsys.readouterr().err == told
    say_code("best.yaml", _foreign(**changes), known=_foreign(**changes))
    assert capsys.readouterr().err == "", "what the user has named needs no word"


@pytest.mark.slow
def test_code_that_comes_with_another_search_is_said_before_it_runs(tmp_path):
    theirs = "from torch.nn import Linear\n\n\ndef net():\n    return Linear(64, 10)\n"
    (tmp_path / "theirs.py").write_text(theirs)
    first = search("smoke", *INLINE, "model._target_=theirs.net", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "trust it" not in first.stderr, "the command's own words"
    words = ["batch_size_sweep", "from=smoke", "seeds=1", "trainer.epochs=1", *INLINE]
    words += ["space.trainer.batch_size.points=2", "space.trainer.batch_size.low=64"]
    line = "results/smoke runs theirs.net: trust it as you trust that code"
    for command in (words, ["plan", *words], ["test", "smoke"]):
        done = search(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(line) == 1, done.stderr
    own = search(*words, "model._target_=theirs.net", "name=own", cwd=tmp_path)
    assert own.returncode == 0, own.stderr
    assert "trust it" not in own.stderr
