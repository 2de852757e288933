"""Clusters that speak TLS only: the engine's own certificates are all that a search needs."""

import importlib.util
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from kit import HERE, TINY, certificate, environment, search, trials, wait_for
from refusals import check_told

from search.execution.placement.cluster_checks import own_host

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl"),
]
KEYS = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")


def _settings(folder: Path, *roles: str) -> dict[str, str]:
    """Dask's own, with one certificate for all roles."""
    files = dict(zip(("CERT", "KEY"), map(str, certificate(folder, "127.0.0.1")), strict=True))
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    return {
        f"{tls}CA_FILE": files["CERT"],
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        **{f"{tls}{role}__{name}": file for role in roles for name, file in files.items()},
    }


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs pip install 'knobwise[dask]'"
)
def test_a_search_on_a_cluster_with_tls_works_and_one_without_a_certificate_is_refused(tmp_path):
    settings = _settings(tmp_path, "SCHEDULER", "WORKER", "CLIENT")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tls://127.0.0.1:{free.getsockname()[1]}"
    node = [address, "--no-nanny", "--nthreads=2", "--local-directory", str(tmp_path / "node")]
    words = [*TINY, "placement=dask", f"placement.scheduler={address}", "name=far"]
    with ExitStack() as stack:
        for program, options in (
            ("dask_scheduler", ["--host", address.rpartition(":")[0], "--port", address.rpartition(":")[2]]),
            ("dask_worker", node),
        ):  # fmt: skip
            stack.enter_context(_started(program, *options, settings=settings))
        wait_for(lambda: _listens(address), seconds=60, what="a scheduler")
        refused = search(*words, cwd=tmp_path)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert refused.stderr.count("\n") == 1, refused.stderr
        check_told(refused.stderr, "no-dask-scheduler", "certificate", address)
        assert not (tmp_path / "results").exists()
        done = search(*words, cwd=tmp_path, timeout=200, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(trials(tmp_path / "results" / "far").state) <= {"complete", "infeasible"}


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs pip install 'knobwise[ray]'"
)
def test_a_search_on_a_ray_cluster_with_tls_works_and_one_without_or_with_another_certificate_is_refused(
    tmp_path,
):
    host = own_host("192.0.2.1")
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for folder in (right, wrong):
        folder.mkdir()
        certificate(folder, host, "127.0.0.1")
    nodes = subprocess.Popen(
        [sys.executable, str(HERE / "ray_nodes.py")],
        env=environment(**_ray(right)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = nodes.stdout.readline().strip()
        words = [*TINY, "placement=ray", f"placement.address={address}", "name=far"]
        words += ["placement.gpus_per_trial=0"]
        for settings, message in (
            ({}, ["RAY_USE_TLS=1"]),
            (_ray(wrong), [*KEYS, "[SSL: CERTIFICATE_VERIFY_FAILED]"]),
            (_ray(tmp_path), [*KEYS, "[Errno 2] No such file"]),
        ):
            refused = search(*words, cwd=tmp_path, **settings)
            assert refused.returncode == 2, refused.stdout + refused.stderr
            assert refused.stderr.count("\n") == 1, refused.stderr
            check_told(refused.stderr, "no-ray-cluster", address, *message)
            assert not (tmp_path / "results").exists()
        done = search(*words, cwd=tmp_path, timeout=200, **_ray(right))
    finally:
        nodes.communicate(timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(trials(tmp_path / "results" / "far").state) <= {"complete", "infeasible"}


def _ray(folder: Path) -> dict[str, str]:
    """Ray's own settings, with the certificate in a folder."""
    own = {"CA_CERT": "cert.pem", "SERVER_CERT": "cert.pem", "SERVER_KEY": "key.pem"}
    files = {f"RAY_TLS_{name}": str(folder / file) for name, file in own.items()}
    return {"RAY_USE_TLS": "1", **files}


@contextmanager
def _started(program: str, *options: str, settings: Mapping[str, str]) -> Iterator[None]:
    """A program of Dask while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{program}", *options, "--no-dashboard"],
        env=environment(**settings),
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _listens(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0
