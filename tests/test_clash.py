"""A folder that has modules named like ours: `knobwise` and all workers use ours, a user's own are found."""

import os
import subprocess
import sys

import pytest
from kit import ROOT, environment, search
from refusals import check_told

from search.execution.module_process import module_command

HIDING = "raise SystemExit('the wrong module runs')\n"
# As the script that pip makes: its folder comes first on the path, not the current one.
SCRIPT = f"import sys; sys.argv[0] = '/bin/knobwise'; sys.path[0] = {str(ROOT)!r}; from search.__main__ import console; console()"
TRAINER = (
    "def train(config, data, device, checkpoint):\n"
    "    for epoch in range(config['trainer']['epochs']):\n"
    "        yield {'train_loss': 1.0, 'val_loss': 1.0, 'accuracy': config['optimizer']['lr']}\n"
)


def _clash(folder, kind):
    for name in ("search", "trainers"):
        if kind == "files":
            (folder / f"{name}.py").write_text(HIDING)
        else:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(HIDING)


@pytest.mark.slow
def test_the_console_script_searches_where_modules_are_named_like_ours(elsewhere):
    _clash(elsewhere, "folders")
    (elsewhere / "mine.py").write_text(TRAINER)
    words = [
        "own_trainer", "trainer._target_=mine.train", "seeds=1", "trainer.epochs=1",
        "space.optimizer.lr.points=2", "placement.slots=1", "protocol.extend=0", "protocol.refine=0",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=elsewhere, env={**environment(), "PYTHONPATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "the wrong module runs" not in done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert (elsewhere / "results" / "own_trainer" / "best.yaml").exists()
    assert "  knobwise train results/own_trainer/best.yaml\n" in done.stdout
    assert "python -m search" not in done.stdout


def test_a_process_finds_our_packages_and_the_users_other_modules(elsewhere):
    _clash(elsewhere, "files")
    (elsewhere / "mine.py").write_text(
        "import sys, search.errors, trainers.api; print(sys.argv[1:], search.errors.__file__)"
    )
    done = subprocess.run(
        module_command("mine", "a", "b"),
        cwd=elsewhere, env={**environment(), "PYTHONPATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == f"['a', 'b'] {ROOT / 'search' / 'errors.py'}\n", done.stderr


def test_python_m_search_names_the_module_that_hides_ours_and_the_way_out(elsewhere):
    (elsewhere / "trainers.py").write_text(HIDING)
    done = search("smoke", cwd=elsewhere, anew=True)
    assert done.returncode == 2
    check_told(done.stderr, "package-is-hidden", "trainers.py", "`trainers`", "`knobwise`")


def test_the_console_script_is_declared():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"knobwise": "search.__main__:console"}
    assert os.path.isfile(ROOT / "search" / "__main__.py")


def test_a_python_without_our_packages_is_told_what_to_do(tmp_path):
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from search.__main__ import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, "lr_sweep"],  # without installed packages
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"{sys.executable}: " in line
    assert " rich;" in line
    check_told(done.stderr, "python-lacks-package", "-c constraints.txt -e .")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["json", "token", "numpy", "secrets", "sklearn"])
def test_a_module_of_the_current_folder_that_hides_another_is_named(name, elsewhere):
    (elsewhere / f"{name}.py").write_text("x = 1\n")
    done = search("smoke", cwd=elsewhere, anew=True)
    assert done.returncode == 2, done.stderr
    check_told(done.stderr, "module-is-hidden", f"{elsewhere}/{name}.py", f"`{name}`")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in elsewhere.iterdir() if path.name != "__pycache__"] == [
        f"{name}.py"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["types", "torch"])
def test_the_console_script_names_the_module_that_hides_one_from_its_workers(name, elsewhere):
    (elsewhere / f"{name}.py").write_text("x = 1\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "smoke"], cwd=elsewhere, text=True, capture_output=True,
        env={**environment(), "PYTHONPATH": ""}, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    check_told(done.stderr, "module-is-hidden", f"{elsewhere}/{name}.py", f"`{name}`")
    assert not (elsewhere / "results").exists()
