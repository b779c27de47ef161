"""What a failed run's log says about why."""

from __future__ import annotations

import re
from pathlib import Path

_RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit)(?::|$)")
_NESTED = "An error occurred while calling "
_TAIL = 256 * 1024


def error_message(log: Path) -> str:
    """The last error that a log reports, else its last line; "" for an empty log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        lines = [line.rstrip() for line in file.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    for position in range(len(lines) - 1, -1, -1):
        if _RAISED.match(lines[position]):
            # py4j only says which call failed; Java's reason is on the next line.
            more = lines[position + 1 : position + 2] if _NESTED in lines[position] else []
            return " ".join([lines[position], *(line.removeprefix(": ") for line in more)])
    return lines[-1] if lines else ""
