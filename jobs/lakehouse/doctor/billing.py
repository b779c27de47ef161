"""Whether the bill knows the tags that the budget counts by."""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.doctor.account import Account
from lakehouse.doctor.finding import Finding
from lakehouse.doctor.need import Need


def cost_tags(account: Account, need: Need) -> Iterator[Finding]:
    """Whether each tag of the budget is active; AWS knows a tag a day after its first use."""
    answer = account.ask("ce", "list_cost_allocation_tags", TagKeys=list(need.cost_tags))
    status = {tag["TagKey"]: tag["Status"] for tag in answer["CostAllocationTags"]}
    for tag in need.cost_tags:
        if status.get(tag) == "Active":
            yield Finding("cost tags", "ok", f"tag {tag} is active")
        elif tag in status:
            yield Finding(
                "cost tags",
                "warn",
                f"tag {tag} is not active: the budget counts nothing",
                "aws ce update-cost-allocation-tags-status --cost-allocation-tags-status "
                f"TagKey={tag},Status=Active",
            )
        else:
            yield Finding(
                "cost tags",
                "warn",
                f"the bill does not know the tag {tag} yet: the budget counts nothing",
                "run again a day after the first deployment, and activate the tag then",
            )
