"""Completion scripts, in the shells themselves."""

import shutil
import subprocess

import pytest

from search.commands.support.completion import SHELLS, completion_script

TRY = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); COMPREPLY=()
_shtab_knobwise; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def searched(elsewhere):
    for name in ("first", "second"):
        (elsewhere / "results" / name).mkdir(parents=True)
        (elsewhere / "results" / name / "config.yaml").touch()
    return elsewhere


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    for shell in SHELLS:
        (folder / shell).write_text(completion_script(shell, config_dir=None))
    return folder


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        ("knobwise lr_sw", {"lr_sweep"}),
        ("knobwise tabl", {"table"}),
        ("knobwise table fi", {"first"}),
        ("knobwise table --form", {"--format"}),
        ("knobwise table --format l", {"latex"}),
        ("knobwise plan jo", {"joint"}),
        ("knobwise lr_sweep schedule=one", {"schedule=one_cycle"}),
        ("knobwise lr_sweep schedule = one", {"one_cycle"}),  # bash splits words at =
        ("knobwise lr_sweep from = sec", {"second"}),
    ],
)
def test_bash_completes_verbs_experiments_options_groups_and_searches(
    words, candidates, scripts, searched
):
    script = TRY.format(script=scripts / "bash", words=words)
    done = subprocess.run(["bash", "-c", script], cwd=searched, capture_output=True, text=True, check=True)  # fmt: skip
    assert set(done.stdout.split()) == candidates


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_every_shell_is_sound(shell, scripts):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", str(scripts / shell)], capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_zsh_completes_after_the_script_is_sourced(scripts):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    code = f"autoload -Uz compinit; compinit -D; source {scripts / 'zsh'}; print $_comps[knobwise]"
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("_shtab_knobwise\n", "")


def test_fish_completes_the_same(scripts, searched):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    for line, candidates in (
        ("knobwise table fi", {"first"}),
        ("knobwise lr_sweep from=s", {"from=second"}),
        ("knobwise lr_sweep schedule=one", {"schedule=one_cycle"}),
    ):
        code = f"source {scripts / 'fish'}; complete -C '{line}'"
        done = subprocess.run(["fish", "-c", code], cwd=searched, capture_output=True, text=True, check=True)  # fmt: skip
        assert {text.split("\t")[0] for text in done.stdout.splitlines()} == candidates
