"""Which data have a published result, and what it is (R14): the files of conf/reference/."""

from collections.abc import Mapping
from dataclasses import dataclass

from omegaconf import OmegaConf

from search.config.catalogue import CONF, reference_names
from search.errors import UsageError, unknown


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published score and its spread between seeds, in the metric's units."""

    value: float
    spread: float


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A recipe and what is published of it. `models`: by option of the config group `model`."""

    name: str
    experiment: str
    source: str
    models: Mapping[str, Published]


def read_reference(name: str) -> Reference:
    """One of them.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in reference_names():
        raise UsageError(
            unknown("reference", name=name, known=reference_names()), code="unknown-reference"
        )
    node = OmegaConf.to_object(OmegaConf.load(CONF / "reference" / f"{name}.yaml"))
    assert isinstance(node, dict)
    return Reference(
        name=name,
        experiment=str(node["experiment"]),
        source=str(node["source"]),
        models={str(model): Published(**numbers) for model, numbers in node["models"].items()},
    )
