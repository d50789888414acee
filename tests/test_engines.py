"""Engines are objects: names stand for two of them, and anybody's may take their place."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from foreign_engine import NumpyEngine
from graph_strategies import SIDE, graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from kit_cases import ANSWERED, beyond, named
from strategies import seeds

import fdref
from fdref.arguments import shown
from fdref.conformance.compute import compute
from fdref.decoding.blocks import Plan
from fdref.engines import OPERATIONS, Engine, compiled, engine_named, name_of, patched, reference
from fdref.training.loss import backward
from fdref.walk.gradient import Gradient

FOREIGN = NumpyEngine()
LENET = fdref.load()
DIGITS = LENET.prepare(fdref.mnist().test.images[:5])
RNG = np.random.default_rng(7)


def real(*shape):
    return RNG.standard_normal(shape)


VARIED = fdref.Network(
    [
        fdref.Conv(real(8, 2, 3, 2), real(8), stride=(1, 2), pad=(1, 0, 2, 1)),
        fdref.BatchNorm(real(8), real(8), real(8), RNG.random(8) + 0.5),
        fdref.ReLU(0.125),
        fdref.Normalize(4, 1, 0.5, 0.75),
        fdref.Pool((3, 2), (2, 2), (1, 0, 0, 1), "avg"),
        fdref.Scale(real(8), real(8)),
        fdref.PReLU(RNG.random(8)),
        fdref.Conv(real(6, 4, 2, 3), dilate=(2, 1)),
        fdref.ReLU(),
        fdref.Pool(2, 2),
        fdref.Conv(real(5, 6, 2, 1), real(5)),
        fdref.Softmax(),
    ]
)
IMAGES = real(3, 2, 17, 19)


def close(found, expected):
    """Equal but for float32's roundings."""
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


class TestForeign:
    @pytest.mark.parametrize(("net", "images"), [(LENET, DIGITS), (VARIED, IMAGES)])
    def test_it_runs_networks(self, net, images):
        expected = fdref.forward(net, images, "reference")
        for found, right in zip(fdref.forward(net, images, FOREIGN), expected, strict=True):
            close(found, right)

    @pytest.mark.parametrize("unpool", ["nearest", "bilinear", "bicubic", "window"])
    @pytest.mark.parametrize(
        "net", [pytest.param(LENET, marks=pytest.mark.slow), VARIED], ids=["lenet", "varied"]
    )
    def test_it_decodes_from_above_and_by_the_shortest_ways(self, net, unpool):
        expected = fdref.decode_all(net, unpool, "reference")
        found = fdref.decode_all(net, unpool, FOREIGN)
        for number, right in expected.items():
            close(found[number], right)
            stages = fdref.stages(net, number, [1, 3], unpool, FOREIGN)
            close(stages[-1], right[[1, 3]])

    def test_it_is_evaluated(self):
        expected = fdref.evaluate(LENET, DIGITS, [3], engine="reference")
        found = fdref.evaluate(LENET, DIGITS, [3], engine=FOREIGN)
        for number, right in expected.items():
            np.testing.assert_allclose(found[number].errors, right.errors, 1e-4, 1e-6)
            np.testing.assert_allclose(found[number].correlations, right.correlations, atol=1e-4)
        bank = fdref.decode(LENET, 3)
        response = fdref.respond(LENET, 3, bank, DIGITS, FOREIGN)
        close(response, fdref.respond(LENET, 3, bank, DIGITS, "reference"))

    def test_it_trains(self):
        labels = (fdref.mnist().test.labels[:5] + 1) % 10
        acts = fdref.forward(LENET, DIGITS, "reference")
        expected = backward(LENET, acts, labels, "reference")
        found = backward(LENET, fdref.forward(LENET, DIGITS, FOREIGN), labels, FOREIGN)
        for number, pairs in expected.items():
            for gradient, right in zip(found[number], pairs, strict=True):
                np.testing.assert_allclose(gradient, right, atol=1e-4 * np.abs(right).max())

    @named([case for case in ANSWERED if case.tolerance.atol and "pool-max" not in case.id])
    def test_it_conforms(self, case):
        assert beyond(case, compute(case, FOREIGN)) == []

    def test_a_file_knows_it_by_name(self, tmp_path):
        path = tmp_path / "decoded.h5"
        fdref.decode_to(path, LENET, [3], engine=FOREIGN)
        with h5py.File(path) as file:
            assert file["layer3"].attrs["engine"] == "foreign_engine.NumpyEngine"
            close(file["layer3"][:], fdref.decode(LENET, 3, engine="reference"))
        with pytest.raises(fdref.FileError, match=r"another engine, foreign_engine\.NumpyEngine"):
            fdref.decode_to(path, LENET, [1])


