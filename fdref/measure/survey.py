"""What the paper shows, recomputed: numbers from one pass over labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.decoding.decode import decode
from fdref.engines.pointwise import relu
from fdref.engines.resize import PAPERS
from fdref.errors import ArgumentError
from fdref.layers import Pool, ReLU
from fdref.measure.chunks import over_chunks, read_images
from fdref.measure.evaluation import compare, gathered, respond
from fdref.measure.finite import QUIET, check_banks, check_response, finite_forward, prepare
from fdref.network.fields import ancestors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines.resize import Method
    from fdref.measure.chunks import Chunk, Executor, Images
    from fdref.measure.evaluation import Evaluation
    from fdref.network.graph import Network

    Reading = tuple[str, int, Method]
    Cell = tuple[int, Method]

PAPER: dict[Cell, tuple[float, float]] = {
    (3, "bicubic"): (0.002, 0.001),
    (3, "nearest"): (0.0022, 0.001),
    (3, "bilinear"): (0.003, 0.001),
    (5, "bicubic"): (0.012, 0.005),
    (5, "nearest"): (0.012, 0.005),
    (5, "bilinear"): (0.013, 0.0055),
    (7, "bicubic"): (0.078, 0.056),
    (7, "nearest"): (0.077, 0.055),
    (7, "bilinear"): (0.081, 0.057),
}
"""Table 1 of the paper: mean and standard deviation, by layer and unpooling."""

EQ3 = "eq. 3"
PER_FILTER, RAW_PIXELS, AFTER_RELU = "each filter by itself", "raw pixels", "after the ReLU"
"""Eq. 3 as we read it, and other readings, which implementers ask about."""

SHOWN = 4
"""Images with the highest activations that are kept for each filter."""


@dataclass(frozen=True)
class Survey:
    """What one pass over the images finds out.

    Attributes
    ----------
    banks : {(layer, unpool): (K, C0, Rh, Rw) array}
    table : {(reading of eq. 3, layer, unpool): Evaluation}
        Other readings than ours under bicubic unpooling, where they make sense.
    best : {layer: (K, SHOWN) array of int}
        For each filter the images that excite it most in the network, the first most of all.
    guesses : {layer: (K,) array of int}
        The image whose correlation with the decoded filter (bicubic) is the largest anywhere.
    choosy : {layer: (K,) array of bool}
        Whether `best` and `guesses` say anything of a filter: some images excite it more than
        others, in the network and by correlation. Of a dead filter both are the first image.
    scores : (N, K) array
        The largest correlation of each image with each decoded filter of the last convolution.
    by_class : {layer: (classes, K) array}
        The largest activation in an image, averaged over the images of a class.
    """

    banks: dict[Cell, Array]
    table: dict[Reading, Evaluation]
    best: dict[int, NDArray[np.int64]]
    guesses: dict[int, NDArray[np.int64]]
    choosy: dict[int, NDArray[np.bool_]]
    scores: Array
    by_class: dict[int, NDArray[np.float64]]


class Strip(NamedTuple):
    """One layer of figure 4, for k of its filters.

    Attributes
    ----------
    title : str
    labels : k str
    decoded : (k, C, h, w) array
    originals : (k, C, h, w) array, or None
        The filters before decoding.
    best : (k, n, C, h, w) array
        What excites each filter most, the first most of all; by the network.
    guess : (k, C, h, w) array
        What correlates most with the decoded filter.
    """

    title: str
    labels: Sequence[str]
    decoded: Array
    originals: Array | None
    best: Array
    guess: Array


class Glance(NamedTuple):
    """What a survey keeps of n images.

    Attributes
    ----------
    rows : {(reading of eq. 3, layer, unpool): (2, n) array}
        As `compare` returns them.
    responses, predictions : {layer: (n, K) array}
        The largest in each image, in the network and by correlation with decoded filters (bicubic).
    """

    rows: dict[Reading, NDArray[np.float64]]
    responses: dict[int, Array]
    predictions: dict[int, Array]


@dataclass(frozen=True, eq=False)
class Glancing:
    """Looks at a chunk of images for a survey."""

    net: Network
    banks: dict[Cell, Array]

    @QUIET
    def __call__(self, chunk: Chunk) -> Glance:
        """Return what is kept of it."""
        net = self.net
        x = prepare(net, chunk.images, chunk.first)
        acts = finite_forward(net, x, chunk.first, last=max(net.decodable, default=None))
        rows = {
            (reading, layer, method): row
            for reading, layer, method, row in comparisons(
                net, chunk.images, x, acts, self.banks, chunk.first
            )
        }
        predictions = {n: respond(net, n, self.banks[n, "bicubic"], x) for n in net.decodable}
        return Glance(
            rows,
            {n: acts[n].max(axis=(2, 3)) for n in net.decodable},
            {n: predicted.max(axis=(2, 3)) for n, predicted in predictions.items()},
        )


@QUIET
def survey(
    net: Network,
    images: Images,
    labels: NDArray[np.integer],
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> Survey:
    """Go once through labelled images and collect what the table and the figures need.

    Parameters
    ----------
    net : Network
    images : (N, H, W) or (N, C, H, W) array, or iterable of such arrays
        Pixels from 0 to 255, at least one image.
    labels : (N,) array of int from 0
    progress : callable, optional
        Called after each chunk of images with their number.
    executor : optional
        As `evaluate` takes it.

    Raises
    ------
    ArgumentError
        If there are no images, they do not fit the network or are not finite, or there are not as
        many labels.
    NetworkError
        If weights are so large that filters or responses overflow.
    """
    images = read_images(images)
    if isinstance(images, np.ndarray):
        as_many(len(images), labels)
    banks = all_banks(net)
    glances = list(over_chunks(Glancing(net, banks), images, progress, executor))
    # From (responses, predictions) for each chunk to either for all images, by layer.
    responses, predictions = (
        {n: np.concatenate([largest[n] for largest in of_chunks]) for n in net.decodable}
        for of_chunks in zip(*(glance[1:] for glance in glances), strict=True)
    )
    as_many(len(responses[net.decodable[0]]), labels)
    return Survey(
        banks,
        gathered(glance.rows for glance in glances),
        {n: (-peaks).argsort(axis=0, kind="stable")[:SHOWN].T for n, peaks in responses.items()},
        {n: peaks.argmax(axis=0) for n, peaks in predictions.items()},
        {n: vary(responses[n]) & vary(predictions[n]) for n in net.decodable},
        predictions[net.decodable[-1]],
        {n: class_means(peaks, labels) for n, peaks in responses.items()},
    )


def as_many(count: int, labels: NDArray[np.integer]) -> None:
    """Raise ArgumentError unless there are as many labels as images, and any."""
    if not count or count != len(labels):
        raise ArgumentError(
            f"there are {count} images and {len(labels)} labels; expected a label for each image"
        )


def all_banks(net: Network) -> dict[Cell, Array]:
    """Decode every convolution under each unpooling; below the first pool they are one."""
    banks: dict[Cell, Array] = {}
    for layer in net.decodable:
        for method in PAPERS:
            same = method != PAPERS[0] and not has_pools_below(net, layer)
            banks[layer, method] = (
                banks[layer, PAPERS[0]] if same else decode(net, layer, None, method)
            )
    for method in PAPERS:
        check_banks(net, {layer: banks[layer, method] for layer in net.decodable})
    return banks


def has_pools_below(net: Network, layer: int) -> bool:
    """Tell whether unpooling has a part in a layer's decoded filters."""
    return any(n > 0 and isinstance(net[n], Pool) for n in ancestors(net, layer))


