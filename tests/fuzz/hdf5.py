"""Mutants of MATLAB files of version 7.3: changed by HDF5, or bytes of its structures spoilt."""

from __future__ import annotations

import io
import re
import struct
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import hdf5storage
import numpy as np
from fuzz.checksums import corrected
from fuzz.harness import Format
from fuzz.matlab5 import network
from fuzz.spoiling import damaged, edge
from fuzz.values import load

from fdref.weights.matlab_write import encoded

if TYPE_CHECKING:
    from random import Random

DECOY = "elsewhere.h5"
BLOCKS = re.compile(rb"\x89HDF|TREE|SNOD|HEAP|GCOL|OHDR|OCHK|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FAHD|"
                    rb"FADB|EAHD|EAIB|EADB|MATLAB_|\x00deflate\x00|H5|layers|weights")  # fmt: skip
"""Where HDF5's own structures begin, and MATLAB's attributes."""
CLASSES = ("", "double", "single", "logical", "char", "cell", "struct", "int8", "uint64", "string",
           "function_handle", "canonical empty", "a" * 1000, "x\n", "\xe9")  # fmt: skip


def seeds() -> dict[str, bytes]:
    """Make files as we, others and h5py write them."""
    random = np.random.default_rng(0)
    filters = random.standard_normal((2, 3, 3)).astype("f4")
    layers = [
        {"type": "conv", "weights": [filters, np.zeros(2, "f4")], "pad": np.zeros((4, 1))},
        {"type": "relu", "name": "naïve €", "opts": [], "nothing": {}},
    ]
    ours: Any = {"net": {"layers": layers}, "truth": np.array([True, False]), "t": "text"}
    files = {"ours": encoded(ours)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "theirs.mat")
        packed = {"net": network(), "large": np.zeros((100, 300)), "cells": [1.5, "x", {}]}
        hdf5storage.savemat(str(path), packed, format="7.3")
        files["hdf5storage"] = path.read_bytes()
    for version in ("earliest", "latest"):
        with io.BytesIO() as buffer:
            with h5py.File(buffer, "w", libver=version) as file:
                fill(file)
            files[version] = buffer.getvalue()
    return files


def fill(file: h5py.File) -> None:
    """Store every layout, filter and kind of link that there is."""
    packing = {"compression": "gzip", "shuffle": True, "fletcher32": True}
    numbers = np.arange(200.0).reshape(10, 20)
    group = file.create_group("net")
    group["plain"] = numbers
    group["scalar"] = 7
    group.create_dataset("packed", data=numbers, chunks=(3, 7), **packing)
    group.create_dataset("growing", data=numbers, chunks=(3, 7), maxshape=(None, 20))
    group.create_dataset("both", data=numbers, chunks=(3, 7), maxshape=(None, None))
    group.create_dataset("sparse", (100, 100), "f4", chunks=(10, 10), fillvalue=1.0)
    group["big"] = numbers.astype(">f4")
    for number in range(12):  # so many names that they get an index of their own
        group[f"many/{number}"] = 1.0
    cell = group.create_dataset("cell", (2, 1), h5py.ref_dtype)
    cell[:] = [[group["plain"].ref], [group["scalar"].ref]]
    names = np.empty(3, object)
    names[:] = [np.frombuffer(name, "S1") for name in (b"plain", b"scalar", b"cell")]
    group.attrs.create("MATLAB_fields", names, dtype=h5py.vlen_dtype(np.dtype("S1")))
    for name, kind in (("plain", "double"), ("cell", "cell"), ("big", "single")):
        group[name].attrs["MATLAB_class"] = np.bytes_(kind)
    empty = file.create_dataset("empty", data=np.array([0, 3], "u8"))
    empty.attrs["MATLAB_class"] = np.bytes_("char")
    empty.attrs["MATLAB_empty"] = np.uint8(1)


def mutate(data: bytes, random: Random) -> bytes:
    """Change what HDF5 can change, spoil bytes, or both."""
    if random.random() < 0.5:
        data = changed(data, random)
    if random.random() < 0.7:
        data = damaged(data, random) if random.random() < 0.2 else structure_damaged(data, random)
        if random.random() < 0.7:
            data = corrected(data)
    return data


def structure_damaged(data: bytes, random: Random) -> bytes:
    """Spoil bytes near where a structure begins, or that are not zero."""
    spoilt = bytearray(data)
    blocks = [match.start() for match in BLOCKS.finditer(data)]
    used = np.flatnonzero(np.frombuffer(data, "u1"))
    for _ in range(random.choice([1, 1, 1, 2, 4, 8])):
        if random.random() < 0.6:
            place = random.choice(blocks) + random.choice([-16, -8, *range(4, 24), 32, 64])
        else:
            place = int(random.choice(used))
        place = max(0, min(place, len(spoilt) - 8))
        match random.randrange(7):
            case 0 | 1:
                spoilt[place] ^= 1 << random.randrange(8)
            case 2:
                spoilt[place] = random.choice([0, 1, 2, 3, 127, 255, random.randrange(256)])
            case 3:
                code = random.choice("BHIQ")
                near = struct.unpack_from(f"<{code}", spoilt, place)[0]
                number = edge(random, near) % 2 ** (8 * struct.calcsize(code))
                struct.pack_into(f"<{code}", spoilt, place, number)
            case 4:  # another structure's address
                struct.pack_into("<Q", spoilt, place & ~7, random.choice(blocks))
            case 5:
                other, length = random.choice(blocks), random.choice([4, 8, 32, 128, 512])
                part = spoilt[other : other + length]
                spoilt[place : place + len(part)] = part
            case _:
                if random.random() < 0.1:
                    del spoilt[place:]
                    break
    return bytes(spoilt)


