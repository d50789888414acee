"""Protocol buffers looked over before anything is made of them.

A message of two bytes becomes an object of hundreds. So the fields of a file are walked through
first, and every message in it is counted, as the schema of ONNX nests them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.weights.bounded import Budget

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protocol buffers' wire types
MOST_FIELDS = 2**20
"""Fields in all; arrays are one each, as every writer packs them."""
DEEPEST = 32
"""Messages within each other; graphs of other graphs' nodes are refused later, by name."""

INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "entry", 14: "entry", 20: "training", 25: "function", 26: "device"},
    "graph": {
        1: "node",
        5: "tensor",
        11: "value",
        12: "value",
        13: "value",
        14: "quantization",
        15: "sparse",
        16: "entry",
    },
    "node": {5: "attribute", 9: "entry", 10: "device"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        14: "type",
        15: "type",
        22: "sparse",
        23: "sparse",
    },
    "tensor": {3: "entry", 13: "entry", 16: "entry"},
    "sparse": {1: "tensor", 2: "tensor"},
    "value": {2: "type", 4: "entry"},
    "type": {1: "tensor type", 4: "element", 5: "map", 8: "tensor type", 9: "element"},
    "tensor type": {2: "shape"},
    "element": {1: "type"},
    "map": {2: "type"},
    "shape": {1: "entry"},
    "quantization": {2: "entry"},
    "training": {1: "graph", 2: "graph", 3: "entry", 4: "entry"},
    "function": {7: "node", 9: "entry", 11: "attribute", 12: "value", 14: "entry"},
    "device": {1: "entry", 2: "sharding", 3: "entry"},
    "sharding": {3: "entry", 4: "sharded"},
    "sharded": {2: "simple"},
    "simple": {1: "entry", 2: "entry"},
    "entry": {},
}
"""Which messages stand in a message, by the number of the field."""

TOP = {1: VARINT, 5: VARINT} | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), BYTES)
"""Fields of a model, and how each is written."""


class BrokenError(ValueError):
    """Bytes that are no protocol buffer."""


def is_onnx(data: bytes) -> bool:
    """Tell whether bytes are an ONNX model, or the beginning of one that was cut off.

    The format has no signature: what counts is that every field is one of a model's, and that the
    version of the format, the operators' and a graph are among them.

    >>> is_onnx(bytes([8, 8, 58, 0, 66, 2, 16, 17])), is_onnx(b"PK" + bytes(100)), is_onnx(b"")
    (True, False, False)
    """
    seen: set[int] = set()
    try:
        for number, wire, _, _ in fields(data, 0, len(data)):
            if TOP.get(number) != wire:
                return False
            seen.add(number)
    except BrokenError:
        return 1 in seen and bool({2, 7} & seen or (len(data) > 2 and data[2] in (0x12, 0x3A)))
    return 7 in seen and bool(seen & {1, 8})


def count_messages(data: bytes, name: str, budget: Budget) -> None:
    """Count every message of a model as a value, before they are made.

    Raises
    ------
    FileError
        If they are too many, too deep, or no messages.
    """
    left, waiting = MOST_FIELDS, [(0, len(data), "model", 1)]
    try:
        while waiting:
            start, stop, kind, depth = waiting.pop()
            budget.take((name, f": its {kind}s" if kind != "model" else ""), values=1)
            inside = INSIDE[kind]
            for number, wire, begin, end in fields(data, start, stop):
                left -= 1
                if number in inside and wire == BYTES:
                    waiting.append((begin, end, inside[number], depth + 1))
            if depth > DEEPEST or left < 0:
                what = f"{DEEPEST} messages deep" if left >= 0 else f"{MOST_FIELDS} fields"
                raise refusal(name, f"is more than {what}, expected a network: damaged")
    except BrokenError as error:
        raise refusal(name, f"is damaged or cut off, fetch it again ({error})") from None


def fields(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Go through the fields of a message: number, wire type, where its bytes begin and end."""
    at = start
    while at < stop:
        key, at = varint(data, at, stop)
        number, wire = key >> 3, key & 7
        begin = at
        if wire == VARINT:
            _, at = varint(data, at, stop)
        elif wire == BYTES:
            size, begin = varint(data, at, stop)
            at = begin + size
        elif wire in (FIXED32, FIXED64):
            at += 4 if wire == FIXED32 else 8
        else:
            raise BrokenError(f"byte {begin}: wire type {wire}")
        if at > stop or not number:
            raise BrokenError(f"byte {begin}: field {number} ends at {at}, after {stop}")
        yield number, wire, begin, at


def varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            raise BrokenError(f"byte {at}: a number that does not end")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise BrokenError(f"byte {at}: a number of more than 64 bits")
