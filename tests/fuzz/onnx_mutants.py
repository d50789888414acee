"""Mutants of ONNX files: fields, lengths, names and nodes changed, and bytes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphs as own
from fuzz.harness import Format
from google.protobuf.message import DecodeError, Message

import fdref
from fdref.errors import FdrefError
from fdref.weights.onnx import encoded_onnx

INTEGERS = [0, 1, -1, 2, 3, 7, 255, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e38, -1e38, float("inf"), float("nan")]
WORDS = ["", "x", "..", "../secret", "/etc/passwd", "a\n\x1b[31m", "é" * 300, "SAME_UPPER", "CRD"]
LARGEST = 2**22
"""Numbers that the maps of a mutant may have to be computed."""


def mutate(data, random):
    """Return a mutant of a model's bytes; `random` is a `random.Random`."""
    if random.random() < 0.15:
        return of_bytes(data, random)
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError):
        return of_bytes(data, random)
    for _ in range(random.choice([1, 1, 1, 2, 3, 5])):
        random.choice(CHANGES)(proto, random)
    return proto.SerializeToString()


def of_bytes(data, random):
    """Flip, cut, double or drop bytes."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 8])):
        at = random.randrange(max(1, len(changed)))
        match random.randrange(5):
            case 0 if changed:
                changed[at] ^= 1 << random.randrange(8)
            case 1 if changed:
                changed[at] = random.choice([0, 1, 127, 128, 255])
            case 2:
                del changed[at : at + random.choice([1, 2, 16])]
            case 3:
                changed[at:at] = changed[at : at + random.choice([1, 8, 64])]
            case _:
                if random.random() < 0.2:
                    del changed[at:]
    return bytes(changed)


def messages_in(proto):
    """Return a message and all that is in it."""
    found, waiting = [], [proto]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for field, value in one.ListFields():
            if field.message_type:
                waiting.extend([value] if isinstance(value, Message) else value)
    return found


def any_field(proto, random):
    """Change any field of any message."""
    message = random.choice(messages_in(proto))
    fields = message.DESCRIPTOR.fields
    change(message, random.choice(list(fields)), random)


def change(message, field, random):
    value = getattr(message, field.name)
    several = not isinstance(value, Message | int | float | str | bytes)
    if random.random() < 0.2:
        message.ClearField(field.name)
    elif field.message_type and several:
        items = list(value)
        if items:
            message.ClearField(field.name)
            items.append(random.choice(items))
            random.shuffle(items)
            getattr(message, field.name).extend(items[: random.randrange(1, len(items) + 1)])
        else:
            value.add()
    elif field.message_type:
        value.SetInParent()
    elif several:
        items = list(value)[:64]
        match random.randrange(3):
            case 0:
                items.append(fresh(field, random))
            case 1 if items:
                items[random.randrange(len(items))] = fresh(field, random)
            case _ if items:
                items.pop(random.randrange(len(items)))
        put(message, field, items)
    else:
        put(message, field, fresh(field, random))


def put(message, field, value):
    """Set a field, unless protocol buffers refuse the value."""
    before = getattr(message, field.name)
    before = before if isinstance(before, int | float | str | bytes) else list(before)
    try:
        message.ClearField(field.name)
        if isinstance(value, list):
            getattr(message, field.name).extend(value)
        else:
            setattr(message, field.name, value)
    except (ValueError, TypeError, OverflowError):
        message.ClearField(field.name)
        if isinstance(before, list):
            getattr(message, field.name).extend(before)


def fresh(field, random):
    """Return a value for a field."""
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return random.choice(FLOATS)
    if field.cpp_type == field.CPPTYPE_STRING:
        word = random.choice(WORDS)
        return word if field.type == field.TYPE_STRING else word.encode()
    return random.choice([*INTEGERS, random.randrange(-4, 20)])


def a_length(proto, random):
    """Change a length of an array or of an input."""
    graph = proto.graph
    owners = [one.dims for one in graph.initializer if one.dims]
    if owners and random.random() < 0.7:
        dims = random.choice(owners)
        dims[random.randrange(len(dims))] = random.choice([*INTEGERS, random.randrange(20)])
    elif graph.input:
        shape = random.choice(graph.input).type.tensor_type.shape.dim
        if shape:
            random.choice(shape).dim_value = random.choice([*INTEGERS, random.randrange(64)])


def an_attribute(proto, random):
    """Change an attribute, or its name."""
    nodes = [node for node in proto.graph.node if node.attribute]
    if not nodes:
        return
    attribute = random.choice(random.choice(nodes).attribute)
    names = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints"}
    name = names.get(attribute.type, "name") if random.random() < 0.9 else "type"
    change(attribute, attribute.DESCRIPTOR.fields_by_name[name], random)


def a_constant(proto, random):
    """Change numbers of a small array: shapes, axes, pads."""
    small = [one for one in proto.graph.initializer if 0 < len(one.raw_data) <= 128]
    if small:
        one = random.choice(small)
        wide = one.data_type == onnx.TensorProto.INT64 and len(one.raw_data) % 8 == 0
        values = np.frombuffer(one.raw_data, "<i8" if wide else "u1").copy()
        if len(values):
            at = random.randrange(len(values))
            values[at] = random.choice(INTEGERS) if wide else random.randrange(256)
        one.raw_data = values.tobytes()


def nodes(proto, random):
    """Drop, double or swap nodes."""
    own_nodes = list(proto.graph.node)
    if not own_nodes:
        return
    at, other = random.randrange(len(own_nodes)), random.randrange(len(own_nodes))
    match random.randrange(3):
        case 0:
            del own_nodes[at]
        case 1:
            own_nodes.insert(other, own_nodes[at])
        case _:
            own_nodes[at], own_nodes[other] = own_nodes[other], own_nodes[at]
    copies = [onnx.NodeProto.FromString(one.SerializeToString()) for one in own_nodes]
    proto.graph.ClearField("node")
    proto.graph.node.extend(copies)


def wires(proto, random):
    """Feed a node with another value, also one that comes later; or name an output anew."""
    values = [name for one in proto.graph.node for name in [*one.input, *one.output]]
    fed = [one for one in proto.graph.node if one.input]
    if not fed:
        return
    one = random.choice(fed)
    names = one.input if random.random() < 0.8 or not one.output else one.output
    names[random.randrange(len(names))] = random.choice(values)


def operator(proto, random):
    """Put one of the graph's operators, or another, in a node's place."""
    if proto.graph.node:
        ops = [one.op_type for one in proto.graph.node]
        more = ["Conv", "Expand", "Tile", "Range", "ConstantOfShape", "If", "Gemm", "Reshape"]
        random.choice(proto.graph.node).op_type = random.choice(ops + more)


def version(proto, random):
    """Change the version of the operators."""
    for one in proto.opset_import:
        one.version = random.choice([1, 6, 7, 9, 10, 11, 13, 17, 20, 25, -1, 2**62])


CHANGES = [
    a_constant,
    a_length,
    an_attribute,
    any_field,
    any_field,
    nodes,
    operator,
    version,
    wires,
]


def seeds():
    """Return models of every operator, by name."""
    step, found = own.node, {}
    shapes = {
        "s": np.array([0, -1]),
        "t": np.array([1, 2, 2, 12, 10]),
        "u": np.array([1, 4, 12, 10]),
    }
    found["shuffled"] = own.chain(
        ("Reshape", "t", {}),
        ("Transpose", "", {"perm": [0, 2, 1, 3, 4]}),
        ("Reshape", "u", {}),
        ("DepthToSpace", "", {"blocksize": 2}),
        ("Conv", "f", {}),
        arrays={**shapes, "f": own.weights(2, 1, 1, 1)},
    )
    found["dense"] = own.chain(
        ("MaxPool", "", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        ("Reshape", "s", {}),
        ("Gemm", "m c", {"transB": 1}),
        ("Softmax", "", {}),
        arrays={**shapes, "m": own.weights(5, 120), "c": own.weights(5)},
    )
    found["normalised"] = own.chain(
        ("BatchNormalization", "g h g v", {"epsilon": 1e-3}),
        ("LRN", "", {"size": 3}),
        ("AveragePool", "", {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
        ("PRelu", "p", {}),
        ("Clip", "lo hi", {}),
        ("Dropout", "", {}),
        ("GlobalAveragePool", "", {}),
        arrays={
            **dict.fromkeys("gh", own.weights(4)),
            "v": np.ones(4),
            "p": own.weights(4, 1, 1),
            "lo": np.array(-1.0),
            "hi": np.array(6.0),
        },
    )
    found["resized"] = own.chain(
        ("Split", "", {"axis": 1}),
        ("Resize", "_ sc", {"mode": "nearest", "nearest_mode": "floor"}),
        ("Pad", "pd", {}),
        ("ConvTranspose", "k", {"strides": [2, 2], "output_padding": [1, 1], "auto_pad": "NOTSET"}),
        ("ReduceMean", "", {"axes": [2, 3]}),
        arrays={
            "sc": np.array([1.0, 1, 2, 2]),
            "pd": np.array([0, 0, 1, -1, 0, 0, 2, 0]),
            "k": own.weights(4, 2, 2, 2),
        },
    )
    nodes_of_shapes = [
        step("Conv", "x w", "a", pads=[1] * 4, auto_pad="NOTSET"),
        step("Shape", "a", "sh"),
        step("Gather", "sh zero", "n", axis=0),
        step("Unsqueeze", "n zeros", "n1"),
        step("Concat", "n1 minus", "to", axis=0),
        step("Reshape", "a to", "flat"),
        step("MatMul", "flat m", "mm"),
        step("ConstantOfShape", "five", "c5"),
        step("Expand", "c5 five", "e5"),
        step("Tile", "e5 one", "t5"),
        step("Range", "zero limit delta", "r"),
        step("Cast", "r", "rf", to=1),
        step("Add", "mm t5", "added"),
        step("Mul", "added rf", "y"),
    ]
    found["shapes"] = own.model(
        nodes_of_shapes,
        {
            "w": own.weights(2, 3, 3, 3),
            "zero": np.array(0),
            "zeros": np.array([0]),
            "minus": np.array([-1]),
            "five": np.array([5]),
            "one": np.array([1]),
            "limit": np.array(5),
            "delta": np.array(1),
            "m": own.weights(240, 5),
        },
    )
    x = np.zeros((2, 3, 3, 3), np.float32) + 0.5
    net = fdref.Network(
        [
            fdref.Conv(x, pad=1, name="stem"),
            fdref.Channels([1, 0, 1, 1]),
            fdref.Elementwise("swish"),
            fdref.Shuffle(2, "MATLAB"),
            fdref.Conv(x[:1, :1], stride=2, pad=1),
            fdref.Scale([2.0], [1.0]),
            fdref.Sum((1, -1)),
            fdref.Concat(),
            fdref.ConvTranspose(x[:2, :1], crop=-1),
        ],
        wiring={7: (6, 5), 8: (7, 6)},
        input_size=(8, 9),
        average=np.ones((3, 8, 9)),
    )
    found["ours"] = onnx.load_from_string(encoded_onnx(net))
    return {name: proto.SerializeToString() for name, proto in found.items()}


def outcome(path):
    """Read a mutant and run what becomes of it; return what that was."""
    net = fdref.load(path)
    try:
        sizes = net.map_sizes(net.input_size or (12, 10))
    except FdrefError:
        return "network, of other sizes"
    numbers = sum(c * h * w for c, (h, w) in zip(net.channels, sizes, strict=True))
    if numbers > LARGEST:
        return "network, large"
    inputs = [np.ones((1, c, *sizes[0]), net.dtype) for c in net.input_channels]
    with np.errstate(all="ignore"):
        acts = fdref.forward(net, inputs if len(inputs) > 1 else inputs[0])
    for number, values in enumerate(acts):
        assert values.shape == (1, net.channels[number], *sizes[number])
    return "network"


FORMAT = Format("onnx", seeds, mutate, outcome, ".onnx", decoys=("other.bin",))
