"""Substitution with fewer products: what it gives, when it is taken, and what it is counted to."""

from __future__ import annotations

import itertools
from math import ceil, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import substitute as plain_loops
from strategies import dtypes, pairs, seeds

import fdref
from fdref import Conv, Network, Pool, ReLU
from fdref.decoding.blocks import Plan
from fdref.decoding.costs import composition, substitution
from fdref.decoding.ways import Ways
from fdref.engines import compiled, cuts, minimal_filtering, reference, tiling

PAYS = (60, 128, 3, 3), (128, 3, 32, 32), (16, 16)
"""Maps, filters and stride as small as is shorter with tiles."""


def on_tiles(maps, filters, stride):
    rows, columns = (n + 2 * s for n, s in zip(filters.shape[2:], stride, strict=True))
    pictures = np.zeros((len(maps), filters.shape[1], rows, columns), maps.dtype)
    minimal_filtering.substitute(maps, filters, pictures, stride)
    return pictures


@pytest.fixture
def small_parts(monkeypatch):
    """Let whoever asks cut into so few tiles at a time that everything is cut."""

    def cut(columns, numbers, parts):
        limits = {"COLUMNS": columns, "NUMBERS": numbers, "PRODUCTS": numbers, "PARTS": parts}
        for name, value in limits.items():
            monkeypatch.setattr(tiling, name, value)
        tiling.tiling.cache_clear()

    yield cut
    monkeypatch.undo()
    tiling.tiling.cache_clear()


def drawn(seed, shapes, dtype, *, whole):
    random = np.random.default_rng(seed)
    for shape in shapes:
        values = random.integers(-9, 10, shape) if whole else random.standard_normal(shape)
        yield values.astype(dtype)


@given(seeds, dtypes, st.tuples(*[st.integers(1, 2)] * 3), pairs(1, 9), pairs(1, 4), st.data())
def test_tiles_give_what_plain_loops_give(seed, dtype, counts, size, stride, data):
    """Integers to the bit, whatever the strides, the rests beside whole tiles, and the parts."""
    (n, k, c), draw = counts, data.draw
    with pytest.MonkeyPatch.context() as patch:
        for name, values in (
            ("COLUMNS", (1, 5, 99)),
            ("NUMBERS", (16, 99, 9999)),
            ("PRODUCTS", (16, 999)),
            ("PARTS", (1, 5)),
        ):
            patch.setattr(tiling, name, draw(st.sampled_from(values)))
        tiling.tiling.cache_clear()
        maps, filters = drawn(seed, ((n, k, 3, 3), (k, c, *size)), dtype, whole=True)
        found = on_tiles(maps, filters, stride)
        assert found.dtype == dtype
        assert (found == plain_loops(maps, filters, stride, (1, 1), 1)).all()
    tiling.tiling.cache_clear()


@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 2e-6), (np.float64, 4e-15)])
def test_of_other_numbers_few_digits_are_lost(dtype, most):
    maps, filters = drawn(0, PAYS[:2], dtype, whole=False)
    found = fdref.substitute(maps, filters, PAYS[2])
    assert (found == on_tiles(maps, filters, PAYS[2])).all()
    exact = reference.substitute(
        *(x.astype(np.float64) for x in (maps, filters)), PAYS[2], (1, 1), 1
    )
    assert 0 < abs(found - exact).max() <= most * abs(exact).max()


def test_equal_numbers_whose_roundings_add_up_keep_five_digits():
    maps, filters = (np.full(shape, 0.1, np.float32) for shape in PAYS[:2])
    found = fdref.substitute(maps, filters, PAYS[2])
    exact = fdref.substitute(*(x.astype(np.float64) for x in (maps, filters)), PAYS[2])
    assert abs(found - exact).max() <= 1e-5 * exact.max()


@pytest.mark.parametrize(("bits", "tiled"), [(20, True), (20.1, False), (23.9, False)])
def test_integers_stay_exact_on_both_sides_of_what_tiles_can_hold(bits, tiled):
    """Sums of integers up to 2**24 are exact in float32; those of quarters are not."""
    random = np.random.default_rng(0)
    maps = random.integers(0, 2, PAYS[0]).astype(np.float32)
    weight = maps.sum(axis=(1, 2, 3)).max()
    peak = int(2**bits / weight)
    filters = random.integers(peak // 2, peak + 1, PAYS[1]).astype(np.float32)
    filters[0, 0, 0, 0] = peak
    assert minimal_filtering.keeps_digits(maps, filters) == tiled
    exact = fdref.substitute(maps, filters, PAYS[2], engine="reference")
    assert exact.max() > 2 ** (bits - 1.5)
    assert (fdref.substitute(maps, filters, PAYS[2]) == exact).all()
    # Of what are no integers neither is exact, and tiles are taken.
    assert minimal_filtering.keeps_digits(maps, filters * np.float32(0.99))


def test_tiles_would_lose_digits_of_integers_that_plain_sums_keep():
    maps = np.zeros(PAYS[0], np.float32)
    maps[:, 0] = 1
    filters = np.full(PAYS[1], 2**20 + 1, np.float32)
    exact = fdref.substitute(maps, filters, PAYS[2], engine="reference")
    assert not minimal_filtering.keeps_digits(maps, filters)
    assert (fdref.substitute(maps, filters, PAYS[2]) == exact).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["maps", "filters"])
