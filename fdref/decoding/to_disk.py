"""Decoding to disk: what is there is kept, and what was interrupted is gone on with."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from fdref.arguments import callback, instance, path_of, truth
from fdref.decoding.contents import Contents, Job, compact
from fdref.decoding.decoded_file import DecodedFile
from fdref.decoding.unfinished import KIND, STEM, bank_of, begin
from fdref.files.folder import is_ours, refusal, refuse_special, unlock
from fdref.files.laid_out import UNREADABLE, alone_in
from fdref.files.whole import failures, place_of
from fdref.network.graph import Network
from fdref.selection import filter_indices, layer_numbers
from fdref.weights.hdf5 import import_h5py

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike

    from fdref.decoding.decoded_file import Bank
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.files.folder import Folder
    from fdref.selection import Layers

SAME = {
    "method": "method",
    "unpool": "unpooling",
    "engine": "engine",
    "network_sha256": "network (SHA-256)",
}
"""Attributes that all layers of a file have in common, and what they are about."""

REMEDY = "choose another place, or force that it is replaced"


def decode_to(
    path: str | os.PathLike[str],
    net: Network,
    layers: Layers = None,
    filters: ArrayLike | None = None,
    unpool: Method = "bicubic",
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    max_memory: int | None = None,
    *,
    force: bool = False,
) -> None:
    """Decode filters into an HDF5 file, block by block: they may be larger than memory.

    Layers that are there are kept if they are of the same network, unpooling and engine. After a
    long run was interrupted or killed, the same call goes on where it stopped.

    Parameters
    ----------
    path : path
        The file, of one dataset (K, C0, Rh, Rw) a layer, such as ``layer3``, with attributes that
        tell how it came about.
    net : Network
    layers : int, str, sequence of them, or mask, optional
        Numbers from 1, or names, or a truth value for each layer; every convolution by default.
    filters, unpool, engine, progress, max_memory
        As `decode` takes them.
    force : bool
        Replace a file that holds something else.

    Raises
    ------
    ArgumentError
        As `decode` does.
    FileError
        If the file holds something else, another process is decoding into the same folder, or it
        cannot be written.

    Examples
    --------
    >>> import fdref, h5py, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fdref.decode_to(f"{folder}/decoded.h5", fdref.load(), layers=[3])
    ...     fdref.decode_to(f"{folder}/decoded.h5", fdref.load(), layers=["conv4"])
    ...     with h5py.File(f"{folder}/decoded.h5") as file:
    ...         {name: bank.shape for name, bank in file.items()}
    {'layer3': (50, 1, 14, 14), 'layer7': (10, 1, 28, 28)}
    """
    place = path_of(path, "path")
    numbers = sorted(layer_numbers(instance(net, Network, "net"), layers))
    jobs = [Job(n, net.describe(n), filter_indices(net, n, filters)) for n in numbers]
    callback(progress, "progress")
    contents = Contents(net, jobs, unpool, engine, {})
    plan = contents.plan(max_memory)
    with (
        failures(place),
        place_of(place) as (folder, name),
        decoded_file(folder, name, contents, force=truth(force, "force")) as file,
    ):
        file.fill(plan if max_memory is not None else file.plan_as_before(plan), progress)
        file.publish(name)


@contextmanager
def decoded_file(
    folder: Folder, name: str, contents: Contents, *, force: bool = False
) -> Iterator[DecodedFile]:
    """Open a file if all is in it, or what an interrupted process has left of it, or a new one.

    An error has a note that says what is kept, where that is worth it.

    Raises
    ------
    FileError
        If there is such a file with something else in it, another process is decoding into the same
        folder, or the disk is too small.
    """
    refuse_special(folder, name)
    # First, or others may add to what is there after it was read.
    own, claimed = alone_in(folder, KIND)
    before = file = None
    try:
        before = None if force else _existing(folder, name, contents)
        if before is not None and all(job.stem in before.banks for job in contents.jobs):
            file = before
            file.measure()
        else:
            file = begin(folder, own, claimed, contents, before)
        if file.name != own:
            folder.remove(own)
        if before is not None:
            file.present = frozenset(before.banks)
        elif force:
            file.replaced = _layers_in(folder, name)
        if before is not None and file is not before:
            file.adopt(before)
        yield file
    except BaseException as error:
        if file is None:
            folder.remove(own)
        elif file.name != name:
            _keep(file, error)
        raise
    finally:
        for disk in (*claimed.values(), *([] if before is None else [before.disk])):
            unlock(disk.fileno())
            disk.close()


def _keep(file: DecodedFile, error: BaseException) -> None:
    """Keep what is worth it, and say so."""
    if not file.worth_keeping:
        file.folder.remove(file.name)
        return
    with suppress(OSError):  # such as a full disk's; then what was noted before holds
        file.save()
    error.add_note(
        f"{file.done:,} of {file.filters:,} filters are kept in {file.folder.path / file.name}; "
        "the same command goes on with them"
    )


def _existing(folder: Folder, name: str, contents: Contents) -> DecodedFile | None:
    """Open a file that is there, if layers can be added to it."""
    h5py = import_h5py()

    path = folder.path / name
    if folder.status(name) is None:
        return None
    disk = os.fdopen(folder.open(name, os.O_RDONLY), "rb", buffering=0)
    banks = {}
    try:
        _refuse_anothers(path, disk)
        with h5py.File(disk, "r") as file:
            for stem in list(file):
                banks[stem] = bank_of(stem, file[stem])
                _check_same(path, banks[stem], contents)
                banks[stem].done = banks[stem].shape[0]
    except UNREADABLE as error:
        disk.close()
        if isinstance(error, OSError) and error.errno:
            raise
        raise refusal(path, f"is no file of decoded filters; {REMEDY}") from None
    except BaseException:
        disk.close()
        raise
    return DecodedFile(folder, name, disk, contents, banks)


def _layers_in(folder: Folder, name: str) -> frozenset[str]:
    """List the layers that a file of ours has, whatever they are; none if it is another."""
    h5py = import_h5py()

    with suppress(*UNREADABLE), os.fdopen(folder.open(name, os.O_RDONLY), "rb") as disk:
        if is_ours(os.fstat(disk.fileno())):
            with h5py.File(disk, "r") as file:
                return frozenset(filter(STEM.fullmatch, file))
    return frozenset()


def _refuse_anothers(path: os.PathLike[str], disk: io.FileIO) -> None:
    if not is_ours(os.fstat(disk.fileno())):
        raise refusal(path, f"is another user's; {REMEDY}")


def _check_same(path: os.PathLike[str], bank: Bank, contents: Contents) -> None:
    """Refuse a layer that came about in another way."""
    about = bank.about
    for key, what in SAME.items():
        if about.get(key) != contents.facts[key]:
            differs = f"{about.get(key)} instead of {contents.facts[key]}"
            raise refusal(path, f"is of another {what}, {differs}; {REMEDY}")
    for job in contents.jobs:
        asked = compact(job.filters)
        if about["layer"] == job.number and about["filters"] != asked:
            differs = f"filters {about['filters']} of layer {job.number} instead of {asked}"
            raise refusal(path, f"holds {differs}; {REMEDY}")
