"""python -m benchmarks.networks: our networks against plain variants of the same networks, one thread, CPU seconds.

Text-to-semantic, at official size with generated weights: 80 phones with random character vectors, 100 prompt codes,
exactly 100 new codes, top-k 15, penalty 1.35, batch 1. Beside it two floors: every layer matrix times a vector, once a
token, stored by rows as in checkpoint files, and by columns as ours decodes. The limit holds for the second, although
it leaves out the cache, whose keys and values (up to 28 MB) a token reads too.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import sys

import torch

from benchmarks.interleaved import Timing, take_turns
from benchmarks.naive_t2s import generate_naively
from timbre.gptsovits.files.recipe_weights import fill_by_recipe
from timbre.gptsovits.text_to_semantic.configuration import T2S_V2, T2SConfig
from timbre.gptsovits.text_to_semantic.decoding import T2SRequest, generate, lay_out_for_decoding
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig
from timbre.gptsovits.text_to_semantic.transformer import TransformerBlock

_PHONES, _PROMPT, _CODES = 80, 100, 100
_SAMPLING = SamplingConfig(top_k=15, top_p=1.0, temperature=1.0, repetition_penalty=1.35)
_FLOOR_LIMIT = 1.2


def workload(config: T2SConfig) -> T2SRequest:
    """Workload W: uniform phones and prompt codes, normal character vectors, all seeded."""
    random = torch.Generator().manual_seed(0)
    return T2SRequest(
        phones=torch.randint(0, config.phonemes, (_PHONES,), generator=random),
        prompt=torch.randint(0, config.end_token, (_PROMPT,), generator=random),
        bert=torch.randn(config.bert_width, _PHONES, generator=random) if config.bert_width else None,
    )


def layer_products(model: TextToSemantic, tokens: int) -> None:
    """Every layer matrix and the output matrix times a vector, once a token: the floor of decoding."""
    blocks = [layer for layer in model.h.layers if isinstance(layer, TransformerBlock)]
    narrow, wide = torch.ones(model.config.hidden), torch.ones(model.config.feed_forward)
    with torch.inference_mode():
        for _ in range(tokens):
            for block in blocks:
                torch.mv(block.self_attn.in_proj.weight, narrow)
                torch.mv(block.self_attn.out_proj.weight, narrow)
                torch.mv(block.linear1.weight, narrow)
                torch.mv(block.linear2.weight, wide)
            torch.mv(model.ar_predict_layer.weight, narrow)


def time_t2s(config: T2SConfig, rounds: int) -> dict[str, Timing]:
    """Ours and the plain variant, 1 and 100 codes each, and the floors. Raises RuntimeError if codes differ."""
    plain_model = TextToSemantic(config).eval()
    fill_by_recipe(plain_model, "benchmark-t2s")
    model = lay_out_for_decoding(copy.deepcopy(plain_model))
    request = workload(config)

    def ours(codes: int) -> torch.Tensor:
        # min_codes = codes: the end token is never allowed, so that exactly that many codes are made.
        return generate(model, [request], _SAMPLING, max_codes=codes, min_codes=codes)[0].codes

    first, second = ours(_CODES), generate_naively(plain_model, request, _SAMPLING, _CODES)
    if len(first) != _CODES or len(second) != _CODES:
        raise RuntimeError(f"made {len(first)} and {len(second)} codes instead of {_CODES}")
    greedy = SamplingConfig(top_k=1, repetition_penalty=1.35)
    plain = generate_naively(plain_model, request, greedy, _CODES)
    if not torch.equal(generate(model, [request], greedy, _CODES, _CODES)[0].codes, plain):
        raise RuntimeError("ours and the plain variant speak different codes: the comparison would mean nothing")
    return take_turns(
        {
            "ours 100": lambda: ours(_CODES),
            "plain 100": lambda: generate_naively(plain_model, request, _SAMPLING, _CODES),
            "ours 1": lambda: ours(1),
            "plain 1": lambda: generate_naively(plain_model, request, _SAMPLING, 1),
            "floor": lambda: layer_products(plain_model, 10),
            "floor by columns": lambda: layer_products(model, 10),
        },
        rounds,
    )


def t2s_rows(timings: dict[str, Timing]) -> list[dict[str, object]]:
    """Table rows: name, ours, other side, ratio other / ours, and the limit where there is one. Milliseconds."""
    per_token = {
        side: 1000 * (timings[f"{side} 100"].median_s - timings[f"{side} 1"].median_s) / (_CODES - 1)
        for side in ("ours", "plain")
    }
    floor, columns = 100 * timings["floor"].median_s, 100 * timings["floor by columns"].median_s
    whole = [1000 * timings[f"{side} 100"].median_s for side in ("ours", "plain")]
    first = [1000 * timings[f"{side} 1"].median_s for side in ("ours", "plain")]
    return [
        _row("t2s, prefill of 180 and 1 code", first[0], first[1], "plain variant", None),
        _row("t2s, 100 codes", whole[0], whole[1], "plain variant", None),
        _row("t2s, one code after prefill", per_token["ours"], per_token["plain"], "plain variant", None),
        _row("t2s, one code after prefill", per_token["ours"], floor, "matrix-vector floor, stored by rows", None),
        _row("t2s, one code after prefill", per_token["ours"], columns, "the floor, by columns", 1 / _FLOOR_LIMIT),
    ]


def _row(name: str, ours_ms: float, other_ms: float, other: str, least: float | None) -> dict[str, object]:
    ratio = other_ms / ours_ms
    return {
        "measure": name, "ours_ms": ours_ms, "other": other, "other_ms": other_ms, "ratio": ratio, "least": least,
        "met": None if least is None else ratio >= least,
    }  # fmt: skip


def print_rows(rows: list[dict[str, object]]) -> None:
    """One line a measure: CPU milliseconds of both sides and other / ours."""
    print(f"{'measure':<44} {'ours ms':>9} {'other ms':>9} {'other/ours':>10} {'at least':>8}  other side")
    for row in rows:
        least = "" if row["least"] is None else f"{row['least']:.2f}"
        met = "" if row["met"] is None else ("  ok" if row["met"] else "  MISS")
        print(
            f"{row['measure']:<44} {row['ours_ms']:>9.1f} {row['other_ms']:>9.1f} {row['ratio']:>10.2f} {least:>8}"
            f"  {row['other']}{met}"
        )


def main() -> int:
    """Print the table; 20 when a ratio misses its limit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each variant (default 5)")
    parser.add_argument("--only", choices=("t2s", "sovits"), help="one part alone")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    if arguments.only != "sovits":
        rows += t2s_rows(time_t2s(T2S_V2, arguments.rounds))
    if arguments.only != "t2s" and importlib.util.find_spec("benchmarks.networks_sovits") is not None:
        from benchmarks.networks_sovits import compare_sovits

        for side in compare_sovits(arguments.rounds):
            scale = 1000 if side.unit == "CPU s" else 1
            name = side.name if scale == 1000 else f"{side.name} ({side.unit})"
            rows.append(_row(name, scale * side.ours, scale * side.naive, "plain variant", side.limit))
    if arguments.json:
        print(json.dumps(rows, indent=1))
    else:
        print(f"torch {torch.__version__}, one thread, CPU time, median of {arguments.rounds} turns")
        print_rows(rows)
    return 20 if any(row["met"] is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
