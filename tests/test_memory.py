"""max_memory, by what is really allocated: every array of NumPy's, threads' own included."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import fdref
from fdref import Concat, Conv, Network, Pool, Scale, Sum
from fdref.decoding.blocks import Plan
from fdref.decoding.decode import collect
from fdref.decoding.ways import Ways
from fdref.engines import blas, shifting

MEASURE = """
import json, sys, tracemalloc
import numpy as np
import fdref
from fdref import BatchNorm, Conv, Network, Pool

def chain(width, *layers, channels=3):
    random, made = np.random.default_rng(0), []
    for layer in layers:
        if isinstance(layer, tuple):
            shape = (width, channels, *layer)
            made.append(Conv(random.standard_normal(shape).astype(np.float32)))
            channels = width
        else:
            made.append(layer)
    return Network(made)

NETS = {
    "lenet": fdref.load,
    "wide": lambda: chain(64, (3, 3), (3, 3), Pool(2, 2), (3, 3), (3, 3), Pool(2, 2), (3, 3)),
    "deep": lambda: chain(8, (3, 3), *[(3, 3), (3, 3), Pool(2, 2)] * 4, (3, 3)),
    "overlapping": lambda: chain(24, (7, 7), Pool(3, 2), (5, 5), Pool((5, 4), 3), (3, 3), (2, 3)),
    "large": lambda: chain(2, (60, 60), (80, 80), (90, 70), channels=1),
    "long": lambda: chain(4, (3, 3), Pool((1, 2), (1, 2)), (1, 3000), Pool((1, 2), (1, 2)), (1, 3)),
}
net, unpool, engine = NETS[sys.argv[1]](), sys.argv[2], sys.argv[3]
limits = json.loads(sys.argv[4])
# What is compiled and imported is no array: so small a network keeps threads' memory small, too.
small = chain(2, (2, 2), Pool(2, 2), (3, 3), Pool(3, 2), (2, 2), (5, 5))
for method in fdref.engines.resize.METHODS:
    fdref.decode_all(small, method, engine, max_memory=10**9)
