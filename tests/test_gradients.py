"""Gradients against finite differences, and what has none."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pairs, pools, seeds

from fdref.engines import engine_named
from fdref.errors import ArgumentError
from fdref.geometry import output_size
from fdref.layers import BatchNorm, Conv, Dropout, Pool, ReLU, Softmax
from fdref.network.graph import Network
from fdref.training.loss import backward, cross_entropy
from fdref.walk.forward import forward

random = np.random.default_rng(0)


def conv(*shape: int, bias: bool = True, **options) -> Conv:
    offsets = random.standard_normal(shape[0]) if bias else None
    return Conv(random.standard_normal(shape), offsets, **options)


def top(channels: int, height: int, width: int) -> tuple[Conv, Softmax]:
    return conv(3, channels, height, width), Softmax()


NETS = {
    "stride and padding": (
        (7, 6),
        [conv(3, 2, 3, 2, stride=(2, 1), pad=(1, 0, 2, 1)), conv(4, 3, 3, 8), Softmax()],
    ),
    "a last row that no filter reaches": (
        (8, 7),
        [conv(3, 2, 2, 2), conv(3, 3, 3, 3, stride=(3, 2)), conv(3, 3, 2, 2), Softmax()],
    ),
    "padding on one side, which nothing reaches on the other": (
        (6, 6),
        [conv(2, 2, 1, 1), conv(3, 2, 3, 3, stride=3, pad=(2, 0, 0, 0)), *top(3, 2, 2)],
    ),
    "dilation": (
        (7, 7),
        [conv(2, 2, 2, 2), conv(3, 2, 3, 2, dilate=(2, 3), pad=1), conv(3, 3, 4, 5), Softmax()],
    ),
    "groups": (
        (4, 4),
        [conv(4, 2, 2, 2), conv(6, 2, 3, 3, pad=1, bias=False), conv(4, 3, 3, 3), Softmax()],
    ),
    "overlapping maxima": (
        (7, 7),
        [conv(3, 2, 2, 2), Pool(3, 2, pad=1), conv(3, 3, 3, 3), Softmax()],
    ),
    "overlapping averages": (
        (7, 6),
        [conv(3, 2, 2, 2), Pool((3, 2), (2, 1), (1, 0, 1, 1), method="avg"), *top(3, 3, 6)],
    ),
    "gaps between windows": (
        (8, 8),
        [conv(3, 2, 2, 2), Pool(2, 3), Pool(1, 2, method="avg"), conv(3, 3, 1, 1), Softmax()],
    ),
    "leak and dropout": (
        (5, 5),
        [conv(4, 2, 3, 3), ReLU(leak=0.2), Dropout(), conv(4, 4, 3, 3), ReLU(), *top(4, 1, 1)],
    ),
    "pooling first": ((6, 6), [Pool(2, 2), conv(3, 2, 3, 3), Softmax()]),
}


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_finite_differences(name, engine):
    size, layers = NETS[name]
    net = Network(layers, input_channels=2)
    x = np.random.default_rng(1).standard_normal((3, 2, *size))
    labels = np.array([0, 2, 1])
    found = backward(net, forward(net, x, engine), labels, engine)
    assert sorted(found) == list(net.decodable)

    def loss(number: int, filters: np.ndarray, bias: np.ndarray | None) -> float:
        old = net[number]
        new = Conv(filters, bias, old.stride, old.pad, old.dilate)
        changed = Network(
            [new if n == number else layer for n, layer in enumerate(net, 1)], input_channels=2
        )
        return cross_entropy(forward(changed, x, "reference")[-1], labels)

    step = 1e-5
    for number, (in_filters, in_bias) in found.items():
        filters, bias = net[number].filters, net[number].bias
        assert (in_filters.shape, in_bias.shape) == (filters.shape, filters.shape[:1])
        for at in np.ndindex(filters.shape):
            moved = [filters.copy(), filters.copy()]
            moved[0][at] += step
            moved[1][at] -= step
            expected = (loss(number, moved[0], bias) - loss(number, moved[1], bias)) / (2 * step)
            assert in_filters[at] == pytest.approx(expected, rel=1e-5, abs=1e-8), (number, at)
        for k in range(len(in_bias) if bias is not None else 0):
            moved = [bias.copy(), bias.copy()]
            moved[0][k] += step
            moved[1][k] -= step
            expected = (loss(number, filters, moved[0]) - loss(number, filters, moved[1])) / (
                2 * step
            )
            assert in_bias[k] == pytest.approx(expected, rel=1e-5, abs=1e-8), (number, k)


@pytest.mark.parametrize("name", NETS)
def test_engines_agree_on_gradients(name):
    size, layers = NETS[name]
    net = Network(layers, input_channels=2)
    x = np.random.default_rng(2).standard_normal((4, 2, *size))
    labels = np.array([0, 1, 2, 0], np.uint8)
    one, other = (
        backward(net, forward(net, x, engine), labels, engine)
        for engine in ("compiled", "reference")
    )
    for number, pair in one.items():
        for mine, theirs in zip(pair, other[number], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())


def test_of_equal_maxima_the_first_takes_the_gradient(engine):
    """A map of equal numbers: only the window's first pixel counts, so only its weights move."""
    layers = [Conv(np.ones((2, 1, 1, 1))), Pool(2, 2), Conv(np.eye(2)[:, :, None, None]), Softmax()]
    net = Network(layers)
    x = np.zeros((1, 1, 2, 2))
    x[0, 0] = [[0, 0], [0, 0]]
    found = backward(net, forward(net, x, engine), np.array([0]), engine)
    np.testing.assert_allclose(found[1][1], [-0.5, 0.5])


