"""Occlusion: beside Captum and a batch of PyTorch's, and in the cone beside whole maps.

With --benchmark-disable few places of few images, of a narrow network: equality is soon checked.
"""

from __future__ import annotations

import timeit
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from absence import absent
from networks import dncnn
from sides import OURS, describe

import fdref
from fdref.engines.local import local
from fdref.network.sizes import sizes_from
from fdref.walk.cone import Cone, whole_maps
from fdref.walk.forward import run
from fdref.walk.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

    from fdref import Network
    from fdref.arrays import Array

DIGITS = "occlude: 1,000 digits, 7x7, 484 places each (PyTorch and Captum: some of them)"
CONE = "occlude: DnCNN on 96x96, 8x8, {}, 900 places (whole maps: some of them)"
SIZE, SOME = 7, {OURS: 50, "PyTorch": 10, "Captum": 5}
"""Digits that each side is timed with: the time is the number's, and the same for each digit."""
BATCHES = (16, 64, 121, 484)
PLACES = 64
"""Occluded images that whole maps are timed with."""
EQUAL = 1e-5


def torch_lenet() -> Any:
    """Return the shipped network up to its softmax, flat."""
    try:
        import torch
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    parts: list[Any] = []
    for layer in fdref.load():
        match layer:
            case fdref.Conv():
                part = torch.nn.Conv2d(*layer.filters.shape[1::-1], layer.window)
                part.weight.data = torch.tensor(layer.filters)
                part.bias.data = torch.tensor(layer.bias)
                parts.append(part)
            case fdref.Pool():
                parts.append(torch.nn.MaxPool2d(2, 2))
            case fdref.ReLU():
                parts.append(torch.nn.ReLU())
    return torch.nn.Sequential(*parts, torch.nn.Softmax(dim=1), torch.nn.Flatten())


def copies(x: Array) -> Array:
    """Return one image with the square at every place."""
    places = (x.shape[1] - SIZE + 1, x.shape[2] - SIZE + 1)
    several = np.repeat(x[None], places[0] * places[1], axis=0)
    for copy, (top, left) in zip(several, np.ndindex(places), strict=True):
        copy[:, top : top + SIZE, left : left + SIZE] = 0
    return several


def pytorchs(x: Array, batch: int) -> Callable[[], Array]:
    """Return what occludes images with a batch of PyTorch's at a time."""
    import torch

    model = torch_lenet()

    def occlude() -> Array:
        found = []
        with torch.no_grad():
            for image in x:
                every = torch.tensor(copies(image))
                said = torch.cat([model(some) for some in every.split(batch)]).numpy()
                label = int(model(torch.tensor(image[None])).argmax())
                found.append(said[:, label])
        return np.stack(found)

    return occlude


def captums(x: Array, batch: int) -> Callable[[], Array]:
    """Return what occludes images with Captum, so many squares at a time."""
    try:
        import torch
        from captum.attr import Occlusion
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    model = torch_lenet()
    method = Occlusion(model)

    def occlude() -> Array:
        found = []
        with torch.no_grad():
            for image in torch.tensor(x):
                label = int(model(image[None]).argmax())
                fell = method.attribute(
                    image[None],
                    sliding_window_shapes=(1, SIZE, SIZE),
                    target=label,
                    perturbations_per_eval=batch,
                )
                found.append(fell.numpy()[0, 0])
        return np.stack(found)

    return occlude


def spread(net: Network, x: Array, probability: Array) -> Array:
    """Return Captum's number of each pixel: the mean fall over the squares that hide it."""
    said = fdref.forward(net, x)[-1][:, :, 0, 0].max(axis=1)
    falls = (said[:, None, None] - probability)[:, None]
    window = np.ones((1, 1, SIZE, SIZE))
    total, times = (fdref.substitute(values, window) for values in (falls, np.ones_like(falls)))
    return (total / times)[:, 0]


@pytest.mark.parametrize("who", [OURS, "PyTorch", "Captum"])
def test_digits(benchmark: BenchmarkFixture, who: str) -> None:
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[: SOME[who] if benchmark.enabled else 1])
    few = x[:2]

    def ours(images: Array = x) -> Array:
        return fdref.occlude(net, images, SIZE, value="average").probability

    run: Callable[[], Array] = ours
    if who != OURS:
        side = pytorchs if who == "PyTorch" else captums
        batch = BATCHES[-1]
        if benchmark.enabled:
            batch = min(BATCHES, key=lambda n: min(timeit.repeat(side(few, n), number=1, repeat=3)))
        found, expected = ours(few), side(few, batch)()
        if who == "Captum":
            found = spread(net, few, found)
        assert abs(found.reshape(expected.shape) - expected).max() <= EQUAL
        run = side(x, batch)
    describe(benchmark, DIGITS, who, times=1000 / len(x))
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)


@pytest.fixture
def image(benchmark: BenchmarkFixture) -> tuple[Network, Array]:
    net = dncnn(64 if benchmark.enabled else 3, depth=17)
    side = 96 if benchmark.enabled else 30
    return net, np.random.default_rng(0).random((1, 1, side, side)).astype(np.float32)


def occluded(net: Network, x: Array, last: int, *, whole: bool, most: int | None = None) -> Array:
    """Return a number of every map of the last layer, of so many places."""
    own = local("compiled")
    clean = run(net, [x], own, range(last + 1))
    sizes = sizes_from(net, [x.shape[2:]])
    reach = Reach(net, sizes, (8, 8), (3, 3), [last], whole=whole)
    cone = Cone(reach, clean, np.full_like(x, 0.5), own)
    found = np.full((len(reach.starts[0]), len(reach.starts[1])), np.nan)
    for group in reach.groups:
        for copies in group.batches(1, reach.at_once(group)):
            boxes = cone.run(group, copies, [last])[last].of_channels(copies.images)
            maps = whole_maps(clean[last][:, :1], boxes, copies.images)
            found[copies.rows, copies.columns] = maps[:, 0].astype(np.float64).sum(axis=(1, 2))
            if most is not None and np.isfinite(found).sum() >= most:
                return found
    return found


@pytest.mark.parametrize("who", ["in the cone", "whole maps", "forward"])
@pytest.mark.parametrize("last", [11, 33])
def test_cone(
    benchmark: BenchmarkFixture, image: tuple[Network, Array], last: int, who: str
) -> None:
    net, x = image
    some = occluded(net, x, last, whole=True, most=PLACES)
    every = some.size
    done = int(np.isfinite(some).sum())
    describe(benchmark, CONE.format("the whole net" if last == 33 else f"to layer {last}"), who)
    if who == "in the cone":
        found = benchmark.pedantic(
            occluded, (net, x, last), {"whole": False}, rounds=3, warmup_rounds=1
        )
        assert (found == some)[np.isfinite(some)].all()  # to the bit
    elif who == "whole maps":
        benchmark.extra_info.update(times=every / done)
        benchmark.pedantic(
            occluded, (net, x, last), {"whole": True, "most": PLACES}, rounds=3, warmup_rounds=1
        )
    else:
        several = np.repeat(x, 16, axis=0)
        benchmark.extra_info.update(times=every / len(several))
        benchmark.pedantic(fdref.forward, (net, several), {"last": last}, rounds=3, warmup_rounds=1)
