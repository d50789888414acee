"""`fdref draw`, and `fdref decode --only`: pictures as somebody wants them."""

from __future__ import annotations

import io
import json
import os
import re
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from command_line import bank, everything_in, refusal, run, small_model
from PIL import Image

import fdref
from fdref.decoding.blocks import Plan
from fdref.decoding.contents import pools_below
from fdref.decoding.reading import decoded_layers
from fdref.drawing.colours import painted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def decoded(model, tmp_path_factory) -> bytes:
    """A file of decoded filters: 3 of layer 1 ('low'), 2 of layer 4 ('high')."""
    folder = tmp_path_factory.mktemp("decoded")
    assert run("decode", model, "--unpool", "nearest", "--no-pictures", "-o", folder) == 0
    return (folder / "decoded.h5").read_bytes()


@pytest.fixture
def file(decoded, tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "decoded.h5").write_bytes(decoded)
    return tmp_path / "out" / "decoded.h5"


def colours(picture: Path | bytes) -> np.ndarray:
    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def one(filters: np.ndarray, size: int, scale: float | None = None, cmap="grey") -> np.ndarray:
    """Paint one filter in a whole multiple of its size."""
    (picture,) = painted(filters, scale, cmap)
    factor = size // max(picture.shape[:2])
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


class TestOnly:
    @pytest.mark.parametrize("layer", [4, "high"])
    def test_one_filter_as_a_picture_and_no_more(self, layer, model, tmp_path, capsys):
        (bank,) = fdref.decode(fdref.load(model), "high", [1])
        size = 3 * max(bank.shape[1:])
        options = ("--bare", "--size", size, "-o", tmp_path / "one.png")
        assert run("decode", model, "--only", f"{layer}:1", *options) == 0
        assert list(everything_in(tmp_path)) == ["one.png"]
        assert np.array_equal(colours(tmp_path / "one.png"), one(bank, size))
        said = capsys.readouterr().out.splitlines()
        assert said[-1] == f"wrote {tmp_path / 'one.png'}"
        assert "dataset" not in said[0]

    def test_on_the_contrast_of_its_whole_layer(self, model, tmp_path):
        every = fdref.decode(fdref.load(model), 4)
        weakest = int(np.abs(every).max(axis=(1, 2, 3)).argmin())
        size = 2 * max(every.shape[2:])
        options = ("--contrast", "layer", "--cmap", "diverging", "--bare", "--size", size)
        place = tmp_path / "one.webp"
        assert run("decode", model, "--only", f"4:{weakest}", *options, "-o", place) == 0
        expected = one(every[weakest], size, np.abs(every).max(), "diverging")
        assert np.array_equal(colours(place), expected)
        assert not np.array_equal(expected, one(every[weakest], size, None, "diverging"))

    def test_some_filters_in_the_order_and_as_often_as_asked(self, model, tmp_path):
        banks = fdref.decode(fdref.load(model), 4)
        size = max(banks.shape[2:])
        for contrast, scale in (("own", None), ("layer", np.abs(banks).max())):
            options = ("--bare", "--columns", 3, "--size", size, "--contrast", contrast)
            place = tmp_path / f"{contrast}.png"
            assert run("decode", model, "--only", "4:1,0,1", *options, "-o", place) == 0
            page, step = colours(place), banks.shape[3] + 4
            for place, k in enumerate((1, 0, 1)):
                drawn = page[:, place * step : place * step + banks.shape[3]]
                assert np.array_equal(drawn, one(banks[k], size, scale))

    def test_programs_are_told_what_people_are(self, model, tmp_path, capsys):
        options = ("-o", tmp_path / "a.svg", "--json", "-")
        assert run("decode", model, "--only", "high:0", *options) == 0
        told = json.loads(capsys.readouterr().out)
        bank = fdref.decode(fdref.load(model), 4, [0])
        (layer,) = told["layers"]
        assert told["file"] is layer["dataset"] is None
        assert layer["picture"] == str(tmp_path / "a.svg")
        assert layer["filters"] == [0]
        assert (layer["smallest"], layer["largest"]) == (bank.min(), bank.max())

    @pytest.mark.parametrize(
        ("options", "name"),
        [((), "layer4-1.png"), (("--format", "pdf"), "layer4-1.pdf"), (("--only", "4:0-1"),
         "layer4-0-1.png"), (("--format", "svg", "-o", "figure"), "figure")],
        ids=repr,
    )  # fmt: skip
    def test_where_it_goes(self, options, name, model, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert run("decode", model, "--only", "4:1", *options) == 0
        assert list(everything_in(tmp_path)) == [name]

    def test_a_picture_that_is_there_is_replaced(self, model, tmp_path):
        (tmp_path / "a.png").write_text("an older one")
        assert run("decode", model, "--only", "4:1", "-o", tmp_path / "a.png") == 0
        assert colours(tmp_path / "a.png").size

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--only", "4"), "--only '4' cannot be read; expected a layer and its filters"),
            (("--only", ":4"), "--only ':4' cannot be read"),
            (("--only", "4:"), "--only '' cannot be read"),
            (("--only", "4:x"), "--only 'x' cannot be read; expected for example 0-9,12"),
            (("--only", "4:7"), "has no filter 7; its filters are 0 to 1"),
            (("--only", "9:0"), "there is no layer 9"),
            (("--only", "loss:0"), "no layer is named 'loss'"),
            (("--only", "4:0", "--layers", 4), "expected no --layers beside it"),
            (("--only", "4:0", "--filters", 0), "expected no --filters beside it"),
            (("--only", "4:0", "-o", "a.bmp"), "expected a name in .png, .svg, .pdf, .webp"),
            (("--only", "4:0", "-o", "a.png", "--format", "svg"), "expected one of the two"),
            (("--only", "4:0", "-o", "no/a.png"), "No such file or directory"),
            (("--only", "4:0", "-o", "a.png", "--json", "a.png"), "are the same file"),
            (("--only", "4:0", "--size", 16_000), "make a picture of 16000 x"),
        ],
        ids=repr,
    )
    def test_what_is_refused_leaves_nothing(
        self, options, said, model, tmp_path, capsys, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        assert said in refusal(capsys, "decode", model, *options)
        assert not everything_in(tmp_path)

    @pytest.mark.parametrize("option", ["--size", "--columns"])
    @pytest.mark.parametrize("value", ["0", "-1", "2.5", "x", "", "99999", "1e3"])
    def test_numbers_that_are_none(self, option, value, model, capsys):
        assert "cannot be read; expected a whole number from 1" in refusal(
            capsys, "decode", model, f"{option}={value}"
        )

    def test_weights_that_overflow_are_refused(self, tmp_path, capsys):
        large = fdref.Conv(np.full((1, 1, 2, 2), 1e30, np.float32))
        fdref.save(fdref.Network([large, large]), tmp_path / "net.mat")
        place = tmp_path / "a.png"
        said = refusal(capsys, "decode", tmp_path / "net.mat", "--only", "2:0", "-o", place)
        assert said == "layer 2 (conv) has decoded filters too large for float32"
        assert list(everything_in(tmp_path)) == ["net.mat"]


class TestDraw:
    def test_the_same_picture_as_when_it_was_decoded(self, model, tmp_path, capsys, monkeypatch):
        look = ("--cmap", "diverging", "--contrast", "layer", "--format", "svg", "--columns", 2)
        assert run("decode", model, *look, "-o", tmp_path) == 0
        before = everything_in(tmp_path)
        for name in ("layer1.svg", "layer4.svg"):
            (tmp_path / name).unlink()
        monkeypatch.setattr(Plan, "blocks", lambda *_: pytest.fail("decoded again"))
        assert run("draw", tmp_path / "decoded.h5", *look) == 0
        assert everything_in(tmp_path) == before

    def test_layers_by_name_number_and_range_into_another_folder(self, file, tmp_path, capsys):
        for layers, names in (("high", [4]), ("1", [1]), ("1-4", [1, 4]), ("4,low", [1, 4])):
            out = tmp_path / layers
            assert run("draw", file, "--layers", layers, "-o", out) == 0
            assert sorted(everything_in(out)) == [f"layer{number}.png" for number in names]
        assert list(everything_in(file.parent)) == ["decoded.h5"]

    def test_one_filter_alone(self, file, tmp_path):
        with h5py.File(file) as numbers:
            every = numbers["layer4"][()]
        size = max(every.shape[2:])
        for contrast, scale in (("own", None), ("layer", np.abs(every).max())):
            options = ("--bare", "--size", size, "--contrast", contrast)
            place = tmp_path / "one.png"
            assert run("draw", file, "--only", "high:1", *options, "-o", place) == 0
            assert np.array_equal(colours(place), one(every[1], size, scale))

    def test_filters_are_called_by_their_numbers_in_the_network(self, model, tmp_path, capsys):
        options = ("--filters", "2,0", "--layers", 1, "--no-pictures", "-o", tmp_path)
        assert run("decode", model, *options) == 0
        path = tmp_path / "decoded.h5"
        look = ("--bare", "--size", 3, "-o", tmp_path / "a.png")
        assert run("draw", path, "--only", "1:0", *look) == 0
        with h5py.File(path) as numbers:
            assert np.array_equal(colours(tmp_path / "a.png"), one(numbers["layer1"][1], 3))
        capsys.readouterr()
        said = refusal(capsys, "draw", path, "--only", "1:1", *look)
        assert said == f"filter 1 of layer 1 is not in {path}; expected one that was decoded"

    def test_colours_in_the_order_that_the_network_takes(self, tmp_path):
        fdref.save(fdref.Network([fdref.Conv(bank(2, 3, 4, 4))]), tmp_path / "net.mat")
        drawn = {}
        for order in ("rgb", "bgr"):
            look = ("--bare", "--size", 4, "--channels", order, "-o", tmp_path / "a.png")
            assert run("decode", tmp_path / "net.mat", "--only", "1:0", *look) == 0
            drawn[order] = colours(tmp_path / "a.png")
        assert np.array_equal(drawn["rgb"], drawn["bgr"][:, :, ::-1])
        assert not np.array_equal(drawn["rgb"], drawn["bgr"])

    def test_a_file_from_python_and_one_of_no_filters(self, model, tmp_path, capsys):
        fdref.decode_to(tmp_path / "a.h5", fdref.load(model), [1], [])
        assert run("draw", tmp_path / "a.h5") == 0
        assert capsys.readouterr().out == "wrote nothing: no filters\n"
        fdref.decode_to(tmp_path / "b.h5", fdref.load(model), [1])
        assert run("draw", tmp_path / "b.h5", "--only", "low:1", "-o", tmp_path / "b.png") == 0

    def test_unpooling_is_named_where_there_is_a_pool(self, file):
        with decoded_layers(file) as layers:
            assert {number: one.about["pools"] for number, one in layers.items()} == {1: 0, 4: 1}
        wiring = {3: (1, 2), 4: (1,), 5: (4,)}
        conv = fdref.Conv(np.ones((2, 2, 1, 1)))
        graph = fdref.Network(
            [conv, fdref.ReLU(), fdref.Sum(), fdref.Pool(2, 2), conv], wiring=wiring
        )
        assert [pools_below(graph, number) for number in range(1, 6)] == [0, 0, 0, 0, 1]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--layers", "3"), "layer '3' is not in"),
            (("--layers", "2-3"), "layer '2-3' is not in"),
            (("--layers", ""), "layer '' is not in"),
            (("--only", "9:0"), "layer '9' is not in .*; there are 1 .low., 4 .high."),
            (("--only", "high:5"), "filter 5 of layer 4 is not in"),
            (("--only", "high:0", "--layers", "4"), "expected no --layers beside it"),
            (("--only", "high:0", "-o", "x.txt"), "expected a name in .png"),
            (("-o", ""), "'' is no name"),
        ],
        ids=repr,
    )
    def test_what_is_refused_leaves_nothing(
        self, options, said, file, decoded, tmp_path, capsys, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        assert re.search(said, refusal(capsys, "draw", file, *options))
        assert everything_in(tmp_path) == {"out": b"", "out/decoded.h5": decoded}

    def test_what_is_no_file_of_decoded_filters(self, model, file, tmp_path, capsys, monkeypatch):
        for other, said in (
            (model, "is no file of decoded filters"),
            (tmp_path / "none.h5", "No such file"),
            (tmp_path, "expected a file of decoded filters"),
        ):
            assert said in refusal(capsys, "draw", other)
        whole = file.read_bytes()
        for size in (0, 100, 3000, len(whole) - 8):
            file.write_bytes(whole[:size])
            assert "decoded filters" in refusal(capsys, "draw", file)
        file.write_bytes(whole)
        monkeypatch.setattr("fdref.decoding.reading.is_ours", lambda status: False)
        assert "is another user's" in refusal(capsys, "draw", file)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda file: file["layer1"].attrs.__setitem__("filters", "0-99999999999"),
            lambda file: file["layer1"].attrs.__setitem__("filters", "a"),
            lambda file: file["layer1"].attrs.__setitem__("layer", 3),
            lambda file: file["layer1"].attrs.__delitem__("filters"),
            lambda file: file.create_dataset("layer9", data=[1, 2]),
            lambda file: file.create_group("layer9"),
            lambda file: file.__setitem__("layer9", h5py.ExternalLink("/etc/passwd", "a")),
        ],
        ids=range(7),
    )
    def test_files_that_somebody_has_changed(self, spoil, file, capsys):
        with h5py.File(file, "r+") as changed:
            spoil(changed)
        assert "is no file of decoded filters" in refusal(capsys, "draw", file)

    def test_numbers_that_no_shade_shows(self, file, capsys):
        with h5py.File(file, "r+") as changed:
            changed["layer4"][0, 0, 0, 0] = np.nan
        said = refusal(capsys, "draw", file, "--layers", "4")
        assert said == f"{file} holds NaN or infinite numbers in layer 4; expected finite ones"
        assert list(everything_in(file.parent)) == ["decoded.h5"]

    def test_decoding_what_is_decoded_says_what_draws_it(self, file, capsys):
        said = refusal(capsys, "decode", file)
        assert said == f"{file} holds decoded filters; expected a network: `fdref draw` draws them"

    def test_a_layer_name_of_a_stranger_is_text(self, tmp_path, capsys):
        layer = fdref.Conv(bank(2, 1, 3, 3), name="$x^{\x1b[31m<b>")
        fdref.save(fdref.Network([layer]), tmp_path / "net.mat")
        for kind in ("svg", "png", "pdf"):
            assert run("decode", tmp_path / "net.mat", "--format", kind, "-o", tmp_path / "o") == 0
        text = (tmp_path / "o" / "layer1.svg").read_text()
        assert "<b>" not in text
        assert "\x1b" not in text

    def test_names_with_strange_bytes(self, file, tmp_path, capsys):
        copy = tmp_path / os.fsdecode(b"a\xff.h5")
        copy.write_bytes(file.read_bytes())
        assert run("draw", copy, "-o", tmp_path / os.fsdecode(b"o\xff")) == 0
        assert capsys.readouterr().out.splitlines()[-1].isprintable()
