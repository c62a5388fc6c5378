"""Reads a pickle of tensors and plain containers by itself: an interpreter of the few instructions such a file needs.

bytes of data.pkl -> instructions -> dict, list, tuple, str, int, float, bool, None and tensors

A pickle is a program; Python's own reader runs it. This one knows no imports and no calls. A name that the program asks
for is looked up in a fixed table of inert meanings (a tensor, an ordered dict, upstream's HParams, a path, the types
of storage); any other name, and any instruction outside the list, ends the reading with an error. Sizes are bounded as
well: memory taken is proportional to the file.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from timbre.core.errors import InputError

MAX_NODES = 200_000
MAX_DEPTH = 64
_MAX_LONG_BITS = 64

_STORAGES: dict[str, torch.dtype] = {
    "HalfStorage": torch.float16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
_HPARAMS = ("utils HParams", "GPT_SoVITS.utils HParams")
_REBUILD = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_ORDERED = "collections OrderedDict"
_ALLOWED = frozenset(
    [
        _REBUILD,
        _PARAMETER,
        _ORDERED,
        *_HPARAMS,
        *(f"torch {name}" for name in _STORAGES),
        *(f"pathlib {name}" for name in _PATHS),
    ]
)

ReadStorage = Callable[[str, torch.dtype, int], Tensor]


class RefusedError(InputError):
    """The file asks for something that data has no need of, or is damaged. Nothing of it was run."""


@dataclass(frozen=True)
class _Name:
    """A name from the table, such as "torch HalfStorage". It is text; nothing is imported for it."""

    text: str


@dataclass(frozen=True, eq=False)
class _Storage:
    flat: Tensor


class _Ordered(dict[Any, Any]):
    """An OrderedDict of the file; what BUILD adds to it (module metadata) is dropped."""


class _HParams(dict[Any, Any]):
    """Upstream's HParams object: its attributes as a dict."""


_MARK = object()


def read_pickle(program: bytes, read_storage: ReadStorage, source: str) -> Any:
    """The value that the pickle describes.

    read_storage(key, dtype, elements): the flat tensor [elements] of a storage. source: name for messages.
    Raises RefusedError on a name or instruction outside the lists, on sizes out of bounds, and on damage.
    """
    machine = _Machine(read_storage, source)
    try:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                return _plain(machine.result(), source)
            machine.step(opcode.name, argument)
    except RefusedError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, UnicodeError) as error:
        raise RefusedError(f"{source}: damaged pickle: {error}", "download the file again") from error
    raise RefusedError(f"{source}: damaged pickle: it does not end", "download the file again")


