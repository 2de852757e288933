"""The documented scripts for Slurm and Kubernetes, as far as they run without these: grammar, names, and Dask in place of Slurm."""

import importlib.util
import re
import socket
import subprocess
import sys

import pytest
import yaml
from kit import ROOT, TINY, environment, search, trials, wait_for

from search.config.compose import compose_experiment

PAGE = ROOT / "search" / "execution" / "README.md"
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


def test_the_documents_of_kubernetes_fit_together_and_hold_a_command_that_exists():
    cluster, job = yaml.safe_load_all(_script("yaml", "RayCluster"))
    assert (cluster["kind"], job["kind"]) == ("RayCluster", "Job")
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    pods = [each["template"]["spec"] for each in (*groups, job["spec"])]
    mounts = [container["volumeMounts"] for pod in pods for container in pod["containers"]]
    assert all(each == [{"name": "results", "mountPath": "/results"}] for each in mounts)
    assert all(pod["volumes"] == pods[0]["volumes"] for pod in pods)
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1
    (container,) = pods[-1]["containers"]
    python, option, module, *words = container["command"]
    assert (python, option, module) == ("python", "-m", "search")
    experiment, *overrides = words
    config = compose_experiment(experiment, overrides=overrides, config_dir=None)
    service = f"{cluster['metadata']['name']}-head-svc"  # as KubeRay calls it
    assert config.placement.address == f"ray://{service}:10001"
    assert config.results_root == container["workingDir"] == "/results"


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
