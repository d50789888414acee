"""Arrays of any origin: numbers or one line that says what to do; none at all; too large ones."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from absence import absent

import fdref
from fdref import (
    ArgumentError,
    BatchNorm,
    Conv,
    Elementwise,
    Network,
    NetworkError,
    Normalize,
    Pool,
    ReLU,
    Scale,
    Sum,
)
from fdref.engines import engine_named

if TYPE_CHECKING:
    from fdref.layers import Layer

NET = Network([Conv(np.ones((2, 1, 2, 2), np.float32)), Pool(2, 2), Conv(np.ones((1, 2, 1, 1)))])
IMAGES = np.arange(49.0).reshape(1, 1, 7, 7) % 5

PUBLIC = {
    "correlate": lambda x, engine: fdref.correlate(x, np.ones((2, 1, 2, 2)), engine=engine),
    "filters": lambda x, engine: fdref.correlate(IMAGES, x, engine=engine),
    "bias": lambda x, engine: fdref.correlate(
        IMAGES, IMAGES, np.asarray(x)[0, 0, 0, 1:2], engine=engine
    ),
    "pool": lambda x, engine: fdref.pool(x, 2, 1, engine=engine),
    "substitute": lambda x, engine: fdref.substitute(x, np.ones((1, 1, 2, 2)), engine=engine),
    "unpool": lambda x, engine: fdref.unpool(x, 2, engine=engine),
    "forward": lambda x, engine: fdref.forward(NET, x, engine)[-1],
    "prepare": lambda x, engine: NET.prepare(x),
    "respond images": lambda x, engine: fdref.respond(NET, 1, np.ones((1, 1, 2, 2)), x, engine),
    "respond bank": lambda x, engine: fdref.respond(
        NET, 1, np.asarray(x)[:, :, :2, :2], IMAGES, engine
    ),
    "evaluate": lambda x, engine: fdref.evaluate(NET, x, engine=engine)[1].errors,
    "Conv": lambda x, engine: Conv(x).filters,
}
TRUTHS = {"Conv"}
"""Where truth values are refused: weights are never some."""


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", ">i4", "u8", "f2", ">f4", "f8", "g"])
@pytest.mark.parametrize("name", PUBLIC)
def test_real_numbers_of_any_dtype_are_taken(name, dtype, engine):
    if dtype == "?" and name in TRUTHS:
        with pytest.raises(fdref.FdrefError, match="truth values"):
            PUBLIC[name](IMAGES > 0, engine)
        return
    found = PUBLIC[name]((IMAGES % 2).astype(dtype), engine)
    expected = PUBLIC[name](IMAGES % 2, engine)
    assert found.dtype in (np.float32, np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["F", "O", "U3", "M8[s]", "m8[s]", "V8", "i4,f4"])
@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_no_number_is_refused_in_one_line(name, dtype, engine):
    with pytest.raises(ArgumentError, match=r"have dtype .*; expected real numbers") as refusal:
        PUBLIC[name](np.zeros(IMAGES.shape, dtype), engine)
    assert "\n" not in str(refusal.value)


class Elsewhere:
    """An array of another library, which raises what it likes."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error


class OwnError(Exception):
    """Another library's."""


@pytest.mark.parametrize(
    "error",
    [
        *(RuntimeError("use\n.detach()"), TypeError("use .get()"), KeyError("x")),
        *(BufferError("busy"), OSError("damaged file"), AssertionError("off"), OwnError("own")),
    ],
)
def test_what_an_array_raises_is_told_in_one_line(error):
    for values in (Elsewhere(error), [Elsewhere(error)]):
        with pytest.raises(ArgumentError, match="images are no array of numbers") as refusal:
            fdref.pool(values, 2, 2)
        assert "\n" not in str(refusal.value)
        assert " ".join(str(error).split()) in str(refusal.value)

    for use in (ReLU, lambda x: fdref.unpool(IMAGES, x), lambda x: fdref.decode(NET, 1, x)):
        with pytest.raises(ArgumentError):
            use(Elsewhere(error))


def test_no_memory_for_an_array_is_not_the_arrays_fault():
    with pytest.raises(MemoryError):
        fdref.pool(Elsewhere(MemoryError()), 2, 2)


def test_rows_of_several_lengths_are_refused():
    for read in (NET.prepare, Conv, lambda x: Network(list(NET), average=x)):
        with pytest.raises(ArgumentError, match="expected rows of one length"):
            read([[1, 2], [3]])


def test_masked_numbers_are_not_taken_for_numbers():
    images = np.ma.masked_equal(IMAGES, 3)
    with pytest.raises(ArgumentError, match=r"masked numbers; .* pass \.filled"):
        fdref.pool(images, 2, 2)
    fdref.pool(images.filled(0), 2, 2)
    fdref.pool(np.ma.array(IMAGES), 2, 2)  # nothing is masked


@pytest.mark.slow
def test_pytorchs_tensors():
    try:
        import torch
    except ImportError:
        absent("peers", "PyTorch is not installed")
    for tensor in (torch.nn.Parameter(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4).bfloat16()):
        with pytest.raises(ArgumentError, match=r"pass \.detach\(\)\.cpu\(\)\.float\(\)"):
            fdref.pool(tensor, 2, 2)
        assert (fdref.pool(tensor.detach().cpu().float(), 2, 2) == 1).all()