class _Machine:
    """Stack, memo, and one method for each group of instructions."""

    def __init__(self, read_storage: ReadStorage, source: str) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._read_storage = read_storage
        self._source = source
        self._copied_items = 0
        self._storage_bytes: dict[str, int] = {}
        self._view_bytes = 0

    def step(self, name: str, argument: Any) -> None:
        """Runs one instruction."""
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self._stack.append(self._literal(argument))
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            values = [self._pop() for _ in range(count)]
            self._stack.append(tuple(reversed(values)))
        elif name not in ("PROTO", "FRAME"):
            action = _ACTIONS.get(name)
            if action is None:
                self._refuse(f"the pickle instruction {name}")
            else:
                action(self, argument)

    def result(self) -> Any:
        """The one value left at the end."""
        if len(self._stack) != 1 or self._stack[0] is _MARK:
            raise ValueError(f"{len(self._stack)} values are left at its end")
        stored = sum(self._storage_bytes.values())
        if self._view_bytes > 4 * stored + (1 << 20):
            self._refuse(f"tensors of {self._view_bytes} bytes over storages of {stored} bytes")
        return self._stack[0]

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value should be")
        return value

    def _pop_to_mark(self) -> list[Any]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                values = self._stack[index + 1 :]
                del self._stack[index:]
                return values
        raise ValueError("no mark on the stack")

    def _literal(self, value: Any) -> Any:
        if isinstance(value, int) and value.bit_length() > _MAX_LONG_BITS:
            self._refuse(f"a whole number of {value.bit_length()} bits")
        return value

    def _mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _append(self, _: Any) -> None:
        self._extend([self._pop()])

    def _appends(self, _: Any) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise ValueError(f"items are added to a {type(target).__name__}")
        target.extend(values)

    def _set_item(self, _: Any) -> None:
        value = self._pop()
        self._update([self._pop(), value])

    def _set_items(self, _: Any) -> None:
        self._update(self._pop_to_mark())

    def _update(self, flat: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(flat) % 2:
            raise ValueError(f"keys are set on a {type(target).__name__}")
        target.update(_pairs(flat[::2], flat[1::2]))

    def _global(self, argument: Any) -> None:
        self._name(str(argument))

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        self._name(f"{module} {name}")

    def _name(self, text: str) -> None:
        if text not in _ALLOWED:
            self._refuse(text.replace(" ", "."))
        self._stack.append(_Name(text))

    def _persistent(self, _: Any) -> None:
        kind, storage_type, key, _location, count = self._pop()
        if kind != "storage" or not isinstance(storage_type, _Name) or not storage_type.text.startswith("torch "):
            raise ValueError("a stored object that is no tensor storage")
        if not isinstance(key, str) or not key.isdecimal() or type(count) is not int or count < 0:
            raise ValueError(f"a storage with key {key!r} and {count!r} elements")
        dtype = _STORAGES[storage_type.text.removeprefix("torch ")]
        flat = self._read_storage(key, dtype, count)
        self._storage_bytes[key] = flat.nbytes
        self._stack.append(_Storage(flat))

    def _reduce(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, _Name) or type(arguments) is not tuple:
            raise ValueError("a call of something that is not a known name")
        if function.text == _REBUILD:
            view = _tensor(*arguments[:4])
            self._view_bytes += view.nbytes
            self._stack.append(view)
        elif function.text == _PARAMETER and isinstance(arguments[0], Tensor):
            self._stack.append(arguments[0])
        elif function.text == _ORDERED and len(arguments) <= 1:
            pairs = arguments[0] if arguments else []
            self._count_copied(len(pairs))
            self._stack.append(_Ordered(_pairs([pair[0] for pair in pairs], [pair[1] for pair in pairs])))
        elif function.text.startswith("pathlib ") and all(type(part) is str for part in arguments):
            if sum(map(len, arguments)) > 4096:
                self._refuse("a path of more than 4096 letters")
            self._stack.append("/".join(arguments))
        else:
            self._refuse(f"a call of {function.text.replace(' ', '.')} with {len(arguments)} arguments")

    def _new_object(self, _: Any) -> None:
        arguments, kind = self._pop(), self._pop()
        if not isinstance(kind, _Name) or kind.text not in _HPARAMS or arguments != ():
            raise ValueError("an object that is not HParams")
        self._stack.append(_HParams())

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, _HParams) and type(state) is dict:
            self._count_copied(len(state))
            target.update(state)
        elif not isinstance(target, _Ordered):
            raise ValueError(f"state is set on a {type(target).__name__}")

    def _count_copied(self, items: int) -> None:
        """Ends the reading when few instructions copy one container again and again."""
        self._copied_items += items
        if self._copied_items > MAX_NODES:
            self._refuse(f"more than {MAX_NODES} copied items")

    def _refuse(self, what: str) -> None:
        raise RefusedError(
            f"{self._source}: refused: the file asks for {what}, which no weight file needs",
            "do not open it with another program either; ask its author for weights in safetensors",
        )


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = frozenset(
    ["BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"]
)
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine._mark,
    "TUPLE": _Machine._tuple,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "BINPERSID": _Machine._persistent,
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._new_object,
    "BUILD": _Machine._build,
}


def _pairs(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    for key in keys:
        if type(key) not in (str, int):
            raise ValueError(f"a dict key of type {type(key).__name__}")
    return dict(zip(keys, values, strict=True))


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """A view into a storage. Elements of the view are bounded by those of the storage, so no size can be made up."""
    if not isinstance(storage, _Storage) or type(size) is not tuple or type(stride) is not tuple:
        raise ValueError("a tensor without storage, size or stride")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 8 or any(type(n) is not int or not 0 <= n < 2**40 for n in numbers):
        raise ValueError(f"a tensor of size {size} and stride {stride}")
    have = storage.flat.numel()
    elements, last = 1, offset
    for count, step in zip(size, stride, strict=True):
        elements *= count
        last += max(0, count - 1) * step
    if elements > have or (elements and last >= have):
        raise ValueError(f"a tensor of size {size} in a storage of {have} elements")
    return torch.as_strided(storage.flat, size, stride, offset)


def _plain(value: Any, source: str) -> Any:
    """A copy in plain dicts, lists and tuples. Bounded, since shared parts can unfold without end."""
    left = MAX_NODES

    def copy(item: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > MAX_DEPTH:
            raise RefusedError(
                f"{source}: refused: more than {MAX_NODES} values or {MAX_DEPTH} levels of nesting",
                "give a weight file of a voice or base",
            )
        if isinstance(item, dict):
            return {key: copy(part, depth + 1) for key, part in item.items()}
        if type(item) in (list, tuple):
            return type(item)(copy(part, depth + 1) for part in item)
        if isinstance(item, Tensor) or item is None or type(item) in (str, int, float, bool):
            return item
        raise ValueError(f"a {type(item).__name__} as a value")

    return copy(value, 0)
