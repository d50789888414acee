"""`fdref decode`: what it prints and writes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
import pytest
from command_line import bank, everything_in, python, refusal, run, small_model

import fdref
from fdref.commands import main
from fdref.commands.jobs import layer_numbers, ranges
from fdref.decoding.blocks import Plan
from fdref.decoding.contents import compact, digest
from fdref.decoding.decoded_file import WRITTEN, DecodedFile
from fdref.errors import ArgumentError, FileError
from fdref.selection import decodable_numbers


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


class TestDecode:
    def test_writes_what_decode_returns(self, tmp_path, capsys):
        assert run("decode", "--layers", "1,7", "-o", tmp_path / "out") == 0
        assert sorted(everything_in(tmp_path / "out")) == ["decoded.h5", "layer1.png", "layer7.png"]
        with h5py.File(tmp_path / "out" / "decoded.h5") as file:
            assert sorted(file) == ["layer1", "layer7"]
            for layer in (1, 7):
                expected = fdref.decode(fdref.load(), layer)
                assert file[f"layer{layer}"].dtype == expected.dtype
                assert np.array_equal(file[f"layer{layer}"], expected)
            shipped = Path(fdref.weights.SHIPPED).read_bytes()
            attributes = dict(file["layer7"].attrs)
            numbers = {key: attributes.pop(f"receptive_field_{key}") for key in ("size", "stride")}
            assert {key: value.tolist() for key, value in numbers.items()} == {
                "size": [28, 28],
                "stride": [4, 4],
            }
            assert attributes.pop("receptive_field_offset").tolist() == [0, 0]
            assert attributes == {
                "method": "filter decoding with substitution, arXiv 1511.05084",
                "unpool": "bicubic",
                "engine": "compiled",
                "fdref_version": fdref.__version__,
                "network_sha256": digest(fdref.load()),
                "model": "lenet.mat",
                "model_sha256": hashlib.sha256(shipped).hexdigest(),
                "layer": 7,
                "layer_name": "conv4",
                "filters": "0-9",
                "pools": 2,
            }
        summary = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert summary[0] == "layer filters pixels smallest largest seconds dataset picture"
        assert summary[1].startswith("layer 1 (conv 'conv1') 20 1 x 5x5 -0.1")
        assert summary[1].endswith("layer1 layer1.png")
        assert summary[-1] == f"wrote {tmp_path / 'out' / 'decoded.h5'} and the pictures"

    def test_pictures_that_somebody_keeps_do_not_keep_the_file_locked(
        self, model, tmp_path, monkeypatch
    ):
        kept = []

        def pictures(file, job, right=DecodedFile.pictures):
            kept.append(right(file, job))
            return kept[-1]

        monkeypatch.setattr(DecodedFile, "pictures", pictures)
        assert run("decode", model, "-o", tmp_path) == 0
        with h5py.File(tmp_path / "decoded.h5", "r+") as file:  # which HDF5 locks
            assert np.array_equal(file["layer4"], kept[-1])

    def test_filters_layers_unpooling_and_engine_are_those_asked_for(self, model, tmp_path):
        out = tmp_path / "out"
        options = ("--unpool", "nearest", "--engine", "reference", "--no-pictures", "-o", out)
        assert run("decode", model, "--layers", " high ,1", "--filters", "1, 0-1", *options) == 0
        assert list(everything_in(out)) == ["decoded.h5"]
        net = fdref.load(model)
        with h5py.File(out / "decoded.h5") as file:
            for layer in (1, 4):
                expected = fdref.decode(net, layer, [1, 0, 1], "nearest", "reference")
                assert file[f"layer{layer}"].dtype == np.float64
                assert np.array_equal(file[f"layer{layer}"], expected)
                assert file[f"layer{layer}"].attrs["filters"] == "1,0-1"
                assert file[f"layer{layer}"].attrs["unpool"] == "nearest"
                assert file[f"layer{layer}"].attrs["engine"] == "reference"

    def test_every_convolution_by_default_beside_what_is_there(self, model, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        assert run("decode", model, "-o", tmp_path) == 0
        names = ["decoded.h5", "layer1.png", "layer4.png", "notes.txt"]
        assert sorted(everything_in(tmp_path)) == names
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_same_input_same_bytes_whatever_the_users_matplotlibrc(self, model, tmp_path):
        assert run("decode", model, "-o", tmp_path / "a") == 0
        hostile = {
            "savefig.dpi": 11,
            "savefig.bbox": "tight",
            "figure.facecolor": "green",
            "font.family": "serif",
            "font.size": 30,
            "text.color": "red",
            "text.antialiased": False,
            "image.origin": "lower",
            "path.sketch": (5, 100, 2),
        }
        with mpl.rc_context(hostile):
            assert run("decode", model, "-o", tmp_path / "b") == 0
            assert mpl.rcParams["savefig.dpi"] == 11
        assert everything_in(tmp_path / "a") == everything_in(tmp_path / "b")

    def test_whatever_window_matplotlib_is_told_to_open(self, model, tmp_path):
        command = ("-m", "fdref", "decode", model, "-o", tmp_path / "out")
        done = python(*command, env={**os.environ, "MPLBACKEND": "none that exists"})
        assert (done.returncode, done.stderr) == (0, b"")
        assert (tmp_path / "out" / "layer1.png").stat().st_size > 0

    def test_a_name_with_strange_bytes(self, model, tmp_path, capsys):
        copy = tmp_path / os.fsdecode(b"net\xff\x1b.mat")
        copy.write_bytes(model.read_bytes())
        assert run("decode", copy, "-o", tmp_path / os.fsdecode(b"out\xff")) == 0
        assert capsys.readouterr().out.splitlines()[-1].isprintable()
        with h5py.File(tmp_path / os.fsdecode(b"out\xff") / "decoded.h5") as file:
            assert file["layer1"].attrs["model"] == "net??.mat"


class TestForPrograms:
    def test_what_was_decoded(self, model, tmp_path, capsys):
        options = ("--filters", "1,0-1", "--unpool", "nearest", "-o", tmp_path / "out")
        assert run("decode", model, *options, "--json", "-") == 0
        told = json.loads(capsys.readouterr().out)
        layers = told.pop("layers")
        assert told == {
            "fdref": fdref.__version__,
            "method": "filter decoding with substitution, arXiv 1511.05084",
            "unpool": "nearest",
            "engine": "compiled",
            "model": "small.mat",
            "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "file": str(tmp_path / "out" / "decoded.h5"),
        }
        assert [layer["number"] for layer in layers] == [1, 4]
        with h5py.File(told["file"]) as file:
            for layer in layers:
                stored = file[layer["dataset"]][()]
                assert layer.pop("seconds") >= 0
                assert layer == {
                    "number": layer["number"],
                    "name": {1: "low", 4: "high"}[layer["number"]],
                    "filters": [1, 0, 1],
                    "shape": list(stored.shape),
                    "smallest": stored.min(),
                    "largest": stored.max(),
                    "dataset": f"layer{layer['number']}",
                    "picture": f"layer{layer['number']}.png",
                }

    def test_where_nothing_is_drawn(self, model, tmp_path, capsys):
        options = ("--no-pictures", "--layers", "high", "-o", tmp_path / "out", "--json", "-")
        assert run("decode", model, *options) == 0
        (layer,) = json.loads(capsys.readouterr().out)["layers"]
        assert layer["picture"] is None

    def test_what_is_planned(self, capsys):
        asked = ("--plan", "--layers", "5", "--filters", "0-99", "--unpool", "nearest")
        assert run("decode", *asked, "--json", "-", "--max-memory", "64MB") == 0
        told = json.loads(capsys.readouterr().out)
        ways = told.pop("ways")
        assert (told.pop("memory"), told.pop("unpool")) == (64_000_000, "nearest")
        taken = [way for way in ways if way["taken"]]
        assert [way["layer"] for way in taken] == [1, 3, 5]
        assert [way["filters"] for way in taken] == [20, 50, 100]
        assert told.pop("seconds") == pytest.approx(sum(way["seconds"] for way in taken))
        assert set(told) == {"fdref", "method", "engine", "model", "model_sha256"}
        keys = "layer name filters way meets multiply_adds memory seconds taken"
        assert {tuple(way) for way in ways} == {tuple(keys.split())}
        assert run("decode", *asked, "--max-memory", "64MB") == 0
        table = capsys.readouterr().out.splitlines()
        assert len(table) == len(ways) + 2


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3-7", [3, 5, 7]),
        ("1 - 2", [1]),
        ("conv4, 2-5 ,1", [7, 3, 5, 1]),
        ("5-5", [5]),
    ],
)
def test_layers_by_number_range_and_name(text, numbers):
    assert layer_numbers(fdref.load(), text) == numbers


def test_a_name_that_looks_like_a_range_is_a_name():
    convs = [fdref.Conv(bank(1, 1, 1, 1), name=name) for name in ("a", "b", "1-2", "2-1", "1")]
    net = fdref.Network(convs)
    assert layer_numbers(net, "1-2,2-1, 1 ") == [3, 4, 1]
    assert layer_numbers(net, "1-3") == [1, 2, 3]


@pytest.mark.parametrize("text", ["0", "7,7,3", "0-3,12", "5,0-2,1-4"])
def test_ranges_and_compact_are_each_others_inverse(text):
    numbers = [k for part in ranges("--filters", text) for k in part]
    assert [k for part in ranges("--filters", compact(numbers)) for k in part] == numbers


def test_a_folder_without_a_name_is_not_the_one_that_we_are_in(capsys):
    assert "expected one, or . for this folder" in refusal(capsys, "decode", "-o", "")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_no_picture_can_replace_is_refused_before_anything_is_decoded(
    kind, model, capsys, tmp_path
):
    make = {"link": lambda place: place.symlink_to("elsewhere"), "pipe": os.mkfifo}
    make.get(kind, Path.mkdir)(tmp_path / "layer4.png")
    for force in ([], ["--force"]):
        assert kind in refusal(capsys, "decode", model, "-o", tmp_path, *force)
        assert [path.name for path in tmp_path.iterdir()] == ["layer4.png"]


@pytest.mark.parametrize("name", ["decoded.h5", "layer4.png"])
def test_what_is_somebody_elses_is_replaced_by_force_only(name, model, capsys, tmp_path):
    (tmp_path / name).write_text("precious")
    message = refusal(capsys, "decode", model, "-o", tmp_path)
    what = "is no file of decoded filters" if name == "decoded.h5" else "exists already"
    assert message.startswith(f"{tmp_path / name} {what}; ")
    assert "force" in message
    assert everything_in(tmp_path) == {name: b"precious"}
    assert run("decode", model, "-o", tmp_path, "--force") == 0
    assert sorted(everything_in(tmp_path)) == ["decoded.h5", "layer1.png", "layer4.png"]
    assert (tmp_path / name).read_bytes() != b"precious"


class TestAdding:
    """Into a folder where filters are."""

    @pytest.mark.parametrize("first", [1, 4])
    def test_layers_as_if_all_had_been_asked_for_at_once(self, first, model, tmp_path, capsys):
        both = tmp_path / "both"
        assert run("decode", model, "-o", both) == 0
        one = tmp_path / "one"
        assert run("decode", model, "--layers", first, "-o", one) == 0
        capsys.readouterr()
        assert run("decode", model, "--layers", 5 - first, "-o", one) == 0
        output = capsys.readouterr()
        assert output.err == ""
        assert [line.split()[1] for line in output.out.splitlines()[1:-1]] == [f"{5 - first}"]
        assert everything_in(one) == everything_in(both)

    def test_programs_are_told_of_what_they_asked_for(self, model, tmp_path):
        asked = [("--layers", 4), ("--layers", 1), (), ("--layers", 1, "--force")]
        told = []
        for number, options in enumerate(asked):
            place = tmp_path / "out" / f"{number}.json"
            assert run("decode", model, *options, "-o", tmp_path / "out", "--json", place) == 0
            told.append(json.loads(place.read_bytes())["layers"])
            for layer in told[-1]:
                with h5py.File(tmp_path / "out" / "decoded.h5") as file:
                    bank = file[layer["dataset"]][()]
                assert (layer["smallest"], layer["largest"]) == (bank.min(), bank.max())
                assert layer["shape"] == list(bank.shape)
                assert (tmp_path / "out" / layer["picture"]).exists()
        assert [[layer["number"] for layer in one] for one in told] == [[4], [1], [1, 4], [1]]

    @pytest.mark.parametrize("name", ["layer1.png", "layer4.png", "decoded.h5"])
    def test_no_result_that_is_there_is_replaced_by_json(self, name, model, tmp_path, capsys):
        out = tmp_path / "out"
        assert run("decode", model, "-o", out) == 0
        before = everything_in(out)
        capsys.readouterr()
        said = refusal(capsys, "decode", model, "--layers", 4, "-o", out, "--json", out / name)
        assert "read or written, too" in said
        assert everything_in(out) == before

    def test_what_is_there_is_not_decoded_again_but_told_and_drawn(
        self, model, tmp_path, capsys, monkeypatch
    ):
        assert run("decode", model, "--no-pictures", "-o", tmp_path / "out") == 0
        before = capsys.readouterr().out.splitlines()
        monkeypatch.setattr(Plan, "blocks", lambda *_: pytest.fail("decoded again"))
        for folder in (tmp_path / "out", tmp_path / "out"):
            assert run("decode", model, "-o", folder) == 0
            output = capsys.readouterr()
            assert output.err == "fdref: going on with 5 of 5 filters found before\n"
            for line, old in zip(output.out.splitlines()[1:3], before[1:3], strict=True):
                assert line.split()[:-3] == old.split()[:-2]  # all but seconds, dataset, picture
        assert sorted(everything_in(tmp_path / "out")) == ["decoded.h5", "layer1.png", "layer4.png"]

    def test_what_differs_is_named_and_replaced_by_force(self, model, tmp_path, capsys):
        out = tmp_path / "out"
        assert run("decode", model, "--layers", 1, "--filters", "0-1", "-o", out) == 0
        net = fdref.load(model)
        changed = [fdref.Conv(net[1].filters * 2, name="low"), *list(net)[1:]]
        fdref.save(fdref.Network(changed), tmp_path / model.name)
        before = everything_in(out)
        for options, what in {
            ("--unpool", "nearest"): "is of another unpooling, bicubic instead of nearest",
            ("--engine", "reference"): "is of another engine, compiled instead of reference",
            (): "holds filters 0-1 of layer 1 instead of 0-2",
            ("--layers", 1, "--filters", 0): "holds filters 0-1 of layer 1 instead of 0",
        }.items():
            capsys.readouterr()
            said = refusal(capsys, "decode", model, *options, "-o", out)
            assert said.startswith(f"{out / 'decoded.h5'} {what}; choose another place, or force")
            assert everything_in(out) == before
        said = refusal(capsys, "decode", tmp_path / model.name, "--layers", 4, "-o", out)
        assert f"is of another network (SHA-256), {digest(net)} instead of " in said
        assert run("decode", tmp_path / model.name, "-o", out, "--force") == 0
        assert run("decode", tmp_path / model.name, "-o", tmp_path / "fresh") == 0
        assert everything_in(out) == everything_in(tmp_path / "fresh")

    def test_what_another_method_or_user_has_made_is_left_alone(
        self, model, tmp_path, capsys, monkeypatch
    ):
        assert run("decode", model, "--layers", 1, "-o", tmp_path) == 0
        monkeypatch.setattr("fdref.decoding.to_disk.is_ours", lambda status: False)
        before = everything_in(tmp_path)
        capsys.readouterr()
        said = refusal(capsys, "decode", model, "--layers", 4, "-o", tmp_path)
        assert "is another user's; choose another place" in said
        assert everything_in(tmp_path) == before
        monkeypatch.undo()
        with h5py.File(tmp_path / "decoded.h5", "r+") as file:
            file["layer1"].attrs["method"] = "by hand"
        said = refusal(capsys, "decode", model, "--layers", 4, "-o", tmp_path)
        assert "is of another method, by hand instead of filter decoding with subst" in said

    def test_the_same_network_from_another_file(self, model, tmp_path):
        fdref.save(fdref.load(model), tmp_path / "renamed.mat")
        assert run("decode", model, "--layers", 1, "-o", tmp_path / "out") == 0
        assert run("decode", tmp_path / "renamed.mat", "--layers", 4, "-o", tmp_path / "out") == 0
        with h5py.File(tmp_path / "out" / "decoded.h5") as file:
            assert [bank.attrs["model"] for bank in file.values()] == ["small.mat", "renamed.mat"]

    def test_what_somebody_has_put_into_the_file_is_not_lost(self, model, tmp_path, capsys):
        assert run("decode", model, "--layers", 1, "-o", tmp_path) == 0
        with h5py.File(tmp_path / "decoded.h5", "r+") as file:
            file["mine"] = np.arange(3)
        before = everything_in(tmp_path)
        capsys.readouterr()
        said = refusal(capsys, "decode", model, "--layers", 4, "-o", tmp_path)
        assert "is no file of decoded filters" in said
        assert everything_in(tmp_path) == before

    def test_a_picture_of_a_layer_that_force_takes_out_goes_with_it(self, model, tmp_path):
        assert run("decode", model, "-o", tmp_path) == 0
        (tmp_path / "layer3.png").write_text("mine")
        options = ("--layers", 4, "--unpool", "nearest", "--force")
        assert run("decode", model, *options, "-o", tmp_path) == 0
        assert sorted(everything_in(tmp_path)) == ["decoded.h5", "layer3.png", "layer4.png"]


def test_from_python(model, tmp_path):
    """The same file as the command's, but for where the network comes from."""
    net = fdref.load(model)
    path = tmp_path / "filters.h5"
    counted = []
    fdref.decode_to(path, net, ["high"], [1, 0], "nearest", "reference", counted.append)
    assert sum(counted) == 2
    with pytest.raises(FileError, match="holds filters 1,0 of layer 4 instead of 0-1"):
        fdref.decode_to(path, net, unpool="nearest", engine="reference")
    fdref.decode_to(path, net, [1], unpool="nearest", engine="reference", max_memory=2**20)
    with h5py.File(path) as file:
        for layer, filters in ((1, None), (4, [1, 0])):
            expected = fdref.decode(net, layer, filters, "nearest", "reference")
            assert np.array_equal(file[f"layer{layer}"], expected)
            assert "model" not in file[f"layer{layer}"].attrs
    fdref.decode_to(path, net, force=True)
    with h5py.File(path) as file:
        assert file["layer4"].attrs["unpool"] == "bicubic"
    for wrong in (
        {"unpool": "lanczos"},
        {"layers": [9]},
        {"layers": [1], "filters": [3]},
        {"layers": 1, "filters": [True]},
        {"net": "net"},
        {"path": 3},
        {"progress": 3},
        {"max_memory": "2G"},
        {"force": 1},
    ):
        with pytest.raises(ArgumentError):
            fdref.decode_to(**{"path": path, "net": net, **wrong})
    with pytest.raises(FileError, match="No such file"):
        fdref.decode_to(tmp_path / "no" / "filters.h5", net)
    assert list(everything_in(tmp_path)) == ["filters.h5"]


