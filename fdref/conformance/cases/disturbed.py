"""How far results of somebody's own network may be off: roundings, carried by the network itself.

In networks that are known, roundings can be counted and taken relative to the largest value. Other
people's add what cancels, cut off what is large and choose what is small; there, what was rounded
below may be large beside what is left. So the case is computed once more, and every operation errs,
up or down at random, by as much as its roundings may amount to in any order of adding: the bound of
an operation by itself. How far the outputs move is the tolerance.
"""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.case import Tolerance
from fdref.conformance.cases.tolerances import (
    downwards,
    in_line,
    rounded_up,
    unpooled,
    upwards,
)
from fdref.conformance.compute import judged, kept_alone
from fdref.conformance.occlusion import BruteForce
from fdref.engines import engine_named
from fdref.layers import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Elementwise,
    Normalize,
    Pool,
    ReLU,
    Scale,
    Softmax,
    Sum,
)
from fdref.measure.evaluation import respond
from fdref.network.fields import ancestors
from fdref.network.graph import Network
from fdref.network.units import FIRST, boxes, unit_at
from fdref.walk.down import Decoding
from fdref.walk.forward import output
from fdref.walk.pictures import Picture, unite
from fdref.walk.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.conformance.case import Case
    from fdref.conformance.compute import Outputs
    from fdref.engines.resize import Method
    from fdref.layers import Layer
    from fdref.network.units import Unit
    from fdref.walk.projection import Rule

REFERENCE = engine_named("reference")
EPS = float(np.finfo(np.float32).eps)
OVERSHOOT = 1.25**2
"""What the absolute values of an enlarged pixel's weights add up to, at most."""
LUCK = 4
"""By how much more a mean over many pixels may move than it happened to."""


class Noise:
    """Errs at random, the same each time, and remembers how many roundings were the most."""

    def __init__(self) -> None:
        self.random = np.random.RandomState(0)
        self.most = 0

    def on(self, values: Array, roundings: int, sums: Array | float) -> Array:
        """Return values, each off by so many roundings of a sum of absolute values."""
        self.most = max(self.most, roundings)
        up = self.random.randint(0, 2, values.shape, np.int8)
        error = in_line(roundings) * EPS * sums
        return np.asarray(values + (2 * up - 1) * error)


def tolerance_of(case: Case, net: Network) -> Tolerance:
    """Derive how far the outputs of a case of a network may be from what is expected.

    Parameters
    ----------
    case : Case
        Of "forward", "decode", "project", "occlude" or "evaluate", with its expected outputs.
    net : Network
        The one that it is about.
    """
    noise = Noise()
    other = outputs_with(noise, case, net)
    bounds = {name: _moved(case.expected[name], other[name]) for name in case.expected}
    if case.operation == "evaluate":
        bounds["correlations"] = rounded_up(LUCK * bounds["correlations"])
        bounds |= dict.fromkeys(("errors", "mean", "std"), rounded_up(LUCK * bounds["errors"]))
    reason = (
        "how far outputs move when every operation is off, up or down, by as much as its roundings "
        f"may amount to: at most {noise.most}, or 4*sqrt of them, each eps = {EPS:.2g} of the sum "
        "of absolute values"
    )
    return Tolerance(0.0, max(bounds.values()), reason, bounds if len(bounds) > 1 else {})


def _moved(expected: Array, other: Array) -> float:
    """Return how far an output moved at most, and a rounding of its own."""
    own = 0.0 if expected.dtype.kind == "i" else EPS * float(np.abs(expected).max())
    return rounded_up(float(np.abs(other - expected.astype(np.float64)).max()) + own)


