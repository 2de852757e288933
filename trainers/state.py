"""A training state as bytes and back: safetensors for the tensors, JSON for the rest.

Never pickle, so that reading a file runs no code.

Works on numpy arrays without torch; loads torch only for a state that holds its tensors.
"""

import importlib
import json
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

Flat = dict[str, Any]
STATE = "state"
SUM, BLANK = "crc32", "00000000"  # of the whole file, in its metadata; blank where it is summed
UNSUMMED = f'"{SUM}":"{BLANK}"'.encode()
SUMMED = re.compile(f'"{SUM}":"([0-9a-f]{{8}})"'.encode())
HEADER = 8  # bytes of its length at the start of a safetensors file


def dump(state: Any) -> bytes:
    """The state as one safetensors file, its shape in the file's metadata.

    Raises:
        TypeError: the state holds something other than tensors, arrays, numbers, strings, None,
            dicts, lists and tuples.
    """
    tensors: Flat = {}
    shape = _encode(state, "state", tensors)
    return _to_bytes(tensors, {STATE: json.dumps({"with": _library(), "shape": shape})})


def load(data: bytes) -> Any:
    """The state that `dump` was given; dict subclasses come back as dict, tensors on the CPU."""
    # safetensors: 8 bytes of little-endian length, then a JSON header
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][STATE])
    return _decode(header["shape"], dict(importlib.import_module(header["with"]).load(data)))


def copy(state: Any) -> Any:
    """A copy of the state, tensors on the CPU; takes a fraction of the time of `dump`."""
    tensors: Flat = {}
    return _decode(_encode(state, "state", tensors), tensors)


def model(state: Any) -> Any:
    """The part that makes predictions: `state["model"]`, or the whole state without such a key."""
    return state.get("model", state) if isinstance(state, dict) else state


def weights(state: Any) -> bytes:
    """A safetensors file of a state's tensors, named by their path, with its own checksum.

    Equal weights are equal files.
    """
    tensors: Flat = {}
    _encode(state, "", tensors)
    data = _to_bytes(tensors, {"format": "pt", SUM: BLANK})
    # The library writes the two entries in an order of chance.
    data = data.replace(b'{%b,"format":"pt"}' % UNSUMMED, b'{"format":"pt",%b}' % UNSUMMED, 1)
    return data.replace(UNSUMMED, UNSUMMED.replace(BLANK.encode(), b"%08x" % zlib.crc32(data)), 1)


def check_weights(path: Path) -> None:
    """Whether a file of weights is as it was written.

    Raises:
        ValueError: it is not. A file without a checksum, of an earlier version, is taken as it is.
    """
    data = path.read_bytes()
    written = SUMMED.search(data)
    if written is not None:
        blank = data.replace(written[0], UNSUMMED, 1)
        if int(written[1], 16) == zlib.crc32(blank):
            return
    elif len(data) > HEADER and len(data) > HEADER + struct.unpack_from("<Q", data)[0]:
        return
    raise ValueError(f"{path}: weights must be as they were written, but the file is damaged")


def _encode(value: Any, path: str, tensors: Flat) -> list[Any]:
    """Tagged JSON of one node; tensors go into `tensors` under their dotted path."""
    torch = sys.modules.get("torch")
    while path in tensors:  # {"a.b": …} and {"a": {"b": …}} have one path
        path += "'"
    if torch is not None and isinstance(value, torch.Tensor):
        tensors[path] = value.detach().to("cpu", copy=True).contiguous()
        return ["tensor", path]
    if isinstance(value, np.ndarray):
        tensors[path] = torch.tensor(value) if torch is not None else np.ascontiguousarray(value)
        return ["array", path]
    if isinstance(value, np.generic):
        return ["value", value.item()]
    if value is None or isinstance(value, bool | int | float | str):
        return ["value", value]
    if isinstance(value, dict):
        return [
            "dict",
            [
                [_encode(k, f"{path}.{k}", tensors), _encode(v, f"{path}.{k}".lstrip("."), tensors)]
                for k, v in value.items()
            ],
        ]
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return [
            kind,
            [_encode(item, f"{path}.{i}".lstrip("."), tensors) for i, item in enumerate(value)],
        ]
    raise TypeError(
        f"checkpoint.save: {path or 'the state'} must hold tensors, arrays, numbers, strings, "
        f"None, dicts, lists or tuples, but got {type(value).__name__}; "
        "turn it into one of those (a state_dict, a list)"
    )


def _decode(node: list[Any], tensors: Flat) -> Any:
    kind, content = node
    if kind == "tensor":
        return tensors[content]
    if kind == "array":
        return np.asarray(tensors[content])
    if kind == "dict":
        return {_decode(k, tensors): _decode(v, tensors) for k, v in content}
    if kind in ("list", "tuple"):
        items = [_decode(item, tensors) for item in content]
        return tuple(items) if kind == "tuple" else items
    return content


def _to_bytes(tensors: Flat, metadata: dict[str, str]) -> bytes:
    return bytes(importlib.import_module(_library()).save(tensors, metadata=metadata))


def _library() -> str:
    """safetensors for torch where torch is loaded, else for numpy."""
    return "safetensors.torch" if "torch" in sys.modules else "safetensors.numpy"
