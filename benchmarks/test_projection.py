"""Projections: beside Captum's, and in the cone that a unit sees beside whole maps.

With --benchmark-disable they are few, of a narrow network: the equality is soon checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from absence import absent
from networks import dncnn
from sides import OURS, describe

import fdref

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pytest_benchmark.fixture import BenchmarkFixture

    from fdref import Network
    from fdref.arrays import Array

UNITS = "project: 200 units of LeNet's layer 5 by deconvnet, forward included"
CONE = "project: 20 units of DnCNN's layer 10 on 96x96, one by one (whole: masks)"
EQUAL = 1e-5


@pytest.fixture
def units(benchmark: BenchmarkFixture) -> NDArray[np.intp]:
    return np.arange(200 if benchmark.enabled else 3)


def ours(net: Network, x: Array, units: NDArray[np.intp]) -> Array:
    acts = fdref.forward(net, x, last=5)
    kept = np.stack([0 * units, units, 0 * units, 0 * units], axis=1)
    return fdref.project(net, acts, 5, kept)


def captums(net: Network, x: Array, units: NDArray[np.intp]) -> Callable[[], Array]:
    """Return what projects the same with Captum, whose pictures are of activations of 1."""
    try:
        import torch
        from captum.attr import Deconvolution
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    parts: list[Any] = []
    for layer in net.layers[:5]:
        if isinstance(layer, fdref.Conv):
            part = torch.nn.Conv2d(*layer.filters.shape[1::-1], layer.window)
            part.weight.data = torch.tensor(layer.filters)
            part.bias.data = torch.tensor(layer.bias)
            parts.append(part)
        else:
            parts.append(torch.nn.MaxPool2d(2, 2))
    model = torch.nn.Sequential(*parts, torch.nn.Flatten())
    method = Deconvolution(model)
    image, target = torch.tensor(x), torch.tensor(units)

    def run() -> Array:
        several = image.expand(len(units), -1, -1, -1)
        with torch.no_grad():
            values = model(image)[0, target]
        pictures = method.attribute(several, target=target)
        found: Array = (pictures * values[:, None, None, None]).detach().numpy()
        return found

    return run


@pytest.mark.parametrize("who", [OURS, "Captum"])
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_units(benchmark: BenchmarkFixture, units: NDArray[np.intp], who: str) -> None:
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:1])
    run = captums(net, x, units)
    expected = run()
    assert abs(ours(net, x, units) - expected).max() <= EQUAL * abs(expected).max()
    describe(benchmark, UNITS, who)
    benchmark.pedantic(
        run if who != OURS else lambda: ours(net, x, units), rounds=20, warmup_rounds=2
    )


@pytest.mark.parametrize("who", ["in the cone", "whole maps"])
def test_cone(benchmark: BenchmarkFixture, who: str) -> None:
    """What a unit does not see is zero: it need not be computed."""
    net, count = dncnn(64 if benchmark.enabled else 3), 20 if benchmark.enabled else 2
    random = np.random.default_rng(0)
    acts = fdref.forward(net, random.standard_normal((1, 1, 96, 96)), last=10)
    shape = acts[10].shape
    kept = np.stack([random.integers(0, n, count) for n in shape], axis=1)

    def cone() -> Array:
        return fdref.project(net, acts, 10, kept)

    def whole() -> Array:
        pictures = []
        for unit in kept:
            mask = np.zeros(shape, bool)
            mask[tuple(unit)] = True
            pictures.append(fdref.project(net, acts, 10, mask)[0])
        return np.stack(pictures)

    expected = whole()
    assert abs(cone() - expected).max() <= EQUAL * abs(expected).max()
    describe(benchmark, CONE, OURS if who == "in the cone" else who)
    benchmark.pedantic(cone if who == "in the cone" else whole, rounds=3)
