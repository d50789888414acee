"""What neurons are made of: shares that add up to 1, and slow twins that decode every part."""

from __future__ import annotations

import pickle
from collections import defaultdict

import numpy as np
import pytest
from graph_strategies import blocks, graphs, has_single_filter
from hypothesis import assume, given
from strategies import methods, networks

import fdref
from fdref.decoding.accounting import Accounts
from fdref.engines import engine_named
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture, unite

METHODS = ("bicubic", "nearest", "bilinear", "window")


def slow_composition(net, number, indices, method):
    """Decode every part by itself, a tagged picture that goes its own way, and multiply.

    Pictures of all parts over one map cover one box, as the united picture does.
    """
    rules = Decoding(net, number, method, engine_named("reference"))
    handed = defaultdict(lambda: defaultdict(list))
    pixels = np.zeros((len(indices), net.channels[number], 1, 1))
    pixels[np.arange(len(indices)), list(indices)] = 1
    handed[number][None].append(Picture(pixels, (0, 0)))
    for at in range(number, -1, -1):
        parts = {tag: unite(pictures) for tag, pictures in handed.pop(at, {}).items()}
        if not parts:
            continue
        box = unite([Picture(p.values * 0 + 1, p.origin) for p in parts.values()]).box
        parts = {tag: picture.over(box) for tag, picture in parts.items()}
        own = isinstance(net[at], fdref.Conv | fdref.ConvTranspose) if at else True
        if None in parts and own and at != number:
            whole = parts.pop(None)
            for channel in range(net.channels[at]):
                values = np.zeros_like(whole.values)
                values[:, channel] = whole.values[:, channel]
                tag = at, channel
                parts[tag] = Picture(values, box.origin)
        if at == 0:
            break
        for tag, picture in parts.items():
            for below, lower in zip(net.takes[at], rules.below(at, picture), strict=True):
                handed[below][tag].append(lower)
    whole = sum(picture.values for picture in parts.values())
    squares = (whole**2).sum(axis=(1, 2, 3))
    return {
        tag: (picture.values * whole).sum(axis=(1, 2, 3)) / np.where(squares, squares, 1)
        for tag, picture in parts.items()
    }, whole


def tags(made_of):
    return list(zip(made_of.layers.tolist(), made_of.channels.tolist(), strict=True))


def check_twin(net, number, method, eps=1e-9):
    indices = range(net.channels[number])
    made_of = fdref.composition(net, number, unpool=method, engine="reference")
    expected, whole = slow_composition(net, number, indices, method)
    assert expected.keys() <= set(tags(made_of))
    largest = max(1, abs(made_of.shares).max())
    for p, tag in enumerate(tags(made_of)):
        assert abs(made_of.shares[:, p] - expected.get(tag, 0.0)).max() <= eps * largest
    sums = made_of.shares.sum(axis=1)
    empty = ~whole.any(axis=(1, 2, 3))
    assert abs(sums[~empty] - 1).max(initial=0) <= eps * largest
    assert not made_of.shares[empty].any()
    return made_of


@given(net=networks(), method=methods)
def test_shares_in_a_chain_are_those_of_parts_that_are_decoded_one_by_one(net, method):
    check_twin(net, len(net), method)


@given(net=graphs(linear=False), method=methods)
def test_shares_in_a_graph_are_those_of_parts_that_are_decoded_one_by_one(net, method):
    assume(has_single_filter(net, len(net)))
    check_twin(net, len(net), method)


@given(net=blocks(), method=methods)
def test_shares_over_branches_with_pools_of_their_own(net, method):
    assume(has_single_filter(net, len(net)))
    check_twin(net, len(net), method)


@given(net=graphs(linear=False, among=("conv", "pool", "concat", "sum", "relu", "pad", "channels")))
def test_products_with_atoms_are_those_of_the_transposed_walk(net):
    assume(has_single_filter(net, len(net)))
    for method in ("nearest", "window"):
        check_both_ways(net, method)


