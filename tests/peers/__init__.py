"""What other libraries compute too: one table, walked by the equality tests and the benchmarks.

Each row names our function and the libraries that have its equal: the function of the same name in
the library's module here takes the same arguments, makes ready what can be made ready beforehand,
and returns what is to be run. A library is imported no earlier than it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref import BatchNorm, Conv, Dropout, Network, Normalize, Pool, ReLU, Softmax
from fdref.backward_pass import backward
from fdref.engine import engine_named
from fdref.forward_pass import output
from fdref.weights import training

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fdref.arrays import Array
    from fdref.backward_pass import Labels
    from fdref.layers import Layer
    from fdref.resize import Method

    Result = Array | Sequence[Array]
    """One array or several; a peer's own kind of array will do."""
    Run = Callable[[], Result]

THREADS = 2
"""On every side, here and in the benchmarks."""

PRECISIONS = {
    "PyTorch": ("float32", "float64"),
    "ONNX Runtime": ("float32",),  # its Conv knows no other
    "SciPy": ("float32", "float64"),
}
MODULES = {"PyTorch": "pytorch", "ONNX Runtime": "onnx_runtime", "SciPy": "scipy_signal"}


@dataclass(frozen=True)
class Task:
    """A computation, and who else can do it.

    A result may differ by 2 * sqrt(roundings) units of rounding, relative to the largest magnitude
    in it: two libraries add the same terms in different orders, each addition rounds by at most
    half a unit of a partial sum, and as errors are as often up as down they grow with the root of
    their number. None at all may differ where nothing is rounded.
    """

    name: str
    ours: Callable[..., Result]
    """Takes the arguments and an engine."""
    given: Mapping[str, Any]
    """Arguments; a callable makes one of a dtype."""
    peers: tuple[str, ...]
    roundings: int
    """Operations that round on the way to one number of the result, ours and theirs alike."""
    why: str
    """What they are."""
    engines: tuple[str, ...] = ("compiled", "reference")
    precisions: tuple[str, ...] = ("float32", "float64")
    timed: bool = False
    large: bool = False

    def arguments(self, dtype: str) -> dict[str, Any]:
        """Return the arguments, made once and shared by all who compute with them."""
        return {
            name: value(dtype) if callable(value) else value for name, value in self.given.items()
        }

    def prepare(self, peer: str, arguments: Mapping[str, Any]) -> Run:
        """Return a peer's run. Raises ModuleNotFoundError where the peer is not installed."""
        module = import_module(f"peers.{MODULES[peer]}")
        run: Run = getattr(module, self.ours.__name__)(**arguments)
        return run

    def tolerance(self, dtype: str) -> float:
        """Return by how much results may differ, relative to the largest magnitude."""
        return 2 * sqrt(self.roundings) * float(np.finfo(dtype).eps)


def deviation(ours: Result, theirs: Result) -> float:
    """Return the largest difference, relative to the largest magnitude of each array."""
    found = []
    for own, other in zip(arrays(ours), arrays(theirs), strict=True):
        assert own.shape == other.shape, f"shapes {own.shape} and {other.shape}"
        found.append(np.abs(own - other).max() / np.abs(other).max())
    return float(np.max(found))  # unlike max(), it lets no NaN slip through


def arrays(result: Result) -> list[Array]:
    """Return the arrays of a result as NumPy's."""
    parts = result if isinstance(result, list | tuple) else [result]
    return [np.asarray(part) for part in parts]


# Our side, where it is not one call.


def layer_output(layer: Layer, x: Array, engine: str) -> Array:
    chosen = engine_named(engine)
    return output(layer, np.asarray(x, chosen.precision(x.dtype)), chosen)


def filter_gradient(layer: Conv, x: Array, gradient: Array, engine: str) -> Array:
    chosen = engine_named(engine)
    dtype = chosen.precision(x.dtype)
    maps, above, filters = (np.asarray(array, dtype) for array in (x, gradient, layer.filters))
    return chosen.filter_gradient(maps, above, filters, layer.stride, layer.pad, layer.dilate)


def pool_gradient(layer: Pool, x: Array, gradient: Array, engine: str) -> Array:
    chosen = engine_named(engine)
    maps, above = (np.asarray(array, chosen.precision(x.dtype)) for array in (x, gradient))
    return chosen.pool_gradient(maps, above, layer.window, layer.stride, layer.pad, layer.method)


