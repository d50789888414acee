"""`fdref project`: the values of the library, in a file and as pictures."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from command_line import everything_in, refusal, run, small_model
from PIL import Image

import fdref
from fdref.drawing import neurons

IMAGES = np.random.default_rng(1).integers(0, 256, (11, 12, 13), np.uint8)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    for number, image in enumerate(IMAGES):
        (folder / "in").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / "in" / f"{number:02}.png")
    return small_model(folder), folder / "in"


def test_what_the_library_finds(inputs, tmp_path, capsys):
    model, images = inputs
    options = ("--layers", "high,bend", "--filters", "1,0-2", "--rule", "guided", "--count", 4)
    assert run("project", model, "--images", images, *options, "-o", tmp_path / "out") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == f"wrote {tmp_path / 'out' / 'projected.h5'} and the pictures"
    assert sorted(everything_in(tmp_path / "out")) == ["layer2.png", "layer4.png", "projected.h5"]
    net = fdref.load(model)
    with h5py.File(tmp_path / "out" / "projected.h5") as file:
        assert file["names"].asstr()[3] == "03.png"
        for layer, filters in ((4, [1, 0, 1]), (2, [1, 0, 1, 2])):
            top = fdref.strongest(net, IMAGES, layer, filters, 4)
            group = file[f"layer{layer}"]
            for name in ("filters", "values", "images", "places"):
                assert np.array_equal(group[name], getattr(top, name)), name
            assert np.array_equal(group["patches"], top.patches())
            assert np.array_equal(group["projections"], top.projections("guided"))
            about = group["values"].attrs
            assert (about["rule"], about["layer"], about["engine"]) == ("guided", layer, "compiled")
            assert about["layer_name"] == net[layer].name


def test_more_images_than_there_are_and_no_pictures(inputs, tmp_path, capsys):
    model, images = inputs
    options = ("--layers", 1, "--count", 99, "--no-pictures", "--engine", "reference")
    assert run("project", model, "--images", images, *options, "-o", tmp_path) == 0
    assert list(everything_in(tmp_path)) == ["projected.h5"]
    with h5py.File(tmp_path / "projected.h5") as file:
        assert file["layer1/values"].shape == (3, 11)
        assert file["layer1/projections"].dtype == np.float64


def test_neurons_some_at_a_time_are_the_same(inputs, tmp_path, monkeypatch):
    model, images = inputs
    words = ("project", model, "--images", images, "--quiet", "-o")
    assert run(*words, tmp_path / "a") == 0
    monkeypatch.setattr("fdref.commands.project.AT_ONCE", 1)
    assert run(*words, tmp_path / "b") == 0
    with h5py.File(tmp_path / "a/projected.h5") as a, h5py.File(tmp_path / "b/projected.h5") as b:
        for name in ("layer4/patches", "layer4/values", "layer1/projections"):
            assert np.array_equal(a[name], b[name])
        one, other = a["layer4/projections"][()], b["layer4/projections"][()]
        assert abs(one - other).max() <= 1e-6 * abs(one).max()


def test_the_shipped_digits_are_the_shipped_networks(tmp_path, capsys):
    assert run("project", "--layers", 7, "--filters", "3,8", "-o", tmp_path) == 0
    digits = fdref.mnist().test
    with h5py.File(tmp_path / "projected.h5") as file:
        assert (digits.labels[file["layer7/images"][0]] == 3).all()
        assert (digits.labels[file["layer7/images"][1]] == 8).all()
        assert file["layer7/patches"].dtype == np.uint8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("project --count 0", "--count is 0; expected at least 1"),
        ("project --layers 9", "there is no layer 9"),
        ("project --layers prob", "has no part in the rule 'deconvnet'; expected a layer below"),
        ("project --filters 500", "has no filter 500"),
        ("project --images nowhere", "nowhere cannot be read, expected a .npz or .npy"),
        ("project MODEL", "the shipped digits: images are 28x28; expected"),
        ("project --images IN", "images are 12x13; expected 28x28, the size of the network's"),
        ("project --images IN -o IN", "is the folder of the images; choose another -o"),
        ("project --rule relu", "'relu' (choose from"),
    ],
)
def test_bad_usage_is_said_in_one_line_and_leaves_nothing(
    words, said, inputs, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    if "MODEL" in words:
        net = fdref.Network([fdref.Conv(np.ones((1, 1, 30, 30)))])
        fdref.save(net, tmp_path / "big.mat")
        words, said = words.replace("MODEL", "big.mat"), "the shipped digits: "
    words = words.replace("IN", str(inputs[1]))
    before = everything_in(tmp_path)
    assert said in refusal(capsys, *words.split())
    assert everything_in(tmp_path) == before


def sheet(count, side=4, channels=1, more=0):
    random = np.random.default_rng(0)
    projections = random.standard_normal((count, 9, channels, side, side))
    patches = random.integers(0, 256, (count, 9, channels, side, side))
    labels = [str(k) for k in range(count)]
    return neurons.sheet(projections, patches, labels, "a title", count + more, "all.h5")


def test_a_neurons_projections_stand_left_of_its_patches():
    projections = np.zeros((1, 9, 1, 2, 2))
    projections[0, 0, 0, 0, 0] = 1
    patches = np.full((1, 9, 1, 2, 2), 30)
    patches[0, 8, 0, 1, 1] = 255
    both = neurons.beside(
        neurons.block([neurons.coloured(one) for one in projections[0]], 4),
        neurons.block([neurons.pixels(one) for one in patches[0]], 4),
    )
    assert both.shape == (3 * 6 + 2 * 2, 2 * (3 * 6 + 2 * 2) + neurons.GAP, 3)
    assert (both[1:3, 1:3] == 255).all()
    assert (both[1:3, 3:5] == 128).all()
    assert (both[9:11, 9:11] == 128).all()
    assert (both[-3:-1, -3:-1] == 255).all()
    assert (both[-5:-3, -3:-1] == 30).all()


@pytest.mark.parametrize(("side", "shape"), [(3, (12, 16)), (200, (14, 19)), (28, (28, 28))])
def test_pictures_are_magnified_and_shrunk_by_whole_factors(side, shape, monkeypatch):
    shades = np.full((3, 4, 3), 7, np.uint8)
    if side == 200:
        shades = np.full((150, 200, 3), 7, np.uint8)
    elif side == 28:
        shades = np.full((28, 28, 3), 7, np.uint8)
    found = neurons.scaled(shades, 18)
    assert found.shape[:2] == shape
    assert (found == 7).all()


def test_a_sheet_of_few_of_many_and_of_colours(tmp_path):
    sizes = {}
    for name, page in {"few": sheet(2), "many": sheet(64, more=1), "red": sheet(3, 5, 3)}.items():
        (tmp_path / f"{name}.png").write_bytes(page)
        with Image.open(tmp_path / f"{name}.png") as picture:
            picture.load()
            sizes[name] = picture.size
    assert sizes["many"][0] > 3 * sizes["few"][0] / 2
    assert sheet(2) == sheet(2)
    assert sheet(2) != sheet(2, more=1), "what is left out is told"
