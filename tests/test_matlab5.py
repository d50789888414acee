"""MATLAB files of version 5 to 7: held against SciPy's reader, and what it cannot read by hand."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matlab5_elements as el
import numpy as np
import pytest
import scipy.io.matlab
import scipy.sparse
from absence import absent
from matlab5_elements import Element
from matlab_values import plain, refused
from scipy.io import loadmat, savemat
from scipy_values import read_by_scipy

import fdref
from fdref.weights.matlab import Unsupported, read
from fdref.weights.matlab_write import write

if TYPE_CHECKING:
    from collections.abc import Callable

SCIPYS = Path(scipy.io.matlab.__file__).parent / "tests" / "data"
DIFFERENT = {"bad_miutf8_array_name.mat"}  # a name that is not ASCII: SciPy refuses it


def is_version_5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(128)[124:] in (b"\0\1IM", b"\1\0MI")


def same_as_scipy(path: Path) -> bool:
    """Check that a file is read as by SciPy, or refused by both; tell which."""
    try:
        expected = read_by_scipy(path)
    except Exception:  # noqa: BLE001 - whatever it raises
        refused(path, match="damaged")
        return False
    found = read(path)
    assert list(found) == list(expected)
    assert plain(found) == plain(expected)
    return True


def read_as_written(tmp_path: Path, *elements: Element, order: el.Order = "<") -> dict[str, Any]:
    (tmp_path / "a.mat").write_bytes(el.file_of(*elements, order=order))
    return read(tmp_path / "a.mat")


# What others wrote


def test_what_matlab_wrote(shared: Path) -> None:
    paths = [path for path in sorted((shared / "models").iterdir()) if is_version_5(path)]
    assert len(paths) >= 7
    assert all(same_as_scipy(path) for path in paths)


def test_the_files_of_scipys_own_tests() -> None:
    if not SCIPYS.is_dir():
        absent("scipy-tests", "this SciPy is installed without its tests")
    paths = [path for path in sorted(SCIPYS.glob("*.mat")) if is_version_5(path)]
    outcomes = [same_as_scipy(path) for path in paths if path.name not in DIFFERENT]
    assert sum(outcomes) > 75
    others = [path for path in sorted(SCIPYS.glob("*.mat")) if not is_version_5(path)]
    for path in others:
        if "hdf5" in path.name:
            assert list(read(path)) == ["testdouble"]
        else:
            refused(path, match=r"a MATLAB v4 file \(its first variable is `\w+`\).*`save -v7`")
    assert len(others) > 10


ALL_FORMS = [*product("<>", (0, 1, 2))]


@pytest.mark.parametrize(("order", "levels"), ALL_FORMS, ids=[f"{o}{n}" for o, n in ALL_FORMS])
def test_every_form_of_the_same_file(
    order: el.Order, levels: int, shared: Path, tmp_path: Path
) -> None:
    """In both orders of bytes; unpacked, packed, and packed twice, which SciPy does not read."""
    source = shared / "models" / "plate-simplenn-v5.mat"
    written, elements = el.file_parsed(source.read_bytes())
    forms = []
    for element in map(el.unpacked, elements):
        form = element if order == written else el.swapped(element)
        for _ in range(levels):
            form = el.packed(form)
        forms.append(form)
    path = tmp_path / "a.mat"
    path.write_bytes(el.file_of(*forms, order=order))
    assert plain(read(path)) == plain(read(source))
    if levels < 2:
        assert same_as_scipy(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [*"bhilqBHILQfd", "?", ">f4"])
def test_numbers_of_every_class(dtype: str, packed: bool, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    shapes = [(2, 3, 4, 5), (1, 1), (3, 1), (0, 4), (7, 6), (1, 0)]
    arrays = {
        f"a{number}": generator.integers(0, 100, shape).astype(dtype)
        for number, shape in enumerate(shapes)
    }
    path = tmp_path / "a.mat"
    savemat(path, arrays, do_compression=packed)
    found = read(path)
    assert plain(found) == plain({name: array.T for name, array in arrays.items()})
    assert same_as_scipy(path)


@pytest.mark.parametrize("packed", [False, True])
def test_what_scipy_writes(packed: bool, tmp_path: Path) -> None:
    cell = np.empty((2, 3), object)
    cell[:] = [[1.5, "x", np.zeros((0, 2))], [{"a": "", "b": {}}, np.empty((0, 0), object), True]]
    written = {
        "cell": cell,
        "nested": {"deep": {"deeper": {"deepest": cell}}, "empty": np.array([])},
        "array": np.array([[(1, 2.5), (3, 4.5)]], [("p", "i4"), ("q", "f8")]),
        "none": np.empty((0, 2), [("p", "O"), ("q", "O")]),
        "large": np.array([[-(2**63), 2**63 - 1]], "i8"),
        "unsigned": np.array([[2**64 - 1]], "u8"),
        "complex": np.array([1 + 2j]),
        "complexes": {"single": np.array([[1j]], "c8"), "next": 1.0},
        "sparse": scipy.sparse.csc_array(np.eye(3)),
        "rows": np.array(["relu", "conv"]),
        "matrix": np.array([["ab", "cd"], ["ef", "gh"]]),
        "blank": np.array(["a  ", "   "]),
        "text": "naïve €",
        "truth": np.array([[True, False]]),
    }
    savemat(tmp_path / "a.mat", written, do_compression=packed, long_field_names=True)
    assert same_as_scipy(tmp_path / "a.mat")
    found: Any = read(tmp_path / "a.mat")
    assert found["cell"][:4] == [
        np.array([[1.5]]),
        {"a": "", "b": {}},
        "x",
        [],
    ]
    assert found["rows"] == "relu\nconv"
    assert found["text"] == "naïve €"
    assert found["large"].tolist() == [[-(2**63)], [2**63 - 1]]
    assert found["unsigned"].item() == 2**64 - 1
    assert found["complex"] == Unsupported("complex numbers") == found["complexes"]["single"]
    assert found["complexes"]["next"].item() == 1.0
    assert found["sparse"] == Unsupported("sparse")
    assert found["truth"].dtype == bool
    assert (found["none"], len(found["array"])) == ([], 2)


OCTAVE = """
scalar = 3; row = 1:3; large = int64(2)^62; unsigned = intmax("uint64"); single_ = single(1.5);
truth = [true false; false true]; text = "conv"; rows = ["relu"; "conv"]; blank = "";
more = ones(2, 3, 4); nothing = zeros(0, 3); cells = {1, "x"; [], {2, {}}}; none = cell(2, 0);
one.a = 1; one.b = "t"; one.c = {}; many(2).p = 1; many(1).p = "q"; empty = struct("a", {});
numbers = 1 + 2i; few = sparse([1 0; 0 2]); small = uint8([1 2 3]); negative = int16(-300);
old = inline("x + 1");
"""


@pytest.fixture(scope="module")
def octave(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Run Octave; what it is given saves files in the folder that is returned."""
    program = shutil.which("octave-cli")
    if program is None:
        absent("octave", "GNU Octave is not installed (Debian: apt-get install octave)")
    folder = tmp_path_factory.mktemp("octave")

    def run(code: str) -> Path:
        (folder / "code.m").write_text(code)
        command = [program, "--no-gui", "--norc", "code.m"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return folder

    return run


def test_what_octave_writes(octave: Callable[[str], Path]) -> None:
    folder = octave(f"{OCTAVE} save -v6 6.mat; save -v7 7.mat; save -v4 4.mat row numbers text")
    for name in ("6.mat", "7.mat"):
        assert same_as_scipy(folder / name)
        found = read(folder / name)
        assert found["rows"] == "relu\nconv"
        assert found["many"] == [{"p": "q"}, {"p": np.array([[1.0]])}]
        assert (found["empty"], found["none"]) == ([], [])
        assert found["large"] == np.int64(2) ** 62
    refused(folder / "4.mat", match=r"v4 file \(its first variable is `row`\), expected .* 5 to 7")


def test_octaves_characters(octave: Callable[[str], Path]) -> None:
    """Its own are bytes, and a shape counts those; SciPy does not read the first."""
    folder = octave('text = "naïve €😀"; rows = ["naïve €"; "aaa €  öö"]; save -v7 text.mat')
    assert read(folder / "text.mat") == {"text": "naïve €😀", "rows": "naïve €   \naaa €  öö"}


# Values by hand


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [(1, "i1", -3), (2, "u1", 200), (3, "i2", -300), (4, "u2", 60_000), (5, "i4", -(2**31)),
     (6, "u4", 2**32 - 1), (7, "f4", 0.1), (9, "f8", 0.1), (12, "i8", 2**53), (13, "u8", 2**53)],
)  # fmt: skip
def test_doubles_in_the_smallest_type_that_holds_them(
    kind: int, code: str, value: float, order: el.Order, tmp_path: Path
) -> None:
    """A stride arrives as uint8, and 200 times that is 144."""
    part = Element(kind, np.array([value] * 6, f"<{code}").tobytes())
    variable = el.matrix("a", 6, (2, 3), part)
    if order == ">":
        variable = el.swapped(variable)
    found = read_as_written(tmp_path, variable, order=order)["a"]
    assert (found.dtype, found.shape) == (np.dtype("f8"), (3, 2))
    assert found.dtype.isnative
    assert (found == np.array(value, code)).all()
    assert same_as_scipy(tmp_path / "a.mat")


