"""Mutants of Keras's files: graphs, arrays and zips, taken apart, spoilt and put together again."""

from __future__ import annotations

import copy
import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from fuzz.harness import Format
from keras_writer import h5

import fdref
from fdref.weights.keras import network_from_keras

if TYPE_CHECKING:
    from random import Random

MOST_NUMBERS = 10**6
"""In the maps of networks that are run."""
ABSURD = [
    *(0, -1, 1, 2, 3, 7, 255, 2**20, 2**20 + 1, 2**31, 2**63, 2**64, 10**400, -(10**30)),
    *(0.5, 1e-320, 1e308, float("inf"), float("nan"), True, False, None, "", "a", "\ud800", "../x"),
    *("relu", "same", "valid", "channels_first", "channels_last", [], {}, [None], [[[[]]]]),
    *([1, 1], [2**20, 2**20], [-1, 3], [0, 0], ["image", 0, 0], [None, 9, 9, 3], [None, None]),
    *("x" * 70_000, [0] * 3000, {"class_name": "Lambda", "config": {}}),
]
CLASSES = [
    *("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "Dense", "Flatten"),
    *("MaxPooling2D", "GlobalAveragePooling2D", "BatchNormalization", "Activation", "Softmax"),
    *("PReLU", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Add"),
    *("Concatenate", "Multiply", "Minimum", "Rescaling", "Normalization", "InputLayer", "Merge"),
    *("Sequential", "Functional", "Model", "Lambda", "LSTM", "TFOpLambda", "Divide", "Selu"),
]


def mutate(data: bytes, random: Random) -> bytes:
    """Damage a Keras file, of either kind, in one to three places."""
    for _ in range(random.choice((1, 1, 2, 3))):
        if random.random() < 0.15:
            data = flipped(data, random)
            continue
        try:
            data = zip_mutant(data, random) if data[:2] == b"PK" else h5_mutant(data, random)
        except Exception:  # noqa: BLE001 - what is damaged already cannot be opened
            data = flipped(data, random)
    return data


def flipped(data: bytes, random: Random) -> bytes:
    """Change, cut out, double or cut off some bytes."""
    changed = bytearray(data or b"\0")
    for _ in range(random.choice((1, 1, 3, 20))):
        at = random.randrange(len(changed))
        match random.randrange(6):
            case 0:
                changed[at] ^= 1 << random.randrange(8)
            case 1:
                changed[at] = random.choice((0, 1, 127, 128, 255))
            case 2:
                changed[at : at + 8] = random.choice((bytes(8), b"\xff" * 8, b"\xff" * 7 + b"\x7f"))
            case 3:
                del changed[at : at + random.randrange(64)]
            case 4:
                changed[at:at] = changed[at : at + random.randrange(64)]
            case 5 if random.random() < 0.2:
                del changed[at:]
        changed = changed or bytearray(1)
    return bytes(changed)


def zip_mutant(data: bytes, random: Random) -> bytes:
    """Damage a member of a `.keras` file, or the list of members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    method = zipfile.ZIP_STORED
    at = random.randrange(len(members))
    name, content = members[at]
    match random.randrange(12):
        case 0:
            members[at] = (
                random.choice(("../", "/", "x\n", "config.json", "a" * 999)) + name,
                content,
            )
        case 1:
            members.append((name, random.choice((content, b"", b"{}"))))
        case 2:
            del members[at]
        case 3:
            members[at] = (name, flipped(content, random))
        case 4:
            method = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        case 5:
            members[at] = (name, b" " * random.choice((10, 2**24, 2**26)) + content)
            method = zipfile.ZIP_DEFLATED
        case _:
            members = [(n, member_mutant(n, c, random)) for n, c in members]
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for own, content in members:
            archive.writestr(own, content)
    return made.getvalue()


def member_mutant(name: str, content: bytes, random: Random) -> bytes:
    if name == "config.json" and random.random() < 0.7:
        return json_mutant(content.decode(), random).encode(errors="surrogatepass")
    if name.endswith(".h5") and random.random() < 0.4:
        return h5_mutant(content, random)
    return content


def h5_mutant(data: bytes, random: Random) -> bytes:
    """Damage the graph, the arrays, or the lists of their names."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "a") as file:
        if "model_config" in file.attrs and random.random() < 0.6:
            text = json_mutant(file.attrs["model_config"], random)
            file.attrs["model_config"] = text.encode(errors="surrogatepass")
        else:
            groups, arrays = [file], []
            file.visititems(
                lambda _, one: (arrays if hasattr(one, "shape") else groups).append(one)
            )
            if random.random() < 0.3:
                attributes_mutant(random.choice(groups), random)
            elif arrays:
                array_mutant(file, random.choice(arrays).name, groups, random)
    return buffer.getvalue()


def attributes_mutant(group: h5py.Group, random: Random) -> None:
    name = random.choice([*group.attrs, "weight_names", "backend", "keras_version", "model_config"])
    found = group.attrs.get(name)
    match random.randrange(5):
        case 0 if found is not None:
            del group.attrs[name]
        case 1 if isinstance(found, np.ndarray) and found.size:
            group.attrs[name] = list(reversed(found.tolist()))
        case 2 if isinstance(found, np.ndarray) and found.size:
            group.attrs[name] = found.tolist() * random.choice((2, 50))
        case _:
            values = ("3.0", "1.2", "theano", b"\xff\xfe", 7, 1.5, [], ["a", "/", ".."], [[1, 2]])
            group.attrs[name] = random.choice(values)


def array_mutant(file: h5py.File, name: str, groups: list, random: Random) -> None:
    array = file[name][()]
    way = random.randrange(9)
    if way == 0:
        file[f"{random.choice(groups).name}/{random.randrange(9)}"] = file[name]  # a hard link
        return
    del file[name]
    match way:
        case 1:
            file[name] = random.choice((h5py.SoftLink("/"), h5py.ExternalLink("other.h5", "/")))
        case 2:
            file[name] = array.astype(random.choice(("f2", "f8", "i1", "u8", "?", "c8", "S3")))
        case 3:
            axes = [max(0, n + random.choice((-1, 0, 0, 1))) for n in array.shape]
            file[name] = np.ones(axes, array.dtype)
        case 4:
            file[name] = np.full(array.shape, random.choice((np.nan, np.inf, 1e38, 0)), array.dtype)
        case 5:
            file[name] = array.reshape(random.choice(((-1,), (1, -1), (-1, 1, 1, 1))))
        case 6:
            file.create_group(name)
        case 7:
            shape = random.choice(((2**30, 2**30), (3, 3, 2**20, 4), (2**40,)))
            file.create_dataset(name, shape, "f4", chunks=True, compression="gzip")
        case 8:
            file[name] = h5py.Empty("f4")


def json_mutant(text: str, random: Random) -> str:
    """Change, drop, double, move or rename something in a graph."""
    graph = json.loads(text)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        # a copy without shared parts; what contains itself after an exchange is a ValueError
        graph = json.loads(json.dumps(graph_mutant(graph, random)))
    text = json.dumps(graph)
    match random.randrange(40):
        case 0:
            text = text.replace('"config":', '"config": 1, "config":', 1)
        case 1:
            text = "[" * 10_000 + text + "]" * 10_000
        case 2:
            text = text[: random.randrange(len(text))]
        case 3:
            text = text.replace('"', "'", random.randrange(9))
    return text


def graph_mutant(graph: object, random: Random) -> object:
    places = []
    left = [graph]
    while left:
        one = left.pop()
        inside = list(one.items() if isinstance(one, dict) else enumerate(one))
        places.extend((one, key) for key, _ in inside)
        left.extend(value for _, value in inside if isinstance(value, dict | list))
    if not places:
        return random.choice(ABSURD)
    # what fdref reads, rather than what it does not
    weighty = [
        p for p in places if not str(p[1]).endswith(("izer", "constraint", "module", "dtype"))
    ]
    damage_place(weighty or places, random)
    return graph


def damage_place(places: list, random: Random) -> None:
    """Damage one of [(object or list, key)]."""
    node, key = random.choice(places)
    other, there = random.choice(places)
    lists = [n for n, _ in places if isinstance(n, list)] or [[0]]
    references = [n for n in lists if len(n) > 2 and isinstance(n[0], str)] or [[0]]
    match random.randrange(9):
        case 0:
            del node[key]
        case 1:
            node[key] = copy.deepcopy(other[there])
        case 2:
            node[key], other[there] = other[there], node[key]
        case 3:
            layers = [n for n, k in places if k == "class_name"] or [{}]
            random.choice(layers)["class_name"] = random.choice(CLASSES)
        case 4:
            own = random.choice(lists)
            own.insert(random.randrange(len(own) + 1), copy.deepcopy(random.choice(own)))
        case 5:
            random.choice(references)[:] = random.choice(references)
        case 6:
            node[key] = [node[key]] * random.choice((1, 3, 300))
        case _:
            node[key] = copy.deepcopy(random.choice(ABSURD))


def load(path: Path) -> str:
    """Read a mutant, and check that its maps have the shapes that it says."""
    net = network_from_keras(path)
    size = net.input_size or (16, 16)
    sizes = net.map_sizes(size)
    if sum(c * h * w for c, (h, w) in zip(net.channels, sizes, strict=True)) > MOST_NUMBERS:
        return "network, too large to run"
    images = [np.zeros((1, channels, *size), net.dtype) for channels in net.input_channels]
    with np.errstate(all="ignore"):
        maps = fdref.forward(net, images if net.inputs > 1 else images[0], "reference")
    for number, own in enumerate(maps):
        assert own.shape == (1, net.channels[number], *sizes[number])
    return "network"


def seeds() -> dict[str, bytes]:
    """Return whole files: those of Keras 2 and 3, and one as Keras 1 wrote them."""
    folder = Path(__file__).parents[1]
    files = [path for n in (2, 3) for path in (folder / f"keras{n}").iterdir()]
    found = {f"{path}": path.read_bytes() for path in files if path.suffix != ".npz"}
    return found | {"old": old()}


def old() -> bytes:
    """A model as Keras 1 wrote it: no names of fields, nor order of axes, are as they are now."""
    random = np.random.default_rng(0)
    conv = {"nb_filter": 4, "nb_row": 3, "nb_col": 3, "border_mode": "same", "dim_ordering": "th"}
    layers = [
        ("Convolution2D", conv | {"batch_input_shape": [None, 2, 8, 9], "subsample": [2, 2]}),
        ("BatchNormalization", {"axis": 1, "epsilon": 0.01, "mode": 0}),
        ("MaxPooling2D", {"pool_size": [2, 2], "border_mode": "valid", "strides": None}),
        ("Flatten", {}),
        ("Dense", {"output_dim": 3, "activation": "softmax"}),
    ]
    own = [{"class_name": k, "config": {"name": f"{k}_1"} | more} for k, more in layers]
    shapes = {
        "Convolution2D_1": [(4, 2, 3, 3), (4,)],
        "BatchNormalization_1": [(4,)] * 4,
        "Dense_1": [(4 * 2 * 2, 3), (3,)],
    }
    arrays = {n: [random.random(shape) for shape in found] for n, found in shapes.items()}
    return h5({"class_name": "Sequential", "config": own}, arrays, "1.2.2", "theano")


FORMAT = Format("keras", seeds, mutate, load, ".h5", decoys=("other.h5",))
