"""What notebooks show: tables, charts as inline SVG, lines. Every text is escaped: names and lines come from training code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemark_events.series import Series

Cell = str | tuple[str, str]
WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 26, 30
MAX_DRAWN = 600
"""Points of a line in a picture; longer lines are drawn as minima and maxima."""
COLOURS = ("#3567c8", "#c5501b", "#1f8a5b", "#9a4fb0", "#a8801a", "#c23d6b", "#2a8fa3", "#6d6a66")
"""Contrast of at least 3:1 on white and on the dark backgrounds of notebooks."""


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], note: str = "") -> str:
    """A table; cells that are links are given as `("text", "href")`."""
    cells = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td style='text-align:left'>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>" + (f"<p>{escape(note)}</p>" if note else "")


def _cell(cell: Cell) -> str:
    if isinstance(cell, tuple):
        text, href = cell
        return f'<a href="{escape(href, quote=True)}" target="_blank" rel="noopener">{escape(text)}</a>'
    return escape(cell)


def lines(texts: Iterable[str]) -> str:
    """Log lines."""
    return "<pre>" + "\n".join(escape(text) for text in texts) + "</pre>"


def moment(milliseconds: Any) -> str:
    """A time in UTC to the second; empty for none."""
    if isinstance(milliseconds, str):
        return milliseconds[:19].replace("T", " ")
    if not isinstance(milliseconds, (int, float)):
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def chart(series: Sequence[Series], title: str = "") -> str:
    """Lines in one picture, with a legend. Values that are not finite leave gaps."""
    title = title or (series[0].name if series else "")
    drawn = [(one, _points(one)) for one in series[: len(COLOURS)]]
    finite = [point for _, points in drawn for point in points if point is not None]
    if not finite:
        return f"<p>{escape(title)}: no finite values</p>"
    x_low, x_high = _range(point[0] for point in finite)
    y_low, y_high = _range(point[1] for point in finite)

    def at(point: tuple[float, float]) -> str:
        x = LEFT + (point[0] - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (point[1] - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(title, quote=True)}" style="max-width:100%;font:12px system-ui,sans-serif" fill="currentColor">'
    ]
    for step in range(5):
        y = HEIGHT - BOTTOM - step / 4 * (HEIGHT - TOP - BOTTOM)
        label = f"{y_low + (y_high - y_low) * step / 4:.4g}"
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for value, anchor, left in ((x_low, "start", LEFT), (x_high, "end", WIDTH - RIGHT)):
        parts.append(f'<text x="{left}" y="{HEIGHT - 10}" text-anchor="{anchor}">{value:,.0f}</text>')
    parts.append(f'<text x="{LEFT}" y="16" font-weight="600">{escape(title)}</text>')
    legend = WIDTH - RIGHT
    for number, (one, points) in reversed(list(enumerate(drawn))):
        colour = COLOURS[number]
        for stretch in _stretches(points):
            if len(stretch) == 1:
                x, y_ = at(stretch[0]).split(",")
                parts.append(f'<circle cx="{x}" cy="{y_}" r="2.5" fill="{colour}"/>')
            else:
                parts.append(f'<polyline points="{" ".join(map(at, stretch))}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if len(drawn) > 1:
            parts.append(f'<text x="{legend}" y="16" text-anchor="end" fill="{colour}">{escape(one.variant[:24] or one.name[:24])}</text>')
            legend -= 7 * min(len(one.variant or one.name), 24) + 14
    parts.append("</svg>")
    left_out = len(series) - len(drawn)
    return "".join(parts) + (f"<p>{left_out} more lines are not drawn</p>" if left_out > 0 else "")


def _range(numbers: Iterable[float]) -> tuple[float, float]:
    found = list(numbers)
    low, high = min(found), max(found)
    if low == high:
        half = abs(low) * 0.05 or 0.5
        return low - half, high + half
    return low, high


def _points(one: Series) -> list[tuple[float, float] | None]:
    """Points to draw; None where the line has a gap. Long lines are reduced to minimum and maximum of each part, so that no spike is lost."""
    pairs = [(step, value) if math.isfinite(value) else None for step, value in zip(one.step, one.value, strict=True)]
    if len(pairs) <= MAX_DRAWN:
        return pairs
    size = len(pairs) * 2 // MAX_DRAWN + 1
    found: list[tuple[float, float] | None] = []
    for first in range(0, len(pairs), size):
        part = [pair for pair in pairs[first : first + size] if pair is not None]
        if not part:
            found.append(None)
            continue
        found += sorted({min(part, key=lambda pair: pair[1]), max(part, key=lambda pair: pair[1])})
    return found


def _stretches(points: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return [stretch for stretch in found if stretch]
