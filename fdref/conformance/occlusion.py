"""Occlusion by brute force, as SPECIFICATION.md has it: every place of the square, whole images.

`fdref.occlude` computes what a square reaches; this is what mistakes are made of, and tells how far
roundings carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.engines.pointwise import softmax
from fdref.layers import Softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.network.graph import Network

    Maps = Mapping[int, Array]


class BruteForce:
    """What a network says of images, parts of which a square hides.

    Parameters
    ----------
    net : Network
        A chain.
    known : mapping
        The parameters of a case.
    forward : callable
        Takes images; gives the maps of the case's layer and of the last, by number.
    """

    def __init__(
        self, net: Network, known: Mapping[str, Any], forward: Callable[[Array], Maps]
    ) -> None:
        self.net, self.known, self.forward = net, known, forward
        self.layer, self.last = int(known["layer"]), len(net)

    def outputs(self, images: Array) -> dict[str, NDArray[Any]]:
        """Return the outputs of a case."""
        found: dict[str, list[Any]] = {}
        for image, label in zip(images, self.known["labels"], strict=True):
            for name, values in self.of_image(image, label).items():
                found.setdefault(name, []).append(values)
        return {name: np.array(values) for name, values in found.items()}

    def of_image(self, image: Array, label: int) -> dict[str, Any]:
        """Return those of one image, (C, H, W)."""
        clean = self.forward(image[None])[self.layer]
        strongest = self.strongest(clean)[0]
        copies, places = self.occluded(image)
        maps = self.forward(copies)
        scores = self.scores(maps[self.last])
        return {
            "map": strongest,
            "activity": self.activity(maps[self.layer], strongest, clean).reshape(places),
            "probability": self.probability(scores, label).reshape(places),
            "label": scores.argmax(axis=1).reshape(places),
        }

    def occluded(self, image: Array) -> tuple[Array, tuple[int, int]]:
        """Return an image with the square at every place, (places, C, H, W), and how many."""
        (height, width), (down, across) = self.known["size"], self.known["stride"]
        rows = range(0, image.shape[1] - height + 1, down)
        columns = range(0, image.shape[2] - width + 1, across)
        copies = np.array([image] * (len(rows) * len(columns)))
        each = iter(copies)
        for top in rows:
            for left in columns:
                next(each)[:, top : top + height, left : left + width] = self.shown(image)
        return copies, (len(rows), len(columns))

    def shown(self, image: Array) -> Array:
        """Return what the square shows, (C, 1, 1)."""
        value = self.known["value"]
        if value == "background":
            inside = np.zeros(image.shape[1:], bool)
            inside[1:-1, 1:-1] = True
            value = np.median(image[:, ~inside], axis=1)
        return np.reshape(np.broadcast_to(value, len(image)), (-1, 1, 1))

    def strongest(self, maps: Array) -> NDArray[np.intp]:
        """Return which map of each image has the largest sum, of equal ones the first."""
        found: NDArray[np.intp] = maps.sum(axis=(2, 3)).argmax(axis=1)
        return found

    def activity(self, maps: Array, strongest: int, clean: Array) -> Array:  # noqa: ARG002 - some compare
        """Return how active the map is in each copy."""
        return np.asarray(maps[:, strongest].sum(axis=(1, 2)))

    def scores(self, maps: Array) -> Array:
        """Return the probabilities of classes, (places, classes)."""
        every = maps if isinstance(self.net[self.last], Softmax) else softmax(maps)
        return np.asarray(every.mean(axis=(2, 3)))

    def probability(self, scores: Array, label: int) -> Array:
        """Return that of the image's class."""
        return scores[:, label]
