"""Pronunciation of English words that no dictionary has: a small recurrent network over letters.

The weights are those of the g2p_en package (Park and Kim, 2019): letter embedding -> gated recurrent encoder -> gated
recurrent decoder, greedy. That package asks NLTK for data when it is imported, so only its weight file is read, by
path.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timbre.core.errors import ConfigurationError

Array = NDArray[np.float32]

_UNKNOWN_LETTER, _END_OF_WORD = 1, 2
_START, _END = 2, 3
_LONGEST = 20
_LETTERS = {letter: index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz", start=3)}
_PHONES: tuple[str, ...] = (
    "<pad>", "<unk>", "<s>", "</s>",
    "AA0", "AA1", "AA2", "AE0", "AE1", "AE2", "AH0", "AH1", "AH2", "AO0", "AO1", "AO2", "AW0", "AW1", "AW2", "AY0",
    "AY1", "AY2", "B", "CH", "D", "DH", "EH0", "EH1", "EH2", "ER0", "ER1", "ER2", "EY0", "EY1", "EY2", "F", "G", "HH",
    "IH0", "IH1", "IH2", "IY0", "IY1", "IY2", "JH", "K", "L", "M", "N", "NG", "OW0", "OW1", "OW2", "OY0", "OY1", "OY2",
    "P", "R", "S", "SH", "T", "TH", "UH0", "UH1", "UH2", "UW", "UW0", "UW1", "UW2", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip


def package_file(package: str, name: str) -> Path:
    """Path of a data file of an installed package, found without importing the package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"the Python package {package!r} is not installed", remedy=f"pip install {package}")
    return Path(spec.submodule_search_locations[0]) / name


@cache
def _weights() -> dict[str, Array]:
    with np.load(package_file("g2p_en", "checkpoint20.npz"), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _sigmoid(x: Array) -> Array:
    result: Array = (1.0 / (1.0 + np.exp(-x))).astype(np.float32)
    return result


def _step(x: Array, state: Array, side: str) -> Array:
    """One gated recurrent step. x: (D,), state: (H,) -> (H,). Gates: reset, update, candidate. D = H = 256."""
    w = _weights()
    size = state.shape[0]
    from_input = w[f"{side}_w_ih"] @ x + w[f"{side}_b_ih"]
    from_state = w[f"{side}_w_hh"] @ state + w[f"{side}_b_hh"]
    reset = _sigmoid(from_input[:size] + from_state[:size])
    update = _sigmoid(from_input[size : 2 * size] + from_state[size : 2 * size])
    candidate = np.tanh(from_input[2 * size :] + reset * from_state[2 * size :])
    result: Array = ((1.0 - update) * candidate + update * state).astype(np.float32)
    return result


@lru_cache(maxsize=20_000)
def predict(word: str) -> tuple[str, ...]:
    """Phones (ARPAbet with stress) of a lower-case word; letters outside a..z count as unknown. At most 20 phones."""
    w = _weights()
    state = np.zeros(w["enc_w_hh"].shape[1], dtype=np.float32)
    for letter in [*(_LETTERS.get(character, _UNKNOWN_LETTER) for character in word), _END_OF_WORD]:
        state = _step(w["enc_emb"][letter], state, "enc")
    phones: list[str] = []
    previous = _START
    for _ in range(_LONGEST):
        state = _step(w["dec_emb"][previous], state, "dec")
        previous = int(np.argmax(w["fc_w"] @ state + w["fc_b"]))
        if previous == _END:
            break
        name = _PHONES[previous]
        if not name.startswith("<"):
            phones.append("UW0" if name == "UW" else name)
    return tuple(phones)
