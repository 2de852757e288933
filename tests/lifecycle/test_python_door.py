"""`import search` from Python code: runs, results from disk, and functions that workers can import."""

import json
import linecache
import math
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forked import Forked
from kit import ROOT, environment, script, wait_for
from refusals import raises

import search
from search.lifecycle import call as call_module
from search.lifecycle.call import run_search
from search.lifecycle.train_function import importable
from search.results.result_figures import ResultFigures
from search.storage.folder import Folder


def test_frames_hold_what_the_files_hold(smoke):
    result, folder = search.load("smoke"), smoke / "results" / "smoke"
    table = pd.read_csv(folder / "trials.csv", keep_default_na=False)
    assert result.trials.index.tolist() == table.trial.tolist()
    assert result.trials.value.tolist()[:3] == [float(value) for value in table.value[:3]]
    assert result.trials.columns.tolist() == table.columns.tolist()[1:]
    pd.testing.assert_frame_equal(
        result.curves, pd.read_parquet(folder / "curves.parquet"), check_dtype=False
    )
    joined = result.curves.merge(result.trials, on="trial", suffixes=("", " of the trial"))
    assert joined.trial.tolist() == result.curves.trial.tolist()
    summary = pd.read_csv(folder / "summary.csv")
    assert result.summary["mean"].tolist()[:3] == summary["mean"].tolist()[:3]
    record = json.loads(Folder(folder).decisions.read_text())
    assert result.decisions.iloc[0]["decision"] == record["decision"]


def test_a_result_has_its_winner_config_units_and_figures(smoke):
    result = search.load("smoke")
    assert (result.winner.trial, result.winner.knobs) == (0, {"optimizer.lr": 0.1})
    assert result.winner.value == result.trials.value.max()
    assert (result.winner.mean, result.winner.seeds) == (result.summary["mean"].max(), 1)
    assert result.config["optimizer"]["lr"] == 0.1
    assert result.trials.attrs["units"]["seconds"] == "s"
    assert result.curves.attrs["units"]["accuracy"] == "accuracy"
    drawn = result.figure.sweep()
    values = [value for trace in drawn.data for value in trace.y]
    assert any(value == pytest.approx(result.winner.value, abs=1e-6) for value in values)
    curves = result.figure.curves([0, 1], column="val_loss")
    assert [trace.name for trace in curves.data] == ["trial 0", "trial 1"]
    losses = result.curves.query("trial == 0").val_loss.tolist()
    assert list(curves.data[0].y) == pytest.approx(losses, rel=1e-5)
    with pytest.raises(AttributeError, match=r"'swep'.*'sweep'"):
        result.figure.swep  # noqa: B018
    for empty in (result.figure, ResultFigures(result._findings, result.curves[:0], result.folder)):
        with raises("curves-of-unknown-trial", "99"):
            empty.curves([99])
    with raises("curves-of-unknown-column", "'val_los'", "'val_loss'"):
        result.figure.curves(column="val_los")
    with raises("unknown-figure", "sweep figure 'b'", "accuracy by optimizer.lr"):
        result.figure.sweep("b")
    page = result._repr_html_()
    assert page.startswith("<h4>smoke</h4><p>Keep the baseline, optimizer.lr = 0.1")


def test_loading_a_search_needs_no_torch(smoke):
    code = "import sys, search; search.load('smoke').trials; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=smoke, env=environment(), capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "False\n"


def test_a_search_that_does_not_exist_names_those_that_do(smoke):
    with raises("unknown-search", "'smok'", "'smoke'"):
        search.load("smok")


