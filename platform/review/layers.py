"""A layered layout of a directed graph, the same every time: rows, order in a row, places.

After Sugiyama: who uses something stands above it, an edge over several rows gets a narrow place
in each row that it crosses, rows are ordered by the mean of their neighbours. So no edge runs
through a box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

Edge = tuple[str, str]
_SWEEPS: Final = 24
_LANE: Final = 14.0
"""Width of the place of an edge that crosses a row."""


@dataclass(frozen=True)
class Layout:
    """Rows of nodes from the top, the middle of each, and the nodes that each edge goes by."""

    rows: list[list[str]]
    middle: dict[str, float]
    ways: dict[Edge, list[str]]
    width: float


def layout(sizes: Mapping[str, float], edges: Iterable[Edge], gap: float) -> Layout:
    """Places for nodes of these widths; an edge leads from who uses to what is used."""
    known = sorted(set(edges))
    heights = _heights(sorted(sizes), known)
    rows: list[list[str]] = [[] for _ in range(max(heights.values()) + 1)]
    for node in sorted(sizes):
        rows[heights[node]].append(node)
    ways: dict[Edge, list[str]] = {}
    for user, used in known:
        crossed = range(heights[user] - 1, heights[used], -1)
        lanes = {height: f"{user}>{used}@{height}" for height in crossed}
        for height, lane in lanes.items():
            rows[height].append(lane)
        ways[user, used] = [user, *lanes.values(), used]
    rows.reverse()
    near = _neighbours(ways.values())
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 else rows[::-1]:
            place = {node: i / max(len(r) - 1, 1) for r in rows for i, node in enumerate(r)}
            row.sort(key=lambda node: (_mean(near.get(node, ()), place, place[node]), node))
    widths = dict(sizes)
    middle, width = _places(rows, {**dict.fromkeys(near, _LANE), **widths}, near, gap)
    return Layout(rows, middle, ways, width)


def _heights(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """How many edges lead on from a node at the most."""
    used: dict[str, list[str]] = {node: [] for node in nodes}
    for user, other in edges:
        used[user].append(other)
    heights: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in heights:
            heights[node] = max((height(other) + 1 for other in used[node]), default=0)
        return heights[node]

    for node in nodes:
        height(node)
    return heights


def _neighbours(ways: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    near: dict[str, list[str]] = {}
    for way in ways:
        for upper, lower in pairwise(way):
            near.setdefault(upper, []).append(lower)
            near.setdefault(lower, []).append(upper)
    return near


def _mean(nodes: Sequence[str], place: Mapping[str, float], otherwise: float) -> float:
    return sum(place[node] for node in nodes) / len(nodes) if nodes else otherwise


def _places(
    rows: Sequence[Sequence[str]],
    widths: Mapping[str, float],
    near: Mapping[str, Sequence[str]],
    gap: float,
) -> tuple[dict[str, float], float]:
    """Middles near those of the neighbours, in order and without overlap."""
    total = max(sum(widths[n] for n in row) + gap * (len(row) - 1) for row in rows)
    middle: dict[str, float] = {}
    for row in rows:
        x = (total - sum(widths[n] for n in row) - gap * (len(row) - 1)) / 2
        for node in row:
            middle[node] = x + widths[node] / 2
            x += widths[node] + gap
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 else rows[::-1]:
            wished = [_mean(near.get(node, ()), middle, middle[node]) for node in row]
            middle.update(zip(row, _apart(row, wished, widths, gap, total), strict=True))
    return middle, total


def _apart(
    row: Sequence[str],
    wished: Sequence[float],
    widths: Mapping[str, float],
    gap: float,
    total: float,
) -> list[float]:
    """The wished middles pushed apart: the mean of what a push from each side gives."""
    least, x = [], 0.0
    for node, wish in zip(row, wished, strict=True):
        least.append(max(wish, x + widths[node] / 2))
        x = least[-1] + widths[node] / 2 + gap
    most, x = [], total
    for node, wish in zip(reversed(row), reversed(wished), strict=True):
        most.append(min(wish, x - widths[node] / 2))
        x = most[-1] - widths[node] / 2 - gap
    most.reverse()
    mean = [(a + b) / 2 for a, b in zip(least, most, strict=True)]
    found, x = [], 0.0
    room = [widths[node] + gap for node in row]
    for number, node in enumerate(row):
        rest = sum(room[number:]) - gap
        start = min(max(mean[number] - widths[node] / 2, x), total - rest)
        found.append(start + widths[node] / 2)
        x = start + widths[node] + gap
    return found