def check_both_ways(net, method):
    """Compare products with any pictures, where there are both ways, and sums with the whole's."""
    accounts = Accounts(net, len(net), method, engine_named("compiled"))
    indices = range(net.channels[len(net)])
    decoded = fdref.decode(net, len(net), unpool=method)
    pictures = np.random.default_rng(0).standard_normal(decoded.shape).astype(decoded.dtype)
    walked = accounts.products(indices, pictures)
    eps = 1e-10 * max(1, abs(walked).max())
    assert abs(walked.sum(axis=1) - (decoded * pictures).sum(axis=(1, 2, 3))).max() <= eps
    if accounts.banks is not None:
        banks = {n: fdref.decode(net, n, unpool=method) for n in accounts.banks}
        by_atoms = accounts.products(indices, pictures, accounts.with_atoms(banks))
        assert abs(walked - by_atoms).max() <= eps


@given(net=graphs(linear=False), method=methods)
def test_engines_agree(net, method):
    assume(has_single_filter(net, len(net)))
    slow = fdref.composition(net, len(net), unpool=method, engine="reference")
    fast = fdref.composition(net, len(net), unpool=method)
    assert tags(slow) == tags(fast)
    scale = max(1, abs(slow.shares).max())
    # A filter of rounding errors alone, which is 0 for one engine, is not for the other.
    sums = [made_of.shares.sum(axis=1) > 0.5 for made_of in (slow, fast)]
    both = sums[0] & sums[1]
    assert abs(slow.shares - fast.shares)[both].max(initial=0) <= 1e-8 * scale


@pytest.mark.parametrize("method", METHODS)
def test_shares_of_lenet_add_up_to_one(method, engine):
    net = fdref.load()
    for number in net.decodable:
        some = None if engine == "compiled" else range(min(9, net.channels[number]))
        made_of = fdref.composition(net, number, some, method, engine)
        assert abs(made_of.shares.sum(axis=1) - 1).max() < (1e-6 if engine == "compiled" else 1e-12)
    assert set(made_of.layers) == {5}


def test_shares_say_how_much_a_part_makes():
    parts = np.zeros((2, 1, 1, 2))
    parts[0, 0, 0, 0] = parts[1, 0, 0, 1] = 1  # left pixel, right pixel
    weights = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])[:, :, None, None]
    net = fdref.Network([fdref.Conv(parts), fdref.ReLU(), fdref.Conv(weights)])
    made_of = fdref.composition(net, 3)
    assert tags(made_of) == [(1, 0), (1, 1)]
    np.testing.assert_allclose(made_of.shares, [[0.36, 0.64], [1, 0], [0, 0]], atol=1e-15)
    assert tags(fdref.composition(net, 1)) == [(0, 0)]
    against = fdref.Network([fdref.Conv([[[[1.0]]], [[[1.0]]]]), fdref.Conv([[[[3.0]], [[-1.0]]]])])
    np.testing.assert_allclose(fdref.composition(against, 2).shares, [[1.5, -0.5]])


def test_colour_channels_are_the_parts_of_the_first_layer():
    bank = np.random.default_rng(0).standard_normal((5, 3, 4, 4))
    made_of = fdref.composition(fdref.Network([fdref.Conv(bank)]), 1)
    squares = (bank**2).sum(axis=(2, 3))
    np.testing.assert_allclose(made_of.shares, squares / squares.sum(axis=1, keepdims=True))
    assert made_of.layers.tolist() == [0, 0, 0]
    assert made_of.channels.tolist() == [0, 1, 2]


def residual():
    random = np.random.default_rng(0)
    stem, first, second = (random.standard_normal((3, 3, 3, 3)) for _ in range(3))
    return fdref.Network(
        [
            fdref.Conv(stem, pad=1, name="stem"),
            fdref.ReLU(name="input"),
            fdref.Conv(first, pad=1, name="branch"),
            fdref.Sum(name="sum"),
            fdref.Conv(second, name="top"),
        ],
        wiring={"sum": ["branch", "input"]},
    )


