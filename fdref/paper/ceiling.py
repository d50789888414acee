"""How good could any filter be? The least-squares linear filter as the ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.evaluation import Evaluation, chunks, compare, padded, respond
from fdref.fields import receptive_field
from fdref.forward_pass import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.network import Network

    Progress = Callable[[int], object] | None


def linear_filters(
    net: Network, images: Array, layers: Sequence[int], progress: Progress = None
) -> dict[int, NDArray[np.float64]]:
    """Fit to each filter's responses the linear filter over its receptive field, without offset.

    Parameters
    ----------
    net : Network
    images : (N, H, W) or (N, C, H, W) array
        Pixels as `Network.prepare` takes them.
    layers : sequence of int
        Numbers of convolutions.
    progress : callable, optional
        Called after each chunk of images with their number.

    Returns
    -------
    dict
        ``{layer: (K, C0, Rh, Rw) array}``, to be used like a decoded bank. Where the images do not
        determine a filter, the one of least norm.
    """
    squares: dict[int, Array] = {}
    products: dict[int, Array] = {}
    for raw in chunks(images):
        x = net.prepare(raw)
        acts = forward(net, x)
        for layer in layers:
            seen = patches(net, layer, x)
            response = acts[layer].astype(np.float64).transpose(0, 2, 3, 1).reshape(len(seen), -1)
            squares[layer] = squares.get(layer, 0) + seen.T @ seen
            products[layer] = products.get(layer, 0) + seen.T @ response
        if progress is not None:
            progress(len(x))
    filters = {}
    for layer in layers:
        shape = (-1, net.channels[0], *receptive_field(net, layer).size)
        solution = np.linalg.lstsq(squares[layer], products[layer])[0]
        filters[layer] = np.ascontiguousarray(solution.T).reshape(shape)
    return filters


def patches(net: Network, layer: int, x: Array) -> NDArray[np.float64]:
    """Return what each pixel of a layer's map sees, one row each: (N * H_l * W_l, C0 * Rh * Rw)."""
    field = receptive_field(net, layer)
    height, width = net.map_sizes(x.shape[2:])[layer]
    windows = np.lib.stride_tricks.sliding_window_view(padded(net, layer, x), field.size, (2, 3))
    windows = windows[:, :, :: field.stride[0], :: field.stride[1]][:, :, :height, :width]
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x) * height * width, -1)
    return rows.astype(np.float64)


def ceiling(
    net: Network,
    fit: Array,
    test: Array,
    layers: Sequence[int],
    progress: Progress = None,
) -> dict[int, Evaluation]:
    """Evaluate filters fitted on some images on others, as `evaluate` does decoded filters.

    Parameters
    ----------
    net : Network
    fit, test : (N, H, W) or (N, C, H, W) arrays
        Pixels as `Network.prepare` takes them.
    layers : sequence of int
    progress : callable, optional

    Returns
    -------
    dict
        ``{layer: Evaluation}``
    """
    filters = linear_filters(net, fit, layers, progress)
    parts: dict[int, list[Array]] = {layer: [] for layer in layers}
    for raw in chunks(test):
        x = net.prepare(raw)
        acts = forward(net, x)
        for layer in layers:
            parts[layer].append(compare(acts[layer], respond(net, layer, filters[layer], x)))
        if progress is not None:
            progress(len(x))
    return {n: Evaluation(*np.concatenate(found, axis=1)) for n, found in parts.items()}
