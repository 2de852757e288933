"""Where a teacher lies, and its config (R52). Never imports torch: a search looks at it too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trainers.api import Config

EXPORTED = "weights.safetensors"  # in best/, beside config.yaml: of the winner's best epoch


def teacher_of(config: Mapping[Any, Any]) -> str | None:
    """Where a config says that its teacher lies; None or empty without one."""
    place: str | None = (config.get("distillation") or {}).get("teacher")
    return place


def teacher_files(source: str) -> tuple[Path, Path]:
    """A teacher's config and weights; `source`: best/, the search's folder, or best.yaml.

    Raises:
        ValueError: there are none.
    """
    place = Path(source)
    for file, weights in (
        (place / "config.yaml", place / EXPORTED),
        (place / "best" / "config.yaml", place / "best" / EXPORTED),
        (place, place.parent / "best" / EXPORTED),
    ):
        if file.is_file() and weights.is_file():
            return file, weights
    raise ValueError(
        f"distillation.teacher: must be best/ or best.yaml of a finished search, with "
        f"{EXPORTED}, but got {source}; finish that search or mend the path"
    )


def read_teacher(file: Path) -> Config:
    """A teacher's config.

    Raises:
        ValueError: it is no config.
    """
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file}: must be readable YAML, but got {error}; export it") from error
    if not isinstance(config, dict) or not isinstance(config.get("trainer"), dict):
        raise TypeError(f"{file}: must be an exported config, but got another file; export it")
    return config
