"""What fails halfway, and what a destroy leaves, under the real engine."""

from __future__ import annotations

import json
from collections.abc import Callable

import psutil
import pytest
from engine.conftest import Deploy, Raised
from engine.deployment import Deployment
from engine.provider import Call

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
KEY = "aws:kms/key:Key"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"


def test_after_a_refused_create_the_next_up_makes_the_rest_and_nothing_twice(
    deploy: Deploy, raised: Callable[[str], Raised]
) -> None:
    dev = deploy("dev")
    dev.provider.failing.add("key-silver")

    stopped = dev.pulumi("up", "--yes", "--skip-preview")
    first = list(dev.provider.calls)
    dev.provider.failing.clear()
    rest = dev.up()

    assert stopped.returncode != 0
    assert "ServiceUnavailable" in stopped.stdout
    assert Call("create", OBJECT, "wanted-release") in rest
    assert first
    assert sorted(map(str, first + rest)) == sorted(map(str, raised("dev").changed))


def test_a_killed_engine_is_gone_on_with_once_the_state_knows_what_was_being_made(
    deploy: Deploy, raised: Callable[[str], Raised]
) -> None:
    dev = deploy("dev")

    def kill(_call: Call) -> None:
        if len(dev.provider.held) == 30:
            (engine,) = (c for c in psutil.Process().children() if "up" in c.cmdline())
            engine.kill()
            engine.wait()

    dev.provider.watch = kill
    # One at a time: while the account is asked for it, nothing else is under way.
    killed = dev.pulumi("up", "--yes", "--skip-preview", "--parallel", "1")
    first = list(dev.provider.calls)
    locked = dev.pulumi("up", "--yes", "--skip-preview")
    dev.pulumi("cancel", "--yes", check=True)
    unknown = dev.pulumi("up", "--yes", "--skip-preview", "--parallel", "1")

    exported = json.loads(dev.pulumi("stack", "export", check=True).stdout)
    (pending,) = exported["deployment"].pop("pending_operations")
    made = dev.provider.held[pending["resource"]["urn"]].id
    exported["deployment"]["resources"].append({**pending["resource"], "id": made})
    dev.pulumi("stack", "import", given=json.dumps(exported), check=True)
    dev.pulumi("refresh", "--yes", "--skip-preview", check=True)
    dev.up()

    assert killed.returncode != 0
    assert "currently locked" in locked.stderr
    assert "AlreadyExists" in unknown.stdout
    assert "interrupted while creating" in unknown.stdout
    assert len(first) == 30
    assert dev.provider.held == raised("dev").snapshot.held


def test_a_destroy_of_prod_is_refused_and_deletes_nothing(prod: Deployment) -> None:
    refused = prod.pulumi("destroy", "--yes")

    assert refused.returncode != 0
    assert "because it is protected" in refused.stdout
    assert prod.provider.calls == []


def test_a_destroy_of_prod_without_its_preview_is_mended_by_the_next_up(prod: Deployment) -> None:
    before = dict(prod.provider.held)
    protected = {r["urn"] for r in prod.resources() if r.get("protect") and r["custom"]}

    refused = prod.pulumi("destroy", "--yes", "--skip-preview")
    left = set(prod.provider.held)
    mended = prod.up()

    assert refused.returncode != 0
    assert protected < left < set(before)
    assert prod.provider.held == before
    assert {call.verb for call in mended} == {"create"}


def test_what_prod_retains_outlives_the_stack_and_is_taken_back_by_the_exported_state(
    prod: Deployment,
) -> None:
    before = dict(prod.provider.held)
    retained = {r["urn"] for r in prod.resources() if r.get("retainOnDelete") and r["custom"]}
    exported = prod.pulumi("stack", "export", check=True).stdout

    prod.pulumi("state", "unprotect", "--all", "--yes", check=True)
    prod.pulumi("destroy", "--yes", check=True)
    left = set(prod.provider.held)
    anew = prod.pulumi("up", "--yes")
    prod.provider.held = {urn: held for urn, held in before.items() if urn in left}
    prod.pulumi("stack", "import", given=exported, check=True)
    prod.pulumi("refresh", "--yes", "--skip-preview", check=True)
    back = prod.up()

    assert left == retained
    assert anew.returncode != 0
    assert "AlreadyExists" in anew.stdout
    assert prod.provider.held == before
    assert {call.verb for call in back} == {"create"}
    assert len(back) == len(before) - len(retained)


def test_a_destroy_of_dev_leaves_nothing_but_the_release(dev: Deployment) -> None:
    dev.pulumi("destroy", "--yes", check=True)

    assert dev.resources() == []
    assert {kind for kind, _ in dev.provider.inputs()} == {OBJECT}
    assert all(name.startswith(("code/", "contracts/")) for _, name in dev.provider.inputs())
    assert Call("delete", KEY, "key-silver") in dev.provider.calls
