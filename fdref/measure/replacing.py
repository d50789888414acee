"""Networks in which some of what is not linear is replaced by what decoding takes it for.

A ReLU passes its map on, a max pool averages its windows. Which of them keeps a decoded filter from
predicting its neuron is seen by replacing them in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from fdref import layers as kinds
from fdref.network.fields import ancestors
from fdref.network.graph import Network

if TYPE_CHECKING:
    from collections.abc import Collection

    from fdref.layers import Layer

    Replaced = tuple[int, ...]
    """numbers of the layers that are replaced, in order"""

SINGLY = 8
"""Up to so many layers that are not linear are replaced one by one; of more, all of a kind."""


def linear_part(layer: Layer) -> Layer | None:
    """Return what decoding takes a layer for, if that is another layer.

    >>> linear_part(kinds.Pool(2, 2)).method, linear_part(kinds.Pool(2, 2, method="avg"))
    ('avg', None)
    """
    match layer:
        case kinds.Pool(method="max"):
            return kinds.Pool(**layer.parts() | {"method": "avg"})
        case (
            kinds.ReLU() | kinds.PReLU() | kinds.Elementwise() | kinds.Normalize() | kinds.Softmax()
        ):
            return kinds.Dropout(name=layer.name)  # in use, it passes its map on
        case (
            kinds.Conv()
            | kinds.ConvTranspose()
            | kinds.Pool()
            | kinds.Sum()
            | kinds.Concat()
            | kinds.Channels()
            | kinds.Upsample()
            | kinds.Shuffle()
            | kinds.Pad()
            | kinds.Scale()
            | kinds.BatchNorm()
            | kinds.Dropout()
        ):
            return None
        case kinds.Product() | kinds.Maximum() | kinds.Unknown():
            return None  # decoding takes it for nothing
        case _:
            assert_never(layer)


def nonlinear_below(net: Network, number: int) -> Replaced:
    """Return which layers below one are not linear, and are taken for what is.

    >>> import fdref
    >>> nonlinear_below(fdref.load(), 7), nonlinear_below(fdref.load(), 1)
    ((2, 4, 6), ())
    """
    below = sorted(n for n in ancestors(net, number) if 0 < n < number)
    return tuple(n for n in below if linear_part(net[n]) is not None)


def replace_nonlinear(net: Network, numbers: Collection[int]) -> Network:
    """Return the network with some layers replaced by their linear parts.

    Its decoded filters are those of the network: that is what decoding takes the layers for.

    Parameters
    ----------
    net : Network
    numbers : collection of int
        Of layers that `nonlinear_below` names.

    Examples
    --------
    >>> import fdref
    >>> [layer.kind for layer in replace_nonlinear(fdref.load(), [6])]
    ['conv', 'pool', 'conv', 'pool', 'conv', 'dropout', 'conv', 'softmax']
    """
    if not numbers:
        return net
    layers = [
        (linear_part(layer) or layer) if number in numbers else layer
        for number, layer in enumerate(net, 1)
    ]
    return Network(**net.parts() | {"layers": layers})


def variants(net: Network, number: int) -> list[Replaced]:
    """Return which layers below one to replace together: none, some, and at last all of them.

    First each by itself, then all of a kind, then the topmost ones, one more each time. Where there
    are more than `SINGLY`, only all of a kind.

    Examples
    --------
    >>> import fdref
    >>> variants(fdref.load(), 7)
    [(), (2,), (4,), (6,), (2, 4), (4, 6), (2, 4, 6)]
    """
    every = nonlinear_below(net, number)
    singly = every if len(every) <= SINGLY else ()
    of_kind: dict[str, Replaced] = {}
    for n in every:
        of_kind[net[n].kind] = (*of_kind.get(net[n].kind, ()), n)
    topmost = [singly[start:] for start in range(len(singly) - 1, -1, -1)]
    return list(dict.fromkeys([(), *((n,) for n in singly), *of_kind.values(), *topmost, every]))
