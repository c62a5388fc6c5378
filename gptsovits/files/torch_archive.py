"""The zip file that torch.save writes: read without running it, and written byte for byte by rule.

path -> (value, header): value is plain data with tensors; header is the first two bytes, upstream's label.

Upstream marks v2Pro and v2ProPlus voices by overwriting the first two bytes of the zip file ("PK") with "05" and "06".
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from timbre.core.atomic import replacing
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.files.pickle_writer import write_pickle
from timbre.gptsovits.files.restricted_unpickler import RefusedError, read_pickle

_MAX_ENTRIES = 20_000
_MAX_PROGRAM_BYTES = 16 << 20
_ALIGNMENT = 64
_AGAIN = "download the file again"


class _Relabelled(io.RawIOBase):
    """A file whose first two bytes read as "PK" whatever they are."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        start = self._file.tell()
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        for index in range(start, min(2, start + len(data))):
            buffer[index - start] = b"PK"[index]
        return len(data)


def read_archive(path: Path) -> tuple[Any, bytes]:
    """The value in a torch zip file, and the file's first two bytes.

    Tensors come as they are stored (dtype and shape), on the CPU. Raises RefusedError when the file is not a torch zip
    file, is damaged, or asks for anything but tensors and plain containers; ConfigurationError when it does not exist.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
    with file:
        header = file.read(4)
        if header[2:] != b"\x03\x04":
            raise RefusedError(
                f"{path}: not a torch zip file (it starts with {header!r})",
                "files of torch before 1.6 and bare pickles are not read: save it again as safetensors",
            )
        size_bytes = file.seek(0, io.SEEK_END)
        try:
            with zipfile.ZipFile(io.BufferedReader(_Relabelled(file))) as archive:
                return _read(archive, size_bytes, str(path)), header[:2]
        except (zipfile.BadZipFile, EOFError, OSError, struct.error, NotImplementedError, zlib.error) as error:
            raise RefusedError(f"{path}: damaged zip file: {error}", _AGAIN) from error


def _read(archive: zipfile.ZipFile, size_bytes: int, source: str) -> Any:
    entries = _entries(archive, size_bytes, source)
    programs = [name for name in entries if name.endswith("/data.pkl")]
    if len(programs) != 1 or programs[0].count("/") != 1:
        raise RefusedError(f"{source}: contains {len(programs)} data.pkl, a weight file one", "give a weight file")
    root = programs[0].removesuffix("data.pkl")
    if root + "constants.pkl" in entries or any(name.startswith(root + "code/") for name in entries):
        raise RefusedError(
            f"{source}: refused: a TorchScript program, not weights", "ask its author for the weights alone"
        )
    if entries[programs[0]].file_size > _MAX_PROGRAM_BYTES:
        raise RefusedError(
            f"{source}: data.pkl takes {entries[programs[0]].file_size} bytes, limit {_MAX_PROGRAM_BYTES}",
            "give a weight file of a voice or base",
        )
    if root + "byteorder" in entries and archive.read(root + "byteorder") != b"little":
        raise RefusedError(f"{source}: written on a big-endian machine", "save it on a little-endian one")
    storages: dict[str, Tensor] = {}

    def read_storage(key: str, dtype: torch.dtype, elements: int) -> Tensor:
        entry = entries.get(f"{root}data/{key}")
        if entry is None or entry.file_size != elements * dtype.itemsize:
            have = "absent" if entry is None else f"{entry.file_size} bytes"
            raise RefusedError(f"{source}: storage {key} of {elements} {dtype} is {have}", _AGAIN)
        if key not in storages:
            storages[key] = torch.frombuffer(bytearray(archive.read(entry)) or bytearray(1), dtype=torch.uint8)
        return storages[key][: elements * dtype.itemsize].view(dtype)

    return read_pickle(archive.read(programs[0]), read_storage, source)


def _entries(archive: zipfile.ZipFile, size_bytes: int, source: str) -> dict[str, zipfile.ZipInfo]:
    """Entries by name. torch stores without compression, so sizes that exceed the file are a trick."""
    infos = archive.infolist()
    if len(infos) > _MAX_ENTRIES:
        raise RefusedError(f"{source}: {len(infos)} entries, limit {_MAX_ENTRIES}", "give a weight file")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise RefusedError(
                f"{source}: refused: entry {info.filename!r} is compressed or encrypted; torch does neither",
                "unpack it and save it with torch.save or as safetensors",
            )
    total = sum(info.file_size for info in infos)
    if total > size_bytes:
        raise RefusedError(
            f"{source}: refused: entries claim {total} bytes in a file of {size_bytes}", "give a weight file"
        )
    entries = {info.filename: info for info in infos}
    if len(entries) != len(infos):
        raise RefusedError(f"{source}: refused: two entries of one name", "give a weight file")
    return entries


def write_archive(value: Mapping[str, Any], path: Path, header: bytes = b"PK") -> None:
    """Write what torch.save would: plain containers, tensors and HParams (gptsovits/files/pickle_writer.py).

    header: the first two bytes of the file, "PK" or upstream's label. Atomic: path is either old or complete.
    """
    program, storages = write_pickle(value)
    with replacing(path) as partial, partial.open("w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _put(archive, "archive/data.pkl", program)
            _put(archive, "archive/byteorder", b"little")
            for index, tensor in enumerate(storages):
                _put(archive, f"archive/data/{index}", tensor.view(torch.uint8).numpy().tobytes())
            _put(archive, "archive/version", b"3\n")
        file.seek(0)
        file.write(header)


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """One stored entry whose data begin at a multiple of 64 bytes, as torch aligns them (padding in an extra field)."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    assert archive.fp is not None
    begin = archive.fp.tell() + 30 + len(name.encode()) + 4
    padding = -begin % _ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    archive.writestr(info, data)
