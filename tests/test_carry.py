"""One search from where another ended: what is carried, what wins over it, and that the contract comes along."""

import yaml
from kit import search, trials

from search.commands.support.arguments import take
from search.results.transfer import compose_from


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
        "rehearse=false",
        "placement.slots=1",
    ]
    done = search(*words, cwd=smoke)
    assert done.returncode == 0, done.stderr
    table = trials(smoke / "results" / "momentum_sweep")
    assert table["optimizer.momentum"].tolist() == [0.9, 0.5, 0.98]
    assert table.epochs.max() == 3
    before = trials(smoke / "results" / "smoke").set_index("optimizer.lr").value[0.1]
    assert table.value[0] == before  # the incumbent again, on the same split
    assert search(*words, cwd=smoke).returncode == 0
    refused = search(*words[:2], "split.seed=4", "name=other", cwd=smoke)
    assert refused.returncode == 2
    assert "the contract that comes with the config: a contract is fixed" in refused.stderr
    assert "split.seed: 0 there, 4 now" in refused.stderr
    assert not (smoke / "results" / "other").exists()
    nobody = search("momentum_sweep", "from=nobody", cwd=smoke)
    assert "search 'nobody' does not exist; there are: momentum_sweep, smoke" in nobody.stderr


def test_sweeps_in_a_row_each_start_from_the_winner_before(elsewhere):
    words = [
        "sweep",
        "knobs=[depth,dropout]",
        "seeds=1",
        "trainer.epochs=2",
        "protocol.extend=0",
        "protocol.refine=0",
    ]
    small = ["model.width=16", "name=row", "rehearse=false", "placement.slots=1"]
    done = search(*words, *small, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    first = yaml.safe_load((elsewhere / "results" / "row-depth" / "best.yaml").read_text())
    second = yaml.safe_load((elsewhere / "results" / "row-dropout" / "config.yaml").read_text())
    assert second["from"] == "row-depth"
    assert second["model"]["depth"] == first["model"]["depth"]
    assert (second["model"]["width"], second["trainer"]["epochs"]) == (16, 2)
    assert done.stdout.count("row-depth: model.depth = ") == 1
    for wrong, message in (
        (["sweep"], "sweep: needs knobs, but got none"),
        (
            ["sweep", "knobs=[lr,widht]"],
            "sweep: knob 'widht' does not exist; did you mean 'width'? there are: activation, batch_size,",
        ),
        (
            ["sweep", "knobs=[lr,lr]"],
            "sweep: a knob is swept once, but got lr, lr; drop the second one",
        ),
    ):
        refused = search(*wrong, cwd=elsewhere)
        assert refused.returncode == 2
        assert message in refused.stderr
