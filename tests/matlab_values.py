"""What tests of MATLAB files share: values, whether they are the same, and what a refusal is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fdref.errors import FileError
from fdref.weights.bounded import LARGEST, Budget
from fdref.weights.matlab import read

if TYPE_CHECKING:
    from pathlib import Path

    from fdref.weights.matlab import Value

FILTERS = np.arange(2 * 3 * 4 * 5, dtype="f4").reshape(2, 3, 4, 5)
BIASES = np.array([-0.0, np.inf])
NET: dict[str, Value] = {
    "layers": [
        {"type": "conv", "weights": [FILTERS, BIASES], "stride": np.array([[2.0], [1.0]])},
        {"type": "relu", "name": "naïve €", "opts": [], "nothing": {}},
    ],
    "trained": np.array([True, False]),
    "epoch": np.array(-3, "i2"),
}


def plain(value: Any) -> Any:
    """Give a value in a form that == compares to the bit, as it comes back from a file."""
    if isinstance(value, dict):
        return [(name, plain(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if not isinstance(value, np.ndarray):
        return value
    array = value if value.ndim > 1 else value.reshape(-1, 1)
    native = array.astype(array.dtype.newbyteorder("="))
    return native.dtype.str, native.shape, native.tobytes()


def refused(path: Path, *, match: str, most: int = LARGEST) -> None:
    """Check that reading ends in one line that names the file."""
    with pytest.raises(FileError, match=match) as refusal:
        read(path, Budget(largest=most))
    message = str(refusal.value)
    assert path.name.isprintable() <= (path.name in message)
    assert message.isprintable()
