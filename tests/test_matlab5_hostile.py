"""MATLAB files of version 5 to 7 that are damaged, or made to harm: no claim is believed."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import matlab5_elements as el
import numpy as np
import pytest
from matlab5_elements import Element
from matlab_values import plain, refused
from scipy.io import loadmat, savemat
from taken import taken

from fdref.errors import FileError
from fdref.weights.bounded import VALUE, Budget
from fdref.weights.inflating import Inflating
from fdref.weights.matlab import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 2**20
DOUBLE = el.numbers("x", np.arange(6.0).reshape(2, 3))
HEAD = Element(el.UINT32, b"\6\0\0\0\0\0\0\0")


def bomb(size: int, claimed: int | None = None) -> Element:
    """Return an element that is packed as well as zlib can, as it says or as is claimed."""
    variable = el.numbers("x", np.zeros(size // 8))
    content = bytearray(el.encoded(variable))
    if claimed is not None:
        content[4:8] = struct.pack("<I", claimed)
    return Element(el.PACKED, [], packed=zlib.compress(content, 9))


def nested(levels: int, wrap: Callable[[Element], Element]) -> Element:
    element = el.numbers("", 1.0)
    for _ in range(levels):
        element = wrap(element)
    return element


def in_a_cell(element: Element) -> Element:
    return el.matrix("x", el.CELL, (1, 1), element)


def changed(**fields: Any) -> Element:
    """Return a variable whose numbers say something else of themselves."""
    return el.matrix("x", 6, (1, 1), Element(**{"kind": el.DOUBLE, "content": bytes(8), **fields}))


def spoilt(number: int, element: Element) -> Element:
    """Return a variable of which one element is another."""
    variable = el.numbers("x", np.ones((1, 1)))
    assert isinstance(variable.content, list)
    variable.content[number] = element
    return variable


EMPTY_STRING = Element(el.INT8, b"")
HOSTILE = {
    "a size beyond the end": (changed(size=2**31), "an element of 2147483648 bytes"),
    "a small size beyond its space": (
        changed(kind=el.UINT8, content=b"\1", small=True, size=99),
        "an element of 99 bytes in 4",
    ),
    "no numbers": (el.matrix("x", 6, (1, 1)), "has 0 bytes where an element should be"),
    "numbers of no type": (changed(kind=77), "x has numbers of type 77"),
    "fewer numbers than the shape": (
        el.matrix("x", 6, (2, 2), Element(el.DOUBLE, bytes(24))),
        "x has 24 bytes for 4 numbers of 8",
    ),
    "half a number": (
        el.matrix("x", 6, (1, 1), Element(el.DOUBLE, bytes(7))),
        "x has 7 bytes for 1 numbers of 8",
    ),
    "a shape that overflows": (
        el.matrix("x", 6, (2**31 - 1,) * 4, Element(el.DOUBLE, bytes(8))),
        "x has 8 bytes for 21267647892944572736998860269687930881 numbers",
    ),
    "an empty shape that overflows": (
        el.matrix("x", 6, (0, *[2**31 - 1] * 4), Element(el.DOUBLE, b"")),
        "x is an empty double",
    ),
    "a negative length": (spoilt(1, el.sizes(-1, -1)), r"has axes of \(-1, -1\)"),
    "very many axes": (spoilt(1, el.sizes(*[1] * 33)), "has axes of"),
    "no axes": (spoilt(1, el.sizes()), r"has axes of \(\)"),
    "axes of no type": (spoilt(1, Element(el.DOUBLE, bytes(8))), "type 9 where sizes"),
    "axes that are cut": (spoilt(1, Element(el.INT32, bytes(7))), "7 bytes of type 5 where sizes"),
    "a name of no type": (spoilt(2, Element(el.DOUBLE, bytes(8))), "type 9 where a name"),
    "a variable of another type": (Element(el.DOUBLE, bytes(8)), "type 9 where a variable"),
    "a cell with another type in it": (
        in_a_cell(Element(el.DOUBLE, bytes(8))),
        r"x\{1\} has an element of type 9 where a variable",
    ),
    "very many elements": (
        el.matrix("x", el.CELL, (2**31 - 1, 2**31 - 1)),
        "claims 4611686014132420609 values in 0 bytes",
    ),
    "very many structs": (
        el.struct_of("x", (2**31 - 1, 1), ["a"], el.numbers("", 1.0)),
        "claims 2147483647 values in 64 bytes",
    ),
    "very many structs of nothing": (el.struct_of("x", (2**31 - 1, 1), []), "x is too much"),
    "names of no length": (
        el.matrix("x", el.STRUCT, (1, 1), el.sizes(0), el.text("a\0b\0")),
        "names of 0 characters",
    ),
    "names of a negative length": (
        el.matrix("x", el.STRUCT, (1, 1), el.sizes(-2), el.text("a\0b\0")),
        "names of -2 characters",
    ),
    "names of no integer length": (
        el.matrix("x", el.STRUCT, (1, 1), el.sizes(), el.text("a\0b\0")),
        "names of 0 characters",
    ),
    "names that are cut": (
        el.matrix("x", el.STRUCT, (1, 1), el.sizes(3), el.text("a\0b\0")),
        "names of 3 characters in 4",
    ),
    "a struct without its last field": (
        el.struct_of("x", (1, 1), ["a", "b"], el.numbers("", np.zeros(2))),
        r"has 0 bytes where an element",
    ),
    "deep cells": (nested(70, in_a_cell), "is 64 levels deep"),
    "deep packing": (nested(70, el.packed), "is 64 levels deep"),
    "blank text that fills the memory": (
        el.matrix("x", el.CHAR, (2**31 - 1, 2**31 - 1), EMPTY_STRING),
        "x is too much",
    ),
    "characters of no type": (el.chars("x", (1, 1), el.DOUBLE, bytes(8)), "characters of type 9"),
    "fewer characters than the shape": (
        el.chars("x", (2, 2), el.UINT16, b"a\0"),
        "2 bytes for 4 characters of 2",
    ),
    "half a character": (
        el.chars("x", (1, 1), el.UINT16, b"abc"),
        "3 bytes for 1 characters of 2",
    ),
    "rows of too few characters": (
        el.chars("x", (2, 5), el.UTF8, "é€a".encode()),
        "3 characters in a shape of 10",
    ),
    "a packed size that zlib cannot reach": (
        bomb(8000, claimed=2**31),
        "claims 2147483648 bytes in .* which cannot be",
    ),
    "a packed size that is too small": (bomb(8000, claimed=8), "holds more than it says"),
    "a packed size that is too large": (bomb(8000, claimed=9000), "ends .* bytes too early"),
    "a packed element that is not": (Element(el.PACKED, [], packed=b"no zlib"), "zlib: Error"),
    "a packed element of nothing": (Element(el.PACKED, [], packed=b""), "ends 8 bytes too early"),
    "a packed element without its checksum": (
        Element(el.PACKED, [], packed=zlib.compress(el.encoded(DOUBLE))[:-4]),
        "a packed stream is cut off",
    ),
    "a packed element of a wrong checksum": (
        Element(el.PACKED, [], packed=zlib.compress(el.encoded(DOUBLE))[:-4] + b"1234"),
        "incorrect data check",
    ),
    "two variables packed in one": (el.packed(DOUBLE, DOUBLE), "holds more than it says"),
    "a bomb": (bomb(300 * MIB), "is too much, expected at most 268435456 bytes"),
    "a name with a line break": (
        el.matrix("x\n\x1b[31m", 6, (1, 1)),
        r"has 0 bytes where an element should be",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_damaged_or_hostile_is_refused(name: str, tmp_path: Path) -> None:
    element, match = HOSTILE[name]
    (tmp_path / "a.mat").write_bytes(el.file_of(element))
    refused(tmp_path / "a.mat", match=match)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_file_cut_anywhere(order: el.Order, tmp_path: Path) -> None:
    """Whole variables that stand before are all that may be read."""
    inner = el.struct_of("s", (1, 1), ["a", "b"], DOUBLE, el.chars("", (1, 3), el.UINT8, b"abc"))
    elements = [DOUBLE, el.packed(inner), el.matrix("c", el.CELL, (1, 2), DOUBLE, DOUBLE)]
    if order == ">":
        elements = [el.swapped(element) for element in elements]
    data, path = el.file_of(*elements, order=order), tmp_path / "a.mat"
    path.write_bytes(data)
    whole = read(path)
    ends = {128 + sum(len(el.encoded(each, order)) for each in elements[:n]) for n in range(4)}
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        if length in ends:
            found = read(path)
            assert plain(found) == plain(whole)[: len(found)]
        else:
            refused(path, match="empty|cut off")


def test_a_long_name_of_many_structs_takes_no_time(tmp_path: Path) -> None:
    """A name for messages is made once for a field, not once for each value."""
    many = 30_000
    structs = el.struct_of("s", (many, 1), ["a" * 2**20], *[Element(el.MATRIX, b"")] * many)
    (tmp_path / "a.mat").write_bytes(el.file_of(structs))
    assert len(read(tmp_path / "a.mat")["s"]) == many


def test_values_are_counted(tmp_path: Path) -> None:
    cell = el.matrix("x", el.CELL, (1, 400), *[el.numbers("", 1.0)] * 400)
    (tmp_path / "a.mat").write_bytes(el.file_of(cell))
    budget = Budget(most_values=401)
    assert len(read(tmp_path / "a.mat", budget)["x"]) == 400
    assert budget.visited == 401
    with pytest.raises(FileError, match=r"x\{400\} is too much, .* and 400 values in a file"):
        read(tmp_path / "a.mat", Budget(most_values=400))


def test_what_is_packed_is_counted_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"a": np.zeros(10**6)}, do_compression=True)
    size, least = path.stat().st_size, 8 * 10**6 + 64 - 8 + VALUE
    assert size < 10**5
    assert read(path, Budget(largest=size + least))["a"].size == 10**6
    refused(path, match=r"a.mat is too much", most=size + least - VALUE - 1)


def test_arrays_are_views_of_the_file_or_of_what_was_unpacked(tmp_path: Path) -> None:
    """Nothing is taken for them; what has another class in the file is copied."""
    large = np.random.default_rng(0).standard_normal((300, 400)).astype("f4")
    for packed in (False, True):
        path = tmp_path / f"{packed}.mat"
        savemat(path, {"s": {"a": large, "b": large[:10]}}, do_compression=packed)
        budget = Budget()
        found: Any = read(path, budget)["s"]
        assert np.array_equal(found["a"], large.T)
        assert found["a"].flags.c_contiguous
        assert found["a"].flags.aligned
        assert not found["a"].flags.writeable
        size = path.stat().st_size
        assert budget.taken <= size + packed * 1.04 * large.nbytes + 3 * VALUE
    path.write_bytes(el.file_of(el.numbers("d", np.ones((100, 100), "u1"), 6)))
    budget = Budget()
    assert read(path, budget)["d"].flags.writeable
    assert budget.taken == path.stat().st_size + 80_000 + VALUE


def test_what_is_not_aligned_is_copied(tmp_path: Path) -> None:
    """After a packed element, which is not padded."""
    packed = el.packed(DOUBLE)
    assert len(el.encoded(packed)) % 8
    (tmp_path / "a.mat").write_bytes(el.file_of(packed, el.numbers("y", np.arange(5.0))))
    found: Any = read(tmp_path / "a.mat")
    assert found["y"].flags.aligned
    assert found["y"].ravel().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", ">f4"])
@pytest.mark.parametrize("packed", [False, True])
def test_no_more_is_held_than_was_counted(dtype: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    array = np.random.default_rng(0).integers(0, 200, (200, 50, 5, 5)).astype(dtype)
    variable = el.numbers("x", array.astype(array.dtype.newbyteorder("<")), 6 + (dtype[-1] == "4"))
    variable = el.swapped(variable) if dtype[0] == ">" else variable
    element = el.packed(variable) if packed else variable
    path.write_bytes(el.file_of(element, order=">" if dtype[0] == ">" else "<"))
    read(path)
    budget = Budget()
    tracemalloc.start()
    try:
        found: Any = read(path, budget)["x"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.array_equal(found, array.T)
    assert peak <= budget.taken + 2 * MIB  # pieces on their way through zlib


def test_refusing_takes_no_memory(tmp_path: Path) -> None:
    elements = {
        "claim": bomb(MIB, claimed=2**31),
        "bomb": bomb(300 * MIB),
        "cells": el.matrix("x", el.CELL, (2**31 - 1, 2**31 - 1)),
        "structs": el.struct_of("x", (2**31 - 1, 1), []),
        "numbers": el.matrix("x", 6, (2**31 - 1, 8), Element(el.DOUBLE, bytes(8))),
        "blank": el.matrix("x", el.CHAR, (2**31 - 1, 8), EMPTY_STRING),
    }
    paths = [tmp_path / f"{name}.mat" for name in elements]
    for path, element in zip(paths, elements.values(), strict=True):
        path.write_bytes(el.file_of(element))
    growth, outcomes = taken("read(path)", *paths, prepare="from fdref.weights.matlab import read")
    assert all(outcome.startswith("FileError: ") for outcome in outcomes)
    assert growth < 50


@pytest.mark.slow
def test_a_large_packed_file_takes_its_arrays_and_little_more(tmp_path: Path) -> None:
    path = tmp_path / "large.mat"
    filters = np.random.default_rng(0).standard_normal((4096, 4096)).astype("f4")
    savemat(path, {"net": {"w": filters}}, do_compression=True)
    prepare = "from fdref.weights.matlab import read\nimport fdref\nfdref.load()"
    growth, outcomes = taken("read(path)", path, prepare=prepare)
    assert outcomes == ["done"]
    assert growth < (path.stat().st_size + 1.3 * filters.nbytes) // MIB
    assert np.array_equal(read(path)["net"]["w"], loadmat(path)["net"]["w"][0, 0].T)


def test_a_stream_is_unpacked_in_pieces_of_any_size() -> None:
    data = np.random.default_rng(0).integers(0, 4, 3 * 10**6, "u1").tobytes() + bytes(5 * 10**6)
    for ends in ([0, len(data)], [0, 1, 9, 10**6, len(data)], [0, 0, len(data)]):
        stream, found = Inflating(memoryview(zlib.compress(data))), bytearray(len(data))
        for start, end in pairwise(ends):
            stream.into(memoryview(found)[start:end])
        stream.close()
        assert found == data


def test_what_is_needed_is_soon_imported() -> None:
    code = "import sys, fdref.weights.matlab5; print([n for n in sys.modules if 'scipy' in n])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
