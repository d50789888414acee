"""The conformance kit's files: the same each time, read as written, refused where damaged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import ClassVar

import numpy as np
import pymatreader
import pytest
from absence import absent
from kit_cases import ANSWERED, CASES, beyond

import fdref
import fdref.conformance
from fdref.commands import main
from fdref.conformance.compute import compute
from fdref.conformance.kit import contents, read_kit, sha256, write_kit
from fdref.conformance.networks import LENET_FILES, network_of
from fdref.conformance.record import digest, recorded, verified
from fdref.conformance.recorded import DIGESTS
from fdref.conformance.recording import PLACE
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
        (tmp_path / "kit" / LENET_FILES[form]).unlink()
        with pytest.raises(FdrefError, match=r"lenet cannot be read"):
            compute(lenet, folder=tmp_path / "kit")

    def test_lenet_is_the_shipped_one(self, form, tmp_path):
        write_kit(tmp_path / "kit", form)
        found = network_of({"network": {"file": "lenet"}}, {}, tmp_path / "kit")
        assert [replace_name(layer) for layer in found] == [*map(replace_name, fdref.load())]

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


def replace_name(layer):
    """Describe a layer but for its name, which a list of layers does not have."""
    return type(layer), {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(layer).items()
        if name != "name"
    }


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
    shutil.copy(kit / "manifest.json", tmp_path)
    return tmp_path / "KIT"


def test_the_readmes_python_runs(kit, tmp_path, monkeypatch):
    shutil.copytree(kit, tmp_path / "KIT")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (kit / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own text
    own = [case for case in CASES if case.operation in ("relu", "bnorm")]
    assert any(case.refused for case in own)
    assert sorted(path.stem for path in Path("RESULTS").iterdir()) == sorted(c.id for c in own)
    for case in own:
        with np.load(f"RESULTS/{case.id}.npz") as file:
            got = dict(file)
        assert beyond(case, got) == []
        assert case.refused or next(iter(got.values())).dtype == case.dtype


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
    [
        *(
            "",
            "[]",
            "{}",
            '{"schema": 1}',
            '{"schema": 1, "format": "zip"}',
            "\xff",
            '{"schema": [1]}',
        ),
        pytest.param("[" * 10**5, id="nested without end"),
        pytest.param(f'{{"schema": 1, "format": {"[" * 900}{"]" * 900}}}', id="nested deeply"),
    ],
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


def rewritten(damaged, change):
    """Change a kit's manifest so that its digests are right again; return what reading it says."""
    path = damaged / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    try:
        return read_kit(damaged).warnings
    except FileError as error:
        return str(error)


class TestWhatWouldLetAnythingPass:
    def test_a_wider_tolerance(self, damaged):
        def widen(manifest):
            manifest["cases"][-40]["tolerance"]["atol"] = 1e9

        said = rewritten(damaged, widen)
        assert "manifest.json cannot be trusted: 1 case of specification 2.0 is not as" in said

    @pytest.mark.parametrize(("left", "said"), [(0, "are"), (1, "are"), (-1, "is")])
    def test_fewer_cases(self, left, said, damaged):
        def shorten(manifest):
            del manifest["cases"][left:]

        assert f"of specification 2.0 {said} missing: " in rewritten(damaged, shorten)

    def test_another_expectation_with_its_digest(self, damaged):
        path = damaged / "expected" / "relu.npz"
        np.savez(path, rectified=np.zeros_like(np.load(path)["rectified"]))

        def sign(manifest):
            (entry,) = (one for one in manifest["cases"] if one["id"] == "relu")
            entry["sha256"]["expected/relu.npz"] = sha256(path.read_bytes())

        assert "is not as fdref writes them: relu;" in rewritten(damaged, sign)

    def test_words_may_be_others(self, damaged):
        def reword(manifest):
            manifest["cases"][3]["about"] = "said in other words"
            manifest["cases"][3]["tolerance"]["reason"] = "so"

        assert rewritten(damaged, reword) == ()

    @pytest.mark.parametrize(
        ("version", "said"),
        [
            ("2.99", "newer, of specification 2.99; this fdref knows 2.0, and cannot verify 0 of"),
            ("1.0", "the kit is of specification 1.0; this fdref knows 2.0, and cannot tell"),
            ("3.0", "the kit is of specification 3.0; this fdref knows 2.0, and cannot tell"),
            ("", "the kit is of an unknown specification"),
            ("two", "the kit is of an unknown specification"),
            ([2], "manifest.json is damaged"),
        ],
    )
    def test_other_versions(self, version, said, damaged, tmp_path, capsys):
        told = rewritten(damaged, lambda manifest: manifest.update(specification=version))
        assert said in str(told)
        if "unknown" in said:
            assert main(["check", str(damaged), str(damaged / "expected")]) == 0
            assert f"warnings:\n  {told[0]}\n" in capsys.readouterr().out

    def test_texts_that_command_a_terminal(self, damaged):
        for key in ("about", "section", "operation", "id"):

            def escape(manifest, key=key):
                manifest["cases"][5][key] += "\x1b[31m"

            said = rewritten(damaged, escape)
            assert "is damaged, write the kit again" in said
            assert said.isprintable()
            shutil.copy(damaged.parent / "manifest.json", damaged / "manifest.json")


