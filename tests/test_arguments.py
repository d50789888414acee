"""Every parameter of every public function and layer takes what it says, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest

import fdref
from fdref import BatchNorm, Conv, Dropout, FdrefError, Network, Normalize, Pool, ReLU, Softmax
from fdref.measure.ceiling import best_filters
from fdref.paper.composition_graph import graph_of, parts_of
from fdref.testing import assert_conforms

ONE = np.ones((2, 2, 1, 1))
NET = Network([Conv(ONE, name="a"), Pool(1, 1), Conv(ONE)])
X = np.ones((1, 2, 3, 3))

MASKED = (np.ma.masked, np.ma.array(1, mask=True), np.ma.array([1, 0], mask=[0, 1]))
NO_TEXT = (5, True, b"abc", ["abc"], None, 1.5)
NO_TRUTH = (1, 0, "yes", None, [True], np.array([True]))
NO_NUMBER = ("0.1", b"1", True, np.True_, np.array(True), None, [0.1], (1,), np.array([0.5]))
NO_NUMBER += (
    np.timedelta64(1),
    np.datetime64("2020"),
    np.nan,
    np.inf,
    -np.inf,
    10**400,
    1j,
    {},
    object(),
    ONE,
    *MASKED,
)
NO_WHOLE = ("1", b"1", "12", True, np.True_, np.array(True), {}, object(), 1j, np.nan, 1.5, 2.0)
NO_WHOLE += (
    np.timedelta64(1),
    np.float32(1),
    Fraction(1),
    -1,
    2**40,
    10**400,
    [],
    [[1, 2]],
    {1, 2},
    {1: 2},
)
NO_WHOLE += (
    [True, 2],
    (1, np.True_),
    np.array([True, True]),
    ["1", "2"],
    [1.0, 2],
    np.ones(2),
    ONE,
    *MASKED,
)
NO_PAIR = (*NO_WHOLE, (1, 2, 3), range(3), [1, None])
NO_WORD = ("", "MAX", "Bicubic", 1, None, True, ["max"], np.array(["max", "avg"]), b"max")
NO_CALL = ("print", 1, True, [print])
NO_LAYER = (True, np.True_, 0, 4, -1, 1.0, "", "z", None, [1], slice(1, 2), (1, 2), 10**30)
NO_LAYERS = (True, 0, 4, -1, 1.0, "z", [True], [1.5], [[1]], ["a", None], [1, True], {1}, "1,3")
NO_LAYERS += (np.ones(3), np.array([True]), np.ones(4, bool), np.array([[1]]), [2], slice(1, 2))
NO_FILTERS = (True, 2, -1, 1.0, "a", "0", [True], [0, 1.5], [[0]], [0, True], {0}, np.True_, b"0")
NO_FILTERS += (np.ones(2), np.ones(3, bool), np.ones((2, 1), bool), np.array([[0]]), slice(0, 1))
NO_FILTERS += MASKED
NO_NET = (None, "lenet.mat", 5, [Conv(ONE)], Conv(ONE))
NO_PATH = (5, True, ["a.mat"], b"a.mat")
NO_WEIGHTS = (
    None,
    [[1], [1, 2]],
    "abc",
    1,
    ONE == 1,
    ONE * np.nan,
    ONE * 1j,
    [[[["1"]]]],
    np.ones(2),
    [],
)
NO_BIAS = (1, "ab", [True, False], [1, 2, 3], [1j, 1], [np.nan, 1], ONE, [])


def norm(**changed):
    parts = {"gain": [1, 1], "bias": [1, 1], "mean": [1, 1], "deviation": [1, 1]}
    return BatchNorm(**parts | changed)


PARAMETERS = {
    "Conv filters": (Conv, NO_WEIGHTS),
    "Conv bias": (lambda v: Conv(ONE, v), NO_BIAS),
    "Conv stride": (lambda v: Conv(ONE, stride=v), (0, *NO_PAIR)),
    "Conv pad": (lambda v: Conv(ONE, pad=v), NO_PAIR),
    "Conv dilate": (lambda v: Conv(ONE, dilate=v), (0, *NO_PAIR)),
    "Conv name": (lambda v: Conv(ONE, name=v), NO_TEXT),
    "Pool window": (lambda v: Pool(v, 1), (0, *NO_PAIR)),
    "Pool stride": (lambda v: Pool(1, v), (0, *NO_PAIR)),
    "Pool pad": (lambda v: Pool(9, 1, v), NO_PAIR),
    "Pool method": (lambda v: Pool(1, 1, method=v), NO_WORD),
    "Pool name": (lambda v: Pool(1, 1, name=v), NO_TEXT),
    "ReLU leak": (ReLU, NO_NUMBER),
    "ReLU name": (lambda v: ReLU(name=v), NO_TEXT),
    "Normalize size": (lambda v: Normalize(v, 1, 1, 1), (0, (5, 6), *NO_WHOLE)),
    "Normalize kappa": (lambda v: Normalize(5, v, 1, 1), NO_NUMBER),
    "Normalize alpha": (lambda v: Normalize(5, 1, v, 1), NO_NUMBER),
    "Normalize beta": (lambda v: Normalize(5, 1, 1, v), NO_NUMBER),
    "Normalize name": (lambda v: Normalize(5, 1, 1, 1, v), NO_TEXT),
    "BatchNorm gain": (lambda v: norm(gain=v), (None, True, *NO_BIAS)),
    "BatchNorm bias": (lambda v: norm(bias=v), (None, True, *NO_BIAS)),
    "BatchNorm mean": (lambda v: norm(mean=v), (None, True, *NO_BIAS)),
    "BatchNorm deviation": (lambda v: norm(deviation=v), (None, [0, 1], [-1, 1], *NO_BIAS)),
    "BatchNorm name": (lambda v: norm(name=v), NO_TEXT),
    "Dropout rate": (Dropout, (-0.1, 1.1, *NO_NUMBER)),
    "Dropout name": (lambda v: Dropout(name=v), NO_TEXT),
    "Softmax name": (Softmax, NO_TEXT),
    "Network layers": (Network, (None, 5, "abc", Conv(ONE), [], [1], [ReLU], {1: Conv(ONE)})),
    "Network average": (
        lambda v: Network([Conv(ONE)], average=v),
        (
            1,
            "a",
            True,
            [True, False],
            [1],
            np.ones((2, 2)),
            [np.nan, 1],
            np.ones((2, 0, 0)),
            [[1], [1, 2]],
        ),
    ),
    "Network input_size": (lambda v: Network([Conv(ONE)], input_size=v), (0, *NO_PAIR)),
    "Network input_channels": (
        lambda v: Network([Conv(ONE)], input_channels=v),
        (0, 3, (2, 2), *NO_WHOLE),
    ),
    "Network classes": (
        lambda v: Network([Conv(ONE)], classes=v),
        ("abc", 5, None, [1], ["a", 2], b"ab", [["a"]], {"a"}, np.array([["a"]]), np.arange(2)),
    ),
    "Network provenance": (lambda v: Network([Conv(ONE)], provenance=v), NO_TEXT),
    "map_sizes": (NET.map_sizes, (0, *NO_PAIR)),
    "prepare": (NET.prepare, (None, 1, "a", X * 1j, X[:, :1], [[1], [1, 2]])),
    "decode net": (lambda v: fdref.decode(v, 1), NO_NET),
    "decode layer": (lambda v: fdref.decode(NET, v), NO_LAYER),
    "decode filters": (lambda v: fdref.decode(NET, 3, v), NO_FILTERS),
    "decode unpool": (lambda v: fdref.decode(NET, 3, unpool=v), NO_WORD),
    "decode engine": (lambda v: fdref.decode(NET, 3, engine=v), NO_WORD),
    "decode progress": (lambda v: fdref.decode(NET, 3, progress=v), NO_CALL),
    "decode max_memory": (
        lambda v: fdref.decode(NET, 3, max_memory=v),
        (0, "2G", True, 1e9, np.nan, "1", [5], b"5", -1),
    ),
    "decode_to force": (lambda v: fdref.decode_to("nowhere", NET, force=v), NO_TRUTH),
    "stages net": (lambda v: fdref.stages(v, 1), NO_NET),
    "stages layer": (lambda v: fdref.stages(NET, v), NO_LAYER),
    "stages filters": (lambda v: fdref.stages(NET, 3, v), NO_FILTERS),
    "stages unpool": (lambda v: fdref.stages(NET, 3, unpool=v), NO_WORD),
    "stages engine": (lambda v: fdref.stages(NET, 3, engine=v), NO_WORD),
    "decode_all net": (fdref.decode_all, NO_NET),
    "decode_all unpool": (lambda v: fdref.decode_all(NET, v), NO_WORD),
    "decode_all engine": (lambda v: fdref.decode_all(NET, engine=v), NO_WORD),
    "decode_all progress": (lambda v: fdref.decode_all(NET, progress=v), NO_CALL),
    "decode_all max_memory": (lambda v: fdref.decode_all(NET, max_memory=v), (0, "2G", True, 1e9)),
    "forward net": (lambda v: fdref.forward(v, X), NO_NET),
    "forward engine": (lambda v: fdref.forward(NET, X, v), NO_WORD),
    "evaluate net": (lambda v: fdref.evaluate(v, X), NO_NET),
    "evaluate layers": (lambda v: fdref.evaluate(NET, X, v), NO_LAYERS),
    "evaluate unpool": (lambda v: fdref.evaluate(NET, X, unpool=v), NO_WORD),
    "evaluate engine": (lambda v: fdref.evaluate(NET, X, engine=v), NO_WORD),
    "evaluate progress": (lambda v: fdref.evaluate(NET, X, progress=v), NO_CALL),
    "evaluate executor": (
        lambda v: fdref.evaluate(NET, X, executor=v),
        (5, "threads", True, [map], map, object(), {"map": map}, ThreadPoolExecutor),
    ),
    "respond net": (lambda v: fdref.respond(v, 1, ONE, X), NO_NET),
    "respond layer": (lambda v: fdref.respond(NET, v, ONE, X), NO_LAYER),
    "respond engine": (lambda v: fdref.respond(NET, 1, ONE, X, v), NO_WORD),
    "receptive_field net": (lambda v: fdref.receptive_field(v, 1), NO_NET),
    "receptive_field layer": (lambda v: fdref.receptive_field(NET, v), NO_LAYER),
    "correlate stride": (lambda v: fdref.correlate(X, ONE, stride=v), (0, *NO_PAIR)),
    "correlate pad": (lambda v: fdref.correlate(X, ONE, pad=v), NO_PAIR),
    "correlate dilate": (lambda v: fdref.correlate(X, ONE, dilate=v), (0, *NO_PAIR)),
    "correlate engine": (lambda v: fdref.correlate(X, ONE, engine=v), NO_WORD),
    "pool window": (lambda v: fdref.pool(X, v, 1), (0, *NO_PAIR)),
    "pool stride": (lambda v: fdref.pool(X, 1, v), (0, *NO_PAIR)),
    "pool pad": (lambda v: fdref.pool(X, 3, 1, v), NO_PAIR),
    "pool method": (lambda v: fdref.pool(X, 1, 1, method=v), NO_WORD),
    "pool engine": (lambda v: fdref.pool(X, 1, 1, engine=v), NO_WORD),
    "substitute stride": (lambda v: fdref.substitute(X, ONE, v), (0, *NO_PAIR)),
    "substitute dilate": (lambda v: fdref.substitute(X, ONE, dilate=v), (0, *NO_PAIR)),
    "substitute groups": (lambda v: fdref.substitute(X, ONE, groups=v), (0, (1, 2), *NO_WHOLE)),
    "substitute engine": (lambda v: fdref.substitute(X, ONE, engine=v), NO_WORD),
    "unpool stride": (lambda v: fdref.unpool(X, v), (0, *NO_PAIR)),
    "unpool window": (lambda v: fdref.unpool(X, 1, v), (0, *NO_PAIR)),
    "unpool method": (lambda v: fdref.unpool(X, 1, method=v), NO_WORD),
    "unpool engine": (lambda v: fdref.unpool(X, 1, engine=v), NO_WORD),
    "load path": (fdref.load, NO_PATH),
    "save net": (lambda v: fdref.save(v, "/nowhere/net.mat"), NO_NET),
    "save path": (lambda v: fdref.save(NET, v), (None, *NO_PATH)),
    "mnist path": (fdref.mnist, NO_PATH),
    "nonlinearities layers": (lambda v: fdref.nonlinearities(NET, X, X, v), NO_LAYERS),
    "nonlinearities unpool": (lambda v: fdref.nonlinearities(NET, X, unpool=v), NO_WORD),
    "nonlinearities points": (lambda v: fdref.nonlinearities(NET, X, points=v), (0, *NO_WHOLE)),
    "nonlinearities engine": (lambda v: fdref.nonlinearities(NET, X, engine=v), NO_WORD),
    "best_filters layers": (lambda v: best_filters(NET, X, v), NO_LAYERS),
    "parts_of layer": (lambda v: parts_of(NET, v, 0), (2, *NO_LAYER)),
    "parts_of k": (lambda v: parts_of(NET, 3, v), (*NO_FILTERS, [0], [], None)),
    "graph_of k": (lambda v: graph_of(NET, 3, v), (*NO_FILTERS, [0], [], None)),
    "graph_of most": (
        lambda v: graph_of(NET, 3, 0, v),
        ("1", True, -1, 1.5, [1], np.nan, np.True_),
    ),
    "assert_conforms function": (lambda v: assert_conforms(v, "relu"), (None, "relu", 1)),
    "assert_conforms operation": (lambda v: assert_conforms(abs, v), NO_WORD),
    "assert_conforms functions": (
        assert_conforms,
        ({"max": abs}, {1: abs}, {("relu",): abs}, {"relu": "abs"}, {}, [abs], abs),
    ),
    "assert_conforms only": (
        lambda v: assert_conforms(abs, "relu", only=v),
        ("relu", ["unpool"], [1], [None], 1, [["relu"]]),
    ),
    "assert_conforms profile": (
        lambda v: assert_conforms({"relu": abs}, profile=v),
        [word for word in NO_WORD if word is not None],
    ),
    "Processes count": (fdref.Processes, (0, *NO_WHOLE)),
    "Cluster address": (
        fdref.Cluster,
        (None, 5, "", "10.0.0.1", ["tcp://10.0.0.1:1"], b"tcp://a:1"),
    ),
    "assert_conforms kit": (lambda v: assert_conforms(abs, "relu", kit=v), NO_PATH),
    "assert_conforms xfail": (lambda v: assert_conforms(abs, "relu", xfail=v), ("relu", "*")),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_is_no_such_thing_is_refused_in_one_line(name):
    call, wrong = PARAMETERS[name]
    for value in wrong:
        with pytest.raises(FdrefError) as caught:
            pytest.fail(f"{name} took {value!r} and gave {call(value)!r}")
        assert "\n" not in str(caught.value), value
        assert len(str(caught.value)) < 400, value


@pytest.mark.parametrize("kind", [int, np.int8, np.uint64, np.array])
def test_numbers_of_every_kind_are_the_same(kind):
    assert Conv(ONE, stride=kind(2), pad=kind(1)) == Conv(ONE, stride=2, pad=1)
    assert Pool([kind(3), 2], (kind(2), 1)) == Pool((3, 2), (2, 1))
    assert Normalize(kind(5), kind(1), kind(1), kind(1)) == Normalize(5, 1.0, 1.0, 1.0)
    assert type(Normalize(kind(5), 1, 1, 1).size) is int
    assert Network([Conv(ONE)], input_channels=kind(2), input_size=kind(4)).input_size == (4, 4)
    assert fdref.decode(NET, kind(3), kind(1)).shape == (1, 2, 1, 1)
    assert fdref.substitute(X, ONE[:, :1], groups=kind(2)).shape == X.shape


@pytest.mark.parametrize("kind", [float, np.float16, np.float32, np.longdouble, np.array, Fraction])
def test_real_numbers_of_every_kind_are_floats(kind):
    assert ReLU(kind(0.5)) == ReLU(0.5)
    assert type(ReLU(kind(0.5)).leak) is float
    assert Dropout(kind(0.5)) == Dropout(0.5)
    assert Dropout(0).rate == 0.0
    assert Dropout(1).rate == 1.0


@pytest.mark.parametrize("many", [tuple, list, np.array])
def test_sizes_and_margins_of_every_kind_are_the_same(many):
    made = Conv(ONE, stride=many([1, 2]), pad=many([1, 2, 3, 4]), dilate=many([3]))
    assert (made.stride, made.pad, made.dilate) == ((1, 2), (1, 2, 3, 4), (3, 3))
    assert Network([Conv(ONE)], classes=many(["a", "b"])).classes == ("a", "b")


def test_truth_values_and_words_may_be_numpys(tmp_path):
    fdref.decode_to(tmp_path / "decoded.h5", NET, force=np.True_)
    assert fdref.decode(NET, 3, unpool=np.str_("nearest"), engine=np.str_("compiled")).size
    assert type(Softmax(np.str_("p")).name) is str


class Tensor:
    """What another library passes."""

    def __init__(self, values) -> None:
        self.values = values

    def __array__(self, dtype=None, copy=None):
        if self.values is None:
            raise RuntimeError("requires grad")
        return np.asarray(self.values, dtype)

    def __index__(self) -> int:
        return int(self.values)

    def __float__(self) -> float:
        return float(self.values)


def test_other_libraries_tensors_are_arrays():
    assert Conv(ONE, stride=Tensor([1, 2])).stride == (1, 2)
    assert ReLU(Tensor(0.5)) == ReLU(0.5)
    bank = fdref.decode(NET, 3)
    assert (fdref.decode(NET, Tensor(3), Tensor([1])) == bank[1:]).all()
    assert (fdref.decode(NET, 3, Tensor([True, False])) == bank[:1]).all()
    for call in (
        lambda: Conv(ONE, stride=Tensor(True)),
        lambda: Conv(ONE, stride=Tensor(None)),
        lambda: ReLU(Tensor(True)),
        lambda: fdref.decode(NET, 3, Tensor(True)),
        lambda: fdref.decode(NET, 3, Tensor(None)),
        lambda: fdref.evaluate(NET, X, Tensor(None)),
    ):
        with pytest.raises(FdrefError, match="Tensor"):
            call()
