"""The step that asks as each audience what it may ask, and what it must not be answered."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from acceptance.datasets import EVENTS, FILES, MART
from acceptance.session import Session
from acceptance.steps import AcceptanceError, Answer, NotAskedError
from lakehouse import naming
from lakehouse.cli.query import execute
from lakehouse.errors import InputError


class Question(NamedTuple):
    """A query of an audience, and whether it may be answered."""

    audience: str
    sql: str
    allowed: bool


QUESTIONS: Final = (
    Question("engineer", f"SELECT count(*) FROM bronze.{EVENTS}", True),
    Question("engineer", f"SELECT count(*) FROM silver.{EVENTS}", True),
    Question("engineer", "SELECT count(*) FROM governance.verdicts", True),
    Question("analyst", f"SELECT count(*) FROM silver.{EVENTS}", True),
    Question("analyst", f"SELECT count(*) FROM gold.{MART}", True),
    Question("analyst", f"SELECT count(*) FROM bronze.{EVENTS}", False),
    Question("analyst", f"SELECT max(contact) FROM silver.{FILES}", False),
    Question("analyst", "SELECT count(*) FROM governance.verdicts", False),
    Question("auditor", "SELECT count(*) FROM governance.verdicts", True),
    Question("auditor", f"SELECT count(*) FROM silver.{EVENTS}", False),
    Question("auditor", f"SELECT count(*) FROM gold.{MART}", False),
)
_DENIED: Final = re.compile(
    r"access ?denied|insufficient lake formation|insufficient permissions|not authorized"
    r"|column_not_found|cannot be resolved",
    re.IGNORECASE,
)
"""How Athena refuses: IAM by name, Lake Formation also by not seeing the column or the table."""


def grants(session: Session) -> Answer:
    """Every audience's role is taken, and asks."""
    if not session.estate.enforces:
        raise NotAskedError("the emulator enforces no IAM and has no Lake Formation")
    roles: dict[str, str] = session.outputs["audiences"]
    answered: dict[str, list[str]] = {}
    for audience, role in roles.items():
        athena = _as(session, role, audience)
        group = naming.workgroup(session.aws.prefix, audience)
        for question in (q for q in QUESTIONS if q.audience == audience):
            said = _ask(athena, group, question)
            answered.setdefault(audience, []).append(f"{said}: {question.sql}")
    return Answer(f"{len(QUESTIONS)} questions of {len(answered)} audiences", answered)


def _as(session: Session, role: str, audience: str) -> Any:
    """Athena under a role."""
    import boto3
    from botocore.exceptions import ClientError

    try:
        taken = session.aws.client("sts").assume_role(RoleArn=role, RoleSessionName=session.run)[
            "Credentials"
        ]
    except ClientError as error:
        raise NotAskedError(
            f"whoever runs this may not take the role {role} "
            f"({error.response['Error']['Code']}); put yourself into audiences.{audience} of "
            f"Pulumi.{session.estate.stack}.yaml and run again"
        ) from error
    return boto3.client(
        "athena",
        region_name=session.aws.region,
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
    )


def _ask(athena: Any, group: str, question: Question) -> str:
    """``allowed`` or ``denied``; AcceptanceError where the other one was to be."""
    why = refusal(athena, group, question.sql)
    if why is not None and not _DENIED.search(why):
        raise AcceptanceError(f"{question.audience}: {question.sql}: fails otherwise: {why}")
    if (why is None) != question.allowed:
        wanted = "be answered" if question.allowed else "be refused"
        raise AcceptanceError(
            f"{question.audience}: {question.sql}: has to {wanted}: {why or 'it was answered'}"
        )
    return "allowed" if why is None else "denied"


def refusal(athena: Any, group: str, sql: str) -> str | None:
    """Why a query was not answered; None where it was."""
    from botocore.exceptions import ClientError

    try:
        execute(athena, sql, group)
    except (ClientError, InputError) as error:
        return str(error)
    return None
