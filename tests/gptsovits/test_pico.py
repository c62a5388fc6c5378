"""pico and the loading of bases: every network comes from files, with sizes from the file, strictly."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from timbre.cli.commands.base import base
from timbre.cli.invocation import Invocation
from timbre.core.base import Base, read_base
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError, InputError, TimbreError
from timbre.core.weights import BaseFile
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.synthesizer import Reference
from timbre.gptsovits.encoders.eres2net import ERes2NetV2
from timbre.gptsovits.files.base_networks import (
    discriminator_config,
    load_bert,
    load_content_encoder,
    load_discriminators,
    load_speaker_encoder,
    load_synthesizer,
    load_text_to_semantic,
    synthesizer_config,
    text_to_semantic_config,
)
from timbre.gptsovits.files.checkpoints import Checkpoint, read_checkpoint, save_safetensors
from timbre.gptsovits.files.config_plain import config_from_plain, config_to_plain
from timbre.gptsovits.files.pico import make_pico
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO
from timbre.pipeline.bases.check import check_base, check_file


@pytest.fixture(scope="module")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_pico(tmp_path_factory.mktemp("bases") / "pico")


def test_every_part_fits_the_next(pico: Base) -> None:
    """A wave goes through all networks: features, codes, generated codes, and a wave of the right length."""
    assert read_base(pico.folder) == pico
    text, synthesizer = load_text_to_semantic(pico), load_synthesizer(pico)
    features = load_content_encoder(pico)(torch.randn(1, 32000)).last_hidden_state.mT
    codes = synthesizer.extract_codes(features)
    assert codes.shape == (1, 1, features.shape[2] // 2)
    assert int(codes.max()) < text.config.end_token == synthesizer.config.codebook_size
    assert text.config.phonemes == synthesizer.config.symbols == 732
    assert (synthesizer.config.rate_hz, synthesizer.config.hop) == (pico.rate_hz, pico.hop)
    speaker = load_speaker_encoder(pico)
    assert speaker is not None
    assert speaker.embed(np.random.default_rng(0).standard_normal(32000).astype(np.float32)).shape == (256,)
    assert len(load_discriminators(pico)(torch.randn(1, 1, 4096))) >= 2


def test_pico_in_the_form_of_the_official_bases(tmp_path: Path) -> None:
    """32 kHz, HiFi-GAN, ERes2NetV2 and BERT with a tokenizer: the parts that nano does not have."""
    from transformers import BertTokenizerFast

    made = read_base(make_pico(tmp_path / "pro", like="v2Pro").folder)
    assert (made.rate_hz, made.frames_hz, made.speaker_encoder, made.bert) == (32000, 50.0, "eres2netv2", True)
    synthesizer, text, encoder = load_synthesizer(made), load_text_to_semantic(made), load_speaker_encoder(made)
    assert isinstance(encoder, ERes2NetV2)
    with torch.inference_mode():
        vector = encoder(torch.randn(1, 120, 80))
        assert vector.shape == (1, synthesizer.config.speaker_width)
        condition = synthesizer.condition(Reference(torch.rand(1, 1025, 20), vector))
        wave = synthesizer.decode(torch.randint(0, 64, (1, 1, 6)), torch.randint(0, 700, (1, 5)), condition)
    assert wave.shape == (1, 1, 6 * 1280)
    tokenizer = BertTokenizerFast(tokenizer_file=str(made.file_path("bert_tokenizer")))
    ids = tokenizer.convert_tokens_to_ids(["[CLS]", "你", "好", "龘", "[SEP]"])
    assert len(set(ids)) == 5
    assert ids[3] == tokenizer.convert_tokens_to_ids("[UNK]")
    states = load_bert(made)(torch.tensor([ids])).hidden_states[-3]
    assert states.shape == (1, 5, text.config.bert_width)
    assert not any(item.failed for item in check_base(made))
    with pytest.raises(ConfigurationError, match="like 'v3'"):
        make_pico(tmp_path / "x", like="v3")


def test_the_seed_decides_and_the_callers_stays(tmp_path: Path, pico: Base) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    same, other = make_pico(tmp_path / "a"), make_pico(tmp_path / "b", seed=2)
    assert torch.equal(torch.rand(1), expected)
    assert same.digest == pico.digest != other.digest
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty and not a base"):
        make_pico(tmp_path / "c")


def test_pico_is_small(pico: Base) -> None:
    assert sum((pico.folder / item.path).stat().st_size for item in pico.files) < 1_000_000


@pytest.mark.parametrize(
    "config",
    [
        SynthesizerConfig.v2(),
        SynthesizerConfig.v2proplus(),
        SynthesizerConfig.nano(),
        SynthesizerConfig.pico(),
        DiscriminatorConfig.nano(),
        T2S_NANO,
    ],
)
def test_sizes_survive_the_file(config: object) -> None:
    assert config_from_plain(json.loads(json.dumps(config_to_plain(config))), "x") == config


def test_sizes_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="kind 'Path'"):
        config_from_plain({"kind": "Path"}, "f.safetensors")
    with pytest.raises(ConfigurationError, match=r"no field 'widht'"):
        config_from_plain({"kind": "T2SConfig", "widht": 1}, "f.safetensors")
    with pytest.raises(ConfigurationError, match="multiple of heads"):
        config_from_plain(config_to_plain(T2S_NANO) | {"heads": 7}, "f.safetensors")


def swapped(pico: Base, folder: Path, role: str, path: Path) -> Base:
    files = tuple(
        BaseFile(role, str(path), None) if item.role == role else BaseFile(item.role, str(pico.folder / item.path))
        for item in pico.files
    )
    return dataclasses.replace(pico, folder=folder, files=files)


def test_a_wrong_file_is_refused(tmp_path: Path, pico: Base) -> None:
    acoustic = pico.folder / "acoustic.safetensors"
    with pytest.raises(InputError, match=r"holds acoustic, base.yaml says text_to_semantic"):
        load_text_to_semantic(swapped(pico, tmp_path, "text_to_semantic", acoustic))
    checkpoint = read_checkpoint(acoustic)
    short = dict(list(checkpoint.weight.items())[1:])
    save_safetensors(dataclasses.replace(checkpoint, weight=short), tmp_path / "short.safetensors")
    with pytest.raises(InputError, match="1 missing"):
        load_synthesizer(swapped(pico, tmp_path, "acoustic", tmp_path / "short.safetensors"))
    save_safetensors(dataclasses.replace(checkpoint, version="nano"), tmp_path / "nano.safetensors")
    with pytest.raises(InputError, match="is nano, the base needs pico"):
        load_synthesizer(swapped(pico, tmp_path, "acoustic", tmp_path / "nano.safetensors"))
    voice = {name: t for name, t in checkpoint.weight.items() if not name.startswith("enc_q.")}
    save_safetensors(dataclasses.replace(checkpoint, weight=voice), tmp_path / "voice.safetensors")
    as_voice = swapped(pico, tmp_path, "acoustic", tmp_path / "voice.safetensors")
    with pytest.raises(InputError, match=r"missing .enc_q"):
        load_synthesizer(as_voice)
    assert load_synthesizer(as_voice, with_posterior=False).enc_q is None


def test_content_encoder_with_old_names(tmp_path: Path, pico: Base) -> None:
    """Upstream's file is a .bin with the names of its time: weight_g and weight_v, perhaps a prefix and a head."""
    encoder = load_content_encoder(pico)
    old = {
        "hubert."
        + name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in encoder.state_dict().items()
        if name != "masked_spec_embed"
    }
    torch.save(old | {"final_proj.weight": torch.zeros(2, 2)}, tmp_path / "pytorch_model.bin")
    loaded = load_content_encoder(swapped(pico, tmp_path, "content_encoder", tmp_path / "pytorch_model.bin"))
    wave = torch.randn(1, 16000)
    assert torch.equal(loaded(wave).last_hidden_state, encoder(wave).last_hidden_state)
    torch.save(old | {"stray": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"1 extra .stray"):
        load_content_encoder(swapped(pico, tmp_path, "content_encoder", tmp_path / "pytorch_model.bin"))


def test_bert_from_a_pretraining_file(tmp_path: Path, pico: Base) -> None:
    from transformers import BertConfig, BertForMaskedLM

    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 30,
    }
    network = BertForMaskedLM(BertConfig(**sizes))
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(sizes), encoding="utf-8")
    files = (BaseFile("bert", "pytorch_model.bin"), BaseFile("bert_config", "config.json"))
    bert = load_bert(dataclasses.replace(pico, folder=tmp_path, files=files))
    ids = torch.tensor([[1, 2, 3]])
    expected = network.eval().bert(ids, output_hidden_states=True).hidden_states
    assert all(torch.allclose(a, b) for a, b in zip(bert(ids).hidden_states, expected, strict=True))


