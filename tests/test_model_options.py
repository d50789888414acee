"""What a command can be told of a network's file: --drop, --input-size, --channels, convert."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np
import pytest
from command_line import refusal, run
from PIL import Image

import fdref
from fdref import Conv, Network, Pool, ReLU, Sum
from fdref.weights.matlab_write import write
from fdref.weights.structs import to_matlab


def random(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    """A colour network whose last layer has one filter."""
    layers = [
        Conv(random(4, 3, 3, 3), name="low"),
        ReLU(name="relu"),
        Pool(2, 2, name="pool"),
        Conv(random(1, 4, 2, 2), name="high"),
    ]
    path = tmp_path / "model.mat"
    fdref.save(Network(layers), path)
    return path


def told(capsys, *arguments):
    capsys.readouterr()
    assert run(*arguments) == 0
    return capsys.readouterr()


def test_layers_are_dropped_by_name_or_number(model, capsys):
    out = told(capsys, "info", model, "--drop", "relu", "--drop", 3, "--json", "-").out
    assert [layer["name"] for layer in json.loads(out)["layers"]] == ["low", "high"]
    assert "no layer is named 'no'; the names are" in refusal(capsys, "info", model, "--drop", "no")
    said = refusal(capsys, "info", model, "--drop", "low", "--input-channels", 3)
    assert "layer 4 (conv 'high'): 1 filters" in said
    assert "3 channels" in said


def test_the_size_of_images_is_told(model, capsys):
    out = told(capsys, "info", model, "--input-size", "20x32", "--json", "-").out
    assert json.loads(out)["size"] == [20, 32]
    assert json.loads(out)["layers"][-1]["size"] == [8, 14]
    assert "does not fit into its map" in refusal(capsys, "info", model, "--input-size", 2)
    for wrong in ("0", "12x", "-3", "1x2x3", "a"):
        assert "is no size; expected such as 224" in refusal(
            capsys, "info", model, f"--input-size={wrong}"
        )


def test_an_option_is_named_where_something_is_missing(tmp_path, capsys, monkeypatch):
    def without(*arguments, **more):
        raise fdref.NetworkError("no layer tells; name them with input_channels, or input_size")

    monkeypatch.setattr(fdref, "load", without)
    said = refusal(capsys, "info", "model.mat")
    assert said.endswith("name them with --input-channels, or --input-size")


def test_filters_that_a_layer_lacks_are_left_out(model, tmp_path, capsys):
    said = told(capsys, "decode", model, "--filters", "0-2", "-o", tmp_path / "out").err
    left = "filters that a layer does not have are left out: layer 4 (conv 'high') has 1"
    assert left in said
    with h5py.File(tmp_path / "out" / "decoded.h5") as file:
        assert {name: len(bank) for name, bank in file.items()} == {"layer1": 3, "layer4": 1}
    said = told(capsys, "decode", model, "--filters", "2,3", "-o", tmp_path / "other").err
    assert left in said
    with h5py.File(tmp_path / "other" / "decoded.h5") as file:
        assert {name: len(bank) for name, bank in file.items()} == {"layer1": 2}
    said = refusal(capsys, "decode", model, "--filters", "3-4", "-o", tmp_path / "none")
    assert "layer 1 (conv 'low') has no filter 4" in said
    assert not (tmp_path / "none").exists()


def test_the_layer_in_the_way_is_told(tmp_path, capsys):
    layers = [
        {"type": "conv", "name": "low", "weights": to_matlab(random(2, 1, 3, 3))},
        {"type": "own", "name": "mine"},
        {"type": "conv", "name": "high", "weights": to_matlab(random(2, 2, 3, 3))},
        {"type": "conv", "name": "top", "weights": to_matlab(random(2, 2, 3, 3))},
    ]
    write(tmp_path / "n.mat", {"net": {"layers": layers}})
    options = ["-o", tmp_path / "out", "--no-pictures"]
    said = told(capsys, "decode", tmp_path / "n.mat", *options).err
    assert "layer 3 (conv 'high') has no filter: layer 2 (unknown own 'mine') is of a" in said
    assert "; 1 more left out, too" in said
    assert told(capsys, "decode", tmp_path / "n.mat", "--quiet", *options).err == ""
    options = ["-o", tmp_path / "low", "--no-pictures", "--layers", "low"]
    assert told(capsys, "decode", tmp_path / "n.mat", *options).err == ""


def test_ranges_of_layers_hold_transposed_convolutions(tmp_path, capsys):
    layers = [Conv(random(2, 1, 3, 3)), ReLU(), fdref.ConvTranspose(random(2, 2, 2, 2), upsample=2)]
    fdref.save(Network(layers), tmp_path / "n.mat")
    options = ["--layers", "1-3", "-o", tmp_path / "out", "--no-pictures", "--json", "-"]
    out = told(capsys, "decode", tmp_path / "n.mat", *options).out
    assert [layer["number"] for layer in json.loads(out)["layers"]] == [1, 3]


def test_colours_are_drawn_in_the_order_that_the_network_takes(model, tmp_path):
    for order in ("rgb", "bgr"):
        out = tmp_path / order
        options = ("--layers", 1, "--channels", order, "--bare", "-o", out, "--quiet")
        assert run("decode", model, *options) == 0
    pictures = [np.asarray(Image.open(tmp_path / order / "layer1.png")) for order in ("rgb", "bgr")]
    assert (pictures[0] == pictures[1][:, :, ::-1]).all()
    assert (pictures[0] != pictures[1]).any()
    banks = [h5py.File(tmp_path / order / "decoded.h5")["layer1"][()] for order in ("rgb", "bgr")]
    assert (banks[0] == banks[1]).all()


def test_a_chain_and_a_graph_are_converted(model, tmp_path, capsys):
    chain = tmp_path / "chain.mat"
    assert f"wrote {chain}, 3 layers" in told(capsys, "convert", model, chain, "--drop", "relu").out
    assert fdref.load(chain) == fdref.load(model, drop="relu")
    block = Network([Conv(random(2, 2, 3, 3), pad=1), Sum()], wiring={2: [0, 1]}, input_channels=2)
    fdref.save(block, tmp_path / "block.mat")
    told(capsys, "convert", tmp_path / "block.mat", tmp_path / "again.mat")
    assert (tmp_path / "again.mat").read_bytes() == (tmp_path / "block.mat").read_bytes()
    assert fdref.load(tmp_path / "again.mat") == block


def test_what_cannot_be_converted_leaves_nothing(model, tmp_path, capsys):
    assert "is what is read; expected another" in refusal(capsys, "convert", model, model)
    target = tmp_path / "target.mat"
    assert "No such file" in refusal(capsys, "convert", tmp_path / "no.mat", target)
    assert "cannot be written" in refusal(capsys, "convert", model, tmp_path / "no" / "x.mat")
    for name in ("x.keras", "x.h5", "x.npz", "x"):  # would be MATLAB's files of those names
        said = refusal(capsys, "convert", model, tmp_path / name)
        assert "expected a name that ends in .mat or .onnx" in said
        assert not (tmp_path / name).exists()
    assert not target.exists()
    assert fdref.load(model).decodable == (1, 4)


def test_decoded_files_know_how_a_network_is_wired(tmp_path):
    """Two networks of the same layers, put together in two ways, are two networks."""
    layers = [Conv(random(2, 2, 1, 1)), Conv(random(2, 2, 1, 1)), Sum(), Conv(random(1, 2, 1, 1))]
    one = Network(layers, wiring={3: [0, 2]}, input_channels=2)
    other = Network(layers, wiring={2: 0, 3: [1, 2]}, input_channels=2)
    fdref.decode_to(tmp_path / "a.h5", one, [1])
    with pytest.raises(fdref.FileError, match="network"):
        fdref.decode_to(tmp_path / "a.h5", other, [4])


def test_decoded_files_tell_jumps_of_less_than_a_pixel(tmp_path):
    net = Network([fdref.ConvTranspose(random(1, 2, 4, 4), upsample=2), Conv(random(2, 2, 1, 1))])
    fdref.decode_to(tmp_path / "a.h5", net)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["layer2"].attrs["receptive_field_stride"].tolist() == [0.5, 0.5]


def test_a_network_goes_to_onnx_and_back(model, tmp_path, capsys):
    onnx = tmp_path / "net.onnx"
    runtime = pytest.importorskip("onnxruntime")
    told(capsys, "convert", model, onnx)
    net, again = fdref.load(model), fdref.load(onnx)
    assert [layer.name for layer in again] == ["low", "relu", "pool", "high"]
    x = random(2, 3, 14, 16)
    answer = fdref.forward(net, x)[-1]
    session = runtime.InferenceSession(onnx)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: x})
    for other in (fdref.forward(again, x)[-1], theirs):
        assert abs(other - answer).max() <= 1e-5 * abs(answer).max()
    assert fdref.load(onnx, drop="relu").decodable == (1, 3)
    told(capsys, "convert", onnx, tmp_path / "back.mat", "--drop", "relu")
    assert len(fdref.load(tmp_path / "back.mat")) == 3
    assert (fdref.load(tmp_path / "back.mat")[1].filters == net[1].filters).all()
    with pytest.raises(fdref.ArgumentError, match="layers translates MatConvNet's type 'SubP'"):
        fdref.load(onnx, layers={"SubP": lambda fields: ReLU()})
    with pytest.raises(fdref.ArgumentError, match="input_channels is 4, but the file says 3"):
        fdref.load(onnx, input_channels=4)


def test_layers_of_several_maps_are_left_out_of_any_graph(tmp_path):
    pytest.importorskip("onnx")
    layers = [Conv(random(2, 2, 1, 1), name="a"), Sum(name="s"), ReLU(name="r")]
    fdref.save(Network(layers, wiring={2: [0, 1]}, input_channels=2), tmp_path / "n.onnx")
    assert len(fdref.load(tmp_path / "n.onnx", drop="r")) == 2
    with pytest.raises(fdref.NetworkError, match=r"layer 3 \(relu 'r'\) takes the map of layer 2"):
        fdref.load(tmp_path / "n.onnx", drop="s")
    with pytest.raises(fdref.ArgumentError, match="no layer is named 'q'; the names are 'a', 's'"):
        fdref.load(tmp_path / "n.onnx", drop="q")


def in_zip(name):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, b"\x80\x02}q.")
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (in_zip("archive/data.pkl"), "is PyTorch's, .*: .* torch.onnx.export"),
        (b"\x80\x02\x8a\nl\xfcF\xf9 j\xa8P\x19.", "is PyTorch's, .*: .* torch.onnx.export"),
        (b"\x80\x04\x95abc", "is a Python pickle"),
        ((200).to_bytes(8, "little") + b'{"a":', "is safetensors: weights alone"),
        (b"\x1c\0\0\0TFL3", "is TensorFlow Lite's, .*model.save"),
        (in_zip("net/data/0"), "is PyTorch's .TorchScript., .*: .* torch.onnx.export"),
        (in_zip("filters.npy"), "is NumPy's arrays alone"),
        (b"\x93NUMPY\1\0v\0{'descr'", "is NumPy's arrays alone"),
        (b"# Created by Octave 8.4.0, Thu", "is in Octave's own format, .*`save -v7`"),
        (b"Octave-1-L\0\1\0\0\0net", "is in Octave's own format, .*`save -v7`"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "is compressed by gzip, .*gunzip"),
        (b'{"module": "keras", "class_name": "Model"}', "is Keras's JSON: .*model.save"),
        (b"", "is empty, expected a network of MatConvNet's"),
        (b"weights", r"is no file that fdref knows, or cut off \(it begins with b'weights'\)"),
    ],
)
def test_other_files_are_told_what_to_do(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(fdref.FileError, match=message) as refused:
        fdref.load(tmp_path / "file")
    assert str(refused.value).startswith(f"{tmp_path / 'file'} is ")


def test_what_nobody_knows_is_not_written(tmp_path):
    pytest.importorskip("onnx")
    net = Network([Conv(random(1, 1, 1, 1)), fdref.Unknown("own", name="x")])
    for name in ("n.mat", "n.onnx"):
        with pytest.raises(
            fdref.NetworkError, match=r"layer 2 \(unknown own 'x'\) .*; leave it out"
        ):
            fdref.save(net, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_several_networks_or_one_deep_inside(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    net = {"layers": [{"type": "conv", "weights": [random(3, 3, 1, 2), np.zeros((1, 2))]}]}
    net["layers"] = np.array([net["layers"][0], None], object)[:1]
    savemat(tmp_path / "two.mat", {"a": net, "b": net, "x": 1.0})
    with pytest.raises(fdref.NetworkError, match=r"there are 2 networks .* \(a, b\); expected one"):
        fdref.load(tmp_path / "two.mat")
    savemat(tmp_path / "deep.mat", {"model": {"net": net, "opts": 1.0}})
    assert fdref.load(tmp_path / "deep.mat").channels == (1, 2)


def test_info_and_convert_say_what_is_in_the_way(tmp_path, capsys):
    layers = [{"type": "conv", "weights": [random(1, 1, 3, 3)]}, {"type": "SubP", "name": "s"}]
    layers.append({"type": "conv", "weights": [random(1, 1, 3, 3)], "name": "c"})
    write(tmp_path / "n.mat", {"net": {"layers": layers}})
    out = told(capsys, "info", tmp_path / "n.mat").out
    assert out.splitlines()[-1].startswith(
        "layer 3 (conv 'c') has no filter: layer 2 (unknown SubP"
    )
    said = refusal(capsys, "convert", tmp_path / "n.mat", tmp_path / "m.mat")
    assert "layer 2 (unknown SubP 's') cannot be written" in said
    assert "--drop" in said
