"""The forward pass, with MatConvNet's semantics, over the operations of an engine."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from fdref import layers as kinds
from fdref.arguments import elements, instance, shown
from fdref.arrays import in_precision, real_array
from fdref.engines import engine_named
from fdref.errors import ArgumentError, NetworkError
from fdref.network.fields import ancestors
from fdref.network.graph import Network
from fdref.network.images import check_images
from fdref.walk.shuffles import depth_to_space, repeat_pixels, space_to_depth

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.geometry import Margins
    from fdref.layers import Layer


def forward(
    net: Network,
    x: ArrayLike | Sequence[ArrayLike],
    engine: Engine | str = "compiled",
    last: int | str | None = None,
) -> list[Array]:
    """Run a network on prepared images.

    Parameters
    ----------
    net : Network
    x : (N, C, H, W) array
        What `Network.prepare` returns: the average already subtracted. For a network of several
        inputs, a sequence of arrays.
    engine : "compiled", "reference" or Engine
        Numba in the weights' own precision, plain NumPy in float64, or an object with the
        operations of `fdref.Engine`.
    last : int or str, optional
        The layer, by number or name, to stop after; by default the network's last, but for layers
        of unknown type at its end, such as losses.

    Returns
    -------
    list of arrays
        ``acts[0]`` a copy of the input, ``acts[l]`` (N, C_l, H_l, W_l) the output of layer l; each
        an array of its own.

    Raises
    ------
    ArgumentError
        If the images have other channels than the network, or are too small for it, or there is
        no such layer.
    NetworkError
        If a layer up to the last is of unknown type.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test
    >>> acts = fdref.forward(net, net.prepare(digits.images[:100]))
    >>> acts[3].shape
    (100, 50, 8, 8)
    >>> guesses = acts[8].argmax(axis=1).ravel()
    >>> int((guesses == digits.labels[:100]).sum()) >= 97
    True
    """
    chosen = engine_named(engine)
    inputs = input_maps(instance(net, Network, "net"), x, chosen)
    stop = end(net) if last is None else net.number(last)
    maps = run(net, inputs, chosen, range(stop + 1))
    return [maps[number] for number in range(stop + 1)]


def end(net: Network) -> int:
    """Return the last layer that is not one of those of unknown type at the end."""
    return max(
        (n for n, layer in enumerate(net, 1) if not isinstance(layer, kinds.Unknown)), default=0
    )


def input_maps(net: Network, x: ArrayLike | Sequence[ArrayLike], engine: Engine) -> list[Array]:
    """Bring images, and what else a network of several inputs takes, into an engine's form."""
    several: list[Any] | None = [x] if net.inputs == 1 else elements(x)
    if several is None or len(several) != net.inputs:
        raise ArgumentError(f"x is {shown(x)}; expected {net.inputs} arrays, one for each input")
    maps = [real_array(values, "images") for values in several]
    check_images(net, *maps)
    dtype = engine.precision(net.dtype)
    return [np.array(in_precision(values, dtype, "images")) for values in maps]


def run(
    net: Network, inputs: Sequence[Array], engine: Engine, wanted: Collection[int]
) -> dict[int, Array]:
    """Compute the maps that are wanted, by number, and keep no other longer than it is needed."""
    maps = {-number: values for number, values in enumerate(inputs)}
    last = max(wanted)
    needed = set().union(*(ancestors(net, number) for number in wanted))
    check_known(net, needed)
    last_use = {below: n for n in sorted(needed) if n > 0 for below in net.takes[n]}
    for number in range(1, last + 1):
        if number in needed:
            y = output(net[number], [maps[n] for n in net.takes[number]], engine)
            # A layer that passes its map on (dropout) would make two outputs one array.
            passed = any(np.may_share_memory(y, maps[n]) for n in net.takes[number])
            maps[number] = y.copy() if passed else y
            for below in set(net.takes[number]):
                if last_use[below] == number and below not in wanted:
                    del maps[below]
    return {number: maps[number] for number in wanted}


