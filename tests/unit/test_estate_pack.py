from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from pulumi.runtime.proto import analyzer_pb2
from support.analyzer import PACK, Analyzer, analyzer, urn
from support.estategraph import everything, provider
from support.rendered import STACKS, account, changed, estate, of, planted

from localaws.apply import Recorded
from policies.rules import RULES


@pytest.fixture(scope="module")
def pack() -> Iterator[Analyzer]:
    with analyzer() as running:
        yield running


def stack(name: str) -> list[Recorded]:
    return [provider(name), *estate(name)]


def test_every_rule_is_a_mandatory_policy_of_the_pack(pack: Analyzer) -> None:
    info = pack.info()

    assert info.name == yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text())["name"]
    assert {p.name.replace("-", "_") for p in info.policies} == {rule.name for rule in RULES}
    assert {p.enforcementLevel for p in info.policies} == {analyzer_pb2.MANDATORY}
    assert all(p.description for p in info.policies)


@pytest.mark.parametrize("name", STACKS)
def test_the_pack_has_nothing_to_say_about_a_stack(pack: Analyzer, name: str) -> None:
    assert pack.ask(stack(name)) == []


def test_the_pack_has_nothing_to_say_about_the_account(pack: Analyzer) -> None:
    assert pack.ask(account()) == []


def test_the_pack_reports_a_mistake_with_its_resource(pack: Analyzer) -> None:
    wrong = planted(stack("prod"), "Job", "land", jobRunQueuingEnabled=True)

    (found,) = pack.ask(wrong)

    assert found.policyName == "runs-do-not-wait-in-a-queue"
    assert found.urn == urn(of(wrong, "Job")["land"])
    assert found.enforcementLevel == analyzer_pb2.MANDATORY
    assert found.message.endswith(
        "Job land: its runs may wait in Glue's queue; set job_run_queuing_enabled=False"
    )


FIRST = frozenset(
    {
        *((kind, "arn") for kind in ("Key", "Queue", "Topic", "Role", "Bucket", "Stream", "Job")),
        ("Key", "keyId"),
        ("Queue", "kmsMasterKeyId"),
        ("Topic", "kmsMasterKeyId"),
        ("Stream", "kmsKeyId"),
        ("LogGroup", "kmsKeyId"),
        ("Trail", "kmsKeyId"),
        ("Schedule", "kmsKeyArn"),
        ("EventTarget", "arn"),
        ("Environment", "kmsKey"),
        ("RolePolicy", "policy"),
        ("QueuePolicy", "queueUrl"),
        ("RouteTableAssociation", "subnetId"),
        ("RouteTableAssociation", "routeTableId"),
        ("Route", "gatewayId"),
    }
)
"""What a preview of a stack that is not there yet cannot know."""


def test_what_a_first_preview_cannot_know_is_no_violation(pack: Analyzer) -> None:
    found = pack.ask(stack("prod"), FIRST)

    assert {d.enforcementLevel for d in found} == {analyzer_pb2.ADVISORY}
    assert all("can't be known during preview" in d.message for d in found)


def test_what_is_known_is_judged_beside_what_is_not(pack: Analyzer) -> None:
    wrong = changed(everything(), "Job", "ingest-main", "maintenanceWindow", None)

    found = pack.ask(wrong, FIRST)

    assert [d.policyName for d in found if d.enforcementLevel == analyzer_pb2.MANDATORY] == [
        "streaming-jobs-are-restarted"
    ]
