"""The transpose of decoding: pictures over the image, taken up to the maps that they came from.

Decoding is linear in what stands at a map: D = T S. So what a part of S contributes to the scalar
product with a picture E over the image need not be decoded: <T S_j, E> = <S_j, T' E>, and one walk
up with E serves all parts. Each layer takes the transpose of its step down: a correlation where
that is a substitution, and so on; pictures cover the boxes that they have on the way down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import numpy as np

from fdref import layers as kinds
from fdref.network.fields import Box, ancestors, seen
from fdref.walk.adjoint import moved, scaled_by
from fdref.walk.pictures import Picture
from fdref.walk.shuffles import depth_to_space, repeat_pixels, space_to_depth

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fdref.arrays import Array
    from fdref.geometry import Pair
    from fdref.walk.down import Decoding


class Transpose:
    """The way up that is the transpose of a way down.

    Parameters
    ----------
    rules : Decoding
        Of the way down.
    boxes : mapping
        What the decoded unit sees of each map, see `fdref.network.units.boxes`.
    """

    def __init__(self, rules: Decoding, boxes: Mapping[int, Box]) -> None:
        self.rules, self.boxes = rules, boxes
        self.net, self.engine = rules.net, rules.engine

    def up_to(self, maps: Collection[int], pictures: Array) -> dict[int, Array]:
        """Take pictures over the image up to some maps.

        Parameters
        ----------
        maps : collection of int
        pictures : (K, C0, H, W) array
            Over the box of the image.

        Returns
        -------
        dict
            ``{map: (K, C, h, w) array}`` over the map's box; without maps that no way leads from
            to the image.
        """
        needed = set().union(*(ancestors(self.net, number) for number in maps))
        whole = scaled_by(pictures, self.rules.weight(0))
        known = {0: Picture(whole, self.boxes[0].origin)}
        for number in sorted(needed):
            if number > 0 and any(taken in known for taken in self.net.takes[number]):
                known[number] = self._above(number, known)
        return {number: known[number].values for number in maps if number in known}

    def _above(self, number: int, known: Mapping[int, Picture]) -> Picture:
        """Take the transpose of one layer's step down."""
        layer, box = self.net.decoded_as[number], self.boxes[number]
        handed = seen(layer, box)
        parts = [
            known[taken].over(handed) if taken in known else None
            for taken in self.net.takes[number]
        ]
        if isinstance(layer, kinds.Sum | kinds.Concat):
            return Picture(self._joined(layer, number, parts), box.origin)
        (part,) = parts
        assert part is not None  # noqa: S101 - it is the only one
        return self._step(layer, number, part).over(box)

    def _step(  # noqa: C901 - a table: a row for each kind of layer
        self, layer: kinds.Layer, number: int, part: Picture
    ) -> Picture:
        values, origin, engine = part.values, self.boxes[number].origin, self.engine
        match layer:
            case kinds.Conv(filters=filters, stride=stride, dilate=dilate):
                bank = np.ascontiguousarray(filters, values.dtype)
                values = np.ascontiguousarray(values)
                above = engine.correlate(values, bank, None, stride, (0, 0, 0, 0), dilate)
                return Picture(above, origin)
            case kinds.Pool():
                return Picture(self._gathered(layer, number, values), origin)
            case kinds.ConvTranspose():
                return self._substituted(layer, part)
            case kinds.Channels(indices=indices):
                return Picture(values[:, list(indices)], origin)
            case kinds.Upsample(factor=factor):
                return Picture(repeat_pixels(values, factor), _enlarged(part.origin, factor))
            case kinds.Shuffle(block=block, reverse=False):
                laid = depth_to_space(values, layer.sources(self.net.channels[number]))
                return Picture(laid, _enlarged(part.origin, (block, block)))
            case kinds.Shuffle():
                return Picture(space_to_depth(values, layer.sources(values.shape[1])), origin)
            case kinds.BatchNorm():
                scale = layer.scale(values.dtype)[:, None, None]
                return Picture(values * scale, origin)
            case kinds.Scale(factor=own):
                return Picture(values * own.astype(values.dtype)[:, None, None], origin)
            case (
                kinds.Pad()
                | kinds.Dropout()
                | kinds.ReLU()
                | kinds.PReLU()
                | kinds.Elementwise()
                | kinds.Softmax()
                | kinds.Normalize()
            ):
                return Picture(values, origin)
            case kinds.Sum() | kinds.Concat() | kinds.Product() | kinds.Maximum() | kinds.Unknown():
                raise AssertionError(layer)  # joined above, or refused before
            case _:
                assert_never(layer)

    def _joined(
        self, layer: kinds.Sum | kinds.Concat, number: int, parts: Sequence[Picture | None]
    ) -> Array:
        """Add, or stack, what comes up from several maps; nothing does from further inputs."""
        first = next(part.values for part in parts if part is not None)
        if isinstance(layer, kinds.Sum):
            total = np.zeros_like(first)
            for n, part in enumerate(parts):
                if part is not None:
                    total += scaled_by(part.values, layer.factor(n))
            return total
        stacked = [
            np.zeros((len(first), self.net.channels_of(taken), *first.shape[2:]), first.dtype)
            if part is None
            else part.values
            for taken, part in zip(self.net.takes[number], parts, strict=True)
        ]
        return np.concatenate(stacked, axis=1)

    def _gathered(self, pool: kinds.Pool, number: int, values: Array) -> Array:
        """Give each pixel what the pixels hold that it is spread over, each times its weight."""
        height, width = self.boxes[number].size
        rows = self._weights(height, pool.stride[0], pool.window[0], values)
        columns = self._weights(width, pool.stride[1], pool.window[1], values)
        gathered: Array = rows.T @ (values @ columns)
        if self.rules.shared:
            gathered /= gathered.dtype.type(pool.stride[0] * pool.stride[1])
        return gathered

    def _weights(self, length: int, stride: int, window: int, values: Array) -> Array:
        """Return what unpooling makes of each pixel of a column: one for each of them.

        All methods treat rows and columns one after the other, so that is all that is to be known.
        """
        pixels = np.eye(length, dtype=values.dtype)[:, None, :, None]
        enlarged = self.engine.unpool(
            np.ascontiguousarray(pixels), (stride, 1), (window, 1), self.rules.method
        )
        return np.ascontiguousarray(enlarged[:, 0, :, 0].T)

    def _substituted(self, layer: kinds.ConvTranspose, part: Picture) -> Picture:
        """Substitute the filters, where the step down correlates with them."""
        bank = np.ascontiguousarray(layer.filters, part.values.dtype)
        values = np.ascontiguousarray(part.values)
        above = self.engine.substitute(values, bank, layer.upsample, (1, 1), layer.groups)
        return Picture(above, moved(part.origin, layer.upsample, layer.crop))


def _enlarged(origin: Pair, factor: Pair) -> Pair:
    return origin[0] * factor[0], origin[1] * factor[1]
