"""The documented scripts for Slurm, as far as they run without it: the shell's grammar, and Dask's in place of Slurm's."""

import importlib.util
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kit import TINY, environment, search, trials, wait_for

PAGE = Path(__file__).parent.parent / "search" / "execution" / "README.md"
STAND_IN = """
from distributed import LocalCluster

class SLURMCluster(LocalCluster):
    def __init__(self, *, cores, processes, memory, walltime, job_extra_directives, scheduler_options):
        super().__init__(
            n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None,
            host="127.0.0.1", scheduler_port=scheduler_options["port"],
        )

    def scale(self, *, jobs):
        super().scale(2)
"""


def _script(language: str, holding: str) -> str:
    blocks = re.findall(f"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (script,) = [block for block in blocks if holding in block]
    return script


def test_the_job_of_ray_nodes_is_a_script_of_the_shell():
    script = _script("sh", "srun")
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert len(script.splitlines()) <= 10


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs pip install 'knobwise[dask]'"
)
def test_the_script_of_dask_jobs_gives_a_search_its_workers(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "dask_jobqueue.py").write_text(STAND_IN)
    (tmp_path / "jobs.py").write_text(_script("python", "SLURMCluster").replace("8786", str(port)))
    jobs = subprocess.Popen([sys.executable, "jobs.py"], cwd=tmp_path, env=environment())
    try:
        wait_for(lambda: _listens(port) or jobs.poll() is not None, seconds=60, what="a scheduler")
        words = [*TINY, "placement=dask", f"placement.scheduler=tcp://127.0.0.1:{port}"]
        done = search(*words, cwd=tmp_path)
    finally:
        jobs.kill()
        jobs.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(trials(tmp_path / "results" / "own_trainer").state) <= {"complete", "infeasible"}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
