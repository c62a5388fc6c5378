"""Charts as inline SVG: as wide as the page lets them be, in the page's own colours, light or dark; no library.

Series, limit -> <svg> with axes for a report, or without for a card
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 34
_COLOURS = ("var(--one)", "var(--two)", "var(--soft)")


@dataclass(frozen=True)
class Series:
    """A line of a chart."""

    names: tuple[str, str]
    """English and Chinese."""
    points: Sequence[tuple[float, float]]
    """(x, y), at least one; not finite where there is nothing to draw."""


@dataclass(frozen=True)
class Point:
    """One version on a card."""

    value: float | None
    """None where there is none."""
    state: str = "ok"
    """ok, bad or soft: class of the dot."""
    title: str = ""
    """Tooltip of the dot; "" for none."""


def line_chart(
    series: Sequence[Series], x_name: tuple[str, str], marked_x: float | None = None, label: str = ""
) -> Markup:
    """Lines with axes and a legend below; marked_x: a dotted vertical line; label: what it shows, for who does not see
    it; default: the first line's name. Empty for no points.
    """
    points = [point for one in series for point in one.points if all(map(math.isfinite, point))]
    if not points:
        return Markup("")
    (left, right), (low, high) = (_range([point[axis] for point in points]) for axis in (0, 1))

    def x(value: float) -> float:
        return _LEFT + (value - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for value in _ticks(low, high):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in _ticks(left, right):
        parts.append(f'<text x="{x(value):.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{value:g}</text>')
    if marked_x is not None:
        parts.append(
            f'<line class="mark" x1="{x(marked_x):.1f}" x2="{x(marked_x):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        )
    legend = []
    for one, colour in zip(series, _COLOURS, strict=False):
        for run in _runs(one.points):
            path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in run)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        key = f'<i class="key" style="background:{colour}"></i>'
        legend.append(f"{key}{_both(one.names)}")
    return Markup(
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label or series[0].names[0])}">'
        f"{''.join(parts)}</svg><figcaption>{' '.join(legend)} <span class=soft>{_both(x_name)}</span></figcaption>"
        "</figure>"
    )


def spark(
    points: Sequence[Point],
    limit: float | None,
    lower_is_better: bool = False,
    label: str = "",
    dots: tuple[str, ...] = (),
) -> Markup:
    """A small chart of a value over versions: the limit dashed, the side that misses it shaded, a dot a version.

    dots: states whose dots are drawn; all when empty (a page of 500 voices has no room for them).
    """
    values = [point.value for point in points if point.value is not None and math.isfinite(point.value)]
    if not values:
        return Markup("")
    low, high = _range([*values, *([] if limit is None else [limit])])

    def y(value: float) -> float:
        return 52 - 44 * (value - low) / (high - low)

    step = 180 / max(1, len(points) - 1) if len(points) > 1 else 0
    drawn = [
        (10 + index * step if step else 100, y(point.value), point)
        for index, point in enumerate(points)
        if point.value is not None and math.isfinite(point.value)
    ]
    shade = ""
    if limit is not None:
        top, bottom = (0.0, y(limit)) if lower_is_better else (y(limit), 60.0)
        shade = (
            f'<rect class="miss" x="0" width="200" y="{top:.1f}" height="{max(0.0, bottom - top):.1f}"/>'
            f'<line class="limit" x1="0" x2="200" y1="{y(limit):.1f}" y2="{y(limit):.1f}"/>'
        )
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b, _ in drawn)
    marks = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{4 if point.state == "now" else 2.5}" class="{escape(point.state)}">'
        + (f"<title>{escape(point.title)}</title>" if point.title else "")
        + "</circle>"
        for a, b, point in drawn
        if not dots or point.state in dots
    )
    return Markup(
        f'<svg class="spark" viewBox="0 0 200 60" role="img" aria-label="{escape(label)}">{shade}'
        f'<polyline points="{line}"/>{marks}</svg>'
    )


def _runs(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """The points without those that are not finite; a gap of more than one ends a line."""
    run: list[tuple[float, float]] = []
    missing = 0
    for point in points:
        if not all(map(math.isfinite, point)):
            missing += 1
            continue
        if run and missing > 1:
            yield run
            run = []
        run.append(point)
        missing = 0
    if run:
        yield run


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    edge = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return low - edge, high + edge


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers between the two."""
    step = 10.0 ** math.floor(math.log10(high - low))
    step = next(step * part for part in (0.2, 0.25, 0.5, 1.0, 2.0) if (high - low) / (step * part) <= 6)
    first = math.ceil(low / step)
    return [round(number * step, 10) for number in range(first, math.floor(high / step) + 1)]


def _both(names: tuple[str, str]) -> Markup:
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(*names)
