"""One search from where another ended: what is carried, what wins over it, and that the contract comes along."""

import re
from dataclasses import replace

import pytest
import yaml
from kit import INLINE, search, trials
from omegaconf import OmegaConf
from refusals import check_told, raises

from search.config.compose_protocol import compose_protocol
from search.config.plan import read_plan
from search.config.sweep_words import protocol_words
from search.config.words import take
from search.results.findings import open_results
from search.results.repeat import check_repeats
from search.results.transfer import compose_from, started_from
from search.results.warm_start import read_history


def _config(cwd, *words, experiment="momentum_sweep"):
    source, overrides = take(list(words), "from")
    overrides = [*overrides, f"results_root={cwd / 'results'}"]
    return compose_from(experiment, overrides=overrides, config_dir=None, source=source)


def test_the_incumbent_is_carried_with_its_links_and_what_is_said_here_wins(smoke):
    best = yaml.safe_load((smoke / "results" / "smoke" / "best.yaml").read_text())
    config, contract = _config(
        smoke,
        "from=smoke",
        "optimizer.weight_decay=0.5",
        "trainer.patience=2",
        "schedule=one_cycle",
    )
    assert config.optimizer.lr == best["optimizer"]["lr"]
    assert (config.trainer.epochs, config.trainer.patience) == (3, 2)  # smoke's own, and said here
    assert (config.optimizer.weight_decay, config["from"]) == (0.5, "smoke")
    assert config.schedule.max_lr == config.optimizer.lr  # a link, not a number
    assert (config.name, config.seeds, list(config.space.optimizer)) == (
        "momentum_sweep",
        3,
        ["momentum"],
    )
    assert contract["data"]["rows"] == 1797
    other, _ = _config(smoke, "from=smoke", "optimizer=adam")
    assert other.optimizer._target_ == "torch.optim.Adam"


def test_a_search_from_another_runs_under_its_contract_and_resumes(smoke):
    words = [
        "momentum_sweep",
        "from=smoke",
        "seeds=1",
        "space.optimizer.momentum.points=2",
        "protocol.refine=0",
        "protocol.extend=0",
        *INLINE,
        "lanes=off",
    ]
    done = search(*words, cwd=smoke)
    assert done.returncode == 0, done.stderr
    table = trials(smoke / "results" / "momentum_sweep")
    assert table["optimizer.momentum"].tolist() == [0.9, 0.5, 0.98]
    assert table.epochs.max() == 3
    before = trials(smoke / "results" / "smoke").set_index("optimizer.lr").value[0.1]
    assert table.value[0] == before  # the incumbent again, on the same split
    assert re.search(
        r"the baseline repeats trial \d of smoke, its winner, to the digit", done.stdout
    )
    _check_that_another_number_is_an_error(smoke)
    assert search(*words, cwd=smoke).returncode == 0
    refused = search(*words[:2], "split.seed=4", "name=other", cwd=smoke)
    assert refused.returncode == 2
    check_told(refused.stderr, "contract-differs", "split.seed: 0 there, 4 now")
    assert not (smoke / "results" / "other").exists()
    nobody = search("momentum_sweep", "from=nobody", cwd=smoke)
    check_told(nobody.stderr, "unknown-search", "'nobody'", "momentum_sweep, smoke")


def _check_that_another_number_is_an_error(cwd):
    """The findings of a finished search from another, with its baseline's value changed."""
    _, findings = open_results("momentum_sweep", root=cwd / "results")
    assert check_repeats(findings) == [
        "the baseline repeats trial 0 of smoke, its winner, to the digit"
    ]
    first, *others = findings.rows
    other = replace(findings, rows=(replace(first, value=first.value - 1e-9), *others))
    with raises("baseline-does-not-repeat", "momentum_sweep", "trial 0 of smoke"):
        check_repeats(other)
    cuda = replace(findings, rows=(replace(first, value=0.5, device="cuda:0"), *others))
    assert "a GPU repeats within noise only" in check_repeats(cuda)[0]
    plan = replace(findings.plan, config=_with(findings.plan.config, "trainer.batch_size", 16))
    (line,) = check_repeats(replace(other, plan=plan))
    assert line.endswith("its winner: trainer.batch_size is 32 there, 16 here")


def _with(config, key, value):
    changed = OmegaConf.create(OmegaConf.to_container(config))
    OmegaConf.update(changed, key, value)
    return changed


