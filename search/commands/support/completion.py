"""A script that completes `knobwise`: verbs, options, experiments, groups, names of searches."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

from search.config.catalogue import experiments, roots, verb, verb_summaries

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "knobwise"
KEYS = ("seeds", "n_trials", "name", "trainer.epochs", "trainer.batch_size", "placement.slots")
# A shell lists searches and words by these functions, when it is asked.
SEARCHES = dict.fromkeys(("bash", "zsh"), "_knobwise_searches") | {"fish": "(_knobwise_searches)"}
WORDS = dict.fromkeys(("bash", "zsh"), "_knobwise_words") | {"fish": "(_knobwise_words)"}
COMPLETIONS = {  # by an argument's name
    "name": SEARCHES,
    "overrides": WORDS,
    **dict.fromkeys(("file", "csv", "to"), shtab.FILE),
    **dict.fromkeys(("results_root", "config_dir"), shtab.DIRECTORY),
}

# Bash splits words at `=`: the key is then two words back.
BASH = """\
_knobwise_searches() {
  local file
  for file in results/*/config.yaml; do
    [[ -e "$file" ]] && file="${file%/config.yaml}" && compgen -W "${file##*/}" -- "$1"
  done
}
_knobwise_words() {
  local word="$1" key="" before="${COMP_WORDS[COMP_CWORD-1]}"
  if [[ "$word" == "=" ]]; then key="$before"; word=""
  elif [[ "$before" == "=" ]]; then key="${COMP_WORDS[COMP_CWORD-2]}"; fi
  if [[ "$key" == "from" ]]; then _knobwise_searches "$word"
  elif [[ -n "$key" ]]; then
    compgen -W "$(printf '%s\\n' @WORDS@ | sed -n "s/^$key=//p")" -- "$word"
  else compgen -W "@WORDS@ from=" -- "$word"; fi
}"""
ZSH = """\
_knobwise_searches() {
  local -a names
  names=(results/*/config.yaml(N:h:t))
  compadd -a names
}
_knobwise_words() {
  local -a words
  words=(@WORDS@ from=${^$(print -l results/*/config.yaml(N:h:t))})
  compadd -S '' -a words
}"""
FISH = """\
function _knobwise_searches
  for file in results/*/config.yaml
    path basename (path dirname $file)
  end
end
function _knobwise_words
  printf '%s\\n' @WORDS@ from=(_knobwise_searches)
end"""
# A script that zsh sources is no `eval`: without this it would complete at once, and not be kept.
SOURCED = "$zsh_eval_context[-1] == eval", "$zsh_eval_context[-1] == (eval|file)"
PREAMBLES = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion_script(shell: str, *, config_dir: Path | None) -> str:
    """The script. It holds experiments and groups; names of searches are looked up when it runs."""
    words = " ".join(sorted({*_group_words(config_dir), *(f"{key}=" for key in KEYS)}))
    preamble = PREAMBLES[shell].replace("@WORDS@", words)
    script = str(shtab.complete(_whole_parser(config_dir), shell=shell, preamble=preamble))
    return script.replace(*SOURCED) if shell == "zsh" else script


def _group_words(config_dir: Path | None) -> Iterator[str]:
    """`optimizer=adam` and so on, of every config group."""
    for root in roots(config_dir):
        for path in root.glob("*/*.yaml"):
            if path.parent.name != "experiment":
                yield f"{path.parent.name}={path.stem}"


def _whole_parser(config_dir: Path | None) -> argparse.ArgumentParser:
    """One parser with a subparser per verb and experiment, as shtab takes it."""
    parser = argparse.ArgumentParser(prog=PROGRAM, add_help=False)
    parser.add_argument("--version", action="store_true", help="print the version")
    names = experiments(config_dir)
    _completed(parser.add_argument("--config-dir", help="a folder of your own configs"), names)
    subparsers = parser.add_subparsers()
    for name, summary in verb_summaries().items():
        copy = subparsers.add_parser(name, help=summary, add_help=False)
        for action in verb(name).parser()._actions:
            copy._add_action(_completed(action, names))
    for name, purpose in names.items():
        experiment = subparsers.add_parser(name, help=purpose)
        _completed(experiment.add_argument("overrides", nargs="*"), names)
    return parser


def _completed(action: argparse.Action, names: dict[str, str]) -> argparse.Action:
    """The action, with what shtab reads of it."""
    if action.dest in ("experiment", "word"):
        action.choices = list(names)
    elif action.dest in COMPLETIONS:
        vars(action)["complete"] = COMPLETIONS[action.dest]
    return action