def outputs_with(noise: Noise, case: Case, net: Network) -> Outputs:
    """Compute the outputs of a case with errors."""
    known = case.parameters
    if case.operation == "occlude":
        return Occluded(noise, net, known).outputs(case.inputs["images"].astype(np.float64))
    if case.operation == "project":
        return {"pictures": projected_with(noise, net, case.inputs["images"], known)}
    if case.operation == "forward":
        wanted = [int(name.removeprefix("layer")) for name in case.expected]
        maps = forward_with(noise, net, case.inputs["images"], wanted)
        return {f"layer{number}": maps[number] for number in wanted}
    number, method = known["layer"], known["unpool"]
    if case.operation == "decode":
        unit = unit_at(net, number, None, known.get("position"))
        way = Disturbed(net, number, method, noise, unit)
        stages = enumerate(way.stages(known["filters"]), 1)
        found = {f"stage{place}": pictures for place, pictures in stages}
        if "origin" in case.expected:
            found["origin"] = np.array(boxes(net, number, unit)[0].origin)
        return found
    images = case.inputs["images"]
    response = forward_with(noise, net, images, [number])[number]
    bank = Disturbed(net, number, method, noise).stages(range(net.channels[number]))[-1]
    predicted = respond(net, number, bank, images, REFERENCE)
    sums = respond(net, number, np.abs(bank), np.abs(images), REFERENCE)
    return judged(response, noise.on(predicted, bank[0].size, sums))


def forward_with(
    noise: Noise, net: Network, images: Array, wanted: Collection[int]
) -> dict[int, Array]:
    """Run a network with errors, as far as some of its maps need it, and return these and those."""
    maps: dict[int, Array] = {0: images.astype(np.float64)}
    needed = set().union(*(ancestors(net, number) for number in wanted))
    for number in sorted(needed - {0}):
        layer, taken = net[number], [maps[n] for n in net.takes[number]]
        right = output(layer, taken, REFERENCE)
        count = upwards(layer) + len(taken) - 1
        maps[number] = noise.on(right, count, sums_up(layer, taken, right))
    return maps


def sums_up(layer: Layer, taken: Sequence[Array], right: Array) -> Array:
    """Return the sums of absolute values that a layer's roundings are relative to."""
    match layer:
        case Conv() | ConvTranspose() | BatchNorm() | Scale() | Sum() | Pool(method="avg"):
            return output(absolute(layer), [np.abs(x) for x in taken], REFERENCE)
        case Normalize(beta=beta):  # an error of the divisor counts beta times
            return np.asarray(np.abs(right) * (1 + 2 * abs(beta)))
        case Softmax() | Elementwise():  # an exponential errs by as much as what it is taken of
            return np.asarray(np.abs(right) * (1 + np.abs(taken[0]).max()))
        case _:
            return np.abs(right)


def absolute(layer: Layer) -> Layer:
    """Return a layer that adds up the absolute values of what another adds."""
    match layer:
        case Conv(filters=filters, bias=bias, stride=stride, pad=pad, dilate=dilate):
            return Conv(np.abs(filters), _size(bias), stride, pad, dilate)
        case ConvTranspose(filters=filters, bias=bias, upsample=up, crop=crop, groups=groups):
            return ConvTranspose(np.abs(filters), _size(bias), up, crop, groups)
        case BatchNorm(gain=gain, bias=bias, mean=mean, deviation=deviation):
            return BatchNorm(np.abs(gain), np.abs(bias), -np.abs(mean), deviation)
        case Scale(factor=factor, offset=offset):
            return Scale(np.abs(factor), _size(offset))
        case Sum(factors=factors):
            return Sum(factors and [abs(factor) for factor in factors])
        case _:
            return layer


def _size(values: Array | None) -> Array | None:
    return None if values is None else np.abs(values)


def projected_with(noise: Noise, net: Network, images: Array, known: Mapping[str, Any]) -> Array:
    """Project activations with errors, on the way up too: these may move a switch."""
    units, number = np.array(known["kept"]), known["layer"]
    maps = forward_with(noise, net, images, ancestors(net, number))
    way = DisturbedProjection(net, maps, known["rule"], units[:, 0], noise)
    return way.down_to({number: kept_alone(maps[number], units)})[0]


