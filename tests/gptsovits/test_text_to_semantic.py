"""Masking, cached and batched decoding, names at the border, and restricted sizes of the text-to-semantic network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from timbre.gptsovits.files.recipe_weights import fill_by_recipe
from timbre.gptsovits.parity.t2s import row_alone
from timbre.gptsovits.text_to_semantic.configuration import T2S_PICO, T2SConfig
from timbre.gptsovits.text_to_semantic.decoding import T2SRequest, advance, generate, lay_out_for_decoding, prefill
from timbre.gptsovits.text_to_semantic.network import T2SBatch, TextToSemantic
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig, penalise, probabilities, seen_ids

_GREEDY = SamplingConfig(top_k=1)


@pytest.fixture
def model() -> TextToSemantic:
    network = TextToSemantic(replace(T2S_PICO, position_dropout=0.0)).eval()
    fill_by_recipe(network, "test")
    return network


def _batch() -> T2SBatch:
    random = torch.Generator().manual_seed(1)
    return T2SBatch(
        phones=torch.randint(0, 732, (3, 9), generator=random),
        phone_lengths=torch.tensor([9, 4, 6]),
        codes=torch.randint(0, 1024, (3, 12), generator=random),
        code_lengths=torch.tensor([7, 12, 1]),
    )


def _request(phones: int, prompt: int, seed: int = 0) -> T2SRequest:
    random = torch.Generator().manual_seed(phones * 100 + prompt)
    ids = torch.randint(0, 732, (phones,), generator=random)
    return T2SRequest(ids, torch.randint(0, 1024, (prompt,), generator=random), seed=seed)


def test_a_padded_batch_has_the_loss_of_its_rows_alone(model: TextToSemantic) -> None:
    batch = _batch()
    together = model.loss(batch)
    alone = torch.stack([model.loss(row_alone(batch, row)).total for row in range(3)])
    torch.testing.assert_close(together.rows, alone, rtol=1e-5, atol=1e-4)
    assert together.targets.tolist() == [8, 13, 2]


def test_what_stands_in_the_padding_does_not_matter(model: TextToSemantic) -> None:
    batch = _batch()
    phones, codes = batch.phones.clone(), batch.codes.clone()
    phones[1, 4:], codes[0, 7:] = 5, 6
    changed = replace(batch, phones=phones, codes=codes)
    torch.testing.assert_close(model.loss(changed).rows, model.loss(batch).rows)
    phones[1, 3] = (phones[1, 3] + 1) % 732
    assert not torch.allclose(model.loss(replace(changed, phones=phones)).rows, model.loss(batch).rows)


def test_lengths_outside_the_batch_are_refused(model: TextToSemantic) -> None:
    with pytest.raises(ValueError, match="phone_lengths"):
        model.loss(replace(_batch(), phone_lengths=torch.tensor([9, 0, 6])))


@torch.inference_mode()
def test_cached_steps_equal_the_uncached_pass(model: TextToSemantic) -> None:
    request, more = _request(6, 5), torch.tensor([3, 700, 41])
    logits, state = prefill(model, [request], 8)
    cached = [logits, *(advance(model, code.view(1), state) for code in more)]
    codes = torch.cat([request.prompt, more]).unsqueeze(0)
    hidden = model.hidden_states(model.embed_text(request.phones.unsqueeze(0)), model.embed_codes(codes))
    torch.testing.assert_close(torch.cat(cached), model.predict(hidden[0, -4:]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sampling", [_GREEDY, SamplingConfig()])
def test_ragged_batch_speaks_what_each_row_speaks_alone(model: TextToSemantic, sampling: SamplingConfig) -> None:
    requests = [_request(9, 4, 1), _request(3, 7, 2), _request(5, 0, 3)]
    together = generate(model, requests, sampling, max_codes=40)
    for request, result in zip(requests, together, strict=True):
        (alone,) = generate(model, [request], sampling, max_codes=40)
        assert result.codes.tolist() == alone.codes.tolist()
        assert result.ended == alone.ended


def test_storing_by_columns_changes_no_code_and_no_name(model: TextToSemantic) -> None:
    before, names = generate(model, [_request(6, 5)], _GREEDY, 20)[0].codes, list(model.state_dict())
    after = generate(lay_out_for_decoding(model), [_request(6, 5)], _GREEDY, 20)[0].codes
    assert before.tolist() == after.tolist()
    assert list(model.state_dict()) == names
    assert "h.layers.0.self_attn.in_proj_weight" in names


def test_the_end_token_ends_a_row_but_not_too_early(model: TextToSemantic) -> None:
    with torch.no_grad():
        model.ar_predict_layer.weight[1024] = 0
        model.ar_predict_layer.weight[:1024] *= 1e-6
    (result,) = generate(model, [_request(4, 3)], SamplingConfig(top_k=1025), max_codes=4000 // 20, min_codes=11)
    assert result.ended
    assert len(result.codes) >= 11
    assert 1024 not in result.codes.tolist()


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of heads"):
        T2SConfig(hidden=30, heads=4)
    with pytest.raises(ValueError, match="embedding_dim"):
        T2SConfig.from_upstream({**T2SConfig().to_upstream(), "embedding_dim": 256})


def test_penalty_counts_an_id_once_and_knows_the_sign() -> None:
    seen = seen_ids(torch.tensor([[0, 0, 1]]), 3)
    assert penalise(torch.tensor([[2.0, -2.0, 1.0]]), seen, 2.0).tolist() == [[1.0, -4.0, 1.0]]


def test_top_p_comes_before_temperature_and_always_keeps_the_best() -> None:
    logits = torch.log(torch.tensor([[0.6, 0.3, 0.1]]))
    assert probabilities(logits, SamplingConfig(3, 0.5, 9.0, 1.0))[0].tolist() == [1.0, 0.0, 0.0]
    chances = probabilities(logits, SamplingConfig(3, 0.95, 0.5, 1.0))[0]
    torch.testing.assert_close(chances, torch.tensor([0.8, 0.2, 0.0]))
