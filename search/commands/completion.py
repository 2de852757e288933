"""Prints a script by which a shell completes `knobwise`."""

from pathlib import Path

from search.commands.support.arguments import VerbParser
from search.commands.support.completion import SHELLS, completion_script

SUMMARY = "prints a script by which bash, zsh or fish completes `knobwise`"


def parser() -> VerbParser:
    """`SHELL`."""
    examples = [
        (
            "python -m search completion bash > knobwise.bash",
            "a script to source in ~/.bashrc; zsh: in ~/.zshrc, after compinit",
        ),
        (
            "python -m search completion fish > ~/.config/fish/completions/knobwise.fish",
            "the same for fish",
        ),
    ]
    details = "Completes verbs, options, experiments, config groups and names of searches."
    parser = VerbParser("completion", summary=SUMMARY, details=details, examples=examples)
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Prints the script."""
    print(completion_script(parser().parse(words).shell, config_dir=config_dir))
    return 0
