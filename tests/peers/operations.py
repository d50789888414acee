"""Single operations: correlation, pooling, substitution, unpooling, and the other layers."""

from __future__ import annotations

import numpy as np

import fdref
from fdref import BatchNorm, Normalize, Pool, ReLU, Softmax
from peers.arguments import conv, normal
from peers.ours import filter_gradient, layer_output, pool_gradient
from peers.task import ALL, BOTH, Task

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
        "correlate: three channels, 20 images of 64x64, twelve filters of 7x7",
        fdref.correlate,
        {"images": normal(20, 3, 64, 64), "filters": normal(12, 3, 7, 7)},
        BOTH,
        roundings=147,
        why="147 products are added",
        timed=True,
        large=True,
    ),
    Task(
        "correlate: each channel by itself, 20 maps of 32x32x32, 32 filters of 3x3",
        fdref.correlate,
        {"images": normal(20, 32, 32, 32), "filters": normal(32, 1, 3, 3), "pad": 1},
        BOTH,
        roundings=9,
        why="9 products are added",
        timed=True,
        large=True,
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
