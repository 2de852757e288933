"""Slots: GPUs, cores, choices."""

import joblib
import pytest

from search.errors import UsageError
from search.execution.slots import Slot, find_slots, visible_gpus


def _slots(**chosen):
    return find_slots(**{"slots": "auto", "slots_per_gpu": 1, "gpus": None, "threads": 1} | chosen)


def test_every_visible_gpu_has_its_slots(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,GPU-aa")
    assert [slot.gpu for slot in _slots()] == ["0", "1", "GPU-aa"]
    assert [slot.gpu for slot in _slots(slots_per_gpu=2)] == ["0", "1", "GPU-aa"] * 2
    assert [slot.gpu for slot in _slots(gpus=("GPU-aa",))] == ["GPU-aa"]
    assert [slot.gpu for slot in _slots(slots=4)] == ["0", "1", "GPU-aa", "0"]
    with pytest.raises(
        UsageError,
        match=r"placement\.gpus: must be among the visible GPUs \(0, 1, GPU-aa\), but got 2; name",
    ):
        _slots(gpus=("2",))


def test_without_a_gpu_there_is_a_slot_per_core_or_per_so_many_threads(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    assert len(_slots()) == 6
    assert len(_slots(threads=4)) == 1
    assert len(_slots(threads=99)) == 1
    assert len(_slots(slots=9)) == 9


def test_nvidia_smi_is_asked_where_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0; echo 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert visible_gpus() == ["0", "1"]
    program.write_text("#!/bin/sh\necho no driver; exit 9\n")
    assert visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []


def test_a_worker_sees_one_gpu_or_none_and_its_threads():
    slot = Slot(number=3, gpu="2", threads=4)
    assert slot.environment()["CUDA_VISIBLE_DEVICES"] == "2"
    assert slot.environment()["OMP_NUM_THREADS"] == "4"
    assert (slot.device, slot.label) == ("cuda", "cuda:2")
    cpu = Slot(number=0, gpu=None, threads=1)
    assert cpu.environment()["CUDA_VISIBLE_DEVICES"] == ""
    assert (cpu.device, cpu.label) == ("cpu", "cpu")


def test_a_worker_keeps_its_memory_unless_the_user_says_how(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "4096")
    environment = Slot(number=0, gpu=None, threads=1).environment()
    assert (environment["MALLOC_MMAP_MAX_"], environment["MALLOC_TRIM_THRESHOLD_"]) == ("0", "4096")
