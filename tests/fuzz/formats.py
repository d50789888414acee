"""The formats that are tried."""

from __future__ import annotations

from importlib.util import find_spec

from fuzz import cifar_archives, hdf5, keras_mutants, matlab5

FORMATS = {
    form.name: form
    for form in (matlab5.FORMAT, hdf5.FORMAT, keras_mutants.FORMAT, cifar_archives.FORMAT)
}
if find_spec("onnx"):  # an extra
    from fuzz import onnx_mutants

    FORMATS["onnx"] = onnx_mutants.FORMAT
