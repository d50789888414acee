"""Activations that are to be projected: which ones, of the forward pass of which images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from fdref.arguments import elements, instance, shown
from fdref.arrays import in_precision, real_array
from fdref.engines import engine_named
from fdref.errors import ArgumentError
from fdref.network.fields import ancestors
from fdref.network.graph import Network
from fdref.network.images import check_images
from fdref.network.sizes import sizes_from
from fdref.walk.forward import check_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine


class Kept(NamedTuple):
    """Activations of a layer, and the forward pass that they are of."""

    net: Network
    number: int
    """the layer's"""
    engine: Engine
    maps: dict[int, Array]
    """those of the layer and of all below it, by number, in the engine's precision"""
    kept: NDArray[np.intp] | NDArray[np.bool_]
    """(K, 4) image, channel, row and column of single ones, or (N, C, H, W) truth values"""


def read_kept(
    net: Network,
    acts: Sequence[ArrayLike],
    layer: int | str,
    kept: ArrayLike,
    engine: Engine | str,
) -> Kept:
    """Read what `fdref.project` is given.

    Raises
    ------
    ArgumentError, NetworkError
        As `fdref.project` does.
    """
    number = instance(net, Network, "net").number(layer)
    if net.inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one to project to")
    check_known(net, ancestors(net, number))
    operations = engine_named(engine)
    maps = _read_maps(net, acts, number, operations)
    return Kept(net, number, operations, maps, _read_which(net, kept, number, maps[number].shape))


def _read_maps(
    net: Network, acts: Sequence[ArrayLike], number: int, engine: Engine
) -> dict[int, Array]:
    """Read the maps up to a layer, each of the shape that the forward pass makes."""
    several = list(acts) if isinstance(acts, list | tuple) else elements(acts)
    if several is None or len(several) <= number:
        got = shown(acts) if several is None else f"{len(several)} arrays"
        raise ArgumentError(
            f"acts are {got}; expected what fdref.forward returns, at least {number + 1} arrays, "
            f"from the images to {net.describe(number)}"
        )
    needed = ancestors(net, number)
    maps = {n: real_array(cast("ArrayLike", several[n]), f"acts[{n}]") for n in needed}
    images = maps[0] if 0 in maps else real_array(cast("ArrayLike", several[0]), "acts[0]")
    check_images(net, images)
    sizes = sizes_from(net, [(images.shape[2], images.shape[3])])
    for n, own in maps.items():
        expected = (len(images), net.channels_of(n), *sizes[n])
        if own.shape != expected:
            raise ArgumentError(
                f"acts[{n}] has shape {own.shape}; expected {expected}, as fdref.forward returns "
                "of these images"
            )
    dtype = engine.precision(net.dtype)
    return {n: in_precision(own, dtype, f"acts[{n}]") for n, own in maps.items()}


def _read_which(
    net: Network, kept: ArrayLike, number: int, shape: tuple[int, ...]
) -> NDArray[np.intp] | NDArray[np.bool_]:
    array = np.asarray(real_array(kept, "kept"))
    if array.dtype == np.bool_ and array.shape == shape:
        return array.astype(np.bool_, copy=False)
    if array.ndim == 1 and not array.size:  # an empty list
        return np.zeros((0, 4), np.intp)
    if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != 4:
        raise ArgumentError(
            f"kept is {shown(array)}; expected whole numbers of shape (K, 4), the image, channel, "
            f"row and column of each unit, or truth values of shape {shape}"
        )
    beyond = ((array < 0) | (array >= np.array(shape))).any(axis=1)
    if beyond.any():
        raise ArgumentError(
            f"kept holds {array[beyond.argmax()].tolist()}; expected image, channel, row and "
            f"column within {shape}, the activations of {net.describe(number)}"
        )
    return array.astype(np.intp)
