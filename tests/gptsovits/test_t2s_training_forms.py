"""The text-to-semantic network as it is trained: adapters, gradient checkpointing, bfloat16 autocast."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model

from timbre.gptsovits.files.recipe_weights import fill_by_recipe
from timbre.gptsovits.text_to_semantic.configuration import T2S_PICO
from timbre.gptsovits.text_to_semantic.network import T2SBatch, TextToSemantic

_CONFIG = replace(T2S_PICO, dropout=0.0, position_dropout=0.0)


def _model(seed: str) -> TextToSemantic:
    network = TextToSemantic(_CONFIG)
    fill_by_recipe(network, seed)
    return network


def _batch() -> T2SBatch:
    random = torch.Generator().manual_seed(1)
    return T2SBatch(
        phones=torch.randint(0, _CONFIG.phonemes, (2, 7), generator=random),
        phone_lengths=torch.tensor([7, 3]),
        codes=torch.randint(0, _CONFIG.end_token, (2, 9), generator=random),
        code_lengths=torch.tensor([5, 9]),
    )


def test_base_weights_load_through_an_adapter() -> None:
    base, adapted = _model("one"), _model("other")
    names = r"h\.layers\.\d+\.self_attn\.(in_proj|out_proj)"
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=2, target_modules=names), adapted)
    with torch.no_grad():
        assert not torch.allclose(adapted(_batch()), base(_batch()))
    # out_proj carries no hook: its wrapped name is given here; the in_proj pair comes under upstream's names.
    state = {name.replace("out_proj.", "out_proj.base_layer."): value for name, value in base.state_dict().items()}
    assert "h.layers.0.self_attn.in_proj_weight" in state
    missing, unexpected = adapted.load_state_dict(state, strict=False)
    assert not unexpected
    assert missing
    assert all(".lora_" in name for name in missing)
    # A fresh adapter adds nothing, so the network must now speak as the base does.
    with torch.no_grad():
        torch.testing.assert_close(adapted(_batch()), base(_batch()))
    loss = adapted.loss(_batch()).total
    loss.backward()  # type: ignore[no-untyped-call]
    trained = {name for name, value in adapted.named_parameters() if value.grad is not None}
    assert trained
    assert all(".lora_" in name for name in trained)


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    model = _model("one").train()
    kept = []
    for enabled in (False, True):
        model.h.gradient_checkpointing = enabled
        model.zero_grad(set_to_none=True)
        calls = []
        hook = model.h.layers[0].register_forward_pre_hook(lambda *_: calls.append(1))  # noqa: B023
        model.loss(_batch()).total.backward()
        hook.remove()
        # Recomputation is the point: the block must really have run twice.
        assert len(calls) == (2 if enabled else 1)
        kept.append({name: value.grad for name, value in model.named_parameters() if value.grad is not None})
    assert kept[0].keys() == kept[1].keys()
    for name, value in kept[0].items():
        torch.testing.assert_close(value, kept[1][name], rtol=1e-4, atol=1e-6)


def test_bfloat16_autocast_stays_near_float32() -> None:
    model = _model("one").train()
    exact = model.loss(_batch()).total
    with torch.autocast("cpu", torch.bfloat16):
        assert model(_batch()).dtype == torch.bfloat16
        rounded = model.loss(_batch()).total
    assert rounded.dtype == torch.float32
    exact, value = exact.detach(), rounded.detach()
    assert float(value) != float(exact)
    assert float(value) == pytest.approx(float(exact), rel=0.02)
    rounded.backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
