"""What pictures of neurons are like: strength, orientation, spatial frequency, colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.engines import parallel
from fdref.measure.banks import norms, read_bank
from fdref.values import Value, hands_out_views, read_only

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.geometry import Pair

    Numbers = NDArray[np.float64]

FREQUENCIES = 64
"""At how many frequencies along each axis a spectrum is sampled, at least: pictures of fewer pixels
are continued with zeros, so that peaks between two of their own frequencies show, too."""

FAINT = 0.01
"""Less oriented than this, pictures have no orientation: it would be rounding's, or the frame's."""

AT_ONCE = 2**19
"""Numbers of the spectra that a thread computes at a time: 8 MB."""


@hands_out_views(
    "energy", "largest", "orientation", "frequency", "oriented", "colourfulness", "colour"
)
class Traits(Value):
    """What K pictures are like, as arrays of float64; (K,) unless said otherwise.

    Attributes
    ----------
    energy : array
        L2 norm: the root of the sum of squares.
    largest : array
        The value of the largest magnitude, with its sign.
    orientation : array
        Of the strokes or bars, in degrees from 0 to below 180: 0 for horizontal ones, 90 for
        vertical ones, and counter-clockwise as one sees it: 45 rises to the right, like "/" (rows
        of a picture are counted downwards). NaN where there is none: `oriented` is below 0.01.
    frequency : array
        Where the power spectrum has its peak, in cycles per pixel, in whichever direction; NaN for
        pictures whose channels are the same everywhere.
    oriented : array
        How much orientation there is: 1 if all power lies in one direction, 0 if it is spread
        evenly, or over crossing directions.
    colourfulness : array
        The share of the squares' sum that is off the grey axis, on which all channels are equal; 0
        for pictures of one channel, and for 0.
    colour : (K, C) array
        The axis of unit length along which most of the squares' sum lies, such that its largest
        component is positive; NaN for pictures that are 0 everywhere.
    """

    energy: Numbers
    largest: Numbers
    orientation: Numbers
    frequency: Numbers
    oriented: Numbers
    colourfulness: Numbers
    colour: Numbers

    def __init__(
        self,
        energy: ArrayLike,
        largest: ArrayLike,
        orientation: ArrayLike,
        frequency: ArrayLike,
        oriented: ArrayLike,
        colourfulness: ArrayLike,
        colour: ArrayLike,
    ) -> None:
        self.__dict__.update(
            energy=_frozen(energy),
            largest=_frozen(largest),
            orientation=_frozen(orientation),
            frequency=_frozen(frequency),
            oriented=_frozen(oriented),
            colourfulness=_frozen(colourfulness),
            colour=_frozen(colour),
        )


def _frozen(values: ArrayLike) -> Numbers:
    return read_only(np.array(values, np.float64))


def traits(bank: ArrayLike) -> Traits:
    """Tell what pictures are like.

    Orientation and frequency are those of the power spectrum, summed over the channels, each
    without its mean. The orientation is that of the mean of exp(2i angle), over all frequencies,
    weighed by their power; the length of that mean is how much orientation there is.

    Parameters
    ----------
    bank : (K, C, h, w) array
        Such as decoded filters.

    Returns
    -------
    Traits

    Raises
    ------
    ArgumentError
        For other shapes, NaN or infinity.

    Examples
    --------
    >>> import fdref
    >>> import numpy as np
    >>> rows = np.cos(2 * np.pi * np.arange(16) / 8)[:, None] * np.ones(16)
    >>> bars = fdref.traits([[rows], [rows.T]])
    >>> bars.orientation.round(), bars.frequency.round(3)
    (array([ 0., 90.]), array([0.128, 0.128]))
    """
    pictures = read_bank(bank)
    energy = norms(pictures)
    rows = pictures.reshape(len(pictures), int(np.prod(pictures.shape[1:])))
    places = np.abs(rows).argmax(axis=1)[:, None]
    largest = np.take_along_axis(rows, places, axis=1)[:, 0]
    colour, colourfulness = _colours(pictures, energy)
    return Traits(energy, largest, *_spectral(pictures, energy), colourfulness, colour)


def _colours(pictures: Array, energy: Numbers) -> tuple[Numbers, Numbers]:
    """Return the main colour axes, and how much is off the grey one."""
    count, channels = pictures.shape[:2]
    squares = np.zeros((count, channels, channels))
    for k in np.flatnonzero(energy):
        flat = pictures[k].reshape(channels, -1).astype(np.float64) / energy[k]
        squares[k] = np.einsum("cn,dn->cd", flat, flat)  # its trace is 1
    axes = np.linalg.eigh(squares)[1][:, :, -1]
    peaks = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    colour = np.where(energy[:, None] > 0, axes * np.sign(peaks), np.nan)
    grey = squares.sum(axis=(1, 2)) / channels
    off = np.clip(np.trace(squares, axis1=1, axis2=2) - grey, 0, 1)
    return colour, off if channels > 1 else np.zeros(count)


def _spectral(pictures: Array, energy: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return orientations, frequencies, and how oriented pictures are."""
    count, channels, height, width = pictures.shape
    size = _sampled(height), _sampled(width)
    turns, counts = _turns(size)
    faint = 4 * float(np.finfo(pictures.dtype).eps)
    mean = np.zeros(count, complex)
    frequency = np.full(count, np.nan)
    step = max(1, AT_ONCE // (channels * size[0] * size[1]))

    def compute(first: int) -> None:
        some = slice(first, first + step)
        scale = np.where(energy[some] > 0, energy[some], 1)[:, None, None, None]
        values = pictures[some].astype(np.float64) / scale
        values -= values.mean(axis=(2, 3), keepdims=True)
        varies = np.linalg.norm(values.reshape(len(values), -1), axis=1) > faint
        spectrum = np.fft.rfft2(values, size)
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
        total = np.einsum("kyx,x->k", power, counts)
        total[~varies] = 1
        mean[some] = np.einsum("kyx,yx->k", power, turns) / total * varies
        frequency[some] = [
            _peak(own, size) if there else np.nan for own, there in zip(power, varies, strict=True)
        ]

    parallel.each(compute, range(0, count, step))
    oriented = np.minimum(np.abs(mean), 1)
    degrees = np.rad2deg(np.angle(mean) / 2) % 180
    degrees[degrees >= 180] = 0  # the remainder of a tiny negative number
    return np.where(oriented < FAINT, np.nan, degrees), frequency, oriented


def _turns(size: Pair) -> tuple[NDArray[np.complex128], Numbers]:
    """Return exp(2i angle) of the bars of each frequency, times how often it counts; and that.

    Bars stand at right angles to the direction in which a wave goes. Of a real picture, a wave and
    that which goes the other way have the same power, and only one of both is computed: it counts
    twice, but in the columns that hold both.
    """
    down, across = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])
    wave = down + 1j * across  # its angle, from "down", is that of the bars from "across"
    length = np.abs(wave)
    turns = np.divide(wave, length, out=np.zeros_like(wave), where=length > 0) ** 2
    both = np.full(turns.shape[1], 2.0)
    both[0] = 1
    # Half a cycle per pixel goes either way: it stands for the mean of both.
    if size[0] % 2 == 0:
        turns[size[0] // 2].imag = 0
    if size[1] % 2 == 0:
        turns[:, -1].imag = 0
        both[-1] = 1
    return turns * both, both


def _peak(power: Numbers, size: Pair) -> float:
    """Return the frequency of the highest power, between samples as a parabola tells."""
    row, column = np.unravel_index(int(power.argmax()), power.shape)
    down = row + _vertex(power[[row - 1, row, (row + 1) % size[0]], column])
    # Beyond both ends of the half that is computed are the mirror images of the columns within.
    mirrored = [abs(column - 1), column, column + 1]
    rows = [-row if column == 0 else row, row, row]
    if mirrored[2] >= power.shape[1]:
        mirrored[2], rows[2] = size[1] - mirrored[2], -row
    across = column + _vertex(power[rows, mirrored])
    # More than half a cycle per pixel is less than that, the other way.
    down, across = (
        min(n / length, 1 - n / length) for n, length in zip((down, across), size, strict=True)
    )
    return float(np.hypot(down, across))


def _vertex(three: Numbers) -> float:
    """Return where, from -1/2 to 1/2, a parabola through three samples has its top."""
    left, middle, right = three
    bend = left - 2 * middle + right
    return float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _sampled(length: int) -> int:
    """Return how many frequencies there are, a number that Fourier transforms like."""
    found = max(length, FREQUENCIES)
    while not _is_smooth(found):
        found += 1
    return found


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1
