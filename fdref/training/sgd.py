"""Gradient descent with momentum and weight decay: how the shipped networks were trained."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import ArgumentError, FileError, NetworkError
from fdref.files.whole import read_own_file, replace_file
from fdref.training.loss import backward, cross_entropy
from fdref.walk.forward import forward
from fdref.weights.bounded import Budget
from fdref.weights.npz import arrays_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.network.graph import Network
    from fdref.training.recipe import Recipe, Weights
    from fdref.weights.cifar import Photos
    from fdref.weights.mnist import Digits

    Labelled: TypeAlias = Digits | Photos

SCALARS = ("seed", "losses", "errors", "rates")
"""What a checkpoint holds beside the weights and their velocities."""
LARGEST = 2**26
"""Bytes of a checkpoint; one of the LeNet has seven million."""


@dataclass(frozen=True)
class Training:
    """A training run between two epochs, with loss, error and learning rate of those done."""

    recipe: Recipe
    seed: int
    weights: Weights
    velocity: Weights
    losses: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.losses)


def start(recipe: Recipe, seed: int) -> Training:
    """Draw the initial weights, layer by layer; nothing moves yet."""
    random = np.random.default_rng(seed)
    weights = {number: layer.begin(random) for number, layer in recipe.learned.items()}
    velocity = {n: (np.zeros_like(w), np.zeros_like(b)) for n, (w, b) in weights.items()}
    return Training(recipe, seed, weights, velocity)


def average_image(data: Labelled) -> Array:
    """Return the average of the training images, (C, H, W) in float32."""
    average: Array = data.images.mean(axis=0, dtype=np.float64).astype(np.float32)
    return average if average.ndim == 3 else average[None]


def train_epoch(
    run: Training, data: Labelled, progress: Callable[[int, float, float], object] | None = None
) -> Training:
    """Go once through the training set, in an order that the seed and the epoch determine.

    Parameters
    ----------
    run : Training
    data : Digits or Photos
    progress : callable, optional
        Called after each batch with its size, its loss and its error (a fraction).

    Raises
    ------
    ArgumentError
        If the weights diverge.
    """
    recipe, average = run.recipe, average_image(data)
    rate = recipe.rate(run.epoch)
    random = np.random.default_rng([run.seed, run.epoch])
    order = random.permutation(len(data.labels))
    weights, velocity, losses, wrong = run.weights, run.velocity, [], 0
    for first in range(0, len(order), recipe.batch):
        batch = order[first : first + recipe.batch]
        images, labels = data.images[batch], data.labels[batch]
        if recipe.mirrored and random.random() < 0.5:
            images = np.ascontiguousarray(images[..., ::-1])
        net = _checked(run, weights, average)
        with np.errstate(over="ignore", invalid="ignore"):  # said in a line
            acts = forward(net, net.prepare(images))
            losses.append(cross_entropy(acts[-1], labels))
            if not isfinite(losses[-1]):
                raise ArgumentError(
                    f"training diverged in epoch {run.epoch + 1}: the loss is {losses[-1]}"
                )
            gradients = backward(net, acts, labels)
            weights, velocity = _step(recipe, rate, weights, velocity, gradients)
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
        rates=(*run.rates, rate),
    )


def _checked(run: Training, weights: Weights, average: Array) -> Network:
    """Return the network of some weights, which are finite unless training diverged."""
    try:
        return run.recipe.network(weights, average)
    except NetworkError as error:
        raise ArgumentError(f"training diverged in epoch {run.epoch + 1}: {error}") from None


def _wrong(outputs: Array, labels: NDArray[np.uint8]) -> int:
    """Count images that are not named rightly; an output of NaN names nothing."""
    right = (outputs.argmax(axis=1).ravel() == labels) & np.isfinite(outputs).all(axis=(1, 2, 3))
    return int((~right).sum())


def _step(
    recipe: Recipe, rate: float, weights: Weights, velocity: Weights, gradients: Weights
) -> tuple[Weights, Weights]:
    """Take one step of gradient descent with momentum and weight decay, biases included."""
    moved: Weights = {}
    faster: Weights = {}
    for number, own in weights.items():
        parts = zip(
            velocity[number],
            gradients[number],
            own,
            recipe.learned[number].rates,
            strict=True,
        )
        pull_filters, pull_biases = (
            recipe.momentum * v - rate * factor * (g + recipe.decay * w)
            for v, g, w, factor in parts
        )
        faster[number] = pull_filters, pull_biases
        moved[number] = own[0] + pull_filters, own[1] + pull_biases
    return moved, faster


def error_rate(net: Network, data: Labelled) -> float:
    """Return the fraction of images that a network does not name rightly."""
    wrong = 0
    for first in range(0, len(data.labels), 1000):
        part = slice(first, first + 1000)
        with np.errstate(over="ignore", invalid="ignore"):  # an output of NaN counts as wrong
            outputs = forward(net, net.prepare(data.images[part]))[-1]
        wrong += _wrong(outputs, data.labels[part])
    return wrong / len(data.labels)


def save_checkpoint(run: Training, path: Path) -> None:
    """Write a training run to a file from which it goes on as if it had not stopped."""
    arrays = {name: np.array(getattr(run, name)) for name in SCALARS}
    for group in ("weights", "velocity"):
        for number, (filters, biases) in getattr(run, group).items():
            arrays[f"{group}/{number}/filters"] = filters
            arrays[f"{group}/{number}/biases"] = biases
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    replace_file(path, buffer.getvalue())


def read_checkpoint(recipe: Recipe, path: Path) -> Training:
    """Read what `save_checkpoint` wrote of a run of a recipe, however many epochs it was to last.

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
        weights, velocity = (_weights(recipe, arrays, group) for group in ("weights", "velocity"))
        told = [tuple(arrays[name].tolist()) for name in SCALARS[1:]]
        return Training(recipe, int(arrays["seed"]), weights, velocity, *told)
    except (FileError, LookupError, ValueError, TypeError) as error:
        raise FileError(
            f"{path} is no checkpoint of a training run of {recipe.name} ({error}); delete it and "
            "start again"
        ) from None


def _weights(recipe: Recipe, arrays: Mapping[str, Array], group: str) -> Weights:
    found = {}
    for number, layer in recipe.learned.items():
        shape = layer.shape
        filters, biases = (arrays[f"{group}/{number}/{part}"] for part in ("filters", "biases"))
        if (filters.shape, biases.shape) != (shape, shape[:1]):
            raise ValueError(f"{group} of layer {number} have another shape")
        if not (np.isfinite(filters).all() and np.isfinite(biases).all()):
            raise ValueError(f"{group} of layer {number} are not finite: training diverged")
        found[number] = filters.astype(np.float32), biases.astype(np.float32)
    return found
