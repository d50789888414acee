"""Plans: what their ways are counted to, how much goes at once, what is kept and let go."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import methods, networks

import fdref
from fdref import Channels, Conv, Network, Pool, ReLU, Scale
from fdref.decoding import blocks, planning
from fdref.decoding.atoms import Composition
from fdref.decoding.blocks import Plan
from fdref.decoding.costs import substitution
from fdref.decoding.every_pixel import with_pools
from fdref.decoding.ways import Ways
from fdref.network.units import Unit
from fdref.weights.handmade import handmade

EVERY = {"lenet": fdref.load(), "handmade": handmade()}


def test_filters_of_groups_see_their_own_channels_only():
    whole, groups = (substitution((6, 3, 5), 4, (2, 7), count) for count in (1, 2))
    assert whole.multiplied == 6 * 15 * 4 * 14
    assert groups.multiplied == whole.multiplied / 2
    assert (groups.long, groups.short) == (whole.long, whole.short) == (15 * 4 * 14, 0)


def test_a_layer_that_is_no_convolution_begins_with_a_step_of_its_own():
    """A convolution's filters are one step down already."""
    net = Network([Conv(np.ones((2, 1, 2, 2))), Pool(3, 3)])
    pool, conv = (Ways(net, "nearest", 4).from_above(number, 1) for number in (2, 1))
    assert (conv.cost.multiplied, conv.cost.short) == (0, 0)
    assert (pool.cost.multiplied, pool.cost.short) == (2 * 9 * 4, 2 * 9 + 9 * 4)


@given(
    st.integers(1, 60),
    st.integers(0, 900),
    st.tuples(st.integers(0, 300), st.integers(0, 900)),
    st.integers(1, 40_000),
    st.integers(-9, 2000),
)
def test_as_many_filters_go_down_at_once_as_there_is_memory_for(
    filters, held, scratch, memory, kept
):
    way = Ways(EVERY["handmade"], "nearest", 4).from_above(4, 8)
    way = dataclasses.replace(
        way, filters=filters, held=held, scratch=scratch, each=70, result=13, itemsize=4
    )
    count = way.at_once(memory, kept)
    assert 1 <= count <= filters
    assert count == 1 or (way.taken(count) <= memory and way.kept_by_threads(count) <= kept)
    if count < filters:
        beyond = way.taken(count + 1) > memory and way.taken(filters) > memory
        assert beyond or way.kept_by_threads(count + 1) > kept


def test_what_every_thread_keeps_counts(monkeypatch):
    net = EVERY["lenet"]
    one, several = (Ways(net, "bicubic", 4, threads).from_above(5, 9) for threads in (1, 7))
    assert several.scratch == tuple(7 * kept for kept in one.scratch)
    assert several.memory - one.memory == 6 * one.scratch[0] > 0
    monkeypatch.setattr(planning, "threads", lambda: 7)
    ((way),) = planning.cheapest(net, {5: 9}, "bicubic", 4, several.memory).ways
    assert way == several
    with pytest.raises(fdref.ArgumentError, match=f"expected at least {several.memory}$"):
        planning.cheapest(net, {5: 9}, "bicubic", 4, several.memory - 1)


def check_limits(net, unpool, shares):
    """As little as is said to be enough is, and whatever is more."""
    wanted = {number: net.channels[number] for number in net.decodable}
    with pytest.raises(fdref.ArgumentError, match="expected at least") as refusal:
        planning.cheapest(net, wanted, unpool, 4, 1)
    least = int(str(refusal.value).split()[-1])
    for share in (1, *shares):
        plan = planning.cheapest(net, wanted, unpool, 4, int(share * least))
        assert {way.layer for way in plan.ways} == set(wanted)
        kept = 0
        for way in plan.ways:
            own = way.taken(plan.at_once(way)) - way.kept_by_threads(plan.at_once(way))
            kept = max(kept, way.kept_by_threads(plan.at_once(way)))
            assert own + kept <= plan.spare(way) + max(0, kept - way.scratch[0])
            assert way.memory <= plan.spare(way)


@given(networks(), methods, st.floats(1, 20))
@settings(max_examples=15)
def test_a_plan_keeps_to_its_limit_while_banks_wait(net, unpool, share):
    check_limits(net, unpool, [share])


