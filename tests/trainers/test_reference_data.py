"""Reference data from files: whole, the published ones, with their own test rows; and image folders."""

import gzip
import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainers.data import DataError, cifar10, folder, idx

DICE = np.random.default_rng(0)


def _packed(array):
    """An array as an IDX file of unsigned bytes."""
    return (
        bytes((0, 0, 8, array.ndim))
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def _write_idx(place, *, packed, train=6, test=3, side=4):
    place.mkdir()
    arrays = [
        DICE.integers(0, 256, (train, side, side), dtype=np.uint8),
        (np.arange(train) % 10).astype(np.uint8),
        DICE.integers(0, 256, (test, side, side), dtype=np.uint8),
        (np.arange(test) % 10).astype(np.uint8),
    ]
    for name, array in zip(idx.FILES, arrays, strict=True):
        content = _packed(array)
        if packed:
            (place / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (place / name).write_bytes(content)
    return arrays


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_give_their_pixels_labels_and_own_test_rows(tmp_path, packed):
    images, labels, test_images, test_labels = _write_idx(tmp_path / "m", packed=packed)
    data = idx.load(path=str(tmp_path / "m"), published=None)
    assert np.array_equal(data.x, np.concatenate([images, test_images]).reshape(9, 16))
    assert np.array_equal(data.y, np.concatenate([labels, test_labels]))
    assert data.given["test"].tolist() == [6, 7, 8]


@pytest.mark.parametrize("published", idx.PUBLISHED)
def test_files_with_another_checksum_than_the_published_are_refused(tmp_path, published):
    _write_idx(tmp_path / "m", packed=True)
    with pytest.raises(DataError, match=f"published checksum {idx.PUBLISHED[published][0]}.*null"):
        idx.load(path=str(tmp_path / "m"), published=published)


def test_files_with_the_published_checksum_pass_and_one_changed_byte_does_not(
    tmp_path, monkeypatch
):
    _write_idx(tmp_path / "m", packed=False)
    sums = [hashlib.md5((tmp_path / "m" / name).read_bytes()).hexdigest() for name in idx.FILES]
    monkeypatch.setitem(idx.PUBLISHED, "mnist", tuple(sums))
    assert len(idx.load(path=str(tmp_path / "m"), published="mnist").x) == 9
    file = tmp_path / "m" / idx.FILES[0]
    file.write_bytes(file.read_bytes()[:-1] + bytes((file.read_bytes()[-1] ^ 1,)))
    with pytest.raises(DataError, match="must have the published checksum"):
        idx.load(path=str(tmp_path / "m"), published="mnist")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda place: (place / idx.FILES[1]).unlink(), "must hold train-labels-idx1-ubyte or"),
        (lambda place: (place / idx.FILES[0]).write_bytes(b"PNG"), "an IDX file of unsigned bytes"),
        (lambda place: (place / idx.FILES[0]).write_bytes(_packed(np.zeros((6, 4, 4), np.uint8))[:-1]),
         "must hold 6 × 4 × 4 numbers, as its head says, but got 95"),
        (lambda place: (place / idx.FILES[1]).write_bytes(_packed(np.zeros(5, np.uint8))),
         "need a label each"),
        (lambda place: ((place / idx.FILES[0]).unlink(),
                        (place / f"{idx.FILES[0]}.gz").write_bytes(b"\x1f\x8b torn")),
         "must be a whole file"),
    ],
)  # fmt: skip
def test_damaged_idx_files_are_named(tmp_path, change, message):
    _write_idx(tmp_path / "m", packed=False)
    change(tmp_path / "m")
    with pytest.raises(DataError, match=message):
        idx.load(path=str(tmp_path / "m"), published=None)
    with pytest.raises(DataError, match=r"data\.path: must be the folder of the IDX files"):
        idx.load(path=str(tmp_path / "nowhere"), published=None)


