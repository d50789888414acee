"""`fdref kit --model`: cases of somebody's own network, their answers, tolerances and verdicts."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from command_line import bank, everything_in, refusal, run
from kit_cases import CASES, beyond
from slow_graph import slow_stages

import fdref
from fdref import BatchNorm, Concat, Conv, ConvTranspose, Network, Pool, ReLU, Scale, Softmax, Sum
from fdref.conformance.case import result_type
from fdref.conformance.cases.choice import MOST_FORWARD, MOST_WORK
from fdref.conformance.cases.model import answered, listed, natural, questions
from fdref.conformance.cases.tolerances import tolerance_of as counted
from fdref.conformance.compute import Library, compute, rounded
from fdref.conformance.examination import examine
from fdref.conformance.kit import contents, read_kit, write_kit
from fdref.conformance.model import known_part, model_of
from fdref.conformance.networks import network_of
from fdref.engines import patched
from fdref.errors import ArgumentError, FileError, NetworkError
from fdref.layers import PReLU, Unknown
from fdref.testing import assert_conforms
from fdref.weights import SHIPPED

FILES = {
    "lenet": None,
    "plate": "plate-simplenn-v5.mat",
    "dncnn": "dncnn-gray-dagnn-v73.mat",
    "lapsrn": "lapsrn-x2-dagnn-v5.mat",
}
SMALL = Network(
    [
        Conv(bank(3, 2, 3, 3), bank(3), pad=(1, 0, 1, 1), name="low"),
        ReLU(0.1),
        Pool((2, 3), 2, name="shrink"),
        Conv(bank(4, 3, 2, 2, seed=1), name="high"),
        Softmax(),
    ],
    average=np.array([17.25, 99.5], np.float32),
    input_size=(9, 12),
)
"""A chain that is soon asked about."""
GRAPH = Network(
    [
        Conv(bank(4, 2, 3, 2), bank(4), stride=(1, 2), pad=(1, 2, 0, 1), name="stem"),
        BatchNorm(bank(4, seed=1), bank(4), bank(4), abs(bank(4)) + 0.5),
        ReLU(),
        Conv(bank(6, 2, 2, 3, seed=2), pad=(0, 1, 1, 1), name="grouped"),
        Conv(bank(2, 4, 3, 3, seed=3), dilate=(1, 2), pad=(1, 1, 2, 2), name="dilated"),
        Concat(name="side by side"),
        Pool(2, 2, method="avg"),
        Conv(bank(8, 8, 1, 1, seed=4), bank(8), name="one by one"),
        Scale(bank(8, seed=5), bank(8)),
        Sum(name="sum"),
        ConvTranspose(bank(8, 2, 3, 4, seed=6), bank(4), 2, (1, 0, 1, 1), groups=2, name="wide"),
    ],
    wiring={5: 3, 6: [4, 5], 10: [7, 9, 7]},
    input_size=(12, 14),
)
"""Every layer that MatConvNet joins maps with, groups, a border, a map that is summed twice."""


def own(found):
    """The cases of a kit's own network."""
    return [case for case in found if "-model" in case.id]


@pytest.fixture(scope="module")
def kit_of(request, tmp_path_factory):
    """Kits of real files, each written once, by the command."""

    @cache
    def write(name):
        folder = tmp_path_factory.mktemp("kit") / name
        assert run("kit", folder, "--model", path_of(request, name), "--quiet") == 0
        return folder

    return write


def path_of(request, name):
    file = FILES[name]
    return SHIPPED if file is None else request.getfixturevalue("shared") / "models" / file


@pytest.fixture(params=FILES)
def written(request, kit_of):
    """A kit of a real file."""
    return kit_of(request.param)


@pytest.fixture(scope="module")
def small():
    return model_of(SMALL)


