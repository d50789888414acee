"""Layers and networks: what fits, what does not, and what is said about it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fdref
from fdref import (
    ArgumentError,
    BatchNorm,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Network,
    NetworkError,
    Normalize,
    Pad,
    Pool,
    PReLU,
    ReLU,
    Scale,
    Shuffle,
    Softmax,
    Sum,
)


def ones(*shape: int, dtype=np.float32) -> np.ndarray:
    return np.ones(shape, dtype)


def test_the_lenets_fields_are_the_papers():
    net = fdref.load()
    fields = [fdref.receptive_field(net, number) for number in range(1, 9)]
    assert [field.size[0] for field in fields] == [5, 6, 14, 16, 28, 28, 28, 28]
    assert [field.stride[1] for field in fields] == [1, 2, 2, 4, 4, 4, 4, 4]
    assert all(field.offset == (0, 0) for field in fields)
    assert net.map_sizes(28)[3] == (8, 8)
    assert net.decodable == (1, 3, 5, 7)


def test_a_receptive_field_is_what_changes_the_pixel():
    """Change every pixel of the input in turn, and see which changes reach one of the output."""
    net = Network(
        [
            Conv(ones(1, 1, 3, 2), stride=(1, 2), pad=(1, 0, 0, 1), dilate=(2, 1)),
            Pool((3, 2), (2, 1), pad=(2, 0, 1, 0), method="avg"),
            Conv(ones(1, 1, 2, 3)),
        ]
    )
    field = fdref.receptive_field(net, 3)
    x = np.zeros((1, 1, 22, 20))
    base = fdref.forward(net, x)[-1]
    y, z = 2, 1
    reached = np.zeros(x.shape[2:], bool)
    for row, column in np.ndindex(reached.shape):
        changed = x.copy()
        changed[0, 0, row, column] = 1
        reached[row, column] = (fdref.forward(net, changed)[-1] != base)[0, 0, y, z]
    rows, columns = np.flatnonzero(reached.any(1)), np.flatnonzero(reached.any(0))
    top, left = (field.offset[i] + field.stride[i] * (y, z)[i] for i in range(2))
    assert (rows[0], columns[0]) == (top, left)
    assert (rows[-1], columns[-1]) == (top + field.size[0] - 1, left + field.size[1] - 1)


def test_layers_are_found_by_number_and_by_name():
    net = fdref.load()
    assert net[3] is net["conv2"] is net.layers[2]
    assert net.number(np.int64(3)) == 3
    for bad, message in [
        (0, "there is no layer 0; the layers are 1 to 8"),
        (9, "there is no layer 9"),
        (-1, "there is no layer -1"),
        ("conv9", "no layer is named 'conv9'; the names are 'conv1', 'pool1'"),
        (2.5, "layer is 2.5; expected a number from 1 or a name"),
        (True, "layer is True"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            net[bad]
    twins = Network([Conv(ones(1, 1, 1, 1), name="a"), ReLU(name="a")])
    with pytest.raises(ArgumentError, match=r"layers \[1, 2\] are all named 'a'"):
        twins["a"]


def test_nothing_can_be_changed():
    net = fdref.load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        net[1].stride = (2, 2)
    with pytest.raises(ValueError, match="read-only"):
        net[1].filters[0] = 0
    with pytest.raises(AttributeError):
        net.layers = ()
    given = ones(1, 1, 2, 2)
    layer = Conv(given)
    given[:] = 7
    assert (layer.filters == 1).all()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "no convolutional layer"),
        ([ReLU()], "no convolutional layer"),
        (
            [Conv(ones(4, 1, 3, 3)), Conv(ones(2, 3, 3, 3), name="second")],
            r"layer 2 \(conv 'second'\): 2 filters of 3 channels do not fit maps of 4 channels",
        ),
        (
            [Conv(ones(4, 1, 1, 1)), Conv(ones(3, 2, 1, 1))],
            "3 filters of 2 channels do not fit maps of 4 channels",
        ),
        (
            [Conv(ones(4, 1, 1, 1)), BatchNorm(ones(3), ones(3), ones(3), ones(3))],
            r"layer 2 \(bnorm\): 3 gains do not fit maps of 4 channels",
        ),
        (["conv"], "layer 1 is 'conv'; expected one of fdref's layers"),
        ([Conv(ones(4, 1, 1, 1)), PReLU(ones(3))], "3 leaks do not fit maps of 4 channels"),
        ([Conv(ones(4, 1, 1, 1)), PReLU(ones(5))], "5 leaks do not fit maps of 4 channels"),
        ([Conv(ones(4, 1, 1, 1)), Scale(ones(3))], "3 factors do not fit maps of 4 channels"),
        (
            [Conv(ones(4, 1, 1, 1)), Channels([3, 4])],
            "channel 4 of maps of 4; .* from 0 to 3",
        ),
        ([Conv(ones(6, 1, 1, 1)), Shuffle(2)], "6 channels are not blocks of 2 x 2; .* of 4"),
        ([Conv(ones(4, 1, 1, 1)), ConvTranspose(ones(3, 1, 1, 1))], "3 filters do not fit maps of"),
    ],
)
def test_layers_that_do_not_fit(layers, message):
    with pytest.raises(NetworkError, match=message):
        Network(layers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(ones(3, 3)), r"filters have shape \(3, 3\); expected 4 axes"),
        (lambda: Conv(ones(0, 1, 3, 3)), "none empty"),
        (lambda: Conv([["a"]]), "expected real numbers"),
        (lambda: Conv(ones(1, 1, 1, 1) * np.nan), r"hold nan at \[0, 0, 0, 0\]"),
        (lambda: Conv(ones(1, 1, 1, 1) * np.inf), r"hold inf at"),
        (lambda: Conv(ones(2, 1, 1, 1), bias=ones(3)), "biases are 3 numbers; expected one for"),
        (lambda: Conv(ones(1, 1, 1, 1), stride=0), "stride is 0; expected 1 or 2 whole numbers"),
        (lambda: Conv(ones(1, 1, 1, 1), stride=1.5), "stride is 1.5"),
        (lambda: Conv(ones(1, 1, 1, 1), stride=2**40), "stride is 1099511627776"),
        (lambda: Conv(ones(1, 1, 1, 1), pad=-1), "pad is -1"),
        (lambda: Conv(ones(1, 1, 1, 1), pad=(1, 2, 3)), "1 or 2 or 4 whole numbers"),
        (lambda: Conv(ones(1, 1, 1, 1), dilate=(1, 0)), "dilate is"),
        (lambda: Pool(2, 2, method="sum"), "method is 'sum'; expected 'max' or 'avg'"),
        (lambda: Pool(2, 2, pad=2), "not smaller than the pooling window"),
        (lambda: BatchNorm([1], [0], [0], [0]), "standard deviation is 0.0; expected positive"),
        (lambda: BatchNorm([1, 2], [0], [0], [1]), "deviations are 1 numbers"),
        (lambda: Dropout(2), "dropout rate is 2"),
        (lambda: ReLU(np.nan), "leak is nan"),
        (lambda: Normalize(0, 1, 1, 1), "number of channels is 0"),
        (lambda: Normalize(5, np.inf, 1, 1), "kappa is inf"),
        (lambda: PReLU(ones(1, 1)), r"leaks have shape \(1, 1\); expected 1 axes"),
        (lambda: Scale([1, 2], [3]), "offsets are 1 numbers; expected one for each of 2"),
        (lambda: ConvTranspose(ones(3, 2, 1, 1), groups=2), "3 filters are not 2 groups"),
        (lambda: ConvTranspose(ones(4, 2, 1, 1), ones(3), groups=2), "biases are 3 .* each of 4"),
        (lambda: Elementwise("clip", (0, 1, 2)), r"clip has constants .*; expected low, high"),
        (lambda: Elementwise("abs", (1,)), r"abs has constants .*; expected none"),
    ],
)
def test_layers_that_are_wrong_in_themselves(make, message):
    with pytest.raises(fdref.FdrefError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layers", "wiring", "message"),
    [
        ([Sum((1, 2, 3))], {2: [1, 1]}, r"layer 2 \(sum\): it has 3 factors for 2 maps"),
        ([Sum((1,))], {2: [1, 1]}, r"layer 2 \(sum\): it has 1 factors for 2 maps"),
        ([Pad(1), Sum()], {3: [1, 2]}, "its maps are of 6x5, 8x7 pixels; expected one size"),
        ([Pad((1, 0)), Concat()], {3: [2, 1]}, "its maps are of 8x5, 6x5 pixels; expected one"),
        ([Shuffle(2, reverse=True)], {}, "a map of 6x5 is not whole blocks of 2 x 2"),
        ([Pad((0, -3))], {}, r"layer 2 \(pad\) leaves nothing of its map of 6x5"),
    ],
)
def test_maps_that_do_not_fit_each_other(layers, wiring, message):
    with pytest.raises(NetworkError, match=message):
        Network([Conv(ones(2, 1, 1, 1)), *layers], wiring=wiring, input_size=(6, 5))


def test_a_pools_stride_must_be_said():
    """MatConvNet's default is 1, PyTorch's the window: whoever forgets it means one of the two."""
    with pytest.raises(TypeError, match="stride"):
        Pool(2)
    assert Pool(2, 1).stride == (1, 1)


def test_an_input_that_the_layers_do_not_fit_into():
    layers = [Conv(ones(1, 1, 5, 5)), Pool(2, 2), Conv(ones(1, 1, 7, 7))]
    with pytest.raises(
        NetworkError, match=r"layer 3 \(conv\) has a 7x7 window, which does not fit"
    ):
        Network(layers, input_size=12)
    with pytest.raises(NetworkError, match="average image has 3 channels; expected 1"):
        Network(layers, average=ones(3), input_channels=1)
    assert Network(layers, average=ones(1, 20, 22)).input_size == (20, 22)


def test_groups_come_from_the_ratio_of_channels():
    net = Network([Conv(ones(4, 2, 1, 1)), Conv(ones(6, 2, 1, 1))], input_channels=4)
    assert (net.groups(1), net.groups(2), net.channels) == (2, 2, (4, 4, 6))


def test_images_are_prepared_by_subtracting_the_average():
    net = fdref.load()
    images = fdref.mnist().test.images[:3]
    prepared = net.prepare(images)
    assert prepared.dtype == np.float32
    assert (prepared[:, 0] == images.astype(np.float32) - net.average[0]).all()
    assert (net.prepare(images[:, None]) == prepared).all()
    colour = Network([Conv(ones(2, 3, 1, 1))], average=[1, 2, 3])
    assert colour.prepare(np.zeros((1, 3, 4, 5)))[0, :, 0, 0].tolist() == [-1, -2, -3]
    assert net.prepare(np.zeros((0, 28, 28), np.uint8)).shape == (0, 1, 28, 28)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((28, 28)), r"shape \(28, 28\); expected \(N, H, W\) or \(N, 1, H, W\)"),
        (np.zeros((2, 3, 28, 28)), r"shape \(2, 3, 28, 28\)"),
        (np.zeros((2, 27, 28)), "images are 27x28; expected 28x28, the size of the network's"),
        (np.zeros((2, 28, 28), complex), "dtype complex128; expected real numbers"),
        ([["a"]], "expected real numbers"),
        ([[1], [1, 2]], "no array of numbers"),
    ],
)
def test_images_that_cannot_be_prepared(images, message):
    with pytest.raises(ArgumentError, match=message):
        fdref.load().prepare(images)


def test_forward_refuses_what_is_too_small():
    net = Network([Conv(ones(1, 1, 5, 5)), Pool(2, 2), Conv(ones(1, 1, 3, 3))])
    with pytest.raises(ArgumentError, match=r"layer 3 \(conv\) has a 3x3 window"):
        fdref.forward(net, np.zeros((1, 1, 9, 9)))
    assert fdref.forward(net, np.zeros((1, 1, 10, 13)))[-1].shape == (1, 1, 1, 2)


def test_empty_batches_pass_through(engine):
    net = fdref.load()
    acts = fdref.forward(net, np.zeros((0, 1, 28, 28)), engine=engine)
    assert [a.shape[0] for a in acts] == [0] * 9
    assert acts[-1].shape == (0, 10, 1, 1)
    assert fdref.decode(net, 3, filters=[], engine=engine).shape == (0, 1, 14, 14)


def test_any_memory_layout_gives_the_same_bits(engine):
    """Strided, Fortran-ordered, read-only, byte-swapped and integer arrays."""
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:4])
    expected = fdref.forward(net, x, engine=engine)[-1]
    strided = np.zeros((8, 1, 28, 56), np.float32)[::2, :, :, ::2]
    strided[:] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    for again in (strided, np.asfortranarray(x), frozen, x.astype(">f4"), x.astype(np.float64)):
        assert (fdref.forward(net, again, engine=engine)[-1] == expected).all()


def test_forward_changes_nothing_that_it_is_given(engine):
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:2])
    before = x.copy()
    acts = fdref.forward(net, x, engine=engine)
    kept = [a.copy() for a in acts]
    fdref.forward(net, x, engine=engine)
    assert (x == before).all()
    assert all((a == b).all() for a, b in zip(acts, kept, strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: fdref.decode(net, 9), "there is no layer 9"),
        (lambda net: fdref.decode(net, 3, phase=(1, 0)), r"phase is \(1, 0\); expected at most"),
        (lambda net: fdref.decode(net, 3, phase=1), "phase is 1; expected 2 whole numbers"),
        (
            lambda net: fdref.decode(net, 3, position=(8, 0)),
            r"at most \(7, 7\): the map",
        ),
        (lambda net: fdref.decode(net, 3, phase=(0, 0), position=(0, 0)), "expected one of them"),
        (
            lambda net: fdref.decode(net, 3, 50),
            r"layer 3 \(conv 'conv2'\) has no filter 50; .* 0 to 49",
        ),
        (lambda net: fdref.decode(net, 3, [-1]), "has no filter -1"),
        (lambda net: fdref.decode(net, 3, [0.5]), "filter is 0.5; expected a whole number"),
        (lambda net: fdref.decode(net, 3, "all"), "filter is 'all'"),
        (lambda net: fdref.decode(net, 3, unpool="cubic"), "unpool is 'cubic'; expected one of"),
        (lambda net: fdref.decode(net, 3, engine="gpu"), "engine is 'gpu'; expected 'compiled' or"),
    ],
)
def test_what_cannot_be_decoded(call, message):
    with pytest.raises(ArgumentError, match=message):
        call(fdref.load())


def test_one_filter_by_number():
    net = fdref.load()
    assert (fdref.decode(net, "conv2", 7) == fdref.decode(net, 3, [7])).all()


def test_normalisation_sums_squares_over_the_nearest_channels():
    """From k - floor((N-1)/2) to k + ceil((N-1)/2): an even N looks one further upwards."""
    x = np.random.default_rng(0).standard_normal((2, 7, 3, 2))
    for size in (1, 2, 4, 5, 20):
        net = Network([Normalize(size, 2.0, 0.3, 0.75), Conv(np.ones((1, 7, 1, 1)))])
        found = fdref.forward(net, x)[1]
        for k in range(7):
            first, last = max(0, k - (size - 1) // 2), min(6, k + size // 2)
            squares = (x[:, first : last + 1] ** 2).sum(axis=1)
            expected = x[:, k] / (2.0 + 0.3 * squares) ** 0.75
            np.testing.assert_allclose(found[:, k], expected, rtol=1e-12)


def test_the_second_moment_is_a_standard_deviation():
    net = Network([Conv([[[[1.0]]]]), BatchNorm([3], [5], [2], [4])])
    assert fdref.forward(net, [[[[10.0]]]])[-1].item() == 3 * (10 - 2) / 4 + 5


def test_scaling_by_batch_normalisation_reaches_the_decoded_filter(engine):
    net = Network([Conv([[[[2.0]]]]), BatchNorm([3], [5], [2], [4]), Conv([[[[1.0, -1.0]]]])])
    assert fdref.decode(net, 3, engine=engine).ravel().tolist() == [1.5, -1.5]


def test_nan_wins_a_maximum_and_passes_a_relu(engine):
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 1, 2] = np.nan
    pooled = fdref.pool(x, 2, 2, engine=engine)
    assert np.isnan(pooled[0, 0, 0]).tolist() == [False, True]
    net = Network([Conv([[[[1.0]]]]), ReLU(), Softmax()])
    assert np.isnan(fdref.forward(net, x, engine=engine)[2][0, 0, 1, 2])


def test_operations_say_what_is_wrong_with_their_arguments():
    x, w = np.zeros((1, 4, 6, 6)), np.zeros((2, 4, 3, 3))
    for call, message in [
        (lambda: fdref.correlate(x[0], w), r"images have shape \(4, 6, 6\); expected 4 axes"),
        (lambda: fdref.correlate(x, w[:, :3]), r"do not fit images of shape \(1, 4, 6, 6\)"),
        (lambda: fdref.correlate(x, w, bias=[1]), r"bias has shape \(1,\); expected \(2,\)"),
        (lambda: fdref.correlate(x, w, dilate=3), "a window of 7x7 does not fit"),
        (lambda: fdref.correlate(x, w.astype(complex)), "filters have dtype complex128"),
        (lambda: fdref.substitute(x, w), r"do not fit maps of shape \(1, 4, 6, 6\) in 1 group"),
        (lambda: fdref.substitute(x, np.zeros((4, 1, 2, 2)), groups=3), "in 3 group"),
        (lambda: fdref.substitute(x, w, groups=0), "groups is 0"),
        (lambda: fdref.unpool(x, 2, method="cubic"), "method is 'cubic'"),
        (lambda: fdref.unpool(x, 0), "stride is 0"),
        (lambda: fdref.pool(x, 9, 1), "a window of 9x9 does not fit"),
        (lambda: fdref.pool(x, 2, 1, method="sum"), "method is 'sum'"),
        (lambda: fdref.pool(x, 2, 1, pad=2), "not smaller than the pooling window"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            call()


def test_precision_follows_the_arrays():
    x, w = ones(1, 1, 3, 3), ones(1, 1, 2, 2)
    assert fdref.correlate(x, w).dtype == np.float32
    assert fdref.correlate(x, w, engine="reference").dtype == np.float64
    assert fdref.correlate(x, w.astype(np.float64)).dtype == np.float64
    assert fdref.correlate(x.astype(int), w).dtype == np.float64
    mixed = Network([Conv(w), Conv(w.astype(np.float64))])
    assert mixed.dtype == np.float64
    assert mixed[1].filters.dtype == np.float32
    assert fdref.decode(mixed, 2).dtype == np.float64


def test_zero_pixels_hide_no_filter_that_is_not_finite(engine):
    """0 * inf is NaN whichever way the sum is taken."""
    maps, filters = np.zeros((1, 1, 1, 2)), np.array([[[[np.inf]]]])
    with np.errstate(invalid="ignore"):
        assert np.isnan(fdref.substitute(maps, filters, engine=engine)).all()


def test_filters_larger_than_any_memory_are_refused():
    step = Conv(np.ones((1, 1, 2, 2)), stride=2**20)
    with pytest.raises(ArgumentError, match=r"layer 3 \(conv\) cannot be decoded: .* grow to \d"):
        fdref.decode(Network([step, step, step]), 3)


def test_normalisation_of_numbers_whose_squares_overflow(engine):
    """In float32 1e19 squared is infinite, and x / inf would be 0: finite, and wrong."""
    x = np.array([1e19, 3e19, -2e19], np.float32).reshape(1, 3, 1, 1)
    layer = fdref.Normalize(3, 2.0, 1e-4, 0.75)
    net = Network([Conv(np.eye(3, dtype=np.float32)[:, :, None, None]), layer])
    with np.errstate(over="ignore", invalid="ignore"):
        found = fdref.forward(net, x, engine)[2].ravel()
        double = x.astype(float).ravel()
        sums = np.array([double[:2] @ double[:2], double @ double, double[1:] @ double[1:]])
        np.testing.assert_allclose(found, double / (2 + 1e-4 * sums) ** 0.75, rtol=1e-5)
        huge = Network([Conv(np.eye(3)[:, :, None, None]), layer])
        assert np.isnan(fdref.forward(huge, x.astype(float) * 1e150, engine)[2]).all()
