"""The door's checks: every key and combination, each by its text."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from refusals import check_told, raises

from search.__main__ import main
from search.config.catalogue import CONF
from search.config.compose import compose_experiment
from search.config.compose_protocol import spaces_by_path
from search.config.config_file import load_config
from search.config.drift import drift
from search.config.plan import check_task, read_plan
from search.config.sweep_words import recipe_words
from search.config.yaml_text import read_shipped
from search.lifecycle.lifecycle import whole_batches
from search.stages import sweep
from search.storage.trials import TrialRecord, TrialSpec


def _plan(*overrides, experiment="lr_sweep", config_dir=None):
    return read_plan(
        compose_experiment(experiment, overrides=list(overrides), config_dir=config_dir),
        root=Path("/r"),
    )


def test_the_main_job_is_thirteen_rates_by_three_seeds_baseline_first():
    plan = _plan()
    specs = sweep.wanted(plan, [], resolution=0.0)
    assert len(specs) == 39
    assert [spec.trial for spec in specs] == list(range(39))
    assert specs[0].knobs == {"optimizer.lr": 0.1}
    assert [spec.seed for spec in specs] == [0] * 13 + [1] * 13 + [2] * 13
    assert str(plan.folder) == "/r/results/lr_sweep"


def test_a_baseline_off_the_grid_is_tried_too():
    assert _plan("optimizer.lr=0.05").first_round[0] == 0.05
    assert len(_plan("optimizer.lr=0.05").first_round) == 14


def test_a_stage_wants_what_is_missing_and_numbers_on():
    plan = _plan()
    specs = sweep.wanted(plan, [], resolution=0.0)
    rows = [TrialRecord(spec=spec, state="complete", value=0.5) for spec in specs[:20]]
    assert sweep.wanted(plan, rows, resolution=0.0) == specs[20:]
    done = [TrialRecord(spec=spec, state="complete", value=0.5) for spec in specs]
    assert sweep.wanted(_plan("protocol.refine=0", "protocol.extend=0"), done, resolution=0.0) == []
    more = sweep.wanted(
        _plan("seeds=4"), [TrialRecord(spec=spec, state="failed") for spec in specs], resolution=0.0
    )
    assert [(spec.trial, spec.seed) for spec in more] == [(39 + index, 3) for index in range(13)]
    assert isinstance(more[0], TrialSpec)


@pytest.mark.parametrize("experiment", ["lr_sweep", "own_trainer"])
def test_a_metric_that_a_word_chooses_is_taken_though_the_recipe_names_another(experiment):
    plan = _plan("metric=mae", "data.task=regression", experiment=experiment)
    assert plan.config.metric == OmegaConf.load(CONF / "metric" / "mae.yaml")


def test_a_metric_of_another_task_is_refused():
    with raises("metric-does-not-fit-task", "r2", "metric=mse", "loss=mse"):
        check_task(_plan("data.task=regression"))
    check_task(_plan())


def test_the_users_own_configs_are_found_and_must_not_bear_our_names(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n# python -m search mine\n# Mine.\ndefaults:\n  - override /optimizer: slow\n"
    )
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "slow.yaml").write_text(
        "_target_: torch.optim.SGD\nlr: 0.01\nmomentum: 0.0\n"
    )
    odd = tmp_path.with_name("größe, a=b (it's)")  # no marks of Hydra's grammar
    odd.symlink_to(tmp_path)
    plan = _plan(experiment="mine", config_dir=odd)
    assert plan.name == "mine"
    assert plan.default(plan.knob) == 0.01
    (tmp_path / "optimizer" / "sgd.yaml").write_text("lr: 1\n")
    with raises("own-config-named-like-shipped", "sgd.yaml", "optimizer/sgd.yaml"):
        _plan(experiment="mine", config_dir=tmp_path)
    with raises("config-dir-not-a-folder"):
        _plan(config_dir=tmp_path / "nowhere")


@pytest.mark.parametrize("file", ["optimizer/slow.yml", "optimizers/slow.yaml", "slow.yaml"])
def test_an_option_of_ones_own_with_another_ending_or_place_is_named_and_of_another_group_is_not(
    file, tmp_path, capsys
):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("_target_: torch.optim.SGD\nlr: 0.01\n")
    with raises("option-file-misplaced", str(path), "optimizer/slow.yaml"):
        _plan("optimizer=slow", config_dir=tmp_path)
    assert main(["slow", f"--config-dir={tmp_path}"]) == 2
    check_told(capsys.readouterr().err, "option-file-misplaced", str(path), "experiment/slow.yaml")
    path.unlink()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "slow.yaml").write_text("width: 1\n")
    with raises("unknown-option-of-group", "'slow'"):
        _plan("optimizer=slow", config_dir=tmp_path)


def test_only_what_may_differ_on_resume_may():
    old = OmegaConf.create(
        {"seeds": 3, "placement": {"threads": 1}, "optimizer": {"lr": 0.1}, "n_trials": 5}
    )
    assert (
        drift(
            old,
            OmegaConf.create(
                {"seeds": 4, "placement": {"threads": 2}, "optimizer": {"lr": 0.1}, "n_trials": 9}
            ),
        )
        == []
    )
    assert drift(
        old,
        OmegaConf.create(
            {"seeds": 2, "placement": {"threads": 1}, "optimizer": {"lr": 0.2}, "extra": 1}
        ),
    ) == [
        "extra: missing there, 1 now",
        "optimizer.lr: 0.1 there, 0.2 now",
        "seeds: 3 there, 2 now",
    ]
    assert drift(*(OmegaConf.create({"missing": float("nan")}) for _ in range(2))) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, ("config-not-found",)),
        ("a: [1", ("config-not-valid-yaml",)),
        ("- 1\n- 2\n", ("config-not-a-mapping",)),
    ],
)
def test_a_file_that_is_no_config_is_refused(text, message, tmp_path):
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    with raises(*message):
        load_config(path, overrides=[])


def test_where_no_config_is_the_nearest_and_all_others_are_named(tmp_path):
    for name in ("mine.yaml", "other.yml", "lr_sweep/best.yaml", "joint/best.yaml", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a: 1\n")

    def remedy(name):
        with raises("config-not-found", str(tmp_path / name)) as caught:
            load_config(tmp_path / name, overrides=[])
        return str(caught.value).partition("nothing there; ")[2].replace(f"{tmp_path}/", "")

    assert remedy("mime.yaml") == "did you mean 'mine.yaml'? there are: mine.yaml, other.yml"
    near = "did you mean 'lr_sweep/best.yaml'? there are: joint/best.yaml, lr_sweep/best.yaml"
    assert remedy("lr_swep/best.yaml") == near
    assert remedy("nowhere/at/all.yaml") == "mend the path"


def test_overrides_of_a_file_must_name_keys_that_it_has(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: {b: 1}\n")
    assert load_config(path, overrides=["a.b=2"]).a.b == 2
    assert load_config(path, overrides=["++a.b=3"]).a.b == 3
    assert load_config(path, overrides=["~a.b"]) == load_config(path, overrides=["~a.b=1"])
    assert load_config(path, overrides=["~a.b"]) == {"a": {}}
    dead = tmp_path / "dead.yaml"
    dead.write_text("a: {b: '${nowhere}'}\n")
    assert load_config(dead, overrides=["~a.b"]) == {"a": {}}
    with raises("key-is-there-already", "c.yaml: a.b", "say a.b=…"):
        load_config(path, overrides=["+a.b=3"])
    for word, key in (("a.c=2", "a.c"), ("~a.c", "a.c"), ("~a.b.c", "a.b.c")):
        with raises("unknown-key", "c.yaml", f"'{key}'", "a.b"):
            load_config(path, overrides=[word])
    for word, got in (("a.b==", "'='"), ("~a.b=2", "a.b is 1")):
        with raises("override-does-not-fit", "c.yaml", f"mend the word '{word}'", got):
            load_config(path, overrides=[word])


@pytest.mark.parametrize(
    ("rows", "words", "message"),
    [
        (1000, [], ""),
        (100, [], "trainer.batch_size: 128, 256: above the 100 train rows, all of which one"),
        (100, ["trainer.fraction=0.2"], "trainer.batch_size: 32, 64, 128, 256: above the 20 train"),
        (1000, ["trainer.batch_size=2000"], "trainer.batch_size: 2000: above the 1000 train rows"),
    ],
)
def test_batches_larger_than_the_data_are_told(rows, words, message, tmp_path):
    config = compose_experiment("batch_size_sweep", overrides=words, config_dir=None)
    assert whole_batches(read_plan(config, root=tmp_path), rows).startswith(message)


@pytest.mark.parametrize(
    "file", sorted((CONF / "space").glob("*.yaml")), ids=lambda file: file.stem
)
def test_a_shipped_space_is_read_quickly_to_what_omegaconf_reads(file):
    assert read_shipped(file) == OmegaConf.to_container(OmegaConf.load(file))


@pytest.mark.slow
def test_the_words_that_sweep_a_knob_in_a_given_set_up_sweep_it_and_bring_no_set_up():
    usual = compose_experiment("lr_sweep", overrides=[], config_dir=None)
    knobs = spaces_by_path(usual)
    words = {name: recipe_words(name).split() for name in knobs.values()}
    assert words["batch_size"] == ["batch_size_sweep"]  # whose rate follows with the root
    assert words["bins"] == ["lr_sweep", "space=bins"]  # its experiment cuts features into bins
    assert sum(len(parts) == 1 for parts in words.values()) > 10
    for path, name in knobs.items():
        experiment, *rest = words[name]
        if rest:
            continue
        config = compose_experiment(experiment, overrides=[], config_dir=None)
        assert read_plan(config, root=Path("/r")).knob.path == path
        own = ("name", "space", "protocol", "chosen", "choices")
        set_up = {key: value for key, value in usual.items() if key not in own}
        assert {key: config[key] for key in set_up} == set_up, name
