from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
from pathlib import Path

import pytest
import sqlglot
from support import rendered
from support.rendered import CONTRACTS, STACKS, of

from estate.access.audiencepolicies import AUDIENCES
from estate.access.grants import POLICY_LIMIT
from estate.compute.release import ROOT
from lakehouse import naming
from lakehouse.contracts.odcs import load_contracts
from lakehouse.errors import EstateError, LakehouseError
from lakehouse.promotion.progress import Approval
from lakehouse.promotion.verdict import Verdict
from lakehouse.release import PAUSED
from localaws.apply import Recorded, render, stack_config
from localaws.handlers import HANDLERS, LACKING
from policies.values import texts

HOLDS_DATA = {
    "aws:s3/bucket:Bucket",
    "aws:kinesis/stream:Stream",
    "aws:kms/key:Key",
    "aws:glue/catalogDatabase:CatalogDatabase",
}


@pytest.fixture(scope="module")
def estates() -> dict[str, list[Recorded]]:
    return {stack: rendered.estate(stack) for stack in STACKS}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def estate(stack: str, estates: dict[str, list[Recorded]]) -> list[Recorded]:
    return estates[stack]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, folder)
    return folder


def test_every_bucket_is_encrypted_versioned_private_and_reached_by_tls(
    estate: list[Recorded],
) -> None:
    buckets = of(estate, "Bucket")
    assert set(buckets) - {"audit"} == set(naming.BUCKETS)
    for purpose, bucket in buckets.items():
        name = bucket.inputs["bucket"]
        encryption = of(estate, "BucketServerSideEncryptionConfiguration")[purpose].inputs
        (rule,) = encryption["rules"]
        default = rule["applyServerSideEncryptionByDefault"]
        assert (encryption["bucket"], default["sseAlgorithm"]) == (name, "aws:kms")
        assert default["kmsMasterKeyId"].startswith("arn:aws:kms:")
        wall = of(estate, "BucketPublicAccessBlock")[purpose].inputs
        assert wall["bucket"] == name
        assert all(value for key, value in wall.items() if key != "bucket")
        assert len(wall) == 5
        versions = of(estate, "BucketVersioning")[purpose].inputs
        assert versions["versioningConfiguration"]["status"] == "Enabled"
        policy = json.loads(of(estate, "BucketPolicy")[purpose].inputs["policy"])
        (tls,) = (s for s in policy["Statement"] if s["Sid"] == "TlsOnly")
        assert tls["Effect"] == "Deny"
        assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert all(name in resource for resource in tls["Resource"])


def test_current_objects_expire_in_the_results_and_the_trail_only(estate: list[Recorded]) -> None:
    expiring = {
        name
        for name, lifecycle in of(estate, "BucketLifecycleConfiguration").items()
        if any("expiration" in rule for rule in lifecycle.inputs["rules"])
    }

    assert expiring - {"audit"} == {"results"}


def test_every_stream_is_encrypted_with_a_key_of_ours(estate: list[Recorded]) -> None:
    streams = of(estate, "Stream")
    assert set(streams) == {"flights"}
    for stream in streams.values():
        assert stream.inputs["encryptionType"] == "KMS"
        assert stream.inputs["kmsKeyId"].startswith("arn:aws:kms:")
        assert stream.inputs["tags"]["owner"] == "flight-operations"


def test_every_key_rotates(estate: list[Recorded]) -> None:
    assert all(key.inputs["enableKeyRotation"] for key in of(estate, "Key").values())


def test_every_job_is_encrypted_bounded_and_alone(estate: list[Recorded]) -> None:
    jobs = of(estate, "Job")
    assert set(jobs) == {"ingest-main", "land", "promote", "marts", "operate", "maintain"}
    for name, job in jobs.items():
        assert job.inputs["glueVersion"] == "6.0"
        assert job.inputs["securityConfiguration"]
        assert job.inputs["jobRunQueuingEnabled"] is False
        assert job.inputs["executionProperty"] == {"maxConcurrentRuns": 1}
        streaming = job.inputs["command"]["name"] == "gluestreaming"
        assert streaming == ("maintenanceWindow" in job.inputs) == ("timeout" not in job.inputs)
        assert job.inputs["roleArn"].endswith(job.inputs["name"])
        assert streaming <= (name == "ingest-main")