class TestRecord:
    """Within a major version, kits agree about the cases that they share."""

    small = (CASES[0], CASES[1])
    digests: ClassVar = {case.id: digest(case) for case in small}

    def verified(self, cases, version, ours="2.3", **more):
        return verified(cases, version, digests=self.digests, ours=ours, **more)

    def test_what_is_remembered_is_what_is_written(self):
        assert PLACE.read_text() == recorded(CASES), "python -m fdref.conformance.recording"
        assert {case.id: digest(case) for case in CASES} == DIGESTS

    def test_what_decides_is_in_the_digest(self):
        case = next(case for case in CASES if case.id == "unpool-bicubic-imresize")
        name, array = next(iter(case.expected.items()))
        wide = replace(case.tolerance, atol=case.tolerance.atol * 2)
        changed = [
            replace(case, id="other"),
            replace(case, operation="pool"),
            replace(case, refused=True),
            replace(case, tolerance=wide),
            replace(case, tolerance=replace(case.tolerance, outputs={name: 1.0})),
            replace(case, parameters={**case.parameters, "more": 1}),
            replace(case, expected={name: np.nextafter(array, np.inf, dtype=array.dtype)}),
            replace(case, expected={name: array.astype(np.float64)}),
            replace(case, expected={name: array.reshape(-1)}),
            replace(case, expected={"other": array}),
            replace(case, inputs={}),
        ]
        assert len({digest(case), *map(digest, changed)}) == len(changed) + 1
        same = replace(case, about="", section="", expected={name: np.asfortranarray(array)})
        assert digest(same) == digest(case)

    def test_the_same_version(self):
        assert self.verified(self.small, "2.3") == ()
        with pytest.raises(FileError, match=f"3 is missing: {CASES[1].id}"):
            self.verified(self.small[:1], "2.3")

    def test_an_older_kit_may_have_fewer(self):
        (said,) = self.verified(self.small[:1], "2.2")
        assert said.endswith("that of this fdref, 2.3, has 1 more cases: write it again")
        changed = replace(self.small[0], refused=True)
        with pytest.raises(FileError, match="is not as fdref writes them"):
            self.verified([changed], "2.2")

    def test_a_newer_kit_may_have_more(self):
        (said,) = self.verified(CASES[:3], "2.4")
        assert "newer, of specification 2.4; this fdref knows 2.3, and cannot verify 1 of" in said
        (said,) = self.verified(CASES[:3], "2.3")
        assert (
            "1 of the kit's cases cannot be verified: specification 2.3 has none such as " in said
        )
        with pytest.raises(FileError, match="is missing"):
            self.verified(CASES[1:3], "2.4")

    def test_ones_own_network_is_ones_own(self):
        own = replace(CASES[3], id="forward-model", parameters={"network": {"file": "model.mat"}})
        assert self.verified([*self.small, own], "2.3", own=True) == ()
        assert len(self.verified([*self.small, own], "2.3")) == 1


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
        "check.py",
        "expected",
        "lenet.npz",
        "manifest.json",
        "workflow.yml",
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


@pytest.mark.parametrize("exists", [False, True])
def test_of_several_writers_at_once_all_are_content(exists, tmp_path, monkeypatch):
    """Processes, for which threads stand here: their files are opened and locked apart."""
    files = {f"{place}{n}": b"x" * n for place in ("", "a/", "b/") for n in range(30)}
    monkeypatch.setattr("fdref.conformance.kit.contents", lambda *about: files)
    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            folder = tmp_path / f"kit{number}"
            if exists:
                folder.mkdir()
            start = Barrier(4)

            def write(folder=folder, start=start):
                start.wait()
                return write_kit(folder)

            written = [pool.submit(write) for _ in range(4)]
            assert {done.result() for done in written} == {len(CASES)}
            found = {path for path in folder.rglob("*") if path.is_file()}
            assert {path.relative_to(folder).as_posix() for path in found} == set(files)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"kit{n}" for n in range(4)]


def test_of_two_writers_of_different_kits_one_is_refused(tmp_path, monkeypatch):
    made = {"npz": {"a": b"1", "b": b"2"}, "h5": {"a": b"1", "c": b"3"}}
    monkeypatch.setattr("fdref.conformance.kit.contents", lambda form, model: made[form])
    real = fdref.conformance.kit.write_folder

    def overtaken(folder, files):
        if files is made["npz"]:
            write_kit(folder, "h5")
        real(folder, files)

    monkeypatch.setattr("fdref.conformance.kit.write_folder", overtaken)
    with pytest.raises(FileError, match="is not empty; delete it or choose another folder"):
        write_kit(tmp_path / "kit")
    assert sorted(path.name for path in (tmp_path / "kit").iterdir()) == ["a", "c"]


def test_unknown_formats_and_operations_are_refused(tmp_path):
    from fdref.conformance.compute import call

    with pytest.raises(ArgumentError, match="format is 'zip'"):
        write_kit(tmp_path / "kit", "zip")
    with pytest.raises(ArgumentError, match="no operation 'train'"):
        call("train", {}, {})


INPUTS = {
    "correlate": {"images", "filters", "bias"},
    "pool": {"images"},
    "relu": {"images"},
    "normalize": {"images"},
    "bnorm": {"images", "gain", "bias", "moments"},
    "substitute": {"maps", "filters"},
    "unpool": {"maps"},
    "receptive_field": set(),
    "respond": {"images", "bank"},
    "forward": {"images"},
    "decode": set(),
    "project": {"images"},
    "evaluate": {"images"},
    "occlude": {"images"},
}
"""As SPECIFICATION.md has them for each operation; those that a network names come to these."""
ARRAYS = {"filters", "bias", "gain", "moments", "factor", "offset"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_that_inputs_are_those_that_the_operation_or_its_network_names(case):
    """Whoever passes on all of them, as README.md shows, is given nothing that nobody asks for."""
    network = case.parameters.get("network", [])
    entries = network if isinstance(network, list) else []
    of_network = {entry[key] for entry in entries for key in ARRAYS if entry.get(key)}
    own = INPUTS[case.operation]
    assert case.inputs.keys() - {"bias"} - of_network == own - {"bias"}
    assert of_network <= case.inputs.keys()
    if "bias" in case.inputs:
        assert "bias" in own | of_network
