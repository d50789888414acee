"""The paper's figures as pages: what is on them, that it can be read, and the bytes."""

from __future__ import annotations

import struct
import subprocess
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from small_chapters import chapters

import fdref
from fdref.drawing.canvas import ACCENT, encoded, for_dark_pages_too, strongest_channels
from fdref.drawing.colours import shades_of, table
from fdref.measure.survey import Strip
from fdref.paper import (
    compared_filters,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure6,
    figure7,
)
from fdref.paper.composition_graph import Part, graph_of
from fdref.paper.figure4 import DECODED_FRAME, NET_FRAME
from fdref.weights.handmade import NAMES, handmade

NET = handmade()


@pytest.fixture(scope="module")
def banks():
    nets = {"LeNet": fdref.load(), "hand-made": NET}
    return {name: fdref.decode_all(net, engine="reference") for name, net in nets.items()}


@pytest.fixture(scope="module")
def draw(banks):
    graph, own = graph_of(NET, 4, 0), banks["hand-made"]
    acts = fdref.forward(NET, own[4][:1])
    numbers = {n: [str(k) for k in range(500)] for n in (1, 3, 5, 7)}
    lenet, digits = fdref.load(), fdref.mnist().test
    x = lenet.prepare(digits.images[:40])
    classes, matrix = list(lenet.classes), 1000 * np.eye(10) - np.arange(100).reshape(10, 10)
    stages = fdref.stages(lenet, 5, 0, engine="reference")
    titles = ["filter 0 of layer 5", "unpooled", "substituted", "unpooled", "substituted"]
    maps = fdref.forward(lenet, x[:1])
    sides = {n: (maps[n][0], -maps[n][0]) for n in (1, 3, 5)}
    strips = [
        Strip(f"layer {n}", classes, bank[:10], lenet[n].filters[:10] if n == 5 else None,
              x.reshape(10, 4, 1, 28, 28), x[:10])
        for n, bank in banks["LeNet"].items()
    ]  # fmt: skip
    return {
        "figure1": lambda: figure1.draw(banks["LeNet"][7], x[:10], matrix, classes, classes),
        "figure2": lambda: figure2.draw(stages, titles),
        "figure3": lambda: figure3.draw(x[0], sides, {1: 5, 3: 10, 5: 25}),
        "figure4": lambda: figure4.draw(strips),
        "figure5": lambda: figure5.draw(banks),
        "figure6": lambda: figure6.draw(graph, own, NAMES),
        "figure6 of C and D": lambda: figure6.draw(graph | graph_of(NET, 4, 1), own, NAMES),
        "figure6 of the LeNet": lambda: figure6.draw(
            graph_of(fdref.load(), 5, 3, most=3), banks["LeNet"], numbers
        ),
        "figure7": lambda: figure7.draw(graph, acts, NAMES),
        "nonlinearities": lambda: compared_filters.draw(compared(banks["LeNet"])),
        **{stem: exhibit.draw for stem, exhibit in chapters().exhibits.items()},
    }


def compared(banks):
    """Layers with all rows that the LeNet has, one of which cannot be compared."""
    pictured = (
        "decoded, nearest",
        "mean gradient",
        "gradient at the mean image",
        "best linear filter",
    )
    values = [0.806, 0.783, -0.25, 0.884, np.nan]
    replaced = ["as it is", "pool 2 averages", "all max pools average", "no elementwise 15",
                "linear from layer 14 up", "all linear"]  # fmt: skip
    return [
        compared_filters.Strip(
            f"layer {n} (conv 'conv{n}')",
            dict.fromkeys(pictured, banks[n][:8]),
            dict(zip((*pictured, "best affine filter"), values, strict=True)),
            {name: k / 5 for k, name in enumerate(replaced)},
        )
        for n in (3, 5, 7)
    ]


FIGURES = [
    *(f"figure{n}" for n in range(1, 8)),
    *("figure6 of C and D", "figure6 of the LeNet", "nonlinearities"),
    *("decoded_filter", "zeiler_fergus", "occlusion", "inversion", "textures"),
]

HIGH = {"figure4": 3200, "nonlinearities": 1100, "decoded_filter": 1250, "zeiler_fergus": 1100}
"""Figure 4 has seven rows for each of four layers, others five for each of three."""


