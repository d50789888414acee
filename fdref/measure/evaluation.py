"""Does a decoded filter predict its neuron? The paper's eq. 3 and table 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fdref.arguments import callback, instance
from fdref.arrays import common_precision, in_precision, real_array
from fdref.decoding.decode import decode
from fdref.engines import engine_named
from fdref.errors import ArgumentError
from fdref.measure.abreast import Abreast
from fdref.measure.chunks import check_executor, over_chunks, read_images
from fdref.measure.finite import QUIET, check_banks, check_response, finite_forward
from fdref.network.graph import Network
from fdref.network.images import check_images
from fdref.network.sizes import map_size
from fdref.network.units import receptive_field
from fdref.selection import decodable_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.measure.chunks import Chunk, Executor, Images
    from fdref.selection import Layers

Key = TypeVar("Key")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Eq. 3 for one layer over a set of images.

    Attributes
    ----------
    errors : (n,) array of float64
        For each image, the mean squared difference between the layer's responses and what its
        decoded filters predict, each mapped to [0, 1] by its own extremes over the whole layer.
        NaN where one of the two is the same everywhere: there is nothing to compare.
    correlations : (n,) array of float64
        For each image, the correlation coefficient of the two; NaN where the error is.
    """

    errors: NDArray[np.float64] = field(repr=False)
    correlations: NDArray[np.float64] = field(repr=False)

    @property
    def n(self) -> int:
        """How many images."""
        return len(self.errors)

    @property
    def compared(self) -> int:
        """Of how many images the responses could be compared: those that have an error."""
        return len(numbers(self.errors))

    @property
    def mean(self) -> float:
        """The mean error over the images that have one; NaN if none has."""
        errors = numbers(self.errors)
        return float(errors.mean()) if len(errors) else nan

    @property
    def std(self) -> float:
        """The standard deviation of the error over the same images."""
        errors = numbers(self.errors)
        return float(errors.std()) if len(errors) else nan

    @property
    def correlation(self) -> float:
        """The mean correlation coefficient over the same images."""
        correlations = numbers(self.correlations)
        return float(correlations.mean()) if len(correlations) else nan


