"""Images of one's own: a sub-folder per class, or train/, val/ and test/ of such sub-folders."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainers.data import DataError, DataSet, broken

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
OF_SYSTEMS = (".db", ".ini")  # Thumbs.db and desktop.ini, which lie in many folders
SHOWN = 5  # damaged files in a message
MODES = {1: "L", 3: "RGB"}  # Pillow's names of grey and colour
SETS = {"train": ["train"], "val": ["val", "valid", "validation", "dev"], "test": ["test"]}
OPAQUE = 255  # alpha of a pixel that lets nothing through


def load(*, path: str, side: int, channels: int) -> DataSet:
    """x [n, channels, side, side] float32, 0 … 255; y [n] names of the sub-folders.

    An image is turned as its camera says, cut to its middle square and scaled. Files of another
    ending and what is hidden (._1.png) are left out. Where the folder holds train/, its val/ (or
    valid/, validation/, dev/) and test/ are given sets.

    Args:
        side: pixels of each side of the scaled images.
        channels: 1 for grey, 3 for colour.

    Raises:
        DataError: no such folder, a class without images, or a file that is no readable image.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise broken("data.path", rule="must be a folder", got=path, remedy="mend the path")
    if channels not in MODES:
        raise broken(
            "data.channels", rule="is 1 for grey or 3 for colour", got=channels, remedy="say 1 or 3"
        )
    names, images, labels = [], [], []
    others, faults = list[Path](), list[DataError]()
    parts = _sets(folder, others=others) if (folder / "train").is_dir() else {"train": folder}
    for name, part in parts.items():
        for label, file in _files(part, others=others):
            names.append(name)
            labels.append(label)
            try:
                images.append(_image(file, side=side, channels=channels))
            except DataError as fault:  # all are told at once
                faults.append(fault)
    if faults:
        more = "".join(f"\n  {fault}" for fault in faults[1:SHOWN])
        rest = f"\n  and {len(faults) - SHOWN} further files" if len(faults) > SHOWN else ""
        raise DataError(f"{faults[0]}{more}{rest}") from faults[0].__cause__
    left = f"left out, being no sets or no images by their names: {len(others)}, such as "
    sets = np.array(names)
    return DataSet(
        x=np.stack(images).astype(np.float32),
        y=np.array(labels),
        given={name: np.flatnonzero(sets == name) for name in parts if name != "train"},
        notes=(f"{left}{others[0]}",) if others else (),
    )


def _sets(folder: Path, *, others: list[Path]) -> dict[str, Path]:
    """The folder of each set; `others` gets folders that are none."""
    there = {place.name: place for place in _shown(folder) if place.is_dir()}
    named = {part: [name for name in names if name in there] for part, names in SETS.items()}
    sets = {part: there.pop(names[0]) for part, names in named.items() if names}
    others += there.values()
    return sets


def _shown(folder: Path, pattern: str = "*") -> list[Path]:
    """What a folder holds, in the order of the names: nothing hidden, or within what is hidden."""
    places = ((place.relative_to(folder).parts, place) for place in folder.glob(pattern))
    return sorted(place for parts, place in places if not any(p.startswith(".") for p in parts))


def _files(folder: Path, *, others: list[Path]) -> list[tuple[str, Path]]:
    """Each image with its class, in the order of the names; `others` gets what is none."""
    files = []
    for place in filter(Path.is_dir, _shown(folder)):
        inside = [file for file in _shown(place, "**/*") if file.is_file()]
        images = [file for file in inside if file.suffix.lower() in ENDINGS]
        others += [f for f in inside if f.suffix.lower() not in (*ENDINGS, *OF_SYSTEMS)]
        if not images:
            raise broken(
                str(place),
                rule=f"a class needs images ({', '.join(ENDINGS)})",
                got="none",
                remedy="add some, or remove the folder",
            )
        files += [(place.name, file) for file in images]
    if not files:
        raise broken(
            str(folder),
            rule="must hold a sub-folder of images per class",
            got="no sub-folder",
            remedy="sort the images into folders named by their class",
        )
    return files


def _image(file: Path, *, side: int, channels: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):  # Pillow would cut them off at 255
                raise broken(
                    str(file),
                    rule="an image has 8 bits per channel",
                    got=f"Pillow's mode {image.mode}",
                    remedy="convert it, or give the arrays by data=npz",
                )
            lets_through = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            if lets_through and np.asarray(image.convert("RGBA"))[..., 3].min() < OPAQUE:
                raise broken(
                    str(file),
                    rule="an image covers its background, or its look depends on what lies behind",
                    got=f"transparent pixels (Pillow's mode {image.mode})",
                    remedy="save it on a background of one colour",
                )
            turned = ImageOps.exif_transpose(image).convert(MODES[channels])
    except DataError:
        raise
    except Exception as error:  # Pillow's formats each raise kinds of their own
        raise broken(
            str(file),
            rule="must be a readable image",
            got=f"{type(error).__name__}: {error}",
            remedy="mend or remove it",
        ) from error
    pixels = np.asarray(ImageOps.fit(turned, (side, side), Image.Resampling.BILINEAR))
    return np.atleast_3d(pixels).transpose(2, 0, 1)
