"""The text-to-semantic network as one ONNX graph for prefill and decoding, with optional LoRA inputs.

The graph is written node by node instead of traced: the tracer fixes batch dimensions silently and knows no
fixed-slot cache.
Attention is com.microsoft.GroupQueryAttention with `causal = 0` and an additive bias, which expresses the network's
mask (text
sees all text, audio sees text and earlier audio) and reads and writes the cache in place when the same buffers are
bound as past and present.

Inputs (B rows, S new positions, T positions after this call, C cache capacity, H width, D head width, r rank):
    tokens int64 [B, S]        phone ids, or phone rows + code for codes
    positions int64 [B, S]     text and audio each count from 0
    features f32 [B, S, H]     optional, projected character vectors; zeros [1, 1, H] by default
    bias f32 [1, 1, S, T]      0 where a query sees a key, minus infinity elsewhere
    seqlens int32 [B]          last filled position of each row after this call (its length - 1)
    total int32 []             T
    past_key_N, past_value_N f32 [B, heads, C, D]
    read int64 [K]             optional, new positions whose next code is asked for; the last one by default
    <projection>.lora_A [BL, in, r], <projection>.lora_B [BL, r, out]   optional, BL = 1 or B, scale folded into B
Outputs:
    logits f32 [B * K, V] of the code after each position that is read; present_key_N, present_value_N [B, heads, C, D]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from timbre.gptsovits.text_to_semantic.configuration import T2SConfig
from timbre.gptsovits.text_to_semantic.transformer import sinusoid_table

Array = NDArray[Any]
OPSET = 21
IR_VERSION = 10
PROJECTIONS = ("self_attn.in_proj", "self_attn.out_proj", "linear1", "linear2")


def lora_names(config: T2SConfig) -> list[str]:
    """Names of all projections that may carry LoRA, as PEFT names them below `base_model.model.`."""
    return [f"h.layers.{layer}.{name}" for layer in range(config.layers) for name in PROJECTIONS]


def build_t2s_graph(config: T2SConfig, weights: Mapping[str, Array], *, max_positions: int = 2048) -> onnx.ModelProto:
    """The graph of a network.

    weights: the network's parameters under their inner names (`h.layers.0.self_attn.in_proj.weight`, ...), float32.
    max_positions: rows of the position table; positions at or above it are errors at run time.
    Raises KeyError when a weight is missing.
    """
    writer = _Writer(config, weights, max_positions)
    x = writer.embed()
    for layer in range(config.layers):
        x = writer.block(x, layer)
    writer.predict(x)
    return writer.model()


class _Writer:
    def __init__(self, config: T2SConfig, weights: Mapping[str, Array], max_positions: int) -> None:
        self.config = config
        self.weights = weights
        self.max_positions = max_positions
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def node(self, kind: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def constant(self, name: str, value: Array) -> str:
        # Not np.ascontiguousarray: it makes a scalar one-dimensional, and Gather's output with it.
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def input(self, name: str, kind: int, shape: Sequence[str | int]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def weight(self, name: str) -> Array:
        return np.asarray(self.weights[name], np.float32)

    def embed(self) -> str:
        """tokens, positions, features -> x [B, S, H]."""
        config, width = self.config, self.config.hidden
        text = self.weight("ar_text_embedding.word_embeddings.weight").copy()
        if config.bert_width:
            # Text without character vectors is projected from zeros: what remains is the bias.
            text += self.weight("bert_proj.bias")
        table = np.concatenate([text, self.weight("ar_audio_embedding.word_embeddings.weight")])
        tokens = self.input("tokens", TensorProto.INT64, ["B", "S"])
        positions = self.input("positions", TensorProto.INT64, ["B", "S"])
        features = self.input("features", TensorProto.FLOAT, ["BF", "SF", width])
        self.constant("features", np.zeros((1, 1, width), np.float32))
        embedded = self.node("Gather", [self.constant("token_table", table), tokens], "embedded")
        sinusoids = sinusoid_table(self.max_positions, width).numpy()
        place = self.node("Gather", [self.constant("position_table", sinusoids), positions], "place")
        is_code = self.node(
            "GreaterOrEqual", [tokens, self.constant("phone_rows", np.array(config.phonemes, np.int64))], "is_code"
        )
        strengths = [
            self.constant(name, self.weight(f"{name}.alpha").reshape(1, 1, 1))
            for name in ("ar_audio_position", "ar_text_position")
        ]
        axis = self.constant("last_axis", np.array([-1], np.int64))
        strength = self.node("Where", [self.node("Unsqueeze", [is_code, axis], "is_code_wide"), *strengths], "strength")
        moved = self.node("Add", [embedded, self.node("Mul", [strength, place], "scaled_place")], "with_position")
        return self.node("Add", [moved, features], "x")

    def projection(self, x: str, name: str) -> str:
        """x @ W + b, plus (x @ A) @ B where LoRA tensors are given."""
        weight = self.weight(f"{name}.weight")
        product = self.node("MatMul", [x, self.constant(f"{name}.weight", weight.T)], f"{name}.product")
        rows, columns = weight.shape
        down = self.input(f"{name}.lora_A", TensorProto.FLOAT, ["BL", columns, "r"])
        up = self.input(f"{name}.lora_B", TensorProto.FLOAT, ["BL", "r", rows])
        self.constant(down, np.zeros((1, columns, 1), np.float32))
        self.constant(up, np.zeros((1, 1, rows), np.float32))
        low = self.node("MatMul", [x, down], f"{name}.low_rank")
        update = self.node("MatMul", [low, up], f"{name}.update")
        total = self.node(
            "Add", [product, self.constant(f"{name}.bias", self.weight(f"{name}.bias"))], f"{name}.biased"
        )
        return self.node("Add", [total, update], f"{name}.out")

    def norm(self, x: str, name: str) -> str:
        scale = self.constant(f"{name}.weight", self.weight(f"{name}.weight"))
        shift = self.constant(f"{name}.bias", self.weight(f"{name}.bias"))
        return self.node("LayerNormalization", [x, scale, shift], f"{name}.out", axis=-1, epsilon=1e-5)

    def block(self, x: str, layer: int) -> str:
        config, name = self.config, f"h.layers.{layer}"
        shape: list[str | int] = ["B", config.heads, "C", config.head_width]
        past = [self.input(f"past_{kind}_{layer}", TensorProto.FLOAT, shape) for kind in ("key", "value")]
        if layer == 0:
            self.input("bias", TensorProto.FLOAT, [1, 1, "S", "T"])
            self.input("seqlens", TensorProto.INT32, ["B"])
            self.input("total", TensorProto.INT32, [])
            self.constant("thirds", np.full(3, config.hidden, np.int64))
        fused = self.projection(x, f"{name}.self_attn.in_proj")
        parts = [f"{name}.query", f"{name}.key", f"{name}.value"]
        self.nodes.append(helper.make_node("Split", [fused, "thirds"], parts, name=f"{name}.split", axis=-1))
        presents = [f"present_key_{layer}", f"present_value_{layer}"]
        self.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [*parts, *past, "seqlens", "total", "", "", "", "bias"],
                [f"{name}.mixed", *presents],
                name=f"{name}.attention",
                domain="com.microsoft",
                num_heads=config.heads,
                kv_num_heads=config.heads,
                causal=0,
                scale=float(config.head_width**-0.5),
            )
        )
        self.outputs += [helper.make_tensor_value_info(item, TensorProto.FLOAT, shape) for item in presents]
        attended = self.projection(f"{name}.mixed", f"{name}.self_attn.out_proj")
        x = self.norm(self.node("Add", [x, attended], f"{name}.after_attention"), f"{name}.norm1")
        inner = self.node("Relu", [self.projection(x, f"{name}.linear1")], f"{name}.inner")
        outer = self.projection(inner, f"{name}.linear2")
        return self.norm(self.node("Add", [x, outer], f"{name}.after_feed_forward"), f"{name}.norm2")

    def predict(self, x: str) -> None:
        read = self.input("read", TensorProto.INT64, ["K"])
        self.constant(read, np.array([-1], np.int64))
        hidden = self.node("Gather", [x, read], "read_hidden", axis=1)
        table = self.constant("ar_predict_layer.weight", self.weight("ar_predict_layer.weight").T)
        odds = self.node("MatMul", [hidden, table], "read_logits")
        rows = self.constant("rows_of_logits", np.array([-1, self.config.vocabulary], np.int64))
        self.node("Reshape", [odds, rows], "logits")
        self.outputs.insert(
            0, helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["BK", self.config.vocabulary])
        )

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "text_to_semantic", self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="timbre")
