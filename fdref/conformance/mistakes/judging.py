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


ALL = (
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
    Mistake("response-after-relu",
        "the response is taken after the ReLU; expected: it is the convolution's, before",
        ("evaluate",), other(change=after_relu)),
    Mistake("sample-deviation",
        "the standard deviation divides by N - 1; expected: it divides by N", ("evaluate",),
        other(change=of_sample)),
)  # fmt: skip
