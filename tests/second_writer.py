"""A second writer of v7.3 files, and what it writes: layers as MATLAB has them."""

from __future__ import annotations

from itertools import count

import h5py
import numpy as np


class Writer:
    """A second writer of v7.3 files, after MATLAB's files and knowing nothing of ours."""

    def __init__(self, path, block=512):
        self.file = h5py.File(path, "w", userblock_size=block)
        self.references = self.file.create_group("#refs#")
        self.number = count()

    def put(self, group, name, value):
        if isinstance(value, dict):
            node = group.create_group(name)
            node.attrs["MATLAB_class"] = np.bytes_("struct")
            for key, inner in value.items():
                self.put(node, key, inner)
            return node
        if isinstance(value, list) and any(
            isinstance(v, dict | str | list | np.ndarray) for v in value
        ):
            cells = [self.put(self.references, f"r{next(self.number)}", v).ref for v in value]
            data = np.array(cells, h5py.ref_dtype).reshape(-1, 1)
            node, kind = group.create_dataset(name, data=data), "cell"
        elif isinstance(value, str):
            codes = np.array([[ord(c)] for c in value], np.uint16)
            node, kind = group.create_dataset(name, data=codes), "char"
            node.attrs["MATLAB_int_decode"] = np.int32(2)
        else:
            array = np.asarray(value)
            array = array.reshape((1,) * (2 - array.ndim) + array.shape)
            while array.ndim > 2 and array.shape[-1] == 1:  # MATLAB drops them
                array = array[..., 0]
            kind = {"float32": "single", "float64": "double"}.get(
                array.dtype.name, array.dtype.name
            )
            data = np.array(array.shape, np.uint64) if array.size == 0 else array.T
            node = group.create_dataset(name, data=data)
            if array.size == 0:
                node.attrs["MATLAB_empty"] = np.uint8(1)
        node.attrs["MATLAB_class"] = np.bytes_(kind)
        return node

    def close(self):
        self.file.close()


def write(path, **variables):
    writer = Writer(path)
    for name, value in variables.items():
        writer.put(writer.file, name, value)
    writer.close()
    return path


def in_matlab(filters):
    """(K, C, kh, kw) as MATLAB indexes it: kh x kw x C x K."""
    return filters.transpose(2, 3, 1, 0)


def random(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def conv(filters, bias, **fields):
    return {"type": "conv", "weights": [in_matlab(filters), bias], **fields}
