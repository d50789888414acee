"""The conformance kit: are its answers right, and is it the same each time?"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import naive
import numpy as np
import pymatreader
import pytest
from absence import absent

import fdref
import fdref.conformance
from fdref.commands import main
from fdref.conformance.case import EXACT, OPERATIONS
from fdref.conformance.cases import cases
from fdref.conformance.compute import compute
from fdref.conformance.implementation import Implementation
from fdref.conformance.kit import contents, read_kit, write_kit
from fdref.conformance.networks import network_of
from fdref.errors import ArgumentError, FdrefError, FileError

CASES = cases()
ANSWERED = [case for case in CASES if not case.refused]
SMALL = [case for case in ANSWERED if "lenet" not in case.id]


def named(chosen):
    """Run a test with each case; those of LeNet are slow with the JIT off."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, id=case.id, marks=[pytest.mark.large] * ("lenet" in case.id))
            for case in chosen
        ],
    )


def beyond(case, got):
    """The outputs that are not what the case expects; the manifest's rule, written out."""
    assert list(got) == list(case.expected)
    wrong = []
    for name, expected in case.expected.items():
        found, atol = got[name], case.tolerance.of(name).atol
        assert found.shape == expected.shape
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        with np.errstate(invalid="ignore"):
            error = np.abs(found.astype(float) - expected)
        if not (same | (error <= atol)).all():
            wrong.append((name, error.max(), atol))
    return wrong


# The slow twins of what is not in naive.py: loops over single pixels.


def slow_relu(images, leak):
    values = [v if np.isnan(v) or v > 0 else leak * v for v in images.ravel().tolist()]
    return np.array(values).reshape(images.shape)


def slow_normalize(images, size, kappa, alpha, beta):
    out = np.zeros(images.shape)
    below, above = (size - 1) // 2, size - 1 - (size - 1) // 2
    for n, k, y, x in np.ndindex(images.shape):
        near = range(max(0, k - below), min(images.shape[1], k + above + 1))
        total = sum(float(images[n, q, y, x]) ** 2 for q in near)
        out[n, k, y, x] = float(images[n, k, y, x]) / (kappa + alpha * total) ** beta
    return out


def slow_bnorm(images, gain, bias, moments):
    out = np.zeros(images.shape)
    for n, k, y, x in np.ndindex(images.shape):
        mean, deviation = map(float, moments[k])
        value = (float(images[n, k, y, x]) - mean) / deviation
        out[n, k, y, x] = float(gain[k]) * value + float(bias[k])
    return out


def slow_softmax(images):
    out = np.zeros(images.shape)
    for n, y, x in product(*(range(images.shape[axis]) for axis in (0, 2, 3))):
        powers = [np.exp(float(v) - images[n, :, y, x].max()) for v in images[n, :, y, x]]
        out[n, :, y, x] = [power / sum(powers) for power in powers]
    return out


def slow_respond(images, bank, stride, offset, output):
    out = np.zeros((len(images), len(bank), *output))
    for n, k, y, x in np.ndindex(out.shape):
        for c, i, j in np.ndindex(bank.shape[1:]):
            row, column = offset[0] + stride[0] * y + i, offset[1] + stride[1] * x + j
            if 0 <= row < images.shape[2] and 0 <= column < images.shape[3]:
                out[n, k, y, x] += float(images[n, c, row, column]) * float(bank[k, c, i, j])
    return out


def slow_field(network):
    """Find what one pixel of the last map sees by walking down, row by row."""
    found = {"size": [], "stride": [], "offset": []}
    for axis in range(2):

        def rows(pixel, axis=axis):
            first = last = pixel
            for layer in reversed(network):
                step, pad = layer["stride"][axis], layer["pad"][2 * axis]
                first = first * step - pad
                last = last * step - pad + layer["window"][axis] - 1
            return first, last

        first, last = rows(0)
        found["size"].append(last - first + 1)
        found["stride"].append(rows(1)[0] - first)
        found["offset"].append(first)
    return {name: np.array(values) for name, values in found.items()}


def slow_forward(net, x):
    maps = []
    for layer in net:
        match layer.kind:
            case "conv":
                x = naive.correlate(
                    x, layer.filters, layer.bias, layer.stride, layer.pad, layer.dilate
                )
            case "pool":
                x = naive.pool(x, layer.window, layer.stride, layer.pad, layer.method)
            case "relu":
                x = slow_relu(x, layer.leak)
            case "normalize":
                x = slow_normalize(x, layer.size, layer.kappa, layer.alpha, layer.beta)
            case "bnorm":
                moments = np.stack([layer.mean, layer.deviation], axis=1)
                x = slow_bnorm(x, layer.gain, layer.bias, moments)
            case "softmax":
                x = slow_softmax(x)
        maps.append(x)
    return maps


def slow_decode(net, known):
    return np.array(
        [naive.decode_by_paths(net, known["layer"], k, known["unpool"]) for k in known["filters"]]
    )


