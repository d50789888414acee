"""Mistakes in receptive fields, and in judging what decoded filters predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.compute import judged
from fdref.conformance.mistakes.mistake import Mistake, other
from fdref.engines.pointwise import relu
from fdref.geometry import ReceptiveField
from fdref.layers import Conv, Pool, ReLU
from fdref.measure.evaluation import Evaluation, compare
from fdref.network.fields import ancestors
from fdref.network.units import receptive_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fdref.arrays import Array
    from fdref.conformance.case import Arrays
    from fdref.conformance.compute import Outputs, Parameters
    from fdref.network.graph import Network


def windows(net: Network, number: int) -> Iterator[Conv | Pool]:
    """Yield the layers up to one that see more than a pixel."""
    layers = (net[n] for n in reversed(ancestors(net, number)) if n > 0)
    yield from (layer for layer in layers if isinstance(layer, Conv | Pool))


def jump_too_soon(net: Network, number: int) -> ReceptiveField:
    """Count a window's own stride."""
    size, jump, offset = [1, 1], [1, 1], [0, 0]
    for layer in windows(net, number):
        for axis in range(2):
            jump[axis] *= layer.stride[axis]
            size[axis] += (layer.window[axis] - 1) * jump[axis]
            offset[axis] -= layer.pad[2 * axis] * jump[axis]
    return ReceptiveField((size[0], size[1]), (jump[0], jump[1]), (offset[0], offset[1]))


def in_pixels_above(net: Network, number: int) -> ReceptiveField:
    """Add up paddings as they are."""
    right, pads = receptive_field(net, number), [layer.pad for layer in windows(net, number)]
    offset = -sum(pad[0] for pad in pads), -sum(pad[2] for pad in pads)
    return ReceptiveField(right.size, right.stride, offset)


def without_offset(net: Network, number: int) -> ReceptiveField:
    """Begin at the first pixel."""
    right = receptive_field(net, number)
    return ReceptiveField(right.size, right.stride, (0, 0))


def moved(change: Callable[[ReceptiveField, Network, int], tuple[int, int]]) -> Any:
    """Begin at another pixel."""

    def field(net: Network, number: int) -> ReceptiveField:
        right = receptive_field(net, number)
        return ReceptiveField(right.size, right.stride, change(right, net, number))

    return field


def positive(right: ReceptiveField, *net: Any) -> tuple[int, int]:  # noqa: ARG001
    """Return the offset with the other sign."""
    return -right.offset[0], -right.offset[1]


def centred(right: ReceptiveField, *net: Any) -> tuple[int, int]:  # noqa: ARG001
    """Return the offset of the middle pixel."""
    return tuple(o + (n - 1) // 2 for o, n in zip(right.offset, right.size, strict=True))  # type: ignore[return-value]


def of_other_sides(right: ReceptiveField, net: Network, number: int) -> tuple[int, int]:  # noqa: ARG001
    """Add up the paddings of the bottom and the right."""
    jump, offset = [1, 1], [0, 0]
    for layer in reversed([*windows(net, number)]):
        for axis in range(2):
            offset[axis] -= layer.pad[2 * axis + 1] * jump[axis]
            jump[axis] *= layer.stride[axis]
    return offset[0], offset[1]


def axes_swapped(net: Network, number: int) -> ReceptiveField:
    """Return horizontal numbers before vertical ones."""
    right = receptive_field(net, number)
    return ReceptiveField(right.size[::-1], right.stride[::-1], right.offset[::-1])


def size_without_strides(net: Network, number: int) -> ReceptiveField:
    """Add up windows as they are."""
    right, found = receptive_field(net, number), [*windows(net, number)]
    size = tuple(1 + sum(layer.window[axis] - 1 for layer in found) for axis in range(2))
    return ReceptiveField(size, right.stride, right.offset)  # type: ignore[arg-type]


def whole_windows(net: Network, number: int) -> ReceptiveField:
    """Grow by a window, not by one less."""
    right, jump, size = receptive_field(net, number), [1, 1], [1, 1]
    for layer in reversed([*windows(net, number)]):
        for axis in range(2):
            size[axis] += layer.window[axis] * jump[axis]
            jump[axis] *= layer.stride[axis]
    return ReceptiveField((size[0], size[1]), right.stride, right.offset)


def last_stride(net: Network, number: int) -> ReceptiveField:
    """Return the stride of the last layer alone."""
    right, found = receptive_field(net, number), [*windows(net, number)]
    return ReceptiveField(right.size, found[0].stride, right.offset)


def correlated(correlation_of: Callable[[Array, Array], Array]) -> Callable[..., Outputs]:
    """Replace the correlation coefficient."""

    def change(found: Outputs, *question: Any) -> Outputs:  # noqa: ARG001
        both = [found[n].reshape(len(found[n]), -1).astype(np.float64) for n in RESPONSES]
        with np.errstate(all="ignore"):
            return {**found, "correlations": np.asarray(correlation_of(*both))}

    return change


def uncentred(one: Array, other: Array) -> Array:
    """Return the cosine."""
    return np.asarray((one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1)))


