"""Parts on several threads: every one is done, once, whatever happens to the others."""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from math import inf
from time import sleep

import numpy as np
import pytest
from absence import absent
from command_line import python
from hypothesis import given
from hypothesis import strategies as st
from strategies import convs, pairs, seeds
from threadpoolctl import threadpool_info, threadpool_limits

import fdref
from fdref.engines import blas, compiled, cuts, parallel, reference, shifting
from fdref.geometry import extent


@pytest.fixture
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if blas.threads() != 2:
            absent("threads", "NumPy's BLAS has one thread, or does not let itself be asked")
        yield


def blas_threads():
    return [
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    ]


def test_every_part_is_done_once(two_threads):
    done = []
    parallel.each(done.append, range(1000))
    assert sorted(done) == list(range(1000))


def test_two_threads_share_the_parts_and_blas_keeps_to_one(two_threads):
    meeting, seen = threading.Barrier(2, timeout=20), []

    def meet(part):
        meeting.wait()
        seen.append((threading.get_ident(), blas.threads()))

    parallel.each(meet, range(2))
    assert len({thread for thread, _ in seen}) == 2
    assert [threads for _, threads in seen] == [1, 1]
    assert blas.threads() == 2


def test_what_is_soon_done_is_not_shared(two_threads):
    """Handing over would take as long."""
    least, most = parallel.WORTH_SHARING * 0.99, parallel.WORTH_SHARING
    for seconds, threads in ((0.0, 1), (least, 1), (most, 2)):
        meeting, seen = threading.Barrier(threads, timeout=20), set()

        def meet(part, meeting=meeting, seen=seen):
            meeting.wait()
            seen.add(threading.get_ident())
            assert blas.threads() == 1

        parallel.each(meet, range(4), seconds)
        assert len(seen) == threads
    assert blas.threads() == 2


def test_several_computations_after_each_other_prepare_once(two_threads):
    meeting, seen = threading.Barrier(2, timeout=20), []

    def compute():
        seen.append(blas.threads())
        parallel.each(lambda _: meeting.wait(), range(2))  # two take part all the same
        seen.append(blas.threads())

    def fail():
        compute()
        raise ZeroDivisionError

    with parallel.together():
        compute()
        with parallel.together():
            compute()
        compute()
    assert seen == [1] * 6
    assert blas.threads() == 2
    with pytest.raises(ZeroDivisionError), parallel.together():
        fail()
    assert blas.threads() == 2
    compute()
    assert seen[-2:] == [2, 2]


def test_a_filter_is_decoded_in_one_go(two_threads, monkeypatch):
    before, limits = blas.limit, []
    monkeypatch.setattr(blas, "limit", lambda numbers: (limits.append(numbers), before(numbers)))
    fdref.decode(fdref.load(), 7, [3], "nearest")
    assert len(limits) == 1


class SentError(Exception):
    """Somebody else was asked to help."""


@pytest.mark.parametrize(
    ("work", "few", "many"),
    [
        (lambda n: fdref.pool(np.ones((n, 1, 64, 64)), 2, 2), 40, 200),
        (lambda n: fdref.correlate(np.ones((n, 1, 28, 28)), np.ones((1, 1, 5, 5))), 100, 400),
        (lambda n: fdref.substitute(np.ones((1, n, 1, 1)), np.ones((n, 1, 300, 300))), 10, 100),
    ],
)
def test_how_long_operations_take_is_estimated(two_threads, work, few, many, monkeypatch):
    def send(*_):
        raise SentError

    monkeypatch.setattr(cuts, "MAPS", 1000)  # more than one part, whatever it takes
    monkeypatch.setattr(cuts, "ADDED", 1000)
    monkeypatch.setattr(compiled, "MATRIX", 1000)
    monkeypatch.setattr(parallel.team, "send", send)
    work(few)
    with pytest.raises(SentError):
        work(many)


def test_parts_within_parts_are_done_by_who_computes_these(two_threads):
    """Also by a helper, who would wait forever for the lock of whoever waits for it."""
    meeting, seen = threading.Barrier(2, timeout=20), []

    def work(part):
        meeting.wait()
        own = threading.get_ident()
        parallel.each(lambda inner: seen.append((part, inner, own, threading.get_ident())), "ab")
        assert blas.threads() == 1

    parallel.each(work, range(2))
    assert sorted(row[:2] for row in seen) == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert all(outer == inner for *_, outer, inner in seen)
    parallel.each(seen.append, [None])  # whoever has computed parts shares the next ones again
    assert blas.threads() == 2