def test_jobs_are_told_of_objects_that_the_release_has(estate: list[Recorded]) -> None:
    keys = {r.inputs["key"] for r in of(estate, "BucketObjectv2").values()}
    for job in of(estate, "Job").values():
        told = job.inputs["defaultArguments"]
        bucket = f"s3://{told['--prefix']}-artifacts/"
        files = [told["--extra-py-files"], job.inputs["command"]["scriptLocation"]]
        files += [value for key, value in told.items() if key == "--additional-python-modules"]
        assert all(file.removeprefix(bucket) in keys for file in files)
        contracts = told["--contracts"].removeprefix(bucket)
        assert f"{contracts}flights.yaml" in keys
        assert f"{contracts}marts/carrier_on_time.sql" in keys
        assert told["--conf"].count(" --conf ") == told["--conf"].count("=") - 1


def test_the_jobs_environment_is_pinned_wherever_they_run_on_aws(
    stack: str, estate: list[Recorded]
) -> None:
    told = [job.inputs["defaultArguments"] for job in of(estate, "Job").values()]

    assert all(("--additional-python-modules" in t) == (stack != "local") for t in told)


def test_policies_fit_and_their_roles_are_those_of_the_jobs(estate: list[Recorded]) -> None:
    policies = of(estate, "RolePolicy")
    others = {"airflow", "supervisor", *AUDIENCES} | ({"flow-logs"} if of(estate, "Vpc") else set())
    others |= {"lake-formation"} if of(estate, "LfTag") else set()
    assert set(policies) == set(of(estate, "Role")) == {*of(estate, "Job")} | others
    for policy in policies.values():
        assert len(policy.inputs["policy"]) <= POLICY_LIMIT
        json.loads(policy.inputs["policy"])


def test_every_name_is_one_that_aws_takes(estate: list[Recorded]) -> None:
    for bucket in of(estate, "Bucket").values():
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket.inputs["bucket"])
    for stream in of(estate, "Stream").values():
        assert re.fullmatch(r"[a-zA-Z0-9_.-]{1,128}", stream.inputs["name"])
    for role in of(estate, "Role").values():
        assert re.fullmatch(r"[\w+=,.@-]{1,64}", role.inputs["name"])
    for alias in of(estate, "Alias").values():
        assert re.fullmatch(r"alias/[a-zA-Z0-9/_-]{1,250}", alias.inputs["name"])
    for database in of(estate, "CatalogDatabase").values():
        assert database.inputs["name"] == database.name
        bucket = "verdicts" if database.name == "governance" else database.name
        assert database.inputs["locationUri"].endswith(f"-{bucket}/")


def test_queries_are_bounded_and_their_results_encrypted_and_apart(
    estate: list[Recorded],
) -> None:
    workgroups = of(estate, "Workgroup")
    prefix = of(estate, "Bucket")["results"].inputs["bucket"]

    assert set(workgroups) == set(AUDIENCES)
    for audience, workgroup in workgroups.items():
        settings = workgroup.inputs["configuration"]
        assert settings["enforceWorkgroupConfiguration"]
        assert settings["publishCloudwatchMetricsEnabled"]
        assert settings["bytesScannedCutoffPerQuery"] >= 10_000_000
        assert settings["engineVersion"]["selectedEngineVersion"] == "Athena engine version 3"
        result = settings["resultConfiguration"]
        assert result["outputLocation"] == f"s3://{prefix}/{audience}/"
        assert result["encryptionConfiguration"]["encryptionOption"] == "SSE_KMS"


def test_the_history_of_the_gates_has_every_dataset_and_every_field(
    estate: list[Recorded],
) -> None:
    tables = of(estate, "CatalogTable")
    landed = {n for n, c in load_contracts(CONTRACTS).items() if "bronze" in c.layers}
    assert set(tables) == {"verdicts", "approvals", "checks"} | {f"quarantine_{n}" for n in landed}
    datasets = ",".join(sorted(load_contracts(CONTRACTS)))
    for name, record in (("verdicts", Verdict), ("approvals", Approval)):
        inputs = tables[name].inputs
        assert inputs["parameters"]["projection.dataset.values"] == datasets
        assert "${dataset}" in inputs["parameters"]["storage.location.template"]
        keys = [key["name"] for key in inputs["partitionKeys"]]
        columns = [column["name"] for column in inputs["storageDescriptor"]["columns"]]
        assert sorted(keys + columns) == sorted(record.__struct_fields__)
    for name in set(tables) - {"verdicts", "approvals"}:
        view = tables[name].inputs
        encoded = view["viewOriginalText"].removeprefix("/* Presto View: ").removesuffix(" */")
        declared = json.loads(base64.b64decode(encoded))
        selected = sqlglot.parse_one(declared["originalSql"], read="athena").named_selects
        assert selected == [c["name"] for c in declared["columns"]]
        assert selected == [c["name"] for c in view["storageDescriptor"]["columns"]]


