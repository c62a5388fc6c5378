"""The page of a comparison: gates and origins side by side, sounds of both, and a blind listening test whose result is
saved as a file. One file that needs no server.

Comparison -> values for evaluation/reports/templates/compare.html.j2 -> HTML
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import soundfile
from markupsafe import Markup

from timbre.audio.reader import read
from timbre.core.digests import digest_file
from timbre.core.errors import TimbreError
from timbre.evaluation.listening import Heard, page_data
from timbre.evaluation.measurements import Sample
from timbre.evaluation.reports.chinese import TITLES
from timbre.evaluation.reports.curves import compared_curves
from timbre.evaluation.reports.pages import CSS, LANGUAGE_SCRIPT, environment
from timbre.evaluation.reports.pages import read as template_file
from timbre.pipeline.release.compared import Side
from timbre.pipeline.release.comparison import Comparison, GateRow, change_text, side_text

_PACKAGE = "timbre.evaluation.reports"
_AREAS = {"origin": ("origin", "来源"), "recipe": ("recipe", "训练参数"), "recordings": ("recordings", "录音")}
_NAMES = {
    "created": "时间", "commit": "提交", "author": "作者", "base": "底模", "languages": "语言",
    "recipe digest": "参数摘要", "overrides": "单独设置", "gates.yaml": "质量门文件摘要", "stage 4": "阶段四的键",
    "state": "结果", "version": "版本", "recordings digest": "录音摘要", "training slices": "训练切片",
    "training seconds": "训练时长（秒）", "steps t2s": "步数：文本到语义", "steps sovits": "步数：声学模型",
    "held-out recordings": "留出录音", "spoken sentences": "合成的句子", "samples": "样本", "texts version": "文本版本",
    "graphs": "计算图",
}  # fmt: skip


def comparison_page(found: Comparison) -> str:
    """The page. Sounds keep their own rate: a listening test must not lose the highs that one of the two has."""
    pairs = []
    for pair in found.pairs:
        a, b = _player(found.a, pair.a.file), _player(found.b, pair.b.file)
        if a and b:
            digests = [digest_file(file_of(side, one)) for side, one in ((found.a, pair.a), (found.b, pair.b))]
            pairs.append(Heard(pair.a.id, pair.text, a, b, *digests))
    return (
        environment(_PACKAGE)
        .get_template("compare.html.j2")
        .render(
            css=Markup(CSS), script=Markup(LANGUAGE_SCRIPT + template_file(_PACKAGE, "listening.js")), a=found.a.name,
            b=found.b.name, facts=[_fact(fact) for fact in found.facts if not fact.same],
            equal=[_fact(fact)["names"] for fact in found.facts if fact.same and fact.a],
            gates=[_gate(row) for row in found.gates], pairs=pairs, shared=found.shared_texts,
            test=Markup(page_data(found.a.name, found.b.name, pairs)),
            only=(found.only_a, found.only_b), certain=sum(bool(row.better) for row in found.gates),
            told=sum(row.change is not None for row in found.gates),
            curves=compared_curves(found.a.training, found.b.training),
        )
    )  # fmt: skip


def _fact(fact: Any) -> dict[str, Any]:
    return {
        "area": _AREAS[fact.area], "names": (fact.name, _NAMES.get(fact.name, fact.name)), "a": fact.a or "-",
        "b": fact.b or "-",
    }  # fmt: skip


def _gate(row: GateRow) -> dict[str, Any]:
    sides = [
        {"text": side_text(row, gate).removesuffix(" red").removesuffix(" low"),
         "kind": "" if not gate else "green" if gate.get("passed") else "red" if gate.get("blocks", True) else "yellow"}
        for gate in (row.a, row.b)
    ]  # fmt: skip
    change = change_text(row).replace(" to ", " – ").replace(", other sentences", " *")
    for side in sides:
        side["text"] = side["text"].replace(" to ", " – ")
    title = TITLES.get(row.metric, (row.title,))[0]
    return {
        "title": (row.title, title), "protocol": row.protocol, "sides": sides, "change": change, "better": row.better,
    }  # fmt: skip


def file_of(side: Side, sample: Sample) -> Path:
    """Where the sound of a sample of this side lies. Raises ValueError for a side without sound."""
    if side.folder is None:
        raise ValueError(f"{side.name} has no sound")
    return side.folder / sample.file


def _player(side: Side, file: str) -> str:
    """FLAC as a data address; "" for a file that cannot be read."""
    if side.folder is None:
        return ""
    try:
        wave = read(Path(side.folder) / file)
    except TimbreError:
        return ""
    stream = io.BytesIO()
    soundfile.write(stream, wave.samples, wave.rate_hz, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(stream.getvalue()).decode()}"
