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
from pathlib import Path

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
    known = parser.parse_args()
    configure(known.home.absolute())
    if known.command == "prepare":
        return subprocess.call([sys.executable, "-m", "airflow", "db", "migrate"])
    return run_dag(known.dag, known.conf)


def configure(home: Path) -> None:
    """Airflow as it is on this machine; it reads its settings when it is imported."""
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
        AIRFLOW__CORE__LOAD_EXAMPLES="false",
        AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
    )
    os.environ.setdefault("LAKEHOUSE_CONTRACTS", str(CONTRACTS))
    os.environ.setdefault("LAKEHOUSE_GLUE_POLL_SECONDS", "1")
    # dag.test() has no triggerer beside it.
    os.environ.setdefault("LAKEHOUSE_GLUE_DEFERRABLE", "false")


def run_dag(name: str, conf: dict[str, object]) -> int:
    """Run one DAG by ``dag.test()`` and print how each task ended."""
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")
    for path, error in bag.import_errors.items():
        print(f"{path}: {error}")
    dag = bag.dags.get(name)
    if dag is None:
        print(f"no DAG {name!r}; expected one of {', '.join(sorted(bag.dags)) or 'none'}")
        return 1
    for task in dag.tasks:
        # Somebody watches: what is wrong shall show at once, not after minutes of retries.
        task.retries = 0
    run = dag.test(run_conf=conf)
    failed = []
    for instance in sorted(run.get_task_instances(), key=lambda i: (str(i.end_date), i.task_id)):
        said = instance.xcom_pull(task_ids=instance.task_id) if instance.state == "success" else ""
        seconds = f"{instance.duration or 0:.1f} s"
        print(f"{instance.task_id}: {instance.state} in {seconds} {said or ''}".rstrip())
        if instance.state not in {"success", "skipped"}:
            failed.append(instance.task_id)
    if failed:
        print(f"DAG {name} failed in {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
