"""Mutants of MATLAB files of version 5 to 7: taken apart, spoilt, and put together again."""

from __future__ import annotations

import io
import os
import struct
import zlib
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import matlab5_elements as el
import numpy as np
import scipy.sparse
from fuzz.harness import Format
from fuzz.spoiling import damaged, edge
from fuzz.values import load
from matlab5_elements import Element
from scipy.io import savemat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

LARGEST = 100_000
"""Bytes of real files to begin with."""
HEADER = 128

Spot: TypeAlias = "tuple[list[Element], int]"
"""An element: the list that it stands in, and where."""


def seeds() -> dict[str, bytes]:
    """Make files with everything that there is in them."""
    cells = np.empty((2, 2), object)
    cells[:] = [[1.5, "text"], [{"a": "", "b": {}}, np.zeros((0, 2))]]
    everything: dict[str, Any] = {
        "cells": cells,
        "deep": {"deeper": {"deepest": cells}},
        "structs": np.array([[(1, 2.5), (3, 4.5)]], [("p", "i4"), ("q", "f8")]),
        "whole": np.arange(12, dtype="i8").reshape(2, 3, 2),
        "truth": np.array([[True, False]]),
        "complex": np.array([1 + 2j]),
        "sparse": scipy.sparse.csc_array(np.eye(3)),
        "rows": np.array(["relu", "conv"]),
        "name": "naïve €",
    }
    files = {}
    for packed in (False, True):
        for name, values in (("everything", everything), ("network", {"net": network()})):
            with io.BytesIO() as file:
                savemat(file, values, do_compression=packed, long_field_names=True)
                files[f"{name}, {packed}"] = file.getvalue()
    odd = [
        el.opaque("gpu", "gpuArray"),
        el.matrix("f", el.HANDLE, (1, 1), el.struct_of("", (1, 1), ["x"], el.numbers("", 1.0))),
        el.matrix("o", el.OBJECT, (1, 1), el.text("inline"), el.struct_of("", (1, 1), [])),
        el.struct_of("s", (1, 1), ["missing"], Element(el.MATRIX, b"")),
        el.chars("t", (1, 4), el.UTF16, "é€😀".encode("utf-16-le")),
        el.chars("u", (2, 2), el.UTF8, "aécd".encode()),
        el.numbers("", np.zeros(64, "u1")),
    ]
    files["odd"] = el.file_of(*odd)
    for name in ("everything, False", "network, False"):
        order, elements = el.file_parsed(files[name])
        others = [el.swapped(element) for element in elements]
        files[f"{name}, big-endian"] = el.file_of(*others, order=">" if order == "<" else "<")
    return files | real_files()


def network() -> dict[str, Any]:
    """Return a small network as MatConvNet holds it."""
    random = np.random.default_rng(0)
    filters = random.standard_normal((3, 3, 1, 2)).astype("f4")
    weights = np.empty((1, 2), object)
    weights[:] = [[filters, np.zeros((1, 2), "f4")]]
    conv = {"type": "conv", "name": "c", "weights": weights, "stride": 1.0, "pad": np.zeros((1, 4))}
    pool = {"type": "pool", "pool": np.array([[2.0, 2.0]]), "method": "max", "stride": 2.0}
    layers = np.empty((1, 3), object)
    layers[:] = [[conv, pool, {"type": "softmax"}]]
    meta = {"inputSize": np.array([[12.0, 12.0, 1.0, 1.0]]), "classes": {"name": weights[:, :0]}}
    return {"layers": layers, "meta": meta}


def real_files() -> dict[str, bytes]:
    """Return small files that MATLAB wrote, where there are any."""
    folder = Path(os.environ.get("FDREF_SHARED", ""), "models")
    paths = [path for path in folder.glob("*v5.mat") if path.stat().st_size <= LARGEST]
    return {path.name: path.read_bytes() for path in paths}


def spots(elements: list[Element]) -> Iterator[Spot]:
    """List all elements, however deep."""
    for index, element in enumerate(elements):
        yield elements, index
        if isinstance(element.content, list):
            yield from spots(element.content)


def mutate(data: bytes, random: Random) -> bytes:
    """Spoil a file: its bytes, its header, or its elements."""
    if random.random() < 0.1:
        return damaged(data, random, start=random.choice([0, 116, HEADER]))
    order, elements = el.file_parsed(data)
    for _ in range(random.choice([1, 1, 1, 2, 3, 6])):
        found = list(spots(elements))
        if found:
            random.choice(CHANGES)(found, random)
    if random.random() < 0.1:
        elements = [el.packed(element) for element in elements]
    spoilt = bytearray(data[:HEADER] + el.file_of(*elements, order=order)[HEADER:])
    if random.random() < 0.05:
        position = random.choice([116, random.randrange(116, HEADER)])
        spoilt[position : position + 8] = struct.pack("<Q", random.randrange(len(spoilt) + 1))
    if random.random() < 0.05:
        spoilt[124:HEADER] = random.choice([b"\0\1IM", b"\1\0MI", b"\0\2IM", b"\0\1MI", b"IMIM"])
    if random.random() < 0.05:
        del spoilt[random.randrange(len(spoilt)) :]
    if random.random() < 0.05:
        return damaged(bytes(spoilt), random, start=HEADER)
    return bytes(spoilt)


def change_type(found: list[Spot], random: Random) -> None:
    elements, index = random.choice(found)
    kind = random.choice([*range(20), 255, 2**16 - 1, 2**31])
    elements[index] = replace(elements[index], kind=kind)


