"""The operations that the forward pass, the decoder and the trainer are written over."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np

from fdref.arguments import one_of, shown
from fdref.engines.forking import importing
from fdref.errors import ArgumentError
from fdref.imports import imported

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines.resize import Method
    from fdref.geometry import Margins, Pair

Name = Literal["compiled", "reference"]
NAMES: tuple[Name, ...] = ("compiled", "reference")


class Engine(Protocol):
    """What `fdref.engines.reference` and `fdref.engines.compiled` both provide, and any object may.

    Arguments are already checked; arrays are C-contiguous and of one dtype, the engine's
    `precision`. What is returned is so, too, and shares no memory with what was passed in, which
    is not changed.

    With an engine, the decoder takes the shortest ways; with one that has an attribute
    ``FROM_ABOVE = True``, the paper's, as with the reference. With one that has ``LOCAL = True``,
    whose operations but for products compute a number from what it sees alone, to the bit,
    `fdref.occlude` computes no more than what changes. One that has `together` is asked for it, a
    context, before several operations after each other: what they need is made ready once.
    """

    def precision(self, weights: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype, float32 or float64, to compute in with weights of a dtype."""

    def correlate(
        self,
        images: Array,
        filters: Array,
        bias: Array | None,
        stride: Pair,
        pad: Margins,
        dilate: Pair,
    ) -> Array:
        """Return y[n,k] = b[k] + sum of w[k,c,i,j] x[n,c, y*sy + i*dy, x*sx + j*dx].

        What networks call a convolution, whose filters are not mirrored.
        """

    def pool(self, images: Array, window: Pair, stride: Pair, pad: Margins, method: str) -> Array:
        """Return the maximum or average of each window, clipped to the map."""

    def relu(self, images: Array, leak: float | Array) -> Array:
        """Return x, or leak * x where x is negative; a leak may be (C,), one for each channel."""

    def scale(
        self, images: Array, factor: Array, offset: Array | None, mean: Array | None
    ) -> Array:
        """Return (x - mean) * factor + offset, each of them (C,), the last two possibly None.

        The forward pass asks for it with all that a layer has, decoding with the factor alone.
        """

    def normalize(self, images: Array, size: int, kappa: float, alpha: float, beta: float) -> Array:
        """Divide by (kappa + alpha * sum of squares over the nearest channels) ** beta.

        Those are, for channel k, k - floor((size-1)/2) to k + ceil((size-1)/2).
        """

    def softmax(self, images: Array) -> Array:
        """Return probabilities over the channels of each pixel."""

    def substitute(
        self, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
    ) -> Array:
        """Replace every pixel by its channel's filter times its value; overlaps add.

        The adjoint of `correlate` without bias and padding: transposed convolution.
        """

    def unpool(self, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
        """Enlarge by the stride and centre in (n-1)*stride + window pixels.

        By "window", which is the adjoint of average pooling, share each pixel over its window.
        """

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

    def compare(self, responses: Array, predictions: Array) -> NDArray[np.float64]:
        """Return eq. 3's error and the correlation coefficient of each pair of rows: (2, N).

        Of rows (N, n) that are mapped to [0, 1] by their own extremes, in float64, whatever the
        precision: the mean squared difference, and correlation. NaN where a row of either side
        cannot be mapped: it holds NaN or an infinity, or is the same everywhere.
        """


OPERATIONS = tuple(name for name in vars(Engine) if not name.startswith("_"))


def engine_named(engine: Engine | str) -> Engine:
    """Return an engine, given one or a name; Numba is imported no sooner than "compiled" is asked.

    Raises
    ------
    ArgumentError
        For anything else.
    """
    if isinstance(engine, str):
        one_of(engine, "engine", NAMES)
        with importing:  # no fork meanwhile: a child would wait for the import for ever
            if engine == "compiled":
                imported("numba", "loops are compiled with Numba")
            return cast("Engine", import_module(f"fdref.engines.{engine}"))
    missing = [name for name in OPERATIONS if not callable(getattr(engine, name, None))]
    expected = "expected 'compiled', 'reference', or an object with all operations of fdref.Engine"
    if isinstance(engine, type) or len(missing) == len(OPERATIONS):
        raise ArgumentError(f"engine is {shown(engine)}; {expected}")
    if missing:
        raise ArgumentError(f"engine {name_of(engine)} has no {', '.join(missing)}; {expected}")
    # Asked once here: else a wrong answer would be some later array's unexplained dtype.
    computes_in: object = engine.precision(np.dtype(np.float32))
    if not isinstance(computes_in, np.dtype) or computes_in not in (np.float32, np.float64):
        raise ArgumentError(
            f"engine {name_of(engine)} has the precision {shown(computes_in)}; expected "
            "numpy.dtype('float32') or numpy.dtype('float64')"
        )
    return engine


def name_of(engine: Engine | str) -> str:
    """Return the name by which files and messages know an engine."""
    if isinstance(engine, str):
        return engine
    kind = type(engine)
    own = getattr(engine, "__name__", f"{kind.__module__}.{kind.__qualname__}")
    return str(own).removeprefix("fdref.engines.")


def goes_from_above(engine: Engine) -> bool:
    """Tell whether an engine decodes the paper's way only."""
    return bool(getattr(engine, "FROM_ABOVE", False))


def together(engine: Engine) -> AbstractContextManager[object]:
    """Return the context for several of an engine's operations, if it has one."""
    own: Callable[[], AbstractContextManager[object]] = getattr(engine, "together", nullcontext)
    return own()


def patched(engine: Engine | str, **replaced: Callable[..., Any]) -> Engine:
    """Return an engine like another, some of its operations replaced.

    Parameters
    ----------
    engine : "compiled", "reference" or Engine
    replaced : callables, by the name of an operation
        Each takes the operation that it replaces, then that operation's arguments.

    Raises
    ------
    ArgumentError
        For something that is no engine, or an operation that there is not.

    Examples
    --------
    >>> import fdref
    >>> def rectified(relu, images, leak):
    ...     return relu(images, 0.0)
    >>> leaky = fdref.Network([fdref.Conv([[[[-1.0]]]]), fdref.ReLU(0.5)])
    >>> fdref.forward(leaky, [[[[3.0]]]], patched("reference", relu=rectified))[-1].item()
    0.0
    """
    right = engine_named(engine)
    for name in replaced:
        one_of(name, "operation", OPERATIONS)
    operations = {name: getattr(right, name) for name in OPERATIONS}
    wrong = {name: partial(own, operations[name]) for name, own in replaced.items()}
    own = SimpleNamespace(**operations | wrong, FROM_ABOVE=goes_from_above(right))
    return cast("Engine", own)