def _batches(place, *, rows=3):
    place.mkdir()
    for name in cifar10.FILES:
        batch = DICE.integers(0, 256, (rows, 1 + cifar10.PIXELS), dtype=np.uint8)
        batch[:, 0] = DICE.integers(0, 10, rows)
        (place / name).write_bytes(batch.tobytes())
    return place


def test_cifar10_is_read_from_its_folder_and_from_its_archive_alike(tmp_path):
    place = _batches(tmp_path / "cifar-10-batches-bin")
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
        archive.add(place, arcname="cifar-10-batches-bin")
    loose = cifar10.load(path=str(place), published=False)
    packed = cifar10.load(path=str(tmp_path / "c.tar.gz"), published=False)
    assert np.array_equal(loose.x, packed.x)
    assert loose.x.shape == (18, 3, 32, 32)
    assert set(loose.y) <= set(cifar10.CLASSES)
    assert loose.given["test"].tolist() == [15, 16, 17]
    first = np.frombuffer((place / cifar10.FILES[0]).read_bytes(), np.uint8)
    assert loose.x[0, 0, 0, 0] == first[1]  # the red plane comes first
    assert loose.y[0] == cifar10.CLASSES[first[0]]


def test_cifar10_that_is_not_the_published_one_is_refused(tmp_path):
    place = _batches(tmp_path / "b")
    with pytest.raises(DataError, match="must hold 10000 rows of 3073 bytes, but got 9219 bytes"):
        cifar10.load(path=str(place), published=True)
    (tmp_path / "c.tar.gz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=f"published checksum {cifar10.ARCHIVE}"):
        cifar10.load(path=str(tmp_path / "c.tar.gz"), published=True)
    with pytest.raises(DataError, match="must be a whole archive"):
        cifar10.load(path=str(tmp_path / "c.tar.gz"), published=False)
    (place / cifar10.FILES[2]).unlink()
    with pytest.raises(DataError, match=r"must hold data_batch_3\.bin"):
        cifar10.load(path=str(place), published=False)


def _draw(file, colour, *, size=(12, 8), mode="RGB"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(file)


def test_image_folders_give_a_class_per_sub_folder_and_sets_that_came_with_them(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for number in range(count):
            _draw(tmp_path / part / "red" / f"{number}.png", (200, 0, 0))
            _draw(tmp_path / part / "blue" / f"{number}.png", (0, 0, 100), size=(5, 9))
    (tmp_path / "train" / "red" / "Thumbs.db").write_bytes(b"no image")
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "red" / "._1.png").write_bytes(b"x")  # as macOS leaves them
    data = folder.load(path=str(tmp_path), side=6, channels=3)
    assert data.x.shape == (10, 3, 6, 6)
    assert data.given["test"].tolist() == [6, 7, 8, 9]
    assert data.y.tolist() == ["blue"] * 3 + ["red"] * 3 + ["blue"] * 2 + ["red"] * 2
    assert data.x[data.y == "red"][:, 0].min() == data.x[data.y == "red"][:, 0].max() == 200
    grey = folder.load(path=str(tmp_path / "train"), side=4, channels=1)
    assert grey.x.shape == (6, 1, 4, 4)
    assert not grey.given
    assert data.notes == grey.notes == ()
    (tmp_path / "train" / "red" / "9.heic").write_bytes(b"x")
    _draw(tmp_path / "train" / "red" / "9.ppm", (200, 0, 0))
    more = folder.load(path=str(tmp_path / "train"), side=4, channels=1)
    assert len(more.x) == 7
    (told,) = more.notes
    assert ": 1, such as " in told
    assert told.endswith("9.heic")


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_a_validation_set_has_one_of_its_usual_names_and_what_is_hidden_is_no_image(name, tmp_path):
    for part in ("train", name, "test"):
        for label in ("red", "blue"):
            _draw(tmp_path / part / label / "0.png", (200, 0, 0))
            _draw(tmp_path / part / label / ".ipynb_checkpoints" / "0.png", (200, 0, 0))
    (tmp_path / ".git").mkdir()
    data = folder.load(path=str(tmp_path), side=4, channels=3)
    assert {part: rows.tolist() for part, rows in data.given.items()} == {
        "val": [2, 3],
        "test": [4, 5],
    }
    assert data.notes == ()
    (tmp_path / "masks").mkdir()
    (told,) = folder.load(path=str(tmp_path), side=4, channels=3).notes
    assert told.endswith("masks")
    (tmp_path / "masks").rename(tmp_path / ("dev" if name != "dev" else "validations"))
    (told,) = folder.load(path=str(tmp_path), side=4, channels=3).notes
    assert told.endswith(("dev", "validations"))


def test_a_picture_too_large_for_pillow_is_named_with_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    _draw(tmp_path / "cats" / "a.png", (200, 0, 0))
    with pytest.raises(DataError, match=r"a\.png: must be a readable .*DecompressionBombError"):
        folder.load(path=str(tmp_path), side=4, channels=3)


def test_folders_that_hold_no_readable_images_are_refused_in_words(tmp_path):
    with pytest.raises(DataError, match=r"data\.path: must be a folder"):
        folder.load(path=str(tmp_path / "nowhere"), side=4, channels=3)
    with pytest.raises(DataError, match="must hold a sub-folder of images per class"):
        folder.load(path=str(tmp_path), side=4, channels=3)
    (tmp_path / "cats").mkdir()
    with pytest.raises(DataError, match="cats: a class needs images"):
        folder.load(path=str(tmp_path), side=4, channels=3)
    (tmp_path / "cats" / "a.png").write_bytes(b"\x89PNG torn")
    with pytest.raises(DataError, match=r"a\.png: must be a readable image"):
        folder.load(path=str(tmp_path), side=4, channels=3)
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(tmp_path / "cats" / "a.png")
    with pytest.raises(DataError, match="an image has 8 bits per channel, but got Pillow's mode I"):
        folder.load(path=str(tmp_path), side=4, channels=3)
    with pytest.raises(
        DataError, match=r"data\.channels: is 1 for grey or 3 for colour, but got 2"
    ):
        folder.load(path=str(tmp_path), side=4, channels=2)


def test_a_transparent_image_is_refused_and_an_opaque_alpha_changes_nothing(tmp_path):
    (tmp_path / "glyphs").mkdir()
    file = tmp_path / "glyphs" / "a.png"
    colour = np.full((8, 8, 4), (200, 100, 50, 255), dtype=np.uint8)
    Image.fromarray(colour).save(file)
    assert folder.load(path=str(tmp_path), side=8, channels=3).x[0, :, 0, 0].tolist() == [
        200,
        100,
        50,
    ]
    colour[0, 0, 3] = 0
    Image.fromarray(colour).save(file)
    with pytest.raises(
        DataError, match=r"but got transparent pixels .Pillow's mode RGBA.; save it"
    ):
        folder.load(path=str(tmp_path), side=8, channels=3)


def test_a_truncated_photograph_is_named(tmp_path):
    (tmp_path / "cats").mkdir()
    whole = io.BytesIO()
    Image.fromarray(DICE.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(whole, "JPEG")
    (tmp_path / "cats" / "a.jpg").write_bytes(whole.getvalue()[:-300])
    with pytest.raises(DataError, match=r"a\.jpg: must be a readable image.*truncated"):
        folder.load(path=str(Path(tmp_path)), side=4, channels=3)
    for number in range(7):
        (tmp_path / "cats" / f"{number}.png").write_bytes(b"\x89PNG torn")
    with pytest.raises(DataError) as told:
        folder.load(path=str(tmp_path), side=4, channels=3)
    lines = str(told.value).splitlines()
    assert [f"{number}.png" in lines[number] for number in range(5)] == [True] * 5
    assert lines[5] == "  and 3 further files"
