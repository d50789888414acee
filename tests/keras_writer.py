"""A second writer of Keras's files, after files that Keras wrote, and knowing nothing of ours."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np


def layer(kind, name, *takes, **config):
    """A layer of a Functional model as Keras 2 writes it; `takes` are [layer, call, number]."""
    calls = [[list(one) for one in takes]] if takes else []
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": calls,
    }


def functional(*layers, inputs=None, outputs=None):
    inputs = inputs or [[layers[0]["name"], 0, 0]]
    outputs = outputs or [[layers[-1]["name"], 0, 0]]
    own = {"name": "model", "layers": list(layers), "input_layers": inputs}
    return {"class_name": "Functional", "config": own | {"output_layers": outputs}}


def sequential(*layers):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def chain(*layers, shape=(9, 8, 3)):
    """A Sequential model of (class, name, fields)."""
    first = ("InputLayer", "image", {"batch_input_shape": [None, *shape]})
    return sequential(
        *(
            {"class_name": kind, "config": {"name": name, **fields}}
            for kind, name, fields in (first, *layers)
        )
    )


def h5(config, weights=None, version="2.9.0", backend="tensorflow", parts=1):
    """A model in HDF5: for every layer its arrays, in as many parts of a list as are wanted."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        if version:
            file.attrs["keras_version"] = version
        if backend:
            file.attrs["backend"] = backend
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        for name, arrays in (weights or {}).items():
            group = file.create_group(f"model_weights/{name}")
            names = [f"{name}/{number}:0" for number in range(len(arrays))]
            for own, array in zip(names, arrays, strict=True):
                group[own] = array
            if parts == 1:
                group.attrs["weight_names"] = np.array([own.encode() for own in names])
            else:
                for number, part in enumerate(np.array_split(names, parts)):
                    group.attrs[f"weight_names{number}"] = [one.encode() for one in part]
    return data.getvalue()


def arrays_h5(weights):
    """The arrays of a `.keras` file: for every path of a group, those that are numbered in it."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for path, arrays in weights.items():
            group = file.create_group(f"{path}/vars")
            for number, array in enumerate(arrays):
                group[f"{number}"] = array
    return data.getvalue()


def archive(members, method=zipfile.ZIP_STORED):
    """A zip of [(name, bytes)]."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return data.getvalue()


def keras3(config, weights=None, version="3.9.0", **more):
    """A `.keras` file; further members, or others in the place of its own, as keywords."""
    members = {
        "metadata.json": json.dumps({"keras_version": version}),
        "config.json": json.dumps(config),
        "model.weights.h5": arrays_h5(weights or {}),
    }
    return archive((members | more).items())
