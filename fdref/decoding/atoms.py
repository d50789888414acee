"""Decoding from below: what a pixel of a map amounts to in the input, found once for all.

Substitution commutes with shifts, and so do `nearest` and `window` unpooling. So what a pixel of
channel j amounts to, its *atom*, is the same picture wherever the pixel is, moved by the map's
jump (the product of the strides below); and filters decode to sums of moved atoms: a substitution
again, a transposed convolution with the atoms for filters and the jump for a stride.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import numpy as np

from fdref import layers as kinds
from fdref.network.fields import around
from fdref.walk.down import top
from fdref.walk.pictures import Picture, unite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network.graph import Network


@dataclass(frozen=True)
class Atoms:
    """What the pixels of a map amount to in the input."""

    pictures: Picture
    """(C, C0, H, W), for the pixel at (0, 0); C: of the map"""
    jump: Pair
    """by how much the pictures move for the pixel's neighbour"""


def commutes_with_shifts(layer: Layer, unpool: Method) -> bool:
    """Tell whether a layer's step down treats all pixels alike, those at the borders, too.

    Where a pool's window is smaller than its stride, `nearest` crops the border of what it
    enlarges; the other two ways to enlarge mirror at it. Above a layer that enlarges maps, pixels
    are unlike their neighbours.
    """
    match layer:
        case kinds.Pool(window=window, stride=stride):
            separate = unpool == "nearest" and all(np.greater_equal(window, stride))
            return unpool == "window" or separate
        case kinds.ConvTranspose(upsample=factor) | kinds.Upsample(factor=factor):
            return factor == (1, 1) and isinstance(layer, kinds.Upsample)
        case kinds.Shuffle(reverse=False) | kinds.Product() | kinds.Maximum() | kinds.Unknown():
            return False
        case _:
            return True


def contract(picture: Picture, atoms: Atoms, engine: Engine) -> Picture:
    """Express a picture (K, C, h, w) over a map in the input, given the atoms of its pixels."""
    (row, column), (down, right) = atoms.pictures.origin, atoms.jump
    values = engine.substitute(picture.values, atoms.pictures.values, atoms.jump, (1, 1), 1)
    return Picture(values, (row + picture.origin[0] * down, column + picture.origin[1] * right))