@pytest.mark.parametrize(
    ("layers", "filters"),
    [
        (1, None),
        ("high", 1),
        (np.arange(1, 5) == 4, [False, True]),
        (1, []),
        ([1, 4], np.zeros(0, int)),
        ([], None),
    ],
    ids=repr,
)
def test_one_several_or_none_of_the_layers_and_filters(layers, filters, model, tmp_path):
    net = fdref.load(model)
    for _ in range(2):
        fdref.decode_to(tmp_path / "filters.h5", net, layers, filters)
        with h5py.File(tmp_path / "filters.h5") as file:
            found = {int(name[5:]): bank[()] for name, bank in file.items()}
        assert list(found) == list(decodable_numbers(net, layers))
        for layer, decoded in found.items():
            assert np.array_equal(decoded, fdref.decode(net, layer, filters))


def test_whoever_keeps_an_error_does_not_keep_others_from_reading(model, tmp_path):
    """As long as h5py's loops live, they hold its lock; errors keep them alive."""
    path, net, read = tmp_path / "filters.h5", fdref.load(model), []
    fdref.decode_to(path, net, [1])
    with pytest.raises(FileError) as kept:
        fdref.decode_to(path, net, unpool="nearest")
    thread = threading.Thread(target=lambda: read.append(fdref.load(model)), daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert read == [net]
    assert "unpooling" in str(kept.value)


def test_the_channels_of_the_input_tell_networks_apart():
    layers = [fdref.Conv(np.ones((6, 1, 2, 2)))]
    one, three = (fdref.Network(layers, input_channels=count) for count in (1, 3))
    assert digest(one) != digest(three)
    assert digest(one) == digest(fdref.Network(layers))


def test_weights_that_overflow_are_refused(tmp_path, capsys):
    large = fdref.Conv(np.full((1, 1, 2, 2), 1e30, np.float32))
    fdref.save(fdref.Network([large, large]), tmp_path / "net.mat")
    message = refusal(capsys, "decode", tmp_path / "net.mat", "-o", tmp_path / "out")
    assert message == "layer 2 (conv) has decoded filters too large for float32"
    assert list(everything_in(tmp_path)) == ["net.mat"]


def test_the_plan_is_shown_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["decode", "--plan", "--unpool", "nearest"]) == 0
    lines = capsys.readouterr().out.splitlines()
    taken = [line.split() for line in lines if line.endswith("taken")]
    assert [line[1] for line in taken] == ["1", "3", "5", "7"]
    assert "meets layer 4" in next(line for line in lines if "conv3" in line and "taken" in line)
    assert not list(tmp_path.iterdir())


