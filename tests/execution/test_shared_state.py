"""What a training leaves in its process, and the next one would go on with."""

import importlib
import os

import pandas as pd
import pytest
from kit import search, trials
from patching import KINDS

from trainers.isolation.code_state import CodeState
from trainers.isolation.shared_numbers import SharedNumbers

LIBRARIES = ("random", "numpy", "time", "builtins", "torch")

PILING = """
import os

class Half:
    def __call__(self, score):
        return score / 2

CALLBACKS, ROWS, CACHE = [], [], {}

def train(config, data, device, checkpoint):
    steps, piles = CACHE, config["model"]["piles"]
    if not ROWS:
        ROWS.extend(range(100))  # read once, and for all
    if piles == "callbacks":
        CALLBACKS.append(Half())
    for epoch in (1, 2):
        score = 0.8
        if piles == "model":
            steps = CACHE.setdefault("model", [0])
            steps[0] += 1
            score /= steps[0]
        for callback in CALLBACKS:
            score = callback(score)
        yield {"accuracy": score, "pid": os.getpid()}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("piles", "best"), [("callbacks", 0.4), ("model", 0.8), ("nothing", 0.8)])
def test_what_trainings_pile_up_in_a_global_makes_no_trial_another(piles, best, tmp_path):
    """What was empty looks like data that are read once, until a second training changes it."""
    (tmp_path / "piling.py").write_text(PILING)
    done = search(
        *("own_trainer", "trainer._target_=piling.train", "data.rows=100", "placement.slots=1"),
        *("trainer.epochs=2", "seeds=2", f"+model.piles={piles}", "knob.model.width=choice(1,2,3)"),
        *("name=piles", "protocol.extend=0", "report=off"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(tmp_path / "results" / "piles")
    assert set(table.value) == {best}
    again = f"piling.{'CALLBACKS' if piles == 'callbacks' else 'CACHE'}"
    said = done.stdout + done.stderr
    assert said.count("begins again in a fresh process") == (piles != "nothing")
    assert (again in said) == (piles != "nothing")
    pids = set(pd.read_parquet(tmp_path / "results" / "piles" / "curves.parquet").pid)
    assert len(pids) == (1 if piles == "nothing" else len(table))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """How each trial of one worker found all that the trials before it had changed, one thing each."""
    cwd = tmp_path_factory.mktemp("patching")
    kinds = ",".join(f'"{kind}"' for kind in ("nothing", *KINDS))
    done = search(
        *("own_trainer", "trainer._target_=patching.train", "data.rows=100", "placement.slots=1"),
        *("trainer.epochs=2", "seeds=1", "+model.changes=nothing"),
        *(f"knob.model.changes=choice({kinds})", "name=patching", "protocol.extend=0"),
        *("rehearse=false", "report=off"),
        cwd=cwd,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    curves = pd.read_parquet(cwd / "results" / "patching" / "curves.parquet")
    table = trials(cwd / "results" / "patching").set_index("trial")
    assert len(table) == len(KINDS) + 1
    first = curves[curves.epoch == 1].set_index("trial")
    return first.join(table["model.changes"]).sort_index(), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_trial_changes_of_its_process_no_later_trial_finds(kind, found):
    """Set back where it is a setting; in a fresh process where it is a function or a class of a library."""
    rows, output = found
    column = f"found_{list(KINDS).index(kind)}"
    assert set(rows[column]) == {rows[column].iloc[0]}, rows[["model.changes", column]].to_string()
    is_replaced = "." in kind and f": {kind} is changed by a training" in output
    assert is_replaced == (kind.split(".")[0] in LIBRARIES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lanes", "kinds"),
    [
        ("off", ("variable", "thread", "number", "library", "cache")),
        ("auto", ("variable", "library")),
    ],
)
def test_a_model_that_keeps_state_outside_itself_scores_as_in_a_fresh_process(
    lanes, kinds, tmp_path
):
    done = search(
        *("lr_sweep", "model=own", "~model.width", "+model._target_=leaving.Net"),
        *("+model.inputs=${data.inputs}", "+model.outputs=${data.outputs}", "+model.keeps=nothing"),
        *("~space.optimizer.lr", f"knob.model.keeps=choice(nothing,{','.join(kinds)})"),
        *("seeds=2", "trainer.epochs=2", "protocol.extend=0", "placement.slots=1", "report=off"),
        *(f"lanes={lanes}", "name=leaving", "protocol.most_seeds=1"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    by_kind = trials(tmp_path / "results" / "leaving").pivot(
        index="seed", columns="model.keeps", values="value"
    )
    assert len(by_kind) == 2
    for kind in kinds:
        assert list(by_kind[kind]) == list(by_kind["nothing"]), kind
    assert ("leaving.CACHE['steps'] is changed by a training" in done.stdout) == ("cache" in kinds)


COUNTING = """
import torch

BUILT = 0

class Net(torch.nn.Module):
    total = 0

    def __init__(self, inputs, outputs):
        super().__init__()
        global BUILT
        self.number = BUILT + Net.total
        BUILT, Net.total = BUILT + 1, Net.total + 1
        self.line = torch.nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.line(x) * (1 + 0.3 * self.number)
"""


@pytest.mark.slow
def test_models_that_are_built_to_be_measured_are_not_counted(tmp_path):
    """A model that numbers itself is the first one of its process, measured beforehand or not."""
    (tmp_path / "counting.py").write_text(COUNTING)
    values = {}
    for lanes in ("off", "auto"):
        done = search(
            *("lr_sweep", "model=own", "~model.width", "+model._target_=counting.Net"),
            *("+model.inputs=${data.inputs}", "+model.outputs=${data.outputs}", "seeds=1"),
            *("trainer.epochs=2", "protocol.extend=0", "protocol.refine=0", "placement.slots=1"),
            *("report=off", "preflight=off", "space.optimizer.lr.points=3"),
            *(f"lanes={lanes}", f"name={lanes}"),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        values[lanes] = list(trials(tmp_path / "results" / lanes).value)
    assert values["auto"] == values["off"]


def test_numbers_are_put_back_unless_something_else_says_that_they_are_right(tmp_path, monkeypatch):
    (tmp_path / "own_counts.py").write_text("BUILT, READ, ROWS = 0, 0, []\nclass Net: total = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("own_counts")
    before = SharedNumbers({})
    module.BUILT, module.Net.total = 2, 5
    before.put_back()
    assert (module.BUILT, module.Net.total) == (0, 3)
    assert not before.changed()
    module.READ = 1
    module.ROWS.append(0.5)
    before.put_back()
    assert (module.READ, module.ROWS) == (1, [0.5])


def test_a_variable_that_a_module_sets_at_import_stays_for_all_trials(tmp_path, monkeypatch):
    """What is imported once is set once: put back, only the first trial would have it."""
    for part in ("model", "loss"):
        text = f"import os\nos.environ['SET_BY_{part.upper()}'] = '1'\nclass Part: pass\n"
        (tmp_path / f"setting_{part}.py").write_text(text)
        monkeypatch.setenv(f"SET_BY_{part.upper()}", "0")
    monkeypatch.syspath_prepend(tmp_path)
    state = CodeState()
    state.begin({part: {"_target_": f"setting_{part}.Part"} for part in ("model", "loss")})
    monkeypatch.setenv("SET_BY_TRAINING", "1")
    state.end()
    assert (os.environ["SET_BY_MODEL"], os.environ["SET_BY_LOSS"]) == ("1", "1")
    assert "SET_BY_TRAINING" not in os.environ
