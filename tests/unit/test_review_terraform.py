from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.rendered import CONTRACTS, STACKS, estate, of, planted

from estate.accepted import ACCEPTED
from lakehouse.errors import EstateError
from localaws.apply import ROOT, Recorded, render
from policies.values import texts
from review.policy import Result, Scan, judge, unused
from review.terraform import (
    address,
    arguments,
    document,
    references,
    rendered,
    terraform_types,
    unchecked,
)

REFERENCE = re.compile(r"\$\{([a-z0-9_]+\.[A-Za-z0-9_-]+)\.[a-z0-9_]+\}")


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def resources(stack: str) -> list[Recorded]:
    return rendered(stack, CONTRACTS)


def one(kind: str, inputs: dict[str, Any]) -> dict[str, Any]:
    (made,) = document([Recorded(kind, "one", inputs, "", protect=False, retain=False)])[
        "resource"
    ].values()
    found: dict[str, Any] = made["one"]
    return found


def test_every_resource_stands_under_a_name_of_its_own(
    resources: list[Recorded], stack: str
) -> None:
    written = document(resources)["resource"]

    assert sum(map(len, written.values())) == len(resources) == len(estate(stack))


def test_every_reference_leads_to_a_resource(resources: list[Recorded]) -> None:
    written = document(resources)["resource"]
    there = {f"{kind}.{name}" for kind, named in written.items() for name in named}
    referred = [m for text in texts(written) for m in REFERENCE.findall(text)]

    assert set(referred) <= there
    assert not [t for t in texts(written) if "${aws" in REFERENCE.sub("", t)]
    # Each bucket's settings, policies of keys, roles of jobs.
    assert len(referred) > len(resources)


def test_a_reference_stands_where_a_resource_takes_from_another(resources: list[Recorded]) -> None:
    written = document(resources)["resource"]

    versioning = written["aws_s3_bucket_versioning"]["landing"]
    assert versioning["bucket"] == "${aws_s3_bucket.landing.bucket}"
    (own,) = (p for n, p in written["aws_iam_role_policy"].items() if n == "land")
    assert own["role"] == "${aws_iam_role.land.name}"
    assert "${aws_kms_key.key-bronze.arn}" in own["policy"]
    assert json.loads(own["policy"])["Statement"]
    assert written["aws_glue_job"]["land"]["role_arn"] == "${aws_iam_role.land.arn}"


def test_the_program_declares_the_same_with_references(
    resources: list[Recorded], stack: str
) -> None:
    assert [(r.type, r.name, sorted(r.inputs)) for r in resources] == [
        (r.type, r.name, sorted(r.inputs)) for r in estate(stack)
    ]


def test_every_type_that_a_stack_may_have_is_in_the_table() -> None:
    more = {
        "alerts": {"emails": ["on-call@example.org"]},
        "network": {"egress": "endpoints"},
        "airflow": None,
        "jobs": {},
    }

    found = {r.type for r in render("prod", CONTRACTS, more)} | {
        r.type for name in STACKS for r in estate(name)
    }

    assert found <= set(terraform_types())


def test_names_of_a_users_own_stay_as_they_are() -> None:
    table = of(estate("prod"), "CatalogTable")["verdicts"]
    made = one(table.type, dict(table.inputs))

    assert made["parameters"]["storage.location.template"].startswith("s3://")
    assert made["parameters"] == table.inputs["parameters"]
    (storage,) = made["storage_descriptor"]
    assert storage["ser_de_info"][0]["serialization_library"].endswith("JsonSerDe")


def test_what_stands_several_times_has_terraforms_singular(resources: list[Recorded]) -> None:
    written = document(resources)["resource"]
    (rule,) = written["aws_s3_bucket_server_side_encryption_configuration"]["landing"]["rule"]

    assert rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "aws:kms"
    if "aws_cloudtrail" in written:
        (selector,) = written["aws_cloudtrail"]["lake"]["advanced_event_selector"]
        assert selector["field_selector"][2]["starts_with"][0] == "${aws_s3_bucket.bronze.arn}/"


def test_no_content_of_an_object_is_written(resources: list[Recorded]) -> None:
    objects = document(resources)["resource"]["aws_s3_object"].values()

    assert {made["content_base64"] for made in objects} == {"<content>"}


