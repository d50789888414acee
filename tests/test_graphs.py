"""Networks as graphs: forward, gradient and decoding against PyTorch and against themselves."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
from absence import absent
from graph_strategies import SIDE, blocks, close, graphs, has_single_filter
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import seeds

import fdref
from fdref import layers as kinds
from fdref.decoding.atoms import Composition, contract
from fdref.decoding.blocks import Plan
from fdref.decoding.ways import Ways
from fdref.engines import engine_named
from fdref.layers.base import Pointwise
from fdref.network.fields import ancestors, jumps, periods
from fdref.network.units import Unit, boxes
from fdref.walk.down import Decoding
from fdref.walk.forward import run
from fdref.walk.gradient import Gradient
from fdref.walk.pictures import unite
from fdref.weights.onnx.writers import WRITERS

ENGINES = st.sampled_from(["compiled", "reference"])
METHODS = st.sampled_from(["bicubic", "bilinear", "nearest", "window"])


@pytest.fixture(scope="module")
def torch_graphs():
    try:
        import torch_graphs
    except ImportError:
        absent("peers", "PyTorch is not installed")
    return torch_graphs


def inputs_for(net, seed, count=2):
    random = np.random.default_rng(seed)
    return [random.standard_normal((count, channels, *SIDE)) for channels in net.input_channels]


@given(graphs(linear=False), seeds, ENGINES)
def test_every_map_is_pytorchs(torch_graphs, net, seed, engine):
    inputs = inputs_for(net, seed)
    found = fdref.forward(net, inputs if net.inputs > 1 else inputs[0], engine)
    expected = torch_graphs.forward(net, inputs)
    assert len(found) == len(net) + 1
    for number, values in enumerate(found):
        close(values, expected[number].numpy())


@pytest.mark.parametrize("constants", [(), (0.75,), (-2.0, 1.5)], ids=str)
@pytest.mark.parametrize("function", sorted(kinds.functions.FUNCTIONS))
def test_every_function_and_its_slope_are_pytorchs(torch_graphs, function, constants):
    """By its own defaults; with the first constants, or all."""
    if len(constants) > len(kinds.functions.FUNCTIONS[function].constants):
        return
    layer = kinds.Elementwise(function, constants)
    x = np.random.default_rng(0).uniform(-8, 8, 2000)  # none lies where a slope jumps
    value, slope = torch_graphs.function(function, constants, x)
    close(layer.value(x), value, 1e-13)
    close(layer.slope(x), slope, 1e-12)
    single = x.astype(np.float32)
    assert layer.value(single).dtype == layer.slope(single).dtype == np.float32
    close(layer.value(single), torch_graphs.function(function, constants, single)[0], 1e-6)


@given(graphs(linear=False), seeds, ENGINES)
def test_the_gradient_is_pytorchs(torch_graphs, net, seed, engine):
    inputs, operations = inputs_for(net, seed), engine_named(engine)
    maps = run(net, inputs, operations, range(1 - net.inputs, len(net) + 1))
    delta = np.random.default_rng(seed).standard_normal(maps[len(net)].shape)
    found = Gradient(net, maps, operations).down_to({len(net): delta})
    for number, expected in torch_graphs.gradients(net, inputs, delta).items():
        if expected is not None:
            close(found.get(number, np.zeros_like(expected)), expected, 1e-9)


@given(graphs(), seeds, ENGINES)
def test_what_a_unit_sees_of_an_image_is_its_gradient_in_a_linear_graph(
    torch_graphs, net, seed, engine
):
    assume(net.input_size)
    number, random = len(net), np.random.default_rng(seed)
    k, *at = (int(random.integers(n)) for n in (net.channels[number], *net.sizes[number]))
    rules = Decoding(net, number, "window", engine_named(engine), Unit(tuple(at), clip=True))
    found = rules.down_to(0, [k])
    for below, expected in torch_graphs.unit_gradients(net, number, (k, *at), SIDE).items():
        close(on_image(found.get(below), expected), expected)


@given(graphs(), seeds)
def test_a_decoded_filter_moved_by_the_jump_is_every_inner_units_gradient(torch_graphs, net, seed):
    number, random = len(net), np.random.default_rng(seed)
    assume(net.input_size and has_single_filter(net, number))
    inner = [at for at in np.ndindex(*net.sizes[number]) if lies_on_all_maps(net, number, at)]
    assume(inner)
    at = inner[int(random.integers(len(inner)))]
    k = int(random.integers(net.channels[number]))
    phase = tuple(n % period for n, period in zip(at, periods(net, number), strict=True))
    picture = Decoding(net, number, "window", engine_named("compiled"), Unit(phase)).decode([k])
    steps = [(at[a] - phase[a]) * jumps(net, number)[0][a] for a in (0, 1)]
    assert all(step.denominator == 1 for step in steps)
    origin = tuple(picture.origin[a] + int(steps[a]) for a in (0, 1))
    expected = torch_graphs.unit_gradients(net, number, (k, *at), SIDE)[0]
    close(on_image(type(picture)(picture.values, origin), expected), expected)


def lies_on_all_maps(net, number, at):
    seen = boxes(net, number, Unit(at))
    return all(box == box.within(net.sizes[n]) for n, box in seen.items())


def on_image(picture, image):
    """Lay the picture of one unit on an empty image."""
    laid = np.zeros_like(image)
    if picture is not None:
        (top, left), (height, width) = picture.origin, picture.values.shape[2:]
        laid[:, top : top + height, left : left + width] = picture.values[0]
    return laid


def go(net, way, unpool, engine):
    """Decode by one way; the banks that it needs come from above."""
    ways = {bank: Ways(net, unpool, 8).from_above(bank, net.channels[bank]) for bank in way.banks}
    in_order = sorted({**ways, way.layer: way}.values(), key=lambda one: (one.boundary, one.layer))
    wanted = {way.layer: range(net.channels[way.layer])}
    found = list(Plan(net, wanted, unpool, engine, ways=tuple(in_order)))
    assert {block.layer for block in found} == {way.layer}
    return np.concatenate([block.pictures for block in found])


def check_every_way(net, unpool, engine, equal):
    seen = set()
    for number in {len(net), *net.decodable}:
        if has_single_filter(net, number):
            every = range(net.channels[number])
            rules = Decoding(net, number, unpool, engine_named("reference"))
            expected = rules.decode(every).values
            assert expected.shape[2:] == fdref.receptive_field(net, number).size
            for way in Ways(net, unpool, 8).all_to(number, len(every)):
                equal(go(net, way, unpool, engine), expected)
                seen.add((way.kind, len(way.met) > 1))
    return seen


@given(graphs() | blocks(), METHODS, ENGINES)
def test_all_ways_through_a_graph_lead_to_the_same(net, unpool, engine):
    check_every_way(net, unpool, engine, lambda found, expected: close(found, expected, 1e-9))


@given(blocks(integers=True), ENGINES)
def test_with_integers_all_ways_through_a_graph_lead_to_the_same_bits(net, engine):
    fewest, most = net.copies[len(net)]
    assume(fewest == most)  # else shares of thirds
    check_every_way(net, "nearest", engine, np.testing.assert_array_equal)


def test_cuts_of_several_maps_are_among_the_ways():
    seen = set()

    @given(blocks())
    def collect(net):
        seen.update(check_every_way(net, "window", "compiled", close))

    collect()
    assert ("atoms", True) in seen
    assert ("atoms", False) in seen


@given(graphs(), METHODS)
def test_atoms_of_every_map_are_what_its_pixels_decode_to(net, unpool):
    engine = engine_named("reference")
    rules, found = Composition(net, unpool, engine), {-n: None for n in range(1, net.inputs)}
    found[0] = rules.of_input(0)
    lattices = Ways(net, unpool, 8).lattices
    for number in range(1, len(net) + 1):
        if number in lattices and (lattices[number] is None or lattices[number].composes):
            found[number] = rules.above(number, [found[n] for n in net.takes[number]])
        if found.get(number) is not None and has_single_filter(net, number):
            every = range(net.channels[number])
            whole = Decoding(net, number, unpool, engine).decode(every)
            assert found[number].pictures.origin == whole.origin
            close(found[number].pictures.values, whole.values, 1e-9)


@given(graphs(), METHODS, seeds)
def test_pictures_over_any_cut_meet_atoms_in_the_same_filter(net, unpool, seed):
    number, engine = len(net), engine_named("reference")
    assume(has_single_filter(net, number))
    ways = Ways(net, unpool, 8)
    rules, decoding = Composition(net, unpool, engine), Decoding(net, number, unpool, engine)
    whole = decoding.decode(range(net.channels[number]))
    boundary = int(np.random.default_rng(seed).integers(0, number))
    met = decoding.down_to(boundary, range(net.channels[number]))
    assume(all(n in ways.lattices for n in met))
    assume(all(x is None or x.composes for x in (ways.lattices[n] for n in met)))
    atoms = {-n: rules.of_input(-n) for n in range(net.inputs)}
    for n in range(1, boundary + 1):
        if n in ways.lattices and (ways.lattices[n] is None or ways.lattices[n].composes):
            atoms[n] = rules.above(n, [atoms[taken] for taken in net.takes[n]])
    parts = [contract(picture, atoms[n], engine) for n, picture in met.items() if atoms[n]]
    close(unite(parts).over(whole.box).values, whole.values, 1e-9)


@given(graphs(), METHODS, seeds)
def test_one_unit_of_an_image_is_decoded_clipped(net, unpool, seed):
    number, random = len(net), np.random.default_rng(seed)
    assume(net.input_size and 0 in ancestors(net, number))
    at = tuple(int(random.integers(n)) for n in net.sizes[number])
    found = fdref.decode(net, number, unpool=unpool, position=at)
    every = range(net.channels[number])
    rules = Decoding(net, number, unpool, engine_named("reference"), Unit(at, clip=True))
    expected = rules.decode(every)
    field = fdref.receptive_field(net, number, position=at)
    assert (field.size, field.offset) == (expected.values.shape[2:], expected.origin)
    close(found, expected.values, 1e-9)


def enlarging() -> fdref.Network:
    """Upsampling by 3 and 2, then taps of 2: units repeat every 3 rows and 2 columns."""
    random = np.random.default_rng(0)
    return fdref.Network(
        [
            fdref.Conv(random.standard_normal((2, 1, 3, 3)), name="below"),
            fdref.Upsample((3, 2)),
            fdref.Conv(random.standard_normal((2, 2, 2, 2)), name="above"),
        ],
        input_size=6,
    )


@pytest.mark.parametrize("unpool", get_args(fdref.engines.resize.Method))
@pytest.mark.parametrize("position", [None, (0, 2)], ids=["inside", "corner"])
@pytest.mark.parametrize("join", [kinds.Sum, kinds.Concat])
def test_a_branch_of_a_second_input_counts_as_nothing(join, position, unpool, engine):
    """Its layers have no filter in the image, and decoding does not stand on their banks."""
    random = np.random.default_rng(0)
    layers = [kinds.Conv(random.standard_normal((3, 3, 3, 3))) for _ in range(4)]
    top = random.standard_normal((4, 6 if join is kinds.Concat else 3, 2, 2))
    last = random.standard_normal((2, 4, 2, 2))
    layers += [join(), kinds.Pool(3, 2), kinds.Conv(top), kinds.Conv(last)]
    wiring = {1: 0, 2: 1, 3: -1, 4: 3, 5: [2, 4]}
    net = fdref.Network(layers, wiring=wiring, input_size=20)
    layers[2] = kinds.Conv(np.zeros((3, 3, 3, 3)))
    silent = fdref.Network(layers, wiring=wiring | {3: 0}, input_size=20)
    for number in (5, 7, 8):
        found = fdref.decode(net, number, unpool=unpool, position=position, engine=engine)
        expected = fdref.decode(silent, number, unpool=unpool, position=position, engine=engine)
        close(found, expected)
    for number in (3, 4):
        with pytest.raises(fdref.ArgumentError, match="only further inputs"):
            fdref.decode(net, number, engine=engine)
    assert list(fdref.decode_all(net, unpool=unpool, engine=engine)) == [1, 2, 7, 8]


def test_all_that_has_filters_in_the_image_is_decoded_by_default(tmp_path):
    """Not what sees only other inputs, or stands on a product."""
    one = [kinds.Conv(np.ones((1, 1, 1, 1)), name=name) for name in ("own", "other", "gated", "up")]
    layers = [*one[:2], kinds.Product(name="gate"), *one[2:]]
    wiring = {"own": 0, "other": -1, "gate": ["own", "other"], "up": "own"}
    net = fdref.Network(layers, wiring=wiring)
    assert net.decodable == (1, 5)
    assert fdref.decode_all(net).keys() == {1, 5}
    fdref.decode_to(tmp_path / "decoded.h5", net)
    for refused, why in (("gated", "is not linear"), ("other", "only further inputs")):
        with pytest.raises(fdref.ArgumentError, match=why):
            fdref.decode_to(tmp_path / "decoded.h5", net, [refused])
    with pytest.raises(fdref.ArgumentError, match="2 inputs; expected one"):
        fdref.evaluate(net, np.zeros((1, 1, 3, 3)))


def enlarging_twice() -> fdref.Network:
    """Every second row by 2/3 of a pixel, then by 3: units repeat every 6 rows, as columns do."""
    random = np.random.default_rng(0)
    return fdref.Network(
        [
            fdref.Conv(random.standard_normal((2, 1, 1, 1)), name="below"),
            fdref.Upsample(2),
            fdref.Conv(random.standard_normal((2, 2, 2, 2)), stride=3),
            fdref.Upsample(3),
            fdref.Conv(random.standard_normal((2, 2, 2, 1)), name="above"),
        ],
        input_size=6,
    )


@pytest.mark.parametrize(
    ("net", "number", "period", "stride", "sizes"),
    [
        (
            enlarging(),
            3,
            (3, 2),
            (Fraction(1, 3), Fraction(1, 2)),
            {(3, 3), (3, 4), (4, 3), (4, 4)},
        ),
        (
            enlarging_twice(),
            5,
            (6, 6),
            (Fraction(1, 2), Fraction(1, 2)),
            {(height, width) for height in (1, 2, 3) for width in (1, 2)},
        ),
    ],
    ids=["once", "twice"],
)
def test_units_above_enlarged_maps_repeat_and_each_phase_has_its_filter(
    net, number, period, stride, sizes, engine
):
    x = np.random.default_rng(1).standard_normal((1, 1, 6, 6))
    response = fdref.forward(net, x, engine)[number]
    assert periods(net, number) == period
    for beyond in ((period[0], 0), (0, period[1])):
        with pytest.raises(fdref.ArgumentError, match="expected at most"):
            fdref.decode(net, number, engine=engine, phase=beyond)
    assert min(response.shape[2:]) > min(period)
    found = set()
    for at in np.ndindex(*response.shape[2:]):
        phase = tuple(n % one for n, one in zip(at, period, strict=True))
        field = fdref.receptive_field(net, number, phase=phase)
        assert field.stride == stride
        top, left = (int(field.offset[a] + (at[a] - phase[a]) * field.stride[a]) for a in (0, 1))
        seen = x[0, :, top : top + field.size[0], left : left + field.size[1]]
        bank = fdref.decode(net, "above", unpool="nearest", engine=engine, phase=phase)
        close(np.einsum("kcyx,cyx->k", bank, seen), response[0, :, at[0], at[1]])
        found.add(bank.shape[2:])
    assert found == sizes


def test_what_has_no_single_filter_is_refused_by_name():
    one = fdref.Conv(np.ones((1, 1, 1, 1)), stride=2, name="slow")
    two = fdref.Conv(np.ones((1, 1, 1, 1)), name="fast")
    crop = fdref.Pad((0, -4, 0, -4), name="crop")
    layers = [one, two, crop, fdref.Sum(name="sum")]
    net = fdref.Network(layers, wiring={"fast": 0, "sum": ["slow", "crop"]}, input_size=8)
    with pytest.raises(fdref.ArgumentError, match=r"'sum'.* no single filter.*'fast'.*'slow'"):
        fdref.decode(net, "sum")
    unit = fdref.decode(net, "sum", position=(1, 2))
    assert fdref.receptive_field(net, "sum", position=(1, 2)).offset == (1, 2)
    assert unit.shape == (1, 1, 2, 3)
    assert (unit[0, 0, [0, 1], [0, 2]] == 1).all()
    assert unit.sum() == 2
    product = fdref.Network([two, fdref.Product(name="gate")], wiring={"gate": [0, 1]})
    with pytest.raises(fdref.ArgumentError, match=r"has no filter: layer 2 \(product 'gate'"):
        fdref.decode(product, "gate")
    assert fdref.decode(product, "fast").shape == (1, 1, 1, 1)
    further = fdref.Network([two, one], wiring={"fast": -1, "slow": 0})
    with pytest.raises(fdref.ArgumentError, match=r"layer 1 .* does not see the image"):
        fdref.decode(further, "fast")


@pytest.mark.parametrize(
    ("wiring", "message"),
    [
        ({"b": "c"}, r"layer 2 \(conv 'b'\) takes the map of layer 3, which comes no earlier"),
        ({"b": "b"}, r"takes the map of layer 2, which comes no earlier"),
        ({"d": "a"}, r"layer 4 \(sum 'd'\) takes 1 maps; expected at least 2"),
        ({"d": ["a", "b"], "b": ["a", 0]}, r"layer 2 \(conv 'b'\) takes 2 maps; expected 1"),
        ({"d": ["a", "e"]}, r"takes 'e': no layer has that name; the names are 'a', 'b', 'c', 'd'"),
        ({"e": ["a", "b"]}, "wiring of 'e': no layer has that name"),
        ({0: "a"}, "wiring of an input"),
        ({"d": ["a", True]}, "takes True; expected a layer's number or name"),
        ({"d": [1, 9]}, "takes 9; expected a number up to 4"),
        ({"d": [1, -64]}, "takes -64; expected a number up to 4"),  # so many inputs has nobody
        ([("d", ["a", "b"])], r"wiring is \[\('d'.*expected \{layer: what it takes\}"),
        ({"d": ["a", "input"]}, r"layer 4 .*: its maps have 2, 1 channels; expected the same"),
    ],
)
def test_wiring_that_does_not_fit(wiring, message):
    layers = [fdref.Conv(np.ones((2, 1, 1, 1)), name="a")]
    layers += [fdref.Conv(np.ones((2, 2, 1, 1)), name=name) for name in "bc"]
    with pytest.raises(fdref.NetworkError, match=message):
        fdref.Network([*layers, fdref.Sum(name="d")], wiring=wiring)


def test_a_graph_is_a_value():
    net = enlarging()
    block = fdref.Network(
        [fdref.Conv(np.ones((1, 1, 1, 1))), fdref.Sum()], wiring={2: [0, 1]}, input_size=4
    )
    for own in (net, block):
        again = pickle.loads(pickle.dumps(own))  # noqa: S301 - our own
        assert again == own
        assert hash(again) == hash(own)
        assert again.takes == own.takes
    chain = [fdref.Conv(np.ones((1, 1, 1, 1))), fdref.Conv(np.ones((1, 1, 1, 1)))]
    assert fdref.Network(chain) == fdref.Network(chain, wiring={2: 1, 1: "input"})
    assert fdref.Network(chain) != fdref.Network(chain, wiring={2: 0})


def test_what_matconvnet_does_not_have_cannot_be_written(tmp_path):
    halves = fdref.Sum((0.5, 0.5))
    mean = fdref.Network([fdref.Conv(np.ones((1, 1, 1, 1))), halves], wiring={2: [0, 1]})
    for net in (mean, enlarging()):
        with pytest.raises(fdref.NetworkError, match="cannot be written, MatConvNet has no such"):
            fdref.save(net, tmp_path / "net.mat")
    assert not list(tmp_path.iterdir())


def test_every_table_has_a_row_for_every_kind_of_layer():
    """What a table forgets, mypy finds; a kind that is missing from all of them, this."""
    known = {kind.__name__ for kind in get_args(kinds.Layer)}
    made = {
        name
        for name, value in vars(kinds).items()
        if isinstance(value, type) and issubclass(value, Pointwise)
    }
    assert made == known
    assert {"Sum", "Conv", "Product"} < known
    written = {kind.__name__ for kind in WRITERS}
    assert written == known - {"Unknown"}
    assert known <= set(fdref.__all__)


def test_a_chain_written_as_a_graph_gives_the_same_bits(engine):
    net = fdref.load()
    wired = fdref.Network(
        net.layers, wiring={n: n - 1 for n in range(1, 9)}, average=net.average, input_size=28
    )
    for unpool in ("bicubic", "nearest", "window"):
        for number in net.decodable:
            expected = fdref.decode(net, number, [0, 3], unpool, engine)
            assert (fdref.decode(wired, number, [0, 3], unpool, engine) == expected).all()


def test_splitting_a_convolution_gives_the_same_picture():
    random = np.random.default_rng(2)
    below = fdref.Conv(random.integers(-3, 4, (4, 2, 3, 3)).astype(float), name="below")
    bank = random.integers(-3, 4, (3, 4, 3, 3)).astype(float)
    above = fdref.Conv(random.integers(-3, 4, (2, 3, 2, 2)).astype(float), name="above")
    whole = fdref.Network([below, fdref.Conv(bank), above])
    left, right = (fdref.Channels(range(start, start + 2)) for start in (0, 2))
    halves = [fdref.Conv(bank[:, :2]), fdref.Conv(bank[:, 2:])]
    summed = fdref.Network(
        [below, left, halves[0], right, halves[1], fdref.Sum(), above],
        wiring={4: 1, 6: [3, 5]},
    )
    parts = [fdref.Conv(bank[:1]), fdref.Conv(bank[1:])]
    stacked = fdref.Network(
        [below, parts[0], parts[1], fdref.Concat(), above], wiring={3: 1, 4: [2, 3]}
    )
    expected = fdref.decode(whole, "above", unpool="nearest")
    for net in (summed, stacked):
        assert (fdref.decode(net, "above", unpool="nearest") == expected).all()
