"""Files that must be refused, and what they would have done: nothing of them may run, and none may take much memory."""

from __future__ import annotations

import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.gptsovits.archive_samples import put_program, put_voice
from timbre.gptsovits.files.checkpoints import read_checkpoint, read_state_dict
from timbre.gptsovits.files.restricted_unpickler import MAX_NODES, RefusedError, read_pickle
from timbre.gptsovits.files.torch_archive import read_archive

ROOT = Path(__file__).resolve().parents[2]


class Calls:
    """Pickles as a call of function(*arguments)."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> Any:
        return self.made


def tensor_program(
    size: tuple[int, ...], stride: tuple[int, ...], count: int = 4, offset: int = 0, key: str = "0"
) -> bytes:
    """The program of one float32 tensor with the given shape over a storage of count elements."""

    def number(value: int) -> bytes:
        return b"\x8a\x08" + struct.pack("<q", value)

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    return b"".join(
        [
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((",
            text("storage"),
            b"ctorch\nFloatStorage\n",
            text(key),
            text("cpu"),
            number(count),
            b"tQ",
            number(offset),
            b"(",
            *map(number, size),
            b"t(",
            *map(number, stride),
            b"t",
            b"\x89ccollections\nOrderedDict\n)RtR.",
        ]
    )


def no_storage(key: str, dtype: torch.dtype, elements: int) -> torch.Tensor:
    raise AssertionError("no storage is asked for")


CALLS: dict[str, Callable[[str], Any]] = {
    "os.system": lambda mark: Calls(os.system, f"touch {mark}"),
    "builtins.eval": lambda mark: Calls(eval, f"open({mark!r}, 'w').close()"),
    "builtins.exec": lambda mark: Calls(exec, f"open({mark!r}, 'w').close()"),
    "subprocess.Popen": lambda mark: Calls(subprocess.Popen, ["touch", mark]),
    "builtins.getattr": lambda mark: Calls(getattr, Calls(__import__, "os"), "system"),
    "builtins.open": lambda mark: Calls(open, mark, "w"),
    "pathlib.Path.touch": lambda mark: Calls(Path.touch, Path(mark)),
    "numpy array": lambda mark: np.zeros(3),
    "numpy scalar": lambda mark: np.float64(1.0),
    "torch.load": lambda mark: Calls(torch.load, mark),
    "torch.hub": lambda mark: Calls(torch.hub.load, mark),
    "set": lambda mark: {1, 2},
    "bytearray": lambda mark: bytearray(b"ab"),
    "complex": lambda mark: 1j,
    "own class": lambda mark: pytest.fixture,
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("place", ["top", "nested", "key_of_config"])
def test_calls_are_refused_and_not_made(tmp_path: Path, name: str, protocol: int, place: str) -> None:
    mark = tmp_path / "ran"
    evil = CALLS[name](str(mark))
    value = {
        "top": evil,
        "nested": {"weight": {"enc_p.x": evil}, "config": {}},
        "key_of_config": {"weight": {}, "config": {"a": [1, ({"b": evil},)]}},
    }[place]
    path = put_program(tmp_path / "evil.pth", pickle.dumps(value, protocol))
    with pytest.raises(RefusedError) as caught:
        read_archive(path)
    assert "evil.pth" in caught.value.message
    assert not mark.exists()


@pytest.mark.parametrize("name", ["builtins.eval", "builtins.exec", "builtins.open", "pathlib.Path.touch"])
def test_the_attacks_are_real(tmp_path: Path, name: str) -> None:
    """The same files do act when torch reads them the old way: the refusals above are not for a broken archive."""
    mark = tmp_path / "ran"
    path = put_program(tmp_path / "evil.pth", pickle.dumps({"weight": CALLS[name](str(mark))}, 2))
    torch.load(path, weights_only=False)
    assert mark.exists()


def test_the_name_that_is_asked_for_is_in_the_message(tmp_path: Path) -> None:
    path = put_program(tmp_path / "e.pth", b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.")
    with pytest.raises(RefusedError, match=r"posix\.system"):
        read_archive(path)


def programs() -> dict[str, bytes]:
    """Instructions and tricks that Python's own reader would follow, or drown in."""
    ordered = b"ccollections\nOrderedDict\n"
    laughs = (
        b"\x80\x02(]q\x00"
        + b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60))
        + b"t."
    )
    many = b"\x80\x02(" + b"]" * 1000 + b"(" + b"N" * 100_000
    pairs = b"".join(b"M" + struct.pack("<H", i) + b"K\x02\x86" for i in range(1000))
    wide = b"\x80\x02(](" + pairs + b"eq\x00" + (ordered + b"h\x00\x85R") * 1000 + b"t."
    names = (
        b"\x80\x02(X\xff\x00\x00\x00"
        + b"a" * 255
        + b"q\x00"
        + b"".join(
            b"cpathlib\nPath\nh" + bytes([i]) + b"h" + bytes([i]) + b"\x86Rq" + bytes([i + 1]) for i in range(40)
        )
        + b"t."
    )
    return {
        "empty": b"",
        "no end": b"\x80\x02N",
        "not a pickle": b"hello",
        "two values": b"\x80\x02NN.",
        "only a mark": b"\x80\x02(.",
        "pop of nothing": b"\x80\x02\x85.",
        "unknown memo": b"\x80\x02h\x07.",
        "instance by INST": b"(X\x02\x00\x00\x00idios\nsystem\n.",
        "instance by OBJ": b"\x80\x02(cos\nsystem\nX\x02\x00\x00\x00ido.",
        "extension registry": b"\x80\x02\x82\x01.",
        "dotted name": b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93.",
        "allowed name as value": b"\x80\x02" + ordered + b".",
        "storage type called": b"\x80\x02ctorch\nHalfStorage\nK\x05\x85R.",
        "HParams with arguments": b"\x80\x02cutils\nHParams\nN\x85\x81.",
        "HParams called": b"\x80\x02cutils\nHParams\n)R.",
        "HParams of another module": b"\x80\x02cos\nHParams\n)\x81.",
        "state on a name": b"\x80\x02" + ordered + b"}b.",
        "state on a list": b"\x80\x02]}b.",
        "state that is no dict": b"\x80\x02cutils\nHParams\n)\x81]b.",
        "item on a tuple": b"\x80\x02)Na.",
        "keys on a list": b"\x80\x02](K\x01K\x02u.",
        "odd keys": b"\x80\x02}(K\x01u.",
        "list as key": b"\x80\x02}(]Nu.",
        "tuple as key": b"\x80\x02})Ns.",
        "huge number": b"\x80\x02\x8b" + struct.pack("<i", 4096) + b"\x7f" * 4096 + b".",
        "text longer than the file": b"\x80\x02X\xff\xff\xff\x7fa.",
        "broken text": b"\x80\x02X\x01\x00\x00\x00\xff.",
        "shared parts without end": laughs,
        "contains itself": b"\x80\x02]q\x00h\x00a.",
        "a mark too many": many + b".",
        "copies of a copy": wide,
        "path that doubles": names,
        "persistent id that is no tuple": b"\x80\x02NQ.",
        "persistent text id": b"P0\n.",
        "storage of another kind": b"\x80\x02(X\x06\x00\x00\x00modulectorch\nHalfStorage\nX\x01\x00\x00\x000NK\x01tQ.",
        "storage of an object": b"\x80\x02(X\x07\x00\x00\x00storage" + ordered + b"X\x01\x00\x00\x000NK\x01tQ.",
        "key with a path": tensor_program((4,), (1,), key="../data.pkl"),
        "absent storage": tensor_program((4,), (1,), key="7"),
        "storage of another size": tensor_program((4,), (1,), count=5),
        "huge storage": tensor_program((4,), (1,), count=2**39),
        "negative storage": tensor_program((4,), (1,), count=-1),
        "huge size": tensor_program((2**39,), (1,)),
        "huge size without stride": tensor_program((2**39,), (0,)),
        "many huge sizes": tensor_program((2**39, 2**39), (0, 0)),
        "negative size": tensor_program((-4,), (1,)),
        "negative stride": tensor_program((4,), (-1,)),
        "negative offset": tensor_program((4,), (1,), offset=-1),
        "beyond the storage": tensor_program((4,), (1,), offset=1),
        "stride beyond the storage": tensor_program((2, 2), (3, 1)),
        "more strides than sizes": tensor_program((4,), (1, 1)),
        "nine dimensions": tensor_program((1,) * 9, (1,) * 9),
    }


