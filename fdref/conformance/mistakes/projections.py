"""Mistakes in projections: what goes down, and what pools, rectifiers and other layers let pass."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fdref.conformance.compute import kept_alone
from fdref.conformance.mistakes.mistake import Mistake, other, over
from fdref.engines import reference
from fdref.layers import Conv, Normalize, Pool, ReLU
from fdref.walk.forward import output
from fdref.walk.gradient import leak
from fdref.walk.pictures import Picture
from fdref.walk.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.conformance.mistakes.mistake import Wrong
    from fdref.geometry import Margins, Pair
    from fdref.layers import Layer
    from fdref.walk.adjoint import NonLinear
    from fdref.walk.projection import Rule

    Operation = Callable[..., Array]
    Units = NDArray[np.intp]

PROJECT = ("project",)


class Whole(Projection):
    """The right rules, over whole maps, as others go down: what is wrong shows everywhere."""

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Go down through a layer."""
        return super().below(number, Picture(self.whole(number, picture), (0, 0)))

    def like(self, rule: Rule, maps: Mapping[int, Array]) -> Projection:
        """Return the right rules for another of the four, or other maps."""
        return Projection(self.net, maps, self.engine, rule, self.images)


def ruled(kind: type[Layer], **instead: Rule) -> type[Whole]:
    """Return rules under which layers of a type do what they do under another."""

    class Ruled(Whole):
        def derived(self, layer: NonLinear, number: int, picture: Picture) -> list[Array]:
            if not isinstance(layer, kind):
                return super().derived(layer, number, picture)
            rule = instead.get(self.rule, self.rule)
            return self.like(rule, self.maps).derived(layer, number, picture)

    return Ruled


class LeakDropped(Whole):
    """Hands down 0 where a leak should multiply."""

    def derived(self, layer: NonLinear, number: int, picture: Picture) -> list[Array]:
        """Go down through a layer, pixel by pixel."""
        plain = ReLU() if isinstance(layer, ReLU) else layer
        return super().derived(plain, number, picture)


class LeakOnce(LeakDropped):
    """Multiplies by the leak once, where both ways were negative, too."""

    def derived(self, layer: NonLinear, number: int, picture: Picture) -> list[Array]:
        """Go down through a layer, pixel by pixel."""
        if not (isinstance(layer, ReLU) and self.rule == "guided"):
            return Whole.derived(self, layer, number, picture)
        (passed,), delta = super().derived(layer, number, picture), picture.values
        return [np.where(passed == 0, delta * leak(layer, delta.dtype), passed)]