class TestWays:
    """Whose ways are chosen is the engine's to say, not its name's."""

    def plan(self, engine):
        return Plan(LENET, {3: range(50), 5: range(500)}, "nearest", engine)

    def test_they_are_the_shortest(self):
        own, theirs = self.plan("compiled").choice, self.plan(FOREIGN).choice
        assert [way.kind for way in theirs.ways] == [way.kind for way in own.ways]
        assert {way.kind for way in theirs.ways} != {"from above"}

    @pytest.mark.parametrize("engine", ["reference", reference, patched("reference")])
    def test_or_the_papers(self, engine):
        assert {way.kind for way in self.plan(engine).choice.ways} == {"from above"}

    def test_a_plan_with_a_name_can_be_pickled(self):
        for name in ("compiled", "reference"):
            plan = Plan(LENET, {3: range(50)}, "nearest", name)
            again = pickle.loads(pickle.dumps(plan))  # noqa: S301 - it is ours
            assert again.engine == name
            for one, other in zip(again, plan, strict=True):
                np.testing.assert_array_equal(one.pictures, other.pictures)


class TestNames:
    def test_they_stand_for_objects(self):
        assert engine_named("compiled") is engine_named(compiled) is compiled
        assert engine_named(FOREIGN) is FOREIGN
        assert name_of("compiled") == name_of(compiled) == "compiled"

    def test_numba_is_imported_no_sooner_than_needed(self):
        code = (
            "import sys, fdref; fdref.forward(fdref.load(), [[[[0.0] * 28] * 28]], 'reference');"
            "assert not {'numba', 'fdref.engines.compiled'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize(
        ("wrong", "problem"),
        [
            (None, "engine is None; expected 'compiled', 'reference', or an object with all"),
            (3, "engine is 3"),
            (np.zeros(20), "engine is a float64 array"),
            ("numba", "engine is 'numba'; expected 'compiled' or 'reference'"),
            (NumpyEngine, "engine is <class 'foreign_engine.NumpyEngine'>"),
            (np, "engine numpy has no precision, "),
            (
                SimpleNamespace(**{name: len for name in OPERATIONS if name != "relu"}),
                "engine types.SimpleNamespace has no relu; expected",
            ),
            (
                SimpleNamespace(**dict.fromkeys(OPERATIONS, str)),
                "engine types.SimpleNamespace has the precision 'float32'; expected",
            ),
            (patched(FOREIGN, precision=lambda *_: np.dtype(np.float16)), "the precision dtype("),
        ],
        ids=shown,
    )
    def test_what_is_no_engine_is_refused_in_one_line(self, wrong, problem, tmp_path):
        path = tmp_path / "decoded.h5"
        for call in (
            lambda: fdref.forward(LENET, DIGITS, wrong),
            lambda: fdref.decode(LENET, 3, engine=wrong),
            lambda: fdref.decode_all(LENET, engine=wrong),
            lambda: fdref.decode_to(path, LENET, engine=wrong),
            lambda: fdref.evaluate(LENET, DIGITS, engine=wrong),
            lambda: fdref.respond(LENET, 1, LENET[1].filters, DIGITS, wrong),
            lambda: fdref.pool(DIGITS, 2, 2, engine=wrong),
        ):
            with pytest.raises(fdref.ArgumentError) as caught:
                call()
            assert problem in str(caught.value)
            assert "\n" not in str(caught.value)
        assert not path.exists()


