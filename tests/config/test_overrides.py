"""The words of a command line: domains in one word each, models of one's own, and what is no override."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from refusals import check_told, raises

from search.config.compose import compose_experiment
from search.config.overrides import in_grammar, parse_override, value_word
from search.config.plan import read_plan
from search.config.space import read_space
from search.config.sweep_grammar import read_domain
from search.errors import UsageError
from search.stages import sweep


def _config(*words, experiment="lr_sweep"):
    return compose_experiment(experiment, overrides=list(words), config_dir=None)


def _plan(*words, experiment="lr_sweep"):
    return read_plan(_config(*words, experiment=experiment), root=Path("/r"))


def test_a_users_app_that_has_initialised_hydra_finds_it_again_after_a_search_is_composed(tmp_path):
    (tmp_path / "config.yaml").write_text("lr: 0.1\n")
    with initialize_config_dir(str(tmp_path), version_base=None):
        for words in ((), ("lr=1",)):  # refused
            with raises("unknown-key") if words else nullcontext():
                _config(*words)
            assert compose("config", overrides=["lr=0.3"]).lr == 0.3
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.slow
@given(
    st.one_of(
        st.text(),
        st.text(alphabet="ab'\"\\\\ ,=[](){}$:", max_size=8),
        st.sampled_from(["null", "True", "1e-3", "nan", "größe", "a b", " a"]),
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
    )
)
def test_a_value_is_read_back_from_its_word(value):
    for wanted in (value, [value], {"a.b": value}):
        word = value_word(wanted)
        assert parse_override(in_grammar(f"x={word}")).value() == wanted
    assert value_word(np.float64(0.5)) == "0.5"


def test_a_loader_of_ones_own_takes_its_own_keys_and_says_itself_what_its_rows_are():
    """The default data are images of 64 pixels in ten classes; another function's rows are not."""
    rows = _config("data._target_=mine.load", "data.path=rows.npy", "data.shift=0.5").data
    assert (rows.path, rows["shift"]) == ("rows.npy", 0.5)
    assert (rows.inputs, rows.outputs, rows.dimensions) == (None, None, None)
    said = _config("data._target_=mine.load", "data.inputs=7", "data.dimensions=1").data
    assert (said.inputs, said.outputs, said.dimensions) == (7, None, 1)
    for words in (["data._target_=trainers.data.bundled.digits"], ["data=digits"]):
        shipped = _config(*words).data
        assert (shipped.inputs, shipped.outputs, shipped.dimensions) == (64, 10, 2)
    with raises("unknown-key", "'data.path'"):
        _config("data.path=rows.npy")


def test_knobs_in_one_word_each_are_the_whole_space():
    plan = _plan("knob.model.dropout=interval(0, 0.5)")
    assert [(knob.path, knob.describe()) for knob in plan.knobs] == [
        ("model.dropout", "0 … 0.5, linear")
    ]
    words = ["knob.optimizer.lr=log(1e-4,1e-1)", "knob.my.layers=choice(1,2,4)"]
    joint = _plan(
        *words, "trainer=own", "trainer._target_=toys.steady", "model=own", "data=own", "data.rows=50",
        "data.task=classification", "metric=reported", "metric.name=accuracy",
        "metric.direction=maximize", experiment="joint",
    )  # fmt: skip
    assert [(knob.path, knob.describe()) for knob in joint.knobs] == [
        ("optimizer.lr", "0.0001 … 0.1, log"),
        ("my.layers", "1, 2, 4"),
    ]
    assert joint.config.my.layers == 1  # the baseline of a new key: its first choice


@pytest.mark.parametrize("value", ["größe", "Übung 2/zahlen", "'größe'", '"größe"'])
def test_a_text_with_letters_beyond_ascii_needs_no_quotes_of_hydras(value):
    assert _config(f"name={value}").name == value.strip("'\"")


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_loss_that_is_called_negative_is_better_where_its_user_says(direction):
    """Of `neg_log_loss` more is better, of `negative_log_likelihood_loss` less."""
    words = ["metric=reported", "metric.name=neg_log_loss", f"metric.direction={direction}"]
    assert _config(*words, experiment="own_trainer").metric.direction == direction


