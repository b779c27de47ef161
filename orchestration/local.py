"""Runs DAGs on this machine with the real Airflow: ``prepare`` once, then ``run DAG``.

Airflow keeps its database in ``--home``; where AWS is comes from the environment. Used in Airflow's
own environment, which has none of the jobs' library.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG

DAGS = Path(__file__).resolve().parent / "dags"
CONTRACTS = Path(__file__).resolve().parents[1] / "quality" / "contracts"


def main() -> int:
    """0, or 1 when a task failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of Airflow's database")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="make or upgrade the database")
    run = commands.add_parser("run", help="run a DAG to its end")
    run.add_argument("dag")
    run.add_argument("--conf", type=json.loads, default={}, help="parameters as JSON")
    run.add_argument(
        "--date", type=_date, help="when it is due, such as 2013-02-01; now, where it is not given"
    )
    known = parser.parse_args()
    configure(known.home.absolute())
    if known.command == "prepare":
        return subprocess.call([sys.executable, "-m", "airflow", "db", "migrate"])
    return run_dag(known.dag, known.conf, known.date or datetime.now(UTC))


def configure(home: Path) -> None:
    """Airflow as it is on this machine; it reads its settings when it is imported."""
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
        AIRFLOW__CORE__LOAD_EXAMPLES="false",
        AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
    )
    os.environ.setdefault("LAKEHOUSE_PREFIX", "lakehouse-local")
    os.environ.setdefault("LAKEHOUSE_CONTRACTS", str(CONTRACTS))
    os.environ.setdefault("LAKEHOUSE_GLUE_POLL_SECONDS", "1")
    # Credentials and endpoints come from the environment, which the hook is to ask at once.
    os.environ.setdefault("AIRFLOW_CONN_AWS_DEFAULT", "aws://")


def run_dag(name: str, conf: dict[str, object], date: datetime) -> int:
    """Run one DAG by ``dag.test()``, and print how each task ended when it does."""
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")
    for path, error in bag.import_errors.items():
        print(f"{path}: {error}")
    dag = bag.dags.get(name)
    if dag is None:
        print(f"no DAG {name!r}; expected one of {', '.join(sorted(bag.dags)) or 'none'}")
        return 1
    failed = _watch(dag)
    run = dag.test(run_conf=conf, logical_date=date)
    ended = {i.task_id: str(i.state) for i in run.get_task_instances()}
    for task, why in failed.items():
        print(f"DAG {name} failed in {task}: {why}")
    # What Airflow itself gave up on has told no callback.
    unheard = [task for task, state in ended.items() if state not in {"success", "skipped"}]
    if unheard and not failed:
        print(f"DAG {name} did not finish {', '.join(f'{t} ({ended[t]})' for t in unheard)}")
    return 1 if unheard else 0


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _watch(dag: DAG) -> dict[str, str]:
    """Print every task as it ends; by and by the reasons of those that fail, by task."""
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    # Airflow has put the folder of DAGs on the path.
    from lakehouse_dags.alerts import last_words  # type: ignore[import-not-found]

    failed: dict[str, str] = {}

    def ended(state: str, instance: Any, said: str = "") -> None:
        seconds = (datetime.now(UTC) - instance.start_date).total_seconds()
        said = said or instance.xcom_pull(task_ids=instance.task_id, key="report") or ""
        print(f"{instance.task_id}: {state} in {seconds:.1f} s {said}".rstrip(), flush=True)

    class Failures:
        """Hears of failures with their errors, which callbacks under ``dag.test()`` do not get."""

        @hookimpl  # type: ignore[untyped-decorator]
        def on_task_instance_failed(self, task_instance: Any, error: BaseException | None) -> None:
            context = {"ti": task_instance, "task": task_instance.task, "exception": error}
            said = failed[task_instance.task_id] = " ".join(last_words(context).split())
            ended("failed", task_instance, said)

    get_listener_manager().add_listener(Failures())
    for task in dag.tasks:
        # Somebody watches: what is wrong shall show at once, not after minutes of retries.
        task.retries = 0
        task.on_success_callback = [lambda context: ended("success", context["ti"])]
        task.on_skipped_callback = [lambda context: ended("skipped", context["ti"])]
        task.on_failure_callback = []
    return failed


if __name__ == "__main__":
    sys.exit(main())