def probabilities(net: Network, x: Array, engine: str) -> Array:
    return fdref.forward(net, x, engine)[-1]


def gradients(net: Network, x: Array, labels: Labels, engine: str) -> list[Array]:
    found = backward(net, fdref.forward(net, x, engine), labels, engine)
    return [gradient for _, pair in sorted(found.items()) for gradient in pair]


def decode_all(net: Network, unpool: Method, engine: str) -> list[Array]:
    return list(fdref.decode_all(net, unpool, engine).values())


def evaluation_errors(
    net: Network, x: Array, layers: Sequence[int], unpool: Method, engine: str
) -> list[Array]:
    found = fdref.evaluate(net, x, layers, unpool, engine)
    precision = engine_named(engine).precision(x.dtype)
    return [found[number].errors.astype(precision) for number in layers]


def train_epoch(run: training.Training, digits: fdref.Digits, engine: str) -> list[Array]:
    trained = training.train_epoch(run, digits)
    return [weights for _, pair in sorted(trained.weights.items()) for weights in pair]


# Arguments that are made in a dtype.


def normal(*shape: int, share: float = 1.0) -> Callable[[str], Array]:
    """Standard normal numbers, of which a share is not zero."""

    @cache
    def draw(dtype: str) -> Array:
        random = np.random.default_rng(shape)
        values = random.standard_normal(shape)
        values[random.random(shape) >= share] = 0
        return values.astype(dtype)

    return draw


def conv(*shape: int, **parameters: Any) -> Callable[[str], Conv]:
    return lambda dtype: Conv(normal(*shape)(dtype), **parameters)


@cache
def lenet(dtype: str) -> Network:
    net = fdref.load()
    weights = {}
    for number in net.decodable:
        layer = net[number]
        assert isinstance(layer, Conv)
        assert layer.bias is not None
        weights[number] = layer.filters.astype(dtype), layer.bias.astype(dtype)
    assert net.average is not None
    return training.lenet(weights, net.average)


@cache
def images(count: int, dtype: str) -> Array:
    """The shipped digits, over and over if need be."""
    digits = fdref.mnist().test.images
    return lenet(dtype).prepare(np.resize(digits, (count, *digits.shape[1:])))


@cache
def small_net(dtype: str, *, trainable: bool) -> Network:
    """Two channels in, 13x12 pixels; every parameter differs from axis to axis."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        values = random.standard_normal(shape) / sqrt(prod(shape[1:]))
        return values.astype(dtype)

    def moments(count: int) -> list[Array]:
        return [random.uniform(0.5, 2, count).astype(dtype) for _ in range(4)]

    others: list[Layer] = [BatchNorm(*moments(4)), Normalize(3, 1.0, 0.1, 0.75), Dropout()]
    return Network(
        [
            Conv(weights(4, 2, 3, 2), weights(4), stride=(2, 1), pad=(1, 0, 2, 1)),
            *([] if trainable else others),
            Pool((3, 2), 2, pad=(0, 1, 1, 0)),
            ReLU(leak=0.1),
            Conv(weights(6, 2, 2, 2), weights(6), stride=(2, 1), pad=1, dilate=(1, 2)),
            Pool(2, (1, 3), pad=(1, 0, 0, 0), method="avg"),
            ReLU(),
            Conv(weights(5, 6, 2, 2), weights(5)),
            Softmax(),
        ]
    )


def start(dtype: str) -> training.Training:
    """LeNet's training before its first epoch."""
    fresh = training.start(seed=0)
    weights = {n: (w.astype(dtype), b.astype(dtype)) for n, (w, b) in fresh.weights.items()}
    return training.Training(0, weights, {n: (0 * w, 0 * b) for n, (w, b) in weights.items()})


ALL = ("PyTorch", "ONNX Runtime", "SciPy")
BOTH = ("PyTorch", "ONNX Runtime")
EXACT = "nothing is added, so nothing is rounded"

