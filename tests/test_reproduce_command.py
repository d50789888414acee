"""`fdref reproduce`: what it refuses, and that it leaves all or nothing."""

from __future__ import annotations

import csv
import errno
import json
import re
from functools import partial
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from PIL import Image
from report_sections import SECTIONS

import fdref
from fdref.commands import main
from fdref.commands.reproduce import NAMES
from fdref.paper import figure5
from fdref.paper.exhibit import Exhibit
from fdref.paper.reproduction import Reproduction
from fdref.paper.table1 import Row

if TYPE_CHECKING:
    from pathlib import Path

    from fdref.paper.subject import Subject

ROW = Row(
    layer=3, unpool="nearest", n=6, compared=6, mean=0.25, std=0.125, correlation=0.5,
    paper_mean=None, paper_std=None, ceiling=0.0625, affine_ceiling=0.03125,
)  # fmt: skip


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """Three classes; images of 9x9 and no others."""
    path = tmp_path_factory.mktemp("model") / "small.mat"
    layers = [fdref.Conv(random(4, 1, 3, 3)), fdref.Conv(random(3, 4, 7, 7)), fdref.Softmax()]
    fdref.save(fdref.Network(layers, average=np.ones((1, 9, 9)), input_size=(9, 9)), path)
    return path


@pytest.fixture
def stubbed(monkeypatch) -> list[Subject]:
    """The long work is left out; returns what would have been worked on."""
    subjects = []

    def reproduce(subject, progress=None):
        subjects.append(subject)
        banks = {"net": fdref.decode_all(subject.net)}
        draw, numbers = partial(figure5.draw, banks), {"a": np.arange(3)}
        figure = Exhibit("figure5", "Figure 5", "Filters.", numbers=numbers, draw=draw)
        return Reproduction((ROW,), (SECTIONS[0], figure))

    monkeypatch.setattr("fdref.paper.reproduction.reproduce", reproduce)
    return subjects


def images_file(folder: Path, **arrays: object) -> Path:
    good = {"images": np.full((6, 9, 9), 200, np.uint8), "labels": np.arange(6) % 3}
    kept = {name: array for name, array in (good | arrays).items() if array is not None}
    np.savez(folder / "images.npz", **kept)
    return folder / "images.npz"


def reproduce(*arguments: object) -> int:
    return main(["reproduce", *map(str, arguments)])


def test_the_command_writes_everything_the_same_each_time(stubbed, model, tmp_path, capsys):
    file = images_file(tmp_path)
    for folder in ("one", "other"):
        assert reproduce(model, "--images", file, "-o", tmp_path / folder) == 0
    told = capsys.readouterr().out
    assert "0.2500 +/- 0.1250" in told
    assert "0.0625" in told
    assert "0.0312" in told
    assert "holds           0.1       <= 1       The figures are the paper's." in told
    assert "does not apply                       The error grows. (there is one layer only)" in told
    assert "of 3 claims, hold: 1, do not hold: 1, do not apply: 1" in told
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "other")
    )
    assert one == other
    pictures = {"figure5.png", "figure5.svg"}
    assert set(one) == {"report.html", "report.h5", "table1.json", "table1.csv"} | pictures
    assert set(one) <= set(NAMES)
    assert json.loads(one["table1.json"]) == [ROW._asdict()]
    (row,) = csv.DictReader(one["table1.csv"].decode().splitlines())
    assert (row["mean"], row["paper_mean"]) == ("0.25", "")
    with h5py.File(tmp_path / "one" / "report.h5") as numbers:
        assert numbers["figure5/a"][:].tolist() == [0, 1, 2]
        digest = numbers.attrs["SHA-256"]
    assert f"<dd>{digest}</dd>" in one["report.html"].decode()
    assert b"6 of 9 \xc3\x97 9 pixels" in one["report.html"]
    assert b"what does not hold here is not refuted there" in one["report.html"]


