"""Our text-to-semantic network against a folder of reference vectors.

Left out are `out.train_loss` and `out.train_grad*`: they contain upstream's masking defect (text masked on the wrong
side, padded frames counted as end tokens). The target is `*_rows_alone`, each row without padding, and our batch must
equal their sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from timbre.gptsovits.files.recipe_weights import fill_by_recipe
from timbre.gptsovits.parity.check import RELATIVE_LIMIT, Check, VectorSet
from timbre.gptsovits.text_to_semantic.configuration import T2SConfig
from timbre.gptsovits.text_to_semantic.decoding import T2SRequest, generate
from timbre.gptsovits.text_to_semantic.network import T2SBatch, TextToSemantic
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig

_LEFT_OUT = ("out.train_loss", "out.train_grad_norm", "out.train_grad.*")
_BATCH_PENALTY = 1.35


def t2s_checks(folder: Path) -> Iterator[Check]:
    """Every comparison that the folder allows. Raises what reading the folder or building the network raises."""
    vectors = VectorSet.open(folder)
    model = _network(vectors)
    yield vectors.weights(model.state_dict())
    yield from _states(vectors, model)
    yield from _generation(vectors, model)
    yield from _training(vectors, model)
    yield from vectors.not_compared(_LEFT_OUT)


def _network(vectors: VectorSet) -> TextToSemantic:
    model = TextToSemantic(T2SConfig.from_upstream(vectors.config["model"]))
    stored = vectors.stored_state()
    if stored is None:
        fill_by_recipe(model, vectors.seed_string)
    else:
        model.load_state_dict(stored, strict=True)
    return model.eval()


@torch.inference_mode()
def _states(vectors: VectorSet, model: TextToSemantic) -> Iterator[Check]:
    text = model.embed_text(vectors["in.phones"], vectors["in.bert"])
    yield vectors.absolute("out.text_emb", text)
    audio = model.embed_codes(vectors["in.prompt"])
    yield vectors.absolute("out.audio_emb", audio)
    hidden = model.hidden_states(text, audio)
    yield vectors.absolute("out.hidden", hidden)
    yield vectors.absolute("out.logits", model.predict(hidden[:, text.shape[1] - 1 :]))


def _generation(vectors: VectorSet, model: TextToSemantic) -> Iterator[Check]:
    first = _request(vectors, "")
    prefix = "out.greedy_rep"
    names = [name for name in vectors.vectors if name.startswith(prefix)]
    if not names:
        yield vectors.failure(f"{prefix}*", "no generated tokens in vectors.safetensors")
    for name in sorted(names):
        greedy = SamplingConfig(top_k=1, repetition_penalty=float(name.removeprefix(prefix)))
        (result,) = generate(model, [first], greedy, max_codes=len(vectors[name]))
        yield vectors.equal(name, result.codes)
    both = [vectors["out.batch0_tokens"], vectors["out.batch1_tokens"]]
    greedy = SamplingConfig(top_k=1, repetition_penalty=_BATCH_PENALTY)
    results = generate(model, [first, _request(vectors, "2")], greedy, max_codes=max(len(tokens) for tokens in both))
    for index, (tokens, result) in enumerate(zip(both, results, strict=True)):
        yield vectors.equal(f"out.batch{index}_tokens", result.codes[: len(tokens)])


def _request(vectors: VectorSet, suffix: str) -> T2SRequest:
    return T2SRequest(vectors[f"in.phones{suffix}"][0], vectors["in.prompt"][0], vectors[f"in.bert{suffix}"][0])


def _training(vectors: VectorSet, model: TextToSemantic) -> Iterator[Check]:
    batch = T2SBatch(
        phones=vectors["in.train_phones"],
        phone_lengths=vectors["in.train_phones_len"],
        codes=vectors["in.train_semantic"],
        code_lengths=vectors["in.train_semantic_len"],
        bert=vectors["in.train_bert"],
    )
    losses, norms = [], []
    summed: list[Tensor] = []
    for row in range(batch.phones.shape[0]):
        loss, gradients = _loss_and_gradients(model, row_alone(batch, row))
        losses.append(loss)
        norms.append(_norm(gradients))
        summed = [a + b for a, b in zip(summed, gradients, strict=True)] if summed else gradients
    yield vectors.relative("out.train_loss_rows_alone", torch.stack(losses))
    yield vectors.relative("out.train_grad_norm_rows_alone", torch.stack(norms))
    loss, gradients = _loss_and_gradients(model, batch)
    wanted = float(vectors["out.train_loss_rows_alone"].double().sum())
    yield vectors.extra(
        "batched loss = sum(out.train_loss_rows_alone)", "relative", abs(float(loss) - wanted) / wanted, RELATIVE_LIMIT
    )
    apart = _norm([a - b for a, b in zip(gradients, summed, strict=True)]) / _norm(summed)
    yield vectors.extra("batched gradient = sum of the rows' own (L2)", "relative", float(apart), RELATIVE_LIMIT)


def row_alone(batch: T2SBatch, row: int) -> T2SBatch:
    """One row of a batch cut to its own lengths: no padding anywhere."""
    phones, codes = int(batch.phone_lengths[row]), int(batch.code_lengths[row])
    return T2SBatch(
        phones=batch.phones[row : row + 1, :phones],
        phone_lengths=batch.phone_lengths[row : row + 1],
        codes=batch.codes[row : row + 1, :codes],
        code_lengths=batch.code_lengths[row : row + 1],
        bert=None if batch.bert is None else batch.bert[row : row + 1, :, :phones],
    )


def _loss_and_gradients(model: TextToSemantic, batch: T2SBatch) -> tuple[Tensor, list[Tensor]]:
    loss = model.loss(batch).total
    # allow_unused: a table row or projection may take no part in a batch; its gradient is zero.
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
    return loss.detach(), filled


def _norm(tensors: list[Tensor]) -> Tensor:
    return torch.stack([tensor.double().square().sum() for tensor in tensors]).sum().sqrt()
