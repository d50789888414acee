"""Images in chunks: the same numbers however they come, and wherever they are computed."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workers import Dies, Total

import fdref
from fdref import ArgumentError, Conv, FdrefError, Network, NetworkError, Pool, ReLU
from fdref.measure import sending
from fdref.measure.ceiling import Best
from fdref.measure.chunks import Chunk, cut, over_chunks
from fdref.measure.predicting import Predicting
from fdref.measure.survey import survey
from fdref.paper.reproduction import reproduce
from fdref.paper.subject import Subject

RANDOM = np.random.default_rng(0)
COUNT = 230
IMAGES = RANDOM.integers(0, 256, (COUNT, 9, 9)).astype(np.uint8)
LABELS = np.arange(COUNT) % 3


def weights(*shape: int) -> np.ndarray:
    return (RANDOM.standard_normal(shape) / 10).astype(np.float32)


NET = Network(
    [
        Conv(weights(5, 1, 2, 2), weights(5)),
        Pool(2, 2),
        ReLU(),
        Conv(weights(3, 5, 4, 4), weights(3)),
    ],
    average=np.full((1, 9, 9), 100.0),
)
X = NET.prepare(IMAGES)


class OnlyMap:
    """Computes everything at once, as a pool's `map` does; notes what it is given."""

    def __init__(self) -> None:
        self.windows: list[int] = []

    def map(self, function, chunks):
        chunks = list(chunks)
        self.windows.append(len(chunks))
        return [function(chunk) for chunk in chunks]


class Elsewhere:
    """Nothing but bytes goes to its workers and comes back: they remember what they are sent."""

    def __init__(self, workers: int = 1) -> None:
        self.memories = [sending.deque(maxlen=sending.KEPT) for _ in range(workers)]
        self.random = np.random.default_rng(0)  # nobody can tell who computes what
        self.sizes: list[int] = []

    def map(self, function, chunks):
        for chunk in chunks:
            call = pickle.dumps(function), pickle.dumps(chunk)
            self.sizes.append(len(call[0]))
            with pytest.MonkeyPatch.context() as patch:
                memory = self.memories[self.random.integers(len(self.memories))]
                patch.setattr(sending, "_known", memory)
                its_function, its_chunk = map(pickle.loads, call)
                result = pickle.dumps(its_function(its_chunk))
            yield pickle.loads(result)  # noqa: S301 - our own


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        yield executor


def one_by_one(images, size):
    return (images[first : first + size] for first in range(0, len(images), size))


