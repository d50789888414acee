"""Whatever comes from outside must be a regular file, and faults are told as whose they are."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fdref
from fdref import imports
from fdref.commands.labelled import archive
from fdref.conformance.case import Case
from fdref.conformance.compute import compute
from fdref.conformance.expectations import read_excuses
from fdref.conformance.kit import read_kit, write_kit
from fdref.conformance.results import read_results
from fdref.errors import DependencyError, FdrefError, FileError, one_line
from fdref.testing import assert_conforms
from fdref.training import sgd
from fdref.training.recipe import LENET
from fdref.weights import bounded, matlab, matlab73, npz
from fdref.weights.bounded import Budget, contents
from fdref.weights.image_sets import images_in
from fdref.weights.pictures import picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DESCRIPTORS = Path("/proc/self/fd")
PAGEMAP = Path("/proc/self/pagemap")  # of size 0, and nearly without end


def linked(path: Path, make: Callable[[Path], object]) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    make(path.with_name("elsewhere"))


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # names of sockets are short


IRREGULAR: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "link to a pipe": lambda path: linked(path, os.mkfifo),
    "folder": Path.mkdir,
    "link to a folder": lambda path: linked(path, Path.mkdir),
    "socket": listening,
    "link to a device without end": lambda path: path.symlink_to("/dev/zero"),
    "link to a device without anything": lambda path: path.symlink_to("/dev/null"),
    "link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "link to itself": lambda path: path.symlink_to(path),
    "made up by the kernel": lambda path: path.symlink_to(PAGEMAP),
}


def results_in(path: Path) -> None:
    case = SimpleNamespace(id=path.stem, expected={})
    answer = read_results(path.parent, SimpleNamespace(cases=[case])).answers[path.stem]
    raise FileError(str(answer))


def excuses_in(path: Path) -> None:
    assert read_excuses(path, ["a"]) == {}
    raise FileError("is empty")


ENTRANCES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "network": ("net.mat", fdref.load),
    "results, npz": ("case.npz", results_in),
    "results, HDF5": ("case.h5", results_in),
    "results, MATLAB": ("case.mat", results_in),
    "kit": ("manifest.json", lambda path: read_kit(path.parent)),
    "known failures": ("list.xfail", excuses_in),
    "a picture": ("a.png", lambda path: picture(path, 1)),
    "a folder of pictures": ("a.jpg", lambda path: images_in(path.parent, 1)),
    "MNIST": ("train-images-idx3-ubyte", lambda path: fdref.mnist(path.parent)),
    "MNIST, packed": ("train-images-idx3-ubyte.gz", lambda path: fdref.mnist(path.parent)),
    "images": ("images.npz", lambda path: archive(fdref.load(), path)),
    "checkpoint": ("lenet.mat.checkpoint", lambda path: sgd.read_checkpoint(LENET, path)),
}


@pytest.fixture
def alarm() -> Iterator[None]:
    """Whoever waits for a pipe's other end is woken."""

    def wake(number: int, frame: object) -> None:
        raise AssertionError("it waits")

    default = signal.signal(signal.SIGALRM, wake)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, default)


@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_only_regular_files_are_read(entrance, kind, alarm, tmp_path, monkeypatch):
    if kind == "made up by the kernel" and not PAGEMAP.exists():
        pytest.skip(f"there is no {PAGEMAP}")
    monkeypatch.chdir(tmp_path)
    name, read = ENTRANCES[entrance]
    IRREGULAR[kind](tmp_path / name)
    with pytest.raises(FdrefError) as refusal:
        read(tmp_path / name)
    message = str(refusal.value)
    assert message.isprintable()
    if kind not in ("link to a terminal", "link to itself", "made up by the kernel"):
        assert "is a folder or a device, expected" in message


def test_a_part_of_a_kit_that_is_a_pipe(alarm, tmp_path):
    write_kit(tmp_path / "kit")
    part = next((tmp_path / "kit" / "expected").iterdir())
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(FileError, match=f"{part.name} is a folder or a device"):
        read_kit(tmp_path / "kit")


