"""The conformance kit: are its answers right?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
from kit_cases import ANSWERED, CASES, SMALL, beyond, named
from slow_cases import slow

import fdref
import fdref.conformance
from fdref import BatchNorm, Normalize, Pool, Softmax
from fdref.conformance.case import EXACT, OPERATIONS
from fdref.conformance.cases.disturbed import Noise, outputs_with
from fdref.conformance.cases.disturbed import tolerance_of as disturbed_tolerance
from fdref.conformance.cases.tolerances import in_line, tolerance_of, upwards
from fdref.conformance.compute import Library, call, compute, kept_alone, rounded
from fdref.conformance.expectations import excuses
from fdref.conformance.mistakes.projections import Whole
from fdref.conformance.networks import is_graph, network_of
from fdref.conformance.occlusion import BruteForce
from fdref.engines import patched
from fdref.measure.evaluation import compare
from fdref.walk.down import Decoding

EVALUATED = [
    case
    for case in ANSWERED
    if case.operation == "evaluate" and not np.isnan(case.expected["errors"]).any()
]


@named(SMALL)
@pytest.mark.large
@np.errstate(all="ignore")  # some cases are of NaN and infinities
def test_what_is_expected_is_what_slow_loops_give(case):
    """In float64, rounded once; integers bit for bit."""
    for name, wanted in slow(case).items():
        expected = case.expected[name]
        rounded = np.asarray(wanted).astype(expected.dtype)
        if case.tolerance is EXACT:
            np.testing.assert_array_equal(expected, rounded)
        else:
            largest = np.nan_to_num(np.abs(expected)).max()
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
        way=Whole,
        start=kept_alone,
        sight=BruteForce,
        field=fdref.receptive_field,
        change=lambda found, *question: found,
    )
    with np.errstate(all="ignore"):  # some cases are of NaN and infinities
        found = right.outputs(case.operation, case.inputs, case.parameters)
    assert beyond(case, rounded(found, case.inputs)) == []


def test_lenets_digit_is_recognised():
    case = next(case for case in CASES if case.id == "forward-lenet")
    labels = fdref.mnist().test.labels[:1]
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
        exact = any(case.tolerance.of(name).atol == 0 for case in own for name in case.expected)
        assert exact or operation == "evaluate"
        assert any(case.tolerance.atol > 0 for case in own) or operation == "receptive_field"


def test_integers_are_small_enough_for_every_order_of_adding():
    for case in SMALL:
        if case.tolerance is EXACT and case.operation in (
            "correlate",
            "substitute",
            "decode",
            "project",
        ):
            for values in case.expected.values():
                limit = 2**24 if values.dtype == np.float32 else 2**53
                assert np.abs(values[np.isfinite(values)]).max(initial=0) < limit


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
    assert len(own) == 18
    assert sorted(excuses(patterns, ids)) == sorted(own)


def test_the_specification_lists_the_cases_that_chains_alone_leave_out():
    text = Path(fdref.conformance.__file__).with_name("SPECIFICATION.md").read_text()
    (line,) = (line for line in text.splitlines() if "for chains alone leaves out" in line)
    patterns = re.findall(r"`([a-z*-]+)`", line)
    own = [c.id for c in CASES if is_graph(c.parameters) or "input_size" in c.parameters]
    assert sorted(excuses(patterns, [case.id for case in CASES])) == sorted(own)


def test_no_case_asks_for_a_layer_without_filters():
    """For units of others an implementation may decode or refuse, but where 9.2 says how."""
    for case in CASES:
        if case.operation in ("decode", "evaluate"):
            net, number = network_of(case.parameters, case.inputs, None), case.parameters["layer"]
            in_graphs = is_graph(case.parameters) if number in net else case.refused
            assert number in net.decodable or in_graphs


@pytest.mark.parametrize(
    ("operation", "method", "least"),
    [("correlate", None, 0.05), ("substitute", None, 0.03), ("respond", None, 0.005),
     ("pool", "avg", 0.03), ("relu", None, 0.015), ("normalize", None, 0.01), ("bnorm", None, 0.1),
     ("unpool", "bilinear", 0.03), ("unpool", "bicubic", 0.03)],
)  # fmt: skip
def test_float32_needs_a_fair_part_of_a_tolerance(operation, method, least):
    """With so many images that some are off as far as it gets; a tenth of the roundings is less."""
    random, used = np.random.default_rng(0), []
    for case in ANSWERED:
        if (case.operation, case.dtype, case.tolerance is EXACT) != (operation, np.float32, False):
            continue
        if "nan" in case.id:
            continue
        if method in (None, case.parameters.get("method")):
            maps = "maps" if "maps" in case.inputs else "images"
            shape = 400, *case.inputs[maps].shape[1:]
            many = random.uniform(0.5, 1, shape).astype(np.float32)
            inputs = {**case.inputs, maps: many * abs(case.inputs[maps]).max()}
            if operation == "relu":
                inputs[maps] *= -1
            for filters in {"filters", "bank"} & inputs.keys():
                own = random.uniform(0.5, 1, inputs[filters].shape)
                inputs[filters] = own.astype(np.float32)
            double = {name: values.astype(np.float64) for name, values in inputs.items()}
            right = compute(replace(case, inputs=double), "reference")
            larger = replace(case, inputs=inputs, expected=right)
            bound = tolerance_of(larger)
            assert (bound.rtol, bound.outputs) == (0, {})
            ((name, found),) = compute(larger).items()
            used.append(abs(found - right[name]).max() / bound.atol)
    assert least < max(used) <= 1


@pytest.mark.parametrize("operation", ["decode", "evaluate", "forward", "project", "occlude"])
def test_float32_needs_a_part_of_the_tolerance_of_a_network(operation):
    used = []
    for case in ANSWERED:
        assert case.tolerance.rtol == 0
        if case.operation == operation and case.tolerance.atol and case.dtype == np.float32:
            for name, found in compute(case).items():
                bound = case.tolerance.of(name).atol
                off = np.nan_to_num(abs(found.astype(np.float64) - case.expected[name]))
                used.append(off.max() / bound if bound else 0.0)
    assert 0.01 < max(used) <= 1


def moved(case, seed):
    """How far roundings, each as large as it may be, move a projection, in tolerances."""
    noise = Noise()
    noise.random = np.random.RandomState(seed)
    found = outputs_with(noise, case, network_of(case.parameters, case.inputs, None))
    return abs(found["pictures"] - case.expected["pictures"]).max() / case.tolerance.atol


@named([case for case in ANSWERED if case.operation == "project" and case.tolerance.atol])
def test_no_rounding_within_a_tolerance_moves_a_switch(case):
    """Draws differ, by how far the activation that is kept is off; a switch is another order."""
    assert max(moved(case, seed) for seed in range(1, 7)) < 4


@pytest.mark.large
def test_that_a_switch_moved_would_be_seen():
    """Of this digit two pixels are so close that roundings may make either the maximum."""
    case = next(case for case in CASES if case.id == "project-lenet7-gradient")
    zero = fdref.load().prepare(fdref.mnist().test.images[10:11])
    known = {**case.parameters, "kept": [[0, 0, 0, 0]]}
    close = replace(case, inputs={"images": zero}, parameters=known)
    close = replace(close, expected=compute(close, "reference"))
    close = replace(close, tolerance=disturbed_tolerance(close, fdref.load()))
    apart = [moved(close, seed) for seed in range(8)]
    assert max(apart) > 20 * min(apart)


def test_projections_that_are_known():
    """A pool's first maximum by rows takes its 2 down, and all of what two windows share."""
    known = {"layer": 2, "rule": "deconvnet", "kept": [[0, 0, 0, 0], [0, 1, 0, 0]]}
    conv = {"type": "conv", "bias": None, "stride": [1, 1], "pad": [0] * 4, "dilate": [1, 1]}
    pool = {"type": "pool", "window": [2, 2], "stride": [1, 1], "pad": [0] * 4, "method": "max"}
    network = [pool, {**conv, "filters": "filters2", "groups": 1}]
    images = np.array([[[[1, 2, 0], [2, 2, 0]]]], np.float32)
    filters = np.array([[[[1, 1]]], [[[1, -1]]]], np.float32)
    inputs = {"images": images, "filters2": filters}
    (pictures,) = call("project", inputs, {**known, "network": network}).values()
    assert pictures[0, 0].tolist() == [[0, 8, 0], [0, 0, 0]]
    assert not pictures[1].any()