@pytest.mark.parametrize(
    ("layers", "labels", "said"),
    [
        ([conv(2, 1, 2, 2)], [0], "layer 1 (conv) has no gradient here"),
        ([conv(2, 1, 2, 2), Softmax(), ReLU()], [0], "layer 2 (softmax) has no gradient"),
        ([conv(2, 1, 2, 2), BatchNorm(*np.ones((4, 2))), Softmax()], [0], "layer 2 (bnorm)"),
        ([conv(2, 1, 1, 2), Softmax()], [0], "expected one pixel an image"),
        ([conv(2, 1, 2, 2), Softmax()], [0, 1], "expected (1,)"),
        ([conv(2, 1, 2, 2), Softmax()], [0.0], "dtype float64"),
        ([conv(2, 1, 2, 2), Softmax()], [2], "labels go from 2 to 2; expected 0 to 1"),
        ([conv(2, 1, 2, 2), Softmax()], [-1], "labels go from -1 to -1"),
    ],
)
def test_what_has_no_gradient_is_refused(layers, labels, said):
    net = Network(layers)
    acts = forward(net, np.zeros((1, 1, 2, 2)), "reference")
    with pytest.raises(ArgumentError) as refusal:
        backward(net, acts, np.array(labels), "reference")
    assert said in str(refusal.value)


@given(
    st.data(),
    pools(),
    pairs(3, 7),
    st.sampled_from([[-np.inf], [np.nan], [-np.inf, np.nan, np.inf, 0, 1]]),
    st.sampled_from(["compiled", "reference"]),
)
def test_no_window_loses_its_gradient(data, layer, size, values, engine):
    """Windows of nothing but -inf, as low as padding, or of NaN, which equals nothing."""
    random = np.random.default_rng(data.draw(seeds))
    x = random.choice(values, (2, 2, *size))
    options = layer.window, layer.stride, layer.pad, layer.method
    shape = (2, 2, *output_size(size, *options[:3]))
    above = random.integers(-3, 4, shape).astype(float)
    found = engine_named(engine).pool_gradient(x, above, *options)
    expected = naive.pool_gradient(x, above, *options)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert abs(found.sum() - above.sum()) <= 1e-9
