"""Small graphs whose filters, gradients and refusals are known by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from graph_strategies import close

import fdref
from fdref import layers as kinds
from fdref.engines import engine_named
from fdref.network.fields import Box
from fdref.walk.forward import run
from fdref.walk.gradient import Gradient
from fdref.walk.pictures import Picture
from fdref.walk.shuffles import block_sums


def test_layers_above_products_have_no_filter_though_they_see_the_image_otherwise(engine):
    one = fdref.Conv(np.ones((1, 1, 1, 1)))
    for join in (kinds.Product, kinds.Maximum):
        layers = [one, join(name="gate"), fdref.Sum(name="both"), one, one]
        net = fdref.Network(layers, wiring={"gate": [0, 1], "both": ["gate", 1], 5: 1})
        assert net.decodable == (1, 5)
        assert fdref.decode_all(net, engine=engine).keys() == {1, 5}
        for above in ("gate", "both", 4):
            with pytest.raises(fdref.ArgumentError, match=f"has no filter: layer 2 .{join.kind} "):
                fdref.decode(net, above, engine=engine)


def test_where_there_is_one_unit_its_neighbours_do_not_matter(engine):
    """Strides of 2 and 1 meet in one row; in columns, there are several."""
    slow, fast = (
        fdref.Conv(np.full((1, 1, 2, 2), value), stride=step) for value, step in ((1, 2), (3, 1))
    )
    crop = fdref.Pad((0, -1, 0, -1))
    layers, wiring = [slow, fast, crop, fdref.Sum()], {2: 0, 4: [1, 3]}
    net = fdref.Network(layers, wiring=wiring, input_size=3)
    assert net.sizes[4] == (1, 1)
    assert (fdref.decode(net, 4, engine=engine) == 4).all()
    with pytest.raises(fdref.ArgumentError, match="no single filter"):
        fdref.decode(fdref.Network(layers, wiring=wiring), 4, engine=engine)
    crop = fdref.Pad((0, -1, 0, -2))
    layers[2], columns = crop, {"input_size": (3, 5)}
    with pytest.raises(fdref.ArgumentError, match=r"no single filter.* moved by 1x1 .* and by 2x2"):
        fdref.decode(fdref.Network(layers, wiring=wiring, **columns), 4, engine=engine)


@pytest.mark.parametrize("pool", [
    kinds.Pool((3, 2), (2, 1), (1, 1, 1, 0), "avg"),
    kinds.Pool((4, 5), (3, 4), (3, 2, 0, 4), "avg"),
    kinds.Pool((9, 8), (2, 3), (4, 4, 3, 3), "avg"),  # of more than the whole map
], ids=["small", "uneven", "large"])  # fmt: skip
def test_what_a_unit_sees_through_averages_that_borders_cut(pool, engine):
    """The network averages what lies on the map; `window` shares a pixel over as much."""
    random = np.random.default_rng(0)
    first = kinds.Conv(random.standard_normal((2, 1, 3, 2)), pad=1)
    layers = [first, pool, kinds.Conv(random.standard_normal((2, 2, 2, 1)), pad=(1, 0, 0, 1))]
    net = fdref.Network(layers, input_size=(7, 6))
    response = fdref.forward(net, np.eye(42).reshape(42, 1, 7, 6), engine)[3]  # linear
    for position in np.ndindex(*response.shape[2:]):
        bank = fdref.decode(net, 3, unpool="window", engine=engine, position=position)
        field = fdref.receptive_field(net, 3, position=position)
        (top, left), (height, width) = field.offset, field.size
        laid = np.zeros((2, 7, 6))
        laid[:, top : top + height, left : left + width] = bank[:, 0]
        close(laid, response[:, :, *position].T.reshape(2, 7, 6))


@pytest.mark.parametrize(
    ("window", "stride", "pad", "size", "picture"),
    [
        ((4, 4), 1, 0, (4, 4), np.ones((4, 4))),
        ((4, 2), (3, 2), 0, (4, 6), np.ones((4, 2))),
        ((2, 4), (2, 3), 0, (6, 4), np.ones((2, 4))),
        ((4, 3), 1, (1, 1, 0, 0), (2, 5), np.ones((4, 1))),  # centred in three columns
    ],
)
def test_a_pool_of_a_single_position_is_spread_over_its_window(
    window, stride, pad, size, picture, engine
):
    """Whatever its stride is: it never takes a second step."""
    one = kinds.Conv(np.full((1, 1, 1, 1), 2.0))
    net = fdref.Network([kinds.Pool(window, stride, pad, "avg"), one], input_size=size)
    assert 1 in net.sizes[1]
    found = fdref.decode(net, 2, unpool="nearest", engine=engine)
    expected = np.zeros(window)
    gap = [(whole - part) // 2 for whole, part in zip(window, picture.shape, strict=True)]
    expected[gap[0] :, gap[1] :][: picture.shape[0], : picture.shape[1]] = 2
    close(found, expected[None, None])
    assert fdref.receptive_field(net, 2).offset == (-net[1].pad[0], -net[1].pad[2])


def test_where_ways_lead_through_other_pools_each_counts_once(engine):
    """The one with the fewest copies as it is, the other divided by its own."""
    pools = [kinds.Pool(2, 2), kinds.Pool(4, 4), kinds.Conv(np.ones((1, 1, 1, 1)), stride=2)]
    for fewest, wiring in ((4, {2: 0, 3: 1, 4: [2, 3]}), (1, {2: 0, 3: 0, 4: [1, 3]})):
        net = fdref.Network([*pools, kinds.Sum()], wiring=wiring)
        assert net.copies[4][0] == fewest
        found = fdref.decode(net, 4, unpool="nearest", engine=engine)
        if fewest == 4:  # a pool of 4 x 4 beside one of 2 x 2 below every second pixel
            expected = np.full((4, 4), 4 / 16)
            expected[:2, :2] += 1
        else:
            expected = np.full((2, 2), 1 / 4)
            expected[0, 0] += 1
        close(found, expected[None, None])


@pytest.mark.parametrize(("unpool", "share"), [("nearest", 1), ("window", 1 / 4)])
def test_shares_of_windows_that_borders_cut_are_those_of_window_alone(unpool, share, engine):
    """The others copy pixels, and what falls on padding falls away."""
    layers = [kinds.Pool(3, 3, 1, "avg"), kinds.Conv(np.ones((1, 1, 1, 1)))]
    net = fdref.Network(layers, input_size=4)
    found = fdref.decode(net, 2, unpool=unpool, engine=engine, position=(0, 0))
    close(found, np.full((1, 1, 2, 2), share))


def test_maps_are_joined_number_by_number(engine):
    one, two = np.array([[1.0, -2, 3], [5, 7, 11]]).reshape(2, 1, 1, 1, 3)
    joins = {
        kinds.Sum(): [6, 5, 14],
        kinds.Sum((2, -1)): [-3, -11, -5],
        kinds.Product(): [5, -14, 33],
        kinds.Maximum(): [5, 7, 11],
        kinds.Concat(): [1, -2, 3, 5, 7, 11],
    }
    for join, expected in joins.items():
        same = kinds.Conv(np.ones((1, 1, 1, 1)))
        net = fdref.Network([same, same, join], wiring={1: 0, 2: -1, 3: [1, 2]})
        assert fdref.forward(net, [one, two], engine)[3].ravel().tolist() == expected


def test_maps_that_nobody_takes_any_more_are_let_go():
    net = fdref.Network([kinds.Conv(np.ones((1, 1, 1, 1))), *[kinds.Scale([2.0])] * 20])
    engine, x = engine_named("reference"), np.ones((1, 1, 200, 200))
    tracemalloc.start()
    try:
        found = run(net, [x], engine, [3, 21])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert {number: maps[0, 0, 0, 0] for number, maps in found.items()} == {3: 4, 21: 2**20}
    assert peak < 6 * x.nbytes


def test_groups_are_known_of_every_layer_with_filters():
    layers = [
        kinds.Conv(np.ones((4, 1, 1, 1))),
        kinds.Conv(np.ones((6, 2, 1, 1))),
        kinds.ConvTranspose(np.ones((6, 2, 2, 2)), groups=3),
        kinds.ReLU(),
    ]
    net = fdref.Network(layers)
    assert [net.groups(number) for number in range(1, 5)] == [1, 2, 3, 1]
    assert net.channels == (1, 4, 6, 6, 6)


def test_names_in_wiring():
    one = [kinds.Conv(np.ones((1, 1, 1, 1)), name=name) for name in ("input", "a", "b", "b")]
    net = fdref.Network(one, wiring={"a": "input", 3: 0, 4: "a"})
    assert net.takes == ((), (0,), (1,), (0,), (2,))  # a layer of that name comes first
    assert fdref.Network(one[1:3], wiring={"b": "input"}).takes == ((), (0,), (0,))
    with pytest.raises(fdref.NetworkError, match=r"'b': layers \[3, 4\] have that name"):
        fdref.Network(one, wiring={"b": 0})


def gradient(layers, inputs, delta, wiring=None):
    channels, engine = [x.shape[1] for x in inputs], engine_named("reference")
    net = fdref.Network(layers, wiring=wiring, input_channels=channels)
    maps = run(net, inputs, engine, range(1 - net.inputs, len(net) + 1))
    return Gradient(net, maps, engine).down_to({len(net): delta})


@pytest.mark.parametrize("size", [3, 4, 7])
def test_the_gradient_through_normalisation_is_its_finite_differences(size):
    """Over even numbers of channels, too, where those before are fewer than those after."""
    random = np.random.default_rng(0)
    layers = [kinds.Conv(np.eye(5).reshape(5, 5, 1, 1)), kinds.Normalize(size, 1.5, 0.7, 0.75)]
    x, delta = random.standard_normal((2, 1, 5, 2, 2))
    found, step = gradient(layers, [x], delta)[0], 1e-5
    for place in np.ndindex(x.shape):
        sides = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            sides.append(
                (fdref.forward(fdref.Network(layers), moved, "reference")[2] * delta).sum()
            )
        assert found[place] == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=1e-8)


def test_at_zero_a_leak_counts_and_of_equal_maps_the_first():
    """As MatConvNet does, and PyTorch in ReLUs."""
    one = kinds.Conv(np.ones((1, 1, 1, 1)))
    x, delta = np.array([-1, 0, 2.0]).reshape(1, 1, 1, 3), np.full((1, 1, 1, 3), 3.0)
    for layer in (kinds.ReLU(0.5), kinds.PReLU([0.5])):
        assert gradient([one, layer], [x], delta)[0].tolist() == [[[[1.5, 1.5, 3]]]]
    clip = kinds.Elementwise("clip", (-1, 2))
    assert gradient([one, clip], [x], delta)[0].tolist() == [[[[0, 3, 0]]]]
    other = np.array([-1, 1, 1.0]).reshape(1, 1, 1, 3)
    found = gradient([one, kinds.Maximum()], [x, other], delta, {1: 0, 2: [1, -1]})
    assert found[0].tolist() == [[[[3, 0, 3]]]]
    assert found[-1].tolist() == [[[[0, 3, 0]]]]


def test_stages_are_pictures_over_the_maps_below_but_for_further_inputs(engine):
    random = np.random.default_rng(0)
    layers = [kinds.Conv(random.standard_normal((2, 1, 3, 3))) for _ in range(2)]
    layers += [kinds.Sum(), kinds.Conv(random.standard_normal((3, 2, 2, 2)))]
    net = fdref.Network(layers, wiring={1: 0, 2: -1, 3: [1, 2]})
    found = fdref.stages(net, 4, engine=engine)
    shapes = [(3, 2, 2, 2)] * 3 + [(3, 1, 4, 4)]  # of the sum, its summands, the image
    assert [stage.shape for stage in found] == shapes
    close(found[-1], fdref.decode(net, 4, engine="reference"))


def test_blocks_of_pixels_are_summed():
    maps = np.arange(36.0).reshape(1, 1, 6, 6)
    expected = [[maps[0, 0, y : y + 3, x : x + 2].sum() for x in (0, 2, 4)] for y in (0, 3)]
    assert block_sums(maps, (3, 2))[0, 0].tolist() == expected


@pytest.mark.parametrize("axis", [0, 1])
def test_what_lies_beside_a_box_is_none_of_it(axis):
    picture = Picture(np.ones((1, 1, 3, 3)), (0, 0))
    for first, inside in ((-9, 0), (-3, 0), (-2, 1), (2, 1), (3, 0), (9, 0)):
        top, left = (first, 0) if axis == 0 else (0, first)
        box = Box(top, left, top + 2, left + 2)
        found = picture.over(box)
        assert (found.origin, found.values.shape) == ((top, left), (1, 1, 3, 3))
        assert found.values.sum() == 3 * inside
