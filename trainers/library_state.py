"""Objects that a library keeps once for a process and a training fills, emptied for the next.

`Accelerator(mixed_precision="bf16")` fills one of them. The next trial's Accelerator would be
refused where it asks for another precision, and where it asks for none would take that one without
a word. Keras keeps its precision, its seeds and the names of layers in this way.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

Attributes = dict[str, Any]
# By module, the attributes of such objects. Before the module is imported, all are empty.
KEPT: Mapping[str, Callable[[Any], tuple[Attributes, ...]]] = {
    "accelerate.state": lambda module: (
        module.PartialState._shared_state,
        module.AcceleratorState._shared_state,
        module.GradientState._shared_state,
    ),
    "keras.src.backend.common.global_state": lambda module: (
        vars(module.GLOBAL_STATE_TRACKER),
        vars(module.GLOBAL_SETTINGS_TRACKER),
    ),
}


def kept() -> dict[str, tuple[Attributes, ...]]:
    """What they hold now, by module."""
    return {name: tuple(map(dict, objects)) for name, objects in _objects().items()}


def put_back(before: Mapping[str, tuple[Attributes, ...]]) -> None:
    """Makes them hold that again, and nothing where the module was not imported yet."""
    for name, objects in _objects().items():
        held = before.get(name) or ({},) * len(objects)
        for attributes, values in zip(objects, held, strict=True):
            attributes.clear()
            attributes.update(values)


def _objects() -> dict[str, tuple[Attributes, ...]]:
    found = {}
    for name, objects in KEPT.items():
        with suppress(Exception):  # not imported, or a release that keeps them otherwise
            found[name] = objects(sys.modules[name])
    return found
