"""Files of decoded filters that are not whole yet: begun, left behind, taken over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fdref.decoding.decoded_file import Bank, DecodedFile
from fdref.files.laid_out import lay_out, left_behind, newest_record, room_of
from fdref.weights.hdf5 import import_h5py

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping

    import h5py

    from fdref.decoding.contents import Contents
    from fdref.files.folder import Folder
    from fdref.files.laid_out import Described

KIND = "decoding"
"""How names of files end that are being decoded, or were when the process died."""

STEM = re.compile("layer[1-9][0-9]{0,8}")


def begin(
    folder: Folder,
    own: str,
    claimed: Mapping[str, io.FileIO],
    contents: Contents,
    before: DecodedFile | None,
) -> DecodedFile:
    """Take over what an interrupted process has left of the same, or begin."""
    described = contents.described()
    if before is not None:
        described |= _described(before.banks)
    described = dict(sorted(described.items(), key=lambda item: int(item[0][5:])))

    def take_over(name: str, disk: io.FileIO) -> DecodedFile | None:
        return _take_over(folder, name, disk, contents, described)

    left = left_behind(folder, own, claimed, take_over)
    return left or _lay_out(folder, own, claimed[own], contents, described)


def _take_over(
    folder: Folder, name: str, disk: io.FileIO, contents: Contents, described: Described
) -> DecodedFile | None:
    """Go on with what was left; None if it is of something else, an error if of no use."""
    h5py = import_h5py()

    end, record = newest_record(disk)
    with h5py.File(disk, "r") as hdf5:
        banks = {stem: bank_of(stem, hdf5[stem]) for stem in list(hdf5)}
    if _described(banks) != described:
        return None
    for stem, bank in banks.items():
        done, bank.smallest, bank.largest, bank.seconds = map(float, record["banks"][stem])
        bank.done = range(bank.shape[0] + 1)[int(done)]
    file = DecodedFile(folder, name, disk, contents, banks)
    file.begin(end, int(record["records"]), int(record["memory"]))
    return file


def _lay_out(
    folder: Folder, name: str, disk: io.FileIO, contents: Contents, described: Described
) -> DecodedFile:
    """Write a file with room for every number."""
    end, rooms = lay_out(folder, disk, described, "the decoded filters")
    banks = {stem: Bank(**vars(room)) for stem, room in rooms.items()}
    file = DecodedFile(folder, name, disk, contents, banks)
    file.begin(end, 0, 0)
    return file


def bank_of(stem: str, dataset: h5py.Dataset) -> Bank:
    """Find out where a layer's filters are, and what they are."""
    room = room_of(dataset)
    if not STEM.fullmatch(stem) or stem != f"layer{room.about['layer']}":
        raise ValueError(stem)
    return Bank(**vars(room))


def _described(banks: Mapping[str, Bank]) -> Described:
    return {stem: (bank.shape, bank.dtype, bank.about) for stem, bank in banks.items()}
