"""Networks and layers are values, and results belong to whoever asked for them."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import images_for, methods, networks

import fdref
from fdref import BatchNorm, Conv, Dropout, Network, Normalize, Pool, ReLU, Softmax

LAYERS = [
    Conv(np.arange(24.0).reshape(2, 3, 2, 2), [1, 2], (1, 2), (0, 1, 2, 3), 2, "a conv"),
    Conv(np.ones((1, 1, 1, 1), np.float32)),
    Pool((3, 2), 2, (0, 1, 0, 1), "avg", "a pool"),
    ReLU(0.1, "a relu"),
    Normalize(5, 1.0, 2e-5, 0.75, "a norm"),
    BatchNorm([1, 2], [3, 4], [5, 6], [7, 8], "a bnorm"),
    Dropout(0.3, "a dropout"),
    Softmax("a softmax"),
]
COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy}
for version in range(pickle.HIGHEST_PROTOCOL + 1):
    COPIES[f"pickle {version}"] = lambda value, version=version: pickle.loads(  # noqa: S301 - ours
        pickle.dumps(value, version)
    )


def small_network() -> Network:
    random = np.random.default_rng(0)
    layers = [
        Conv(random.standard_normal((4, 1, 2, 2)), random.standard_normal(4), name="first"),
        BatchNorm(*np.random.default_rng(1).uniform(1, 2, (4, 4))),
        Pool(2, 2),
        Conv(random.standard_normal((3, 4, 2, 2)), name="second"),
    ]
    average = random.standard_normal((1, 5, 6))
    return Network(layers, average=average, classes=["ä", ""], provenance="here")


def arrays_in(net: Network) -> list[np.ndarray]:
    """Everything that would change the network."""
    held = [value for layer in net for value in vars(layer).values()]
    return [value for value in [*held, net.average] if isinstance(value, np.ndarray)]


def assert_read_only(arrays) -> None:
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_copies_are_equal_and_read_only(made):
    net = small_network()
    again = made({"net": net})["net"] if made is not copy.copy else made(net)
    assert again == net
    assert hash(again) == hash(net)
    assert len(arrays_in(again)) == 8
    assert_read_only(arrays_in(again))
    assert (again.classes, again.provenance) == (("ä", ""), "here")
    first = fdref.decode(again, 1)
    first *= 2
    assert (fdref.decode(again, 1) == first / 2).all()
    assert (fdref.decode_all(again)[4] == fdref.decode_all(net)[4]).all()
    for layer in LAYERS:
        twin = made(layer)
        assert twin == layer
        assert hash(twin) == hash(layer)
        assert_read_only(value for value in vars(twin).values() if isinstance(value, np.ndarray))


def test_a_layer_with_one_thing_changed_is_read_again():
    layer = LAYERS[0]
    changed = dataclasses.replace(layer, stride=3)
    assert (changed.stride, changed.pad, changed.name) == ((3, 3), (0, 1, 2, 3), "a conv")
    assert_read_only([changed.filters, changed.bias])
    with pytest.raises(fdref.ArgumentError, match="stride is True"):
        dataclasses.replace(layer, stride=True)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.kind)
def test_equal_layers_are_made_of_equal_parts(layer):
    assert type(layer)(**vars(layer)) == layer
    assert layer != dataclasses.replace(layer, name="another")
    assert layer not in [other for other in LAYERS if other is not layer]
    assert len({layer, copy.deepcopy(layer), type(layer)(**vars(layer))}) == 1


def test_equal_is_to_the_bit():
    zero = Conv(np.zeros((1, 1, 1, 1)))
    assert zero != Conv(-np.zeros((1, 1, 1, 1)))
    assert zero != Conv(np.zeros((1, 1, 1, 1), np.float32))
    assert zero != Conv(np.zeros((1, 1, 1, 2)))
    assert zero != Conv(np.zeros((1, 1, 1, 1)), [0])
    assert Network([zero]) == Network([Conv(np.zeros((1, 1, 1, 1)))])
    assert Network([zero]) != Network([zero], classes=["0"])
    assert zero != "a conv"


def test_a_layer_is_shown_in_one_line_without_its_numbers():
    assert repr(LAYERS[0]) == (
        "Conv(filters=float64 (2, 3, 2, 2), bias=float64 (2,), stride=(1, 2), pad=(0, 1, 2, 3), "
        "dilate=(2, 2), name='a conv')"
    )
    assert repr(ReLU(name="two\nlines")) == "ReLU(leak=0.0, name='two\\nlines')"
    for layer in [*LAYERS, *fdref.load(), Softmax("x" * 1000)]:
        assert len(repr(layer)) < 200
        assert "\n" not in repr(layer)
    many = Network([LAYERS[1], *[ReLU()] * 5000])
    assert repr(many).startswith("<Network of 5001 layers: conv, relu, relu")
    assert len(repr(many)) < 200


def test_nothing_of_a_network_can_be_set():
    net = fdref.load()
    for name in ("classes", "provenance", "average", "layers", "dtype", "channels", "new"):
        with pytest.raises(AttributeError):
            setattr(net, name, ())
    for name in ("_layers", "classes"):
        with pytest.raises(AttributeError):
            delattr(net, name)
    for array in (net[1].filters, net[1].bias, net.average, LAYERS[5].gain):
        array.shape = (array.size,)  # of the view that one was given
        array.dtype = np.uint8
    assert net == fdref.load()
    assert net.average.dtype == np.float32
    assert (net[1].filters.shape, LAYERS[5].gain.dtype) == ((20, 1, 5, 5), np.float64)
    given = [LAYERS[1]]
    net = Network(given)
    given.append("no layer")
    assert net.layers == (LAYERS[1],)


def test_a_network_is_a_sequence_counted_from_one():
    net = fdref.load()
    assert list(net) == [net[number] for number in range(1, 9)]
    assert list(reversed(net)) == list(net)[::-1]
    assert net[3] in net
    assert "conv2" in net
    assert 8 in net
    assert np.int64(1) in net
    for absent in (0, 9, -1, True, 2.0, "", "conv9", ReLU(), None, np.ones(8), [1]):
        assert absent not in net
    for bad in (True, np.True_, -1, 0, slice(1, 3), (1,), None, 1.0, b"conv2", np.array([3])):
        with pytest.raises(
            fdref.ArgumentError, match=r"expected a number from 1|there is no layer"
        ):
            net[bad]
        for asked in (net.describe, net.groups, net.number):
            with pytest.raises(fdref.ArgumentError):
                asked(bad)
    assert net[np.array(3)] is net["conv2"]


def scribble(results) -> None:
    for array in results:
        assert array.flags.writeable
        array[...] = np.nan


def assert_separate(results, others) -> None:
    """No two share memory."""
    for result in results:
        assert not any(np.shares_memory(result, other) for other in others)
    for one, two in itertools.combinations(results, 2):
        assert not np.shares_memory(one, two)


@given(st.data(), networks(), methods, st.sampled_from(["compiled", "reference"]))
def test_results_own_their_memory(data, drawn, unpool, engine):
    """Also where a filter or an image passes through unchanged."""
    first = Conv(np.ones((drawn.channels[0], drawn.channels[0], 1, 1), drawn.dtype))
    passing = [Dropout(), first, Dropout(), ReLU(1.0)]
    net = Network([*passing, *drawn], input_channels=drawn.channels[0])
    x = data.draw(images_for(net))
    kept, before = x.copy(), fdref.forward(net, x, engine)

    def every_result():
        prepared = net.prepare(x)
        last = fdref.decode(net, len(net), unpool=unpool, engine=engine)
        some = fdref.decode(net, 2, [0], unpool, engine)
        banks = fdref.decode_all(net, unpool, engine)
        stages = fdref.stages(net, len(net), None, unpool, engine)
        response = fdref.respond(net, 2, banks[2], x, engine)
        acts = fdref.forward(net, x, engine)
        return [prepared, last, some, *banks.values(), *stages, response, *acts]

    results = every_result()
    expected = [result.copy() for result in results]
    assert_separate(results, [x, *arrays_in(net)])
    scribble(results)
    assert (x == kept).all()
    for again, result in zip(every_result(), expected, strict=True):
        assert (again == result).all()
    for again, result in zip(fdref.forward(net, x, engine), before, strict=True):
        assert (again == result).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operations_that_change_nothing_return_arrays_of_their_own(engine, dtype):
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 3)).astype(dtype)
    one = np.ones((1, 1, 1, 1), dtype)
    results = [
        fdref.correlate(x, one, engine=engine),
        fdref.substitute(x, one, engine=engine),
        fdref.pool(x, 1, 1, engine=engine),
        fdref.pool(x, 1, 1, method="avg", engine=engine),
        *[fdref.unpool(x, 1, method=m, engine=engine) for m in ("bicubic", "nearest", "bilinear")],
    ]
    for result in results:
        np.testing.assert_allclose(result, x, rtol=1e-6)
    assert_separate(results, [x, one])
    scribble(results)


def test_the_sample_of_mnist_is_the_callers():
    digits = fdref.mnist().test
    digits.images[:] = 0
    assert fdref.mnist().test.images.any()
