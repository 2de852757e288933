"""A Dask cluster that speaks TLS only: certificates in Dask's own settings are all that a search needs."""

import importlib.util
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from kit import TINY, environment, search, trials, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None or shutil.which("openssl") is None,
        reason="needs pip install 'knobwise[dask]', and openssl",
    ),
]


def _openssl(*words: str, cwd: Path) -> None:
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)


def _settings(folder: Path, *roles: str) -> dict[str, str]:
    """Dask's own, with one certificate for all roles."""
    key = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    _openssl("req", "-x509", *key, "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1", cwd=folder)  # fmt: skip
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    files = {"CERT": "cert.pem", "KEY": "key.pem"}
    return {
        f"{tls}CA_FILE": str(folder / "cert.pem"),
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        **{f"{tls}{r}__{k}": str(folder / file) for r in roles for k, file in files.items()},
    }


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
        assert "Dask's settings name no certificate; start one" in refused.stderr
        assert not (tmp_path / "results").exists()
        done = search(*words, cwd=tmp_path, timeout=200, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(trials(tmp_path / "results" / "far").state) <= {"complete", "infeasible"}


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
