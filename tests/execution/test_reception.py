"""A worker on another machine may have other code than the search: it is refused, or told."""

import hashlib
import sys

import pytest
from refusals import raises

from search.config.compose import compose_experiment
from search.config.plan import read_plan
from search.config.version import KNOBWISE, SOURCES, TORCH, code_here
from search.execution.callbacks import Callback
from search.execution.connections import WorkerHandle
from search.execution.lanes import Fusions
from search.execution.messages import Hello
from search.execution.placement.cluster import ClusterSlot
from search.execution.reception import Reception
from search.execution.worker.process import other_files
from search.storage.folder import Folder


class _Notes(Callback):
    def __init__(self):
        self.texts = []

    def note(self, text, *, style=""):
        self.texts.append(text)


@pytest.fixture
def greet(tmp_path):
    """Greets a worker of a node by the code that it has beside what is here."""
    plan = read_plan(compose_experiment("smoke", overrides=[], config_dir=None), root=tmp_path)
    fusions = Fusions(tmp_path, shared=tmp_path, most=None, slots=1)
    notes = _Notes()
    reception = Reception(plan, folder=Folder(tmp_path), fusions=fusions, callback=notes)
    slot = ClusterSlot(number=0, gpu=None, threads=1, gpus=0, shared=True, growing=False)

    def greeted(code, *, node="10.0.0.2:9"):
        worker = WorkerHandle(slot=slot, connection=None, node=node)
        reception.greet(worker, Hello(pid=1, host="a", code=code))
        return notes.texts

    return greeted


@pytest.mark.parametrize("code", [{}, {**code_here(), KNOBWISE: "0.0.9"}])
def test_a_node_with_another_version_of_knobwise_ends_the_search_and_is_named(code, greet):
    with raises("worker-of-other-version", "a (10.0.0.2:9)", code.get(KNOBWISE, "an older one")):
        greet(code)


@pytest.mark.parametrize("name", [SOURCES, TORCH])
def test_other_sources_or_another_torch_on_a_node_are_told_once_and_equal_ones_never(name, greet):
    assert greet(code_here()) == greet({}, node="") == []
    for _ in range(3):
        texts = greet({**code_here(), name: "2.1.0-other"})
    (text,) = texts
    assert f"{name} 2.1.0-other" in text
    assert f"{name} {code_here()[name]}" in text


def test_a_file_of_the_user_that_is_another_one_on_the_node_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (tmp_path / "mine").mkdir()
    for name in ("same", "other"):
        (tmp_path / "mine" / f"{name}.py").write_text(name)
    checksum = hashlib.sha256(b"same").hexdigest()
    code = {"mine/same.py": checksum, "src/mine/other.py": checksum, "gone.py": checksum}
    assert other_files(code) == ["src/mine/other.py"]