class BiasSubtracted(Whole):
    """Undoes a layer in full: its biases, then its filters."""

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Go down through a layer."""
        layer = self.net[number]
        if isinstance(layer, Conv) and layer.bias is not None:
            values = self.whole(number, picture) - layer.bias[:, None, None]
            picture = Picture(values, (0, 0))
        return super().below(number, picture)


class SwitchesElsewhere(Whole):
    """Looks for maxima in another map than the one that a pool takes."""

    def through(self, layer: NonLinear, number: int, picture: Picture) -> list[Picture]:
        """Go down through a layer."""
        (taken,) = self.net.takes[number]
        if not isinstance(layer, Pool) or layer.method != "max":
            return super().through(layer, number, picture)
        maps = {**self.maps, taken: self.seen(number, taken)}
        return self.like(self.rule, maps).through(layer, number, picture)

    @abstractmethod
    def seen(self, number: int, taken: int) -> Array:
        """Return the map in which the maxima are looked for."""


class SwitchesAfterReLU(SwitchesElsewhere):
    """Rectifies before a pool that the ReLU follows: the pooled map stays the same."""

    def seen(self, number: int, taken: int) -> Array:
        """Return what the ReLU above would have made."""
        users = (n for n in range(1, len(self.net) + 1) if number in self.net.takes[n])
        for layer in (self.net[n] for n in users):
            if isinstance(layer, ReLU):
                return output(layer, [self.maps[taken]], self.engine)
        return self.maps[taken]


class SwitchesBeforeReLU(SwitchesElsewhere):
    """Rectifies after a pool that follows the ReLU: the pooled map stays the same."""

    def seen(self, number: int, taken: int) -> Array:  # noqa: ARG002 - the other needs both
        """Return what the ReLU below took."""
        below = taken > 0 and isinstance(self.net[taken], ReLU)
        return self.maps[self.net.takes[taken][0] if below else taken]


def unpooled(wrong: Callable[..., Array]) -> Wrong:
    """Return fdref in which a max pool hands down wrongly.

    `wrong` takes the map with minus infinity around, the values to hand down, and an array of zeros
    as large as the map.
    """

    def pool_gradient(
        right: Operation,
        x: Array,
        delta: Array,
        window: Pair,
        stride: Pair,
        pad: Margins,
        method: str,
    ) -> Array:
        if method != "max":
            return right(x, delta, window, stride, pad, method)
        padded = np.pad(x, ((0, 0), (0, 0), pad[:2], pad[2:]), constant_values=-np.inf)
        found = wrong(padded, delta, np.zeros_like(padded), window, stride)
        return found[:, :, pad[0] : pad[0] + x.shape[2], pad[2] : pad[2] + x.shape[3]]

    return replace(over(pool_gradient=pool_gradient), parts={"way": Whole})


def windows(padded: Array, window: Pair, stride: Pair) -> Array:
    """Return the pixels of each window, (N, C, h, w, pixels)."""
    views = sliding_window_view(padded, window, (2, 3))[:, :, :: stride[0], :: stride[1]]
    return views.reshape(*views.shape[:4], -1)


def to_the_centre(
    padded: Array,  # noqa: ARG001
    delta: Array,
    found: Array,
    window: Pair,
    stride: Pair,
) -> Array:
    """Hand all to the pixel in the middle of the window."""
    middle = np.zeros((1, 1, *window))
    middle[0, 0, (window[0] - 1) // 2, (window[1] - 1) // 2] = 1
    each = delta.reshape(-1, 1, *delta.shape[2:])
    pictures = reference.substitute(each, middle, stride, (1, 1), 1)
    height, width = pictures.shape[2:]
    found[:, :, :height, :width] = pictures.reshape(*delta.shape[:2], height, width)
    return found


def last_stays(padded: Array, delta: Array, found: Array, window: Pair, stride: Pair) -> Array:
    """Write windows one by one, each over those before, as max-unpooling by indices does."""
    first = windows(padded, window, stride).argmax(axis=-1)
    images, channels = np.ogrid[: delta.shape[0], : delta.shape[1]]
    for y, x in np.ndindex(delta.shape[2:]):
        rows, columns = np.divmod(first[:, :, y, x], window[1])
        place = images, channels, rows + y * stride[0], columns + x * stride[1]
        found[place] = delta[:, :, y, x]
    return found


def to_all_ties(padded: Array, delta: Array, found: Array, window: Pair, stride: Pair) -> Array:
    """Hand all to every pixel that equals the maximum."""
    seen = windows(padded, window, stride)
    equal = seen == seen.max(axis=-1, keepdims=True)
    for tap, (i, j) in enumerate(np.ndindex(*window)):
        rows = slice(i, i + (delta.shape[2] - 1) * stride[0] + 1, stride[0])
        columns = slice(j, j + (delta.shape[3] - 1) * stride[1] + 1, stride[1])
        found[:, :, rows, columns] += np.where(equal[..., tap], delta, 0)
    return found


def by_columns(
    right: Operation, x: Array, delta: Array, window: Pair, stride: Pair, pad: Margins, method: str
) -> Array:
    """Exchange rows and columns."""
    turned = (
        np.ascontiguousarray(x.swapaxes(2, 3)),
        np.ascontiguousarray(delta.swapaxes(2, 3)),
        window[::-1],
        stride[::-1],
        (*pad[2:], *pad[:2]),
        method,
    )
    return right(*turned).swapaxes(2, 3)


def turned(
    right: Operation, x: Array, delta: Array, window: Pair, stride: Pair, pad: Margins, method: str
) -> Array:
    """Look at windows from the end, padded there to where the last one ends."""
    whole = [(n - 1) * s + w for n, s, w in zip(delta.shape[2:], stride, window, strict=True)]
    after = [whole[axis] - x.shape[2 + axis] - pad[2 * axis] for axis in range(2)]
    extra = [max(0, -spare) for spare in after]  # pixels that no window reaches
    seen = x[:, :, : x.shape[2] - extra[0], : x.shape[3] - extra[1]]
    around = (max(0, after[0]), pad[0], max(0, after[1]), pad[2])
    both = (np.ascontiguousarray(np.flip(a, (2, 3))) for a in (seen, delta))
    found = np.zeros_like(x)
    found[:, :, : seen.shape[2], : seen.shape[3]] = np.flip(
        right(*both, window, stride, around, method), (2, 3)
    )
    return found


def all_kept(acts: Array, units: Units) -> Array:
    """Keep all activations of each unit's image."""
    return acts[units[:, 0]]


def map_kept(acts: Array, units: Units) -> Array:
    """Keep the unit's channel."""
    images, channels = units[:, :2].T
    found = np.zeros((len(units), *acts.shape[1:]), acts.dtype)
    found[np.arange(len(units)), channels] = acts[images, channels]
    return found


def one(acts: Array, units: Units) -> Array:
    """Put 1 in the place of the activation."""
    return kept_alone(np.ones_like(acts), units)