def change_size(found: list[Spot], random: Random) -> None:
    elements, index = random.choice(found)
    element = elements[index]
    true = len(element.content) if isinstance(element.content, bytes) else 64
    elements[index] = replace(element, size=edge(random, true) % 2**32)


def change_form(found: list[Spot], random: Random) -> None:
    elements, index = random.choice(found)
    elements[index] = replace(elements[index], small=random.choice([False, True]))


def change_bytes(found: list[Spot], random: Random) -> None:
    leaves = [spot for spot in found if isinstance(spot[0][spot[1]].content, bytes)]
    if not leaves:
        return
    elements, index = random.choice(leaves)
    content: Any = elements[index].content
    match random.randrange(5):
        case 0:
            content = content[: random.randrange(len(content) + 1)]
        case 1:
            content += random.randbytes(random.choice([1, 4, 8, 100]))
        case 2:
            content = b""
        case 3:
            content = damaged(content, random)
        case _:
            content = random.randbytes(len(content))
    elements[index] = replace(elements[index], content=content)


def heads(found: list[Spot]) -> list[list[Element]]:
    """List the contents of variables."""
    contents = [elements[index].content for elements, index in found]
    return [content for content in contents if isinstance(content, list) and len(content) > 2]


def change_class(found: list[Spot], random: Random) -> None:
    variables = heads(found)
    if variables:
        variable, byte = random.choice(variables), random.choice([0, 1, 2, 3])
        content = bytearray(variable[0].content if isinstance(variable[0].content, bytes) else b"")
        if byte < len(content):
            content[byte] = random.choice([*range(20), 2, 8, 10, 255])
            variable[0] = replace(variable[0], content=bytes(content))


def change_shape(found: list[Spot], random: Random) -> None:
    variables = heads(found)
    if variables:
        count = random.choice([0, 1, 2, 2, 2, 3, 4, 32, 33, 1000])
        numbers = [random.choice([0, 1, 2, edge(random, 3)]) % 2**32 for _ in range(count)]
        variable = random.choice(variables)
        content = struct.pack(f"{random.choice('<<<>')}{count}I", *numbers)
        variable[1] = replace(variable[1], content=content)


def change_name(found: list[Spot], random: Random) -> None:
    variables = heads(found)
    if variables:
        variable, other = random.choice(variables), random.choice(variables)
        names = [b"", b"net", b"a" * 70, b"\xff\xfe", b"a\0b", b"x\n\x1b[31m", b"a" * 10_000]
        content = random.choice([*names, other[2].content])
        variable[2] = replace(variable[2], content=content if isinstance(content, bytes) else b"")


def delete(found: list[Spot], random: Random) -> None:
    elements, index = random.choice(found)
    del elements[index]


def repeat(found: list[Spot], random: Random) -> None:
    elements, index = random.choice(found)
    often = [1, 2, 100] if len(el.encoded(elements[index])) < 1000 else [1]
    elements[index:index] = [deepcopy(elements[index]) for _ in range(random.choice(often))]


def swap(found: list[Spot], random: Random) -> None:
    (elements, index), (others, place) = random.choice(found), random.choice(found)
    one, other = deepcopy(elements[index]), deepcopy(others[place])
    elements[index], others[place] = other, one


def copy_elsewhere(found: list[Spot], random: Random) -> None:
    (elements, index), (others, place) = random.choice(found), random.choice(found)
    others[place] = deepcopy(elements[index])


def wrap(found: list[Spot], random: Random) -> None:
    elements, index = random.choice(found)
    for _ in range(random.choice([1, 1, 2, 62, 70])):
        if random.random() < 0.5:
            elements[index] = el.packed(elements[index])
        else:
            elements[index] = el.matrix("", el.CELL, (1, 1), elements[index])


def change_packing(found: list[Spot], random: Random) -> None:
    packed = [spot for spot in found if spot[0][spot[1]].kind == el.PACKED]
    if not packed:
        return
    elements, index = random.choice(packed)
    element = elements[index]
    inside = [inner for inner in element.content if isinstance(inner, Element)]
    stream = zlib.compress(b"".join(map(el.encoded, inside)), random.choice([0, 1, 9]))
    match random.randrange(5):
        case 0:
            stream = stream[: random.randrange(len(stream) + 1)]
        case 1:
            stream = damaged(stream, random)
        case 2:
            stream += random.randbytes(random.choice([1, 8, 1000]))
        case 3:
            stream = bomb(random.choice([2**20, 2**26, 2**28]), random.choice([0, 8, 2**26, 2**31]))
        case _:
            stream = stream[:-4] + random.randbytes(4)
    elements[index] = replace(element, packed=stream)


@cache
def bomb(size: int, claimed: int) -> bytes:
    """Pack very many zeros, behind the beginning of an array."""
    head = el.encoded(el.numbers("net", np.zeros(0)))
    head = head[:4] + struct.pack("<I", claimed or size) + head[8:-8]
    deflate = zlib.compressobj(9)
    parts = [deflate.compress(head + struct.pack("<2I", el.DOUBLE, size))]
    parts += [deflate.compress(bytes(2**20)) for _ in range(size // 2**20)]
    return b"".join(parts) + deflate.flush()


CHANGES = (
    *(change_type, change_size, change_form, change_bytes, change_bytes, change_class),
    *(change_class, change_shape, change_shape, change_name, delete, repeat, swap, copy_elsewhere),
    *(wrap, change_packing, change_packing),
)

FORMAT = Format("matlab5", seeds, mutate, load, ".mat")
