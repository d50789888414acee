"""The conformance kit's files: the same each time, read as written, refused where damaged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pymatreader
import pytest
from absence import absent
from kit_cases import ANSWERED, CASES, beyond

import fdref
import fdref.conformance
from fdref.commands import main
from fdref.conformance.compute import compute
from fdref.conformance.kit import contents, read_kit, write_kit
from fdref.errors import ArgumentError, FdrefError, FileError


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


@pytest.mark.slow
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
    assert main(["kit", str(folder)]) == 0  # the same is there
    assert main(["kit", "--format", "h5", str(folder)]) == 2
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
    written = []

    def full(folder, name, data):
        written.append(name)
        if len(written) > 9:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("fdref.files.whole._write", full)
    with pytest.raises(FileError, match="No space left"):
        write_kit(folder)
    assert len(written) >= 10
    assert list(tmp_path.rglob("*")) == ([folder] if exists else [])


def test_unknown_formats_and_operations_are_refused(tmp_path):
    from fdref.conformance.compute import call

    with pytest.raises(ArgumentError, match="format is 'zip'"):
        write_kit(tmp_path / "kit", "zip")
    with pytest.raises(ArgumentError, match="no operation 'train'"):
        call("train", {}, {})
