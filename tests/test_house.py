"""The house rules: floors, no cycles, nothing heavy where it must be light, commented YAML, a README that is true."""

import ast
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from kit import INLINE, ROOT, search
from refusals import raises
from source import PARSED_ONCE, parsed

from search.__main__ import main
from search.config.catalogue import needed_words
from search.config.compose import compose_experiment
from search.config.plan import read_plan
from search.execution.dry_run import questions
from search.execution.worker.dry_run import answer
from search.results.rules import rules

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("search", "trainers")
    for path in sorted((ROOT / package).rglob("*.py"))
}
# The rooms, from the top: a room imports lower ones only.
ROOMS = [
    "commands",
    "lifecycle",
    "protocols",
    "results",
    "diagnostics",
    "execution",
    "stages",
    "storage",
    "config",
    "contract",
]


def _tracked():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


@cache
def _imports(name):
    names = []
    for node in ast.walk(parsed()[MODULES[name]]):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _room(name):
    """The room of a module; None at the root, which holds the door, and outside `search`."""
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    return room if package == "search" and room in ROOMS else None


def test_the_rooms_are_the_folders_of_search_and_only_the_door_and_the_errors_lie_beside_them():
    folders = {path.name for path in (ROOT / "search").iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ROOMS)
    assert {path.name for path in (ROOT / "search").glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "errors.py",
    }


@PARSED_ONCE
def test_a_room_imports_lower_rooms_only():
    wrong = [
        f"{name} imports {target}"
        for name in MODULES
        for target in _imports(name)
        if target in MODULES and _room(name) and _room(target)
        if ROOMS.index(_room(target)) < ROOMS.index(_room(name))
    ]
    assert wrong == []


@PARSED_ONCE
def test_there_is_no_import_cycle():
    graph = {
        name: {target for target in _imports(name) if target in MODULES and target != name}
        for name in MODULES
    }
    done: set[str] = set()
    while len(done) < len(graph):
        ready = {name for name in graph if name not in done and graph[name] <= done}
        assert ready, f"a cycle among {sorted(set(graph) - done)}"
        done |= ready


@PARSED_ONCE
def test_search_never_imports_torch_and_trainers_never_import_search():
    for name in MODULES:
        for target in _imports(name):
            assert not (name.startswith("search") and re.match(r"torch(\.|$)", target)), name
            assert not (name.startswith("trainers") and re.match(r"search(\.|$)", target)), name


# What a module must not load; from the lightest on, since one process imports all of them in turn.
WHOLE = ["torch", "numpy", "hydra", "omegaconf", "optuna", "pandas"]
# a help page and the first line of a search are shown before what takes long is imported
VERBS = sorted(path.stem for path in (ROOT / "search" / "commands").glob("[a-z]*.py"))
LIGHT = {
    "search": WHOLE,
    "search.__main__": WHOLE,
    **{f"search.commands.{verb}": WHOLE for verb in VERBS},
    "trainers.api": ["torch"],
    "search.execution.worker.process": ["torch", "optuna", "pandas", "sklearn", "scipy"],
    "search.commands.support.show_status": ["torch", "sklearn", "scipy.stats", "matplotlib"],
    "search.results.export": ["torch", "sklearn", "scipy.stats", "joblib", "matplotlib"],
    "search.commands.support.write_page": [
        "torch",
        "sklearn",
        "scipy.stats",
        "joblib",
        "matplotlib",
    ],
    "search.lifecycle.launch": ["torch", "plotly"],
    "search.lifecycle.lifecycle": ["torch", "sklearn", "scipy.stats"],
    "search.lifecycle.many_stages": ["torch", "sklearn", "scipy.stats"],
    "search.commands.support.show_table": ["torch", "sklearn", "scipy.stats"],
    "search.lifecycle.standalone": ["torch"],
}


