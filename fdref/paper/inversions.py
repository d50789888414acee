"""Images that layers answer as they answer digits, or as filters' textures would be answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.decoding.decode import decode
from fdref.layers import PReLU, ReLU
from fdref.measure.inversion import invert
from fdref.measure.reallocation import energies, reallocate
from fdref.measure.replacing import nonlinear_below
from fdref.measure.spectra import nearest_is_own, spectra, told
from fdref.walk.forward import forward

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.network.graph import Network
    from fdref.paper.subject import Subject


class Inverted(NamedTuple):
    """Images found again from their codes.

    Attributes
    ----------
    originals, images : (n, C, H, W) arrays
        Pixels.
    errors : (n,) array
        Relative squared, of the codes.
    correlations : (n,) array
        Of the pixels; NaN where one image is the same everywhere.
    """

    originals: Array
    images: Array
    errors: NDArray[np.float64]
    correlations: NDArray[np.float64]


class Textured(NamedTuple):
    """Images found from codes whose energy one map has.

    Attributes
    ----------
    filters : (k,) array of int
    images : (k, n, C, H, W) array
        Pixels: for each filter, from the codes of n images.
    decoded : (k, C, Rh, Rw) array
        What the filters look for.
    before, after : float
        The mean share of the energy that a filter's map has, in the images' own codes and in those
        of the images found.
    map_told, image_told, decoded_told : float
        From how many spectra the filter can be told, and the image; how many filters' textures are
        nearest to their own decoded filter among these.
    """

    filters: NDArray[np.intp]
    images: Array
    decoded: Array
    before: float
    after: float
    map_told: float
    image_told: float
    decoded_told: float


def inverted(
    subject: Subject, number: int, progress: Callable[[int], object] | None = None
) -> Inverted | None:
    """Search for images again that a layer answers as the subject's; None if it answers nothing."""
    some = subject.some(len(subject.images), subject.effort.inverted)
    originals = pixels(subject, some)
    code = code_of(subject.net, originals, number)
    alive = code.any(axis=(1, 2, 3))
    if not alive.any():
        return None
    iterations, size = subject.effort.iterations, originals.shape[2:]
    found = invert(
        subject.net, code[alive], number, iterations=iterations, size=size, progress=progress
    )
    return Inverted(
        originals[alive],
        found.images,
        found.errors,
        pixel_correlations(originals[alive], found.images),
    )


def textured(
    subject: Subject, number: int, progress: Callable[[int], object] | None = None
) -> Textured | None:
    """Give all energy of images' codes to one map, each in turn, and search for such images.

    None where fewer than two maps have any energy, or fewer than two images give them any.
    """
    net, effort = subject.net, subject.effort
    some = subject.some(len(subject.images), effort.textured)
    originals = pixels(subject, some)
    code = code_of(net, originals, number)
    own = energies(code)
    awake = own.any(axis=1)
    active = np.flatnonzero((own[awake] > 0).all(axis=0))
    if awake.sum() < 2 or len(active) < 2:
        return None
    code, own = code[awake], own[awake]
    which = active[subject.some(len(active), effort.maps)]
    moved = [reallocate(one[None], "one", which.tolist()) for one in code]  # each (k, C, h, w)
    target = np.stack(moved, axis=1)
    size = originals.shape[2:]
    found = invert(
        net,
        target.reshape(-1, *code.shape[1:]),
        number,
        iterations=effort.texture_iterations,
        size=size,
        progress=progress,
    )
    images = found.images.reshape(len(which), len(code), *originals.shape[1:])
    answers = energies(code_of(net, found.images, number)).reshape(len(which), len(code), -1)
    shares = answers[np.arange(len(which)), :, which] / np.maximum(answers.sum(axis=2), 1e-300)
    seen = net.prepare(found.images).reshape(images.shape)  # the average is in all of them
    rows = spectra(seen, size)
    decoded = decode(net, owner(net, number), which)
    similar = rows.mean(axis=1) @ spectra(decoded, size).T
    return Textured(
        which,
        images,
        decoded,
        float((own[:, which] / own.sum(axis=1, keepdims=True)).mean()),
        float(shares.mean()),
        told(rows),
        told(rows.swapaxes(0, 1)),
        float(nearest_is_own(similar).mean()),
    )


def texture_layers(subject: Subject) -> tuple[int, ...]:
    """Return layers whose maps show textures: larger than a pixel, and not linear in the image.

    Of a layer with filters its ReLU, if it has one; else its own responses.
    """
    net = subject.net
    sizes = net.map_sizes(subject.images.shape[-2:])
    rectified = {
        owner(net, n): n for n in range(1, len(net) + 1) if isinstance(net[n], ReLU | PReLU)
    }
    several = [rectified.get(n, n) for n in net.decodable]
    return tuple(
        n
        for n in several
        if min(sizes[n]) > 1 and (n in rectified.values() or nonlinear_below(net, n))
    )


def owner(net: Network, number: int) -> int:
    """Return the layer with filters whose maps a layer has, perhaps itself; 0: the image's."""
    while number and number not in net.decodable:
        number = net.takes[number][0]
    return number


def code_of(net: Network, images: Array, number: int) -> Array:
    """Return what a layer answers to pixels (n, C, H, W)."""
    return forward(net, net.prepare(images), last=number)[number]


def pixels(subject: Subject, which: NDArray[np.intp]) -> Array:
    """Return some images as (n, C, H, W)."""
    several = subject.images[which]
    return several[:, None] if several.ndim == 3 else several


def pixel_correlations(images: Array, others: Array) -> NDArray[np.float64]:
    """Correlate images with others, one by one."""
    flat = [several.reshape(len(several), -1).astype(np.float64) for several in (images, others)]
    rows = [own - own.mean(axis=1, keepdims=True) for own in flat]
    norms = np.sqrt((rows[0] ** 2).sum(axis=1) * (rows[1] ** 2).sum(axis=1))
    products = (rows[0] * rows[1]).sum(axis=1)
    found: NDArray[np.float64] = np.full_like(norms, np.nan)
    np.divide(products, norms, out=found, where=norms > 0)
    return found
