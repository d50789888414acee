"""The page of neurons: what stands in it, read back from its HTML."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fdref
from fdref import Conv, Network, Pool, ReLU
from fdref.commands import main
from fdref.explorer import contents, page

LENET = fdref.load()


def told_in(html):
    text = re.search(r'<script type="application/json" id="told">(.*?)</script>', html, re.DOTALL)[
        1
    ]
    return json.loads(text)


def pictures_in(html):
    found = re.findall(
        r'<script type="text/plain" data-picture="(.*?)">(.*?)</script>', html, re.DOTALL
    )
    return {key: base64.b64decode(text) for key, text in found}


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def cut(atlas, image, k):
    height, width = atlas["size"]
    top = k // atlas["columns"] * (height + atlas["gap"])
    left = k % atlas["columns"] * (width + atlas["gap"])
    return image[top : top + height, left : left + width]


def shades(picture):
    """Zero is 128, the largest magnitude 127 away."""
    largest = np.abs(picture).max()
    return np.rint(128 + 127 * picture / largest).astype(int)


def links(told, k):
    size = 2 if told["layer"] is not None else 3
    flat = told["links"][k]
    rows = [flat[n : n + size] for n in range(0, len(flat), size)]
    return [([told["layer"], *row] if size == 2 else row) for row in rows]


@pytest.fixture(scope="module")
def lenet():
    html = fdref.explore(LENET, name="lenet").html
    return told_in(html), pictures_in(html), html


def small(channels=1, **options):
    random = np.random.default_rng(0)
    layers = [
        Conv(random.standard_normal((6, channels, 3, 3)), name="first"),
        ReLU(),
        Pool(2, 2),
        Conv(random.standard_normal((5, 6, 3, 3)), random.standard_normal(5), name="second"),
    ]
    return Network(layers, **options)


def test_every_picture_is_the_decoded_filter(lenet):
    told, pictures, _ = lenet
    banks = fdref.decode_all(LENET)
    assert [layer["number"] for layer in told["layers"]] == [1, 3, 5, 7]
    for layer in told["layers"]:
        bank, image = banks[layer["number"]], pixels(pictures[f"{layer['number']}/overview"])
        assert layer["shape"] == list(bank.shape)
        for k, (picture,) in enumerate(bank):
            found = cut(layer["overview"], image, k)
            assert (found == shades(picture)[:, :, None]).all()
            assert abs(layer["largest"][k]) == pytest.approx(np.abs(picture).max(), rel=1e-7)
            numbers = (found[:, :, 0] - 128) / 127 * abs(layer["largest"][k])
            assert abs(numbers - picture).max() <= np.abs(picture).max() / 253


def test_lenets_page_is_small_and_whole(lenet):
    _, _, html = lenet
    assert len(html.encode()) < 600_000
    assert html.count("<html") == 1
    assert not re.search(r'(?:src|href)="(?!#|data:|\$)', html)


def test_the_policy_lets_nothing_in_but_what_is_there(lenet):
    _, _, html = lenet
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', html)[1]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["img-src"] == "data: blob:"
    assert "unsafe" not in policy
    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in found]
        assert [f"'sha256-{one}'" for one in hashes] == parts[kind].split()


def test_shares_add_up_and_are_the_compositions(lenet):
    told, _, _ = lenet
    for layer in told["layers"]:
        made = fdref.composition(LENET, layer["number"])
        for k, row in enumerate(made.shares):
            found = links(layer["made"], k)
            total = sum(share for _, _, share in found) + layer["rest"][k][1]
            assert abs(total - 10000) <= len(found) + 1
            largest = np.sort(np.abs(row))[::-1][: len(found)]
            assert [abs(share) for _, _, share in found] == pytest.approx(10000 * largest, abs=0.5)
            for below, channel, share in found:
                (place,) = np.flatnonzero((made.layers == below) & (made.channels == channel))
                assert share == pytest.approx(10000 * row[place], abs=0.5)


def test_used_by_is_made_of_from_the_other_side(lenet):
    told, _, _ = lenet
    shares = fdref.composition(LENET, 5).shares
    third = next(layer for layer in told["layers"] if layer["number"] == 3)
    for j in (0, 17, 49):
        best = np.argsort(-np.abs(shares[:, j]), kind="stable")[:10]
        assert [k for _, k, _ in links(third["used"], j)] == best.tolist()
        assert {number for number, _, _ in links(third["used"], j)} == {5}


def test_alike_are_the_nearest_by_cosine_and_never_itself(lenet):
    told, _, _ = lenet
    bank = fdref.decode(LENET, 3).reshape(50, -1).astype(np.float64)
    unit = bank / np.linalg.norm(bank, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    third = next(layer for layer in told["layers"] if layer["number"] == 3)
    for k, flat in enumerate(third["alike"]):
        assert flat[::2] == np.argsort(-cosines[k], kind="stable")[: len(flat) // 2].tolist()
        assert flat[1::2] == pytest.approx(1000 * cosines[k, flat[::2]], abs=0.51)


def test_steps_are_how_strong_each_stage_is(lenet):
    told, pictures, _ = lenet
    fifth = next(layer for layer in told["layers"] if layer["number"] == 5)
    stages = {stage.shape[1:]: stage for stage in fdref.stages(LENET, 5)}
    assert [step["map"] for step in fifth["steps"]] == [4, 2]
    for n, step in enumerate(fifth["steps"]):
        stage = stages[(step["channels"], *step["overview"]["size"])]
        image = pixels(pictures[f"5/step{n}"])
        for k in (0, 384):
            root = np.sqrt((stage[k].astype(np.float64) ** 2).mean(axis=0))
            found = cut(step["overview"], image, k)[:, :, 0] / 255
            assert abs(found - root / root.max()).max() <= 0.5 / 51 + 1e-6


def test_classes_name_the_last_layers_neurons(lenet):
    told, _, _ = lenet
    assert told["layers"][-1]["names"] == list(LENET.classes)
    assert not any("names" in layer for layer in told["layers"][:-1])


def test_names_from_a_file_end_no_script():
    evil = "</script><script>alert(1)</script><!--"
    net = Network([Conv(np.ones((2, 1, 3, 3)), name=evil)], classes=[evil, "& more"])
    html = fdref.explore(net, name=evil).html
    assert "alert(1)</script>" not in html
    told = told_in(html)
    assert told["layers"][0]["name"] == told["title"] == evil
    assert told["layers"][0]["names"] == [evil, "& more"]
    assert "<title>&lt;/script&gt;" in html
    assert "<iframe" in fdref.explore(net, name=evil)._repr_html_()


def test_colours_are_colours_and_blue_may_come_first():
    net = small(3)
    plain, swapped = (
        fdref.explore(net, layers=[1], channels=order).html for order in ("rgb", "bgr")
    )
    first, other = (pixels(pictures_in(html)["1/overview"]) for html in (plain, swapped))
    assert (first == other[:, :, ::-1]).all()
    assert not (first == other).all()
    (layer,) = told_in(plain)["layers"]
    bank = fdref.decode(net, 1)
    assert (cut(layer["overview"], first, 2) == shades(bank[2]).transpose(1, 2, 0)).all()
    assert {number for k in range(6) for number, _, _ in links(layer["made"], k)} == {0}


def test_images_show_what_excites_each_neuron():
    random = np.random.default_rng(1)
    net = small(input_size=(12, 12))
    images = random.uniform(0, 255, (20, 12, 12))
    html = fdref.explore(net, layers=[4], images=images).html
    (layer,), pictures = told_in(html)["layers"], pictures_in(html)
    top = fdref.strongest(net, images[:, None], 4)
    patches, projections = top.patches(), top.projections()
    assert layer["excited"]["images"] == top.images.tolist()
    assert layer["excited"]["values"][2] == pytest.approx(top.values[2], rel=1e-3)
    atlas, image = layer["excited"]["patches"], pixels(pictures["4/patches"])
    below = pixels(pictures["4/projections"])
    for k in range(5):
        for n in range(9):
            seen = cut(atlas, image, 9 * k + n)[:, :, 0]
            assert (seen == np.rint(patches[k, n, 0])).all()
            if projections[k, n].any():
                found = cut(layer["excited"]["projections"], below, 9 * k + n)[:, :, 0]
                assert (found == shades(projections[k, n, 0])).all()


def test_another_network_is_matched():
    net = small()
    order = [3, 1, 4, 0, 2]
    other = Network([*net.layers[:3], Conv(2 * net[4].filters[order], name="second")])
    html = fdref.explore(net, against=other, name="one", against_name="two").html
    told = told_in(html)
    last = told["layers"][-1]
    assert told["other"]["model"] == "two"
    assert last["matched"]["layer"] == 4
    assert [order[j] for j in last["matched"]["partners"]] == [0, 1, 2, 3, 4]
    assert last["matched"]["likeness"] == pytest.approx([1] * 5, abs=1e-3)
    theirs = next(layer for layer in told["other"]["layers"] if layer["number"] == 4)
    image = pixels(pictures_in(html)["other4/overview"])
    expected = shades(fdref.decode(other, 4)[2, 0])[:, :, None]
    assert (cut(theirs["overview"], image, 2) == expected).all()


def test_neurons_without_a_partner_are_told():
    net, fewer = (Network([Conv(bank)]) for bank in (small()[1].filters, small()[1].filters[2:4]))
    told = told_in(fdref.explore(net, against=fewer).html)
    (layer,) = told["layers"]
    assert layer["matched"]["partners"] == [-1, -1, 0, 1, -1, -1]
    assert layer["matched"]["likeness"] == [None, None, 1, 1, None, None]
    unlike = Network([Conv(np.ones((2, 1, 9, 9)))])
    with pytest.raises(fdref.ArgumentError, match="against is a network none of whose layers"):
        fdref.explore(net, against=unlike)


def test_large_networks_have_small_pictures_and_compressed_ones(monkeypatch):
    monkeypatch.setattr(contents, "EXACT", 100)
    net = small()
    html = fdref.explore(net, layers=[4]).html
    told, pictures = told_in(html), pictures_in(html)
    (layer,) = told["layers"]
    assert not told["exact"]
    assert not layer["steps"]
    bank = fdref.decode(net, 4)
    begin = 0
    for k, end in enumerate(layer["large"]["ends"]):
        found = pixels(pictures["4/large"][begin:end])
        assert found.shape == (8, 8, 3)
        assert np.corrcoef(found[:, :, 0].ravel(), shades(bank[k, 0]).ravel())[0, 1] > 0.95
        begin = end


def test_a_page_that_is_too_large_has_its_pictures_beside_it(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "LARGEST", 100)
    shown = fdref.explore(small())
    place = tmp_path / "explore.html"
    fdref.explore(LENET, layers=[1, 3, 7]).save(place)
    shown.save(place)  # takes the place of what another page had there
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["1.js", "4.js", "explore.html"]
    html = place.read_text()
    assert told_in(html)["files"] == "explore_files"
    assert not pictures_in(html)
    text = (tmp_path / "explore_files" / "4.js").read_text()
    assert text.startswith('fdrefPictures({"overview":')


def test_a_folder_of_somebody_elses_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "LARGEST", 100)
    (tmp_path / "explore_files").mkdir()
    (tmp_path / "explore_files" / "thesis.txt").write_text("mine")
    with pytest.raises(fdref.FileError, match=r"thesis.txt is not of a page of neurons"):
        fdref.explore(small()).save(tmp_path / "explore.html")
    assert not (tmp_path / "explore.html").exists()
    assert [path.name for path in (tmp_path / "explore_files").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"net": 3}, "net is 3; expected a Network"),
        ({"against": "lenet"}, "against is 'lenet'; expected a Network"),
        ({"unpool": "cubic"}, "unpool is 'cubic'"),
        ({"channels": "grb"}, "channels is 'grb'; expected 'rgb' or 'bgr'"),
        ({"engine": "fast"}, "engine is 'fast'"),
        ({"layers": [2]}, r"layer 2 .* has no filters"),
        ({"layers": []}, "there is no layer to look at"),
        ({"name": 3}, "name is 3; expected a str"),
        ({"images": np.zeros((2, 5, 5))}, "images"),
        ({"images": np.full((2, 28, 28), np.nan)}, "expected pixels from 0 to 255"),
        ({"images": "digits"}, "images"),
        ({"progress": 1}, "progress is 1"),
    ],
)
def test_what_cannot_be_shown_is_told(given, message):
    with pytest.raises(fdref.FdrefError, match=message):
        fdref.explore(**({"net": LENET} | given))


def test_progress_ends_where_it_was_said_to():
    net, seen = small(input_size=(12, 12)), []
    images = np.random.default_rng(0).uniform(0, 255, (3, 12, 12))
    fdref.explore(net, images=images, progress=seen.append)
    assert sum(seen) == contents.work(net, [1, 4], images=True)
    seen.clear()
    fdref.explore(net, layers=[4], progress=seen.append)
    assert sum(seen) == contents.work(net, [4], images=False)


def test_the_command_writes_the_page(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["explore", "--layers", "1,3"]) == 0
    assert "wrote 70 neurons of 2 layers to explore.html" in capsys.readouterr().out
    told = told_in((tmp_path / "explore.html").read_text())
    assert told["model"] == "lenet"
    np.savez("some.npz", images=fdref.mnist().test.images[:5])
    command = ["explore", "lenet", "--layers", "3", "--images", "some.npz", "--against", "lenet"]
    assert main([*command, "--unpool", "nearest", "-o", "two.html", "--quiet"]) == 0
    (layer,) = told_in((tmp_path / "two.html").read_text())["layers"]
    assert layer["matched"]["partners"] == list(range(50))
    assert len(layer["excited"]["images"][0]) == 5
    capsys.readouterr()
    alone = Network([fdref.load()[1]])
    fdref.save(alone, "alone.mat")
    assert main(["explore", "--layers", "1,3", "--against", "alone.mat"]) == 0
    said = capsys.readouterr().err
    size = "pictures of the size of layer 3 (conv 'conv2')'s"
    assert f"alone.mat has no layer that decodes to {size}" in said
    assert "layer 1" not in said
    first, third = told_in((tmp_path / "explore.html").read_text())["layers"]
    assert first["matched"]["layer"] == 1
    assert "matched" not in third
    fdref.save(small(), tmp_path / "mine.mat")
    assert main(["explore", str(tmp_path / "mine.mat"), "--quiet"]) == 0
    told = told_in((tmp_path / "explore.html").read_text())
    assert told["model"] == "mine.mat"  # the command needs its place, the title does not
    assert told["command"] == ["fdref", "decode", str(tmp_path / "mine.mat")]
    command = ["explore", "./mine.mat", "--drop", "2", "--input-size", "20x30"]
    more = ["--unpool", "nearest", "--engine", "reference"]
    main([*command, *more, "--channels", "bgr", "--quiet"])
    told = told_in((tmp_path / "explore.html").read_text())
    assert told["command"] == ["fdref", "decode", *command[1:], *more, "--channels", "bgr"]
    assert not told["bgr"]  # it takes grey


def test_the_command_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fdref.save(small(), "net.mat")
    for command, message in (
        (["net.mat", "-o", "net.mat"], "net.mat is what is read; expected another file"),
        (["net.mat", "-o", "page.pdf"], "page.pdf: expected a name that ends in .html"),
        (["net.mat", "--against", "lenet"], "against is a network none of whose layers"),
        (["net.mat", "-o", "no/such/place.html"], "cannot be written"),
        (["net.mat", "--images", "none.npz"], "none.npz"),
        (["net.mat", "--layers", "3"], "has no filters"),
        (["net.mat", "--against", "none.mat"], "none.mat"),
    ):
        assert main(["explore", *command]) == 2
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.mat"]


def test_what_others_have_written_is_as_they_have_written_it():
    folder = Path(page.__file__).parents[1] / "templates" / "vendored"
    digest = hashlib.sha256((folder / Path(page.LIBRARY).name).read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text()
