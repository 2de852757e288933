"""A setting that nobody reads never stands there as if it acted: refused, or named by the dry run."""

from pathlib import Path

import pytest
from drawn import plan_of
from kit import search
from refusals import check_told, raises

from search.config.check_keys import changed_settings, unusual_keys
from search.config.compose import compose_experiment
from search.execution.dry_run import unread_words
from trainers.mentions import unmentioned, unread_data

OWN = """
def train(config, data, device, checkpoint):
    rate = config["optimizer"]["lr"] * config["model"].get("scale", 1.0)
    for epoch in range(config["trainer"]["epochs"]):
        yield {"accuracy": rate}
"""


def _composed(experiment, *words):
    return compose_experiment(experiment, overrides=[*words], config_dir=None)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("+trainer.dropuot=0.5", ("key-that-nothing-reads", "trainer.dropuot", "'model.dropout'", "trainer._target_")),
        ("+trainer.patiense=3", ("key-that-nothing-reads", "trainer.patiense", "'trainer.patience'")),
        ("+epochs=3", ("key-that-nothing-reads", "'trainer.epochs'")),
        ("+dat=3", ("key-that-nothing-reads", "'data'")),  # as links begin
        ("+split.folds_=3", ("key-that-nothing-reads", "split.folds_", "'split.folds'")),
        ("+placement.slot=3", ("key-that-nothing-reads", "placement.slot", "'placement.slots'")),
        ("+protocol.refin=3", ("key-that-nothing-reads", "protocol.refin", "'protocol.refine'")),
        ("+metric.averag=micro", ("key-that-nothing-reads", "metric.averag", "'metric.average'")),
        ("+lr_range.step=9", ("key-that-nothing-reads", "lr_range.step", "'lr_range.steps'")),
        ("+split.folds=5", ("key-of-another-kind", "split.folds", "split=kfold", "split.kind=holdout")),
        ("+pruner.every=2", ("key-of-another-kind", "pruner.every", "pruner=median", "pruner=patient")),
        ("+preflight.alow=[]", ("key-that-nothing-reads", "preflight.alow", "'preflight.allow'")),
    ],
)  # fmt: skip
def test_a_key_that_the_stock_trainer_does_not_know_is_refused_with_the_nearest(word, message):
    with raises(*message):
        _composed("lr_sweep", word)


def test_a_setting_as_shipped_is_no_changed_one_however_its_number_is_written():
    assert changed_settings(_composed("dropout_sweep", "optimizer=adam")) == {}
    changed = _composed("dropout_sweep", "optimizer=adam", "optimizer.lr=1e-4")
    assert changed_settings(changed) == {"optimizer.lr": 3e-4}


def test_keys_that_are_linked_or_known_are_not_refused():
    assert _composed("lr_sweep", "+wide=32", "model.width=${wide}").model.width == 32
    words = ["metric=f1", "metric.average=micro", "split=kfold"]
    assert _composed("lr_sweep", *words).metric.average == "micro"
    assert _composed("own_trainer", "+trainer.anything=1", "+augment.flip=true").augment.flip


def test_keys_that_own_code_never_mentions_are_named(tmp_path):
    Path("mine_own.py").write_text(OWN)
    import sys

    sys.path.insert(0, str(tmp_path))
    try:
        __import__("mine_own")
        words = ["trainer._target_=mine_own.train", "+trainer.dropuot=0.5", "+model.scale=2"]
        config = _composed(
            "own_trainer", *words, "optimizer.weight_decay=0.1", "+augment.flip=true"
        )
        keys = unusual_keys(config)
        assert {"optimizer.lr", "trainer.epochs", "model.scale"} <= set(keys)
        assert not {"trainer.patience", "trainer._target_", "data", "seed"} & set(keys)
        assert "seed" in unusual_keys(plan_of("own_command").config)  # nobody else seeds it
        other = plan_of("own_trainer", "knob.my.rate=log(1e-4,1)").config  # lr as shipped: 3e-4
        assert "optimizer.lr" not in unusual_keys(other)
        plain = {"trainer": {"_target_": "mine_own.train"}}
        assert set(unmentioned(plain, keys)) == {
            "optimizer.weight_decay",
            "trainer.dropuot",
            "augment.flip",
        }
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["mine_own"]


