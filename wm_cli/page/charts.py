"""Pictures as inline SVG, drawn by hand: they follow the page's colours, light or dark, and need nothing from outside.

Colours are CSS classes (`s0`, `s1` and so on), never values. Numbers are written with fixed digits, so the same figures
give the same bytes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wm_cli.page.markup import escape
from wm_train.world.view import Box

WIDTH, HEIGHT = 480, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 12, 40
_Map = Callable[[float], float]

#: Coordinates of a picture of tracks: its longer side.
TRACKS_SIZE = 480
TICKS = 4
FLAT = 1e-9
#: Room around what a picture shows, as a share of its extent.
ROOM = 0.04


@dataclass(frozen=True)
class Series:
    """One line of a chart: `style` is its CSS class."""

    name: str
    style: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Frame2D:
    """Where the plane of a game lies in a picture: px = (x - left) * scale, py = (top - y) * scale."""

    left: float
    top: float
    scale: float
    width: float
    height: float


def line_chart(series: Sequence[Series], x_label: str, y_label: str, alt: str) -> str:
    """Lines over a common x, with ticks at round numbers and a legend below."""
    xs, ys = _ticks([v for s in series for v in s.x]), _ticks([v for s in series for v in s.y])
    px = _scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT)
    py = _scale(ys[0], ys[-1], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py(y):.1f}" y2="{py(y):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{py(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
        for y in ys
    ]
    parts += [f'<text x="{px(x):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{x:g}</text>' for x in xs]
    parts += [f'<polyline class="line {s.style}" points="{_points(s, px, py)}"/>' for s in series]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle">{escape(x_label)}</text>'
    )
    parts.append(f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>')
    return _svg(WIDTH, HEIGHT, alt, "".join(parts)) + legend([(s.name, s.style) for s in series])


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names beside a sample of their line: (name, style)."""
    sample = '<svg class="key" viewBox="0 0 28 8" aria-hidden="true">'
    sample += '<line class="line {}" x1="1" x2="27" y1="4" y2="4"/></svg>'
    items = "".join(f"<li>{sample.format(style)}{escape(name)}</li>" for name, style in entries)
    return f'<ul class="legend">{items}</ul>'


def bars(rows: Sequence[tuple[str, float, str]], alt: str) -> str:
    """Horizontal bars: (name, value, value as text); plain HTML, so that text keeps its size on a phone."""
    widest = max((value for _, value, _ in rows), default=0) or 1
    cells = "".join(
        f'<span>{escape(name)}</span><span class="track">'
        f'<span class="bar" style="width:{100 * value / widest:.2f}%"></span></span>'
        f'<span class="num">{escape(text)}</span>'
        for name, value, text in rows
    )
    return f'<div class="bars" role="img" aria-label="{escape(alt)}">{cells}</div>'


def side_by_side_bars(rows: Sequence[tuple[str, tuple[int, int]]], names: tuple[str, str], alt: str) -> str:
    """Two horizontal bars a row: (name, values of the two that `names` names)."""
    widest = max((value for _, values in rows for value in values), default=0) or 1
    cells = "".join(
        f'<span>{escape(name) if i == 0 else ""}</span><span class="track">'
        f'<span class="bar{" other" * i}" style="width:{100 * value / widest:.2f}%"></span></span>'
        f'<span class="num">{value:,}</span>'
        for name, values in rows
        for i, value in enumerate(values)
    )
    said = ", ".join(f"{name} {values[0]:,} and {values[1]:,}" for name, values in rows)
    return (
        f'<div class="bars pairs" role="img" aria-label="{escape(f"{alt}, of {names[0]} and {names[1]}: {said}")}">'
        f"{cells}</div>{legend([(names[0], 's0'), (names[1], 's1')])}"
    )


def tracks(series: Sequence[Series], outline: Sequence[Series], seen: Box, alt: str) -> tuple[str, Frame2D]:
    """Paths in a plane with equal units on both axes over the lines of a place; gives the picture and where the plane
    lies in it.

    The picture holds all paths and the box that is `seen` always, with some room around.
    """
    west, east, north, south = seen
    xs = [west, east, *(v for s in series for v in s.x)]
    ys = [north, south, *(v for s in series for v in s.y)]
    margin = ROOM * max(max(xs) - min(xs), max(ys) - min(ys), 1)
    left, top = min(xs) - margin, max(ys) + margin
    across, down = max(xs) + margin - left, top - min(ys) + margin
    scale = TRACKS_SIZE / max(across, down)
    frame = Frame2D(round(left, 3), round(top, 3), round(scale, 5), round(across * scale, 1), round(down * scale, 1))
    lines = "".join(f'<polyline class="line {s.style}" points="{_plane(s, frame)}"/>' for s in (*outline, *series))
    return _svg(frame.width, frame.height, alt, lines), frame


def _plane(s: Series, frame: Frame2D) -> str:
    return _points(s, lambda x: (x - frame.left) * frame.scale, lambda y: (frame.top - y) * frame.scale)


def _svg(width: float, height: float, alt: str, content: str) -> str:
    return (
        f'<svg class="picture" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">'
        f"<title>{escape(alt)}</title>{content}</svg>"
    )


def _scale(low: float, high: float, first: float, last: float) -> _Map:
    return lambda value: first + (last - first) * (value - low) / (high - low)


def _points(s: Series, px: _Map, py: _Map) -> str:
    return " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in zip(s.x, s.y, strict=True))


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers from below the least value to above the greatest, about TICKS apart."""
    low, high = min(values), max(values)
    # What differs by less than its digits show is flat.
    apart = high - low if high - low > FLAT * max(1.0, abs(low), abs(high)) else 1.0
    rough = apart / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [round(step * i, 9) for i in range(first, last + 1)]
