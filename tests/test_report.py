"""The report: one HTML page that is whole, the same each time, and asks nobody for anything.

And the command that writes it: what it refuses, and that it leaves all or nothing.
"""

from __future__ import annotations

import csv
import errno
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from typing import TYPE_CHECKING

import h5py
import matplotlib.image
import numpy as np
import pytest
from absence import absent

import fdref
import fdref.paper.claims
import fdref.paper.page
from fdref.commands import main
from fdref.commands.reproduce import NAMES
from fdref.paper.report import VERDICTS, Claim, Section, Table, page
from fdref.paper.subject import Reproduction, Subject

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "link", "img", "br", "hr"}
NASTY = "<script>alert('&')</script> \"quoted\" & déjà vu"


def png(height: int, width: int) -> bytes:
    file = BytesIO()
    shades = np.random.default_rng(0).random((height, width, 3))
    matplotlib.image.imsave(file, shades, format="png", metadata={"Software": None})
    return file.getvalue()


SECTIONS = (
    Section(
        "Table 1",
        "How far responses are from predictions.",
        (
            Claim("The figures are the paper's.", "0.1 standard deviations off", True),
            Claim("Bilinear is the worst.", "layer 3: nearest", False),
            Claim("The error grows.", "there is one layer only", None),
        ),
        (
            Table(
                "Eq. 3",
                ("layer", *(f"a column with a long name, {i}" for i in range(9))),
                tuple((str(n), *["0.0020 ± 0.0010"] * 9) for n in (1, 3, 5, 7)),
                "Mean and deviation.",
            ),
        ),
    ),
    Section("Figure 1", "Filters.", picture="figure1", alt="Filters in a row"),
    Section(NASTY, NASTY, (Claim(NASTY, NASTY, True),), (Table(NASTY, (NASTY,), ((NASTY,),)),)),
    Section("Words only", "w" * 400, (Claim("w" * 400, "9" * 400, True),)),
)
FACTS = {"Model": "lenet.mat", "SHA-256": "0123456789abcdef" * 4, NASTY: NASTY}
PICTURES = {"figure1": png(600, 2400)}


def report() -> str:
    return page("A report", FACTS, SECTIONS, PICTURES)


