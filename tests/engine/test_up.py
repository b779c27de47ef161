"""What `pulumi preview`, `up` and `refresh` make of the program, under the real engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from engine.conftest import Raised
from engine.deployment import Deployment
from engine.provider import Call
from support.rendered import CONTRACTS

from localaws.apply import render, render_outputs
from localaws.golden import golden

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
both = pytest.mark.parametrize("stack", ["dev", "prod"])
BUCKET = "aws:s3/bucket:Bucket"
JOB = "aws:glue/job:Job"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"


@both
def test_an_up_makes_what_the_rendering_declares_and_nothing_else(
    stack: str, raised: Callable[[str], Raised]
) -> None:
    found, declared = raised(stack), render(stack, CONTRACTS)

    assert golden(found.deployment.recorded()) == golden(declared)
    assert found.deployment.provider.inputs() == {(r.type, r.name): r.inputs for r in declared}
    assert {call.verb for call in found.changed} == {"create"}
    assert sorted((c.type, c.name) for c in found.changed) == [(r.type, r.name) for r in declared]


@both
def test_a_preview_before_the_first_up_knows_every_resource_and_makes_none(
    stack: str, raised: Callable[[str], Raised]
) -> None:
    found = raised(stack)

    assert found.previewed == ()
    assert found.planned == {"create": len(found.deployment.resources())}


@both
def test_jobs_come_after_their_release_and_the_wanted_release_after_the_jobs(
    stack: str, raised: Callable[[str], Raised]
) -> None:
    changed = raised(stack).changed

    release = places(changed, OBJECT, "code/") + places(changed, OBJECT, "contracts/")
    jobs = places(changed, JOB)
    (wanted,) = places(changed, OBJECT, "wanted-release")
    assert len(release) >= 15
    assert len(jobs) >= 6
    assert max(release) < min(jobs)
    assert max(jobs) < wanted


@both
def test_the_outputs_are_those_of_the_rendering_and_none_is_a_secret(
    stack: str, raised: Callable[[str], Raised]
) -> None:
    assert raised(stack).deployment.outputs() == render_outputs(stack, CONTRACTS)


@both
def test_a_second_up_and_a_refresh_change_nothing(
    stack: str, request: pytest.FixtureRequest
) -> None:
    deployment: Deployment = request.getfixturevalue(stack)

    again = deployment.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    refreshed = deployment.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")

    whole = f"{len(deployment.resources())} unchanged"
    assert (again.returncode, refreshed.returncode) == (0, 0)
    assert whole in again.stdout
    assert whole in refreshed.stdout
    assert deployment.provider.calls == []


def test_airflows_settings_are_a_secret_in_the_state(prod: Deployment) -> None:
    (airflow,) = (r for r in prod.recorded() if r.type == "aws:mwaa/environment:Environment")
    text = prod.state.read_text(encoding="utf-8")

    assert airflow.inputs["airflowConfigurationOptions"]["secrets.backend"] not in text
    assert airflow.inputs["executionRoleArn"] in text


def test_a_changed_setting_changes_the_one_resource_that_has_it(dev: Deployment) -> None:
    dev.decide(cost={"monthly_usd": 61, "anomaly_usd": 20})

    assert dev.up() == [Call("update", "aws:budgets/budget:Budget", "monthly")]


def test_a_changed_contract_brings_a_release_and_the_earlier_one_stays(
    dev: Deployment, tmp_path: Path
) -> None:
    before = set(dev.provider.held)
    jobs = {name for kind, name in dev.provider.inputs() if kind == JOB}
    contracts = shutil.copytree(CONTRACTS, tmp_path / "contracts")
    with (contracts / "planes.yaml").open("a", encoding="utf-8") as file:
        file.write("# another release\n")
    dev.configure("lakehouse:contracts", str(contracts))

    changed = dev.up()

    new = [place for place in places(changed, OBJECT) if changed[place].verb == "create"]
    assert {changed[place].name.split("/")[0] for place in new} == {"contracts"}
    assert {c.name for c in changed if c.type == JOB} == jobs
    assert changed[-1] == Call("update", OBJECT, "wanted-release")
    assert max(new) < min(places(changed, JOB))
    assert {c.verb for c in changed} == {"create", "update"}
    assert before < set(dev.provider.held)


def test_what_holds_data_cannot_be_replaced_in_prod(prod: Deployment) -> None:
    prod.decide(prefix="acme-elsewhere")

    preview = prod.pulumi("preview")

    assert preview.returncode != 0
    assert "currently marked for protection" in preview.stdout
    assert prod.provider.calls == []


def test_what_a_person_changed_in_the_account_is_found_and_put_back(dev: Deployment) -> None:
    urn, held = next(
        (urn, held) for urn, held in dev.provider.held.items() if urn.endswith(f"{BUCKET}::silver")
    )
    kept = {"forceDestroy": False}
    dev.provider.held[urn] = replace(
        held, inputs={**held.inputs, **kept}, outputs={**held.outputs, **kept}
    )

    found = dev.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")

    assert found.returncode != 0
    assert "1 updated" in found.stdout
    assert dev.up() == [Call("update", BUCKET, "silver")]
    assert dev.provider.held[urn].inputs == held.inputs


def test_a_misspelt_key_stops_a_preview_with_one_line(dev: Deployment) -> None:
    dev.decide(straems={"mode": "ON_DEMAND"})

    preview = dev.pulumi("preview")

    said = "error: lakehouse:platform: unknown key 'straems'; did you mean 'streams'?"
    assert preview.returncode != 0
    assert said in preview.stdout
    assert "Traceback" not in preview.stdout + preview.stderr


def places(changed: Sequence[Call], kind: str, start: str = "") -> list[int]:
    """Where in the order of the changes the resources of a type and names stand."""
    return [
        place
        for place, call in enumerate(changed)
        if call.type == kind and call.name.startswith(start)
    ]
