"""`fdref occlude`: the values of the library, in a file and as pictures."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
from command_line import everything_in, refusal, run, small_model
from PIL import Image

import fdref
from fdref.drawing import occlusions

IMAGES = np.random.default_rng(1).integers(0, 256, (3, 12, 13), np.uint8)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    np.savez(folder / "in.npz", images=IMAGES, labels=[1, 0, 1], names=["a", "b", "c"])
    return small_model(folder), folder / "in.npz"


@pytest.mark.parametrize(
    ("value", "as_value"), [("background", "background"), ("9", 9.0), ("12.5", 12.5)]
)
def test_what_the_library_finds(value, as_value, inputs, tmp_path, capsys):
    model, images = inputs
    options = ("--size", "4x3", "--stride", "3", "--value", value, "--layer", "bend")
    words = ("occlude", model, "--images", images, "--only", "2,0", *options, "-o", tmp_path)
    assert run(*words) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told[1:3]] == ["c", "a"]
    assert sorted(everything_in(tmp_path)) == ["image0.png", "image2.png", "occluded.h5"]
    net = fdref.load(model)
    x = net.prepare(IMAGES[[2, 0]])
    found = fdref.occlude(net, x, (4, 3), 3, as_value, "bend", [1, 1])
    with h5py.File(tmp_path / "occluded.h5") as file:
        assert file["names"].asstr()[()].tolist() == ["c", "a"]
        assert np.array_equal(file["images"][:, 0], IMAGES[[2, 0]])
        assert file["class"][()].tolist() == [1, 1]
        assert np.array_equal(file["map"], found.map)
        assert np.array_equal(file["label"], found.label)
        for name in ("probability", "activity", "projection"):
            expected = getattr(found, name)
            assert file[name].shape == expected.shape
            assert abs(file[name][()] - expected).max() <= 1e-6 * abs(expected).max(), name
        about = file["probability"].attrs
        assert (about["size"].tolist(), about["stride"].tolist()) == ([4, 3], [3, 3])
        assert about["layer"] == 2


def test_the_table_says_where_the_image_is_least_itself(inputs, tmp_path, capsys):
    model, images = inputs
    words = ("--size", "4", "--stride", "2x3", "--no-pictures", "--only", "1", "-o", tmp_path)
    assert run("occlude", model, "--images", images, *words) == 0
    name, label, most, least, row, column, right = capsys.readouterr().out.splitlines()[1].split()
    with h5py.File(tmp_path / "occluded.h5") as file:
        probability, labels = file["probability"][0], file["label"][0]
    assert (name, label) == ("b", "0")
    assert (float(most), float(least)) == pytest.approx(
        (probability.max(), probability.min()), abs=1e-4
    )
    assert probability[int(row[:-1]) // 2, int(column) // 3] == probability.min()
    assert right == f"{(labels == 0).mean():.1%}"


def test_ten_shipped_digits_and_a_layer_that_is_not_projected(tmp_path):
    words = ("--size", "14", "--stride", "7", "--layer", "prob", "--no-pictures", "-o", tmp_path)
    assert run("occlude", *words) == 0
    with h5py.File(tmp_path / "occluded.h5") as file:
        assert file["class"][()].tolist() == fdref.mnist().test.labels[:10].tolist()
        assert "projection" not in file
        assert file["probability"].shape == (10, 3, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "the following arguments are required: --size"),
        ("--size 0", "'0' is no size"),
        ("--size 29", "size is 29x29; expected a square within images of 28x28"),
        ("--size 7 --stride 0", "'0' is no size"),
        ("--size 7 --value red", "'red' is no colour; expected a pixel from 0 to 255"),
        ("--size 7 --value 256", "'256' is no colour"),
        ("--size 7 --value nan", "'nan' is no colour"),
        ("--size 7 --value 1,2,3", "expected 1 or 1 numbers"),
        ("--size 7 --layer nine", "no layer is named 'nine'"),
        ("--size 7 --only 1000", "there is no image 1000; the images are 0 to 999"),
        ("--size 7 --only x", "--only 'x' cannot be read"),
        ("--size 7 --images LABELS", "labels are [12]; expected 1 whole numbers from 0 to 9"),
    ],
)
def test_bad_usage_is_said_in_one_line_and_leaves_nothing(
    words, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    np.savez("labels.npz", images=fdref.mnist().test.images[:2], labels=[3, 12])
    assert said in refusal(capsys, "occlude", *words.replace("LABELS", "labels.npz").split())
    assert list(everything_in(tmp_path)) == ["labels.npz"]


def drawn(image, rows, columns, classes=()):
    random = np.random.default_rng(0)
    found = occlusions.Maps(
        image,
        random.random((rows, columns)),
        image - 100.0,
        random.random((rows, columns)),
        random.integers(0, 12, (rows, columns)),
    )
    page = occlusions.maps(found, (2, 2), (1, 1), "a title", "map 1", 3, classes)
    with Image.open(io.BytesIO(page)) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("shape", [(1, 9, 9), (3, 9, 9), (1, 40, 3), (2, 3, 40)])
def test_images_of_any_shape_are_drawn_with_all_that_is_said(shape):
    image = np.random.default_rng(1).integers(0, 256, shape)
    page = drawn(image, shape[1] - 1, shape[2] - 1, [f"class {n}" for n in range(12)])
    edge = np.concatenate(
        [page[:4].reshape(-1, 3), page[-4:].reshape(-1, 3), page[:, -4:].reshape(-1, 3)]
    )
    assert (edge == 255).all(), "nothing is cut off"
    assert np.array_equal(
        page, drawn(image, shape[1] - 1, shape[2] - 1, [f"class {n}" for n in range(12)])
    )


def test_a_map_lies_where_the_middle_of_the_square_was():
    assert occlusions._reach((7, 5), (1, 2), (22, 12)) == (1, 25, 24.5, 2.5)  # noqa: SLF001