def same(one: object, other: object) -> None:
    """Equal to the bit, whatever they are made of."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for part, its in zip(one, other, strict=True):
            same(part, its)
    elif hasattr(one, "__dict__"):
        same(vars(one), vars(other))
    else:
        assert one == other or one != one  # noqa: PLR0124 - NaN


@given(st.lists(st.integers(0, 13), max_size=9), st.integers(1, 7))
def test_chunks_are_the_same_however_images_come(lengths, size):
    images = np.arange(sum(lengths) * 6).reshape(-1, 2, 3)
    ends = np.cumsum(lengths)[:-1] if lengths else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fdref.measure.chunks.SIZE", size)
        whole, pieces = list(cut(images)), list(cut(iter(np.split(images, ends))))
    assert [len(images) for _, images in whole[:-1]] == [size] * len(whole[:-1])
    assert [first for first, _ in whole] == list(range(0, len(images), size))
    same(whole, pieces)


def test_what_is_iterated_over_may_be_overwritten_by_the_next():
    def reused():
        buffer = np.empty((70, 9, 9))
        for first in range(0, 210, 70):
            buffer[:] = IMAGES[first : first + 70]
            yield buffer

    found = list(over_chunks(lambda chunk: chunk.images, reused(), None, OnlyMap()))
    np.testing.assert_array_equal(np.concatenate(found), IMAGES[:210])


@pytest.mark.parametrize("together", [1, 5])
@pytest.mark.parametrize("kind", [OnlyMap, Elsewhere, None])
def test_no_more_than_some_chunks_are_in_memory(kind, together, monkeypatch):
    """Two windows of a task for each CPU, and what the next is made of."""
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.setattr("fdref.measure.chunks.SIZE", 10)
    monkeypatch.setattr("fdref.measure.chunks.TOGETHER", together)
    taken, done, most = [], [], []

    def arriving():
        for number in range(200):
            taken.append(number)
            most.append(10 * len(taken) - 10 * len(done))
            yield np.zeros((10, 2))

    executor = kind and kind()
    for first, _ in over_chunks(Total(b"1"), arriving(), None, executor):
        if kind is OnlyMap and not done:
            assert executor.windows == [3, 3]  # the second is under way before the first is read
        done.append(first)
    assert done == list(range(0, 2000, 10))
    assert max(most) <= (10 if kind is None else 70 * together)
    if kind is OnlyMap:
        assert max(executor.windows) == 3


@pytest.mark.parametrize("size", [1, 37, 100, COUNT])
@pytest.mark.parametrize("kind", [None, OnlyMap, Elsewhere, ThreadPoolExecutor])
def test_evaluation_is_the_same_to_the_bit(kind, size, engine):
    wanted = fdref.evaluate(NET, X, engine=engine)
    same(fdref.evaluate(NET, X, engine=engine, executor=kind and kind()), wanted)
    chunks = one_by_one(X, size)
    same(fdref.evaluate(NET, chunks, engine=engine, executor=kind and kind()), wanted)


def test_evaluation_in_processes_is_the_same_to_the_bit(processes):
    """Twice, so that workers know their function by its digest; in plain NumPy, as it is quick."""
    wanted = fdref.evaluate(NET, X, engine="reference")
    for images in (X, one_by_one(X, 37)):
        same(fdref.evaluate(NET, images, engine="reference", executor=processes), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["spawn", "forkserver"])
def test_all_is_the_same_in_processes(how):
    net, digits = fdref.load(), fdref.mnist().test
    x = net.prepare(digits.images)
    halves = slice(0, None, 2), slice(1, None, 2)
    subject = Subject(NET, IMAGES, LABELS, [halves])
    with ProcessPoolExecutor(2, get_context(how)) as executor:
        same(fdref.evaluate(net, x, executor=executor), fdref.evaluate(net, x))
        same(reproduce(subject, executor=executor), reproduce(subject))


@pytest.mark.parametrize("kind", [None, OnlyMap, Elsewhere, ThreadPoolExecutor])
def test_survey_and_best_filters_are_the_same_to_the_bit(kind, monkeypatch):
    monkeypatch.setattr("fdref.measure.chunks.SIZE", 40)
    images, others = IMAGES[:150], IMAGES[150:]
    wanted = survey(NET, IMAGES, LABELS)
    for shown in (IMAGES, one_by_one(IMAGES, 7)):
        same(survey(NET, shown, LABELS, executor=kind and kind()), wanted)
    best = fdref.nonlinearities(NET, images, others, [1, 4])
    for shown in (others, one_by_one(others, 7)):
        found = fdref.nonlinearities(NET, images, shown, [1, 4], executor=kind and kind())
        same(found, best)


@pytest.mark.parametrize("count", [1, 3])
def test_a_function_crosses_once_to_each_worker(count, monkeypatch):
    """Once more where a window of chunks, or one again, happens to meet who knows it already."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("fdref.measure.chunks.SIZE", 5)
    monkeypatch.setattr("fdref.measure.chunks.TOGETHER", 1)
    large, workers = Total(bytes(100_000)), Elsewhere(count)
    wanted = list(over_chunks(large, IMAGES))
    for most in (2 * count, 2):
        assert list(over_chunks(large, IMAGES, None, workers)) == wanted
        assert 2 <= sum(size > 100_000 for size in workers.sizes) <= most
        assert sum(size < 200 for size in workers.sizes) >= len(wanted) - 2
        workers.sizes.clear()


def test_a_worker_that_forgets_is_sent_the_function_again(monkeypatch):
    """It keeps a few functions: here others come between all the time."""
    monkeypatch.setattr("fdref.measure.chunks.SIZE", 10)
    workers, wanted = Elsewhere(), [list(over_chunks(Total(bytes(n)), IMAGES)) for n in range(4)]
    at_once = [over_chunks(Total(bytes(n)), IMAGES, None, workers) for n in range(4)]
    assert [list(rows) for rows in zip(*zip(*at_once, strict=True), strict=True)] == wanted
    assert len(workers.memories[0]) == sending.KEPT


