"""What the DAGs are made of, as the contracts say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from airflow.sdk.exceptions import AirflowFailException, TaskDeferralError
from conftest import read_dags
from stub_aws import StubAws

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag

DAGS = {"land", "pull", "promote", "marts", "approve", "operate", "maintain"}
REPORTS = {
    f"report_{dataset}" for dataset in ("airlines", "airports", "flights", "planes", "weather")
}


def test_every_dag_can_be_imported(bag: BundleDagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == DAGS


def test_each_dag_has_the_tasks_of_its_datasets(bag: BundleDagBag) -> None:
    tasks = {name: {task.task_id for task in dag.tasks} for name, dag in bag.dags.items()}
    assert tasks == {
        "land": {"land"},
        "pull": {"fetch_weather"},
        "promote": {"promote", "attention", *REPORTS},
        "marts": {"marts"},
        "approve": {"verdict", "decide", "publish"},
        "operate": {"operate", "result"},
        "maintain": {"maintain", "result"},
    }


def test_a_hundred_contracts_make_tasks_and_no_dag(contracts: Path) -> None:
    text = {name: (contracts / f"{name}.yaml").read_text() for name in ("weather", "airlines")}
    for number in range(50):
        for name, body in text.items():
            twin = body.replace(f"name: {name}", f"name: {name}_{number}")
            (contracts / f"{name}_{number}.yaml").write_text(twin)
    bag = read_dags()
    assert bag.import_errors == {}
    assert set(bag.dags) == DAGS
    assert len(bag.dags["pull"].tasks) == 51
    assert len(bag.dags["promote"].tasks) == 100 + len(REPORTS) + 2
    assert len(bag.dags["land"].tasks) == 1


def test_without_a_pull_files_are_landed_all_the_same(contracts: Path) -> None:
    (contracts / "weather.yaml").unlink()
    bag = read_dags()
    assert bag.import_errors == {}
    assert {task.task_id for task in bag.dags["land"].tasks} == {"land"}
    assert bag.dags["pull"].tasks == []


def test_an_arrival_wakes_the_landing(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/acme-arrivals"
    monkeypatch.setenv("LAKEHOUSE_ARRIVALS_QUEUE", url)
    bag = read_dags()
    assert bag.import_errors == {}

    waits = bag.dags["land"].timetable.asset_condition.objects
    (arrivals,) = (asset for asset in waits if asset.name == "landing.arrivals")
    (watcher,) = arrivals.watchers
    _, told = watcher.trigger.serialize()
    assert told["sqs_queue"] == url
    assert all(value is None or isinstance(value, str | int) for value in told.values())


def test_without_a_queue_files_wait_for_the_sweep(bag: BundleDagBag) -> None:
    waits = bag.dags["land"].timetable.asset_condition.objects
    assert {asset.name for asset in waits} == {"landing.weather"}


def test_reports_come_after_the_promotion_whatever_became_of_it(bag: BundleDagBag) -> None:
    promote = bag.dags["promote"]
    assert promote.get_task("promote").downstream_task_ids == {"attention", *REPORTS}
    assert {promote.get_task(name).trigger_rule for name in REPORTS} == {"all_done"}


def test_a_run_is_as_its_attention(bag: BundleDagBag) -> None:
    # Airflow judges a run by its leaves.
    (leaf,) = bag.dags["promote"].leaves
    assert leaf.task_id == "attention"
    assert leaf.upstream_task_ids == {"promote", *REPORTS}
    assert leaf.trigger_rule == "all_done"


def test_each_task_is_owned_by_the_team_of_its_dataset(bag: BundleDagBag) -> None:
    promote, pull = bag.dags["promote"], bag.dags["pull"]
    assert promote.get_task("report_airlines").owner == "flight-operations"
    assert promote.get_task("report_weather").owner == "meteorology"
    assert {task.owner for task in pull.tasks} == {"meteorology"}


def test_marts_run_after_silver_was_published(bag: BundleDagBag) -> None:
    made = {asset.name for task in bag.dags["promote"].tasks for asset in task.outlets}
    read = {asset.name for asset in bag.dags["marts"].timetable.asset_condition.objects}
    assert made == read == {f"silver.{name.removeprefix('report_')}" for name in REPORTS}


def test_what_was_pulled_is_landed_by_the_one_dag_that_starts_the_job(bag: BundleDagBag) -> None:
    made = {asset.name for task in bag.dags["pull"].tasks for asset in task.outlets}
    read = {asset.name for asset in bag.dags["land"].timetable.asset_condition.objects}
    assert made == read == {"landing.weather"}
    starts = [
        dag.dag_id
        for dag in bag.dags.values()
        for task in dag.tasks
        if getattr(task, "job_name", "").endswith("-land")
    ]
    assert starts == ["land"]


def test_no_dag_catches_up_or_runs_beside_itself(bag: BundleDagBag) -> None:
    for dag in bag.dags.values():
        assert not dag.catchup
        # Several candidates may wait for somebody at once.
        assert dag.max_active_runs == 1 or dag.dag_id == "approve"
        assert all(task.retries >= 2 or task.task_id == "decide" for task in dag.tasks)


def test_a_fetch_is_bounded_and_runs_beside_no_other(bag: BundleDagBag) -> None:
    fetch = bag.dags["pull"].get_task("fetch_weather")
    assert fetch.execution_timeout == timedelta(hours=1)
    assert fetch.max_active_tis_per_dag == 1


def test_glue_jobs_are_started_and_nothing_else(bag: BundleDagBag) -> None:
    jobs: list[Any] = [
        task for dag in bag.dags.values() for task in dag.tasks if isinstance(task, GlueJobOperator)
    ]
    names = {job.job_name.removeprefix("lakehouse-local-") for job in jobs}
    # Who approves a mart starts the job that may write it.
    (either,) = {name for name in names if "{{" in name}
    assert either.endswith("] else 'promote' }}")
    assert names - {either} == {"land", "promote", "marts", "operate", "maintain"}
    for job in jobs:
        assert job.resume_glue_job_on_retry
        assert job.deferrable
        assert not job.script_location
        assert not job.iam_role_name
        assert all(isinstance(value, str) and value for value in job.script_args.values())


def test_whatever_fails_says_why_and_tells_it_once(bag: BundleDagBag) -> None:
    for dag in bag.dags.values():
        for task in dag.tasks:
            (said,) = [call.__name__ for call in task.on_failure_callback]
            # Of these a task behind them tells.
            quiet = task.task_id in {"promote", "operate", "maintain", *REPORTS}
            assert said == ("log_last_words" if quiet else "alert"), task


def test_without_a_prefix_the_variable_names_the_deployment(
    contracts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert contracts.is_dir()
    monkeypatch.delenv("LAKEHOUSE_PREFIX")
    job: Any = read_dags().dags["marts"].get_task("marts")
    assert job.job_name == "{{ var.value.lakehouse_prefix }}-marts"
    assert "job_name" in job.template_fields


def test_a_new_contract_brings_its_tasks_and_nothing_else(contracts: Path) -> None:
    text = (contracts / "airlines.yaml").read_text().replace("name: airlines", "name: crews")
    (contracts / "crews.yaml").write_text(text)
    promote = {task.task_id for task in read_dags().dags["promote"].tasks}
    assert promote == {"promote", "attention", "report_crews", *REPORTS}


@pytest.mark.parametrize(
    ("state", "error"), [("FAILED", AirflowFailException), ("RUNNING", TaskDeferralError)]
)
def test_what_a_person_asked_for_is_not_tried_again_once_it_failed(
    bag: BundleDagBag, monkeypatch: pytest.MonkeyPatch, state: str, error: type[Exception]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")

    class Instance:
        def xcom_pull(self, task_ids: str, key: str) -> str:
            assert key == "glue_job_run_id"
            return f"jr_of_{task_ids}"

    for dag, name in (("approve", "publish"), ("operate", "operate")):
        task: Any = bag.dags[dag].get_task(name)
        with StubAws({task.job_name: state}) as aws:
            for variable, value in aws.env.items():
                monkeypatch.setenv(variable, value)
            with pytest.raises(error):
                task.resume_execution("__fail__", {"error": "gone"}, {"ti": Instance()})
