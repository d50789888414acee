"""The operations under the method, each by itself, for arrays of any origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.arguments import one_of, whole_number
from fdref.arrays import common_precision, in_precision, real_array
from fdref.engines import engine_named
from fdref.engines.resize import METHODS
from fdref.errors import ArgumentError
from fdref.geometry import LARGEST_NUMBER, extent, margins, output_size, pair
from fdref.layers import Pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.geometry import Margins, Pair


def correlate(
    images: ArrayLike,
    filters: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    dilate: int | Sequence[int] = 1,
    engine: Engine | str = "compiled",
) -> Array:
    """Correlate images with a bank of filters: MatConvNet's ``vl_nnconv``.

    Parameters
    ----------
    images : (N, C, H, W) array
    filters : (K, C/groups, kh, kw) array
    bias : (K,) array, optional
    stride, dilate : int or (vertical, horizontal)
    pad : int, (vertical, horizontal) or (top, bottom, left, right)
    engine : "compiled", "reference" or Engine
        The compiled engine computes in float32 if all arrays are float32 or float16, in float64
        otherwise; the reference always in float64.

    Returns
    -------
    (N, K, H', W') array, H' = floor((H + top + bottom - ((kh - 1) * dilate + 1)) / stride) + 1

    Raises
    ------
    ArgumentError
        For wrong shapes, dtypes or numbers.

    Examples
    --------
    >>> correlate([[[[1, 2, 3], [4, 5, 6]]]], [[[[1, 0, -1]]]], bias=[10])
    array([[[[8.],
             [8.]]]])
    """
    offsets = {} if bias is None else {"bias": bias}
    chosen, (x, w, *rest) = _arrays(engine, images=images, filters=filters, **offsets)
    groups, remainder = divmod(x.shape[1], w.shape[1]) if w.shape[1] else (0, 0)
    if not groups or remainder or len(w) % groups:
        raise ArgumentError(
            f"filters of shape {w.shape} do not fit images of shape {x.shape}; expected filters of "
            f"{x.shape[1]} channels, or of {x.shape[1]}/groups and as many filters for each group"
        )
    b = rest[0] if rest else None
    if b is not None and b.shape != (len(w),):
        raise ArgumentError(f"bias has shape {b.shape}; expected ({len(w)},), one per filter")
    step, gaps, edges = pair(stride, "stride"), pair(dilate, "dilate"), margins(pad)
    _check_window_fits(x, extent(w.shape[2:], gaps), step, edges)
    return chosen.correlate(x, w, b, step, edges, gaps)


def pool(
    images: ArrayLike,
    window: int | Sequence[int],
    stride: int | Sequence[int],
    pad: int | Sequence[int] = 0,
    method: str = "max",
    engine: Engine | str = "compiled",
) -> Array:
    """Pool windows that are clipped to the map: MatConvNet's ``vl_nnpool``.

    Parameters
    ----------
    images : (N, C, H, W) array
    window : int or (height, width)
    stride : int or (vertical, horizontal)
    pad : int, (vertical, horizontal) or (top, bottom, left, right), smaller than the window
    method : "max" or "avg"
        Padding never wins a maximum and does not count in an average. NaN wins.
    engine : "compiled", "reference" or Engine

    Returns
    -------
    (N, C, H', W') array

    Raises
    ------
    ArgumentError
        For wrong shapes, dtypes, numbers or names.

    Examples
    --------
    >>> pool([[[[1, 2, 3], [4, 5, 6]]]], window=2, stride=1)
    array([[[[5., 6.]]]])
    """
    chosen, (x,) = _arrays(engine, images=images)
    layer = Pool(window, stride, pad, method)
    _check_window_fits(x, layer.window, layer.stride, layer.pad)
    return chosen.pool(x, layer.window, layer.stride, layer.pad, layer.method)


def substitute(
    maps: ArrayLike,
    filters: ArrayLike,
    stride: int | Sequence[int] = 1,
    dilate: int | Sequence[int] = 1,
    groups: int = 1,
    engine: Engine | str = "compiled",
) -> Array:
    """Replace each pixel by its channel's filter times its value: the paper's substitution.

    What overlaps adds up. The adjoint of `correlate` without padding.

    Parameters
    ----------
    maps : (N, K, h, w) array
    filters : (K, C/groups, kh, kw) array
        ``filters[j]`` replaces the pixels of channel j.
    stride, dilate : int or (vertical, horizontal)
    groups : int
    engine : "compiled", "reference" or Engine

    Returns
    -------
    (N, C, H, W) array, H = (h - 1) * stride + (kh - 1) * dilate + 1

    Raises
    ------
    ArgumentError
        For wrong shapes, dtypes or numbers.

    Examples
    --------
    >>> substitute([[[[1, 10]]]], [[[[1, 2, 3]]]])
    array([[[[ 1., 12., 23., 30.]]]])
    """
    chosen, (y, w) = _arrays(engine, maps=maps, filters=filters)
    count = whole_number(groups, "groups", 1, LARGEST_NUMBER)
    if y.shape[1] != len(w) or len(w) % count or 0 in w.shape[1:]:
        raise ArgumentError(
            f"filters of shape {w.shape} do not fit maps of shape {y.shape} in {count} group(s); "
            f"expected a filter for each of {y.shape[1]} channels, as many in each group"
        )
    return chosen.substitute(y, w, pair(stride, "stride"), pair(dilate, "dilate"), count)


def unpool(
    maps: ArrayLike,
    stride: int | Sequence[int],
    window: int | Sequence[int] | None = None,
    method: Method = "bicubic",
    engine: Engine | str = "compiled",
) -> Array:
    """Enlarge maps by a pool's stride as MATLAB's ``imresize`` does: the paper's unpooling.

    Parameters
    ----------
    maps : (N, C, h, w) array
    stride : int or (vertical, horizontal)
    window : int or (height, width), optional
        The pool's window; its stride by default.
    method : "bicubic", "bilinear", "nearest" or "window"
        The last shares each pixel over its window, what overlaps adds: the adjoint of the average.
    engine : "compiled", "reference" or Engine

    Returns
    -------
    (N, C, H, W) array, H = (h - 1) * stride + window

    Raises
    ------
    ArgumentError
        For wrong shapes, dtypes, numbers or names.

    Examples
    --------
    >>> unpool([[[[1, 2]]]], stride=2, method="bilinear")
    array([[[[1.  , 1.25, 1.75, 2.  ],
             [1.  , 1.25, 1.75, 2.  ]]]])
    """
    chosen, (x,) = _arrays(engine, maps=maps)
    one_of(method, "method", METHODS)
    step = pair(stride, "stride")
    return chosen.unpool(x, step, step if window is None else pair(window, "window"), method)


def _arrays(engine: Engine | str, **arrays: ArrayLike) -> tuple[Engine, list[Array]]:
    """Bring arrays, of four axes but for biases, into the form that an engine's operations take."""
    chosen = engine_named(engine)
    values = [real_array(array, name) for name, array in arrays.items()]
    for name, array in zip(arrays, values, strict=True):
        if name != "bias" and (array.ndim != 4 or 0 in array.shape[2:]):
            raise ArgumentError(
                f"{name} have shape {array.shape}; expected 4 axes (batch, channels, height, width)"
                " and at least one pixel"
            )
    dtype = chosen.precision(common_precision(*(array.dtype for array in values)))
    pairs = zip(arrays, values, strict=True)
    return chosen, [in_precision(array, dtype, name) for name, array in pairs]


def _check_window_fits(images: Array, window: Pair, stride: Pair, pad: Margins) -> None:
    if 0 in output_size(images.shape[2:], window, stride, pad):
        raise ArgumentError(
            f"a window of {window[0]}x{window[1]} does not fit into images of shape "
            f"{images.shape} with pad {list(pad)}; expected larger images or more padding"
        )