@pytest.mark.parametrize("name", FIGURES)
def test_it_fits_on_a_screen_and_its_texts_do_not_overlap(draw, name):
    figure = draw[name]()
    width, height = figure.get_size_inches() * 96
    assert width <= 1500
    assert height <= HIGH.get(name, 1000)
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.axes[0].texts]
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (one, a), (other, b) in combinations(boxes, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        assert apart, (one, other)


@pytest.mark.parametrize("name", FIGURES)
def test_pictures_meet_neither_each_other_nor_texts(draw, name):
    figure = draw[name]()
    figure.canvas.draw()
    page = figure.axes[0]
    pictures = [image.get_window_extent() for image in page.images]
    texts = [text.get_window_extent() for text in page.texts]
    for a, b in [*combinations(pictures, 2), *((a, b) for a in pictures for b in texts)]:
        assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0


@pytest.mark.parametrize("name", FIGURES)
def test_it_is_the_same_bit_for_bit_whatever_the_users_settings(draw, name):
    once = encoded(draw[name]())
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "none", "savefig.facecolor": "red"}):
        before = dict(mpl.rcParams)
        again = encoded(draw[name]())
        assert dict(mpl.rcParams) == before
    assert once == again
    for data in once.values():
        assert mpl.__version__.encode() not in data
    assert struct.unpack(">II", once["png"][16:24]) == tuple(
        round(2 * 96 * size) for size in draw[name]().get_size_inches()
    )
    assert len(once["svg"]) < 3e6
    assert ET.fromstring(once["svg"]).tag.endswith("svg")  # noqa: S314 - our own
    assert ET.fromstring(for_dark_pages_too(once["svg"])).tag.endswith("svg")  # noqa: S314


def test_figure1_frames_the_largest_value_of_each_column(draw):
    page = draw["figure1"]().axes[0]
    framed = [p for p in page.patches if p.get_edgecolor() == to_rgba(ACCENT)]
    assert len(framed) == 10  # the diagonal of the matrix
    assert len(page.images) == 30
    corners = sorted((p.get_x(), p.get_y()) for p in framed)
    assert corners == sorted(corners, key=lambda corner: corner[1])


@pytest.fixture(scope="module")
def many(banks):
    """Figure 1 of many classes, some of which have long names."""

    def draw(count: int):
        names = ["a class with a long name" if k % 7 == 0 else f"class {k}" for k in range(count)]
        matrix = np.random.default_rng(0).normal(0, 100, (count, count))
        pictures = banks["LeNet"][5][:count]
        return figure1.draw(pictures, pictures, matrix, names, names), matrix

    return draw


@pytest.mark.parametrize("count", [13, 14, 65, 130])
def test_figure1_of_many_classes_can_be_read(many, count):
    """Each has its three pictures; texts and pictures meet nobody; letters have 9 pixels."""
    figure, matrix = many(count)
    drawn = min(count, figure1.MOST)
    page = figure.axes[0]
    width, height = figure.get_size_inches() * 96
    assert width <= 1600
    assert len(page.images) == 3 * drawn + (count > figure1.FEW)
    figure.canvas.draw()
    texts = [text.get_window_extent() for text in page.texts]
    pictures = [image.get_window_extent() for image in page.images]
    for a, b in [*combinations(texts, 2), *((a, b) for a in pictures for b in texts)]:
        assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
    for box in texts:
        assert box.min.min() >= 0
        assert (box.max <= (width, height)).all()
    assert min(text.get_fontsize() for text in page.texts) * 96 / 72 >= 8.99
    if count > figure1.FEW:
        shaded = page.images[-1].get_array()
        cell = len(shaded) // drawn
        expected = table("diverging")[shades_of(matrix[:drawn, :drawn])]
        assert np.array_equal(shaded[::cell, ::cell], expected)
        framed = [p for p in page.patches if p.get_edgecolor() == to_rgba("black")]
        assert len(framed) == drawn


def test_figure2_shows_every_channel_of_every_stage(draw):
    assert len(draw["figure2"]().axes[0].images) == 50 + 50 + 20 + 20 + 1


def test_figure3_shows_both_sides_in_the_same_order(draw):
    page = draw["figure3"]().axes[0]
    left, right = (page.images[n].get_array().astype(int) for n in (1, 2))
    assert abs(left + right - 255)[left != right].max() <= 1  # the right side was the negative
    assert len(page.images) == 1 + 2 * 3


def test_figure3_has_both_sides_one_below_the_other(draw):
    extents = [image.get_extent() for image in draw["figure3"]().axes[0].images[1:]]
    assert (
        len({left for left, *_ in extents[::2]}) == len({left for left, *_ in extents[1::2]}) == 1
    )


def test_figure4_shows_the_channels_with_most_energy_before_decoding():
    filters = np.zeros((6, 2, 2))
    for channel, value in enumerate([1, -5, 2, 0, 4, 3]):
        filters[channel] = value
    shades = strongest_channels(filters, 4, 10)
    corners = shades[np.ix_([0, -1], [0, -1])]
    assert np.array_equal(corners, shades_of(np.array([[-5.0, 2], [4, 3]])))


def test_figure4_frames_the_first_images_in_red_and_yellow(draw):
    page = draw["figure4"]().axes[0]
    for color in (NET_FRAME, DECODED_FRAME):
        assert sum(p.get_edgecolor() == to_rgba(color) for p in page.patches) == 4 * 10
    assert len(page.images) == 4 * 10 * 7 + 10