def test_nothing_heavy_is_loaded_where_it_must_be_light():
    code = f"""import importlib, sys
for imported, absent in {LIGHT!r}.items():
    module = importlib.import_module(imported)
    getattr(module, "parser", list)()  # of a verb: its help page
    print(*(f"{{imported}} loads {{name}}" for name in absent if name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split("\n") == [""] * (len(LIGHT) + 1)


@PARSED_ONCE
def test_every_module_and_public_name_has_a_docstring_and_every_file_a_bearable_size():
    for name, path in MODULES.items():
        text, tree = path.read_text(), parsed()[path]
        assert ast.get_docstring(tree), name
        assert text.count("\n") <= 300, f"{name}: {text.count(chr(10))} lines"
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        inner = {id(node) for f in functions for node in ast.walk(f) if node is not f}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.FunctionDef | ast.ClassDef)
                and not node.name.startswith("_")
                and "examples" not in name
            ):
                assert id(node) in inner or ast.get_docstring(node), f"{name}.{node.name}"


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "conf").rglob("*.yaml")),
    ids=lambda path: str(path.relative_to(ROOT / "conf")),
)
def test_every_key_of_every_yaml_says_what_it_means_on_its_line(path):
    text = path.read_text()
    assert text.startswith("#")
    assert yaml.safe_load(text) is not None
    for number, line in enumerate(text.splitlines(), start=1):
        is_leaf = re.match(r"\s*(- )?[\w/ ]+:\s+\S", line) and not line.lstrip().startswith("#")
        assert not is_leaf or re.search(r"\s# \S", line), f"{path.name}:{number}: {line}"


NEEDY = {  # experiments without a default for a key
    "distillation_sweep": "distillation.teacher",
    "temperature_sweep": "distillation.teacher",
}


# Experiments that differ in what comes after the dry run: kinds of rows, of labels and of trainers, what is searched for, and
# what the figures draw. Of a list of options, which the dry run builds and trains, two are enough. All others turn one
# setting of the stock training on the digits, as these do.
ONE_KNOB = ["protocol.extend=0", "protocol.refine=0"]
OTHER_OPTIMIZERS = "sgd_plain nesterov adagrad adadelta rmsprop amsgrad adamw adabound swats"
SEARCHED = {
    "augment_sweep": [*ONE_KNOB, "space.augment.choices=[none,shift]"],
    "bidirectional_sweep": [*ONE_KNOB, "report=on"],  # switches
    "cell_sweep": [*ONE_KNOB],
    "epochs_sweep": [*ONE_KNOB, "space.trainer.epochs.choices=[1,2]", "report=on"],  # lengths of training
    "focal_sweep": [*ONE_KNOB],
    "huber_sweep": [*ONE_KNOB, "report=on"],  # errors
    "joint": ["protocol.confirm=1", "report=on"],  # several knobs
    "lr_sweep": [*ONE_KNOB, "space.optimizer.lr.points=4", "report=on"],  # rates
    "optimizer_sweep": [  # options with a rate each
        *ONE_KNOB, "report=on", "space.optimizer.choices=[sgd,adam]",
        *(f"~space.optimizer.{name}" for name in OTHER_OPTIMIZERS.split()),
    ],
    "own_command": [*ONE_KNOB, "knob.optimizer.lr=choice(1e-3, 0.01)"],
    "own_trainer": [*ONE_KNOB, "space.optimizer.lr.points=3", "report=on"],
    "pca_sweep": [*ONE_KNOB],
    "reference_mnist1d": [*ONE_KNOB, "space.model.choices=[linear,gru]"],
    "teacher_forcing_sweep": [*ONE_KNOB],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted((ROOT / "conf" / "experiment").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_experiment_has_its_own_command_a_help_page_and_passes_its_dry_run(
    path, elsewhere, capsys
):
    lines = path.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert main(["help", path.stem]) == 0
    _check_help(capsys.readouterr().out, path.stem)
    if path.stem in NEEDY:  # it needs what only its user has, and says so
        assert lines[1].startswith(f"# python -m search {path.stem} {NEEDY[path.stem]}=")
        with raises("key-without-value", NEEDY[path.stem]):
            compose_experiment(path.stem, overrides=[], config_dir=None)
        needed = needed_words(path.stem, config_dir=None)
        compose_experiment(path.stem, overrides=needed, config_dir=None)  # all its keys are read
        return
    assert lines[1] == f"# python -m search {path.stem}"
    plan = read_plan(compose_experiment(path.stem, overrides=[], config_dir=None), root=elsewhere)
    told = answer(questions(plan))
    assert (told.wrong, told.alike) == ("", "")  # every choice can be built, every knob acts


def _check_help(page, experiment):
    """A page of at most 80 columns with the experiment's knobs and keys."""
    assert page.startswith(f"usage: python -m search {experiment} [key=value …]\n")
    for words in ("knobs, with range and default:", "keys that matter", "trainer.epochs="):
        assert words in page
    assert "; default" in " ".join(page.split())
    assert page.count(f"  python -m search {experiment}") >= 2
    assert max(map(len, page.splitlines()[:-1])) <= 80


