"""The acceptance: what has to work on an account, in the order in which it is seen to."""

from __future__ import annotations

from typing import Final

from acceptance import dataflow, grants, lifecycle
from acceptance.session import Session
from acceptance.steps import Step

STEPS: Final[tuple[Step[Session], ...]] = (
    Step("doctor", "The account has room for the stack and lets it be built", lifecycle.doctor),
    Step("deploy", "The stack is built, and its release is the wanted one", lifecycle.deploy),
    Step("again", "Deploying again changes nothing", lifecycle.again, ("deploy",)),
    Step(
        "send",
        "Every record that the stream took is in bronze once: good, repeated, rejected",
        dataflow.send,
        ("deploy",),
    ),
    Step(
        "land",
        "A file that arrives is told of and lands, each file a load",
        dataflow.land,
        ("deploy",),
    ),
    Step(
        "rejects",
        "Every reject has its reason, and no other record has one",
        dataflow.rejects,
        ("send", "land"),
    ),
    Step(
        "promote",
        "Silver is unique by key, and the load that fails its gate is set aside",
        dataflow.promote,
        ("send", "land"),
    ),
    Step("marts", "The mart is built from silver", dataflow.marts, ("promote",)),
    Step(
        "query",
        "Athena's figures are those of an own count, in a workgroup that binds",
        dataflow.ask,
        ("marts",),
    ),
    Step(
        "grants",
        "Each audience is answered what it may see, and refused the rest",
        grants.grants,
        ("marts",),
    ),
    Step(
        "upgrade",
        "Another release takes over under traffic; nothing is lost or doubled",
        lifecycle.upgrade,
        ("send",),
    ),
    Step(
        "drain",
        "Paused, ingestion ends between two loads and stays ended",
        lifecycle.drain,
        ("upgrade",),
    ),
    Step(
        "rollback",
        "The first release goes on with what came meanwhile; nothing is lost or doubled",
        lifecycle.rollback,
        ("drain",),
    ),
)