@pytest.mark.parametrize(
    "layer",
    [
        Softmax(),
        BatchNorm(*np.full((4, 8), [[1.3], [0.7], [0.3], [1.7]], np.float32)),
        Normalize(5, 1.0, 1.0, 0.75),
        Pool(3, 1, method="avg"),
    ],
    ids=lambda layer: layer.kind,
)
def test_the_roundings_of_a_layer_are_counted(layer):
    """Of its largest value; float32 makes no more of them, and no less than one in twenty."""
    filters = np.eye(8, dtype=np.float32)[:, :, None, None]
    net = fdref.Network([fdref.Conv(filters), layer])
    x = np.random.default_rng(0).uniform(-10, 10, (20, 8, 30, 30)).astype(np.float32)
    found, right = fdref.forward(net, x)[2], fdref.forward(net, x, "reference")[2]
    assert (found.dtype, right.dtype) == (np.float32, np.float64)
    off = abs(found - right).max() / abs(right).max() / np.finfo(np.float32).eps
    assert off <= upwards(layer) <= 20 * off


def test_many_roundings_go_both_ways():
    """Numbers added one by one in float32; of few, all may go the same way."""
    assert [in_line(count) for count in (0, 1, 15, 16)] == [0, 1, 15, 16]
    rows = np.random.default_rng(0).uniform(0, 1, (200, 10_000)).astype(np.float32)
    right = rows.sum(axis=1, dtype=np.float64)
    off = abs(np.cumsum(rows, axis=1)[:, -1] - right) / right / np.finfo(np.float32).eps
    assert off.max() <= in_line(10_000) <= 20 * off.max()


@named(EVALUATED)
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


@named(EVALUATED)
def test_the_tolerance_of_correlations_holds_what_roundings_do_and_not_much_more(case):
    """Likewise, each response to where it makes most of the correlation, or least."""
    own = case.tolerance
    sides = [case.expected[name].astype(np.float64) for name in ("response", "predicted")]
    before = compare(*sides)[1]
    rows = [side.reshape(len(side), -1) for side in sides]
    rows = [row - row.mean(axis=1, keepdims=True) for row in rows]
    units = [row / np.linalg.norm(row, axis=1, keepdims=True) for row in rows]
    most = 0.0
    for sign in (1, -1):
        moved = []
        for side, unit, other, name in zip(
            sides, units, units[::-1], ("response", "predicted"), strict=True
        ):
            uphill = np.sign(other - before[:, None] * unit).reshape(side.shape)
            moved.append(side + sign * own.of(name).atol * uphill)
        most = max(most, abs(compare(*moved)[1] - before).max())
    assert most <= own.of("correlations").atol
    if (1 - abs(before)).max() > 0.01:  # else nothing moves it
        assert own.of("correlations").atol <= 20 * most