def test_truths_stored_as_anything(tmp_path: Path) -> None:
    doubles = el.numbers("a", np.array([[0.0, 2.0, -1.0]]), flags=el.LOGICAL)
    ones = el.numbers("b", np.array([[0, 1, 255]], "u1"), flags=el.LOGICAL)
    nothing = el.numbers("c", np.zeros((0, 3), "u1"), flags=el.LOGICAL)
    found = read_as_written(tmp_path, doubles, ones, nothing)
    assert plain(found["a"]) == plain(found["b"]) == plain(np.array([[0], [1], [1]], bool))
    assert plain(found["c"]) == plain(np.zeros((3, 0), bool))


def test_numbers_that_a_class_does_not_have(tmp_path: Path) -> None:
    part = Element(el.DOUBLE, np.array([np.nan, 1e300]).tobytes())
    whole, singles = (
        el.matrix(name, number, (1, 2), part) for name, number in [("a", 8), ("b", 7)]
    )
    found = read_as_written(tmp_path, whole, singles)
    assert found["a"].dtype == np.int8
    assert np.isinf(found["b"][1]).all()


def test_what_matlab_leaves_out_is_empty(tmp_path: Path) -> None:
    """A field or element that was never set is an element of no bytes."""
    nothing = Element(el.MATRIX, b"")
    first = el.struct_of("s", (1, 1), ["pad", "stride"], nothing, el.numbers("", 2.0))
    second = el.matrix("c", el.CELL, (1, 2), nothing, el.chars("", (1, 1), el.UINT16, b"x\0"))
    found = read_as_written(tmp_path, first, second, nothing)
    assert plain(found) == plain(
        {"s": {"pad": np.zeros((0, 0)), "stride": np.array([[2.0]])}, "c": [np.zeros((0, 0)), "x"]}
    )


