"""MATLAB files made to harm: links elsewhere, circles, and claims that would fill the memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from matlab_values import refused

from fdref.errors import FileError
from fdref.weights.bounded import VALUE, Budget
from fdref.weights.matlab import read
from fdref.weights.matlab_write import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fdref.weights.matlab import Value


def external_link(file: h5py.File) -> None:
    file["x"] = h5py.ExternalLink("other.mat", "/x")


def soft_link(file: h5py.File) -> None:
    file["a"] = 1.0
    file["x"] = h5py.SoftLink("/a")


def soft_link_in_a_struct(file: h5py.File) -> None:
    file["x/a"] = h5py.SoftLink("/x")


def external_data(file: h5py.File) -> None:
    file.create_dataset("x", (4,), "u1", external=[("other.mat", 0, 4)])


def virtual_data(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.mat", "x", (4,))
    file.create_virtual_dataset("x", layout)


def never_written(file: h5py.File) -> None:
    file.create_dataset("x", (2**20, 2**20), "f4", chunks=(2**10, 2**10))


def never_written_of_overflowing_size(file: h5py.File) -> None:
    file.create_dataset("x", (2**32, 2**32), "u1", chunks=(2**10, 2**10))


def hardly_written(file: h5py.File) -> None:
    dataset = file.create_dataset("x", (2**27,), "f4", chunks=(2**10,), compression="gzip")
    dataset[:10] = 1


def huge_chunk(file: h5py.File) -> None:
    file.create_dataset("x", (1,), "f4", maxshape=(None,), chunks=(2**27,), compression="gzip")


def references_never_written(file: h5py.File) -> None:
    file.create_dataset("x", (2**30,), h5py.ref_dtype, chunks=(2**10,))


def packed(file: h5py.File, data: bytes, **filters: Any) -> None:
    dataset = file.create_dataset("x", (2**10,), "u1", chunks=(2**10,), **filters)
    dataset.id.write_direct_chunk((0,), data)


def chunk_that_inflates_to_much(file: h5py.File) -> None:
    deflate = zlib.compressobj(9)
    zeros = [deflate.compress(bytes(2**24)) for _ in range(8)]
    packed(file, b"".join(zeros) + deflate.flush(), compression="gzip")


def chunk_that_inflates_to_little(file: h5py.File) -> None:
    packed(file, zlib.compress(bytes(9)), compression="gzip")


def chunk_shorter_than_its_checksum(file: h5py.File) -> None:
    packed(file, b"\0\0", fletcher32=True)


def unusual_filter(file: h5py.File) -> None:
    file.create_dataset("x", data=np.zeros(100), compression="lzf")


def repeated_filter(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((100,))
    properties.set_deflate(9)
    properties.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
    space = h5py.h5s.create_simple((100,))
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, properties)


def null_reference(file: h5py.File) -> None:
    file.create_dataset("x", (2, 1), h5py.ref_dtype)


def dangling_reference(file: h5py.File) -> None:
    file["a"] = np.eye(2)
    file.create_dataset("x", (1, 1), h5py.ref_dtype)[:] = file["a"].ref
    del file["a"]


def cell_in_itself(file: h5py.File) -> None:
    cell = file.create_dataset("x", (2, 1), h5py.ref_dtype)
    cell[:] = cell.ref


def struct_in_itself(file: h5py.File) -> None:
    struct = file.create_group("x")
    struct["y"] = struct


def everything_in_a_cell(file: h5py.File) -> None:
    file.create_dataset("x", (2, 1), h5py.ref_dtype)[:] = file.ref


def deep_nesting(file: h5py.File) -> None:
    file["/".join(["x"] * 70)] = 1.0


def very_many_references(file: h5py.File) -> None:
    file["a"] = 1.0
    cell = file.create_dataset("x", (200_000,), h5py.ref_dtype, compression="gzip")
    cell[:] = file["a"].ref


def uneven_struct_array(file: h5py.File) -> None:
    file["a"] = 1.0
    for n in (1, 2):
        file.create_dataset(f"x/f{n}", (n, 1), h5py.ref_dtype)[:] = file["a"].ref


def empty_that_is_not(file: h5py.File) -> None:
    file["x"] = np.array([2, 3], "u8")
    file["x"].attrs["MATLAB_class"] = "double"
    file["x"].attrs["MATLAB_empty"] = 1


def empty_of_very_many_axes(file: h5py.File) -> None:
    file["x"] = np.zeros(33, "u8")
    file["x"].attrs["MATLAB_class"] = "char"
    file["x"].attrs["MATLAB_empty"] = 1


def overlapping_heaps(file: h5py.File) -> None:
    file["x"] = np.frombuffer((b"GCOL\1\0\0\0" + struct.pack("<Q", 4096)) * 600, "u1")


def name_with_a_line_break(file: h5py.File) -> None:
    file["x\n\x1b[31m"] = h5py.SoftLink("/a")


@pytest.mark.parametrize(
    ("hostile", "match"),
    [
        (external_link, "a.mat: x is a link to elsewhere"),
        (soft_link, "a.mat: x is a link to elsewhere"),
        (soft_link_in_a_struct, r"a.mat: x\.a is a link to elsewhere"),
        (external_data, "x lies in another file"),
        (virtual_data, "damaged.*a virtual dataset: not safe"),
        (never_written, f"x claims {2**42} bytes in 0"),
        (never_written_of_overflowing_size, "x claims 18446744073709551616 bytes"),
        (hardly_written, f"x claims {2**29} bytes"),
        (huge_chunk, f"x claims {2**29} bytes"),
        (references_never_written, "x is too much"),
        (chunk_that_inflates_to_much, "x has a chunk that is not of 1024 bytes"),
        (chunk_that_inflates_to_little, "x has a chunk that is not of 1024 bytes"),
        (chunk_shorter_than_its_checksum, "x has a chunk that is not of 1024 bytes"),
        (unusual_filter, r"x is packed by HDF5 filters \[32000\], expected .*gzip"),
        (repeated_filter, r"x is packed by HDF5 filters \[1, 1\], expected .*gzip"),
        (null_reference, r"x\{1\} is a null reference"),
        (dangling_reference, "damaged"),
        (cell_in_itself, "levels deep or contains itself"),
        (struct_in_itself, "levels deep or contains itself"),
        (everything_in_a_cell, "levels deep or contains itself"),
        (deep_nesting, "levels deep or contains itself"),
        (very_many_references, "x is too much"),
        (uneven_struct_array, "x is a struct array with fields of different lengths"),
        (empty_that_is_not, r"damaged.*an empty double of shape \[2 3\]"),
        (empty_of_very_many_axes, r"damaged.*an empty char of shape \[0 0"),
        (overlapping_heaps, "damaged.*heaps overlap"),
        (name_with_a_line_break, r"x\?\?\[31m is a link"),
    ],
)
def test_what_is_damaged_or_hostile_is_refused(
    tmp_path: Path, hostile: Callable[[h5py.File], None], match: str
) -> None:
    with h5py.File(tmp_path / "other.mat", "w") as file:
        file["x"] = np.arange(4.0)
    with h5py.File(tmp_path / "a.mat", "w") as file:
        hostile(file)
    refused(tmp_path / "a.mat", match=match)


def test_refusing_takes_no_memory(tmp_path: Path) -> None:
    paths = []
    for claim in (never_written, hardly_written, huge_chunk, references_never_written):
        paths.append(tmp_path / f"{claim.__name__}.mat")
        with h5py.File(paths[-1], "w") as file:
            claim(file)
    paths.append(tmp_path / "bomb.mat")
    with h5py.File(paths[-1], "w") as file:
        chunk_that_inflates_to_much(file)
    script = (
        "import resource, sys, h5py\n"
        "from fdref.errors import FileError\n"
        "from fdref.weights.matlab import read\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try: read(path)\n"
        "    except FileError: continue\n"
        "    sys.exit(f'{path} was read')\n"
        "unit = 2**20 if sys.platform == 'darwin' else 2**10\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // unit)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *paths], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) < 50  # megabytes


def test_one_array_many_times_counts_many_times(tmp_path: Path) -> None:
    array = np.zeros(1000)
    write(tmp_path / "a.mat", {"x": array})
    with h5py.File(tmp_path / "a.mat", "r+") as file:
        file.create_dataset("cell", (10,), h5py.ref_dtype)[:] = file["x"].ref
    size = (tmp_path / "a.mat").stat().st_size
    names = 5 * len("xcell")
    least = size + 11 * array.nbytes + 10 * 8 + names + 12 * VALUE
    budget = Budget(largest=least)
    assert len(read(tmp_path / "a.mat", budget)["cell"]) == 10
    assert (budget.taken, budget.visited) == (least, 12)
    refused(tmp_path / "a.mat", match=r"a.mat: (x|cell\{10\}) is too much", most=least - 1)


def test_text_counts_with_the_copies_made_of_it(tmp_path: Path) -> None:
    text = "conv" * 2500
    write(tmp_path / "a.mat", {"x": text})
    least = (tmp_path / "a.mat").stat().st_size + 9 * 2 * len(text) + 5 + VALUE
    assert read(tmp_path / "a.mat", Budget(largest=least)) == {"x": text}
    refused(tmp_path / "a.mat", match="x is too much", most=least - 1)


def test_a_list_of_fields_that_could_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    fields: dict[str, Value] = dict.fromkeys("zyxwvutsrq", "")
    write(tmp_path / "a.mat", {"x": fields})
    least = 4096 * len(fields)
    assert list(read(tmp_path / "a.mat", Budget(largest=least))["x"]) == list(fields)
    assert list(read(tmp_path / "a.mat", Budget(largest=least - 1))["x"]) == sorted(fields)


def test_cells_that_double_at_every_level_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["#0"] = 1.0
        for level in range(40):
            file.create_dataset(f"#{level + 1}", (2,), h5py.ref_dtype)[:] = file[f"#{level}"].ref
        file["x"] = file["#40"]
    with pytest.raises(FileError, match=r"expected at most .* and 500 values in a file"):
        read(tmp_path / "a.mat", Budget(most_values=500))
