"""Networks as graphs: forward, gradient and decoding against PyTorch and against themselves."""

from __future__ import annotations

import numpy as np
import pytest
from absence import absent
from graph_strategies import SIDE, blocks, graphs, has_single_filter
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import seeds

import fdref
from fdref.atoms import Composition, contract
from fdref.blocks import Plan
from fdref.down import Decoding
from fdref.engine import engine_named
from fdref.fields import boxes, jumps, periods
from fdref.forward_pass import run
from fdref.gradient import Gradient
from fdref.pictures_over_maps import unite
from fdref.ways import Ways

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


def close(found, expected, eps=1e-10):
    assert found.shape == expected.shape
    assert abs(found - expected).max(initial=0) <= eps * max(1, abs(expected).max(initial=0))


@given(graphs(linear=False), seeds, ENGINES)
def test_every_map_is_pytorchs(torch_graphs, net, seed, engine):
    inputs = inputs_for(net, seed)
    found = fdref.forward(net, inputs if net.inputs > 1 else inputs[0], engine)
    expected = torch_graphs.forward(net, [torch_graphs.tensor(x) for x in inputs])
    assert len(found) == len(net) + 1
    for number, values in enumerate(found):
        close(values, expected[number].numpy())


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
    rules = Decoding(net, number, "window", engine_named(engine), clip=True)
    found = rules.down_to(0, [k], tuple(at))
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
    picture = Decoding(net, number, "window", engine_named("compiled")).decode([k], phase)
    steps = [(at[a] - phase[a]) * jumps(net, number)[0][a] for a in (0, 1)]
    assert all(step.denominator == 1 for step in steps)
    origin = tuple(picture.origin[a] + int(steps[a]) for a in (0, 1))
    expected = torch_graphs.unit_gradients(net, number, (k, *at), SIDE)[0]
    close(on_image(type(picture)(picture.values, origin), expected), expected)


def lies_on_all_maps(net, number, at):
    seen = boxes(net, number, at)
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
            expected = rules.decode(every, (0, 0)).values
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
            whole = Decoding(net, number, unpool, engine).decode(every, (0, 0))
            assert found[number].pictures.origin == whole.origin
            close(found[number].pictures.values, whole.values, 1e-9)


@given(graphs(), METHODS, seeds)
def test_pictures_over_any_cut_meet_atoms_in_the_same_filter(net, unpool, seed):
    number, engine = len(net), engine_named("reference")
    assume(has_single_filter(net, number))
    ways = Ways(net, unpool, 8)
    rules, decoding = Composition(net, unpool, engine), Decoding(net, number, unpool, engine)
    whole = decoding.decode(range(net.channels[number]), (0, 0))
    boundary = int(np.random.default_rng(seed).integers(0, number))
    met = decoding.down_to(boundary, range(net.channels[number]), (0, 0))
    assume(all(n in ways.lattices for n in met))
    assume(all(x is None or x.composes for x in (ways.lattices[n] for n in met)))
    atoms = {-n: rules.of_input(-n) for n in range(net.inputs)}
    for n in range(1, boundary + 1):
        if n in ways.lattices and (ways.lattices[n] is None or ways.lattices[n].composes):
            atoms[n] = rules.above(n, [atoms[taken] for taken in net.takes[n]])
    parts = [contract(picture, atoms[n], engine) for n, picture in met.items() if atoms[n]]
    close(unite(parts).over(whole.box).values, whole.values, 1e-9)
