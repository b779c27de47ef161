"""Steps that follow records and files from their arrival to an answer of Athena."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from acceptance import jobs
from acceptance.datasets import EVENTS, FILES, MART
from acceptance.events import NAMES, trouble, write_files
from acceptance.session import Session, same
from acceptance.steps import AcceptanceError, Answer
from lakehouse.cli.drop import drop
from lakehouse.ingestion.icetable import LOAD
from lakehouse.promotion.progress import read_state
from lakehouse.tables import load_table

_EVENTS: Final = 200
_REPEATS: Final = 20
_TROUBLE: Final = 12
_ARRIVAL_SECONDS: Final = 60.0


def send(session: Session) -> Answer:
    """Good events, repeats and trouble into the stream, all of it into bronze."""
    session.rows_before = session.rows("bronze", EVENTS)
    run = session.ingesting()
    good = session.events(_EVENTS)
    bad = trouble(session.run, [next(session.numbers) for _ in range(_TROUBLE)])
    session.send([*good, *good[:_REPEATS], *bad])
    seconds = session.wait_for_bronze()
    found = session.exactly_once()
    return Answer(
        f"{found['deliveries']} deliveries once each in bronze",
        {
            "stream": session.aws.stream(EVENTS),
            "run": run.run_id,
            "seconds to bronze": seconds,
            **found,
        },
    )


def land(session: Session) -> Answer:
    """A file that is good and one that is not, each a load of its own."""
    files = write_files(session.folder / "files", session.run)
    contract = session.contracts[FILES]
    facts: dict[str, Any] = {}
    for name, path in (("good", files.good), ("bad", files.bad)):
        (key,) = drop(session.aws, contract, [path])
        arrival = _arrival(session, key)
        answer = jobs.run_to_end(session.aws, "land", {"--datasets": FILES}, session.patience)
        facts[name] = {
            "key": key,
            "arrival": arrival,
            "run": answer["Id"],
            "seconds": answer.get("ExecutionTime"),
            "load": _load(session),
        }
    session.bad_load = facts["bad"]["load"]
    rows = session.ask(
        f"SELECT count(*) AS rows FROM bronze.{FILES} WHERE _source LIKE '%{session.run}-%'"
    ).rows
    facts |= same("bronze", {"rows": int(rows[0][0] or 0)}, {"rows": files.rows})
    return Answer(f"{files.rows} rows of 2 files in bronze", facts)


def _load(session: Session) -> int:
    table = load_table(session.aws, "bronze", FILES)
    if table is None:
        raise AcceptanceError(f"no table bronze.{FILES} after landing; read the log of the run")
    return int(table.properties[LOAD])


def _arrival(session: Session, key: str) -> str:
    """Whether the queue told of an object; where Airflow reads it, Airflow alone does."""
    if "airflow" in session.outputs:
        return "left to Airflow"
    sqs, url = session.aws.client("sqs"), session.outputs["arrivals"]
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    while time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        for message in answer.get("Messages", []):
            told = json.loads(message["Body"]).get("detail", {}).get("object", {}).get("key")
            # Whoever is told only looks what there is to land, so no message is missed.
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            if told == key:
                return "told by the queue"
    raise AcceptanceError(
        f"the queue did not tell of {key} within {_ARRIVAL_SECONDS:.0f} s; look at the rule "
        f"{session.aws.prefix}-arrivals and the queue of dead arrivals"
    )


def rejects(session: Session) -> Answer:
    """Every reject with the reason that it has to have."""
    found: dict[str, Any] = {}
    for dataset, where, wanted in (
        (EVENTS, f"_partition_key LIKE '{session.run}-%'", dict(session.sent.rejects)),
        (FILES, f"_source LIKE '%{session.run}-%'", {"enum": 4}),
    ):
        rows = session.ask(
            f"SELECT _reject.code AS code, count(*) AS rows FROM bronze.{dataset} "
            f"WHERE _reject IS NOT NULL AND {where} GROUP BY _reject.code"
        ).rows
        counted = {str(code): int(count or 0) for code, count in rows}
        found[dataset] = same(f"rejects of {dataset}", counted, wanted)
        if extra := counted.keys() - wanted.keys():
            raise AcceptanceError(f"{dataset} has rejects of other kinds: {', '.join(extra)}")
    view = session.ask(
        f"SELECT count(*) AS rows FROM governance.quarantine_{EVENTS} "
        f"WHERE partition_key LIKE '{session.run}-%'"
    ).rows
    quarantined = same(
        f"governance.quarantine_{EVENTS}",
        {"rows": int(view[0][0] or 0)},
        {"rows": session.sent.rejects.total()},
    )
    total = sum(sum(codes.values()) for codes in found.values())
    return Answer(
        f"{total} rejects, each with its reason", found | {"quarantine": quarantined["rows"]}
    )


def promote(session: Session) -> Answer:
    """The good loads into silver, unique by key; the bad one set aside with its reason."""
    run = jobs.run_to_end(
        session.aws, "promote", {"--datasets": f"{EVENTS},{FILES}"}, session.patience
    )
    events = session.ask(
        f"SELECT count(*) AS rows, count(DISTINCT event_id) AS events FROM silver.{EVENTS} "
        f"WHERE run = '{session.run}'"
    ).rows[0]
    files = session.ask(f"SELECT kind, name FROM silver.{FILES} WHERE run = '{session.run}'").rows
    good = len(session.sent.good)
    facts = same(
        "silver",
        {
            "rows": int(events[0] or 0),
            "events": int(events[1] or 0),
            "names": {str(kind): name for kind, name in files},
        },
        {"rows": good, "events": good, "names": NAMES},
    )
    table = load_table(session.aws, "silver", FILES)
    aside = {a.load: a for a in read_state(table).set_aside} if table else {}
    bad = aside.get(session.bad_load) if session.bad_load is not None else None
    if bad is None:
        raise AcceptanceError(
            f"load {session.bad_load} of {FILES} has three rejects in four rows and was not set "
            f"aside; see 'lakehouse loads list {FILES}'"
        )
    facts |= {"run": run["Id"], "seconds": run.get("ExecutionTime")}
    facts["set aside"] = {"load": bad.load, "reason": bad.reason, "verdict": bad.verdict}
    return Answer(f"{good} events in silver, load {bad.load} of {FILES} set aside", facts)


def marts(session: Session) -> Answer:
    """The mart from silver."""
    run = jobs.run_to_end(session.aws, "marts", {"--datasets": MART}, session.patience)
    rows = session.rows("gold", MART)
    if not rows:
        raise AcceptanceError(f"gold.{MART} has no row; see 'lakehouse loads list {MART}'")
    return Answer(
        f"{rows} rows in gold.{MART}",
        {"run": run["Id"], "seconds": run.get("ExecutionTime"), "rows": rows},
    )


def ask(session: Session) -> Answer:
    """Figures of the mart and the gates' history, in the workgroup, against our own count."""
    answer = session.ask(
        f"SELECT kind, name, events, amount FROM gold.{MART} WHERE run = '{session.run}' "
        "ORDER BY kind"
    )
    facts = same("gold", {"rows": answer.rows}, {"rows": session.sent.marts()})
    history = session.ask(
        "SELECT dataset, count(*) AS verdicts FROM governance.verdicts "
        f"WHERE dataset IN ('{EVENTS}', '{FILES}', '{MART}') GROUP BY dataset"
    ).rows
    verdicts = {str(dataset): int(count or 0) for dataset, count in history}
    if set(verdicts) != {EVENTS, FILES, MART}:
        raise AcceptanceError(f"governance.verdicts knows verdicts of {verdicts} only")
    athena = session.aws.client("athena")
    for group in session.outputs["workgroups"].values():
        told = athena.get_work_group(WorkGroup=group)["WorkGroup"]["Configuration"]
        if not told.get("EnforceWorkGroupConfiguration"):
            raise AcceptanceError(f"workgroup {group} does not bind its settings")
    return Answer(
        f"{len(answer.rows)} rows of gold.{MART} are as counted",
        facts
        | {
            "workgroups": session.outputs["workgroups"],
            "scanned bytes": answer.scanned_bytes,
            "verdicts": verdicts,
        },
    )
