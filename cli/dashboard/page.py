"""The pages of the site: self-contained HTML in English and Chinese, one language shown at a time."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from timbre.pipeline.release.registry_view import short
from timbre.registry.events import Event
from timbre.registry.manifest import Manifest

if TYPE_CHECKING:
    from timbre.cli.dashboard.site import VoiceView

_STYLE = """
:root{color-scheme:light dark;--ok:#137a3f;--bad:#b3261e;--soft:#7d8799;--line:#d0d5dd77;--card:#80808014}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,'Noto Sans CJK SC',sans-serif;max-width:70rem;margin:0 auto;padding:1.5rem}
h1{margin:.2rem 0 1rem}h2{margin:2rem 0 .6rem;font-size:1.15rem}.soft{color:var(--soft)}a{color:inherit}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}code{font-size:.92em}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}
td.why{white-space:normal;min-width:14rem}th{font-weight:600;font-size:.85rem;color:var(--soft)}
.tag{border-radius:99px;padding:.05rem .6rem;color:#fff;font-size:.85rem;background:var(--soft)}
.ok{background:var(--ok)}.bad{background:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.8rem}
.card{background:var(--card);border-radius:12px;padding:.8rem 1rem}.card svg{width:100%;height:64px;display:block}
footer{margin-top:2.5rem;font-size:.85rem;color:var(--soft)}
button{font:inherit;border:1px solid var(--line);background:none;border-radius:8px;padding:.2rem .8rem;cursor:pointer;
float:right}
body:not(.zh) [lang=zh],body.zh [lang=en]{display:none}
"""
_SCRIPT = """
const kept=()=>{try{return localStorage.getItem('timbre-language')}catch{return null}};
const show=zh=>document.body.classList.toggle('zh',zh);
show((kept()||navigator.language||'').startsWith('zh'));
document.querySelector('button').onclick=()=>{const zh=!document.body.classList.contains('zh');show(zh);
try{localStorage.setItem('timbre-language',zh?'zh':'en')}catch{}};
"""
_STATES = {
    "published": ("in production", "已上线", "ok"),
    "retired": ("retired", "已下线", ""),
    "revoked": ("revoked", "已撤回", "bad"),
    "not promoted": ("not promoted", "等待上线", ""),
    "not published": ("not published", "未发布", ""),
    "damaged": ("damaged", "记录损坏", "bad"),
}
_REPORT = ".timbre/reports/{voice}/evaluate/report.html"
_MOST_POINTS = 40


def index_page(views: Sequence[VoiceView], made: str) -> str:
    """All voices, one a row."""
    head = _head(
        ("voice", "声音"), ("state", "状态"), ("version", "版本"), ("since", "自"), ("gates", "质量门"),
        ("versions", "版本数"), ("base", "底模"), ("commit", "提交"), ("author", "作者"), ("report", "报告"),
    )  # fmt: skip
    rows = "".join(_index_row(view) for view in views)
    none = _both("p", "No voice yet.", "还没有声音。") if not views else ""
    body = [_both("h1", "Voices", "声音"), f"<div class=scroll><table>{head}<tbody>{rows}</tbody></table></div>{none}"]
    return _page("Voices", body, made)


def voice_page(view: VoiceView, made: str) -> str:
    """One voice: production version, gates over versions, versions, events."""
    known = view.known
    body = [
        f'<p><a href="index.html">{_both("span", "All voices", "全部声音")}</a></p>',
        f"<h1>{_text(known.name)} {_state(known.state)}</h1>",
    ]
    if view.problem:
        body.append(f"<p class=card>{_text(view.problem)}</p>")
    now = view.production
    if now is not None:
        rights = _text(now.consent.get("rights", ""))
        said = f"<code>{_text(now.version)}</code>, {_text(short(known.since))} UTC. {rights}"
        body.append(f"<p class=card>{_both('b', 'In production', '生产版本')}: {said}</p>")
    if view.versions:
        body += [_both("h2", "Gates over versions", "各版本的质量门"), _gates_over(view.versions)]
        body += [_both("h2", "Versions", "版本"), _versions(view)]
    if view.events:
        body += [_both("h2", "Events", "事件"), _events(view.events)]
    return _page(known.name, body, made)


def _index_row(view: VoiceView) -> str:
    known, now = view.known, view.production
    link = f'<a href="{_text(known.name)}.html"><b>{_text(known.name)}</b></a>'
    cells = [link, _state(known.state), f"<code>{_text(known.version or '-')}</code>", _text(short(known.since) or "-")]
    if now is None:
        cells += ["-", str(len(view.versions)), _text(known.base or "-"), "-", "-", "-"]
    else:
        came = now.provenance
        cells += [_green(now.gates), str(len(view.versions)), _text(now.base)]
        cells += [f"<code>{_text((came.commit or '-')[:12])}</code>", _name(came.author), _report(now)]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _versions(view: VoiceView) -> str:
    head = _head(
        ("version", "版本"), ("made", "制作时间"), ("gates", "质量门"), ("base", "底模"), ("commit", "提交"),
        ("author", "作者"), ("report", "报告"),
    )  # fmt: skip
    rows = []
    for item in reversed(view.versions):
        marked = ' <span class="tag ok">●</span>' if item.version == view.known.version else ""
        base = f"{_text(item.base)} <code>{_text(item.base_digest[:8])}</code>"
        cells = [
            f"<code>{_text(item.version)}</code>{marked}", _text(short(item.created)), _green(item.gates), base,
            f"<code>{_text((item.provenance.commit or '-')[:12])}</code>", _name(item.provenance.author),
            _report(item),
        ]  # fmt: skip
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<div class=scroll><table>{head}<tbody>{''.join(rows)}</tbody></table></div>"


def _events(events: Sequence[Event]) -> str:
    head = _head(
        ("time", "时间"), ("act", "操作"), ("version", "版本"), ("by", "操作者"), ("approved by", "批准者"),
        ("commit", "提交"), ("why", "原因"),
    )  # fmt: skip
    rows = []
    for item in reversed(events):
        cells = [
            _text(short(item.time)), _text(str(item.act)), f"<code>{_text(item.version or '-')}</code>",
            _name(item.actor), _name(item.approved_by), f"<code>{_text((item.commit or '-')[:12])}</code>",
        ]  # fmt: skip
        plain = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f"<tr>{plain}<td class=why>{_text(item.reason)}</td></tr>")
    return f"<div class=scroll><table>{head}<tbody>{''.join(rows)}</tbody></table></div>"


def _gates_over(versions: Sequence[Manifest]) -> str:
    """A card a gate: its latest value and limit, and a line through the values of the latest versions."""
    latest = versions[-_MOST_POINTS:]
    names = list(dict.fromkeys(name for item in reversed(latest) for name in item.gates))
    return f"<div class=cards>{''.join(_gate_card(name, latest) for name in names)}</div>"


def _gate_card(name: str, versions: Sequence[Manifest]) -> str:
    gates = [item.gates.get(name, {}) for item in versions]
    last = next(gate for gate in reversed(gates) if gate)
    title = f"{last.get('title', name)} ({last.get('protocol', '')}, {last.get('statistic', 'mean')})"
    limit = last.get("limit")
    sign = "≤" if last.get("direction") == "lower" else "≥"
    shown = "" if limit is None else f" <span class=soft>{sign} {limit:g}</span>"
    points = [(gate.get("value"), bool(gate.get("passed"))) for gate in gates]
    value = last.get("value")
    number = "-" if value is None else f"{value:.4g}"
    return f"<div class=card><div class=soft>{_text(title)}</div><b>{number}</b>{shown}{_line(points, limit)}</div>"


def _line(points: Sequence[tuple[float | None, bool]], limit: float | None) -> str:
    """An SVG of the values over versions; the dashed line is the limit."""
    values = [value for value, _ in points if value is not None]
    if not values:
        return ""
    scale = values if limit is None else [*values, limit]
    low, span = min(scale), (max(scale) - min(scale)) or 1.0

    def y(value: float) -> float:
        return 56 - 48 * (value - low) / span

    step = 280 / max(1, len(points) - 1)
    drawn = [(10 + index * step, y(value), passed) for index, (value, passed) in enumerate(points) if value is not None]
    path = " ".join(f"{x:.1f},{height:.1f}" for x, height, _ in drawn)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{height:.1f}" r="3.5" fill="var(--{"ok" if passed else "bad"})"/>'
        for x, height, passed in drawn
    )
    dashed = (
        f'<line x1="0" x2="300" y1="{y(limit):.1f}" y2="{y(limit):.1f}" stroke="currentColor" '
        'stroke-dasharray="4 4" opacity=".5"/>'
        if limit is not None
        else ""
    )
    return (
        f'<svg viewBox="0 0 300 64" role="img" aria-label="values over versions">{dashed}'
        f'<polyline points="{path}" fill="none" stroke="currentColor" opacity=".6"/>{dots}</svg>'
    )


def _green(gates: Mapping[str, Mapping[str, Any]]) -> str:
    green = sum(bool(gate.get("passed")) for gate in gates.values())
    red = any(gate.get("blocks", True) and not gate.get("passed") for gate in gates.values())
    return f'<span class="tag {"bad" if red else "ok"}">{green} / {len(gates)}</span>'


def _report(manifest: Manifest) -> str:
    """A link to the report among the job's artifacts on GitLab or Jenkins."""
    job = manifest.provenance.job or ""
    if not job.startswith(("https://", "http://")):
        return "-"
    path = _REPORT.format(voice=manifest.voice)
    if "/-/jobs/" in job:
        job = f"{job}/artifacts/file/{path}"
    elif job.endswith("/"):
        job = f"{job}artifact/{path}"
    return f'<a href="{_text(job)}">{_both("span", "report", "报告")}</a>'


def _name(person: str | None) -> str:
    """The name without the address: the site may be public."""
    return _text((person or "-").partition(" <")[0] or "-")


def _state(state: str) -> str:
    english, chinese, kind = _STATES.get(state, (state, state, ""))
    return f'<span class="tag {kind}">{_both("span", english, chinese)}</span>'


def _head(*titles: tuple[str, str]) -> str:
    return "<thead><tr>" + "".join(f"<th>{_both('span', *title)}</th>" for title in titles) + "</tr></thead>"


def _page(title: str, body: Sequence[str], made: str) -> str:
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{_text(title)} · Timbre</title><style>{_STYLE}</style></head><body>",
            "<button>中文 / English</button>",
            *body,
            f"<footer>{_text(made)}</footer><script>{_SCRIPT}</script></body></html>",
            "",
        ]
    )


def _both(tag: str, english: str, chinese: str) -> str:
    return f'<{tag} lang="en">{english}</{tag}><{tag} lang="zh">{chinese}</{tag}>'


def _text(value: object) -> str:
    return html.escape(str(value))
