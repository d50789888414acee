"""The few operations that the forward pass, the decoder and the trainer are written over."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from fdref.arguments import one_of
from fdref.forking import importing
from fdref.imports import imported

if TYPE_CHECKING:
    import numpy as np

    from fdref.arrays import Array
    from fdref.geometry import Margins, Pair
    from fdref.resize import Method

Name = Literal["compiled", "reference"]


class Engine(Protocol):
    """What `fdref.reference` and `fdref.compiled` both provide.

    Arguments are already checked; arrays are C-contiguous and of one dtype, the engine's
    `precision`. Nothing that is passed in is changed.
    """

    def precision(self, weights: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype in which the engine computes with weights of a dtype."""

    def correlate(
        self,
        images: Array,
        filters: Array,
        bias: Array | None,
        stride: Pair,
        pad: Margins,
        dilate: Pair,
    ) -> Array:
        """Return y[n,k] = b[k] + sum of w[k,c,i,j] x[n,c, y*sy + i*dy, x*sx + j*dx]."""

    def pool(self, images: Array, window: Pair, stride: Pair, pad: Margins, method: str) -> Array:
        """Return the maximum or average of each window, clipped to the map."""

    def substitute(
        self, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
    ) -> Array:
        """Replace every pixel by its channel's filter times its value; overlaps add."""

    def unpool(self, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
        """Enlarge by the stride and centre in (n-1)*stride + window pixels."""

    def filter_gradient(
        self,
        images: Array,
        gradient: Array,
        filters: Array,
        stride: Pair,
        pad: Margins,
        dilate: Pair,
    ) -> Array:
        """Return the gradient of sum(gradient * correlate(images, filters)) in the filters."""

    def pool_gradient(
        self,
        images: Array,
        gradient: Array,
        window: Pair,
        stride: Pair,
        pad: Margins,
        method: str,
    ) -> Array:
        """Return the gradient of sum(gradient * pool(images)) in the images.

        Of equal maxima the first one, by rows, takes it all.
        """


def engine_named(name: str) -> Engine:
    """Return an engine; Numba is imported no earlier than the compiled one is asked for."""
    one_of(name, "engine", ("compiled", "reference"))
    with importing:
        if name == "compiled":
            imported("numba", "loops are compiled with Numba")
        return cast("Engine", import_module(f"fdref.{name}"))
