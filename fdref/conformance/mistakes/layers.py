"""Mistakes in rectifiers, normalisations, softmax, and in what a network returns."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fdref.conformance.mistakes.mistake import NETWORKS, Mistake, other, over
from fdref.layers import BatchNorm, PReLU, ReLU

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.conformance.compute import Outputs
    from fdref.conformance.mistakes.mistake import Wrong
    from fdref.layers import Layer

    Operation = Callable[..., Array]

UP = ("forward", "project", "evaluate", "occlude")
SOFTMAX = ("forward", "project", "occlude")
RELU, LRN, BNORM = ("relu", *UP), ("normalize", *UP), ("bnorm", *NETWORKS)
BNORM_UP = ("bnorm", *UP)


def nan_is_zero(right: Operation, x: Array, leak: float) -> Array:
    """Let NaN lose against 0."""
    return right(np.where(np.isnan(x), 0, x), leak)


def without_leak(layer: Layer) -> Layer:
    """Read a rectifier as one without a leak."""
    return ReLU() if isinstance(layer, ReLU | PReLU) else layer


def cut_at_six(right: Operation, x: Array, leak: float) -> Array:
    """Rectify as ReLU6 does."""
    return np.asarray(np.where(x > CUT, CUT, right(x, leak)))


CUT = 6


def mirrored(right: Operation, x: Array, leak: float) -> Array:
    """Multiply negative values by minus the leak."""
    return right(x, -leak)


def alpha_divided(
    right: Operation, x: Array, size: int, kappa: float, alpha: float, beta: float
) -> Array:
    """Divide alpha as others do."""
    return right(x, size, kappa, alpha / size, beta)


def window_before(right: Operation, x: Array, *more: Any) -> Array:
    """Normalise with the odd channel below."""
    return right(x[:, ::-1], *more)[:, ::-1]


def lrn(change: Callable[..., tuple[int, float, float, float]]) -> Wrong:
    """Normalise with other constants."""

    def normalize(right: Operation, x: Array, *constants: Any) -> Array:
        return right(x, *change(*constants))

    return over(normalize=normalize)


def lrn_by(sums: Callable[[Array, int], Array]) -> Wrong:
    """Divide by a power of other sums than those of squares over near channels."""

    def normalize(
        right: Operation,  # noqa: ARG001
        x: Array,
        size: int,
        kappa: float,
        alpha: float,
        beta: float,
    ) -> Array:
        return np.asarray(x / (kappa + alpha * sums(x, size)) ** beta)

    return over(normalize=normalize)


def near(values: Array, size: int, axis: int) -> Array:
    """Add up values over the nearest places along an axis."""
    widths = [(0, 0)] * 4
    widths[axis] = (size - 1) // 2, size // 2
    return np.asarray(sliding_window_view(np.pad(values, widths), size, axis).sum(axis=-1))


def multiplied(right: Operation, x: Array, *constants: Any) -> Array:
    """Multiply by what should divide."""
    with np.errstate(all="ignore"):
        found = right(x, *constants)
        return np.asarray(np.where(found == 0, 0, x * (x / found)))


def renormed(power: int, epsilon: float) -> Callable[[Layer], Layer]:
    """Take a power of the second moment, and an epsilon, for the variance."""
    return bnorm(
        lambda gain, bias, mean, deviation: (
            gain,
            bias,
            mean,
            np.sqrt(deviation.astype(np.float64) ** power + epsilon),
        )
    )


def bnorm(change: Callable[..., tuple[Array, Array, Array, Array]]) -> Callable[[Layer], Layer]:
    """Read batch normalisations with other numbers."""

    def read(layer: Layer) -> Layer:
        if not isinstance(layer, BatchNorm):
            return layer
        own = (np.asarray(getattr(layer, name), np.float64)
               for name in ("gain", "bias", "mean", "deviation"))  # fmt: skip
        return BatchNorm(*change(*own))

    return read


def scaled(change: Callable[[Array, Array, Array], tuple[Array, Array, Array | None]]) -> Wrong:
    """Scale otherwise on the way up, where an offset comes with the factor."""

    def scale(
        right: Operation, x: Array, factor: Array, offset: Array | None, mean: Array | None
    ) -> Array:
        if offset is None or mean is None:
            return right(x, factor, offset, mean)
        return right(x, *change(factor, offset, mean))

    return over(scale=scale)


def mean_after(
    right: Operation, x: Array, factor: Array, offset: Array | None, mean: Array | None
) -> Array:
    """Subtract the mean from what has been scaled."""
    if offset is None or mean is None:
        return right(x, factor, offset, mean)
    return right(x, factor, offset - mean, None)


def softmax_over(*axes: int) -> Wrong:
    """Make probabilities of other axes than the channels."""

    def softmax(right: Operation, x: Array) -> Array:  # noqa: ARG001
        powers = np.exp(x - x.max(axis=axes, keepdims=True))
        return np.asarray(powers / powers.sum(axis=axes, keepdims=True))

    return over(softmax=softmax)


def shifted(found: Outputs, net: object, inputs: Any, known: object) -> Outputs:  # noqa: ARG001
    """Return what each layer takes."""
    return dict(zip(found, [inputs["images"], *found.values()], strict=False))


ALL = (
    Mistake("nan-lost-in-relu", "a rectifier loses NaN; expected: NaN in, NaN out", ("relu",),
        over(relu=nan_is_zero)),
    Mistake("leak-ignored", "negative values become 0; expected: they become leak times themselves",
        RELU, other(read=without_leak)),
    Mistake("leak-negative",
        "negative values are multiplied by minus the leak; expected: by the leak", RELU,
        over(relu=mirrored)),
    Mistake("relu-of-magnitudes", "negative values lose their sign; expected: they become 0", RELU,
        over(relu=lambda right, x, leak: np.abs(x))),  # noqa: ARG005
    Mistake("relu-cut-at-six", "values above 6 become 6, as in ReLU6; expected: they stay", RELU,
        over(relu=cut_at_six)),
    Mistake("relu-ignored", "negative values pass a rectifier; expected: they become leak times "
        "themselves", RELU, over(relu=lambda right, x, leak: x.copy())),  # noqa: ARG005
    Mistake("alpha-divided",
        "alpha is divided by the number of channels, as in Caffe and PyTorch; expected: it is not",
        LRN, over(normalize=alpha_divided)),
    Mistake("odd-channel-before",
        "of an even number of channels the odd one lies below the channel; expected: it lies "
        "above: from k - floor((N-1)/2) to k + ceil((N-1)/2)", LRN, over(normalize=window_before)),
    Mistake("pytorch-normalize",
        "PyTorch's local_response_norm: alpha is divided by the number of channels, and the odd "
        "channel of an even number lies below; expected: alpha is not divided, and the odd one "
        "lies above", LRN,
        over(normalize=lambda right, *more: window_before(partial(alpha_divided, right), *more))),
    Mistake("even-window-wider",
        "of an even number of channels one more counts, as many below as above; expected: exactly "
        "N channels", LRN, lrn(lambda n, k, a, b: (n // 2 * 2 + 1, k, a, b))),
    Mistake("even-window-narrower",
        "of an even number of channels one less counts, as many below as above; expected: exactly "
        "N channels", LRN, lrn(lambda n, k, a, b: ((n - 1) // 2 * 2 + 1, k, a, b))),
    Mistake("size-as-radius",
        "`size` is taken for the channels on each side, as TensorFlow's depth_radius; expected: "
        "it is the number of all", LRN, lrn(lambda n, k, a, b: (2 * n + 1, k, a, b))),
    Mistake("kappa-is-one", "kappa is taken for 1; expected: it is a parameter", LRN,
        lrn(lambda n, k, a, b: (n, 1.0, a, b))),  # noqa: ARG005
    Mistake("beta-is-one", "beta is taken for 1; expected: it is an exponent", LRN,
        lrn(lambda n, k, a, b: (n, k, a, 1.0))),  # noqa: ARG005
    Mistake("beta-is-half", "the divisor is a square root; expected: beta is its exponent", LRN,
        lrn(lambda n, k, a, b: (n, k, a, 0.5))),  # noqa: ARG005
    Mistake("alpha-and-beta-swapped",
        "alpha is taken for the exponent and beta for the factor; expected: the other way round",
        LRN, lrn(lambda n, k, a, b: (n, k, b, a))),
    Mistake("alpha-with-kappa",
        "alpha multiplies kappa, too; expected: the sum of squares alone", LRN,
        lrn(lambda n, k, a, b: (n, k * a, a, b))),
    Mistake("magnitudes-for-squares",
        "absolute values are summed; expected: squares are", LRN,
        lrn_by(lambda x, size: near(np.abs(x), size, 1))),
    Mistake("values-for-squares", "values are summed; expected: squares are", LRN,
        lrn_by(lambda x, size: near(x, size, 1))),
    Mistake("channel-alone",
        "every channel is normalised by itself; expected: with its neighbours", LRN,
        lrn_by(lambda x, size: x**2)),  # noqa: ARG005
    Mistake("all-channels",
        "every channel is normalised with all others; expected: with the nearest N", LRN,
        lrn_by(lambda x, size: (x**2).sum(axis=1, keepdims=True))),  # noqa: ARG005
    Mistake("normalised-over-rows",
        "squares are summed over neighbouring rows; expected: over channels", LRN,
        lrn_by(lambda x, size: near(x**2, size, 2))),
    Mistake("normalised-over-columns",
        "squares are summed over neighbouring columns; expected: over channels", LRN,
        lrn_by(lambda x, size: near(x**2, size, 3))),
    Mistake("normalize-multiplies",
        "normalize multiplies by the power of the sum; expected: it divides", LRN,
        over(normalize=multiplied)),
    Mistake("deviation-as-variance",
        "the second moment is taken for a variance, and its root divides; expected: it is the root",
        BNORM, other(read=renormed(1, 0.0))),
    Mistake("deviation-as-variance-epsilon",
        "the second moment is taken for a variance, and the root of it and an epsilon of 1e-5 "
        "divides, as PyTorch's batch_norm does it; expected: it is the standard deviation and "
        "divides itself", BNORM, other(read=renormed(1, 1e-5))),
    Mistake("epsilon-added",
        "an epsilon of 1e-5 is added to the variance once more; expected: the standard deviation "
        "has it in", BNORM, other(read=renormed(2, 1e-5))),
    Mistake("epsilon-of-a-thousandth-added",
        "an epsilon of 1e-3, Keras's, is added to the variance once more; expected: the standard "
        "deviation has it in", BNORM, other(read=renormed(2, 1e-3))),
    Mistake("deviation-squared",
        "the square of the second moment divides; expected: it divides itself", BNORM,
        other(read=bnorm(lambda g, b, m, d: (g, b, m, d * d)))),
    Mistake("deviation-multiplies",
        "the standard deviation multiplies; expected: it divides", BNORM,
        other(read=bnorm(lambda g, b, m, d: (g, b, m, 1 / d)))),
    Mistake("deviation-ignored",
        "nothing is divided by the standard deviation; expected: all is", BNORM,
        other(read=bnorm(lambda g, b, m, d: (g, b, m, np.ones_like(d))))),
    Mistake("moments-swapped",
        "the moments are taken as deviation and mean; expected: the mean comes first", BNORM,
        other(read=bnorm(lambda g, b, m, d: (np.where(m < 0, -g, g), b, d, np.abs(m))))),
    Mistake("gain-and-bias-swapped",
        "bnorm multiplies by `bias` and adds `gain`; expected: the other way round", BNORM,
        other(read=bnorm(lambda g, b, m, d: (b, g, m, d)))),
    Mistake("gain-ignored", "bnorm does not multiply by its gain; expected: it does", BNORM,
        other(read=bnorm(lambda g, b, m, d: (np.ones_like(g), b, m, d)))),
    Mistake("mean-ignored", "bnorm does not subtract the mean; expected: it does", BNORM_UP,
        scaled(lambda factor, offset, mean: (factor, offset, None))),  # noqa: ARG005
    Mistake("mean-added", "bnorm adds the mean; expected: it subtracts it", BNORM_UP,
        scaled(lambda factor, offset, mean: (factor, offset, -mean))),
    Mistake("mean-after",
        "bnorm subtracts the mean after it has scaled; expected: before", BNORM_UP,
        over(scale=mean_after)),
    Mistake("shift-ignored", "bnorm does not add its bias; expected: it does", BNORM_UP,
        scaled(lambda factor, offset, mean: (factor, np.zeros_like(offset), mean))),
    Mistake("shift-subtracted", "bnorm subtracts its bias; expected: it adds it", BNORM_UP,
        scaled(lambda factor, offset, mean: (factor, -offset, mean))),
    Mistake("softmax-over-pixels",
        "probabilities are over the pixels of a channel; expected: they are over the channels of "
        "a pixel", SOFTMAX, softmax_over(2, 3)),
    Mistake("softmax-over-rows",
        "probabilities are over the rows; expected: they are over the channels", SOFTMAX,
        softmax_over(2)),
    Mistake("softmax-over-columns",
        "probabilities are over the columns; expected: they are over the channels", SOFTMAX,
        softmax_over(3)),
    Mistake("softmax-over-images",
        "probabilities are over the images; expected: they are over the channels", SOFTMAX,
        softmax_over(0)),
    Mistake("softmax-over-all",
        "probabilities are over channels and pixels together; expected: they are over the "
        "channels of each pixel", SOFTMAX, softmax_over(1, 2, 3)),
    Mistake("softmax-of-logarithms",
        "softmax gives logarithms of probabilities; expected: probabilities", SOFTMAX,
        over(softmax=lambda right, x: np.log(right(x)))),
    Mistake("sigmoid-for-softmax",
        "softmax takes every channel by itself; expected: probabilities add up to 1", SOFTMAX,
        over(softmax=lambda right, x: 1 / (1 + np.exp(-x)))),  # noqa: ARG005
    Mistake("softmax-ignored", "softmax changes nothing; expected: it gives probabilities", SOFTMAX,
        over(softmax=lambda right, x: x.copy())),  # noqa: ARG005
    Mistake("softmax-of-powers-of-two",
        "softmax takes powers of 2; expected: of e", SOFTMAX,
        over(softmax=lambda right, x: right(x * np.log(2)))),
    Mistake("layers-shifted", "`layer1` is the input; expected: it is what the first layer gives",
        ("forward",), other(change=shifted)),
)  # fmt: skip