def test_what_changes_after_it_is_opened_changes_nothing(tmp_path, monkeypatch):
    """The name may lead elsewhere at once: what is judged is what was opened."""
    path = tmp_path / "net.mat"
    path.write_bytes(b"good")
    status = os.fstat

    def late(descriptor: int) -> os.stat_result:
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/zero")
        return status(descriptor)

    monkeypatch.setattr(bounded.os, "fstat", late)
    assert contents(path, "a file") == b"good"


def test_no_more_is_read_than_a_file_has_or_may_have(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert contents(path, "a file", most=5) == b"12345"
    with pytest.raises(FileError, match="has 5 bytes, expected a file of at most 4"):
        contents(path, "a file", most=4)


def test_nothing_stays_open_of_what_is_refused(tmp_path):
    for number in range(20):
        os.mkfifo(tmp_path / f"{number}")
    if not DESCRIPTORS.exists():
        pytest.skip(f"there is no {DESCRIPTORS}")
    before = len(list(DESCRIPTORS.iterdir()))
    for number in range(20):
        with pytest.raises(FileError):
            contents(tmp_path / f"{number}", "a file")
    assert len(list(DESCRIPTORS.iterdir())) == before


class TestWhoseFaultItIs:
    """Damage is the file's; a full memory, a missing package and our mistakes are not."""

    @pytest.mark.parametrize("fault", [MemoryError, RecursionError, AttributeError, TypeError])
    def test_faults_of_ours_in_reading_networks(self, fault, net_file, monkeypatch):
        def fail(*arguments: object, **keywords: object) -> None:
            raise fault("ours")

        monkeypatch.setattr(matlab73, "_decode", fail)
        with pytest.raises(fault, match="ours") as caught:
            fdref.load(net_file)
        assert not isinstance(caught.value, FdrefError)

    @pytest.mark.parametrize("fault", [MemoryError, RecursionError, AttributeError])
    def test_faults_of_ours_in_reading_results(self, fault, tmp_path, monkeypatch):
        def fail(*arguments: object, **keywords: object) -> None:
            raise fault("ours")

        np.savez(tmp_path / "case.npz", a=1.0)
        monkeypatch.setattr("fdref.conformance.results.arrays_of", fail)
        with pytest.raises(fault, match="ours"):
            read_results(tmp_path, SimpleNamespace(cases=[SimpleNamespace(id="case", expected={})]))

    @pytest.mark.parametrize(
        "problem",
        [
            ModuleNotFoundError("No module named 'h5py'"),
            ImportError("numpy.core.multiarray failed to import"),
            ValueError("numpy.dtype size changed, may indicate binary incompatibility"),
            AttributeError("module 'numpy' has no attribute 'typeDict'"),
        ],
        ids=repr,
    )
    def test_an_h5py_that_cannot_be_imported(self, problem, net_file, tmp_path, monkeypatch):
        net = fdref.load()
        (tmp_path / "case.h5").write_bytes(net_file.read_bytes())

        def broken(name: str) -> None:
            assert name == "h5py"
            raise problem

        monkeypatch.setattr(imports, "import_module", broken)
        case = SimpleNamespace(id="case", expected={})
        for attempt in (
            lambda: fdref.load(net_file),
            lambda: fdref.save(net, tmp_path / "copy.mat"),
            lambda: read_results(tmp_path, SimpleNamespace(cases=[case])),
        ):
            with pytest.raises(DependencyError, match="h5py, which cannot be imported") as caught:
                attempt()
            assert "damaged" not in str(caught.value)
            assert str(problem) in str(caught.value)
        assert not (tmp_path / "copy.mat").exists()

    @pytest.mark.parametrize("fault", [MemoryError, RecursionError, ImportError])
    def test_running_out_of_memory_is_no_refusal(self, fault):
        """Nor is a package that is missing: the cases that must be refused would pass."""

        def function(**arguments: object) -> None:
            raise fault("not an answer")

        with pytest.raises(fault, match="not an answer"):
            assert_conforms(function, "correlate")

    def test_a_network_that_cannot_be_read_is_no_refusal(self, tmp_path):
        parameters = {"network": {"file": "missing.mat"}}
        images = {"images": np.zeros((1, 1, 28, 28))}
        case = Case("a", "forward", "2", "", images, parameters, {}, refused=True)
        with pytest.raises(FileError, match=r"missing.mat cannot be read"):
            compute(case, folder=tmp_path)


class TestArchives:
    def test_every_type_and_order(self, tmp_path):
        arrays = {
            "single": np.ones((2, 3), "f4"),
            "swapped": np.arange(4, dtype=">i4"),
            "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "scalar": np.array(3),
            "empty": np.zeros((0, 5)),
            "text": np.array(["a", "bc"]),
            "flag": np.array([True, False]),
        }
        for write in (np.savez, np.savez_compressed):
            write(tmp_path / "a.npz", **arrays)
            found = npz.arrays_of((tmp_path / "a.npz").read_bytes(), "a.npz", Budget())
            assert found.keys() == arrays.keys()
            for name, array in arrays.items():
                assert np.array_equal(found[name], array)
                assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
                assert found[name].flags.writeable

    @pytest.mark.parametrize(
        "header",
        [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '(1000000,1000000)<f8', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (1" + ",1" * 80 + "), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 4000 + ")" * 4000 + "}",
            "{'descr': " + "-" * 9000 + "1, 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '\\d', 'fortran_order': False, 'shape': (1L,), }",
            "{",
            "\0",
        ],
        ids=lambda header: header[:60],
    )
    def test_headers_that_claim_or_nest_too_much(self, header, tmp_path):
        import zipfile

        start = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode()
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
            file.writestr("images.npy", start + bytes(8))
        with pytest.raises(FileError, match=r"a.npz: `images`"):
            npz.arrays_of((tmp_path / "a.npz").read_bytes(), "a.npz", Budget())

    def test_what_is_damaged_gives_numbers_or_a_refusal(self, tmp_path):
        np.savez_compressed(tmp_path / "a.npz", images=np.arange(500.0), labels=np.arange(7))
        data = (tmp_path / "a.npz").read_bytes()
        refusals = []
        for seed in range(400):
            generator = np.random.default_rng(seed)
            damaged = np.frombuffer(data, "u1").copy()
            places = generator.integers(0, len(data), generator.choice([1, 2, 8]))
            damaged[places] = generator.integers(0, 256, len(places))
            try:
                npz.arrays_of(damaged.tobytes(), "a.npz", Budget())
            except FileError as refusal:
                refusals.append(str(refusal))
        assert len(refusals) > 200
        assert all(refusal.startswith("a.npz") for refusal in refusals)

    def test_a_bomb_is_refused_before_it_goes_off(self, tmp_path):
        np.savez_compressed(tmp_path / "a.npz", images=np.zeros(2**22, "u1"))
        data = (tmp_path / "a.npz").read_bytes()
        least = len(data) + 2**22 + 128 + bounded.VALUE
        assert npz.arrays_of(data, "a.npz", Budget(largest=least))["images"].size == 2**22
        with pytest.raises(FileError, match="`images` is too much"):
            npz.arrays_of(data, "a.npz", Budget(largest=least - 1))


def test_a_small_file_may_not_take_as_much_as_a_large_one():
    small, large = Budget(), Budget()
    small.file(1000)
    large.file(10 * 2**20)
    assert (small.most, large.most) == (2**28, 1000 * 2**20)
    small.take("x", 2**28 - 1000)
    with pytest.raises(FileError, match="x is too much, expected at most 268435456 bytes"):
        small.take("x", 1)


def test_reading_in_threads_needs_no_main_thread(net_file):
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(matlab.read(net_file)))
    thread.start()
    thread.join()
    assert len(found) == 1


def test_messages_are_one_printable_line_of_bounded_length():
    message = str(FileError("a.mat: \x1b[2J\n\u202e" + "x" * 10**6 + "; do this"))
    assert message.isprintable()
    assert len(message) <= 1200
    assert message.startswith("a.mat: ?[2J??xxx")
    assert message.endswith("; do this")
    assert one_line("short") == "short"
