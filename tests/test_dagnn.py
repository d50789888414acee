"""MatConvNet's DagNN: as its saveobj writes it, in any order, and as we do."""

from __future__ import annotations

import mat73
import numpy as np
import pytest
from graph_strategies import graphs
from hypothesis import given, settings

import fdref
from fdref import (
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Network,
    NetworkError,
    Normalize,
    Pad,
    Pool,
    Product,
    ReLU,
    Scale,
    Softmax,
    Sum,
    Unknown,
)
from fdref.weights.matlab_write import StructArray, write
from fdref.weights.structs import to_matlab

SAVED = ("conv", "convt", "pool", "sum", "concat", "scale", "bnorm", "relu", "lrn", "softmax")
SAVED += ("dropout", "product")


def random(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.slow
@settings(max_examples=40)
@given(graphs(linear=False, among=SAVED))
def test_a_graph_that_is_saved_and_loaded_is_the_same_to_the_bit(tmp_path_factory, net):
    folder = tmp_path_factory.mktemp("net")
    try:
        fdref.save(net, folder / "a.mat")
    except NetworkError:
        assert any(has_no_layer_there(net, number) for number in range(1, len(net) + 1)) or (
            {0} - {n for taken in net.takes for n in taken}  # an input that nobody takes is lost
        )
        return
    again = fdref.load(folder / "a.mat")
    assert again == net
    fdref.save(again, folder / "b.mat")
    assert (folder / "a.mat").read_bytes() == (folder / "b.mat").read_bytes()


def has_no_layer_there(net, number):
    """Tell what MatConvNet does not have."""
    match net[number]:
        case ConvTranspose(crop=crop):
            return min(crop) < 0
        case Sum(factors=factors):
            return bool(set(factors or ()) - {1.0})
        case Product():
            return len(net.takes[number]) > 2
    return False


def whole_net():
    """A graph with every kind of layer that a DagNN has, of names that are not each one's own."""
    layers = [
        Conv(random(4, 1, 3, 3), random(4), 1, 1, name="c"),
        BatchNorm(random(4), random(4), random(4), np.full(4, 2, np.float32)),
        ReLU(0.25, name="c"),
        Normalize(3, 1.0, 0.5, 0.75),
        Pool(3, 2, 1, "avg"),
        ConvTranspose(random(4, 1, 4, 4), random(4), 2, (1, 1, 1, 1), 4, name="up"),
        Scale(random(4), random(4)),
        Elementwise("sigmoid"),
        Product(name="gated"),
        Sum(name="sum"),
        Concat(),
        Dropout(0.3),
        Conv(random(2, 8, 3, 3), None, 2, (1, 0, 2, 1), 2),
        Softmax(name="p"),
    ]
    wiring = {5: 1, 9: [4, 8], 10: [9, 3], 11: ["sum", 1]}
    return Network(
        layers,
        wiring=wiring,
        input_size=12,
        average=random(1),
        classes=["a", "b"],
        provenance="by hand",
    )


def test_every_kind_of_layer_comes_back(tmp_path):
    net = whole_net()
    fdref.save(net, tmp_path / "net.mat")
    again = fdref.load(tmp_path / "net.mat")
    assert again == net
    assert [layer.name for layer in again] == [layer.name for layer in net]
    assert (again.classes, again.provenance) == (("a", "b"), "by hand")


def test_another_reader_sees_what_saveobj_writes(tmp_path):
    fdref.save(whole_net(), tmp_path / "net.mat")
    net = mat73.loadmat(tmp_path / "net.mat")["net"]
    layers, params, maps = net["layers"], net["params"], net["vars"]
    assert layers[0]["type"] == "dagnn.Conv"
    assert [one["type"] for one in layers[9:11]] == ["dagnn.Sum", "dagnn.Concat"]
    assert len({one["name"] for one in layers}) == len(layers) == 14
    assert (layers[9]["inputs"], layers[9]["outputs"]) == (["map9", "map3"], ["map10"])
    assert {one["name"] for one in maps} == {"input", *(f"map{n}" for n in range(1, 15))}
    filters = {one["name"]: one["value"] for one in params}[layers[5]["params"][0]]
    assert filters.shape == (4, 4, 1, 4)
    assert layers[4]["block"]["poolSize"].tolist() == [3, 3]
    assert [*layers[5]["block"]["crop"]] == [1, 1, 1, 1]


def test_further_inputs_keep_their_channels(tmp_path):
    net = Network(
        [Conv(random(2, 1, 1, 1)), Conv(random(2, 3, 1, 1)), Sum()],
        wiring={2: -1, 3: [1, 2]},
        input_channels=[1, 3],
    )
    fdref.save(net, tmp_path / "net.mat")
    assert fdref.load(tmp_path / "net.mat") == net


# Files of others


def layer(name, kind, inputs, outputs, params=(), **block):
    fields = {
        key: np.array(value) if not isinstance(value, str) else value
        for key, value in block.items()
    }
    return {
        "name": name,
        "type": kind,
        "inputs": list(inputs),
        "outputs": list(outputs),
        "params": list(params),
        "block": fields,
    }


def dag(path, layers, params=None, **more):
    names = {name: None for one in layers for name in (*one["inputs"], *one["outputs"])}
    params = {} if params is None else params
    net = {
        "vars": StructArray({"name": name} for name in names),
        "params": StructArray(
            {"name": name, "value": to_matlab(value) if value.ndim > 2 else value}
            for name, value in params.items()
        ),
        "layers": StructArray(layers),
        **more,
    }
    write(path, {"net": net})
    return path


F, G = random(3, 1, 3, 3), random(3, 3, 3, 3)


def test_layers_may_be_stored_in_any_order(tmp_path):
    layers = [
        layer("sum", "dagnn.Sum", ["y", "z"], ["s"]),
        layer("second", "dagnn.Conv", ["y"], ["z"], ["g"], pad=[1.0, 1.0], hasBias=0.0),
        layer("first", "Conv", ["x"], ["y"], ["f"], pad=[1.0, 2.0], stride=[2.0, 1.0]),
    ]
    net = fdref.load(dag(tmp_path / "n.mat", layers, {"g": G, "f": F}))
    assert [one.name for one in net] == ["first", "second", "sum"]
    assert net.takes == ((), (0,), (1,), (1, 2))
    assert (net[1].pad, net[1].stride) == ((1, 1, 2, 2), (2, 1))
    assert (net[1].filters == F).all()


def test_shared_parameters_are_one_array(tmp_path):
    layers = [
        layer("first", "dagnn.Conv", ["x"], ["y"], ["f", "b"], pad=1.0),
        layer("a", "dagnn.Conv", ["y"], ["z"], ["g", "b"], pad=1.0),
        layer("b", "dagnn.Conv", ["z"], ["u"], ["g", "b"], stride=2.0),
    ]
    net = fdref.load(dag(tmp_path / "n.mat", layers, {"f": F, "g": G, "b": random(3)}))
    assert np.shares_memory(net["a"].filters, net["b"].filters)
    assert np.shares_memory(net["a"].bias, net["b"].bias)
    assert net["b"].stride == (2, 2)
    again = Conv(net["a"].filters)
    assert np.shares_memory(again.filters, net["a"].filters)
    assert not np.shares_memory(Conv(net["a"].filters[:2]).filters, net["a"].filters)


def test_what_only_losses_take_is_no_input(tmp_path):
    layers = [
        layer("c", "dagnn.Conv", ["image"], ["y"], ["f"]),
        layer("own", "dagnn.MyLoss", ["y", "label"], ["objective"], weight=2.0),
        layer("top1", "dagnn.Loss", ["y", "label"], ["error"], loss="classerror"),
        layer("top", "dagnn.Loss", ["y", "label"], ["p"], loss="softmaxlog"),
    ]
    net = fdref.load(dag(tmp_path / "n.mat", layers, {"f": F}))
    assert net.inputs == 1
    assert [type(one) for one in net] == [Conv, Softmax, Unknown]
    assert (net[3].type, net[3].fields) == ("MyLoss", (("weight", "2"),))
    x = np.ones((1, 1, 4, 4))
    assert len(fdref.forward(net, x)) == 3
    assert len(fdref.load(tmp_path / "n.mat", drop="own")) == 2


@pytest.mark.parametrize("more", [{}, {"loss": ""}, {"loss": "softmaxlog"}])
def test_a_loss_that_tells_no_kind_is_the_default_one(tmp_path, more):
    layers = [
        layer("c", "dagnn.Conv", ["image"], ["y"], ["f"]),
        layer("top", "dagnn.Loss", ["y", "label"], ["p"], ignoreAverage=0.0, **more),
    ]
    net = fdref.load(dag(tmp_path / "n.mat", layers, {"f": F}))
    assert [type(one) for one in net] == [Conv, Softmax]


def test_a_graph_in_a_checkpoint_in_net(tmp_path):
    whole = {
        "layers": StructArray([layer("c", "dagnn.Conv", ["image"], ["y"], ["f"])]),
        "params": StructArray([{"name": "f", "value": to_matlab(F)}]),
        "vars": StructArray([{"name": "image"}, {"name": "y"}]),
    }
    for more in ({}, {"state": {"momentum": np.array(0.5)}, "stats": {"train": np.array(1.0)}}):
        write(tmp_path / "n.mat", {"net": {"net": whole, **more}})
        net = fdref.load(tmp_path / "n.mat")
        assert [type(one) for one in net] == [Conv]


def test_crops_scales_and_joins_of_one_map(tmp_path):
    layers = [
        layer("c", "dagnn.Conv", ["x"], ["small"], ["f"]),
        layer("crop", "dagnn.Crop", ["x", "small"], ["cut"], crop=[1.0, 0.0]),
        layer("scale", "dagnn.Scale", ["small"], ["scaled"], ["a", "o"]),
        layer("gate", "dagnn.Scale", ["scaled", "small"], ["gated"]),
        layer("alone", "dagnn.Sum", ["gated"], ["same"]),
        layer("all", "dagnn.Concat", ["same", "cut"], ["y"], dim=3.0),
    ]
    params = {"f": F, "a": random(3), "o": random(1)}
    path = dag(tmp_path / "n.mat", layers, params)
    with pytest.raises(NetworkError, match=r"layer 2 \(Crop 'crop'\): .* size of the images; name"):
        fdref.load(path)
    net = fdref.load(path, input_size=(7, 8))
    assert net["crop"] == Pad((-1, -1, 0, -2), name="crop")
    assert net["scale"].offset.tolist() == [params["o"][0]] * 3
    assert isinstance(net["gate"], Product)
    assert net.sizes[6] == (5, 6)
    assert net.channels[6] == 4


def test_a_gate_of_one_pixel_scales_a_whole_map(tmp_path):
    """Squeeze and excitation, in either order: dagnn.Scale is MATLAB's bsxfun of its inputs."""
    layers = [
        layer("c", "dagnn.Conv", ["x"], ["y"], ["f"]),
        layer("squeeze", "dagnn.Pooling", ["y"], ["q"], method="avg", poolSize=[4.0, 5.0]),
        layer("gate", "dagnn.Sigmoid", ["q"], ["g"]),
        layer("excite", "dagnn.Scale", ["y", "g"], ["z"], hasBias=0.0),
        layer("again", "dagnn.Scale", ["g", "z"], ["u"], hasBias=0.0),
    ]
    net = fdref.load(dag(tmp_path / "n.mat", layers, {"f": F}), input_size=(6, 7))
    x = random(2, 1, 6, 7)
    acts = fdref.forward(net, x, "reference")
    y = acts[1]
    gate = 1 / (1 + np.exp(-y.mean((2, 3), keepdims=True)))
    np.testing.assert_allclose(acts[-1], y * gate**2, rtol=1e-6)
    assert acts[-1].shape == (2, 3, 4, 5)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [
                layer("a", "dagnn.Conv", ["x"], ["y"], ["f"]),
                layer("b", "dagnn.Scale", ["y", "y"], ["z"], ["b"], hasBias=1.0),
            ],
            r"layer 2 \(Scale 'b'\): it takes 2 maps and 1 parameters; expected one map, or two",
        ),
        (
            [
                layer("a", "dagnn.Conv", ["x"], ["y"], ["f"]),
                layer("b", "dagnn.Sum", ["y", "v"], ["u"]),
                layer("c", "dagnn.ReLU", ["u"], ["v"]),
            ],
            "layer 'b' stands on a map that stands on its own",
        ),
        ([layer("a", "dagnn.Conv", ["x"], ["x"], ["f"])], "layer 'a' stands on a map"),
        ([layer("a", "dagnn.Conv", ["x"], ["y"], ["h"])], "uses the parameter 'h', which the file"),
        (
            [
                layer("a", "dagnn.Conv", ["x"], ["y"], ["f"]),
                layer("b", "dagnn.ReLU", ["x"], ["y"]),
            ],
            "two layers make the map 'y'",
        ),
        ([layer("a", "dagnn.Conv", ["x", "y"], ["z"], ["f"])], "layer 1 .* takes 2 maps; expected"),
        ([layer("a", "dagnn.Conv", [], ["z"], ["f"])], "layer 1 .* takes 0 maps; expected 1"),
        (
            [
                layer("a", "dagnn.Conv", ["x"], ["y"], ["f"]),
                layer("b", "dagnn.BatchNorm", ["y"], ["z"], ["b", "b"]),
            ],
            r"layer 2 \(BatchNorm 'b'\): there are no moments; .* leave the layer out",
        ),
        (
            [
                layer("a", "dagnn.Conv", ["x"], ["y"], ["f"]),
                layer("b", "dagnn.Scale", ["y"], ["z"], ["g"]),
            ],
            r"layer 2 \(Scale 'b'\): its parameters have 81 numbers; expected one for each of 3",
        ),
        (
            [
                layer("a", "dagnn.Conv", ["x"], ["y"], ["f"]),
                layer("b", "dagnn.Conv", ["y"], ["z"], ["f"], stride=0.0),
            ],
            r"layer 2 \(Conv 'b'\): stride is",
        ),
    ],
)
def test_graphs_that_do_not_hold_together(tmp_path, layers, message):
    path = dag(tmp_path / "n.mat", layers, {"f": F, "g": G, "b": random(3)})
    with pytest.raises(NetworkError, match=message) as caught:
        fdref.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_layers_left_out_by_number_or_name(tmp_path):
    layers = [
        layer("a", "dagnn.Conv", ["x"], ["y"], ["f"], pad=1.0),
        layer("b", "dagnn.Conv", ["y"], ["z"], ["g"], pad=1.0),
        layer("s", "dagnn.Sum", ["y", "z"], ["u"]),
        layer("r", "dagnn.ReLU", ["u"], ["v"]),
    ]
    path = dag(tmp_path / "n.mat", layers, {"f": F, "g": G})
    assert fdref.load(path, drop=["b", 4]).takes == ((), (0,), (1, 1))
    with pytest.raises(NetworkError, match=r"layer 4 \(ReLU 'r'\): it takes the map 'u', but"):
        fdref.load(path, drop="s")
    with pytest.raises(NetworkError, match=r"layer 2 \(Conv 'b'\): 3 filters .* maps of 1 chan"):
        fdref.load(path, drop=1, input_channels=1)
    for wrong, message in ((5, "no layer 5"), ("q", "no layer is named 'q'"), (1.5, "drop is 1.5")):
        with pytest.raises(fdref.ArgumentError, match=message):
            fdref.load(path, drop=wrong)