def slow_evaluate(net, images, known):
    response = slow_forward(net, images)[known["layer"] - 1]
    every = {**known, "filters": range(response.shape[1])}
    windows = [
        {"window": layer.window, "stride": layer.stride, "pad": layer.pad}
        for layer in net.layers[: known["layer"]]
        if layer.kind in ("conv", "pool")
    ]
    field = slow_field(windows)
    predicted = slow_respond(
        images, slow_decode(net, every), field["stride"], field["offset"], response.shape[2:]
    )
    errors, correlations = [], []
    for pair in zip(response, predicted, strict=True):
        r, q = ((values - values.min()) / (values.max() - values.min()) for values in pair)
        errors.append(((r - q) ** 2).mean())
        correlations.append(np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1])
    return {
        "response": response,
        "predicted": predicted,
        "errors": np.array(errors),
        "correlations": np.array(correlations),
        "mean": np.mean(errors),
        "std": np.sqrt(np.mean((errors - np.mean(errors)) ** 2)),
    }


def slow(case):  # noqa: C901 - an operation is a branch
    """What a case's outputs are, by loops that share nothing with the library."""
    inputs, known = case.inputs, case.parameters
    match case.operation:
        case "correlate":
            sizes = [known[name] for name in ("stride", "pad", "dilate")]
            result = naive.correlate(
                inputs["images"], inputs["filters"], inputs.get("bias"), *sizes
            )
        case "pool":
            result = naive.pool(inputs["images"], **known)
        case "substitute":
            result = naive.substitute(inputs["maps"], inputs["filters"], **known)
        case "unpool":
            result = naive.unpool(inputs["maps"], **known)
        case "relu":
            result = slow_relu(inputs["images"], **known)
        case "normalize":
            result = slow_normalize(inputs["images"], **known)
        case "bnorm":
            result = slow_bnorm(**inputs)
        case "respond":
            result = slow_respond(**inputs, **known)
        case "receptive_field":
            return slow_field(known["network"])
        case "forward":
            maps = slow_forward(network_of(known, inputs, None), inputs["images"])
            return {f"layer{number}": values for number, values in enumerate(maps, 1)}
        case "decode":
            last = list(case.expected)[-1]
            return {last: slow_decode(network_of(known, inputs, None), known)}
        case "evaluate":
            return slow_evaluate(network_of(known, inputs, None), inputs["images"], known)
    return {next(iter(case.expected)): result}


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
    impulse = expected["correlate-impulse"]["response"][0, 0]
    np.testing.assert_array_equal(impulse[1:3, 1:4], [[6, 5, 4], [3, 2, 1]])
    replaced = expected["substitute-impulse"]["pictures"][0, 0]
    np.testing.assert_array_equal(replaced[1:3, 2:5], [[1, 2, 3], [4, 5, 6]])


@named(CASES)
def test_both_engines_pass(case, engine):
    assert beyond(case, compute(case, engine)) == []


@named(ANSWERED)
def test_the_implementation_that_mistakes_are_made_of_passes(case):
    assert beyond(case, Implementation().outputs(case)) == []


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


@pytest.mark.parametrize("form", ["npz", "h5"])
class TestFiles:
    def test_the_same_bytes_each_time_and_under_5_mb(self, form):
        files = contents(form)
        assert contents(form) == files
        assert sum(map(len, files.values())) < 5e6
        assert list(files)[-1] == "manifest.json"

    def test_what_is_written_is_read(self, form, tmp_path):
        write_kit(tmp_path / "kit", form)
        kit = read_kit(tmp_path / "kit")
        assert (kit.version, kit.schema) == (fdref.__version__, 1)
        assert len(kit.cases) == len(CASES)
        for read, case in zip(kit.cases, CASES, strict=True):
            assert list(read.expected) == list(case.expected)
            for name in ("inputs", "expected"):
                for key, values in getattr(case, name).items():
                    found = getattr(read, name)[key]
                    assert found.dtype == values.dtype
                    np.testing.assert_array_equal(found, values)
            bare = {"inputs": {}, "expected": {}}
            assert replace(read, **bare) == replace(case, **bare)
        lenet = next(case for case in kit.cases if case.id == "decode-lenet3-bicubic")
        (tmp_path / "kit" / "lenet.mat").unlink()
        with pytest.raises(FdrefError, match=r"lenet\.mat"):
            compute(lenet, folder=tmp_path / "kit")

    def test_parameters_lie_beside_the_inputs(self, form, tmp_path):
        write_kit(tmp_path, form)
        entries = json.loads((tmp_path / "manifest.json").read_text())["cases"]
        for entry in entries[::7]:
            path = tmp_path / "cases" / f"{entry['id']}.{form}"
            if form == "npz":
                with np.load(path) as file:
                    text = str(file["parameters"])
            else:
                import h5py

                with h5py.File(path) as file:
                    text = file.attrs["parameters"]
            assert json.loads(text) == entry["parameters"]