@pytest.mark.slow
def test_the_example_of_the_readme_runs(elsewhere):
    text = (ROOT / "search" / "README.md").read_text()
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    done = script("-c", example, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (elsewhere / "results" / "smoke" / "best.yaml").exists()


SCRIPT = """
import search
import trainers

def fit(config, data, device, checkpoint):
    for epoch in range(3) if config["lr"] == 1.0 else range(1, 30):
        accuracy = 1 - abs(config["lr"] - 0.1) - 1 / max(min(epoch, 3), 1)
        trainers.report(epoch=epoch, train_loss=1 / (epoch + 1), val_loss=1 / (epoch + 1), accuracy=accuracy)

if __name__ == "__main__":
    words = ["trainer.epochs=30", "trainer.patience=2", "seeds=1", "protocol.refine=0", "protocol.extend=0"]
    result = search.run(overrides=words, train=fit, space={"lr": [0.01, 0.1, 1.0]}, quiet=True)
    print(result.winner.knobs, result.trials.epochs.tolist())
    print(result.trials.reason.tolist()[1:])
"""


@pytest.mark.slow
def test_a_function_of_a_script_that_blocks_is_searched_and_stopped_early(elsewhere):
    (elsewhere / "mine.py").write_text(SCRIPT)
    done = script("mine.py", cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "{'lr': 0.1} [5, 5, 2]",  # the best epoch is 3, patience 2; the last trained less
        "['stopped early: no better accuracy for 2 epochs', 'ended by itself at epoch 2 of 30; its "
        "epoch 0 counts as the untrained model: count trained epochs from 1']",
    ]


MANY = """
import time
import search

def fit(config, data, device, checkpoint):
    for epoch in range(1, 1000):
        time.sleep(0.05)
        yield {"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 1 / epoch, "accuracy": 0.5}

if __name__ == "__main__":
    for name in ("first", "second"):
        try:
            words = [f"name={name}", "trainer.patience=null", "trainer.epochs=1000", "preflight=off"]
            search.run(overrides=words, train=fit, space={"lr": [0.1, 1.0]}, quiet=True)
        except Exception as error:
            print("swallowed", error)
"""


@pytest.mark.slow
def test_a_signal_ends_a_script_of_many_searches_that_says_except_exception(elsewhere):
    (elsewhere / "many.py").write_text(MANY)
    process = Forked([sys.executable, "many.py"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        log = elsewhere / "results" / "first" / "logs" / "0.log"
        wait_for(log.exists, what="a first trial")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert "swallowed" not in output
    assert "Interrupted: interrupted" in errors
    assert process.returncode != 0
    assert not (elsewhere / "results" / "second").exists()
    assert search.load("first").trials.shape[0] > 0


@pytest.mark.slow
def test_a_script_that_searches_when_it_is_imported_is_told_where_to_put_the_call(elsewhere):
    guarded = SCRIPT.replace('if __name__ == "__main__":', "if True:")
    (elsewhere / "mine.py").write_text(guarded)
    done = script("mine.py", cwd=elsewhere)
    assert done.returncode != 0
    assert '`if __name__ == "__main__":`' in done.stderr
    assert not (elsewhere / "results").exists()


def test_a_search_within_a_worker_or_beside_the_main_thread_is_refused(elsewhere, monkeypatch):
    heard = []

    def call():
        with raises("call-outside-main-thread", "a thread"):
            search.run("smoke", quiet=True)
        heard.append(True)

    thread = threading.Thread(target=call, name="a thread")
    thread.start()
    thread.join()
    assert heard == [True]
    monkeypatch.setenv(call_module.MARK, "1")
    with raises("call-within-worker"):
        search.run("smoke", quiet=True)
    assert list(elsewhere.iterdir()) == []


def _notebook(source, **names):
    """Runs source as a notebook does: in a module without a file, whose text Python knows."""
    file = f"<cell {len(linecache.cache)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space = {"__name__": "a_notebook", **names}
    sys.modules["a_notebook"] = type(sys)("a_notebook")
    exec(compile(source, file, "exec"), space)
    return space


CELL = """
import math as m
from pathlib import Path

RATES = [0.1, 0.2]

class Model:
    def loss(self, x):
        return half(x)

def half(x):
    return m.fabs(x) / 2

def fit(config, data, device, checkpoint):
    yield {"accuracy": Model().loss(config["lr"]), "here": str(Path("a")), "rates": RATES}
"""


def test_a_function_of_a_notebook_is_written_with_all_that_it_uses(elsewhere, monkeypatch):
    target, folder = importable(_notebook(CELL)["fit"])
    assert folder == elsewhere
    assert re.fullmatch(r"notebook_fit_[0-9a-f]{8}\.fit", target)
    monkeypatch.syspath_prepend(str(folder))
    module = __import__(target.partition(".")[0])
    assert next(module.fit({"lr": -3.0}, None, "cpu", None))["accuracy"] == 1.5
    again, _ = importable(_notebook(CELL)["fit"])
    assert again == target
    other, _ = importable(_notebook(CELL.replace("/ 2", "/ 4"))["fit"])
    assert other != target  # so that a resumed search notices


def test_constants_of_a_notebook_keep_their_values_and_names_like_pythons_own_are_its(
    elsewhere, monkeypatch
):
    cell = (
        "BEST = [float('-inf'), {'a': float('nan')}]\n"
        "RATE = np.float64(0.25)\n"
        "def sum(values):\n    return 7\n"
        "def fit(*_):\n    yield {'best': BEST, 'rate': RATE, 'sum': sum([1]), 'most': max(1, 2)}\n"
    )
    target, folder = importable(_notebook(cell, np=np)["fit"])
    monkeypatch.syspath_prepend(str(folder))
    said = next(__import__(target.partition(".")[0]).fit())
    assert said["best"][0] == -math.inf
    assert math.isnan(said["best"][1]["a"])
    assert (said["rate"], said["sum"], said["most"]) == (0.25, 7, 2)


def test_local_names_that_a_notebook_has_too_are_its_functions_own(elsewhere, monkeypatch):
    cell = (
        "x, rows, Base, STEP = object(), object(), dict, 2\n"
        "class Net(Base):\n    def half(self, x):\n        return x / STEP\n"
        "def fit(config, x=STEP, *_):\n"
        "    rows = [x for x in range(3)]\n"
        "    def inner():\n        return len(rows)\n"
        "    yield {'half': Net().half(x), 'rows': inner()}\n"
    )
    target, folder = importable(_notebook(cell)["fit"])
    monkeypatch.syspath_prepend(str(folder))
    module = __import__(target.partition(".")[0])
    assert next(module.fit({})) == {"half": 1, "rows": 3}
    assert not hasattr(module, "x")
    with raises("train-uses-other-values", "rows"):
        importable(_notebook(cell.replace("    rows = [x for", "    [x for"))["fit"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fit = lambda *_: 1", ("train-not-at-top",)),
        ("def outer():\n    def fit(*_):\n        yield {}\n    return fit\nfit = outer()", ("train-not-at-top", "outer.<locals>.fit")),
        ("fit = print", ("train-not-a-function", "builtin_function_or_method")),
        ("exec('def half(x): return x / 2')\ndef fit(*_):\n    yield {'a': half(1)}", ("train-has-no-source", "half")),
        ("import sys\nsys.modules[__name__].__file__ = '<stdin>'\nexec('def fit(*_): yield {}')", ("train-has-no-source", "fit")),
        ("import threading\nlock = threading.Lock()\ndef fit(*_):\n    yield {'a': lock}", ("train-uses-other-values",)),
    ],
)  # fmt: skip
def test_a_function_that_workers_cannot_import_is_refused_with_the_reason(source, message):
    with raises(*message):
        importable(_notebook(source)["fit"])


def test_a_function_of_a_module_is_found_where_it_lies():
    import toys

    target, folder = importable(toys.steady)
    assert (target, folder) == ("toys.steady", Path(toys.__file__).resolve().parent)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"experiment": "lr_swep"}, ("unknown-experiment", "'lr_swep'", "'lr_sweep'")),
        ({"experiment": {"seed": 0}}, ("config-lacks-groups",)),
        ({"experiment": {"experiment": "lr_sweep", "seedz": 1}}, ("unknown-key", "'seedz'")),
        ({"experiment": "lr_sweep", "space": {"optimizer.lr": {"low": 1}}}, ("domain-not-given", "optimizer.lr")),
        ({"space": {"lr": {"low": 1e-4, "high": 1, "scale": "loguniform"}}}, ("domain-not-given", "loguniform")),
        ({"space": {"width": {"low": 8, "high": 64, "type": "integer"}}}, ("domain-not-given", "integer")),
        ({"space": {"lr": (1e-4, 1.0)}}, ("domain-not-given", "(0.0001, 1.0)")),
        ({"experiment": None}, ("experiment-not-a-name", "None")),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused_and_writes_nothing(arguments, message, elsewhere):
    with raises(*message):
        run_search(**arguments, quiet=True)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_a_path_and_an_array_of_numpy_are_what_they_stand_for(elsewhere):
    import toys

    place = {"experiment": "own_trainer", "results_root": Path("two words"), "seeds": 1}
    result = run_search(
        place | {"trainer": {"epochs": 1}, "data": {"rows": 30}},
        train=toys.steady,
        space={"model.width": np.array([8, 16])},
        quiet=True,
    )
    assert set(result.trials["model.width"]) == {8, 16}
    assert (elsewhere / "two words" / "own_trainer" / "trials.csv").exists()


def test_search_run_is_a_plain_function_and_nothing_else_is_made_up():
    assert search.run is run_search
    with raises("unknown-experiment", "'nothing'"):
        search.run("nothing", quiet=True)
    with pytest.raises(AttributeError, match="has no attribute 'rum'"):
        search.rum  # noqa: B018


def test_words_of_a_command_in_one_string_are_refused():
    with raises("words-not-a-list", "'seeds=5'"):
        search.run("smoke", "seeds=5")


def test_a_mapping_behind_the_experiment_is_refused_with_what_to_say():
    with raises("words-not-a-list", "'seeds=5'", "'name=x'"):
        search.run("smoke", {"seeds": 5, "name": "x"})


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs(elsewhere, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    notebook = json.loads((Path(search.__file__).parent / "notebook.ipynb").read_text())
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    names = _notebook("pass")
    for cell in cells:
        file = f"<cell {len(linecache.cache)}>"
        linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
        exec(compile(cell, file, "exec"), names)
    assert names["own"].winner.knobs == {"rate": 0.1}
    assert names["result"].winner is not None
