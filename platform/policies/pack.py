"""The rules as policies of Pulumi's engine, which asks them about a stack at the end of a preview.

The engine tells of every resource its outputs: what the program gave and what AWS has made of it.
Whether a resource is retained on deletion it does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pulumi_policy import (
    Policy,
    PolicyResource,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policies.graph import Graph, Resource
from policies.rule import Rule
from policies.rules import RULES
from policies.values import Unknown, Values

SHOWN: Final = 3
"""Of the values that are not known yet: a first preview has hundreds."""


def policies() -> list[Policy]:
    """Every rule as a policy over the whole stack."""
    return [_policy(rule) for rule in RULES]


def _policy(rule: Rule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        verdict = rule(graph(args.resources))
        for finding in verdict.findings:
            report(finding.message, finding.urn or None)
        if verdict.undecided:
            # Pulumi makes an advice of it, beside what was reported.
            raise UnknownValueError(UNKNOWN_STRING_VALUE, [_some(verdict.undecided)])

    return StackValidationPolicy(
        name=rule.name.replace("_", "-"),
        display_name=rule.name.replace("_", " ").capitalize(),
        description=rule.why,
        validate=validate,
    )


def _some(places: Sequence[str]) -> str:
    first, more = places[:SHOWN], len(places) - SHOWN
    return "; ".join(first) + (f" and {more} more" if more > 0 else "")


def graph(resources: Iterable[PolicyResource]) -> Graph:
    """The engine's resources for the rules."""
    return Graph(
        Resource(
            type=r.resource_type,
            name=r.name,
            values=Values(_known(r.props)),
            protect=r.opts.protect,
            urn=r.urn,
        )
        for r in resources
    )


def _known(props: Mapping[str, Any]) -> dict[str, Any]:
    """The values behind Pulumi's proxies, which refuse to be read where one is unknown."""
    return {key: _value(props, key) for key in props}


def _value(holder: Any, key: Any) -> Any:
    try:
        value = holder[key]
    except UnknownValueError as error:
        return Unknown(".".join(error.props))
    if isinstance(value, Mapping):
        return _known(value)
    if not isinstance(value, str) and hasattr(value, "__len__"):
        return [_value(value, index) for index in range(len(value))]
    return value