@pytest.mark.parametrize("mark", [";", ",", "|"])
def test_a_separator_whose_quotes_a_shell_has_taken_is_that_separator(mark):
    table = ["data=csv", "data.path=t.csv", "data.task=classification", "data.target=label"]
    for word in (f"data.separator={mark}", f'data.separator="{mark}"'):
        config = _config(*table, word, word.replace("separator", "decimal"))
        assert (config.data.separator, config.data.decimal) == (mark, mark)


def test_python_without_assertions_is_refused_since_hydras_parser_needs_them():
    done = subprocess.run(
        [sys.executable, "-O", "-m", "search", "lr_sweep", "a=1"], capture_output=True, text=True
    )
    check_told(done.stderr, "python-without-assertions", "python -O")


def test_a_knobs_baseline_and_details_are_given_without_a_plus():
    words = [
        "trainer=own", "trainer._target_=toys.steady", "model=own", "data=own", "data.rows=50",
        "data.task=classification", "metric=reported", "metric.name=accuracy",
        "metric.direction=maximize",
    ]  # fmt: skip
    plan = _plan(*words, "knob.my.size=int(log(8,512))", "my.size=32", "space.my.size.points=4")
    assert (plan.default(plan.knob), plan.knob.points) == (32, 4)
    assert plan.first_round == (32, 8, 128, 512)
    middle = _plan(*words, "knob.my.size=log(0.01,1)")
    assert middle.default(middle.knob) == 0.1
    for domain, more, baseline in (
        ("log(0.1,3)", ["optimizer=adam"], 0.548),  # a shipped 3e-4 is nobody's choice
        ("log(0.1,3)", ["optimizer=adam", "optimizer.lr=3e-4"], 3e-4),
        ("log(1e-4,1)", ["optimizer=adam"], 3e-4),
    ):
        own = _plan(*words, f"knob.optimizer.lr={domain}", *more)
        assert own.default(own.knob) == baseline


def test_an_unknown_path_of_the_stock_trainer_names_the_nearest_key():
    with raises("knob-not-a-key", "'model.widht'", "'model.width'"):
        _plan("knob.model.widht=choice(8,16)")


@pytest.mark.parametrize("word", ["knob.optimizer", "space.optimizer"])
def test_choices_of_a_config_group_are_composed_also_from_the_command_line(word):
    plan = _plan(f"{word}=choice(sgd,adam)", f"{word}.adam.lr=log(1e-4,1e-2)")
    assert plan.first_round == ("sgd", "adam")
    assert set(plan.config.choices.optimizer) == {"sgd", "adam"}
    assert plan.config.choices.optimizer.adam._target_ == "torch.optim.Adam"
    assert sweep.cells(plan, "adam")[0]["optimizer.adam.lr"] == 3e-4


def test_choices_of_a_config_group_may_stand_as_a_string_in_a_file(tmp_path):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "two.yaml").write_text("optimizer: choice(sgd, adam)\n")
    config = compose_experiment("lr_sweep", overrides=["space=two"], config_dir=tmp_path)
    assert set(config.choices.optimizer) == {"sgd", "adam"}
    assert read_plan(config, root=tmp_path).first_round == ("sgd", "adam")


@pytest.mark.parametrize(
    ("text", "knobs"),
    [
        ("trainer: {batch_size: 'choice(16, 32)'}", {"trainer.batch_size": "16, 32"}),
        ("optimizer: {lr: 'log(1e-3, 1)'}", {"optimizer.lr": "0.001 … 1, log"}),
    ],
)
def test_a_space_that_a_word_chooses_has_no_knob_of_the_recipes_own(text, knobs, tmp_path):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "mine.yaml").write_text(text)
    config = compose_experiment("own_trainer", overrides=["space=mine"], config_dir=tmp_path)
    assert {knob.path: knob.describe() for knob in read_space(config.space)} == knobs


