"""Foreign models before lanes: what changes anything outside of the model trains alone."""

import importlib
import sys

import pytest
import torch
from company import config_of, made, sets_of
from impure import EFFECTS, Holding

from trainers.lanes import own_code
from trainers.lanes.admission import admitted
from trainers.lanes.key import Unfusable, fusion_key

CPU = torch.device("cpu")


def refusal(model, sets=None, **keys):
    """Why a model of the given module is refused; empty where it is admitted."""
    config = config_of()
    config["model"] = {"_target_": model, "inputs": 64, "outputs": 10, **keys}
    try:
        admitted(config, sets=sets or sets_of(), batch=32, device=CPU)
    except Unfusable as error:
        return str(error)
    return ""


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_forward_pass_with_a_side_effect_is_refused_by_its_name(effect):
    reason = refusal("impure.Impure", effect=effect)
    assert "which lanes would share" in reason or "differ in lanes" in reason, reason


@pytest.mark.parametrize("when", ["trained", "evaluated", "short"])
@pytest.mark.parametrize("effect", ["numpy.random", "a list", "a class attribute", "a closure"])
def test_a_side_effect_is_found_also_in_evaluation_or_in_the_last_batch_alone(effect, when):
    assert "which lanes would share" in refusal("impure.Impure", effect=effect, when=when)


def test_every_global_generator_is_named():
    for effect in ("random", "numpy.random"):
        reason = refusal("impure.Impure", effect=effect)
        assert reason == f"forward draws random numbers from {effect}, which lanes would share"
    assert "impure.OwnCounter.calls" in refusal("impure.OwnCounter")
    assert "impure.Book.calls" in refusal("impure.Impure", effect="a class attribute")
    assert "impure.CLOSURE (its variable calls)" in refusal("impure.Impure", effect="a closure")


@pytest.mark.parametrize("seed", range(4))
def test_rare_randomness_is_refused_whatever_the_seed(seed):
    torch.manual_seed(seed)
    reason = refusal("impure.Flipping")
    assert reason == "forward draws random numbers from numpy.random, which lanes would share"


def test_a_generator_of_torch_in_a_global_is_refused(tmp_path, monkeypatch):
    text = "import torch\nfrom odd import Two\nDICE = torch.Generator()\nclass Drawing(Two):\n"
    draw = "    def middle(self, x):\n        torch.rand((), generator=DICE)\n        return x\n"
    (tmp_path / "drawing.py").write_text(text + draw)
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal("drawing.Drawing")


@pytest.mark.parametrize("kind", ["numpy", "random", "torch"])
def test_a_model_that_holds_a_generator_has_no_key(kind):
    config = config_of(model="Two")
    _, loss, _, _ = made(config)
    model = Holding(inputs=64, outputs=10, kind=kind)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(Unfusable, match=r"dice is a \w+, which cannot be compared"):
        fusion_key(model, loss, optimizer, batch=32, rows=70)


def test_a_counter_in_a_module_that_the_models_module_imports_is_found(tmp_path, monkeypatch):
    (tmp_path / "helper.py").write_text("CALLS = [0]\ndef note():\n    CALLS[0] += 1\n")
    text = "from odd import Two\nimport helper\nclass Noting(Two):\n    def middle(self, x):\n"
    (tmp_path / "noting.py").write_text(text + "        helper.note()\n        return x.relu()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal("noting.Noting").startswith("forward changes helper.CALLS[0],")


def test_what_only_reads_globals_is_admitted():
    assert refusal("impure.Reading") == ""
    assert refusal("odd.Two") == ""


def test_admission_changes_no_row_of_the_data():
    sets = sets_of()
    before = [tensor.clone() for part in sets for tensor in part]
    refusal("impure.WritingInput", sets)
    assert all(
        torch.equal(one, other)
        for one, other in zip(before, [t for part in sets for t in part], strict=True)
    )


def test_a_model_whose_code_has_changed_has_another_key(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    keys = set()
    for name in ("relu", "tanh", "relu"):
        text = "import torch\nfrom odd import Two\nclass Edited(Two):\n    def middle(self, x):\n"
        (tmp_path / "edited.py").write_text(text + f"        return torch.{name}(x)\n")
        sys.modules.pop("edited", None)
        importlib.invalidate_caches()
        own_code._hash_of.cache_clear()  # as in another process
        module = importlib.import_module("edited")
        config = config_of()
        _, loss, _, _ = made(config)
        model = module.Edited(inputs=64, outputs=10)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        keys.add(fusion_key(model, loss, optimizer, batch=32, rows=70))
    assert len(keys) == 2


STRANGE = """
import collections, torch
from odd import Two
from omegaconf import OmegaConf
class Rude:
    def __getattribute__(self, name):
        raise RuntimeError(name)
    def __repr__(self):
        raise RuntimeError("no words")
    def __hash__(self):
        return 1
class Closed(dict):
    def items(self):
        raise RuntimeError("closed")
MISSING = OmegaConf.create({"needed": "???", "link": "${nowhere}"})
RUDE, KEYED, CLOSED = Rude(), {Rude(): 1}, Closed(a=1)
ITSELF = []
ITSELF.append(ITSELF)
EMPTY, META = torch.empty(0), torch.empty(3, device="meta")
BIG, LAZY = list(range(100_000)), (number for number in range(3))
class Ordinary(Two):
    pass
"""


def test_strange_objects_in_a_models_module_stand_in_nobodys_way(tmp_path, monkeypatch):
    (tmp_path / "strange.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal("strange.Ordinary") == ""


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages", "lib"])
def test_libraries_are_no_code_of_the_users_wherever_they_lie(folder, tmp_path, monkeypatch):
    place = tmp_path / folder
    place.mkdir()
    (place / "somelib.py").write_text("CALLS = [0]\ndef note():\n    CALLS[0] += 1\n")
    if folder == "lib":  # as pip installs with --target
        (place / "somelib-1.0.dist-info").mkdir()
        (place / "somelib-1.0.dist-info" / "METADATA").write_text("Name: somelib\nVersion: 1.0\n")
        (place / "somelib-1.0.dist-info" / "RECORD").write_text("somelib.py,,\n")
    text = "from odd import Two\nimport somelib\nclass Using(Two):\n    def middle(self, x):\n"
    name = f"using_{folder.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(f"{text}        somelib.note()\n        return x.relu()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(place)
    sys.modules.pop("somelib", None)
    own_code._distributed.cache_clear()
    assert refusal(f"{name}.Using") == ""