@pytest.fixture(scope="module")
def small_kit(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit") / "small"
    assert write_kit(folder, "npz", small) == len(CASES) + len(small.cases)
    return folder


@pytest.mark.large
class TestRealFiles:
    def test_the_network_is_written_as_save_writes_it(self, written, request, tmp_path):
        net, _ = known_part(fdref.load(path_of(request, written.name)))
        fdref.save(net, tmp_path / "saved.mat")
        data = (written / "model.mat").read_bytes()
        assert data == (tmp_path / "saved.mat").read_bytes()
        assert fdref.load(written / "model.mat") == net

    def test_there_are_cases_of_every_kind(self, written):
        kit, net = read_kit(written), fdref.load(written / "model.mat")
        cases = own(kit.cases)
        assert {case.operation for case in cases} == {"forward", "decode", "evaluate"}
        decoded = {case.parameters["layer"] for case in cases if case.operation == "decode"}
        assert net.decodable[0] in decoded
        assert max(decoded) in (net.decodable[-1], len(net))
        assert 2 < len(decoded) <= 5 or len(net.decodable) < 5
        pools = any(isinstance(layer, Pool) for layer in net)
        methods = {case.parameters["unpool"] for case in cases if case.operation == "decode"}
        assert len(methods) == (4 if pools else 1)
        assert not np.any([case.refused for case in cases])
        assert all(case.section == "9" for case in cases)

    def test_both_engines_pass(self, written, engine, capsys):
        assert run("check", written, "--engine", engine) == 0
        count = len(read_kit(written).cases)
        assert f"conforms: {count} of {count} cases pass" in capsys.readouterr().out

    def test_a_tolerance_is_no_blank_cheque(self, written):
        """At most 1 part in 1,000 of the largest value; what an engine in float32 needs is less."""
        for case in own(read_kit(written).cases):
            for name, found in compute(case, "compiled", written).items():
                expected, atol = case.expected[name], case.tolerance.of(name).atol
                if case.operation != "evaluate" or name in ("response", "predicted"):
                    assert atol <= 1e-3 * np.abs(expected).max()
                assert np.abs(found - expected).max() <= 0.6 * atol


def half(wrong, right, *arguments):
    """Err in what is multiplied only."""
    x, weights, *more = arguments
    return right(x, wrong(weights), *more)


BUGS = {
    "substitution-flipped": {
        "substitute": partial(half, lambda w: np.ascontiguousarray(w[:, :, ::-1, ::-1]))
    },
    "filters-flipped": {
        "correlate": partial(half, lambda w: np.ascontiguousarray(w[:, :, ::-1, ::-1]))
    },
    "leak-ignored": {"relu": lambda right, x, leak: right(x, 0.0)},
    "bnorm-ignored-while-decoding": {
        "scale": lambda right, x, factor, offset, mean: (
            right(x, factor, offset, mean) if offset is not None else x.copy()
        )
    },
    "unpooled-with-zeros": {
        "unpool": lambda right, maps, stride, window, method: right(
            maps * (np.arange(maps.shape[3]) < 0), stride, window, method
        )
    },
}


def judged_wrong(kit, cases, bugs):
    """Judge an engine with bugs by some cases."""
    bad = patched("reference", **bugs)
    return examine(
        "it", kit.version, cases, lambda case: compute(case, bad, kit.folder), kit.folder
    )


@pytest.mark.large
class TestWrongDecoders:
    @pytest.mark.parametrize(
        ("name", "model", "asked"),
        [
            ("substitution-flipped", "lapsrn", {"decode-model7-nearest", "decode-model27-nearest"}),
            ("filters-flipped", "plate", {"forward-model", "evaluate-model4-bicubic"}),
            ("leak-ignored", "small", {"forward-model", "evaluate-model4-bicubic"}),
            ("bnorm-ignored-while-decoding", "dncnn", {"decode-model12-nearest"}),
        ],
    )
    def test_it_is_caught_and_named(self, name, model, asked, kit_of, small_kit):
        kit = read_kit(small_kit if model == "small" else kit_of(model))
        some = [case for case in kit.cases if case.id in asked]
        report = judged_wrong(kit, some, BUGS[name])
        assert {verdict.case.id for verdict in report.verdicts if verdict.failed} >= asked
        assert report.causes()[0].mistake.name == name
        assert report.unexplained() == []

    def test_what_is_no_known_mistake_fails_without_a_name(self, small_kit):
        kit = read_kit(small_kit)
        report = judged_wrong(kit, own(kit.cases), BUGS["unpooled-with-zeros"])
        failed = {verdict.case.id for verdict in report.verdicts if verdict.failed}
        assert failed == {
            case.id
            for case in own(kit.cases)
            if case.parameters.get("layer") == 4 and case.operation != "forward"
        }
        assert set(report.unexplained()) == failed

    def test_no_mistake_breaks_on_a_graph(self):
        """Each gives outputs of a case, or none."""
        from fdref.conformance.mistakes import MISTAKES

        for case in model_of(GRAPH).cases:
            for mistake in MISTAKES:
                if case.operation in mistake.operations:
                    wrong = replace(mistake.library, model=GRAPH)
                    try:
                        with np.errstate(all="ignore"):
                            wrong.outputs(case.operation, case.inputs, case.parameters)
                    except (fdref.FdrefError, ValueError, IndexError):
                        continue


class TestAnswers:
    def test_stages_of_a_graph_are_what_the_specification_says(self):
        cases = [case for case in model_of(GRAPH).cases if case.operation == "decode"]
        above = {c.parameters["layer"] for c in cases if c.parameters["unpool"] == "window"}
        assert above == {8, 11}  # a pool lies below, which copies under the other methods
        for case in cases:
            number, method = case.parameters["layer"], case.parameters["unpool"]
            if number in above and method != "window":
                continue
            for place, k in enumerate(case.parameters["filters"]):
                stages = slow_stages(GRAPH, number, k)
                for wanted, found in zip(stages, case.expected.values(), strict=True):
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


def question(case):
    return case.inputs, case.parameters


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


class TestKit:
    def test_the_general_part_is_the_same_without_it(self, small):
        alone, both = contents("npz"), contents("npz", small)
        assert set(alone) < set(both)
        assert all(both[name] == data for name, data in alone.items() if name != "manifest.json")
        manifests = [json.loads(files["manifest.json"]) for files in (alone, both)]
        general = [entry for entry in manifests[1]["cases"] if "-model" not in entry["id"]]
        assert general == manifests[0]["cases"]
        assert "model.mat" not in manifests[0]["files"]

    @pytest.mark.parametrize("form", ["npz", "h5"])
    def test_the_same_network_gives_the_same_bytes(self, form, small):
        assert contents(form, model_of(SMALL)) == contents(form, small)

    def test_what_is_written_is_read(self, small, small_kit):
        found = own(read_kit(small_kit).cases)
        assert [case.id for case in found] == [case.id for case in small.cases]
        bare = {"inputs": {}, "expected": {}}
        for read, case in zip(found, small.cases, strict=True):
            assert replace(read, **bare) == replace(case, **bare)
            for name, values in case.expected.items():
                np.testing.assert_array_equal(read.expected[name], values)

    def test_another_network_in_its_place_is_refused(self, small, tmp_path):
        write_kit(tmp_path / "kit", "npz", small)
        path = tmp_path / "kit" / "model.mat"
        fdref.save(Network([SMALL[1]]), path)
        with pytest.raises(FileError, match=r"model\.mat is not the file that fdref wrote"):
            read_kit(tmp_path / "kit")
        manifest = tmp_path / "kit" / "manifest.json"
        for wrong in ({"../x.mat": ""}, {"model.mat": ""}, []):
            changed = json.loads(manifest.read_text()) | {"files": wrong}
            manifest.write_text(json.dumps(changed))
            with pytest.raises(FileError, match="damaged"):
                read_kit(tmp_path / "kit")

    def test_a_function_in_python_is_told_where_it_lies(self, small_kit):
        def forward(images, network, layers=None):
            maps = fdref.forward(fdref.load(network["file"]), images, "reference")
            return maps[1:] if layers is None else [maps[number] for number in layers]

        known = [case.id for case in CASES if case.operation == "forward" and case.inputs]
        known = [name for name in known if name != "forward-lenet" and "refuse" not in name]
        with pytest.raises(AssertionError) as error:
            assert_conforms(forward, "forward", kit=small_kit)
        assert all(name in str(error.value) for name in known)
        assert "fail: forward-model" not in str(error.value)

    def test_a_case_of_a_file_that_nobody_has_is_no_lenet(self, small):
        with pytest.raises(NetworkError, match=r"model\.mat lies in a kit's folder"):
            compute(small.cases[0])


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

    def test_what_takes_part_in_no_single_filter_is_left_out(self):
        """Ways of different jumps meet."""
        layers = [
            Conv(bank(2, 1, 1, 1), name="fine"),
            Conv(bank(2, 1, 1, 1), stride=2, name="coarse"),
            Pool(2, 2),
            Conv(bank(2, 2, 1, 1), stride=1),
            ConvTranspose(bank(2, 2, 2, 2), upsample=2),
            Sum(name="meet"),
        ]
        wiring = {2: 0, 3: 1, 4: 2, 5: 3, 6: [1, 5]}
        found = questions(Network(layers, wiring=wiring))
        assert {c.parameters["layer"] for c in found.cases if c.operation == "decode"} >= {1, 2, 6}

    def test_pools_that_share_are_asked_for_their_picture_alone(self):
        layers = [
            Conv(bank(2, 1, 3, 3), stride=2),
            Pool(2, 2),
            Sum(),
            Conv(bank(3, 2, 2, 2)),
        ]
        net = Network(layers, wiring={1: 0, 2: 0, 3: [1, 1], 4: 3})
        shared = Network(
            [
                Conv(bank(2, 2, 2, 2), stride=2, name="a"),
                Pool(2, 2, name="b"),
                Concat(),
                Conv(bank(3, 4, 2, 2)),
            ],
            wiring={2: 0, 3: [1, 2]},
        )
        assert net.copies[4] == (1, 1)
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


class TestUnknownLayers:
    LAYERS = (
        Conv(bank(3, 1, 3, 3), pad=1, name="a"),
        Unknown("noise", name="n"),
        Conv(bank(3, 3, 1, 1), name="lost"),
        Conv(bank(3, 3, 3, 3), pad=1, name="kept"),
        Sum(name="sum"),
    )
    NET = Network(LAYERS, wiring={4: 1, 5: [1, 4]})

    def test_what_lies_above_is_left_out_and_the_rest_counted_anew(self):
        known, (line,) = known_part(self.NET)
        assert known == Network([self.LAYERS[n] for n in (0, 3, 4)], wiring={3: [1, 2]})
        assert line == (
            "written without layers 2, 3: layer 2 (unknown noise 'n') is of a type that fdref does "
            "not know; the others are counted anew"
        )
        assert "decode-model3-nearest" in [case.id for case in model_of(self.NET).cases]

    def test_a_network_that_is_known_is_itself(self):
        assert known_part(SMALL) == (SMALL, [])


class TestCommand:
    def test_it_says_what_it_left_out(self, shared, tmp_path, capsys):
        model = shared / "models" / "dehazing-simplenn-v5.mat"
        assert run("kit", tmp_path / "kit", "--model", model) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[0] == (
            "model.mat: written without layers 4-15: layer 4 (unknown upsmpl) is of a type that "
            "fdref does not know"
        )
        assert said[-1].startswith(f"wrote {len(read_kit(tmp_path / 'kit').cases)} cases to ")

    def test_the_same_kit_may_be_there_and_nothing_else(self, tmp_path, capsys):
        fdref.save(SMALL, tmp_path / "small.mat")
        asked = "kit", tmp_path / "kit", "--model", tmp_path / "small.mat"
        assert run(*asked) == 0
        before = everything_in(tmp_path)
        assert run(*asked) == 0
        capsys.readouterr()
        for others in (["kit", tmp_path / "kit"], [*asked, "--format", "h5"]):
            assert "is not empty" in refusal(capsys, *others)
        assert everything_in(tmp_path) == before

    def test_bad_input_is_one_line_and_leaves_nothing(self, shared, tmp_path, capsys, monkeypatch):
        models, kit = shared / "models", tmp_path / "kit"
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "x").touch()
        before = everything_in(tmp_path)

        def refused(model, folder=kit):
            return refusal(capsys, "kit", folder, "--model", model)

        assert "none.mat cannot be read, expected" in refused(tmp_path / "none.mat")
        assert "full is not empty" in refused(models / "plate-simplenn-v5.mat", tmp_path / "full")
        assert refused(models / "fdncnn-color-simplenn-v73.mat").endswith(
            "fdncnn-color-simplenn-v73.mat: layer 1 (unknown concat 'layer1') is of a type that "
            "fdref does not know, and no layer with filters is below: there is nothing to ask"
        )
        monkeypatch.setattr(
            fdref, "load", lambda path: Network([SMALL[1], PReLU(bank(3), name="bent")])
        )
        assert "layer 2 (prelu 'bent') cannot be written, MatConvNet has no such" in refused("x")
        assert everything_in(tmp_path) == before

    def test_several_inputs_are_refused(self):
        net = Network(
            [Conv(bank(2, 1, 1, 1)), Conv(bank(2, 1, 1, 1)), Sum()], wiring={2: -1, 3: [1, 2]}
        )
        with pytest.raises(NetworkError, match="has 2 inputs; expected one"):
            model_of(net)

    def test_a_number_of_no_layer_is_no_traceback(self, small):
        case = small.cases[0]
        wrong = replace(case, parameters={**case.parameters, "layers": [9]})
        with pytest.raises(ArgumentError, match="there is no layer 9"):
            Library("reference", model=SMALL).outputs("forward", *question(wrong))
