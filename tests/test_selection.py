"""One or several layers or filters: said in any way, everywhere the same is meant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fdref
from fdref import Conv, Network, Pool
from fdref.measure.ceiling import best_filters
from fdref.selection import decodable_numbers, filter_indices

RANDOM = np.random.default_rng(0)
NET = Network(
    [
        Conv(RANDOM.standard_normal((5, 1, 2, 2)), name="first"),
        Pool(2, 2),
        Conv(RANDOM.standard_normal((3, 5, 2, 2)), name="3"),
        Conv(RANDOM.standard_normal((2, 3, 1, 1)), name="last"),
    ]
)
X = RANDOM.standard_normal((4, 1, 8, 8))
BANK = fdref.decode(NET, 1, unpool="nearest")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (None, [0, 1, 2, 3, 4]),
        (3, [3]),
        (np.int64(3), [3]),
        (np.uint8(3), [3]),
        (np.array(3), [3]),
        ([3, 1, 3], [3, 1, 3]),
        ((3, np.int8(1)), [3, 1]),
        (range(1, 5, 2), [1, 3]),
        (range(4, -1, -1), [4, 3, 2, 1, 0]),
        (np.array([3, 1], np.uint8), [3, 1]),
        (np.array([3, 1], object), [3, 1]),
        (np.arange(5) > 2, [3, 4]),
        ([False, True, False, np.True_, False], [1, 3]),
        (np.array([True, False] * 2 + [True], object), [0, 2, 4]),
        (np.zeros(5, bool), []),
        ([], []),
        ((), []),
        (range(0), []),
        (np.array([]), []),
        (np.array([], int), []),
    ],
)
def test_filters(asked, meant, engine):
    assert list(filter_indices(NET, 1, asked)) == meant
    alone = fdref.decode(NET, 1, asked, "nearest", engine)
    for found in (alone, fdref.stages(NET, 1, asked, "nearest", engine)[-1]):
        assert found.shape == (len(meant), 1, 2, 2)
        assert (found == BANK[meant]).all()


@pytest.mark.parametrize("length", [0, 1, 4, 6])
@pytest.mark.parametrize("make", [np.zeros, np.ones])
def test_masks_of_another_length(length, make):
    with pytest.raises(fdref.ArgumentError, match=f"filters are {length} truth values; expected 5"):
        fdref.decode(NET, 1, make(length, bool))
    with pytest.raises(fdref.ArgumentError, match="expected 4, one for each"):
        fdref.evaluate(NET, X, make(length + (length == 4), bool))


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_mask_is_what_it_selects_from_the_bank(mask):
    expected = BANK[np.array(mask)]
    for again in (mask, tuple(mask), np.array(mask), np.array(mask, object)):
        assert (fdref.decode(NET, 1, again, "nearest") == expected).all()


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (None, [1, 3, 4]),
        (3, [3]),
        (np.int64(3), [3]),
        (np.array(3), [3]),
        ("3", [3]),  # a name
        ("last", [4]),
        (np.str_("last"), [4]),
        (["last", 1], [4, 1]),
        ([1, "first", 1], [1]),
        (np.array([4, 1]), [4, 1]),
        (np.array(["3", "first"]), [3, 1]),
        (range(3, 5), [3, 4]),
        ([True, False, False, True], [1, 4]),
        (np.array([False, False, True, False]), [3]),
        (np.zeros(4, bool), []),
        ([], []),
        (np.array([]), []),
    ],
)
def test_layers(asked, meant):
    assert list(decodable_numbers(NET, asked)) == meant
    found = fdref.evaluate(NET, X, asked)
    assert list(found) == meant
    whole = fdref.evaluate(NET, X)
    assert all((found[number].errors == whole[number].errors).all() for number in meant)
    assert list(best_filters(NET, X, asked)) == meant
    assert list(fdref.nonlinearities(NET, X, X, asked)) == meant
    if asked is not None and np.ndim(asked) == 0:  # one layer, wherever one is asked for
        assert fdref.receptive_field(NET, asked) == fdref.receptive_field(NET, meant[0])
        bank = fdref.decode(NET, asked)
        assert (bank == fdref.decode(NET, meant[0])).all()
        assert fdref.respond(NET, asked, bank, X).shape[1] == len(bank)


def test_a_layer_without_filters_is_never_left_out_in_silence():
    for asked in (2, [1, 2], np.array([True, True, False, False])):
        with pytest.raises(fdref.ArgumentError, match=r"layer 2 \(pool\) has no filters"):
            fdref.evaluate(NET, X, asked)