BOUNDS = {
    "shared parts without end": "more than 200000 values",
    "contains itself": "64 levels",
    "copies of a copy": "copied items",
    "path that doubles": "4096 letters",
    "huge number": "bits",
    "extension registry": "EXT1",
    "instance by INST": "INST",
    "dotted name": "fromkeys",
    "HParams of another module": r"os\.HParams",
    "huge storage": "storage 0 of 549755813888",
    "huge size without stride": "in a storage of 4 elements",
}


def test_a_huge_memo_index_takes_no_room() -> None:
    """Python's own reader allocates its memo up to the largest index: 16 GiB here."""
    assert read_pickle(b"\x80\x02Nr\xff\xff\xff\x7f.", no_storage, "x") is None


@pytest.mark.parametrize("name", programs())
def test_programs_are_refused(tmp_path: Path, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = put_program(tmp_path / "evil.pth", programs()[name])
    with pytest.raises(RefusedError, match=BOUNDS.get(name, "evil.pth")):
        read_archive(path)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 300_000, f"{name} took {grown_kib} KiB"


def test_many_views_of_one_storage_are_refused(tmp_path: Path) -> None:
    one = tensor_program((1 << 18,), (1,), count=1 << 18)[2:-1]
    path = put_program(tmp_path / "e.pth", b"\x80\x02(" + one * 9 + b"t.", {"data/0": bytes(1 << 20)})
    with pytest.raises(RefusedError, match="over storages of 1048576 bytes"):
        read_archive(path)
    few = put_program(tmp_path / "f.pth", b"\x80\x02(" + one * 2 + b"t.", {"data/0": bytes(1 << 20)})
    assert len(read_archive(few)[0]) == 2


def test_as_many_values_as_the_limit_allows() -> None:
    fits = b"\x80\x02](" + b"N" * (MAX_NODES - 1) + b"e."
    assert len(read_pickle(fits, no_storage, "x")) == MAX_NODES - 1
    with pytest.raises(RefusedError, match="more than"):
        read_pickle(fits[:-2] + b"Ne.", no_storage, "x")


def zip_bytes(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def containers() -> dict[str, bytes]:
    """Files around the pickle that are not what torch.save writes."""
    good = zip_bytes(("archive/data.pkl", b"\x80\x02}."), ("archive/version", b"3\n"))
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, buffer, _use_new_zipfile_serialization=False)
    doubled = bytearray(zip_bytes(("archive/data.pkl", b"\x80\x02}."), ("archive/data/0", b"x" * 1000)))
    central = doubled.index(b"PK\x01\x02", doubled.index(b"PK\x01\x02") + 4)
    struct.pack_into("<II", doubled, central + 20, 2**31, 2**31)  # claims 2 GiB
    return {
        "empty": b"",
        "two bytes": b"PK",
        "text": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "bare pickle": pickle.dumps({"weight": {}}, 2),
        "legacy torch file": buffer.getvalue(),
        "truncated": good[:-30],
        "cut in half": good[: len(good) // 2],
        "header only": good[:4],
        "no pickle": zip_bytes(("archive/version", b"3\n")),
        "pickle at the root": zip_bytes(("data.pkl", b"\x80\x02}.")),
        "two pickles": zip_bytes(("a/data.pkl", b"\x80\x02}."), ("b/data.pkl", b"\x80\x02}.")),
        "pickle deep inside": zip_bytes(("a/b/data.pkl", b"\x80\x02}.")),
        "one name twice": zip_bytes(("a/data.pkl", b"\x80\x02}."), ("a/data.pkl", b"\x80\x02N.")),
        "TorchScript": zip_bytes(("a/data.pkl", b"\x80\x02}."), ("a/constants.pkl", b"\x80\x02)."), ("a/code/x", b"1")),
        "zip bomb": zip_bytes(("a/data.pkl", b"\x80\x02N0" * 1_000_000 + b"N."), compression=zipfile.ZIP_DEFLATED),
        "claims more than it has": bytes(doubled),
        "huge pickle": zip_bytes(("a/data.pkl", b"N0" * 9_000_000)),
        "many entries": zip_bytes(("a/data.pkl", b"\x80\x02}."), *((f"a/data/{i}", b"") for i in range(20_001))),
        "big-endian": zip_bytes(("a/data.pkl", b"\x80\x02}."), ("a/byteorder", b"big")),
        "damaged content": good.replace(b"\x80\x02}.", b"\x80\x02].", 1),
    }


@pytest.mark.parametrize(
    "name",
    [
        "empty",
        "two bytes",
        "text",
        "bare pickle",
        "legacy torch file",
        "truncated",
        "cut in half",
        "header only",
        "no pickle",
        "pickle at the root",
        "two pickles",
        "pickle deep inside",
        "one name twice",
        "TorchScript",
        "zip bomb",
        "claims more than it has",
        "huge pickle",
        "many entries",
        "big-endian",
        "damaged content",
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_containers_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.ckpt"
    path.write_bytes(containers()[name])
    for read in (read_archive, read_checkpoint, read_state_dict):
        with pytest.raises(RefusedError):
            read(path)


def test_every_cut_of_a_good_file_is_refused(tmp_path: Path) -> None:
    whole = put_voice(tmp_path / "good.pth").read_bytes()
    read_archive(tmp_path / "good.pth")
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(RefusedError):
            read_archive(tmp_path / "cut.pth")


def test_flipped_bytes_never_end_in_a_bug(tmp_path: Path) -> None:
    """Every damage is refused or harmless; no other exception comes out."""
    whole = put_voice(tmp_path / "good.pth").read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    for position in rng.integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        (tmp_path / "bad.pth").write_bytes(bytes(damaged))
        try:
            read_archive(tmp_path / "bad.pth")
        except RefusedError:
            refused += 1
    assert refused > 100


def test_no_other_reader_is_involved(tmp_path: Path) -> None:
    code = (
        "import sys, pickle, torch\n"
        "from pathlib import Path\n"
        "import timbre.gptsovits.files.checkpoints as checkpoints\n"
        "def boom(*a, **k): raise SystemExit(9)\n"
        "pickle.loads = pickle.load = pickle.Unpickler = torch.load = boom\n"
        "print(checkpoints.read_checkpoint(Path(sys.argv[1])).version)\n"
    )
    path = put_voice(tmp_path / "v.pth", "v2Pro", b"05")
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "v2Pro")