def test_structs_of_every_shape(tmp_path: Path) -> None:
    values = [el.numbers("", float(i)) for i in range(6)]
    found = read_as_written(
        tmp_path,
        el.struct_of("many", (3, 1), ["a", "b"], *values),
        el.struct_of("none", (0, 2), ["a", "b"]),
        el.struct_of("bare", (1, 1), []),
        el.struct_of("bares", (1, 3), []),
        el.struct_of("twice", (1, 1), ["a", "b", "a", "a"], *values[:4]),
    )
    many = [{name: value.item() for name, value in struct.items()} for struct in found["many"]]
    assert many == [{"a": 0, "b": 1}, {"a": 2, "b": 3}, {"a": 4, "b": 5}]
    assert (found["none"], found["bare"], found["bares"]) == ([], {}, [{}, {}, {}])
    assert list(found["twice"]) == ["a", "b", "_1_a", "_2_a"]  # as SciPy names them


def test_of_variables_with_one_name_the_last_counts(tmp_path: Path) -> None:
    found = read_as_written(tmp_path, el.numbers("a", 1.0), el.packed(el.numbers("a", 2.0)))
    assert found["a"].item() == 2.0
    assert same_as_scipy(tmp_path / "a.mat")


SMILE = "é€😀"
ENCODED = {
    "latin": (el.UINT8, b"\xe9a", (1, 2), "éa"),
    "int8": (el.INT8, b"\xe9a", (1, 2), "éa"),
    "uint16": (el.UINT16, SMILE.encode("utf-16-le"), (1, 4), SMILE),
    "utf-16": (el.UTF16, SMILE.encode("utf-16-le"), (1, 4), SMILE),
    "utf-32": (el.UTF32, SMILE.encode("utf-32-le"), (1, 3), SMILE),
    "uint32": (el.UINT32, SMILE.encode("utf-32-le"), (1, 3), SMILE),
    "utf-8 by characters": (el.UTF8, SMILE.encode(), (1, 3), SMILE),
    "utf-8 by units": (el.UTF8, SMILE.encode(), (1, 4), SMILE),
    "utf-8 by bytes": (el.UTF8, SMILE.encode(), (1, 9), SMILE),
    "utf-8 by nothing": (el.UTF8, SMILE.encode(), (1, 7), SMILE),
    "utf-8 in rows by characters": (el.UTF8, "aécd".encode(), (2, 2), "ac\néd"),
    "utf-8 in rows by units": (
        el.UTF8,
        "a😀b😀".encode(),
        (2, 3),
        "a\ufffd\ufffd\n\ufffdb\ufffd",
    ),
    "utf-8, broken": (el.UTF8, b"\x80 am broken", (1, 11), "\ufffd am broken"),
    "half of a character": (el.UTF16, b"\x3d\xd8a\0", (1, 2), "\ufffda"),
    "a column": (el.UINT16, b"a\0b\0c\0", (3, 1), "a\nb\nc"),
    "three axes": (el.UINT8, b"abcdefgh", (2, 2, 2), "aceg\nbdfh"),
    "blank": (el.UINT16, b"", (2, 3), "   \n   "),
    "empty": (el.UINT16, b"", (0, 0), ""),
    "empty rows": (el.UINT16, b"", (2, 0), ""),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ENCODED)
