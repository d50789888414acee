"""MNIST: the sample that ships with the package, and the files of the whole."""

from __future__ import annotations

import gzip
import struct
from hashlib import md5
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fdref
from fdref.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

module = import_module("fdref.weights.mnist")  # `fdref.weights.mnist` is the function


def test_the_sample_is_a_hundred_of_each_class():
    train, (images, labels) = fdref.mnist()
    assert (images.shape, images.dtype) == ((1000, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((1000,), np.uint8)
    assert np.bincount(labels).tolist() == [100] * 10
    assert (images.min(), images.max()) == (0, 255)
    assert (train.images.shape, train.labels.shape) == ((0, 28, 28), (0,))


def test_the_sample_is_digits_the_right_way_up():
    """A seven has its bar above its stem, and their corner on the right."""
    images, labels = fdref.mnist().test
    seven = images[labels == 7].mean(axis=0)

    def middle_and_spread(rows: slice) -> tuple[float, float]:
        ink = seven[rows].sum(axis=0)
        middle = np.average(np.arange(28), weights=ink)
        return middle, np.average((np.arange(28) - middle) ** 2, weights=ink)

    bar, corner, stem = map(middle_and_spread, (slice(6, 11), slice(11, 14), slice(18, 23)))
    assert bar[1] > 2 * stem[1]
    assert corner[0] > bar[0] + 2


def test_the_sample_is_the_first_test_images_of_each_class_in_order(shared):
    (train_images, train_labels), (images, labels) = fdref.mnist(shared / "mnist")
    assert train_images.shape == (60_000, 28, 28)
    assert images.shape == (10_000, 28, 28)
    assert np.bincount(train_labels)[:3].tolist() == [5923, 6742, 5958]
    seen = np.zeros(10, int)
    chosen = []
    for i, label in enumerate(labels):
        if seen[label] < 100:
            chosen.append(i)
        seen[label] += 1
    sample = fdref.mnist().test
    assert np.array_equal(sample.images, images[chosen])
    assert np.array_equal(sample.labels, labels[chosen])


COUNT = 3
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The four files, of three images each."""
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28), np.uint8)
    contents = {}
    for part in ("train", "t10k"):
        header = struct.pack(">4i", 2051, COUNT, 28, 28)
        contents[f"{part}-images-idx3-ubyte"] = header + pixels.tobytes()
        contents[f"{part}-labels-idx1-ubyte"] = struct.pack(">2i", 2049, COUNT) + bytes(
            range(COUNT)
        )
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = {
        name: (COUNT, md5(content, usedforsecurity=False).hexdigest())
        for name, content in contents.items()
    }
    monkeypatch.setattr(module, "FILES", files)
    return tmp_path


def pack(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    packed.write_bytes(gzip.compress((folder / name).read_bytes()))
    (folder / name).unlink()
    return packed


def test_files_may_be_packed_or_not(folder):
    plain = fdref.mnist(folder)
    pack(folder, IMAGES)
    pack(folder, "t10k-labels-idx1-ubyte")
    packed = fdref.mnist(str(folder))
    for one, other in zip(plain, packed, strict=True):
        assert np.array_equal(one.images, other.images)
        assert one.labels.tolist() == other.labels.tolist() == [0, 1, 2]
    content = (folder / LABELS).read_bytes()
    assert packed.train.labels.tobytes() == content[8:]


def refusal(folder: Path) -> str:
    with pytest.raises(FileError) as refused:
        fdref.mnist(folder)
    message = str(refused.value)
    assert message.isprintable()
    return message


def changed(content: bytes, position: int, number: int) -> bytes:
    return content[:position] + struct.pack(">i", number) + content[position + 4 :]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (IMAGES, lambda c: b"", "starts with the numbers []; expected [2051, 3, 28, 28]"),
        (IMAGES, lambda c: c[:10], "starts with the numbers [2051, 3]; expected"),
        (IMAGES, lambda c: changed(c, 0, 2049), "[2049, 3, 28, 28]; expected [2051, 3, 28, 28]"),
        (LABELS, lambda c: changed(c, 0, 2051), "[2051, 3]; expected [2049, 3]"),
        (LABELS, lambda c: changed(c, 4, 4), "[2049, 4]; expected [2049, 3]"),
        (IMAGES, lambda c: changed(c, 4, 2**31 - 1), "[2051, 2147483647, 28, 28]"),
        (IMAGES, lambda c: changed(c, 8, 32), "[2051, 3, 32, 28]"),
        (IMAGES, lambda c: c[:-1], f"unpacks to {16 + COUNT * 784 - 1} bytes"),
        (IMAGES, lambda c: c[:16], "unpacks to 16 bytes"),
        (IMAGES, lambda c: c + b"\0", f"unpacks to more than {16 + COUNT * 784} bytes"),
        (LABELS, lambda c: c + bytes(10**6), f"more than {8 + COUNT} bytes"),
        (LABELS, lambda c: c[:-1] + b"\7", "has another MD5"),
        (IMAGES, lambda c: c[:-1] + bytes([c[-1] ^ 1]), "has another MD5"),
    ],
)
def test_files_that_are_not_mnists_own(name, change, said, packed, folder):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    if packed:
        path = pack(folder, name)
    message = refusal(folder)
    assert message.startswith(f"{path} ")
    assert said in message


@pytest.mark.parametrize(
    "change",
    [
        lambda c: b"",
        lambda c: b"not gzip at all",
        lambda c: c[: len(c) // 2],
        lambda c: c[:-4],
        lambda c: c[:10] + b"\xff" + c[11:],
        lambda c: c[:40] + bytes(20) + c[60:],
        lambda c: c[:-8] + bytes(4) + c[-4:],
        lambda c: c + b"rubbish",
    ],
    ids=[
        "empty",
        "text",
        "half",
        "without its end",
        "no block",
        "zeros inside",
        "checksum",
        "rubbish after",
    ],
)
def test_damaged_packing(change, folder):
    path = pack(folder, IMAGES)
    path.write_bytes(change(path.read_bytes()))
    message = refusal(folder)
    assert message.startswith(f"{path} ")
    assert "copy or download it again" in message or "starts with the numbers []" in message


@pytest.mark.parametrize("name", [IMAGES, LABELS, "t10k-images-idx3-ubyte"])
def test_a_missing_file(name, folder):
    (folder / name).unlink()
    message = refusal(folder)
    assert message == (
        f"{folder} has neither {name} nor {name}.gz; expected the four IDX files of MNIST"
    )


def test_a_missing_folder_and_a_file_for_a_folder(folder):
    assert "has neither" in refusal(folder / "nowhere")
    assert str(folder / LABELS) in refusal(folder / LABELS)


def test_a_folder_in_a_files_place(folder):
    (folder / IMAGES).unlink()
    (folder / IMAGES).mkdir()
    assert refusal(folder).startswith(f"{folder / IMAGES} is a folder or a device, expected MNIST")
