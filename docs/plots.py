"""Plots of the throughput table of benches/README.md, as SVG."""

import html
import math
import re

# Those that a program would choose between; the colours can be told apart by colour-blind readers.
ENGINES = {"auto": "#0072b2", "liburing": "#d55e00", "libaio": "#009e73", "libuv": "#cc79a7"}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 270, 190, 44, 10, 26, 24


def table(text: str) -> dict[str, dict[str, dict[str, float]]]:
    """Thousand operations per second by row, engine and depth."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.search(r"### throughput\n(.*?)\n###", text, re.DOTALL)[1].splitlines()
        if line.startswith("|")
    ]
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for line in lines[2:]:
        for engine, cell in zip(lines[0][2:], line[2:]):
            if engine in ENGINES and cell != "-":
                rows.setdefault(line[0], {}).setdefault(engine, {})[line[1]] = float(cell)
    return rows


def ticks(low: float, high: float) -> list[float]:
    """Powers of ten in the range, and their doubles and halves if there are few."""
    for steps in ((1,), (1, 2, 5)):
        found = [step * 10.0**power for power in range(-1, 5) for step in steps if low <= step * 10.0**power <= high]
        if len(found) >= 2:
            break
    return found


def panel(title: str, engines: dict[str, dict[str, float]]) -> str:
    """One row of the benchmark: throughput against depth, both logarithmic."""
    depths = list(next(iter(engines.values())))
    values = [value for points in engines.values() for value in points.values()]
    low, high = min(values) / 1.3, max(values) * 1.3

    def x(depth: str) -> float:
        share = math.log(float(depth)) / (math.log(float(depths[-1])) or 1)
        return LEFT + 12 + share * (WIDTH - LEFT - RIGHT - 24)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - math.log(value / low) / math.log(high / low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{WIDTH / 2}" y="16" text-anchor="middle" font-weight="700">{html.escape(title)}</text>']
    for tick in ticks(low, high):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#d8dee4"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for depth in depths:
        parts.append(f'<text x="{x(depth):.1f}" y="{HEIGHT - 7}" text-anchor="middle">{depth}</text>')
    for engine, points in engines.items():
        line = " ".join(f"{x(depth):.1f},{y(value):.1f}" for depth, value in points.items())
        parts.append(f'<polyline points="{line}" fill="none" stroke="{ENGINES[engine]}" stroke-width="2"/>')
        for depth, value in points.items():
            parts.append(
                f'<circle cx="{x(depth):.1f}" cy="{y(value):.1f}" r="3.5" fill="{ENGINES[engine]}">'
                f"<title>{engine}, depth {depth}: {value:g} thousand operations per second</title></circle>"
            )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{html.escape(title)}">{"".join(parts)}</svg>'


def figure(text: str) -> str:
    """All rows. `text` is benches/README.md."""
    key = "".join(f'<span style="color:{colour}">&#9679; {engine}</span> ' for engine, colour in ENGINES.items())
    panels = "".join(panel(title, engines) for title, engines in table(text).items())
    return (
        f'<figure class="plots"><figcaption>Thousand operations per second against depth, both logarithmic. {key}</figcaption>'
        f"{panels}</figure>"
    )
