"""Fetching MNIST: once, from the first mirror that has it, and never again."""

from __future__ import annotations

import errno
import gzip
import hashlib
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from absence import absent
from command_line import run

from fdref.errors import DependencyError, FileError
from fdref.weights import fetch
from fdref.weights.fetch import fetch_mnist

if TYPE_CHECKING:
    from pathlib import Path

try:
    import pooch
except ImportError:
    pooch = None

mnist_module = import_module("fdref.weights.mnist")  # `fdref.weights.mnist` is the function

SIZES = {"train": 3, "t10k": 2}


@pytest.fixture
def installed() -> None:
    if pooch is None:
        absent("pooch", "pooch is not installed")


@pytest.fixture
def cache(installed, tmp_path, monkeypatch) -> Path:
    """The user's cache is a folder of the test's."""
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "fdref" / "mnist"


@pytest.fixture
def original(tmp_path, monkeypatch) -> Path:
    """Files like MNIST's, of five digits in all, and their check sums in place of MNIST's."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    files, packed = {}, {}
    for part, count in SIZES.items():
        for kind, magic, item in (("images-idx3", 2051, (28, 28)), ("labels-idx1", 2049, ())):
            name = f"{part}-{kind}-ubyte"
            header = b"".join(n.to_bytes(4, "big") for n in (magic, count, *item))
            content = header + bytes(count * (784 if item else 1))
            files[name] = count, hashlib.md5(content, usedforsecurity=False).hexdigest()
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            packed[name] = hashlib.sha256((folder / f"{name}.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(mnist_module, "FILES", files)
    monkeypatch.setattr(fetch, "PACKED", packed)
    return folder


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; notes what was asked for."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(original):
    """A mirror on this machine: its address, and what it has been asked for."""
    asked = []
    handler = type("Noting", (Handler,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=original)) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/", asked
        http.shutdown()
        thread.join()


def in_folder(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_fetches_once_and_never_again(server, cache, monkeypatch, capfd):
    address, asked = server
    monkeypatch.setattr(fetch, "MIRRORS", (address,))
    folder = fetch_mnist()
    assert folder == cache
    assert [digits.images.shape for digits in mnist_module.mnist(folder)] == [
        (3, 28, 28),
        (2, 28, 28),
    ]
    assert sorted(asked) == sorted(f"/{name}.gz" for name in fetch.PACKED)
    del asked[:]
    assert fetch_mnist() == folder
    assert asked == []
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_missing_or_damaged_is_fetched_alone(server, cache, monkeypatch):
    address, asked = server
    monkeypatch.setattr(fetch, "MIRRORS", (address,))
    folder = fetch_mnist()
    lost, damaged = (folder / f"{name}.gz" for name in list(fetch.PACKED)[1:3])
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-9])
    del asked[:]
    fetch_mnist()
    assert asked == [f"/{lost.name}", f"/{damaged.name}"]
    mnist_module.mnist(folder)


def test_files_that_were_packed_again_are_as_good(original, cache, monkeypatch):
    cache.mkdir(parents=True)
    for path in original.iterdir():
        content = gzip.decompress(path.read_bytes())
        (cache / path.name).write_bytes(gzip.compress(content, compresslevel=1, mtime=7))
    monkeypatch.setattr(pooch, "retrieve", lambda *a, **k: pytest.fail("asked for"))
    assert fetch_mnist() == cache


def test_a_corrupted_download_is_not_kept_and_the_next_mirror_asked(
    server, original, cache, monkeypatch
):
    address, asked = server
    bad = original / "bad"
    bad.mkdir()
    for name in fetch.PACKED:
        (bad / f"{name}.gz").write_bytes(b"<html>Log in to the hotel's network</html>")
    monkeypatch.setattr(fetch, "MIRRORS", (f"{address}bad/",))
    with pytest.raises(FileError, match=r"/bad/ \(not MNIST's file\).*from there"):
        fetch_mnist()
    assert in_folder(cache) == set()
    monkeypatch.setattr(fetch, "MIRRORS", (f"{address}bad/", f"{address}nowhere/", address))
    del asked[:]
    mnist_module.mnist(fetch_mnist())
    assert [path.rpartition("/")[0] for path in asked] == ["/bad", "/nowhere", *[""] * 4]


def test_without_a_network_it_says_what_was_tried_and_what_to_do(
    original, cache, monkeypatch, capsys
):
    import requests

    def refuse(*arguments, **options):
        raise requests.ConnectionError("Max retries exceeded\nwith url")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(FileError) as caught:
        fetch_mnist()
    message = str(caught.value)
    assert "\n" not in message
    assert all(f"{mirror} (ConnectionError)" in message for mirror in fetch.MIRRORS)
    assert all(name in message for name in fetch.PACKED)
    assert message.endswith("into a folder, and read it from there")
    capsys.readouterr()
    assert run("reproduce", "--full", "-o", original / "out") == 2
    assert capsys.readouterr().err.endswith("; --mnist DIR takes MNIST from a folder\n")


def test_a_status_is_told(server, cache, monkeypatch):
    monkeypatch.setattr(fetch, "MIRRORS", (f"{server[0]}nowhere/",))
    with pytest.raises(FileError, match="status 404"):
        fetch_mnist()


def test_a_full_disk_is_no_reason_to_ask_another_mirror(original, cache, monkeypatch):
    asked = []

    def refuse(url, *arguments, **options):
        asked.append(url)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(FileError, match=r"cannot keep MNIST in .*: No space left on device"):
        fetch_mnist()
    assert len(asked) == 1


def test_a_cache_that_is_no_folder(server, cache, monkeypatch):
    monkeypatch.setattr(fetch, "MIRRORS", (server[0],))
    cache.parent.parent.write_text("in the way")
    with pytest.raises(FileError, match="cannot keep MNIST"):
        fetch_mnist()


def test_without_pooch(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DependencyError, match=r"pip install 'fdref\[fetch\]'"):
        fetch_mnist()


def test_the_loggers_level_is_as_before(server, cache, monkeypatch):
    monkeypatch.setattr(fetch, "MIRRORS", (server[0],))
    level = pooch.get_logger().level
    fetch_mnist()
    assert pooch.get_logger().level == level


def test_check_sums_are_of_the_files_that_mnist_knows():
    assert set(fetch.PACKED) == {n for n in mnist_module.FILES if not n.startswith("sample")}
    assert all(len(bytes.fromhex(digest)) == 32 for digest in fetch.PACKED.values())
    assert all(m.startswith("https://") and m.endswith("/") for m in fetch.MIRRORS)
