"""Drawings of measurements as SVG that reads in a light and in a dark page."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 960, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 84, 56
LINE = 16
HUES = 4

Scale = Callable[[float], float]

_STYLE = """
    :root { color-scheme: light dark; }
    .page { fill: #ffffff; }
    text { fill: #1a2230; text-anchor: middle; }
    .small { font-size: 12px; fill: #4a5568; }
    .title { font-size: 16px; font-weight: 600; text-anchor: start; }
    .start { text-anchor: start; }
    .end { text-anchor: end; }
    .grid { stroke: #dde2ea; }
    .axis { stroke: #66738a; }
    .mark { stroke: #1a2230; stroke-width: 1.5; stroke-dasharray: 5 4; }
    .limit { stroke: #b3261e; stroke-width: 1.5; }
    .bar { fill: #2b62a8; }
    .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
    .hue0 { stroke: #2b62a8; } .dot0 { fill: #2b62a8; }
    .hue1 { stroke: #a86b12; } .dot1 { fill: #a86b12; }
    .hue2 { stroke: #2f7d4b; } .dot2 { fill: #2f7d4b; }
    .hue3 { stroke: #8a3ea8; } .dot3 { fill: #8a3ea8; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #11161f; }
      text { fill: #eef2f8; }
      .small { fill: #b4c0d4; }
      .grid { stroke: #2a3446; }
      .axis { stroke: #8a94a6; }
      .mark { stroke: #eef2f8; }
      .limit { stroke: #ff8a80; }
      .bar { fill: #7db0ee; }
      .hue0 { stroke: #7db0ee; } .dot0 { fill: #7db0ee; }
      .hue1 { stroke: #e6b25c; } .dot1 { fill: #e6b25c; }
      .hue2 { stroke: #79cf99; } .dot2 { fill: #79cf99; }
      .hue3 { stroke: #d3a0ee; } .dot3 { fill: #d3a0ee; }
    }
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line through points; all values are positive."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across the bars at a value, with its words; a `limit` looks like one."""

    value: float
    words: str
    limit: bool = False


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float


def curves(title: str, x_label: str, panels: Mapping[str, Sequence[Curve]]) -> str:
    """Panels side by side, each named by what it shows, both axes logarithmic; a straight line grows by a power."""
    names = list(dict.fromkeys(curve.name for of_panel in panels.values() for curve in of_panel))
    parts = list(_legend(names))
    width = WIDTH / len(panels)
    for place, (label, drawn) in enumerate(panels.items()):
        box = _Box(place * width + LEFT, TOP, (place + 1) * width - RIGHT, HEIGHT - BOTTOM)
        parts += _panel(box, label, x_label, drawn, names)
    return _svg(title, f"{', '.join(panels)} against {x_label}", parts)


def histogram(title: str, x_label: str, values: Sequence[float], bin_width: float, marks: Iterable[Mark]) -> str:
    """How many values fall into each class of this width, and marks at some values."""
    marked = list(marks)
    number = math.ceil(max(*values, *(mark.value for mark in marked)) / bin_width) + 1
    counts = [0] * number
    for value in values:
        counts[int(value / bin_width)] += 1
    box = _Box(LEFT, TOP + LINE * len(marked) - LINE, WIDTH - RIGHT, HEIGHT - BOTTOM)
    x = _linear(0, number * bin_width, box.left, box.right)
    y = _linear(0, max(counts), box.bottom, box.top)
    parts = [*_rows(box, y, range(0, max(counts) + 1, max(1, max(counts) // 5)))]
    for place, count in enumerate(counts):
        left, right = x(place * bin_width) + 1, x((place + 1) * bin_width) - 1
        if count:
            parts.append(
                f'<rect class="bar" x="{left:.1f}" y="{y(count):.1f}" width="{right - left:.1f}" '
                f'height="{box.bottom - y(count):.1f}"/>'
            )
    step = max(1, round(number * bin_width / 12))
    parts += _columns(box, x, range(0, int(number * bin_width) + 1, step), x_label)
    for place, mark in enumerate(sorted(marked, key=lambda mark: mark.value)):
        parts += _marked(box, x(mark.value), mark, place)
    parts.append(_text(LEFT, box.top - 12, f"how many of {len(values)}", "small start"))
    return _svg(title, f"{x_label}: {', '.join(mark.words for mark in marked)}", parts)


def _panel(box: _Box, label: str, x_label: str, drawn: Sequence[Curve], names: Sequence[str]) -> Iterable[str]:
    across = _decades(point[0] for curve in drawn for point in curve.points)
    up = _decades(point[1] for curve in drawn for point in curve.points)
    x = _logarithmic(across[0], across[-1], box.left, box.right)
    y = _logarithmic(up[0], up[-1], box.bottom, box.top)
    yield _text(box.left, box.top - 12, label, "small start")
    yield from _rows(box, y, up)
    yield from _columns(box, x, across, x_label)
    for curve in drawn:
        hue = names.index(curve.name) % HUES
        points = [(x(across_), y(up_)) for across_, up_ in curve.points]
        line = " ".join(f"{left:.1f},{top:.1f}" for left, top in points)
        yield f'<polyline class="curve hue{hue}" points="{line}"/>'
        yield from (f'<circle class="dot{hue}" cx="{left:.1f}" cy="{top:.1f}" r="4"/>' for left, top in points)


def _legend(names: Sequence[str]) -> Iterable[str]:
    for place, name in enumerate(names):
        left = LEFT + place * 130
        yield f'<path class="curve hue{place % HUES}" d="M{left} 50 h26"/>'
        yield f'<circle class="dot{place % HUES}" cx="{left + 13}" cy="50" r="4"/>'
        yield _text(left + 34, 54, name, "small start")


def _rows(box: _Box, y: Scale, values: Iterable[float]) -> Iterable[str]:
    for value in values:
        yield f'<path class="grid" d="M{box.left:.1f} {y(value):.1f} H{box.right:.1f}"/>'
        yield _text(box.left - 8, y(value) + 4, _short(value), "small end")


def _columns(box: _Box, x: Scale, values: Iterable[float], label: str) -> Iterable[str]:
    yield f'<path class="axis" d="M{box.left:.1f} {box.bottom:.1f} H{box.right:.1f}"/>'
    for value in values:
        yield f'<path class="axis" d="M{x(value):.1f} {box.bottom:.1f} v5"/>'
        yield _text(x(value), box.bottom + 20, _short(value), "small")
    yield _text((box.left + box.right) / 2, box.bottom + 42, label, "small")


def _marked(box: _Box, x: float, mark: Mark, place: int) -> Iterable[str]:
    """The line, up to its words: each has a row of its own above the bars, so that none lies over another."""
    top = TOP - 28 + LINE * place
    left = x < (box.left + box.right) / 2
    yield f'<path class="{"limit" if mark.limit else "mark"}" d="M{x:.1f} {top - 8:.1f} V{box.bottom:.1f}"/>'
    yield _text(x - 6 if left else x + 6, top, mark.words, "small end" if left else "small start")


def _linear(low: float, high: float, begin: float, end: float) -> Scale:
    return lambda value: begin + (value - low) / (high - low) * (end - begin)


def _logarithmic(low: float, high: float, begin: float, end: float) -> Scale:
    scale = _linear(math.log10(low), math.log10(high), begin, end)
    return lambda value: scale(math.log10(value))


def _decades(values: Iterable[float]) -> list[float]:
    """The powers of ten from just below the values to just above them."""
    logarithms = [math.log10(value) for value in values]
    low, high = math.floor(min(logarithms)), math.ceil(max(logarithms))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1_000:g}k" if value >= 1_000 else f"{value:g}"


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def _svg(title: str, description: str, parts: Iterable[str]) -> str:
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="title description" font-family="system-ui, sans-serif" font-size="14">\n'
        f'  <title id="title">{escape(title)}</title>\n  <desc id="description">{escape(description)}</desc>\n'
        f"  <style>{_STYLE}  </style>\n"
        f'  <rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>\n'
        f"  {_text(16, 28, title, 'title')}\n  {body}\n</svg>\n"
    )