def test_what_was_adopted_stays_until_a_decision_or_the_command_changes_it(smoke):
    """An experiment's file sets a key that the source has decided on, and one that it has not."""
    for name, text in {
        "experiment/mine.yaml": "# @package _global_\n# python -m search mine\n# Mine.\n"
        "defaults:\n  - override /space: momentum\noptimizer:\n  lr: 0.5\ntrainer:\n  l1: 0.1\n",
        "experiment/theirs.yaml": "# @package _global_\n# python -m search theirs\n# Theirs.\n"
        "defaults:\n  - override /space: momentum\n  - override /optimizer: nesterov\n",
    }.items():
        (smoke / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (smoke / "conf" / name).write_text(text)

    def composed(experiment, *words):
        words = [*words, f"results_root={smoke / 'results'}"]
        return compose_from(experiment, overrides=words, config_dir=smoke / "conf", source="smoke")[
            0
        ]

    best = yaml.safe_load((smoke / "results" / "smoke" / "best.yaml").read_text())
    assert composed("mine").optimizer.lr == best["optimizer"]["lr"] != 0.5
    assert composed("mine").trainer.l1 == 0.1  # nothing was decided about it
    assert composed("mine", "optimizer.lr=0.25").optimizer.lr == 0.25
    assert composed("theirs").optimizer.nesterov is True  # the optimizer was not decided on


def test_a_history_says_why_trials_do_not_fit(smoke):
    root = f"results_root={smoke / 'results'}"
    words = ["space=lr", "trainer.batch_size=16", root]
    config, _ = compose_from("joint", overrides=words, config_dir=None, source="smoke")
    history = read_history(read_plan(config, root=smoke), floor=None)
    (line,) = history.sources
    assert history.past == []
    assert line.startswith("0 of 4 trials of smoke fit the space and are its history (R32); ")
    assert "the others do not: trainer.batch_size is 32 there, 16 here (3)" in line
    words = ["knob.optimizer.lr=log(0.05, 0.2)", root]
    config, _ = compose_from("joint", overrides=words, config_dir=None, source="smoke")
    (line,) = read_history(read_plan(config, root=smoke), floor=None).sources
    assert "optimizer.lr outside of the space (2)" in line


def test_a_row_of_sweeps_is_one_search_each_from_the_winner_before_also_after_another(elsewhere):
    small = [
        "seeds=1",
        "trainer.epochs=2",
        "protocol.extend=0",
        "protocol.refine=0",
        "protocol.confirm=2",
        *INLINE,
    ]
    done = search(
        "sweep", "knobs=[depth,dropout]", "name=row", "model.width=16", *small, cwd=elsewhere
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder, row = open_results("row", root=elsewhere / "results")
    assert [step["stage"] for step in row.steps][:3] == [
        "01-baseline",
        "02-sweep.depth",
        "03-sweep.dropout",
    ]
    depth, dropout = row.steps[1:3]
    held = {step["path"]: step["value"] for step in (depth, dropout) if step["decision"] == "adopt"}
    assert dropout["held"] == held
    assert row.steps[-1]["next"] is None
    assert folder.load_config().model.width == 16

    config, contract = started_from(
        compose_protocol(protocol_words(["momentum", "lr"], None), config_dir=None),
        source=str(folder.path),
        overrides=[],
    )
    plan = read_plan(config, root=elsewhere / "results")
    assert list(plan.settings.spaces) == ["momentum", "lr"]
    winner = yaml.safe_load(folder.best_config.read_text())
    assert plan.config.model == winner["model"]
    assert contract == folder.load_contract()


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        (["lr", "batch_size"], ["protocol=sweeps", "space=[lr,batch_size]"]),
        (["lr", "noise"], ["noise_sweep", "protocol=sweeps", "space=[lr,strength]"]),
        (["cell", "pool"], ["cell_sweep", "protocol=sweeps", "space=[cell,pool]"]),
        (["schedule_few"], ["protocol=sweeps", "space=[schedule_few]"]),
    ],
)
def test_the_first_recipe_with_a_set_up_sets_it_for_all_sweeps(knobs, words):
    assert protocol_words(knobs, None) == words


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ([], ("sweep-needs-knobs",)),
        (
            ["lr", "widht"],
            ("sweep-of-unknown-knob", "'widht'", "'width'"),
        ),
        (["lr", "lr"], ("knob-swept-twice",)),
    ],
)
def test_knobs_that_cannot_be_swept_are_refused(knobs, message):
    with raises(*message):
        protocol_words(knobs, None)
