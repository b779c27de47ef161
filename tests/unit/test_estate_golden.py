from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest
import yaml
from support.rendered import CONTRACTS, STACKS, estate, planted, with_radar

from localaws.apply import render
from localaws.golden import FOLDER, golden

HISTORY = {f"aws:glue/catalogTable:CatalogTable {name}" for name in ("approvals", "verdicts")}
"""Their partitions are the datasets."""
UPDATE = "if it is meant, run 'nox -s golden' and commit what it writes"


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_what_was_reviewed(stack: str) -> None:
    path = FOLDER / f"{stack}.yaml"
    found = golden(estate(stack))
    kept = path.read_text(encoding="utf-8") if path.is_file() else ""

    difference = "\n".join(
        list(difflib.unified_diff(kept.splitlines(), found.splitlines(), "kept", "found", n=2))[:60]
    )
    assert found == kept, f"{path.name} differs; {UPDATE}\n{difference}"


def test_there_is_no_rendering_of_a_stack_that_is_no_more() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(STACKS)


def test_a_changed_input_is_seen() -> None:
    changed = planted(estate("dev"), "Bucket", "ledger", forceDestroy=False)

    assert golden(changed) != golden(estate("dev"))


def test_a_change_of_the_librarys_code_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from estate.compute import release

    monkeypatch.setattr(release, "library_zip", lambda _package: b"another library")

    assert golden(render("dev", CONTRACTS)) == golden(estate("dev"))


def parts(text: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(text)
    return found


def lines(part: object) -> set[str]:
    return set(yaml.safe_dump(part).splitlines())


def test_a_new_contract_adds_what_is_its_own_and_nothing_else(tmp_path: Path) -> None:
    before = parts(golden(estate("prod")))
    after = parts(golden(with_radar("prod", "main", tmp_path)))

    assert set(before) - set(after) == set()
    assert {title.removeprefix("aws:") for title in set(after) - set(before)} == {
        "kinesis/stream:Stream radar",
        "glue/schema:Schema radar",
        *(
            f"cloudwatch/metricAlarm:MetricAlarm radar-{kind}"
            for kind in ("absent", "freshness", "held", "lag", "rejects", "throttled")
        ),
        "glue/catalogTable:CatalogTable quarantine_radar",
        *(
            f"athena/namedQuery:NamedQuery engineer-{query}-radar"
            for query in ("lag", "rejects-of-today", "snapshots")
        ),
        "s3/bucketObjectv2:BucketObjectv2 contracts/<hash>/radar.yaml",
        "s3/bucketObjectv2:BucketObjectv2 airflow/dags/contracts/radar.yaml",
    }
    changed = {title for title in before if before[title] != after[title]}
    assert changed == {
        "aws:iam/rolePolicy:RolePolicy ingest-main",
        "aws:iam/rolePolicy:RolePolicy operate",
        "aws:cloudwatch/dashboard:Dashboard datasets",
        *HISTORY,
    }
    for role, named in (("ingest-main", 5), ("operate", 0)):
        policy = f"aws:iam/rolePolicy:RolePolicy {role}"
        assert lines(before[policy]) <= lines(after[policy])
        more = lines(after[policy]) - lines(before[policy])
        assert all(re.search(r"radar|Schema|'\*'", line) for line in more)
        assert sum("radar" in line for line in more) == named
    for table in HISTORY:
        (was,), (now,) = (
            [line for line in lines(found[table]) if "projection.dataset.values" in line]
            for found in (before, after)
        )
        assert lines(after[table]) - {now} == lines(before[table]) - {was}
        assert set(now.split(": ")[1].split(",")) - set(was.split(": ")[1].split(",")) == {"radar"}


def test_a_new_group_adds_its_job_its_role_and_its_schedule_too(tmp_path: Path) -> None:
    before = parts(golden(estate("prod")))
    after = parts(golden(with_radar("prod", "radar", tmp_path)))

    added = {title.removeprefix("aws:") for title in set(after) - set(before)}
    assert {title for title in added if "ingest-radar" in title} == {
        "glue/job:Job ingest-radar",
        "iam/role:Role ingest-radar",
        "iam/rolePolicy:RolePolicy ingest-radar",
        "scheduler/schedule:Schedule ingest-radar",
        "cloudwatch/logGroup:LogGroup ingest-radar-error",
        "cloudwatch/logGroup:LogGroup ingest-radar-output",
        *(
            f"lakeformation/permissions:Permissions ingest-radar-{grant}"
            for grant in ("bronze", "bronze-location", "bronze-tables", "classification")
        ),
    }
    assert {title for title in before if before[title] != after[title]} == {
        "aws:iam/rolePolicy:RolePolicy airflow",
        "aws:iam/rolePolicy:RolePolicy operate",
        "aws:iam/rolePolicy:RolePolicy supervisor",
        "aws:cloudwatch/dashboard:Dashboard datasets",
        *HISTORY,
    }
