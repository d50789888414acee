"""The conformance kit: are its answers right?"""

from __future__ import annotations

import re
from pathlib import Path

import naive
import numpy as np
import pytest
from kit_cases import ANSWERED, CASES, SMALL, beyond, named
from slow_cases import slow

import fdref
import fdref.conformance
from fdref.conformance.case import EXACT, OPERATIONS
from fdref.conformance.compute import Library, compute, rounded
from fdref.conformance.expectations import excuses
from fdref.conformance.networks import network_of
from fdref.engines import patched
from fdref.measure.evaluation import compare
from fdref.walk.down import Decoding


@named([case for case in SMALL if case.id != "pool-max-nan"])
@pytest.mark.large
def test_what_is_expected_is_what_slow_loops_give(case):
    """In float64, rounded once; integers bit for bit."""
    for name, wanted in slow(case).items():
        expected = case.expected[name]
        rounded = np.asarray(wanted).astype(expected.dtype)
        if case.tolerance is EXACT:
            np.testing.assert_array_equal(expected, rounded)
        else:
            largest = np.abs(expected).max()
            np.testing.assert_allclose(expected, rounded, 2e-7, 1e-7 * largest)


def test_nan_wins_a_maximum():
    case = next(case for case in CASES if case.id == "pool-max-nan")
    seen = np.isnan(case.expected["pooled"][0, 0])
    assert np.argwhere(seen).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    clean = np.nan_to_num(case.inputs["images"], nan=0.0, neginf=-np.inf)
    others = naive.pool(clean, **case.parameters)[0, 0]
    np.testing.assert_array_equal(case.expected["pooled"][0, 0][~seen], others[~seen])


def test_documented_values_are_in_it():
    """The first rows that MATLAB's documentation of imresize and our specification show."""
    expected = {case.id: case.expected for case in CASES}
    rows = {
        "bilinear": [1, 1.25, 1.75, 2],
        "bicubic": [0.71875, 1.015625, 1.609375, 1.90625],
        "nearest": [1, 1, 2, 2],
    }
    for method, row in rows.items():
        assert expected[f"unpool-{method}-imresize"]["pictures"][0, 0, 0].tolist() == row
    shared = expected["unpool-window-example"]["pictures"][0, 0]
    assert shared.tolist() == [[1, 3, 2], [4, 10, 6], [3, 7, 4]]
    impulse = expected["correlate-impulse"]["response"][0, 0]
    np.testing.assert_array_equal(impulse[1:3, 1:4], [[6, 5, 4], [3, 2, 1]])
    replaced = expected["substitute-impulse"]["pictures"][0, 0]
    np.testing.assert_array_equal(replaced[1:3, 2:5], [[1, 2, 3], [4, 5, 6]])


@named(CASES)
def test_both_engines_pass(case, engine):
    assert beyond(case, compute(case, engine)) == []


@named(ANSWERED)
def test_the_library_that_mistakes_are_made_of_passes(case):
    """With parts that are given, but right."""
    right = Library(
        patched("reference", scale=lambda right, *more: right(*more)),
        read=lambda layer: layer,
        rules=Decoding,
        field=fdref.receptive_field,
        change=lambda found, *question: found,
    )
    found = right.outputs(case.operation, case.inputs, case.parameters)
    assert beyond(case, rounded(found, case.inputs)) == []


def test_lenets_digits_are_recognised():
    case = next(case for case in CASES if case.id == "forward-lenet")
    labels = fdref.mnist().test.labels[:2]
    assert case.expected["layer8"].argmax(axis=1).ravel().tolist() == labels.tolist()


