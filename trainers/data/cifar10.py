"""CIFAR-10 from its binary form: the archive, checked by checksum, or a folder of its six files.

Nothing is downloaded: the data lie where `data.path` says.
"""

import tarfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainers.data import DataSet, broken
from trainers.data.idx import check_published

ARCHIVE = "c32a1d4ab5d03f1284b67883e8d87530"  # MD5 of cifar-10-binary.tar.gz, as its page gives it
FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PIXELS = 3 * 32 * 32
ROWS = 10_000  # of each published file


def load(*, path: str, published: bool) -> DataSet:
    """x [60000, 3, 32, 32] float32, 0 … 255; y [60000] names; test_batch.bin is the test set.

    Args:
        path: cifar-10-binary.tar.gz, or the folder of the six .bin files that it holds.
        published: whether the archive must have the published checksum, and each file its 10 000
            rows; the files by themselves have no published checksum.

    Raises:
        DataError: no such file, a damaged one, or another one than was published.
    """
    place = Path(path)
    if place.is_dir():
        contents = [_file(place / name) for name in FILES]
    elif place.is_file():
        contents = _members(place, published=published)
    else:
        raise broken(
            "data.path",
            rule="must be cifar-10-binary.tar.gz or a folder of its files",
            got=f"{path}, where there is neither",
            remedy="mend the path",
        )
    parts = [
        _rows(f"{place}: {name}", content, published=published)
        for name, content in zip(FILES, contents, strict=True)
    ]
    rows = np.concatenate(parts)
    return DataSet(
        x=rows[:, 1:].astype(np.float32).reshape(-1, 3, 32, 32),
        y=np.array(CLASSES)[rows[:, 0]],
        given={"test": np.arange(len(rows) - len(parts[-1]), len(rows))},
    )


def _file(path: Path) -> bytes:
    if not path.is_file():
        raise broken(
            str(path.parent), rule=f"must hold {path.name}", got="none", remedy="add the file"
        )
    return path.read_bytes()


def _members(archive: Path, *, published: bool) -> list[bytes]:
    """The six files of the archive; nothing is unpacked onto the disk."""
    check_published(archive, archive.read_bytes(), expected=ARCHIVE if published else None)
    contents = {}
    try:
        with tarfile.open(archive) as packed:
            for member in packed:
                name = Path(member.name).name
                content = packed.extractfile(member) if name in FILES else None
                if content is not None:
                    contents[name] = content.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise broken(
            str(archive), rule="must be a whole archive", got=str(error), remedy="copy it again"
        ) from error
    missing = [name for name in FILES if name not in contents]
    if missing:
        raise broken(
            str(archive), rule=f"must hold {missing[0]}", got="none", remedy="copy it again"
        )
    return [contents[name] for name in FILES]


def _rows(where: str, content: bytes, *, published: bool) -> NDArray[np.uint8]:
    """[n, 1 + pixels]: a label, then the red, green and blue pixels."""
    count, rest = divmod(len(content), 1 + PIXELS)
    if rest or not count or (published and count != ROWS):
        raise broken(
            where,
            rule=f"must hold {f'{ROWS} rows' if published else 'rows'} of {1 + PIXELS} bytes",
            got=f"{len(content)} bytes",
            remedy="copy it again",
        )
    rows = np.frombuffer(content, np.uint8).reshape(count, -1)
    if rows[:, 0].max() >= len(CLASSES):
        raise broken(
            where,
            rule=f"labels are 0 to {len(CLASSES) - 1}",
            got=int(rows[:, 0].max()),
            remedy="give the binary form of CIFAR-10",
        )
    return rows
