"""VGG-16 decoded: beside PyTorch, and beside the plain products alone.

With --benchmark-disable it is a narrow one, so that the equality is soon checked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest
from absence import absent
from networks import vgg
from peers import Task
from products import in_blocks
from sides import OURS, best_batch, describe, prepare

import fdref

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

    from fdref import Network
    from fdref.arrays import Array

WIDTH, NARROW = 64, 4
SOME = 32
"""Filters that PyTorch is timed with: each takes it half a second."""
BANK = "decode: 512 filters of VGG-16's conv5_3, nearest (PyTorch: 32, times 16)"
ALL = "decode: all 4,224 filters of VGG-16, nearest"
COPY = "copy: 400 MB"
TOUCHED = 10**9
"""Bytes: decoded filters, and what is taken beside them."""
EQUAL = 2e-6
"""How far a filter may be off, as a share of the layer's largest value."""
PEAK = """
import networks, fdref, sys
banks = fdref.decode_all(networks.vgg(int(sys.argv[1])), unpool="nearest")
print(open("/proc/self/status").read())
"""


@pytest.fixture
def net(benchmark: BenchmarkFixture) -> Network:
    return vgg(WIDTH if benchmark.enabled else NARROW)


def bank_task(net: Network, some: slice) -> Task:
    layer = net.number("conv5_3")
    return Task(
        BANK,
        fdref.decode,
        {"net": net, "layer": layer, "filters": range(net.channels[layer])[some]}
        | {"unpool": "nearest"},
        ("PyTorch",),
        roundings=9 * sum(net.channels[number] for number in net.decodable[:-1]),
        why="9 pixels overlap, in each channel of 12 layers",
        batches=(4, 16),
    )


def test_bank(benchmark: BenchmarkFixture, net: Network) -> None:
    describe(benchmark, BANK, OURS)
    run = prepare(bank_task(net, slice(None)), OURS, "float32")
    benchmark.pedantic(run, rounds=3, warmup_rounds=1)


def test_bank_with_pytorch(benchmark: BenchmarkFixture, net: Network) -> None:
    every, task = bank_task(net, slice(None)), bank_task(net, slice(SOME))
    try:
        batch = best_batch(task, "PyTorch", choose=benchmark.enabled)
        run = prepare(task, "PyTorch", "float32", batch)
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    ours, theirs = prepare(every, OURS, "float32")(), run()
    task.check(ours[: len(theirs)], theirs, "float32")
    describe(benchmark, BANK, "PyTorch", times=len(ours) / len(theirs))
    del ours, theirs
    benchmark.pedantic(run, rounds=3)


def test_all(benchmark: BenchmarkFixture, net: Network) -> None:
    """In turn with the products, so that both meet the machine in the same mood."""
    describe(benchmark, ALL, OURS)
    run, work = products(net)
    times: list[list[float]] = []

    def multiply_alone() -> None:
        times.append(run())
        # A virtual machine hands back to its host what was free for some seconds, and to get it
        # anew, page by page, took 0.8 s: neither decoding nor products.
        np.ones(TOUCHED if benchmark.enabled else 1, np.uint8)

    describe(benchmark, ALL, OURS)  # its group is read when it is run
    banks = benchmark.pedantic(
        fdref.decode_all,
        (net,),
        {"unpool": "nearest"},
        setup=multiply_alone,
        rounds=5,
        warmup_rounds=1,
    )
    layers = zip(work, map(median, zip(*times, strict=True)), strict=True)
    benchmark.extra_info.update(
        products=list(layers),
        alone=median(map(sum, times)),
        result=sum(bank.nbytes for bank in banks.values()),
        error=max(error(net, number, bank) for number, bank in banks.items()),
        peak=peak(WIDTH if benchmark.enabled else NARROW),
    )


def error(net: Network, number: int, bank: Array) -> float:
    """Return how far two filters are from the reference; nothing is timed that is wrong."""
    some = [0, len(bank) - 1]
    expected = fdref.decode(net, number, some, "nearest", "reference")
    off = float(abs(bank[some] - expected).max() / abs(expected).max())
    assert off <= EQUAL, number
    return off


def test_copy(benchmark: BenchmarkFixture) -> None:
    source = np.ones(10**8 if benchmark.enabled else 10**3, np.float32)
    target = np.zeros_like(source)
    describe(benchmark, COPY, "a copy", copied=source.nbytes)
    benchmark.pedantic(np.copyto, (target, source), rounds=5, warmup_rounds=1)


def products(net: Network) -> tuple[Callable[[], list[float]], list[int]]:
    """Return what multiplies each layer's filters with the bank below, and adds nothing up.

    It returns the seconds for each layer; beside it, their multiply-adds. A pool in between repeats
    pixels of the bank, so the field of the layer right below counts.
    """
    pairs = []
    for below, number in pairwise(net.decodable):
        filters = net[number].filters
        left = np.ascontiguousarray(filters.transpose(0, 2, 3, 1)).reshape(-1, filters.shape[1])
        height, width = fdref.receptive_field(net, number - 1).size
        bank = (net.channels[below], net.channels[0] * height * width)
        pairs.append((left, np.ones(bank, np.float32)))
    return in_blocks(pairs)


def peak(width: int) -> int:
    """Return the bytes that a process of its own takes at most, to decode the whole network.

    It is read from the system's own account: `getrusage` begins with what the parent had taken.
    """
    if not Path("/proc/self/status").exists():
        return 0
    home = Path(fdref.__file__).parents[1]  # found there in a checkout that is not installed, too
    paths = os.pathsep.join([str(home), str(Path(__file__).parent)])
    found = subprocess.run(
        [sys.executable, "-c", PEAK, str(width)],
        env=os.environ | {"PYTHONPATH": paths},
        check=True,
        capture_output=True,
        text=True,
    )
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", found.stdout)
    return int(kilobytes[1]) * 1024 if kilobytes else 0