@pytest.mark.large
def test_another_machines_bytes_are_the_same():
    """Other kernels of OpenBLAS add in another order."""
    code = (
        "import hashlib, fdref.conformance.kit as kit; "
        "print(hashlib.sha256(kit.contents('npz')['manifest.json']).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **more},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ({}, {"OPENBLAS_CORETYPE": "Nehalem"})
    ]
    assert runs[0] == runs[1]


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit") / "KIT"
    write_kit(folder)
    return folder


@pytest.fixture
def damaged(kit, tmp_path):
    """A copy of the kit, to be spoilt."""
    shutil.copytree(kit, tmp_path / "KIT")
    return tmp_path / "KIT"


def test_the_readmes_python_runs(kit, tmp_path, monkeypatch):
    shutil.copytree(kit, tmp_path / "KIT")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (kit / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own text
    relus = [case for case in ANSWERED if case.operation == "relu"]
    assert sorted(path.stem for path in Path("RESULTS").iterdir()) == sorted(c.id for c in relus)
    for case in relus:
        with np.load(f"RESULTS/{case.id}.npz") as file:
            got = dict(file)
        assert beyond(case, got) == []
        assert got["rectified"].dtype == case.expected["rectified"].dtype


def test_the_readmes_octave_runs(tmp_path, monkeypatch):
    octave = shutil.which("octave-cli") or absent("octave", "GNU Octave is not installed")
    write_kit(tmp_path / "KIT", "h5")
    monkeypatch.chdir(tmp_path)
    text = Path("KIT/README.md").read_text()
    (code,) = re.findall(r"```matlab\n(.*?)```", text, re.DOTALL)
    Path("readme.m").write_text(code)
    subprocess.run([octave, "--no-gui", "readme.m"], check=True, capture_output=True)
    for case in ANSWERED:
        if case.operation == "relu":
            rectified = pymatreader.read_mat(f"RESULTS/{case.id}.mat")["rectified"]
            rectified = rectified.reshape(*rectified.shape, *[1] * (4 - rectified.ndim))
            got = {"rectified": rectified.transpose(3, 2, 0, 1)}
            assert beyond(case, got) == []


def test_no_file_that_was_changed_is_read(damaged):
    path = damaged / "expected" / "relu.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileError, match=r"relu\.npz is not the file that fdref wrote"):
        read_kit(damaged)
    path.unlink()
    with pytest.raises(FileError, match=r"relu\.npz cannot be read"):
        read_kit(damaged)


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"schema": 1}', '{"schema": 1, "format": "zip"}', "\xff", '{"schema": [1]}'],
)
def test_no_kit_without_its_manifest(manifest, damaged):
    (damaged / "manifest.json").write_bytes(manifest.encode("latin-1"))
    with pytest.raises(FileError, match=r"manifest\.json"):
        read_kit(damaged)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../../relu"),
        ("id", 7),
        ("operation", "train"),
        ("sha256", {}),
        ("tolerance", {}),
        ("inputs", [{"name": "x"}]),
        ("parameters", None),
        ("parameters", {}),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(field, value, damaged):
    path = damaged / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["cases"][3][field] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(FileError, match="damaged"):
        read_kit(damaged)


def test_another_schema_is_refused(damaged):
    path = damaged / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(FileError, match="has schema 2, expected 1"):
        read_kit(damaged)


def test_the_command_writes_a_kit_or_nothing(tmp_path, capsys):
    folder = tmp_path / "kit"
    assert main(["kit", str(folder)]) == 0
    assert f"wrote {len(CASES)} cases" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "SPECIFICATION.md",
        "cases",
        "expected",
        "lenet.mat",
        "manifest.json",
    ]
    assert main(["kit", str(folder)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main(["kit", str(folder / "README.md")]) == 2
    assert "is a file" in capsys.readouterr().err
    assert main(["kit", str(tmp_path / "none" / "kit")]) == 2
    assert capsys.readouterr().err.startswith(f"fdref: {tmp_path}/none/kit cannot be written")
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_full_disk_leaves_nothing_behind(exists, tmp_path, monkeypatch):
    folder = tmp_path / "kit"
    if exists:
        folder.mkdir()
    right, written = Path.write_bytes, []

    def full(path, data):
        written.append(path)
        if len(written) > 9:
            raise OSError(28, "No space left on device")
        return right(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match="No space left"):
        write_kit(folder)
    assert len(written) == 10
    assert list(tmp_path.rglob("*")) == ([folder] if exists else [])


def test_unknown_formats_and_operations_are_refused(tmp_path):
    from fdref.conformance.compute import call

    with pytest.raises(ArgumentError, match="format is 'zip'"):
        write_kit(tmp_path / "kit", "zip")
    with pytest.raises(ArgumentError, match="no operation 'train'"):
        call("train", {}, {})
