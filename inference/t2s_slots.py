"""Cached decoding of semantic codes in fixed slots, a voice per row.

phones, prompt codes, LoRA of a voice -> admit -> logits -> step -> logits ... -> release

All rows live at the front of buffers that are allocated once (untouched memory costs nothing until a row reaches it).
The
cache is bound as past and present at once, so a step writes one position per row and copies nothing. A finished row is
replaced by the last one, so active rows stay contiguous and every batch size has its bindings made once.

The adapter interface of ONNX Runtime is deliberately not used: with bound buffers it is ignored without an error, and
the base voice speaks. LoRA tensors are ordinary inputs here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from timbre.inference.session import open_session

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class T2SShape:
    """Sizes that the cache and the LoRA buffers need."""

    layers: int
    """Transformer blocks; each has a cache of keys and one of values."""
    heads: int
    """Attention heads of a block."""
    head_width: int
    """Floats of a head: the cache is [slots, heads, positions, head_width]."""
    vocabulary: int
    """Logits of a step: codes and the end token."""
    phone_rows: int
    """Rows of the phone table; tokens from this id on are codes."""
    end_token: int
    """Code that ends a sequence; smaller ones are the codebook's."""
    max_positions: int
    """Rows of the table of positions: phones, prompt and codes together."""
    projections: Mapping[str, tuple[int, int]]
    """Name -> (inputs, outputs)."""


@dataclass(frozen=True)
class Lora:
    """LoRA of one voice for the text-to-semantic graph."""

    tensors: Mapping[str, tuple[Floats, Floats]]
    """Projection -> (A [in, r], B [r, out] with the scale in it); empty for the base without adapter."""

    @property
    def rank(self) -> int:
        """Largest rank of any projection; 0 without any."""
        return max((down.shape[1] for down, _ in self.tensors.values()), default=0)


NO_LORA = Lora({})
AHEAD = 16
"""Codes that are read at once where a text says which may come: reading sixteen costs twice as much as reading one."""


