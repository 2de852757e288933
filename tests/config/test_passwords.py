"""What the environment holds stays out of files that are passed on."""

import pytest
import yaml
from kit import INLINE, TINY, search
from refusals import check_told

from search.config.passwords import with_environment_as_links


def test_texts_of_the_environment_stay_links_and_numbers_do_not():
    written = {
        "trainer": {
            "key": "${oc.env:KEY}",
            "words": ["--key", "Bearer ${oc.env:KEY}", "plain"],
            "again": "${trainer.key}",
            "epochs": "${oc.decode:${oc.env:EPOCHS}}",
            "rate": "${optimizer.lr}",
            "label": "${data.name}",
        },
        "empty": "${oc.env:NOTHING,}",
        "copy": "${trainer}",
    }
    trainer = {
        "key": "hunter2",
        "words": ["--key", "Bearer hunter2", "plain"],
        "again": "hunter2",
        "epochs": 3,
        "rate": 0.1,
        "label": "digits",
    }
    resolved = {"trainer": trainer, "empty": "", "copy": {"name": "digits"}}
    assert with_environment_as_links(resolved, written) == {
        "trainer": {**written["trainer"], "epochs": 3, "rate": 0.1, "label": "digits"},
        "empty": "",
        "copy": {"name": "digits"},
    }


@pytest.mark.slow
def test_no_file_of_a_search_holds_a_text_of_the_environment_and_best_yaml_trains_again(tmp_path):
    words = [*TINY, *INLINE, "trainer.epochs=2", "seeds=1", "name=one", "report=on"]
    words += ["+trainer.key=${oc.env:MY_KEY}"]
    done = search(*words, cwd=tmp_path, MY_KEY="hunter2")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results" / "one"
    holders = [path.name for path in folder.rglob("*") if path.is_file()]
    assert "best.yaml" in holders
    assert not [path for path in folder.rglob("*") if _holds(path, b"hunter2")]
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert best["trainer"]["key"] == "${oc.env:MY_KEY}"
    again = search("train", "results/one/best.yaml", cwd=tmp_path, MY_KEY="hunter2")
    assert again.returncode == 0, again.stderr
    without = search("train", "results/one/best.yaml", cwd=tmp_path)
    assert without.returncode == 2
    check_told(without.stderr, "config-does-not-resolve", "'MY_KEY'")


def _holds(path, secret):
    return path.is_file() and secret in path.read_bytes()
