"""One or several: which layers, and which filters of a layer, are meant; the same everywhere.

A number, Python's or NumPy's; a layer's name; a sequence or an array of these; or a mask, a truth
value for each one that there is. None means all of them, an empty sequence none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import elements, shown, whole
from fdref.errors import ArgumentError
from fdref.network.fields import check_has_filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.network.graph import Network

    Layers = int | str | np.integer[Any] | Sequence[int | str] | NDArray[Any] | None
    """one or several layers"""


def decodable_number(net: Network, layer: int | str) -> int:
    """Return the number of a layer that has filters."""
    number = net.number(layer)
    if number not in net.decodable:
        check_has_filters(net, number)
        raise ArgumentError(
            f"{net.describe(number)} has no filters; layers that can be decoded are "
            f"{', '.join(map(str, net.decodable)) or 'none'}"
        )
    return number


def layer_numbers(net: Network, layers: Layers) -> tuple[int, ...]:
    """Return the numbers of the layers that are meant, each once; by default those with filters.

    >>> import fdref
    >>> net = fdref.load()
    >>> layer_numbers(net, ["pool2", 3]), layer_numbers(net, None)
    ((4, 3), (1, 3, 5, 7))
    """
    if layers is None:
        return net.decodable
    chosen = _chosen(layers, range(1, len(net) + 1), "layers")
    return tuple(dict.fromkeys(net.number(layer) for layer in chosen))  # type: ignore[arg-type]  # or error


def decodable_numbers(net: Network, layers: Layers) -> tuple[int, ...]:
    """Return the numbers of the layers that are meant, each once; all have filters.

    >>> import fdref
    >>> net = fdref.load()
    >>> decodable_numbers(net, ["conv4", 3]), decodable_numbers(net, "conv1")
    ((7, 3), (1,))
    """
    return tuple(decodable_number(net, number) for number in layer_numbers(net, layers))


def filter_indices(net: Network, number: int, filters: ArrayLike | None) -> Sequence[int]:
    """Return which filters of a layer are meant, counted from 0, as often as they are.

    >>> import fdref
    >>> filter_indices(fdref.load(), 7, np.arange(10) > 7), filter_indices(fdref.load(), 7, 3)
    ((8, 9), (3,))
    """
    every = range(net.channels[number])
    if filters is None:
        return every
    if isinstance(filters, range) and all(end in every for end in (*filters[:1], *filters[-1:])):
        return filters
    return tuple(filter_index(net, number, k) for k in _chosen(filters, every, "filters"))


def filter_index(net: Network, number: int, k: object) -> int:
    """Return which one filter of a layer is meant."""
    every = range(net.channels[number])
    found = whole(k)
    if found is None:
        raise ArgumentError(
            f"filter is {shown(k)}; expected a whole number from 0, or for several a sequence or "
            f"{len(every)} truth values"
        )
    if found not in every:
        raise ArgumentError(
            f"{net.describe(number)} has no filter {shown(found)}; its filters are 0 to {every[-1]}"
        )
    return found


def _chosen(asked: object, every: range, what: str) -> list[object]:
    """Return the one or several that are asked for; a mask chooses from all that there are."""
    several = elements(asked)
    if several is None:
        return [asked]
    truths = [isinstance(one, bool | np.bool_) for one in several]
    is_mask = isinstance(asked, np.ndarray) and asked.dtype == bool
    if not is_mask and not (truths and all(truths)):
        return several
    if len(several) != len(every):
        raise ArgumentError(
            f"{what} are {len(several)} truth values; expected {len(every)}, one for each that "
            "there is, or numbers"
        )
    return [one for one, meant in zip(every, several, strict=True) if meant]
