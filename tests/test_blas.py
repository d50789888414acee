"""NumPy's BLAS keeps to one thread where we have several, whatever else is loaded."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from absence import absent
from command_line import python
from threadpoolctl import ThreadpoolController, threadpool_limits

from fdref.engines import blas, parallel

LIBRARIES = """
import sys
from threadpoolctl import threadpool_info, threadpool_limits
import numpy
def threads():
    found = (library for library in threadpool_info() if library["user_api"] == "blas")
    return {library["filepath"]: library["num_threads"] for library in found}
numpys = set(threads())
if sys.argv[1] == "before":
    import scipy.linalg
if sys.argv[1] == "first":
    numpys = set(eval(sys.argv[2]))
from fdref.engines import parallel
"""

LIMITED = f"""
import sys
if sys.argv[1] == "first":
    import scipy.linalg
{LIBRARIES}
if sys.argv[1] == "after":
    parallel.each(print, [])
    import scipy.linalg
threadpool_limits(2, user_api="blas")
before, seen = threads(), []
parallel.each(lambda part: seen.append([threads()[path] for path in numpys]), range(2))
assert len(before) > len(numpys), "SciPy has no BLAS of its own"
assert before == threads()
print(sorted(numpys), seen)
"""


@pytest.mark.parametrize(
    "order",
    [
        "before",
        pytest.param("first", marks=pytest.mark.slow),
        pytest.param("after", marks=pytest.mark.slow),
    ],
)
def test_whatever_else_is_loaded_numpys_own_keeps_to_one_thread(order):
    """From version 3.7 on, threadpoolctl lists libraries in the order of a set."""
    pytest.importorskip("scipy")
    alone = python("-c", LIBRARIES + "print(sorted(numpys))", "none").stdout.decode().strip()
    if alone == "[]":
        absent("threads", "NumPy's BLAS does not let itself be asked")
    for seed in "0123":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = python("-c", LIMITED, order, alone, env=environment)
        assert done.stderr == b""
        assert done.stdout.decode().strip() == f"{alone} [[1], [1]]"


class Library:
    """A BLAS whose number of threads is everybody's, or each thread's own, as with OpenMP."""

    def __init__(self, threads, *, shared=True):
        self.threads, self.shared, self.own = threads, shared, threading.local()

    @property
    def num_threads(self):
        return self.threads if self.shared else getattr(self.own, "threads", self.threads)

    def set_num_threads(self, threads):
        if self.shared:
            self.threads = threads
        else:
            self.own.threads = threads


@pytest.fixture
def libraries(monkeypatch):
    found = []
    monkeypatch.setattr(blas, "_libraries", lambda: found)
    return found


@pytest.mark.parametrize("shared", [True, False])
def test_every_thread_that_helps_keeps_to_one(libraries, shared):
    libraries += [Library(3, shared=shared), Library(4, shared=shared)]
    meeting, seen = threading.Barrier(3, timeout=20), []

    def work(part):
        meeting.wait()
        seen.append(blas.counts())

    for _ in range(2):
        parallel.each(work, range(3))
    assert seen == [[1, 1]] * 6
    assert blas.counts() == [3, 4]


@pytest.mark.parametrize("threads", [(), (1,), (None,)])
def test_where_nothing_can_be_limited_or_has_one_thread_the_caller_computes_alone(
    libraries, threads
):
    libraries += map(Library, threads)
    seen = []
    parallel.each(lambda part: seen.append(threading.current_thread()), range(9))
    assert seen == [threading.current_thread()] * 9
    assert [library.threads for library in libraries] == list(threads)


def two_threads():
    if not ThreadpoolController().select(user_api="blas").lib_controllers or not blas.counts():
        absent("threads", "NumPy's BLAS does not let itself be asked")
    return threadpool_limits(2, user_api="blas")


def test_a_thread_that_has_set_a_number_does_not_keep_others_from_it():
    seen = []

    def compute():
        parallel.each(lambda part: seen.append(blas.threads()), [0])

    with two_threads():
        user = threading.Thread(target=compute)
        user.start()
        user.join(timeout=60)
        assert (seen, blas.threads()) == ([1], 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_another_thread_computes_has_its_threads():
    begun, done = threading.Event(), threading.Event()

    def work(part):
        begun.set()
        assert done.wait(60)

    with two_threads():
        user = threading.Thread(target=parallel.each, args=(work, [0]))
        user.start()
        assert begun.wait(60)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            seen = [blas.threads()]
            parallel.each(lambda part: seen.append(blas.threads()), [0])
            os._exit(0 if seen == [2, 1] else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        limited = blas.threads()
        done.set()
        user.join(timeout=60)
        assert (status, limited, blas.threads()) == (0, 1, 2)


def test_an_interruption_gives_the_threads_back_and_no_error_hides_it():
    meeting = threading.Barrier(2, timeout=20)

    def fail(part):
        meeting.wait()
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        raise ValueError

    with two_threads():
        with pytest.raises(KeyboardInterrupt):
            parallel.each(fail, range(50))
        assert blas.threads() == 2
