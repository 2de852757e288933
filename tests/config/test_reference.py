"""References: published numbers stand in files; a recipe's scores are compared with them, openly."""

import json

import pytest
from kit import INLINE, search
from refusals import check_told, raises

from search.commands.support.train_reference import _chosen, _show
from search.config.catalogue import reference_names
from search.config.compose import compose_experiment
from search.config.reference import Published, Reference, read_reference
from search.execution.terminal import Terminal


@pytest.mark.parametrize("name", reference_names())
def test_a_reference_names_a_recipe_whose_sweep_has_all_its_models(name):
    reference = read_reference(name)
    config = compose_experiment(reference.experiment, overrides=[], config_dir=None)
    assert set(reference.models) <= set(config.space.model.choices)
    assert config.keep == "all"  # every seed can be scored
    assert all(0 < each.spread < each.value < 1 for each in reference.models.values())


def test_a_score_below_the_published_spread_is_not_reached_and_one_within_it_is(capsys):
    published = {"a": Published(value=0.9, spread=0.02), "b": Published(value=0.9, spread=0.02)}
    reference = Reference(name="r", experiment="e", source="a paper", models=published)
    scores = {"a": [0.87, 0.90], "b": [0.87, 0.88]}
    assert _show(reference, scores, metric="accuracy", console=Terminal()) == ["b"]
    text = capsys.readouterr().out
    assert "a  0.885, mean of 2 from 0.870 to 0.900; published 0.9 ± 0.02: reached" in text
    assert "b  0.875" in text


def test_a_reference_is_compared_on_the_models_that_are_trained_and_refused_without_any():
    reference = read_reference("mnist1d")

    def chosen(choices):
        words = [f"space.model.choices={choices}"]
        config = compose_experiment(reference.experiment, overrides=words, config_dir=None)
        return list(_chosen(reference, config).models)

    assert chosen("[gru,linear]") == ["linear", "gru"]
    with raises("reference-trains-other-models", "space.model.choices"):
        chosen("[rnn,lstm]")


def test_a_reference_that_does_not_exist_is_refused_with_those_that_do():
    with raises("unknown-reference", "'mnist1d'"):
        read_reference("mnist")


@pytest.mark.slow
def test_a_reference_scores_the_test_rows_and_leaves_them_sealed_for_a_choice(elsewhere):
    words = ["trainer.epochs=1", "seeds=1", "space.model.choices=[mlp,cnn2d]", *INLINE]
    done = search("reference", "digits", *words, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "published 0.969 ± 0.012: not reached" in done.stdout
    assert "another recipe than the published one: trainer.epochs, space.model" in done.stdout
    (ledger,) = (elsewhere / "results").glob("test_ledger-*.jsonl")
    before = ledger.read_text()
    assert json.loads(before)["reference"] == "digits"
    for path in (elsewhere / "results" / "reference_digits" / "checkpoints").glob("*/*"):
        path.unlink()
    unkept = search("reference", "digits", *words, cwd=elsewhere)
    assert unkept.returncode == 1
    check_told(unkept.stderr, "reference-without-weights", "digits", "trials.csv")
    assert ledger.read_text() == before  # no row of the test set was looked at for nothing
    tested = search("test", "reference_digits", cwd=elsewhere)
    assert tested.returncode == 0, tested.stderr
