"""ONNX Runtime's every value of a graph, beside ours."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

import fdref
from fdref.weights.bounded import Budget
from fdref.weights.onnx.model import read_model
from fdref.weights.onnx.translation import translated
from fdref.weights.onnx.views import View

LARGE = 2**20


def values_of(model, inputs, folder=None):
    """Return every value of a graph that is an array of real numbers, by name."""
    told = onnx.ModelProto()
    told.CopyFrom(model)
    outputs = {one.name for one in told.graph.output}
    names = [name for node in told.graph.node for name in node.output if name]
    told.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in outputs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        told.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = [one.name for one in session.get_outputs()]
    fed = {one.name for one in session.get_inputs()}
    found = session.run(wanted, {name: x for name, x in inputs.items() if name in fed})
    return dict(zip(wanted, found, strict=True))


def read(model, input_size=None, folder=None, budget=None):
    """Return the network, and the translation of its graph."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    told = read_model(data, "the model", folder, budget or Budget())
    return translated(told, input_size)


def arranged(view, maps):
    """Return a value (N, ...) of a map (N, C, H, W), as a view says that it lies there."""
    lengths = [len(maps), *maps.shape[1:]]
    split, places = [], []
    for axis, length in enumerate(lengths):
        if axis == 0:
            own = [d for a in view.axes for d in a if d.axis == 0][:1]
            split += [length] * len(own)
            places += own
            if not own:
                assert length == 1
            continue
        own = sorted((d for a in view.axes for d in a if d.axis == axis), key=lambda d: -d.step)
        split += [d.size or length for d in own]
        places += own
    whole = maps.reshape(split)
    order = [places.index(d) for a in view.axes for d in a]
    moved = whole.transpose(order)
    lengths, at = [], 0
    for axis in view.axes:
        lengths.append(int(np.prod(moved.shape[at : at + len(axis)])))
        at += len(axis)
    return moved.reshape(lengths)


def check_values(model, inputs, input_size=None, folder=None, eps=1e-5, budget=None):
    """Hold every map of a network against ONNX Runtime's values; return the network.

    Every layer's map must have been compared, but for those that a node takes several layers for.
    """
    net, work = read(model, input_size, folder, budget)
    expected = values_of(model, inputs)
    names = [name for name in work.model.inputs if isinstance(work.values.get(name), View)]
    fed = []
    for name in names:
        view = work.values[name]
        x = inputs[name]
        if len(view.axes) == 2:
            x = x[:, :, None, None]
        elif view.axes and view.axes[-1] and view.axes[-1][0].axis == 1 and len(view.axes) == 4:
            x = x.transpose(0, 3, 1, 2)
        fed.append(x)
    if net.average is not None:
        fed[0] = fed[0] - net.average
    acts = fdref.forward(net, fed[0] if len(fed) == 1 else fed)
    compared = set()
    for name, view in work.values.items():
        if name not in expected or not isinstance(view, View) or view.map < 1:
            continue
        found = arranged(view, acts[view.map])
        assert found.shape == expected[name].shape, (name, net.describe(view.map))
        scale = max(1, abs(expected[name]).max(initial=0))
        error = abs(found - expected[name]).max(initial=0)
        assert error <= eps * scale, (name, net.describe(view.map), error, scale)
        compared.add(view.map)
    assert len(net) in compared
    return net, work, compared