class Future:
    """What a client's `map` returns, where an executor's returns results."""


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda done: [Future() for _ in done], "Future"),
        (lambda done: done[::-1], "40"),
        (lambda done: [], "None"),
    ],
)
def test_a_map_that_returns_something_else_is_refused(spoil, told, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("fdref.measure.chunks.SIZE", 40)
    monkeypatch.setattr("fdref.measure.chunks.TOGETHER", 1)

    class Spoilt(OnlyMap):
        def map(self, function, chunks):
            return spoil(super().map(function, chunks))

    with pytest.raises(ArgumentError, match=rf"^the executor's map returned .*{told}.*; expected"):
        fdref.evaluate(NET, X, executor=Spoilt())


def test_progress_is_told_in_order():
    told = []
    fdref.evaluate(NET, one_by_one(X, 60), progress=told.append, executor=OnlyMap())
    assert told == [100, 100, 30]


@pytest.mark.parametrize("kind", [None, OnlyMap, Elsewhere, ThreadPoolExecutor])
@pytest.mark.parametrize("size", [37, COUNT])
def test_an_image_is_refused_by_its_number_over_all_chunks(kind, size):
    """Quietly, in threads, too: the tests make an error of every warning."""
    executor, bad = kind and kind(), X.astype(np.float64)
    bad[217, 0, 5, 6] = 1e300
    with pytest.raises(ArgumentError, match=r"^image 217 holds 1e\+300 at \[0, 5, 6\]; expected"):
        fdref.evaluate(NET, one_by_one(bad, size), executor=executor)
    pixels = bad[:, 0]
    with pytest.raises(ArgumentError, match=r"^image 217 holds 1e\+300 at \[0, 5, 6\]; expected"):
        survey(NET, one_by_one(pixels, size), LABELS, executor=executor)
    for both in ((pixels, IMAGES), (IMAGES, pixels)):
        with pytest.raises(ArgumentError, match=r"^image 217 holds 1e\+300 at \[0, 5, 6\]"):
            fdref.nonlinearities(NET, *both, [4], executor=executor)
    bad[217] = 1e38
    with pytest.raises(NetworkError, match=r"^layer 1 \(conv\) answers image 217 with "):
        fdref.evaluate(
            Network([Conv(100 * weights(5, 1, 2, 2))]), one_by_one(bad, size), executor=executor
        )


def test_best_filters_that_overflow_are_refused_by_the_image_s_number():
    best = Best(np.full((5, 1, 2, 2), 1e307), np.zeros(5))
    with pytest.raises(NetworkError, match=r"^the decoded filters of layer 1 .* answer image 203 "):
        Predicting(NET, {1: {"best": best}}, {}, "compiled")(Chunk(203, IMAGES[203:]))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (iter([]), "^there are no images"),
        (iter([X[:0], X[:0]]), "^there are no images"),
        (iter([X[:3], X[:4, :, 1:]]), r"^image 3 has shape \(1, 8, 9\); expected \(1, 9, 9\), as"),
        (
            iter([X[:3], X[:2], X[:4, :, 1:]]),
            r"^image 5 has shape \(1, 8, 9\); expected \(1, 9, 9\)",
        ),
        (iter([X[:3], X[0]]), r"^image 3 has shape \(9, 9\); expected \(1, 9, 9\), as those"),
        (iter([X[0]]), r"^images have shape \(1, 9, 9\); expected"),
        (iter([X[:, :, :8]]), "^images are 8x9; expected 9x9"),
        (iter(["abc"]), "^images have dtype <U3"),
        (iter([1.0]), "^images have shape"),
        (iter([(X[:3], LABELS[:3])]), "^images are no array of numbers"),
        ({"images": X}, "^images have dtype"),
        (3, "^images are 3; expected an array of them, or an iterator"),
    ],
)
def test_what_is_no_images_is_refused(images, message):
    with pytest.raises(ArgumentError, match=message):
        fdref.evaluate(NET, images)


def test_labels_of_what_is_iterated_over_are_counted():
    with pytest.raises(ArgumentError, match=r"^there are 229 images and 230 labels; expected"):
        survey(NET, one_by_one(IMAGES[1:], 50), LABELS)


@pytest.mark.parametrize("image", [0, 150])
def test_a_worker_that_dies_is_told_of_in_one_line(image):
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        found = over_chunks(Dies(image), IMAGES, None, executor)
        for _ in range(2):  # the executor is broken from then on
            with pytest.raises(FdrefError, match=r"^a worker of the executor died") as caught:
                list(found)
            assert "give it fewer" in str(caught.value)
            assert "\n" not in str(caught.value)
            found = over_chunks(Total(b"1"), IMAGES, None, executor)
