"""Compiled loops in files, each with a digest, so that nothing damaged is loaded.

Numba unpickles whatever it finds and runs machine code as it is; a damaged file would end in any
exception, a crash or wrong numbers.
"""

from __future__ import annotations

import pickle
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

if TYPE_CHECKING:
    from collections.abc import Callable


class SealedCache(FunctionCache):
    """Numba's cache of a function, with its files sealed."""

    def __init__(self, function: Callable[..., None]) -> None:
        super().__init__(function)
        self._cache_file = _SealedFiles(
            cache_path=self.cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )


class _SealedFiles(IndexDataCacheFile):
    """An index, which begins with a version, and files of data; pickles end before their digest."""

    def _dump(self, content: object) -> bytes:
        data: bytes = super()._dump(content)
        return data + sha256(data).digest()

    def _load_index(self) -> Any:
        version = pickle.dumps(self._version, protocol=-1)
        return super()._load_index() if _is_whole(self._index_path, version) else {}

    def _load_data(self, name: str) -> Any:
        if not _is_whole(self._data_path(name)):
            raise OSError(f"{name} is damaged")  # as good as gone: Numba compiles and writes anew
        return super()._load_data(name)


def _is_whole(path: str, start: bytes = b"") -> bool:
    try:
        content = Path(path).read_bytes()
    except OSError:  # gone, or somebody else's
        return False
    digest = sha256().digest_size
    sealed = content[len(start) : -digest]
    return content.startswith(start) and sha256(sealed).digest() == content[-digest:]
