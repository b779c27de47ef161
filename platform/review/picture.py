"""The picture of the estate, made of what prod declares: ``docs/estate.svg``.

Boxes are the program's components with what they declare. An arrow leads from a component to one
whose resources its own are made from, or wait for. Keys are not pointed at by arrows, which all
would: a box names those that it uses. Below: what each role may do to streams and buckets, from
the policies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import pulumi

from localaws.apply import CONTRACTS, ROOT, Recorded, render
from review.layers import Layout, layout
from review.svg import element, text
from review.touches import touches
from review.touchgrid import grid as drawn_grid

PAGE: Final = ROOT / "docs" / "estate.svg"
HUB: Final = "Keys"
FOLDERS: Final = {
    "ingress": "#0e9f6e", "storage": "#2f7ed8", "compute": "#d9730d", "serving": "#8b5cf6",
    "orchestration": "#0891b2", "access": "#b45309", "network": "#64748b", "operations": "#db2777",
}  # fmt: skip
"""Folders of the program, in which the components stand, and their colours."""
_WIDTH, _GAP, _MARGIN = 184.0, 20.0, 28.0
_LINE, _HEAD, _BETWEEN = 17.0, 34.0, 64.0
_COLUMNS: Final = 3
"""Of components that no arrow joins."""
_APART: Final = "Joined by keys and names alone"
Tops = dict[str, tuple[float, float]]
"""The top and bottom of each node."""
_KINDS: Final = 5
"""Types that a box lists; the rest is counted."""
_STYLE: Final = """
:root { --paper: #ffffff; --box: #f8fafc; --edge: #cbd5e1; --text: #0f172a; --soft: #475569; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0d1117; --box: #161b22; --edge: #3d4652; --text: #f0f3f6; --soft: #aab4c0; }
}
text { font-family: ui-sans-serif, system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-size: 12px; fill: var(--text); }
.soft { fill: var(--soft); } .name { font-size: 14px; font-weight: 600; }
.title { font-size: 19px; font-weight: 700; } .count { font-variant-numeric: tabular-nums; }
.box { fill: var(--box); stroke: var(--edge); } .rule { stroke: var(--edge); stroke-width: .6; }
.arrow { fill: none; stroke: var(--soft); stroke-width: 1.4; opacity: .75; }
.head { fill: var(--soft); }
"""


def picture(resources: Sequence[Recorded]) -> str:
    """The picture as SVG."""
    components = sorted({r.component for r in resources})
    edges = references(resources)
    drawn = {edge for edge in edges if edge[1] != HUB}
    joined = {component for edge in drawn for component in edge}
    found = layout(dict.fromkeys(joined, _WIDTH), drawn, _GAP)
    tops, bottom = _tops(found, resources)
    width = found.width + 2 * _MARGIN
    grid, low = drawn_grid(touches(resources), _MARGIN, bottom + 40, FOLDERS["storage"])
    apart = [component for component in components if component not in joined]
    lowest = _beside(apart, found, tops, resources, bottom + 40)
    height = max(low, lowest) + _MARGIN
    said = f"{len(components)} components, {len(resources)} resources"
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t">',
        f'<title id="t">The estate: {said}</title><style>{_STYLE}</style>',
        element("rect", width=width, height=height, fill="var(--paper)"),
        text(_MARGIN, 38, "The estate as prod declares it", "title"),
        text(_MARGIN, 60, f"{said}. An arrow leads to what is used or waited for.", "soft"),
        *_legend(),
        *(part for edge in sorted(drawn) for part in _arrow(found, tops, edge)),
        *(part for c in components for part in _box(c, found, tops, resources)),
        *grid,
        text(width - _MARGIN - _COLUMNS * (_WIDTH + _GAP) + _GAP, bottom + 62, _APART, "title"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def references(resources: Sequence[Recorded]) -> Counter[tuple[str, str]]:
    """How often the resources of a component are made from, or wait for, those of another."""
    home = {(r.type, r.name): r.component for r in resources}
    found: Counter[tuple[str, str]] = Counter()
    for resource in resources:
        for used in resource.uses & home.keys():
            if home[used] != resource.component:
                found[resource.component, home[used]] += 1
    return found


def write(path: Path = PAGE) -> Path:
    """Write the picture."""
    path.write_text(picture(render("prod", CONTRACTS)), encoding="utf-8")
    return path


def kinds(component: str, resources: Sequence[Recorded]) -> Counter[str]:
    """How many resources of each type a component declares."""
    return Counter(r.type.rpartition(":")[2] for r in resources if r.component == component)


def _keys(component: str, resources: Sequence[Recorded]) -> list[str]:
    """The keys that a component's resources name."""
    used = {name for r in resources if r.component == component for kind, name in r.uses
            if kind == "aws:kms/key:Key"}  # fmt: skip
    return sorted(name.removeprefix("key-") for name in used) if component != HUB else []


def _height(component: str, resources: Sequence[Recorded]) -> float:
    listed = min(len(kinds(component, resources)), _KINDS + 1)
    return _HEAD + listed * _LINE + (26 if _keys(component, resources) else 8)


