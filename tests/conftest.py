"""Fixtures shared by all tests."""

import gc
import os
import random
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from composed_once import compose_once
from forked import FORKING
from hypothesis import settings
from kit import INLINE, PATH, search
from slow import is_heavy

from search.execution import process_guard
from search.execution.slots import STEADY

FOLDERS = count()
settings.register_profile("patient", deadline=None)  # no example fails for a busy machine
settings.load_profile("patient")  # `--hypothesis-profile` comes after it
os.environ["PYTHONPATH"] = PATH
# As in a worker, set before torch is imported: one thread each, and bits that do not depend on where in memory something lies.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ |= STEADY
# A shell starts what it puts in the background deaf to Ctrl-C, and so would be all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`pytest -m "not slow"` leaves out what `slow.py` finds; with it, that comes first.

    Tests that share a program by a module's fixture go to one test process, which starts it once. So do, where slow ones
    are left out, all tests of a module: they choose alike, and what they choose is composed once. Short tests last, so
    that both processes end at the same time.
    """
    are_quick = config.option.markexpr == "not slow"
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        shares = are_quick
        if is_heavy(item):
            item.add_marker(pytest.mark.slow)
            fixtures = item._fixtureinfo.name2fixturedefs.values()
            shares = any(definition[-1].scope == "module" for definition in fixtures)
        if shares and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(tryfirst=True)  # before the fixtures of a test, those of its module too
def pytest_runtest_setup() -> None:
    """What a test draws without a seed does not hang on the tests that its process ran before."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_collection_finish() -> None:
    """What has been imported stays: looking through it for garbage takes a tenth of the quick tests' time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def composed_once() -> Iterator[None]:
    """Configs are composed faster than users' are, in the tests' own process."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        compose_once(monkeypatch.setattr)
        yield


@pytest.fixture(autouse=True, scope="session")
def forked_children() -> Iterator[None]:
    """What a search within the tests' own process starts is a fork too."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(process_guard, "subprocess", FORKING)
        yield


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, which finds a free number among the folders of all tests before: they are thousands."""
    name = re.sub(r"\W", "_", request.node.name)[:27]  # paths of sockets are short
    return tmp_path_factory.mktemp(f"{name}{next(FOLDERS)}", numbered=False)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own: nothing may depend on the clone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def smoke_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished `smoke` search, made once per test process; not to be changed."""
    cwd = tmp_path_factory.mktemp("smoke")
    done = search("smoke", *INLINE, "lanes=off", "report=on", cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd


@pytest.fixture
def smoke(smoke_once: Path, tmp_path: Path) -> Path:
    """A copy of a finished `smoke` search, to be treated as one likes: the folder above results/."""
    shutil.copytree(smoke_once / "results", tmp_path / "results")
    return tmp_path