tracemalloc.start()
found = []
for wanted in [None, [net.decodable[-1]], [net.decodable[len(net.decodable) // 2]]]:
    for limit in limits:
        tracemalloc.clear_traces()
        before = tracemalloc.get_traced_memory()[0]
        try:
            if wanted is None:
                result = fdref.decode_all(net, unpool, engine, max_memory=limit)
            else:
                (n,) = wanted
                result = {n: fdref.decode(net, n, None, unpool, engine, None, limit)}
        except fdref.ArgumentError as error:
            limits_kept = str(error).startswith(f"max_memory is {limit} bytes; expected at least ")
            found.append([limit, "refused" if limits_kept else str(error)])
            continue
        peak = tracemalloc.get_traced_memory()[1] - before
        found.append([limit, peak - sum(bank.nbytes for bank in result.values())])
        del result
print(json.dumps(found))
"""

OBJECTS = 300_000
"""Bytes of Python's own objects: plans, threads, slices."""


def measured(net, unpool, engine, limits):
    command = [sys.executable, "-c", MEASURE, net, unpool, engine, json.dumps(limits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.large
@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("unpool", ["nearest", "bicubic"])
@pytest.mark.parametrize("net", ["lenet", "wide", "deep", "overlapping", "large", "long"])
def test_a_limit_is_kept_or_refused(net, unpool, engine):
    found = measured(net, unpool, engine, [10**6, 3 * 10**6, 10**7, 4 * 10**7, 10**9])
    for limit, taken in found:
        assert taken == "refused" or taken <= limit + OBJECTS, (limit, taken)
    assert found[-1][1] != "refused"


@pytest.mark.large
def test_a_limit_of_a_few_megabytes_is_kept():
    found = measured("lenet", "bicubic", "compiled", [2 * 10**6, 5 * 10**6])
    for limit, taken in found:
        assert taken != "refused"
        assert taken <= limit + OBJECTS


ROUND = Network(
    [
        Scale(np.full(4, 2, np.float32)),
        Pool(2, 2),
        Scale(np.full(4, 3, np.float32)),
        Conv(np.random.default_rng(0).standard_normal((12, 4, 120, 110)).astype(np.float32)),
    ]
)
"""Its pictures are large beside what threads keep for themselves."""


def taken_by(decode) -> int:
    """How many bytes are allocated at most beside the result."""
    decode()  # what is imported and compiled, and what threads keep, is there already
    tracemalloc.start()
    try:
        result = decode()
        return tracemalloc.get_traced_memory()[1] - result.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.large
@pytest.mark.parametrize("given", [False, True], ids=["ways chosen", "ways given"])
@pytest.mark.parametrize("unpool", ["nearest", "bicubic"])
def test_filters_go_down_together_as_the_limit_allows(unpool, given, engine):
    itemsize = 8 if engine == "reference" else 4
    way = Ways(ROUND, unpool, itemsize).from_above(4, 12)

    def decode(limit):
        if not given:
            return fdref.decode(ROUND, 4, None, unpool, engine, max_memory=limit)
        plan = Plan(ROUND, {4: range(12)}, unpool, engine, limit, ways=(way,))
        bank = np.empty((12, 4, 240, 220), plan.dtype)
        for block in plan:
            bank[block.first : block.first + len(block.pictures)] = block.pictures
            del block
        return bank

    with pytest.raises(fdref.ArgumentError, match="expected at least") as refusal:
        fdref.decode(ROUND, 4, None, unpool, engine, max_memory=1)
    least = int(str(refusal.value).split()[-1])
    picture = way.largest * itemsize
    decode(least)  # what is compiled, and imported, is no array
    for together in (1, 3):
        taken = taken_by(lambda together=together: decode(together * least))
        assert 2 * together * picture < taken <= together * least + 50_000


def conv(*shape: int) -> Conv:
    return Conv(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


LARGE = {
    "pooled": Network([conv(4, 2, 100, 90), Pool(2, 2), conv(6, 4, 2, 2)]),
    "chain": Network([conv(4, 2, 100, 90), *(conv(4, 4, 3, 3) for _ in range(3))]),
    "side by side": Network(
        [conv(4, 2, 100, 90), conv(4, 4, 1, 1), conv(2, 4, 1, 1), Concat(), conv(6, 6, 3, 3)],
        wiring={3: 1, 4: [2, 3]},
    ),
    "fan": Network(
        [*(conv(2, 2, 1, 1) for _ in range(6)), Sum(range(2, 8)), conv(6, 2, 100, 90)],
        wiring={**dict.fromkeys(range(1, 7), 0), 7: range(1, 7)},
    ),
    "summed in double": Network([conv(2, 1, 120, 110), conv(3, 2, 25, 25)]),
}
"""Pictures of some 80 KB, by way of large banks, several maps or long sums."""


@pytest.mark.large
@pytest.mark.parametrize("name", LARGE)
def test_every_way_takes_what_it_is_counted_to(name, monkeypatch):
    """Beside what threads keep for themselves, which is there already."""
    monkeypatch.setattr(blas, "counts", lambda: [1])

    def keep(known, layer, bank, right=fdref.decoding.blocks._Known.keep):  # noqa: SLF001
        right(known, layer, bank)
        if tracemalloc.is_tracing():
            tracemalloc.reset_peak()  # what finds banks is another way

    monkeypatch.setattr("fdref.decoding.blocks._Known.keep", keep)
    net = LARGE[name]
    number, ways = len(net), Ways(net, "nearest", 4)
    for way in ways.all_to(number, net.channels[number]):
        below = {bank: ways.from_above(bank, net.channels[bank]) for bank in way.banks}
        if name == "chain" and way.boundary:  # each bank on the one before
            for bank in range(2, number):
                every = ways.all_to(bank, 4)
                below[bank] = next(one for one in every if one.banks == {bank - 1})
            below |= {1: ways.from_above(1, 4)}
        in_order = sorted({**below, number: way}.values(), key=lambda one: one.layer)
        gone = tuple(dataclasses.replace(one, scratch=(0, 0)) for one in in_order)
        for together in (1, 2):
            limit, moved = gone[-1].taken(together), 0
            if name == "pooled" and way.boundary == 2:  # these are not kept, but allocated anew
                pictures = 2 * together, 1, 102, 92
                moved = 4 * shifting.scratch_size(pictures, (1, 1, 2, 2), 1, (1, 1), (1, 1))
            wanted = {number: range(way.filters)}
            plan = Plan(net, wanted, "nearest", "compiled", limit, ways=gone)
            taken = taken_by(lambda plan=plan: collect(plan, None)[number])
            assert taken <= limit + moved + 20_000, (way.kind, way.boundary)