def test_a_function_translates_a_type_into_several_layers(tmp_path):
    layers = [
        layer("a", "dagnn.Conv", ["x"], ["y"], ["f"]),
        layer("own", "dagnn.Twice", ["y"], ["z"], ["g"], factor=2.0),
        layer("b", "dagnn.Conv", ["z"], ["u"], ["g"]),
    ]
    path = dag(tmp_path / "n.mat", layers, {"f": F, "g": G})
    seen = []

    def twice(fields):
        seen.append(fields)
        return [Conv(fields["weights"][0].transpose(3, 2, 0, 1)), Scale([2.0] * 3)]

    for key in ("Twice", "dagnn.Twice"):
        net = fdref.load(path, layers={key: twice})
        assert [one.name for one in net] == ["a", "", "own", "b"]
        assert (net[2].filters == G).all()
        assert net.takes == ((), (0,), (1,), (2,), (3,))
    assert (seen[0]["factor"].item(), seen[0]["input_channels"]) == (2, 3)
    assert fdref.load(path)[2].kind == "unknown Twice"
    for function in (lambda _: None, lambda _: [], lambda _: [1]):
        with pytest.raises(NetworkError, match="the function for layers of type 'Twice' returned"):
            fdref.load(path, layers={"Twice": function})
    for hooks in (5, {"Twice": 5}, {5: twice}):
        with pytest.raises(fdref.ArgumentError, match="layers is"):
            fdref.load(path, layers=hooks)
