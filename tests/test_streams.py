"""Images that are gone through once: the pixels that are there, and what is refused on the way."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from fdref.errors import ArgumentError, FdrefError, FileError
from fdref.weights import pictures, streams
from fdref.weights.image_sets import images_in
from fdref.weights.streams import Stream

COUNT = 231
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (COUNT, 6, 5)).astype(np.uint8)


def written(folder, images, how="stored", **beside):
    """Write images as somebody would; return the file."""
    if how == "npy":
        np.save(folder / "a.npy", images)
        return folder / "a.npy"
    save = np.savez if how == "stored" else np.savez_compressed
    save(folder / "a.npz", images=images, **beside)
    return folder / "a.npz"


@pytest.mark.parametrize("how", ["npy", "stored", "packed"])
@pytest.mark.parametrize("shape", [(COUNT, 6, 5), (77, 3, 6, 5), (1, 1, 1), (200, 5, 6)])
@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f8", "i2"])
def test_they_are_those_in_memory(shape, dtype, how, tmp_path):
    images = RANDOM.integers(2, 256, shape).astype(dtype)
    path = written(tmp_path, images, how, labels=np.zeros(len(images), int))
    found, whole = images_in(path, 1, once=True), images_in(path, 1)
    assert isinstance(found, Stream)
    assert (found.shape, found.dtype, len(found)) == (whole.shape, whole.dtype, len(whole))
    chunks = list(found.chunks())
    assert max(map(len, chunks)) <= 100
    joined = np.concatenate(chunks)
    assert {chunk.dtype for chunk in chunks} == {whole.dtype}
    assert np.array_equal(joined, whole.take(range(len(whole))))
    for numbers in ([0], [len(images) - 1, 0], [], [len(images) // 2] * 2):
        assert np.array_equal(found.take(numbers), whole.take(numbers))
    assert found.digest() != ""


def test_the_only_array_of_three_or_four_axes_is_meant(tmp_path):
    np.savez(tmp_path / "a.npz", pictures=GREY, years=np.arange(3))
    assert np.array_equal(images_in(tmp_path / "a.npz", 1, once=True).take([5])[:, 0], GREY[[5]])
    np.savez(tmp_path / "a.npz", one=GREY, other=GREY)
    with pytest.raises(FileError, match=r"no array `images`, and 2 with three or four axes"):
        images_in(tmp_path / "a.npz", 1, once=True)


@pytest.mark.parametrize("how", ["npy", "stored", "packed"])
def test_columns_first_are_read_whole(how, tmp_path):
    path = written(tmp_path, np.asfortranarray(GREY), how)
    found = images_in(path, 1, once=True)
    assert not isinstance(found, Stream)
    assert np.array_equal(np.concatenate(list(found.chunks()))[:, 0], GREY)


@pytest.mark.parametrize("how", ["npy", "stored", "packed"])
def test_a_file_that_ends_too_early_is_refused(how, tmp_path):
    path = written(tmp_path, GREY, how)
    whole = path.read_bytes()
    for length in (0, 3, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError):
            list(images_in(path, 1, once=True).chunks())


@pytest.mark.parametrize("how", ["stored", "packed"])
def test_a_damaged_archive_is_refused_at_its_end(how, tmp_path):
    path = written(tmp_path, GREY, how)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"`images` is damaged: "):
        list(images_in(path, 1, once=True).chunks())


def test_what_holds_more_or_claims_more_is_refused(tmp_path):
    path = written(tmp_path, GREY, "npy")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(FileError, match="holds more than it says"):
        list(images_in(path, 1, once=True).chunks())
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**5, 10**4)}
    )
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("images.npy", head.getvalue() + bytes(1000))
    with pytest.raises(FileError, match="is too much, expected at most"):
        images_in(tmp_path / "bomb.npz", 1, once=True)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((0, 6, 5)), "expected at least one image"),
        (np.zeros((3, 5)), r"have shape \(3, 5\); expected \(N, H, W\)"),
        (np.zeros((3, 6, 5), bool), "have dtype bool; expected numbers"),
        (np.zeros((3, 6, 5), complex), "have dtype complex128; expected numbers"),
    ],
)
def test_what_is_no_images_is_refused_at_once(images, message, tmp_path):
    with pytest.raises(FdrefError, match=message):
        images_in(written(tmp_path, images), 1, once=True)


def test_values_that_are_no_pixels_are_refused_by_the_image(tmp_path):
    for bad in (256.0, -1.0, np.nan):
        images = GREY.astype(np.float32)
        images[217, 3, 2] = bad
        path = written(tmp_path, images)
        with pytest.raises(ArgumentError, match=r"first in image 217; expected pixels from 0 to"):
            list(images_in(path, 1, once=True).chunks())


def test_pixels_from_0_to_1_are_refused_unless_images_are_black(tmp_path):
    images = GREY.astype(np.float32) / 255
    path = written(tmp_path, images)
    with pytest.raises(ArgumentError, match=r"up to 99 have values from 0\.0 to .*; expected pix"):
        next(images_in(path, 1, once=True).chunks())
    images = GREY.astype(np.float32)
    images[:120] = 0
    assert sum(map(len, images_in(written(tmp_path, images), 1, once=True).chunks())) == COUNT
    path = written(tmp_path, np.zeros_like(images))
    with pytest.raises(ArgumentError, match="not from 0 to 1"):
        list(images_in(path, 1, once=True).chunks())
    assert list(images_in(written(tmp_path, np.zeros_like(GREY)), 1, once=True).chunks())


def test_pictures_are_read_once_and_when_they_come(tmp_path, monkeypatch):
    for n in range(4):
        Image.fromarray(GREY[n]).save(tmp_path / f"{n}.png")
    (tmp_path / "4.png").write_bytes(b"no picture")
    read = []

    def noted(path, *options, real=pictures.picture):
        read.append(path.name)
        return real(path, *options)

    monkeypatch.setattr(pictures, "picture", noted)
    monkeypatch.setattr("fdref.weights.pixels.CHUNK", 2)
    found = images_in(tmp_path, 1, once=True)
    assert (len(found), found.shape, read) == (5, (5, 1, 6, 5), ["0.png"])
    chunks = found.chunks()
    assert np.array_equal(next(chunks)[:, 0], GREY[:2])
    assert read == ["0.png", "0.png", "1.png"]
    next(chunks)
    with pytest.raises(FileError, match=r"4\.png"):
        next(chunks)


def test_archives_of_very_many_arrays_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "MEMBERS", 2)
    np.savez(tmp_path / "a.npz", images=GREY, b=1, c=2)
    with pytest.raises(FileError, match="holds 3 arrays; expected at most 2"):
        images_in(tmp_path / "a.npz", 1, once=True)
