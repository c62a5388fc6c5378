"""Torch zip files made by hand for tests: good ones in upstream's form, and ones that must be refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from timbre.gptsovits.files.pickle_writer import HParams
from timbre.gptsovits.files.torch_archive import write_archive

VOICE_CONFIG: dict[str, Any] = {
    "train": {"segment_size": 20480, "betas": [0.8, 0.99], "fp16_run": True, "eps": 1e-9},
    "data": {"filter_length": 2048, "hop_length": 640, "sampling_rate": 32000, "mel_fmax": None, "big": 2**40},
    "model": {"version": "v2", "gin_channels": 512, "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]]},
    "name": "声",
}
GPT_CONFIG: dict[str, Any] = {"model": {"n_layer": 2}, "data": {"max_sec": 54}, "optimizer": {"lr": -0.01}}


def voice_weight(version: str, dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """A few tiny tensors with the names and the shapes that tell versions apart."""
    torch.manual_seed(1)
    weight = {
        "enc_p.text_embedding.weight": torch.randn(322 if version == "v1" else 732, 4),
        "dec.conv_pre.weight": torch.randn(768 if version == "v2ProPlus" else 512, 2, 7),
        "dec.ups.0.weight_v": torch.randn(3, 2, 20 if version == "v2ProPlus" else 16),
        "quantizer.vq.layers.0._codebook.embed": torch.randn(8, 4),
    }
    if version in ("v2Pro", "v2ProPlus"):
        weight["sv_emb.weight"] = torch.randn(2, 3)
    if version in ("v3", "v4"):
        weight = {"enc_p.text_embedding.weight": torch.randn(732, 4), "cfm.estimator.weight": torch.randn(2, 2)}
    return {name: tensor.to(dtype) for name, tensor in weight.items()}


def gpt_weight(rows: int = 732) -> dict[str, torch.Tensor]:
    """As voice_weight, for the text-to-semantic network, with the prefix of upstream's files."""
    torch.manual_seed(2)
    return {
        "model.ar_text_embedding.word_embeddings.weight": torch.randn(rows, 4).half(),
        "model.ar_predict_layer.weight": torch.randn(9, 4).half(),
    }


def put_voice(path: Path, version: str = "v2", header: bytes = b"PK", **changes: Any) -> Path:
    """A voice file of that version."""
    value = {"weight": voice_weight(version), "config": HParams(VOICE_CONFIG), "info": "8epoch_96iteration"}
    write_archive(value | changes, path, header)
    return path


def put_program(path: Path, program: bytes, entries: dict[str, bytes] | None = None, header: bytes = b"PK") -> Path:
    """A torch zip file around a hand-written pickle program."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", b"3\n")
        for name, data in (entries if entries is not None else {"data/0": bytes(16)}).items():
            archive.writestr(f"archive/{name}", data)
    path.write_bytes(header + buffer.getvalue()[2:])
    return path