def test_what_holds_data_is_protected_unless_the_stack_is_disposable(
    stack: str, estate: list[Recorded]
) -> None:
    disposable = stack in {"local", "dev"}
    data = [r for r in estate if r.type in HOLDS_DATA]

    assert {r.type for r in data} == HOLDS_DATA
    assert all(r.protect is not disposable for r in data)
    assert all(r.retain is (stack == "prod") for r in data)
    assert all(b.inputs["forceDestroy"] is disposable for b in of(estate, "Bucket").values())


def test_a_retained_bucket_stays_as_closed_as_it_was(stack: str, estate: list[Recorded]) -> None:
    settings = [r for r in estate if r.type.startswith("aws:s3/bucket") and "bucket" in r.inputs]
    settings = [r for r in settings if not r.type.endswith(("Object", "Objectv2", "Notification"))]

    assert len({r.type for r in settings}) == 6
    assert all(r.retain is (stack == "prod") for r in settings)


def test_paused_ingestion_ends_runs_and_starts_none() -> None:
    jobs = stack_config("prod")["lakehouse:platform"]["jobs"]
    jobs = jobs | {"ingest": jobs["ingest"] | {"paused": True}}
    running = render("prod", CONTRACTS)
    paused = render("prod", CONTRACTS, {"jobs": jobs})

    (wanted,) = (r for r in paused if r.name == "wanted-release" and "Bucket" in r.type)
    assert base64.b64decode(wanted.inputs["contentBase64"]) == PAUSED.encode()
    assert {s.inputs["state"] for s in of(running, "Schedule").values()} == {"ENABLED"}
    assert {s.inputs["state"] for s in of(paused, "Schedule").values()} == {"DISABLED"}
    gone = {r.name for r in running} - {r.name for r in paused}
    assert gone
    assert all(name.endswith("-absent") for name in gone)


def test_objects_of_earlier_releases_stay(estate: list[Recorded]) -> None:
    objects = of(estate, "BucketObjectv2")
    replaced = {name for name, r in objects.items() if not r.retain}
    assert {name for name in replaced if not name.startswith("airflow/")} == {"wanted-release"}


def test_the_wanted_release_is_the_one_that_the_jobs_are_told(
    estate: list[Recorded],
) -> None:
    wanted = of(estate, "BucketObjectv2")["wanted-release"].inputs["contentBase64"]
    told = [r.inputs["defaultArguments"].get("--release") for r in of(estate, "Job").values()]
    assert set(told) == {base64.b64decode(wanted).decode()}


def test_stacks_have_the_same_parts_but_for_those_that_they_leave_out(
    estates: dict[str, list[Recorded]],
) -> None:
    kinds = {stack: {r.type for r in found} for stack, found in estates.items()}
    network = {kind for kind in kinds["staging"] if kind.startswith(("aws:ec2/", "aws:vpc/"))}
    network |= {"aws:glue/connection:Connection"}
    cost = {kind for kind in kinds["dev"] if kind.startswith(("aws:budgets/", "aws:costexplorer/"))}
    tags = {kind for kind in kinds["dev"] if kind.startswith("aws:lakeformation/")}

    assert kinds["dev"] - kinds["local"] == cost | tags
    assert kinds["staging"] - kinds["dev"] == network
    assert kinds["prod"] - kinds["staging"] == {
        "aws:cloudtrail/trail:Trail",
        "aws:mwaa/environment:Environment",
    }
    order = ("local", "dev", "staging", "prod")
    assert all(kinds[a] <= kinds[b] for a, b in itertools.pairwise(order))


def test_no_name_of_one_stack_is_found_in_another(estates: dict[str, list[Recorded]]) -> None:
    for stack, found in estates.items():
        others = [f"lakehouse-{other}" for other in STACKS if other != stack]
        said = [t for r in found for t in texts({**r.inputs, "contentBase64": ""})]
        assert not [t for t in said if any(other in t for other in others)]


