"""Processes that may die, and a cluster on this machine: the same digits, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import psutil
import pytest
from absence import absent
from command_line import ROOT, refusal, run, small_model
from test_executors import IMAGES, NET, X, same
from workers import Dies, DiesOnce, Holds, Raises, Sleeps, Total

import fdref
from fdref import ArgumentError, FdrefError, FileError
from fdref.commands.decode import describe
from fdref.decoding.contents import digest
from fdref.decoding.reading import decoded_layers
from fdref.measure import cluster as clusters
from fdref.measure import sending
from fdref.measure.chunks import Chunk, over_chunks
from fdref.measure.in_files import BankFile, NetworkFile
from fdref.measure.sending import AbsentError, Sent


@pytest.fixture(scope="module")
def processes():
    with fdref.Processes(2) as workers:
        yield workers


class TestProcesses:
    @pytest.mark.parametrize("engine", ["compiled", "reference"])
    def test_all_is_the_same_to_the_bit(self, engine, processes):
        wanted = fdref.evaluate(NET, X, engine=engine)
        same(fdref.evaluate(NET, X, engine=engine, executor=processes), wanted)

    def test_each_may_be_killed_and_no_digit_changes(self, processes, tmp_path, monkeypatch):
        monkeypatch.setattr("fdref.measure.chunks.SIZE", 20)
        monkeypatch.setattr("fdref.measure.chunks.TOGETHER", 2)
        deadly = DiesOnce(str(tmp_path), (30, 31, 150))
        wanted = [(first, float(some.sum())) for first, some in by(20)]
        assert list(over_chunks(deadly, IMAGES, None, processes)) == wanted
        assert {path.name for path in tmp_path.iterdir()} == {"30", "31", "150"}

    def test_what_kills_again_and_again_is_told_by_its_images(self, processes, monkeypatch):
        monkeypatch.setattr("fdref.measure.chunks.TOGETHER", 1)
        with pytest.raises(FdrefError, match=r"^3 processes died, .* images from 200 on; expected"):
            list(over_chunks(Dies(210), IMAGES, None, processes))
        assert len(list(over_chunks(Total(b"1"), IMAGES, None, processes))) == 3

    @pytest.mark.parametrize(
        ("error", "told", "message"),
        [
            (ArgumentError, ArgumentError, "^as asked.for$"),
            (FileError, FileError, "^as asked.for$"),
            (KeyError, FdrefError, r"^a worker process: KeyError: 'as asked\\nfor'$"),
            (MemoryError, MemoryError, "^in a worker process: as asked"),
        ],
    )
    def test_what_is_raised_there_is_raised_here(self, error, told, message, processes):
        with pytest.raises(told, match=message) as caught:
            list(over_chunks(Raises(error), IMAGES, None, processes))
        assert type(caught.value) is told

    def test_they_end_at_once_whatever_they_do(self):
        with fdref.Processes(1) as workers:
            found = over_chunks(Total(b"1"), IMAGES, None, workers)
            next(found)
            (child,) = [one._process.pid for one in workers._alive]  # noqa: SLF001
            slow = workers.map(Sleeps(60), [Chunk(0, IMAGES)])
            began = time.perf_counter()
        assert time.perf_counter() - began < 10
        assert not psutil.pid_exists(child)
        with pytest.raises(CancelledError):
            next(slow)
        with pytest.raises(ArgumentError, match="have ended; expected to be used in their with"):
            workers.map(Sleeps(0), [Chunk(0, IMAGES)])

    @pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
    def test_a_number_of_them_is_whole(self, count):
        with pytest.raises(ArgumentError, match=r"^count is .*; expected a whole number"):
            fdref.Processes(count)


@pytest.mark.parametrize(
    ("command", "options", "name"),
    [
        ("occlude", ["--size", "3", "--stride", "2"], "occluded.h5"),
        ("project", ["--count", "3"], "projected.h5"),
    ],
)
def test_other_commands_write_the_same_bytes(command, options, name, tmp_path):
    model = small_model(tmp_path)
    np.savez(tmp_path / "in.npz", images=IMAGES[:11], labels=np.arange(11) % 2)
    for folder, how in (("here", []), ("there", ["--workers", "2"])):
        place = ["--images", tmp_path / "in.npz", "-o", tmp_path / folder, "--no-pictures"]
        assert run(command, model, *place, *options, *how, "--quiet") == 0
    assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def by(size):
    return [(first, IMAGES[first : first + size]) for first in range(0, len(IMAGES), size)]


@dataclass(frozen=True)
class Elsewhere:
    """Where something lies, or does not."""

    content: object
    there: bool = True

    def load(self):
        if not self.there:
            raise AbsentError
        return self.content


class TestFiles:
    """What workers can read does not cross."""

    LARGE = bytes(100_000)

    def sent(self, *, there=True):
        return Sent(Holds(self.LARGE), [(self.LARGE, Elsewhere(b"abc", there))])

    def arrived(self, function, monkeypatch):
        monkeypatch.setattr(sending, "_known", sending.deque(maxlen=2))
        data = pickle.dumps(function)
        return pickle.loads(data), len(data)  # noqa: S301 - our own

    def test_names_cross_in_their_place(self, monkeypatch):
        function, size = self.arrived(self.sent().of_files, monkeypatch)
        assert size < 1000
        assert function(Chunk(7, X)) == (7, 3)

    def test_one_who_does_not_find_them_is_sent_all(self, monkeypatch):
        sent = self.sent(there=False)
        function, _ = self.arrived(sent.of_files, monkeypatch)
        assert function(Chunk(7, X)) is None
        function, size = self.arrived(sent.whole, monkeypatch)
        assert size > len(self.LARGE)
        assert function(Chunk(7, X)) == (7, len(self.LARGE))

    def test_executors_have_files(self, processes, monkeypatch, tmp_path):
        path = small_model(tmp_path)
        net = fdref.load(path)
        wanted = fdref.evaluate(net, X, engine="reference")
        place = NetworkFile(str(path), describe(path)["model_sha256"], digest(net))
        monkeypatch.setattr(processes, "files", [(net, place)])
        for there in (True, False):
            if not there:
                path.unlink()
            same(fdref.evaluate(net, X, engine="reference", executor=processes), wanted)

    def test_another_version_is_refused(self, monkeypatch):
        function, _ = self.arrived(self.sent().whole, monkeypatch)
        monkeypatch.setattr(fdref, "__version__", "9.9")
        with pytest.raises(FdrefError, match=r"^a worker has fdref 9\.9; expected \d"):
            function(Chunk(7, X))

    def test_a_network_is_that_of_the_file_or_refused(self, tmp_path):
        path = small_model(tmp_path)
        net = fdref.load(path)
        place = NetworkFile(str(path), describe(path)["model_sha256"], digest(net))
        assert digest(place.load()) == digest(net)
        others = (place.sha256[::-1], place.network_sha256), (place.sha256, "0" * 64)
        for sha256, weights in others:
            with pytest.raises(FileError, match=r"is another file than here: its .*; expected"):
                NetworkFile(str(path), sha256, weights).load()
        path.unlink()
        with pytest.raises(AbsentError):
            place.load()
        shipped = fdref.load()
        sha256 = describe(fdref.weights.SHIPPED)["model_sha256"]
        assert digest(NetworkFile("lenet", sha256, digest(shipped)).load()) == digest(shipped)

    def test_filters_are_those_of_the_file_or_refused(self, tmp_path):
        path = tmp_path / "decoded.h5"
        fdref.decode_to(path, NET, [1])
        with decoded_layers(path) as layers:
            bank, _, about = layers[1]
        place = BankFile(str(path), 1, bank.shape, dict(about))
        assert place.load().tobytes() == bank.tobytes()
        fdref.decode_to(path, NET, [1], filters=[0, 1, 2], force=True)
        with pytest.raises(FileError, match=r"is another file than here: its layer 1 is"):
            place.load()
        path.unlink()
        with pytest.raises(AbsentError):
            place.load()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A scheduler and two workers with a nanny each, as people start them; their address."""
    with cluster_of(tmp_path_factory.mktemp("dask"), workers=2) as address:
        yield address


