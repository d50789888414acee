"""Mistakes in unpooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fdref import reference
from fdref.conformance.implementation import Wrong
from fdref.resize import matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.layers import Pool
    from fdref.resize import Method

UNPOOL = ("unpool", "decode", "evaluate")


class Resized(Wrong):
    """Enlarges with another matrix."""

    operations: ClassVar[tuple[str, ...]] = UNPOOL
    a = -0.5

    def border(self, taps: NDArray[np.intp], size: int) -> NDArray[np.intp]:
        """Mirror indices beyond the border."""
        around = taps % (2 * size)
        return np.where(around < size, around, 2 * size - 1 - around)

    def places(self, size: int, enlarged: int, factor: int) -> Array:  # noqa: ARG002
        """Return where outputs stand among the inputs."""
        return np.asarray((np.arange(enlarged) + 0.5) / factor - 0.5)

    def matrix(self, size: int, enlarged: int, factor: int, method: Method) -> Array:
        """Return the matrix (enlarged, size)."""
        places = self.places(size, enlarged, factor)
        result = np.zeros((enlarged, size))
        outputs = np.arange(enlarged)
        if method == "nearest":
            result[outputs, np.floor(places + 0.5).astype(int)] = 1
            return result
        reach = 1 if method == "bilinear" else 2
        taps = np.floor(places)[:, None].astype(int) + np.arange(1 - reach, 1 + reach)
        distances = np.abs(places[:, None] - taps)
        weights = np.maximum(1 - distances, 0) if reach == 1 else self.cubic(distances)
        np.add.at(result, (outputs[:, None], self.border(taps, size)), weights)
        return result

    def cubic(self, x: Array) -> Array:
        """Return Keys' kernel for any a."""
        a = self.a
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        return np.where(x <= 1, near, far)

    def enlarged(self, size: int, factor: int, window: int) -> int:  # noqa: ARG002
        """Return how many pixels a line of pixels becomes, before it is framed."""
        return size * factor

    def unpool(self, maps: Array, layer: Pool, method: Method) -> Array:
        lengths = [
            self.enlarged(*sizes)
            for sizes in zip(maps.shape[2:], layer.stride, layer.window, strict=True)
        ]
        rows, columns = (
            self.matrix(*sizes, method)
            for sizes in zip(maps.shape[2:], lengths, layer.stride, strict=True)
        )
        return self.framed(rows @ maps @ columns.T, maps, layer)

    def framed(self, pictures: Array, maps: Array, layer: Pool) -> Array:  # noqa: ARG002
        """Centre as the right one does: as a pool of stride 1 would."""
        (down, across), (height, width) = layer.stride, layer.window
        window = 1 + height - down, 1 + width - across
        return reference.unpool(pictures, (1, 1), window, "nearest")


class ThreeQuarters(Resized):
    name = "bicubic-three-quarters"
    sentence = "bicubic's kernel has a = -3/4; expected: it has a = -1/2"
    a = -0.75


class Clamped(Resized):
    name = "border-clamped"
    sentence = (
        "pixels beyond the border repeat the last one; "
        "expected: they are mirrored: -1 is 0, -2 is 1"
    )

    def border(self, taps: NDArray[np.intp], size: int) -> NDArray[np.intp]:
        return np.asarray(np.clip(taps, 0, size - 1))


class PyTorchBicubic(Clamped):
    name = "pytorch-bicubic"
    sentence = (
        "PyTorch's interpolate: bicubic's kernel has a = -3/4 and the border is clamped; "
        "expected: it has "
        "a = -1/2 and the border is mirrored"
    )
    a = -0.75


class AlignedCorners(Resized):
    name = "aligned-corners"
    sentence = (
        "the outer pixels of the small and the large picture coincide (align_corners); "
        "expected: their "
        "outer edges do"
    )

    def places(self, size: int, enlarged: int, factor: int) -> Array:  # noqa: ARG002
        return np.arange(enlarged) * ((size - 1) / max(enlarged - 1, 1))

    def matrix(self, size: int, enlarged: int, factor: int, method: Method) -> Array:
        if method == "nearest":
            return np.asarray(matrix(size, factor, method))
        return super().matrix(size, enlarged, factor, method)


class Stretched(Resized):
    name = "stretched-to-the-field"
    sentence = (
        "maps are enlarged straight to their receptive field; "
        "expected: they are enlarged by the stride, "
        "then centred in it"
    )

    def enlarged(self, size: int, factor: int, window: int) -> int:
        return (size - 1) * factor + window

    def places(self, size: int, enlarged: int, factor: int) -> Array:  # noqa: ARG002
        return np.asarray((np.arange(enlarged) + 0.5) * size / enlarged - 0.5)

    def framed(self, pictures: Array, maps: Array, layer: Pool) -> Array:  # noqa: ARG002
        return pictures


class OddBefore(Resized):
    name = "odd-pixel-before"
    sentence = (
        "of an odd number of zeros around a map one more is before it; expected: one more is after"
    )

    def framed(self, pictures: Array, maps: Array, layer: Pool) -> Array:
        turned = super().framed(pictures[:, :, ::-1, ::-1], maps, layer)
        return np.ascontiguousarray(turned[:, :, ::-1, ::-1])


class ZerosAfter(Resized):
    name = "not-centred"
    sentence = "all zeros come after the enlarged map; expected: it is centred"

    def framed(self, pictures: Array, maps: Array, layer: Pool) -> Array:
        result = np.zeros_like(super().framed(pictures, maps, layer))
        fitting = pictures[:, :, : result.shape[2], : result.shape[3]]
        result[:, :, : fitting.shape[2], : fitting.shape[3]] = fitting
        return result


class WindowIgnored(Resized):
    name = "window-ignored"
    sentence = (
        "maps grow by the stride alone; expected: they lie in (n - 1) * stride + window pixels"
    )
    operations: ClassVar[tuple[str, ...]] = ("unpool", "decode")

    def framed(self, pictures: Array, maps: Array, layer: Pool) -> Array:  # noqa: ARG002
        return pictures


class ZeroFilled(Resized):
    name = "unpooled-with-zeros"
    sentence = (
        "each pixel goes to one place of its window and the others are 0, as in max-unpooling; "
        "maps are enlarged"
    )

    def matrix(self, size: int, enlarged: int, factor: int, method: Method) -> Array:  # noqa: ARG002
        result = np.zeros((enlarged, size))
        result[np.arange(size) * factor, np.arange(size)] = 1
        return result


ALL: tuple[type[Wrong], ...] = (
    ThreeQuarters,
    Clamped,
    PyTorchBicubic,
    AlignedCorners,
    Stretched,
    OddBefore,
    ZerosAfter,
    WindowIgnored,
    ZeroFilled,
)
