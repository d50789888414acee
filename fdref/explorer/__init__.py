"""Every neuron of a network on one page, from weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback, instance, one_of, text
from fdref.engines import engine_named
from fdref.engines.resize import METHODS
from fdref.errors import ArgumentError
from fdref.measure.matching import counterparts
from fdref.network.graph import Network
from fdref.network.units import receptive_field
from fdref.selection import decodable_numbers
from fdref.weights.pixels import ImageSet, check_pixels

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from numpy.typing import ArrayLike

    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.explorer.page import Page
    from fdref.selection import Layers


def explore(
    net: Network,
    *,
    layers: Layers = None,
    unpool: Method = "bicubic",
    engine: Engine | str = "compiled",
    images: ArrayLike | ImageSet | None = None,
    against: Network | None = None,
    name: str = "network",
    against_name: str = "the other network",
    channels: Literal["rgb", "bgr"] = "rgb",
    progress: Callable[[int], object] | None = None,
) -> Page:
    """Put every neuron of a network on one page, to be looked at in a browser or a notebook.

    Of each neuron the page shows its decoded filter, what it is made of and what it is part of,
    with signed shares (`fdref.composition`), which others are like it, its orientation, frequency
    and colour (`fdref.traits`), and the steps of its decoding.

    Parameters
    ----------
    net : Network
    layers : int, str, sequence, optional
        Which layers, by number or name; all with filters by default.
    unpool : "bicubic", "nearest", "bilinear" or "window"
        How a pooling layer is undone.
    engine : "compiled", "reference" or Engine
    images : (N, H, W) or (N, C, H, W) array, optional
        Pixels from 0 to 255: the nine that excite each neuron most are shown, what it saw of them,
        and what of that mattered (`fdref.strongest`).
    against : Network, optional
        Another network, whose neurons are matched with these (`fdref.match`).
    name, against_name : str
        What the networks are called on the page.
    channels : "rgb" or "bgr"
        The order of colours that the networks take.
    progress : callable, optional
        Called from time to time with a number of neurons of which one more thing is known.

    Returns
    -------
    Page
        With ``.save(path)`` and ``.html``; a notebook shows it.

    Raises
    ------
    ArgumentError
        For a layer that has no filters, unknown names, images that do not fit the network, or
        another network without a layer that could be matched.

    Examples
    --------
    >>> import fdref
    >>> page = fdref.explore(fdref.load(), layers=[1, 3], name="lenet")
    >>> page.html.startswith("<!DOCTYPE html>")
    True
    """
    # What draws and writes takes a while to import, and is not needed to decode.
    from fdref.explorer.contents import EXACT, Asked, gather  # noqa: PLC0415
    from fdref.explorer.page import Page  # noqa: PLC0415
    from fdref.explorer.told import told_of  # noqa: PLC0415

    instance(net, Network, "net")
    if against is not None:
        instance(against, Network, "against")
    one_of(unpool, "unpool", METHODS)
    one_of(channels, "channels", ("rgb", "bgr"))
    engine_named(engine)
    callback(progress, "progress")
    names = text(name, "name"), text(against_name, "against_name")
    if against is not None and not counterparts(net, against):
        raise ArgumentError(
            "against is a network none of whose layers decode to pictures of the size of this "
            "one's; expected one with layers that see as much of an image of as many channels"
        )
    numbers = tuple(sorted(decodable_numbers(net, layers)))
    if not numbers:
        raise ArgumentError("there is no layer to look at; expected a network with filters")
    count = sum(
        net.channels[n] * net.channels[0] * int(np.prod(receptive_field(net, n).size))
        for n in numbers
    )
    asked = Asked(
        net,
        numbers,
        unpool,
        engine,
        None if images is None else _images(net, images),
        against,
        channels == "bgr",
        count <= EXACT,
    )
    return Page(*told_of(asked, *names, *gather(asked, progress)))


def _images(net: Network, images: ArrayLike | ImageSet) -> ImageSet:
    """Read images, and make sure that the network takes them."""
    if not isinstance(images, ImageSet):
        pixels = np.asarray(images)
        check_pixels("images", pixels, 1)
        images = ImageSet(pixels[:, None] if pixels.ndim == 3 else pixels)
    if net.inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one that takes images")
    net.prepare(images.take([0]))
    return images
