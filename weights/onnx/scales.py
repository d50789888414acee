"""Normalisations: by moments that were learnt, and by neighbours among the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import NetworkError
from fdref.layers import BatchNorm, Normalize
from fdref.weights.onnx.arranging import as_map
from fdref.weights.onnx.views import C, only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation
    from fdref.weights.onnx.views import View


def batch_normalization(t: Translation, node: Node) -> Sequence[View]:
    """Translate batch normalisation in test mode, from variances, to which epsilon is added."""
    # Before version 7 `is_test` said it, and exporters left it out.
    if node.whether("training_mode") or node.integer("spatial", 1) == 0:
        raise NetworkError("it is of a training, or of every pixel by itself; expected test mode")
    view = t.view(node)
    if len(view.axes) < 2 or not only(view.axes[1], C) or view.lengths[1] != view.channels:
        raise NetworkError("its axis 1 is not a map's channels; expected (N, C, H, W)")
    if view.axes[1] and len(view.axes[1]) > 1:
        view = as_map(t, node, view)
    names = ("gains", "offsets", "means", "variances")
    gain, bias, mean, variance = (
        t.weights(node, number, what, 1) for number, what in enumerate(names, 1)
    )
    epsilon = node.number_of("epsilon", 1e-5)
    squares = variance.astype(np.float64) + epsilon
    if not (squares > 0).all():
        raise NetworkError(f"a variance plus epsilon is {squares.min()}; expected more than 0")
    deviation = np.sqrt(squares).astype(variance.dtype)
    layer = BatchNorm(gain, bias, mean, deviation, t.name(node, 1))
    return [t.add_pointwise(node, layer, view)]


def local_response(t: Translation, node: Node) -> Sequence[View]:
    """Translate LRN, whose alpha is for the mean of the squares, not their sum."""
    size = node.integer("size")
    if size < 1:
        raise NetworkError(f"`size` is {size}; expected at least 1")
    layer = Normalize(
        size,
        node.number_of("bias", 1.0),
        node.number_of("alpha", 1e-4) / size,
        node.number_of("beta", 0.75),
        t.name(node),
    )
    return [t.add(node, layer, as_map(t, node, t.view(node)))]


SCALES = {"BatchNormalization": batch_normalization, "LRN": local_response}
