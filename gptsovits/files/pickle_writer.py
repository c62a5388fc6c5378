"""Writes the pickle inside a torch file without importing what it names.

plain data with tensors -> (bytes of data.pkl, flat storages in the order of their keys)

torch.save could write it only if a module `utils` with upstream's class HParams were importable here. The instructions
are few, so they are written directly (protocol 2, as torch does).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_STORAGE_NAMES = {
    torch.float16: "HalfStorage",
    torch.float32: "FloatStorage",
    torch.float64: "DoubleStorage",
    torch.bfloat16: "BFloat16Storage",
    torch.int64: "LongStorage",
    torch.int32: "IntStorage",
    torch.int16: "ShortStorage",
    torch.int8: "CharStorage",
    torch.uint8: "ByteStorage",
    torch.bool: "BoolStorage",
}


@dataclass(frozen=True)
class HParams:
    """A mapping to be written as an instance of upstream's class `utils.HParams`; mappings inside it likewise."""

    values: Mapping[str, Any]
    """Name -> value, in the order of writing; names are strings."""


def write_pickle(value: Any) -> tuple[bytes, list[Tensor]]:
    """The pickle of value, and its storages as flat contiguous CPU tensors.

    value: None, bool, int, float, str, list, tuple, mapping, Tensor, HParams. Raises TypeError on anything else.
    """
    writer = _Writer()
    writer.put(value)
    return b"\x80\x02" + bytes(writer.program) + b".", writer.storages


class _Writer:
    def __init__(self) -> None:
        self.program = bytearray()
        self.storages: list[Tensor] = []

    def put(self, value: Any) -> None:
        """Appends the instructions that push value."""
        if value is None:
            self.program += b"N"
        elif isinstance(value, bool):
            self.program += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            self._integer(value)
        elif isinstance(value, float):
            self.program += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            data = value.encode("utf-8", "surrogatepass")
            self.program += b"X" + struct.pack("<I", len(data)) + data
        elif isinstance(value, Tensor):
            self._tensor(value)
        elif isinstance(value, HParams):
            self.program += b"cutils\nHParams\n)\x81"
            self._mapping({key: _nested(item) for key, item in value.values.items()})
            self.program += b"b"
        elif isinstance(value, Mapping):
            self._mapping(value)
        elif isinstance(value, list):
            self.program += b"](" + self._inner(value) + b"e"
        elif isinstance(value, tuple):
            self.program += b"(" + self._inner(value) + b"t"
        else:
            raise TypeError(f"a {type(value).__name__} cannot be written")

    def _inner(self, values: list[Any] | tuple[Any, ...]) -> bytes:
        whole, self.program = self.program, bytearray()
        for value in values:
            self.put(value)
        inner, self.program = bytes(self.program), whole
        return inner

    def _integer(self, value: int) -> None:
        if -(2**31) <= value < 2**31:
            self.program += b"J" + struct.pack("<i", value)
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.program += b"\x8a" + bytes([len(data)]) + data

    def _mapping(self, value: Mapping[Any, Any]) -> None:
        self.program += b"}("
        for key, item in value.items():
            self.put(key)
            self.put(item)
        self.program += b"u"

    def _tensor(self, value: Tensor) -> None:
        flat = value.detach().cpu().contiguous()
        self.program += b"ctorch._utils\n_rebuild_tensor_v2\n(("
        self.put("storage")
        self.program += b"ctorch\n" + _STORAGE_NAMES[value.dtype].encode() + b"\n"
        self.put(str(len(self.storages)))
        self.put("cpu")
        self.put(flat.numel())
        self.program += b"tQ"
        self.put(0)
        self.put(tuple(flat.shape))
        self.put(tuple(flat.stride()))
        self.program += b"\x89ccollections\nOrderedDict\n)RtR"
        self.storages.append(flat.reshape(-1))


def _nested(value: Any) -> Any:
    return HParams(value) if isinstance(value, Mapping) else value