HUGE = [fdref.Conv(np.full((4, 1, 3, 3), 1e25)), fdref.Conv(np.full((3, 4, 7, 7), 1e25))]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([fdref.Conv(layer.filters.astype(np.float32)) for layer in HUGE],
         "layer 2 (conv) has decoded filters too large for float32"),
        ([fdref.Conv(np.full((3, 1, 9, 9), 1e37, np.float32))],
         "layer 1 (conv) answers image 0 with inf: too large for float32"),
        ([fdref.Conv(np.full((3, 1, 9, 9), 1e306)), fdref.ReLU()],
         "layer 1 (conv) answers image 0 with inf: too large for float64"),
    ],
)  # fmt: skip
def test_a_network_that_overflows_is_refused_in_a_line(layers, message, tmp_path, capsys):
    """It scored perfectly, and its claims held: NaN is neither larger nor smaller."""
    fdref.save(fdref.Network(layers, input_size=(9, 9)), tmp_path / "huge.mat")
    file = images_file(tmp_path)
    assert reproduce(tmp_path / "huge.mat", "--images", file, "-o", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not said.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["huge.mat", "images.npz"]


def test_a_network_with_nothing_to_compare_is_reported_as_such(tmp_path, capsys):
    """Filters of zeros: nothing holds, no score is written, and the report is whole."""
    layers = [
        fdref.Conv(np.zeros((4, 1, 3, 3))),
        fdref.Pool(2, 2),
        fdref.Conv(np.zeros((3, 4, 3, 3))),
    ]
    fdref.save(fdref.Network(layers, input_size=(9, 9)), tmp_path / "zero.mat")
    random_images = np.random.default_rng(0).integers(0, 256, (6, 9, 9))
    file = images_file(tmp_path, images=random_images)
    assert reproduce(tmp_path / "zero.mat", "--images", file, "-o", tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "nothing to compare" in told
    assert "0.0000" not in told
    own = [line for line in told.splitlines() if line.startswith("holds")]
    assert all("charact" in line or "C " in line for line in own)  # of the hand-made network
    for row in json.loads((tmp_path / "out" / "table1.json").read_text()):
        assert (row["n"], row["compared"]) == (6, 0)
        assert [row[key] for key in ("mean", "std", "correlation")] == [None] * 3
        assert row["layer"] == 1 or row["ceiling"] is None
    (first, *_) = csv.DictReader((tmp_path / "out" / "table1.csv").read_text().splitlines())
    assert (first["compared"], first["mean"]) == ("0", "")
    html = (tmp_path / "out" / "report.html").read_text()
    assert "nan" not in re.sub(r'"data:[^"]*"', "", html).lower()


def test_by_default_it_is_about_the_digits_that_ship(stubbed, tmp_path):
    assert reproduce("-o", tmp_path / "out") == 0
    (subject,) = stubbed
    assert (len(subject.images), len(subject.labels)) == (1000, 1000)
    assert "refuted" not in (tmp_path / "out" / "report.html").read_text()  # it is theirs
    for fit, test in subject.folds:
        numbers = np.arange(1000)
        assert sorted([*numbers[fit], *numbers[test]]) == list(numbers)


def test_all_of_mnist_is_fitted_on_training_and_tested_on_test_images(stubbed, shared, tmp_path):
    assert reproduce("--mnist", shared / "mnist", "-o", tmp_path / "out") == 0
    (subject,) = stubbed
    ((fit, test),) = subject.folds
    assert len(subject.images[fit]) == 60_000
    assert np.array_equal(subject.images[test], fdref.mnist(shared / "mnist").test.images)


def whole(*shape: int) -> np.ndarray:
    return np.full(shape, 200, np.uint8)


REFUSED = {
    "no images": ({"images": None}, "has no array `images`; expected"),
    "no labels": ({"labels": None}, "has no array `labels`; expected"),
    "objects": (
        {"images": np.array([{}] * 6)},
        "`images` is of dtype object; expected an array of real numbers",
    ),
    "words": ({"images": np.array(["a"] * 6)}, "`images` have dtype <U1; expected numbers"),
    "flat": ({"images": whole(6, 81)}, "`images` have shape (6, 81); expected (N, H, W) or"),
    "colours": ({"images": whole(6, 3, 9, 9)}, "expected (N, H, W) or (N, 1, H, W)"),
    "too large": ({"images": whole(6, 10, 10)}, "images are 10x10; expected 9x9"),
    "empty": ({"images": whole(0, 9, 9), "labels": []}, "expected at least two images"),
    "no pixels": ({"images": whole(6, 0, 9)}, "expected at least two images"),
    "too bright": (
        {"images": whole(6, 9, 9) * 2.0},
        "values from 400.0 to 400.0, first in image 0; expected",
    ),
    "negative": (
        {"images": np.full((6, 9, 9), -1)},
        "values from -1 to -1, first in image 0; expected pixels",
    ),
    "not a number": (
        {"images": np.full((6, 9, 9), np.nan)},
        "values from nan to nan, first in image 0; expected",
    ),
    "one of many": (
        {"images": np.where(np.arange(6)[:, None, None] == 4, np.inf, whole(6, 9, 9))},
        "values from 200.0 to inf, first in image 4; expected",
    ),
    "to one": ({"images": whole(6, 9, 9) / 255}, "multiply them by 255"),
    "too few labels": ({"labels": np.arange(5)}, "`labels` have shape (5,); expected (6,)"),
    "halves": ({"labels": np.arange(6) / 2}, "are not whole numbers; expected classes"),
    "infinite": ({"labels": np.full(6, np.inf)}, "are not whole numbers; expected classes"),
    "texts": ({"labels": np.array(list("012012"))}, "are not whole numbers; expected classes"),
    "from minus one": ({"labels": np.arange(6) - 1}, "`labels` start at -1; expected"),
    "a gap": ({"labels": np.array([0, 2] * 3)}, "labelled 1; expected at least one of each"),
    "the last missing": ({"labels": np.arange(6) % 2}, "no image is labelled 2; expected"),
    "from one": ({"labels": np.arange(6) % 3 + 1}, "no image is labelled 0; expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_images_are_refused_each_with_its_own_message(case, stubbed, model, tmp_path, capsys):
    arrays, message = REFUSED[case]
    file = images_file(tmp_path, **arrays)
    assert reproduce(model, "--images", file, "-o", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert file.name in said
    assert list(tmp_path.iterdir()) == [file]
    assert not stubbed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "is no .npz archive, or damaged: File is not a zip file; expected"),
        (b"text", "is no .npz archive, or damaged: File is not a zip file; expected"),
        (
            b"PK\3\4 and then nothing",
            "is no .npz archive, or damaged: File is not a zip file; expected",
        ),
    ],
)
def test_files_that_are_no_archives(content, message, stubbed, model, tmp_path, capsys):
    if content is not None:
        (tmp_path / "images.npz").write_bytes(content)
    out = tmp_path / "out"
    assert reproduce(model, "--images", tmp_path / "images.npz", "-o", out) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_damaged_archive(stubbed, model, tmp_path, capsys):
    file = images_file(tmp_path)
    data = bytearray(file.read_bytes())
    data[200:260] = bytes(60)
    file.write_bytes(data)
    assert reproduce(model, "--images", file, "-o", tmp_path / "out") == 2
    assert "`images` is damaged: Bad CRC-32" in capsys.readouterr().err


def test_the_digits_that_ship_do_not_fit_every_network(stubbed, model, tmp_path, capsys):
    assert reproduce(model, "-o", tmp_path / "out") == 2
    assert "expected 9x9" in (said := capsys.readouterr().err)
    assert "name its own with --images" in said


def pictures_in(folder: Path, *sizes: tuple[int, int]) -> Path:
    """A folder for each class, two pictures in each; the second of a class is one shade lighter."""
    for k, (name, size) in enumerate(zip("cab", sizes, strict=True)):
        (folder / "set" / name).mkdir(parents=True)
        for n in range(2):
            Image.new("L", size, 10 * k + n).save(folder / "set" / name / f"{n}.png")
    return folder / "set"


def test_a_folder_of_folders_is_labelled_by_their_names(stubbed, model, tmp_path):
    """By the order of the alphabet, or of the network's classes where it has these names."""
    folder = pictures_in(tmp_path, (9, 9), (9, 9), (9, 9))
    (folder / "notes.txt").touch()
    net = fdref.load(model)
    named = fdref.Network(**net.parts() | {"classes": ("c", "b", "a")})
    fdref.save(named, tmp_path / "named.mat")
    assert reproduce(model, "--images", folder, "-o", tmp_path / "one") == 0
    assert reproduce(tmp_path / "named.mat", "--images", folder, "-o", tmp_path / "other") == 0
    by_alphabet, by_classes = stubbed
    assert by_alphabet.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert by_alphabet.images[:, 0, 0, 0].tolist() == [10, 11, 20, 21, 0, 1]
    assert by_classes.labels.tolist() == [2, 2, 1, 1, 0, 0]
    assert by_classes.images[:, 0, 0, 0].tolist() == [10, 11, 20, 21, 0, 1]


def test_folders_are_refused_that_are_none_or_of_several_sizes(stubbed, model, tmp_path, capsys):
    folder = pictures_in(tmp_path, (9, 8), (9, 9), (9, 9))
    out = tmp_path / "out"
    assert reproduce(model, "--images", folder, "-o", out) == 2
    said = capsys.readouterr().err
    assert "c has pictures of 9x8 pixels, a of 9x9; expected all of one size" in said
    (tmp_path / "empty").mkdir()
    assert reproduce(model, "--images", tmp_path / "empty", "-o", out) == 2
    assert "has no folders of pictures; expected a .npz file" in capsys.readouterr().err
    assert not out.exists()
    assert not stubbed


def test_so_many_of_each_class_from_one_end_to_the_other(stubbed, model, tmp_path, capsys):
    images = np.arange(9 * 81, dtype=np.uint16).reshape(9, 9, 9) % 256
    file = images_file(tmp_path, images=images, labels=[0, 0, 0, 1, 2, 1, 0, 0, 2])
    assert reproduce(model, "--images", file, "--each", 2, "-o", tmp_path / "out") == 0
    (subject,) = stubbed
    assert subject.labels.tolist() == [0, 1, 2, 1, 0, 2]
    assert np.array_equal(subject.images, images[[0, 3, 4, 5, 7, 8]])
    assert reproduce(model, "--images", file, "--each", 1, "-o", tmp_path / "none") == 2
    assert "--each is 1; expected at least 2" in capsys.readouterr().err


def test_of_mnist_so_many_of_each_part(stubbed, shared, tmp_path):
    assert reproduce("--mnist", shared / "mnist", "--each", 5, "-o", tmp_path / "out") == 0
    (subject,) = stubbed
    ((fit, test),) = subject.folds
    test_set = fdref.mnist(shared / "mnist").test
    for part in (fit, test):
        assert np.bincount(subject.labels[part]).tolist() == [5] * 10
    zeros = test_set.images[test_set.labels == 0]
    assert np.array_equal(subject.images[test][subject.labels[test] == 0][-1], zeros[-1])


def test_of_cifar_10_the_test_images_are_shown(stubbed, tmp_path, monkeypatch):
    """Whatever it comes as; how that is read is tested elsewhere."""
    images, labels = np.zeros((30, 3, 32, 32), np.uint8), np.arange(30, dtype=np.uint8) % 10
    read = []

    def cifar(path, progress):
        read.append(path)
        return fdref.Cifar(None, (images, labels), "CIFAR-10 (JPEG)")

    monkeypatch.setattr(fdref, "cifar", cifar)
    (tmp_path / "folder" / "test").mkdir(parents=True)
    places = [tmp_path / "folder", tmp_path / "c.tar.xz", tmp_path / "C.TGZ"]
    for n, path in enumerate(places):
        assert reproduce("cifar", "--images", path, "--each", 2, "-o", tmp_path / f"{n}") == 0
        assert np.array_equal(np.bincount(stubbed[n].labels), [2] * 10)
        page = (tmp_path / f"{n}" / "report.html").read_text()
        assert "CIFAR-10 (JPEG), test images: 20 of 3 × 32 × 32 pixels" in page
    assert read == places


def test_one_kind_of_images_at_a_time(tmp_path, capsys):
    assert reproduce("--full", "--mnist", tmp_path, "-o", tmp_path / "out") == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failure", "status", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_interrupted_or_out_of_space_it_leaves_nothing(
    failure, status, said, stubbed, model, tmp_path, capsys, monkeypatch
):
    def fail(*arguments):
        raise failure

    file = images_file(tmp_path)
    monkeypatch.setattr("fdref.files.whole._write", fail)
    assert reproduce(model, "--images", file, "-o", tmp_path / "out") == status
    output = capsys.readouterr()
    assert said in output.err
    assert "0.2500 +/- 0.1250" in output.out  # what was computed is told at least
    assert list(tmp_path.iterdir()) == [file]


def test_a_report_is_never_replaced_and_the_long_work_not_begun(stubbed, model, tmp_path, capsys):
    (tmp_path / "figure7.svg").touch()
    assert reproduce(model, "--images", images_file(tmp_path), "-o", tmp_path) == 2
    assert "exists already" in capsys.readouterr().err
    assert not stubbed