class T2SSlots:
    """`slots` rows of at most `capacity` positions (phones, prompt and new codes together). Not thread-safe: one
    owner.
    """

    def __init__(
        self, graph: Path | ort.InferenceSession, shape: T2SShape, *, slots: int = 4, capacity: int = 1280
    ) -> None:
        """graph: its file, or a session of it."""
        self.shape = shape
        self.slots = slots
        self.capacity = min(capacity, shape.max_positions)
        self.active = 0
        self._session = open_session(graph) if isinstance(graph, Path) else graph
        optional = {item.name for item in self._session.get_overridable_initializers()}
        self.reads_ahead = "read" in optional
        """Whether the graph gives the logits of several positions at once (exports before version 4 do not)."""
        size = (slots, shape.heads, self.capacity, shape.head_width)
        self._cache = {
            f"{kind}_{layer}": np.zeros(size, np.float32) for layer in range(shape.layers) for kind in ("key", "value")
        }
        self._rank = 0
        self._lora: dict[str, tuple[Floats, Floats]] = {}
        self._lengths = np.zeros(slots, np.int32)
        self._codes = np.zeros(slots, np.int64)
        self._tokens = np.zeros((max(slots, AHEAD), 1), np.int64)
        self._positions = np.zeros((max(slots, AHEAD), 1), np.int64)
        self._last = np.zeros(slots, np.int32)
        self._total = np.zeros((), np.int32)
        self._no_bias = np.zeros(self.capacity, np.float32)
        self._logits = np.zeros((max(slots, AHEAD), shape.vocabulary), np.float32)
        self._read = np.arange(AHEAD)
        self._later = np.triu(np.full((AHEAD, AHEAD), -np.inf, np.float32), 1)
        self._bindings: dict[int, tuple[Any, list[Any]]] = {}
        self._ahead_bindings: dict[tuple[int, int], tuple[Any, list[Any]]] = {}
        self._resize_lora(1)

    def fits(self, phones: int, prompt: int, new: int) -> bool:
        """Whether a request of these many phones, prompt codes and new codes fits into a slot."""
        return phones + prompt + new <= self.capacity

    def admit(
        self, phones: Codes, prompt: Codes, lora: Lora = NO_LORA, features: Floats | None = None
    ) -> tuple[int, Floats]:
        """Reads text and prompt into the next free slot -> (slot, logits [V] of the first new code).

        phones [P >= 1]: ids of prompt text and target text. prompt [Y]: codes of the prompt, may be empty. features
        [P, H]: projected character vectors or None. Raises ValueError when no slot is free or the request does not fit.
        """
        if self.active == self.slots:
            raise ValueError(f"all {self.slots} slots are taken")
        count = len(phones) + len(prompt)
        if len(phones) == 0 or not self.fits(len(phones), len(prompt), 1):
            raise ValueError(f"{len(phones)} phones and {len(prompt)} codes do not fit {self.capacity} positions")
        slot = self.active
        self._write_lora(slot, lora)
        self._lengths[slot] = count
        self._codes[slot] = len(prompt)
        feeds: dict[str, NDArray[Any]] = {
            "tokens": np.concatenate([phones, prompt + self.shape.phone_rows])[None].astype(np.int64),
            "positions": np.concatenate([np.arange(len(phones)), np.arange(len(prompt))])[None].astype(np.int64),
            "bias": prefill_bias(len(phones), len(prompt)),
            "seqlens": np.array([count - 1], np.int32),
            "total": np.array(count, np.int32),
        }
        if features is not None:
            padded = np.zeros((1, count, features.shape[1]), np.float32)
            padded[0, : len(features)] = features
            feeds["features"] = padded
        logits = np.zeros((1, self.shape.vocabulary), np.float32)
        self._run(self._session.io_binding(), slice(slot, slot + 1), feeds, logits)
        self.active += 1
        return slot, logits[0]

    def step(self, codes: Codes) -> Floats:
        """Appends one code to every active row: codes [active] -> logits [active, V] (a view, valid until the next
        step).

        Raises ValueError when a row's slot is full.
        """
        rows = self.active
        lengths = self._lengths[:rows]
        if int(lengths.max(initial=0)) >= self.capacity:
            raise ValueError(f"a row has filled its {self.capacity} positions")
        self._tokens[:rows, 0] = codes + self.shape.phone_rows
        self._positions[:rows, 0] = self._codes[:rows]
        self._last[:rows] = lengths
        self._total[...] = total = int(lengths.max()) + 1
        binding, _ = self._binding(rows)
        bias = ort.OrtValue.ortvalue_from_numpy(self._no_bias[:total].reshape(1, 1, 1, total))
        binding.bind_ortvalue_input("bias", bias)
        self._session.run_with_iobinding(binding)
        lengths += 1
        self._codes[:rows] += 1
        return self._logits[:rows]

    def step_ahead(self, slot: int, codes: Codes) -> Floats:
        """Appends codes [N], 1 <= N <= AHEAD, to one active row: logits [N, V] after each of them (a view).

        The first code was drawn, the others are guesses; keep() says how many of them were right. Raises ValueError
        when the row is not active, or its slot has no room for them.
        """
        count, length = len(codes), int(self._lengths[slot])
        if not 0 <= slot < self.active or self.room(slot) < count:
            raise ValueError(f"{count} codes for slot {slot}: {self.active} rows are active, {length} positions filled")
        self._tokens[:count, 0] = codes + self.shape.phone_rows
        self._positions[:count, 0] = self._read[:count] + self._codes[slot]
        total = length + count
        self._last[slot] = total - 1
        self._total[...] = total
        bias = np.zeros((1, 1, count, total), np.float32)
        bias[0, 0, :, length:] = self._later[:count, :count]
        binding, _ = self._ahead_binding(slot, count)
        binding.bind_ortvalue_input("bias", ort.OrtValue.ortvalue_from_numpy(bias))
        self._session.run_with_iobinding(binding)
        return self._logits[:count]

    def keep(self, slot: int, count: int) -> None:
        """Keeps the first `count` codes of the last step_ahead; the next step writes over the others."""
        self._lengths[slot] += count
        self._codes[slot] += count

    def room(self, slot: int) -> int:
        """Codes that a row has room for."""
        return self.capacity - int(self._lengths[slot])

    def release(self, slot: int) -> int:
        """Frees a slot; the last active row moves into it. Returns the slot that row had before (slot itself if it
        was last).
        """
        last = self.active - 1
        if not 0 <= slot <= last:
            raise ValueError(f"slot {slot} is not active")
        if slot != last:
            length = int(self._lengths[last])
            for buffer in self._cache.values():
                buffer[slot, :, :length] = buffer[last, :, :length]
            for down, up in self._lora.values():
                down[slot], up[slot] = down[last], up[last]
            self._lengths[slot], self._codes[slot] = self._lengths[last], self._codes[last]
        self.active = last
        return last

    def _write_lora(self, slot: int, lora: Lora) -> None:
        if lora.rank > self._rank:
            self._resize_lora(lora.rank)
        for name, (down, up) in self._lora.items():
            down[slot], up[slot] = 0.0, 0.0
            given = lora.tensors.get(name)
            if given is not None:
                rank = given[0].shape[1]
                down[slot, :, :rank], up[slot, :rank] = given
        if unknown := lora.tensors.keys() - self._lora.keys():
            raise ValueError(f"LoRA for projections that the graph does not have: {sorted(unknown)[:3]}")

    def _resize_lora(self, rank: int) -> None:
        old, before = self._lora, self._rank
        self._lora = {
            name: (np.zeros((self.slots, rows, rank), np.float32), np.zeros((self.slots, rank, columns), np.float32))
            for name, (rows, columns) in self.shape.projections.items()
        }
        for name, (down, up) in old.items():
            self._lora[name][0][:, :, :before], self._lora[name][1][:, :before] = down, up
        self._rank = rank
        self._bindings.clear()
        self._ahead_bindings.clear()

    def _binding(self, rows: int) -> tuple[Any, list[Any]]:
        if rows not in self._bindings:
            binding = self._session.io_binding()
            steady: dict[str, NDArray[Any]] = {
                "tokens": self._tokens[:rows], "positions": self._positions[:rows], "seqlens": self._last[:rows],
                "total": self._total,
            }  # fmt: skip
            self._bindings[rows] = (binding, self._bind(binding, slice(0, rows), steady, self._logits[:rows]))
        return self._bindings[rows]

    def _ahead_binding(self, slot: int, count: int) -> tuple[Any, list[Any]]:
        """Of one row and `count` new positions."""
        if (slot, count) not in self._ahead_bindings:
            binding = self._session.io_binding()
            steady: dict[str, NDArray[Any]] = {
                "tokens": self._tokens[:count].reshape(1, count), "seqlens": self._last[slot : slot + 1],
                "total": self._total, "read": self._read[:count],
                "positions": self._positions[:count].reshape(1, count),
            }  # fmt: skip
            bound = self._bind(binding, slice(slot, slot + 1), steady, self._logits[:count])
            self._ahead_bindings[slot, count] = (binding, bound)
        return self._ahead_bindings[slot, count]

    def _run(self, binding: Any, rows: slice, feeds: Mapping[str, NDArray[Any]], logits: Floats) -> None:
        kept = self._bind(binding, rows, feeds, logits)
        self._session.run_with_iobinding(binding)
        del kept

    def _bind(self, binding: Any, rows: slice, feeds: Mapping[str, NDArray[Any]], logits: Floats) -> list[Any]:
        """Binds views of the buffers. The OrtValues alias their arrays and must live as long as the binding is used."""
        kept = []

        def value(array: NDArray[Any]) -> Any:
            if not array.flags.c_contiguous:
                raise AssertionError("a bound view must be contiguous, otherwise ONNX Runtime copies it")
            kept.append(ort.OrtValue.ortvalue_from_numpy(array))
            return kept[-1]

        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, value(array))
        for name, buffer in self._cache.items():
            shared = value(buffer[rows])
            binding.bind_ortvalue_input(f"past_{name}", shared)
            binding.bind_ortvalue_output(f"present_{name}", shared)
        for name, (down, up) in self._lora.items():
            binding.bind_ortvalue_input(f"{name}.lora_A", value(down[rows]))
            binding.bind_ortvalue_input(f"{name}.lora_B", value(up[rows]))
        binding.bind_ortvalue_output("logits", value(logits))
        return kept


def prefill_bias(phones: int, codes: int) -> Floats:
    """[1, 1, S, S]: text sees all text and no audio, audio sees text and audio up to itself."""
    count = phones + codes
    index = np.arange(count)
    visible = (index[None, :] < phones) | (index[None, :] <= index[:, None])
    return np.where(visible, np.float32(0), np.float32(-np.inf))[None, None].astype(np.float32)
