"""The few elements of SVG that the picture is made of."""

from __future__ import annotations

from html import escape


def element(name: str, **attributes: float | str) -> str:
    """An element without content; an underscore in a name stands for its hyphen."""
    told = "".join(
        f' {key.strip("_").replace("_", "-")}="{_told(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{told}/>"


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text of a class of the style sheet."""
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style} text-anchor="{anchor}">{escape(words)}</text>'


def _told(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1f}"
