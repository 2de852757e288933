"""Slots: GPUs, cores, choices; the driver and torch are asked, a variable is not believed."""

import sys
from pathlib import Path

import joblib
import pytest
from kit import search
from refusals import check_told, raises

from search.config.settings import PlacementSettings
from search.errors import UsageError
from search.execution.gpus import driver_gpus
from search.execution.slots import Slot, find_slots, left_idle

TWO = "GPU 0: NVIDIA X (UUID: GPU-aa11)\nGPU 1: NVIDIA X (UUID: GPU-bb22)\n"
SLICED = (
    TWO
    + "  MIG 1g.10gb     Device  0: (UUID: MIG-cc33)\n"
    + "  MIG 1g.10gb     Device  1: (UUID: MIG-dd44)\n"
)


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    """The GPUs of the slots, or the refusal, with a driver and a torch that say what is wished."""
    program, torch = tmp_path / "bin" / "nvidia-smi", tmp_path / "site" / "torch"
    program.parent.mkdir()
    torch.mkdir(parents=True)
    (torch / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")

    def asked(variable, *, driver=TWO, exit_code=0, cuda="'13.0'", **settings):
        program.unlink(missing_ok=True)
        if driver is not None:
            program.write_text(f"#!/bin/sh\nprintf '%s' '{driver}'\nexit {exit_code}\n")
            program.chmod(0o755)
        version = (
            f"__version__ = '2.11.0'\ncuda: Optional[str] = {cuda}\nhip: Optional[str] = None\n"
        )
        (torch / "version.py").write_text(version)
        if variable is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
        try:
            return [slot.gpu for slot in _slots(**settings)]
        except UsageError as error:
            return f"{error} [{error.code}]\n"

    return asked


def _settings(**chosen):
    usual = {"slots": "auto", "slots_per_gpu": 1, "gpus": None, "threads": 1}
    return PlacementSettings(**usual | {"target": "", "grace": 1.0, "folder": Path()} | chosen)


def _slots(*, by_torch=True, **chosen):
    return find_slots(_settings(**chosen), by_torch=by_torch)


def test_every_visible_gpu_has_its_slots(gpus):
    assert gpus("0,1") == ["0", "1"]
    assert gpus("0,GPU-bb22", slots_per_gpu=2) == ["0", "GPU-bb22"] * 2
    assert gpus("0,GPU-bb22", gpus=["GPU-bb22"]) == ["GPU-bb22"]
    assert gpus("0,1", slots=3) == ["0", "1", "0"]
    assert gpus("0,GPU-bb22", gpus_per_trial=2) == ["0,GPU-bb22"]
    few, none = gpus("0", gpus_per_trial=2), gpus("", gpus_per_trial=2)
    for told in (few, none, gpus("0,1", gpus_per_trial=2, slots_per_gpu=4)):
        check_told(told, "gpus-not-enough-for-trial", "placement.gpus_per_trial", "2 GPUs")
    assert "1 GPU; " in few
    assert "placement.slots_per_gpu" in few
    assert "0 GPUs; " in none
    assert "placement.slots_per_gpu" not in none  # a CPU is not shared by it
    assert gpus("0,1", slots_per_gpu=4) == ["0", "1"] * 4
    check_told(gpus("0,1", gpus=["2"]), "gpu-not-visible", "placement.gpus", "(0, 1)", "2")


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"gpus_per_trial": 3}, "idle: 6, 7, since placement.gpus_per_trial=3 does not divide 8 "),
        ({"gpus_per_trial": 3, "gpus": ["0", "1", "2", "5"]}, "idle: 5, since"),
        ({"gpus_per_trial": 4}, ""),
        ({"gpus_per_trial": 3, "slots": 1}, ""),  # as the user wants it
        ({}, ""),
    ],
)
def test_gpus_that_no_trial_can_use_are_named(chosen, told, gpus):
    eight = "".join(f"GPU {number}: NVIDIA X (UUID: GPU-{number})\n" for number in range(8))
    assert isinstance(gpus("0,1,2,3,4,5,6,7", driver=eight, **chosen), list)
    settings = _settings(**chosen)
    line = left_idle(settings, find_slots(settings, by_torch=True), by_torch=True)
    assert line.startswith(told) if told else line == ""