@QUIET
def evaluate(
    net: Network,
    x: Images,
    layers: Layers = None,
    unpool: Method = "bicubic",
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> dict[int, Evaluation]:
    """Compare what layers respond with what their decoded filters predict: eq. 3.

    The responses are those of the convolution itself, before any ReLU. Neither an executor nor how
    many images come at once changes a bit of the result.

    Parameters
    ----------
    net : Network
    x : (N, C, H, W) array, or iterable of such arrays
        Images as `Network.prepare` returns them, at least one. Iterated over once: no more than a
        hundred for each thread are in memory, and than three hundred for each CPU with an executor.
    layers : int, str, sequence or array of these, or mask, optional
        Convolutions, by number or name, or a truth value for each layer of the network; all of them
        by default, none where it is empty.
    unpool : "bicubic", "nearest", "bilinear" or "window"
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each chunk of images with their number.
    executor : optional
        What has a `map` of functions over chunks of images, such as those of `concurrent.futures`
        and loky, or ``dask.distributed.Client().get_executor()``. Each of its workers takes as many
        threads as NumPy's BLAS does there.

    Returns
    -------
    dict
        ``{layer: Evaluation}`` with ``.mean``, ``.std``, ``.n`` and ``.correlation``.

    Raises
    ------
    ArgumentError
        If there are no images, they do not fit the network or are not finite, or a layer has no
        filters.
    NetworkError
        If weights are so large that filters or responses overflow.
    FdrefError
        If a worker of the executor died.

    Examples
    --------
    >>> import fdref
    >>> net = fdref.load()
    >>> digits = fdref.mnist().test.images[:300]
    >>> found = fdref.evaluate(net, net.prepare(digits), layers=[3, 7])
    >>> found[3].n, 0.001 < found[3].mean < 0.003, 0.06 < found[7].mean < 0.1
    (300, True, True)

    Images that come a few at a time, on several threads, or processes likewise:

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> some = (net.prepare(digits[first : first + 50]) for first in range(0, 300, 50))
    >>> with ThreadPoolExecutor(2) as executor:
    ...     again = fdref.evaluate(net, some, layers=[3, 7], executor=executor)
    >>> (again[7].errors == found[7].errors).all()
    np.True_
    """
    if instance(net, Network, "net").inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one to be evaluated on")
    callback(progress, "progress")
    check_executor(executor)
    images = read_images(x)
    if isinstance(images, np.ndarray):
        check_images(net, images)
        if not len(images):
            raise ArgumentError("there are no images; expected at least one")
    wanted = decodable_numbers(net, layers)
    banks = {number: decode(net, number, None, unpool, engine) for number in wanted}
    check_banks(net, banks)
    judge, abreast = Judge(net, banks, engine), Abreast(net, engine)
    return gathered(over_chunks(judge, images, progress, executor, abreast=abreast))


@dataclass(frozen=True, eq=False)
class Judge:
    """Compares, for images that are prepared, layers' responses with what banks predict."""

    net: Network
    banks: Mapping[int, Array]
    engine: Engine | str

    @QUIET
    def __call__(self, chunk: Chunk) -> dict[int, NDArray[np.float64]]:
        """Return `compare`'s rows for each layer."""
        last = max(self.banks, default=None)
        acts = finite_forward(self.net, chunk.images, chunk.first, self.engine, last)
        rows = {}
        for number, bank in self.banks.items():
            predicted = respond(self.net, number, bank, chunk.images, self.engine)
            check_response(self.net, number, predicted, chunk.first)
            rows[number] = compare(acts[number], predicted, engine=self.engine)
        return rows


def gathered(chunks: Iterable[Mapping[Key, NDArray[np.float64]]]) -> dict[Key, Evaluation]:
    """Put together what `compare` returned for chunks of images, under each key."""
    rows: dict[Key, list[NDArray[np.float64]]] = {}
    for rows_of_chunk in chunks:
        for key, own in rows_of_chunk.items():
            rows.setdefault(key, []).append(own)
    return {key: Evaluation(*np.concatenate(own, axis=1)) for key, own in rows.items()}


def compare(
    response: Array, predicted: Array, *, engine: Engine | str = "compiled"
) -> NDArray[np.float64]:
    """Return eq. 3's error (row 0) and the correlation coefficient (row 1) of each image: (2, N).

    Both are NaN for an image of which a side holds a NaN or infinity, or is the same everywhere.
    """
    operations = engine_named(engine)
    dtype = operations.precision(common_precision(response.dtype, predicted.dtype))
    sides = (
        np.ascontiguousarray(side, dtype).reshape(len(side), -1) for side in (response, predicted)
    )
    return operations.compare(*sides)


def numbers(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return those values that are numbers."""
    return values[~np.isnan(values)]


def respond(
    net: Network, layer: int | str, bank: ArrayLike, x: ArrayLike, engine: Engine | str = "compiled"
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
    engine : "compiled", "reference" or Engine

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
    number = instance(net, Network, "net").number(layer)
    operations = engine_named(engine)
    filters, images = real_array(bank, "bank"), real_array(x, "images")
    check_images(net, images)
    field = receptive_field(net, number)
    if filters.ndim != 4 or filters.shape[1:] != (images.shape[1], *field.size):
        raise ArgumentError(
            f"bank has shape {filters.shape}; expected (K, {images.shape[1]}, {field.size[0]}, "
            f"{field.size[1]}), pictures of the receptive field of {net.describe(number)}"
        )
    dtype = operations.precision(common_precision(np.result_type(filters, net.dtype)))
    seen = in_precision(padded(net, number, images), dtype, "images")
    weights = in_precision(filters, dtype, "bank")
    return operations.correlate(seen, weights, None, field.stride, (0, 0, 0, 0), (1, 1))


def padded(net: Network, number: int, images: Array) -> Array:
    """Return of images what a layer's receptive fields see, zeros where these reach beyond them.

    Rows and columns before the first field and behind the last, which the network crops, are left
    out.
    """
    field = receptive_field(net, number)
    count = map_size(net, number, images.shape[2:])
    seen, widths = [slice(None)] * 2, [(0, 0)] * 2
    for size, first, stride, window, positions in zip(
        images.shape[2:], field.offset, field.stride, field.size, count, strict=True
    ):
        last = first + (positions - 1) * stride + window
        seen.append(slice(max(0, first), max(0, last)))
        widths.append((min(last, 0) - min(first, 0), max(last, size) - max(first, size)))
    within = images[tuple(seen)]
    return np.pad(within, widths) if any(map(any, widths)) else np.ascontiguousarray(within)
