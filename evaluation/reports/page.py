"""report.html: one file that needs nothing else. Verdict first, then each gate, then what to listen to and what to do.

Players, spectrograms and the training curve are embedded; English and Chinese are both in the page, one is shown.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.evaluation.gates import Verdict, Verdicts
from timbre.evaluation.measurements import Measurements, Sample
from timbre.evaluation.reports import chinese as zh
from timbre.evaluation.reports.advice import advice
from timbre.evaluation.reports.calibration_note import calibration_sentence, left_out_sentence
from timbre.evaluation.reports.markdown import limit_text, number

_PLAYER_RATE_HZ = 16_000
_MAX_PAIRS = 6

_STYLE = """
:root{color-scheme:light dark;--ok:#137a3f;--bad:#b3261e;--soft:#667085;--line:#d0d5dd55;--card:#80808012}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,'Noto Sans CJK SC',sans-serif;max-width:62rem;margin:0 auto;padding:1.5rem}
h1{margin:.2rem 0}h2{margin:2.2rem 0 .6rem;font-size:1.15rem}.soft{color:var(--soft)}
.verdict{border-radius:12px;padding:1rem 1.3rem;color:#fff;font-size:1.25rem;margin:1rem 0}
.pass{background:var(--ok)}.fail{background:var(--bad)}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .55rem;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;font-size:.85rem;color:var(--soft)}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
.tag{border-radius:99px;padding:.05rem .6rem;color:#fff;font-size:.85rem;white-space:nowrap}
.bar{position:relative;height:8px;background:var(--card);border-radius:4px;min-width:110px;margin-top:.5rem}
.bar i{position:absolute;top:0;bottom:0;left:0;border-radius:4px}.bar
b{position:absolute;top:-4px;width:2px;height:16px;background:currentColor}
.card{background:var(--card);border-radius:12px;padding:.9rem 1.1rem;margin:.7rem 0}audio{width:100%;height:34px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.pair>div{min-width:0}.pair img{width:100%;border-radius:6px}
@media(max-width:640px){.pair{grid-template-columns:1fr}td.wide,th.wide{display:none}}
button{font:inherit;border:1px solid var(--line);background:none;border-radius:8px;padding:.2rem
.8rem;cursor:pointer;float:right} body:not(.zh) [lang=zh],body.zh [lang=en]{display:none}details{margin:.3rem 0}
"""


def report_page(
    verdicts: Verdicts, measured: Measurements, samples: Path, *, curve_svg: str = "", about: str = ""
) -> str:
    """The page. samples: the stage's output folder, below which the kept samples lie. curve_svg: training curve, may
    be empty.
    """
    red = verdicts.red
    passed = verdicts.passed
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{_text(measured.voice)}: {'passed' if passed else 'failed'}</title>",
        f"<style>{_STYLE}</style></head><body>",
        "<button onclick=\"document.body.classList.toggle('zh')\">中文 / English</button>",
        f"<h1>{_text(measured.voice)}</h1>",
        f'<p class="soft">{_text(about)}</p>',
        _verdict(passed, red),
        _both("h2", "Gates", "质量门"),
        _table(verdicts),
        _calibration(verdicts, measured),
        *_left_out(verdicts),
    ]
    if red:
        parts += [_both("h2", "What to do", "该怎么办"), *(_advice(item) for item in red)]
    parts += [_both("h2", "Listen: recording and voice", "试听：录音与合成"), *_pairs(measured, samples)]
    failed = [sample for sample in measured.adapted.tts if sample.failures]
    if failed:
        parts += [_both("h2", "Sentences that failed", "失败的句子"), *(_failed(item, samples) for item in failed[:10])]
    if curve_svg:
        parts += [_both("h2", "Training", "训练曲线"), f'<div class="card">{curve_svg}</div>']
    parts += [_both("h2", "How this was measured", "测量方法"), _method(verdicts, measured), "</body></html>"]
    return "\n".join(parts) + "\n"


def _verdict(passed: bool, red: Sequence[Verdict]) -> str:
    if passed:
        text = _both("span", "Passed: this voice may be published.", "通过：这个声音可以发布。")
        return f'<div class="verdict pass">{text}</div>'
    names = ", ".join(item.metric.title for item in red)
    chinese = "、".join(zh.title(item) for item in red)
    return (
        f'<div class="verdict fail">'
        f"{_both('span', f'Failed: {names}. Nothing was published.', f'未通过：{chinese}。没有发布任何内容。')}</div>"
    )


def _table(verdicts: Verdicts) -> str:
    level = f"{100 * verdicts.confidence:g}"
    head = "".join(
        f'<th class="{kind}">{_both("span", english, chinese)}</th>'
        for kind, english, chinese in (
            ("", "gate", "质量门"), ("", "value", "数值"), ("", "limit", "限值"),
            ("wide", f"{level} % interval", f"{level}% 区间"), ("wide", "base alone", "仅底模"),
            ("wide", "production", "生产版本"), ("", "", ""),
        )
    )  # fmt: skip
    rows = []
    for item in verdicts.verdicts:
        color = "var(--ok)" if item.passed else "var(--bad)" if item.gate.blocks else "var(--soft)"
        word = ("ok", "通过") if item.passed else ("red", "未通过") if item.gate.blocks else ("low", "偏低")
        interval = "-" if item.low is None else f"{number(item.low)} – {number(item.high)}"
        cells = [
            f"<td>{_both('b', item.metric.title, zh.title(item))} <span class=soft>{item.gate.protocol}</span>",
            f"<div class=soft>{_both('span', item.gate.why, zh.meaning(item))}</div>{_bar(item, color)}</td>",
            f"<td class=n>{number(item.value)}</td><td class=n>{limit_text(item)}</td>",
            f'<td class="n wide">{interval}</td>',
            f'<td class="n wide">{number(item.base)}</td>',
            f'<td class="n wide">{number(item.production)}</td>',
            f'<td><span class=tag style="background:{color}">{_both("span", *word)}</span></td>',
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _calibration(verdicts: Verdicts, measured: Measurements) -> str:
    note = calibration_sentence(verdicts.calibration, measured.base_digest)
    return f'<p class="soft">{_both("span", *note)}</p>'


def _left_out(verdicts: Verdicts) -> list[str]:
    return [_both("p", *left_out_sentence(verdicts.left_out))] if verdicts.left_out else []


def _bar(item: Verdict, color: str) -> str:
    """Value and limit on one scale, so that the distance to the limit is seen."""
    if item.value is None or item.gate.limit is None:
        return ""
    low, high = min(0.0, item.value, item.gate.limit), max(item.value, item.gate.limit, 0.0) * 1.15 or 1.0
    if high <= low:
        low, high = min(item.value, item.gate.limit) * 1.15, 0.0
    value, limit = ((x - low) / (high - low) * 100 for x in (item.value, item.gate.limit))
    return (
        f'<div class=bar><i style="width:{value:.1f}%;background:{color}"></i><b style="left:{limit:.1f}%"></b></div>'
    )


def _advice(item: Verdict) -> str:
    english, chinese = advice(item.gate.metric)
    reason = f"<b>{_text(item.metric.title)}</b>: {_text(item.reason)}."
    chinese_reason = f"<b>{zh.title(item)}</b>：{zh.reason(item)}。"
    return f"<div class=card>{_both_html('span', reason, chinese_reason)}<br>{_both('span', english, chinese)}</div>"


def _pairs(measured: Measurements, folder: Path) -> list[str]:
    spoken: dict[str, Sample] = {}
    for sample in measured.adapted.tts:
        if sample.source == "held-out" and sample.file:
            spoken.setdefault(sample.id, sample)
    found = []
    for sample in list(spoken.values())[:_MAX_PAIRS]:
        real = folder / "samples" / f"real-{sample.id}.wav"
        if not real.is_file():
            continue
        found.append(
            f"<div class=card>{_text(sample.text)}<div class=pair>"
            f"<div>{_both('div', 'recording', '录音')}{_sound(real)}</div>"
            f"<div>{_both('div', 'spoken from text', '由文本合成')}{_sound(folder / sample.file)}</div></div></div>"
        )
    return found


def _failed(sample: Sample, folder: Path) -> str:
    player = _player(read(folder / sample.file)) if sample.file else ""
    reasons = "".join(f"<li>{_text(reason)}</li>" for reason in sample.failures)
    seed = _both("span", f"seed {sample.seed}", f"随机种子 {sample.seed}")
    head = f"{_text(sample.text)} <span class=soft>{seed}</span>"
    return f"<div class=card>{head}<ul>{reasons}</ul>{player}</div>"


def _method(verdicts: Verdicts, measured: Measurements) -> str:
    rows = "".join(
        f"<li>{_both('b', item.metric.title, zh.title(item))} ({item.gate.protocol}, {item.count}): "
        f"{_text(item.metric.model)} {_text(measured.models.get(item.gate.metric, ''))}. "
        f"{_text(item.metric.caution)}</li>"
        for item in verdicts.verdicts
    )
    base = f"{_text(measured.base)} <code>{measured.base_digest[:12]}</code>"
    english = f"Base {base}, graphs {measured.profile}, texts version {measured.texts_version}."
    chinese = f"底模 {base}，计算图 {measured.profile}，文本版本 {measured.texts_version}。"
    facts = "".join(f"<li>{_text(name)}: {number(value)}</li>" for name, value in sorted(measured.real.items()))
    return (
        f"{_both_html('p', english, chinese)}"
        f"<ul>{rows}</ul>"
        f"<details><summary>{_both('span', 'The held-out recordings themselves', '留出录音本身的数值')}</summary>"
        f"<ul>{facts}</ul></details>"
    )


def _sound(path: Path) -> str:
    wave = read(path)
    return f"{_player(wave)}<img alt='spectrogram' src='data:image/png;base64,{_spectrogram(wave)}'>"


def _player(wave: Waveform) -> str:
    narrow = resample(wave, _PLAYER_RATE_HZ)
    stream = io.BytesIO()
    soundfile.write(stream, narrow.samples, _PLAYER_RATE_HZ, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(stream.getvalue()).decode()
    return f"<audio controls preload=none src='data:audio/flac;base64,{data}'></audio>"


def _spectrogram(wave: Waveform) -> str:
    """A grey-scale PNG of the log magnitude spectrum up to 8 kHz, 80 dB deep, base64."""
    import struct
    import zlib

    samples = resample(wave, _PLAYER_RATE_HZ).samples
    size, hop = 512, max(128, len(samples) // 700)
    padded = np.pad(samples, (0, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    decibels = 10 * np.log10(power + 1e-10)
    grey = np.clip((decibels - decibels.max() + 80) / 80, 0, 1).T[::-1]
    pixels = (255 - grey[::2] * 255).astype(np.uint8)
    height, width = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return base64.b64encode(png).decode()


def _both(tag: str, english: str, chinese: str) -> str:
    return _both_html(tag, _text(english), _text(chinese))


def _both_html(tag: str, english: str, chinese: str) -> str:
    return f'<{tag} lang="en">{english}</{tag}><{tag} lang="zh">{chinese}</{tag}>'


def _text(value: str) -> str:
    return html.escape(value)
