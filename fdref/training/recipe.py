"""What is trained, and how: MatConvNet's examples for MNIST and CIFAR-10 as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fdref.layers import Conv, Layer, Pool, ReLU, Softmax
from fdref.network.graph import Network
from fdref.weights.cifar import CLASSES

if TYPE_CHECKING:
    from fdref.arrays import Array

Weights = dict[int, tuple["Array", "Array"]]
"""{number of the layer: (filters, biases)}"""


@dataclass(frozen=True)
class Learned:
    """A convolution whose weights are still to be learned.

    Its filters begin as normal numbers of some deviation, its biases as zeros; `rates` multiply the
    learning rate of the epoch, for the filters and for the biases.
    """

    name: str
    shape: tuple[int, int, int, int]
    pad: int = 0
    deviation: float = 0.01
    rates: tuple[float, float] = (1.0, 1.0)

    def begin(self, random: np.random.Generator) -> tuple[Array, Array]:
        """Draw the initial filters; the biases are zero."""
        filters = (self.deviation * random.standard_normal(self.shape)).astype(np.float32)
        return filters, np.zeros(self.shape[0], np.float32)


@dataclass(frozen=True)
class Recipe:
    """A chain of layers, and how it learns: gradient descent with momentum and weight decay.

    Parameters
    ----------
    name : str
        The network's; its file is called so.
    layers : tuple
        Layers, and `Learned` ones in the place of convolutions, under a final softmax.
    classes : tuple of str
    epochs : int
        How often it goes through the training set.
    rates : tuple of (learning rate, weight)
        The learning rate of each stretch of the epochs, which share them out by weight.
    decay, momentum : float
        The decay is of filters and biases alike.
    batch : int
        Images that a step is made of.
    mirrored : bool
        Whether every other batch, by chance, is mirrored left to right.

    Examples
    --------
    >>> [CIFAR.lasting(45).rate(epoch) / CIFAR.rate(0) for epoch in (29, 30, 39, 40, 44)]
    [1.0, 0.1, 0.1, 0.01, 0.01]
    """

    name: str
    layers: tuple[Layer | Learned, ...]
    classes: tuple[str, ...]
    epochs: int
    rates: tuple[tuple[float, int], ...]
    decay: float
    momentum: float = 0.9
    batch: int = 100
    mirrored: bool = False

    def lasting(self, epochs: int) -> Recipe:
        """Return the recipe for another number of epochs."""
        return replace(self, epochs=epochs)

    def behind(self, layer: Layer) -> Recipe:
        """Return the recipe for what a layer makes of the images, which comes first and stays."""
        return replace(self, layers=(layer, *self.layers))

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0; the last one's from then on."""
        total, ended = sum(weight for _, weight in self.rates), 0
        for rate, weight in self.rates:
            ended += weight
            if epoch * total < ended * self.epochs:
                return rate
        return self.rates[-1][0]

    @cached_property
    def learned(self) -> dict[int, Learned]:
        """The layers that are learned, by number."""
        return {n: one for n, one in enumerate(self.layers, 1) if isinstance(one, Learned)}

    def network(self, weights: Weights, average: Array, provenance: str = "") -> Network:
        """Put the layers together around weights and the training set's average image."""
        layers = [
            Conv(*weights[number], pad=one.pad, name=one.name) if isinstance(one, Learned) else one
            for number, one in enumerate(self.layers, 1)
        ]
        return Network(layers, average=average, classes=self.classes, provenance=provenance)


LENET = Recipe(
    "lenet",
    (
        Learned("conv1", (20, 1, 5, 5)),
        Pool(2, 2, name="pool1"),
        Learned("conv2", (50, 20, 5, 5)),
        Pool(2, 2, name="pool2"),
        Learned("conv3", (500, 50, 4, 4)),
        ReLU(name="relu3"),
        Learned("conv4", (10, 500, 1, 1)),
        Softmax(name="prob"),
    ),
    classes=tuple("0123456789"),
    epochs=20,
    rates=((0.001, 1),),
    decay=0.0005,
)
"""MatConvNet's MNIST example."""

_EDGE = (0, 1, 0, 1)  # so that a window of 3 that moves by 2 halves an even size

CIFAR = Recipe(
    "cifar",
    (
        Learned("conv1", (32, 3, 5, 5), pad=2, rates=(0.1, 2)),
        Pool(3, 2, _EDGE, name="pool1"),
        ReLU(name="relu1"),
        Learned("conv2", (32, 32, 5, 5), pad=2, deviation=0.05, rates=(0.1, 2)),
        ReLU(name="relu2"),
        Pool(3, 2, _EDGE, "avg", name="pool2"),
        Learned("conv3", (64, 32, 5, 5), pad=2, deviation=0.05, rates=(0.1, 2)),
        ReLU(name="relu3"),
        Pool(3, 2, _EDGE, "avg", name="pool3"),
        Learned("conv4", (64, 64, 4, 4), deviation=0.05, rates=(0.1, 2)),
        ReLU(name="relu4"),
        Learned("conv5", (10, 64, 1, 1), deviation=0.05, rates=(0.01, 0.2)),
        Softmax(name="prob"),
    ),
    classes=CLASSES,
    epochs=24,
    rates=((0.015, 30), (0.0015, 10), (0.00015, 5)),
    decay=0.0001,
    mirrored=True,
)
"""MatConvNet's CIFAR example, with 24 epochs of its 45, and 0.3 of its learning rates.

Those are for images of equal contrast that are whitened; these are pixels less the average image,
of which such rates learn nothing in the first 15,000.
"""

CIFAR_WHITENED = replace(CIFAR, name="cifar-whitened")
"""The same, to be learned `behind` a layer that whitens."""