def changed(data: bytes, random: Random) -> bytes:
    """Change a file with h5py."""
    with io.BytesIO(data) as buffer:
        with h5py.File(buffer, "r+") as file:
            for _ in range(random.choice([1, 1, 2, 4])):
                nodes: list[Any] = [file]
                file.visititems(lambda _, node, nodes=nodes: nodes.append(node))
                with suppress(Exception):  # what h5py does not do
                    random.choice(CHANGES)(file, random.choice(nodes), random)
        return buffer.getvalue()


def change_attribute(_: h5py.File, node: Any, random: Random) -> None:
    name = random.choice(["MATLAB_class", "MATLAB_empty", "MATLAB_fields", "MATLAB_sparse",
                          "MATLAB_object_decode", "MATLAB_int_decode"])  # fmt: skip
    node.attrs.pop(name, None)
    value: Any = random.choice(
        [np.bytes_(random.choice(CLASSES).encode("latin-1")), np.uint8(1), np.zeros(3), "text",
         h5py.Empty("f4"), [b"a", b"b"], edge(random) % 2**63, np.zeros((2, 2), "S3")]
    )  # fmt: skip
    if random.random() < 0.3:
        names = np.empty(random.choice([1, 2, 3, 30]), object)
        names[:] = [np.frombuffer(random.choice([b"a", b"pad", b"plain"]), "S1") for _ in names]
        node.attrs.create(name, names, dtype=h5py.vlen_dtype(np.dtype("S1")))
    else:
        node.attrs[name] = value


def delete(_: h5py.File, node: Any, random: Random) -> None:
    if isinstance(node, h5py.Group) and len(node):
        del node[random.choice(sorted(node))]


def link(file: h5py.File, node: Any, random: Random) -> None:
    target: Any = random.choice(
        [node, file, h5py.SoftLink(node.name), h5py.SoftLink("/nowhere"),
         h5py.ExternalLink(DECOY, "/net")]
    )  # fmt: skip
    place = random.choice([file, node if isinstance(node, h5py.Group) else node.parent])
    place[random.choice(["a", "net2", "x\n", "é", "a" * 5000])] = target


def refer(file: h5py.File, node: Any, random: Random) -> None:
    if isinstance(node, h5py.Dataset) and node.dtype == h5py.ref_dtype:
        targets: list[Any] = [file]
        file.visititems(lambda _, other: targets.append(other))
        references = np.array(node)
        places = random.choice([[0], range(references.size)])
        for place in places:
            target = random.choice(targets)
            references.flat[place] = random.choice([target.ref, h5py.Reference()])
        node[...] = references


def store(file: h5py.File, node: Any, random: Random) -> None:
    group = node if isinstance(node, h5py.Group) else node.parent
    name = random.choice([*group, "new"])
    if name in group:
        del group[name]
    shape = tuple(random.choice([0, 1, 2, 3, 300]) for _ in range(random.choice([0, 1, 2, 2, 4])))
    kind = random.choice(["u1", "u2", "u4", "f2", ">f8", "?", "S5", "V3", "c8", h5py.ref_dtype,
                          h5py.vlen_dtype("f4"), [("real", "f8"), ("imag", "f8")]])  # fmt: skip
    options: dict[str, Any] = random.choice(
        [{}, {"chunks": True}, {"compression": 9}, {"compression": "lzf"}, {"scaleoffset": 2},
         {"external": [(DECOY, 0, 2**20)]}, {"maxshape": (None,) * len(shape)},
         {"chunks": True, "shuffle": True, "fletcher32": True, "compression": 1}]
    )  # fmt: skip
    dataset = group.create_dataset(name, shape, kind, **options)
    dataset.attrs["MATLAB_class"] = np.bytes_(random.choice(CLASSES).encode("latin-1"))


def store_elsewhere(file: h5py.File, node: Any, random: Random) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(DECOY, "x", (4,))
    group = node if isinstance(node, h5py.Group) else node.parent
    group.create_virtual_dataset(random.choice(["v", "w"]), layout)


def spoil_chunk(_: h5py.File, node: Any, random: Random) -> None:
    if isinstance(node, h5py.Dataset) and node.chunks:
        place = tuple(0 for _ in node.chunks)
        data = random.choice([b"", bytes(9), random.randbytes(100), bytes(2**16)])
        node.id.write_direct_chunk(place, data, filter_mask=random.choice([0, 0, 1, 2, 7, 2**31]))


def resize(_: h5py.File, node: Any, random: Random) -> None:
    if isinstance(node, h5py.Dataset) and node.chunks:
        node.resize(tuple(random.choice([0, 1, 10, 2**20, 2**40]) for _ in node.shape))


CHANGES = (
    *(change_attribute, change_attribute, change_attribute, delete, link, refer, refer, store),
    *(store, store_elsewhere, spoil_chunk, resize),
)

FORMAT = Format("hdf5", seeds, mutate, load, ".mat", decoys=(DECOY,))
