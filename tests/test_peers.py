"""Others compute the same: PyTorch, ONNX Runtime and SciPy, side by side with both engines."""

from __future__ import annotations

import numpy as np
import pytest
from absence import absent
from peers import PRECISIONS, TASKS, Task, arrays

from fdref.engines import engine_named

CASES = [
    pytest.param(
        task,
        peer,
        dtype,
        id=f"{task.name}-{peer}-{dtype}",
        marks=[pytest.mark.large, pytest.mark.slow] if task.large else (),
    )
    for task in TASKS
    for peer in task.peers
    for dtype in PRECISIONS[peer]
    if dtype in task.precisions
]


@pytest.mark.parametrize(("task", "peer", "dtype"), CASES)
def test_peer_agrees_with_every_engine(task: Task, peer: str, dtype: str) -> None:
    arguments = task.arguments(dtype)
    try:
        theirs = task.prepare(peer, arguments)()
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    for engine in task.engines:
        ours = task.ours(**arguments, engine=engine)
        precision = engine_named(engine).precision(np.dtype(dtype))
        assert {array.dtype for array in arrays(ours)} == {precision}
        task.check(ours, theirs, dtype, engine)