def test_every_operation_has_exact_cases_rounded_cases_and_sections():
    assert [case.operation for case in CASES] == sorted(
        (case.operation for case in CASES), key=OPERATIONS.index
    )
    assert len({case.id for case in CASES}) == len(CASES)
    text = Path(fdref.conformance.__file__).with_name("SPECIFICATION.md").read_text()
    for case in CASES:
        assert re.search(rf"^(## |\*\*){re.escape(case.section)}\.? ", text, re.MULTILINE), case
        assert (case.section == "7") == case.refused
    for operation in OPERATIONS:
        own = [case for case in ANSWERED if case.operation == operation]
        assert any(case.tolerance.atol == 0 for case in own) or operation == "evaluate"
        assert any(case.tolerance.atol > 0 for case in own) or operation == "receptive_field"


def test_integers_are_small_enough_for_every_order_of_adding():
    for case in SMALL:
        if case.tolerance is EXACT and case.operation in ("correlate", "substitute", "decode"):
            for values in case.expected.values():
                limit = 2**24 if values.dtype == np.float32 else 2**53
                assert np.nan_to_num(np.abs(values)).max() < limit


@named([case for case in ANSWERED if "unpool-window" in case.id and case.tolerance is EXACT])
def test_every_way_of_sharing_gives_the_same_bits(case):
    """Divided, or times reciprocals that are rounded, by the area or along each axis."""
    maps, (height, width) = case.inputs["maps"], case.parameters["window"]
    down, across, area = (np.float32(1) / np.float32(n) for n in (height, width, height * width))
    for shares in (maps * area, maps * down * across, maps * across * down, maps / width / height):
        np.testing.assert_array_equal(shares, maps / (height * width))


def test_the_specification_lists_the_cases_of_the_method_that_is_not_the_papers():
    text = Path(fdref.conformance.__file__).with_name("SPECIFICATION.md").read_text()
    (line,) = (line for line in text.splitlines() if "leaves out its cases" in line)
    patterns = re.findall(r"`([a-z*-]*window[a-z*-]*)`", line)
    ids = [case.id for case in CASES]
    own = [c.id for c in CASES if "window" in (c.parameters.get(k) for k in ("method", "unpool"))]
    assert len(own) == 10
    assert sorted(excuses(patterns, ids)) == sorted(own)


def test_no_case_asks_for_a_layer_without_filters():
    """For units of others an implementation may decode or refuse."""
    for case in CASES:
        if case.operation in ("decode", "evaluate"):
            net, number = network_of(case.parameters, case.inputs, None), case.parameters["layer"]
            assert number in net.decodable or number > len(net)


@pytest.mark.parametrize(
    "operation",  # respond's sums are right to the last bit in the compiled engine
    sorted({case.operation for case in ANSWERED if case.tolerance.atol} - {"respond"}),
)
def test_a_tolerance_is_not_much_more_than_an_engine_in_float32_needs(operation):
    used = []
    for case in ANSWERED:
        if case.operation == operation and case.tolerance.atol and case.dtype == np.float32:
            for name, found in compute(case, "compiled").items():
                bound = case.tolerance.of(name).atol
                off = abs(found.astype(np.float64) - case.expected[name])
                used.append(off.max() / bound if bound else 0.0)
    assert 0.01 < max(used) <= 1


@named([case for case in ANSWERED if case.operation == "evaluate"])
def test_the_tolerance_of_eq_3_holds_what_roundings_do_and_not_much_more(case):
    """The responses are moved as far as they may be, each to where it makes most of the error."""
    own = case.tolerance
    sides = [case.expected[name].astype(np.float64) for name in ("response", "predicted")]
    bounds = [own.of(name).atol for name in ("response", "predicted")]

    def unit(side):
        rows = side.reshape(len(side), -1)
        low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
        return ((rows - low) / (high - low)).reshape(side.shape)

    apart = np.sign(unit(sides[0]) - unit(sides[1]))
    before = compare(*sides)[0]
    moved = compare(sides[0] + bounds[0] * apart, sides[1] - bounds[1] * apart)[0] - before
    assert abs(moved).max() <= own.of("errors").atol
    if before.max() > 1e-6:  # else there is no error to make more of
        assert own.of("errors").atol <= 400 * abs(moved).max()