def test_a_renamed_property_has_terraforms_name() -> None:
    kind = "aws:cloudwatch/metricAlarm:MetricAlarm"

    assert one(kind, {"name": "late"}) == {"alarm_name": "late"}
    assert (
        references(kind, "late", {})[1]["name"] == "${aws_cloudwatch_metric_alarm.late.alarm_name}"
    )


def test_an_unknown_type_says_where_it_is_to_stand() -> None:
    with pytest.raises(EstateError, match=r"name of aws:dax/cluster:Cluster is not known; add it"):
        address("aws:dax/cluster:Cluster", "fast")


def test_a_type_that_the_provider_does_not_have_is_refused() -> None:
    with pytest.raises(EstateError, match=r"aws_kinesis_steam is not known; add the type's"):
        arguments("aws_kinesis_steam", {})


def test_a_property_that_the_provider_does_not_take_is_refused() -> None:
    with pytest.raises(EstateError, match="aws_kinesis_stream takes no 'shardsCount'"):
        arguments("aws_kinesis_stream", {"shardsCount": 2.0})


def test_two_names_that_terraform_cannot_tell_apart_are_refused() -> None:
    (key, *_) = of(estate("local"), "Key").values()
    with pytest.raises(EstateError, match=r"two resources are aws_kms_key.a_b"):
        document([replace(key, name="a/b"), replace(key, name="a:b")])


def test_terraform_has_every_type_of_the_table() -> None:
    for kind in terraform_types().values():
        assert arguments(kind, {}) == {}


PASSED = Result("CKV_AWS_7", "rotation", "aws_kms_key.one", passed=True)
FAILED = PASSED._replace(passed=False)
KEY = "aws_kms_key.one"


def test_a_failure_with_a_reason_is_accepted_and_no_other() -> None:
    another = FAILED._replace(resource="aws_kms_key.two")
    found = Scan(frozenset({KEY, another.resource}), (FAILED, another))

    verdict = judge("prod", found.resources, found, {(KEY, "CKV_AWS_7"): "why"})

    assert verdict.accepted == {(KEY, "CKV_AWS_7"): "why"}
    assert verdict.failed == (another,)


def test_what_is_accepted_and_fails_in_no_stack_is_told() -> None:
    passing = judge("dev", [KEY], Scan(frozenset({KEY}), (PASSED,)), {(KEY, "CKV_AWS_7"): "why"})
    failing = judge("prod", [KEY], Scan(frozenset({KEY}), (FAILED,)), {(KEY, "CKV_AWS_7"): "why"})

    assert unused([passing]) == {(KEY, "CKV_AWS_7"): "why"}
    assert unused([passing, failing]) == {}


def test_a_resource_that_checkov_has_not_read_is_unseen() -> None:
    assert judge("prod", [KEY], Scan(frozenset(), ()), {}).unseen == (KEY,)


def test_a_resource_without_any_result_is_unseen_unless_its_type_has_no_policy() -> None:
    alias = "aws_kms_alias.one"
    assert "aws_kms_alias" in unchecked()

    verdict = judge("prod", [KEY, alias], Scan(frozenset({KEY, alias}), ()), {})

    assert verdict.unseen == (KEY,)


def test_what_is_accepted_is_of_a_resource_of_the_stack(stack: str) -> None:
    ACCEPTED.clear()
    found = {(r.type, r.name) for r in rendered(stack, CONTRACTS)}

    assert set(ACCEPTED) <= found
    assert set(ACCEPTED["aws:s3/bucket:Bucket", "landing"]) == {"CKV_AWS_18", "CKV_AWS_144"}


def test_checkovs_lock_holds_checkov_alone() -> None:
    wanted = Path(ROOT, "tests", "checkov", "requirements.txt").read_text(encoding="utf-8").strip()

    assert f"{wanted} \\" in Path(ROOT, "locks", "checkov.txt").read_text(encoding="utf-8")


def test_none_takes_an_input_away() -> None:
    (key, *_) = of(estate("local"), "Key").values()
    (changed, *_) = of(planted([key], "Key", key.name, policy=None), "Key").values()

    assert "policy" not in one(changed.type, dict(changed.inputs))
