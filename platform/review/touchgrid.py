"""The grid of who may touch what, as part of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from review.svg import element, text
from review.touches import Touch

_ROW: Final = 24
_COLUMN: Final = 66.0
_NAMES: Final = 118
"""Width of the roles' names."""


def grid(found: Sequence[Touch], left: float, top: float, colour: str) -> tuple[list[str], float]:
    """A row a role, a column a stream or bucket: a ring reads, a disc writes too; and its end."""
    end = top + 86 + len({touch.role for touch in found}) * _ROW
    return list(_cells(found, left, top, colour)), end


def _cells(found: Sequence[Touch], left: float, top: float, colour: str) -> Iterator[str]:
    things = list(dict.fromkeys(touch.thing for touch in found))
    columns = {thing: left + _NAMES + n * _COLUMN for n, thing in enumerate(things)}
    yield text(left, top + 22, "Who may touch what", "title")
    how = "From the roles' policies: a ring reads, a disc writes, if only below some keys."
    yield text(left, top + 43, how, "soft")
    for thing, x in columns.items():
        yield text(x, top + 74, thing, "", "middle")
    right = max(columns.values()) + 24
    for row, role in enumerate(sorted({touch.role for touch in found})):
        y = top + 98 + row * _ROW
        yield text(left, y + 4, role)
        yield element("line", class_="rule", x1=left, x2=right, y1=y + 12, y2=y + 12)
        for touch in (touch for touch in found if touch.role == role):
            fill = colour if touch.writes else "none"
            x = columns[touch.thing]
            yield element("circle", cx=x, cy=y, r=5.5, fill=fill, stroke=colour, stroke_width=2)
