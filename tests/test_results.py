"""Reading what an implementer wrote: every format and axis, and whatever is wrong with a file."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import h5py
import hdf5storage
import numpy as np
import pytest
from scipy.io import savemat

from fdref.conformance.case import Case
from fdref.conformance.comparison import Outcome, judge
from fdref.conformance.results import read_results
from fdref.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = [(2, 3, 4, 5), (1, 3, 4, 5), (2, 1, 4, 5), (1, 1, 4, 5), (1, 1, 1, 5), (1, 1, 4, 1)]
SHAPES += [(3, 1, 1, 1), (1, 1, 1, 1)]


def ramp(*shape: int) -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


def question(name: str, **expected: Any) -> Case:
    arrays = {key: np.asarray(value) for key, value in expected.items()}
    return Case(name, "unpool", "4", "A ramp.", {}, {}, arrays, refused="refused" in expected)


def outcome(folder: Path, case: Case):
    """Judge the only case of a kit by what lies in a folder."""
    found = read_results(folder, SimpleNamespace(cases=[case]))
    return judge(case, found.answers.get(case.id))


def matlab(array: np.ndarray) -> np.ndarray:
    """Return H x W x C x N without trailing axes of one element, as MATLAB holds it."""
    if array.ndim < 2:
        return np.atleast_2d(array)
    turned = array.transpose(2, 3, 1, 0)
    while turned.ndim > 2 and turned.shape[-1] == 1:
        turned = turned[..., 0]
    return turned


def save_v73(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write HDF5 as MATLAB does: its header, its axes reversed, the class as an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            kind = "single" if array.dtype.itemsize == 4 else "double"
            data = matlab(array).T
            if array.dtype.kind != "c":
                data = data.astype("f4" if kind == "single" else "f8")
            stored = file.create_dataset(name, data=data)
            stored.attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


def save_v5(path: Path, arrays: dict[str, np.ndarray], *, compress: bool = False) -> None:
    values = {name: matlab(array) for name, array in arrays.items()}
    savemat(path, values, do_compression=compress)


def save_hdf5storage(path: Path, arrays: dict[str, np.ndarray]) -> None:
    values = {name: matlab(array) for name, array in arrays.items()}
    hdf5storage.savemat(str(path), values, format="7.3", store_python_metadata=False)


def save_h5(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


WRITERS = {
    "npz": (".npz", lambda path, arrays: np.savez(path, **arrays)),
    "npz, compressed": (".npz", lambda path, arrays: np.savez_compressed(path, **arrays)),
    "h5": (".h5", save_h5),
    "mat v5": (".mat", save_v5),
    "mat v7": (".mat", lambda path, arrays: save_v5(path, arrays, compress=True)),
    "mat v7.3": (".mat", save_v73),
    "mat v7.3 by hdf5storage": (".mat", save_hdf5storage),
    "mat, capital letters": (".MAT", save_v5),
}


@pytest.fixture(params=WRITERS)
def writer(request):
    return WRITERS[request.param]


class TestFormats:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_every_format_gives_back_every_shape(self, writer, shape, tmp_path):
        ending, write = writer
        case = question("ramp", pictures=ramp(*shape))
        write(tmp_path / f"ramp{ending}", {"pictures": ramp(*shape)})
        verdict = outcome(tmp_path, case)
        assert verdict.outcome is Outcome.PASS
        assert verdict.got["pictures"].dtype == np.float32

    def test_vectors_and_single_numbers(self, writer, tmp_path):
        ending, write = writer
        arrays = {"errors": np.array([1.0, 2, 3]), "one": np.array([4.0]), "mean": np.array(2.0)}
        write(tmp_path / f"e{ending}", arrays)
        assert outcome(tmp_path, question("e", **arrays)).outcome is Outcome.PASS

    def test_a_row_or_a_column(self, tmp_path):
        case = question("e", errors=[1.0, 2, 3])
        for values in (np.ones((3, 1)), np.ones((1, 3))):
            savemat(tmp_path / "e.mat", {"errors": values * [[1], [2], [3]]} if values.shape[1] == 1
                    else {"errors": values * [1, 2, 3]})  # fmt: skip
            assert outcome(tmp_path, case).outcome is Outcome.PASS

    def test_transposed_pictures_are_not_taken(self, writer, tmp_path):
        ending, write = writer
        case = question("ramp", pictures=ramp(2, 3, 4, 4))
        write(tmp_path / f"ramp{ending}", {"pictures": ramp(2, 3, 4, 4).swapaxes(2, 3)})
        assert outcome(tmp_path, case).outcome is Outcome.FAIL

    def test_logical_numbers_answer_what_must_be_refused(self, writer, tmp_path):
        ending, write = writer
        case = question("no", refused=1)
        write(tmp_path / f"no{ending}", {"refused": np.array(True)})
        assert outcome(tmp_path, case).outcome is Outcome.PASS


def no_zip(path: Path) -> None:
    path.write_bytes(b"no archive")


def cut_off(path: Path) -> None:
    np.savez(path, pictures=ramp(1, 1, 40, 40))
    path.write_bytes(path.read_bytes()[:1000])


def flipped(path: Path) -> None:
    np.savez_compressed(path, pictures=ramp(1, 1, 40, 40))
    data = bytearray(path.read_bytes())
    data[200:260] = bytes(60)
    path.write_bytes(data)


def member_of_another_kind(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pictures.txt", "1 2 3")


def claim_of_a_terabyte(path: Path) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": (2**37,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pictures.npy", head.getvalue())


def folder_of_that_name(path: Path) -> None:
    path.mkdir()


BROKEN_NPZ = [no_zip, cut_off, flipped, member_of_another_kind, claim_of_a_terabyte,
              folder_of_that_name]  # fmt: skip


class TestWhatIsWrongFailsItsCaseAlone:
    case = question("ramp", pictures=ramp(1, 1, 2, 3))

    def problem(self, folder: Path) -> str:
        verdict = outcome(folder, self.case)
        assert verdict.outcome is Outcome.FAIL
        text = verdict.problem or " ".join(d.problem for d in verdict.differences)
        assert text
        assert "\n" not in text
        assert str(folder) not in text
        return text

    @pytest.mark.parametrize("spoil", BROKEN_NPZ)
    def test_a_broken_archive(self, spoil, tmp_path):
        spoil(tmp_path / "ramp.npz")
        assert "ramp.npz" in self.problem(tmp_path)

    @pytest.mark.parametrize("ending", [".h5", ".mat"])
    @pytest.mark.parametrize("content", [b"", b"no", b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT"])
    def test_a_broken_file(self, ending, content, tmp_path):
        (tmp_path / f"ramp{ending}").write_bytes(content)
        assert f"ramp{ending}" in self.problem(tmp_path)

    @pytest.mark.parametrize("name", ["mat v5", "mat v7", "mat v7.3", "h5"])
    def test_a_file_that_was_cut_off(self, name, tmp_path):
        ending, write = WRITERS[name]
        path = tmp_path / f"ramp{ending}"
        write(path, {"pictures": ramp(1, 1, 40, 40)})
        path.write_bytes(path.read_bytes()[:-1500])
        assert f"ramp{ending}" in self.problem(tmp_path)

    def test_nothing_is_unpickled(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (os.mkdir, (str(tmp_path / "sprung"),))

        objects = np.array([Trap()], object)
        np.savez(tmp_path / "ramp.npz", pictures=objects)
        assert "ramp.npz" in self.problem(tmp_path)
        (tmp_path / "ramp.npz").write_bytes(pickle.dumps(Trap()))
        assert "ramp.npz" in self.problem(tmp_path)
        assert not (tmp_path / "sprung").exists()

    def test_numbers_of_the_wrong_kind(self, writer, tmp_path):
        ending, write = writer
        write(tmp_path / f"ramp{ending}", {"pictures": ramp(1, 1, 2, 3) * (1 + 0j)})
        found = self.problem(tmp_path)
        assert "expected" in found
        assert "real numbers" in found

    def test_text_and_cells_and_structs(self, tmp_path):
        cell = np.array([["a", np.ones(2)]], object)
        for value in ("text", cell, {"field": 1.0}):
            savemat(tmp_path / "ramp.mat", {"pictures": value})
            assert "expected an array of real numbers" in self.problem(tmp_path)
            (tmp_path / "ramp.mat").unlink()
            hdf5storage.savemat(str(tmp_path / "ramp.mat"), {"pictures": value}, format="7.3")
            assert "expected an array of real numbers" in self.problem(tmp_path)
            (tmp_path / "ramp.mat").unlink()

    def test_names_and_shapes(self, writer, tmp_path):
        ending, write = writer
        right = ramp(1, 1, 2, 3)
        for arrays, said in (
            ({"picture": right}, "is missing"),
            ({"pictures": ramp(1, 1, 3, 2)}, "has shape (1, 1, 3, 2); expected (1, 1, 2, 3)"),
        ):
            path = tmp_path / f"ramp{ending}"
            path.unlink(missing_ok=True)
            write(path, arrays)
            assert said in self.problem(tmp_path)

    def test_only_matlab_drops_axes(self, tmp_path):
        np.savez(tmp_path / "ramp.npz", pictures=ramp(2, 3))
        assert "has shape (2, 3); expected (1, 1, 2, 3)" in self.problem(tmp_path)

    @pytest.mark.parametrize("ending", [".npz", ".h5", ".mat"])
    def test_more_than_a_result_can_be(self, ending, tmp_path):
        """All results are held at once, so none may be large, however small its file."""
        large = np.zeros((1, 1, 2**11, 2**10))
        path = tmp_path / f"ramp{ending}"
        if ending == ".npz":
            np.savez_compressed(path, pictures=large)
        elif ending == ".mat":
            save_v5(path, {"pictures": large}, compress=True)
        else:
            with h5py.File(path, "w") as file:
                file.create_dataset("pictures", data=large, compression=9)
        assert path.stat().st_size < 2**20
        assert "is too much, expected at most 16777216 bytes" in self.problem(tmp_path)

    def test_several_answers(self, tmp_path):
        for ending in (".npz", ".h5"):
            WRITERS[ending[1:]][1](tmp_path / f"ramp{ending}", {"pictures": ramp(1, 1, 2, 3)})
        assert "several results: ramp.h5, ramp.npz" in self.problem(tmp_path)


class TestFolders:
    kit = SimpleNamespace(cases=[question("ramp", a=1), question("slope", a=1)])

    def test_what_is_missing_is_not_attempted(self, tmp_path):
        found = read_results(tmp_path, self.kit)
        assert (found.answers, found.strays) == ({}, ())
        assert judge(self.kit.cases[0], None).outcome is Outcome.NOT_ATTEMPTED

    def test_files_of_no_case_are_told(self, tmp_path):
        for name in ("rmap.npz", "other.mat", "slope.npy", "README.md", ".hidden.npz"):
            (tmp_path / name).touch()
        found = read_results(tmp_path, self.kit)
        assert found.answers == {}
        assert found.strays == (
            "other.mat belongs to no case",
            "rmap.npz belongs to no case; is ramp meant?",
            "slope.npy is not read; expected slope.npz, .h5 or .mat",
        )

    def test_what_is_not_asked_for_is_not_read(self, tmp_path):
        (tmp_path / "ramp.npz").write_bytes(b"broken")
        (tmp_path / "rump.npz").touch()
        found = read_results(tmp_path, self.kit, [])
        assert dict(found.answers) == {}
        assert found.strays
        assert found.days == ()

    def test_the_days_of_results(self, tmp_path):
        kit = SimpleNamespace(cases=[question(name, a=1.0) for name in "abc"])
        for name, day in (("a", 1), ("b", 3), ("c", 2)):
            path = tmp_path / f"{name}.npz"
            np.savez(path, a=1.0)
            os.utime(path, (day * 86400 + 5, day * 86400 + 5))
        assert read_results(tmp_path, kit).days == ("1970-01-02", "1970-01-04")
        assert read_results(tmp_path, kit, kit.cases[1:2]).days == ("1970-01-04",)

    @pytest.mark.parametrize("name", ["nowhere", "file"])
    def test_no_folder(self, name, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(FileError, match="expected a folder of results"):
            read_results(tmp_path / name, self.kit)

    def test_matlab_files_of_any_version_need_no_scipy(self, tmp_path, monkeypatch):
        real = builtins.__import__

        def absent(name, *arguments, **keywords):
            if name.startswith("scipy"):
                raise ImportError(name)
            return real(name, *arguments, **keywords)

        for save in (save_v73, save_v5):
            save(tmp_path / "ramp.mat", {"a": np.array(1.0)})
            with monkeypatch.context() as patch:
                patch.setattr(builtins, "__import__", absent)
                assert "a" in read_results(tmp_path, self.kit).answers["ramp"]
