"""Growth as a small picture: SVG, drawn by hand, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 260, 56, 36, 34, 40
_COLORS = ("#2b7bba", "#d95f02", "#1b9e77", "#7570b3", "#c2185b")

_GRID = '#808080" stroke-opacity=".3'

Series = Mapping[str, Sequence[tuple[int, float]]]


def svg(panels: Sequence[tuple[str, Series]]) -> str:
    """Return the panels side by side. Both axes are logarithmic; x is a number of files."""
    box = f"0 0 {_WIDTH * len(panels)} {_HEIGHT + 24}"
    style = 'font-family="sans-serif" font-size="11" fill="#808080"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" {style}>']
    for number, (title, series) in enumerate(panels):
        parts += _panel(_WIDTH * number, title, series)
    for index, name in enumerate(panels[0][1]):
        x = _LEFT + index * 120
        parts.append(_line([(x, _HEIGHT + 10), (x + 18, _HEIGHT + 10)], _COLORS[index]))
        parts.append(f'<text x="{x + 24}" y="{_HEIGHT + 14}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: int, title: str, series: Series) -> list[str]:
    points = [point for line in series.values() for point in line]
    xs = [math.log10(x) for x, _ in points]
    ys = [math.log10(y) for _, y in points]
    low_x, high_x = min(xs), max(*xs, min(xs) + 1)
    low_y, high_y = math.floor(min(ys)), max(math.ceil(max(ys)), math.floor(min(ys)) + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - low_x) / (high_x - low_x) * (_WIDTH - _LEFT - _RIGHT)
        down = (high_y - y) / (high_y - low_y) * (_HEIGHT - _TOP - _BOTTOM)
        return round(left + _LEFT + across, 1), round(_TOP + down, 1)

    parts = [f'<text x="{left + _LEFT}" y="18" font-size="13">{title}</text>']
    for power in range(low_y, high_y + 1):
        x, y = place(low_x, power)
        parts.append(_line([(x, y), (left + _WIDTH - _RIGHT, y)], _GRID))
        parts.append(f'<text x="{x - 6}" y="{y + 4}" text-anchor="end">{10**power:,}</text>')
    for power in range(math.ceil(low_x), math.floor(high_x) + 1):
        x, y = place(power, low_y)
        parts.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{10**power:,}</text>')
    for line, color in zip(series.values(), _COLORS, strict=False):
        parts.append(_line([place(math.log10(x), math.log10(y)) for x, y in line], color))
    return parts


def _line(points: Sequence[tuple[float, float]], color: str) -> str:
    text = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{text}" fill="none" stroke="{color}" stroke-width="1.8"/>'
