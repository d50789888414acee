"""Pictures of filters: zero is grey, nothing is cut off, covered, ragged or stretched."""

from __future__ import annotations

import io
import re
import tracemalloc
from itertools import pairwise
from math import lcm
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from colour_vision import MATRICES, distance, lightness
from PIL import Image

import fdref
from fdref.drawing import canvas, grid, sheets
from fdref.drawing.colours import painted, shades_of, table
from fdref.drawing.formats import FORMATS, written
from fdref.drawing.grid import Look, columns_for, side_by_side, tile
from fdref.drawing.sheets import Words, page_of, work
from fdref.drawing.sizes import enlarged, reduced
from fdref.errors import ArgumentError, DependencyError

TITLED = Words("a title", "", [str(k) for k in range(1000)])


def bank(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def pixels(figure) -> np.ndarray:
    """Write a figure as PNG and read it back: colours (height, width, 3) from 0 to 255."""
    with Image.open(io.BytesIO(written(figure, "png", ""))) as image:
        return np.asarray(image.convert("RGB"))


def draw(filters: np.ndarray, words: Words = TITLED, **look) -> np.ndarray:
    return pixels(page_of(filters, words, Look(**look)))


def corners(page: np.ndarray) -> list[tuple[int, int]]:
    """Find the first pixels within frames, below the scale."""
    below = round((canvas.HEAD + sheets.BELOW) * max(1, page.shape[1] / sheets.SCREEN)) - 8
    frame = (page == grid.FRAME).all(axis=2)
    frame[:below] = False
    top_left = frame[1:-3, 1:-3] & frame[2:-2, 1:-3] & frame[1:-3, 2:-2]
    top_left &= ~frame[:-4, 1:-3] & ~frame[1:-3, :-4] & ~frame[2:-2, 2:-2]
    return [(int(y) + 2, int(x) + 2) for y, x in np.argwhere(top_left)]


class TestColours:
    def test_zero_is_grey_and_opposites_are_as_far_from_it(self):
        filters = bank(2, 9, 9)
        filters[0, 0, 0] = 0
        shades = shades_of(filters)
        assert shades[0, 0, 0] == 128
        assert {int(shades.min()), int(shades.max())} & {1, 255}
        assert np.array_equal(shades_of(-filters), 256 - shades.astype(int))

    @pytest.mark.parametrize("scale", [1e-45, 1e-20, 1e38])
    def test_each_filter_has_its_own_contrast(self, scale):
        filters = np.array([[[0, 1, -1, 0.5]]], np.float64) * scale
        assert shades_of(filters).tolist() == [[[128, 255, 1, 192]]] or scale == 1e-45
        assert shades_of(filters.astype(np.float32))[0, 0, :3].tolist() == [128, 255, 1]

    def test_a_filter_of_zeros_is_grey(self):
        assert (shades_of(np.zeros((1, 3, 3), np.float32)) == 128).all()
        assert (shades_of(np.zeros((1, 3, 3)), 2.0) == 128).all()

    def test_a_scale_of_others_is_that_of_the_shades(self):
        shades = shades_of(np.array([0.0, 1, -2, 4, -9]), scale=4)
        assert shades.tolist() == [128, 160, 64, 255, 1]

    def test_grey_is_as_black_and_white_as_the_numbers(self):
        assert table("grey").tolist() == [[shade] * 3 for shade in range(256)]

    def test_blue_to_orange_has_the_sign_in_the_hue_and_the_magnitude_in_the_lightness(self):
        colours = table("diverging").astype(int)
        assert np.ptp(colours[128]) == 0  # white, or nearly
        assert colours[128].min() > 240
        assert all(b > r for r, _, b in colours[1:128])
        assert all(r > b for r, _, b in colours[129:])
        light = lightness(colours)
        assert all(a < b for a, b in pairwise(light[1:129:4]))
        assert all(a > b for a, b in pairwise(light[128::4]))
        assert abs(light[1:128][::-1] - light[129:]).max() < 2.5  # of 100: printed grey, no sign

    @pytest.mark.parametrize("vision", MATRICES)
    def test_whoever_looks_tells_the_signs_apart(self, vision):
        """By CIE76, of which 2.3 is just seen; from a tenth of the scale on."""
        colours = table("diverging")
        for shade in range(13, 128):
            assert distance(colours[128 - shade], colours[128 + shade], vision) > 12

    def test_three_channels_are_one_colour_picture_in_grey_alone(self):
        filters = bank(3, 4, 5)
        assert np.array_equal(painted(filters)[0], shades_of(filters).transpose(1, 2, 0))
        for channels, cmap in ((3, "diverging"), (2, "grey"), (1, "diverging")):
            pictures = painted(filters[:channels], 3.0, cmap)
            expected = table(cmap)[shades_of(filters[:channels], 3.0)]
            assert np.array_equal(pictures, expected)


class TestSizes:
    @pytest.mark.parametrize("size", [(1, 1), (3, 4), (7, 10), (2, 9)])
    @pytest.mark.parametrize("new", [(1, 1), (2, 3), (1, 4), (2, 8)])
    def test_made_smaller_pixels_are_means_of_areas(self, size, new):
        """The slow way: many small squares, of which each pixel, old or new, is a block."""
        height, width = (min(a, b) for a, b in zip(size, new, strict=True))
        filters = bank(2, *size).astype(np.float64)
        high, wide = lcm(size[0], height), lcm(size[1], width)
        fine = filters.repeat(high // size[0], axis=1).repeat(wide // size[1], axis=2)
        expected = fine.reshape(2, height, high // height, width, wide // width).mean(axis=(2, 4))
        np.testing.assert_allclose(reduced(filters, height, width), expected, rtol=1e-12)

    @pytest.mark.parametrize("size", [5, 7, 14, 15, 28])
    def test_enlarged_pixels_are_rectangles_that_differ_by_a_pixel_at_most(self, size):
        picture = np.arange(25).reshape(1, 5, 5)
        large = enlarged(picture, size, 2 * size)[0]
        _, counts = np.unique(large, return_counts=True)
        assert len(counts) == 25
        assert counts.min() >= (size // 5) * (2 * size // 5)
        assert counts.max() <= -(-size // 5) * -(-2 * size // 5)
        assert (np.diff(large, axis=0) >= 0).all()
        assert (np.diff(large, axis=1) >= 0).all()

    @pytest.mark.parametrize("size", [1, 3, 8, 9, 20, 333])
    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 4), (2, 3, 8)], ids=str)
    def test_one_filter_has_the_size_that_is_asked_for(self, size, shape):
        page = draw(bank(1, *shape), size=size, bare=True)
        height, width = (max(1, round(length * size / 8)) for length in shape[1:])
        pictures = 2 if shape[0] == 2 else 1
        assert page.shape[:2] == (height, pictures * width + (pictures - 1) * grid.SEAM)

    def test_shades_of_a_smaller_picture_mean_the_same_numbers(self):
        filters = np.zeros((1, 4, 4))
        filters[0, 0, 0], filters[0, 2:, 2:] = 1, -0.5
        assert tile(filters, (2, 2), None, "grey")[:, :, 0].tolist() == [[160, 128], [128, 64]]


class TestGrid:
    @pytest.mark.parametrize("count", [*range(1, 130), 256, 500, 512, 1000, 4096])
    def test_columns_leave_as_little_as_can_be_empty(self, count):
        columns = columns_for(count, 1, 1, 4 / 3)
        assert 1 <= columns <= count
        ideal = (count * 4 / 3) ** 0.5
        others = [n for n in range(1, count + 1) if ideal / 1.5 <= n <= ideal * 1.5]
        assert -count % columns == min((-count % n for n in others), default=-count % columns)
        assert ideal / 1.5 <= columns + 1
        assert columns - 1 <= ideal * 1.5

    @pytest.mark.parametrize("count", [10, 20, 32, 50, 64, 96, 128, 256, 384, 500, 512])
    def test_layers_as_people_make_them_have_no_ragged_row(self, count):
        assert count % columns_for(count, 70, 64, 4 / 3) == 0

    def test_columns_are_those_asked_for(self):
        found = corners(draw(bank(7, 1, 3, 3), columns=3))
        lefts = sorted({left for _, left in found})
        assert [left for _, left in found] == [*lefts, *lefts, lefts[0]]

    @pytest.mark.parametrize(
        "shape",
        [(1, 1, 5, 5), (3, 1, 1, 1), (20, 1, 14, 14), (101, 1, 3, 3), (6, 3, 5, 5), (5, 1, 2, 9)],
        ids=str,
    )
    @pytest.mark.parametrize("contrast", ["own", "layer"])
    def test_every_filter_is_on_the_page_whole_and_evenly_magnified(self, shape, contrast):
        filters = bank(*shape)
        page = draw(filters, contrast=contrast)
        found = corners(page)
        assert len(found) == shape[0]
        side = next(side for most, side in grid.CELLS if len(filters) <= most)
        factor = max(1, round(side / np.sqrt(shape[2] * shape[3])))
        height, width = shape[2] * factor, shape[3] * factor
        scale = None if contrast == "own" else np.abs(filters).max()
        for one, (top, left) in zip(filters, found, strict=True):
            drawn = page[top : top + height, left : left + width]
            shades = shades_of(one, scale)
            shades = shades if len(one) == 3 else shades.repeat(3, axis=0)
            for y, x in np.ndindex(one.shape[1:]):
                square = drawn[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
                assert (square == shades[:, y, x]).all()

    def test_channels_lie_side_by_side_with_white_in_between(self):
        filters = bank(5, 4, 3)
        sheet = tile(filters, (8, 6), None, "grey")
        assert sheet.shape == (8, 5 * 6 + 4 * grid.SEAM, 3)
        step = 6 + grid.SEAM
        for c, shades in enumerate(shades_of(filters)):
            assert np.array_equal(sheet[::2, c * step : c * step + 6 : 2, 0], shades)
            assert (sheet[:, c * step + 6 : (c + 1) * step] == 255).all()

    def test_many_channels_lie_in_a_square(self):
        pictures = np.zeros((64, 3, 3, 3), np.uint8)
        assert side_by_side(pictures).shape == (8 * 3 + 7 * grid.SEAM,) * 2 + (3,)

    def test_bare_pictures_are_all_that_there_is(self):
        filters = bank(6, 1, 4, 4)
        page = draw(filters, size=8, columns=3, bare=True)
        assert page.shape == (2 * 8 + 4, 3 * 8 + 2 * 4, 3)
        for k, one in enumerate(filters):
            top, left = k // 3 * 12, k % 3 * 12
            drawn = page[top : top + 8 : 2, left : left + 8 : 2, 0]
            assert np.array_equal(drawn, shades_of(one)[0])

    def test_a_page_is_never_too_large(self, monkeypatch):
        monkeypatch.setattr("fdref.drawing.sheets.MOST_FILTERS", 6)
        monkeypatch.setattr("fdref.drawing.grid.MOST_PIXELS", 60_000)
        page = draw(bank(12, 1, 300, 200))
        assert len(corners(page)) == 6
        assert page.size / 3 < 4 * 60_000

    @pytest.mark.parametrize(
        ("shape", "look"),
        [
            ((2, 1, 5, 5), {"size": 16_000}),
            ((100, 1, 5, 5), {"size": 2_000}),
            ((5000, 1, 1, 1), {"columns": 1}),
            ((1, 9, 5, 5), {"size": 15_000}),
        ],
        ids=repr,
    )
    def test_a_page_that_nothing_shows_is_refused(self, shape, look):
        with pytest.raises(ArgumentError, match=r"make a picture of \d+ x \d+ pixels; expected at"):
            page_of(np.zeros(shape), TITLED._replace(labels=["a"] * shape[0]), Look(**look))


class TestPage:
    @pytest.mark.parametrize(
        "shape",
        [(1, 1, 1, 1), (1, 1, 200, 1), (7, 5, 4, 4), (120, 2, 3, 3), (30, 1, 60, 1), (9, 1, 1, 60)],
        ids=str,
    )
    @pytest.mark.parametrize("title", ["a", "W" * 150])
    def test_nothing_is_cut_off(self, shape, title):
        page = draw(bank(*shape), TITLED._replace(title=title))
        edge = canvas.MARGIN - 2
        assert (page[:, :edge] == 255).all()
        assert (page[:, -edge:] == 255).all()
        assert (page[:5] == 255).all()
        assert (page[-edge:] == 255).all()
        assert (page[:40] < 128).any()  # the title

    @pytest.mark.parametrize("shape", [(150, 1, 100, 1), (500, 1, 28, 28), (20, 3, 5, 5)], ids=str)
    def test_texts_touch_neither_each_other_nor_pictures(self, shape):
        figure = page_of(bank(*shape), TITLED, Look())
        figure.canvas.draw()
        axes = figure.axes[0]
        boxes = [text.get_window_extent() for text in axes.texts]
        for a, b in pairwise(boxes):
            assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        page = pixels(figure)
        for box in boxes:
            inside = page[
                int(len(page) - box.y1) : int(len(page) - box.y0), int(box.x0) : int(box.x1)
            ]
            assert not (inside == grid.FRAME).all(axis=2).all(axis=1).any()

    @pytest.mark.parametrize("shape", [(500, 1, 28, 28), (64, 3, 67, 67), (2000, 1, 9, 9)], ids=str)
    def test_labels_are_legible_on_a_screen(self, shape):
        figure = page_of(bank(*shape), TITLED._replace(labels=["9"] * shape[0]), Look())
        width = figure.get_size_inches()[0] * 96
        label = figure.axes[0].texts[-1].get_fontsize() * 96 / 72
        assert label * min(1, 1280 / width) > 10

    def test_it_says_what_is_drawn_and_on_which_scale(self):
        filters = np.zeros((2, 1, 3, 4))
        filters[0, 0, 0, 0], filters[1, 0, 1, 1] = 0.25, -2
        words = Words("a net, a layer", "nearest unpooling", ["0", "7"])
        told = {}
        for contrast in ("own", "layer"):
            figure = page_of(filters, words, Look(contrast=contrast))
            told[contrast] = [text.get_text() for text in figure.axes[0].texts]
        first = ["a net, a layer", "2 filters of 3×4 pixels, nearest unpooling"]
        zero = "grey is zero; m is each filter's largest magnitude, 0.25 to 2"
        assert told["own"] == [*first, "−m", "+m", zero, "0", "7"]
        assert told["layer"] == [*first, "−2", "+2", "grey is zero; one contrast for all", "0", "7"]
        one = page_of(filters[:1], words, Look(cmap="diverging")).axes[0].texts
        assert [text.get_text() for text in one[1:]] == [
            "3×4 pixels, nearest unpooling",
            "−0.25",
            "+0.25",
            "white is zero",
        ]

    @pytest.mark.parametrize(("channels", "cmap"), [(1, "grey"), (1, "diverging"), (3, "grey")])
    def test_the_ramp_has_every_shade(self, channels, cmap):
        page = page_of(bank(2, channels, 3, 3), TITLED, Look(cmap=cmap)).axes[0]
        ramp = page.images[0].get_array()
        if channels == 1:
            assert np.array_equal(
                ramp[0], table(cmap)[np.rint(np.linspace(1, 255, 120)).astype(int)]
            )
            return
        for c, row in enumerate((1, 6, 11)):
            assert ramp[row, [0, -1], c].tolist() == [1, 255]
            assert (np.delete(ramp[row], c, axis=1) == 128).all()

    def test_the_same_bytes_whatever_the_users_matplotlibrc(self):
        filters = bank(3, 1, 4, 4)
        look = Look(cmap="diverging")
        once = {kind: written(page_of(filters, TITLED, look), kind, "t") for kind in FORMATS}
        with mpl.rc_context({"font.family": "serif", "savefig.dpi": 7, "image.origin": "lower"}):
            again = {kind: written(page_of(filters, TITLED, look), kind, "t") for kind in FORMATS}
            assert mpl.rcParams["savefig.dpi"] == 7
        assert once == again

    @pytest.mark.parametrize("title", ["", "$\\frac{x}$", "\u4e2d\u6587 \N{SNOWMAN} \x00", "a\nb"])
    def test_any_title_will_do(self, title):
        """No formulas are typeset, and no glyph is missing (warnings are errors here)."""
        words = Words(title, title, [title, title])
        assert len(corners(draw(bank(2, 1, 3, 3), words))) == 2

    @pytest.mark.parametrize("count", [3, 6, 9])
    def test_all_of_the_work_is_told_and_none_at_once(self, count, monkeypatch):
        monkeypatch.setattr("fdref.drawing.sheets.MOST_FILTERS", 6)
        filters, steps = bank(count, 2, 3, 4), []
        page_of(filters, TITLED, Look(), progress=steps.append)
        assert sum(steps) == work(filters.shape) / 2  # the other half is to write it
        assert max(steps) <= sum(steps) / 2


class TestFormats:
    def test_pictures_are_as_matplotlib_draws_them(self):
        figure = page_of(bank(12, 3, 15, 15), TITLED, Look())
        file = io.BytesIO()
        with canvas.plain_style():
            figure.savefig(file, format="png")
        below = canvas.HEAD + sheets.BELOW - 4  # the ramp's frame is antialiased
        with Image.open(file) as image:
            theirs = np.asarray(image.convert("RGB"))
        ours = pixels(figure)
        assert np.array_equal(theirs[below:], ours[below:])
        assert (ours[below:] == 89).any()  # letters, darkest where they are thick
        assert all(image.get_visible() for image in figure.axes[0].images)

    def test_a_large_page_takes_little_more_memory_than_its_pixels(self):
        tracemalloc.start()
        try:
            figure = page_of(bank(200, 3, 70, 70), TITLED._replace(labels=["a"] * 200), Look())
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            written(figure, "png", "")
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert peak < 20 * np.prod(figure.get_size_inches() * 96)

    @pytest.mark.parametrize(
        ("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (4, "L")], ids=str
    )
    def test_a_png_has_no_more_colours_than_its_filters(self, channels, mode):
        """Grey in one byte a pixel; and nobody needs a page to be transparent."""
        data = written(page_of(bank(4, channels, 5, 5), TITLED, Look()), "png", "Title")
        with Image.open(io.BytesIO(data)) as page:
            assert page.mode == mode
            assert (page.info["Software"], page.info["Title"]) == ("fdref", "Title")

    def test_webp_has_the_same_pixels(self):
        figure = page_of(bank(12, 3, 15, 15), TITLED, Look())
        with Image.open(io.BytesIO(written(figure, "webp", ""))) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), pixels(figure))

    def test_svg_is_as_large_on_a_page_and_has_the_pictures_themselves(self):
        figure = page_of(bank(3, 1, 5, 5), TITLED, Look(size=40))
        root = ET.fromstring(written(figure, "svg", "A title"))  # noqa: S314 - our own
        height, width = pixels(figure).shape[:2]
        sizes = [float(root.get(side).removesuffix("pt")) for side in ("height", "width")]
        assert sizes == [height * 0.75, width * 0.75]  # 96 pixels are 72 points
        images = [one for one in root.iter() if one.tag.endswith("}image")]
        assert len(images) == 2  # the ramp and the filters
        assert "A title" in [one.text for one in root.iter() if one.tag.endswith("}title")]

    def test_pdf_has_letters_that_journals_take(self):
        data = written(page_of(bank(3, 1, 5, 5), TITLED, Look()), "pdf", "A title")
        assert data.startswith(b"%PDF")
        assert b"/CIDFontType2" in data or b"/TrueType" in data
        assert b"/Type3" not in data
        assert b"CreationDate" not in data

    def test_webp_without_webp(self, monkeypatch):
        from PIL import features

        from fdref.drawing.formats import check_format

        monkeypatch.setattr(features, "check", lambda name: False)
        check_format("png")
        with pytest.raises(DependencyError, match="Pillow, which was built without it"):
            check_format("webp")


class TestShow:
    def test_it_is_a_function_beside_what_draws(self):
        assert callable(fdref.show)
        assert fdref.drawing.sheets is sheets

    def test_notebooks_show_the_figure_as_it_is_written(self):
        figure = fdref.show(bank(2, 1, 3, 3))
        with Image.open(io.BytesIO(figure._repr_png_())) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), pixels(figure))

    def test_labels_titles_and_numbers_of_any_kind(self):
        figure = fdref.show(np.arange(12).reshape(3, 1, 2, 2) > 5, "t", ["a", "b", "c"])
        told = [text.get_text() for text in figure.axes[0].texts]
        assert told[0] == "t"
        assert told[-3:] == ["a", "b", "c"]
        large = fdref.show(bank(2, 1, 3, 3).astype(np.float16) * 1000, size=np.int64(9))
        assert re.fullmatch("grey is zero; m is .*", large.axes[0].texts[4].get_text())

    @pytest.mark.parametrize(
        ("filters", "options", "message"),
        [
            (bank(3, 3), {}, r"filters have shape \(3, 3\); expected four axes"),
            (bank(0, 1, 3, 3), {}, "none of them empty"),
            (bank(1, 1, 3, 3) * np.nan, {}, "filters hold NaN or infinite numbers"),
            ([[[[np.inf]]]], {}, "filters hold NaN or infinite numbers"),
            ([[[["a"]]]], {}, "filters have dtype"),
            ([[[[1j]]]], {}, "filters have dtype complex128"),
            (bank(2, 1, 3, 3), {"labels": ["a"]}, "there are 1 labels and 2 filters"),
            (bank(2, 1, 3, 3), {"labels": "ab"}, "labels are 'ab'; expected a sequence"),
            (bank(2, 1, 3, 3), {"title": 3}, "title is 3; expected a str"),
            (bank(2, 1, 3, 3), {"size": 0}, "size is 0; expected a whole number from 1"),
            (bank(2, 1, 3, 3), {"size": True}, "size is True; expected a whole number"),
            (bank(2, 1, 3, 3), {"size": 2.5}, "size is 2.5; expected a whole number"),
            (bank(2, 1, 3, 3), {"columns": -1}, "columns is -1; expected a whole number"),
            (
                bank(2, 1, 3, 3),
                {"contrast": "each"},
                "contrast is 'each'; expected 'own' or 'layer'",
            ),
            (bank(2, 1, 3, 3), {"cmap": "jet"}, "cmap is 'jet'; expected 'grey' or 'diverging'"),
            (bank(2, 1, 3, 3), {"bare": 1}, "bare is 1; expected True or False"),
        ],
        ids=str,
    )
    def test_what_is_refused(self, filters, options, message):
        with pytest.raises(ArgumentError, match=message) as refused:
            fdref.show(filters, **options)
        assert "\n" not in str(refused.value)
