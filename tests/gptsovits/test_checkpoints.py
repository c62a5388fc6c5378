"""Upstream's files read, told apart, loaded strictly, and written so that torch and upstream's class read them back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.gptsovits.archive_samples import GPT_CONFIG, VOICE_CONFIG, gpt_weight, put_voice, voice_weight
from timbre.core.errors import ConfigurationError, InputError
from timbre.gptsovits.files.checkpoints import (
    Checkpoint,
    load_weights,
    read_checkpoint,
    read_state_dict,
    save_safetensors,
    write_upstream,
)
from timbre.gptsovits.files.torch_archive import read_archive, write_archive

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("TIMBRE_SHARED", ROOT.parent / "shared"))
SAMPLES = SHARED / "parity" / "format_samples"

shared = pytest.mark.skipif(not SAMPLES.is_dir(), reason="format samples are not beside the checkout")


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and torch.equal(left[name], right[name]) for name in left
    )


@pytest.mark.parametrize("version", ["v2", "v2Pro", "v2ProPlus"])
@pytest.mark.parametrize("header", [b"PK", b"05", b"06", b"01"])
def test_version_comes_from_shapes_whatever_the_label(tmp_path: Path, version: str, header: bytes) -> None:
    read = read_checkpoint(put_voice(tmp_path / "v.pth", version, header))
    assert (read.kind, read.version, read.info) == ("acoustic", version, "8epoch_96iteration")
    assert read.config == VOICE_CONFIG
    assert equal(read.weight, voice_weight(version))


@pytest.mark.parametrize(
    ("header", "configured", "expected"),
    [(b"05", "v2", "v2Pro"), (b"06", "v2", "v2ProPlus"), (b"PK", "v2Pro", "v2Pro")],
)
def test_label_then_configuration_decide_without_shapes(
    tmp_path: Path, header: bytes, configured: str, expected: str
) -> None:
    weight = {"enc_p.text_embedding.weight": torch.zeros(732, 2)}
    write_archive({"weight": weight, "config": {"model": {"version": configured}}}, tmp_path / "v.pth", header)
    assert read_checkpoint(tmp_path / "v.pth").version == expected


def test_nothing_tells_the_version(tmp_path: Path) -> None:
    write_archive({"weight": {"enc_p.text_embedding.weight": torch.zeros(732, 2)}}, tmp_path / "v.pth")
    with pytest.raises(InputError, match="version unknown"):
        read_checkpoint(tmp_path / "v.pth")


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_other_versions_are_refused_by_name(tmp_path: Path, version: str) -> None:
    with pytest.raises(InputError, match=f"version {version} ") as caught:
        read_checkpoint(put_voice(tmp_path / "v.pth", version))
    assert "not supported" in caught.value.message


@pytest.mark.parametrize("header", [b"02", b"04"])
def test_labels_of_other_versions_are_refused(tmp_path: Path, header: bytes) -> None:
    weight = {"enc_p.text_embedding.weight": torch.zeros(732, 2)}
    write_archive({"weight": weight, "config": {"model": {"version": "v2"}}}, tmp_path / "v.pth", header)
    with pytest.raises(InputError, match=r"version v[34]"):
        read_checkpoint(tmp_path / "v.pth")


def test_gpt_loses_its_prefix_and_v1_is_refused(tmp_path: Path) -> None:
    write_archive({"weight": gpt_weight(), "config": GPT_CONFIG, "info": "GPT-e15"}, tmp_path / "g.ckpt")
    read = read_checkpoint(tmp_path / "g.ckpt")
    assert (read.kind, read.version, read.config) == ("text_to_semantic", "v2", GPT_CONFIG)
    assert sorted(read.weight) == ["ar_predict_layer.weight", "ar_text_embedding.word_embeddings.weight"]
    write_archive({"weight": gpt_weight(512), "config": GPT_CONFIG}, tmp_path / "g1.ckpt")
    with pytest.raises(InputError, match="version v1"):
        read_checkpoint(tmp_path / "g1.ckpt")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"model": {}, "optimizer": {}}, "no `weight` at the top"),
        ([1], "no `weight` at the top"),
        ({"weight": {"a.b": torch.zeros(1)}}, "no network of GPT-SoVITS"),
        ({"weight": {}}, "no network of GPT-SoVITS"),
        ({"weight": {"enc_p.x": 3}}, "needs a tensor"),
        ({"weight": {"enc_p.x": torch.zeros(1)}, "config": [1]}, "config is a list"),
        ({"weight": {"cfm.x.lora_A.weight": torch.zeros(1)}, "lora_rank": 32}, "LoRA file"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, value: Any, words: str) -> None:
    write_archive(value, tmp_path / "v.pth")
    with pytest.raises(InputError) as caught:
        read_checkpoint(tmp_path / "v.pth")
    assert words in caught.value.message


DTYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
)


def test_reads_what_torch_itself_writes(tmp_path: Path) -> None:
    """Every dtype, views into one storage, empty and scalar tensors, parameters, module metadata."""
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    base = torch.arange(12, dtype=torch.float32)
    value = {
        "state": module.state_dict(),
        "parameter": module[0].weight,
        "view": base[3:9].view(2, 3),
        "turned": base.view(3, 4).T,
        "scalar": torch.tensor(5),
        "empty": torch.zeros(0, 4),
        "path": Path("logs") / "s2",
        "dtypes": {str(dtype): torch.ones(3).to(dtype) for dtype in DTYPES},
    }
    torch.save(value, tmp_path / "t.pt")
    read, header = read_archive(tmp_path / "t.pt")
    assert header == b"PK"
    assert equal(read["state"], dict(module.state_dict()))
    assert equal(read["dtypes"], value["dtypes"])
    for name in ("parameter", "view", "turned", "scalar", "empty"):
        assert torch.equal(read[name], value[name].detach())
    assert read["path"] == "logs/s2"
    torch.save(module.state_dict(), tmp_path / "s.bin")
    assert equal(read_state_dict(tmp_path / "s.bin"), dict(module.state_dict()))


UPSTREAM_SIDE = """
import json, sys, types
class HParams:
    def keys(self): return self.__dict__.keys()
    def __getitem__(self, key): return getattr(self, key)
