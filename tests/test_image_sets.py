"""Images that people have: which array, which pictures, which colours; and what is refused."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

import fdref
from fdref.errors import FdrefError
from fdref.weights import image_sets, pictures
from fdref.weights.image_sets import images_in
from fdref.weights.pictures import picture
from fdref.weights.pixels import ImageSet

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (3, 6, 5), np.uint8)
COLOUR = RANDOM.integers(0, 256, (3, 6, 5, 3), np.uint8)


def save(path, pixels, **how):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, **how)
    return path


@pytest.fixture
def folder(tmp_path):
    for name, pixels in zip(("b.PNG", "a.png", "c.png"), GREY, strict=True):
        save(tmp_path / "in" / name, pixels, format="PNG")
    (tmp_path / "in" / "notes.txt").write_text("mine")
    save(tmp_path / "in" / ".hidden.png", GREY[0, :2])
    return tmp_path / "in"


class TestPictures:
    def test_a_folder_is_sorted_by_name_and_else_left_alone(self, folder):
        found = images_in(folder, 1)
        assert found.names == ("a.png", "b.PNG", "c.png")
        assert found.shape == (3, 1, 6, 5)
        assert found.dtype == np.uint8
        assert np.array_equal(found.take([0, 1, 2])[:, 0], GREY[[1, 0, 2]])
        assert np.array_equal(np.concatenate(list(found.chunks())), found.take(range(3)))

    def test_colours_are_those_that_the_network_takes(self, tmp_path):
        path = save(tmp_path / "a.png", COLOUR[0])
        planes = COLOUR[0].transpose(2, 0, 1)
        assert np.array_equal(picture(path, 3).pixels, planes)
        assert np.array_equal(picture(path, 3, "bgr").pixels, planes[::-1])
        red, green, blue = planes.astype(float)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        assert abs(picture(path, 1).pixels[0] - luma).max() <= 1
        grey = save(tmp_path / "b.png", GREY[0])
        assert np.array_equal(picture(grey, 3).pixels, np.stack([GREY[0]] * 3))

    def test_a_jpeg_is_nearly_what_was_saved_and_turned_as_its_exif_says(self, tmp_path):
        smooth = np.add.outer(np.arange(40), np.arange(64)).astype(np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was held upright: to be turned clockwise
        path = save(tmp_path / "a.jpg", smooth, quality=95, exif=exif)
        found = picture(path, 1).pixels[0].astype(int)
        assert found.shape == (64, 40)
        assert abs(found - np.rot90(smooth, -1)).max() <= 3

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_what_is_transparent_lies_over_black_and_is_told(self, mode, tmp_path):
        rgba = np.dstack([COLOUR[0], np.full((6, 5), 255, np.uint8)])
        rgba[0, :, 3] = 0
        if mode == "P":
            file = Image.fromarray(np.ones((6, 5), np.uint8), "L").convert("P")
            file.putpalette([0, 0, 0, 200, 100, 50])
            file.save(tmp_path / "a.png", transparency=1)
        else:
            Image.fromarray(rgba).convert(mode).save(tmp_path / "a.png")
        found = images_in(tmp_path / "a.png", 3)
        pixels = found.take([0])[0]
        assert found.notes == ("a.png: what is transparent lies over black",)
        assert (pixels[:, 0] == 0).all()
        if mode == "RGBA":
            assert np.array_equal(pixels[:, 1:], COLOUR[0, 1:].transpose(2, 0, 1))

    def test_alpha_that_hides_nothing_is_not_told(self, tmp_path):
        opaque = np.dstack([COLOUR[0], np.full((6, 5), 255, np.uint8)])
        save(tmp_path / "a.png", opaque)
        found = images_in(tmp_path / "a.png", 3)
        assert found.notes == ()
        assert np.array_equal(found.take([0])[0], COLOUR[0].transpose(2, 0, 1))

    def test_more_than_fit_are_read_again(self, folder, monkeypatch):
        kept = images_in(folder, 1)
        monkeypatch.setattr(image_sets, "HELD", 89)
        again = images_in(folder, 1)
        monkeypatch.setattr("fdref.weights.pixels.CHUNK", 2)
        assert again.digest() == kept.digest()
        assert np.array_equal(again.take([2, 0]), kept.take([2, 0]))
        assert again.take([]).shape == (0, 1, 6, 5)
        save(folder / "c.png", GREY[0, :3])  # changed meanwhile
        with pytest.raises(FdrefError, match=r"is 5x3 pixels, a\.png is 5x6"):
            again.take([2])

    def test_names_and_pixels_are_in_the_digest(self):
        images = ImageSet(GREY[:, None])
        assert images.digest() == ImageSet(GREY[:, None].copy()).digest()
        others = [
            ImageSet(GREY[:, None], ["a", "b", "c"]),
            ImageSet(GREY[:, None].astype(np.float32)),
            ImageSet(255 - GREY[:, None]),
            images.only([0, 1]),
        ]
        assert len({images.digest(), *(other.digest() for other in others)}) == 5

    def test_one_that_is_of_another_size_is_named(self, folder):
        save(folder / "bb.png", GREY[0, :4])
        with pytest.raises(FdrefError, match=r"bb\.png is 5x4 pixels, a\.png is 5x6; .* one size"):
            images_in(folder, 1)

    def test_deep_pictures_are_refused_not_cut_off(self, tmp_path):
        save(tmp_path / "deep.png", GREY[0].astype(np.uint16) * 257)
        with pytest.raises(FdrefError, match=r"more than 8 bits a pixel \(I"):
            picture(tmp_path / "deep.png", 1)

    @pytest.mark.parametrize("side", [30_000, 12_000])
    def test_a_bomb_is_refused_by_what_it_claims(self, side, tmp_path):
        path = save(tmp_path / "bomb.png", GREY[0])
        data = bytearray(path.read_bytes())
        data[16:24] = struct.pack(">II", side, side)
        import zlib

        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
        with pytest.raises(FdrefError, match=r"bomb\.png (claims more pixels|is 30000x30000)"):
            picture(path, 1)

    @pytest.mark.parametrize("cut", [0, 20, 60, -30])
    def test_what_is_damaged_is_refused_in_one_line(self, cut, tmp_path):
        path = save(tmp_path / "a.png", GREY[0])
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(FdrefError, match=r"a\.png is damaged, or not a picture, PNG or JPEG"):
            picture(path, 1)

    def test_other_formats_are_none_whatever_they_are_called(self, tmp_path):
        save(tmp_path / "a.png", GREY[0], format="BMP")
        with pytest.raises(FdrefError, match="is damaged, or not a picture"):
            picture(tmp_path / "a.png", 1)

    def test_a_network_of_other_channels_takes_arrays(self, folder):
        with pytest.raises(FdrefError, match="takes 2 channels, a picture has 1 or 3"):
            images_in(folder, 2)


class TestArrays:
    @pytest.mark.parametrize("arrays", [{"images": GREY, "other": GREY}, {"x": GREY, "y": [1]}])
    def test_images_or_the_only_one_of_three_or_four_axes(self, arrays, tmp_path):
        np.savez_compressed(tmp_path / "a.npz", **arrays)
        found = images_in(tmp_path / "a.npz", 1)
        assert np.array_equal(found.take(range(3))[:, 0], GREY)
        assert found.names == ("0", "1", "2")

    def test_names_and_labels_beside_them(self, tmp_path):
        np.savez(tmp_path / "a.npz", images=GREY, names=["x", "y", "Ä"], labels=[3, 1, 2])
        found = images_in(tmp_path / "a.npz", 1).only([2, 0])
        assert found.names == ("Ä", "x")
        assert found.labels.tolist() == [2, 3]

    def test_a_single_array(self, tmp_path):
        np.save(tmp_path / "a.npy", np.asfortranarray(COLOUR.transpose(0, 3, 1, 2)))
        found = images_in(tmp_path / "a.npy", 3)
        assert np.array_equal(found.take([1]), COLOUR.transpose(0, 3, 1, 2)[[1]])

    @pytest.mark.parametrize(
        ("arrays", "said"),
        [
            ({"x": GREY, "y": GREY}, r"2 with three .* call it `images`; .* `x` \(3, 6, 5\), `y`"),
            ({"x": [1, 2]}, r"and 0 with three or four axes; .* `x` \(2,\)"),
            ({}, "its arrays are none"),
            ({"images": GREY[0]}, r"`images` have shape \(6, 5\); expected \(N, H, W\)"),
            ({"images": GREY[:0]}, "expected at least one image"),
            ({"images": GREY / 255}, "not from 0 to 1: multiply them by 255"),
            ({"images": GREY - 1.0}, "expected pixels from 0 to 255"),
            ({"images": np.full((2, 3, 3), np.nan)}, "first in image 0; expected pixels"),
            ({"images": GREY > 9}, "have dtype bool; expected numbers"),
            ({"images": GREY, "names": ["a"]}, r"`names` are .* expected text \(3,\)"),
            ({"images": GREY, "names": [1, 2, 3]}, "`names` are int64"),
            ({"images": GREY, "labels": [0.5] * 3}, r"`labels` are float64 .* whole numbers \(3,"),
        ],
    )
    def test_what_is_refused(self, arrays, said, tmp_path):
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(FdrefError, match=said):
            images_in(tmp_path / "a.npz", 1)

    def test_nothing_is_unpickled(self, tmp_path):
        np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
        with pytest.raises(FdrefError, match="is of dtype object; expected an array of real"):
            images_in(tmp_path / "a.npy", 1)

    @pytest.mark.parametrize("cut", [0, 30, -1])
    def test_damaged_arrays(self, cut, tmp_path):
        np.save(tmp_path / "a.npy", GREY)
        data = (tmp_path / "a.npy").read_bytes()
        (tmp_path / "a.npy").write_bytes(data[:cut])
        with pytest.raises(FdrefError, match=r"has no header|as many: damaged"):
            images_in(tmp_path / "a.npy", 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "cannot be read, expected a .npz or .npy file of images"),
        ("missing.png", "cannot be read, expected a picture"),
        ("text.txt", "ends in .txt; expected a .npz or .npy"),
        ("plain", "ends in nothing; expected"),
        ("empty", r"has no pictures; expected files \*\.png"),
        ("other", "has no pictures among its 1 entries"),
    ],
)
def test_what_are_no_images(name, said, tmp_path):
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "plain").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.gif").write_text("x")
    with pytest.raises(FdrefError, match=said):
        images_in(tmp_path / name, 1)


def test_a_folder_of_mnist(tmp_path, monkeypatch):
    digits = fdref.mnist().test
    part = fdref.Digits(digits.images[:2], digits.labels[:2])
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b""))
    monkeypatch.setattr(image_sets, "mnist", lambda path: fdref.Mnist(digits, part))
    found = images_in(tmp_path, 1)
    assert found.shape == (1002, 1, 28, 28)
    assert found.names[999:1001] == ("train 999", "test 0")
    assert np.array_equal(found.take([1001])[0, 0], digits.images[1])
    assert found.labels[-2:].tolist() == digits.labels[:2].tolist()


def test_everything_is_counted_while_it_is_read(folder):
    told = []
    images_in(folder, 1, "rgb", lambda done, of: told.append((done, of)))
    assert told == [(1, 3)] * 3
    assert pictures.LARGEST_SIDE**2 > 2 * 89_478_485  # Pillow's own limit is the lower one