class Composition:
    """The rules of composition: how the atoms of a layer's maps become those of its output."""

    def __init__(self, net: Network, unpool: Method, engine: Engine) -> None:
        self.net, self.unpool, self.engine = net, unpool, engine
        self.dtype = engine.precision(net.dtype)

    def of_input(self, number: int) -> Atoms | None:
        """Return the atoms of an input: its pixels themselves; further inputs are not decoded."""
        if number < 0:
            return None
        pixels = np.eye(self.net.channels[0], dtype=self.dtype)[:, :, None, None]
        return Atoms(Picture(pixels, (0, 0)), (1, 1))

    def above(  # noqa: C901, PLR0912 - a table: a row for each kind of layer
        self, number: int, taken: Sequence[Atoms | None]
    ) -> Atoms | None:
        """Return the atoms of a layer's output; none where no way leads down to the input."""
        if not any(taken):
            return None
        layer = self.net.decoded_as[number]
        if isinstance(layer, kinds.Sum | kinds.Concat):
            return self._joined(layer, number, taken)
        (atoms,) = taken
        assert atoms is not None  # noqa: S101 - it is the only one
        pictures, jump = atoms.pictures, atoms.jump
        match layer:
            case kinds.Conv(stride=stride, pad=pad):
                every = range(self.net.channels[number])
                filters = top(self.net, number, every, self.dtype)
                below = Picture(filters, (-pad[0], -pad[2]))
                return Atoms(contract(below, atoms, self.engine), _product(jump, stride))
            case kinds.Pool(stride=stride, pad=pad):
                return Atoms(self._copied(layer, atoms), _product(jump, stride))
            case kinds.Channels(indices=indices):
                return Atoms(Picture(pictures.values[list(indices)], pictures.origin), jump)
            case kinds.Pad(pad=pad):
                return Atoms(Picture(pictures.values, _back(pictures.origin, pad, jump)), jump)
            case kinds.BatchNorm():
                scale = layer.scale(self.dtype)[:, None, None, None]
                return Atoms(Picture(pictures.values * scale, pictures.origin), jump)
            case kinds.Scale(factor=own):
                scale = own.astype(self.dtype)[:, None, None, None]
                return Atoms(Picture(pictures.values * scale, pictures.origin), jump)
            case kinds.Shuffle(block=block):
                return Atoms(_moved_apart(layer, atoms), _product(jump, (block, block)))
            case (
                kinds.ReLU()
                | kinds.PReLU()
                | kinds.Elementwise()
                | kinds.Dropout()
                | kinds.Softmax()
                | kinds.Normalize()
            ):
                return atoms
            case kinds.Upsample():  # by 1
                return atoms
            case kinds.ConvTranspose() | kinds.Product() | kinds.Maximum() | kinds.Unknown():
                raise AssertionError(layer)  # nobody composes through them
            case _:
                assert_never(layer)

    def contracted(
        self, number: int, picture: Picture, atoms_of: Callable[[int], Atoms | None]
    ) -> Picture | None:
        """Express a picture over a map in the input; None where no way leads down to the input.

        Unpooling comes last: the pixels' own atoms are larger than those that a pool adds up.
        """
        layer = self.net.decoded_as.get(number)
        pool = layer if isinstance(layer, kinds.Pool) else None
        atoms = atoms_of(number if pool is None else self.net.takes[number][0])
        if atoms is None:
            return None
        if pool is None:
            return contract(picture, atoms, self.engine)
        apart = Atoms(atoms.pictures, _product(atoms.jump, pool.stride))
        once = contract(picture, apart, self.engine)
        return self._copied(pool, Atoms(once, atoms.jump))

    def _copied(self, pool: kinds.Pool, atoms: Atoms) -> Picture:
        """Add up the copies that unpooling makes of a pixel, or of all pixels of pictures."""
        pictures = atoms.pictures
        pixel = np.ones((1, 1, 1, 1), self.dtype)
        # Unpooling one pixel of value 1 shows its copies; each moves the pixel's atom by the jump.
        copies = self.engine.unpool(pixel, pool.stride, pool.window, self.unpool)
        maps = pictures.values.reshape(-1, 1, *pictures.values.shape[2:])
        values = self.engine.substitute(maps, copies, (1, 1), atoms.jump, 1)
        shape = (*pictures.values.shape[:2], *values.shape[2:])
        return Picture(values.reshape(shape), _back(pictures.origin, pool.pad, atoms.jump))

    def _joined(
        self, layer: kinds.Sum | kinds.Concat, number: int, taken: Sequence[Atoms | None]
    ) -> Atoms:
        """Add, or stack, the atoms of several maps."""
        shares = [self._share(number, below) for below in self.net.takes[number]]
        known = [atoms for atoms in taken if atoms is not None]
        box = around(atoms.pictures.box for atoms in known)
        if isinstance(layer, kinds.Sum):
            weighed = [
                _times(atoms.pictures, layer.factor(n) * shares[n])
                for n, atoms in enumerate(taken)
                if atoms is not None
            ]
            return Atoms(unite(weighed), known[0].jump)
        stacked = [
            np.zeros((self.net.channels_of(below), self.net.channels[0], *box.size), self.dtype)
            if atoms is None
            else _times(atoms.pictures, share).over(box).values
            for below, atoms, share in zip(self.net.takes[number], taken, shares, strict=True)
        ]
        return Atoms(Picture(np.concatenate(stacked), box.origin), known[0].jump)

    def _share(self, number: int, below: int) -> float:
        """Return how much a map's own atoms weigh among those of a layer that joins several."""
        if self.unpool == "window":
            return 1.0
        copies = self.net.copies
        return copies[number][0] / copies[below][0]


def _moved_apart(layer: kinds.Shuffle, atoms: Atoms) -> Picture:
    """Return the atoms of space to depth: one channel for each place in a block."""
    values, (down, right), r = atoms.pictures.values, atoms.jump, layer.block
    count, inputs, height, width = values.shape
    moved = np.zeros(
        (count * r * r, inputs, height + (r - 1) * down, width + (r - 1) * right), values.dtype
    )
    sources = layer.sources(count)
    for i in range(r):
        for j in range(r):
            rows, columns = slice(i * down, i * down + height), slice(j * right, j * right + width)
            moved[sources[:, i, j], :, rows, columns] = values
    return Picture(moved, atoms.pictures.origin)


def _times(picture: Picture, factor: float) -> Picture:
    if factor == 1:
        return picture
    return Picture(picture.values * picture.values.dtype.type(factor), picture.origin)


def _product(jump: Pair, stride: Pair) -> Pair:
    return jump[0] * stride[0], jump[1] * stride[1]


def _back(origin: Pair, pad: Sequence[int], jump: Pair) -> Pair:
    return origin[0] - pad[0] * jump[0], origin[1] - pad[2] * jump[1]