def coefficient(one: Array, other: Array) -> Array:
    """Return the correlation coefficient, as it is right."""
    return uncentred(one - one.mean(1, keepdims=True), other - other.mean(1, keepdims=True))


def covariance(one: Array, other: Array) -> Array:
    """Do not divide by the deviations."""
    centred = one - one.mean(1, keepdims=True)
    return np.asarray((centred * (other - other.mean(1, keepdims=True))).mean(1))


def together(one: Array, other: Array) -> Array:
    """Return one coefficient of all images together, for each of them."""
    return np.repeat(coefficient(one.reshape(1, -1), other.reshape(1, -1)), len(one))


def normalised(measure: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """Take another measure of the differences of what was normalised rightly."""

    def errors(response: Array, predicted: Array) -> Array:
        one, other = (unit(a.reshape(len(a), -1)) for a in (response, predicted))
        return measure(one - other)

    return errors


def unit(rows: Array) -> Array:
    """Map each row to [0, 1]."""
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        return np.asarray((rows - low) / np.where(high > low, high - low, np.nan))


def by(scale: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """Normalise both responses otherwise."""

    def errors(response: Array, predicted: Array) -> Array:
        one, other = (scale(a.reshape(len(a), -1)) for a in (response, predicted))
        return np.asarray(((one - other) ** 2).mean(axis=1))

    return errors


def exchanged(found: Outputs, *question: Any) -> Outputs:  # noqa: ARG001
    """Return the response for the prediction."""
    return {**found, "response": found["predicted"], "predicted": found["response"]}


def jointly(response: Array, predicted: Array) -> Array:
    """Map both together to [0, 1]."""
    count = len(response)
    rows = np.concatenate([a.reshape(count, -1) for a in (response, predicted)], axis=1)
    one, other = np.split(unit(rows), 2, axis=1)
    return np.asarray(((one - other) ** 2).mean(axis=1))


def summarised(name: str, number_of: Callable[[Array], Any]) -> Callable[..., Outputs]:
    """Return another number for the mean or the deviation of the errors."""

    def change(found: Outputs, *question: Any) -> Outputs:  # noqa: ARG001
        return {**found, name: np.asarray(number_of(found["errors"]))}

    return change


def compared(errors_of: Callable[[Array, Array], Array]) -> Callable[..., Outputs]:
    """Replace eq. 3 by another comparison of the two responses."""

    def change(found: Outputs, *question: Any) -> Outputs:  # noqa: ARG001
        both = found["response"], found["predicted"]
        errors = np.asarray(errors_of(*both), np.float64)
        return judged(*both, Evaluation(errors, found["correlations"]))

    return change


def per_filter(response: Array, predicted: Array) -> Array:
    """Map each filter's responses to [0, 1] by themselves."""
    rows = response.shape[0] * response.shape[1]
    sides = (side.reshape(rows, -1) for side in (response, predicted))
    each = compare(*sides, engine="reference")[0]
    return np.asarray(each.reshape(response.shape[:2]).mean(axis=1))


def over_images(response: Array, predicted: Array) -> Array:
    """Map all images together."""
    both = [(a - a.min()) / np.ptp(a) for a in (response, predicted)]
    return not_normalised(*both)


def not_normalised(response: Array, predicted: Array) -> Array:
    """Compare responses as they are."""
    return np.asarray(((response - predicted) ** 2).mean(axis=(1, 2, 3)))


def after_relu(found: Outputs, net: Network, inputs: Arrays, known: Parameters) -> Outputs:  # noqa: ARG001
    """Compare the response above, if that is a ReLU's."""
    for above, taken in zip(net, net.takes[1:], strict=True):
        if isinstance(above, ReLU) and known["layer"] in taken:
            return judged(relu(found["response"], above.leak), found["predicted"])
    return found


def of_sample(found: Outputs, *question: Any) -> Outputs:  # noqa: ARG001
    """Divide by one less."""
    return found | {"std": np.asarray(found["errors"].std(ddof=1))}


EVALUATE, PLACED = ("evaluate",), ("receptive_field", "respond", "evaluate")
FIELD = ("receptive_field",)
RESPONSES = ("response", "predicted")

ALL = (
    Mistake("offset-sign",
        "offsets are positive where the network pads; expected: they are negative",
        PLACED, other(field=moved(positive))),
    Mistake("offset-at-the-centre",
        "offsets are those of the middle of the receptive field; expected: of its first pixel",
        PLACED, other(field=moved(centred))),
    Mistake("offset-of-the-other-sides",
        "offsets add up the paddings of the bottom and the right; expected: of the top and the "
        "left", ("receptive_field", "evaluate"), other(field=moved(of_other_sides))),
    Mistake("field-axes-swapped",
        "sizes, strides and offsets are [horizontal, vertical]; expected: [vertical, horizontal]",
        FIELD, other(field=axes_swapped)),
    Mistake("field-without-strides",
        "windows are added up as they are; expected: a layer's counts in steps of the strides "
        "below", FIELD, other(field=size_without_strides)),
    Mistake("field-of-whole-windows",
        "a receptive field grows by a whole window; expected: by one pixel less", FIELD,
        other(field=whole_windows)),
    Mistake("field-of-the-last-stride",
        "the stride is the last layer's; expected: the product of all", FIELD,
        other(field=last_stride)),
    Mistake("jump-too-soon",
        "a window grows the receptive field by its own stride times the layers' below; expected: "
        "only the strides below count", ("receptive_field",), other(field=jump_too_soon)),
    Mistake("offset-not-scaled",
        "paddings are added up as they are; expected: a layer's counts in steps of the strides "
        "below", ("receptive_field", "evaluate"), other(field=in_pixels_above)),
    Mistake("offset-ignored",
        "the first receptive field starts at pixel (0, 0) of the image; expected: where the "
        "network pads it starts outside", ("receptive_field", "respond", "evaluate"),
        other(field=without_offset)),
    Mistake("normalised-per-filter",
        "each filter's responses are mapped to [0, 1] by themselves; expected: a layer's are "
        "together", ("evaluate",), other(change=compared(per_filter))),
    Mistake("normalised-over-images",
        "all images are mapped to [0, 1] together; expected: each is mapped by itself",
        ("evaluate",), other(change=compared(over_images))),
    Mistake("not-normalised",
        "the responses are compared as they are; expected: each is mapped to [0, 1] before",
        ("evaluate",), other(change=compared(not_normalised))),
    Mistake("normalised-jointly",
        "the two responses are mapped to [0, 1] together; expected: each by itself", EVALUATE,
        other(change=compared(jointly))),
    Mistake("normalised-by-the-maximum",
        "responses are divided by their largest value; expected: their minimum goes to 0, too",
        EVALUATE, other(change=compared(by(lambda a: a / a.max(axis=1, keepdims=True))))),
    Mistake("normalised-by-magnitude",
        "responses are divided by their largest absolute value; expected: they are mapped to "
        "[0, 1]", EVALUATE,
        other(change=compared(by(lambda a: a / np.abs(a).max(axis=1, keepdims=True))))),
    Mistake("standardised",
        "responses are mapped to mean 0 and deviation 1; expected: to [0, 1]", EVALUATE,
        other(change=compared(by(
            lambda a: (a - a.mean(axis=1, keepdims=True)) / a.std(axis=1, keepdims=True))))),
    Mistake("not-shifted",
        "responses are divided by their range, and not shifted; expected: their minimum goes to 0",
        EVALUATE, other(change=compared(by(lambda a: a / np.ptp(a, axis=1, keepdims=True))))),
    Mistake("root-of-the-mean-squared",
        "errors are roots of mean squares; expected: the mean squared difference", EVALUATE,
        other(change=compared(normalised(lambda d: np.sqrt((d**2).mean(axis=1)))))),
    Mistake("mean-of-magnitudes",
        "errors are mean absolute differences; expected: mean squared ones", EVALUATE,
        other(change=compared(normalised(lambda d: np.abs(d).mean(axis=1))))),
    Mistake("sum-of-squares",
        "errors are sums of squares; expected: means", EVALUATE,
        other(change=compared(normalised(lambda d: (d**2).sum(axis=1))))),
    Mistake("half-of-the-mean-squared",
        "errors are half the mean squared difference; expected: the whole", EVALUATE,
        other(change=compared(normalised(lambda d: (d**2).mean(axis=1) / 2)))),
    Mistake("correlation-uncentred",
        "correlations are cosines: no mean is subtracted; expected: the correlation coefficient",
        EVALUATE, other(change=correlated(uncentred))),
    Mistake("correlation-squared",
        "correlations are squared; expected: the correlation coefficient", EVALUATE,
        other(change=correlated(lambda one, other: coefficient(one, other) ** 2))),
    Mistake("covariance-for-correlation",
        "correlations are covariances; expected: divided by both deviations", EVALUATE,
        other(change=correlated(covariance))),
    Mistake("correlation-over-images",
        "correlations are one number over all images; expected: each image's own", EVALUATE,
        other(change=correlated(together))),
    Mistake("variance-for-deviation",
        "`std` is the variance; expected: its root", EVALUATE,
        other(change=summarised("std", np.nanvar))),
    Mistake("median-for-mean", "`mean` is the median; expected: the mean", EVALUATE,
        other(change=summarised("mean", np.nanmedian))),
    Mistake("responses-exchanged",
        "`response` is what is predicted, and `predicted` the response; expected: the other way "
        "round", EVALUATE, other(change=exchanged)),
    Mistake("response-after-relu",
        "the response is taken after the ReLU; expected: it is the convolution's, before",
        ("evaluate",), other(change=after_relu)),
    Mistake("sample-deviation",
        "the standard deviation divides by N - 1; expected: it divides by N", ("evaluate",),
        other(change=of_sample)),
)  # fmt: skip
