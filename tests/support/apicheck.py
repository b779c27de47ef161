"""What AWS would refuse of a call, by botocore's own models and by limits that only pages tell.

botocore checks types, required parameters and least lengths itself. Enumerations, patterns and
greatest lengths stand in its models, and are checked here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

import botocore.session
from botocore.validate import ParamValidator
from support.apicalls import Call
from support.apilimits import LIMITS

NEWER: Final = {
    ("glue", "WorkerType"): {"R.1X", "R.2X", "R.4X", "R.8X"},
}
"""Values that the service takes and this botocore does not list yet."""
_CLASSES: Final = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9", r"\p{Z}": " "}
"""Java's classes of letters, numbers and separators, which Python lacks, as far as ASCII goes."""


def refusals(call: Call) -> list[str]:
    """Why AWS would refuse a call, each in one line; none if nothing speaks against it."""
    shape = _model(call.service).operation_model(call.operation).input_shape
    report = ParamValidator().validate(call.parameters, shape)
    found: list[str] = report.generate_report().splitlines() if report.has_errors() else []
    if not found:
        found += _walk(call.service, shape, call.parameters, "")
        if call.operation in LIMITS:
            found += LIMITS[call.operation](call.parameters)
    return [f"{call.service} {call.operation}: {line}" for line in found]


@functools.cache
def _session() -> Any:
    return botocore.session.get_session()


@functools.cache
def _model(service: str) -> Any:
    return _session().get_service_model(service)


def _walk(service: str, shape: Any, value: Any, path: str) -> Iterator[str]:
    """Everything in a value that its shape's enumeration, pattern or bounds exclude."""
    kind = shape.type_name
    if kind == "structure" and not getattr(shape, "is_document_type", False):
        for name, item in value.items():
            yield from _walk(service, shape.members[name], item, f"{path}.{name}")
    elif kind == "list":
        yield from _bounded(shape, len(value), path, "items")
        for number, item in enumerate(value):
            yield from _walk(service, shape.member, item, f"{path}[{number}]")
    elif kind == "map":
        yield from _bounded(shape, len(value), path, "entries")
        for key, item in value.items():
            yield from _walk(service, shape.key, key, f"{path} (key)")
            yield from _walk(service, shape.value, item, f"{path}[{key!r}]")
    elif kind == "string":
        yield from _text(service, shape, value, path)
    elif kind in {"integer", "long", "float", "double"}:
        yield from _bounded(shape, value, path, "")


def _bounded(shape: Any, size: float, path: str, unit: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield f"{path}: {size} {unit} are not between {low} and {high}"


def _text(service: str, shape: Any, value: str, path: str) -> Iterator[str]:
    name = re.sub(r"\W", "", path.rpartition(".")[2])
    if shape.enum and value not in {*shape.enum, *NEWER.get((service, name), ())}:
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
    yield from _bounded(shape, len(value), path, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield f"{path}: {value!r} does not match {pattern}"


def _matches(pattern: str, value: str) -> bool:
    # Surrogates are pairs in Java's strings and never stand alone in Python's.
    plain = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    for theirs, ours in _CLASSES.items():
        plain = plain.replace(theirs, ours)
    flags = re.IGNORECASE if "(?i)" in plain else 0
    plain = plain.replace("(?i)", "")
    return re.fullmatch(plain, value, flags) is not None