def check_known(net: Network, needed: Collection[int]) -> None:
    """Raise NetworkError where a layer that is needed is of unknown type."""
    for number in sorted(needed):
        if number > 0 and isinstance(net[number], kinds.Unknown):
            raise NetworkError(
                f"{net.describe(number)} cannot be computed, nor can what takes its map: fdref "
                f"does not know its type; layers up to {number - 1} can: say which is the last"
            )


def output(  # noqa: C901, PLR0912 - a table: a row for each kind of layer
    layer: Layer, maps: Sequence[Array], engine: Engine
) -> Array:
    """Return the output of one layer for the maps that it takes, in the engine's form."""
    x = maps[0]
    match layer:
        case kinds.Conv():
            filters = np.ascontiguousarray(layer.filters, x.dtype)
            bias = None if layer.bias is None else layer.bias.astype(x.dtype)
            return engine.correlate(x, filters, bias, layer.stride, layer.pad, layer.dilate)
        case kinds.Pool():
            return engine.pool(x, layer.window, layer.stride, layer.pad, layer.method)
        case kinds.ConvTranspose():
            return transposed(x, layer, engine)
        case kinds.ReLU():
            return engine.relu(x, layer.leak)
        case kinds.PReLU():
            return engine.relu(x, layer.leak.astype(x.dtype))
        case kinds.Elementwise():
            return layer.value(x)
        case kinds.Normalize():
            return engine.normalize(x, layer.size, layer.kappa, layer.alpha, layer.beta)
        case kinds.BatchNorm():
            mean, bias = (values.astype(x.dtype) for values in (layer.mean, layer.bias))
            return engine.scale(x, layer.scale(x.dtype), bias, mean)
        case kinds.Scale():
            offset = None if layer.offset is None else layer.offset.astype(x.dtype)
            return engine.scale(x, layer.factor.astype(x.dtype), offset, None)
        case kinds.Dropout():
            return x
        case kinds.Softmax():
            return engine.softmax(x)
        case kinds.Sum():
            return reduce(np.add, [times(own, layer.factor(n)) for n, own in enumerate(maps)])
        case kinds.Product():
            return reduce(np.multiply, maps)
        case kinds.Maximum():
            return reduce(np.maximum, maps)
        case kinds.Concat():
            return np.concatenate(maps, axis=1)
        case kinds.Channels(indices=indices):
            return np.ascontiguousarray(x[:, list(indices)])
        case kinds.Upsample(factor=factor):
            return repeat_pixels(x, factor)
        case kinds.Shuffle(reverse=True):
            return space_to_depth(x, layer.sources(x.shape[1]))
        case kinds.Shuffle(block=block):
            return depth_to_space(x, layer.sources(x.shape[1] // block**2))
        case kinds.Pad(pad=pad):
            return framed(x, pad)
        case kinds.Unknown():
            raise AssertionError(layer)  # refused before anything is computed
        case _:
            assert_never(layer)


def transposed(x: Array, layer: kinds.ConvTranspose, engine: Engine) -> Array:
    """Transposed convolution: substitute every pixel by its filter, crop, and add the bias."""
    filters = np.ascontiguousarray(layer.filters, x.dtype)
    whole = engine.substitute(x, filters, layer.upsample, (1, 1), layer.groups)
    top, bottom, left, right = layer.crop
    cropped = framed(whole, (-top, -bottom, -left, -right))
    return cropped if layer.bias is None else cropped + layer.bias.astype(x.dtype)[:, None, None]


def framed(x: Array, pad: Margins) -> Array:
    """Put zeros around maps; where a number is negative, crop."""
    before, after = (max(pad[0], 0), max(pad[1], 0)), (max(pad[2], 0), max(pad[3], 0))
    height, width = x.shape[2:]
    rows, columns = (
        slice(max(-pad[0], 0), height - max(-pad[1], 0)),
        slice(max(-pad[2], 0), width - max(-pad[3], 0)),
    )
    return np.pad(x[:, :, rows, columns], ((0, 0), (0, 0), before, after))


def times(x: Array, factor: float) -> Array:
    """Multiply, unless that changes nothing."""
    return x if factor == 1 else x * x.dtype.type(factor)
