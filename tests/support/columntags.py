"""A stand-in for Lake Formation's tags of columns: they have their database's until they are given
one of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from support.apicalls import Call
from support.apicheck import refusals

from lakehouse.tagging import CLASSIFICATION, UNCLASSIFIED


class ColumnTags:
    """A client of Lake Formation that takes what the service's model takes."""

    def __init__(self, *values: str) -> None:
        self.values = {"public", "internal", *values}
        self.own: dict[tuple[str, str, str], str] = {}
        """By database, table and column."""
        self.added: list[tuple[str, tuple[str, ...]]] = []
        """Each call: the value, and the columns that were given it."""
        self.faults: list[str] = []
        """Codes of errors, consumed one a call that adds; "failure:<code>" comes in the answer."""
        self.meanwhile: Callable[[str, str], None] = lambda _database, _table: None

    def add_lf_tags_to_resource(self, **asked: Any) -> dict[str, Any]:
        assert refusals(Call("lakeformation", "AddLFTagsToResource", asked)) == []
        where = asked["Resource"]["TableWithColumns"]
        (tag,) = asked["LFTags"]
        (value,) = tag["TagValues"]
        fault = self.faults.pop(0) if self.faults else ""
        if fault.startswith("failure:"):
            error = {"ErrorCode": fault.removeprefix("failure:"), "ErrorMessage": "told so"}
            return {"Failures": [{"LFTag": tag, "Error": error}]}
        if not fault and (tag["TagKey"] != CLASSIFICATION or value not in self.values):
            fault = "EntityNotFoundException"
        if fault:
            raise ClientError(
                {"Error": {"Code": fault, "Message": "told so"}}, "AddLFTagsToResource"
            )
        self.meanwhile(where["DatabaseName"], where["Name"])
        self.added.append((value, tuple(where["ColumnNames"])))
        for column in where["ColumnNames"]:
            self.own[where["DatabaseName"], where["Name"], column] = value
        return {"Failures": []}

    def get_resource_lf_tags(self, **asked: Any) -> dict[str, Any]:
        assert refusals(Call("lakeformation", "GetResourceLFTags", asked)) == []
        where = asked["Resource"]["TableWithColumns"]
        return {
            "LFTagsOnColumns": [
                {
                    "Name": column,
                    "LFTags": [
                        {"TagKey": "layer", "TagValues": [where["DatabaseName"]]},
                        {
                            "TagKey": CLASSIFICATION,
                            "TagValues": [
                                self.own.get(
                                    (where["DatabaseName"], where["Name"], column), UNCLASSIFIED
                                )
                            ],
                        },
                    ],
                }
                for column in where["ColumnNames"]
            ]
        }
