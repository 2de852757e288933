"""A training state as bytes and back: safetensors for the tensors, JSON for the rest.

Never pickle, so that reading a file runs no code.

Works on numpy arrays without torch; loads torch only for a state that holds its tensors.
"""

import hashlib
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
SUM = "crc32"  # in the metadata: checksum of the whole file, then whose weights they are
BLANK, NOBODY = "00000000", "0" * 16  # in place of a checksum while it is taken; of no training
UNSUMMED = f'"{SUM}":"{BLANK} %s"'
SUMMED = re.compile(f'"{SUM}":"([0-9a-f]{{8}})(?: ([0-9a-f]{{16}}))?"'.encode())
HEADER = 8  # bytes of its length at the start of a safetensors file
LARGEST = 8  # bytes of a number that safetensors knows


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
    """A copy of the state that shares no memory with it, tensors on the CPU; dict subclasses become
    dict.

    Raises:
        TypeError: as of `dump`.
    """
    tensors: Flat = {}
    return _decode(_encode(state, "state", tensors), tensors)


def model(state: Any) -> Any:
    """The part that makes predictions: `state["model"]`, or the whole state without such a key."""
    return state.get("model", state) if isinstance(state, dict) else state


def owner(*, trial: int, seed: int) -> str:
    """What a file of weights says of the training that they come from."""
    return hashlib.sha256(f"{trial} {seed}".encode()).hexdigest()[: len(NOBODY)]


def weights(state: Any, *, of: str = NOBODY) -> bytes:
    """A safetensors file of a state's tensors, named by their path, with its own checksum.

    Equal weights of one `owner` are equal files.
    """
    tensors: Flat = {}
    _encode(state, "", tensors)
    data = _to_bytes(tensors, {"format": "pt", SUM: f"{BLANK} {NOBODY}"})
    blank = (UNSUMMED % NOBODY).encode()
    # The library writes the two entries in an order of chance.
    data = data.replace(b'{%b,"format":"pt"}' % blank, b'{"format":"pt",%b}' % blank, 1)
    return owned(data, of=of)


def owned(data: bytes, *, of: str) -> bytes:
    """A file of weights as those `of` an owner, whoever's it was; unlabelled ones stay."""
    written = SUMMED.search(data)
    if written is None or written[2] is None:
        return data
    blank = (UNSUMMED % of).encode()
    data = data.replace(written[0], blank, 1)
    return data.replace(blank, blank.replace(BLANK.encode(), b"%08x" % zlib.crc32(data), 1), 1)


def check_weights(path: Path, *, of: str = "") -> None:
    """Whether a file of weights is as it was written, and `of` this owner where one is named.

    Raises:
        ValueError: it is not. What a file of an earlier version does not say is not checked.
    """
    data = path.read_bytes()
    written = SUMMED.search(data)
    if written is not None:
        blank = written[0].replace(written[1], BLANK.encode(), 1)
        if int(written[1], 16) == zlib.crc32(data.replace(written[0], blank, 1)):
            if of and written[2] not in (None, of.encode(), NOBODY.encode()):
                raise ValueError(f"{path}: must hold its own trial's weights, but got another's")
            return
    elif data[HEADER : HEADER + 1] == b"{" and len(data) > HEADER + _length(data):
        return
    raise ValueError(f"{path}: weights must be as they were written, but the file is damaged")


def _length(data: bytes) -> int:
    """The length of a safetensors file's header [bytes]."""
    return int(struct.unpack_from("<Q", data)[0])


def _encode(value: Any, path: str, tensors: Flat) -> list[Any]:
    """Tagged JSON of one node; copies of tensors and arrays go into `tensors`, by dotted path."""
    torch = sys.modules.get("torch")
    while path in tensors:  # {"a.b": …} and {"a": {"b": …}} have one path
        path += "'"
    if torch is not None and isinstance(value, torch.Tensor):
        if value.is_sparse:  # such as the momentum of an embedding's sparse gradient
            parts = value.detach().coalesce()
            parts = [parts.indices(), parts.values(), list(value.shape)]
            return ["sparse", _encode(parts, path, tensors)]
        odd = [name for name in ("meta", "nested", "quantized") if getattr(value, f"is_{name}")]
        if odd or value.layout is not torch.strided or value.dtype is torch.complex128:
            kind = ", ".join([str(value.layout), *odd])
            raise _refused(path, f"a tensor of {value.dtype} ({kind})")
        tensors[path] = value.detach().to("cpu", copy=True).contiguous()
        return ["tensor", path]
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "U":
            return ["texts", value.tolist()]
        if value.dtype.kind not in "biufc" or value.itemsize > LARGEST:
            raise _refused(path, f"an array of {value.dtype}")
        tensors[path] = np.array(value, value.dtype.newbyteorder("="), order="C")
        return ["array", path]
    if isinstance(value, dict):
        named = [(k, v, f"{path}.{k}") for k, v in value.items()]
        pairs = [
            [_encode(k, at, tensors), _encode(v, at.lstrip("."), tensors)] for k, v, at in named
        ]
        return ["dict", pairs]
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{path}.{i}".lstrip("."), tensors) for i, item in enumerate(value)]
        return ["tuple" if isinstance(value, tuple) else "list", items]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return ["value", value]
    raise _refused(path, type(value).__name__)


def _refused(path: str, got: str) -> TypeError:
    return TypeError(
        f"checkpoint.save: {path or 'the state'} must hold tensors, arrays of numbers or texts, "
        f"numbers, strings, None, dicts, lists or tuples, but got {got}; "
        "turn it into one of those (a state_dict, a list)"
    )


def _decode(node: list[Any], tensors: Flat) -> Any:
    kind, content = node
    if kind == "tensor":
        return tensors[content]
    if kind == "array":
        return np.asarray(tensors[content])
    if kind == "texts":
        return np.array(content, dtype=str)
    if kind == "sparse":
        make = importlib.import_module("torch").sparse_coo_tensor
        return make(*_decode(content, tensors), check_invariants=True).coalesce()
    if kind == "dict":
        return {_decode(k, tensors): _decode(v, tensors) for k, v in content}
    if kind in ("list", "tuple"):
        items = [_decode(item, tensors) for item in content]
        return tuple(items) if kind == "tuple" else items
    return content


def _to_bytes(tensors: Flat, metadata: dict[str, str]) -> bytes:
    torch = sys.modules.get("torch")
    if torch is not None:
        tensors = {name: torch.as_tensor(each) for name, each in tensors.items()}
    return bytes(importlib.import_module(_library()).save(tensors, metadata=metadata))


def _library() -> str:
    """safetensors for torch where torch is loaded, else for numpy."""
    return "safetensors.torch" if "torch" in sys.modules else "safetensors.numpy"
