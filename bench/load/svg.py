"""A line plot as SVG text: what a curve says and a table does not. Axes from zero, or logarithmic upwards where the values
span more than a factor of thirty."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from load.result import Plot

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 44, 52
COLOURS = ("#0b6e4f", "#c1440e", "#1f5fa8", "#7a3e9d", "#8a6d00", "#555555")


def steps(most: float) -> list[float]:
    """About five round numbers from 0 on, the last one not below `most`."""
    raw = most / 5
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    return [step * i for i in range(math.ceil(most / step) + 1)]


def decades(least: float, most: float) -> list[float]:
    return [10.0**i for i in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)]


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def draw(plot: Plot) -> str:
    points = [point for line in plot.series.values() for point in line]
    xs = steps(max(x for x, _ in points))
    values = [y for _, y in points]
    logarithmic = min(values) > 0 and max(values) / min(values) > 30
    ys = decades(min(values), max(values)) if logarithmic else steps(max(values))

    def at_x(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / xs[-1]

    def at_y(y: float) -> float:
        share = math.log(y / ys[0]) / math.log(ys[-1] / ys[0]) if logarithmic else y / ys[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           text(LEFT, 24, plot.title, "start", 'font-size="15" font-weight="bold"')]
    for y in ys:
        out.append(f'<path d="M{LEFT} {at_y(y):.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        out.append(text(LEFT - 8, at_y(y) + 4, f"{y:,g}", "end"))
    for x in xs:
        out.append(f'<path d="M{at_x(x):.1f} {HEIGHT - BOTTOM}v5" stroke="black"/>')
        out.append(text(at_x(x), HEIGHT - BOTTOM + 19, f"{x:,.0f}"))
    out.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="black"/>')
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, plot.x))
    out.append(text(18, (TOP + HEIGHT - BOTTOM) / 2, plot.y, "middle",
                    f'transform="rotate(-90 18 {(TOP + HEIGHT - BOTTOM) / 2})"'))
    for i, (name, line) in enumerate(plot.series.items()):
        colour = COLOURS[i % len(COLOURS)]
        path = "L".join(f"{at_x(x):.1f} {at_y(y):.1f}" for x, y in line)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        out.append(f'<path d="M{WIDTH - RIGHT + 16} {TOP + 8 + 20 * i}h18" stroke="{colour}" stroke-width="3"/>')
        out.append(text(WIDTH - RIGHT + 40, TOP + 12 + 20 * i, name, "start"))
    out.append("</svg>\n")
    return "\n".join(out)