def test_ways_end_at_the_first_layer_with_filters():
    """The stem lies below the branch, too; what skips the branch is the stem's, the rest is not."""
    net = residual()
    made_of = check_twin(net, 5, "nearest")
    assert sorted(set(tags(made_of))) == [(n, c) for n in (1, 3) for c in range(3)]
    without = fdref.Network([net[1], net[2], net[5]])  # the way that skips
    skipped = np.pad(fdref.decode(without, 3), ((0, 0), (0, 0), (1, 1), (1, 1)))
    whole = fdref.decode(net, 5)
    share = (skipped * whole).sum(axis=(1, 2, 3)) / (whole**2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(made_of.shares[:, made_of.layers == 1].sum(axis=1), share)
    sums = fdref.composition(net, "sum")  # a unit of the sum: its branch, and what it skips
    assert sorted(set(sums.layers)) == [1, 3]
    np.testing.assert_allclose(sums.shares.sum(axis=1), 1)


@pytest.mark.parametrize("method", METHODS)
def test_branches_of_different_pools_above_a_common_one(method):
    """Pools share among their copies there, and what all ways have in common is given back."""
    random = np.random.default_rng(0)
    net = fdref.Network(
        [
            fdref.Conv(random.standard_normal((3, 2, 3, 3))),
            fdref.Pool(2, 2, name="common"),
            fdref.Pool(2, 2, name="pooled"),
            fdref.Conv(random.standard_normal((3, 3, 2, 2)), stride=2, name="strided"),
            fdref.Concat(),
            fdref.Conv(random.standard_normal((4, 6, 2, 2))),
        ],
        wiring={"strided": "common", 5: ["pooled", "strided"]},
    )
    made_of = check_twin(net, 6, method)
    assert sorted(set(made_of.layers)) == [1, 4]
    fast = fdref.composition(net, 6, unpool=method)
    np.testing.assert_allclose(fast.shares, made_of.shares, atol=1e-9)
    check_both_ways(net, method)


@pytest.mark.parametrize("method", ["nearest", "bicubic"])  # with atoms, by the transposed walk
def test_work_in_pieces_is_the_same(method, monkeypatch):
    net, counted = fdref.load(), []
    whole = [fdref.composition(net, n, unpool=method) for n in (3, 5)]
    monkeypatch.setattr("fdref.decoding.accounting.TERMS", 50)  # three of 14 rows
    monkeypatch.setattr("fdref.decoding.accounting.TOGETHER", 3)
    monkeypatch.setattr("fdref.decoding.accounting.SHARED_OUT", 7 * 28**2)
    monkeypatch.setattr("fdref.decoding.accounting.PICTURES", 7 * 20 * 24**2)
    for number, own in zip((3, 5), whole, strict=True):
        found = fdref.composition(net, number, unpool=method, progress=counted.append)
        np.testing.assert_allclose(found.shares, own.shares, atol=1e-6)
    assert counted[-3:] == [7, 7, 3]


@given(net=networks(), method=methods)
def test_sums_are_1_in_either_precision(net, method):
    number = net.decodable[-1]
    made_of = fdref.composition(net, number, unpool=method)
    there = fdref.decode(net, number, unpool=method).any(axis=(1, 2, 3))
    eps = 1e-5 if net.dtype == np.float32 else 1e-12
    largest = np.maximum(1, abs(made_of.shares).sum(axis=1))
    assert (abs(made_of.shares.sum(axis=1) - 1) <= eps * largest)[there].all()


def test_a_unit_of_a_layer_that_passes_channels_on_is_made_of_its_channel():
    net = residual()
    np.testing.assert_allclose(fdref.composition(net, 2).shares, np.eye(3), atol=1e-15)


def test_some_neurons_in_any_order(engine):
    net = fdref.load()
    whole = fdref.composition(net, 5, range(4), "nearest", engine)
    some = fdref.composition(net, 5, [3, 1, 3], "nearest", engine)
    assert some.filters.tolist() == [3, 1, 3]
    np.testing.assert_allclose(some.shares, whole.shares[[3, 1, 3]], atol=1e-6)
    assert fdref.composition(net, 5, [], "nearest", engine).shares.shape == (0, 50)


@pytest.mark.parametrize("method", METHODS)
def test_banks_that_there_are_need_not_be_decoded(method, monkeypatch):
    net = fdref.load()
    banks = fdref.decode_all(net, method)
    expected = [fdref.composition(net, number, unpool=method) for number in (1, 3, 5)]
    monkeypatch.setattr("fdref.decoding.blocks._Decoder._go", None)  # nobody goes any way
    for number, own in zip((1, 3, 5), expected, strict=True):
        found = fdref.composition(net, number, unpool=method, banks=banks)
        np.testing.assert_allclose(found.shares, own.shares, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_shares_do_not_depend_on_how_large_weights_are(scale):
    net = fdref.load()
    layers = [
        fdref.Conv(layer.filters * np.float32(scale), stride=layer.stride)
        if isinstance(layer, fdref.Conv)
        else layer
        for layer in net.layers[:3]
    ]
    scaled = fdref.composition(fdref.Network(layers), 3, unpool="nearest")
    np.testing.assert_allclose(
        scaled.shares, fdref.composition(net, 3, unpool="nearest").shares, atol=1e-5
    )


def test_progress_counts_neurons():
    counted = []
    fdref.composition(fdref.load(), 5, unpool="bicubic", progress=counted.append)
    assert sum(counted) == 500


def test_a_composition_is_a_value():
    made_of = fdref.composition(fdref.load(), 7)
    assert pickle.loads(pickle.dumps(made_of)) == made_of  # noqa: S301 - written here
    with pytest.raises(ValueError, match="read-only"):
        made_of.shares[0] = 0
    with pytest.raises(AttributeError):
        made_of.shares = 0


def test_bad_arguments():
    net = fdref.load()
    banks = fdref.decode_all(net, "nearest")
    for arguments, message in (
        ({"layer": 9}, "there is no layer 9"),
        ({"layer": 3, "filters": [50]}, "no filter 50"),
        ({"layer": 3, "unpool": "cubic"}, "unpool is 'cubic'"),
        ({"layer": 3, "engine": "fast"}, "engine is 'fast'"),
        ({"layer": 3, "progress": 3}, "progress is 3"),
        ({"layer": 3, "banks": [banks[3]]}, "banks are"),
        ({"layer": 3, "banks": {3: banks[1]}}, "bank of layer 3 .* has shape"),
        ({"layer": 3, "banks": {3: banks[3] * 1j}}, "dtype complex"),
        ({"layer": 3, "banks": {"no": banks[3]}}, "no layer is named"),
        ({"layer": 3, "unpool": "bicubic", "banks": banks}, "add up to .* decode them again"),
        ({"layer": 3, "banks": {3: banks[3] * np.nan}}, "NaN or infinity"),
    ):
        with pytest.raises(fdref.ArgumentError, match=message):
            fdref.composition(net, **arguments)
    with pytest.raises(fdref.ArgumentError, match="net is"):
        fdref.composition(banks, 3)
    product = fdref.Network(
        [fdref.Conv(np.ones((2, 1, 1, 1))), fdref.Product(), fdref.Conv(np.ones((1, 2, 1, 1)))],
        wiring={2: [1, 1]},
    )
    with pytest.raises(fdref.ArgumentError, match="has no filter"):
        fdref.composition(product, 3)


def test_decoded_filters_beyond_the_precision_are_told():
    bank = np.full((2, 1, 3, 3), 1e30, np.float32)
    net = fdref.Network([fdref.Conv(bank), fdref.Conv(bank.repeat(2, axis=1))])
    told = r"layer 2 .* has decoded filters too large for float32"
    for beyond in (fdref.composition, fdref.match, fdref.explore):
        arguments = {"layer": 2} if beyond is fdref.composition else {}
        if beyond is fdref.match:
            arguments = {"other": net}
        with pytest.raises(fdref.NetworkError, match=told):
            beyond(net, **arguments)
