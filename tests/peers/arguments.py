"""What the computations are given: arrays and networks, made in a dtype."""

from __future__ import annotations

from functools import cache, partial
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref import BatchNorm, Conv, Dropout, Network, Normalize, Pool, ReLU, Softmax
from fdref.training import sgd
from fdref.training.recipe import CIFAR, LENET, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.layers import Layer


def normal(*shape: int, share: float = 1.0) -> Callable[[str], Array]:
    """Standard normal numbers, of which a share is not zero."""

    @cache
    def draw(dtype: str) -> Array:
        random = np.random.default_rng(shape)
        values = random.standard_normal(shape)
        values[random.random(shape) >= share] = 0
        return values.astype(dtype)

    return draw


def conv(*shape: int, **parameters: Any) -> Callable[[str], Conv]:
    return lambda dtype: Conv(normal(*shape)(dtype), **parameters)


@cache
def shipped(recipe: Recipe, dtype: str) -> Network:
    """A network that ships, its weights in a dtype."""
    net = fdref.load(recipe.name)
    weights = {}
    for number in net.decodable:
        layer = net[number]
        assert isinstance(layer, Conv)
        assert layer.bias is not None
        weights[number] = layer.filters.astype(dtype), layer.bias.astype(dtype)
    assert net.average is not None
    return recipe.network(weights, net.average)


lenet = partial(shipped, LENET)


@cache
def images(count: int, dtype: str) -> Array:
    """The shipped digits, over and over if need be."""
    digits = fdref.mnist().test.images
    return lenet(dtype).prepare(np.resize(digits, (count, *digits.shape[1:])))


@cache
def small_net(dtype: str, *, trainable: bool) -> Network:
    """Two channels in, 13x12 pixels; every parameter differs from axis to axis."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        values = random.standard_normal(shape) / sqrt(prod(shape[1:]))
        return values.astype(dtype)

    def moments(count: int) -> list[Array]:
        return [random.uniform(0.5, 2, count).astype(dtype) for _ in range(4)]

    others: list[Layer] = [BatchNorm(*moments(4)), Normalize(3, 1.0, 0.1, 0.75), Dropout()]
    return Network(
        [
            Conv(weights(4, 2, 3, 2), weights(4), stride=(2, 1), pad=(1, 0, 2, 1)),
            *([] if trainable else others),
            Pool((3, 2), 2, pad=(0, 1, 1, 0)),
            ReLU(leak=0.1),
            Conv(weights(6, 2, 2, 2), weights(6), stride=(2, 1), pad=1, dilate=(1, 2)),
            Pool(2, (1, 3), pad=(1, 0, 0, 0), method="avg"),
            ReLU(),
            Conv(weights(5, 6, 2, 2), weights(5)),
            Softmax(),
        ]
    )


def start(recipe: Recipe, dtype: str) -> sgd.Training:
    """A network's training before its first epoch."""
    fresh = sgd.start(recipe, seed=0)
    weights = {n: (w.astype(dtype), b.astype(dtype)) for n, (w, b) in fresh.weights.items()}
    still = {n: (0 * w, 0 * b) for n, (w, b) in weights.items()}
    return sgd.Training(recipe, 0, weights, still)


@cache
def photos(count: int) -> fdref.Photos:
    """Images of CIFAR-10's size, of noise."""
    random = np.random.default_rng(count)
    pixels = random.integers(0, 256, (count, 3, 32, 32), np.uint8)
    return fdref.Photos(pixels, random.integers(0, 10, count, np.uint8))


def noise(count: int, dtype: str) -> Array:
    """What goes into the CIFAR network."""
    return shipped(CIFAR, dtype).prepare(photos(count).images)
