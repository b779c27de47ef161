"""Rules of tags, and of what tells that money is spent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.graph import Graph, Resource, tags
from policies.rule import each

TAGS: Final = ("platform", "stage", "cost-center", "deployment")


@each("aws")
def everything_is_tagged(provider: Resource, graph: Graph) -> Iterator[str]:
    """What bears no tag is in nobody's budget."""
    missing = [tag for tag in TAGS if tag not in tags(provider)]
    if missing and (graph.of("Bucket") or graph.of("Job")):
        yield f"no default tag {', '.join(missing)}; add aws:defaultTags to the stack's file"


@each("Stream")
def streams_are_paid_by_their_dataset(stream: Resource, _graph: Graph) -> Iterator[str]:
    """A stream is what one dataset costs by itself, and its tag is the only way to see it."""
    for tag in ("dataset", "owner"):
        if tag not in stream.get("tags", {}):
            yield f"no tag {tag}; add it"


@each("Budget")
def budgets_count_their_deployment(budget: Resource, graph: Graph) -> Iterator[str]:
    """A budget over a tag that nothing bears counts nothing, and never warns."""
    deployment = graph.default_tags.get("deployment")
    filters = [
        value
        for f in budget.get("costFilters", [])
        if f["name"] == "TagKeyValue"
        for value in f["values"]
    ]
    if filters != [f"user:deployment${deployment}"]:
        yield f"counts {filters or 'everything'}, the stack is tagged {deployment}; count that"


@each("Budget")
def budgets_warn_before_it_is_spent(budget: Resource, _graph: Graph) -> Iterator[str]:
    """A warning that comes with the bill comes too late."""
    early = [
        n
        for n in budget.get("notifications", [])
        if (n["notificationType"] == "FORECASTED" or n["threshold"] < 100)
        and (n.get("subscriberSnsTopicArns") or n.get("subscriberEmailAddresses"))
    ]
    if not early:
        yield "nobody is told before it is spent; notify on FORECASTED"