def test_every_type_of_the_local_estate_is_made_on_the_emulator_or_said_to_be_lacking(
    estates: dict[str, list[Recorded]], tmp_path: Path
) -> None:
    from localaws import handlers_compute, handlers_signals, handlers_storage  # noqa: F401

    used = {r.type for r in [*estates["local"], *rendered.with_radar("local", "main", tmp_path)]}

    assert used <= set(HANDLERS) | set(LACKING)
    # A subscription is one of the addresses that a stack gives.
    assert set(HANDLERS) - used == {"aws:sns/topicSubscription:TopicSubscription"}
    assert set(LACKING) <= used | {r.type for r in estates["prod"]}


def test_the_scripts_are_those_of_the_repository(estates: dict[str, list[Recorded]]) -> None:
    bodies = {
        base64.b64decode(r.inputs["contentBase64"])
        for r in of(estates["local"], "BucketObjectv2").values()
    }

    assert (ROOT / "jobs" / "batch" / "promote.py").read_bytes() in bodies


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"analitics": {}}, "unknown key 'analitics'; did you mean 'analytics'?"),
        ({"prefix": "UPPER"}, "prefix: String should match pattern"),
        ({"jobs": {"python_requirements": "nowhere.txt"}}, "nowhere.txt"),
    ],
)
def test_a_wrong_configuration_stops_with_one_line(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(EstateError, match=re.escape(message)) as caught:
        render("local", CONTRACTS, changes)

    assert "\n" not in str(caught.value)


def test_a_contract_without_owner_stops_with_its_name(copy: Path) -> None:
    path = copy / "flights.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("team: {name: flight-operations}\n", ""), encoding="utf-8")

    with pytest.raises(LakehouseError, match=r"flights\.yaml: no owner; add 'team: ") as caught:
        render("local", copy)

    assert "\n" not in str(caught.value)


def test_an_unknown_stack_is_answered_with_those_there_are() -> None:
    with pytest.raises(EstateError, match="no stack 'prd'; expected one of dev, local, prod"):
        render("prd", CONTRACTS)


def test_jobs_scale_and_are_measured_by_glue_only_where_a_stack_says_so() -> None:
    jobs = {"metrics": True, "land": {"autoscaling": True}}
    plain, changed = (
        {name: job.inputs["defaultArguments"] for name, job in of(found, "Job").items()}
        for found in (render("dev", CONTRACTS), render("dev", CONTRACTS, {"jobs": jobs}))
    )

    assert not [name for name, told in plain.items() if "--enable-auto-scaling" in told]
    assert [name for name, told in changed.items() if "--enable-auto-scaling" in told] == ["land"]
    for switch in ("--enable-metrics", "--enable-observability-metrics"):
        assert not any(switch in told for told in plain.values())
        assert all(told[switch] == "true" for told in changed.values())


def test_the_largest_jobs_of_prod_give_back_what_they_do_not_need() -> None:
    for name, job in of(rendered.estate("prod"), "Job").items():
        scaled = "--enable-auto-scaling" in job.inputs["defaultArguments"]
        assert scaled == (job.inputs["numberOfWorkers"] > 2), name


def test_what_costs_is_tagged_with_the_dataset_or_group_that_it_is_for() -> None:
    found = rendered.estate("prod")

    for dataset, stream in of(found, "Stream").items():
        assert stream.inputs["tags"]["dataset"] == dataset
        assert stream.inputs["tags"]["group"] == "main"
    for name, alarm in of(found, "MetricAlarm").items():
        if name != "dead-arrivals":
            assert name.startswith(f"{alarm.inputs['tags']['dataset']}-")
    groups = {n: j.inputs.get("tags", {}).get("group") for n, j in of(found, "Job").items()}
    assert {n: g for n, g in groups.items() if g} == {"ingest-main": "main"}


def test_costs_are_told_apart_by_tags_once_billing_knows_them() -> None:
    cost = {"monthly_usd": 250, "activate_tags": True}

    assert not of(rendered.estate("staging"), "CostAllocationTag")
    tags = of(render("staging", CONTRACTS, {"cost": cost}), "CostAllocationTag")
    assert {tag.inputs["tagKey"] for tag in tags.values()} == {"dataset", "deployment", "group"}