class TestPatched:
    @pytest.mark.parametrize("engine", ["compiled", "reference", FOREIGN])
    def test_without_a_patch_it_is_the_engine(self, engine):
        for found, right in zip(
            fdref.forward(VARIED, IMAGES, patched(engine)),
            fdref.forward(VARIED, IMAGES, engine),
            strict=True,
        ):
            np.testing.assert_array_equal(found, right)

    @pytest.mark.parametrize(
        ("operation", "layers"),
        {
            "correlate": (1, 8, 11),
            "scale": (2, 6),
            "relu": (3, 7, 9),
            "normalize": (4,),
            "pool": (5, 10),
            "softmax": (12,),
        }.items(),
    )
    def test_the_forward_pass_asks_the_engine(self, operation, layers):
        """Of each layer's arithmetic: what is added to an operation is found in its layers."""
        odd = patched("reference", **{operation: lambda right, *more: right(*more) + 1})
        right, wrong = (fdref.forward(VARIED, IMAGES, one) for one in ("reference", odd))
        assert not any(np.array_equal(right[n], wrong[n]) for n in layers)
        first = layers[0]
        np.testing.assert_array_equal(wrong[first - 1], right[first - 1])
        np.testing.assert_array_equal(wrong[first], right[first] + 1)

    def test_decoding_asks_for_a_scale_without_an_offset(self):
        asked = []

        def scale(right, images, factor, offset, mean):
            asked.append((factor.shape, offset, mean))
            return right(images, 2 * factor, offset, mean)

        twice = patched("reference", scale=scale)
        right = fdref.decode(VARIED, 8, engine="reference")
        np.testing.assert_array_equal(fdref.decode(VARIED, 8, engine=twice), 4 * right)
        assert asked == [((8,), None, None)] * 2

    def test_what_there_is_not_cannot_be_replaced(self):
        with pytest.raises(fdref.ArgumentError, match="operation is 'rlu'; expected one of"):
            patched("reference", rlu=len)
        with pytest.raises(fdref.ArgumentError, match="engine is None"):
            patched(None)

    def test_ours_have_all_operations(self):
        for engine in (compiled, reference):
            assert set(OPERATIONS) == set(engine.__all__)
        assert fdref.Engine is Engine


def as_promised(right, *arguments):
    """Check what an engine is handed: contiguous arrays of its dtype."""
    arrays = [value for value in arguments if isinstance(value, np.ndarray)]
    for array in arrays:
        assert array.flags.c_contiguous
        assert array.dtype == np.float64
    return right(*arguments)


STRICT = patched("compiled", **{name: as_promised for name in OPERATIONS if name != "precision"})


@pytest.mark.slow
@settings(max_examples=60)
@given(graphs(linear=False), seeds, st.sampled_from(["bicubic", "nearest", "window"]))
def test_an_engine_is_handed_what_is_promised(net, seed, unpool):
    random = np.random.default_rng(seed)
    inputs = [random.standard_normal((2, channels, *SIDE)) for channels in net.input_channels]
    maps = dict(enumerate(fdref.forward(net, inputs if net.inputs > 1 else inputs[0], STRICT)))
    maps |= {-number: images for number, images in enumerate(inputs)}
    delta = random.standard_normal(maps[len(net)].shape)
    Gradient(net, maps, STRICT).down_to({len(net): delta})
    for number in net.decodable:
        with suppress(fdref.ArgumentError):  # of several ways to the image, there is no one filter
            right = fdref.decode(net, number, unpool=unpool)
            found = fdref.decode(net, number, unpool=unpool, engine=STRICT)
            np.testing.assert_array_equal(found, right)
            fdref.stages(net, number, [0], unpool, STRICT)