@pytest.mark.parametrize("name", SEARCHED)
def test_experiments_of_every_kind_run(name, elsewhere):
    tiny = [*INLINE, "n_trials=4", "seeds=1", "trainer.epochs=1", *SEARCHED[name]]
    stock = name not in ("own_command", "own_trainer")
    done = search(name, *tiny, *["trainer.fraction=0.2"] * stock, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (elsewhere / "results" / name / "best.yaml").exists()


def test_the_annotated_tree_of_the_code_is_what_lies_on_disk():
    readme = (ROOT / "search" / "README.md").read_text()
    block = re.search(r"```text\n(.*?)```", readme, re.DOTALL)[1]
    told, stack = set(), []
    for line in block.splitlines():
        name, told_of = re.match(r"(\s*\S+)\s+(.*)", line).groups()
        depth = (len(name) - len(name.lstrip())) // 2
        stack[depth:] = [name.strip().rstrip("/")]
        told.add("/".join(stack))
        assert len(told_of.split()) <= 8, line
    files = [str(path.relative_to(ROOT)) for path in MODULES.values()]
    there = {path for path in files if not path.endswith("__init__.py")}
    in_parts = {str(Path(path).parent) for path in told if path.endswith(".py")}
    whole = told - in_parts  # folders told of in one line
    missing = {path for path in there if path not in told and str(Path(path).parent) not in whole}
    assert missing == set()
    assert {path for path in told if not (ROOT / path).exists()} == set()


def test_every_name_in_the_table_of_where_things_happen_is_defined_in_the_file_beside_it():
    text = (ROOT / "search" / "README.md").read_text()
    table = text.partition("## Where does X happen?")[2].partition("\n## ")[0]
    named = re.findall(
        r"((?:`[\w.]+`(?:, (?:a )?| and )?)+)[^`|]*? (?:in|of) `([\w/]+\.py)`", table
    )
    assert len(named) > 25
    for names, file in named:
        source = (ROOT / file).read_text()
        for part in re.findall(r"\w+", " ".join(re.findall(r"`([\w.]+)`", names))):
            assert re.search(rf"\b(def|class) {part}\b|^{part}\b", source, re.MULTILINE), (
                part,
                file,
            )


READMES = sorted(ROOT / path for path in _tracked() if path.endswith(".md"))


def test_the_readme_fits_on_a_few_screens():
    assert (ROOT / "README.md").read_text().count("\n") <= 150


@pytest.mark.parametrize("group", ["data", "metric", "split"])
def test_the_page_of_configs_names_each_option_that_ships(group):
    page = (ROOT / "conf" / "README.md").read_text()
    line = re.search(rf"^- `{group}=`.*?(?=^- )", page, re.MULTILINE | re.DOTALL).group()
    options = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
    assert options - set(re.findall(r"\w+", line)) == set()


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_readme_is_one_that_exists(path):
    from search.config.catalogue import experiments, verbs

    known = {*experiments(None), *verbs(), "--config-dir"}
    for command in re.findall(r"python -m search ([^\n`#|]*)", path.read_text()):
        words = shlex.split(command)
        assert not words or words[0] in known or words[0].isupper() or words[0][0] in "(…", command


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_in_a_readme_exists(path):
    named = re.findall(r"`((?:search|trainers|tests|conf)/[\w./]+)`", path.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def _anchors(page):
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_in_a_readme_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        file, _, anchor = target.partition("#")
        page = path.parent / file if file else path
        assert target.startswith("http") or page.exists(), target
        assert not anchor or target.startswith("http") or anchor in _anchors(page), target


def test_the_programs_in_the_table_of_measurements_exist():
    table = (ROOT / "tests" / "benchmarks" / "README.md").read_text().partition("\n## ")[0]
    programs = set(re.findall(r"`(\w+\.py)", table))
    assert len(programs) > 15
    assert {
        name for name in programs if not (ROOT / "tests" / "benchmarks" / name).exists()
    } == set()


def test_the_two_commands_of_the_readme_are_the_promised_ones():
    readme = (ROOT / "README.md").read_text()
    assert "\npip install -c constraints.txt -e . && python -m search lr_sweep\n" in readme
    assert "\npip install -c constraints.txt -e '.[test]' && pytest\n" in readme


def test_every_rule_that_is_cited_is_explained():
    cited = set()
    for folder in ("search", "trainers", "conf"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".md") and path != ROOT / "search" / "README.md":
                cited |= set(re.findall(r"\b[RP]\d+[a-z]?\b", path.read_text()))
    assert len(cited) > 15
    assert {"R26c", "R22b"} < cited  # explained in the row of another one
    assert cited - rules().keys() == set()  # as `python -m search help` finds them


def test_every_verb_has_a_summary_and_a_parser_for_its_help_page():
    from search.config.catalogue import verb, verb_summaries

    for name, summary in verb_summaries().items():
        assert summary == verb(name).SUMMARY, name
        assert verb(name).parser().format_help().startswith(f"usage: python -m search {name} ")


def test_the_version_stands_alike_in_both_places():
    import tomllib

    import search

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == search.__version__
