"""A second reading of MatConvNet's files: MATLAB's own arrays, computed by PyTorch.

It shares no line with fdref: files are read by SciPy (version 5) or mat73 (version 7.3).
"""

from __future__ import annotations

import numpy as np


def read(path):
    """Return the variables of a file as SciPy or mat73 see them, structs as dicts."""
    if path.read_bytes()[:10] == b"MATLAB 7.3":
        import mat73

        return mat73.loadmat(path)
    import scipy.io

    found = scipy.io.loadmat(path, struct_as_record=False)
    return {name: plain(value) for name, value in found.items() if not name.startswith("__")}


def plain(value):
    """Return structs as dicts, cells and struct arrays as lists, one of them as itself."""
    if hasattr(value, "_fieldnames"):
        return {name: plain(inner) for name, inner in vars(value).items() if name[0] != "_"}
    if isinstance(value, np.ndarray) and value.dtype == object:
        inner = [plain(one) for one in value.ravel(order="F")]
        single = value.size == 1 and hasattr(value.flat[0], "_fieldnames")
        return inner[0] if single else inner
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return str(value[0]) if value.size else ""
    return value


def several(value):
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def four(value):
    numbers = [int(n) for n in np.asarray(value).ravel()]
    if len(numbers) == 1:
        return numbers * 4
    return [numbers[0], numbers[0], numbers[1], numbers[1]] if len(numbers) == 2 else numbers


def two(value):
    numbers = [int(n) for n in np.asarray(value).ravel()]
    return numbers * 2 if len(numbers) == 1 else numbers


def full(array, axes=4):
    array = np.asarray(array)
    return array.reshape(array.shape + (1,) * (axes - array.ndim))


class Second:
    """A network run layer by layer, with or without its non-linearities."""

    def __init__(self, torch, *, linear=False):
        self.torch, self.linear = torch, linear

    def tensor(self, array):
        return self.torch.tensor(np.ascontiguousarray(array, np.float64))

    def padded(self, x, pad):
        top, bottom, left, right = four(pad)
        return self.torch.nn.functional.pad(x, (left, right, top, bottom))

    def layer(self, kind, fields, weights, taken):  # noqa: C901 - a table of types
        functional, x = self.torch.nn.functional, taken[0]
        match kind:
            case "conv":
                filters = self.tensor(full(weights[0]).transpose(3, 2, 0, 1))
                bias = np.ravel(weights[1]) if len(weights) > 1 else np.zeros(0)
                return functional.conv2d(
                    self.padded(x, fields.get("pad", 0)),
                    filters,
                    self.tensor(bias) if bias.size and not self.linear else None,
                    two(fields.get("stride", 1)),
                    0,
                    two(fields.get("dilate", 1)),
                    x.shape[1] // filters.shape[1],
                )
            case "convt":
                filters = self.tensor(full(weights[0]).transpose(3, 2, 0, 1))
                top, bottom, left, right = four(fields["crop"])
                whole = functional.conv_transpose2d(x, filters, None, two(fields["upsample"]))
                cut = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
                if len(weights) > 1 and not self.linear:
                    cut = cut + self.tensor(np.ravel(weights[1]))[:, None, None]
                return cut
            case "pool":
                return self.pool(x, fields)
            case "relu":
                leak = float(np.ravel(fields.get("leak", 0) or 0)[0])
                return x if self.linear else functional.leaky_relu(x, leak)
            case "bnorm":
                moments = np.asarray(weights[2]).reshape(-1, 2)
                gain, bias = (self.tensor(np.ravel(w)) for w in weights[:2])
                mean, deviation = self.tensor(moments[:, 0]), self.tensor(moments[:, 1])
                scale = (gain / deviation)[:, None, None]
                if self.linear:
                    return x * scale
                return (x - mean[:, None, None]) * scale + bias[:, None, None]
            case "normalize" | "lrn":
                size, kappa, alpha, beta = np.ravel(fields["param"])
                if self.linear:
                    return x
                size = int(size)
                return functional.local_response_norm(x, size, alpha * size, beta, kappa)
            case "softmax" | "softmaxloss":
                return x if self.linear else self.torch.softmax(x, 1)
            case "sum":
                return sum(taken)
            case "dropout":
                return x
        raise NotImplementedError(kind)

    def pool(self, x, fields):
        window, stride = two(fields["pool"]), two(fields.get("stride", 1))
        top, bottom, left, right = four(fields.get("pad", 0))
        assert top == bottom == left == right == 0
        functional = self.torch.nn.functional
        if fields.get("method", "max") == "max" and not self.linear:
            return functional.max_pool2d(x, window, stride)
        return functional.avg_pool2d(x, window, stride)

    def simplenn(self, cell, x, known):
        """Yield the maps of a SimpleNN up to the first layer that is not known."""
        for fields in several(cell):
            kind = fields["type"]
            if kind not in known:
                return
            weights = fields.get("weights")
            if weights is None or len(weights) == 0:
                weights = [fields[key] for key in ("filters", "biases") if key in fields]
            x = self.layer(kind, fields, list(weights), [x])
            yield x

    def dagnn(self, net, x):
        """Return the maps of a DagNN by their names, as far as layers are known."""
        kinds = {
            "Conv": "conv",
            "ConvTranspose": "convt",
            "ReLU": "relu",
            "BatchNorm": "bnorm",
            "Sum": "sum",
        }
        params = {one["name"]: one["value"] for one in rows(net["params"])}
        maps = {}
        for layer in rows(net["layers"]):
            kind = kinds.get(layer["type"].removeprefix("dagnn."))
            inputs = strings(layer["inputs"])
            if kind is None:
                continue
            taken = [maps.get(name, x) for name in inputs]
            weights = [params[name] for name in strings(layer.get("params", []))]
            (output,) = strings(layer["outputs"])
            maps[output] = self.layer(kind, layer["block"], weights, taken)
        return maps


def rows(structs):
    """Return a struct array as a list of dicts, however a reader gives it."""
    if isinstance(structs, dict):
        names = list(structs)
        return [
            dict(zip(names, row, strict=True))
            for row in zip(*(structs[name] for name in names), strict=True)
        ]
    return list(structs)


def strings(value):
    """Return a cell of texts as a list of str, however a reader gives it."""
    if isinstance(value, str):
        return [value]
    flat = []
    for one in [] if value is None else value:
        flat += strings(one)
    return flat
