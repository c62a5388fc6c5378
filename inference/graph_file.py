"""Weights inside an ONNX file: where they lie, and the file with others in their place.

ONNX Runtime's own way of replacing initializers (`add_initializer`) works on some weights only: its layout optimiser
packs those of two-dimensional convolutions from the file before it reads the replacement, and the base speaks
without any error. Here the bytes of the file are replaced before ONNX Runtime sees them, so nothing can be missed.

Only as much of the protobuf wire format is read as it takes to find tensors: no other package is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timbre.inference.errors import GraphError

# Numbers of the fields that lead to a tensor's bytes (onnx.proto).
_GRAPH, _INITIALIZER, _NAME, _RAW_DATA = 7, 5, 8, 9
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


def with_weights(path: Path, replaced: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The file's bytes with float32 initializers replaced, by name; shapes stay.

    Raises GraphError when the file cannot be read, has no such initializer, or one of another size.
    """
    try:
        data = bytearray(path.read_bytes())
        places = weight_places(data)
    except OSError as error:
        raise GraphError(f"{path}: {error.strerror or error}", "export it again: timbre base export NAME") from error
    except (IndexError, ValueError) as error:
        raise GraphError(f"{path}: not an ONNX file: {error}", "export the base again") from error
    for name, array in replaced.items():
        start, end = places.get(name, (0, 0))
        new = np.ascontiguousarray(array, np.float32).tobytes()
        if len(new) != end - start:
            raise GraphError(
                f"{path}: initializer {name!r} has {end - start} bytes, {len(new)} were to be put there",
                "load the voice with the base it was made for, or export the base again",
            )
        data[start:end] = new
    return bytes(data)


def weight_places(data: bytes | bytearray) -> dict[str, tuple[int, int]]:
    """Name -> (first byte, one past the last) of every initializer that keeps its values as raw bytes.

    Raises ValueError or IndexError for data that is no protobuf message.
    """
    places = {}
    for number, start, end in _fields(data, 0, len(data)):
        if number != _GRAPH:
            continue
        for inner, tensor_start, tensor_end in _fields(data, start, end):
            if inner != _INITIALIZER:
                continue
            name, place = "", None
            for item, low, high in _fields(data, tensor_start, tensor_end):
                if item == _NAME:
                    name = bytes(data[low:high]).decode()
                elif item == _RAW_DATA:
                    place = (low, high)
            if place is not None:
                places[name] = place
    return places


def _fields(data: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, one past the last) of each field of a message; numbers are passed over with empty spans."""
    place = start
    while place < end:
        key, place = _varint(data, place)
        kind = key & 7
        size = 0
        if kind == _VARINT:
            _, place = _varint(data, place)
        elif kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {kind} at byte {place}")
        if place + size > end:
            raise ValueError(f"a field ends beyond its message at byte {place}")
        yield key >> 3, place, place + size
        place += size


def _varint(data: bytes | bytearray, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError(f"a number without an end at byte {place}")
