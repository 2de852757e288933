"""What a config file will import, said before it is: a file from elsewhere names code to run."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from search.config.user_code import foreign_paths


def say_imports(config: DictConfig, file: Path) -> None:
    """Prints the import paths that do not ship with this program, and the command of a program."""
    paths = foreign_paths(config)
    command = OmegaConf.select(config, "trainer.command", default=None)
    if OmegaConf.is_list(command):
        paths.append(f"the command {' '.join(map(str, command))}")
    if paths:
        print(f"{file} runs {', '.join(paths)}: trust the file as you trust that code", flush=True)
