"""CIFAR-10: JPEGs in archives and folders, binary batches, and what is refused."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import tarfile
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import fdref
from fdref.errors import ArgumentError, FileError
from fdref.weights import tarred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

module = import_module("fdref.weights.cifar")  # `fdref.weights.cifar` is the function
CLASSES = module.CLASSES
EACH = {"train": 3, "test": 2}


@pytest.fixture(autouse=True)
def _small(request, monkeypatch) -> None:
    """Ask for fewer images, but where all of them are there."""
    if "shared" not in request.fixturenames:
        monkeypatch.setattr(module, "EACH", EACH)
        monkeypatch.setattr(module, "IN_A_BATCH", 10)


def jpeg(colour: tuple[int, ...], size: tuple[int, int] = (32, 32), mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, colour if len(colour) > 1 else colour[0]).save(file, "JPEG", quality=100)
    return file.getvalue()


def colour_of(label: int, number: int) -> tuple[int, int, int]:
    return 20 * label, 10 * number, 255 - 20 * label


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """A small CIFAR-10, each image of one colour that tells class and number, in no order."""
    names = [
        (f"{part}/{name}/{number:04}.jpg", colour_of(label, number))
        for part, count in EACH.items()
        for label, name in enumerate(CLASSES)
        for number in range(count)
    ]
    return {name: jpeg(colour) for name, colour in names[::-1]}


def tar(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], mode: str = "w") -> bytes:
    file = io.BytesIO()
    pairs = files.items() if hasattr(files, "items") else files
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, data in pairs:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def check(found: fdref.Cifar) -> None:
    """Images are in order, the right way round, and have their class."""
    assert found.version == "CIFAR-10 (JPEG)"
    for part, count in EACH.items():
        images, labels = getattr(found, part)
        assert (images.shape, images.dtype) == ((10 * count, 3, 32, 32), np.uint8)
        assert (labels.dtype, labels.tolist()) == (
            np.uint8,
            [i // count for i in range(len(labels))],
        )
        expected = [colour_of(label, number) for label in range(10) for number in range(count)]
        assert np.abs(images - np.array(expected)[:, :, None, None]).max() <= 2  # JPEG rounds


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("prefix", ["", "./", "some/folder/"])
def test_archives(pictures, tmp_path, mode, prefix):
    others = {"README.md": b"x" * 10**6, "train/._x": b"", "train/cat/._0000.jpg": b"not ours"}
    files = {prefix + name: data for name, data in {**others, **pictures}.items()}
    (tmp_path / "file").write_bytes(tar(files, mode))
    told: list[int] = []
    check(fdref.cifar(tmp_path / "file", told.append))
    assert sum(told) == 50
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # nothing was unpacked


def test_folders(pictures, tmp_path):
    others = {"README.md": b"", "train/notes.txt": b"", "train/cat/deeper/0000.jpg": b""}
    check(fdref.cifar(str(written(tmp_path, {**pictures, **others}))))


def batches() -> dict[str, bytes]:
    """Six files of ten images: label, then planes that tell batch, image and colour."""
    found = {}
    for batch, name in enumerate(module.BATCHES):
        records = np.zeros((10, 3073), np.uint8)
        for image in range(10):
            records[image, 0] = (image + batch) % 10
            for plane in range(3):
                records[image, 1 + 1024 * plane : 1 + 1024 * (plane + 1)] = (
                    50 * plane + 10 * (batch % 5) + image
                )
            records[image, 1 + 32 * 5 + 7] = 255  # red, row 5, column 7
        found[name] = records.tobytes()
    return found


@pytest.mark.parametrize("packed", [True, False])
def test_binary_batches(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(module, "EACH", {"train": 5, "test": 1})
    files = {**batches(), "batches.meta.txt": b"airplane\n"}
    if packed:
        tmp_path = tmp_path / "cifar-10-binary.tar.gz"
        tmp_path.write_bytes(
            tar({f"cifar-10-batches-bin/{n}": d for n, d in files.items()}, "w:gz")
        )
    else:
        written(tmp_path, files)
    train, test, version = fdref.cifar(tmp_path)
    assert version == "CIFAR-10"
    assert train.images.shape == (50, 3, 32, 32)
    assert train.labels.tolist() == [(i + b) % 10 for b in range(5) for i in range(10)]
    assert test.labels.tolist() == [(i + 5) % 10 for i in range(10)]
    assert train.images[23, :, 0, 0].tolist() == [23, 73, 123]
    assert train.images[23, :, 5, 7].tolist() == [255, 73, 123]
    assert train.images[23, :, 7, 5].tolist() == [23, 73, 123]


FIRST = "train/cat/0001.jpg"
SPOILT: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "an image is missing": (lambda p: p.pop(FIRST), "has 2 images of train/cat, expected 3"),
    "a class is missing": (
        lambda p: [p.pop(f"test/dog/000{n}.jpg") for n in (0, 1)],
        "has 0 images of test/dog, expected 2",
    ),
    "one too many": (lambda p: p.update({"test/dog/9.jpg": p[FIRST]}), "one more image than"),
    "another class": (
        lambda p: p.update({"train/lion/1.jpg": p[FIRST]}),
        "train/lion/1.jpg is of no class of CIFAR-10, expected airplane, automobile",
    ),
    "another size": (
        lambda p: p.update({FIRST: jpeg((1, 2, 3), (32, 33))}),
        f"{FIRST} is 32x33 RGB, expected 32x32 RGB",
    ),
    "grey": (lambda p: p.update({FIRST: jpeg((9,), mode="L")}), "is 32x32 L, expected 32x32 RGB"),
    "huge": (
        lambda p: p.update({FIRST: huge(p[FIRST])}),
        "expected 32x32 RGB|is no JPEG, or damaged",
    ),
    "cut off": (lambda p: p.update({FIRST: p[FIRST][:400]}), "is no JPEG, or damaged"),
    "a PNG": (lambda p: p.update({FIRST: b"\x89PNG\r\n\x1a\n"}), "is no JPEG, or damaged"),
    "empty": (lambda p: p.update({FIRST: b""}), "is no JPEG, or damaged"),
    "long": (
        lambda p: p.update({FIRST: p[FIRST] + bytes(2**16)}),
        "expected .*at most 65536",
    ),
    "nothing": (lambda p: p.clear(), "has no images that we know, expected train/CLASS"),
    "pickles": (
        lambda p: p.update({"data_batch_1": b"\x80\x02."}),
        "is of CIFAR-10's Python version, whose files are programs: fetch the binary version",
    ),
    "both": (lambda p: p.update({"data_batch_1.bin": batches()["test_batch.bin"]}), "expected one"),
    "half a batch": (lambda p: p.update({"data_batch_1.bin": b"12"}), "2 bytes, expected 30730"),
    "a label of none": (
        lambda p: p.update({"data_batch_1.bin": bytes([10]) * 30730}),
        "has the label 10, expected 0 to 9",
    ),
    "a batch alone": (
        lambda p: (p.clear(), p.update({"data_batch_1.bin": bytes(30730)})),
        "lacks data_batch_2.bin, .*, test_batch.bin",
    ),
}


def huge(picture: bytes) -> bytes:
    """Claim 60000 x 60000 pixels."""
    place = picture.index(b"\xff\xc0") + 5
    return picture[:place] + struct.pack(">2H", 60_000, 60_000) + picture[place + 4 :]


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
@pytest.mark.parametrize("name", SPOILT)
def test_what_is_not_cifar_is_refused(pictures, tmp_path, name, packed):
    spoil, said = SPOILT[name]
    files = dict(pictures)
    spoil(files)
    path = tmp_path / "cifar"
    if packed:
        path.write_bytes(tar(files))
    else:
        path.mkdir()
        written(path, files)
    with pytest.raises(FileError, match=said) as refusal:
        fdref.cifar(path)
    assert "\n" not in str(refusal.value)
    assert "cifar" in str(refusal.value)


def test_wrong_paths(tmp_path):
    for wrong in (None, 5, b"cifar", ["cifar"]):
        with pytest.raises(ArgumentError, match="path"):
            fdref.cifar(wrong)
    with pytest.raises(ArgumentError, match="progress"):
        fdref.cifar(tmp_path, progress=1)
    with pytest.raises(FileError, match="cannot be read, expected train/CLASS"):
        fdref.cifar(tmp_path / "missing")


def test_an_image_twice_is_refused(pictures, tmp_path):
    files = [(name, data) for name, data in pictures.items() if name != "test/cat/0001.jpg"]
    (tmp_path / "file").write_bytes(tar([*files, (FIRST, pictures[FIRST])]))
    with pytest.raises(FileError, match="more than once"):
        fdref.cifar(tmp_path / "file")


def test_a_pipe_among_the_images_is_refused(pictures, tmp_path):
    written(tmp_path, pictures)
    (tmp_path / FIRST).unlink()
    os.mkfifo(tmp_path / FIRST)
    with pytest.raises(FileError, match="is a folder or a device, expected an image"):
        fdref.cifar(tmp_path)


def link(kind: bytes) -> bytes:
    """A tar file with a link out of its folder, or something else that is no file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(FIRST)
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return file.getvalue()


