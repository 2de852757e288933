"""One ledger per data set and test rows, whoever opens them: searches of a chain, train, another metric."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from refusals import raises

from search.config.compose import compose_experiment
from search.contract.contract import prepare
from search.contract.metrics import Metric
from search.storage.folder import Folder
from search.storage.ledger import Ledger

RECORD = {"config": "c", "metric": "accuracy", "rows": 540}


def _ledger(place, *words):
    config = compose_experiment("lr_sweep", overrides=list(words), config_dir=None)
    metric = Metric(name=config.metric.name, direction=config.metric.direction)
    folder = Folder(place)
    folder.path.mkdir(parents=True)
    folder.begin(prepare(config, metric=metric), config)
    return Ledger(folder)


@pytest.mark.slow
def test_searches_of_one_contract_share_a_ledger_and_others_do_not(tmp_path):
    first = _ledger(tmp_path / "first")
    opening = first.begin(RECORD)
    first.finish(opening, score=0.9)
    same = [
        _ledger(tmp_path / "second"),
        _ledger(tmp_path / "first-train", "normalise=minmax"),
        _ledger(tmp_path / "third", "metric=log_loss", "optimizer=adam"),
    ]
    for ledger in same:
        (seen,) = ledger.openings()
        assert (seen["search"], seen["score"], seen["opening"]) == ("first", 0.9, 1)
    assert same[0].begin(RECORD)["opening"] == 2
    assert [seen["search"] for seen in first.openings()] == ["first", "second"]
    for words in (["split.seed=1"], ["data=breast_cancer"], ["split.test=0.2"]):
        assert _ledger(tmp_path / words[0], *words).openings() == []
    assert _ledger(tmp_path / "elsewhere" / "first").openings() == []  # another results root


def test_an_opening_outlives_its_search_and_one_from_before_is_counted(tmp_path):
    first = _ledger(tmp_path / "first")
    first.finish(first.begin(RECORD), score=0.9)
    first.path.unlink()  # as of a version that had no shared ledger
    assert [seen["search"] for seen in first.openings()] == ["first"]
    assert first.begin(RECORD)["opening"] == 2
    for path in (tmp_path / "first").rglob("*"):
        if path.is_file():
            path.unlink()
    assert [seen["opening"] for seen in _ledger(tmp_path / "next").openings()] == [2]


def test_tests_at_one_time_count_one_after_the_other(tmp_path):
    ledger = _ledger(tmp_path / "first")
    with ThreadPoolExecutor(4) as pool:
        openings = list(pool.map(lambda _: ledger.begin(RECORD), range(8)))
    assert sorted(opening["opening"] for opening in openings) == list(range(1, 9))
    for opening in openings:
        ledger.finish(opening, score=opening["opening"] / 10)
    assert [seen["score"] for seen in ledger.openings()] == [number / 10 for number in range(1, 9)]


@pytest.mark.parametrize("text", ["{torn", "[]", "\x00"])
def test_a_damaged_ledger_is_named_with_its_line(text, tmp_path):
    ledger = _ledger(tmp_path / "first")
    ledger.begin(RECORD)
    with ledger.path.open("a") as file:
        file.write(text + "\n")
    with raises("ledger-line-damaged"):
        ledger.openings()
