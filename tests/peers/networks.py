"""Whole networks: forward, backward, decoded and evaluated."""

from __future__ import annotations

from functools import partial

import numpy as np

import fdref
from fdref.training.recipe import CIFAR, LENET
from peers.arguments import images, lenet, noise, normal, photos, shipped, small_net, start
from peers.ours import decode_all, evaluation_errors, gradients, probabilities, train_epoch
from peers.task import BOTH, Task

OF_LENET = 25 + 500 + 800 + 500
OF_CIFAR = 75 + 800 + 9 + 800 + 9 + 1024 + 64
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
        roundings=OF_LENET,
        why="25 + 500 + 800 + 500 products are added, one layer after the other",
        large=True,
    ),
    Task(
        "forward: LeNet on 1,000 digits",
        probabilities,
        {"net": lenet, "x": partial(images, 1000)},
        BOTH,
        roundings=OF_LENET,
        why="25 + 500 + 800 + 500 products are added, one layer after the other",
        engines=("compiled",),
        timed=True,
        large=True,
    ),
    Task(
        "forward: LeNet on 10,000 digits",
        probabilities,
        {"net": lenet, "x": partial(images, 10_000)},
        BOTH,
        roundings=OF_LENET,
        why="25 + 500 + 800 + 500 products are added, one layer after the other",
        engines=("compiled",),
        precisions=("float32",),
        timed=True,
        large=True,
        batches=(100, 250, 500, 1000),
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
        roundings=2 * OF_LENET + 3 * 576,
        why="forward 1,825 products are added, backward as many, and over 576 positions in 3 maps",
        large=True,
    ),
    Task(
        "train: 10 batches of 100 digits",
        train_epoch,
        {"run": partial(start, LENET), "data": fdref.mnist().test},
        ("PyTorch",),
        roundings=10 * (2 * OF_LENET + 100 * 576),
        why="ten times a gradient's, over 100 maps",
        engines=("compiled",),
        # In float32 some ReLU or maximum is soon decided by rounding, and the paths part.
        precisions=("float64",),
        timed=True,
        large=True,
    ),
    Task(
        "forward: the CIFAR network on 20 images of noise, every layer",
        fdref.forward,
        {"net": partial(shipped, CIFAR), "x": partial(noise, 20)},
        BOTH,
        roundings=OF_CIFAR,
        why="75 + 800 + 800 + 1,024 + 64 products are added, and twice 9 pixels",
        large=True,
    ),
    Task(
        "backward: the CIFAR network on 3 images of noise",
        gradients,
        {
            "net": partial(shipped, CIFAR),
            "x": partial(noise, 3),
            "labels": np.array([3, 5, 8]),
        },
        ("PyTorch",),
        roundings=2 * OF_CIFAR + 3 * 1024,
        why="forward 2,781 terms are added, backward as many, and over 1,024 positions in 3 maps",
        precisions=("float64",),  # in float32 some ReLU or maximum is decided by rounding
        large=True,
    ),
    Task(
        "train: 3 batches of 100 images of noise, each layer at rates of its own, some mirrored",
        train_epoch,
        {"run": partial(start, CIFAR), "data": photos(300)},
        ("PyTorch",),
        roundings=3 * (2 * OF_CIFAR + 100 * 1024),
        why="three times a gradient's, over 100 maps",
        engines=("compiled",),
        precisions=("float64",),
        large=True,
    ),
]

DECODE = (
    [
        Task(
            f"decode: a small net, {unpool}",
            decode_all,
            {"net": partial(small_net, trainable=False), "unpool": unpool},
            ("PyTorch",),
            roundings=80,
            why="2 pools blend 4 pixels; 6 x 4 and 4 x 6 overlapping products are added",
        )
        for unpool in ("nearest", "bilinear")
    ]
    + [
        Task(
            f"decode: {label} of LeNet, {unpool}",
            ours,
            {"net": lenet, "unpool": unpool, **parameters},
            ("PyTorch",),
            roundings=50 * 25 + 20 * 25,
            why="25 pixels overlap, in each of 50 and then of 20 channels",
            timed=True,
            large=large,
            batches=(16, 64, 128) if large else (),
        )
        for label, ours, parameters, unpool, large in [
            ("one filter", fdref.decode, {"layer": 7, "filters": [3]}, "nearest", False),
            ("500 filters", fdref.decode, {"layer": 5, "filters": range(500)}, "nearest", True),
            ("all 580 filters", decode_all, {}, "nearest", True),
            ("all 580 filters", decode_all, {}, "bilinear", True),
        ]
    ]
    + [
        Task(
            "decode: all 580 filters of LeNet, bicubic (time only: PyTorch's is another kernel)",
            decode_all,
            {"net": lenet, "unpool": "bicubic"},
            ("PyTorch",),
            roundings=50 * 25 + 20 * 25,
            why="25 pixels overlap, in each of 50 and then of 20 channels",
            timed=True,
            large=True,
            batches=(16, 64, 128),
            differs=True,  # a = -3/4 instead of -1/2, and borders are clamped instead of mirrored
        )
    ]
)

EVALUATE = [
    Task(
        f"evaluate: {count:,} digits, LeNet, nearest",
        evaluation_errors,
        {"net": lenet, "x": partial(images, count), "layers": (3, 5, 7), "unpool": "nearest"},
        ("PyTorch",),
        roundings=2 * (OF_LENET + 50 * 25 + 20 * 25 + 28 * 28),
        why="the forward pass, decoding and correlation each add, and the error is a square",
        engines=("compiled",) if timed else ("compiled", "reference"),
        precisions=("float32",) if timed else ("float32", "float64"),
        timed=timed,
        large=True,
    )
    for count, timed in [(200, False), (10_000, True)]
]
