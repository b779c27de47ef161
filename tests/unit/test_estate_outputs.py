from __future__ import annotations

import pytest
from support.rendered import CONTRACTS, STACKS, estate, of

from localaws.apply import render_outputs


@pytest.mark.parametrize("stack", STACKS)
def test_the_outputs_name_what_is_there(stack: str) -> None:
    found, resources = render_outputs(stack, CONTRACTS), estate(stack)

    assert {b.inputs["bucket"] for b in of(resources, "Bucket").values()} - {
        found.get("audit_bucket")
    } == set(found["buckets"].values())
    assert set(found["jobs"].values()) == {j.inputs["name"] for j in of(resources, "Job").values()}
    assert {"operate", "maintain"} < set(found["jobs"])
    assert {f"{logs}/error" for logs in found["job_logs"].values()} < {
        g.inputs["name"] for g in of(resources, "LogGroup").values()
    }
    assert found["job_roles"] == {
        name: j.inputs["roleArn"] for name, j in of(resources, "Job").items()
    }
    assert set(found["streams"].values()) == {
        s.inputs["name"] for s in of(resources, "Stream").values()
    }
    assert set(found["databases"]) == set(of(resources, "CatalogDatabase"))
    assert set(found["history"]) == {
        f"{table.inputs['databaseName']}.{table.inputs['name']}"
        for table in of(resources, "CatalogTable").values()
    }
    assert [found["registry"]] == [
        r.inputs["registryName"] for r in of(resources, "Registry").values()
    ]
    assert len(found["keys"]) == len(of(resources, "Key"))
    assert {found["arrivals"], found["dead_arrivals"]} == {
        p.inputs["queueUrl"] for p in of(resources, "QueuePolicy").values()
    }
    (topic,) = of(resources, "TopicPolicy").values()
    assert found["alerts"] == topic.inputs["arn"]
    (dashboard,) = of(resources, "Dashboard").values()
    assert found["dashboard"].endswith(f"dashboard/{dashboard.inputs['dashboardName']}")
    folder = found["contracts"].partition("-artifacts/")[2]
    assert f"{folder}flights.yaml" in of(resources, "BucketObjectv2")


def test_parts_that_a_stack_leaves_out_are_not_named() -> None:
    found = {stack: set(render_outputs(stack, CONTRACTS)) for stack in STACKS}

    assert found["dev"] - found["local"] == {"budget"}
    assert found["staging"] - found["dev"] == {"network"}
    assert found["prod"] - found["staging"] == {"airflow", "audit_bucket"}


def test_the_network_and_airflow_are_named_for_who_connects_to_them() -> None:
    found, resources = render_outputs("prod", CONTRACTS), estate("prod")

    (airflow,) = of(resources, "Environment").values()
    used = airflow.inputs["networkConfiguration"]
    assert set(used["subnetIds"]) <= set(found["network"]["private_subnets"])
    assert used["securityGroupIds"] == [found["network"]["security_group"]]
    assert found["airflow"] == "acme-lakehouse-prod.airflow.amazonaws.com"
    (role,) = (r for r in of(resources, "Role").values() if r.name == "airflow")
    assert found["airflow_role"].endswith(role.inputs["name"])