def test_no_more_threads_help_than_blas_would_take(two_threads):
    seen = set()

    def work(part):
        sleep(0.005)
        seen.add(threading.get_ident())

    parallel.each(work, range(30))
    assert len(seen) == 2


def test_helpers_that_do_not_begin_keep_nothing_alive(two_threads):
    """On a busy machine they may begin much later; arrays of many operations would add up."""
    busy, go_on = threading.Event(), threading.Event()

    def wait_for_it():
        busy.set()
        go_on.wait()

    [helping] = parallel.team.send(wait_for_it, 1)
    busy.wait()
    try:
        array = np.ones(1000)
        kept = weakref.ref(array)
        parallel.each(array.take, range(10))
        del array
        assert kept() is None
    finally:
        go_on.set()
        helping.result()


def test_all_threads_warn_of_what_the_caller_is_warned_of(two_threads):
    meeting, seen = threading.Barrier(2, timeout=20), []

    def meet(part):
        meeting.wait()
        seen.append(np.geterr()["invalid"])

    for treatment in ("ignore", "raise", "ignore"):
        with np.errstate(invalid=treatment):
            parallel.each(meet, range(2))
        assert seen == [treatment] * 2
        seen.clear()


def test_blas_has_its_threads_again_after_an_error(two_threads):
    before, done = blas_threads(), []

    def fail_at_ten(part):
        if part == 10:
            raise ValueError("ten")
        sleep(0.001)
        done.append(part)

    with pytest.raises(ValueError, match="ten"):
        parallel.each(fail_at_ten, range(1000))
    assert blas_threads() == before
    assert 10 not in done
    assert len(done) < 1000


def test_nothing_to_do():
    parallel.each(pytest.fail, [])


@pytest.mark.parametrize("unpool", ["nearest", "bicubic"])
def test_the_number_of_threads_changes_no_bit_of_large_results(two_threads, unpool):
    net = fdref.load()
    x = net.prepare(np.resize(fdref.mnist().test.images, (300, 1, 28, 28)))

    def compute():
        return [*fdref.forward(net, x), *fdref.decode_all(net, unpool).values()]

    several = compute()
    with threadpool_limits(1, user_api="blas"):
        alone = compute()
    for one, other in zip(several, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_threads_of_the_users_own_may_compute_at_once(two_threads):
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:200])
    expected, found = fdref.forward(net, x)[-1], []
    users = [
        threading.Thread(target=lambda: found.append(fdref.forward(net, x)[-1])) for _ in range(4)
    ]
    for user in users:
        user.start()
    for user in users:
        user.join(timeout=60)
    assert len(found) == 4
    for one in found:
        np.testing.assert_array_equal(one, expected)
    assert blas.threads() == 2


@pytest.mark.parametrize("started", [0, 1])
def test_where_no_more_threads_can_be_started_those_that_there_are_do_it(started, monkeypatch):
    """As many as there are; the parts are the same, so the bits are."""
    monkeypatch.setattr(blas, "counts", lambda: [4])
    monkeypatch.setattr(parallel, "team", parallel.Team())
    start, begun = threading.Thread.start, []

    def refuse(thread):
        if len(begun) == started:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(blas, "limit", lambda before: None)
    monkeypatch.setattr(blas, "free", lambda before: None)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = []
    for _ in range(2):
        parallel.each(lambda part: done.append((part, threading.get_ident())), range(1000))
    assert sorted(part for part, _ in done) == sorted([*range(1000)] * 2)
    assert len({thread for _, thread in done}) <= 1 + started
    parallel.team.dismiss()


LATE = """
import atexit, threading, time, numpy as np, fdref
from threadpoolctl import threadpool_limits
threadpool_limits(2, user_api="blas")
images = np.random.default_rng(0).standard_normal((300, 20, 12, 12))
filters = np.random.default_rng(1).standard_normal((50, 20, 5, 5))
expected = {expected}
def compute():
    found = fdref.correlate(images, filters)
    print("same" if expected is None or np.array_equal(found, expected) else "another")
def outlive():
    while threading.main_thread().is_alive():
        time.sleep(0.001)
    compute()
atexit.register(compute)
threading.Thread(target=outlive).start()
"""