HParams.__module__ = "utils"
utils = types.ModuleType("utils"); utils.HParams = HParams
sys.modules["utils"] = utils
import io, torch
data = open(sys.argv[1], "rb").read()
header, data = data[:2], b"PK" + data[2:]
file = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
config = file["config"]
def plain(x): return {k: plain(x[k]) for k in x.keys()} if isinstance(x, HParams) else x
print(json.dumps({"top": list(file), "header": header.decode(), "class": type(config).__name__, "config": plain(config),
    "inner": type(config["model"]).__name__, "info": file["info"],
    "weight": {k: [str(v.dtype), list(v.shape), float(v.double().sum())] for k, v in file["weight"].items()}}))
"""


def upstream_reads(path: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", UPSTREAM_SIDE, str(path)], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(("version", "header"), [("v2", "PK"), ("v2Pro", "05"), ("v2ProPlus", "06")])
def test_written_voice_opens_with_torch_and_upstreams_class(tmp_path: Path, version: str, header: str) -> None:
    weight = {name: tensor.float() for name, tensor in voice_weight(version).items()}
    weight["enc_q.pre.bias"] = torch.zeros(2)
    weight["quantizer.vq.layers.0._codebook.cluster_size"] = torch.tensor([1e6])
    made = Checkpoint("acoustic", version, weight, VOICE_CONFIG, "3epoch_9iteration")
    write_upstream(made, tmp_path / "voice.pth")
    seen = upstream_reads(tmp_path / "voice.pth")
    assert (seen["top"], seen["header"], seen["info"]) == (["weight", "config", "info"], header, "3epoch_9iteration")
    assert (seen["class"], seen["inner"], seen["config"]) == ("HParams", "HParams", VOICE_CONFIG)
    assert set(seen["weight"]) == set(weight) - {"enc_q.pre.bias"}
    for name, (dtype, shape, total) in seen["weight"].items():
        assert dtype == "torch.float16"
        assert shape == list(weight[name].shape)
        if "cluster_size" not in name:
            assert total == pytest.approx(float(weight[name].half().double().sum()))
    again = read_checkpoint(tmp_path / "voice.pth")
    assert again.version == version
    assert equal(again.weight, {n: t.half().clamp(max=65504) for n, t in weight.items() if not n.startswith("enc_q.")})


def test_written_gpt_opens_with_torch_alone(tmp_path: Path) -> None:
    weight = {name.removeprefix("model."): tensor for name, tensor in gpt_weight().items()}
    write_upstream(Checkpoint("text_to_semantic", "v2", weight, GPT_CONFIG, "GPT-e5"), tmp_path / "g.ckpt")
    file = torch.load(tmp_path / "g.ckpt", weights_only=True)
    assert list(file) == ["weight", "config", "info"]
    assert file["config"] == GPT_CONFIG
    assert equal(file["weight"], gpt_weight())
    mapped = torch.load(tmp_path / "g.ckpt", weights_only=True, mmap=True)
    assert equal(mapped["weight"], gpt_weight())


def test_what_upstream_cannot_have_is_not_written(tmp_path: Path) -> None:
    good = Checkpoint("acoustic", "v2", voice_weight("v2"), VOICE_CONFIG)
    for bad, error, words in [
        (Checkpoint("acoustic", "nano", good.weight, VOICE_CONFIG), InputError, "version nano"),
        (Checkpoint("discriminator", "v2", good.weight, VOICE_CONFIG), InputError, "discriminator"),
        (Checkpoint("acoustic", "v2", good.weight, {"model": {}, "data": {}}), ConfigurationError, "config.train"),
        (Checkpoint("acoustic", "v2", {"a": torch.tensor([1e6])}, VOICE_CONFIG), InputError, "half precision"),
    ]:
        with pytest.raises(error, match=words):
            write_upstream(bad, tmp_path / "v.pth")
    assert list(tmp_path.iterdir()) == []


def test_safetensors_keep_everything(tmp_path: Path) -> None:
    made = Checkpoint("acoustic", "nano", voice_weight("v2"), VOICE_CONFIG, "note")
    save_safetensors(made, tmp_path / "v.safetensors")
    read = read_checkpoint(tmp_path / "v.safetensors")
    assert equal(read.weight, made.weight)
    assert (read.kind, read.version, read.config, read.info) == ("acoustic", "nano", VOICE_CONFIG, "note")
    save_file(voice_weight("v2Pro"), tmp_path / "bare.safetensors")
    assert read_checkpoint(tmp_path / "bare.safetensors").version == "v2Pro"
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "v.safetensors").read_bytes()[:200])
    for name, error in (("cut", InputError), ("absent", ConfigurationError)):
        with pytest.raises(error):
            read_checkpoint(tmp_path / f"{name}.safetensors")
        with pytest.raises(error):
            read_state_dict(tmp_path / f"{name}.safetensors")


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc_p = nn.Linear(2, 2)
        self.enc_q = nn.Linear(2, 2)


def test_loading_is_strict() -> None:
    network = Small()
    weight = {name: torch.full_like(tensor, 0.5) for name, tensor in network.state_dict().items()}
    voice = {name: tensor for name, tensor in weight.items() if not name.startswith("enc_q.")}
    with pytest.raises(InputError, match=r"2 missing \(enc_q.weight, enc_q.bias\)"):
        load_weights(network, voice, "v.pth")
    kept = network.enc_q.weight.clone()
    load_weights(network, voice, "v.pth", optional=("enc_q.",))
    assert torch.equal(network.enc_p.bias, torch.full((2,), 0.5))
    assert torch.equal(network.enc_q.weight, kept)
    with pytest.raises(InputError, match=r"1 missing \(enc_q.bias\)"):  # a part is there or not, never half
        load_weights(network, voice | {"enc_q.weight": torch.zeros(2, 2)}, "v.pth", optional=("enc_q.",))
    with pytest.raises(InputError, match=r"v.pth: tensors do not fit Small: 1 extra \(dec.x\)"):
        load_weights(network, weight | {"dec.x": torch.zeros(1)}, "v.pth")
    with pytest.raises(InputError, match=r"enc_p.bias \(3,\) for \(2,\)"):
        load_weights(network, weight | {"enc_p.bias": torch.zeros(3)}, "v.pth")


def at(value: Any, path: str) -> Any:
    """value.model.version by the path "model.version"."""
    for key in path.split("."):
        value = value[key]
    return value


@pytest.mark.shared
@shared
@pytest.mark.parametrize(
    "name", ["tiny_v2_e8_s96.pth", "tiny_v2Pro_e8_s96.pth", "tiny_v2ProPlus_e8_s96.pth", "tiny_gpt-e15.ckpt"]
)
def test_samples_of_upstream(tmp_path: Path, name: str) -> None:
    expected = json.loads((SAMPLES / "expected.json").read_text(encoding="utf-8"))[name]
    value, header = read_archive(SAMPLES / name)
    assert header.decode() == expected["first_two_bytes"]
    assert list(value) == expected["top_level"]
    assert value["info"] == expected["info"]
    for key, wanted in expected.items():
        if key.startswith("config."):
            assert at(value, key) == wanted
    assert value["weight"].keys() == expected["weight"].keys()
    for key, wanted in expected["weight"].items():
        tensor = value["weight"][key]
        assert (str(tensor.dtype), list(tensor.shape)) == (f"torch.{wanted['dtype']}", wanted["shape"])
        assert tensor.flatten()[:3].tolist() == wanted["first3"]
    read = read_checkpoint(SAMPLES / name)
    assert read.version == (expected.get("config.model.version") or "v2")
    save_safetensors(read, tmp_path / "ours.safetensors")
    write_upstream(read_checkpoint(tmp_path / "ours.safetensors"), tmp_path / name)
    again, again_header = read_archive(tmp_path / name)
    assert again_header == header
    assert again["config"] == value["config"]
    assert again["info"] == value["info"]
    assert equal(again["weight"], value["weight"])


STATE_DICTS = SHARED / "reference" / "upstream-state-dicts.json"


def official_config(version: str) -> dict[str, Any]:
    """The configuration that upstream's tools put into voices of that version."""
    plus = version == "v2ProPlus"
    return {
        "train": {"segment_size": 20480},
        "data": {"filter_length": 2048, "hop_length": 640, "sampling_rate": 32000},
        "model": {
            "inter_channels": 192,
            "hidden_channels": 192,
            "filter_channels": 768,
            "n_heads": 2,
            "n_layers": 6,
            "kernel_size": 3,
            "p_dropout": 0.1,
            "resblock": "1",
            "resblock_kernel_sizes": [3, 7, 11],
            "resblock_dilation_sizes": [[1, 3, 5]] * 3,
            "upsample_rates": [10, 8, 2, 2, 2],
            "upsample_initial_channel": 768 if plus else 512,
            "semantic_frame_rate": "25hz",
            "upsample_kernel_sizes": [20 if plus else 16, 16, 8, 2, 2],
            "gin_channels": 512 if version == "v2" else 1024,
        },
    }


