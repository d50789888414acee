"""Cases of somebody's own network: which are asked, are they right, how far off may one be?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from command_line import bank
from kit_cases import beyond
from own_networks import GRAPH, SMALL, own, question
from slow_graph import slow_stages

import fdref
from fdref import BatchNorm, Concat, Conv, ConvTranspose, Network, Pool, ReLU, Scale, Sum
from fdref.conformance.case import result_type
from fdref.conformance.cases.choice import MOST_FORWARD, MOST_WORK
from fdref.conformance.cases.model import answered, listed, natural, questions
from fdref.conformance.cases.tolerances import tolerance_of as counted
from fdref.conformance.compute import Library, rounded
from fdref.conformance.model import model_of
from fdref.conformance.networks import network_of
from fdref.errors import NetworkError


@pytest.fixture(scope="module")
def small():
    return model_of(SMALL)


class TestAnswers:
    def test_stages_of_a_graph_are_what_the_specification_says(self):
        cases = [case for case in model_of(GRAPH).cases if case.operation == "decode"]
        above = {c.parameters["layer"] for c in cases if c.parameters["unpool"] == "window"}
        assert above == {8, 11}  # a pool lies below, which copies under the other methods
        for case in cases:
            for place, k in enumerate(case.parameters["filters"]):
                stages = slow_stages(GRAPH, case.parameters, k)
                for (wanted, _), found in zip(stages, case.expected.values(), strict=True):
                    assert wanted.shape == found[place].shape
                    largest = np.abs(wanted).max()
                    np.testing.assert_allclose(found[place], wanted, 0, 1e-6 * largest)

    def test_maps_and_predictions_are_those_of_the_library(self, small):
        asked = {case.operation: case for case in small.cases}
        images = asked["forward"].inputs["images"]
        assert images.dtype == np.float32
        assert images.shape == (1, 2, 9, 12)
        assert (images == np.rint(images)).all()
        maps = fdref.forward(SMALL, images, "reference")
        for number, values in enumerate(asked["forward"].expected.values(), 1):
            np.testing.assert_allclose(values, maps[number], 1e-6, 1e-30)
        case = asked["evaluate"]
        known = case.parameters
        found = fdref.evaluate(
            SMALL, case.inputs["images"], known["layer"], known["unpool"], "reference"
        )[known["layer"]]
        np.testing.assert_allclose(case.expected["errors"], found.errors, 1e-5)

    @pytest.mark.large
    def test_a_part_of_the_outputs_is_asked_for_where_all_are_too_many(self):
        weights = [bank(24, count, 3, 3, seed=count) / 8 for count in (1, 24)]
        deep = Network([Conv(weights[0], pad=1), *[Conv(weights[1], pad=1)] * 15], input_size=64)
        (asked,) = (c for c in questions(deep).cases if c.operation == "forward")
        case = answered(asked, deep)
        assert len(case.parameters["layers"]) == 5
        assert case.parameters["layers"][-1] == 16
        assert list(case.expected) == [f"layer{n}" for n in case.parameters["layers"]]
        maps = fdref.forward(deep, case.inputs["images"], "reference")
        assert all(v.shape == maps[int(k[5:])].shape for k, v in case.expected.items())
        got = rounded(Library("compiled", model=deep).outputs("forward", *question(case)), {})
        assert beyond(case, got) == []

    def test_images_are_the_same_everywhere(self):
        pictures = natural(1, (1, 1, 9, 10))
        assert pictures[0, 0, 0, :5].tolist() == [154, 160, 111, 107, 131]
        assert natural(2, (4, 3, 50, 50)).min() >= 0
        assert natural(2, (4, 3, 50, 50)).max() <= 252

    def test_weights_in_float64_change_no_type(self):
        wide = Network([Conv(bank(3, 1, 3, 3).astype(float) / 3), ReLU()], input_size=8)
        for case in model_of(wide).cases:
            assert result_type(case.inputs) == np.float32
            assert {values.dtype.name for values in case.expected.values()} == {"float32"}
            for engine in ("compiled", "reference"):
                found = Library(engine, model=wide).outputs(case.operation, *question(case))
                assert beyond(case, rounded(found, case.inputs)) == []


class TestTolerances:
    """They hold where what is rounded cancels, is cut off, or is small beside what is not."""

    CANCELS = (
        Conv(bank(3, 1, 3, 3), np.full(3, 1e5, np.float32), pad=1),
        BatchNorm(*np.float32([[1, 1, 1], [0, 0, 0], [1e5, 1e5, 1e5], [1, 1, 1]])),
    )

    @pytest.mark.parametrize(
        ("layers", "wiring"),
        [
            ([*CANCELS], {}),
            ([Conv(bank(2, 1, 3, 3), np.float32([-1e5, 1e5]), pad=1), Sum()], {2: [1, 1]}),
            (
                [
                    *CANCELS[:1],
                    Scale(np.full(3, -1.0, np.float32)),
                    Conv(bank(3, 1, 3, 3) / 64, np.full(3, 1e5, np.float32), pad=1),
                    Sum(),
                ],
                {3: 0, 4: [2, 3]},
            ),
        ],
        ids=["bnorm", "sum", "difference"],
    )
    def test_they_hold(self, layers, wiring):
        net = Network(layers, wiring=wiring, input_size=16)
        for case in model_of(net).cases:
            got = Library("compiled", model=net).outputs(case.operation, *question(case))
            assert beyond(case, rounded(got, case.inputs)) == []

    def test_counting_alone_would_not(self):
        net = Network(self.CANCELS, input_size=16)
        case = model_of(net).cases[0]
        assert case.operation == "forward"
        chain = replace(case, parameters={"network": described(net)}, inputs=arrays(case, net))
        got = Library("compiled", model=net).outputs("forward", *question(case))
        assert network_of(chain.parameters, chain.inputs, None).layers == net.layers
        assert beyond(replace(case, tolerance=counted(chain)), got) != []
        assert beyond(case, got) == []


def described(net):
    """Describe a convolution and a batch normalisation as the general cases do."""
    conv = {"type": "conv", "filters": "filters1", "bias": "bias1", "stride": [1, 1]}
    conv |= {"pad": list(net[1].pad), "dilate": [1, 1], "groups": 1}
    return [conv, {"type": "bnorm", "gain": "gain", "bias": "shift", "moments": "moments"}]


def arrays(case, net):
    norm = net[2]
    moments = np.stack([norm.mean, norm.deviation], axis=1)
    weights = {"filters1": net[1].filters, "bias1": net[1].bias}
    weights |= {"gain": norm.gain, "shift": norm.bias, "moments": moments}
    return {**case.inputs, **weights}


class TestChoice:
    def test_everything_stays_within_bounds(self):
        """A VGG-16's first ten convolutions, eight times as wide as they need be."""
        channels, layers = 3, []
        for count in (64, 64, 128, 128, 256, 256, 256, 512, 512, 512):
            layers += [Conv(np.zeros((count, channels, 3, 3), np.float32), pad=1), ReLU()]
            layers += [Pool(2, 2)] * (count > channels > 3)
            channels = count
        for size in (None, 224):
            found = questions(Network(layers, input_size=size))
            assert all(work <= MOST_FORWARD for work in found.work)
            decoding = [
                w for c, w in zip(found.cases, found.work, strict=True) if c.operation == "decode"
            ]
            assert decoding
            assert max(decoding) <= MOST_WORK
            assert any("no case decodes layers" in line for line in found.left_out)
            assert any("forward-model leaves out" in line for line in found.left_out)
            assert len(found.cases) <= 23

    def test_what_has_no_single_filter_runs_forward_only(self):
        """Ways of different jumps meet."""
        layers = [
            Conv(bank(2, 1, 5, 5), name="by 1"),
            Conv(bank(2, 1, 2, 2), stride=2, name="by 2"),
            Sum(name="meet"),
            Conv(bank(2, 2, 1, 1), name="above"),
        ]
        found = questions(Network(layers, wiring={2: 0, 3: [1, 2]}, input_size=8))
        asked = {(c.operation, c.parameters.get("layer")) for c in found.cases}
        assert asked == {("forward", None), ("decode", 1), ("decode", 2), ("evaluate", 2)}
        assert found.left_out == ["no case decodes layer 4: too large, or of no single filter"]

    def test_pools_that_share_are_asked_for_their_picture_alone(self):
        shared = Network(
            [
                Conv(bank(2, 2, 2, 2), stride=2, name="a"),
                Pool(2, 2, name="b"),
                Concat(),
                Conv(bank(3, 4, 2, 2)),
            ],
            wiring={2: 0, 3: [1, 2]},
        )
        assert shared.copies[4] == (1, 4)
        asked = [c for c in questions(shared).cases if c.parameters.get("layer") == 4]
        assert [c.parameters["stages"] for c in asked if c.operation == "decode"] == [[4]] * 4
        for case in own(model_of(shared).cases):
            got = Library("compiled", model=shared).outputs(case.operation, *question(case))
            assert beyond(case, rounded(got, case.inputs)) == []

    def test_an_image_is_found_that_fits(self):
        """Halves twice and doubles again: sides must be multiples of 4."""
        layers = [
            Conv(bank(2, 1, 1, 1)),
            Conv(bank(2, 2, 2, 2), stride=2),
            Conv(bank(2, 2, 2, 2), stride=2),
            ConvTranspose(bank(2, 2, 4, 4), upsample=4),
            Concat(),
        ]
        net = Network(layers, wiring={5: [1, 4]})
        asked = next(c for c in questions(net).cases if c.operation == "forward")
        assert asked.inputs["images"].shape == (1, 1, 8, 12)
        none = Network(
            [Conv(bank(2, 1, 3, 3)), Conv(bank(2, 1, 5, 5)), Sum()], wiring={2: 0, 3: [1, 2]}
        )
        with pytest.raises(NetworkError, match="no image of up to 1024 pixels fits: layer 3"):
            questions(none)

    def test_what_has_no_score_is_left_out_and_said(self):
        one = Network([Conv(bank(1, 1, 4, 4))], input_size=4)
        asked = model_of(one)
        assert [case.id for case in asked.cases] == ["forward-model", "decode-model1-nearest"]
        assert asked.left_out == (
            "evaluate-model1-nearest is not asked: not all of its numbers are finite in float32",
        )

    def test_ranges_are_written(self):
        assert listed([]) == ""
        assert listed([4]) == "4"
        assert listed([1, 2, 4, 5, 6, 9]) == "1, 2, 4-6, 9"