class Checker(HTMLParser):
    """Keeps a stack of open tags, every attribute and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.append((self.open[-1], data))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.seen if tag == name]


def test_tags_are_balanced_and_each_identifier_is_one_links_target():
    checker = Checker(report())
    assert checker.open == []
    identifiers = [given["id"] for _, given in checker.seen if "id" in given]
    assert len(identifiers) == len(set(identifiers))
    links = [given["href"] for given in checker.all("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(identifiers)
    assert {f"section{i}" for i in range(1, 5)} <= {link.removeprefix("#") for link in links}


def test_what_a_reader_and_a_screen_reader_need_is_there():
    checker = Checker(report())
    assert checker.all("html") == [{"lang": "en"}]
    viewport = next(m["content"] for m in checker.all("meta") if m.get("name") == "viewport")
    assert "width=device-width" in viewport
    assert "maximum-scale" not in viewport
    assert len(checker.all("h1")) == 1
    assert len(checker.all("h2")) == len(SECTIONS)
    assert all(th["scope"] in ("row", "col") for th in checker.all("th"))
    (image,) = checker.all("img")
    assert (image["width"], image["height"], image["alt"]) == ("1200", "300", "Filters in a row")
    assert ("figcaption", "Filters.") in checker.texts


def test_every_verdict_is_a_word_and_counted():
    checker = Checker(report())
    words = [text for tag, text in checker.texts if tag == "strong"]
    assert words == ["holds", "does not hold", "does not apply", "holds", "holds"]
    said = " ".join(text for tag, text in checker.texts if tag == "span")
    assert said == "3 hold 1 does not hold 1 does not apply"
    assert set(words) == set(VERDICTS.values())


def test_text_is_escaped_everywhere():
    checker = Checker(report())
    assert not checker.all("script")
    # title, text, claim's two, the link in the summary, caption, head, cell, and a fact's two
    assert sum(text == NASTY for _, text in checker.texts) == 10
    assert any(given.get("aria-label") == NASTY for given in checker.all("div"))


def test_nothing_refers_to_a_network():
    text = report()
    for tag, given in Checker(text).seen:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            if tag != "a" and given.get(name):
                assert given[name].startswith("data:")
    assert not re.search(r"https?:|url\(|@import|//[a-z]", re.sub(r'"data:[^"]*"', "", text))


def test_the_same_input_gives_the_same_page():
    assert report() == report()


def test_a_report_without_claims_or_sections():
    assert Checker(page("Empty", {}, [], {})).open == []
    bare = replace(SECTIONS[1], picture="")
    assert "Of 0 claims" in page("Bare", {}, [bare], {})


@pytest.fixture(scope="session")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = [path for path in map(shutil.which, names) if path]
    if not found:
        absent("chromium", "there is no chromium on PATH")
    return found[0]


def browse(browser: str, folder: Path, page: Path, *options: str) -> tuple[str, str]:
    """Open a page in a browser of its own; return the finished document and the browser's log."""
    quiet = "disable-background-networking disable-component-update disable-sync disable-gpu "
    quiet += "no-first-run no-sandbox disable-quic disable-dev-shm-usage"
    done = subprocess.run(
        [
            browser,
            "--headless",
            *(f"--{flag}" for flag in quiet.split()),
            "--enable-logging=stderr",
            "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever it asks for, it asks nobody
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={folder / 'net.json'}",
            *options,
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout, done.stderr


MEASURE = """
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const root = frame.contentDocument.documentElement;
  const image = frame.contentDocument.querySelector("img");
  const table = frame.contentDocument.querySelectorAll(".wide")[1];
  document.querySelector("output").textContent = [
    root.clientWidth, root.scrollWidth, image.naturalWidth, image.clientWidth,
    table.clientWidth, table.scrollWidth].join(" ");
};
</script>
"""


def asked_for(log: Path) -> set[str]:
    """Return what a page asked a network for; what the browser wants for itself has no origin."""
    found = re.findall(r'"initiator":"([^"]*)".*?"url":"((?:http|ws)[^"]*)"', log.read_text())
    return {url for initiator, url in found if initiator != "not an origin"}


@pytest.mark.large
def test_a_browser_shows_it_without_errors_and_without_a_request(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report(), encoding="utf-8")
    dom, log = browse(browser, tmp_path, path)
    assert "CONSOLE" not in log
    assert dom.count("<section") == len(SECTIONS)
    assert not asked_for(tmp_path / "net.json")


@pytest.mark.large
def test_errors_and_requests_would_be_seen(browser, tmp_path):
    """Or the test above says nothing."""
    path = tmp_path / "bad.html"
    path.write_text('<img src="http://pictures.example/1.png"><script>oops()</script>')
    _, log = browse(browser, tmp_path, path)
    assert "CONSOLE" in log
    assert asked_for(tmp_path / "net.json") == {"http://pictures.example/1.png"}


@pytest.mark.large
@pytest.mark.parametrize("width", [390, 1280])
def test_only_wide_tables_scroll_sideways(browser, tmp_path, width):
    """An iframe stands for a phone: headless windows do not get that narrow."""
    (tmp_path / "report.html").write_text(report(), encoding="utf-8")
    frame = f'<output></output><iframe src="report.html" width="{width}" height="900" '
    frame += 'style="border: 0"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!DOCTYPE html>{frame}{MEASURE}", encoding="utf-8")
    dom, _ = browse(
        browser,
        tmp_path,
        tmp_path / "frame.html",
        "--window-size=1400,1000",
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
    )
    measured = re.search("<output>([0-9 ]+)</output>", dom)
    assert measured, dom[:500]
    visible, whole, natural, shown, box, table = map(int, measured[1].split())
    assert whole == visible <= width
    assert natural == 2400
    assert shown <= visible
    assert box <= visible
    assert table > box


CELL = {
    "layer": 3, "unpool": "nearest", "n": 6, "mean": 0.25, "std": 0.125, "correlation": 0.5,
    "paper_mean": None, "paper_std": None, "ceiling": 0.0625,
}  # fmt: skip


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """Three classes; images of 9x9 and no others."""
    path = tmp_path_factory.mktemp("model") / "small.mat"
    layers = [fdref.Conv(random(4, 1, 3, 3)), fdref.Conv(random(3, 4, 7, 7)), fdref.Softmax()]
    fdref.save(fdref.Network(layers, average=np.ones((1, 9, 9)), input_size=(9, 9)), path)
    return path


@pytest.fixture
def stubbed(monkeypatch) -> list[Subject]:
    """The long work is left out; returns what would have been worked on."""
    subjects = []

    def reproduce(subject, progress=None):
        subjects.append(subject)
        drawings = {"figure5": ({"net": fdref.decode_all(subject.net)},)}
        figure = Section("Figure 5", "Filters.", picture="figure5")
        return Reproduction([SECTIONS[0], figure], drawings, {"figure5/a": np.arange(3)}, [CELL])

    monkeypatch.setattr(fdref.paper.claims, "reproduce", reproduce)
    return subjects


def images_file(folder: Path, **arrays: object) -> Path:
    good = {"images": np.full((6, 9, 9), 200, np.uint8), "labels": np.arange(6) % 3}
    kept = {name: array for name, array in (good | arrays).items() if array is not None}
    np.savez(folder / "images.npz", **kept)
    return folder / "images.npz"


def reproduce(*arguments: object) -> int:
    return main(["reproduce", *map(str, arguments)])


def test_the_command_writes_everything_the_same_each_time(stubbed, model, tmp_path, capsys):
    file = images_file(tmp_path)
    for folder in ("one", "other"):
        assert reproduce(model, "--images", file, "-o", tmp_path / folder) == 0
    told = capsys.readouterr().out
    assert "0.2500 +/- 0.1250" in told
    assert "of 3 claims, hold: 1, do not hold: 1, do not apply: 1" in told
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "other")
    )
    assert one == other
    pictures = {"figure5.png", "figure5.svg"}
    assert set(one) == {"report.html", "report.h5", "table1.json", "table1.csv"} | pictures
    assert set(one) <= set(NAMES)
    assert json.loads(one["table1.json"]) == [CELL]
    (row,) = csv.DictReader(one["table1.csv"].decode().splitlines())
    assert (row["mean"], row["paper_mean"]) == ("0.25", "")
    with h5py.File(tmp_path / "one" / "report.h5") as numbers:
        assert numbers["figure5/a"][:].tolist() == [0, 1, 2]
        digest = numbers.attrs["SHA-256"]
    assert f"<dd>{digest}</dd>" in one["report.html"].decode()
    assert b"6 of 9 \xc3\x97 9 pixels" in one["report.html"]


