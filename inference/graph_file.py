"""Weights inside an ONNX file: where they lie, the file with others in their place, and the file with weights that each
run may bring.

ONNX Runtime's own way of replacing initializers (`add_initializer`) works on some weights only: its layout optimiser
packs those of two-dimensional convolutions from the file before it reads the replacement, and the base speaks
without any error. Here the bytes of the file are replaced before ONNX Runtime sees them, so nothing can be missed.

Only as much of the protobuf wire format is read as it takes to find tensors: no other package is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from timbre.inference.errors import GraphError

# Numbers of the fields that lead to a tensor's bytes (onnx.proto).
_GRAPH, _INITIALIZER, _DIMENSIONS, _NAME, _RAW_DATA = 7, 5, 1, 8, 9
# Those of an input: of the graph, of the value (its name and type), of the type, of its shape.
_INPUT, _VALUE_NAME, _VALUE_TYPE, _TENSOR, _ELEMENT, _SHAPE, _DIMENSION, _SIZE = 11, 1, 2, 1, 1, 2, 1, 1
_FLOAT = 1
_MOST_DIMENSIONS = 3
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
T = TypeVar("T")


def with_weights(path: Path, replaced: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The file's bytes with float32 initializers replaced, by name; shapes stay.

    Raises GraphError when the file cannot be read, has no such initializer, or one of another size.
    """
    data, places = _read(path, lambda content: (bytearray(content), weight_places(content)))
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


def with_inputs(path: Path, names: Collection[str]) -> bytes | None:
    """The file's bytes with these float32 initializers, as far as it has them, offered as inputs that a run may bring:
    ONNX Runtime then takes each run's own, and the file's where a run brings none.

    None where one of them is the weight of a two-dimensional convolution: what a run may bring is not packed when the
    session is made, and blocked convolutions run on packed weights alone. Raises GraphError when the file cannot be
    read.
    """
    data, shapes = _read(
        path, lambda content: (content, {name: shape for name, shape, _ in _tensors(content) if name in names})
    )
    if any(len(shape) > _MOST_DIMENSIONS for shape in shapes.values()):
        return None
    # Messages of one type may be written one after the other: protobuf adds the second's lists to the first's.
    graph = b"".join(_message(_INPUT, _value(name, shape)) for name, shape in shapes.items())
    return data + _message(_GRAPH, graph)


def weight_places(data: bytes | bytearray) -> dict[str, tuple[int, int]]:
    """Name -> (first byte, one past the last) of every initializer that keeps its values as raw bytes.

    Raises ValueError or IndexError for data that is no protobuf message.
    """
    return {name: place for name, _, place in _tensors(data)}


def _read(path: Path, reader: Callable[[bytes], T]) -> T:
    """What reader makes of a file; GraphError where it is none or cannot be read."""
    try:
        return reader(path.read_bytes())
    except OSError as error:
        raise GraphError(f"{path}: {error.strerror or error}", "export it again: timbre base export NAME") from error
    except (IndexError, ValueError) as error:
        raise GraphError(f"{path}: not an ONNX file: {error}", "export the base again") from error


def _tensors(data: bytes | bytearray) -> Iterator[tuple[str, tuple[int, ...], tuple[int, int]]]:
    """Name, shape and place of every initializer that keeps its values as raw bytes."""
    for number, start, end in _fields(data, 0, len(data)):
        if number != _GRAPH:
            continue
        for inner, tensor_start, tensor_end in _fields(data, start, end):
            if inner != _INITIALIZER:
                continue
            name, shape, place = "", list[int](), None
            for item, low, high in _fields(data, tensor_start, tensor_end):
                if item == _NAME:
                    name = bytes(data[low:high]).decode()
                elif item == _DIMENSIONS:
                    # One number, or all of them in one field.
                    while low < high:
                        size, low = _varint(data, low)
                        shape.append(size)
                elif item == _RAW_DATA:
                    place = (low, high)
            if place is not None:
                yield name, tuple(shape), place


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    """ValueInfoProto of a float32 tensor."""
    sizes = b"".join(_message(_DIMENSION, _number(_SIZE, size)) for size in shape)
    tensor = _number(_ELEMENT, _FLOAT) + _message(_SHAPE, sizes)
    return _message(_VALUE_NAME, name.encode()) + _message(_VALUE_TYPE, _message(_TENSOR, tensor))


def _message(field: int, content: bytes) -> bytes:
    return _packed(field << 3 | _BYTES) + _packed(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _packed(field << 3 | _VARINT) + _packed(value)


def _packed(value: int) -> bytes:
    """A number of zero or more as a varint."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _fields(data: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, one past the last) of each field of a message."""
    place = start
    while place < end:
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            size = _varint(data, place)[1] - place
        elif kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
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
