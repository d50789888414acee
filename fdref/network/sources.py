"""Where a map's channels come from: the layers with filters, or the image, that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from fdref import layers as kinds
from fdref.network.fields import ancestors

if TYPE_CHECKING:
    from fdref.layers import Layer
    from fdref.network.graph import Network


def sources(net: Network, number: int) -> dict[int, int]:
    """Return the maps under a layer whose channels are those of one layer with filters.

    Pools, functions and whatever else treats every channel by itself pass channels on. What mixes
    or selects them (sums, concatenations, shuffles) does not: the ways through it lead on to the
    maps that it takes.

    Returns
    -------
    dict
        ``{map: the layer with filters that made its channels}``, 0 and less for the inputs.

    Examples
    --------
    >>> import fdref
    >>> sources(fdref.load(), 5)
    {0: 0, 1: 1, 2: 1, 3: 3, 4: 3}
    """
    found: dict[int, int] = {}
    for below in sorted(ancestors(net, number)[1:]):
        if below < 1 or isinstance(net[below], kinds.Conv | kinds.ConvTranspose):
            found[below] = below
        elif keeps_channels(net[below]) and net.takes[below][0] in found:
            found[below] = found[net.takes[below][0]]
    return found


def keeps_channels(layer: Layer) -> bool:
    """Tell whether channel k of a layer's output is made of channel k of the one map it takes."""
    match layer:
        case (
            kinds.Pool()
            | kinds.ReLU()
            | kinds.PReLU()
            | kinds.Elementwise()
            | kinds.Softmax()
            | kinds.Normalize()
            | kinds.BatchNorm()
            | kinds.Scale()
            | kinds.Dropout()
            | kinds.Pad()
            | kinds.Upsample()
        ):
            return True
        case (
            kinds.Conv()
            | kinds.ConvTranspose()
            | kinds.Sum()
            | kinds.Concat()
            | kinds.Channels()
            | kinds.Shuffle()
            | kinds.Product()
            | kinds.Maximum()
            | kinds.Unknown()
        ):
            return False
        case _:
            assert_never(layer)