def comparisons(
    net: Network, raw: Array, x: Array, acts: list[Array], banks: dict[Cell, Array], first: int = 0
) -> Iterator[tuple[str, int, Method, NDArray[np.float64]]]:
    """Compare responses with predictions, in our reading of eq. 3 and in others.

    `first` is the number of the first image, for the message about one that overflows.
    """

    def answer(layer: int, bank: Array, images: Array) -> Array:
        predicted = respond(net, layer, bank, images)
        check_response(net, layer, predicted, first)
        return predicted

    pixels = (raw[:, None] if raw.ndim == 3 else raw).astype(net.dtype)
    for layer in net.decodable:
        response = acts[layer]
        for method in PAPERS:
            # `all_banks` has one array for all methods where there is no pool to undo.
            if method != PAPERS[0] and banks[layer, method] is banks[layer, PAPERS[0]]:
                continue
            predicted = answer(layer, banks[layer, method], x)
            yield EQ3, layer, method, compare(response, predicted)
        bank = banks[layer, "bicubic"]
        predicted = answer(layer, bank, x)
        yield RAW_PIXELS, layer, "bicubic", compare(response, answer(layer, bank, pixels))
        if response[0, 0].size > 1:
            yield PER_FILTER, layer, "bicubic", per_filter(response, predicted)
        if layer < len(net) and isinstance(net[layer + 1], ReLU):
            yield AFTER_RELU, layer, "bicubic", compare(relu(response), relu(predicted))


def per_filter(response: Array, predicted: Array) -> NDArray[np.float64]:
    """Compare as eq. 3 does, but map each filter's responses to [0, 1] by themselves.

    An image is judged by the filters whose two maps can be compared; NaN if there are none.
    """
    count, filters = response.shape[:2]
    rows = compare(*(a.reshape(count * filters, *a.shape[2:]) for a in (response, predicted)))
    rows = rows.reshape(2, count, filters)
    comparable = ~np.isnan(rows)
    counts = comparable.sum(axis=2)
    sums = rows.sum(axis=2, where=comparable)
    averages: NDArray[np.float64] = np.divide(
        sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0
    )
    return averages


def vary(peaks: Array) -> NDArray[np.bool_]:
    """Tell for each filter whether images differ in how much they excite it."""
    varies: NDArray[np.bool_] = peaks.min(axis=0) < peaks.max(axis=0)
    return varies


def class_means(peaks: Array, labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Average each filter's activation over the images of each class; NaN where there are none."""
    means = np.full((int(labels.max()) + 1, peaks.shape[1]), np.nan)
    for label in np.unique(labels):
        means[label] = peaks[labels == label].mean(axis=0)
    return means


def wins(answers: Array) -> NDArray[np.bool_]:
    """Tell for each row of a square matrix whether the diagonal is larger than all else in it."""
    # So that nothing on the diagonal is held against itself: a tie with another is no win.
    others = np.where(np.eye(len(answers), dtype=bool), -np.inf, answers)
    larger: NDArray[np.bool_] = np.diagonal(answers) > others.max(axis=1)
    return larger
