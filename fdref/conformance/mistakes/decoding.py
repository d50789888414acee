"""Mistakes in decoding: what else happens on the way down, and what is returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.mistake import NETWORKS, Mistake, other, over
from fdref.conformance.mistakes.rules import (
    BiasAdded,
    Leaking,
    OffsetAdded,
    OnFirstChannels,
    OnInterleaved,
    PaddingCropped,
    Rectified,
    TopNotDilated,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.conformance.case import Arrays
    from fdref.conformance.compute import Outputs, Parameters
    from fdref.conformance.mistakes.mistake import Wrong
    from fdref.network.graph import Network

    Operation = Callable[..., Array]

DECODE = ("decode", "evaluate")
COLOURS = 3


def norm_ignored(
    right: Operation, x: Array, factor: Array, offset: Array | None, mean: Array | None
) -> Array:
    """Scale on the way up alone, where there is an offset."""
    return x if offset is None else right(x, factor, offset, mean)


def scaled(change: Callable[[Array], Array]) -> Wrong:
    """Scale otherwise on the way down, where no offset comes with the factor."""

    def scale(
        right: Operation, x: Array, factor: Array, offset: Array | None, mean: Array | None
    ) -> Array:
        return right(x, change(factor) if offset is None else factor, offset, mean)

    return over(scale=scale)


def staged(found: Outputs) -> Outputs:
    """Return the stages, without the origin."""
    return {name: values for name, values in found.items() if name.startswith("stage")}


def same(found: Outputs, *question: Any) -> Outputs:  # noqa: ARG001
    """Return the first filter's pictures for each filter."""
    stages = {n: np.repeat(values[:1], len(values), axis=0) for n, values in staged(found).items()}
    return {**found, **stages}


def asked(**changes: Callable[[Any], Any]) -> Wrong:
    """Answer another question: some parameters are taken to mean others."""

    def question(operation: str, inputs: Arrays, known: Parameters) -> tuple[Arrays, Parameters]:  # noqa: ARG001
        return inputs, {n: changes[n](v) if n in changes else v for n, v in known.items()}

    return other(question=question)


def turned_colours(found: Outputs, net: Network, *question: Any) -> Outputs:  # noqa: ARG001
    """Reverse the channels of the last stage, if these are three."""
    *_, last = staged(found)
    if net.channels[0] != COLOURS:
        return found
    return {**found, last: found[last][:, ::-1]}


def bgr(operation: str, inputs: Arrays, known: Parameters) -> tuple[Arrays, Parameters]:
    """Reverse the channels of images that have three."""
    images = inputs.get("images")
    if operation not in NETWORKS or images is None or images.shape[1] != COLOURS:
        return inputs, known
    return {**inputs, "images": np.ascontiguousarray(images[:, ::-1])}, known


def reverse(found: Outputs, *question: Any) -> Outputs:  # noqa: ARG001
    """Name the stages from the image."""
    stages = staged(found)
    return {**found, **dict(zip(stages, reversed(stages.values()), strict=True))}


ALL = (
    Mistake("bias-added-while-decoding",
        "a layer's biases are added to the pixels that it replaces; expected: they play no part",
        DECODE, other(rules=BiasAdded)),
    Mistake("padding-cropped",
        "what a layer pads is cropped from the picture, as transposed convolutions do it; "
        "expected: a decoded filter has the whole size of its receptive field", DECODE,
        other(rules=PaddingCropped)),
    Mistake("rectified-while-decoding",
        "negative values are dropped at a ReLU, as a deconvnet does; expected: it changes nothing",
        DECODE, other(rules=Rectified)),
    Mistake("leak-while-decoding",
        "negative values are multiplied by the leak at a ReLU; expected: it changes nothing",
        DECODE, other(rules=Leaking)),
    Mistake("bnorm-ignored-while-decoding",
        "bnorm changes nothing on the way down; expected: each channel is multiplied by gain / "
        "deviation", (*DECODE, "project"), over(scale=norm_ignored)),
    Mistake("bnorm-inverted-while-decoding",
        "at bnorm each channel is divided by gain / deviation, as if it were undone; expected: it "
        "is multiplied", (*DECODE, "project"), scaled(lambda factor: 1 / factor)),
    Mistake("bnorm-offset-while-decoding",
        "bnorm adds its offset on the way down; expected: it multiplies by gain / deviation alone",
        DECODE, other(rules=OffsetAdded)),
    Mistake("group-on-first-channels",
        "a filter of the decoded layer lies on the first channels whatever its group; expected: "
        "it lies on its group's channels", DECODE, other(rules=OnFirstChannels)),
    Mistake("group-on-interleaved-channels",
        "filter k of the decoded layer lies on the channels of group k modulo their number; "
        "expected: each group has neighbouring filters", DECODE, other(rules=OnInterleaved)),
    Mistake("top-not-dilated",
        "the decoded layer's own filters have no zeros between their taps; expected: they are "
        "dilated like those below", DECODE, other(rules=TopNotDilated)),
    Mistake("stages-reversed",
        "`stage1` is the decoded filter; expected: it is the filter itself, and the decoded one "
        "is last", ("decode",), other(change=reverse)),
    Mistake("same-filter-decoded",
        "all decoded filters are the first of those that are asked for; expected: each is its own",
        ("decode",), other(change=same)),
    Mistake("filters-from-one",
        "filters are counted from 1: decoded is the one before; expected: from 0", ("decode",),
        asked(filters=lambda numbers: [k - 1 for k in numbers])),
    Mistake("filters-in-order",
        "decoded are the first filters, as many as are asked for; expected: those that are named",
        ("decode",), asked(filters=lambda numbers: [*range(len(numbers))])),
    Mistake("layers-from-zero",
        "layers are counted from 0: looked at is the one above; expected: from 1",
        ("decode", "project", "occlude"), asked(layer=lambda number: number + 1)),
    Mistake("layers-from-two",
        "looked at is the layer below the one that is named; expected: layers are counted from 1",
        (*DECODE, "project", "occlude"), asked(layer=lambda number: number - 1)),
    Mistake("channels-bgr",
        "images of three channels go in as BGR; expected: as they are given",
        ("forward", "project", "evaluate", "occlude"), other(question=bgr)),
    Mistake("decoded-bgr",
        "the three channels of decoded filters are returned as BGR; expected: in the order of the "
        "network's input", ("decode",), other(change=turned_colours)),
)  # fmt: skip