@pytest.mark.parametrize("unpool", ["nearest", "bicubic"])
def test_a_limit_that_is_enough_is_enough_for_any_larger_one(unpool):
    """What threads keep after many filters at once leaves room for what comes after."""
    check_limits(EVERY["lenet"], unpool, [*1.1 ** np.arange(50), 10])
    beside = [Conv(np.ones(shape)) for shape in ((4, 1, 15, 15), (3, 4, 60, 60), (5, 1, 150, 150))]
    net = Network([*beside[:2], Pool(2, 2), beside[2]], wiring={3: 0})
    small = {n: Ways(net, unpool, 4).from_above(n, 1) for n in (2, 4)}
    assert small[2].scratch[0] > small[4].scratch[0]  # and pictures of the latter are larger
    check_limits(net, unpool, [1.5, 3])


def test_threads_keep_no_more_than_leaves_room_for_later_ways():
    way = Ways(EVERY["lenet"], "nearest", 4).from_above(3, 50)
    sizes = {"held": 0, "itemsize": 4, "banks": frozenset()}
    many = dataclasses.replace(
        way, layer=1, filters=100, each=10, result=1, scratch=(100, 9000), **sizes
    )
    few = dataclasses.replace(
        way, layer=2, filters=5, each=3000, result=10, scratch=(500, 500), **sizes
    )
    assert few.memory == 3540
    plan = planning.Choice((many, few), 5000)
    assert (plan.at_once(many), plan.at_once(few)) == (19, 1)  # instead of 43
    assert plan.spare(few) == 5000 - (1900 - 500)
    assert planning.Choice((few, many), 5000).at_once(many) == 40  # of 4,600


@pytest.mark.parametrize(("free", "memory"), [(30 * 10**6, 15 * 10**6), (2 * 10**6, 2 * 10**6)])
def test_half_of_what_is_free_is_taken_and_as_much_as_nobody_asks_for(free, memory, monkeypatch):
    """A way that takes more than that is not gone."""
    net = Network(list(EVERY["lenet"]))  # nobody has planned for it
    monkeypatch.setattr(planning, "UNASKED", 2 * 10**6)
    monkeypatch.setattr(planning, "free_memory", lambda: free)
    plan = planning.cheapest(net, {5: 500}, "bicubic", 4)
    assert plan.memory == memory
    (way,) = plan.ways
    assert way.kind == ("pixels" if way.memory > 2 * 10**6 else "from above")
    assert way.memory <= memory
    assert (way.kind == "pixels") == (free > 10**7)


def test_plans_of_other_precisions_units_and_limits_are_others():
    net, least = EVERY["lenet"], 10**6
    single, double = (planning.cheapest(net, {3: 2}, "bicubic", size) for size in (4, 8))
    assert [way.itemsize for way in (*single.ways, *double.ways)] == [4, 8]
    limited = planning.cheapest(net, {3: 2}, "bicubic", 4, least)
    assert (single.memory, limited.memory) == (planning.UNASKED, least)
    corner = planning.cheapest(net, {3: 2}, "bicubic", 4, None, Unit((0, 0), clip=True))
    assert corner is not single


def test_pictures_that_grow_beyond_any_memory_are_refused_though_filters_are_small(engine):
    """4,096 channels of 1024 x 1024, for filters of one."""
    many = np.ones((4096, 1, 1, 1), np.float32)
    net = Network([Conv(many), Pool(1024, 1024), Conv(many.swapaxes(0, 1))])
    with pytest.raises(fdref.ArgumentError, match="pictures of a filter grow to 4,294,967,296"):
        fdref.decode(net, 3, unpool="bicubic", engine="reference")
    assert Ways(net, "nearest", 4).from_above(3, 1).result == 2**20


def test_no_more_pictures_go_down_together_than_are_good_for_the_caches(monkeypatch):
    way = Ways(EVERY["lenet"], "nearest", 4).from_above(7, 10)
    monkeypatch.setattr("fdref.decoding.blocks.PICTURES", 3 * way.largest)
    plan = Plan(EVERY["lenet"], {7: range(10)}, "nearest", "compiled", ways=(way,))
    assert [len(block.pictures) for block in plan] == [3, 3, 3, 1]


def test_blocks_of_a_bank_that_others_stand_on_are_as_small_as_asked():
    net = EVERY["lenet"]
    wanted = {3: range(1, 21), 5: range(500)}
    plan = Plan(net, wanted, "nearest", "compiled")
    assert 3 in plan.choice.kept
    found = [block for block in plan.blocks(largest=7 * 14 * 14) if block.layer == 3]
    assert [(block.first, len(block.pictures)) for block in found] == [(0, 7), (7, 7), (14, 6)]
    bank = np.concatenate([block.pictures for block in found])
    expected = fdref.decode(net, 3, range(1, 21), "nearest", "reference")
    assert abs(bank - expected).max() <= 1e-5 * abs(expected).max()