def test_by_default_it_is_about_the_digits_that_ship(stubbed, tmp_path):
    assert reproduce("-o", tmp_path / "out") == 0
    (subject,) = stubbed
    assert (len(subject.images), len(subject.labels)) == (1000, 1000)
    for fit, test in subject.folds:
        numbers = np.arange(1000)
        assert sorted([*numbers[fit], *numbers[test]]) == list(numbers)


def test_all_of_mnist_is_fitted_on_training_and_tested_on_test_images(stubbed, shared, tmp_path):
    assert reproduce("--mnist", shared / "mnist", "-o", tmp_path / "out") == 0
    (subject,) = stubbed
    ((fit, test),) = subject.folds
    assert len(subject.images[fit]) == 60_000
    assert np.array_equal(subject.images[test], fdref.mnist(shared / "mnist").test.images)


def whole(*shape: int) -> np.ndarray:
    return np.full(shape, 200, np.uint8)


REFUSED = {
    "no images": ({"images": None}, "has no array `images`; expected"),
    "no labels": ({"labels": None}, "has no array `labels`; expected"),
    "objects": ({"images": np.array([{}] * 6)}, "cannot be read: Object arrays"),
    "words": ({"images": np.array(["a"] * 6)}, "`images` have dtype <U1; expected numbers"),
    "flat": ({"images": whole(6, 81)}, "`images` have shape (6, 81); expected (N, H, W) or"),
    "colours": ({"images": whole(6, 3, 9, 9)}, "expected (N, H, W) or (N, 1, H, W)"),
    "too large": ({"images": whole(6, 10, 10)}, "images are 10x10; expected 9x9"),
    "empty": ({"images": whole(0, 9, 9), "labels": []}, "expected at least two images"),
    "no pixels": ({"images": whole(6, 0, 9)}, "expected at least two images"),
    "too bright": ({"images": whole(6, 9, 9) * 2.0}, "values from 400.0 to 400.0; expected"),
    "negative": ({"images": np.full((6, 9, 9), -1)}, "values from -1 to -1; expected pixels"),
    "not a number": ({"images": np.full((6, 9, 9), np.nan)}, "values from nan to nan; expected"),
    "to one": ({"images": whole(6, 9, 9) / 255}, "multiply them by 255"),
    "too few labels": ({"labels": np.arange(5)}, "`labels` have shape (5,); expected (6,)"),
    "halves": ({"labels": np.arange(6) / 2}, "are not whole numbers; expected classes"),
    "infinite": ({"labels": np.full(6, np.inf)}, "are not whole numbers; expected classes"),
    "texts": ({"labels": np.array(list("012012"))}, "are not whole numbers; expected classes"),
    "from minus one": ({"labels": np.arange(6) - 1}, "`labels` start at -1; expected"),
    "a gap": ({"labels": np.array([0, 2] * 3)}, "labelled 1; expected at least one of each"),
    "the last missing": ({"labels": np.arange(6) % 2}, "no image is labelled 2; expected"),
    "from one": ({"labels": np.arange(6) % 3 + 1}, "no image is labelled 0; expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_images_are_refused_each_with_its_own_message(case, stubbed, model, tmp_path, capsys):
    arrays, message = REFUSED[case]
    file = images_file(tmp_path, **arrays)
    assert reproduce(model, "--images", file, "-o", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert file.name in said
    assert list(tmp_path.iterdir()) == [file]
    assert not stubbed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "is no .npz file; expected"),
        (b"text", "is no .npz file; expected"),
        (b"PK\3\4 and then nothing", "cannot be read: File is not a zip file; expected"),
    ],
)
def test_files_that_are_no_archives(content, message, stubbed, model, tmp_path, capsys):
    if content is not None:
        (tmp_path / "images.npz").write_bytes(content)
    out = tmp_path / "out"
    assert reproduce(model, "--images", tmp_path / "images.npz", "-o", out) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_damaged_archive(stubbed, model, tmp_path, capsys):
    file = images_file(tmp_path)
    data = bytearray(file.read_bytes())
    data[200:260] = bytes(60)
    file.write_bytes(data)
    assert reproduce(model, "--images", file, "-o", tmp_path / "out") == 2
    assert "cannot be read: Bad CRC-32" in capsys.readouterr().err


def test_the_digits_that_ship_do_not_fit_every_network(stubbed, model, tmp_path, capsys):
    assert reproduce(model, "-o", tmp_path / "out") == 2
    assert "expected 9x9" in (said := capsys.readouterr().err)
    assert "name its own with --images" in said


def test_one_kind_of_images_at_a_time(tmp_path, capsys):
    assert reproduce("--full", "--mnist", tmp_path, "-o", tmp_path / "out") == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failure", "status", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_interrupted_or_out_of_space_it_leaves_nothing(
    failure, status, said, stubbed, model, tmp_path, capsys, monkeypatch
):
    def fail(*arguments):
        raise failure

    file = images_file(tmp_path)
    monkeypatch.setattr(fdref.paper.page, "save", fail)
    assert reproduce(model, "--images", file, "-o", tmp_path / "out") == status
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]


def test_a_report_is_never_replaced_and_the_long_work_not_begun(stubbed, model, tmp_path, capsys):
    (tmp_path / "figure7.svg").touch()
    assert reproduce(model, "--images", images_file(tmp_path), "-o", tmp_path) == 2
    assert "exists already" in capsys.readouterr().err
    assert not stubbed
