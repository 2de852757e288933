"""What the stock trainer's dry run finds before a name or a trial is used up."""

import itertools
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from company import config_of
from omegaconf import OmegaConf
from refusals import raises

from search.config.compose import compose_experiment
from search.config.plan import HEADS, LOSS_TASKS, check_task, read_plan
from search.contract.contract import prepare
from search.execution.dry_run import questions, unwatched_files
from search.execution.worker.dry_run import answer
from search.lifecycle.rows_fit import check_rows_fit, example_rows
from trainers.build import seeded
from trainers.dry_run import rehearse

SHAPE = (64, 10, "classification")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("Pair", r"the forward of Pair must return one tensor, but got tuple; return the logits"),
        ("Named", r"the forward of Named must return one tensor, but got dict; return the logits"),
        ("Deep", r"the forward of Deep must return one row of logits per row of data, \[rows, classes\], but got shape \[4, 10, 1\]; reshape"),
        ("Lazy", r"Lazy must have its parameters from the start, but got first\.weight, which is lazy"),
        ("Extra", r"Extra must hold tensors alone in its state, but got _extra_state, a dict; make"),
        ("Complex", r"Complex must have real parameters, but got phase of torch\.complex64; hold"),
        ("Thick", r"model\._target_: 'odd\.Thick' must be a class that takes the keys of model, but got TypeError: .*unexpected keyword argument 'inputs'; it takes features, units; give its own arguments: model\._target_=odd\.Thick model\.features=… model\.units=…"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_train_is_named_with_its_remedy(model, message):
    with pytest.raises(TypeError, match=message):
        rehearse(config_of(model=model), SHAPE)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("trainer.batch_size", "abc", r"trainer\.batch_size: must be a whole number of at least 1, but got 'abc'"),
        ("trainer.batch_size", 0, r"trainer\.batch_size: must be .* but got 0"),
        ("loss.label_smoothing", "abc", r"loss\._target_: 'torch\.nn\.CrossEntropyLoss' must train with outputs \(4, 10\) and targets \(4,\), but got TypeError"),
        ("model.depth", -1, r"model\.depth: must be a whole number of at least 0, but got -1"),
        ("model.width", 0.5, r"model\.width: must be a whole number of at least 1, but got 0\.5"),
        ("model.dropout", -0.1, r"model\.dropout: must lie between 0 and 1, but got -0\.1"),
        ("model.dropout", "abc", r"model\.dropout: must lie between 0 and 1, but got 'abc'"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_named(path, value, message):
    """Also where the value was not seen at the door, as a choice's or a caller's own."""
    config = config_of()
    group, key = path.split(".")
    config[group][key] = value
    with pytest.raises((TypeError, ValueError), match=message):
        rehearse(config, SHAPE)


def test_a_loss_that_would_learn_is_named_and_one_with_frozen_weights_trains():
    config = config_of()
    config["loss"] = {"_target_": "odd.Tempered", "learns": True}
    message = r"Tempered must have nothing to train, .*, but got temperature; train it in the model"
    with pytest.raises(TypeError, match=message):
        rehearse(config, SHAPE)
    config["loss"]["learns"] = False
    assert rehearse(config, SHAPE) is not None


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize(
    ("loss", "task"),
    [
        ("torch.nn.CrossEntropyLoss", "classification"),
        ("torch.nn.MSELoss", "regression"),
        ("odd.Summed", "classification"),
    ],
)
def test_a_loss_that_sums_its_rows_is_named(loss, task, mean):
    """Train and validation, of batches of different sizes, would be compared by it."""
    config = config_of(model="Two")
    config["loss"] = {"_target_": loss, "reduction": "mean" if mean else "sum"}
    if mean:
        assert rehearse(config, (64, 10, task)) is not None
        return
    name = loss.rpartition(".")[2]
    with pytest.raises(TypeError, match=rf"{name} must be a mean over the rows, .* got a sum"):
        rehearse(config, (64, 10, task))


def test_a_model_that_seeds_torch_is_named_and_one_that_takes_the_trials_seed_trains():
    config = config_of(model="Seeded", seed=42)
    with pytest.raises(TypeError, match=r"begin alike, but got torch\.manual_seed\(42\); take it"):
        rehearse(config, SHAPE)
    assert rehearse(config | {"seed": 42}, SHAPE) is not None


def test_a_module_that_seeds_where_it_is_imported_changes_no_first_weights(tmp_path, monkeypatch):
    """The first trial of each worker imports it."""
    code = "import torch\nfrom odd import Two\n\ntorch.manual_seed(7)\n"
    (tmp_path / "seeds_itself.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    config = config_of(model="Two")
    config["model"]["_target_"] = "seeds_itself.Two"
    first, second = (seeded(config, 3, torch.device("cpu"))[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_a_model_gets_a_list_of_its_config_as_pythons_own_and_muon_trains_it():
    """Muon takes matrices alone."""
    config = config_of(model="Listed", widths=[8, 12])
    config["optimizer"] = {"_target_": "torch.optim.Muon", "lr": 0.1}
    assert rehearse(config, SHAPE) is not None


def test_the_rate_of_a_further_group_of_parameters_is_a_knob_that_acts():
    said = set()
    for last in (0.1, 0.01):
        config = config_of(model="Two")
        config["optimizer"] = {"_target_": "odd.two_rates", "lr": 0.1, "last": last}
        said.add(rehearse(config, SHAPE))
    assert len(said) == 2


def test_an_optimizer_that_needs_a_closure_is_named():
    words = ["~optimizer.momentum", "~optimizer.weight_decay"]
    config = config_of("optimizer._target_=torch.optim.LBFGS", *words)
    message = r"optimizer\._target_: 'torch\.optim\.LBFGS' must train with .*closure"
    with pytest.raises((TypeError, ValueError), match=message):
        rehearse(config, SHAPE)


@pytest.mark.parametrize("model", ["Bare", "Deep"])
def test_numbers_that_the_loss_would_broadcast_are_named(model):
    config = config_of("loss=mse", model=model)
    with pytest.raises(TypeError, match=r"numbers of the targets' shape, \[4, 10\], but got shape"):
        rehearse(config, (64, 10, "regression"))


@pytest.mark.parametrize("model", ["Two", "Tied", "Chosen", "Recurrent", "Unsaved"])
def test_an_ordinary_model_passes(model):
    assert rehearse(config_of(model=model), SHAPE) is not None


def test_a_model_of_rows_of_another_shape_is_left_to_the_first_trial():
    assert rehearse(config_of(model="Two"), (63, 10, "classification")) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=reversal", "model=decoder"], "token ids"),
        (["data=reversal"], ""),
        (["data=reversal", "model=decoder", "+model.vocabulary=${data.vocabulary}"], ""),
    ],
)
def test_token_ids_before_a_model_of_numbers_are_refused_before_the_first_trial(words, said):
    wrong = answer(questions(_plan(*words))).wrong
    assert said in wrong
    assert bool(wrong) == bool(said)


# What every loss that is known does with every shape of task.

SEQUENCES = ["+data.steps=16", "+data.features=4", "data.inputs=64", "data.outputs=2"]
TASKS = {  # words of the config, and the metric of the task
    "classification": ["data.outputs=2", "metric=accuracy"],
    "regression": ["data.outputs=3", "metric=mse"],
    "tagging": [*SEQUENCES, "model=gru", "metric=accuracy"],
    "step_regression": [*SEQUENCES, "model=gru", "data.outputs=1", "metric=mse"],
    "transduction": [*SEQUENCES, "model=gru", "+data.target_steps=6", "metric=edit_distance"],
}


@cache
def _task_plan(task, model):
    words = [] if model is None or task != "transduction" else [f"model={model}"]
    return _plan(f"data.task={task}", *TASKS[task], *words)


def test_what_is_tuned_beside_a_knob_may_act_at_other_values_of_it_alone():
    """Weights of zero have no scale, and those of the other kinds have."""
    plan = read_plan(
        compose_experiment("init_sweep", overrides=["model.init=zeros"], config_dir=None),
        root=Path("/r"),
    )
    said = answer(questions(plan))
    assert (said.wrong, said.alike) == ("", "")


@pytest.mark.parametrize(
    ("task", "loss"), [*itertools.product(TASKS, sorted({*LOSS_TASKS} - {HEADS}))]
)
def test_a_loss_trains_with_its_tasks_and_is_refused_in_words_with_every_other(task, loss):
    model = "encoder_decoder" if loss.endswith("SequenceCrossEntropy") else None
    plan = _task_plan(task, model)
    config = plan.config.copy()
    OmegaConf.set_readonly(config, False)
    config.loss = {"_target_": loss}
    plan = replace(plan, config=config)
    if task in LOSS_TASKS[loss]:
        check_task(plan)
        assert answer(questions(plan)).wrong == ""
        return
    with raises("loss-does-not-fit-task", task, loss):
        check_task(plan)


def test_a_loss_among_the_values_of_a_knob_is_refused_as_the_baseline_s_is():
    words = ["~space.optimizer", "+space.loss={choices: [cross_entropy, mse]}"]
    with raises("loss-does-not-fit-task", "torch.nn.MSELoss"):
        check_task(_plan(*words, experiment="smoke"))


def test_two_classes_by_one_sigmoid_need_two_classes():
    config = config_of("loss=binary_cross_entropy")
    with pytest.raises(TypeError, match=r"needs two classes, one or two logits .*got outputs"):
        rehearse(config, SHAPE)


# Settings that change nothing


@pytest.mark.parametrize(
    ("words", "inert"),
    [
        (["model.slope=0.3"], ["model.slope: 0.3 has no effect here, it trains as null does"]),
        (["model.slope=0.3", "model.activation=leaky_relu"], []),
        (["model=gru", "model.nonlinearity=relu"], ["model.nonlinearity: relu has no effect here"]),
        (["model=rnn", "model.nonlinearity=relu"], []),
        (["model.pieces=3", "model.width=64"], ["model.pieces: 3 has no effect here"]),
        (["model=lstm", "model.embedding=16"], ["model.embedding: 16 has no effect here"]),
        (["loss=focal", "loss.weights=[1,2,1,1,1,1,1,1,1,1]"], []),
        (["schedule=one_cycle", "optimizer.lr=0.3"], []),
        (["model.dropout=0.2", "loss.label_smoothing=0.1", "optimizer.weight_decay=0.01"], []),
    ],
)
def test_a_setting_that_changes_nothing_is_said(words, inert):
    said = answer(questions(_plan(*words))).inert
    assert len(said) == len(inert)
    assert all(line.startswith(start) for line, start in zip(said, inert, strict=True))


def test_a_setting_that_acts_with_one_value_of_a_knob_is_not_inert():
    plan = _plan("model.slope=0.3", experiment="activation_sweep")
    assert answer(questions(plan)).inert == []


# Rows that do not take what is made of them


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["augment=shift"], ("features-do-not-fit-rows", "30")),
        (
            ["features=pca", "features.pca.n_components=60"],
            ("features-do-not-fit-rows", "features.pca", "30"),
        ),
        (["augment=rotate", "augment.channels=3"], ("features-do-not-fit-rows", "30")),
    ],
)
def test_what_the_rows_do_not_take_is_refused_before_the_first_trial(words, message):
    plan = _plan("data=breast_cancer", *words)
    with raises(*message):
        check_rows_fit(plan, prepare(plan.config, metric=plan.metric))


