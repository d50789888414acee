"""Does a decoded filter predict its neuron? The paper's eq. 3 and table 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fdref.arrays import real_array
from fdref.decoding import decodable_number, decode
from fdref.engine import engine_named
from fdref.errors import ArgumentError
from fdref.fields import receptive_field
from fdref.forward_pass import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.network import Network
    from fdref.resize import Method

CHUNK = 100
"""Images at a time, few enough for the caches; each is judged by itself."""


@dataclass(frozen=True)
class Evaluation:
    """Eq. 3 for one layer over a set of images.

    Attributes
    ----------
    errors : (n,) array of float64
        For each image, the mean squared difference between the layer's responses and what its
        decoded filters predict, each mapped to [0, 1] by its own extremes over the whole layer.
    correlations : (n,) array of float64
        For each image, the correlation coefficient of the two.
    """

    errors: NDArray[np.float64] = field(repr=False)
    correlations: NDArray[np.float64] = field(repr=False)

    @property
    def n(self) -> int:
        """How many images."""
        return len(self.errors)

    @property
    def mean(self) -> float:
        """The mean error over the images."""
        return float(self.errors.mean())

    @property
    def std(self) -> float:
        """The standard deviation of the error over the images."""
        return float(self.errors.std())

    @property
    def correlation(self) -> float:
        """The mean correlation coefficient over the images."""
        return float(self.correlations.mean())


def evaluate(
    net: Network,
    x: ArrayLike,
    layers: Sequence[int | str] | None = None,
    unpool: Method = "bicubic",
    engine: str = "compiled",
    progress: Callable[[int], object] | None = None,
) -> dict[int, Evaluation]:
    """Compare what layers respond with what their decoded filters predict: eq. 3.

    The responses are those of the convolution itself, before any ReLU.

    Parameters
    ----------
    net : Network
    x : (N, C, H, W) array
        Images as `Network.prepare` returns them, at least one.
    layers : sequence of int or str, optional
        Convolutions, by number or name; all of them by default.
    unpool : "bicubic", "nearest" or "bilinear"
    engine : "compiled" or "reference"
    progress : callable, optional
        Called after each chunk of images with their number.

    Returns
    -------
    dict
        ``{layer: Evaluation}`` with ``.mean``, ``.std``, ``.n`` and ``.correlation``.

    Raises
    ------
    ArgumentError
        If there are no images, they do not fit the network, or a layer has no filters.

    Examples
    --------
    >>> import fdref
    >>> net = fdref.load()
    >>> x = net.prepare(fdref.mnist().test.images[:100])
    >>> found = fdref.evaluate(net, x, layers=[3, 7])
    >>> found[3].n, 0.001 < found[3].mean < 0.003, 0.06 < found[7].mean < 0.1
    (100, True, True)
    """
    images = real_array(x, "images")
    net.check_images(images)
    if not len(images):
        raise ArgumentError("there are no images; expected at least one")
    numbers = [decodable_number(net, layer) for layer in layers or net.decodable]
    banks = {number: decode(net, number, None, unpool, engine) for number in numbers}
    parts: dict[int, list[Array]] = {number: [] for number in numbers}
    for chunk in chunks(images):
        acts = forward(net, chunk, engine)
        for number, bank in banks.items():
            predicted = respond(net, number, bank, chunk, engine)
            parts[number].append(compare(acts[number], predicted))
        if progress is not None:
            progress(len(chunk))
    return {n: Evaluation(*np.concatenate(found, axis=1)) for n, found in parts.items()}


def chunks(images: Array) -> Iterator[Array]:
    """Cut images into pieces that a forward pass holds in memory without trouble."""
    for first in range(0, len(images), CHUNK):
        yield images[first : first + CHUNK]


def compare(response: Array, predicted: Array) -> NDArray[np.float64]:
    """Return eq. 3's error (row 0) and the correlation coefficient (row 1) of each image: (2, N).

    A response that is the same everywhere is mapped to 0 and correlates with nothing.
    """
    found, expected = (a.reshape(len(a), -1).astype(np.float64) for a in (predicted, response))
    errors = ((unit_range(expected) - unit_range(found)) ** 2).mean(axis=1)
    expected -= expected.mean(axis=1, keepdims=True)
    found -= found.mean(axis=1, keepdims=True)
    norms = np.sqrt((expected**2).sum(axis=1) * (found**2).sum(axis=1))
    products = (expected * found).sum(axis=1)
    correlations = np.divide(products, norms, out=np.zeros(len(norms)), where=norms > 0)
    return np.stack([errors, correlations])


def unit_range(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map each row (N, n) to [0, 1] by its own minimum and maximum."""
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    span = high - low
    mapped: NDArray[np.float64] = np.divide(
        values - low, span, out=np.zeros_like(values), where=span > 0
    )
    return mapped


def respond(
    net: Network, layer: int | str, bank: ArrayLike, x: ArrayLike, engine: str = "compiled"
) -> Array:
    """Correlate images with a layer's decoded filters at the layer's jump.

    Where the network pads, the images are padded with zeros, so that each value stands where the
    layer's own response stands.

    Parameters
    ----------
    net : Network
    layer : int or str
    bank : (K, C0, Rh, Rw) array
        Pictures of the size of the layer's receptive field, such as `decode` returns.
    x : (N, C0, H, W) array
        Images as `Network.prepare` returns them.
    engine : "compiled" or "reference"

    Returns
    -------
    (N, K, H_l, W_l) array, the size of the layer's output

    Raises
    ------
    ArgumentError
        If there is no such layer, or images or filters do not fit it.

    Examples
    --------
    >>> import fdref
    >>> net = fdref.load()
    >>> x = net.prepare(fdref.mnist().test.images[:2])
    >>> fdref.respond(net, 3, fdref.decode(net, 3), x).shape
    (2, 50, 8, 8)
    """
    number = net.number(layer)
    operations = engine_named(engine)
    filters, images = real_array(bank, "bank"), real_array(x, "images")
    net.check_images(images)
    field = receptive_field(net, number)
    if filters.ndim != 4 or filters.shape[1:] != (images.shape[1], *field.size):
        raise ArgumentError(
            f"bank has shape {filters.shape}; expected (K, {images.shape[1]}, {field.size[0]}, "
            f"{field.size[1]}), pictures of the receptive field of {net.describe(number)}"
        )
    height, width = net.map_sizes(images.shape[2:])[number]
    dtype = operations.precision(np.result_type(filters, net.dtype))
    response = operations.correlate(
        np.ascontiguousarray(padded(net, number, images), dtype),
        np.ascontiguousarray(filters, dtype),
        None,
        field.stride,
        (0, 0, 0, 0),
        (1, 1),
    )
    return response[:, :, :height, :width]


def padded(net: Network, number: int, images: Array) -> Array:
    """Put zeros around images wherever receptive fields of a layer reach beyond them."""
    field = receptive_field(net, number)
    count = net.map_sizes(images.shape[2:])[number]
    widths = [(0, 0), (0, 0)]
    for axis in range(2):
        before = -field.offset[axis]
        reach = (count[axis] - 1) * field.stride[axis] + field.size[axis] - before
        widths.append((before, max(0, reach - images.shape[2 + axis])))
    return np.pad(images, widths)
