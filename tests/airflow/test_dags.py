"""What the DAGs are made of, as the contracts say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from conftest import read_dags

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag

REPORTS = {
    f"report_{dataset}" for dataset in ("airlines", "airports", "flights", "planes", "weather")
}


def test_every_dag_can_be_imported(bag: BundleDagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == {"land", "pull", "promote", "marts"}


def test_each_dag_has_the_tasks_of_its_datasets(bag: BundleDagBag) -> None:
    tasks = {name: {task.task_id for task in dag.tasks} for name, dag in bag.dags.items()}
    assert tasks == {
        "land": {"land"},
        "pull": {"fetch_weather", "land_weather"},
        "promote": {"promote", "promoted", *REPORTS},
        "marts": {"marts"},
    }


def test_reports_come_after_the_promotion_whatever_became_of_it(bag: BundleDagBag) -> None:
    promote = bag.dags["promote"]
    assert promote.get_task("promote").downstream_task_ids == {"promoted", *REPORTS}
    assert {promote.get_task(name).trigger_rule for name in REPORTS} == {"all_done"}


def test_a_run_is_red_when_its_promotion_was(bag: BundleDagBag) -> None:
    # Airflow judges a run by its leaves.
    strict = [task for task in bag.dags["promote"].leaves if task.trigger_rule == "all_success"]
    assert [task.upstream_task_ids for task in strict] == [{"promote"}]


def test_each_task_is_owned_by_the_team_of_its_dataset(bag: BundleDagBag) -> None:
    promote, pull = bag.dags["promote"], bag.dags["pull"]
    assert promote.get_task("report_airlines").owner == "flight-operations"
    assert promote.get_task("report_weather").owner == "meteorology"
    assert {task.owner for task in pull.tasks} == {"meteorology"}


def test_marts_run_after_silver_was_published(bag: BundleDagBag) -> None:
    made = {asset.name for task in bag.dags["promote"].tasks for asset in task.outlets}
    read = {asset.name for asset in bag.dags["marts"].timetable.asset_condition.objects}
    assert made == read == {f"silver.{name.removeprefix('report_')}" for name in REPORTS}


def test_no_dag_catches_up_or_runs_beside_itself(bag: BundleDagBag) -> None:
    for dag in bag.dags.values():
        assert not dag.catchup
        assert dag.max_active_runs == 1
        assert all(task.retries >= 2 for task in dag.tasks)


def test_a_fetch_is_bounded_however_long_the_api_lets_it_wait(bag: BundleDagBag) -> None:
    assert bag.dags["pull"].get_task("fetch_weather").execution_timeout == timedelta(hours=1)


def test_glue_jobs_are_started_and_nothing_else(bag: BundleDagBag) -> None:
    jobs: list[Any] = [
        task for dag in bag.dags.values() for task in dag.tasks if isinstance(task, GlueJobOperator)
    ]
    assert {job.job_name for job in jobs} == {
        "lakehouse-local-land", "lakehouse-local-promote", "lakehouse-local-marts",
    }  # fmt: skip
    for job in jobs:
        assert job.resume_glue_job_on_retry
        assert job.deferrable
        assert not job.script_location
        assert not job.iam_role_name
        assert all(isinstance(value, str) and value for value in job.script_args.values())


def test_without_a_prefix_the_variable_names_the_deployment(
    contracts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert contracts.is_dir()
    monkeypatch.delenv("LAKEHOUSE_PREFIX")
    job: Any = read_dags().dags["marts"].get_task("marts")
    assert job.job_name == "{{ var.value.lakehouse_prefix }}-marts"
    assert "job_name" in job.template_fields


def test_a_pull_that_nobody_described_is_the_only_one_that_fails(contracts: Path) -> None:
    text = (contracts / "weather.yaml").read_text().replace("name: weather", "name: tides")
    (contracts / "tides.yaml").write_text(text)
    bag = read_dags()
    assert bag.import_errors == {}
    assert {"fetch_tides", "fetch_weather"} <= {task.task_id for task in bag.dags["pull"].tasks}


def test_a_new_contract_brings_its_tasks_and_nothing_else(contracts: Path) -> None:
    text = (contracts / "airlines.yaml").read_text().replace("name: airlines", "name: crews")
    (contracts / "crews.yaml").write_text(text)
    bag = read_dags()
    land: Any = bag.dags["land"].get_task("land")
    assert land.script_args == {"--datasets": "airlines,airports,crews,planes"}
    promote = {task.task_id for task in bag.dags["promote"].tasks}
    assert promote == {"promote", "promoted", "report_crews", *REPORTS}