def test_the_plan_of_few_filters_shows_the_banks_they_stand_on(capsys):
    assert (
        main(["decode", "--plan", "--layers", "5", "--filters", "0-99", "--unpool", "nearest"]) == 0
    )
    taken = [line for line in capsys.readouterr().out.splitlines() if line.endswith("taken")]
    assert ["conv1" in taken[0], "conv2" in taken[1], "conv3" in taken[2]] == [True] * 3


@pytest.mark.large
def test_less_memory_gives_the_same_filters(tmp_path):
    for name, limit in {"free": [], "narrow": ["--max-memory", "1M"]}.items():
        command = ["decode", "--no-pictures", *limit, "-o", str(tmp_path / name)]
        assert main(command) == 0
    with (
        h5py.File(tmp_path / "free" / "decoded.h5") as free,
        h5py.File(tmp_path / "narrow" / "decoded.h5") as narrow,
    ):
        for name, bank in free.items():
            assert abs(bank[()] - narrow[name][()]).max() <= 1e-5 * abs(bank[()]).max()


@pytest.mark.slow
@pytest.mark.large
@pytest.mark.parametrize("unpool", ["nearest", "bicubic"])
def test_a_bank_larger_than_the_memory_allowed(unpool, tmp_path):
    """404 MB are decoded within 64 MB, and some blocks on their way to the disk."""
    layers = [
        fdref.Conv(bank(8, 3, 8, 8), stride=4),
        fdref.Pool(2, 2),
        fdref.Conv(bank(1000, 8, 23, 23)),
    ]
    fdref.save(fdref.Network(layers), tmp_path / "net.mat")
    script = (
        "import resource, sys\n"
        "from fdref.commands import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    options = ("--no-pictures", "--unpool", unpool, "--max-memory", "64M")
    taken = []
    for layer in (1, 3):
        out = tmp_path / f"{layer}"
        model = ("decode", tmp_path / "net.mat", "--layers", layer, "-o", out)
        done = python("-c", script, *model, *options)
        assert (done.returncode, done.stderr) == (0, b"")
        unit = 1 if sys.platform == "darwin" else 1024
        taken.append(int(done.stdout.split()[-1]) * unit)
    size = (out / "decoded.h5").stat().st_size
    assert size > 400 * 2**20
    assert taken[1] - taken[0] < 64 * 2**20 + 3 * 4 * WRITTEN
    assert taken[1] - taken[0] < size / 2


def test_many_threads_may_decode_at_once():
    net = fdref.load()
    expected = fdref.decode(net, 3, range(10))
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(fdref.decode(net, 3, range(10))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(np.array_equal(result, expected) for result in results)