def test_characters(name: str, order: el.Order, tmp_path: Path) -> None:
    kind, content, shape, expected = ENCODED[name]
    variable = el.chars("a", shape, kind, content)
    if order == ">":
        variable = el.swapped(variable)
    assert read_as_written(tmp_path, variable, order=order) == {"a": expected}


def test_what_cannot_be_read_only_hurts_who_needs_it(tmp_path: Path) -> None:
    """As training checkpoints hold them, and MATLAB's own data at the end of the file."""
    inner = el.struct_of("", (1, 1), ["x"], el.numbers("", 1.0))
    odd = [
        (lambda name: el.opaque(name, "gpuArray"), "gpuArray"),
        (lambda name: el.opaque(name, "dagnn.DagNN"), "dagnn.DagNN"),
        (lambda name: el.matrix(name, el.HANDLE, (1, 1), inner), "function_handle"),
        (lambda name: el.matrix(name, el.OBJECT, (1, 1), el.text("inline"), inner), "inline"),
        (lambda name: el.matrix(name, el.SPARSE, (2, 2)), "sparse"),
        (lambda name: el.matrix(name, 99, (2, 2)), "number 99"),
        (lambda name: el.numbers(name, 1.0, flags=el.COMPLEX), "complex numbers"),
    ]
    variables = [make(f"v{number}") for number, (make, _) in enumerate(odd)]
    cell = el.matrix("c", el.CELL, (1, len(odd)), *(make("") for make, _ in odd))
    own = el.numbers("", np.zeros(1000, "u1"))
    found = read_as_written(tmp_path, *variables, el.packed(cell), el.numbers("x", 2.0), own)
    expected = [Unsupported(kind) for _, kind in odd]
    assert [found.pop(f"v{number}") for number in range(len(odd))] == expected
    assert found.pop("c") == expected
    assert plain(found) == plain({"x": np.array([[2.0]])})


