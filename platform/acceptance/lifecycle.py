"""Steps that deploy: for the first time, again, another release, paused, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from acceptance import jobs
from acceptance.datasets import EVENTS
from acceptance.session import Session
from acceptance.steps import AcceptanceError, Answer
from acceptance.waiting import wait_until
from lakehouse.cli.doctor import stack_need
from lakehouse.cli.runs import JobRun
from lakehouse.doctor.account import AwsAccount
from lakehouse.doctor.checks import CHECKS
from lakehouse.doctor.finding import examine, failed
from lakehouse.ingestion.ingest import open_loads
from lakehouse.release import PAUSED, WANTED_KEY

_TOLD: Final = (
    "account", "region", "datasets", "buckets", "streams", "databases", "jobs", "release",
    "workgroups", "arrivals", "airflow", "network", "audit_bucket",
)  # fmt: skip
"""Outputs that go into the evidence."""


def doctor(session: Session) -> Answer:
    """The account, before anything is built."""
    need = stack_need(session.estate.stack, session.stack_contracts)
    found = examine(AwsAccount(session.estate.region), need, CHECKS)
    facts = {"findings": [f"{f.level}: {f.check}: {f.said}" for f in found]}
    if failed(found):
        wrong = [f"{f.check}: {f.said}; {f.mend}" for f in found if f.level == "fail"]
        raise AcceptanceError(". ".join(wrong))
    counts = {level: sum(f.level == level for f in found) for level in ("ok", "warn", "not asked")}
    return Answer(", ".join(f"{n} {level}" for level, n in counts.items() if n), facts)


def deploy(session: Session) -> Answer:
    """The stack."""
    session.outputs = session.estate.up(1)
    release = session.outputs["release"]
    if (wanted := _wanted(session)) != release:
        raise AcceptanceError(f"release {release} was deployed, {wanted} is wanted")
    facts = {name: session.outputs[name] for name in _TOLD if name in session.outputs}
    return Answer(f"release {release}", facts)


def again(session: Session) -> Answer:
    """The same once more."""
    return Answer(session.estate.unchanged(), {"release": session.outputs["release"]})


def upgrade(session: Session) -> Answer:
    """Another release while records come in and a run is at work."""
    old, before = session.ingesting(), session.outputs["release"]
    with session.traffic():
        session.outputs = session.estate.up(2)
        answer = jobs.ended(old, session.patience)
        _between_loads(session)
        session.ingest = _started_anew(session, old)
    session.send(session.events(20, 2), 2)
    seconds = session.wait_for_bronze()
    found = session.exactly_once()
    noted = session.ask(
        f"SELECT count(*) AS rows FROM bronze.{EVENTS} WHERE note IS NOT NULL "
        f"AND _partition_key LIKE '{session.run}-%'"
    ).rows[0][0]
    wanted = sum(session.sent.good.values())
    if int(noted or 0) != wanted:
        raise AcceptanceError(f"{noted} of {wanted} events have the new release's property")
    release = session.outputs["release"]
    if release == before:
        raise AcceptanceError(f"release {before} was to be followed by another one")
    return Answer(
        f"{before} to {release} under traffic, {found['deliveries']} deliveries once each",
        {
            "releases": [before, release],
            "old run": _told(answer),
            "new run": session.ingest.run_id,
            "seconds to bronze": seconds,
            "with the new property": wanted,
            **found,
        },
    )


def drain(session: Session) -> Answer:
    """Ingestion paused: the run ends between two loads, nothing starts, what comes waits."""
    old = session.ingesting()
    session.estate.up(2, paused=True)
    if (wanted := _wanted(session)) != PAUSED:
        raise AcceptanceError(f"ingestion is paused, and {wanted} is wanted")
    answer = jobs.ended(old, session.patience)
    _between_loads(session)
    states = _schedules(session)
    if any(state != "DISABLED" for state in states.values()):
        raise AcceptanceError(f"ingestion is paused, and schedules are {states}")
    # A run that a schedule started just before the pause drains and ends.
    wait_until(
        lambda: jobs.running(session.aws, session.job) is None,
        session.patience,
        lambda: f"ingestion is paused, and {session.aws.job(session.job)} runs all the same",
    )
    there = session.rows("bronze", EVENTS)
    session.send(session.events(20, 2), 2)
    if session.rows("bronze", EVENTS) != there or jobs.running(session.aws, session.job):
        raise AcceptanceError("ingestion is paused, and records arrive in bronze all the same")
    return Answer(
        "the run ended between two loads, and none is under way",
        {"run": _told(answer), "schedules": states, "waiting": 20},
    )


def rollback(session: Session) -> Answer:
    """The first release again, which goes on with what came in the pause."""
    session.outputs = session.estate.up(1)
    session.ingest = None
    session.send(session.events(20))
    run = jobs.running(session.aws, session.job)
    facts: dict[str, Any] = {"release": session.outputs["release"]}
    if run is None and not (session.estate.supervised and _continuous(session)):
        done = jobs.run_to_end(session.aws, session.job, {"--once": "true"}, session.patience)
        facts["run"] = _told(done)
    facts["seconds to bronze"] = session.wait_for_bronze()
    found = session.exactly_once()
    return Answer(f"{found['deliveries']} deliveries once each, after all of it", facts | found)


def _started_anew(session: Session, old: JobRun) -> JobRun:
    """The run that follows: its schedule starts it, and where there is none, this does."""
    if not (session.estate.supervised and _continuous(session)):
        return session.ingesting()

    def another() -> JobRun | None:
        run = jobs.running(session.aws, session.job)
        return run if run is not None and run.run_id != old.run_id else None

    return wait_until(
        another,
        session.patience,
        lambda: f"no schedule started {old.name} again; look at the schedule of that name",
        every=5,
    )


def _continuous(session: Session) -> bool:
    return jobs.is_continuous(session.aws, session.job)


def _between_loads(session: Session) -> None:
    pending = open_loads(session.aws, session.contracts[EVENTS]).progress().pending
    if pending is not None:
        raise AcceptanceError(
            f"the run ended in the middle of load {pending.load}, which the next run has to end"
        )


def _wanted(session: Session) -> str:
    answer = session.aws.client("s3").get_object(
        Bucket=session.aws.bucket("artifacts"), Key=WANTED_KEY
    )
    return str(answer["Body"].read().decode().strip())


def _schedules(session: Session) -> dict[str, str]:
    scheduler = session.aws.client("scheduler")
    answer = scheduler.list_schedules(NamePrefix=session.aws.job("ingest-"))
    return {schedule["Name"]: schedule["State"] for schedule in answer["Schedules"]}


def _told(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: answer.get(key) for key in ("Id", "JobRunState", "ExecutionTime")}