def test_a_value_of_a_knob_that_the_rows_do_not_take_is_refused_with_the_knob():
    words = ["data=breast_cancer", "space.features.pca.n_components.choices=[2,60]"]
    plan = _plan(*words, experiment="pca_sweep")
    with raises("features-do-not-fit-rows", "space.features.pca.n_components", "features.pca"):
        check_rows_fit(plan, prepare(plan.config, metric=plan.metric))


def test_rows_that_fit_pass():
    for words in (["augment=shift"], ["features=bins"], ["features=pca", "data=breast_cancer"]):
        plan = _plan(*words)
        check_rows_fit(plan, prepare(plan.config, metric=plan.metric))


def _plan(*words, experiment="lr_sweep"):
    config = compose_experiment(experiment, overrides=list(words), config_dir=None)
    return read_plan(config, root=Path.cwd())


def test_the_examples_number_of_rows_is_named_where_a_trainer_of_ones_own_gets_it_unsaid():
    own = "trainer._target_=toys.steady"
    (told,) = example_rows(_plan(own, experiment="own_trainer"))
    assert "data.rows=1797" in told
    for words in ([], [own, "data.rows=60000"]):
        assert example_rows(_plan(*words, experiment="own_trainer")) == []
    assert example_rows(_plan()) == []


def test_data_files_that_a_command_or_its_code_names_are_told_where_nothing_watches_them(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    table = ["data=csv", "data.path=rows.csv", "data.target=y", "data.task=regression"]
    Path("code").mkdir()
    for name in ("rows.csv", "more.npy", "code/y.npz"):
        Path(name).touch()
    Path("code/train.py").write_text("""'rows.csv, gone.csv', f"{a}.csv", ('y.npz', 'no.npz')""")
    words = 'trainer.command=["{python}",code/train.py,rows.csv,"--x=more.npy",--out,new.csv]'
    (told,) = unwatched_files(_plan(words, experiment="own_command"))
    assert "'data.files=[rows.csv,more.npy]'" in told
    in_code = answer(questions(_plan(words, experiment="own_command"))).files
    (told,) = unwatched_files(_plan(words, experiment="own_command"), in_code)
    assert "'data.files=[rows.csv,more.npy,code/y.npz]'" in told
    files = "data.files=[rows.csv,./more.npy,code]"
    assert unwatched_files(_plan(words, files, experiment="own_command"), in_code) == []
    assert unwatched_files(_plan(words, files, experiment="own_command")) == []
    assert unwatched_files(_plan(*table)) == []