def going(way: type[Projection], **parts: Any) -> Wrong:
    """Return fdref that takes activations down in another way."""
    return other(way=way, **parts)


ALL = (
    Mistake("mask-of-the-way-up",
        "under deconvnet and guided a ReLU lets pass what was positive on the way up alone, as the "
        "gradient does; expected: deconvnet asks what is positive on the way down, guided both",
        PROJECT, going(ruled(ReLU, deconvnet="gradient", guided="gradient"))),
    Mistake("both-masks",
        "under deconvnet a ReLU lets pass what is positive on both ways, as under guided; "
        "expected: deconvnet asks for the way down alone", PROJECT,
        going(ruled(ReLU, deconvnet="guided"))),
    Mistake("guided-without-the-way-up",
        "under guided a ReLU lets pass what is positive on the way down, as under deconvnet; "
        "expected: it must have been positive on the way up, too", PROJECT,
        going(ruled(ReLU, guided="deconvnet"))),
    Mistake("not-rectified-on-the-way-down",
        "a ReLU lets all pass whatever the rule; expected: it does so under linear alone", PROJECT,
        going(ruled(ReLU, gradient="linear", deconvnet="linear", guided="linear"))),
    Mistake("gradient-rectified",
        "under gradient negative values are dropped on the way down, as under guided; expected: "
        "all passes that was positive on the way up", PROJECT,
        going(ruled(ReLU, gradient="guided"))),
    Mistake("leak-dropped-on-the-way-down",
        "what a ReLU does not let pass becomes 0; expected: it is multiplied by the leak", PROJECT,
        going(LeakDropped)),
    Mistake("leak-once",
        "under guided what was negative on both ways is multiplied by the leak once; expected: "
        "once for each way, so twice", PROJECT, going(LeakOnce)),
    Mistake("switches-after-relu",
        "of a pool below a ReLU the maxima are looked for in the rectified map, where all that "
        "were negative are equal; expected: in the map that the pool takes", PROJECT,
        going(SwitchesAfterReLU)),
    Mistake("switches-before-relu",
        "of a pool above a ReLU the maxima are looked for below the ReLU; expected: in the map "
        "that the pool takes, where all that were negative are equal", PROJECT,
        going(SwitchesBeforeReLU)),
    Mistake("unpooled-to-the-centre",
        "a max pool hands all to the pixel in the middle of the window; expected: to that of the "
        "maximum", PROJECT, unpooled(to_the_centre)),
    Mistake("last-switch-stays",
        "where windows of a max pool share their maximum the last value stays, as in unpooling by "
        "indices; expected: they add", PROJECT, unpooled(last_stays)),
    Mistake("ties-by-columns",
        "of equal maxima the first by columns gets all, as in MatConvNet; expected: the first by "
        "rows", PROJECT, over(pool_gradient=by_columns)),
    Mistake("ties-all",
        "every pixel that equals the maximum gets all; expected: the first by rows alone", PROJECT,
        unpooled(to_all_ties)),
    Mistake("ties-last",
        "of equal maxima the last by rows gets all; expected: the first", PROJECT,
        over(pool_gradient=turned)),
    Mistake("pools-share-on-the-way-down",
        "a max pool shares over its window as an average does; expected: all goes to the maximum",
        PROJECT, over(pool_gradient=lambda right, *given: right(*given[:-1], "avg"))),
    Mistake("gradient-for-all",
        "a ReLU does under every rule what it does under gradient; expected: rules differ",
        PROJECT, going(ruled(
            ReLU, deconvnet="gradient", guided="gradient", linear="gradient"))),
    Mistake("normalize-differentiated",
        "the derivative of normalize is taken under all rules; expected: it is passed by, but for "
        "gradient", PROJECT, going(ruled(
            Normalize, deconvnet="gradient", guided="gradient", linear="gradient"))),
    Mistake("normalize-passed-by-the-gradient",
        "normalize changes nothing under gradient; expected: its derivative is taken", PROJECT,
        going(ruled(Normalize, gradient="linear"))),
    Mistake("bias-subtracted",
        "a layer's biases are subtracted before its filters are put in; expected: they play no "
        "part on the way down", PROJECT, going(BiasSubtracted)),
    Mistake("all-kept",
        "all activations of the layer go down; expected: those that are kept, all others are 0",
        PROJECT, going(Whole, start=all_kept)),
    Mistake("map-kept",
        "all activations of the unit's channel go down; expected: the unit's own, all others are 0",
        PROJECT, going(Whole, start=map_kept)),
    Mistake("one-for-the-activation",
        "the unit starts with 1, as gradients do; expected: it keeps its value", PROJECT,
        going(Whole, start=one)),
)  # fmt: skip
