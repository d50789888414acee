"""The pictures: zero is grey, nothing is cut off, covered or stretched."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

from fdref.drawing import sheets
from fdref.drawing.sheets import averages, save_filters, shades_of, tile, work


def bank(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def draw(path, filters: np.ndarray, title: str = "a title") -> np.ndarray:
    """Save a picture and read it back: colours (height, width, 3) from 0 to 255."""
    save_filters(path, filters, title, [str(k) for k in range(len(filters))])
    page = np.rint(imread(path) * 255).astype(np.uint8)
    return page if page.ndim == 3 else page[:, :, None].repeat(3, axis=2)


def corners(page: np.ndarray) -> list[tuple[int, int]]:
    """Find the top left pixels of the frames from the first row's top and first column's left."""
    frame = (page == sheets.FRAME).all(axis=2)
    lefts, tops = (
        [int(i) for i in np.flatnonzero(line) if not line[i - 1] and line[i : i + 3].all()]
        for line in (frame[sheets.TITLE - 1], frame[:, sheets.MARGIN - 1])
    )
    return [(top, left) for top in tops for left in lefts if frame[top, left]]


def test_zero_is_grey_and_opposites_are_as_far_from_it():
    filters = bank(2, 9, 9)
    filters[0, 0, 0] = 0
    shades = shades_of(filters)
    assert shades[0, 0, 0] == 128
    assert {int(shades.min()), int(shades.max())} & {1, 255}
    assert np.array_equal(shades_of(-filters), 256 - shades.astype(int))


@pytest.mark.parametrize("scale", [1e-45, 1e-20, 1e38])
def test_each_filter_has_its_own_contrast(scale):
    filters = np.array([[[0, 1, -1, 0.5]]], np.float64) * scale
    assert shades_of(filters).tolist() == [[[128, 255, 1, 192]]] or scale == 1e-45
    assert shades_of(filters.astype(np.float32))[0, 0, :3].tolist() == [128, 255, 1]


def test_a_filter_of_zeros_is_grey():
    assert (shades_of(np.zeros((1, 3, 3), np.float32)) == 128).all()


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 5, 5), (3, 1, 1, 1), (20, 1, 14, 14), (101, 1, 3, 3), (6, 3, 5, 5), (5, 1, 2, 9)],
    ids=str,
)
def test_every_filter_is_on_the_page_whole_and_evenly_magnified(shape, tmp_path):
    filters = bank(*shape)
    page = draw(tmp_path / "page.png", filters)
    found = corners(page)
    assert len(found) == shape[0]
    side = next(side for most, side in sheets.CELLS if len(filters) <= most)
    factor = max(1, round(side / np.sqrt(shape[2] * shape[3])))
    height, width = shape[2] * factor, shape[3] * factor
    for one, (top, left) in zip(filters, found, strict=True):
        drawn = page[top + 1 : top + 1 + height, left + 1 : left + 1 + width]
        shades = shades_of(one) if len(one) == 3 else shades_of(one).repeat(3, axis=0)
        for y, x in np.ndindex(one.shape[1:]):
            square = drawn[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            assert (square == shades[:, y, x]).all()


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1, 1), (1, 1, 200, 1), (7, 5, 4, 4), (120, 2, 3, 3), (30, 1, 60, 1), (9, 1, 1, 60)],
    ids=str,
)
@pytest.mark.parametrize("title", ["a", "W" * 150])
def test_nothing_is_cut_off(shape, title, tmp_path):
    page = draw(tmp_path / "page.png", bank(*shape), title)
    edge = sheets.MARGIN - 3
    assert (page[:, :edge] == 255).all()
    assert (page[:, -edge:] == 255).all()
    assert (page[:5] == 255).all()
    assert (page[-edge:] == 255).all()
    assert (page[:20] < 128).any()  # the title


def test_labels_of_narrow_filters_do_not_touch(tmp_path):
    page = draw(tmp_path / "page.png", bank(150, 1, 100, 1))
    found = corners(page)
    first_row = [left for top, left in found if top == found[0][0]]
    bottom = next(top for top, left in found if top > found[0][0]) - sheets.GAP
    strip = (page[bottom - sheets.LABEL + 3 : bottom] < 200).any(axis=(0, 2))
    inked = np.flatnonzero(strip)
    assert 1 + (np.diff(inked) > 4).sum() == len(first_row)


def test_channels_lie_side_by_side_with_white_in_between():
    filters = bank(5, 4, 3)
    sheet = tile(filters, 2, 1)
    assert sheet.shape == (8, 5 * 6 + 4 * sheets.SEAM)
    step = 6 + sheets.SEAM
    for c, shades in enumerate(shades_of(filters)):
        assert np.array_equal(sheet[::2, c * step : c * step + 6 : 2], shades)
        assert (sheet[:, c * step + 6 : (c + 1) * step] == 255).all()


def test_many_channels_lie_in_a_square():
    assert tile(bank(64, 3, 3), 1, 1).shape == (8 * 3 + 7 * sheets.SEAM,) * 2


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (7, 10), (2, 9)])
@pytest.mark.parametrize("step", [1, 2, 3, 20])
def test_shrinking_averages(size, step):
    filters = bank(2, *size).astype(np.float64)
    expected = [
        [
            [one[y : y + step, x : x + step].mean() for x in range(0, size[1], step)]
            for y in range(0, size[0], step)
        ]
        for one in filters
    ]
    np.testing.assert_allclose(averages(filters, step), expected, rtol=1e-12)


def test_a_page_is_never_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("fdref.drawing.sheets.MOST_FILTERS", 6)
    monkeypatch.setattr("fdref.drawing.sheets.MOST_PIXELS", 60_000)
    page = draw(tmp_path / "page.png", bank(12, 1, 300, 200))
    assert len(corners(page)) == 6
    assert page.size / 3 < 4 * 60_000


def test_the_same_bytes_whatever_the_users_matplotlibrc(tmp_path):
    filters = bank(3, 1, 4, 4)
    draw(tmp_path / "a.png", filters)
    with mpl.rc_context({"font.family": "serif", "savefig.dpi": 7, "image.origin": "lower"}):
        draw(tmp_path / "b.png", filters)
        assert mpl.rcParams["savefig.dpi"] == 7
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("title", ["", "$\\frac{x}$", "\u4e2d\u6587 \N{SNOWMAN} \x00", "a\nb"])
def test_any_title_will_do(title, tmp_path):
    """No formulas are typeset, and no glyph is missing from the font (warnings are errors here)."""
    assert len(corners(draw(tmp_path / "page.png", bank(2, 1, 3, 3), title))) == 2


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (4, "L")], ids=str)
def test_a_page_has_no_more_colours_than_its_filters(channels, mode, tmp_path):
    """Grey in one byte a pixel; and nobody needs a page to be transparent."""
    draw(tmp_path / "page.png", bank(4, channels, 5, 5), "Title")
    with Image.open(tmp_path / "page.png") as page:
        assert page.mode == mode
        assert (page.info["Software"], page.info["Title"]) == ("fdref", "Title")


@pytest.mark.parametrize("count", [3, 6, 9])
def test_all_of_the_work_is_told_and_none_at_once(count, tmp_path, monkeypatch):
    monkeypatch.setattr("fdref.drawing.sheets.MOST_FILTERS", 6)
    filters, steps = bank(count, 2, 3, 4), []
    save_filters(tmp_path / "page.png", filters, "", list("abcdefghi")[:count], steps.append)
    assert sum(steps) == work(filters.shape)
    assert max(steps) <= sum(steps) / 2
