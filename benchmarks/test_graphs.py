"""Networks that are no chains, decoded: beside the products alone, and beside PyTorch's autograd.

With --benchmark-disable they are narrow ones, so that the equality is soon checked.
"""

from __future__ import annotations

from math import prod
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest
from absence import absent
from networks import inception_reduction, resnet18, resnet50, squeezenet, unet
from products import in_blocks
from sides import OURS, describe

import fdref
from fdref.decoding.blocks import Plan
from fdref.decoding.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

    from fdref import Network
    from fdref.arrays import Array

RESNET = "decode: 512 filters of ResNet-18's layer4.0, nearest"
SQUEEZENET = "decode: all banks of SqueezeNet 1.1, nearest (PyTorch: a part of each)"
PLANNING = "plan: all 53 banks of ResNet-50, nearest"
SOME = 4
"""Filters of each layer that PyTorch is timed with."""
EQUAL = 1e-5


NARROW = {
    "ResNet-18": (lambda: resnet18(4, 64), (64, 64)),
    "SqueezeNet": (lambda: squeezenet(10), (67, 67)),
    "Inception's reduction": (inception_reduction, (33, 35)),
    "U-Net": (lambda: unet(4), (64, 64)),
}


@pytest.mark.parametrize("name", NARROW)
def test_networks_are_pytorchs(name: str) -> None:
    """Every map, and the gradient of some units of the linear part of the last layer."""
    try:
        import torch_graphs
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    make, size = NARROW[name]
    net = make()
    random = np.random.default_rng(0)
    x = random.standard_normal((2, net.channels[0], *size)).astype(np.float32)
    expected = torch_graphs.forward(net, [x])
    for number, values in enumerate(fdref.forward(net, x)):
        peer = expected[number].numpy()
        assert abs(values - peer).max() <= EQUAL * abs(peer).max(), number
    sized = fdref.Network(net.layers, wiring=dict(enumerate(net.takes[1:], 1)), input_size=size)
    last = len(sized)
    k = 1 % sized.channels[last]
    for at in ((0, 0), tuple(n // 2 for n in sized.sizes[last])):
        gradient = torch_graphs.unit_gradients(sized, last, (k, *at), size)[0]
        field = fdref.receptive_field(sized, last, position=at)
        found = fdref.decode(sized, last, k, "window", position=at)[0]
        top, left = field.offset
        seen = gradient[:, top : top + field.size[0], left : left + field.size[1]]
        assert abs(found - seen).max() <= EQUAL * abs(gradient).max()
        assert np.count_nonzero(gradient) == np.count_nonzero(seen)


def test_resnet_bank(benchmark: BenchmarkFixture) -> None:
    """In turn with the products, so that both meet the machine in the same mood."""
    net = resnet18(64 if benchmark.enabled else 4, None)
    layer = net.number("layer4.0")
    wanted = {layer: range(net.channels[layer])}
    run, work = products(Plan(net, wanted, "nearest", "compiled"))
    times: list[list[float]] = []
    describe(benchmark, RESNET, OURS)
    bank = benchmark.pedantic(
        fdref.decode,
        (net, layer),
        {"unpool": "nearest"},
        setup=lambda: times.append(run()),
        rounds=3,
        warmup_rounds=1,
    )
    some = [0, len(bank) - 1]
    expected = fdref.decode(net, layer, some, "nearest", "reference")
    assert abs(bank[some] - expected).max() <= EQUAL * abs(expected).max()
    benchmark.extra_info.update(alone=median(map(sum, times)), multiply_adds=sum(work))


def test_planning(benchmark: BenchmarkFixture) -> None:
    """To choose the ways to all 53 banks, which have no other that is as good at hand."""
    net = resnet50(8)  # plans count: widths change the numbers, not how many there are
    wanted = {number: range(net.channels[number]) for number in net.decodable}
    describe(benchmark, PLANNING, OURS)
    plan = benchmark.pedantic(
        Plan, (net, wanted, "nearest", "compiled"), rounds=10, warmup_rounds=1
    )
    assert {way.layer for way in plan.choice.ways} == set(net.decodable)
    assert len(net.decodable) == 53


def products(plan: Plan) -> tuple[Callable[[], list[float]], list[int]]:
    """Return what multiplies filters with the atoms that they meet, on all ways of a plan."""
    net, pairs = plan.net, []
    ways = Ways(net, plan.unpool, plan.dtype.itemsize)
    for way in plan.choice.ways:
        stages = ways.stages(way.layer, way.filters)
        cut = next(stage.cut for stage in stages if stage.boundary == way.boundary)
        for number, box in cut.items():
            lattice = ways.lattices[number]
            assert lattice is not None
            if number > 0:
                channels, numbers = net.channels[number], net.channels[0] * prod(lattice.size)
                left = np.ones((way.filters * prod(box.size), channels), np.float32)
                pairs.append((left, np.ones((channels, numbers), np.float32)))
    return in_blocks(pairs)


@pytest.fixture
def squeeze(benchmark: BenchmarkFixture) -> Network:
    return squeezenet(1000 if benchmark.enabled else 5)


def test_squeezenet(benchmark: BenchmarkFixture, squeeze: Network) -> None:
    describe(benchmark, SQUEEZENET, OURS)
    benchmark.pedantic(
        fdref.decode_all, (squeeze,), {"unpool": "nearest"}, rounds=3, warmup_rounds=1
    )


def test_squeezenet_with_pytorch(benchmark: BenchmarkFixture, squeeze: Network) -> None:
    """The gradient of units in the middle of a linear network, some at a time, for each layer."""
    try:
        import torch_graphs
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    jobs = [(number, range(min(SOME, squeeze.channels[number]))) for number in squeeze.decodable]
    found = torch_graphs.decode(squeeze, jobs)
    for number, filters in jobs:
        # PyTorch's average pools divide by their windows; `window` unpooling does the same.
        ours: Array = fdref.decode(squeeze, number, filters, "window")
        assert abs(ours - found[number]).max() <= EQUAL * abs(ours).max(), number
    every = sum(squeeze.channels[number] for number in squeeze.decodable)
    describe(benchmark, SQUEEZENET, "PyTorch", times=every / sum(len(job[1]) for job in jobs))
    benchmark.pedantic(torch_graphs.decode, (squeeze, jobs), rounds=3)