def test_figure5_has_one_picture_a_layer_that_shows_every_filter(draw, banks):
    page = draw["figure5"]().axes[0]
    layers = [bank for layers in banks.values() for bank in layers.values()]
    assert len(page.images) == len(layers)
    sheet, bank = page.images[2].get_array(), banks["LeNet"][5]
    columns = sheet.shape[1] // 32 + 1
    for k in (0, 41, 42, 499):
        y, x = k // columns * 32 + 1, k % columns * 32 + 1
        np.testing.assert_array_equal(sheet[y : y + 28, x : x + 28, 0], shades_of(bank[k])[0])


def test_figure6_has_a_picture_for_every_node_and_a_line_for_every_part(draw):
    graph = graph_of(NET, 4, 0) | graph_of(NET, 4, 1)
    page = draw["figure6 of C and D"]().axes[0]
    assert len(page.images) == len(graph) == 2 + 6 + 4
    assert len(page.lines) == sum(map(len, graph.values()))
    widths = {line.get_linewidth() for line in page.lines}
    assert widths == {0.5 + 5 * part.share for made_of in graph.values() for part in made_of}


def test_figure6_tells_what_takes_away_by_colour_by_dashes_and_by_sign():
    graph = {(2, 0): (Part((1, 0), 1.25), Part((1, 1), -0.25)), (1, 0): (), (1, 1): ()}
    banks = {2: np.ones((1, 1, 5, 5)), 1: np.ones((2, 1, 3, 3))}
    page = figure6.draw(graph, banks, {2: ["top"], 1: ["one", "other"]}).axes[0]
    assert [line.get_color() for line in page.lines] == [figure6.ADDS, figure6.TAKES]
    assert [line.get_linestyle() for line in page.lines] == ["-", "--"]
    assert "125% one\n−25% other" in [text.get_text() for text in page.texts]


def test_figure7_points_out_what_the_graph_names(draw):
    page = draw["figure7"]().axes[0]
    assert len(page.images) == 1 + 4 + 14 + 14 + 8
    bold = [text.get_text().split("\n")[0] for text in page.texts if text.get_weight() == "bold"]
    corners = ["upper-left", "lower-left", "upper end", "lower end"]
    assert bold[1:] == ["vertical", "horizontal", *corners, *corners, "C"]
    strong = [patch for patch in page.patches if patch.get_linewidth() > 1]
    assert len(strong) == len(bold) - 1


def test_the_bars_of_non_linearities_are_as_long_as_their_numbers(draw):
    page = draw["nonlinearities"]().axes[0]
    assert len(page.images) == 3 * 4 * 8
    patches = [patch for patch in page.patches if patch.get_linewidth() == 0]
    scales, bars = patches[::2], patches[1::2]
    assert {scale.get_width() for scale in scales} == {compared_filters.BAR}
    lengths = [bar.get_width() / compared_filters.BAR for bar in bars]
    assert lengths == pytest.approx(3 * [0.806, 0.783, 0, 0.884, *(k / 5 for k in range(6))])
    decoded = [k for k, bar in enumerate(bars) if bar.get_facecolor() == to_rgba(ACCENT)]
    assert decoded == [0, 4, 10, 14, 20, 24]
    told = [text.get_text() for text in page.texts]
    assert told.count("nothing to compare") == 3
    assert told.count("-0.250") == 3


@pytest.mark.parametrize(("size", "count"), [(28, 8), (70, 6), (300, 1), (900, 1)])
def test_of_large_filters_fewer_are_drawn(size, count):
    pictures = np.random.default_rng(0).standard_normal((8, 3, size, size))
    one = compared_filters.Strip(
        "layer 1", {"decoded, window": pictures}, {"decoded, window": 0.5}, {}
    )
    page = compared_filters.draw([one]).axes[0]
    assert len(page.images) == count
    extents = [image.get_extent() for image in page.images]
    assert all(a[1] < b[0] for a, b in pairwise(extents))


@pytest.mark.parametrize("channels", [2, 3])
def test_three_channels_are_colours_and_others_are_added_up(channels):
    bank = np.random.default_rng(0).standard_normal((5, channels, 6, 7))
    sheet = figure5.draw({"a net": {1: bank}}).axes[0].images[0].get_array()
    shown = bank[0] if channels == 3 else bank[0].sum(axis=0, keepdims=True).repeat(3, axis=0)
    expected = shades_of(shown).transpose(1, 2, 0).repeat(8, axis=0).repeat(8, axis=1)
    np.testing.assert_array_equal(sheet[1:49, 1:57, :3], expected)
    assert (sheet[:, :, 3] == 255).all(axis=1)[1:49].sum() == 0  # in between one sees the page


def test_a_layer_that_answers_nothing_is_drawn():
    net = handmade()
    acts = fdref.forward(net, np.zeros((1, 1, 14, 14)))
    page = figure7.draw(graph_of(net, 4, 0), acts, NAMES).axes[0]
    assert page.texts[-1].get_text() == "Z\n0%"


def test_numbers_need_no_matplotlib():
    code = "import fdref.paper.composition_graph, fdref.weights.handmade, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "matplotlib" not in run.stdout.split()
