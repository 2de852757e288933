"""MNIST and Fashion-MNIST from their four IDX files, packed (.gz) or not, checked by checksum.

Nothing is downloaded: the files lie where `data.path` says.
"""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.data import DataSet, broken

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
         "t10k-labels-idx1-ubyte")  # fmt: skip
# MD5 of the unpacked files, in the order of FILES: packing them again does not change it.
PUBLISHED = {
    "mnist": ("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624",
              "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
    "fashion_mnist": ("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9",
                      "8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"),
}  # fmt: skip
BYTES = 0x08  # the IDX type code of unsigned bytes


def load(*, path: str, published: str | None) -> DataSet:
    """x [n, height × width] float32, 0 … 255; y [n]; the t10k rows are the test set.

    Args:
        path: the folder of the four files, with or without .gz.
        published: whose checksums the files must have, mnist or fashion_mnist; None: any files of
            this form.

    Raises:
        DataError: a file is missing, damaged, no IDX file, or another one than was published.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise broken(
            "data.path", rule="must be the folder of the IDX files", got=path, remedy="mend it"
        )
    contents = [_content(folder, name) for name in FILES]
    for name, content, expected in zip(
        FILES, contents, PUBLISHED[published] if published else (None,) * len(FILES), strict=True
    ):
        check_published(folder / name, content, expected=expected)
    images, labels, test_images, test_labels = (
        _array(folder / name, content) for name, content in zip(FILES, contents, strict=True)
    )
    sets = ((images, labels), (test_images, test_labels))
    for rows, classes in sets:
        if rows.ndim != 3 or rows.shape[1:] != images.shape[1:] or classes.shape != rows.shape[:1]:
            raise broken(
                str(folder),
                rule="images [n, height, width] need a label each, and one size",
                got=f"images {rows.shape} and labels {classes.shape}",
                remedy="give files that belong together",
            )
    x = np.concatenate([rows.reshape(len(rows), -1) for rows, _ in sets])
    return DataSet(
        x=x.astype(np.float32),
        y=np.concatenate([classes for _, classes in sets]).astype(np.int64),
        given={"test": np.arange(len(images), len(x))},
    )


def check_published(path: Path, content: bytes, *, expected: str | None) -> None:
    """Whether a file is the one that was published; `expected`: its MD5, None for any.

    Raises:
        DataError: it is another one.
    """
    if expected is None:
        return
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if checksum != expected:
        raise broken(
            str(path),
            rule=f"must have the published checksum {expected} (MD5)",
            got=checksum,
            remedy="copy it again, or say data.published=null for other data of this form",
        )


def _content(folder: Path, name: str) -> bytes:
    """The bytes of a file, unpacked; some copies write a dot before idx."""
    places = [folder / each for each in (name, name.replace("-idx", ".idx"))]
    places += [place.with_name(f"{place.name}.gz") for place in places]
    for place in places:
        if not place.is_file():
            continue
        try:
            data = place.read_bytes()
            return gzip.decompress(data) if place.suffix == ".gz" else data
        except (OSError, EOFError, zlib.error) as error:
            raise broken(
                str(place), rule="must be a whole file", got=str(error), remedy="copy it again"
            ) from error
    raise broken(
        str(folder), rule=f"must hold {name} or {name}.gz", got="neither", remedy="add the file"
    )


def _array(path: Path, content: bytes) -> NDArray[Any]:
    """An IDX file: two zero bytes, type, number of axes, their lengths, then the numbers."""
    axes = content[3] if len(content) > 3 else 0
    start = 4 + 4 * axes
    if len(content) < start or content[:3] != bytes((0, 0, BYTES)) or not axes:
        raise broken(
            str(path),
            rule="must be an IDX file of unsigned bytes",
            got=f"the first bytes {content[:4].hex() or 'none'}",
            remedy="give the original file",
        )
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", axes, 4))
    numbers = np.frombuffer(content, np.uint8, offset=start)
    if len(numbers) != int(np.prod(shape, dtype=np.int64)):
        raise broken(
            str(path),
            rule=f"must hold {' × '.join(map(str, shape))} numbers, as its head says",
            got=len(numbers),
            remedy="copy it again",
        )
    return numbers.reshape(shape)