def _tops(found: Layout, resources: Sequence[Recorded]) -> tuple[Tops, float]:
    """The top and bottom of every node, a lane's those of its row; and the end of the last row."""
    tops: Tops = {}
    y = 112.0
    boxes = {r.component for r in resources}
    for row in found.rows:
        high = max((_height(c, resources) for c in row if c in boxes), default=_HEAD)
        for node in row:
            own = _height(node, resources) if node in boxes else high
            tops[node] = (y, y + own)
        y += high + _BETWEEN
    return tops, y - _BETWEEN


def _folder(component: str) -> str:
    """The folder below ``estate`` in which the component's class stands."""
    (module,) = {
        c.__module__
        for c in pulumi.ComponentResource.__subclasses__()
        if c.__name__ == component and c.__module__.startswith("estate.")
    }
    return module.split(".")[1]


def _box(
    component: str,
    found: Layout,
    tops: Tops,
    resources: Sequence[Recorded],
) -> Iterator[str]:
    top, bottom = tops[component]
    left = found.middle[component] - _WIDTH / 2 + _MARGIN
    colour, counted = FOLDERS[_folder(component)], kinds(component, resources)
    yield f'<g id="{component}">'
    place = {"x": left, "y": top, "height": bottom - top}
    yield element("rect", class_="box", **place, width=_WIDTH, rx=7)
    yield element("rect", **place, width=5, rx=2.5, fill=colour)
    yield text(left + 15, top + 22, component, "name")
    yield text(left + _WIDTH - 10, top + 22, str(sum(counted.values())), "soft count", "end")
    y = top + _HEAD + 8
    listed = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    for kind, number in listed[:_KINDS]:
        yield text(left + 15, y, _short(kind))
        yield text(left + _WIDTH - 10, y, str(number), "soft count", "end")
        y += _LINE
    if rest := listed[_KINDS:]:
        yield text(left + 15, y, f"{len(rest)} more types", "soft")
        yield text(left + _WIDTH - 10, y, str(sum(n for _, n in rest)), "soft count", "end")
    if used := _keys(component, resources):
        every = len(used) == sum(r.type.endswith(":Key") for r in resources)
        words = "all keys" if every else f"key {', '.join(used)}"
        yield text(left + 15, bottom - 9, words, "soft")
    yield "</g>"


def _short(kind: str) -> str:
    """A type's name as far as it fits."""
    return kind if len(kind) <= 20 else f"{kind[:19]}…"


def _arrow(found: Layout, tops: Tops, edge: tuple[str, str]) -> Iterator[str]:
    """Straight down through rows, curved between them."""
    way = found.ways[edge]
    leaving = [e for e in found.ways if e[0] == way[0]]
    coming = [e for e in found.ways if e[1] == way[-1]]
    first, last = _port(found, edge, leaving, 0, 1), _port(found, edge, coming, -1, -2)
    x = [m + _MARGIN for m in (first, *(found.middle[node] for node in way[1:-1]), last)]
    drawn = f"M{x[0]:.1f},{tops[way[0]][1]:.1f}"
    for (upper, lower), (a, b) in zip(pairwise(way), pairwise(x), strict=True):
        start = max(tops[n][1] for row in found.rows if upper in row for n in row)
        end = tops[lower][0]
        half, stop = (start + end) / 2, end - (7 if lower == way[-1] else 0)
        drawn += f"V{start:.1f}C{a:.1f},{half:.1f} {b:.1f},{half:.1f} {b:.1f},{stop:.1f}"
    yield element("path", class_="arrow", d=drawn)
    yield element("path", class_="head", d=f"M{x[-1]:.1f},{tops[way[-1]][0]:.1f}l-4.5,-8h9z")


def _port(
    found: Layout, edge: tuple[str, str], own: Sequence[tuple[str, str]], end: int, next_: int
) -> float:
    """Where an arrow leaves or reaches a box: side by side, in the order of where they go on."""
    order = sorted(own, key=lambda e: (found.middle[found.ways[e][next_]], e))
    step = min(26.0, (_WIDTH - 40) / len(order))
    return found.middle[edge[end]] + (order.index(edge) - (len(order) - 1) / 2) * step


def _legend() -> Iterator[str]:
    left = _MARGIN
    for folder, colour in FOLDERS.items():
        yield element("rect", x=left, y=77, width=11, height=11, rx=3, fill=colour)
        yield text(left + 17, 87, folder, "soft")
        left += 44 + 6.5 * len(folder)


def _beside(
    apart: Sequence[str],
    found: Layout,
    tops: Tops,
    resources: Sequence[Recorded],
    top: float,
) -> float:
    """Place the components without arrows in three columns at the right; where they end."""
    ends = [top + 44] * _COLUMNS
    for component in sorted(apart, key=lambda c: (-_height(c, resources), c)):
        column = ends.index(min(ends))
        height = _height(component, resources)
        tops[component] = (ends[column], ends[column] + height)
        right = found.width - (_COLUMNS - 1 - column) * (_WIDTH + _GAP)
        found.middle[component] = right - _WIDTH / 2
        ends[column] += height + _GAP
    return max(ends) - _GAP