def test_what_is_not_finite_stays_where_it_belongs(value, where):
    maps, filters = drawn(1, PAYS[:2], np.float32, whole=False)
    before = fdref.substitute(maps, filters, PAYS[2], engine="reference")
    if where == "maps":
        maps[7, 5, 1, 2] = value
        reached = np.zeros(before.shape, bool)
        reached[7, :, 16:48, 32:64] = True
    else:
        filters[5, 0, 10, 30] = value
        reached = np.zeros(before.shape, bool)
        reached[:, 0, 10:43:16, 30:63:16] = True
    found = fdref.substitute(maps, filters, PAYS[2])
    assert not np.isfinite(found[reached]).any()
    assert abs(found - before)[~reached].max() <= 1e-5 * abs(before).max()


@pytest.mark.parametrize("scale", [1e37, 2e-38])
def test_numbers_at_the_ends_of_their_range_are_added_plainly(scale):
    maps, filters = drawn(2, PAYS[:2], np.float32, whole=False)
    own = maps * np.float32(scale), filters * np.float32(1e-3 if scale > 1 else 1e30)
    assert not minimal_filtering.keeps_digits(*own)
    assert minimal_filtering.keeps_digits(maps, filters)
    found = fdref.substitute(*own, PAYS[2])
    exact = fdref.substitute(*(x.astype(np.float64) for x in own), PAYS[2])
    assert np.isfinite(found).all()
    assert abs(found - exact).max() <= 1e-5 * abs(exact).max()


def test_only_maps_of_3x3_pixels_and_enough_of_them_go_on_tiles(monkeypatch):
    taken = []
    right = minimal_filtering.substitute
    monkeypatch.setattr(
        minimal_filtering, "substitute", lambda *more: (taken.append(1), right(*more))
    )
    (_, channels, *_), filters, stride = PAYS
    least = ceil(tiling.fewest(filters, stride))
    assert 1 < least <= 60
    for count, size, dilate, groups, tiled in (
        (least, (3, 3), 1, 1, True),
        (least - 1, (3, 3), 1, 1, False),
        (least, (3, 2), 1, 1, False),
        (least, (3, 3), 2, 1, False),
        (least, (3, 3), 1, 2, False),
    ):
        taken.clear()
        maps, some = drawn(3, ((count, channels, *size), filters), np.float32, whole=True)
        found = fdref.substitute(maps, some, stride, dilate, groups)
        assert bool(taken) == tiled, (count, size, dilate, groups)
        assert (found == fdref.substitute(maps, some, stride, dilate, groups, "reference")).all()


@pytest.mark.large
def test_threads_keep_no_more_than_is_counted(small_parts, monkeypatch):
    """For any number of maps; it is what `max_memory` is held against."""
    kept = {}

    def scratch(purpose, shape, dtype):
        kept[purpose] = max(kept.get(purpose, 0), int(np.prod(shape)))
        return np.empty(shape, dtype)

    monkeypatch.setattr(minimal_filtering, "scratch", scratch)
    _, (channels, inputs, *size), stride = PAYS
    for limits in ((256, 2**22, 4), (256, 2**18, 4), (30, 2**17, 1)):
        small_parts(*limits)
        tiling.fewest.cache_clear()
        for count in (60, 100, 300):
            kept.clear()
            filters = np.zeros((channels, inputs, *size), np.float32)
            on_tiles(np.zeros((count, channels, 3, 3), np.float32), filters, stride)
            one, most = tiling.scratch_sizes(count, filters.shape, stride)
            if most:
                assert sum(kept.values()) <= min(most, count * one)
            assert (most > 0) == (count >= tiling.fewest(filters.shape, stride))
            plain, tiled = (
                cuts.substitution_scratch(n, (3, 3), filters.shape, 1, stride) for n in (1, count)
            )
            assert tiled[1] >= most + plain[1] * (most > 0)
    tiling.fewest.cache_clear()


