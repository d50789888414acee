"""`fdref kit --model`: cases of somebody's own network, their answers, tolerances and verdicts."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from command_line import bank, everything_in, refusal, run
from kit_cases import CASES
from own_networks import GRAPH, SMALL, own, question

import fdref
from fdref import Conv, Network, Pool, Sum
from fdref.conformance.compute import Library, compute
from fdref.conformance.examination import examine
from fdref.conformance.kit import contents, read_kit, write_kit
from fdref.conformance.model import known_part, model_of
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
                    wrong = mistake.wrong.library(model=GRAPH)
                    try:
                        with np.errstate(all="ignore"):
                            wrong.outputs(case.operation, case.inputs, case.parameters)
                    except (fdref.FdrefError, ValueError, IndexError):
                        continue


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
            fdref, "load", lambda path, **edits: Network([SMALL[1], PReLU(bank(3), name="bent")])
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