SPECIAL = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE)


@pytest.mark.parametrize("kind", [*SPECIAL, tarfile.GNUTYPE_SPARSE])
def test_what_is_no_file_in_an_archive_is_refused(tmp_path, kind):
    (tmp_path / "file").write_bytes(link(kind))
    with pytest.raises(FileError, match=r"is of tar's type .*, expected files and folders alone"):
        fdref.cifar(tmp_path / "file")


def everything(data: bytes) -> list[tuple[str, bytes]]:
    return list(tarred.members(data, "some.tar", lambda name: 10**6))


class TestTar:
    FILES = (("a", b"one"), ("folder/b", b""), ("c", bytes(range(256)) * 4))

    @pytest.mark.parametrize(
        "format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
    )
    def test_what_other_programs_write(self, tmp_path, format_):
        """Folders, owners, and times in fractions of a second, for which pax has more headers."""
        written(tmp_path / "in", dict(self.FILES))
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=format_) as archive:
            archive.add(tmp_path / "in", "in")
        assert sorted(everything(file.getvalue())) == [
            (f"in/{n}", d) for n, d in sorted(self.FILES)
        ]

    @pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
    def test_whatever_is_cut_or_flipped_is_refused_or_read(self, pack):
        good = pack(tar(self.FILES))
        assert everything(good) == [*self.FILES]
        random = np.random.default_rng(0)
        for _ in range(300):
            bad = bytearray(good)
            for place in random.integers(0, min(len(bad), 4096), random.integers(1, 4)):
                bad[place] ^= 1 << random.integers(8)
            with suppress(FileError):  # and nothing else
                everything(bytes(bad[: random.integers(0, len(bad) + 1)]))
        needed = 7 * 512 if pack is bytes else len(good)  # behind the end of a tar file are zeros
        for length in (*range(0, needed, 37), needed - 1):
            with pytest.raises(FileError, match=r"damaged or cut off, fetch it again|is no tar"):
                everything(good[:length])

    def test_what_is_no_tar_file(self):
        for data in (b"PK\3\4" + bytes(600), b"x" * 1024, lzma.compress(b"x" * 1024)):
            with pytest.raises(FileError, match=r"some\.tar is no tar file, plain or compressed"):
                everything(data)

    @pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
    def test_a_bomb_is_not_unpacked(self, monkeypatch, pack):
        """Ten million zeros behind a member that nobody wants, where a million may be unpacked."""
        monkeypatch.setattr(tarred, "MOST", 10**6)
        info = tarfile.TarInfo("zeros")
        info.size = 10**7
        data = pack(info.tobuf() + bytes(10**7))
        with pytest.raises(FileError, match="unpacks to more than 1000000 bytes: not safe"):
            list(tarred.members(data, "some.tar", lambda name: None))

    def test_xz_may_not_claim_any_memory(self):
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**29}]
        data = lzma.compress(tar(self.FILES), filters=filters)
        with pytest.raises(FileError, match=r"damaged or cut off.*[Mm]emory"):
            everything(data)

    def test_many_members(self, monkeypatch):
        monkeypatch.setattr(tarred, "MOST_MEMBERS", 3)
        assert len(everything(tar(self.FILES))) == 3
        with pytest.raises(FileError, match="more than 3 members: not safe"):
            everything(tar([*self.FILES, ("d", b"")]))

    @pytest.mark.parametrize("size", [-1, -512, 2**60])
    def test_sizes_that_cannot_be(self, size):
        """GNU's tar writes numbers that do not fit as text in 256s, also below 0."""
        data = bytearray(tar(self.FILES))
        field = size.to_bytes(12, "big", signed=True)
        data[124:136] = bytes([0xFF if size < 0 else 0x80]) + field[1:]
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        with pytest.raises(FileError, match=r"is of tar's type|expected at most 1000000"):
            everything(bytes(data))


@pytest.mark.slow
def test_all_of_it(shared):
    """The images are where they belong: of 60,000, some counted by hand."""
    path = shared / "cifar" / "cifar10-jpeg.tar.xz"
    train, test, version = fdref.cifar(path)
    assert version == "CIFAR-10 (JPEG)"
    assert train.images.shape == (50_000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    blue = train.images.reshape(10, 5000, 3, -1).mean((1, 3))[:, 2]
    assert CLASSES[int(blue.argmax())] == "airplane"  # the sky
    with tarfile.open(path) as archive:
        for number, name in ((0, "test/airplane/0000.jpg"), (9999, "test/truck/0999.jpg")):
            file = archive.extractfile(name)
            assert file is not None
            expected = np.asarray(Image.open(file))
            assert np.array_equal(test.images[number], expected.transpose(2, 0, 1))
