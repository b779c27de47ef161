"""The platform's own OpenLineage facets."""

from __future__ import annotations

from typing import Any

import attr
from openlineage.client.facet_v2 import RunFacet


@attr.define
class LoadsRunFacet(RunFacet):
    """The loads that a run brought or promoted, with what they held."""

    loads: list[int]
    good: int | None = attr.field(default=None)
    rejected: dict[str, int] | None = attr.field(default=None)
    through: str | None = attr.field(default=None)

    @staticmethod
    def _get_schema() -> str:
        return "urn:lakehouse:openlineage:LoadsRunFacet:1"


@attr.define
class PublicationsRunFacet(RunFacet):
    """The publications that a run made, as the table's property has them."""

    publications: list[dict[str, Any]]
    code: str
    contractVersion: str  # noqa: N815 - as OpenLineage spells names

    @staticmethod
    def _get_schema() -> str:
        return "urn:lakehouse:openlineage:PublicationsRunFacet:1"
