"""A search resumes with the config that it began with; keys that came later have their defaults."""

import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from search.config.compose import compose_experiment
from search.config.compose_protocol import compose_protocol
from search.config.drift import as_begun, drift, words_back
from search.config.plan import read_plan
from search.config.shipped_defaults import is_shipped_default


@pytest.fixture(scope="module")
def config():
    return compose_experiment("lr_sweep", overrides=[], config_dir=None)


@pytest.mark.parametrize(
    "key", ["model.norm", "trainer.fraction", "space.optimizer.lr.max", "chosen.augment", "lanes"]
)
def test_a_key_that_an_older_version_did_not_have_may_come_with_its_shipped_value(config, key):
    old = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    group, _, inner = key.rpartition(".")
    del (OmegaConf.select(old, group) if group else old)[inner]
    assert drift(old, config) == []


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("model.norm", "batch0", "model.norm: missing there, batch0 now"),
        ("model.mine", 3, "model.mine: missing there, 3 now"),
        ("trainer.fraction", 0.5, "trainer.fraction: missing there, 0.5 now"),
        ("chosen.augment", "noise", "chosen.augment: missing there, noise now"),
    ],
)
def test_a_key_that_is_new_and_not_as_shipped_is_refused(config, key, value, line):
    old, new = (OmegaConf.create(OmegaConf.to_container(config, resolve=False)) for _ in range(2))
    OmegaConf.set_struct(new, False)
    group, _, inner = key.rpartition(".")
    OmegaConf.select(old, group).pop(inner, None)
    OmegaConf.update(new, key, value)
    assert drift(old, new) == [line]


def test_a_key_that_is_gone_or_changed_is_refused(config):
    new = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    new.trainer.epochs = 7
    del new.model["width"]
    assert drift(config, new) == [
        "model.width: 128 there, missing now",
        "trainer.epochs: 50 there, 7 now",
    ]


def test_a_knob_that_is_turned_no_longer_is_one_line():
    config, other = (
        compose_experiment("lr_sweep", overrides=[f"space={name}"], config_dir=None)
        for name in ("lr", "dropout")
    )
    lines = ["chosen.space: lr there, dropout now", "space.optimizer.lr: turned there, not now"]
    assert drift(config, other) == lines


@pytest.mark.parametrize("word", ["placement=dask", "placement=inline", "preflight=on", "callbacks=mlflow"])  # fmt: skip
def test_where_trials_run_what_is_checked_and_who_is_told_may_change_from_start_to_start(
    config, word
):
    other = compose_experiment("lr_sweep", overrides=[word], config_dir=None)
    assert drift(config, other) == drift(other, config) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], None),  # images: the link gives the 2 that the file gave before
        (["augment.dimensions=2"], None),
        (["augment.dimensions=1"], "augment.dimensions: 2 there, 1 now"),
        (
            ["data.dimensions=1"],
            "augment.dimensions: 2 there, ${oc.select:data.dimensions,2} now",
        ),
    ],
)
def test_augmented_images_resume_though_their_dimensions_follow_the_data_now(words, line):
    new = compose_experiment("lr_sweep", overrides=["augment=shift", *words], config_dir=None)
    old = OmegaConf.create(OmegaConf.to_container(new, resolve=False))
    old.augment.dimensions = 2
    del old.data["dimensions"]
    assert drift(old, new) == [line] * bool(line)


def test_a_key_that_came_to_a_file_of_many_groups_may_come_with_its_shipped_value():
    new = compose_experiment("lr_sweep", overrides=["data=mnist1d"], config_dir=None)
    old = OmegaConf.create(OmegaConf.to_container(new, resolve=False))
    del old.data["dimensions"]
    assert drift(old, new) == []


def test_shipped_values_are_read_from_the_files():
    assert is_shipped_default("optimizer.momentum", 0.9)
    assert not is_shipped_default("optimizer.momentum", 0.8)
    assert not is_shipped_default("nothing.of.this", None)
    for place in ("space", "space.width"):  # of a sweep, and of a protocol
        assert is_shipped_default(f"{place}.model.width.needs", ["model.depth!=0"])
        assert not is_shipped_default(f"{place}.model.width.needs", ["model.depth=0"])


@pytest.mark.parametrize(
    ("words", "back"),
    [
        (["trainer.patience=3", "seeds=2"], "seeds=3 trainer.patience=10"),
        (["trainer.train_metric=true"], "trainer.train_metric=false"),
        (["model.activation=tanh"], "model.activation=relu"),
        (["seeds=5"], ""),  # more seeds are no drift
        (["optimizer=adam"], ""),  # a group has other keys too
        (["name=other", "trainer.epochs=3"], ""),
        (["trainer.clip=1"], "trainer.clip=null"),
    ],
)
def test_the_words_with_which_a_search_goes_on_make_its_config(config, words, back):
    new = compose_experiment("lr_sweep", overrides=words, config_dir=None)
    assert words_back(config, new) == back
    if back:
        again = compose_experiment(
            "lr_sweep", overrides=[*words, *shlex.split(back)], config_dir=None
        )
        assert drift(config, again) == []


@pytest.mark.parametrize(
    ("before", "words", "line"),
    [
        (3e-4, [], None),  # an older version took the shipped rate, outside of the range
        (0.2, [], "optimizer.lr: 0.2 there, 0.548 now"),
        (3e-4, ["optimizer.lr=0.3"], "optimizer.lr: 0.0003 there, 0.3 now"),
    ],
)
def test_a_search_whose_baseline_lay_outside_its_range_resumes(before, words, line):
    words = ["knob.optimizer.lr=log(0.1,3)", *words]
    new = compose_experiment("own_command", overrides=words, config_dir=None)
    old = OmegaConf.create(OmegaConf.to_container(new, resolve=False))
    old.optimizer.lr = before
    assert drift(old, new) == [line] * bool(line)


def test_a_protocol_begun_before_ranges_were_kept_goes_on_without_keeping_them():
    words = ["knob.optimizer.lr=log(1e-4,1e-2)", "optimizer.lr=0.003"]
    now = compose_protocol(words, config_dir=None)
    former = OmegaConf.create(OmegaConf.to_container(now, resolve=False))
    del former.protocol.own_ranges
    went_on = as_begun(now, former)
    assert drift(former, went_on) == []
    limits = [
        read_plan(config, root=Path("/nowhere")).settings.spaces["lr"][0].most
        for config in (now, went_on)
    ]
    assert limits[0] == 1e-2
    assert limits[1] > 1
    assert as_begun(now, now) is now


def test_a_search_begun_before_a_name_told_a_part_goes_on_without_it():
    words = [
        "own_trainer",
        "+lm.nhid=8",
        "knob.lm.nhid=choice(8,16)",
        "knob.optimizer.lr=log(1e-4,1)",
    ]
    now = compose_protocol(words, config_dir=None)
    assert now.protocol.parts == ["lm.nhid=width"]
    former = OmegaConf.create(OmegaConf.to_container(now, resolve=False))
    former.protocol.parts = []
    went_on = as_begun(now, former)
    assert (drift(former, went_on), went_on.protocol.parts) == ([], [])
    said = compose_protocol([*words, "space.lm.nhid.acts_as=depth"], config_dir=None)
    assert drift(former, as_begun(said, former)) != []