@pytest.mark.shared
@pytest.mark.skipif(not STATE_DICTS.is_file(), reason="upstream's tensor names are not beside the checkout")
@pytest.mark.parametrize("voice", [False, True])
@pytest.mark.parametrize(
    ("model", "kind", "version"),
    [
        ("SynthesizerTrn_v2", "acoustic", "v2"),
        ("SynthesizerTrn_v2Pro", "acoustic", "v2Pro"),
        ("SynthesizerTrn_v2ProPlus", "acoustic", "v2ProPlus"),
        ("MultiPeriodDiscriminator_v2", "discriminator", "v2"),
        ("MultiPeriodDiscriminator_v2Pro", "discriminator", "v2Pro"),
        ("Text2SemanticDecoder_v2plus", "text_to_semantic", "v2"),
    ],
)
def test_official_files_fit_our_networks(model: str, kind: str, version: str, voice: bool) -> None:
    """All names and shapes of the official files, without their values."""
    from timbre.gptsovits.files.checkpoints import checkpoint_kind, checkpoint_version
    from timbre.pipeline.bases.check import fit_problem

    shapes = json.loads(STATE_DICTS.read_text(encoding="utf-8"))["models"][model]["tensors"]
    weight = {
        name: torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
        if not (voice and name.startswith("enc_q."))
    }
    config = GPT_OFFICIAL if kind == "text_to_semantic" else official_config(version)
    assert checkpoint_kind(weight, Path("x")) == kind
    assert checkpoint_version(kind, weight, b"PK", {}, Path("x")) == version
    assert fit_problem(Checkpoint(kind, version, weight, config), "x") == ""
    some = next(iter(weight))
    weight["stray"] = weight.pop(some)
    assert "1 missing" in fit_problem(Checkpoint(kind, version, weight, config), "x")


GPT_OFFICIAL = {
    "model": {
        "vocab_size": 1025,
        "phoneme_vocab_size": 732,
        "embedding_dim": 512,
        "hidden_dim": 512,
        "head": 16,
        "linear_units": 2048,
        "n_layer": 24,
        "dropout": 0,
        "EOS": 1024,
        "random_bert": 0,
    }
}