CORRELATE = [
    Task(
        f"correlate: {label}",
        fdref.correlate,
        {"images": normal(2, 4, 9, 8), "filters": normal(8, 4 // groups, 3, 2), **parameters},
        BOTH,
        roundings=6 * 4 // groups + 1,
        why="products of one filter and the bias are added",
    )
    for label, groups, parameters in [
        ("plain", 1, {}),
        ("bias", 1, {"bias": normal(8)}),
        ("stride", 1, {"stride": (3, 2)}),
        ("pad", 1, {"pad": (2, 0, 1, 3)}),
        ("dilate", 1, {"dilate": (2, 3)}),
        ("groups", 2, {"bias": normal(8)}),
        ("depthwise", 4, {}),
        ("all", 2, {"bias": normal(8), "stride": (2, 1), "pad": (0, 3, 2, 1), "dilate": (1, 2)}),
    ]
] + [
    Task(
        "correlate: one channel, 100 images of 28x28, one filter of 5x5",
        fdref.correlate,
        {"images": normal(100, 1, 28, 28), "filters": normal(1, 1, 5, 5)},
        ALL,
        roundings=25,
        why="25 products are added",
        timed=True,
    ),
    Task(
        "correlate: 100 maps of 20x12x12, 50 filters of 20x5x5",
        fdref.correlate,
        {"images": normal(100, 20, 12, 12), "filters": normal(50, 20, 5, 5), "bias": normal(50)},
        BOTH,
        roundings=501,
        why="500 products and the bias are added",
        timed=True,
        large=True,
    ),
    Task(
        "correlate: its gradient in 50 filters of 20x5x5",
        filter_gradient,
        {
            "layer": conv(50, 20, 5, 5),
            "x": normal(100, 20, 12, 12),
            "gradient": normal(100, 50, 8, 8),
        },
        ("PyTorch",),
        roundings=6400,
        why="products are added at 64 positions in 100 maps",
        engines=("compiled",),
        timed=True,
        large=True,
    ),
    Task(
        "correlate: its gradient, all parameters",
        filter_gradient,
        {
            "layer": conv(6, 2, 3, 2, stride=(2, 1), pad=(0, 3, 2, 1), dilate=(1, 2)),
            "x": normal(2, 4, 9, 8),
            "gradient": normal(2, 6, 5, 9),
        },
        ("PyTorch",),
        roundings=90,
        why="products are added at 45 positions in 2 maps",
    ),
]

POOL = (
    [
        Task(
            f"pool: {method}, {label}",
            fdref.pool,
            {"images": normal(2, 3, 9, 8), "method": method, **parameters},
            BOTH,
            roundings=roundings,
            why=why,
        )
        for method, roundings, why in [
            ("max", 0, EXACT),
            ("avg", 7, "6 pixels are added, 1 division"),
        ]
        for label, parameters in [
            ("plain", {"window": 2, "stride": 2}),
            ("overlapping", {"window": (3, 2), "stride": 1}),
            ("apart", {"window": (1, 2), "stride": (2, 3)}),
            ("padded", {"window": (2, 3), "stride": 2, "pad": 1}),
            ("padded on one side", {"window": (2, 3), "stride": (1, 2), "pad": (0, 1, 2, 0)}),
        ]
    ]
    + [
        Task(
            f"pool: {method}, 100 maps of 20x24x24 by 2",
            fdref.pool,
            {"images": normal(100, 20, 24, 24), "window": 2, "stride": 2, "method": method},
            BOTH,
            roundings=roundings,
            why=why,
            timed=True,
            large=True,
        )
        for method, roundings, why in [("max", 0, EXACT), ("avg", 4, "4 pixels are added")]
    ]
    + [
        Task(
            f"pool: its gradient, {method}, 100 maps of 20x24x24 by 2",
            pool_gradient,
            {
                "layer": Pool(2, 2, method=method),
                "x": normal(100, 20, 24, 24),
                "gradient": normal(100, 20, 12, 12),
            },
            ("PyTorch",),
            roundings=0,
            why="windows do not overlap, and a quarter is exact",
            timed=True,
            large=True,
        )
        for method in ("max", "avg")
    ]
    + [
        Task(
            f"pool: its gradient, {method}, overlapping and padded",
            pool_gradient,
            {
                "layer": Pool((2, 3), (1, 2), pad=(0, 1, 2, 0), method=method),
                "x": normal(2, 3, 9, 8),
                "gradient": normal(2, 3, 9, 4),
            },
            ("PyTorch",),
            roundings=6,
            why="a pixel lies in at most 4 windows, each with its division",
        )
        for method in ("max", "avg")
    ]
)

SUBSTITUTE = [
    Task(
        f"substitute: {label}",
        fdref.substitute,
        {"maps": normal(2, 6, 4, 5), "filters": normal(6, 2, 3, 2), **parameters},
        BOTH,
        roundings=36,
        why="at most 6 pixels of a filter's window overlap, in 6 channels",
    )
    for label, parameters in [
        ("plain", {}),
        ("stride", {"stride": (3, 2)}),
        ("dilate", {"dilate": (2, 3)}),
        ("groups", {"groups": 3}),
        ("all", {"stride": (1, 3), "dilate": (2, 1), "groups": 2}),
        ("few pixels", {"maps": normal(2, 6, 5, 4, share=0.03), "groups": 2}),
    ]
] + [
    Task(
        "substitute: one channel, 100 maps of 14x14, one filter of 5x5",
        fdref.substitute,
        {"maps": normal(100, 1, 14, 14), "filters": normal(1, 1, 5, 5)},
        ALL,
        roundings=25,
        why="25 pixels overlap",
        timed=True,
    ),
    Task(
        "substitute: 100 maps of 50x8x8, 50 filters of 20x5x5",
        fdref.substitute,
        {"maps": normal(100, 50, 8, 8), "filters": normal(50, 20, 5, 5)},
        BOTH,
        roundings=1250,
        why="25 pixels overlap in each of 50 channels",
        timed=True,
        large=True,
    ),
    Task(
        "substitute: 100 maps of 50x8x8, 1 pixel in 500 not zero",
        fdref.substitute,
        {"maps": normal(100, 50, 8, 8, share=0.002), "filters": normal(50, 20, 5, 5)},
        BOTH,
        roundings=1250,
        why="25 pixels overlap in each of 50 channels",
        timed=True,
        large=True,
    ),
]

UNPOOL = (
    [
        Task(
            f"unpool: {method}, {label}",
            fdref.unpool,
            {"maps": normal(2, 3, 4, 5), "method": method, **parameters},
            peers,
            roundings=roundings,
            why=why,
        )
        for method, roundings, why in [
            ("nearest", 0, EXACT),
            ("bilinear", 16, "4 weights of a few roundings each, 4 products, added"),
        ]
        for label, parameters, peers in [
            ("by 2", {"stride": 2}, BOTH),
            ("by 3 and 1", {"stride": (3, 1)}, BOTH),
            ("one pixel", {"maps": normal(2, 3, 1, 1), "stride": 4}, BOTH),
            ("framed and cropped", {"stride": (2, 4), "window": (5, 1)}, ("PyTorch",)),
        ]
    ]
    + [
        Task(
            f"unpool: bicubic, {label}",
            fdref.unpool,
            {"maps": normal(2, 3, 4, 5), "method": "bicubic", "stride": stride},
            ("ONNX Runtime",),
            roundings=100,
            why="16 weights of 5 roundings each, 16 products, added",
        )
        for label, stride in [("by 2", 2), ("by 3 and 4", (3, 4))]
    ]
    + [
        Task(
            f"unpool: {method}, 500 maps of 50x4x4 by 2",
            fdref.unpool,
            {"maps": normal(500, 50, 4, 4), "method": method, "stride": 2},
            BOTH,
            roundings=roundings,
            why=why,
            timed=True,
            large=True,
        )
        for method, roundings, why in [
            ("nearest", 0, EXACT),
            ("bilinear", 8, "4 products are added"),
        ]
    ]
)

LAYERS = [
    Task(
        f"layer: {label}",
        layer_output,
        {"layer": layer, "x": normal(2, 7, 4, 3)},
        BOTH,
        roundings=roundings,
        why=why,
    )
    for label, layer, roundings, why in [
        ("relu", ReLU(), 0, EXACT),
        ("relu with a leak", ReLU(0.1), 1, "one product"),
        ("softmax", Softmax(), 7 + 4, "7 exponentials are added; each, and the division, rounds"),
        (
            "batch normalisation",
            lambda dtype: BatchNorm(*(np.abs(normal(7, n)(dtype)[:, 0]) for n in (1, 2, 3, 4))),
            8,
            "a difference, quotients, a product and a sum; the variance is a square and a root",
        ),
    ]
] + [
    Task(
        f"layer: normalisation over {size} channels",
        layer_output,
        {"layer": Normalize(size, 2.0, 0.3, 0.75), "x": normal(2, 7, 4, 3)},
        peers,
        roundings=size + 6,
        why="squares are added; products, a power and a quotient round",
    )
    for size, peers in [(1, BOTH), (4, ("PyTorch",)), (5, BOTH), (20, ("PyTorch",))]
]

LENET = 25 + 500 + 800 + 500
NETWORKS = [
    Task(
        "forward: a small net with every kind of layer",
        fdref.forward,
        {"net": partial(small_net, trainable=False), "x": normal(3, 2, 13, 12)},
        BOTH,
        roundings=90,
        why="12 + 8 + 24 products and windows of 6 and 4 are added, 2 normalisations, softmax",
    ),
    Task(
        "forward: LeNet on 1,000 digits, every layer",
        fdref.forward,
        {"net": lenet, "x": partial(images, 1000)},
        BOTH,
        roundings=LENET,
        why="25 + 500 + 800 + 500 products are added, one layer after the other",
        large=True,
    ),
    Task(
        "forward: LeNet on 1,000 digits",
        probabilities,
        {"net": lenet, "x": partial(images, 1000)},
        BOTH,
        roundings=LENET,
        why="25 + 500 + 800 + 500 products are added, one layer after the other",
        engines=("compiled",),
        timed=True,
        large=True,
    ),
    Task(
        "backward: a small net",
        gradients,
        {
            "net": partial(small_net, trainable=True),
            "x": normal(3, 2, 13, 12),
            "labels": np.array([4, 0, 2]),
        },
        ("PyTorch",),
        roundings=350,
        why="forward 44 products are added, backward as many, and over 84 positions in 3 maps",
    ),
    Task(
        "backward: LeNet on 3 digits",
        gradients,
        {
            "net": lenet,
            # No maximum and no ReLU here is nearer to a tie than 5e-6: rounding decides nothing.
            "x": partial(images, 3),
            # Wrong, so that probability - 1 is not lost in rounding: the digits are 7, 2, 1.
            "labels": np.array([3, 5, 8]),
        },
        ("PyTorch",),
        roundings=2 * LENET + 3 * 576,
        why="forward 1,825 products are added, backward as many, and over 576 positions in 3 maps",
        large=True,
    ),
    Task(
        "train: 10 batches of 100 digits",
        train_epoch,
        {"run": start, "digits": fdref.mnist().test},
        ("PyTorch",),
        roundings=10 * (2 * LENET + 100 * 576),
        why="ten times a gradient's, over 100 maps",
        engines=("compiled",),
        # In float32 some ReLU or maximum is soon decided by rounding, and the paths part.
        precisions=("float64",),
        timed=True,
        large=True,
    ),
]

DECODE = [
    Task(
        f"decode: a small net, {unpool}",
        decode_all,
        {"net": partial(small_net, trainable=False), "unpool": unpool},
        ("PyTorch",),
        roundings=80,
        why="2 pools blend 4 pixels; 6 x 4 and 4 x 6 overlapping products are added",
    )
    for unpool in ("nearest", "bilinear")
] + [
    Task(
        f"decode: {label} of LeNet, {unpool}",
        ours,
        {"net": lenet, "unpool": unpool, **parameters},
        ("PyTorch",),
        roundings=50 * 25 + 20 * 25,
        why="25 pixels overlap, in each of 50 and then of 20 channels",
        timed=True,
        large=large,
    )
    for label, ours, parameters, unpool, large in [
        ("one filter", fdref.decode, {"layer": 7, "filters": [3]}, "nearest", False),
        ("500 filters", fdref.decode, {"layer": 5, "filters": range(500)}, "nearest", True),
        ("all 580 filters", decode_all, {}, "nearest", True),
        ("all 580 filters", decode_all, {}, "bilinear", True),
    ]
]

EVALUATE = [
    Task(
        f"evaluate: {count:,} digits, LeNet, nearest",
        evaluation_errors,
        {"net": lenet, "x": partial(images, count), "layers": (3, 5, 7), "unpool": "nearest"},
        ("PyTorch",),
        roundings=2 * (LENET + 50 * 25 + 20 * 25 + 28 * 28),
        why="the forward pass, decoding and correlation each add, and the error is a square",
        engines=("compiled",) if timed else ("compiled", "reference"),
        precisions=("float32",) if timed else ("float32", "float64"),
        timed=timed,
        large=True,
    )
    for count, timed in [(200, False), (10_000, True)]
]

TASKS = [*CORRELATE, *POOL, *SUBSTITUTE, *UNPOOL, *LAYERS, *NETWORKS, *DECODE, *EVALUATE]