@pytest.mark.parametrize("variable", ["", "-1", "none", "NoDevFiles", "-1,0", "void,1", " ", "0,0"])
def test_words_that_mean_no_device_give_slots_on_the_cpu_without_asking_the_driver(variable, gpus):
    assert set(gpus(variable, driver="broken", exit_code=9)) == {None}


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        (None, ["0", "1"]),
        ("1", ["1"]),
        ("0,-1,1", ["0"]),
        ("0,none,1", ["0"]),
        (" 1 , 0 ", ["1", "0"]),
        ("GPU-bb22", ["GPU-bb22"]),
        ("GPU-b", ["GPU-b"]),
    ],
)
def test_the_variable_is_read_as_cuda_reads_it(variable, names, gpus):
    assert gpus(variable) == names


def test_a_divided_gpu_has_a_slot_per_mig_device(gpus):
    assert gpus(None, driver=SLICED) == ["0", "MIG-cc33", "MIG-dd44"]
    assert gpus("MIG-dd44", driver=SLICED) == ["MIG-dd44"]


@pytest.mark.parametrize("variable", ["2", "0,7", "GPU-zz", "MIG-cc33"])
def test_a_gpu_that_the_driver_does_not_list_is_refused(variable, gpus):
    wrong = variable.split(",")[-1]
    listed, remedy = "(0, GPU-aa11, 1, GPU-bb22)", "CUDA_VISIBLE_DEVICES=''"
    check_told(gpus(variable), "gpu-not-listed", listed, f" {wrong};", remedy)


def test_without_a_driver_there_are_no_gpus_and_a_variable_that_names_one_is_refused(gpus):
    assert set(gpus(None, driver=None)) == {None}
    assert set(gpus(None, driver="no driver", exit_code=9)) == {None}
    for variable in ("0", "GPU-aa11", "0,-1,1"):
        check_told(gpus(variable, driver=None), "gpu-not-listed", "(none)")


def test_a_torch_without_cuda_is_refused_where_there_are_gpus(gpus):
    for variable in (None, "0", "0,-1,1"):
        check_told(gpus(variable, cuda="None"), "torch-without-cuda", "2.11.0")
    assert set(gpus("", cuda="None")) == {None}
    assert gpus("0", cuda="None", by_torch=False) == ["0"]  # a trainer of another library


def test_what_torch_cannot_use_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,-1,1")
    done = search("smoke", cwd=tmp_path)
    assert done.returncode == 2
    check_told(done.stderr, "gpu-not-listed", "CUDA_VISIBLE_DEVICES")
    assert not (tmp_path / "results").exists()


def test_without_a_gpu_there_is_a_slot_per_core_or_per_so_many_threads(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    assert len(_slots()) == 6
    assert len(_slots(threads=4)) == 1
    assert len(_slots(threads=99)) == 1
    assert len(_slots(slots=9)) == 9


def test_a_worker_sees_one_gpu_or_none_and_its_threads(monkeypatch):
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    slot = Slot(number=3, gpu="2", threads=4)
    assert slot.environment()["CUDA_VISIBLE_DEVICES"] == "2"
    assert slot.environment()["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert slot.environment()["OMP_NUM_THREADS"] == "4"
    assert (slot.device, slot.label) == ("cuda", "cuda:2")
    cpu = Slot(number=0, gpu=None, threads=1)
    assert cpu.environment()["CUDA_VISIBLE_DEVICES"] == ""
    assert cpu.environment()["PYTHONHASHSEED"] == "7"
    monkeypatch.delenv("PYTHONHASHSEED")
    assert cpu.environment()["PYTHONHASHSEED"] == "0"
    assert (cpu.device, cpu.label) == ("cpu", "cpu")


def test_a_worker_keeps_its_memory_unless_the_user_says_how(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "4096")
    environment = Slot(number=0, gpu=None, threads=1).environment()
    assert (environment["MALLOC_MMAP_MAX_"], environment["MALLOC_TRIM_THRESHOLD_"]) == ("0", "4096")


def test_a_driver_that_cannot_be_asked_is_told(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/no/such/shell\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with raises("driver-does-not-list-gpus", "nvidia-smi", "FileNotFoundError"):
        driver_gpus()