@pytest.mark.slow
def test_a_choice_is_what_its_option_gives_whatever_else_files_and_words_say(tmp_path):
    words = ["optimizer.lr=0.3", "data=whole"]
    whole = "# @package _global_\n"
    for name, text in {
        "optimizer/plain": "_target_: mine.Plain\nlr: ${seed}\nsteps: [1, 2]\n",
        "optimizer/wide": f"{whole}optimizer:\n  _target_: mine.Wide\nmodel:\n  width: 7\n",
        "optimizer/more": "defaults: [sgd, _self_]\nmomentum: 0.5\n",
        "data/whole": f"{whole}defaults: [digits@data]\nnormalise:\n  shift: 2\n",
        "experiment/four": f"{whole}optimizer:\n  weight_decay: 0.5\nspace:\n  optimizer:\n"
        "    choices: [sgd, plain, wide, more]\n  normalise:\n"
        "    choices: [zscore, minmax]\n",
    }.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def composed(words):
        return compose_experiment("four", overrides=words, config_dir=tmp_path)

    config, alone = composed(words), ["~space.optimizer", "~space.normalise"]
    for group, options in config.choices.items():
        others = [word for word in words if not word.startswith(group)]
        for option, node in options.items():
            given = words if option == config.chosen[group] else [*others, f"{group}={option}"]
            chosen = composed([*given, *alone])[group]
            assert OmegaConf.to_container(node) == OmegaConf.to_container(chosen)


def test_a_model_class_of_ones_own_takes_its_own_arguments_and_none_of_the_composed_models():
    config = _config("model._target_=mods.Net", "model.hidden=64", "model.rate=${optimizer.lr}")
    assert OmegaConf.to_container(config.model, resolve=True) == {
        "_target_": "mods.Net",
        "hidden": 64,
        "rate": 0.1,
    }
    plan = _plan("model._target_=mods.Net", "model.hidden=64", "knob.model.hidden=choice(32,64)")
    assert plan.default(plan.knob) == 64
    edited = _config("model._target_=mods.Net", "~model.dropout")
    assert "width" in edited.model  # whoever deletes keys edits the composed model
    assert _config("model=cnn1d", "model._target_=mods.Net").model.dimensions == 1
    ours = _config("model._target_=trainers.models.mlp.MLP")
    assert "width" not in ours.model


@pytest.mark.parametrize(
    "word",
    ["optimizer.lr==", "a", "=", 'a=b"c', "a=[1", "a=\x01", "a=a\nb", "", "~", "a={b:", "+"],
)
def test_a_word_that_is_no_override_is_refused_in_one_line_that_says_how_to_quote(word):
    with raises("no-override", "key=value", "+key=value", "~key") as caught:
        _config(word)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert "LexerNoViable" not in message


@pytest.mark.parametrize("odd", ["LR=0.1", "{python}", "a={seed}"])
def test_the_word_of_a_list_that_needs_quotes_is_named(odd):
    with raises("no-override", f'into quotes, here "{odd}"'):
        _config(f'trainer.command=[env,"a=b",{odd},train.py]')


def test_null_is_a_choice_and_none_of_python_is_asked_about():
    assert read_domain("space.clip", "choice(null, 1, 'None')")["choices"] == [None, 1, "None"]
    assert read_domain("space.clip", "choice('null', x.null)")["choices"] == ["null", "x.null"]
    with raises("choice-of-bare-none", "space.clip", "null"):
        read_domain("space.clip", "choice(None,1)")
    words = f"choice({','.join(map(value_word, [None, 'None', 1]))})"
    assert read_domain("space.clip", words)["choices"] == [None, "None", 1]


@settings(max_examples=300, deadline=1000)
@given(
    st.lists(
        st.sampled_from(
            [*"(),", "interval", "range", "choice", "tag", "log", "int", "float", "sort", "shuffle",
             "1e-8", "0", "1", "-3", "1e400", "nan", "inf", "abc", "'a b'", "null", "true", " ", "[", "{"]
        ),
        max_size=9,
    ).map("".join)
)  # fmt: skip
def test_any_text_of_a_domain_is_read_or_refused_and_never_grows(text):
    node, message = {}, ""
    try:
        node = read_domain("space.my.knob", text)
    except UsageError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
    assert len(node.get("choices", ())) <= 1000


def test_a_key_of_another_option_is_named_whatever_else_lies_in_that_folder(tmp_path):
    for name, text in {"empty": "", "broken": "a: [", "list": "- rows"}.items():
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"{name}.yaml").write_text(text)
    with raises("unknown-key", "data=own"):
        compose_experiment("lr_sweep", overrides=["data.rows=9"], config_dir=tmp_path)