@pytest.mark.parametrize(
    ("text", "words", "unread"),
    [
        ("--lr", ["{optimizer.lr}"], ["model.width", "trainer.amp"]),
        ("--lr", ["{optimizer.lr}", "{--amp:trainer.amp}"], ["model.width"]),
        ("KNOBWISE_CONFIG model width", ["{optimizer.lr}"], ["trainer.amp"]),
        ("model width", ["{config}"], ["optimizer.lr", "trainer.amp"]),
    ],
)
def test_what_a_program_reads_stands_in_its_words_or_its_script(text, words, unread):
    Path("script.py").write_text(f"print({text!r})")
    command = ["{python}", "script.py", *words]
    config = {"trainer": {"_target_": "trainers.command.train", "command": command}}
    assert unmentioned(config, ["optimizer.lr", "model.width", "trainer.amp"]) == unread
    assert unmentioned(config, ["optimizer"]) == (["optimizer"] if words == ["{config}"] else [])
    config["trainer"]["command"] = ["./binary", *words]
    assert unmentioned(config, ["model.width"]) == []  # there is no code to read


def test_a_knob_that_nobody_reads_is_named_as_what_the_search_turns():
    plain = "nothing in your code mentions trainer.amp: a setting that nobody reads has no effect"
    assert unread_words(plan_of("own_command"), ["trainer.amp"]) == plain
    assert unread_words(plan_of("own_command"), ["optimizer.lr"]).endswith(
        "no effect, and this search turns optimizer.lr; put {optimizer.lr} into trainer.command"
    )
    assert unread_words(plan_of("own_trainer"), ["optimizer.lr"]).endswith("turns optimizer.lr")


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["local", "inline"])
def test_the_first_lines_of_a_search_name_what_its_trainer_never_mentions(placement, tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    words = ["trainer._target_=mine.train", "+trainer.dropuot=0.5", "seeds=1", "protocol.extend=0"]
    words += ["space.optimizer.lr.points=2", "protocol.refine=0", f"placement={placement}"]
    done = search("own_trainer", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = (
        "nothing in your code mentions trainer.dropuot: a setting that nobody reads has no effect"
    )
    assert said in " ".join((done.stdout + done.stderr).split())
    assert "held fixed: all else as in config.yaml" in " ".join(done.stdout.split())
    judged = search("doctor", "own_trainer", cwd=tmp_path)
    check_told(judged.stderr, "verdict-needs-both-losses", "own_trainer", "accuracy")


OWN_ROWS = """
import torch


def train(config, DATA, device, checkpoint):
    for epoch in range(1, config["trainer"]["epochs"] + 1):
        checkpoint.save({"model": {"bias": torch.zeros(1)}}, epoch=epoch)
        yield {"train_loss": 0.5, "val_loss": 0.5, "accuracy": 0.7 + epoch / 100}USED


def predict(config, data, device, weights):
    return {"accuracy": 0.73}
"""


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("def train(config, data, device, checkpoint):\n    yield from rows()", "data"),
        ("def train(config, split, device, checkpoint):\n    data = rows()\n    yield data", "split"),
        ("def train(config, data, device, checkpoint):\n    yield rows(data)", ""),
        ("def train(config, data, device, checkpoint):\n    def f(): return data.train\n    yield f()", ""),
        ("def train(config, data, device, checkpoint):\n    yield locals()", ""),
        ("def train(*given):\n    yield rows(given[1])", ""),
        ("class train:\n    pass", ""),
        ("from elsewhere import train", ""),
    ],
)  # fmt: skip
def test_a_trainer_that_never_reads_its_data_is_known(head, name, tmp_path, monkeypatch):
    (tmp_path / f"reads_{len(head)}.py").write_text(head)
    monkeypatch.syspath_prepend(tmp_path)
    assert unread_data(f"reads_{len(head)}.train") == name
    assert unread_data("nowhere.train") == ""


@pytest.mark.slow
@pytest.mark.parametrize(("used", "is_told"), [("", True), ("; DATA.train", False)])
def test_a_test_of_rows_that_a_trainer_may_have_trained_on_says_so(used, is_told, tmp_path):
    (tmp_path / "mine.py").write_text(OWN_ROWS.replace("USED", used))
    words = ["trainer._target_=mine.train", "trainer.predict=mine.predict", "trainer.epochs=3"]
    words += ["data.rows=500", "seeds=1", "knob.optimizer.lr=choice(0.1,0.2)", "report=off"]
    done = search("own_trainer", *words, "name=own", "placement=inline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = search("test", "own", cwd=tmp_path)
    assert "test accuracy: 0.73 on 150 rows" in told.stdout, told.stderr
    line = "mine.train never reads its argument 'DATA', so it takes rows of its own"
    assert (line in told.stdout) == is_told
