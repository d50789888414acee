"""What excites neurons most in somebody's images: patches, and what of them mattered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.drawing.grid import side_by_side
from fdref.explorer.pictures import THUMBNAIL, atlas, fitted, shades
from fdref.measure.strongest import strongest
from fdref.network.units import receptive_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.explorer.pictures import Atlas, Shades
    from fdref.geometry import Pair
    from fdref.measure.strongest import Strongest
    from fdref.network.graph import Network
    from fdref.weights.pixels import ImageSet

COUNT = 9
"""Images of each neuron, as Zeiler & Fergus show them."""
AT_ONCE = 2**26
"""Bytes of patches that are made at a time."""


class Excited(NamedTuple):
    """The strongest images of every neuron of a layer."""

    values: Array
    """(K, n)"""
    images: NDArray[np.intp]
    """(K, n): which"""
    patches: Atlas
    """K * n pictures, those of a neuron one after the other"""
    projections: Atlas


def excited(
    net: Network,
    layer: int,
    images: ImageSet,
    engine: Engine | str,
    swap: Callable[[Array], Array],
    progress: Callable[[int], object] | None = None,
    *,
    exact: bool,
) -> Excited:
    """Find the images that excite every neuron of a layer most.

    Parameters
    ----------
    net : Network
    layer : int
    images : ImageSet
    engine : Engine or str
    swap : callable
        Puts red first where the network takes blue first.
    progress : callable, optional
        Called after each block of neurons with their number.
    exact : bool
        Whether pictures are kept as they are.
    """
    top = strongest(net, images.chunks(), layer, None, COUNT, engine)
    patches: list[Shades] = []
    projections: list[Shades] = []
    size = receptive_field(net, layer).size
    longest = None if exact else THUMBNAIL
    for some in _blocks(top, images, size):
        for patch, picture in zip(_flat(some.patches()), _flat(some.projections()), strict=True):
            patches.append(_pixels(fitted(swap(patch), longest)))
            projections.append(shades(swap(picture), longest))
        if progress is not None:
            progress(len(some.filters))
    return Excited(
        top.values, top.images, atlas(patches, exact=exact), atlas(projections, exact=exact)
    )


def _blocks(top: Strongest, images: ImageSet, size: Pair) -> Iterator[Strongest]:
    """Cut neurons into those whose patches are made at a time, with the images that they need."""
    one = 8 * size[0] * size[1] * COUNT * top.net.channels[0]
    step = max(1, AT_ONCE // one)
    for first in range(0, len(top.filters), step):
        some = slice(first, first + step)
        wanted, own = np.unique(top.images[some], return_inverse=True)
        yield replace(
            top,
            filters=top.filters[some],
            values=top.values[some],
            images=own.reshape(top.images[some].shape),
            places=top.places[some],
            pixels=images.take(wanted),
        )


def _flat(pictures: Array) -> Array:
    """Return pictures (K, n, C, h, w) one after the other."""
    return pictures.reshape(-1, *pictures.shape[2:])


def _pixels(patch: Array) -> Shades:
    """Return a part of an image, 0 to 255, as it is."""
    pixels = np.rint(np.clip(patch, 0, 255)).astype(np.uint8)
    if len(pixels) == 3:
        return pixels.transpose(1, 2, 0)
    return side_by_side(pixels[..., None].repeat(3, axis=3))
