"""How IAM decides, as far as the estate's policies go; what they do not use is an error.

Source: policy evaluation logic and the condition operators of IAM's user guide.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

Statement = Mapping[str, Any]
Context = Mapping[str, str | Sequence[str]]
NOTHING: Final[Context] = MappingProxyType({})
_WILD: Final = {"*": ".*", "?": "."}
ELEMENTS: Final = frozenset(
    ("Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)


class Request(NamedTuple):
    """A call of AWS: by a role's ARN or a service's name, with what its conditions may ask for."""

    principal: str
    action: str
    resource: str
    context: Context = NOTHING

    def __str__(self) -> str:
        said = "".join(f" {key}={value}" for key, value in sorted(self.context.items()))
        return f"{self.principal} {self.action} {self.resource}{said}"


class Decision(Enum):
    """What IAM answers."""

    ALLOWED = "allowed"
    NOT_GRANTED = "not granted"
    FORBIDDEN = "forbidden by a Deny"


def decide(
    request: Request,
    identity: Iterable[Statement],
    resource: Iterable[Statement] = (),
    limits: Iterable[Iterable[Statement]] = (),
) -> Decision:
    """The decision by the policies of the caller and of the resource, both in one account.

    Each of ``limits`` (a permissions boundary, the policy of an endpoint) must allow the call too.
    """
    own, theirs = list(identity), list(resource)
    bounds = [list(limit) for limit in limits]
    for policy in (own, theirs, *bounds):
        if any(s["Effect"] == "Deny" and applies(s, request) for s in policy):
            return Decision.FORBIDDEN
    if not all(_allows(limit, request) for limit in bounds):
        return Decision.NOT_GRANTED
    granted = _allows([s for s in own if "Principal" not in s], request) or any(
        # An account as a principal lets its IAM decide; a role or a service is let in by its name.
        s["Effect"] == "Allow" and applies(s, request) and not _only_account(s, request)
        for s in theirs
    )
    return Decision.ALLOWED if granted else Decision.NOT_GRANTED


def _allows(statements: Iterable[Statement], request: Request) -> bool:
    return any(s["Effect"] == "Allow" and applies(s, request) for s in statements)


def applies(statement: Statement, request: Request) -> bool:
    """Whether a statement speaks of a request, be it to allow or to deny."""
    if unknown := set(statement) - ELEMENTS:
        raise ValueError(f"{statement.get('Sid')}: {sorted(unknown)} cannot be evaluated; teach it")
    return (
        _principal(statement, request.principal)
        and _named(statement, "Action", request.action.lower(), str.lower)
        and _named(statement, "Resource", request.resource, lambda p: _filled(p, request.context))
        and all(
            _condition(operator, key, listed(wanted), request.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _named(statement: Statement, element: str, value: str, form: Callable[[str], str]) -> bool:
    match = arn_like if element == "Resource" else like
    if f"Not{element}" in statement:
        return not any(match(form(p), value) for p in listed(statement[f"Not{element}"]))
    # A trust policy is that of the one role, and names no resource.
    patterns = statement.get(element, "*")
    return any(match(form(pattern), value) for pattern in listed(patterns))


def _principal(statement: Statement, principal: str) -> bool:
    if "Principal" not in statement:
        return True
    return any(
        pattern in ("*", principal) or _account(pattern) == principal.split(":")[4:5]
        for pattern in principals(statement)
    )


def principals(statement: Statement) -> Iterator[str]:
    """Whom a statement names, ``*`` for everybody."""
    named = statement["Principal"]
    if isinstance(named, str):
        yield named
    else:
        for found in named.values():
            yield from listed(found)


def _account(pattern: str) -> list[str]:
    """The account that a principal stands for as a whole."""
    found = re.fullmatch(r"(?:arn:[\w-]+:iam::)?(\d{12})(?::root)?", pattern)
    return [found[1]] if found else ["no account"]


def _only_account(statement: Statement, request: Request) -> bool:
    return request.principal not in principals(statement) and "*" not in principals(statement)


def listed(value: Any) -> list[Any]:
    """A policy's one or many."""
    return list(value) if isinstance(value, list | tuple) else [value]


def like(pattern: str, value: str) -> bool:
    """Whether a text matches a pattern with ``*`` and ``?``."""
    return _regex(pattern).fullmatch(value) is not None


def arn_like(pattern: str, value: str) -> bool:
    """The same for ARNs, whose first five parts are compared one by one."""
    if pattern == "*" or ":" not in pattern or ":" not in value:
        return like(pattern, value)
    wanted, found = pattern.split(":", 5), value.split(":", 5)
    return len(wanted) == len(found) and all(map(like, wanted, found))


@functools.cache
def _regex(pattern: str) -> re.Pattern[str]:
    parts = (
        ".*" if c == "*" else "." if c == "?" else re.escape(c)
        for c in re.split(r"([*?])", pattern)
    )
    return re.compile("".join(parts), re.DOTALL)


def _filled(pattern: str, context: Context) -> str:
    """The pattern with its ``${keys}`` filled; one that the context lacks matches nothing."""

    def value(found: re.Match[str]) -> str:
        known = {key.lower(): listed(v) for key, v in context.items()}.get(found[1].lower())
        return known[0] if known else "\0"

    return re.sub(r"\$\{([^}]+)\}", value, pattern)


def _flag(wanted: str, found: str) -> bool:
    return wanted.lower() == found.lower()


_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringEqualsIgnoreCase": _flag,
    "StringLike": like,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": _flag,
    "NumericLessThanEquals": lambda wanted, found: float(found) <= float(wanted),
    "NumericLessThan": lambda wanted, found: float(found) < float(wanted),
    "NumericGreaterThan": lambda wanted, found: float(found) > float(wanted),
}
_NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
OPERATORS: Final = frozenset((*_OPERATORS, *_NEGATED, "Null"))
"""The operators that are understood, each with ``IfExists`` and before sets as well."""


def operator_parts(operator: str) -> tuple[str, str, bool]:
    """The set prefix, the plain operator, and whether ``IfExists`` follows it.

    Raises ValueError for an operator that is not understood.
    """
    prefix, _, rest = operator.rpartition(":")
    plain = rest.removesuffix("IfExists")
    if plain not in OPERATORS or prefix not in ("", "ForAnyValue", "ForAllValues"):
        raise ValueError(f"condition operator {operator!r} is not understood; teach it to iam.py")
    return prefix, plain, rest != plain


def _condition(operator: str, key: str, wanted: list[Any], context: Context) -> bool:
    prefix, plain, if_exists = operator_parts(operator)
    found = {name.lower(): listed(v) for name, v in context.items()}.get(key.lower())
    if plain == "Null":
        return [str(w).lower() for w in wanted] == [str(not found).lower()]
    negated = plain in _NEGATED
    if not found:
        return if_exists or negated or prefix == "ForAllValues"
    test = _OPERATORS[_NEGATED.get(plain, plain)]
    hits = [any(test(_filled(str(w), context), str(v)) for w in wanted) for v in found]
    held = [not hit for hit in hits] if negated else hits
    return any(held) if prefix == "ForAnyValue" else all(held)
