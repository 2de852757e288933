"""The JSON Schema of a config: valid, the shipped one is the current one, and it tells right from wrong."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from omegaconf import OmegaConf

from search.__main__ import main
from search.config.catalogue import CONF
from search.config.compose import compose_experiment
from search.config.json_schema import config_schema

VALIDATOR = Draft202012Validator(config_schema())
EXPERIMENTS = sorted((CONF / "experiment").glob("*.yaml"))


def _read(path):
    """A YAML file as an editor reads it: 1e-4 is a number."""
    return OmegaConf.to_container(OmegaConf.load(path), resolve=False)


def test_the_verb_prints_the_shipped_schema_which_is_a_valid_one(capsys):
    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert printed == (CONF / "knobwise.schema.json").read_text()
    schema = json.loads(printed)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", [*EXPERIMENTS, CONF / "search.yaml"], ids=lambda path: path.stem)
def test_every_shipped_recipe_names_the_schema_and_follows_it(path):
    (line,) = [line for line in path.read_text().splitlines() if "yaml-language-server" in line]
    target = line.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / target).resolve() == Path(CONF / "knobwise.schema.json").resolve()
    assert list(VALIDATOR.iter_errors(_read(path))) == []


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["lr_sweep", "joint", "optimizer_sweep", "own_command"])
def test_composed_configs_follow_the_schema_with_links_and_without(experiment):
    words = ["schedule=cosine"]
    config = compose_experiment(experiment, overrides=words, config_dir=None)
    for resolve in (False, True):
        plain = OmegaConf.to_container(config, resolve=resolve)
        assert [error.message for error in VALIDATOR.iter_errors(plain)] == []


@pytest.mark.parametrize(
    "text",
    [
        "seeds: 0",
        "trainer: {epochs: many}",
        "trainer: 3",
        "keep: some",
        "space: {optimizer: {lr: {scale: cubic}}}",
        "space: {optimizer: {lr: {points: 1}}}",
        "model: {_target_: trainers.models.mlp.MLP, width: -1}",
        "loss: {_target_: torch.nn.CrossEntropyLoss, label_smoothing: 2}",
        "lanes: 1",
    ],
)
def test_what_the_door_refuses_an_editor_marks(text):
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) != []


def test_keys_of_classes_of_ones_own_are_free_and_keys_are_explained():
    own = "model: {_target_: mods.Net, width: deep}\ntrainer: {_target_: mods.train, my: [1]}"
    assert list(VALIDATOR.iter_errors(yaml.safe_load(own))) == []
    properties = config_schema()["properties"]
    assert "trainings per value" in properties["seeds"]["description"]
    assert "passes over train" in properties["trainer"]["properties"]["epochs"]["description"]