def test_sizes_of_upstreams_files_come_from_their_configuration() -> None:
    model = {
        "inter_channels": 8,
        "hidden_channels": 8,
        "filter_channels": 16,
        "n_heads": 2,
        "n_layers": 2,
        "kernel_size": 3,
        "p_dropout": 0.1,
        "resblock": "1",
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1]],
        "upsample_rates": [10, 64],
        "upsample_initial_channel": 16,
        "upsample_kernel_sizes": [20, 128],
        "gin_channels": 512,
        "semantic_frame_rate": "25hz",
    }
    config = {
        "model": model,
        "train": {"segment_size": 20480},
        "data": {"filter_length": 2048, "hop_length": 640, "sampling_rate": 32000},
    }
    made = synthesizer_config(Checkpoint("acoustic", "v2", {}, config), "v.pth")
    assert (made.name, made.segment_frames, made.symbols, made.spectrum_bins) == ("v2", 32, 732, 1025)
    assert synthesizer_config(Checkpoint("acoustic", "v2Pro", {}, config), "v.pth").speaker_width == 20480
    with pytest.raises(ConfigurationError, match=r"v.pth: config: 'data' is missing"):
        synthesizer_config(Checkpoint("acoustic", "v2", {}, {"model": model}), "v.pth")
    with pytest.raises(ConfigurationError, match=r"g.ckpt: config.model"):
        text_to_semantic_config(Checkpoint("text_to_semantic", "v2", {}, {}), "g.ckpt")
    assert discriminator_config(Checkpoint("discriminator", "v2Pro", {}), "d.pth").periods[-1] == 23