class DisturbedProjection(Projection):
    """Projects with errors."""

    def __init__(
        self,
        net: Network,
        maps: Mapping[int, Array],
        rule: Rule,
        images: NDArray[np.intp],
        noise: Noise,
    ) -> None:
        super().__init__(net, maps, REFERENCE, rule, images)
        same = net.parts() | {"layers": [absolute(layer) for layer in net]}
        self.sums = Projection(Network(**same), maps, REFERENCE, rule, images)
        self.noise = noise

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Express a picture over a layer's output over each map that it takes."""
        right, sizes = super().below(number, picture), np.abs(picture.values)
        match self.net[number]:
            case Normalize() | Softmax():  # derivatives that mix channels: each by itself
                every = [self._of_channel(number, picture, c) for c in range(sizes.shape[1])]
                sums = [Picture(np.sum(every, axis=0), picture.origin)]
            case _:
                sums = self.sums.below(number, Picture(sizes, picture.origin))
        count = self._roundings(number)
        if isinstance(self.net[number], Conv):  # to add 0 is exact
            count = min(count, int(np.count_nonzero(sizes, axis=(1, 2, 3)).max()))
        return [
            Picture(self.noise.on(own.values, count, size.values), own.origin)
            for own, size in zip(right, sums, strict=True)
        ]

    def _of_channel(self, number: int, picture: Picture, channel: int) -> Array:
        alone = np.zeros_like(picture.values)
        alone[:, channel] = picture.values[:, channel]
        return np.abs(super().below(number, Picture(alone, picture.origin))[0].values)

    def _roundings(self, number: int) -> int:
        """Count the roundings of one pixel of what is handed down."""
        match self.net[number]:
            case Pool(method="avg", window=window, stride=stride):
                return unpooled(stride, window, "window")
            case Pool(window=window, stride=stride):  # as many windows may have one maximum
                return prod(ceil(size / step) for size, step in zip(window, stride, strict=True))
            case ReLU():  # a leak, twice
                return 2
            case Normalize() | Softmax() as layer if self.rule == "gradient":
                return 3 * upwards(layer)
            case _:
                return downwards(self.net, number, "nearest")


class Occluded(BruteForce):
    """Occludes, and adds up with errors."""

    def __init__(self, noise: Noise, net: Network, known: Mapping[str, Any]) -> None:
        def forward(images: Array) -> dict[int, Array]:
            return forward_with(noise, net, images, [self.layer, self.last])

        super().__init__(net, known, forward)
        self.noise = noise

    def activity(self, maps: Array, strongest: int, clean: Array) -> Array:
        """Return how active the map is in each copy."""
        right, sizes = super().activity(maps, strongest, clean), np.abs(maps[:, strongest])
        return self.noise.on(right, sizes[0].size, sizes.sum(axis=(1, 2)))

    def scores(self, maps: Array) -> Array:
        """Return the probabilities of classes."""
        right = super().scores(maps)
        own = isinstance(self.net[self.last], Softmax)  # which has erred already
        amplified = 1.0 if own else 1 + np.abs(maps).max()
        count = int(np.prod(maps.shape[2:])) + (0 if own else upwards(Softmax()))
        return self.noise.on(right, count, right * amplified)


class Disturbed(Decoding):
    """Decodes with errors."""

    def __init__(
        self, net: Network, number: int, method: Method, noise: Noise, unit: Unit = FIRST
    ) -> None:
        super().__init__(net, number, method, REFERENCE, unit)
        self.noise = noise
        same = net.parts() | {"layers": [absolute(layer) for layer in net]}
        self.sums = Decoding(Network(**same), number, method, REFERENCE, unit)

    def united(self, number: int, pictures: Sequence[Picture]) -> Picture:
        """Add what all users of a map handed down."""
        right = super().united(number, pictures)
        if len(pictures) == 1:
            return right
        sums = unite([Picture(np.abs(own.values), own.origin) for own in pictures])
        return self._off(right, len(pictures), sums.values)

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Express a picture over a layer's output over each map that it takes."""
        right = super().below(number, picture)
        count = downwards(self.net, number, self.method)
        sizes = np.abs(picture.values)
        if isinstance(self.net[number], Pool):
            count += 2 * self.shared
            if self.method in ("bilinear", "bicubic"):  # their weights may be negative
                return [self._off(own, count, OVERSHOOT * sizes.max()) for own in right]
        sums = self.sums.below(number, Picture(sizes, picture.origin))
        return [self._off(own, count, size.values) for own, size in zip(right, sums, strict=True)]

    def _off(self, picture: Picture, count: int, sums: Array | float) -> Picture:
        return Picture(self.noise.on(picture.values, count, sums), picture.origin)
