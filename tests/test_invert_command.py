"""`fdref invert`: the values of the library, in a file and as a picture."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
from command_line import everything_in, refusal, run
from PIL import Image

import fdref
from fdref.commands.invert import correlation
from fdref.drawing import inversions

pytest.importorskip("scipy")

DIGITS = fdref.mnist().test.images[:3]


def test_what_the_library_finds(tmp_path, capsys):
    options = ("--layer", "conv2", "--iterations", 8, "--only", "0-2", "--seed", 5)
    assert run("invert", *options, "-o", tmp_path) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["image", "error", "correlation", "evaluations", "dead", "maps"]
    assert sorted(everything_in(tmp_path)) == ["inverted.h5", "inverted.png"]
    net = fdref.load()
    code = fdref.forward(net, net.prepare(DIGITS), last=3)[3]
    found = fdref.invert(net, code, 3, iterations=8, seed=5)
    with h5py.File(tmp_path / "inverted.h5") as file:
        assert np.array_equal(file["originals"][:, 0], DIGITS)
        assert np.array_equal(file["errors"], found.errors)
        assert np.array_equal(file["images"], found.images)
        assert np.array_equal(file["evaluations"], found.evaluations)
        assert file["map"][()].tolist() == [-1] * 3
        assert file["images"].attrs["reallocated"] == "no"
        alike = np.corrcoef(file["images"][1].ravel(), DIGITS[1].ravel())[0, 1]
    assert told[2].split()[2] == f"{alike:.3f}"


@pytest.mark.parametrize("way", ["map", "random", "style"])
def test_energy_that_is_moved(way, tmp_path, capsys):
    Image.fromarray(fdref.mnist().test.images[9]).save(tmp_path / "style.png")
    options = {
        "map": ("--map", "4,0-1"),
        "random": ("--reallocate", "random"),
        "style": ("--style", tmp_path / "style.png"),
    }[way]
    words = ("--layer", 3, "--iterations", 2, "--only", "0-1", "--no-pictures", "--seed", 7)
    assert run("invert", *words, *options, "-o", tmp_path / "out") == 0
    assert "correlation" not in capsys.readouterr().out
    net = fdref.load()
    code, style = (
        fdref.forward(net, net.prepare(images), last=3)[3]
        for images in (DIGITS[:2], fdref.mnist().test.images[9:10])
    )
    if way == "map":
        wanted = np.concatenate(
            [fdref.reallocate(code[n : n + 1], "one", [4, 0, 1]) for n in (0, 1)]
        )
    elif way == "random":
        wanted = np.concatenate(
            [fdref.reallocate(code[n : n + 1], "random", seed=7 + n) for n in (0, 1)]
        )
    else:
        wanted = fdref.reallocate(code, "like", style=style)
    with h5py.File(tmp_path / "out" / "inverted.h5") as file:
        assert file["image"][()].tolist() == ([0, 0, 0, 1, 1, 1] if way == "map" else [0, 1])
        assert file["map"][()].tolist() == ([4, 0, 1] * 2 if way == "map" else [-1, -1])
        images, errors = file["images"][()], file["errors"][()]
    answers = fdref.forward(net, net.prepare(images), last=3)[3].astype(np.float64)
    axes = (1, 2, 3)
    expected = ((answers - wanted) ** 2).sum(axes) / (wanted.astype(np.float64) ** 2).sum(axes)
    assert errors == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "the following arguments are required: --layer"),
        ("--layer 9", "there is no layer 9"),
        ("--layer 3 --iterations 0", "iterations is 0; expected"),
        ("--layer 3 --seed -1", "--seed is -1; expected at least 0"),
        ("--layer 3 --smooth nan", "smooth"),
        ("--layer 3 --map 50", "has no filter 50"),
        ("--layer 3 --map x", "--map 'x' cannot be read"),
        ("--layer 3 --map 1 --reallocate random", "not allowed with argument"),
        ("--layer 3 --style nowhere.png", "nowhere.png cannot be read"),
        ("--layer 3 --images zero.npz", "image 0: its code at layer 3 (conv 'conv2') is zero"),
    ],
)
def test_bad_usage_is_said_in_one_line_and_leaves_nothing(
    words, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    if "zero" in words:
        net = fdref.load()
        dead = [fdref.Conv(0 * layer.filters, name=layer.name) if n == 3 else layer
                for n, layer in enumerate(net, 1)]  # fmt: skip
        fdref.save(fdref.Network(dead, input_size=28), "zero.mat")
        np.savez("zero.npz", images=DIGITS)
        words = f"zero.mat {words}"
    before = everything_in(tmp_path)
    assert said in refusal(capsys, "invert", *words.split())
    assert everything_in(tmp_path) == before


def test_correlation_of_pixels():
    one, other = np.random.default_rng(0).standard_normal((2, 3, 4))
    assert correlation(one, other) == pytest.approx(np.corrcoef(one.ravel(), other.ravel())[0, 1])
    assert correlation(one, np.ones((3, 4))) == 0


@pytest.mark.parametrize(("images", "each"), [(1, 1), (3, 1), (2, 5), (1, 30)])
def test_every_image_is_beside_what_was_found_of_it(images, each):
    random = np.random.default_rng(0)
    originals = random.integers(0, 256, (images, 1, 6, 7))
    found = [
        inversions.Found(random.integers(0, 256, (1, 6, 7)), n, f"map {k}", 0.5)
        for n in range(images)
        for k in range(each)
    ]
    page = inversions.sheet(originals, ["a"] * images, found, "title", "note", len(found))
    with Image.open(io.BytesIO(page)) as picture:
        shades = np.asarray(picture.convert("L"))
    for pixels in [*originals, *(one.image for one in found)]:
        zoom = 168 // 7 if len(found) <= 12 else 112 // 7
        large = pixels[0].repeat(zoom, 0).repeat(zoom, 1)
        rows, columns = np.nonzero(shades == large[0, 0])
        assert any(
            np.array_equal(shades[r : r + len(large), c : c + large.shape[1]], large)
            for r, c in zip(rows, columns, strict=True)
        )
    edge = np.concatenate([shades[:, -4:].ravel(), shades[-4:].ravel()])
    assert (edge == 255).all()
