"""Writer schemas by id: what the decoder asks, and the Glue Schema Registry's answer."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import structlog
from botocore.exceptions import ClientError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from lakehouse.aws import Aws
from lakehouse.errors import EstateError, TransientError
from lakehouse.store import NO_ANSWER

log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 4
_WAIT: Final = wait_random_exponential(multiplier=0.5, max=10)
_FORGOTTEN_AFTER: Final = 60.0
"""Seconds after which an id that had no schema is asked for again: it may have one by then."""
_UNKNOWN_IDS: Final = 10_000
"""How many such ids are remembered; any sender can make up more."""
_DENIED: Final = frozenset({"AccessDeniedException", "UnrecognizedClientException"})
_BUSY: Final = frozenset(
    {"ThrottlingException", "LimitExceededException", "ResourceNumberLimitExceededException"}
)


class SchemaRegistry(Protocol):
    """Where writer schemas are kept."""

    def schema(self, schema_id: uuid.UUID) -> Any | None:
        """The Avro schema of an id as a JSON value, None when it has none that can be used.

        Raises TransientError while the registry cannot be asked.
        """


class GlueSchemaRegistry:
    """Schemas of the Glue Schema Registry, which never change and are kept for good.

    ``wait`` is how long to pause before a call is made again.
    """

    def __init__(
        self,
        client: Any,
        wait: Callable[[RetryCallState], float] = _WAIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._wait = wait
        self._clock = clock
        self._known: dict[uuid.UUID, Any] = {}
        self._unknown: dict[uuid.UUID, float] = {}

    def schema(self, schema_id: uuid.UUID) -> Any | None:
        """See SchemaRegistry. Raises EstateError when the registry may not be read."""
        if schema_id in self._known:
            return self._known[schema_id]
        if self._clock() < self._unknown.get(schema_id, 0.0):
            return None
        found = self._ask(schema_id)
        if found is None:
            if len(self._unknown) >= _UNKNOWN_IDS:
                self._unknown.clear()
            self._unknown[schema_id] = self._clock() + _FORGOTTEN_AFTER
        else:
            self._known[schema_id] = found
        return found

    def _ask(self, schema_id: uuid.UUID) -> Any | None:
        answer = Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=self._wait,
            stop=stop_after_attempt(_ATTEMPTS),
            reraise=True,
        )(self._version, schema_id)
        if answer is None:
            return None
        if answer.get("DataFormat") != "AVRO" or answer.get("Status") != "AVAILABLE":
            log.warning(
                "schema_unusable",
                schema=str(schema_id),
                format=answer.get("DataFormat"),
                status=answer.get("Status"),
            )
            return None
        try:
            return msgspec.json.decode(answer["SchemaDefinition"])
        except (msgspec.DecodeError, RecursionError) as error:
            log.warning("schema_unusable", schema=str(schema_id), why=str(error))
            return None

    def _version(self, schema_id: uuid.UUID) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self._client.get_schema_version(SchemaVersionId=str(schema_id))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code == "EntityNotFoundException":
                return None
            if code in _DENIED:
                raise EstateError(
                    f"schema {schema_id}: the registry may not be read ({error}); grant the job "
                    "glue:GetSchemaVersion"
                ) from error
            if code in _BUSY or status >= 500:
                raise TransientError(f"schema {schema_id}: {error}") from error
            raise
        except NO_ANSWER as error:
            raise TransientError(
                f"schema {schema_id}: no answer from the registry ({error})"
            ) from error
        return answer


# A worker decodes many parts, all with the same few schemas.
@functools.cache
def glue_registry(aws: Aws, role: str | None) -> GlueSchemaRegistry:
    """The process's one registry of a deployment, or of the account that a role is of."""
    return GlueSchemaRegistry(aws.client("glue", role))