@pytest.mark.parametrize("expected", ["fdref.correlate(images, filters)", "None"])
def test_at_the_end_of_a_program_threads_compute_as_before(expected):
    """Threads that outlive the main one, and functions called at exit: used before, and not."""
    done = python("-c", LATE.format(expected=expected))
    assert (done.stdout.split(), done.stderr) == ([b"same", b"same"], b"")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(two_threads):
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:200])
    expected = fdref.forward(net, x)[-1]
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        same = np.array_equal(fdref.forward(net, x)[-1], expected)
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to oneself")
def test_ctrl_c_waits_for_no_more_than_the_part_that_is_being_computed(two_threads):
    done = []

    def work(part):
        if part == 5:
            signal.raise_signal(signal.SIGINT) if on_main() else sleep(0.05)
        sleep(0.01)
        done.append(part)

    def on_main():
        return threading.current_thread() is threading.main_thread()

    try:
        parallel.each(work, [5] * 200)
    except KeyboardInterrupt:
        pass
    else:
        pytest.fail("nobody was interrupted")
    assert len(done) < 10


@pytest.mark.parametrize("unpool", ["bilinear", "bicubic"])
def test_all_products_of_a_decoding_are_parts(two_threads, unpool, monkeypatch):
    """Between parts BLAS's own threads would wait, spinning, and take the processors from ours."""
    seen = []

    def product(left, right, *more, right_one=np.matmul, **out):
        seen.append(blas.threads())
        return right_one(left, right, *more, **out)

    net = fdref.load()
    whole = fdref.decode(net, 5, None, unpool)
    monkeypatch.setattr(cuts, "MAPS", 1)  # as many parts as there are channels
    monkeypatch.setattr(np, "matmul", product)
    np.testing.assert_allclose(fdref.decode(net, 5, None, unpool), whole, rtol=0, atol=1e-6)
    assert set(seen) == {1}
    assert len(seen) >= 2 * 50


@given(st.integers(-3, 3), st.integers(0, 40), st.integers(1, 50))
def test_parts_are_as_alike_as_can_be(start, length, most):
    parts = list(cuts.evenly(start, start + length, most))
    assert [n for part in parts for n in range(part.start, part.stop)] == [
        *range(start, start + length)
    ]
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes, default=1) <= most
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    fewest = -(-length // most)
    assert len(parts) in (fewest, fewest + 1)
    if 1 < fewest < min(length, 8):
        assert len(parts) % 2 == 0


@given(st.data(), st.sampled_from([1, 40, 300]), st.integers(1, 6), pairs(1, 9))
def test_however_operations_are_cut_they_are_the_references(data, block, channels, size):
    """Integers, so that sums are exact; blocks so small that batches, rows, channels are cut."""
    layer = data.draw(convs(channels, np.float32, integers=True))
    random = np.random.default_rng(data.draw(seeds))
    field = extent(layer.window, layer.dilate)
    size = max(size[0], field[0]), max(size[1], field[1])
    images = random.integers(-3, 4, (5, channels, *size)).astype(np.float32)
    steps = layer.stride, layer.pad, layer.dilate
    maps = reference.correlate(images, layer.filters, None, *steps)
    corner = np.ascontiguousarray(maps[:, :, :2, :1], np.float32)  # narrower than most filters
    down = layer.stride, layer.dilate, channels // layer.filters.shape[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MATRIX", "LARGEST_MATRIX", "MAPS", "STAMPS", "PIXELS", "ADDED"):
            patch.setattr(cuts, name, block)
        patch.setattr(shifting, "MAPS", block)
        patch.setattr(shifting, "FEW", 0)
        by_patches = compiled.correlate(images, layer.filters, None, *steps)
        by_columns = compiled.substitute(maps, layer.filters, *down)
        patch.setattr(shifting, "FEW", inf)
        found = (
            by_patches,
            by_columns,
            compiled.correlate(images, layer.filters, None, *steps),
            compiled.substitute(maps, layer.filters, *down),
            compiled.substitute(corner, layer.filters, *down),
            compiled.filter_gradient(images, maps, layer.filters, *steps),
            compiled.unpool(maps, (2, 3), (3, 2), "nearest"),
            compiled.pool(images, (1, 1), (2, 2), (0, 0, 0, 0), "max"),
        )
    expected = (
        maps,
        reference.substitute(maps, layer.filters, *down),
        maps,
        reference.substitute(maps, layer.filters, *down),
        reference.substitute(corner, layer.filters, *down),
        reference.filter_gradient(images, maps, layer.filters, *steps),
        reference.unpool(maps, (2, 3), (3, 2), "nearest"),
        reference.pool(images, (1, 1), (2, 2), (0, 0, 0, 0), "max"),
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
