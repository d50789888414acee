"""The forward pass, with MatConvNet's semantics, over the operations of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import instance
from fdref.arrays import in_precision, real_array
from fdref.engine import engine_named
from fdref.layers import BatchNorm, Conv, Dropout, Normalize, Pool, ReLU, Softmax
from fdref.network import Network
from fdref.products import sum_precision

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.engine import Engine
    from fdref.layers import Layer


def forward(net: Network, x: ArrayLike, engine: str = "compiled") -> list[Array]:
    """Run a network on prepared images.

    Parameters
    ----------
    net : Network
    x : (N, C, H, W) array
        What `Network.prepare` returns: the average already subtracted.
    engine : "compiled" or "reference"
        Numba in the weights' own precision, or plain NumPy in float64.

    Returns
    -------
    list of arrays
        ``acts[0]`` a copy of the input, ``acts[l]`` (N, C_l, H_l, W_l) the output of layer l; each
        an array of its own.

    Raises
    ------
    ArgumentError
        If the images have other channels than the network, or are too small for it.

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
    images = real_array(x, "images")
    instance(net, Network, "net").check_images(images)
    maps = [np.array(in_precision(images, chosen.precision(net.dtype), "images"))]
    for layer in net:
        y = output(layer, maps[-1], chosen)
        maps.append(y.copy() if np.may_share_memory(y, maps[-1]) else y)
    return maps


def output(layer: Layer, x: Array, engine: Engine) -> Array:
    """Return the output of one layer for maps in the engine's form; x itself where it passes."""
    match layer:
        case Conv():
            filters = np.ascontiguousarray(layer.filters, x.dtype)
            bias = None if layer.bias is None else layer.bias.astype(x.dtype)
            return engine.correlate(x, filters, bias, layer.stride, layer.pad, layer.dilate)
        case Pool():
            return engine.pool(x, layer.window, layer.stride, layer.pad, layer.method)
        case ReLU():
            return relu(x, layer.leak)
        case Normalize():
            return normalize(x, layer.size, layer.kappa, layer.alpha, layer.beta)
        case BatchNorm():
            return normalize_batch(x, layer)
        case Dropout():
            return x
        case Softmax():
            return softmax(x)


def relu(x: Array, leak: float = 0.0) -> Array:
    """Return ``max(x, 0)``, or ``leak * x`` where x is negative; NaN stays NaN."""
    if leak == 0:
        return np.maximum(x, 0)
    return np.where(x < 0, x * x.dtype.type(leak), x)


def normalize(x: Array, size: int, kappa: float, alpha: float, beta: float) -> Array:
    """Divide by (kappa + alpha * sum of squares over the nearest `size` channels) ** beta."""
    count = x.shape[1]
    total = np.zeros(x.shape, sum_precision(size, x.dtype))
    squares = x * x
    for shift in range(-((size - 1) // 2), size // 2 + 1):  # floor and ceil of (size - 1) / 2
        own, other = slice(max(0, -shift), count - max(0, shift)), slice(max(0, shift), count)
        if abs(shift) < count:
            total[:, own] += squares[:, other][:, : own.stop - own.start]
    normalized: Array = x / (kappa + alpha * total) ** beta
    return normalized.astype(x.dtype, copy=False)


def normalize_batch(x: Array, layer: BatchNorm) -> Array:
    """Apply the moments of the training set and the learnt gain and bias, channel by channel."""
    mean, bias = (values.astype(x.dtype)[:, None, None] for values in (layer.mean, layer.bias))
    return (x - mean) * layer.scale(x.dtype) + bias


def softmax(x: Array) -> Array:
    """Return probabilities over the channels."""
    exponentials: Array = np.exp(x - x.max(axis=1, keepdims=True))
    dtype = sum_precision(x.shape[1], x.dtype)
    exponentials /= exponentials.sum(axis=1, keepdims=True, dtype=dtype)
    return exponentials
