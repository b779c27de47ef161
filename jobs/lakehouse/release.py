"""Which release of the code a deployment wants to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.aws import Aws

log = structlog.get_logger(__name__)

WANTED_KEY: Final = "code/wanted"
"""Object in the artifacts bucket that holds the name of the wanted release; a deploy writes it."""
PAUSED: Final = "paused"
"""What it holds while nothing is to be ingested."""


def another_wanted(aws: Aws, running: str) -> Callable[[], str | None]:
    """Asks whether another release than the running one is wanted; the reason to end, if so.

    A job that was not told its release, or a deployment without a wanted one, runs on; so does one
    that cannot ask.
    """

    def ask() -> str | None:
        s3 = aws.client("s3")
        try:
            answer = s3.get_object(Bucket=aws.bucket("artifacts"), Key=WANTED_KEY)
            wanted = answer["Body"].read().decode().strip()
        except s3.exceptions.NoSuchKey:
            return None
        except (ClientError, BotoCoreError) as error:
            log.warning("wanted_release_unknown", why=str(error))
            return None
        if not running or wanted == running:
            return None
        if wanted == PAUSED:
            return "ingestion is paused"
        return f"release {wanted} is wanted, this is {running}"

    return ask