def test_what_several_ways_meet_is_found_once_and_let_go_after_them(monkeypatch):
    """Two convolutions on one map, and one on another: three maps above banks, each found once."""
    random = np.random.default_rng(0)
    net = Network(
        [Conv(random.standard_normal((3, count, 3, 3))) if count else Scale(np.arange(3.0))
         for count in (1, 0, 3, 3, 0, 3)],
        wiring={4: 2, 5: 4},
    )  # fmt: skip
    ways, every = Ways(net, "nearest", 8), {}
    for number, banks in ((1, set()), (3, {1}), (4, {1}), (6, {4})):
        options = [way for way in ways.all_to(number, 3) if way.banks == banks]
        every[number] = max(options, key=lambda way: way.boundary)
    assert [way.boundary for way in every.values()] == [0, 2, 3, 5]
    found, known = [], []

    def above(rules, number, taken, right=Composition.above):
        found.append(number)
        return right(rules, number, taken)

    def forget(atoms, later, right=blocks._Known.forget):  # noqa: SLF001
        right(atoms, later)
        known.append(sorted(atoms.atoms))

    monkeypatch.setattr(Composition, "above", above)
    monkeypatch.setattr("fdref.decoding.blocks._Known.forget", forget)
    wanted = {number: range(3) for number in every}
    plan = Plan(net, wanted, "nearest", "compiled", ways=tuple(every.values()))
    banks = {block.layer: block.pictures for block in plan}
    assert found == [2, 5]
    assert known == [[1], [2], [4], []]
    for number, bank in banks.items():
        expected = fdref.decode(net, number, None, "nearest", "reference")
        assert abs(bank - expected).max() <= 1e-12 * abs(expected).max()


def test_every_pixel_is_found_once_for_maps_of_one_size(monkeypatch):
    """And anew for another size of the same map."""
    net, sizes = EVERY["lenet"], []

    def every_pixel(net, number, size, *more, right=blocks.every_pixel):
        sizes.append((number, size))
        return right(net, number, size, *more)

    monkeypatch.setattr(blocks, "every_pixel", every_pixel)
    monkeypatch.setattr(blocks, "PICTURES", 1)
    way = next(way for way in Ways(net, "bicubic", 4).all_to(5, 3) if way.kind == "pixels")
    plan = Plan(net, {5: range(3)}, "bicubic", "compiled", ways=(way,))
    found = np.concatenate([block.pictures for block in plan])
    assert sizes == [(2, (12, 12))]
    expected = fdref.decode(net, 5, range(3), "bicubic", "reference")
    assert abs(found - expected).max() <= 1e-5 * abs(expected).max()
    known = blocks._Known(plan)  # noqa: SLF001
    assert [len(known.every_pixel(2, size)) for size in ((1, 1), (2, 3))] == [20, 120]
    known.forget([])
    assert known.pixels is None


def test_maps_above_a_pool_and_nothing_else_are_found_pixel_by_pixel():
    one = Conv(np.ones((1, 1, 1, 1)))
    layers = [one, Pool(2, 2), ReLU(), one, one, Channels([0]), one]
    assert with_pools(Network(layers, wiring={5: 1})) == {2, 3, 4}


def test_a_unit_at_a_border_goes_from_above_whatever_was_planned_before():
    """What others meet is not what it sees: padding, and windows that are cut."""
    random = np.random.default_rng(0)
    shapes = (8, 1, 3, 3), (30, 8, 3, 3), (40, 30, 3, 3)
    first, second, third = (Conv(random.standard_normal(shape), pad=1) for shape in shapes)
    net = Network([first, Pool(2, 2), second, third], input_size=12)
    inner = fdref.decode(net, 4, unpool="nearest")
    assert "atoms" in {
        way.kind for way in Plan(net, {4: range(40)}, "nearest", "compiled").choice.ways
    }
    for at in ((0, 0), (5, 3)):
        unit = Unit(at, clip=True)
        plan = Plan(net, {4: range(40)}, "nearest", "compiled", unit=unit)
        (way,) = plan.choice.ways
        assert way.kind == "from above"
        assert [own.kind for own in Ways(net, "nearest", 8, unit=unit).all_to(4, 40)] == [
            "from above"
        ]
        found = fdref.decode(net, 4, unpool="nearest", position=at)
        expected = fdref.decode(net, 4, unpool="nearest", position=at, engine="reference")
        assert found.shape == expected.shape != inner.shape
        assert abs(found - expected).max() <= 1e-12 * abs(expected).max()
    corner = Ways(net, "nearest", 8, unit=Unit((0, 0), clip=True)).from_above(4, 40)
    assert corner.largest == 8 * 6 * 6  # of 3 x 3 pixels below the pool
    assert corner.result == 7 * 7
