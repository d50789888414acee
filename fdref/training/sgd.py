"""MatConvNet's MNIST example: how the shipped LeNet was trained."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import ArgumentError, FileError, NetworkError
from fdref.files.whole import read_own_file, replace_file
from fdref.layers import Conv, Pool, ReLU, Softmax
from fdref.network.graph import Network
from fdref.training.loss import backward, cross_entropy
from fdref.walk.forward import forward
from fdref.weights.bounded import Budget
from fdref.weights.npz import arrays_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.weights.mnist import Digits

BATCH, RATE, MOMENTUM, DECAY = 100, 0.001, 0.9, 0.0005
LARGEST = 2**26
"""Bytes of a checkpoint; one has seven million."""
CLASSES = tuple("0123456789")
FILTERS = {1: (20, 1, 5, 5), 3: (50, 20, 5, 5), 5: (500, 50, 4, 4), 7: (10, 500, 1, 1)}

Weights = dict[int, tuple["Array", "Array"]]
"""{number of the layer: (filters, biases)}"""


@dataclass(frozen=True)
class Training:
    """A training run between two epochs."""

    seed: int
    weights: Weights
    velocity: Weights
    losses: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.losses)


def start(seed: int) -> Training:
    """Draw the initial weights: 0.01 * standard normal, biases zero."""
    random = np.random.default_rng(seed)
    weights, velocity = {}, {}
    for number, shape in FILTERS.items():
        filters = (0.01 * random.standard_normal(shape)).astype(np.float32)
        weights[number] = filters, np.zeros(shape[0], np.float32)
        velocity[number] = np.zeros_like(filters), np.zeros(shape[0], np.float32)
    return Training(seed, weights, velocity)


def lenet(weights: Weights, average: Array, provenance: str = "") -> Network:
    """Put LeNet's layers together around weights and the training set's average image."""

    def conv(number: int, name: str) -> Conv:
        filters, biases = weights[number]
        return Conv(filters, biases, name=name)

    layers = (
        conv(1, "conv1"),
        Pool(2, 2, name="pool1"),
        conv(3, "conv2"),
        Pool(2, 2, name="pool2"),
        conv(5, "conv3"),
        ReLU(name="relu3"),
        conv(7, "conv4"),
        Softmax(name="prob"),
    )
    return Network(layers, average=average, classes=CLASSES, provenance=provenance)


def average_image(digits: Digits) -> Array:
    """Return the average of the training images, (1, 28, 28) in float32."""
    average: Array = digits.images.mean(axis=0, dtype=np.float64).astype(np.float32)[None]
    return average


def train_epoch(
    run: Training, digits: Digits, progress: Callable[[int, float, float], object] | None = None
) -> Training:
    """Go once through the training set, in an order that the seed and the epoch determine.

    Parameters
    ----------
    run : Training
    digits : Digits
    progress : callable, optional
        Called after each batch with its size, its loss and its error (a fraction).

    Raises
    ------
    ArgumentError
        If the weights diverge.
    """
    average = average_image(digits)
    order = np.random.default_rng([run.seed, run.epoch]).permutation(len(digits.labels))
    weights, velocity, losses, wrong = run.weights, run.velocity, [], 0
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        labels = digits.labels[batch]
        net = _checked(run, weights, average)
        with np.errstate(over="ignore", invalid="ignore"):  # said in a line
            acts = forward(net, net.prepare(digits.images[batch]))
            losses.append(cross_entropy(acts[-1], labels))
            if not isfinite(losses[-1]):
                raise ArgumentError(
                    f"training diverged in epoch {run.epoch + 1}: the loss is {losses[-1]}"
                )
            weights, velocity = _step(weights, velocity, backward(net, acts, labels))
        errors = _wrong(acts[-1], labels)
        wrong += errors
        if progress is not None:
            progress(len(batch), losses[-1], errors / len(batch))
    _checked(run, weights, average)
    return replace(
        run,
        weights=weights,
        velocity=velocity,
        losses=(*run.losses, float(np.mean(losses))),
        errors=(*run.errors, wrong / len(order)),
    )


def _checked(run: Training, weights: Weights, average: Array) -> Network:
    """Return the network of some weights, which are finite unless training diverged."""
    try:
        return lenet(weights, average)
    except NetworkError as error:
        raise ArgumentError(f"training diverged in epoch {run.epoch + 1}: {error}") from None


def _wrong(outputs: Array, labels: NDArray[np.uint8]) -> int:
    """Count images that are not named rightly; an output of NaN names nothing."""
    right = (outputs.argmax(axis=1).ravel() == labels) & np.isfinite(outputs).all(axis=(1, 2, 3))
    return int((~right).sum())


def _step(weights: Weights, velocity: Weights, gradients: Weights) -> tuple[Weights, Weights]:
    """Take one step of gradient descent with momentum and weight decay, biases included."""
    moved: Weights = {}
    faster: Weights = {}
    for number, own in weights.items():
        pull_filters, pull_biases = (
            MOMENTUM * v - RATE * (g + DECAY * w)
            for v, g, w in zip(velocity[number], gradients[number], own, strict=True)
        )
        faster[number] = pull_filters, pull_biases
        moved[number] = own[0] + pull_filters, own[1] + pull_biases
    return moved, faster


def error_rate(net: Network, digits: Digits) -> float:
    """Return the fraction of images that a network does not name rightly."""
    wrong = 0
    for first in range(0, len(digits.labels), 1000):
        part = slice(first, first + 1000)
        with np.errstate(over="ignore", invalid="ignore"):  # an output of NaN counts as wrong
            outputs = forward(net, net.prepare(digits.images[part]))[-1]
        wrong += _wrong(outputs, digits.labels[part])
    return wrong / len(digits.labels)


def save_checkpoint(run: Training, path: Path) -> None:
    """Write a training run to a file from which it goes on as if it had not stopped."""
    arrays = {name: np.array(getattr(run, name)) for name in ("seed", "losses", "errors")}
    for group in ("weights", "velocity"):
        for number, (filters, biases) in getattr(run, group).items():
            arrays[f"{group}/{number}/filters"] = filters
            arrays[f"{group}/{number}/biases"] = biases
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    replace_file(path, buffer.getvalue())


def read_checkpoint(path: Path) -> Training:
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    FileError
        If there is no such file, or it holds something else.
    """
    try:
        data = read_own_file(path, "a checkpoint of a training run", LARGEST)
    except FileNotFoundError:
        raise FileError(f"there is no {path} to resume from; start without --resume") from None
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"{path} cannot be read, expected a checkpoint: {reason}") from None
    try:
        arrays = arrays_of(data, f"{path}", Budget())
        return Training(
            int(arrays["seed"]),
            _weights(arrays, "weights"),
            _weights(arrays, "velocity"),
            tuple(arrays["losses"].tolist()),
            tuple(arrays["errors"].tolist()),
        )
    except (FileError, LookupError, ValueError, TypeError) as error:
        raise FileError(
            f"{path} is no checkpoint of a training run ({error}); delete it and start again"
        ) from None


def _weights(arrays: Mapping[str, Array], group: str) -> Weights:
    found = {}
    for number, shape in FILTERS.items():
        filters, biases = (arrays[f"{group}/{number}/{part}"] for part in ("filters", "biases"))
        if (filters.shape, biases.shape) != (shape, shape[:1]):
            raise ValueError(f"{group} of layer {number} have another shape")
        if not (np.isfinite(filters).all() and np.isfinite(biases).all()):
            raise ValueError(f"{group} of layer {number} are not finite: training diverged")
        found[number] = filters.astype(np.float32), biases.astype(np.float32)
    return found