def test_data_of_matlabs_own_are_not_even_unpacked(tmp_path: Path) -> None:
    """The header says where; they may be large, and damaged."""
    variable, own = el.numbers("x", 2.0), Element(el.PACKED, [], packed=b"nonsense")
    place = 128 + len(el.encoded(variable))
    (tmp_path / "a.mat").write_bytes(el.file_of(variable, own, variable, subsystem=place))
    assert list(read(tmp_path / "a.mat")) == ["x"]
    (tmp_path / "a.mat").write_bytes(el.file_of(variable, own, variable))
    refused(tmp_path / "a.mat", match="cannot be unpacked")


@pytest.mark.parametrize("small", [False, True])
def test_little_may_stand_in_small_elements_or_large_ones(small: bool, tmp_path: Path) -> None:
    part = Element(el.UINT8, b"\1\2\3", small=small)
    name = Element(el.INT8, b"a", small=small)
    head = Element(el.UINT32, b"\6\0\0\0\0\0\0\0")
    variable = Element(el.MATRIX, [head, el.sizes(1, 3), name, part])
    assert read_as_written(tmp_path, variable)["a"].tolist() == [[1], [2], [3]]


def test_some_writers_mistakes(tmp_path: Path) -> None:
    """Sizes of type uint32, names of type uint8 or UTF-8, and padded ones."""
    head = Element(el.UINT32, b"\6\0\0\0\0\0\0\0")
    shape = Element(el.UINT32, b"\1\0\0\0\1\0\0\0")
    variables = [
        Element(el.MATRIX, [head, shape, Element(kind, name), Element(el.UINT8, b"\7")])
        for kind, name in [(el.UINT8, b"a"), (el.UTF8, "ä".encode()), (el.INT8, b"b\0\0\0\0")]
    ]
    found = read_as_written(tmp_path, *variables)
    assert {name: array.item() for name, array in found.items()} == {"a": 7, "ä": 7, "b": 7}


# The same values from both readers


def test_both_readers_give_the_same(shared: Path, tmp_path: Path) -> None:
    """What is read of v5 is written as v7.3, and so are networks; who reads does not know which."""
    outcomes = []
    for path in sorted((shared / "models").iterdir()):
        if not is_version_5(path):
            continue
        found = read(path)
        write(tmp_path / path.name, found)
        again = read(tmp_path / path.name)  # variables in the order of their names
        assert {name: plain(again[name]) for name in found} == dict(plain(found))
        outcomes.append(outcome(path))
        assert outcome(tmp_path / path.name) == outcomes[-1]
    assert sum(isinstance(found, fdref.Network) for found in outcomes) >= 4


def outcome(path: Path) -> fdref.Network | str:
    """Return what a file gives, or what is said of it."""
    try:
        return fdref.load(path)
    except fdref.NetworkError as error:
        return str(error).removeprefix(str(path))


def test_files_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    """A v5 file may hold the mark of an HDF5 file where that would stand."""
    mark = np.frombuffer(b"\x89HDF\r\n\x1a\n".ljust(1024, b"\0"), "u1")
    data = el.file_of(el.chars("t", (1, 300), el.UINT8, b"x" * 300), el.numbers("a", mark))
    gap = 512 - data.index(b"\x89HDF")
    data = el.file_of(
        el.chars("t", (1, 300 + gap), el.UINT8, b"x" * (300 + gap)), el.numbers("a", mark)
    )
    assert data[512:516] == b"\x89HDF"
    (tmp_path / "a.h5").write_bytes(data)
    assert list(read(tmp_path / "a.h5")) == ["t", "a"]
    write(tmp_path / "v7.mat", {"a": np.eye(2)})
    assert list(read(tmp_path / "v7.mat")) == ["a"]
    for order in "<>":
        code = (0 if order == "<" else 1000, 2, 2, 0, 2)
        head = np.array(code, f"{order}i4").tobytes()
        (tmp_path / "4.mat").write_bytes(head + b"x\0" + np.eye(2, dtype=f"{order}f8").tobytes())
        assert loadmat(tmp_path / "4.mat")["x"].shape == (2, 2)
        refused(tmp_path / "4.mat", match=r"v4 file \(its first variable is `x`\)")