BEYOND = np.ones((1, 1, 7, 7))
BEYOND[0, 0, 2, 3] = 1e300


@pytest.mark.parametrize("name", ["forward", "prepare", "respond images"])
def test_images_that_the_networks_precision_cannot_hold_are_refused(name):
    net = Network([Conv(np.ones((1, 1, 2, 2), np.float32))])
    read = {
        "forward": lambda: fdref.forward(net, BEYOND),
        "prepare": lambda: net.prepare(BEYOND),
        "respond images": lambda: fdref.respond(net, 1, np.ones((1, 1, 2, 2), "f4"), BEYOND),
    }[name]
    with pytest.raises(ArgumentError, match=r"hold 1e\+300 at \[0, 0, 2, 3\], more than float32"):
        read()
    assert np.isfinite(fdref.forward(net, BEYOND, "reference")[-1]).all()


def test_a_bias_in_float64_widens_the_sum():
    single = IMAGES.astype(np.float32)
    found = fdref.correlate(single, single[:, :, :2, :2], [1e300])
    assert found.dtype == np.float64
    assert (found == 1e300).all()
    assert fdref.correlate(single, single, np.ones(1, np.float32)).dtype == np.float32


def one_norm(**numbers) -> BatchNorm:
    ones = {key: [1.0] for key in ("gain", "bias", "mean", "deviation")}
    return BatchNorm(**{**ones, "gain": np.ones(1, np.float32), **numbers})


@pytest.mark.parametrize(
    "layer",
    [
        Conv(np.ones((1, 1, 1, 1), np.float32), [1e39]),
        one_norm(bias=[-1e39]),
        one_norm(mean=[1e39]),
        one_norm(deviation=[1e39]),
        one_norm(deviation=[1e-50]),  # 0 in float32
        one_norm(deviation=[1e-39]),
        ReLU(1e39),
        Scale(np.ones(1, np.float32), [-1e39]),
        Elementwise("clip", (0, 1e39)),
        Normalize(1, 1e39, 1, 1),
        Normalize(1, 1, -1e39, 1),
    ],
)
def test_numbers_that_would_be_infinite_in_the_filters_precision_are_refused(layer: Layer):
    single, double = (Conv(np.ones((1, 1, 1, 1), dtype)) for dtype in ("f4", "f8"))
    with pytest.raises(NetworkError, match=r"^layer 2 .*more than float32 holds"):
        Network([single, layer])
    Network([double, layer])


def test_factors_of_a_sum_that_would_be_infinite_are_refused():
    one = Conv(np.ones((1, 1, 1, 1), np.float32))
    with pytest.raises(NetworkError, match=r"^layer 2 .*more than float32 holds"):
        Network([one, Sum((1, 1e39))], wiring={2: [0, 1]})


def test_an_average_that_would_be_infinite_is_refused():
    with pytest.raises(NetworkError, match=r"average image's pixels hold 1e\+39"):
        Network([Conv(np.ones((1, 1, 1, 1), np.float32))], average=[1e39])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("images", "channels", "filters"), list(product((0, 2), (0, 3), (0, 4))))
def test_nothing_gives_nothing_of_the_right_shape(images, channels, filters, dtype):
    """No images, channels or filters: both engines give the same, or refuse with the same words."""
    x, y = (np.ones((images, c, 5, 6), dtype) for c in (channels, filters))
    w = np.ones((filters, channels, 3, 2), dtype)
    large = np.ones((filters, channels, 7, 9), dtype)
    whole = np.ones((filters, channels, 5, 6), dtype)
    bias = np.ones(filters, dtype)
    plain = (1, 1), (0, 0, 0, 0)

    def every(engine):
        operations = engine_named(engine)
        return [
            lambda: fdref.correlate(x, w, bias, engine=engine),
            lambda: fdref.correlate(x, whole, engine=engine),
            lambda: fdref.correlate(x, large, stride=2, pad=3, engine=engine),
            lambda: fdref.substitute(y, w, engine=engine),
            lambda: fdref.substitute(y, large, 2, 2, engine=engine),
            lambda: fdref.substitute(y[:, :, :1, :1], w, engine=engine),
            lambda: fdref.substitute(y, w, groups=2, engine=engine),
            lambda: fdref.pool(x, 2, 1, 1, "max", engine),
            lambda: fdref.pool(x, 2, 1, 1, "avg", engine),
            lambda: fdref.unpool(x, 2, engine=engine),
            lambda: fdref.unpool(x, 2, 3, engine=engine),
            lambda: operations.pool_gradient(x, x, (1, 1), *plain, "max"),
            lambda: operations.pool_gradient(x, x, (1, 1), *plain, "avg"),
            lambda: operations.filter_gradient(x, y[:, :, :3, :5], w, *plain, (1, 1)),
            lambda: operations.filter_gradient(x, y[:, :, :1, :1], whole, *plain, (1, 1)),
        ]

    count = len(every("compiled")) if channels else -2  # no filter has no channels
    pairs = zip(every("compiled")[:count], every("reference")[:count], strict=True)
    for compiled, reference in pairs:
        try:
            expected = reference()
        except ArgumentError as error:
            with pytest.raises(ArgumentError, match=re.escape(str(error))):
                compiled()
            continue
        found = compiled()
        assert (found.shape, found.dtype) == (expected.shape, dtype)
        np.testing.assert_array_equal(found, expected)