def test_what_is_counted_by_hand():
    """Filters 2 (1, 7, 5) at strides 2 and 4: 4 of 7 rows begin tiles, and 4 of 5 columns."""
    filters, stride = (2, 1, 7, 5), (2, 4)
    cut = tiling.tiling(filters, stride)
    assert (cut.lines, cut.step, cut.high, cut.wide) == (2, 1, 2, 1)
    assert (cut.columns, cut.most, cut.products) == (16, 4, 4)
    multiplied, moved = tiling.work(3, filters, stride)
    assert multiplied == 16 * 16 * 2 * 3
    maps, tiles, products = 16 * 3 * 2, 16 * 16 * 2, 16 * 16 * 3
    expected = (1 + tiling.RUN / 4) * (maps + tiles + products) + tiling.COPIED * maps * 4
    assert moved == pytest.approx(expected)
    assert tiling.fewest(filters, stride) == inf


def test_plans_count_what_the_engine_does():
    maps, filters, stride = PAYS
    for count in (1, maps[0]):
        cost = composition(count, maps[2:], filters, stride)
        if count == 1:
            assert cost == substitution(maps[1:], 3, filters[2:])
        else:
            multiplied, moved = tiling.work(count, filters, stride)
            assert (cost.multiplied, cost.tiled, cost.calls) == (multiplied, moved, 1)
            assert (cost.long, cost.short) == (0, 0)
            plain = substitution(maps[1:], 3, filters[2:]).times(count)
            assert cost.multiplied < plain.multiplied / 2
            assert cost.seconds(4) < plain.seconds(4)
            assert cost.times(2).tiled == 2 * moved
            assert (cost + cost).tiled == 2 * moved


@pytest.fixture(scope="module")
def wide():
    """Strides and a pool, then 3x3 filters of many channels, of integers small enough."""
    random = np.random.default_rng(4)
    shapes = (128, 3, 64, 64), (96, 128, 3, 3)
    first, second = (random.integers(-2, 3, shape).astype(np.float32) for shape in shapes)
    return Network([Conv(first, stride=8), ReLU(), Pool(2, 2), Conv(second)])


@pytest.mark.large
def test_banks_are_decoded_on_tiles_to_the_bit(wide):
    plan = Plan(wide, {4: range(96)}, "nearest", "compiled")
    way = plan.choice.ways[-1]
    assert (way.kind, way.boundary) == ("atoms", 3)
    assert way.cost.tiled > 0
    some = [0, 50, 95]
    bank = fdref.decode(wide, 4, unpool="nearest")
    expected = fdref.decode(wide, 4, some, "nearest", "reference")
    assert (bank[some] == expected).all()


@pytest.mark.large
def test_limits_count_what_tiles_take(wide):
    free = fdref.decode(wide, 4, unpool="nearest")
    ways = Ways(wide, "nearest", 4)
    stages = [way for way in ways.all_to(4, 96) if way.cost.tiled]
    assert stages
    for way in stages:
        plain = max(cuts._plain_scratch(96, (3, 3), (128, 3, 64, 64), 1))  # noqa: SLF001
        assert way.scratch[1] > 4 * plain
    for limit in (3 * 10**6, 10**7):
        found = fdref.decode(wide, 4, unpool="nearest", max_memory=limit)
        assert (found == free).all()


def test_the_same_bits_however_many_threads_there_are(monkeypatch):
    maps, filters = drawn(5, PAYS[:2], np.float32, whole=False)
    found = fdref.substitute(maps, filters, PAYS[2])
    parts = []

    def each(work, several):
        several = list(several)
        parts.append(len(several))
        for part in reversed(several):  # in another order, in one thread
            work(part)

    monkeypatch.setattr(minimal_filtering, "each", each)
    assert (compiled.substitute(maps, filters, PAYS[2], (1, 1), 1) == found).all()
    assert parts[-1] >= tiling.PARTS


def test_lines_of_parts_meet_nowhere_in_the_pictures():
    """Threads add to pictures at the same time, so each row belongs to one line."""
    for height, stride in itertools.product((1, 5, 16, 33), (1, 3, 16, 40)):
        rows = {}
        for line in range(min(stride, height)):
            for row in range(line, height, 2 * stride):
                for i in range(4 if row + stride < height else 3):
                    rows.setdefault(row + i * stride, set()).add(line)
        assert all(len(lines) == 1 for lines in rows.values())
        assert max(rows) == height - 1 + 2 * stride
