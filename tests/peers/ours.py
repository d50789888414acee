"""Our side of the table, where it is not one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fdref
from fdref.engines import engine_named
from fdref.training import sgd
from fdref.training.loss import backward
from fdref.walk.forward import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref import Conv, Network, Pool
    from fdref.arrays import Array
    from fdref.engines.resize import Method
    from fdref.layers import Layer
    from fdref.training.loss import Labels


def layer_output(layer: Layer, x: Array, engine: str) -> Array:
    chosen = engine_named(engine)
    return output(layer, [np.asarray(x, chosen.precision(x.dtype))], chosen)


def filter_gradient(layer: Conv, x: Array, gradient: Array, engine: str) -> Array:
    chosen = engine_named(engine)
    dtype = chosen.precision(x.dtype)
    maps, above, filters = (np.asarray(array, dtype) for array in (x, gradient, layer.filters))
    return chosen.filter_gradient(maps, above, filters, layer.stride, layer.pad, layer.dilate)


def pool_gradient(layer: Pool, x: Array, gradient: Array, engine: str) -> Array:
    chosen = engine_named(engine)
    maps, above = (np.asarray(array, chosen.precision(x.dtype)) for array in (x, gradient))
    return chosen.pool_gradient(maps, above, layer.window, layer.stride, layer.pad, layer.method)


def probabilities(net: Network, x: Array, engine: str) -> Array:
    return fdref.forward(net, x, engine)[-1]


def gradients(net: Network, x: Array, labels: Labels, engine: str) -> list[Array]:
    found = backward(net, fdref.forward(net, x, engine), labels, engine)
    return [gradient for _, pair in sorted(found.items()) for gradient in pair]


def decode_all(net: Network, unpool: Method, engine: str) -> list[Array]:
    return list(fdref.decode_all(net, unpool, engine).values())


def evaluation_errors(
    net: Network, x: Array, layers: Sequence[int], unpool: Method, engine: str
) -> list[Array]:
    found = fdref.evaluate(net, x, layers, unpool, engine)
    precision = engine_named(engine).precision(x.dtype)
    return [found[number].errors.astype(precision) for number in layers]


def train_epoch(run: sgd.Training, data: sgd.Labelled, engine: str) -> list[Array]:
    trained = sgd.train_epoch(run, data)
    return [weights for _, pair in sorted(trained.weights.items()) for weights in pair]
