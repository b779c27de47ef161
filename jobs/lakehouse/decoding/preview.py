"""What may be shown of a reject: the beginning of its payload, classified values masked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lakehouse.contracts.model import Contract
from lakehouse.decoding.again import unpacked
from lakehouse.decoding.decode import UNDECODABLE, Reject
from lakehouse.decoding.formats import file_records
from lakehouse.decoding.unpack import body_of

MASK: Final = "***"
_QUOTED: Final = re.compile(r"""'.*'|".*\"""", re.DOTALL)
_PATH: Final = re.compile(r"- at `\$\.(\w+)[^`]*`$")
_FROM_QUOTE: Final = re.compile(r"""['"].*""", re.DOTALL)
_GIVEN: Final = re.compile(r"(, got |: ).*", re.DOTALL)
_WHOLE: Final = 500
"""Details of fewer characters were not cut off."""
_SHOWN: Final = (str, int, float, bool, type(None))


def payload_preview(payload: bytes, contract: Contract, most: int = 200) -> str:
    """The beginning of a payload in at most ``most`` characters, on one line.

    Where the contract classifies a field, only values of fields that it leaves open are shown: what
    it does not name might be anything. Then a payload that cannot be taken apart is withheld.
    """
    body = body_of(payload, contract.format) if contract.source == "stream" else payload
    if isinstance(body, Reject):
        body = payload
    if not any(field.masked for field in contract.fields):
        return _cut(body[: 4 * most].decode(errors="backslashreplace"), most)
    values = _values(body, contract)
    if values is None:
        return f"withheld: {len(payload):,} bytes that cannot be taken apart"
    fields = {field.name: field for field in contract.fields}
    shown: dict[str, Any] = {}
    for name, value in values.items():
        field = fields.get(name)
        is_open = field is not None and not field.masked and isinstance(value, _SHOWN)
        shown[name if field else MASK] = value if is_open else MASK
    return _cut(msgspec.json.encode(shown).decode(), most)


def detail_preview(reject: Reject, contract: Contract) -> str:
    """Why a record was rejected; without what the words may quote of a classified value."""
    masked = {field.name for field in contract.fields if field.masked}
    # Words that were cut off may end anywhere in what they quote.
    path = _PATH.search(reject.detail) if len(reject.detail) < _WHOLE else None
    if not masked or (path and path[1] not in masked):
        return reject.detail
    said = (_QUOTED if path else _FROM_QUOTE).sub(MASK, reject.detail)
    return (
        said
        if path or reject.code == "malformed"
        else _GIVEN.sub(lambda found: f"{found[1]}{MASK}", said)
    )


def _values(body: bytes, contract: Contract) -> Mapping[str, Any] | None:
    """The values of a payload by name, None where it is not one record."""
    if contract.source != "stream" and contract.format.type == "csv":
        records = list(file_records(body, unpacked(contract)))
        values = records[0].values if len(records) == 1 else None
        return values if isinstance(values, Mapping) else None
    try:
        found = msgspec.json.decode(body)
    except UNDECODABLE:
        return None
    return found if isinstance(found, dict) else None


def _cut(text: str, most: int) -> str:
    line = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return line if len(line) <= most else f"{line[: most - 1]}…"
