"""The page of neurons as people have it: in a browser, by mouse, keyboard, phone and address."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import Opened, phone, settled, until, wide

import fdref
from fdref import Conv, Network, Pool, ReLU
from fdref.commands import main
from fdref.explorer import page as pages

LENET = fdref.load()
EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "explore.html"
    images = fdref.mnist().test.images[:50]
    made = fdref.explore(LENET, name="lenet", images=images, against=LENET, against_name="again")
    replace(made, told={**made.told, "command": ["fdref", "decode"]}).save(path)
    return path


@pytest.fixture
def opened(browser, lenet):
    shown = Opened(browser, lenet, **wide())
    yield shown
    shown.close()


def large_canvas(page, address):
    """The picture of the neuron, pixel by pixel, once it is there."""
    page.wait_for_selector(f'canvas[data-neuron="{address}"]')
    size, values = page.evaluate(
        "() => { const c = document.querySelector('canvas.large');"
        "return [[c.height, c.width],"
        "Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]; }"
    )
    return np.array(values).reshape(*size, 4)


def shades(picture):
    return np.rint(128 + 127 * picture / np.abs(picture).max()).astype(int)


def test_every_picture_shown_is_the_decoded_filter(opened):
    page = opened.at("#1")
    for layer, bank in fdref.decode_all(LENET).items():
        for k in {0, len(bank) // 2, len(bank) - 1}:
            page.evaluate(f"location.hash = '#{layer}:{k}'")
            pixels = large_canvas(page, f"#{layer}:{k}")
            assert (pixels[:, :, 0] == shades(bank[k, 0])).all()
            assert (pixels[:, :, 3] == 255).all()


def test_addresses_lead_to_neurons_and_back(opened):
    page = opened.at("#5:384")
    assert page.inner_text("#neuron") == "5:384"
    page.click(".links a[href^='#3:'] >> nth=0")
    until(page, "document.querySelector('#neuron').innerText.startsWith('3:')")
    assert page.url.endswith("#" + page.inner_text("#neuron"))
    page.go_back()
    until(page, "document.querySelector('#neuron').innerText === '5:384'")
    page.go_forward()
    until(page, "document.querySelector('#neuron').innerText.startsWith('3:')")
    for odd in ("#5:500", "#2", "#nonsense", "#5:-1", "#%", "#%E0%A4%A"):
        page.evaluate(f"location.hash = '{odd}'")
        until(page, "!document.querySelector('#neuron')")
        assert page.locator(".grid a").count() > 0


def test_shares_on_the_page_sum_to_one_hundred(opened):
    page = opened.at("#7:3")
    for address in ("#7:3", "#5:17", "#3:4", "#1:0"):
        page.evaluate(f"location.hash = '{address}'")
        page.wait_for_selector(f'canvas[data-neuron="{address}"]')
        section = page.locator("section", has=page.locator("h3", has_text="Made of"))
        texts = section.locator(".amount").all_inner_texts()
        rest = section.locator("p.note").last.inner_text()
        if "more, together" in rest:
            texts.append(rest.partition("together ")[2])
        total = sum(float(t.replace("−", "-").replace("%", "")) for t in texts)
        assert abs(total - 100) < 0.05 * len(texts) + 1


def test_sorting_showing_and_the_layers_contrast(opened):
    page = opened.at("#3")

    def numbers():
        settled(page)
        return [
            int(cell)
            for cell in page.eval_on_selector_all(
                ".grid a", "cells => cells.map((cell) => cell.dataset.k)"
            )
        ]

    assert numbers() == list(range(50))
    bank = fdref.decode(LENET, 3)
    energy = np.linalg.norm(bank.reshape(50, -1).astype(float), axis=1)
    page.select_option(".tools select >> nth=0", "strength")
    assert numbers() == np.argsort(-energy, kind="stable").tolist()
    page.fill("#filter", "3-5, 17")
    assert sorted(numbers()) == [3, 4, 5, 17]
    settled(page)
    assert page.inner_text("[role=status]") == "4 of 50 neurons"
    page.fill("#filter", "")
    page.select_option(".tools select >> nth=1", "layer")
    largest = np.abs(bank).max(axis=(1, 2, 3))
    settled(page)
    filters = page.eval_on_selector_all(
        ".grid a",
        "cells => cells.map((c) => [+c.dataset.k, c.querySelector('.picture').style.filter])",
    )
    for k, text in filters:
        ratio = float(text.removeprefix("contrast(").removesuffix(")"))
        assert ratio == pytest.approx(largest[k] / largest.max(), rel=1e-4)
    page.evaluate("location.hash = '#3:8'")
    page.wait_for_selector("#neuron")
    page.select_option(".tools select >> nth=0", "like")
    unit = bank.reshape(50, -1) / np.linalg.norm(bank.reshape(50, -1), axis=1, keepdims=True)
    until(page, "document.querySelector('.grid a').dataset.k === '8'")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")  # to the most alike: the order stays that of likeness to 8
    until(page, "location.hash === '#3:35'")
    assert page.eval_on_selector(".tools option:checked", "one => one.innerText") == "likeness to 8"
    cosines = (unit @ unit[8])[numbers()]
    assert (np.diff(cosines) < 2e-3).all()  # the page knows 8 bits of each number
    assert cosines[0] > cosines[25] > cosines[-1]


def test_by_keyboard_alone(opened):
    page = opened.at("#3")
    for _ in range(40):  # past the layers and the tools, to the pictures
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.k") == "0":
            break
    assert page.evaluate("document.activeElement.dataset.k") == "0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Tab")  # the pictures are one stop, and it stays where one was
    assert page.evaluate("document.activeElement.closest('.grid')") is None
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.k") == "2"
    page.keyboard.press("x")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_selector("#neuron")
    assert page.inner_text("#neuron") == "3:1"
    until(page, "document.activeElement.id === 'neuron'")
    page.keyboard.press("j")
    until(page, "document.querySelector('#neuron').innerText === '3:2'")
    settled(page)
    assert page.is_checked(".mark input")
    page.keyboard.press("k")
    until(page, "document.querySelector('#neuron').innerText === '3:1'")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#neuron')")
    until(page, "document.activeElement.dataset.k === '1'")
    page.keyboard.press("]")
    until(page, "document.getElementById('layer').innerText.startsWith('layer 5')")
    until(page, "document.activeElement.closest('.layers') !== null")
    page.keyboard.press("/")
    page.keyboard.type("7x")  # in a field, letters are letters
    assert page.input_value("#filter") == "7x"
    settled(page)
    assert "0 of 500 neurons: expected such as" in page.inner_text(".tools")
    page.keyboard.press("Escape")
    page.keyboard.press("[")
    until(page, "location.hash === '#3' && document.getElementById('filter').value === ''")


def downloaded(page, button):
    with page.expect_download() as started:
        page.click(f"aside .export button:has-text('{button}')")
    return started.value.suggested_filename, Path(started.value.path()).read_bytes()


def test_a_neuron_is_exported(opened, tmp_path, monkeypatch):
    from PIL import Image

    page = opened.at("#5:384")
    large_canvas(page, "#5:384")
    picture = fdref.decode(LENET, 5, [384])[0]
    name, data = downloaded(page, "NPY")
    values = np.load(io.BytesIO(data))
    assert name == "layer5_384.npy"
    assert values.shape == (1, 1, 28, 28)
    assert values.dtype == np.float32
    assert abs(values[0] - picture).max() <= np.abs(picture).max() / 253
    page.fill("aside .export input", "280")
    settled(page)
    name, data = downloaded(page, "PNG")
    image = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
    assert image.shape == (280, 280)
    assert (image == shades(picture[0]).repeat(10, 0).repeat(10, 1)).all()
    name, data = downloaded(page, "SVG")
    assert data.startswith(b"<svg xmlns=")
    assert b"data:image/png;base64," in data
    command = page.inner_text("aside code").split()
    assert command[:4] == ["fdref", "decode", "--only", "5:384"]
    monkeypatch.chdir(tmp_path)
    assert main(command[1:]) == 0  # as it stands there
    drawn = np.asarray(Image.open(tmp_path / "layer5_384.png").convert("L")).astype(int)
    assert (drawn == image).all()


def test_a_selection_is_exported(opened):
    page = opened.at("#3")
    for k in (4, 5, 9):
        page.click(f".grid a[data-k='{k}']", modifiers=["Shift"])
    settled(page)
    assert page.inner_text(".selection b") == "3 selected"
    with page.expect_download() as started:
        page.click(".selection .export button:has-text('NPY')")
    values = np.load(Path(started.value.path()))
    assert values.shape == (3, 1, 14, 14)
    bank = fdref.decode(LENET, 3, [4, 5, 9])
    assert abs(values - bank).max() <= np.abs(bank).max() / 253
    assert "--only 3:4-5,9 " in page.inner_text(".selection code")
    page.click(".selection button:has-text('clear')")
    settled(page)
    assert page.locator(".selection").count() == 0


def test_what_excites_a_neuron_and_its_partner_are_there(opened):
    page = opened.at("#7:3")
    text = page.inner_text("aside")
    assert "What excites it most" in text
    top = fdref.strongest(LENET, fdref.mnist().test.images[:50], 7, [3])
    for n in top.images[0]:
        assert page.locator("figcaption", has_text=str(n)).count() > 0
    partner = page.locator("section", has=page.locator("h3", has_text="In again"))
    assert "7:3" in partner.inner_text()
    assert "1.00" in partner.inner_text()


def test_neurons_without_a_partner_say_so(browser, tmp_path):
    bank = np.random.default_rng(0).standard_normal((3, 1, 3, 3))
    path = tmp_path / "two.html"
    fdref.explore(Network([Conv(bank)]), against=Network([Conv(bank[:1])])).save(path)
    shown = Opened(browser, path, **wide())
    page = shown.at("#1:2")
    assert "no partner is left for it" in page.inner_text("aside")
    page.check("label:has-text('beside') input")
    settled(page)
    assert page.inner_text(".grid a[data-k='2'] .who") == "2 · –"
    assert page.inner_text(".grid a[data-k='0'] .who") == "0 · 1.00"
    page.select_option(".tools select >> nth=0", "match")
    settled(page)
    assert page.get_attribute(".grid a >> nth=0", "data-k") == "0"
    shown.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [wide, phone])
def test_accessible_in_both_widths_and_schemes(browser, lenet, size, scheme):
    from axe_playwright_python.sync_playwright import Axe

    shown = Opened(browser, lenet, **size(scheme), bypass_csp=True)  # axe is a script of its own
    page = shown.at("#3:8")
    page.wait_for_selector('canvas[data-neuron="#3:8"]')
    for address in ("#3:8", "#3"):
        page.evaluate(f"location.hash = '{address}'")
        page.wait_for_timeout(100)
        found = Axe().run(page).response["violations"]
        serious = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
        assert serious == []
        across = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert across[0] <= across[1]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    shown.close()


def test_on_a_phone_a_neuron_takes_the_grids_place(browser, lenet):
    shown = Opened(browser, lenet, **phone())
    page = shown.at("#3")
    page.tap(".grid a[data-k='8']")
    page.wait_for_selector('canvas[data-neuron="#3:8"]')
    assert not page.is_visible(".grid")
    page.tap(".close")
    until(page, "!document.querySelector('#neuron')")
    assert page.is_visible(".grid")
    shown.close()


def test_names_from_files_stay_text(browser, tmp_path):
    net = Network([Conv(np.ones((2, 1, 3, 3)), name=EVIL)], classes=[EVIL, "two"])
    path = tmp_path / "evil.html"
    fdref.explore(net, name=EVIL).save(path)
    shown = Opened(browser, path, **wide())
    page = shown.at("#1:0")
    assert page.inner_text("h1") == EVIL
    assert page.inner_text("#neuron") == f"1:0 {EVIL}"
    assert page.locator("img").count() == 0
    shown.close()


def test_a_large_network_loads_its_layers_when_they_are_looked_at(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "LARGEST", 100)
    monkeypatch.setattr("fdref.explorer.contents.EXACT", 100)
    random = np.random.default_rng(0)
    net = Network(
        [
            Conv(random.standard_normal((6, 3, 3, 3))),
            ReLU(),
            Pool(2, 2),
            Conv(random.standard_normal((5, 6, 3, 3))),
            Conv(random.standard_normal((4, 5, 1, 1))),
        ]
    )
    path = tmp_path / "explore.html"
    fdref.explore(net).save(path)
    shown = Opened(browser, path, **wide())
    page = shown.at("#1:2")
    assert large_canvas(page, "#1:2").shape == (3, 3, 4)
    page.wait_for_selector(".links a")  # of layer 4, whose neurons use this one
    assert not any(url.endswith("5.js") for url in shown.asked)
    page.evaluate("location.hash = '#5:1'")
    assert large_canvas(page, "#5:1").shape == (8, 8, 4)
    assert any(url.endswith("explore_files/5.js") for url in shown.asked)
    shown.close()


def test_a_notebook_shows_it_in_a_frame(browser, tmp_path):
    shown = fdref.explore(LENET, layers=[1, 3], name="lenet")
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!DOCTYPE html><title>notebook</title>{shown._repr_html_()}")
    window = Opened(browser, outer, **wide())
    window.page.goto(f"file://{outer}")
    frame = window.page.frame_locator("iframe")
    frame.locator(".grid a[data-k='8']").click()
    frame.locator('canvas[data-neuron="#3:8"]').wait_for()
    assert frame.locator("#neuron").inner_text() == "3:8"
    frame.locator(".links a").first.click()
    frame.locator("canvas[data-neuron^='#1:']").wait_for()
    assert window.page.url == f"file://{outer}"
    window.close()


def test_it_prints(browser, lenet):
    shown = Opened(browser, lenet, **wide("dark"))
    page = shown.at("#3:8")
    large_canvas(page, "#3:8")
    page.emulate_media(media="print", color_scheme="light")
    assert not page.is_visible(".tools")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.pdf()) > 10_000
    shown.close()


def test_a_window_opened_by_whoever_runs_no_scripts_says_so(browser, lenet):
    window = browser.new_context(java_script_enabled=False)
    page = window.new_page()
    page.goto(f"file://{lenet}")
    assert "script" in page.inner_text("#page")
    window.close()


def test_what_no_browser_draws_is_refused_with_a_reason(opened):
    page = opened.at("#5")
    for k in (0, 1, 2, 3, 4):
        page.click(f".grid a[data-k='{k}']", modifiers=["Shift"])
    page.fill(".selection input", "4096")
    settled(page)
    page.click(".selection button:has-text('PNG')")
    until(page, "document.querySelector('.selection .export [role=status]').innerText !== ''")
    said = page.inner_text(".selection .export [role=status]")
    assert "are more than a browser draws: choose a smaller size" in said
    page.fill(".selection input", "2000")
    settled(page)
    with page.expect_download() as started:
        page.click(".selection button:has-text('PNG')")
    assert Path(started.value.path()).read_bytes().startswith(b"\x89PNG")


def test_the_layers_contrast_is_exported_too(opened):
    from PIL import Image

    page = opened.at("#3:17")
    large_canvas(page, "#3:17")
    page.select_option(".tools select >> nth=1", "layer")
    settled(page)
    bank = fdref.decode(LENET, 3)
    _, data = downloaded(page, "PNG")
    image = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
    expected = 128 + 127 * bank[17, 0] / np.abs(bank).max()
    assert abs(image[10::20, 10::20] - expected).max() <= 2
    assert "--contrast layer" in page.inner_text("aside code")


def test_pages_of_deep_networks_fit_a_phone(browser, tmp_path):
    random = np.random.default_rng(0)
    deep = [
        Conv(random.standard_normal((9, n, 3, 3)), name=f"block{n}/conv") for n in (1, *[9] * 7)
    ]
    path = tmp_path / "deep.html"
    fdref.explore(Network(deep)).save(path)
    shown = Opened(browser, path, **phone())
    page = shown.at("#8:3")
    large_canvas(page, "#8:3")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    command = page.inner_text("aside code")
    assert command == "fdref.show(fdref.decode(net, 8, [3]), size=280, bare=True)"
    shown.close()


def test_pictures_that_were_left_behind_are_missed(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "LARGEST", 100)
    net = Network([Conv(np.random.default_rng(0).standard_normal((3, 1, 3, 3)))])
    for name in ("a%20b#c.html", "alone.html"):
        fdref.explore(net).save(tmp_path / name)
    shown = Opened(browser, tmp_path / "a%2520b%23c.html", **wide())
    assert large_canvas(shown.at("#1:2"), "#1:2").shape == (3, 3, 4)
    shown.close()
    shutil.rmtree(tmp_path / "alone_files")
    shown = Opened(browser, tmp_path / "alone.html", **wide())
    page = shown.at("#1:2")
    assert "alone_files/1.js is not there" in page.inner_text("[role=alert]")
    shown.window.close()