def command(*arguments: str) -> tuple[int, str]:
    """Exit code and standard output of `timbre base`, as main() would end the process."""
    result = CliRunner().invoke(base, arguments, obj=Invocation())
    if isinstance(result.exception, TimbreError):
        return result.exception.exit_code, result.stdout
    assert result.exception is None, result.exception
    return result.exit_code, result.stdout


def test_commands_on_a_made_base(tmp_path: Path) -> None:
    where = ("--bases-dir", str(tmp_path / "bases"))
    assert command("make-pico", str(tmp_path / "bases" / "pico"), "--json")[0] == 0
    rows = json.loads(command("list", *where, "--json")[1])
    assert [(row["name"], row["files_present"], row["locked"]) for row in rows] == [("pico", 5, True)]
    code, table = command("check", "pico", *where, "--markdown")
    assert (code, table.count("| ok |")) == (0, 5)
    weights = tmp_path / "bases/pico/acoustic.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, printed = command("check", "pico", *where, "--json")
    states = {item["path"]: item["state"] for item in json.loads(printed)[0]["files"]}
    assert (code, states["acoustic.safetensors"]) == (20, "differs")
    weights.unlink()
    assert command("check", "pico", *where)[0] == 40
    assert command("check", "pika", *where)[0] == 40
    assert command("check", str(tmp_path / "absent.pth"), *where)[0] == 40


def test_check_of_files(tmp_path: Path) -> None:
    from tests.gptsovits.archive_samples import put_program, put_voice

    facts = check_file(put_voice(tmp_path / "v.pth", "v2Pro", b"05"))
    assert (facts.kind, facts.version, facts.label, facts.complete) == ("acoustic", "v2Pro", "05", False)
    assert facts.problem
    assert facts.sha256 == digest_file(tmp_path / "v.pth")
    put_program(tmp_path / "evil.pth", b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.")
    code, printed = command("check", str(tmp_path / "v.pth"), str(tmp_path / "evil.pth"))
    assert code == 10
    assert "os.system" in printed
    made = make_pico(tmp_path / "pico")
    whole = check_file(made.folder / "acoustic.safetensors")
    assert (whole.complete, whole.version) == (True, "pico")
    assert not any(item.failed for item in check_base(made))
    swapped_base = dataclasses.replace(
        made,
        files=tuple(
            dataclasses.replace(item, path="acoustic.safetensors", sha256=None)
            if item.role == "discriminator"
            else item
            for item in made.files
        ),
    )
    bad = {item.role: item for item in check_base(swapped_base)}["discriminator"]
    assert (bad.state, "base.yaml says discriminator" in bad.detail) == ("refused", True)