@contextlib.contextmanager
def cluster_of(folder, workers):
    if find_spec("distributed") is None:
        absent("peers", "Dask is not installed: pip install '.[dask]'")
    place = folder / "scheduler.json"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON__MALLOC_TRIM_THRESHOLD_": "0",
    }
    common = ["--scheduler-file", str(place), "--no-dashboard"]

    def start(module, *options):
        command = [sys.executable, "-m", f"distributed.cli.{module}", *common, *options]
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    started = [start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")]
    try:
        if workers:
            count = ["--nworkers", f"{workers}", "--nthreads", "1", "--local-directory", "."]
            started.append(start("dask_worker", "--host", "127.0.0.1", *count))
        until = time.monotonic() + 60
        while not place.exists() or not place.read_text():
            assert time.monotonic() < until
            time.sleep(0.1)
        yield json.loads(place.read_text())["address"]
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def cluster(scheduler):
    with fdref.Cluster(scheduler) as workers:
        workers._client.wait_for_workers(2, timeout=60)  # noqa: SLF001
        assert workers.notes == []
        yield workers


class TestCluster:
    def test_all_is_the_same_to_the_bit(self, cluster):
        assert cluster.width == clusters.TOGETHER  # for two
        wanted = fdref.evaluate(NET, X)
        executor = cluster._client.get_executor()  # noqa: SLF001
        for workers in (cluster, executor):
            same(fdref.evaluate(NET, X, executor=workers), wanted)

    @pytest.mark.parametrize("there", [True, False])
    def test_each_worker_learns_what_it_computes(self, there, cluster, monkeypatch, tmp_path):
        """From a file that it has, or else it is sent all; and its tasks are small."""
        path = small_model(tmp_path)
        net = fdref.load(path)
        place = NetworkFile(str(path), describe(path)["model_sha256"], digest(net))
        monkeypatch.setattr(cluster, "files", [(net, place)])
        sent = Sent(Holds(net), cluster.files)
        if not there:
            path.unlink()
        cluster.teach(sent)
        assert list(cluster.map(sent.by_name, [Chunk(3, X)] * 4)) == [(3, len(net))] * 4

    def test_another_file_on_a_worker_is_refused(self, cluster, tmp_path):
        path = small_model(tmp_path)
        net = fdref.load(path)
        place = NetworkFile(str(path), "0" * 64, digest(net))
        with pytest.raises(FileError, match=r"is another file than here: its SHA-256 is"):
            cluster.teach(Sent(Holds(net), [(net, place)]))

    def test_two_of_two_workers_may_be_killed_and_no_digit_changes(
        self, cluster, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("fdref.measure.chunks.SIZE", 20)
        monkeypatch.setattr("fdref.measure.chunks.TOGETHER", 1)
        before = set(cluster._client.run(os.getpid).values())  # noqa: SLF001
        deadly = DiesOnce(str(tmp_path), (30, 50))  # side by side
        wanted = [(first, float(some.sum())) for first, some in by(20)]
        assert list(over_chunks(deadly, IMAGES, None, cluster)) == wanted
        assert len(list(tmp_path.iterdir())) == 2
        cluster._client.wait_for_workers(2, timeout=60)  # noqa: SLF001
        assert not before & set(cluster._client.run(os.getpid).values())  # noqa: SLF001

    @pytest.mark.parametrize(
        ("error", "told", "message"),
        [
            (ArgumentError, ArgumentError, "^as asked.for$"),
            (KeyError, FdrefError, r"^a worker of tcp://.*: KeyError: 'as asked"),
        ],
    )
    def test_what_is_raised_there_is_raised_here(self, error, told, message, cluster):
        with pytest.raises(told, match=message):
            list(over_chunks(Raises(error), IMAGES, None, cluster))

    def test_other_workers_are_refused(self, scheduler, monkeypatch):
        missing = ModuleNotFoundError("No module named 'fdref'")
        for found, message in (
            (
                missing,
                r"^the worker tcp://w cannot import fdref .*; expected fdref \d.* pip install",
            ),
            ("9.9", r"^the worker tcp://w has fdref 9\.9; expected \d"),
        ):
            own = {"tcp://w": found}
            monkeypatch.setattr(fdref.Cluster, "_on_each", lambda self, name, own=own: own)
            with pytest.raises(FdrefError, match=message):
                fdref.Cluster(scheduler)

    def test_another_numpy_is_told(self, scheduler, monkeypatch):
        found = {"fdref:__version__": fdref.__version__, "numpy:__version__": "1.0"}
        monkeypatch.setattr(fdref.Cluster, "_on_each", lambda self, name: {"w": found[name]})
        with fdref.Cluster(scheduler) as workers:
            (told,) = workers.notes
            assert told.startswith(f"workers have NumPy 1.0, here is {np.__version__}: last digits")

    def test_the_command_says_the_same(self, scheduler, tmp_path, capsys):
        model = small_model(tmp_path)
        np.savez(tmp_path / "in.npz", images=IMAGES[:230])
        for name, how in (("here", []), ("there", ["--scheduler", scheduler])):
            place = ["--images", tmp_path / "in.npz", "--json", tmp_path / f"{name}.json"]
            assert run("evaluate", model, *place, "--quiet", *how) == 0
        here, there = (
            json.loads((tmp_path / f"{name}.json").read_text()) for name in ("here", "there")
        )
        assert here.pop("seconds") > 0 < there.pop("seconds")
        assert here == there
        assert capsys.readouterr() == ("", "")


def test_a_scheduler_without_workers_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "PATIENCE", 1.0)
    with (
        cluster_of(tmp_path, workers=0) as address,
        pytest.raises(FdrefError, match=rf"^the scheduler at {address} has no workers; start some"),
    ):
        fdref.Cluster(address)


def test_nobody_answers(monkeypatch, capsys):
    if find_spec("distributed") is None:
        absent("peers", "Dask is not installed: pip install '.[dask]'")
    monkeypatch.setattr(clusters, "PATIENCE", 0.5)
    with socket.socket() as taken:  # whose port nobody listens at
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        told = refusal(capsys, "evaluate", "--scheduler", f"tcp://127.0.0.1:{port}")
    assert told.startswith(f"no scheduler answers at tcp://127.0.0.1:{port} (")
    assert told.endswith("expected that of `dask scheduler`, which prints its address, such as "
                         "tcp://10.0.0.1:8786")  # fmt: skip


@pytest.mark.parametrize("address", ["", "nonsense", "tcp://", "ftp://a:1", "a b:1", 3, None])
def test_an_address_is_a_scheduler_s(address):
    with pytest.raises(ArgumentError, match=r"^address is .*; expected a scheduler's, such as tcp"):
        fdref.Cluster(address)


def test_without_dask_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(fdref.DependencyError, match=r"pip install 'fdref\[dask\]'"):
        fdref.Cluster("tcp://127.0.0.1:1")
